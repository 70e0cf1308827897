#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs inside ComfyUI's Python for learn_real.py, and shares nothing with the collector: builds
every class of supported_models in its network's own dimensions, and prints what it says of itself.

usage: learn_truth.py CHECKOUT FOLDER

Models whose own tensors are detected as what they are, and some VAEs and text encoders, are written
as files into FOLDER, laid out as ComfyUI's models: headers of real types and shapes, with nothing
behind them. A line of JSON a class: name, values, and where its own tensors are detected as it,
also bytes of the model that detection's configuration gives; asked: [branch, shape, conditionings,
bytes].
"""
import contextlib
import json
import math
import os
import pathlib
import random
import struct
import sys

# What networks without dimensions of their own are built with.
DIMENSIONS = {
    "SeedVR2": dict(norm_eps=1e-5, num_layers=32, mlp_type="swiglu", vid_dim=2560, heads=20,
                    vid_out_norm=True),
    "StableAudio3": dict(timestep_features_type="expo", embed_dim=1536, depth=24, io_channels=256,
                         num_heads=24, global_cond_dim=768, project_cond_tokens=False),
}


# Their models are made with other tensors of the checkpoint, so that a network's own are no file.
NO_FILES = {"StableAudio", "StableAudio3"}


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


def heard(model):
    """[conditioning, shape, what the estimate hears of it as, area that it counts]"""
    import torch
    latent = model.latent_format
    channels, dims = latent.latent_channels or 4, getattr(latent, "latent_dimensions", 2)
    shape = next(shapes(dims, channels))
    told = model.extra_conds_shapes(reference_latents=[torch.empty(shape, device="meta")])
    for name, size in told.items():
        if name in getattr(model, "memory_usage_factor_conds", ()):
            yield ["reference_latents", shape, name, size[0] * math.prod(size[2:])]


def write_file(path, state):
    """Weights of bf16 that hold nothing."""
    names = {"int64": "I64", "int32": "I32", "uint8": "U8", "bool": "BOOL"}
    header, at = {}, 0
    for name, tensor in state.items():
        weights = tensor.is_floating_point()
        end = at + tensor.numel() * (2 if weights else tensor.element_size())
        header[name] = {"dtype": "BF16" if weights else names[str(tensor.dtype)[6:]],
                        "shape": list(tensor.shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + at)


def shapes_of(state):
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def published(known, folder):
    """Of the classes that `known` lacks, models of public dimensions (tools/trace_models.py)."""
    import comfy.model_detection
    import trace_demand
    from model_variants import VARIANTS
    from trace_models import MODELS
    for key, spec in [*MODELS.items(), *((name, spec) for name, (_, spec) in VARIANTS.items())]:
        if spec.control:
            continue
        try:
            state = trace_demand.build(spec).state_dict()
            config = comfy.model_detection.model_config_from_unet(dict(state), "")
            name = type(config).__name__
            if config is None or name in known or name in NO_FILES:
                continue
            model = built(config)
            if shapes_of(model.diffusion_model.state_dict()) != shapes_of(state):
                raise ValueError("the model that ComfyUI makes for these tensors has others")
        except Exception as error:  # an architecture that this version lacks
            print(f"{key}: {type(error).__name__}: {error}"[:200], file=sys.stderr)
            continue
        known.add(name)
        write_file(folder / f"diffusion_models/{name}.safetensors", state)
        yield {"file": f"{name}.safetensors", "class": name, "asked": list(asked(model)),
               "values": numel(model.diffusion_model.state_dict()),
               "bytes": sum(t.nbytes for t in model.state_dict().values())}


def vaes():
    """{name: a real VAE with weights}, small enough to be made."""
    import comfy.ldm.models.autoencoder as autoencoder
    import comfy.ldm.wan.vae
    picture = {"double_z": True, "z_channels": 4, "resolution": 256, "in_channels": 3, "out_ch": 3,
               "ch": 128, "ch_mult": [1, 2, 4, 4], "num_res_blocks": 2, "attn_resolutions": [],
               "dropout": 0.0}
    yield "kl", autoencoder.AutoencoderKL(ddconfig=picture, embed_dim=4)
    yield "kl16", autoencoder.AutoencoderKL(ddconfig={**picture, "z_channels": 16}, embed_dim=16)
    yield "wan21", comfy.ldm.wan.vae.WanVAE(
        dim=96, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=2, attn_scales=[],
        temperal_downsample=[False, True, True], dropout=0.0)


def vae_truth(name, network, folder):
    """Of a VAE that ComfyUI loads with its weights, in the type that a card computes it in."""
    import comfy.sd
    import torch
    state = network.state_dict()
    write_file(folder / f"vae/{name}.safetensors", state)
    vae = comfy.sd.VAE(sd=dict(state), dtype=torch.bfloat16)
    draw = random.Random(5)
    size = [draw.randint(1, 90) for _ in range(vae.latent_dim)]
    return {"file": f"{name}.safetensors", "values": numel(vae.first_stage_model.state_dict()),
            "bytes": sum(t.nbytes for t in vae.first_stage_model.state_dict().values()),
            "asked": [[what, shape, {}, float(function(shape, torch.bfloat16))]
                      for what, channels, function in (
                          ("decode", vae.latent_channels, vae.memory_used_decode),
                          ("encode", 3, vae.memory_used_encode))
                      for shape in ([1, channels, *size], [2, channels, *size[::-1]])]}


def encoder_truth(folder):
    """The smallest text encoder, with its weights."""
    import comfy.sd
    import comfy.sd1_clip
    import torch
    model = comfy.sd1_clip.SDClipModel(dtype=torch.bfloat16)
    state = {name.removeprefix("transformer."): tensor
             for name, tensor in model.state_dict().items() if name.startswith("transformer.")}
    write_file(folder / "text_encoders/clip_l.safetensors", state)
    clip = comfy.sd.load_text_encoder_state_dicts([dict(state)])
    return {"file": "clip_l.safetensors", "values": numel(clip.cond_stage_model.state_dict()),
            "bytes": clip.patcher.model_size(), "asked": []}


def truth(cls, folder):
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
                found["written"] = cls.__name__ not in NO_FILES
                if found["written"]:
                    write_file(folder / f"diffusion_models/{cls.__name__}.safetensors", state)
    found["asked"], found["heard"] = list(asked(model)), list(heard(model))
    return found


def main():
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    sys.path.insert(0, sys.argv[1])
    folder = pathlib.Path(sys.argv[2])
    sys.argv = ["main.py", "--cpu"]
    import comfy.options
    comfy.options.enable_args_parsing()
    import comfy.supported_models
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
    known = set()
    for cls in comfy.supported_models.models:
        try:
            row = truth(cls, folder)
        except Exception as error:  # a network without dimensions of its own
            row = {"class": cls.__name__, "lacking": f"{type(error).__name__}: {error}"[:120]}
        if row.get("written"):
            known.add(cls.__name__)
        out.write(json.dumps(row) + "\n")
    for row in published(known, folder):
        out.write(json.dumps(row) + "\n")
    for name, network in vaes():
        out.write(json.dumps(vae_truth(name, network, folder)) + "\n")
    out.write(json.dumps(encoder_truth(folder)) + "\n")


if __name__ == "__main__":
    main()
