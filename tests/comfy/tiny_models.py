# SPDX-License-Identifier: Apache-2.0
"""Small models with random weights that ComfyUI's own loaders accept.

usage: tiny_models.py COMFYUI_FOLDER MODELS_FOLDER

Writes vae_approx/taesd_{encoder,decoder}.safetensors (the real sizes, 5 MB each) and
upscale_models/tiny_esrgan.safetensors (one block of eight channels). Needs ComfyUI's Python.
"""
import pathlib
import sys


def main(folder, models):
    sys.path.insert(0, folder)
    import comfy.cli_args
    comfy.cli_args.args.cpu = True  # before anything asks for a GPU
    import safetensors.torch
    import torch
    from comfy.taesd.taesd import Decoder, Encoder
    from spandrel.architectures.ESRGAN import ESRGAN

    torch.manual_seed(1)
    parts = {"vae_approx/taesd_encoder": Encoder(), "vae_approx/taesd_decoder": Decoder(),
             "upscale_models/tiny_esrgan": ESRGAN(in_nc=3, out_nc=3, num_filters=8, num_blocks=1,
                                                  scale=4)}
    for name, module in parts.items():
        path = pathlib.Path(models, name + ".safetensors")
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {key: torch.randn(value.shape) * 0.05
                   for key, value in module.state_dict().items()}
        safetensors.torch.save_file(tensors, path)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
