# SPDX-License-Identifier: Apache-2.0
"""Models for a Wan-shaped two-pass graph, with random weights, that ComfyUI's own loaders accept.

usage: wan_models.py COMFYUI_FOLDER MODELS_FOLDER [HIDDEN LAYERS]

Writes two experts and a LoRA for each of HIDDEN (a multiple of 128; default 128) and LAYERS
(default 2), the Wan 2.1 VAE at its real size (254 MB), and CLIP-L (246 MB), which as an SD3 text
encoder gives conditionings of Wan's width. With HIDDEN and LAYERS only the experts and LoRAs are
written: 1280 16 makes experts of 1,678 MB. Keeps files that are there. Needs ComfyUI's Python.
"""
import json
import pathlib
import sys

FILES = {"high": "diffusion_models/wan_high.safetensors",
         "low": "diffusion_models/wan_low.safetensors",
         "lora_high": "loras/wan_high_lora.safetensors",
         "lora_low": "loras/wan_low_lora.safetensors",
         "clip": "text_encoders/clip_l.safetensors", "vae": "vae/wan_vae.safetensors"}


def filled(state, scale, dtype):
    import torch

    return {key: (torch.randn(value.shape) * scale).to(dtype) for key, value in state.items()}


def expert(hidden, layers):
    import comfy.ops
    import torch
    from comfy.ldm.wan.model import WanModel

    with torch.device("meta"):
        model = WanModel(model_type="t2v", dim=hidden, ffn_dim=4 * hidden, num_heads=hidden // 128,
                         num_layers=layers, in_dim=16, out_dim=16, text_dim=4096, device="meta",
                         dtype=torch.float32, operations=comfy.ops.disable_weight_init)
    return model.state_dict()


def lora_of(state, rank=4):
    import torch

    lora = {}
    for key, value in state.items():
        if key.startswith("blocks.") and key.endswith(".weight") and value.dim() == 2:
            name = "diffusion_model." + key[:-len(".weight")]
            lora[f"{name}.lora_A.weight"] = torch.randn(rank, value.shape[1]) * 0.02
            lora[f"{name}.lora_B.weight"] = torch.randn(value.shape[0], rank) * 0.02
    return lora


def vae():
    import torch
    from comfy.ldm.wan.vae import WanVAE

    with torch.device("meta"):
        model = WanVAE(dim=96, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=2, attn_scales=[],
                       temperal_downsample=[False, True, True], dropout=0.0)
    return model.state_dict()


def clip():
    import comfy
    import comfy.ops
    import torch
    from comfy.clip_model import CLIPTextModel

    folder = pathlib.Path(comfy.__path__[0])
    config = json.loads((folder / "sd1_clip_config.json").read_text())
    with torch.device("meta"):
        model = CLIPTextModel(config, torch.float16, "meta", comfy.ops.disable_weight_init)
    return model.state_dict()


def main(folder, models, hidden, layers, everything):
    sys.path.insert(0, folder)
    import comfy.cli_args
    comfy.cli_args.args.cpu = True  # before anything asks for a GPU
    import safetensors.torch
    import torch

    torch.manual_seed(2)
    shapes = expert(hidden, layers)
    made = {"high": lambda: filled(shapes, 0.02, torch.float32),
            "low": lambda: filled(shapes, 0.02, torch.float32),
            "lora_high": lambda: lora_of(shapes), "lora_low": lambda: lora_of(shapes)}
    if everything:
        made["clip"] = lambda: filled(clip(), 0.02, torch.float16)
        made["vae"] = lambda: filled(vae(), 0.02, torch.bfloat16)
    for name, make in made.items():
        path = pathlib.Path(models, FILES[name])
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            safetensors.torch.save_file(make(), path)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 5):
        sys.exit(__doc__)
    size = [int(each) for each in sys.argv[3:]] or [128, 2]
    main(sys.argv[1], sys.argv[2], *size, everything=len(sys.argv) == 3)
