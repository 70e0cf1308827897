#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Official workflows get a verdict by the names of their files alone.

usage: corpus_verdicts.py EBB
"""
import json
import pathlib
import subprocess
import sys

CORPUS = pathlib.Path(__file__).resolve().parents[2].parent / "shared" / "corpus"
EXAMPLES = "comfyanonymous+ComfyUI_examples/"
OFFICIAL = "Comfy-Org+example_workflows/"
FILES = [
    EXAMPLES + "ltxv__ltxv_text_to_video.webp.prompt.json",
    EXAMPLES + "ltxv__ltxv_text_to_video.webp.workflow.json",
    EXAMPLES + "ltxv__ltxv_image_to_video_simple.0.9.5.json",
    EXAMPLES + "hunyuan_video__hunyuan_video_image_to_video.json",
    EXAMPLES + "hunyuan_video__hunyuan_video_image_to_video_v2.json",
    EXAMPLES + "wan__camera_image_to_video_wan_example.json",
    OFFICIAL + "video__wan__fun-camera__v1.1__wan2.1_fun_camera_1.3B.json",
    OFFICIAL + "video__wan__fun-camera__v1.1__wan2.1_fun_camera_1.3B.mp4.prompt2.json",
    OFFICIAL + "video__wan__wan2.2_s2v__wan2.2-s2v.mp4.prompt2.json",
    OFFICIAL + "flux__krea__flux1_krea_dev.png.prompt.json",
    "Ell10ttHar5h+comfyui_workflows/wan2.1_fun_control.json",
    "Ell10ttHar5h+comfyui_workflows/video_ltx2_t2v.json",
]
MACHINE = ["--gpu", "rtx4090", "--ram", "64G", "--os", "linux", "--json"]


def main():
    if not CORPUS.is_dir():
        print("skipped: ../shared/corpus is not there")
        sys.exit(77)
    files = FILES + sorted(
        str(path.relative_to(CORPUS))
        for path in CORPUS.glob("*/*.json")
        if "qwen" in path.name.lower() and "lightning" in path.read_text("utf-8", "replace").lower()
        and path.parent.name in (EXAMPLES[:-1], OFFICIAL[:-1])
    )
    failed = 0
    for name in files:
        words = [sys.argv[1], "plan", str(CORPUS / name), *MACHINE]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        plan = json.loads(done.stdout) if done.returncode == 0 else {"verdict": done.stderr}
        unknown = [m["file"] for m in plan.get("models", []) if m["bytes_from"] == "unknown"]
        good = done.returncode == 0 and plan["verdict"] != "unknown" and not unknown
        failed += not good
        print(f"{'' if good else 'FAILED '}{name}: {plan['verdict']} {unknown or ''}")
    print(f"{len(files)} workflows, {failed} without a verdict")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
