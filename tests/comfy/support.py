# SPDX-License-Identifier: Apache-2.0
"""What the tests against real ComfyUI share: where it is, and how to say that it is missing."""
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
SKIPPED = 77  # ctest's SKIP_RETURN_CODE


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


def checkouts():
    """The folders of EBB_COMFYUI_DIR; skips the test where there are none."""
    folders = [x for x in os.environ.get("EBB_COMFYUI_DIR", "").split(":") if x]
    if not folders:
        skip("EBB_COMFYUI_DIR names no ComfyUI checkout (see docs/testing.md)")
    for folder in folders:
        if not os.path.isfile(os.path.join(folder, "comfy_execution", "graph.py")):
            sys.exit(f"{folder}, named by EBB_COMFYUI_DIR, is no ComfyUI checkout")
    return folders


def comfyui_python():
    """A Python with ComfyUI's requirements; skips the test where none is named."""
    python = os.environ.get("EBB_COMFYUI_PYTHON", "")
    if not python:
        skip("EBB_COMFYUI_PYTHON names no Python with ComfyUI's requirements (see docs/testing.md)")
    return python


def ask_ebb(program, questions, timeout=600):
    """The answers of print_weights, one of JSON a question."""
    done = subprocess.run([program], input="".join(f"{question}\n" for question in questions),
                          capture_output=True, text=True, timeout=timeout, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def version_of(folder):
    text = pathlib.Path(folder, "comfyui_version.py").read_text(encoding="utf-8")
    return re.search(r'__version__ = "(.+?)"', text)[1]
