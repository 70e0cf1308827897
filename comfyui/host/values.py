# SPDX-License-Identifier: Apache-2.0
"""Looking into values that nodes hand around: which models they carry."""
import types

from .about import module

PRIMITIVE = (type(None), bool, int, float, complex, str, bytes, type, types.ModuleType)
OBJECTS_MAX = 20_000  # looked at in one value; a model's own tensors are never entered


def is_patcher(value):
    """ComfyUI's ModelPatcher and whatever behaves like it (GGUF's, dynamic ones)."""
    return all(hasattr(value, name) for name in
               ("model", "load_device", "offload_device", "model_size", "is_clone"))


def is_dynamic(patcher):
    """True for one whose weights are paged (dynamic VRAM)."""
    return bool(getattr(patcher, "is_dynamic", bool)())


def models_in(value):
    """Modules reachable from a node's output, each with the patcher that wraps it or itself.

    Maps id of the module to (module, patcher or None). Enters containers, plain objects and
    closures, never a module or a tensor.
    """
    torch = module("torch")
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
    torch = module("torch")
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
