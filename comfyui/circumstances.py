# SPDX-License-Identifier: Apache-2.0
"""What a plan is made for: this server's version, flags, card, memory, folders and classes.

With hooks.py the only contact with ComfyUI's modules. What a version lacks is left out.
"""
import json
import os
import re
import sys

from . import facts, hooks, memory
from .log import log
from .planner import Refused

OURS = {*facts.PLACED, "VAEDecodeTiled"}  # what a patch may put in
FLAGS = ("reserve_vram", "gpu_only", "highvram", "normalvram", "lowvram", "novram", "cpu_vae",
         "cache_classic", "cache_lru", "cache_none", "cache_ram", "disable_smart_memory",
         "disable_dynamic_vram", "async_offload", "disable_async_offload", "disable_pinned_memory",
         "disable_cuda_malloc", "use_split_cross_attention", "use_quad_cross_attention",
         "use_sage_attention", "use_flash_attention")  # those that change memory
PLANNED_DEVICES = ("cuda", "xpu")  # ROCm calls itself cuda


def flags():
    """The memory flags that this server was started with, as on its command line."""
    module = hooks.module("comfy.cli_args")
    parser = getattr(module, "parser", None)
    words = []
    for name in FLAGS:
        value = getattr(getattr(module, "args", None), name, None)
        if value is None or value is False or (parser and value == parser.get_default(name)):
            continue
        words.append("--" + name.replace("_", "-"))
        if value is not True:
            words += [str(each) for each in (value if isinstance(value, list) else [value])]
    return " ".join(words)


def comfyui_version():
    """The version as the planner reads it, or None."""
    found = re.match(r"v?(\d+\.\d+\.\d+)", hooks.comfyui_version())
    return found[1] if found else None


def folders():
    """Model folders by kind."""
    known = getattr(hooks.module("folder_paths"), "folder_names_and_paths", {})
    return {kind: [os.fspath(path) for path in entry[0]] for kind, entry in known.items()
            if kind not in ("custom_nodes", "configs")}


def media_folders():
    """The folders of pictures and videos that this ComfyUI says: input, output, temp."""
    paths, found = hooks.module("folder_paths"), {}
    for kind in ("input", "output", "temp"):
        ask = getattr(paths, f"get_{kind}_directory", None)
        if ask:
            found[kind] = os.fspath(ask())
    return found


def has_several_users():
    return bool(getattr(getattr(hooks.module("comfy.cli_args"), "args", None), "multi_user", False))


def settings_path():
    """Where ComfyUI keeps the settings of its only user."""
    return os.path.join(hooks.module("folder_paths").get_user_directory(), "default",
                        "comfy.settings.json")


def ram_bytes():
    """RAM of this machine in total, or None."""
    total = getattr(hooks.management(), "total_ram", None)  # MiB
    return int(total * memory.MIB) if total else None


def device():
    """The device that models are computed on, or None."""
    try:
        return hooks.management().get_torch_device()
    except Exception:
        return None


def card():
    """({gpu, vram, vram_free}, "") of this server's card, or (None, why none is planned for)."""
    found = device()
    kind = getattr(found, "type", "cpu")
    if kind == "cpu":
        return None, "ComfyUI runs on the CPU here, so there is no VRAM to plan for"
    if kind not in PLANNED_DEVICES:
        return None, f"a device of type {kind} is not planned for"
    manager = hooks.management()
    total = int(manager.get_total_memory(found))
    models = [(loaded.model, loaded.device) for loaded in list(manager.current_loaded_models)]
    held = sum(int(model.loaded_size()) for model, place in models
               if model is not None and place == found)
    torch_ = getattr(hooks.module("torch"), kind)
    return {"gpu": torch_.get_device_name(found), "vram": total,
            "vram_free": min(total, int(manager.get_free_memory(found)) + held)}, ""


def devices_now():
    """Each device that is not the CPU: bytes in total, free, and held by torch in this process."""
    manager, found = hooks.management(), []
    for each in hooks.devices():
        of_type = getattr(hooks.module("torch"), each.type, None)
        found.append({"name": str(each), "total_bytes": int(manager.get_total_memory(each)),
                      "free_bytes": int(manager.get_free_memory(each)),
                      "allocated_bytes": int(of_type.memory_allocated(each))
                      if hasattr(of_type, "memory_allocated") else None})
    return found


def definitions(classes):
    """What GET /object_info says of these classes, those left out that can't say it."""
    known = getattr(hooks.module("nodes"), "NODE_CLASS_MAPPINGS", {})
    found = {}
    for name in sorted(classes):
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


def options_for(classes, asked):
    """Options of the planner. Raises Refused where there is nothing to plan for.

    `asked` wins over what this server says of itself; a card or VRAM size in it is another card.
    """
    options = {"comfyui": comfyui_version(), "flags": flags(), "ram": ram_bytes(),
               "os": "windows" if sys.platform == "win32" else "linux", "folders": folders(),
               **media_folders()}
    if asked.get("gpu") is None and asked.get("vram") is None:
        here, why = card()
        if here is None:
            raise Refused(why, "Name a card, for example rtx5090.", "no_card")
        options.update(here)
    options.update(asked)
    options["object_info"] = definitions(classes | OURS) or None
    return options
