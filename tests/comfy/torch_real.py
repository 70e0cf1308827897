#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Torch files that the installed torch writes, and any real ones, read by Ebb and by torch.load.

usage: torch_real.py PRINT_WEIGHTS

Files are written in both formats: views, transposed and overlapping ones, shared storages, bf16,
fp8, empty and scalar tensors, parameters, nested dictionaries. EBB_TORCH_FILES names files or
folders of real checkpoints to compare as well. Names, types, shapes and bytes must be equal.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import support

WRITE = r'''
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
    for name in ("bfloat16", "float16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool",
                 "float8_e4m3fn", "float8_e5m2"):
        d["type." + name] = torch.zeros(2, 3).to(getattr(torch, name))
    d["parameter"] = torch.nn.Parameter(torch.ones(4, 4))
    d["buffer"] = torch.nn.parameter.Buffer(torch.ones(2)) if hasattr(torch.nn.parameter, "Buffer") else torch.ones(2)
    return d
def without_fp8(value):
    if not isinstance(value, dict): return value
    return type(value)((k, without_fp8(v)) for k, v in value.items() if "float8" not in str(k))
module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Conv2d(2, 3, 3))
objects = {
    "ordered": tensors(), "dict": dict(tensors()),
    "state_dict": {"state_dict": tensors(), "epoch": 3, "optimizer": {"lr": 0.1, "state": {0: {"step": torch.tensor(1)}}}},
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
    torch.save(value, f"{folder}/{name}.legacy4.bin", pickle_protocol=4, _use_new_zipfile_serialization=False)
def names(path):
    """As ComfyUI picks the state dictionary out; None where torch.load will not give a dictionary."""
    try: whole = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as first:
        if path in extra:
            try: torch.jit.load(path, map_location="cpu"); return "TorchScript"
            except Exception: return "torch.load: " + str(first)[:200]
        # torch's safe loader refuses some of what it wrote itself (above): protocol 4.
        whole = torch.load(path, map_location="cpu", weights_only=False)
    if not isinstance(whole, dict): return "a " + type(whole).__name__
    picked = whole
    if "state_dict" in whole: picked = whole["state_dict"]
    elif len(whole) == 1:
        one = next(iter(whole.values()))
        if isinstance(one, dict): picked = one
    return [[k, str(v.dtype).split(".")[1], list(v.shape), v.numel() * v.element_size()]
            for k, v in picked.items() if isinstance(v, torch.Tensor)]
result = {}
for path in sorted(os.path.join(folder, f) for f in os.listdir(folder)) + extra: result[path] = names(path)
print(json.dumps({"torch": torch.__version__, "files": result}))
'''

# Ebb's names are those of safetensors.
TYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "float64": "F64", "int64": "I64",
         "int32": "I32", "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL",
         "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2"}
ENDS = (".pt", ".jit", ".pth", ".ckpt", ".bin")


def real_files():
    for given in os.environ.get("EBB_TORCH_FILES", "").split(":"):
        if os.path.isfile(given):
            yield given
        elif given:
            yield from (str(x) for x in sorted(pathlib.Path(given).rglob("*")) if x.name.endswith(ENDS))


def main():
    python = support.comfyui_python()
    failed = equal = tensors = 0
    with tempfile.TemporaryDirectory() as folder:
        real = list(real_files())
        done = subprocess.run([python, "-c", WRITE, folder, *real], capture_output=True, text=True,
                              timeout=600, check=False)
        if done.returncode != 0:
            sys.exit(done.stderr)
        said = json.loads(done.stdout.splitlines()[-1])
        paths = list(said["files"])
        ours = subprocess.run([sys.argv[1]], input="".join(f"tensors\t{p}\n" for p in paths),
                              capture_output=True, text=True, timeout=600, check=True)
        for path, line in zip(paths, ours.stdout.splitlines()):
            theirs, answer = said["files"][path], json.loads(line)
            if isinstance(theirs, str):  # nothing to compare with: Ebb must say why it lists nothing
                good = not answer.get("tensors") and bool(answer.get("note") or answer.get("error"))
                print(f"{path}: torch: {theirs}; Ebb: {answer.get('note') or answer.get('error')}")
            else:
                wanted = sorted([n, TYPES.get(t, t), s, b] for n, t, s, b in theirs)
                good = sorted(answer.get("tensors", [])) == wanted
                equal += good
                tensors += len(wanted)
                if path in real or not good:
                    print(f"{path}: {len(wanted)} tensors, {'equal' if good else 'DIFFERENT'}")
                if not good:
                    got = answer.get("tensors", answer)
                    print("  torch:", [x for x in wanted if x not in got][:5], "\n  Ebb:  ",
                          [x for x in got if x not in wanted][:5] if isinstance(got, list) else got)
            failed += not good
    print(f"torch {said['torch']}: {equal} files with {tensors} tensors equal, {failed} different "
          f"({len(real)} of {len(paths)} files are real ones)")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
