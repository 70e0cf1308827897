#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints src/machine/flags.inc: the flags that ComfyUI checkouts define, and some later ones.

usage: tools/comfy_flags.py COMFYUI_DIR... > src/machine/flags.inc
Only comfy/cli_args.py of each checkout is run; it needs nothing but Python.
"""
import sys

from checkouts import ask, run, version_of

# Flags of releases that no checkout is at hand of, from ComfyUI's release notes and threads.
LATER = {
    "--assert-graph-breaks": ["none", "text", ""], "--date-based-output": ["none", "text", ""],
    "--disable-assets": ["none", "text", ""], "--disable-comfy-compiler": ["none", "text", ""],
    "--disable-fast-disk": ["none", "text", ""], "--disable-partner-nodes": ["none", "text", ""],
    "--disabled-nodes-config": ["one", "text", ""], "--offline": ["none", "text", ""],
}
NARGS = {None: "one", 0: "none", "?": "maybe_one", "+": "some", "*": "any"}


def dump(folder):
    """Asks the checkout's argument parser; runs in a process of its own."""
    sys.path.insert(0, folder)
    sys.argv = ["main.py"]
    from comfy import cli_args

    groups = {}
    for group in cli_args.parser._mutually_exclusive_groups:
        # The same name in every version, whichever flag a version adds or lists first.
        name = "cache" if any("cache" in a.dest for a in group._group_actions) else \
            group._group_actions[0].dest
        groups.update({action.dest: name for action in group._group_actions})
    flags = {}
    for action in cli_args.parser._actions:
        for option in action.option_strings:
            if option.startswith("--") and option != "--help":
                kind = {int: "whole", float: "real"}.get(action.type, "text")
                flags[option] = [NARGS[action.nargs], kind, groups.get(action.dest, "")]
    return flags


def main(folders):
    flags = {}
    for folder in folders:
        found = ask(__file__, folder)
        # A group keeps its name where another of its flags came to stand first.
        same = {row[2]: flags[name][2] for name, row in found.items() if row[2] and name in flags}
        for name, row in found.items():
            row[2] = same.get(row[2], row[2])
            # A value that became optional is optional: older command lines still parse.
            if row[0] != "none" or name not in flags:
                flags[name] = row
    flags = {**LATER, **flags}
    versions = ", ".join(version_of(folder) for folder in folders)
    print(f"// Made by tools/comfy_flags.py from comfy/cli_args.py of ComfyUI\n// {versions}")
    for name, (values, kind, group) in sorted(flags.items()):
        print(f'{{"{name}", Values::{values}, ValueType::{kind}, "{group}"}},')


if __name__ == "__main__":
    run(main, dump, __doc__)
