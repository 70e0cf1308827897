# SPDX-License-Identifier: Apache-2.0
"""The native planner, if it is there: plans, patches, and errors as plain objects. No ComfyUI."""
import importlib
import importlib.util
import os
import re
import sys
import time

from . import facts

# What a browser may ask for: nothing that names a file of this machine.
OPTIONS = ("gpu", "vram", "vram_free", "ram", "os", "flags", "comfyui", "bytes", "frames", "size")
LIST_MAX = 32

DISTRIBUTION = "comfyui-ebb"

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
        _found = None, _how_to_get()
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
    """True if a package has the library's part; others are called ebb, too."""
    try:
        spec = importlib.util.find_spec(name, __package__)
    except (ImportError, ValueError):
        return False
    return any(os.path.isfile(os.path.join(folder, "_native.py"))
               for folder in getattr(spec, "submodule_search_locations", None) or ())


def _how_to_get():
    """What is missing for planning, and the command that puts it there."""
    if not sys.platform.startswith("linux"):
        return "the planner runs on Linux only so far"
    around = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    source = around if os.path.isfile(os.path.join(around, "CMakeLists.txt")) \
        else "FOLDER_OF_THE_REPOSITORY"
    return f'the planner {DISTRIBUTION} is missing; to get it: "{sys.executable}" -m pip install ' \
           f'"{source}"'


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
            if error.reason != "no_such_card" or "vram" not in options:
                raise
            answer = getattr(package, name)(workflow, **{**options, "gpu": None})
    except package.Error as error:
        raise Refused(error.message, error.hint, error.code, reason=error.reason, file=error.file,
                      line=error.line, column=error.column, place=error.place) from error
    return answer, round(1000 * (time.perf_counter() - started), 2)


def known_verdict(plan):
    """The verdict, or that of what is known where a part is not."""
    return plan.get("known_verdict") or plan["verdict"]


def cheapest(plan):
    """The first fix that gives a better verdict, else the first that eases what binds, or None.

    Its title, effect, price, and a sentence with all of them.
    """
    verdict = known_verdict(plan)
    if verdict not in facts.VERDICTS[1:]:
        return None
    binds = "ram_bytes" if verdict == "ram_short" else "vram_bytes"
    fixes = [fix for fix in plan["fixes"] if fix["helps"] and fix["kind"] != "nothing"]
    out = [fix for fix in fixes if fix["verdict"] in facts.VERDICTS[:facts.VERDICTS.index(verdict)]]
    eases = [fix for fix in fixes if (fix[binds] or 0) > 0 and verdict != "tight"]
    for word, found in (("Cheapest way out", out), ("What helps", eases)):
        for fix in found[:1]:
            return {**{key: fix[key] for key in ("id", "kind", "title", "effect", "price")},
                    "sentence": f"{word}: {fix['title']} ({fix['effect']}; price: {fix['price']})."}
    return None


def classes_of(workflow):
    """Class names in a prompt or a graph, its subgraphs included."""
    if isinstance(workflow.get("nodes"), list):
        definitions_ = workflow.get("definitions")
        inner = definitions_.get("subgraphs") if isinstance(definitions_, dict) else None
        graphs = [workflow, *(inner if isinstance(inner, list) else [])]
        lists = [graph.get("nodes") for graph in graphs if isinstance(graph, dict)]
        nodes = [node.get("type") for each in lists if isinstance(each, list) for node in each
                 if isinstance(node, dict)]
    else:
        nodes = [node.get("class_type") for node in workflow.values() if isinstance(node, dict)]
    return {name for name in nodes if isinstance(name, str)}


def is_prompt(prompt):
    """Whether there is something to plan; what is not, the server itself refuses."""
    return isinstance(prompt, dict) and len(prompt) > 0 and all(
        isinstance(node, dict) and isinstance(node.get("class_type"), str)
        and isinstance(node.get("inputs"), dict) for node in prompt.values())
