# SPDX-License-Identifier: Apache-2.0
"""Where ComfyUI keeps files, and which ones nodes read."""
import os

from .. import facts
from .about import module


def model_folders():
    """Model folders by kind."""
    known = getattr(module("folder_paths"), "folder_names_and_paths", {})
    return {kind: [os.fspath(path) for path in entry[0]] for kind, entry in known.items()
            if kind not in ("custom_nodes", "configs")}


def media_folders():
    """The folders of pictures and videos that this ComfyUI says: input, output, temp."""
    asked = {kind: getattr(module("folder_paths"), f"get_{kind}_directory", None)
             for kind in ("input", "output", "temp")}
    return {kind: os.fspath(ask()) for kind, ask in asked.items() if ask}


def settings_path():
    """Where ComfyUI keeps the settings of its only user."""
    return os.path.join(module("folder_paths").get_user_directory(), "default",
                        "comfy.settings.json")


def report_path(prefix):
    """Where a report goes in the output folder. OSError if nowhere."""
    folders = module("folder_paths")
    folder, name, counter, _, _ = folders.get_save_image_path(
        prefix, folders.get_output_directory())
    while os.path.exists(os.path.join(folder, f"{name}_{counter:05}_.json")):
        counter += 1  # ComfyUI counts pictures only if the names agree
    return os.path.join(folder, f"{name}_{counter:05}_.json")


def files_of(node):
    """Paths of the model files that a node reads: by its class, else by the names of its inputs."""
    folders, inputs = module("folder_paths"), (node or {}).get("inputs", {})
    kind, *names = facts.LOADERS.get((node or {}).get("class_type"), (None,))
    kinds = {name: kind for name in names} or facts.FILE_INPUTS
    paths = [folders.get_full_path(kinds[name], value) for name, value in inputs.items()
             if name in kinds and isinstance(value, str)] if folders is not None else []
    return [path for path in paths if path]


def files_to_come(run):
    """Paths of the model files that nodes still to run will read, in order of discovery."""
    return list(dict.fromkeys(path for each in (run.unfinished() if run is not None else ())
                              if not run.is_cached(each) for path in files_of(run.node(each))))
