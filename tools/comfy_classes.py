#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints src/pass/order_classes.inc: node classes that ComfyUI runs as coroutines or never shares.

usage: PYTHON tools/comfy_classes.py COMFYUI_DIR... > src/pass/order_classes.inc
PYTHON must have what ComfyUI needs. Every checkout is asked in a process of its own.
"""
import inspect
import json

from checkouts import ask, load_nodes, run, version_of


def dump(folder):
    """Whether each class of a checkout runs as a coroutine, and is never shared."""
    classes = load_nodes(folder)
    from comfy_execution.caching import include_unique_id_in_input

    traits = {}
    for name, cls in classes.items():
        is_async = inspect.iscoroutinefunction(getattr(cls, cls.FUNCTION))
        unique = bool(getattr(cls, "NOT_IDEMPOTENT", False)) or include_unique_id_in_input(name)
        traits[name] = [is_async, unique]
    return traits


def main(folders):
    traits, versions = {}, []
    for folder in folders:
        found = ask(__file__, folder)
        versions.append(f"{version_of(folder)} ({len(found)} classes)")
        for name, (is_async, unique) in found.items():
            old = traits.get(name, [False, False])
            traits[name] = [old[0] or is_async, old[1] or unique]
    print("// Made by tools/comfy_classes.py from ComfyUI\n// " + ", ".join(versions))
    for name in sorted(traits, key=lambda x: x.encode()):
        is_async, unique = traits[name]
        if is_async or unique:
            values = ["kAsync" if is_async else "!kAsync", "kUnique" if unique else "!kUnique"]
            print(f"{{{json.dumps(name)}, {{{', '.join(values)}}}}},")


if __name__ == "__main__":
    run(main, dump, __doc__)
