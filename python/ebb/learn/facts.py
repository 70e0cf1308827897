# SPDX-License-Identifier: Apache-2.0
"""Files of facts: how they are laid out, written so that a kill leaves the old one or the new one,
and read back with everything checked. docs/facts.md describes the format."""
import json
import math
import os
import tempfile

FORMAT = "ebb.facts/1"
MOST_BYTES = 64 << 20
MOST_DEPTH = 12
# How each kind of number came about; the words of the other reports (docs/demand.md).
SOURCES = {
    "asked": "computed: ComfyUI's own memory_required at several shapes, as a form; residual and "
             "number of shapes that had no part in finding it",
    "values": "computed: tensors of ComfyUI's own network on the meta device",
    "bytes": "computed: model_size of ComfyUI's own patcher after its own loader",
    "modules": "computed: ComfyUI's own list of modules to load or leave out",
    "keys": "computed: names of the network's tensors",
}


class Unreadable(Exception):
    """A file that is no file of facts, and why."""


def text_of(facts):
    """The facts as JSON, a line for each class and each file."""
    parts = []
    for key, value in facts.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            rows = ",\n".join("  " + line_of(row) for row in value)
            parts.append(f" {json.dumps(key)}: [\n{rows}\n ]")
        else:
            parts.append(f" {json.dumps(key)}: {line_of(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def line_of(value):
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(", ", ": "))


def write(path, facts):
    """The whole file or nothing: beside it first, then in its place."""
    text = text_of(facts).encode()
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=folder, prefix=".ebb-facts-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise


def read(path):
    """The facts of a file. Raises Unreadable, or OSError where it can't be read."""
    if os.path.getsize(path) > MOST_BYTES:
        raise Unreadable(f"it is larger than {MOST_BYTES >> 20} MiB")
    with open(path, "rb") as file:
        data = file.read(MOST_BYTES + 1)
    try:
        facts = json.loads(data.decode("utf-8"), parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it is no JSON: {error}"[:200]) from None
    check(facts)
    return facts


def refuse(word):
    raise ValueError(f"{word} is no number")


def check(facts):
    """Raises Unreadable unless the parts that readers rely on are what they should be."""
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise Unreadable(f"its format is not {FORMAT}")
    check_depth(facts, 0)
    for key, name in (("comfyui", "version"), ("made_with", "torch")):
        if not isinstance(facts.get(key), dict) or not isinstance(facts[key].get(name), str):
            raise Unreadable(f"it does not say of which {key} it is")
    for key in ("classes", "files"):
        rows = facts.get(key, [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise Unreadable(f"its {key} are no list of objects")
        for row in rows:
            check_row(row, key)


def check_depth(value, depth):
    if depth > MOST_DEPTH:
        raise Unreadable(f"it is nested deeper than {MOST_DEPTH}")
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        check_depth(one, depth + 1)


def check_row(row, where):
    for key in ("class", "file", "folder", "header", "not_traced", "part", "stored"):
        if not isinstance(row.get(key, ""), (str, list) if key == "stored" else str):
            raise Unreadable(f"{where}: {key} is no text")
    for key in ("values", "listed", "file_bytes", "order"):
        if key in row and not is_count(row[key]):
            raise Unreadable(f"{where}: {key} is no number of values or bytes")
    groups = row.get("modules", [])
    if not isinstance(groups, list):
        raise Unreadable(f"{where}: modules are no list")
    for group in groups:
        if not (isinstance(group, list) and len(group) == 4 and isinstance(group[0], str)
                and all(is_count(n) for n in group[1:])):
            raise Unreadable(f"{where}: a group of modules is not [kind, bytes, more, count]")
    for form in forms_of(row.get("asked", {})):
        if form.get("form") == "product" and not is_form(form):
            raise Unreadable(f"{where}: a form without its numbers")
    parts = row.get("parts", [])
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise Unreadable(f"{where}: parts are no list of objects")
    for part in parts:
        check_row({key: value for key, value in part.items() if key != "parts"}, where)


def is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def forms_of(value):
    """Every form below a value."""
    if isinstance(value, dict):
        if "form" in value:
            yield value
        else:
            for one in value.values():
                yield from forms_of(one)


def is_form(form):
    axes = [*form.get("times", [-1]), *([] if form.get("along") is None else [form["along"]])]
    if not all(isinstance(axis, int) and 0 <= axis < 8 for axis in axes):
        return False
    if "every" in form:
        return (is_count(form["every"]) and is_number(form.get("step"))
                and isinstance(form.get("rates"), list) and len(form["rates"]) == form["every"] > 0
                and all(map(is_number, form["rates"])))
    pieces = form.get("pieces")
    return isinstance(pieces, list) and len(pieces) > 0 and all(
        isinstance(piece, dict) and is_count(piece.get("from")) and "rate" in piece
        and all(map(is_number, piece.values())) for piece in pieces)
