# SPDX-License-Identifier: Apache-2.0
"""The run in progress, read from the Python frames above the running node.

No version up to 0.18 hands a node its cache, or its place in the executor.
"""
import sys
import types

from .. import facts
from .about import classes

FRAMES_MAX = 80


class Run:
    """The executor's view of the prompt that runs; `release_links`, `forget` change it."""

    def __init__(self, variables, lists=()):
        self.lists = lists
        self.caches = variables["caches"]
        self.list = variables["execution_list"]
        self.prompt = variables.get("dynprompt") or self.list.dynprompt
        self.executed = variables.get("executed") or set()
        self.node_id = variables.get("current_item") or self.list.staged_node_id

    def node(self, node_id):
        return self.prompt.get_node(node_id) if self.prompt.has_node(node_id) else None

    def label(self, node_id):
        node = self.node(node_id)
        return f"node {node_id} {node['class_type']}" if node else f"node {node_id}"

    def unfinished(self):
        return [each for each in self.list.pendingNodes if each != self.node_id]

    def is_raw(self, node_id, name):
        """True if an input takes the link itself (rawLink), so the value behind it is not read."""
        declared = getattr(self._class_of(node_id), "INPUT_TYPES", dict)()
        spec = {**declared.get("optional", {}), **declared.get("required", {})}.get(name, ())
        return len(spec) > 1 and bool(spec[1].get("rawLink"))

    def is_model_link(self, node_id, name):
        """True if what an input is linked to is a model by its type, loaded or not."""
        source, slot = self.node(node_id)["inputs"][name]
        types_of = getattr(self._class_of(source), "RETURN_TYPES", ())
        return 0 <= int(slot) < len(types_of) and str(types_of[int(slot)]) in facts.MODEL_TYPES

    def _class_of(self, node_id):
        return classes().get((self.node(node_id) or {}).get("class_type"))

    def stores(self):
        """Every node cache of the run: the main one and those of expanded nodes."""
        waiting = [self.caches.outputs]
        while waiting:
            store = waiting.pop()
            if isinstance(getattr(store, "cache", None), dict):
                yield store
                waiting.extend(getattr(store, "subcaches", {}).values())

    def cached(self):
        """(cache, key, ids of the nodes that have it, output) for all that is in the caches."""
        for store in self.stores():
            nodes = {}
            for node_id, key in getattr(store.cache_key_set, "keys", {}).items():
                nodes.setdefault(key, []).append(node_id)
            for key, value in list(store.cache.items()):
                yield store, key, nodes.get(key, []), value

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
        for reader, source, _ in self.private_copies():
            if self.takes_link(reader, source):
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

    def instances(self):
        """(node id, node object): they live as long as their id is in the prompt."""
        store = getattr(self.caches, "objects", None)
        for key, value in list(getattr(store, "cache", {}).items()):
            instance = value if hasattr(value, "__dict__") else getattr(value, "outputs", None)
            if isinstance(key, tuple) and hasattr(instance, "__dict__"):
                yield key[0], instance


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
