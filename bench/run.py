#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times ebb as a whole process beside a peer that only reads the same files.

Usage: bench/run.py EBB_BINARY [--rounds N] [--quick] [--file NAME=PATH ...] [--all FOLDER]
                    [--only WORD]

Every row runs ebb and the peer in turn, N rounds (default 9, after one warm-up), and prints the
median of CPU seconds (user + system), the ratio, and ebb's peak memory. The peers are Python
programs that read what ebb reads and say nothing: json.load of the same file, the headers of the
same models, the boxes of the same video. --all adds `ebb show` on every JSON file below a folder,
a process each, beside one Python process that reads them all. --quick uses tiny sizes and one
round: a test that the benchmark still runs.
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


def rows(arguments, folder):
    """(name, bytes read, ebb's arguments, the peer's code and argument) of every row."""
    scale = 50 if arguments.quick else 1

    def plan(name, path, extra=()):
        return name, os.path.getsize(path), ["plan", str(path), *MACHINE, *extra], READ_JSON, path

    yield plan("example (two-pass Wan 2.2)", ROOT / "examples/workflows/wan22_two_pass.json")
    for spec in arguments.file:
        yield plan(*spec.split("=", 1))
    for nodes in (2_500, 5_000, 10_000, 100_000):
        path = folder / f"chain{nodes}.json"
        apart(write_json, path, chain_prompt, nodes // scale, {"indent": 2})
        yield plan(f"generated prompt, {nodes // scale:,} nodes", path)
    for each in (50, 300):
        path = folder / f"models{each}.json"
        apart(write_models, folder, 1000 // scale, each, path)
        models = folder / f"models{each}"
        size = sum(os.path.getsize(model) for model in models.rglob("*.safetensors"))
        yield (f"{1000 // scale:,} headers of {each} tensors", size,
               ["plan", str(path), *MACHINE, "--models", str(models)], READ_HEADERS, models)
    path = folder / "graph.json"
    apart(write_json, path, sampling_graph, 225_000 // scale, {"separators": (",", ":")})
    yield (f"convert a graph, {225_000 // scale:,} nodes", os.path.getsize(path),
           ["convert", str(path)], READ_JSON, path)
    path = folder / "video.mp4"
    write_video(path, (4 << 30) // scale)
    yield ("convert a video, its tag at the end", os.path.getsize(path), ["convert", str(path)],
           READ_BOXES, path)


def row_of_all(arguments, folder, peer):
    """`ebb show` on every JSON file below a folder: the sum of the processes, and the largest."""
    files = sorted(p for p in pathlib.Path(arguments.all).rglob("*.json") if p.is_file())
    listed = folder / "files.txt"
    listed.write_text("\n".join(map(str, files)))
    rounds, peers, most = [], [], []
    for _ in range(arguments.rounds):
        each = [cost([arguments.binary, "show", str(file)], may_fail=True) for file in files]
        rounds.append(sum(seconds for seconds, _ in each))
        most.append(max(each))
        peers.append(cost([*peer(READ_ALL), str(listed)])[0])
    size = sum(os.path.getsize(file) for file in files)
    print_row(f"show, {len(files):,} files, a process each", size, statistics.median(rounds),
              statistics.median(peers), max(kib for _, kib in most))
    print(f"    the dearest of them: {1000 * statistics.median(s for s, _ in most):.1f} ms")


def print_row(name, size, ours, theirs, peak_kib):
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

    def peer(code):
        return [sys.executable, "-c", code]

    print(f"{'':36} {'read KiB':>9} {'ebb ms':>8} {'peer ms':>8} {'ratio':>6} {'peak MiB':>9} "
          f"{'x read':>7}")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for name, size, command, code, argument in rows(arguments, folder):
            if arguments.only not in name:
                continue
            ebb = [arguments.binary, *command]
            other = [*peer(code), str(argument)]
            cost(ebb), cost(other)
            pairs = [(cost(ebb), cost(other)) for _ in range(arguments.rounds)]
            print_row(name, size, statistics.median(a[0] for a, _ in pairs),
                      statistics.median(b[0] for _, b in pairs),
                      statistics.median(a[1] for a, _ in pairs))
        if arguments.all:
            row_of_all(arguments, folder, peer)


main()
