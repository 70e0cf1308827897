#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Official templates against what the real front end 1.58.1 sent for them on a 0.33.0 server.

usage: front_end_prompts.py EBB [-v]

The prompts were recorded (../shared/reference/oracle-prompts-1.58.1.jsonl.gz); the graphs are those
of the packages below, looked for in the folder EBB_TEMPLATE_WHEELS, else fetched with pip and kept
in the cache folder. Compared: nodes, their order and classes, and their inputs with order and
values. Once with that server's definitions, once by Ebb's own table. Every graph that differs must
be in DIFFERENT, which says why; docs/reading.md has the same list.
"""
import gzip
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile

SHARED = pathlib.Path(__file__).resolve().parents[3] / "shared/reference"
PROMPTS = SHARED / "oracle-prompts-1.58.1.jsonl.gz"
DEFINITIONS = SHARED / "object_info/0.33.0.json.gz"
PACKAGES = ["comfyui-workflow-templates-json==0.1.123", "comfyui-subgraph-blueprints==0.0.13"]

VIEW = "a view that the front end renders"
LATER = "the file is later than 0.33.0, whose front end shifts its values"
DIFFERENT = {
    "blueprints/color_balance": "sockets in the order in which the front end grew them",
    "templates/3d_pixal3d_trellis2_image_to_model": VIEW,
    "templates/api_hunyuan3d_smart_topology": VIEW,
    "templates/api_meshy7_1_image_to_model": VIEW,
    "templates/api_bytedance_seedream_5_0_flash_image_edit":
        "a model that 0.33.0 does not know; the front end moves its picture to the text",
    "templates/api_openai_gpt_image_25_flare_image_edit":
        "a model that 0.33.0 does not know; the front end moves its picture to the text",
    "templates/api_minimax_h3_max_r2v": "a model that 0.33.0 does not know; its links are kept",
    "templates/api_flux2": "the front end loses the fourth picture",
}
BY_TABLE = {
    "templates/3d_hunyuan3d_image_to_model": LATER,
    "templates/templates-textured_logotype-v2.1": "a default text that is not in the table",
}


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def wheels():
    given = os.environ.get("EBB_TEMPLATE_WHEELS")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = pathlib.Path(given or pathlib.Path(base, "ebb-tests", "template-wheels"))
    for package in PACKAGES:
        name = package.replace("-", "_").replace("==", "-")
        if not list(folder.glob(f"{name}-*.whl")):
            done = subprocess.run(
                [sys.executable, "-m", "pip", "download", "--no-deps", "-q",
                 "--disable-pip-version-check", "-d", folder, package], capture_output=True,
                text=True, timeout=300, check=False)
            if done.returncode:
                skip(f"EBB_TEMPLATE_WHEELS has no {package}, and pip does not bring it")
        yield next(folder.glob(f"{name}-*.whl"))


def unpack(base):
    for wheel in wheels():
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                folder = pathlib.PurePath(name).parent.name
                if folder in ("templates", "blueprints") and name.endswith(".json"):
                    path = pathlib.Path(base, folder, pathlib.PurePath(name).name)
                    path.parent.mkdir(exist_ok=True)
                    path.write_bytes(archive.read(name))


def plain(prompt):
    """In a form that two equal prompts share, with all orders."""
    return json.dumps([[key, node["class_type"], list(node["inputs"].items())]
                       for key, node in prompt.items()])


def compare(ebb, base, lines, options, allowed, verbose):
    equal, wrong, listed = 0, [], set()
    for line in lines:
        name = line["file"].removesuffix(".json")
        done = subprocess.run([ebb, "convert", pathlib.Path(base, line["file"]), *options],
                              capture_output=True, text=True, timeout=60, check=False)
        same = done.returncode == 0 and plain(json.loads(done.stdout)) == plain(line["prompt"])
        equal += same
        if not same:
            listed.add(name)
            if name not in allowed:
                wrong.append(name)
            if verbose:
                print(f"  {name}: {allowed.get(name, 'NO CAUSE')}")
    for name in wrong:
        print(f"{name} differs, and no cause is known")
    for name in sorted(set(allowed) - listed):
        print(f"{name} is listed as different, but is equal")
    return equal, len(wrong) + len(set(allowed) - listed)


def main(ebb, verbose):
    if not PROMPTS.exists() or not DEFINITIONS.exists():
        skip("../shared has no recorded prompts of front end 1.58.1")
    with gzip.open(PROMPTS, "rt", encoding="utf-8") as file:
        lines = [line for line in map(json.loads, file) if "prompt" in line]
    failures = 0
    with tempfile.TemporaryDirectory(prefix="ebb-templates-") as base:
        unpack(base)
        definitions = pathlib.Path(base, "object_info.json")
        definitions.write_bytes(gzip.decompress(DEFINITIONS.read_bytes()))
        for what, options, allowed in (
                ("with the server's definitions", ["--object-info", definitions], DIFFERENT),
                ("by Ebb's own table", [], DIFFERENT | BY_TABLE)):
            equal, bad = compare(ebb, base, lines, options, allowed, verbose)
            print(f"{what}: {equal} of {len(lines)} equal")
            failures += bad
    return 1 if failures else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], "-v" in sys.argv))
