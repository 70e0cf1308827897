#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sizes that nodes compute: Ebb's against each checkout's own nodes, executed.

usage: numbers_real.py EBB [SEED]

Random inputs for the nodes that official workflows compute widths, heights and lengths with. Ebb
gets a prompt whose latent is as many latent pixels wide and high as the node says, and plans it.
"""
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import support

RUN = pathlib.Path(__file__).with_name("run_numbers.py")
RATIOS = ["1:1 (Square)", "2:3 (Portrait Photo)", "3:2 (Photo)", "3:4 (Portrait Standard)",
          "4:3 (Standard)", "9:16 (Portrait Widescreen)", "16:9 (Widescreen)", "21:9 (Ultrawide)"]
EXPRESSIONS = ["(a // 32) * 32", "a & ~1", "a & -8", "max(4, (int(a) // 16) * 16)",
               "floor(a/32)*32", "a % b if b > 50 else a // 2", "round (a * 24) // b + 1",
               "max(5, round(a * 24)) + (5 - (max(5, round(a * 24)) % 17)) % 17",
               "4 * ceil((a - 3 * 5 + 4) / 4) + 1",
               "min(max(int(a if a >= 300 else b + a), 0), 2000)",
               "ceil(1.5 * log2(max(a, b))) + 2", "(a > b) * 7 + 5",
               "a if a > 9 and not b < 3 else b",
               "int(a / b) + 1", "pow(2, 5) + a", "(a ^ b) + 1", "(a | 3) + (b << 1)",
               "sum(a, b, 1)", "sqrt(a * b)", "a - -b", "2 ** 3 ** 2 + b", "-3 // 2 + a"]
RESIZES = {"scale dimensions": {"width": (1, 900), "height": (1, 900), "crop": ["center"]},
           "scale by multiplier": {"multiplier": (0.1, 2.0)},
           "scale longer dimension": {"longer_size": (16, 900)},
           "scale shorter dimension": {"shorter_size": (16, 700)},
           "scale width": {"width": (16, 900)}, "scale height": {"height": (16, 900)},
           "scale total pixels": {"megapixels": (0.02, 0.6)},
           "scale to multiple": {"multiple": (1, 64)}}
CASES_PER_CLASS = 60


def drawn(dice, limits):
    if isinstance(limits, list):
        return dice.choice(limits)
    low, high = limits
    return dice.randint(low, high) if isinstance(low, int) else round(dice.uniform(low, high), 2)


def make_case(dice, name):
    picture = [dice.randint(40, 600), dice.randint(40, 600)]
    if name == "ResolutionSelector":
        inputs = {"aspect_ratio": dice.choice(RATIOS), "megapixels": round(dice.uniform(0.1, 2), 1),
                  "multiple": dice.choice([8, 16, 32, 64, 12])}
    elif name == "ComfyMathExpression":
        inputs = {"expression": dice.choice(EXPRESSIONS), "values.a": dice.randint(20, 900),
                  "values.b": dice.randint(1, 100)}
    elif name == "ImageScaleToTotalPixels":
        inputs = {"upscale_method": "area", "megapixels": round(dice.uniform(0.02, 0.6), 2),
                  "resolution_steps": dice.choice([1, 8, 16, 32])}
    else:
        kind = dice.choice(list(RESIZES))
        inputs = {"resize_type": kind, "scale_method": "area"}
        for key, limits in RESIZES[kind].items():
            inputs["resize_type." + key] = drawn(dice, limits)
    return {"class": name, "inputs": inputs, "picture": picture}


def prompt_of(case):
    """A prompt with one sampler whose latent has as many pixels as the node's numbers."""
    def node(name, **inputs):
        return {"class_type": name, "inputs": inputs}

    prompt = {
        "1": node("CheckpointLoaderSimple", ckpt_name="sd_xl_base_1.0.safetensors"),
        "2": node("CLIPTextEncode", clip=["1", 1], text=""),
        "5": node("EmptyImage", width=case["picture"][0], height=case["picture"][1], batch_size=1,
                  color=0),
        "6": node(case["class"], **case["inputs"]),
        "7": node("GetImageSize", image=["6", 0]),
        "20": node("EmptyLatentImage", width=["10", 1], height=["11", 1], batch_size=1),
        "21": node("KSampler", model=["1", 0], positive=["2", 0], negative=["2", 0],
                   latent_image=["20", 0], seed=1, steps=1, cfg=1.0, sampler_name="euler",
                   scheduler="normal", denoise=1.0),
        "22": node("SaveLatent", samples=["21", 0], filename_prefix="x"),
    }
    of_picture = case["class"] in ("ImageScaleToTotalPixels", "ResizeImageMaskNode")
    if of_picture:
        prompt["6"]["inputs"]["input" if "resize_type" in case["inputs"] else "image"] = ["5", 0]
        wide, high = ["7", 0], ["7", 1]
    else:
        del prompt["5"], prompt["7"]
        wide, high = ((["6", 1], ["6", 1]) if case["class"] == "ComfyMathExpression"
                      else (["6", 0], ["6", 1]))
    for at, link in (("10", wide), ("11", high)):
        prompt[at] = node("ComfyMathExpression", expression="a * 8", **{"values.a": link})
    return prompt


def ebb_size(ebb, folder, case, version):
    path = pathlib.Path(folder, "prompt.json")
    path.write_text(json.dumps(prompt_of(case)), encoding="utf-8")
    done = subprocess.run([ebb, "plan", str(path), "--json", "--vram", "24G", "--ram", "64G",
                           "--comfyui", version], capture_output=True, text=True, check=False)
    if done.returncode:
        return done.stderr.strip()[:200]
    picture = json.loads(done.stdout)["picture"]
    return picture and [picture["width_px"] // 8, picture["height_px"] // 8]


def main():
    python = support.comfyui_python()
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**6)
    dice = random.Random(seed)
    cases = [make_case(dice, name) for name in ("ResolutionSelector", "ComfyMathExpression",
                                                "ImageScaleToTotalPixels", "ResizeImageMaskNode")
             for _ in range(CASES_PER_CLASS)]
    failed = 0
    for checkout in support.checkouts():
        version = support.version_of(checkout)
        done = subprocess.run([python, str(RUN), checkout], text=True, capture_output=True,
                              input="".join(json.dumps(case) + "\n" for case in cases), check=False)
        lines = [line for line in done.stdout.splitlines() if line[:1] in "[{"]
        if done.returncode or len(lines) != len(cases):
            sys.exit(done.stderr)
        compared = 0
        with tempfile.TemporaryDirectory() as folder:
            for case, line in zip(cases, lines):
                real = json.loads(line)
                if isinstance(real, dict):
                    continue
                if case["class"] == "ComfyMathExpression":
                    real = [int(real[1])] * 2
                if not 1 <= min(real) <= max(real) <= 2048:
                    continue
                compared += 1
                mine = ebb_size(sys.argv[1], folder, case, version)
                if mine != real:
                    print(f"  {case['class']} {case['inputs']} of {case['picture']}: "
                          f"{real}, Ebb {mine}")
                    failed += 1
        print(f"ComfyUI {version}: {compared} of {len(cases)} sizes compared (seed {seed})")
    print(f"{failed} differences")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
