#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints src/demand/loader_table.inc: ComfyUI's own classes that read files of a model folder.

usage: PYTHON tools/make_loader_table.py COMFYUI_DIR... > src/demand/loader_table.inc
PYTHON must have what ComfyUI needs. Every checkout is asked in a process of its own: there, each
list of a folder's files is the folder's name, so that inputs that offer it give themselves away.
"""
from checkouts import ask, load_nodes, run, version_of

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


def mark_lists():
    """Each list of a folder's files is then the folder's name."""
    import folder_paths
    folder_paths.get_filename_list = lambda name: [MARK + name]


def dump(folder):
    """The inputs of each class of a checkout that offer a model folder's files."""
    classes = load_nodes(folder, mark_lists, init_api_nodes=False)
    found = {}
    for name, cls in classes.items():
        types = cls.INPUT_TYPES()
        inputs = {**types.get("required", {}), **types.get("optional", {})}
        files = [(key, sorted(set(marks(spec)) - NOT_MODELS)) for key, spec in inputs.items()]
        files = [(key, folders[0]) for key, folders in files if folders]
        if files:
            of_types = [key for key in TYPE_INPUTS if key in inputs]
            found[name] = [files, [str(t) for t in cls.RETURN_TYPES],
                           of_types[0] if of_types else ""]
    return found


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
        loaders = ask(__file__, folder)
        versions.append(f"{version_of(folder)} ({len(loaders)})")
        found = {**loaders, **found}  # the first folder named decides
    print("// Made by tools/make_loader_table.py from ComfyUI " + ", ".join(versions))
    for name in sorted(found):
        for row in rows(name, *found[name]):
            print("    " + row)


if __name__ == "__main__":
    run(main, dump, __doc__)
