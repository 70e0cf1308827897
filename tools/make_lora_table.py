#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns recorded module lists of ComfyUI into src/policy/lora_targets.inc.

Usage: make_lora_table.py model-modules.jsonl.gz > src/policy/lora_targets.inc

A LoRA of the recordings patches every Linear weight. The lists don't say which modules are Linear,
but their names do; the recorded numbers of patched weights confirm it (a test compares them). Which
modules they are follows from a module's size alone, so that one row per model names the sizes of
castable modules that are no Linear. Models where a size is ambiguous get no row.
"""
import gzip
import json
import sys

UNET_LINEAR = ("to_q", "to_k", "to_v", "to_out", "ff.net", "proj_in", "proj_out", "emb_layers",
               "time_embed", "label_emb")


def is_linear(model, name):
    last = name.rsplit(".", 1)[-1]
    if model == "sdxl":
        return any(part in name for part in UNET_LINEAR)
    if "norm" in last or "patch_embedding" in last:
        return False
    return not ("hunyuan" in model and "img_in.proj" in name)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    models = {}
    with gzip.open(sys.argv[1], "rt") as file:
        for record in map(json.loads, file):
            if record["kind"] != "diffusion":
                continue
            sizes = models.setdefault(record["model"], {})
            for name, size, _, castable in record["modules"]:
                if castable and size > 0:
                    sizes.setdefault(size, set()).add(is_linear(record["model"], name))
    print("// Made by tools/make_lora_table.py from module lists recorded "
          "with ComfyUI's own code.")
    print("constexpr OtherSizes kOthers[] = {")
    for model, sizes in sorted(models.items()):
        if any(len(kinds) > 1 for kinds in sizes.values()):
            print(f"{model}: ambiguous", file=sys.stderr)
            continue
        others = sorted(size for size, kinds in sizes.items() if kinds == {False})
        print(f'    {{"{model}", {{{", ".join(map(str, others))}}}}},')
    print("};")


main()
