#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What kind of model a diffusion model's tensors show: Ebb and each checkout's model_detection.

usage: detect_real.py PRINT_WEIGHTS

ComfyUI's own classes are built without memory (device meta) in the dimensions of public models, and
their names and shapes written as headers of files that hold nothing. ComfyUI says which class of
supported_models it would take; Ebb must say the same class, and the row of its tables that the
model belongs to. The number of values of each is compared with Ebb's table of known models, too.
Classes that no such model has are built in the dimensions of their networks' defaults: of those
Ebb must say the class or nothing at all.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

import support

sys.path.insert(0, str(support.ROOT / "tools"))
from model_variants import ROWS

BUILD = pathlib.Path(__file__).with_name("build_models.py")

# Models of src/weights/known_models.inc that must have as many values.
KNOWN = {
    "wan-14b": "wan21_t2v_14b_fp16",
    "wan-14b-i2v": "wan22_i2v_14b_fp16",
    "wan-14b-i2v-clip": "wan21_i2v_14b_fp16",
    "wan-5b": "wan22_ti2v_5b_fp16",
    "wan fun inp 1.3b": "wan21_fun_inp_1.3b_bf16",
    "wan fun control 1.3b": "wan21_fun_control_1.3b_bf16",
    "wan fun camera 1.3b": "wan21_fun_camera_1.3b_bf16",
    "wan fun camera 14b": "wan21_fun_camera_14b_bf16",
    "wan-vace-14b": "wan_vace_14b_fp16",
    "wan-s2v-14b": "wan_s2v_14b_bf16",
    "flux": "flux1_dev_bf16",
    "flux schnell": "flux1_schnell_bf16",
    "flux fill": "flux1_fill_bf16",
    "hunyuan-video": "hunyuan_video_t2v_bf16",
    "hunyuan-image-21": "hunyuan_image_21_bf16",
    "sdxl": "sdxl",
    "sd15": "sd15",
    "sd21": "sd21",
    "ltxv-2b": "ltxv_2b_bf16",
    "ltxv-13b": "ltxv_13b_bf16",
    "ltxav": "ltxav_19b_bf16",
    "qwen-image": "qwen_image_bf16",
    "hunyuan-dit": "hunyuan_dit_fp16",
    "sd3-medium": "sd3_medium_fp16",
    "sd35-large": "sd35_large_fp16",
}
# 0.8.0 keeps LTX-2's two connectors in the text encoder; the table counts as later versions do.
AV_CONNECTORS = 2 * 354470400


def known_values():
    text = (support.ROOT / "src/weights/known_models.inc").read_text(encoding="utf-8")
    return {
        key: int(values)
        for key, values in re.findall(r'\{"([^"]+)", \w+, "[^"]*", "[^"]*", (\d+)', text)
    }


def build_models(python, checkout, folder):
    done = subprocess.run(
        [python, str(BUILD), checkout, folder],
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
        cwd=folder,
    )
    if done.returncode != 0:
        sys.exit(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"name"')]


def classes_of(checkout):
    text = pathlib.Path(checkout, "comfy/supported_models.py").read_text(encoding="utf-8")
    return set(re.findall(r"^class (\w+)", text, re.MULTILINE))


def differences(row, answer, known, classes):
    """One line for each thing that Ebb and ComfyUI, or Ebb and its table, see differently.

    Ebb names the class that the newest version would; where this one lacks it, it takes the model
    for something else.
    """
    if not row["key"]:
        answered = answer.get("architecture") or answer.get("class")
        if answered and answer.get("class") != row["class"]:
            yield f"{row['name']}: taken for {answer.get('architecture')} ({answer.get('class')})"
        return
    wanted = {
        "architecture": ROWS.get(row["name"], row["key"]),
        "class": row["class"],
        "values": row["values"],
    }
    for what, value in wanted.items():
        newer = what == "class" and answer.get(what) not in classes
        if answer.get(what) != value and not newer:
            yield f"{row['name']}: {what} {value}, Ebb {answer.get(what)}"
    in_table = known.get(KNOWN.get(row["name"]))
    lacking = AV_CONNECTORS if row["name"] == "ltxav" else 0
    if in_table is not None and row["values"] != in_table - lacking:
        if abs(in_table - row["values"]) > row["values"] // 10000:
            yield f"{row['name']}: {row['values']} values, in Ebb's table {in_table}"


def main():
    python = support.comfyui_python()
    known, failed = known_values(), 0
    for checkout in support.checkouts():
        with tempfile.TemporaryDirectory() as folder:
            every = build_models(python, checkout, folder)
            rows = [row for row in every if "path" in row]
            names = classes_of(checkout)
            questions = [f"model\t{row['path']}" for row in rows]
            for row, answer in zip(rows, support.ask_ebb(sys.argv[1], questions)):
                for line in differences(row, answer, known, names):
                    print("  " + line)
                    failed += 1
        lacking = [f"{row['name']} ({row['lacking']})" for row in every if "path" not in row]
        classes = len({row["class"] for row in rows})
        counted = sum(row["name"] in KNOWN for row in rows)
        print(
            f"ComfyUI {support.version_of(checkout)}: {len(rows)} models of {classes} classes "
            f"compared, {counted} with the table"
        )
        if lacking:
            print(f"  not built: {'; '.join(lacking)}")
    print(f"{failed} differences")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
