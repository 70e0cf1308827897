# SPDX-License-Identifier: Apache-2.0
"""What a plan is made for: this server's version, flags, card, memory, folders and classes."""
import re
import sys

from . import facts
from .host import about, devices, folders
from .planner import Refused
from .settings import given_options

OURS = {*facts.PLACED, "VAEDecodeTiled"}  # what a patch may put in


def comfyui_version():
    """The version as the planner reads it, or None."""
    found = re.match(r"v?(\d+\.\d+\.\d+)", about.version())
    return found[1] if found else None


def options_for(classes, asked):
    """Options of the planner. Raises Refused where there is nothing to plan for.

    `asked` wins over EBB_PLAN_OPTIONS (which a card or VRAM size in it puts aside), and both over
    what this server says of itself; a card or VRAM size in them is another card.
    """
    if asked.get("gpu") is None and asked.get("vram") is None:
        asked = {**given_options(), **asked}
    options = {"comfyui": comfyui_version(), "flags": about.flags(), "ram": devices.ram_bytes(),
               "os": "windows" if sys.platform == "win32" else "linux",
               "folders": folders.model_folders(), **folders.media_folders()}
    if asked.get("gpu") is None and asked.get("vram") is None:
        here, why = devices.card()
        if here is None:
            raise Refused(why, "Name a card, for example rtx5090.", "no_card")
        options.update(here)
    options.update(asked)
    options["object_info"] = about.definitions(classes | OURS) or None
    return options
