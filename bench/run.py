#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times `ebb plan` as a whole process beside a peer that only reads the same file.

Usage: bench/run.py EBB_BINARY [--rounds N] [--quick] [--file NAME=PATH ...]

Every row runs ebb and the peer in turn, N rounds (default 9, after one warm-up), and prints the
median of CPU seconds (user + system), the ratio, and ebb's peak memory. The peer is Python's
json.load on the same file: what any script does before it can say anything. --quick uses tiny
sizes and one round: a test that the benchmark still runs.
"""
import argparse
import json
import os
import pathlib
import statistics
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]


def cost(command):
    """CPU seconds and peak KiB of one run; fails loudly if the command does."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{command}: exit {child.returncode}: {error.decode()[:400]}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def chain_prompt(nodes):
    """A prompt as ComfyUI exports it, of about `nodes` nodes: two-model samplings in a row."""
    prompt = {"1": {"class_type": "CLIPLoader", "inputs": {
                  "clip_name": "umt5_xxl_fp8_e4m3fn_scaled.safetensors", "type": "wan"}},
              "2": {"class_type": "VAELoader", "inputs": {"vae_name": "wan_2.1_vae.safetensors"}},
              "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "a", "clip": ["1", 0]}},
              "4": {"class_type": "EmptyHunyuanLatentVideo", "inputs": {
                  "width": 832, "height": 480, "length": 81, "batch_size": 1}}}
    for at, name in ((5, "high"), (6, "low")):
        prompt[str(at)] = {"class_type": "UNETLoader", "inputs": {
            "unet_name": f"wan2.2_t2v_{name}_noise_14B_fp8_scaled.safetensors",
            "weight_dtype": "default"}}
    latent, number = "4", 7
    while number < nodes:
        for model in ("5", "6"):
            prompt[str(number)] = {"class_type": "KSampler", "inputs": {
                "seed": number, "steps": 4, "cfg": 1, "sampler_name": "euler",
                "scheduler": "simple", "denoise": 1, "model": [model, 0], "positive": ["3", 0],
                "negative": ["3", 0], "latent_image": [latent, 0]}}
            latent, number = str(number), number + 1
        prompt[str(number)] = {"class_type": "VAEDecode", "inputs": {
            "samples": [latent, 0], "vae": ["2", 0]}}
        prompt[str(number + 1)] = {"class_type": "PreviewImage", "inputs": {
            "images": [str(number), 0]}}
        number += 2
    for node in prompt.values():
        node["_meta"] = {"title": node["class_type"]}
    return prompt


def write_models(folder, count, each):
    """`count` safetensors files of `each` tensors, and a prompt that names them all."""
    models = pathlib.Path(folder) / f"models{each}" / "diffusion_models"
    models.mkdir(parents=True)
    tensors = {f"blocks.{i}.ffn.0.weight": {"dtype": "F16", "shape": [8, 8],
                                            "data_offsets": [i * 128, i * 128 + 128]}
               for i in range(each)}
    header = json.dumps(tensors).encode()
    body = struct.pack("<Q", len(header)) + header + bytes(each * 128)
    prompt = {}
    for i in range(count):
        (models / f"m{i}.safetensors").write_bytes(body)
        prompt[str(3 * i + 1)] = {"class_type": "UNETLoader", "inputs": {
            "unet_name": f"m{i}.safetensors", "weight_dtype": "default"}}
        prompt[str(3 * i + 2)] = {"class_type": "ModelSave", "inputs": {
            "model": [str(3 * i + 1), 0], "filename_prefix": "x"}}
    return prompt


def rows(arguments, folder):
    """(name, file, extra arguments) of every row."""
    scale = 50 if arguments.quick else 1
    yield "example (two-pass Wan 2.2)", ROOT / "examples/workflows/wan22_two_pass.json", []
    for spec in arguments.file:
        name, path = spec.split("=", 1)
        yield name, path, []
    for nodes in (2_500, 5_000, 10_000):
        path = pathlib.Path(folder) / f"chain{nodes}.json"
        path.write_text(json.dumps(chain_prompt(nodes // scale), indent=2))
        yield f"generated prompt, {nodes // scale:,} nodes", path, []
    for each in (50, 300):
        path = pathlib.Path(folder) / f"models{each}.json"
        path.write_text(json.dumps(write_models(folder, 1000 // scale, each)))
        models = str(pathlib.Path(folder) / f"models{each}")
        yield f"{1000 // scale:,} headers of {each} tensors", path, ["--models", models]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--file", action="append", default=[], metavar="NAME=PATH")
    arguments = parser.parse_args()
    rounds = 1 if arguments.quick else arguments.rounds
    peer_code = "import json,sys; json.load(open(sys.argv[1], encoding='utf-8'))"
    print(f"{'':36} {'file KiB':>9} {'ebb ms':>8} {'peer ms':>8} {'ratio':>6} {'peak MiB':>9} "
          f"{'x file':>7}")
    with tempfile.TemporaryDirectory() as folder:
        for name, path, extra in rows(arguments, folder):
            ebb = [arguments.binary, "plan", str(path), "--vram", "24G", "--ram", "64G", *extra]
            peer = [sys.executable, "-c", peer_code, str(path)]
            cost(ebb), cost(peer)
            pairs = [(cost(ebb), cost(peer)) for _ in range(rounds)]
            ours = statistics.median(a[0] for a, _ in pairs)
            theirs = statistics.median(b[0] for _, b in pairs)
            peak = statistics.median(a[1] for a, _ in pairs)
            size = os.path.getsize(path)
            print(f"{name:36} {size / 1024:9.0f} {1000 * ours:8.1f} {1000 * theirs:8.1f} "
                  f"{ours / theirs:6.2f} {peak / 1024:9.1f} {peak * 1024 / size:7.1f}")


main()
