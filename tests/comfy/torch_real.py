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

WRITE = pathlib.Path(__file__).with_name("write_torch.py")

# Ebb's names are those of safetensors.
TYPES = {
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "float64": "F64",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
}
ENDS = (".pt", ".jit", ".pth", ".ckpt", ".bin")


def real_files():
    for given in os.environ.get("EBB_TORCH_FILES", "").split(":"):
        if os.path.isfile(given):
            yield given
        elif given:
            yield from (
                str(x) for x in sorted(pathlib.Path(given).rglob("*")) if x.name.endswith(ENDS)
            )


def main():
    python = support.comfyui_python()
    failed = equal = tensors = 0
    with tempfile.TemporaryDirectory() as folder:
        real = list(real_files())
        done = subprocess.run(
            [python, str(WRITE), folder, *real],
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        if done.returncode != 0:
            sys.exit(done.stderr)
        said = json.loads(done.stdout.splitlines()[-1])
        paths = list(said["files"])
        ours = support.ask_ebb(sys.argv[1], [f"tensors\t{path}" for path in paths])
        for path, answer in zip(paths, ours):
            theirs = said["files"][path]
            if isinstance(
                theirs, str
            ):  # nothing to compare with: Ebb must say why it lists nothing
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
                    print(
                        "  torch:",
                        [x for x in wanted if x not in got][:5],
                        "\n  Ebb:  ",
                        [x for x in got if x not in wanted][:5] if isinstance(got, list) else got,
                    )
            failed += not good
    print(
        f"torch {said['torch']}: {equal} files with {tensors} tensors equal, {failed} different "
        f"({len(real)} of {len(paths)} files are real ones)"
    )
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
