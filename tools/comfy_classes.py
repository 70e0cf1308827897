#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints src/pass/order_classes.inc: node classes that ComfyUI runs as coroutines or never shares.

usage: PYTHON tools/comfy_classes.py COMFYUI_DIR... > src/pass/order_classes.inc
PYTHON must have what ComfyUI needs. Every checkout is asked in a process of its own.
"""
import json
import os
import re
import subprocess
import sys


def dump(folder):
    """Asks the checkout in `folder` for all its classes; runs in a process of its own."""
    import asyncio
    import inspect

    sys.argv = ["main.py", "--cpu"]
    sys.path.insert(0, folder)
    os.chdir(folder)
    import comfy.options
    comfy.options.enable_args_parsing()
    import utils.extra_config  # noqa: F401  before `nodes` puts another `utils` on the path
    import nodes
    import server
    from comfy_execution.caching import include_unique_id_in_input

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    server.PromptServer(loop)  # several modules with nodes add routes to it when imported
    loop.run_until_complete(nodes.init_extra_nodes(init_custom_nodes=False))
    traits = {}
    for name, cls in nodes.NODE_CLASS_MAPPINGS.items():
        is_async = inspect.iscoroutinefunction(getattr(cls, cls.FUNCTION))
        unique = bool(getattr(cls, "NOT_IDEMPOTENT", False)) or include_unique_id_in_input(name)
        traits[name] = [is_async, unique]
    print("TRAITS" + json.dumps(traits))


def version_of(folder):
    with open(os.path.join(folder, "comfyui_version.py"), encoding="utf-8") as file:
        return re.search(r'__version__ = "(.+?)"', file.read())[1]


def main(folders):
    traits, versions = {}, []
    for folder in folders:
        run = subprocess.run([sys.executable, __file__, "--dump", os.path.abspath(folder)],
                             capture_output=True, text=True, check=False)
        lines = [x for x in run.stdout.splitlines() if x.startswith("TRAITS")]
        if not lines:
            sys.exit(f"{folder}: {run.stderr[-2000:]}")
        found = json.loads(lines[0][len("TRAITS"):])
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
    if sys.argv[1:2] == ["--dump"]:
        dump(sys.argv[2])
    elif len(sys.argv) > 1:
        main(sys.argv[1:])
    else:
        sys.exit(__doc__)
