#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes i2i.json, a prompt that loads a picture, and the picture into C/input."""
import json
import os
import struct

os.makedirs("C/input", exist_ok=True)
with open("C/input/a.png", "wb") as file:
    file.write(b"\x89PNG\r\n\x1a\n" +
               struct.pack(">I4sIIBBBBBI", 13, b"IHDR", 1536, 640, 8, 2, 0, 0, 0, 0))


def node(name, **inputs):
    return {"class_type": name, "inputs": inputs}


PROMPT = {
    "1": node("CheckpointLoaderSimple", ckpt_name="sd_xl_base_1.0.safetensors"),
    "2": node("LoadImage", image="a.png"),
    "3": node("VAEEncode", pixels=["2", 0], vae=["1", 2]),
    "4": node("CLIPTextEncode", text="a", clip=["1", 1]),
    "5": node("KSampler", model=["1", 0], seed=1, steps=20, cfg=7.0, sampler_name="euler",
              scheduler="normal", positive=["4", 0], negative=["4", 0], latent_image=["3", 0],
              denoise=0.6),
    "6": node("VAEDecode", samples=["5", 0], vae=["1", 2]),
    "7": node("SaveImage", images=["6", 0], filename_prefix="x")}
with open("i2i.json", "w", encoding="utf-8") as file:
    json.dump(PROMPT, file)
