#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the order in which a ComfyUI checkout's own scheduler and node cache run prompts.

usage: comfy_order.py COMFYUI_DIR [OBJECT_INFO.json[.gz]] < prompts.jsonl > orders.jsonl

Input, a JSON object per line: id, prompt, outputs (node ids; default: all output nodes as they
stand), classes (object_info of the classes used; default: the file's). A class that nobody
describes is a plain node. Output: id, order, served ([node, the node it is served from]) or error.
Only comfy_execution/ of the checkout is imported, so plain Python is enough. Nodes do nothing;
a node asks for all of its lazy inputs, a coroutine (`"async": true` in its class) returns when
nothing else can run.

A line with `queue` (a list of objects with prompt and outputs) in place of prompt runs them one
after another through one node cache, `cache` being classic, lru (with `entries`), ram (from 0.23 on
with `ram_free_gib`, and `idle_limit_gib` below which results of earlier prompts go) or none.
Output: id, and runs: for each its order, served, and kept: nodes whose results were there before.
"""
import asyncio
import gzip
import json
import os
import sys
import types


GIB = 1 << 30
RAM = {"available": 0}  # what psutil says is free, set by each job


def stub(name, **members):
    module = types.ModuleType(name)
    module.__dict__.update(members)
    sys.modules[name] = module
    return module


def import_scheduler(folder):
    """The checkout's graph and caching modules; what they import beyond is not needed here."""
    sys.path.insert(0, folder)
    nodes = stub("nodes", NODE_CLASS_MAPPINGS={})
    stub("comfy", __path__=[])
    stub("comfy.comfy_types", __path__=[])
    stub("comfy.comfy_types.node_typing", ComfyNodeABC=object, InputTypeDict=dict,
         InputTypeOptions=dict)
    stub("torch", Tensor=type("Tensor", (), {}))
    stub("psutil", virtual_memory=lambda: types.SimpleNamespace(available=RAM["available"]))
    stub("comfy.model_patcher", ModelPatcher=type("ModelPatcher", (), {}),
         is_model_patcher_output=lambda output: False)
    stub("comfy_api", __path__=[])
    stub("comfy_api.latest", __path__=[])
    stub("comfy_api.latest._caching", CacheProvider=object, CacheContext=object, CacheValue=object)
    from comfy_execution import caching, graph
    return nodes, graph, caching


def make_class(info):
    """A node class that answers the scheduler's questions as the real one would."""
    inputs = info.get("input", {})
    hidden = {name: kind[0] if isinstance(kind, list) else kind
              for name, kind in inputs.get("hidden", {}).items()}
    types_of_inputs = {"required": inputs.get("required", {}),
                       "optional": inputs.get("optional", {}), "hidden": hidden}

    def plain(self):
        return ()

    async def coroutine(self):
        return ()

    return type("Node", (), {
        "INPUT_TYPES": classmethod(lambda cls: types_of_inputs),
        "OUTPUT_NODE": bool(info.get("output_node", False)), "FUNCTION": "run",
        "run": coroutine if info.get("async") else plain,
    })


def is_lazy(info, name):
    for group in ("required", "optional"):
        definition = info.get("input", {}).get(group, {}).get(name)
        if definition:
            return len(definition) > 1 and bool(definition[1].get("lazy", False))
    return False


class NeverChanged:
    async def get(self, node_id):
        return False


class Result:
    """What a node leaves in the cache: which node ran."""

    def __init__(self, node):
        self.ui, self.outputs, self.node, self.kept = None, [[]], node, False


def make_cache(caching, kind, entries):
    """The cache of results that execution.py makes for ComfyUI's flags."""
    keys = caching.CacheKeySetInputSignature
    if kind == "lru":
        return caching.LRUCache(keys, max_size=entries)
    if kind == "ram":
        return caching.RAMPressureCache(keys)
    if kind == "none":
        return caching.NullCache() if hasattr(caching, "NullCache") else \
            caching.DependencyAwareCache(keys)
    return caching.HierarchicalCache(keys)


class Executor:
    def __init__(self, modules, prompt, classes, cache, idle_limit):
        self.idle_limit = idle_limit
        self.nodes, self.graph, self.caching = modules
        self.prompt, self.classes, self.cache = prompt, classes, cache
        self.order, self.served, self.asked = [], [], set()
        self.running = set()
        self.started = {}  # coroutines whose result is waited for: node -> how to unblock it
        self.kept = []

    def info(self, node):
        return self.classes.get(self.prompt[node].get("class_type"), {})

    async def cached(self, node):
        value = self.cache.get(node)
        return await value if asyncio.iscoroutine(value) else value

    async def keep(self, node, value):
        done = self.cache.set(node, value)
        if asyncio.iscoroutine(done):
            await done
        self.update(node, value)

    async def handed_over(self, source, node):
        """What `node` gets from `source`: from 0.3.73 on the list of nodes keeps it for it."""
        if hasattr(self.list, "get_cache"):
            return self.list.get_cache(source, node)
        return await self.cached(source)

    def update(self, node, value):
        if hasattr(self.list, "cache_update"):
            self.list.cache_update(node, value)

    async def run(self, outputs):
        self.nodes.NODE_CLASS_MAPPINGS.clear()
        for node in self.prompt.values():
            name = node.setdefault("class_type", None)
            self.nodes.NODE_CLASS_MAPPINGS[name] = make_class(self.classes.get(name, {}))
        self.caching.NODE_CLASS_CONTAINS_UNIQUE_ID.clear()
        dynamic = self.graph.DynamicPrompt(self.prompt)
        await self.cache.set_prompt(dynamic, self.prompt.keys(), NeverChanged())
        self.cache.clean_unused()
        for node in self.prompt:
            value = await self.cached(node)
            if value is not None:
                self.kept.append(node)
                value.kept = True
        self.list = self.graph.ExecutionList(dynamic, self.cache)
        for node in outputs:
            self.list.add_node(node)
        while not self.list.is_empty():
            if not self.list.get_ready_nodes() and self.started:
                self.started.pop(next(iter(self.started)))()
            node, error, _ = await self.list.stage_node_execution()
            if error is not None:
                return {"error": error["exception_message"]}
            if await self.execute(node):
                self.list.complete_node_execution()
            else:
                self.list.unstage_node_execution()
            if hasattr(self.cache, "ram_release"):  # as execution.py does after each node
                self.cache.ram_release(self.idle_limit)
        return {"order": self.order, "served": self.served, "kept": self.kept}

    async def execute(self, node):
        """False: the node waits for something and will be staged again."""
        value = await self.cached(node)
        if value is not None:
            # Else a coroutine that was overtaken by its twin, or a result of an earlier prompt.
            if node not in self.running and not value.kept:
                self.served.append([node, value.node])
            self.update(node, value)
            return True
        if node not in self.asked:
            self.asked.add(node)
            missing = await self.lazy_missing(node)
            for name in missing:
                self.list.make_input_strong_link(node, name)
            if missing:
                return False
        if node not in self.running:
            self.running.add(node)
            self.order.append(node)
            if self.info(node).get("async"):
                self.started[node] = self.list.add_external_block(node)
                return False
        await self.keep(node, Result(node))
        self.running.discard(node)
        self.asked.discard(node)
        return True

    async def lazy_missing(self, node):
        missing = []
        for name, value in self.prompt[node]["inputs"].items():
            if self.graph.is_link(value):
                there = await self.handed_over(value[0], node)
                if there is None and is_lazy(self.info(node), name):
                    missing.append(name)
        return missing


def read_json(path):
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8") as file:
        return json.load(file)


def answer(modules, job, known):
    classes = job.get("classes", known)
    queue = job.get("queue", [job])
    cache = make_cache(modules[2], job.get("cache", "classic"), job.get("entries", 0))
    RAM["available"] = job.get("ram_free_gib", 0) * GIB
    idle_limit = job.get("idle_limit_gib", 0) * GIB
    runs = []
    for item in queue:
        prompt, outputs = item["prompt"], item.get("outputs")
        if outputs is None:
            outputs = [node for node, value in prompt.items()
                       if classes.get(value.get("class_type"), {}).get("output_node")]
        runs.append(asyncio.run(Executor(modules, prompt, classes, cache, idle_limit).run(outputs)))
    if "queue" in job:
        return {"runs": runs}
    return {key: value for key, value in runs[0].items() if key != "kept"}


def main(folder, info_path=None):
    sys.setrecursionlimit(1_000_000)
    known = read_json(info_path) if info_path else {}
    modules = import_scheduler(os.path.abspath(folder))
    for line in sys.stdin:
        job = json.loads(line)
        print(json.dumps({"id": job.get("id"), **answer(modules, job, known)}))


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(*sys.argv[1:])
