#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times ebb as a whole process beside a peer that only reads the same files.

Usage: bench/run.py EBB_BINARY [--rounds N] [--quick] [--file NAME=PATH ...] [--all FOLDER]
                    [--only WORD]

Every row runs ebb and the peer in turn, N rounds (default 9, after one warm-up), and prints the
median of CPU seconds (user + system), the ratio, and ebb's peak memory. The peers are Python
programs that read what ebb reads and say nothing: json.load of the same file, the headers of the
same models, the boxes of the same video. --all adds `ebb show` on every JSON file below a folder.
--quick uses tiny sizes and one round: a test that the benchmark still runs.
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
from functools import partial

ROOT = pathlib.Path(__file__).resolve().parents[1]


def cost(command, may_fail=False):
    """CPU seconds and peak KiB of one run; fails loudly if the command does and may not."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0 and not may_fail:
        sys.exit(f"{command}: exit {child.returncode}: {error.decode()[:400]}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def apart(work, *arguments):
    """Does it in a process of its own: a child starts with its parent's peak memory as its own."""
    child = os.fork()
    if child == 0:
        work(*arguments)
        os._exit(0)
    if os.waitpid(child, 0)[1] != 0:
        sys.exit(f"{work.__name__}{arguments} failed")


def write_json(path, make, argument, style):
    path.write_text(json.dumps(make(argument), **style))


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


def write_models(folder, count, each, prompt_path):
    """`count` safetensors files of `each` tensors, and a prompt that names them all."""
    models = folder / f"models{each}" / "diffusion_models"
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
    prompt_path.write_text(json.dumps(prompt))


def sampling_graph(nodes):
    """A UI graph as the front end keeps it in pictures, of about `nodes` nodes."""
    graph = {"last_node_id": nodes, "last_link_id": 0, "nodes": [], "links": [], "groups": [],
             "config": {}, "extra": {}, "version": 0.4}

    def add(kind, inputs, outputs, values):
        number = len(graph["nodes"]) + 1
        node = {"id": number, "type": kind, "pos": [number, 0], "size": [270, 130], "flags": {},
                "order": number, "mode": 0, "inputs": [],
                "outputs": [{"name": t, "type": t, "links": []} for t in outputs],
                "properties": {"Node name for S&R": kind}, "widgets_values": values}
        for slot, (name, source, source_slot) in enumerate(inputs):
            link = len(graph["links"]) + 1
            output = graph["nodes"][source - 1]["outputs"][source_slot]
            output["links"].append(link)
            node["inputs"].append({"name": name, "type": output["type"], "link": link})
            graph["links"].append([link, source, source_slot, number, slot, output["type"]])
        graph["nodes"].append(node)
        return number

    add("CheckpointLoaderSimple", [], ["MODEL", "CLIP", "VAE"], ["sd_xl_base_1.0.safetensors"])
    add("CLIPTextEncode", [("clip", 1, 1)], ["CONDITIONING"], ["a"])
    latent = add("EmptyLatentImage", [], ["LATENT"], [1024, 1024, 1])
    while len(graph["nodes"]) < nodes:
        latent = add("KSampler", [("model", 1, 0), ("positive", 2, 0), ("negative", 2, 0),
                                  ("latent_image", latent, 0)], ["LATENT"],
                     [latent, "fixed", 20, 8, "euler", "normal", 1])
        image = add("VAEDecode", [("samples", latent, 0), ("vae", 1, 2)], ["IMAGE"], [])
        add("PreviewImage", [("images", image, 0)], [], [])
    graph["last_link_id"] = len(graph["links"])
    return graph


def write_video(path, content_bytes):
    """An MP4 whose tag with the workflow stands behind `content_bytes` that nobody wrote."""
    def box(kind, body):
        return struct.pack(">I", 8 + len(body)) + kind + body
    workflow = (ROOT / "examples/workflows/wan22_two_pass.json").read_bytes()
    data = box(b"data", struct.pack(">II", 1, 0) + workflow)
    handler = box(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))
    meta = box(b"meta", bytes(4) + handler + box(b"ilst", box(b"\xa9cmt", data)))
    with open(path, "wb") as video:
        video.write(box(b"ftyp", b"isom\0\0\2\0isommp41"))
        video.write(struct.pack(">I4sQ", 1, b"mdat", 16 + content_bytes))
        video.seek(content_bytes, 1)
        video.write(box(b"moov", box(b"udta", meta)))


