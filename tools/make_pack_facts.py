#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints comfyui/facts.py: the library's tables that the node pack needs without the library.

usage: make_pack_facts.py PRINT_FACTS > comfyui/facts.py
       make_pack_facts.py PRINT_FACTS --check      exits with 1 if the file says something else

PRINT_FACTS is build/test/tests/print_facts.
"""
import json
import pathlib
import pprint
import subprocess
import sys

FILE = pathlib.Path(__file__).resolve().parents[1] / "comfyui/facts.py"
# Rows for which ComfyUI's own model tells which one it is: its image_model and dim.
BUDGETS = {"wan-14b": "wan2.1", "wan-5b": "wan2.1", "wan-1.3b": "wan2.1"}


def text_of(value, name):
    return f"{name} = " + pprint.pformat(value, width=100 - len(name), sort_dicts=True).replace(
        "\n", "\n" + " " * (len(name) + 3))


def facts(told):
    rows = {(BUDGETS[row["key"]], row["hidden"]): (row["key"], row["cast_mib"], row["high"],
                                                   [tuple(each) for each in row["live"]])
            for row in told["rows"] if row["key"] in BUDGETS}
    loaders = {name: tuple(row) for name, row in told["loaders"].items()}
    folders = {}
    for kind, *inputs in loaders.values():
        for name in inputs:
            folders.setdefault(name, []).append(kind)
    elsewhere = {"lora_name": "loras"}
    for name, kinds in folders.items():
        usual = max(sorted(set(kinds)), key=kinds.count)
        if "_name" in name and 2 * kinds.count(usual) > len(kinds):
            elsewhere[name] = usual
    nodes = {node["class"]: (node["title"], node["widgets"], node["sockets"])
             for node in told["nodes"]}
    placed = tuple(node["class"] for node in told["nodes"] if node["placed"])
    return "\n".join([
        "# SPDX-License-Identifier: Apache-2.0",
        '"""Made by tools/make_pack_facts.py from the library\'s own tables; not edited."""',
        "",
        "# Versions that models were traced in; budget rows have a column for each.",
        text_of([tuple(each) for each in told["versions"]], "VERSIONS"),
        "",
        "# (image model, width): key in docs/demand.md, cast MiB, highest live / live,",
        "#   per version (rate in tokens * width * 2 bytes, MiB an item, reserved / live)",
        text_of(rows, "BUDGETS"),
        "",
        "# Best first; unknown is none of them.",
        text_of(tuple(told["verdicts"]), "VERDICTS"),
        "",
        "# Our nodes: title, defaults of their widgets, sockets; those that patches put in.",
        text_of(nodes, "NODES"),
        text_of(placed, "PLACED"),
        "",
        "# Types of what loaders give, and guiders.",
        text_of(tuple(sorted([*told["loaded_types"], "GUIDER"])), "MODEL_TYPES"),
        "",
        "# What loaders read: folder kind, inputs that name files.",
        text_of(loaders, "LOADERS"),
        "",
        "# Of other classes: inputs that name files of this folder kind in most loaders.",
        text_of(elsewhere, "FILE_INPUTS"), ""])


def main():
    done = subprocess.run([sys.argv[1]], capture_output=True, text=True, check=True)
    text = facts(json.loads(done.stdout))
    if "--check" not in sys.argv:
        print(text, end="")
        return 0
    same = FILE.read_text(encoding="utf-8") == text
    print("comfyui/facts.py says what the library says" if same else
          "comfyui/facts.py is out of date: tools/make_pack_facts.py writes it")
    return 0 if same else 1


sys.exit(main())
