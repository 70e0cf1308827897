# SPDX-License-Identifier: Apache-2.0
"""Cards and memory, as ComfyUI and torch know them."""
from .about import loaded_models, management, module

PLANNED = ("cuda", "xpu")  # types that plans are made for; ROCm calls itself cuda


def _main():
    """The device that models are computed on, or None."""
    try:
        return management().get_torch_device()
    except Exception:
        return None


def _devices():
    """Devices other than the CPU that hold a model or would be used for one."""
    found = [_main(), *(loaded.device for loaded in loaded_models())]
    return [each for each in dict.fromkeys(found) if getattr(each, "type", "cpu") != "cpu"]


def free():
    """Bytes free for ComfyUI on each device, by name; empty on --cpu."""
    return {str(device): int(management().get_free_memory(device)) for device in _devices()}


def peaks(reset):
    """Most bytes that torch allocated on each device since the last reset; empty without one."""
    torch, found = module("torch"), {}
    for device in _devices():
        if device.type == "cuda" and torch.cuda.is_available():
            found[str(device)] = int(torch.cuda.max_memory_allocated(device))
            if reset:
                torch.cuda.reset_peak_memory_stats(device)
    return found


def now():
    """Each device that is not the CPU: bytes in total, free, and held by torch in this process."""
    manager, found = management(), []
    for each in _devices():
        of_type = getattr(module("torch"), each.type, None)
        found.append({"name": str(each), "total_bytes": int(manager.get_total_memory(each)),
                      "free_bytes": int(manager.get_free_memory(each)),
                      "allocated_bytes": int(of_type.memory_allocated(each))
                      if hasattr(of_type, "memory_allocated") else None})
    return found


def card():
    """({gpu, vram, vram_free}, "") of this server's card, or (None, why none is planned for)."""
    found, manager = _main(), management()
    kind = getattr(found, "type", "cpu")
    if kind == "cpu":
        return None, "ComfyUI runs on the CPU here, so there is no VRAM to plan for"
    if kind not in PLANNED:
        return None, f"a device of type {kind} is not planned for"
    total = int(manager.get_total_memory(found))
    models = [(loaded.model, loaded.device) for loaded in loaded_models()]
    held = sum(int(model.loaded_size()) for model, place in models
               if model is not None and place == found)
    return {"gpu": getattr(module("torch"), kind).get_device_name(found), "vram": total,
            "vram_free": min(total, int(manager.get_free_memory(found)) + held)}, ""


def ram_bytes():
    """RAM of this machine in total, or None."""
    total = getattr(management(), "total_ram", None)  # MiB
    return int(total * (1 << 20)) if total else None
