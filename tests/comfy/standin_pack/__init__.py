# SPDX-License-Identifier: Apache-2.0
"""Stands in for Ebb's node pack where only graphs are tested: the same ids and sockets."""


class AnyType(str):
    __hash__ = str.__hash__

    def __ne__(self, other):
        return False


def stand_in(socket, name, widgets):
    return type("StandIn", (), {
        "INPUT_TYPES": classmethod(lambda cls: {"required": {name: (socket,), **widgets}}),
        "RETURN_TYPES": (socket,), "RETURN_NAMES": (name,), "FUNCTION": "run",
        "CATEGORY": "model_management", "run": lambda self, **inputs: (inputs[name],)})


ANY = AnyType("*")
CUT = {"models": (["pass_before", "all"],), "action": (["drop", "park"],),
       "prefetch": (["nothing", "next_files"],)}
NODE_CLASS_MAPPINGS = {
    "UnloadModels": stand_in(ANY, "anything", {}), "EbbCut": stand_in(ANY, "anything", CUT),
    "EbbBudget": stand_in("MODEL", "model", {"budget_gib": ("FLOAT", {"default": 0.0})})}
NODE_DISPLAY_NAME_MAPPINGS = {"UnloadModels": "Unload All Models (Free VRAM)"}
