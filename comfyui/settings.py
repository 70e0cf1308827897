# SPDX-License-Identifier: Apache-2.0
"""What was chosen: off, advise or apply, and the options that a server plans with."""
import json
import os

from .host import about, folders
from .planner import Refused

SETTING = "Ebb.PlanEveryPrompt"
OFF, ADVISE, APPLY = CHOICES = ("off", "advise", "apply")


def setting():
    """(off, advise or apply; where that comes from)."""
    given = os.environ.get("EBB_PLAN", "").strip().lower()
    if given in CHOICES:
        return given, "EBB_PLAN"
    if about.has_several_users():  # settings belong to users there, prompts to nobody
        return ADVISE, "default"
    try:
        with open(folders.settings_path(), encoding="utf-8") as file:
            chosen = json.load(file).get(SETTING)
        if chosen in CHOICES:
            return chosen, "settings"
    except (OSError, ValueError, AttributeError, TypeError):
        pass  # nothing was chosen yet, or ComfyUI itself can't read it either
    return ADVISE, "default"


def given_options():
    """Options of EBB_PLAN_OPTIONS, for a server that plans for another machine. Raises Refused."""
    try:
        options = json.loads(os.environ.get("EBB_PLAN_OPTIONS") or "{}")
    except ValueError as error:
        raise Refused(f"EBB_PLAN_OPTIONS is no JSON: {error}") from error
    if not isinstance(options, dict):
        raise Refused("EBB_PLAN_OPTIONS is no JSON object")
    return options
