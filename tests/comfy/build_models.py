#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs inside ComfyUI's Python for detect_real.py: builds diffusion models in the dimensions of
public files without memory, writes their headers, and prints what ComfyUI takes each for.

usage: build_models.py CHECKOUT FOLDER

The models are those that the demand table is traced with, variants of them, and of every other
class of supported_models one in the dimensions that its network has by default.
"""

import json
import os
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tools"))
import trace_demand
from model_variants import VARIANTS
from trace_models import MODELS

def write_header(path, state):
    """A file of fp16 tensors that holds nothing behind its header."""
    header, at = {}, 0
    for name, tensor in state.items():
        end = at + 2 * tensor.numel()
        header[name] = {"dtype": "F16", "shape": list(tensor.shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + at)


# What networks without defaults are built with.
DEFAULTS = {
    "SeedVR2": dict(norm_eps=1e-5, num_layers=32, mlp_type="swiglu", vid_dim=2560, heads=20,
                    vid_out_norm=True),
    "StableAudio3": dict(timestep_features_type="expo", embed_dim=1536, depth=24, io_channels=256,
                         num_heads=24, global_cond_dim=768, project_cond_tokens=False),
}


def by_default(cls):
    """The tensors of a class of supported_models in the dimensions that its network defaults to."""
    import torch
    config = cls({**cls.unet_config, **DEFAULTS.get(cls.__name__, {})})
    return config.get_model({}, "", device=torch.device("meta")).diffusion_model.state_dict()


def report(folder, name, key, state):
    import comfy.model_detection
    found = comfy.model_detection.model_config_from_unet(dict(state), "")
    path = os.path.join(folder, name.replace(" ", "_") + ".safetensors")
    write_header(path, state)
    found = type(found).__name__ if found else ""
    print(json.dumps({"name": name, "key": key, "path": path, "class": found,
                      "values": sum(tensor.numel() for tensor in state.values())}))
    return found


def main():
    checkout, folder = sys.argv[1:]
    trace_demand.import_checkout(checkout)
    import comfy.supported_models

    classes = set()
    models = {key: (key, spec) for key, spec in MODELS.items()} | VARIANTS
    for name, (key, spec) in models.items():
        if spec.control:
            continue
        try:
            state = trace_demand.build(spec).state_dict()
        except Exception as error:  # an architecture that this version lacks
            print(json.dumps({"name": name, "lacking": f"{type(error).__name__}: {error}"[:120]}))
            continue
        classes.add(report(folder, name, key, state))
    for cls in comfy.supported_models.models:
        if cls.__name__ in classes:
            continue
        try:
            report(folder, "class " + cls.__name__, "", by_default(cls))
        except Exception as error:  # a network without defaults
            print(json.dumps({"name": cls.__name__,
                              "lacking": f"{type(error).__name__}: {error}"[:120]}))


if __name__ == "__main__":
    main()
