# SPDX-License-Identifier: Apache-2.0
"""Looking into values that nodes hand around: which models they carry, and who holds an object."""
import asyncio
import gc
import sys
import time
import types

PRIMITIVE = (type(None), bool, int, float, complex, str, bytes, type, types.ModuleType)
OBJECTS_MAX = 20_000  # looked at in one value; a model's own tensors are never entered
CORE = ("builtins", "torch", "comfy.", "weakref", "collections", "execution", "asyncio",
        "comfy_execution", "functools")  # classes of these modules say nothing about who holds


def is_patcher(value):
    """ComfyUI's ModelPatcher and whatever behaves like it (GGUF's, dynamic ones)."""
    return all(hasattr(value, name) for name in
               ("model", "load_device", "offload_device", "model_size", "is_clone"))


def models_in(value):
    """Modules reachable from a node's output, each with the patcher that wraps it or itself.

    Maps id of the module to (module, patcher or None). Enters containers, plain objects and
    closures, never a module or a tensor.
    """
    torch = sys.modules.get("torch")
    leaves = PRIMITIVE + ((torch.Tensor, torch.device, torch.dtype) if torch else ())
    found, seen, waiting = {}, set(), [value]
    while waiting and len(seen) < OBJECTS_MAX:
        each = waiting.pop()
        if isinstance(each, leaves) or id(each) in seen:
            continue
        seen.add(id(each))
        if torch and isinstance(each, torch.nn.Module):
            found.setdefault(id(each), (each, None))
        elif isinstance(each, dict):
            waiting.extend(each.values())
        elif isinstance(each, (list, tuple, set, frozenset)):
            waiting.extend(each)
        elif isinstance(each, types.FunctionType):
            waiting.extend(_contents(each))
        elif isinstance(each, types.MethodType):
            waiting.append(each.__self__)
        elif is_patcher(each):
            found[id(each.model)] = (each.model, each)
            waiting.extend(getattr(each, name, None) for name in
                           ("additional_models", "model_options", "attachments"))
        elif is_patcher(getattr(each, "patcher", None)):
            waiting.append(each.patcher)  # CLIP and VAE: their tokenizers are large
        elif hasattr(each, "__dict__"):
            waiting.extend(vars(each).values())
    return found


def _contents(function):
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:
            pass  # not filled yet


def has_results(outputs):
    """True if an output carries what a run computed (a picture, a latent), not only models."""
    torch = sys.modules.get("torch")
    waiting = list(outputs or [])
    while waiting:
        each = waiting.pop()
        if torch and isinstance(each, torch.Tensor):
            return True
        if isinstance(each, dict) and "samples" in each:
            return True
        if isinstance(each, list):
            waiting.extend(each)
        elif type(each) is dict:
            waiting.extend(each.values())
    return False


def clear_gathered(is_entry):
    """Lets go of what finished `asyncio.gather` calls still keep, if it is a cached output.

    From 0.18 on the executor looks into its cache by such a call and goes on in the same step of
    the event loop, which keeps the call and all it found until the prompt ends.
    """
    for each in gc.get_objects():
        if issubclass(type(each), asyncio.Future) and each.done():
            children = getattr(each, "_children", None)
            if isinstance(children, list) and any(_found(child, is_entry) for child in children):
                children.clear()


def _found(task, is_entry):
    done = task.done() and not task.cancelled() and task.exception() is None
    return done and is_entry(task.result())


def referrer(objects, seconds):
    """Follows references backwards to a named place: a module's variable or an object's class."""
    until = time.perf_counter() + seconds
    level = [each for each in objects if each is not None]
    seen, module = {id(objects), id(level)}, level[0] if level else None
    while level and time.perf_counter() < until:
        seen.update(map(id, level))
        seen.add(id(level))
        above = [each for each in gc.get_referrers(*level)
                 if id(each) not in seen and not isinstance(each, types.FrameType)]
        for each in above:
            place = _place(each, module)
            if place:
                return place
        level = above
    return "something outside the node cache holds it"


def _place(value, module):
    if isinstance(value, dict) and isinstance(value.get("__name__"), str) and "__spec__" in value:
        return f"module {value['__name__']} holds it"
    kind = type(value)
    origin = getattr(kind, "__module__", "") or ""
    if hasattr(value, "__dict__") and value is not module and not origin.startswith(CORE) \
            and not origin.startswith(__package__ or "ebb"):
        return f"an object of {origin}.{kind.__qualname__} holds it"
    return None
