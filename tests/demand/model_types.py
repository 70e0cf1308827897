#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The types that Ebb's nodes take for models are those that ComfyUI's loaders give."""
import ast
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
table = (ROOT / "src/demand/loader_table.inc").read_text(encoding="utf-8")
given = set(re.findall(r'^ *\{"[^"]+", "(\w+)"', table, re.MULTILINE)) | {"GUIDER"}
for node in ast.parse((ROOT / "comfyui/hooks.py").read_text(encoding="utf-8")).body:
    if isinstance(node, ast.Assign) and node.targets[0].id == "MODEL_TYPES":
        taken = set(ast.literal_eval(node.value))
print("only in loader_table.inc:", sorted(given - taken))
print("only in comfyui/hooks.py:", sorted(taken - given))
sys.exit(given != taken)
