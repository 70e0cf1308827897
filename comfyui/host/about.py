# SPDX-License-Identifier: Apache-2.0
"""Which ComfyUI this is: its modules, version, flags and node classes, and who else is in it."""
import json
import sys
import types

from . import PACK
from ..log import log

COPY = "_ebb_node_pack"  # in sys.modules: the copy of the pack that works
FLAGS = ("reserve_vram", "gpu_only", "highvram", "normalvram", "lowvram", "novram", "cpu_vae",
         "cache_classic", "cache_lru", "cache_none", "cache_ram", "disable_smart_memory",
         "disable_dynamic_vram", "async_offload", "disable_async_offload", "disable_pinned_memory",
         "disable_cuda_malloc", "use_split_cross_attention", "use_quad_cross_attention",
         "use_sage_attention", "use_flash_attention")  # those that change memory


def module(name):
    """A module of ComfyUI (or torch) that is already loaded; Ebb never loads one itself."""
    return sys.modules.get(name)


def management():
    return module("comfy.model_management")


def loaded_models():
    """ComfyUI's list of loaded models, as it is now."""
    return list(getattr(management(), "current_loaded_models", []))


def classes():
    """Node classes by name."""
    return getattr(module("nodes"), "NODE_CLASS_MAPPINGS", {})


def version():
    return getattr(module("comfyui_version"), "__version__", "")


def missing_parts():
    """Names of what the nodes need and this ComfyUI does not have; empty where all is there."""
    manager = management()
    if manager is None:
        return ["comfy.model_management"]
    names = ("current_loaded_models", "free_memory", "get_free_memory", "soft_empty_cache")
    return [f"comfy.model_management.{name}" for name in names if not hasattr(manager, name)]


def claim(folder):
    """The folder of another copy that works in this process, or None where this one is to."""
    mark = sys.modules.setdefault(COPY, types.ModuleType(COPY, folder))
    return mark.__doc__ if mark.__doc__ != folder else None


def taken_ids(names):
    """Those of these names that are another pack's classes here."""
    known = classes()
    return [name for name in names if name in known
            and not getattr(known[name], "__module__", "").startswith(PACK)]


def flags():
    """The memory flags that this server was started with, as on its command line."""
    options = module("comfy.cli_args")
    parser = getattr(options, "parser", None)
    words = []
    for name in FLAGS:
        value = getattr(getattr(options, "args", None), name, None)
        if value is None or value is False or (parser and value == parser.get_default(name)):
            continue
        words.append("--" + name.replace("_", "-"))
        if value is not True:
            words += [str(each) for each in (value if isinstance(value, list) else [value])]
    return " ".join(words)


def has_several_users():
    return bool(getattr(getattr(module("comfy.cli_args"), "args", None), "multi_user", False))


def definitions(names):
    """What GET /object_info says of these classes, those left out that can't say it."""
    known, found = classes(), {}
    for name in sorted(names):
        if name in known:
            try:
                found[name] = json.loads(json.dumps(_definition(name, known[name]), default=str))
            except Exception as error:
                log.debug("[Ebb] %s does not say what it is: %s", name, error)
    return found


def _definition(name, node):
    if hasattr(node, "GET_NODE_INFO_V1"):
        return node.GET_NODE_INFO_V1()
    inputs, outputs = node.INPUT_TYPES(), list(node.RETURN_TYPES)
    return {"name": name, "input": inputs,
            "input_order": {group: list(entries) for group, entries in inputs.items()},
            "is_input_list": bool(getattr(node, "INPUT_IS_LIST", False)), "output": outputs,
            "output_is_list": list(getattr(node, "OUTPUT_IS_LIST", [False] * len(outputs))),
            "output_name": list(getattr(node, "RETURN_NAMES", outputs)),
            "output_node": bool(getattr(node, "OUTPUT_NODE", False))}
