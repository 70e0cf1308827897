# SPDX-License-Identifier: Apache-2.0
"""The measured budget: what a pass needs beside its weights, in place of ComfyUI's estimate.

Rows are the library's (facts.py), for the families whose size can be read off the loaded model.
Where there is no row, live is unknown and the estimate is never lowered.
"""
from . import facts, memory
from .host import about, estimate, values

MIB = memory.MIB
PLAIN = ("t2v", "i2v")  # model types that the rows were traced for


def _column(version):
    try:
        number = tuple(int(part) for part in version.split("."))
    except ValueError:
        return len(facts.VERSIONS) - 1
    return max((i for i, each in enumerate(facts.VERSIONS) if number >= each), default=0)


def live_bytes(config, shape, version):
    """(live, reserved, highest live) bytes at the peak of a forward with one conditioning, or None.

    `config` is what ComfyUI read off the model's file, `shape` the latent [batch, channels, frames,
    height, width].
    """
    row = facts.BUDGETS.get((config.get("image_model"), config.get("dim")))
    if row is None or config.get("model_type") not in PLAIN or len(shape) != 5:
        return None
    _, cast, high, columns = row
    rate, fixed, slack = columns[_column(version)]
    batch, _, frames, height, width = shape
    tokens = frames * -(-height // 2) * -(-width // 2)
    live = batch * (rate * tokens * config["dim"] * 2 + fixed * MIB) + cast * MIB
    return live, live * slack, live * high


def decide(given, config, shape, asked, version):
    """(bytes to reserve or None for ComfyUI's own, why), `given` in bytes, 0: Ebb's figure."""
    known = live_bytes(config, shape, version)
    if known is None:
        if given > asked:
            return given, "as given"
        return None, "what is live is unknown for this model, so ComfyUI's estimate stays"
    live, reserved, most = known
    if given == 0:
        wanted = max(reserved, most)  # as `ebb plan` budgets
        if wanted >= asked:
            return None, "ComfyUI's estimate is not larger than what the pass needs"
        return wanted, "live at the peak and the allocator's slack"
    if given < live:
        return live, f"not the {memory.text_of(given)} given: that is below what is live"
    return given, "as given"


def apply(model, budget_gib, told):
    """(clone of the model with the budget, a line of text); the model itself if that can't be.

    `told(event)` is called at each sampling, with what was asked and what was decided.
    """
    given = int(budget_gib * (1 << 30))

    def chosen(module, shape, asked):
        wanted, why = decide(given, estimate.model_config(module), shape, asked,
                             about.version())
        told({"kind": "EbbBudget", "asked_bytes": int(asked), "seconds": 0.0,
              "budget_bytes": int(asked if wanted is None else wanted),
              "text": f"{memory.text_of(asked if wanted is None else wanted)} budget for "
                      f"{type(module).__name__}, where ComfyUI asks {memory.text_of(asked)} "
                      f"({why})"})
        return wanted

    clone = estimate.with_budget(model, chosen)
    if clone is None:
        return model, "this ComfyUI has no way to set a budget: its own estimate stays"
    said = memory.text_of(given) if given else "Ebb's figure for this model and size"
    notes = ""
    if values.is_dynamic(model):
        notes = "; dynamic VRAM places weights page by page and hardly uses it"
    return clone, f"{said} as the budget, never below what is live at the peak{notes}."
