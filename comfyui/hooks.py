# SPDX-License-Identifier: Apache-2.0
"""All contact with ComfyUI (circumstances.py has what only planning needs of it).

Nothing of ComfyUI is replaced or patched. What a version lacks is found out by asking for it, and
answered with None, an empty list, or False. The running node's place in the executor is read from
the Python frames above it, because no version up to 0.18 hands a node its cache.
"""
import os
import sys
import types
import weakref
from dataclasses import dataclass, field

from . import facts
from .log import log
from .values import PRIMITIVE, has_results, is_patcher, models_in, referrer

FRAMES_MAX = 80
MODEL_FILES = (".safetensors", ".sft", ".gguf", ".ckpt", ".pt", ".pth", ".bin")


def module(name):
    """A module of ComfyUI (or torch) that is already loaded; Ebb never loads one itself."""
    return sys.modules.get(name)


def management():
    return module("comfy.model_management")


def missing_parts():
    """Names of what the nodes need and this ComfyUI does not have; empty where all is there."""
    manager = management()
    if manager is None:
        return ["comfy.model_management"]
    names = ("current_loaded_models", "free_memory", "get_free_memory", "soft_empty_cache")
    return [f"comfy.model_management.{name}" for name in names if not hasattr(manager, name)]


# ---- the run in progress ---------------------------------------------------------------------

class Run:
    """The executor's view of the prompt that runs; `release_links`, `forget` change it."""

    def __init__(self, variables, lists=()):
        self.lists = lists
        self.caches = variables["caches"]
        self.list = variables["execution_list"]
        self.prompt = variables.get("dynprompt") or self.list.dynprompt
        self.executed = variables.get("executed") or set()
        self.node_id = variables.get("current_item") or self.list.staged_node_id
        self.prompt_id = variables.get("prompt_id") or ""

    def node(self, node_id):
        return self.prompt.get_node(node_id) if self.prompt.has_node(node_id) else None

    def label(self, node_id):
        node = self.node(node_id)
        return f"node {node_id} {node['class_type']}" if node else f"node {node_id}"

    def unfinished(self):
        return [each for each in self.list.pendingNodes if each != self.node_id]

    def is_raw(self, node_id, name):
        """True if an input takes the link itself (rawLink), so the value behind it is not read."""
        classes = getattr(module("nodes"), "NODE_CLASS_MAPPINGS", {})
        declared = getattr(classes.get(self.node(node_id)["class_type"]), "INPUT_TYPES", dict)()
        for group in ("required", "optional"):
            spec = declared.get(group, {}).get(name)
            if spec is not None:
                return len(spec) > 1 and bool(spec[1].get("rawLink"))
        return False

    def is_model_link(self, node_id, name):
        """True if what an input is linked to is a model by its type, loaded or not."""
        source, slot = self.node(node_id)["inputs"][name]
        classes = getattr(module("nodes"), "NODE_CLASS_MAPPINGS", {})
        types_of = getattr(classes.get((self.node(source) or {}).get("class_type")),
                           "RETURN_TYPES", ())
        return 0 <= int(slot) < len(types_of) and str(types_of[int(slot)]) in facts.MODEL_TYPES

    def stores(self):
        """Every node cache of the run: the main one and those of expanded nodes."""
        waiting = [self.caches.outputs]
        while waiting:
            store = waiting.pop()
            if isinstance(getattr(store, "cache", None), dict):
                yield store
                waiting.extend(getattr(store, "subcaches", {}).values())

    def private_copies(self):
        """Triples (reader, source, entry): what later versions keep for nodes still to run."""
        kept = getattr(self.list, "execution_cache", {})
        return [(reader, source, entry) for reader, sources in kept.items()
                for source, entry in sources.items() if entry is not None]

    def takes_link(self, reader, source):
        """True if a reader never reads the value: it is this node, or takes the link itself."""
        return reader == self.node_id or any(
            self.is_raw(reader, name) for name, value in self.node(reader)["inputs"].items()
            if isinstance(value, list) and value[:1] == [source])

    def release_links(self):
        """Lets go of private copies whose readers take only the link."""
        for reader, source in [(reader, source) for reader, source, _ in self.private_copies()
                               if self.takes_link(reader, source)]:
            self.list.execution_cache[reader].pop(source, None)

    def forget(self, entry):
        """Takes an output out of the lists that the executor's own function has done with.

        From 0.18 on the results of its first look into the cache live as long as the prompt.
        """
        for each in self.lists:
            each[:] = [None if value is entry else value for value in each]

    def is_cached(self, node_id):
        return (node_id in self.executed or node_id == self.node_id
                or bool(self.list.is_cached(node_id)))


