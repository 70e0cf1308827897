# SPDX-License-Identifier: Apache-2.0
"""Which ComfyUI a folder is, read as files: nothing of it is imported here."""
import hashlib
import os
import re

OLDEST = (0, 3, 40)


class Refused(Exception):
    """Why a folder, a Python or a file can't be used: one line, for people."""


def read_text(path, most=1 << 20):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(most)
    except OSError:
        return ""


def version_of(folder):
    """ComfyUI's version as text. Raises Refused."""
    if not os.path.isfile(os.path.join(folder, "comfy", "supported_models.py")):
        raise Refused(f"{folder} is no ComfyUI folder: it has no comfy/supported_models.py")
    text = read_text(os.path.join(folder, "comfyui_version.py"))
    found = re.search(r'__version__\s*=\s*"([0-9][^"\s]{0,40})"', text)
    if not found:
        raise Refused(f"{folder} does not say its version (comfyui_version.py): ComfyUI before "
                      f"{'.'.join(map(str, OLDEST))} can't be learned")
    numbers = tuple(int(n) for n in re.findall(r"\d+", found[1])[:3])
    if numbers < OLDEST:
        raise Refused(f"{folder} is ComfyUI {found[1]}; {'.'.join(map(str, OLDEST))} is the oldest "
                      "that can be learned")
    return found[1]


def commit_of(folder):
    """The commit that is checked out, without git; None where there is none to be read."""
    git = os.path.join(folder, ".git")
    if os.path.isfile(git):  # a worktree
        git = os.path.join(folder, read_text(git).removeprefix("gitdir:").strip())
    head = read_text(os.path.join(git, "HEAD")).strip()
    if not head.startswith("ref: "):
        return head if re.fullmatch(r"[0-9a-f]{40}", head) else None
    name = head.removeprefix("ref: ")
    common = read_text(os.path.join(git, "commondir")).strip()
    for place in (git, os.path.normpath(os.path.join(git, common)) if common else git):
        loose = read_text(os.path.join(place, name)).strip()
        packed = re.search(rf"^([0-9a-f]{{40}}) {re.escape(name)}$",
                           read_text(os.path.join(place, "packed-refs")), re.MULTILINE)
        if re.fullmatch(r"[0-9a-f]{40}", loose):
            return loose
        if packed:
            return packed[1]
    return None


def tree_of(folder):
    """SHA-256 of the files that decide how models are recognised, counted and asked for: a
    changed copy of a release is another ComfyUI."""
    total = hashlib.sha256()
    for root, folders, files in os.walk(os.path.join(folder, "comfy")):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            if not name.endswith(".py"):
                continue
            path = os.path.join(root, name)
            total.update(os.path.relpath(path, folder).replace(os.sep, "/").encode() + b"\0")
            with open(path, "rb") as file:
                total.update(hashlib.sha256(file.read()).digest())
    return total.hexdigest()


def python_of(folder):
    """The Python that a ComfyUI is likely to run with."""
    names = ("Scripts/python.exe", "bin/python") if os.name == "nt" else ("bin/python",)
    places = [os.path.join(folder, venv, name) for venv in ("venv", ".venv") for name in names]
    places.append(os.path.join(folder, "..", "python_embeded", "python.exe"))
    return next((place for place in places if os.path.isfile(place)), None)
