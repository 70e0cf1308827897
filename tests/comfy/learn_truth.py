#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs inside ComfyUI's Python for learn_real.py, and shares nothing with the collector: builds
every class of supported_models in its network's own dimensions, and prints what it says of itself.

usage: learn_truth.py CHECKOUT

A line of JSON a class: name, values, and where its own tensors are detected as it, also bytes of
the model that detection's configuration gives; asked: [branch, shape, conditionings, bytes].
"""
import contextlib
import json
import os
import random
import sys

# What networks without dimensions of their own are built with.
DIMENSIONS = {
    "SeedVR2": dict(norm_eps=1e-5, num_layers=32, mlp_type="swiglu", vid_dim=2560, heads=20,
                    vid_out_norm=True),
    "StableAudio3": dict(timestep_features_type="expo", embed_dim=1536, depth=24, io_channels=256,
                         num_heads=24, global_cond_dim=768, project_cond_tokens=False),
}


def numel(state):
    return sum(tensor.numel() for tensor in state.values())


def two_bytes(config):
    import torch
    return next(t for t in config.supported_inference_dtypes if t.itemsize == 2)


def built(config):
    import torch
    dtype = two_bytes(config)
    config.set_inference_dtype(dtype, None)
    real = torch.nn.Module.load_state_dict
    # Parts that are loaded while a model is made are in the checkpoint, which is not there.
    torch.nn.Module.load_state_dict = (
        lambda self, state, *words, **more: state and real(self, state, *words, **more))
    try:
        return config.get_model({}, "", device=torch.device("meta"))
    except RuntimeError as error:
        if "meta" not in str(error):
            raise
        return config.get_model({}, "", device=torch.device("cpu"))
    finally:
        torch.nn.Module.load_state_dict = real


def shapes(dims, channels):
    draw = random.Random(7)
    for _ in range(8):
        sizes = {1: [draw.randint(1, 90_000)],
                 2: [draw.randint(3, 600), draw.randint(3, 600)],
                 3: [draw.randint(1, 500), draw.randint(3, 300), draw.randint(3, 300)]}[dims]
        yield [draw.randint(1, 4), channels, *sizes]


def conditionings(model, channels):
    draw = random.Random(9)
    for name in getattr(model, "memory_usage_factor_conds", ()):
        yield {name: [[1, channels, draw.randint(1, 40), draw.randint(3, 200),
                       draw.randint(3, 200)]]}


def asked(model):
    import comfy.model_management as management
    latent = model.latent_format
    channels, dims = latent.latent_channels or 4, getattr(latent, "latent_dimensions", 2)
    for branch, flash in (("fused", True), ("other", False)):
        management.pytorch_attention_flash_attention = lambda flash=flash: flash
        for shape in shapes(dims, channels):
            for more in ({}, *conditionings(model, channels)):
                yield [branch, shape, more, float(model.memory_required(shape, more))]


def truth(cls):
    import comfy.model_detection
    import comfy.model_management
    model = built(cls({**cls.unet_config, **DIMENSIONS.get(cls.__name__, {})}))
    state = {name: tensor.to("meta") for name, tensor in model.diffusion_model.state_dict().items()}
    found = {"class": cls.__name__, "values": numel(state)}
    config = comfy.model_detection.model_config_from_unet(dict(state), "")
    found["detected_as"] = type(config).__name__ if config else None
    if found["detected_as"] == cls.__name__:
        with contextlib.suppress(TypeError):  # it reads the checkpoint's own tensors
            again = built(config)
            if numel(again.diffusion_model.state_dict()) == found["values"]:
                model = again
                found["bytes"] = comfy.model_management.module_size(model)
    found["asked"] = list(asked(model))
    return found


def main():
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    sys.path.insert(0, sys.argv[1])
    sys.argv = ["main.py", "--cpu"]
    import comfy.options
    comfy.options.enable_args_parsing()
    import comfy.supported_models
    for cls in comfy.supported_models.models:
        try:
            row = truth(cls)
        except Exception as error:  # a network without dimensions of its own
            row = {"class": cls.__name__, "lacking": f"{type(error).__name__}: {error}"[:120]}
        out.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