def current_run():
    """The run that called the node on this thread; None where the executor can't be read."""
    frame = _frame_with(sys._getframe(1), "caches", "execution_list")
    if frame is None:
        return None
    prompt = _frame_with(frame.f_back, "execution_list", "self")
    lists = [value for value in (prompt.f_locals if prompt else {}).values()
             if type(value) is list]
    try:
        run = Run(frame.f_locals, lists)
        run.unfinished()
        return run if hasattr(run.caches, "outputs") else None
    except (KeyError, AttributeError, TypeError):
        return None


def coming_run():
    """(what the run before left, the prompt of the one that begins) at its beginning, or Nones."""
    frame = _frame_with(sys._getframe(1), "self", "prompt", "execution_list")
    caches = getattr(frame and frame.f_locals["self"], "caches", None)
    before = getattr(getattr(caches, "outputs", None), "dynprompt", None)
    if before is None:
        return None, None
    nothing = types.SimpleNamespace(dynprompt=before, pendingNodes={}, staged_node_id="")
    return Run({"caches": caches, "execution_list": nothing}), frame.f_locals["prompt"]


def _frame_with(frame, *names):
    """The nearest frame, from this one outwards, whose function has all of these variables."""
    for _ in range(FRAMES_MAX):
        if frame is None or all(name in frame.f_code.co_varnames for name in names):
            return frame
        frame = frame.f_back
    return None


# ---- what is in memory -----------------------------------------------------------------------

@dataclass
class Model:
    """One module in memory. Holds weak references only, so that looking keeps nothing alive."""
    ref: object
    patchers: list = field(default_factory=list)
    label: str = ""
    bytes: int = 0
    loaded_bytes: int = 0  # of these on a device that is not the CPU
    device: str = "cpu"
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
        model.dynamic = bool(getattr(patcher, "is_dynamic", bool)())
        device = patcher.load_device
        if getattr(device, "type", "cpu") != "cpu":
            model.device = str(device)
            model.loaded_bytes = max(model.loaded_bytes, int(patcher.loaded_size()))
    except Exception as error:
        log.debug("[Ebb] %s can't be measured: %s", model.label, error)


def survey(run):
    """Looks through the caches of the run (None: only ComfyUI's list of loaded models)."""
    seen = Survey()
    if run is not None:
        for store in run.stores():
            nodes = {}
            for node_id, key in getattr(store.cache_key_set, "keys", {}).items():
                nodes.setdefault(key, []).append(node_id)
            for key, value in list(store.cache.items()):
                outputs = getattr(value, "outputs", value)
                models = seen.add(models_in(outputs))
                if models:
                    seen.entries.append(Entry(store, key, nodes.get(key, []), models,
                                              has_results(outputs)))
        for reader, source, entry in run.private_copies():
            if run.takes_link(reader, source):
                continue
            for key in seen.add(models_in(getattr(entry, "outputs", entry))):
                seen.readers.setdefault(key, reader)
        _name_models(run, seen)
    for loaded in list(getattr(management(), "current_loaded_models", [])):
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


def is_entry(value):
    """True for the type that later versions' node caches hold."""
    return hasattr(value, "outputs") and hasattr(value, "ui")


# ---- letting go ------------------------------------------------------------------------------

def evict(run, entry):
    """Takes an output out of its cache; returns how to put it back, or None if that can't be.

    What is returned holds carriers weakly: it works only while someone else keeps them alive.
    """
    value = entry.store.cache.pop(entry.key, None)
    if value is None:
        return None
    run.forget(value)
    outputs = getattr(value, "outputs", value)
    folded = [[_weak(leaf) for leaf in slot] for slot in outputs
              if isinstance(slot, list)]
    if len(folded) != len(outputs) or any(leaf is None for slot in folded for leaf in slot):
        return None
    rebuild = (lambda new: value_type(**{**rest, "outputs": new})) if outputs is not value else None
    value_type = type(value)
    rest = value._asdict() if outputs is not value and hasattr(value, "_asdict") else {}
    rest.pop("outputs", None)
    del value, outputs

    def put_back():
        restored = [[leaf() for leaf in slot] for slot in folded]
        if any(leaf is GONE for slot in restored for leaf in slot):
            return False
        entry.store.cache[entry.key] = rebuild(restored) if rebuild else restored
        return True
    return put_back


GONE = object()


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


