#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ebb calibrate` in each real ComfyUI: every figure of some models within 1 % of the table.

usage: calibrate_real.py EBB
"""
import subprocess
import sys

import support


def main():
    python = support.comfyui_python()
    failed = 0
    for folder in support.checkouts():
        words = [sys.argv[1], "calibrate", "--comfyui", folder, "--python", python]
        for key in ("wan-1.3b", "flux", "sdxl", "svd", "stable-cascade-c", "stable-cascade-b",
                    "ltxav", "hunyuan3d", "stable-audio", "kl-vae", "controlnet-sd15",
                    "controlnet-sdxl", "two-controlnets-sdxl", "controlnet-flux",
                    "controlnet-qwen-image", "two-controlnets-qwen-image",
                    "rrdb-x4"):
            words += ["--only", key]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        good = done.returncode == 0 and "0 of 0" not in done.stdout
        failed += not good
        print(f"ComfyUI {support.version_of(folder)}: exit {done.returncode}")
        print(done.stdout + done.stderr)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
