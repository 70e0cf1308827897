# SPDX-License-Identifier: Apache-2.0
"""What a ComfyUI workflow will hold in VRAM and RAM, and the cheapest fix, before it is queued.

A workflow is a path, the bytes or the text of a file, or a graph or prompt as a dict. Options have
the names of the command's options (docs/python.md): gpu, vram, vram_free, ram, os, comfyui, flags,
models, bytes, frames, size, machine, object_info, folders, part; sizes are bytes or texts as "24G".
"""
import sys

try:
    from . import _native
    from ._native import Error
    __version__ = _native.version()
except ImportError:
    if sys.argv[:1] != ["-m"]:  # `python -m ebb.learn` asks ComfyUI, and needs no library
        raise

__all__ = ["Error", "apply", "convert", "plan", "svg", "undo"]


def plan(workflow, **options):
    """The plan as a dict: verdict, passes, fixes (schema ebb.plan/1, docs/json.md)."""
    return _native.call_json("ebb_plan", workflow, options)


def svg(workflow, **options):
    """The picture of the plan: an SVG document."""
    return _native.call("ebb_svg", workflow, options)


def apply(workflow, **options):
    """The workflow with the plan's fixes: a dict with `changed`, `changes`, `plan` and `text`.

    `with_="UnloadModels"` asks for a node whatever the plan says; `only` and `skip` choose fixes.
    """
    return _native.call_json("ebb_apply", workflow, options)


def undo(workflow, **options):
    """The workflow without Ebb's nodes: a dict with `text`, `nodes` and `exact`."""
    return _native.call_json("ebb_undo", workflow, options)


def convert(workflow, **options):
    """The prompt that ComfyUI's front end would send: a dict with `prompt` and what is uncertain."""
    return _native.call_json("ebb_convert", workflow, options)
