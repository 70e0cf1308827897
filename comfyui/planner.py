# SPDX-License-Identifier: Apache-2.0
"""The native planner, if it is there: plans, patches, and errors as plain objects. No ComfyUI."""
import importlib
import importlib.util
import json
import os
import re
import time

# What a browser may ask for: nothing that names a file of this machine.
OPTIONS = ("gpu", "vram", "vram_free", "ram", "os", "flags", "comfyui", "bytes", "frames", "size")
LIST_MAX = 32
OUTPUT_CHANGES = ["tile-vae"]  # fixes that never go in unasked: pictures differ in the last bits

RANK = ("fits", "tight", "offloads", "ram_short", "spills")  # best first

_found = None  # (package or None, why there is none)


class Refused(Exception):
    """What is wrong with a request; `told` is the error object, `status` that of HTTP."""

    def __init__(self, message, hint="", code="usage", status=400, **more):
        super().__init__(message)
        self.status = status
        self.told = {"code": code, "message": message, "hint": hint, **more}


def find():
    """(package, ""), or (None, why not). Looked for once: installed, then lib/ebb in the pack."""
    global _found
    if _found is None:
        _found = None, "the package ebb is not installed"
        for name in ("ebb", ".lib.ebb"):
            if not _is_there(name):
                continue
            try:
                _found = importlib.import_module(name, __package__), ""
                break
            except Exception as error:
                _found = None, f"{error}" or type(error).__name__
    return _found


def _is_there(name):
    """True if a package has the library's part; the pack's own folder may be called ebb, too."""
    try:
        spec = importlib.util.find_spec(name, __package__)
    except (ImportError, ValueError):
        return False
    return any(os.path.isfile(os.path.join(folder, "_native.py"))
               for folder in getattr(spec, "submodule_search_locations", None) or ())


def version():
    """Version of the library, or None."""
    return getattr(find()[0], "__version__", None)


def check_options(options):
    """A browser's options, or Refused."""
    if options is None:
        return {}
    if not isinstance(options, dict):
        raise Refused("options: they are not a JSON object")
    for name, value in options.items():
        if name not in OPTIONS:
            raise Refused(f"options: {name!r} can't be given here", f"Take {', '.join(OPTIONS)}.")
        if name == "comfyui" and value is not None and not re.fullmatch(r"v?\d+\.\d+\.\d+",
                                                                        str(value)):
            raise Refused("options: \"comfyui\" is not a version", "For example \"0.3.73\".")
        if name == "flags" and "@" in str(value):
            raise Refused("options: \"flags\" can't name a file here")
        if isinstance(value, (list, dict)) and len(value) > LIST_MAX:
            raise Refused(f"options: {name!r} has more than {LIST_MAX} values")
    return options


def call(name, workflow, options):
    """The answer of a function of the package and its milliseconds. Raises Refused.

    A card that the planner does not know is left out, where the size of its memory is given.
    """
    package, why = find()
    if package is None:
        raise Refused(f"planning is off: {why}", "docs/python.md says how to install it.",
                      "absent", 503)
    started = time.perf_counter()
    try:
        try:
            answer = getattr(package, name)(workflow, **options)
        except package.Error as error:
            if "no card called" not in error.message or "vram" not in options:
                raise
            answer = getattr(package, name)(workflow, **{**options, "gpu": None})
    except package.Error as error:
        raise Refused(error.message, error.hint, error.code, file=error.file, line=error.line,
                      column=error.column, place=error.place) from error
    return answer, round(1000 * (time.perf_counter() - started), 2)


def cheapest(plan):
    """The first fix that gives a better verdict, else the first that eases what binds, or None.

    Its title, effect, price, and a sentence with all of them.
    """
    verdict = plan["verdict"]
    if verdict not in RANK[1:]:
        return None
    binds = "ram_bytes" if verdict == "ram_short" else "vram_bytes"
    fixes = [fix for fix in plan["fixes"] if fix["helps"] and fix["kind"] != "nothing"]
    out = [fix for fix in fixes if fix["verdict"] in RANK[:RANK.index(verdict)]]
    eases = [fix for fix in fixes if (fix[binds] or 0) > 0 and verdict != "tight"]
    for word, found in (("Cheapest way out", out), ("What helps", eases)):
        for fix in found[:1]:
            return {**{key: fix[key] for key in ("id", "kind", "title", "effect", "price")},
                    "sentence": f"{word}: {fix['title']} ({fix['effect']}; price: {fix['price']})."}
    return None


def patched(body, options):
    """A submission with the plan's fixes in its prompt and in the graph it carries, or None.

    Returns (body, answer of apply). Everything else of the submission stays as it is.
    """
    answer, _ = call("apply", json.dumps(body), {**options, "skip": OUTPUT_CHANGES})
    if not answer["changed"]:
        return None, answer
    new = json.loads(answer["text"])
    result = {**body, "prompt": new["prompt"]}
    graph = ((new.get("extra_data") or {}).get("extra_pnginfo") or {}).get("workflow")
    if graph is not None:
        extra = body["extra_data"]
        result["extra_data"] = {**extra, "extra_pnginfo": {**extra["extra_pnginfo"],
                                                           "workflow": graph}}
    return result, answer
