# SPDX-License-Identifier: Apache-2.0
"""Letting go: outputs out of the node cache, models out of devices, pages and pinned RAM back."""
import asyncio
import gc
import weakref

from ..log import log
from .about import loaded_models, management
from .values import PRIMITIVE, is_dynamic, models_in

GONE = object()


def evict(run, entry):
    """Takes an output out of its cache; returns how to put it back, or None if that can't be.

    What is returned holds carriers weakly: it works only while someone else keeps them alive.
    """
    value = entry.store.cache.pop(entry.key, None)
    if value is None:
        return None
    run.forget(value)
    outputs = getattr(value, "outputs", value)
    shell = value._replace(outputs=None) if hasattr(value, "_replace") else None
    folded = [[_weak(leaf) for leaf in slot] for slot in outputs if isinstance(slot, list)]
    if (shell is None and outputs is not value) or len(folded) != len(outputs) \
            or any(leaf is None for slot in folded for leaf in slot):
        return None
    del value, outputs

    def put_back():
        restored = [[leaf() for leaf in slot] for slot in folded]
        if any(leaf is GONE for slot in restored for leaf in slot):
            return False
        entry.store.cache[entry.key] = shell._replace(outputs=restored) if shell else restored
        return True
    return put_back


def _weak(leaf):
    """A function that answers the leaf while it lives; None if it would have to be held."""
    if isinstance(leaf, PRIMITIVE):
        return lambda: leaf
    try:
        reference = weakref.ref(leaf)
    except TypeError:
        return None if models_in(leaf) else (lambda: leaf)

    def answer():
        alive = reference()
        return GONE if alive is None else alive
    return answer


def clear_gathered():
    """Lets go of what finished `asyncio.gather` calls still keep, if it is a cached output.

    From 0.18 on the executor looks into its cache by such a call and goes on in the same step of
    the event loop, which keeps the call and all it found until the prompt ends.
    """
    for each in gc.get_objects():
        if issubclass(type(each), asyncio.Future) and each.done():
            children = getattr(each, "_children", None)
            if isinstance(children, list) and any(_found(child) for child in children):
                children.clear()


def _found(task):
    """True for a look into the cache: its result is of the type that later versions keep there."""
    done = task.done() and not task.cancelled() and task.exception() is None
    return done and hasattr(task.result(), "outputs") and hasattr(task.result(), "ui")


def release_pages(model):
    """Dynamic models: gives back pinned RAM and device pages without a detach."""
    for reference in model.patchers:
        patcher = reference()
        if patcher is not None and is_dynamic(patcher):
            _try(model, "pinned RAM", lambda: patcher.partially_unload_ram(1e32))
            _try(model, "pages", lambda: patcher.partially_unload(patcher.offload_device, 1e32))
            break  # clones share one set of pages


def _try(model, what, give_back):
    try:
        give_back()
    except Exception as error:
        log.warning("[Ebb] %s keeps its %s: %s", model.label, what, error)


def park(keys):
    """Moves models (ids of modules) out of every device that is not the CPU, by ComfyUI's own way.

    A model whose offload device is its load device (--highvram, --gpu-only) can't be parked and
    stays. Dynamic models only give their pages back. Returns the ids that were parked.
    """
    parked, by_device = set(), {}
    loaded = patcher = None
    for loaded in loaded_models():
        patcher = loaded.model
        if patcher is None or getattr(loaded.device, "type", "cpu") == "cpu":
            continue
        wanted = id(patcher.model) in keys and patcher.offload_device != loaded.device
        if wanted:
            parked.add(id(patcher.model))
        if wanted and is_dynamic(patcher):
            patcher.partially_unload(patcher.offload_device, 1e32)
            wanted = False
        by_device.setdefault(loaded.device, {True: [], False: []})[wanted].append(loaded)
    del loaded, patcher
    for device, groups in by_device.items():
        if groups[True]:
            management().free_memory(1e30, device, keep_loaded=groups[False])
    return parked


def empty_device_cache():
    getattr(management(), "soft_empty_cache", bool)()
