#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sizes of pictures and videos, from their headers, with what LoadImage and LoadVideo give: equal.

usage: media_real.py EBB

Pillow and PyAV of ComfyUI's own Python write small files of each kind: every EXIF orientation,
animations, videos of several containers. The real nodes of each checkout load them.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import support

WRITE = r"""
import sys
from fractions import Fraction
import av, numpy
from PIL import Image
out = sys.argv[1]
def picture():
    return Image.fromarray((numpy.random.rand(40, 96, 3) * 255).astype("uint8"))
def turned(orientation):
    exif = Image.Exif()
    exif[274] = orientation
    return exif
one, more = picture(), [picture() for _ in range(4)]
for orientation in range(1, 9):
    for kind in ("jpg", "png", "webp"):
        one.save(f"{out}/o{orientation}.{kind}", exif=turned(orientation))
    one.save(f"{out}/l{orientation}.webp", exif=turned(orientation), lossless=True)
    if Image.registered_extensions().get(".avif") == "AVIF":
        one.save(f"{out}/o{orientation}.avif", exif=turned(orientation))
for kind in ("jpg", "png", "webp", "gif", "bmp"):
    one.save(f"{out}/plain.{kind}")
one.save(f"{out}/progressive.jpg", progressive=True)
one.convert("RGBA").save(f"{out}/alpha.webp")
one.convert("L").save(f"{out}/grey.png")
for kind in ("gif", "webp", "png"):
    one.save(f"{out}/several.{kind}", save_all=True, append_images=more, duration=100)
def video(name, codec, width, height, frames, rate, **options):
    with av.open(f"{out}/{name}", "w", options=options) as file:
        stream = file.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for _ in range(frames):
            values = (numpy.random.rand(height, width, 3) * 255).astype("uint8")
            for packet in stream.encode(av.VideoFrame.from_ndarray(values, format="rgb24")):
                file.mux(packet)
        for packet in stream.encode():
            file.mux(packet)
video("a.mp4", "libx264", 192, 128, 33, 16)
video("b.mp4", "libx264", 194, 130, 17, Fraction(30000, 1001))
video("front.mp4", "libx264", 192, 128, 20, 24, movflags="faststart")
video("parts.mp4", "libx264", 192, 128, 20, 24, movflags="frag_keyframe+empty_moov")
video("c.mov", "libx264", 192, 128, 9, 25)
video("d.webm", "libvpx-vp9", 192, 128, 21, 24)
video("e.mkv", "libx264", 192, 128, 21, 24)
"""

LOAD = r"""
import json, os, sys
checkout, folder = sys.argv[1:3]
os.chdir(checkout)
sys.path.insert(0, checkout)
sys.argv = ["media_real", "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import folder_paths
folder_paths.set_input_directory(folder)
import nodes
from comfy_extras import nodes_video
found = {}
for name in sorted(os.listdir(folder)):
    rate = 0
    if name.split(".")[-1] in ("mp4", "mov", "webm", "mkv"):
        parts = nodes_video.LoadVideo.execute(name).result[0].get_components()
        pictures, rate = parts.images, float(parts.frame_rate)
    else:
        pictures = nodes.LoadImage().load_image(name)[0]
    count, height, width = pictures.shape[:3]
    found[name] = [width, height, count, rate]
print("FOUND" + json.dumps(found))
"""


def planned(ebb, folder):
    """What `ebb plan` says of a prompt that loads each file."""
    names = sorted(path.name for path in folder.iterdir())
    shown = str(names.index("alpha.webp"))
    prompt = {"out": {"class_type": "PreviewImage", "inputs": {"images": [shown, 0]}}}
    for number, name in enumerate(names):
        video = name.split(".")[-1] in ("mp4", "mov", "webm", "mkv")
        prompt[str(number)] = {"class_type": "LoadVideo" if video else "LoadImage",
                               "inputs": {"file" if video else "image": name}}
    done = subprocess.run([ebb, "plan", "-", "--json", "--vram", "24", "--input", str(folder)],
                          input=json.dumps(prompt), capture_output=True, text=True, check=True)
    return {names[int(each["node"])]: each for each in json.loads(done.stdout)["loaded"]}


def main():
    ebb = str(pathlib.Path(sys.argv[1]).resolve())
    folders, python = support.checkouts(), support.comfyui_python()
    bad = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary, "input")
        folder.mkdir()
        subprocess.run([python, "-c", WRITE, str(folder)], check=True, timeout=300)
        told = planned(ebb, folder)
        for checkout in folders:
            done = subprocess.run([python, "-c", LOAD, checkout, str(folder)], check=True,
                                  capture_output=True, text=True, timeout=1200)
            found = json.loads(done.stdout.split("FOUND", 1)[1])
            wrong = 0
            for name, (width, height, count, rate) in found.items():
                each = told.get(name, {})
                same = (each.get("kind") == "computed" and
                        [each["width_px"], each["height_px"], each["pictures"]] ==
                        [width, height, count] and
                        abs(each["frames_per_second"] - rate) < 0.01 * max(rate, 1))
                if not same:
                    wrong += 1
                    print(f"  {name}: {width}x{height}, {count}, {rate}; Ebb says {each}")
            print(f"{support.version_of(checkout)}: {len(found)} files, {wrong} differ")
            bad += wrong
    return 1 if bad else 0


sys.exit(main())