def release_pages(model):
    """Dynamic models: gives back device pages and pinned RAM without a detach. Bytes freed."""
    freed = 0
    for reference in model.patchers:
        patcher = reference()
        if patcher is None or not getattr(patcher, "is_dynamic", bool)():
            continue
        try:
            freed += int(patcher.partially_unload(patcher.offload_device, 1e32) or 0)
        except Exception as error:
            log.warning("[Ebb] %s keeps its pages: %s", model.label, error)
        break  # clones share one set of pages
    return freed


def release_pins(model):
    for reference in model.patchers:
        patcher = reference()
        if patcher is not None and getattr(patcher, "is_dynamic", bool)():
            try:
                patcher.partially_unload_ram(1e32)
            except Exception as error:
                log.warning("[Ebb] %s keeps its pinned RAM: %s", model.label, error)
            break


def park(keys):
    """Moves models (ids of modules) out of every device that is not the CPU, by ComfyUI's own way.

    A model whose offload device is its load device (--highvram, --gpu-only) can't be parked and
    stays. Dynamic models only give their pages back. Returns the ids that were parked.
    """
    manager = management()
    parked, by_device = set(), {}
    loaded = patcher = None
    for loaded in list(getattr(manager, "current_loaded_models", [])):
        patcher = loaded.model
        if patcher is None or getattr(loaded.device, "type", "cpu") == "cpu":
            continue
        wanted = id(patcher.model) in keys and patcher.offload_device != loaded.device
        if wanted and getattr(patcher, "is_dynamic", bool)():
            patcher.partially_unload(patcher.offload_device, 1e32)
            parked.add(id(patcher.model))
            wanted = False
        elif wanted:
            parked.add(id(patcher.model))
        by_device.setdefault(loaded.device, {True: [], False: []})[wanted].append(loaded)
    del loaded, patcher
    for device, groups in by_device.items():
        if groups[True]:
            manager.free_memory(1e30, device, keep_loaded=groups[False])
    return parked


def empty_device_cache():
    manager = management()
    if manager is not None and hasattr(manager, "soft_empty_cache"):
        manager.soft_empty_cache()


def devices():
    """Devices other than the CPU that hold a model or would be used for one."""
    manager = management()
    found = []
    try:
        found.append(manager.get_torch_device())
        found += [loaded.device for loaded in manager.current_loaded_models]
    except Exception:
        pass
    return [each for each in dict.fromkeys(found) if getattr(each, "type", "cpu") != "cpu"]


def free_on_devices():
    """Bytes free for ComfyUI on each device, by name; empty on --cpu."""
    return {str(device): int(management().get_free_memory(device)) for device in devices()}


def holder_of(model, run, seconds):
    """Who keeps a module alive that no cached output carries any more, in words."""
    for node_id, instance in _instances(run):
        if any(found is model.ref() for found, _ in models_in(vars(instance)).values()):
            return f"{run.label(node_id)} keeps it for itself"
    return referrer([model.ref()] + [each() for each in model.patchers], seconds)


def _instances(run):
    """Node objects live as long as their id is in the prompt; some keep models."""
    store = getattr(run.caches, "objects", None)
    for key, value in list(getattr(store, "cache", {}).items()):
        instance = value if hasattr(value, "__dict__") else getattr(value, "outputs", None)
        if isinstance(key, tuple) and hasattr(instance, "__dict__"):
            yield key[0], instance


# ---- the server, files, the run's progress ---------------------------------------------------

def node_id():
    """Id of the node that is executing, or ""."""
    context = getattr(module("comfy_execution.utils"), "get_executing_context", bool)()
    return context.node_id if context else ""


def server():
    """The running server, or None."""
    return getattr(getattr(module("server"), "PromptServer", None), "instance", None)


def send(event, data, client):
    """Sends an event to a browser (None: to all); from any thread."""
    if server() is not None:
        server().send_sync(event, data, client)


def show_on_node(node, text):
    """Shows a line on the node in the browser, where the version can."""
    try:
        if node and server() is not None and server().client_id is not None:
            server().send_progress_text(text, node)
    except Exception as error:
        log.debug("[Ebb] no text on the node: %s", error)


def report_path(prefix):
    """Where a report goes in the output folder: (path, subfolder, name). OSError if nowhere."""
    folders = module("folder_paths")
    folder, name, counter, subfolder, _ = folders.get_save_image_path(
        prefix, folders.get_output_directory())
    while os.path.exists(os.path.join(folder, f"{name}_{counter:05}_.json")):
        counter += 1  # ComfyUI counts pictures only if the names agree
    return os.path.join(folder, f"{name}_{counter:05}_.json"), subfolder


