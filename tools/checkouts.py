# SPDX-License-Identifier: Apache-2.0
"""Asking checkouts of ComfyUI: each in a process of its own, as they share names of modules."""
import json
import os
import re
import subprocess
import sys

_MARK = "ANSWER"


def version_of(folder):
    with open(os.path.join(folder, "comfyui_version.py"), encoding="utf-8") as file:
        return re.search(r'__version__ = "(.+?)"', file.read())[1]


def ask(script, folder):
    """What `script --dump FOLDER` answered. Ends the program with what it said if it did not."""
    run = subprocess.run([sys.executable, script, "--dump", os.path.abspath(folder)],
                         capture_output=True, text=True, check=False)
    lines = [line for line in run.stdout.splitlines() if line.startswith(_MARK)]
    if not lines:
        sys.exit(f"{folder}: {run.stderr[-2000:]}")
    return json.loads(lines[-1][len(_MARK):])


def answer(found):
    """Prints the answer of `--dump`, so that nothing else that is printed is taken for it."""
    print(_MARK + json.dumps(found))


def load_nodes(folder, before=lambda: None, **options):
    """ComfyUI's own classes of nodes, by name. `before` runs when they are still to be imported;
    `options` are those of its init_extra_nodes."""
    import asyncio

    sys.argv = ["main.py", "--cpu"]
    sys.path.insert(0, folder)
    os.chdir(folder)
    import comfy.options
    comfy.options.enable_args_parsing()
    import utils.extra_config  # noqa: F401  before `nodes` puts another `utils` on the path
    before()
    import nodes
    import server

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    server.PromptServer(loop)  # several modules with nodes add routes to it when imported
    loop.run_until_complete(nodes.init_extra_nodes(init_custom_nodes=False, **options))
    return nodes.NODE_CLASS_MAPPINGS


def run(main, dump, usage):
    """The command line of a tool: checkouts to ask, or one that is asked."""
    if sys.argv[1:2] == ["--dump"]:
        answer(dump(sys.argv[2]))
    elif len(sys.argv) > 1:
        main(sys.argv[1:])
    else:
        sys.exit(usage)
