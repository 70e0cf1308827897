#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes examples/workflows/wan22_two_pass.json: image to video with Wan 2.2 14B in two passes."""
import json
import sys

nodes, links = [], []


def node(number, kind, pos, size, inputs, outputs, widgets, title=None):
    """Adds a node; inputs are (name, type), outputs (name, type)."""
    entry = {
        "id": number, "type": kind, "pos": list(pos), "size": list(size), "flags": {},
        "order": len(nodes), "mode": 0,
        "inputs": [{"name": n, "type": t, "link": None} for n, t in inputs],
        "outputs": [{"name": n, "type": t, "links": []} for n, t in outputs],
        "properties": {"Node name for S&R": kind}, "widgets_values": widgets,
    }
    if title:
        entry["title"] = title
    nodes.append(entry)


def link(origin, slot, target, name):
    """Connects output `slot` of `origin` with the input called `name` of `target`."""
    by_id = {n["id"]: n for n in nodes}
    inputs = by_id[target]["inputs"]
    at = next(i for i, entry in enumerate(inputs) if entry["name"] == name)
    output = by_id[origin]["outputs"][slot]
    number = len(links) + 1
    links.append([number, origin, slot, target, at, output["type"]])
    inputs[at]["link"] = number
    output["links"].append(number)


SAMPLER = [("model", "MODEL"), ("positive", "CONDITIONING"), ("negative", "CONDITIONING"),
           ("latent_image", "LATENT")]
node(1, "CLIPLoader", (0, 0), (360, 110), [], [("CLIP", "CLIP")],
     ["umt5_xxl_fp8_e4m3fn_scaled.safetensors", "wan", "default"])
node(2, "CLIPTextEncode", (400, 0), (400, 160), [("clip", "CLIP")], [("CONDITIONING", "CONDITIONING")],
     ["A paper boat drifts down a rain gutter, the camera follows close behind, soft evening light"],
     "Prompt")
node(3, "CLIPTextEncode", (400, 200), (400, 120), [("clip", "CLIP")],
     [("CONDITIONING", "CONDITIONING")], ["blurry, static, text, watermark"], "What to avoid")
node(4, "VAELoader", (0, 160), (360, 60), [], [("VAE", "VAE")], ["wan_2.1_vae.safetensors"])
node(5, "LoadImage", (0, 270), (360, 320), [], [("IMAGE", "IMAGE"), ("MASK", "MASK")],
     ["first_frame.png", "image"])
node(6, "WanImageToVideo", (850, 120), (320, 210),
     [("positive", "CONDITIONING"), ("negative", "CONDITIONING"), ("vae", "VAE"),
      ("clip_vision_output", "CLIP_VISION_OUTPUT"), ("start_image", "IMAGE")],
     [("positive", "CONDITIONING"), ("negative", "CONDITIONING"), ("latent", "LATENT")],
     [832, 1216, 81, 1])
node(7, "UNETLoader", (400, 380), (400, 82), [], [("MODEL", "MODEL")],
     ["wan2.2_i2v_high_noise_14B_fp8_scaled.safetensors", "default"], "High noise")
node(8, "ModelSamplingSD3", (850, 380), (320, 60), [("model", "MODEL")], [("MODEL", "MODEL")], [8])
node(9, "KSamplerAdvanced", (1220, 120), (320, 340), SAMPLER, [("LATENT", "LATENT")],
     ["enable", 20240817, "fixed", 20, 3.5, "euler", "simple", 0, 10, "enable"], "Pass 1")
node(10, "UNETLoader", (400, 510), (400, 82), [], [("MODEL", "MODEL")],
     ["wan2.2_i2v_low_noise_14B_fp8_scaled.safetensors", "default"], "Low noise")
node(11, "ModelSamplingSD3", (850, 510), (320, 60), [("model", "MODEL")], [("MODEL", "MODEL")], [8])
node(12, "KSamplerAdvanced", (1590, 120), (320, 340), SAMPLER, [("LATENT", "LATENT")],
     ["disable", 0, "fixed", 20, 3.5, "euler", "simple", 10, 10000, "disable"], "Pass 2")
node(13, "VAEDecode", (1960, 120), (220, 60), [("samples", "LATENT"), ("vae", "VAE")],
     [("IMAGE", "IMAGE")], [])
node(14, "CreateVideo", (1960, 230), (260, 80), [("images", "IMAGE"), ("audio", "AUDIO")],
     [("VIDEO", "VIDEO")], [16])
node(15, "SaveVideo", (2260, 120), (420, 360), [("video", "VIDEO")], [],
     ["video/ebb_example", "auto", "auto"])

for origin, slot, target, name in [
        (1, 0, 2, "clip"), (1, 0, 3, "clip"), (2, 0, 6, "positive"), (3, 0, 6, "negative"),
        (4, 0, 6, "vae"), (5, 0, 6, "start_image"), (7, 0, 8, "model"), (8, 0, 9, "model"),
        (6, 0, 9, "positive"), (6, 1, 9, "negative"), (6, 2, 9, "latent_image"),
        (10, 0, 11, "model"), (11, 0, 12, "model"), (6, 0, 12, "positive"),
        (6, 1, 12, "negative"), (9, 0, 12, "latent_image"), (12, 0, 13, "samples"),
        (4, 0, 13, "vae"), (13, 0, 14, "images"), (14, 0, 15, "video")]:
    link(origin, slot, target, name)

graph = {"id": "5b0f9d0e-2f0a-4c57-9d8e-0e8a2f6f1c22", "revision": 0,
         "last_node_id": max(n["id"] for n in nodes), "last_link_id": len(links),
         "nodes": nodes, "links": links, "groups": [], "config": {},
         "extra": {"ds": {"scale": 0.8, "offset": [0, 0]}}, "version": 0.4}
with open(sys.argv[1], "w", encoding="utf-8") as file:
    json.dump(graph, file, indent=2)
    file.write("\n")
