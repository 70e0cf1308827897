#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns recorded module lists of ComfyUI into src/weights/module_table.inc.

Usage: make_module_table.py model-modules.jsonl.gz > src/weights/module_table.inc

Each input line is one model as one ComfyUI version has it in memory: version, kind, model, size
(all tensors), in_list (sum over modules) and modules [[name, bytes, extra_offload_bytes, castable]]
in load order. Modules of equal size and kind that follow each other become one run; runs shared
between versions are written once. Parts of text encoders that are loaded together (clip_l beside
t5xxl) also get rows of their own, because workflows combine them in other ways.
"""
import gzip
import itertools
import json
import sys

# Recorded pair -> prefix of a part's module names -> the part's own name.
PARTS = {
    "clip_l+t5xxl_fp16": {"clip_l": "clip_l"},
    "clip_l+t5xxl_fp8_e4m3fn": {"t5xxl": "t5xxl_fp8_e4m3fn"},
    "clip_l+llava_llama3_fp8_scaled": {"llama": "llava_llama3_fp8_scaled"},
    "sdxl_clip": {"clip_g": "clip_g"},
}
# Recorded with a file whose vision tower was in 16 bits. The public one has it in fp8, too: users'
# logs say 7,910.29 MiB from 0.8.0 on. It gets a row of its own beside the recorded one. By the
# values of a layer: its biases, which stay in 16 bits.
FP8_TOWER = ("qwen_2.5_vl_7b_fp8_scaled", "qwen_2.5_vl_7b_fp8_tower", ".visual.",
             {26219520: 5120, 18353664: 3584, 4919040: 3840, 4381020: 3420, 4378880: 1280,
              1639680: 1280})
SCALE_AND_NOTE_BYTES = 4 + 27
# A text encoder's logit scale: one fp32 value that belongs to no listed module.
LOGIT_SCALE_BYTES = 4


def runs_of(modules):
    facts = [(size, extra, castable) for _, size, extra, castable in modules]
    return tuple((*key, len(list(group))) for key, group in itertools.groupby(facts))


def tower_in_fp8(record):
    """The record with the layers of the vision tower as the public file has them."""
    _, name, part, biases = FP8_TOWER
    modules = []
    for module, size, extra, castable in record["modules"]:
        values = size // 2
        if part in module and values in biases and extra:
            size = values + biases[values] + SCALE_AND_NOTE_BYTES
        modules.append([module, size, extra, castable])
    modules.sort(key=lambda m: (-m[1] - m[2], -m[1]))
    changed = sum(m[1] for m in modules) - sum(m[1] for m in record["modules"])
    return {**record, "model": name, "modules": modules, "size": record["size"] + changed}


def rows_of(record):
    if record["model"] == FP8_TOWER[0]:
        public = tower_in_fp8(record)
        yield public["kind"], public["model"], public["size"], public["modules"]
    yield record["kind"], record["model"], record["size"], record["modules"]
    for prefix, name in PARTS.get(record["model"], {}).items():
        modules = [m for m in record["modules"] if m[0].startswith(prefix + ".")]
        size = sum(m[1] for m in modules) + LOGIT_SCALE_BYTES
        yield record["kind"], name, size, modules


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with gzip.open(sys.argv[1], "rt") as file:
        records = [json.loads(line) for line in file]
    records.sort(key=lambda r: (tuple(map(int, r["version"].split("."))), r["model"]))
    numbers, rows = {}, []
    for record in records:
        version = ", ".join(record["version"].split("."))
        for kind, model, size, modules in rows_of(record):
            runs = runs_of(modules)
            number = numbers.setdefault(runs, len(numbers))
            in_list = sum(m[1] for m in modules)
            rows.append(f'    {{{{{version}}}, "{kind}", "{model}", {size}, {in_list}, '
                        f"kRuns{number}}},")
    print("// Made by tools/make_module_table.py from module lists recorded "
          "with ComfyUI's own code.")
    for runs, number in numbers.items():
        print(f"constexpr ModuleGroup kRuns{number}[] = {{")
        for size, extra, castable, count in runs:
            print(f"    {{{size}, {extra}, {count}, {'true' if castable else 'false'}}},")
        print("};")
    print("constexpr ModuleRow kRows[] = {")
    print("\n".join(rows))
    print("};")


if __name__ == "__main__":
    main()
