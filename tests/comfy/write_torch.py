#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs in a Python with torch for torch_real.py: writes files in both of torch's formats, and
prints what torch.load reads from them and from the files that are named.

usage: write_torch.py FOLDER [FILE ...]
"""

import collections, json, os, sys, torch

folder, extra = sys.argv[1], sys.argv[2:]
base = torch.arange(4096, dtype=torch.float32)


def tensors():
    d = collections.OrderedDict()
    d["plain"] = torch.zeros(3, 5)
    d["view"] = base[100:200]
    d["transposed"] = base[:64].view(8, 8).t()
    d["strided"] = base[::7]
    d["expanded"] = base[:1].expand(1000)
    d["shared.a"] = base
    d["shared.b"] = base.view(64, 64)
    d["scalar"] = torch.tensor(1.5)
    d["empty"] = torch.zeros(0, 4)
    for name in (
        "bfloat16",
        "float16",
        "float64",
        "int64",
        "int32",
        "int16",
        "int8",
        "uint8",
        "bool",
        "float8_e4m3fn",
        "float8_e5m2",
    ):
        d["type." + name] = torch.zeros(2, 3).to(getattr(torch, name))
    d["parameter"] = torch.nn.Parameter(torch.ones(4, 4))
    d["buffer"] = (
        torch.nn.parameter.Buffer(torch.ones(2))
        if hasattr(torch.nn.parameter, "Buffer")
        else torch.ones(2)
    )
    return d


def without_fp8(value):
    if not isinstance(value, dict):
        return value
    return type(value)((k, without_fp8(v)) for k, v in value.items() if "float8" not in str(k))


module = torch.nn.Sequential(
    torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Conv2d(2, 3, 3)
)
objects = {
    "ordered": tensors(),
    "dict": dict(tensors()),
    "state_dict": {
        "state_dict": tensors(),
        "epoch": 3,
        "optimizer": {"lr": 0.1, "state": {0: {"step": torch.tensor(1)}}},
    },
    "only": {"model": tensors()},
    "module_state": module.state_dict(),
    "half_module": module.half().state_dict(),
    "big_keys": {f"blocks.{i}.weight": torch.zeros(1, dtype=torch.float16) for i in range(3000)},
    "empty_dict": {},
}
for name, value in objects.items():
    torch.save(value, f"{folder}/{name}.pt")
    torch.save(value, f"{folder}/{name}.proto4.ckpt", pickle_protocol=4)
    # torch cannot read back the fp8 that it writes in the legacy format.
    value = without_fp8(value)
    torch.save(value, f"{folder}/{name}.legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(
        value,
        f"{folder}/{name}.legacy4.bin",
        pickle_protocol=4,
        _use_new_zipfile_serialization=False,
    )


def names(path):
    """As ComfyUI picks the state dictionary out, or why there is none."""
    try:
        whole = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as first:
        if path in extra:
            try:
                torch.jit.load(path, map_location="cpu")
                return "TorchScript"
            except Exception:
                return "torch.load: " + str(first)[:200]
        # torch's safe loader refuses some of what it wrote itself (above): protocol 4.
        whole = torch.load(path, map_location="cpu", weights_only=False)
    if not isinstance(whole, dict):
        return "a " + type(whole).__name__
    picked = whole
    if "state_dict" in whole:
        picked = whole["state_dict"]
    elif len(whole) == 1:
        one = next(iter(whole.values()))
        if isinstance(one, dict):
            picked = one
    return [
        [k, str(v.dtype).split(".")[1], list(v.shape), v.numel() * v.element_size()]
        for k, v in picked.items()
        if isinstance(v, torch.Tensor)
    ]


result = {}
for path in sorted(os.path.join(folder, f) for f in os.listdir(folder)) + extra:
    result[path] = names(path)
print(json.dumps({"torch": torch.__version__, "files": result}))
