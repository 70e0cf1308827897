#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints src/demand/loader_table.inc: ComfyUI's own classes that read files of a model folder.

usage: PYTHON tools/make_loader_table.py COMFYUI_DIR... > src/demand/loader_table.inc
PYTHON must have what ComfyUI needs. Every checkout is asked in a process of its own: there, each
list of a folder's files is the folder's name, so that inputs that offer it give themselves away.
"""
import json
import os
import subprocess
import sys

from comfy_classes import version_of

NOT_MODELS = {"configs", "vae_approx"}
ROLES = {"MODEL": "diffusion", "CLIP": "text_encoder", "VAE": "vae",
         "CLIP_VISION": "vision_encoder", "CONTROL_NET": "controlnet", "MODEL_PATCH": "controlnet",
         "UPSCALE_MODEL": "upscaler", "LATENT_UPSCALE_MODEL": "upscaler"}
PATCHES = {"loras": "lora", "hypernetworks": "lora"}
SUFFIXES = {"CLIP": ".clip", "VAE": ".vae", "CLIP_VISION": ".clip_vision"}
SETTINGS = {"INT", "FLOAT", "STRING", "BOOLEAN", "LOSS_MAP"}
TYPE_INPUTS = ("weight_dtype", "type")
FILES_MAX = 4  # of LoaderRow
MARK = "folder:"


def marks(value):
    if isinstance(value, str):
        return [value[len(MARK):]] if value.startswith(MARK) else []
    if isinstance(value, dict):
        value = list(value.values())
    return [m for part in value for m in marks(part)] if isinstance(value, (list, tuple)) else []


def dump(folder):
    """Asks the checkout in `folder` for all its classes; runs in a process of its own."""
    import asyncio

    sys.argv = ["main.py", "--cpu"]
    sys.path.insert(0, folder)
    os.chdir(folder)
    import comfy.options
    comfy.options.enable_args_parsing()
    import utils.extra_config  # noqa: F401  before `nodes` puts another `utils` on the path
    import folder_paths
    folder_paths.get_filename_list = lambda name: [MARK + name]
    import nodes
    import server

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    server.PromptServer(loop)  # several modules with nodes add routes to it when imported
    loop.run_until_complete(nodes.init_extra_nodes(init_custom_nodes=False, init_api_nodes=False))
    found = {}
    for name, cls in nodes.NODE_CLASS_MAPPINGS.items():
        types = cls.INPUT_TYPES()
        inputs = {**types.get("required", {}), **types.get("optional", {})}
        files = [(key, sorted(set(marks(spec)) - NOT_MODELS)) for key, spec in inputs.items()]
        files = [(key, folders[0]) for key, folders in files if folders]
        if files:
            of_types = [key for key in TYPE_INPUTS if key in inputs]
            found[name] = [files, [str(t) for t in cls.RETURN_TYPES],
                           of_types[0] if of_types else ""]
    print("LOADERS" + json.dumps(found))


def rows(name, files, gives, of_types):
    """The rows of one class: one for each kind of weights that it gives."""
    gives = list(dict.fromkeys(t for t in gives if t not in SETTINGS))
    folder = files[0][1]
    quoted = ", ".join(f'"{key}"' for key, _ in files[:FILES_MAX])
    if folder == "loras" and "HOOKS" not in gives:
        return  # they have strengths, which classes.cpp reads
    for kind in gives[:1] if folder in PATCHES else gives:
        role = PATCHES.get(folder) or ROLES.get(kind, "other")
        suffix = SUFFIXES.get(kind, "") if len(gives) > 1 else ""
        if name == "LTXVAudioVAELoader":  # the sound's part of a checkpoint
            suffix = ".audio_vae"
        yield (f'{{"{name}", "{kind}", "{suffix}", Role::{role}, "{folder}", {{{quoted}}}, '
               + (f'"{of_types}"}},' if of_types else "nullptr},"))


def main(folders):
    found, versions = {}, []
    for folder in folders:
        run = subprocess.run([sys.executable, __file__, "--dump", os.path.abspath(folder)],
                             capture_output=True, text=True, check=False)
        lines = [x for x in run.stdout.splitlines() if x.startswith("LOADERS")]
        if not lines:
            sys.exit(f"{folder}: {run.stderr[-2000:]}")
        loaders = json.loads(lines[0][len("LOADERS"):])
        versions.append(f"{version_of(folder)} ({len(loaders)})")
        found = {**loaders, **found}  # the first folder named decides
    print("// Made by tools/make_loader_table.py from ComfyUI " + ", ".join(versions))
    for name in sorted(found):
        for row in rows(name, *found[name]):
            print("    " + row)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--dump"]:
        dump(sys.argv[2])
    else:
        main(sys.argv[1:])
