# SPDX-License-Identifier: Apache-2.0
"""The four nodes. Their ids, input names and defaults are a contract: docs/nodes.md."""
from . import between, budget, facts, journal, prefetch, unload
from .host import executor, folders, progress


class AnyType(str):
    """A type that every socket takes: older versions compare types with `!=` and nothing else."""

    def __ne__(self, other):
        return False

    __hash__ = str.__hash__


ANY = AnyType("*")
ANYTHING = (ANY, {"tooltip": "Any value. It comes out again as it is: the same object."})
LINK = (ANY, {"rawLink": True, "tooltip": "A model, CLIP or VAE. Only the link is read; the node "
                                          "never holds the model."})


def _default(node, name):
    return facts.NODES[node][1][name]


def _answer(done, anything):
    journal.add(done.event())
    journal.say(done.node, done.text(), done.is_warning())
    return {"ui": {"text": [done.text()], "ebb": [done.event()]}, "result": (anything,)}


class Node:
    """What every node of the pack has in common."""
    CATEGORY, FUNCTION = "model_management", "run"
    RETURN_TYPES, RETURN_NAMES = (ANY,), ("anything",)


class CutNode(Node):
    """A node that may drop models."""

    @classmethod
    def IS_CHANGED(cls, **_):
        """Always the same answer; asked as a run begins, so that the next one is looked at."""
        between.watch()
        return ""


class UnloadModels(CutNode):
    """Unloads every model: out of RAM what nothing needs any more, out of VRAM the rest."""
    DESCRIPTION = ("Unloads all models, empties the allocator's cache and hands freed RAM back to "
                   "the system. Put it between pass 1's LATENT and pass 2's latent_image.")

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"anything": ANYTHING}}

    def run(self, anything):
        return _answer(unload.cut("UnloadModels", "all", "drop", anything), anything)


class EbbCut(CutNode):
    """Between two passes: which models go, and how far."""
    DESCRIPTION = ("Between passes: parks models (out of VRAM, kept in RAM) or drops them (out of "
                   "RAM too; they are read again when needed), and reads the next files ahead.")

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {
            "anything": ANYTHING,
            "models": (["pass_before", "all", "all_but_next", "connected"], {
                "default": _default("EbbCut", "models"),
                "tooltip": "pass_before: those of the pass that made the value. all_but_next: all "
                           "but the next pass's. connected: those linked below."}),
            "action": (["drop", "park"], {
                "default": _default("EbbCut", "action"),
                "tooltip": "drop: out of VRAM and RAM. park: out of VRAM only."}),
            "prefetch": (["nothing", "next_files"], {
                "default": _default("EbbCut", "prefetch"),
                "tooltip": "next_files: reads the model files of loaders still to run into the "
                           "system's cache, in the background, while RAM allows."})},
            "optional": {f"model_{number}": LINK for number in range(1, facts.NODES["EbbCut"][2])}}

    def run(self, anything, models="pass_before", action="drop", prefetch="nothing", **connected):
        done = unload.cut("EbbCut", models, action, anything, list(connected.values()))
        if prefetch == "next_files":
            done.notes.append(prefetch_files())
        return _answer(done, anything)


def prefetch_files():  # EbbCut.run has an input of the module's name
    return prefetch.start(folders.files_to_come(executor.current_run()))


class EbbBudget(Node):
    """Says how much memory a pass with this model needs, in place of ComfyUI's estimate."""
    RETURN_TYPES, RETURN_NAMES = ("MODEL",), ("model",)
    DESCRIPTION = ("Measured budget: replaces ComfyUI's estimate of what a pass needs beside the "
                   "weights, so that the weights stay on the GPU where memory truly allows.")

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {
            "model": ("MODEL", {"tooltip": "The model to sample with; put this node last before "
                                           "the sampler."}),
            "budget_gib": ("FLOAT", {
                "default": float(_default("EbbBudget", "budget_gib")), "min": 0.0, "max": 1024.0,
                "step": 0.05, "round": 0.001,
                "tooltip": "GiB that one pass needs beside the weights (batch 1). 0: Ebb's own "
                           "figure, where it has one. Never below what is live at the peak."})}}

    def run(self, model, budget_gib=0.0):
        node = progress.node_id()

        def told(event):
            journal.add({**event, "node": node})
            journal.say(node, event["text"], False)
        clone, text = budget.apply(model, budget_gib, told)
        event = {"kind": "EbbBudget", "node": node, "text": text, "given": clone is not model}
        return {"ui": {"text": [text], "ebb": [event]}, "result": (clone,)}


class EbbReport(Node):
    """Shows and saves what happened at each cut, loader and sampler of this run."""
    RETURN_TYPES, RETURN_NAMES = (ANY, "STRING"), ("anything", "report")
    OUTPUT_NODE = True
    DESCRIPTION = ("Memory report: bytes before and after each cut, peaks while sampling, what was "
                   "freed, what was read from disk again and how long it took. Put it after the "
                   "decoder, on the picture or the video.")

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {
            "anything": ANYTHING,
            "save": ("BOOLEAN", {
                "default": _default("EbbReport", "save"),
                "tooltip": "Also write the report as JSON to the output folder."}),
            "filename_prefix": ("STRING", {
                "default": _default("EbbReport", "filename_prefix")})}}

    @classmethod
    def IS_CHANGED(cls, **_):
        """Always the same answer; asked at the start of a run, which is when watching begins."""
        journal.watch()
        return ""

    def run(self, anything, save=True, filename_prefix="ebb/report"):
        text, report, path = journal.finish(filename_prefix if save else None)
        return {"ui": {"text": [text], "ebb": [report]}, "result": (anything, text)}


NODE_CLASS_MAPPINGS = {node.__name__: node for node in (UnloadModels, EbbCut, EbbBudget, EbbReport)}
NODE_DISPLAY_NAME_MAPPINGS = {name: facts.NODES[name][0] for name in NODE_CLASS_MAPPINGS}