MACHINE = ["--vram", "24G", "--ram", "64G"]
READ_JSON = "import json,sys; json.load(open(sys.argv[1], encoding='utf-8'))"
READ_HEADERS = """
import json, pathlib, struct, sys
for path in pathlib.Path(sys.argv[1]).rglob("*.safetensors"):
    with open(path, "rb") as file:
        json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
"""
READ_BOXES = """
import struct, sys
with open(sys.argv[1], "rb") as file:
    while head := file.read(8):
        size, kind = struct.unpack(">I4s", head)
        size -= 8
        if size == -7: size = struct.unpack(">Q", file.read(8))[0] - 16
        file.read(size) if kind == b"moov" else file.seek(size, 1)
"""
READ_ALL = """
import json, sys
for path in open(sys.argv[1]).read().splitlines():
    try: json.load(open(path, encoding="utf-8"))
    except ValueError: pass
"""


def plan_row(path):
    return os.path.getsize(path), ["plan", str(path), *MACHINE], READ_JSON, path


def chain_row(folder, nodes):
    path = folder / f"chain{nodes}.json"
    apart(write_json, path, chain_prompt, nodes, {"indent": 2})
    return plan_row(path)


def models_row(folder, count, each):
    path = folder / f"models{each}.json"
    apart(write_models, folder, count, each, path)
    models = folder / f"models{each}"
    size = sum(os.path.getsize(model) for model in models.rglob("*.safetensors"))
    command = ["plan", str(path), *MACHINE, "--models", str(models)]
    return size, command, READ_HEADERS, models


def graph_row(folder, nodes):
    path = folder / "graph.json"
    apart(write_json, path, sampling_graph, nodes, {"separators": (",", ":")})
    return os.path.getsize(path), ["convert", str(path)], READ_JSON, path


def video_row(folder, content_bytes):
    path = folder / "video.mp4"
    write_video(path, content_bytes)
    return os.path.getsize(path), ["convert", str(path)], READ_BOXES, path


def all_row(folder, root):
    """Files that are no workflows make ebb exit with 3."""
    files = sorted(str(p) for p in pathlib.Path(root).rglob("*.json") if p.is_file())
    listed = folder / "files.txt"
    listed.write_text("\n".join(files))
    return sum(map(os.path.getsize, files)), ["show", *files], READ_ALL, listed


def rows(arguments, folder):
    """(name, what makes the row: bytes read, ebb's arguments, the peer's code and argument)."""
    scale = 50 if arguments.quick else 1
    example = ROOT / "examples/workflows/wan22_two_pass.json"
    yield "example (two-pass Wan 2.2)", partial(plan_row, example)
    for spec in arguments.file:
        name, path = spec.split("=", 1)
        yield name, partial(plan_row, path)
    for nodes in (2_500, 5_000, 10_000):  # of 100,000 Ebb plans a part only
        nodes //= scale
        yield f"generated prompt, {nodes:,} nodes", partial(chain_row, folder, nodes)
    for each in (50, 300):
        count = 300 // scale  # of 1,000 a plan would hold too many numbers
        yield f"{count:,} headers of {each} tensors", partial(models_row, folder, count, each)
    nodes = 225_000 // scale
    yield f"convert a graph, {nodes:,} nodes", partial(graph_row, folder, nodes)
    yield "convert a video, its tag at the end", partial(video_row, folder, (4 << 30) // scale)
    if arguments.all:
        yield "show all files of a folder", partial(all_row, folder, arguments.all)


def peer(code, argument):
    return [sys.executable, "-c", code, str(argument)]


def print_row(name, size, pairs):
    """The medians of pairs of costs, ebb's and the peer's."""
    ours, theirs = (statistics.median(pair[who][0] for pair in pairs) for who in (0, 1))
    peak_kib = statistics.median(pair[0][1] for pair in pairs)
    print(f"{name:36} {size / 1024:9.0f} {1000 * ours:8.1f} {1000 * theirs:8.1f} "
          f"{ours / theirs:6.2f} {peak_kib / 1024:9.1f} {peak_kib * 1024 / size:7.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--file", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--all", metavar="FOLDER")
    parser.add_argument("--only", default="", metavar="WORD", help="rows with this in their name")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds = 1

    print(f"{'':36} {'read KiB':>9} {'ebb ms':>8} {'peer ms':>8} {'ratio':>6} {'peak MiB':>9} "
          f"{'x read':>7}")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for name, make in rows(arguments, folder):
            if arguments.only not in name:
                continue
            size, command, code, argument = make()
            ebb = [arguments.binary, *command]
            other = peer(code, argument)
            may_fail = command[0] == "show"
            cost(ebb, may_fail), cost(other)
            pairs = [(cost(ebb, may_fail), cost(other)) for _ in range(arguments.rounds)]
            print_row(name, size, pairs)


main()
