#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs inside ComfyUI's Python for detect_real.py: builds diffusion models in the dimensions of
public files without memory, writes their headers, and prints what ComfyUI takes each for.

usage: build_models.py CHECKOUT FOLDER

The models are those that the demand table is traced with, and variants of them that ComfyUI has
classes of their own for.
"""

import json
import os
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tools"))
import trace_demand
from trace_models import MODELS, Model

WAN = "comfy.ldm.wan.model:"


def like(key, place=None, **changes):
    """A row's key, and its model with another configuration."""
    base = vars(MODELS[key])
    more = {"place": place} if place else {}
    return key, Model(**{**base, **more, "config": {**base["config"], **changes}})


def flux2(hidden, depth, single, context):
    return like("flux2", hidden_size=hidden, depth=depth, depth_single_blocks=single,
                context_in_dim=context, num_heads=hidden // 128, guidance_embed=False)


def small_xl(middle, down, output, **changes):
    return like("sdxl", transformer_depth=down, transformer_depth_output=output,
                transformer_depth_middle=middle, **changes)


VARIANTS = {
    "wan fun inp 1.3b": like("wan-1.3b", model_type="i2v", in_dim=36),
    "wan fun control 1.3b": like("wan-1.3b", model_type="i2v", in_dim=48),
    "wan fun camera 1.3b": like("wan-1.3b", WAN + "CameraWanModel", model_type="camera", in_dim=32),
    "wan fun camera 14b": like("wan-14b", WAN + "CameraWanModel", model_type="camera", in_dim=32),
    "wan 2.2 fun camera 14b": like("wan-14b", WAN + "CameraWanModel", model_type="camera_2.2",
                                   in_dim=36),
    "wan humo 14b": like("wan-14b", WAN + "HumoWanModel", model_type="humo", in_dim=36),
    "flux schnell": like("flux", guidance_embed=False),
    "flux fill": like("flux", in_channels=96),
    "flux control": like("flux", in_channels=32),
    "flux2 klein 9b": flux2(4096, 8, 24, 12288),
    "flux2 klein 4b": flux2(3072, 5, 20, 7680),
    "hunyuan video i2v": like("hunyuan-video", in_channels=33),
    "hunyuan video skyreels": like("hunyuan-video", in_channels=32),
    "hunyuan video 1.5 sr": like("hunyuan-video-15", in_channels=98),
    "hunyuan image 2.1 refiner": like("hunyuan-image-21", in_channels=128, patch_size=[1, 1, 1],
                                      axes_dim=[16, 56, 56]),
    "hunyuan 3d mini": like("hunyuan3d", depth=8, depth_single_blocks=16),
    "sdxl instructpix2pix": like("sdxl", in_channels=8),
    "ssd 1b": small_xl(0, [0, 0, 2, 2, 4, 4], [0, 0, 0, 1, 1, 2, 10, 4, 4]),
    "segmind vega": small_xl(0, [0, 0, 1, 1, 2, 2], [0, 0, 0, 1, 1, 1, 2, 2, 2]),
    "koala 1b": small_xl(6, [0, 2, 6], [0, 0, 2, 2, 6, 6], num_res_blocks=[1, 1, 1]),
    "koala 700m": small_xl(0, [0, 2, 5], [0, 0, 2, 2, 5, 5], num_res_blocks=[1, 1, 1]),
    "sd 2.1 unclip": like("sd21", adm_in_channels=2048, num_classes="sequential"),
    "sv3d u": like("svd", adm_in_channels=256),
    "hunyuan dit 1": like("hunyuan-dit", size_cond=True, use_style_cond=True),
    "pixart alpha": like("pixart", micro_condition=True),
    "cosmos i2v": like("cosmos", in_channels=17),
    "cosmos predict2 i2v": like("cosmos-predict2", in_channels=17),
    "kandinsky 5 image": like("kandinsky5", model_dim=2560, ff_dim=10240, visual_embed_dim=64,
                              num_visual_blocks=50),
}


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


def main():
    checkout, folder = sys.argv[1:]
    trace_demand.import_checkout(checkout)
    import comfy.model_detection

    models = {key: (key, spec) for key, spec in MODELS.items()} | VARIANTS
    for name, (key, spec) in models.items():
        if spec.control:
            continue
        try:
            state = trace_demand.build(spec).state_dict()
        except Exception as error:  # an architecture that this version lacks
            print(json.dumps({"name": name, "lacking": f"{type(error).__name__}: {error}"[:120]}))
            continue
        found = comfy.model_detection.model_config_from_unet(dict(state), "")
        path = os.path.join(folder, name.replace(" ", "_") + ".safetensors")
        write_header(path, state)
        print(json.dumps({
            "name": name,
            "key": key,
            "path": path,
            "class": type(found).__name__ if found else "",
            "values": sum(tensor.numel() for tensor in state.values()),
        }))


if __name__ == "__main__":
    main()
