# SPDX-License-Identifier: Apache-2.0
"""Small models with random weights that ComfyUI's own loaders accept.

usage: tiny_models.py COMFYUI_FOLDER MODELS_FOLDER

vae_approx         TAESD for 4 and for 16 channels (the real sizes, 5 MB each file)
upscale_models     an ESRGAN of one block of eight channels
diffusion_models   two MMDiT as of Stable Diffusion 3, of one block of 64 channels
checkpoints        such an MMDiT with a KL autoencoder of three levels (100 MB)
loras              a LoRA of rank 2 for the MMDiT
text_encoders      a CLIP-L (the real size, 246 MB: its shape is fixed in ComfyUI)

Needs ComfyUI's Python.
"""
import json
import pathlib
import sys

CHANNELS, TEXT = 16, 768  # of SD3's latent, of CLIP-L's output


def mmdit(torch):
    from comfy.ldm.modules.diffusionmodules.mmdit import MMDiT
    from comfy.ops import disable_weight_init

    embedder = {"target": "torch.nn.Linear", "params": {"in_features": TEXT, "out_features": 64}}
    return MMDiT(input_size=None, in_channels=CHANNELS, depth=1, adm_in_channels=TEXT,
                 context_embedder_config=embedder, dtype=torch.float32,
                 operations=disable_weight_init)


def kl_vae(torch):
    from comfy.ldm.modules.diffusionmodules.model import Decoder, Encoder

    shape = {"double_z": True, "z_channels": CHANNELS, "resolution": 256, "in_channels": 3,
             "out_ch": 3, "ch": 128, "ch_mult": [1, 2, 4], "num_res_blocks": 2,
             "attn_resolutions": [], "dropout": 0.0}
    return torch.nn.ModuleDict({"encoder": Encoder(**shape), "decoder": Decoder(**shape)})


def clip_l(folder, torch):
    from comfy.clip_model import CLIPTextModel
    from comfy.ops import disable_weight_init

    config = json.loads(pathlib.Path(folder, "comfy", "sd1_clip_config.json").read_text())
    return CLIPTextModel(config, torch.float16, "meta", disable_weight_init)


def lora(torch):
    part = "diffusion_model.joint_blocks.0.x_block.attn.qkv.lora_"
    return {part + "A.weight": torch.randn(2, 64), part + "B.weight": torch.randn(192, 2)}


def main(folder, models):
    sys.path.insert(0, folder)
    import comfy.cli_args
    comfy.cli_args.args.cpu = True  # before anything asks for a GPU
    import safetensors.torch
    import torch
    from comfy.taesd.taesd import Decoder, Encoder
    from spandrel.architectures.ESRGAN import ESRGAN

    torch.manual_seed(1)

    def tensors(module, dtype=torch.float32, prefix=""):
        return {prefix + key: (torch.randn(value.shape, dtype=torch.float32) * 0.02).to(dtype)
                for key, value in module.state_dict().items()}

    def save(name, weights):
        path = pathlib.Path(models, name + ".safetensors")
        path.parent.mkdir(parents=True, exist_ok=True)
        safetensors.torch.save_file(weights, path)

    for name, channels in (("taesd", 4), ("taesd3", CHANNELS)):
        save(f"vae_approx/{name}_encoder", tensors(Encoder(latent_channels=channels)))
        save(f"vae_approx/{name}_decoder", tensors(Decoder(latent_channels=channels)))
    save("upscale_models/tiny_esrgan",
         tensors(ESRGAN(in_nc=3, out_nc=3, num_filters=8, num_blocks=1, scale=4)))
    for name in ("tiny_high", "tiny_low"):
        save(f"diffusion_models/{name}", tensors(mmdit(torch)))
    save("checkpoints/tiny_sd3", tensors(mmdit(torch), prefix="model.diffusion_model.") |
         tensors(kl_vae(torch), torch.float16, "first_stage_model."))
    save("loras/tiny_lora", lora(torch))
    save("text_encoders/tiny_clip_l", tensors(clip_l(folder, torch), torch.float16))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
