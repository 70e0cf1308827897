#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What each checkout's ImageUpscaleWithModel asks for, and what Ebb says it asks: equal bytes.

usage: upscale_real.py EBB

Small ESRGANs of spandrel are saved as people have them (32 and 16 bits, .pth and .safetensors). The
real loader and the real node run them; what the node frees is written down beside the plan's number
for the same prompt.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import support

# File, scale, and the picture: width, height, how many.
CASES = [("4x_tiny.safetensors", 4, (96, 64, 2)), ("2x_tiny.pth", 2, (64, 64, 1)),
         ("1x_tiny.safetensors", 1, (600, 40, 1))]

RUN = r"""
import json, sys
checkout, folder, cases = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
sys.path.insert(0, checkout)
sys.argv = ["upscale_real", "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import safetensors.torch, torch
import folder_paths
from comfy import model_management
from spandrel.architectures.ESRGAN.__arch.RRDB import RRDBNet
from comfy_extras.nodes_upscale_model import ImageUpscaleWithModel, UpscaleModelLoader
folder_paths.add_model_folder_path("upscale_models", folder)
asked = []
model_management.free_memory = lambda required, *_, **__: asked.append(required)
for name, scale, (width, height, batch) in cases:
    half = name.endswith(".safetensors")
    state = RRDBNet(scale=scale, num_filters=32, num_blocks=1).state_dict()
    state = {k: v.half().contiguous() if half else v for k, v in state.items()}
    (safetensors.torch.save_file if half else torch.save)(state, f"{folder}/{name}")
    model = UpscaleModelLoader.execute(name).args[0]
    ImageUpscaleWithModel.execute(model, torch.zeros(batch, height, width, 3))
print(json.dumps([int(x) for x in asked]))
"""


def prompt(name, picture):
    size = dict(zip(("width", "height", "batch_size"), picture), color=0)
    return {"1": {"class_type": "EmptyImage", "inputs": size},
            "2": {"class_type": "UpscaleModelLoader", "inputs": {"model_name": name}},
            "3": {"class_type": "ImageUpscaleWithModel",
                  "inputs": {"upscale_model": ["2", 0], "image": ["1", 0]}},
            "4": {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}}}


def planned(ebb, version, models, name, picture):
    file = models / "prompt.json"
    file.write_text(json.dumps(prompt(name, picture)), encoding="utf-8")
    done = subprocess.run([ebb, "plan", str(file), "--json", "--gpu", "rtx4090", "--comfyui",
                           version, "--models", str(models)], capture_output=True, text=True,
                          check=False)
    return json.loads(done.stdout)["passes"][0]["asked_bytes"]


def main():
    differ = 0
    for checkout in support.checkouts():
        version = support.version_of(checkout)
        with tempfile.TemporaryDirectory() as folder:
            models = pathlib.Path(folder)
            files = models / "upscale_models"
            files.mkdir()
            done = subprocess.run([support.comfyui_python(), "-c", RUN, checkout, str(files),
                                   json.dumps(CASES)], capture_output=True, text=True, check=True)
            real = json.loads(done.stdout.splitlines()[-1])
            for (name, _, picture), asked in zip(CASES, real, strict=True):
                ours = planned(sys.argv[1], version, models, name, picture)
                differ += ours != asked
                print(f"ComfyUI {version} {name} {picture}: asks {asked}, Ebb says {ours}")
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
