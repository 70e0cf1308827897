# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for ComfyUI's objects, and the pack that is tested with them."""
import pathlib
import sys
import types

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACK = ROOT / "comfyui"
sys.path.insert(0, str(ROOT))

from comfyui import between, unload  # noqa: E402

MIB = 1 << 20


class Module:
    """A model's module."""


class Patcher:
    load_device = offload_device = types.SimpleNamespace(type="cpu")

    def __init__(self, module, size=100):
        self.model, self.size = module, size

    def model_size(self):
        return self.size

    def is_clone(self, other):
        return self.model is other.model

    def clone(self):
        return Patcher(self.model, self.size)


class Raises:
    """A value that can't be looked at."""

    @property
    def model(self):
        raise RuntimeError("look away")


def node(class_type, **inputs):
    return {"class_type": class_type, "inputs": inputs}


class Executor:
    """A run in progress: caches, the nodes still to run, and a frame that looks like ComfyUI's."""

    def __init__(self, prompt, current, pending, outputs, executed=()):
        self.prompt, self.current, self.done = prompt, current, set(executed)
        store = types.SimpleNamespace(
            cache={f"key {key}": value for key, value in outputs.items()}, subcaches={},
            cache_key_set=types.SimpleNamespace(keys={key: f"key {key}" for key in prompt}))
        self.store = store
        self.caches = types.SimpleNamespace(
            outputs=store, objects=types.SimpleNamespace(cache={}))
        self.list = types.SimpleNamespace(
            pendingNodes=dict.fromkeys([current, *pending], True), staged_node_id=current,
            is_cached=lambda each: f"key {each}" in store.cache)

    def execute_async(self, call):
        """Outer function: from 0.18 on it keeps what it found in the cache in a list."""
        execution_list, cache_results = self.list, list(self.store.cache.values())
        answer = self.execute(call)
        assert execution_list is self.list and len(cache_results) >= len(self.store.cache)
        return answer

    def execute(self, call):
        caches, execution_list, executed = self.caches, self.list, self.done  # noqa: F841
        dynprompt = types.SimpleNamespace(get_node=self.prompt.get,  # noqa: F841
                                          has_node=self.prompt.__contains__)
        current_item = self.current  # noqa: F841
        return call()

    def begin(self, prompt):
        """The start of the next run, as its executor's frame looks when handlers are told."""
        execution_list = None  # noqa: F841  (made later)
        between._make_room()

    def cut(self, which="pass_before", action="drop", anything=None, connected=()):
        return self.execute_async(lambda: unload.cut("EbbCut", which, action, anything, connected))

    def ids(self):
        return sorted(key[len("key "):] for key in self.store.cache)


PROMPT = {"37": node("UNETLoader", unet_name="folder/high.safetensors"),
          "54": node("ModelSampling", model=["37", 0]), "61": node("Empty"),
          "57": node("Sampler", model=["54", 0], latent=["61", 0]),
          "80": node("EbbCut", anything=["57", 0], action="drop"),
          "56": node("UNETLoader", unet_name="low.safetensors"),
          "58": node("Sampler", model=["56", 0], latent=["80", 0]),
          "9": node("Save", latent=["58", 0])}


def chain(module):
    """Outputs of a loader and of what clones its model."""
    patcher = Patcher(module)
    return {"37": [[patcher]], "54": [[patcher.clone()]]}


def two_pass(**changes):
    return {**{key: {**each, "inputs": dict(each["inputs"])} for key, each in PROMPT.items()},
            **changes}


def running(outputs, prompt=None, pending=("58", "56", "9"), executed=("37", "54", "57", "61")):
    return Executor(prompt or two_pass(), "80", pending, {"61": [[1]], "57": [[2]], **outputs},
                    executed)


class stubs:
    """Puts stand-ins for ComfyUI's modules in place while it lasts."""

    def __init__(self, **modules):
        self.modules = modules

    def __enter__(self):
        self.before = {name: sys.modules.get(name) for name in self.modules}
        sys.modules.update(self.modules)

    def __exit__(self, *_):
        for name, module in self.before.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module
