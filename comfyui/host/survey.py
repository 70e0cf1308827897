# SPDX-License-Identifier: Apache-2.0
"""What is in memory: every model, every cached output that carries one, and who else holds it."""
import gc
import time
import types
import weakref
from dataclasses import dataclass, field

from . import PACK
from ..log import log
from .about import loaded_models
from .values import has_results, is_dynamic, models_in

MODEL_FILES = (".safetensors", ".sft", ".gguf", ".ckpt", ".pt", ".pth", ".bin")
CORE = ("builtins", "torch", "comfy.", "weakref", "collections", "execution", "asyncio",
        "comfy_execution", "functools")  # classes of these modules say nothing about who holds


@dataclass
class Model:
    """One module in memory. Holds weak references only, so that looking keeps nothing alive."""
    ref: object
    patchers: list = field(default_factory=list)
    label: str = ""
    bytes: int = 0
    loaded_bytes: int = 0  # of these on a device that is not the CPU
    dynamic: bool = False

    def alive(self):
        return self.ref() is not None


@dataclass
class Entry:
    """One cached output that carries models."""
    store: object
    key: object
    nodes: list
    models: frozenset
    results: bool


class Survey:
    """Every model in memory, and every cached output that carries one."""

    def __init__(self):
        self.models, self.entries, self.readers = {}, [], {}

    def add(self, found):
        for key, (module, patcher) in found.items():
            model = self.models.get(key)
            if model is None:
                model = self.models[key] = Model(weakref.ref(module), label=type(module).__name__)
            if patcher is not None:
                _measure(model, patcher)
        return frozenset(found)

    def carried_by(self, node_id):
        return set().union(*(entry.models for entry in self.entries if node_id in entry.nodes))


def _measure(model, patcher):
    model.patchers.append(weakref.ref(patcher))
    try:
        model.bytes = max(model.bytes, int(patcher.model_size()))
        model.dynamic = is_dynamic(patcher)
        if getattr(patcher.load_device, "type", "cpu") != "cpu":
            model.loaded_bytes = max(model.loaded_bytes, int(patcher.loaded_size()))
    except Exception as error:
        log.debug("[Ebb] %s can't be measured: %s", model.label, error)


def survey(run):
    """Looks through the caches of the run (None: only ComfyUI's list of loaded models)."""
    seen = Survey()
    if run is not None:
        for store, key, nodes, value in run.cached():
            outputs = getattr(value, "outputs", value)
            models = seen.add(models_in(outputs))
            if models:
                seen.entries.append(Entry(store, key, nodes, models, has_results(outputs)))
        for reader, source, entry in run.private_copies():
            if run.takes_link(reader, source):
                continue
            for key in seen.add(models_in(getattr(entry, "outputs", entry))):
                seen.readers.setdefault(key, reader)
        _name_models(run, seen)
    for loaded in loaded_models():
        patcher = loaded.model
        if patcher is not None:
            seen.add({id(patcher.model): (patcher.model, patcher)})
    return seen


def _name_models(run, seen):
    """A model is called after the file its loader names: the carrier with fewest inputs linked."""
    for entry in seen.entries:
        for node_id in entry.nodes:
            inputs = (run.node(node_id) or {}).get("inputs", {})
            if any(isinstance(value, list) for value in inputs.values()):
                continue
            files = [value for value in inputs.values()
                     if isinstance(value, str) and value.lower().endswith(MODEL_FILES)]
            for key in entry.models if files else ():
                model = seen.models[key]
                kind = "" if len(entry.models) == 1 else f" ({type(model.ref()).__name__})"
                model.label = files[0].replace("\\", "/").rsplit("/", 1)[-1] + kind


# ---- who holds it ----------------------------------------------------------------------------

def holder_of(model, run, seconds):
    """Who keeps a module alive that no cached output carries any more, in words."""
    for node_id, instance in run.instances():
        if any(found is model.ref() for found, _ in models_in(vars(instance)).values()):
            return f"{run.label(node_id)} keeps it for itself"
    return _referrer([model.ref()] + [each() for each in model.patchers], seconds)


def _referrer(objects, seconds):
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
            and not origin.startswith(PACK):
        return f"an object of {origin}.{kind.__qualname__} holds it"
    return None
