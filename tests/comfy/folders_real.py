#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Which of several files of one name is taken: Ebb and each checkout's folder_paths.

usage: folders_real.py PRINT_WEIGHTS [SEED]

Random trees: a ComfyUI folder and other roots that extra_model_paths.yaml names, with is_default,
several lines a key, legacy kinds, relative and absolute base_path, ~ and variables; the same file
names in many of them, in subfolders and in other case.
"""

import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

import support

ASK = r"""
import json, sys
checkout, base, yaml, questions = sys.argv[1:]
sys.argv = ["x", "--cpu", "--base-directory", base]
sys.path.insert(0, checkout)
import comfy.options; comfy.options.enable_args_parsing()
import folder_paths
from utils.extra_config import load_extra_path_config
load_extra_path_config(yaml)
for kind, name in json.load(open(questions)):
    print(json.dumps(folder_paths.get_full_path(kind, name)))
"""
KINDS = {
    "checkpoints": ["checkpoints"],
    "diffusion_models": ["unet", "diffusion_models"],
    "text_encoders": ["clip", "text_encoders"],
    "vae": ["vae"],
    "loras": ["loras"],
    "controlnet": ["controlnet", "t2i_adapter"],
    "upscale_models": ["upscale_models"],
}
FILES = [
    "a.safetensors",
    "b.safetensors",
    "sub/a.safetensors",
    "sub/deep/c.safetensors",
    "A.safetensors",
    "Sub/a.safetensors",
]


def random_tree(rng, root):
    """Writes models and the YAML; gives the questions."""
    yaml, roots = [], []
    for number in range(rng.randint(1, 4)):
        name = f"root {number}" if rng.random() < 0.3 else f"root{number}"
        spelt = rng.choice(
            [
                str(root / name),
                f"../{name}",
                "$EBB_TEST_ROOT/" + name,
                "${EBB_TEST_ROOT}/" + name,
                "~/" + name,
            ]
        )
        roots.append(root / name)
        yaml.append(f"section{number}:")
        if rng.random() < 0.9:
            yaml.append(f"    base_path: {spelt}")
        else:
            spelt = ""
        if rng.random() < 0.4:
            yaml.append(f"    is_default: {rng.choice(['true', 'false'])}")
        for kind in rng.sample(sorted(KINDS), rng.randint(1, 5)):
            for key in rng.sample(KINDS[kind], rng.randint(1, len(KINDS[kind]))):
                lines = [
                    f"{rng.choice(['', 'models/'])}{key}{rng.choice(['', '/', '2'])}"
                    for _ in range(rng.randint(1, 3))
                ]
                if not spelt:
                    lines = [str(root / name / line) for line in lines]
                if len(lines) == 1 and rng.random() < 0.7:
                    yaml.append(f"    {key}: {lines[0]}")
                else:
                    yaml += [f"    {key}: |"] + [f"        {line}" for line in lines]
    base = root / "ComfyUI"
    (base / "models" / "checkpoints").mkdir(parents=True)
    (base / "extra_model_paths.yaml").write_text("\n".join(yaml) + "\n", encoding="utf-8")
    for place in [base / "models"] + roots + [x / "models" for x in roots]:
        for kind, keys in KINDS.items():
            for folder in keys + [key + "2" for key in keys]:
                for file in FILES:
                    if rng.random() < 0.25:
                        path = place / folder / file
                        path.parent.mkdir(parents=True, exist_ok=True)
                        path.write_bytes(b"")
    names = FILES + [
        "../vae/a.safetensors",
        "/a.safetensors",
        "sub/../b.safetensors",
        "sub",
        "missing.safetensors",
    ]
    return [(kind, name) for kind in KINDS for name in names]


def main():
    python = support.comfyui_python()
    checkouts = support.checkouts()
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**6)
    print(f"seed {seed}")
    failed = asked = found = other = 0
    for number in range(12):
        rng = random.Random(seed + number)
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder).resolve()
            questions = random_tree(rng, root)
            (root / "questions.json").write_text(json.dumps(questions), encoding="utf-8")
            base = root / "ComfyUI"
            environment = dict(os.environ, EBB_TEST_ROOT=str(root), HOME=str(root))
            text = "".join(f"locate\t{kind}\t{name}\n" for kind, name in questions)
            ours = subprocess.run(
                [sys.argv[1], str(base)],
                input=text,
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
                env=environment,
            )
            answers = [json.loads(line) for line in ours.stdout.splitlines()]
            checkout = checkouts[number % len(checkouts)]
            done = subprocess.run(
                [
                    python,
                    "-c",
                    ASK,
                    checkout,
                    str(base),
                    str(base / "extra_model_paths.yaml"),
                    str(root / "questions.json"),
                ],
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
                env=environment,
                cwd=root,
            )
            if done.returncode != 0:
                sys.exit(done.stderr)
            for question, answer, line in zip(
                questions, answers, done.stdout.splitlines()[-len(questions) :]
            ):
                theirs = json.loads(line)
                # Where ComfyUI finds nothing, Ebb may find the name elsewhere, and says so.
                path = answer.get("path") if answer.get("exact") else ""
                good = os.path.normpath(path or "") == os.path.normpath(theirs or "")
                asked, found, failed = asked + 1, found + bool(theirs), failed + (not good)
                other += not theirs and not answer.get("exact", True)
                if not good:
                    print(
                        f"ComfyUI {support.version_of(checkout)}: {question}: {theirs}; "
                        f"Ebb: {answer}"
                    )
                    if failed == 1:
                        print((base / "extra_model_paths.yaml").read_text(encoding="utf-8"))
    print(
        f"{asked} questions, {found} found by ComfyUI, {other} by Ebb in another folder or case, "
        f"{failed} different"
    )
    sys.exit(1 if failed or found < asked // 10 else 0)


if __name__ == "__main__":
    main()