def files_of(node):
    """Paths of the model files that a node reads: by its class, else by the names of its inputs."""
    folders, inputs = module("folder_paths"), (node or {}).get("inputs", {})
    kind, *names = facts.LOADERS.get((node or {}).get("class_type"), (None,))
    kinds = {name: kind for name in names} or facts.FILE_INPUTS
    paths = [folders.get_full_path(kinds[name], value) for name, value in inputs.items()
             if name in kinds and isinstance(value, str)] if folders is not None else []
    return [path for path in paths if path]


def size_of(paths):
    return sum(os.path.getsize(path) for path in paths if os.path.isfile(path))


def files_to_come(run):
    """Paths of the model files that nodes still to run will read, in order of discovery."""
    return list(dict.fromkeys(path for each in (run.unfinished() if run is not None else ())
                              if not run.is_cached(each) for path in files_of(run.node(each))))


def add_progress_watcher(on_start, on_step, on_finish):
    """Calls back for each node of the run that is starting; False where a version has no such way.

    on_start(node id), on_step(node id, value, maximum), on_finish(node id)
    """
    progress = module("comfy_execution.progress")
    base = getattr(progress, "ProgressHandler", None)
    if base is None or not hasattr(progress, "add_progress_handler"):
        return False

    class Watcher(base):
        def start_handler(self, node_id, state, prompt_id):
            on_start(node_id)

        def update_handler(self, node_id, value, max_value, state, prompt_id, image=None):
            on_step(node_id, value, max_value)

        def finish_handler(self, node_id, state, prompt_id):
            on_finish(node_id)

        def reset(self):
            on_finish(None)

    progress.add_progress_handler(Watcher("ebb"))
    return True


def at_next_run(call):
    """Calls once as the next run begins, before ComfyUI looks what of it is cached."""
    base = getattr(module("comfy_execution.progress"), "ProgressHandler", None)
    if base is None:
        return

    class Waiter(base):
        start_handler = update_handler = finish_handler = lambda *_, **__: None

        def reset(self):
            try:
                call()
            except Exception as error:  # it is called from inside the executor
                log.debug("[Ebb] between runs: %s: %s", type(error).__name__, error)

    module("comfy_execution.progress").add_progress_handler(Waiter("ebb-between"))


def _progress_state():
    progress = module("comfy_execution.progress")
    return progress.get_progress_state() if hasattr(progress, "get_progress_state") else None


def prompt_in_progress():
    """(prompt id, function from node id to class name) of the prompt that starts or runs."""
    state = _progress_state()

    def class_of(node):
        prompt = getattr(state, "dynprompt", None)
        return prompt.get_node(node)["class_type"] if prompt and prompt.has_node(node) else ""
    return getattr(state, "prompt_id", ""), class_of


def running_nodes():
    """Ids of the nodes that execute now."""
    nodes = getattr(_progress_state(), "nodes", {})
    return [node for node, state in list(nodes.items())
            if getattr(state.get("state"), "value", "") == "running"]


def is_busy():
    """False only if the server says that no prompt runs or waits."""
    queue = getattr(server(), "prompt_queue", None)
    return queue is None or queue.get_tasks_remaining() > 0


def prompt_status(prompt_id):
    """How a prompt ended, as ComfyUI's own history has it; None if it did not (yet)."""
    queue = getattr(server(), "prompt_queue", None)
    known = queue.get_history(prompt_id=prompt_id, map_function=lambda entry: entry.get("status")) \
        if queue is not None else {}
    return known.get(prompt_id)


def device_peaks(reset):
    """Most bytes that torch allocated on each device since the last reset; empty without one."""
    torch = module("torch")
    peaks = {}
    for device in devices():
        if device.type == "cuda" and torch.cuda.is_available():
            peaks[str(device)] = int(torch.cuda.max_memory_allocated(device))
            if reset:
                torch.cuda.reset_peak_memory_stats(device)
    return peaks


COPY = "_ebb_node_pack"  # in sys.modules: the copy of the pack that works


def claim(folder):
    """The folder of another copy that works in this process, or None where this one is to."""
    mark = sys.modules.setdefault(COPY, types.ModuleType(COPY, folder))
    return mark.__doc__ if mark.__doc__ != folder else None


def taken_ids(names):
    classes = getattr(module("nodes"), "NODE_CLASS_MAPPINGS", {})
    return [name for name in names if name in classes
            and not getattr(classes[name], "__module__", "").startswith(__package__ or "\0")]


def comfyui_version():
    return getattr(module("comfyui_version"), "__version__", "")
