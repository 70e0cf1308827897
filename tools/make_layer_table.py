#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/weights/layer_table.inc: the layers of each architecture that Ebb has a row for, and
src/weights/shape_table.inc: how large they are.

usage: make_layer_table.py CHECKOUT... > src/weights/layer_table.inc
       make_layer_table.py --shapes CHECKOUT > src/weights/shape_table.inc

Builds the models of trace_models.py and model_variants.py in each checkout's own classes, without
memory, and writes for each architecture the names of its layers, every number in them as #, and
behind a name the lengths of its vectors (biases, norms), which no quantisation changes. A file
whose layers are others is another model, whatever else it has in common. The second table has the
values of each module that ComfyUI would load or leave out, largest first. Needs ComfyUI's Python.
"""
import collections
import json
import re
import subprocess
import sys

WIDTH = 96
# Files of these come in layouts that ComfyUI renames or that their metadata decide.
SEVERAL_LAYOUTS = {"stable-cascade-b", "stable-cascade-c", "ltxv-vae", "mochi-vae", "cosmos-vae",
                   "cascade-vae"}


def layers_of(checkout):
    """{row: {layer: lengths}} of one checkout, in this process."""
    import trace_demand
    trace_demand.import_checkout(checkout)
    from model_variants import ROWS, VAE_VARIANTS, VARIANTS
    from trace_models import MODELS, VAES
    every = {key: (key, spec) for key, spec in (MODELS | VAES).items()} | VARIANTS | VAE_VARIANTS
    rows = collections.defaultdict(lambda: collections.defaultdict(set))
    for name, (key, spec) in every.items():
        row = ROWS.get(name, key)
        if getattr(spec, "control", None) or not row or row in SEVERAL_LAYOUTS:
            continue
        try:
            state = trace_demand.build(spec).state_dict()
        except Exception as error:  # an architecture that this version lacks
            print(f"{checkout}: {name}: {error}", file=sys.stderr)
            continue
        for tensor, values in state.items():
            layer, _, leaf = tensor.rpartition(".")
            lengths = rows[row][re.sub(r"\d+", "#", layer)]
            if values.dim() == 1 and leaf in ("weight", "bias", "scale"):
                lengths.add(values.shape[0])
    return {key: {layer: sorted(sizes) for layer, sizes in layers.items()}
            for key, layers in rows.items()}


def shapes_of(checkout):
    """{row: [[values, count]]} of one checkout, in this process."""
    import trace_demand
    trace_demand.import_checkout(checkout)
    from model_variants import ROWS
    from trace_models import MODELS
    rows = {}
    for key, spec in MODELS.items():
        if spec.control or key in ROWS:
            continue
        try:
            state = trace_demand.build(spec).state_dict()
        except Exception as error:  # an architecture that this version lacks
            print(f"{checkout}: {key}: {error}", file=sys.stderr)
            continue
        modules = collections.Counter()
        for tensor, values in state.items():
            modules[tensor.rpartition(".")[0]] += values.numel()
        rows[key] = sorted(collections.Counter(modules.values()).items(), reverse=True)
    return rows


def print_shapes(checkout):
    print("// Made by tools/make_layer_table.py from ComfyUI's own classes.")
    print("constexpr ShapeRow kShapes[] = {")
    for key, runs in sorted(shapes_of(checkout).items()):
        print(f'    {{"{key}",')
        print("\n".join(literals([f"{values}x{count};" for values, count in runs])) + "},")
    print("};")


def gathered(checkouts):
    rows = collections.defaultdict(lambda: collections.defaultdict(set))
    for checkout in checkouts:
        done = subprocess.run([sys.executable, __file__, "--one", checkout], check=True,
                              stdout=subprocess.PIPE, text=True)
        for key, layers in json.loads(done.stdout.splitlines()[-1]).items():
            for layer, lengths in layers.items():
                rows[key][layer].update(lengths)
    return rows


def literals(words):
    """A C++ string over several lines."""
    line = ""
    for word in words:
        if len(line) + len(word) > WIDTH - 10:
            yield f'     "{line}"'
            line = ""
        line += word
    yield f'     "{line}"'


def main():
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(layers_of(sys.argv[2])))
        return
    if sys.argv[1:2] == ["--shapes"]:
        print_shapes(sys.argv[2])
        return
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    print("// Made by tools/make_layer_table.py from ComfyUI's own classes.")
    print("constexpr LayerRow kLayers[] = {")
    for key, layers in sorted(gathered(sys.argv[1:]).items()):
        words = [layer + "".join(f" {n}" for n in sorted(lengths)) + ";"
                 for layer, lengths in sorted(layers.items())]
        print(f'    {{"{key}",')
        print("\n".join(literals(words)) + "},")
    print("};")


if __name__ == "__main__":
    main()
