#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes one bad input by its name, for bad_input.test. Usage: bad_input.py NAME > FILE"""
import json
import struct
import sys


def wan(**sizes):
    """A small text-to-video prompt with some values of its latent replaced."""
    latent = {"width": 512, "height": 512, "length": 81, "batch_size": 1, **sizes}
    sampler = {"model": ["1", 0], "positive": ["3", 0], "negative": ["3", 0],
               "latent_image": ["4", 0], "seed": 1, "steps": 20, "cfg": 6.0,
               "sampler_name": "euler", "scheduler": "simple", "denoise": 1.0}
    nodes = [("UNETLoader", {"unet_name": "wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors",
                             "weight_dtype": "default"}),
             ("CLIPLoader", {"clip_name": "umt5_xxl_fp8_e4m3fn_scaled.safetensors",
                             "type": "wan"}),
             ("CLIPTextEncode", {"clip": ["2", 0], "text": "a"}),
             ("EmptyHunyuanLatentVideo", latent),
             ("KSampler", sampler),
             ("VAELoader", {"vae_name": "wan_2.1_vae.safetensors"}),
             ("VAEDecode", {"samples": ["5", 0], "vae": ["6", 0]}),
             ("SaveImage", {"images": ["7", 0], "filename_prefix": "x"})]
    return {str(i): {"class_type": name, "inputs": inputs}
            for i, (name, inputs) in enumerate(nodes, 1)}


def changed(node, **inputs):
    """The same with some inputs of one node replaced."""
    prompt = wan()
    prompt[node]["inputs"].update(inputs)
    return prompt


def scale(origin):
    return {"class_type": "ImageScale",
            "inputs": {"image": [origin, 0], "upscale_method": "area", "width": 8, "height": 8,
                       "crop": "disabled"}}


def save(origin):
    return {"class_type": "SaveImage", "inputs": {"images": [origin, 0], "filename_prefix": "x"}}


def subgraph(name, inner):
    return {"id": name, "name": name, "version": 1, "inputNode": {"id": -10}, "inputs": [],
            "outputNode": {"id": -20}, "outputs": [], "links": [],
            "nodes": [{"id": 2, "type": inner, "inputs": [], "outputs": []}]}


UI_SAVE = {"id": 3, "type": "SaveImage", "widgets_values": ["x"], "outputs": [],
           "inputs": [{"name": "images", "type": "IMAGE", "link": 77}]}
BAD_HEADER = b'{"a":{"dtype":"F16","shape":[4611686018427387904,4],"data_offsets":[0,8]}}'
INPUTS = {
    "good": wan,
    "wrong_type": lambda: changed("5", latent_image=["1", 0]),
    "wrong_output": lambda: changed("5", latent_image=["1", 7]),
    "number_id": lambda: changed("5", latent_image=[4, 0]),
    "steps_minus_1": lambda: changed("5", steps=-1),
    "steps_10_18": lambda: changed("5", steps=10**18),
    "steps_word": lambda: changed("5", steps="many"),
    "seed_browser": lambda: changed("5", seed=18446744073709552000),
    "twice": lambda: json.dumps(wan()).replace('"8":', '"4":').encode(),
    "cut": lambda: b'{"nodes":[{"id":1,"type":"KSampler"},',
    "binary": lambda: bytes(range(256)) * 40,
    "deep": lambda: b"[" * 10**6,
    "deep_objects": lambda: b'{"a":' * 10**6,
    "cycle": lambda: {"1": scale("2"), "2": scale("1"), "3": save("2")},
    "dangling": lambda: {"3": save("99")},
    "ui_dangling": lambda: {"nodes": [UI_SAVE], "links": [], "version": 0.4},
    "subgraph_in_itself": lambda: {
        "nodes": [{"id": 1, "type": "a", "inputs": [], "outputs": []}], "links": [],
        "version": 0.4, "definitions": {"subgraphs": [subgraph("a", "b"), subgraph("b", "a")]}},
    "nothing_to_run": lambda: {"1": {"class_type": "EmptyImage", "inputs": {}}},
    "long": lambda: wan(length=10**9),
    "wide": lambda: wan(width=2**62),
    "negative": lambda: wan(length=-5),
    "header_2_63": lambda: struct.pack("<Q", 2**63) + b"{}",
    "header_shape": lambda: struct.pack("<Q", len(BAD_HEADER)) + BAD_HEADER + bytes(8),
    "web_page": lambda: b"<!DOCTYPE html><title>Log in</title>",
}

value = INPUTS[sys.argv[1]]()
sys.stdout.buffer.write(value if isinstance(value, bytes) else json.dumps(value).encode())
