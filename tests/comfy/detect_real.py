#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What kind of model a diffusion model's tensors show: Ebb and each checkout's model_detection.

usage: detect_real.py PRINT_WEIGHTS

ComfyUI's own classes are built without memory (device meta) in the dimensions of public models, and
their names and shapes written as headers of files that hold nothing. ComfyUI says which class of
supported_models it would take; Ebb must name the row of its tables that belongs to that class and
width. The number of values of each is compared with Ebb's table of known models, too.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

import support

BUILD = pathlib.Path(__file__).with_name("build_models.py")

# ComfyUI's class -> Ebb's row; {} is the size, which ComfyUI keeps in the configuration.
ROWS = {
    "WAN21_T2V": "wan-{}",
    "WAN21_I2V": "wan-{}",
    "WAN22_T2V": "wan-{}",
    "WAN22_I2V": "wan-{}",
    "WAN21_FunControl2V": "wan-{}",
    "WAN21_Camera": "wan-{}",
    "WAN22_Camera": "wan-{}",
    "WAN21_HuMo": "wan-{}",
    "WAN21_Vace": "wan-vace-{}",
    "WAN22_S2V": "wan-s2v-{}",
    "Flux": "flux",
    "FluxSchnell": "flux",
    "FluxInpaint": "flux",
    "Flux2": "flux2",
    "HunyuanVideo": "hunyuan-video",
    "HunyuanVideoI2V": "hunyuan-video",
    "HunyuanVideoSkyreelsI2V": "hunyuan-video",
    "HunyuanImage21": "hunyuan-image-21",
    "SD15": "sd15",
    "SD20": "sd21",
    "SD21UnclipH": "sd21",
    "SDXL": "sdxl",
    "SDXLRefiner": "sdxl-refiner",
    "LTXAV": "ltxav",
    "QwenImage": "qwen-image",
    "HunyuanDiT": "hunyuan-dit",
    "LongCatImage": "longcat-image",
    "Anima": "anima",
    "ACEStep15": "ace-step-15",
}
WIDTHS = {5120: "14b", 3072: "5b", 1536: "1.3b"}
BY_NAME = {
    "ltxv 2b": "ltxv-2b",
    "ltxv 13b": "ltxv-13b",
    "sd3 medium": "sd3-medium",
    "sd3.5 large": "sd35-large",
    "longcat image": "longcat-image",  # 0.8.0 takes it for Flux Schnell, whose factor its row has
}  # one class of ComfyUI, two rows
# Models of src/weights/known_models.inc that must have as many values.
KNOWN = {
    "wan t2v 14b": "wan21_t2v_14b_fp16",
    "wan 2.1 i2v 14b": "wan21_i2v_14b_fp16",
    "wan 2.2 i2v 14b": "wan22_i2v_14b_fp16",
    "wan ti2v 5b": "wan22_ti2v_5b_fp16",
    "wan fun inp 1.3b": "wan21_fun_inp_1.3b_bf16",
    "wan fun control 1.3b": "wan21_fun_control_1.3b_bf16",
    "wan fun camera 1.3b": "wan21_fun_camera_1.3b_bf16",
    "wan fun camera 14b": "wan21_fun_camera_14b_bf16",
    "wan vace 14b": "wan_vace_14b_fp16",
    "wan s2v 14b": "wan_s2v_14b_bf16",
    "flux dev": "flux1_dev_bf16",
    "flux schnell": "flux1_schnell_bf16",
    "flux fill": "flux1_fill_bf16",
    "hunyuan video": "hunyuan_video_t2v_bf16",
    "hunyuan image 2.1": "hunyuan_image_21_bf16",
    "sdxl": "sdxl",
    "sd15": "sd15",
    "sd21": "sd21",
    "ltxv 2b": "ltxv_2b_bf16",
    "ltxv 13b": "ltxv_13b_bf16",
    "ltxav 19b": "ltxav_19b_bf16",
    "qwen image": "qwen_image_bf16",
    "hunyuan dit": "hunyuan_dit_fp16",
    "sd3 medium": "sd3_medium_fp16",
    "sd3.5 large": "sd35_large_fp16",
}
# 0.8.0 keeps LTX-2's two connectors in the text encoder; the table counts as later versions do.
AV_CONNECTORS = 2 * 354470400


def known_values():
    text = (support.ROOT / "src/weights/known_models.inc").read_text(encoding="utf-8")
    return {
        key: int(values)
        for key, values in re.findall(r'\{"([^"]+)", \w+, "[^"]*", "[^"]*", (\d+)', text)
    }


def main():
    python = support.comfyui_python()
    known, failed = known_values(), 0
    for checkout in support.checkouts():
        compared = counted = 0
        lacking = []
        with tempfile.TemporaryDirectory() as folder:
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
            rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('["')]
            lacking = [f"{name} ({why})" for name, path, why, _, _ in rows if path is None]
            rows = [row for row in rows if row[1] is not None]
            ours = subprocess.run(
                [sys.argv[1]],
                input="".join(f"model\t{row[1]}\n" for row in rows),
                capture_output=True,
                text=True,
                timeout=300,
                check=True,
            )
            for (name, _, class_name, values, width), line in zip(rows, ours.stdout.splitlines()):
                answer = json.loads(line)
                wanted = BY_NAME.get(name) or ROWS.get(
                    class_name, f"no row for {class_name}"
                ).format(WIDTHS.get(width, "?"))
                good = answer.get("architecture") == wanted and answer.get("values") == values
                compared += 1
                if not good:
                    print(
                        f"  {name}: ComfyUI {class_name} {width}, {values} values: {wanted}; "
                        f"Ebb: {answer}"
                    )
                row = known.get(KNOWN.get(name, ""))
                if name == "ltxav 19b" and values == row - AV_CONNECTORS:
                    row = values
                if row is not None:
                    counted += 1
                    if abs(row - values) > values // 10000:
                        good = False
                        print(f"  {name}: {values} values, in Ebb's table {row}")
                failed += not good
        print(
            f"ComfyUI {support.version_of(checkout)}: {compared} models compared, "
            f"{counted} with the table"
            + (f"; this version lacks {'; '.join(lacking)}" if lacking else "")
        )
    print(f"{failed} differences")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
