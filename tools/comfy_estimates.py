#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints what ComfyUI's own estimates say in two checkouts, where they differ.

usage: tools/comfy_estimates.py OLD_COMFYUI_DIR NEW_COMFYUI_DIR

Estimates are assignments of memory_usage_factor (comfy/supported_models.py, a class each) and of
memory_used_encode, memory_used_decode and memory_estimation_function (comfy/sd.py and
comfy/text_encoders/, in order of appearance). Read as text; nothing is executed. Per line: the
place, the old expression, the new one; `-` where a version lacks it.
"""
import pathlib
import re
import sys

CLASS = re.compile(r"^class (\w+)")
ASSIGNED = re.compile(r"^\s+(?:self\.)?(memory_usage_factor|memory_used_\w+|"
                      r"memory_estimation_function)\s*=\s*(.+)$")
FORMULA = re.compile(r"def (memory_estimation_function)\b")


def estimates(folder):
    """(file, class, name, how many before it) -> expression."""
    found = {}
    files = [folder / "comfy" / "supported_models.py", folder / "comfy" / "sd.py",
             *sorted((folder / "comfy" / "text_encoders").glob("*.py"))]
    for path in files:
        where, seen = "", {}
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            if match := CLASS.match(line):
                where = match[1]
            match = ASSIGNED.match(line)
            formula = FORMULA.search(line)
            if not match and not formula:
                continue
            name = (match or formula)[1]
            text = match[2] if match else " ".join(x.strip() for x in lines[number:number + 12])
            count = seen[where, name] = seen.get((where, name), -1) + 1
            found[path.name, where, name, count] = text.strip()
    return found


def main(old, new):
    before, after = estimates(pathlib.Path(old)), estimates(pathlib.Path(new))
    for key in sorted(set(before) | set(after)):
        if before.get(key) != after.get(key):
            print(f"{key[0]} {key[1]} {key[2]} #{key[3] + 1}")
            print(f"  - {before.get(key, '-')}\n  + {after.get(key, '-')}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
