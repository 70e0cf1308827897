#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ebb calibrate` in a real ComfyUI: every figure of some small models within 1 % of the table.

usage: calibrate_real.py EBB
Skipped (77) unless EBB_COMFYUI_DIR and EBB_COMFYUI_PYTHON are set.
"""
import os
import subprocess
import sys


def main():
    folder = os.environ.get("EBB_COMFYUI_DIR")
    python = os.environ.get("EBB_COMFYUI_PYTHON")
    if not folder or not python:
        sys.exit(77)
    words = [sys.argv[1], "calibrate", "--comfyui", folder, "--python", python]
    for key in ("wan-1.3b", "flux", "sdxl", "kl-vae"):
        words += ["--only", key]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    print(done.stdout + done.stderr)
    sys.exit(0 if done.returncode == 0 and "0 of 0" not in done.stdout else 1)


if __name__ == "__main__":
    main()
