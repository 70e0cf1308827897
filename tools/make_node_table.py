#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes src/workflow/node_table.inc from answers of ComfyUI's `GET /object_info`, one a version.

usage: make_node_table.py 0.18.2.json.gz 0.8.0.json.gz ... > src/workflow/node_table.inc

Each file's name is its version. The newest version is written whole, one class a line, sorted; of
the others only the classes that differ from it ("-" where the class does not exist). A line is

    Class<tab>[flags, display name, [output type, ...], [input, ...]]
    input = [name, type, {attributes}]

with flags 1 = output node, 2 = API node, 4 = deprecated, 8 = its outputs follow a match type, and
the attributes d default (null for a long text, which is left out), m min, M max, s step, r round,
c control_after_generate, f forceInput, l lazy, p dynamicPrompts, a a text of several lines, u an
upload button follows,
e first entry of a combo (absent where the list is empty), q optional, w widget type, y match
group, o [[key, [input, ...]], ...] of a dynamic combo, and for autogrow inputs t [input] and
x prefix or n [names]. Names, types and defaults are facts; texts stay away.
"""
import gzip
import json
import pathlib
import sys

FOREIGN_MODULES = {"comfy_extras.nodes_qnn"}  # of a fork, in no release of ComfyUI
PROSE_MIN = 200  # longer defaults are texts, not facts
COPIED = {"default": "d", "min": "m", "max": "M", "step": "s", "round": "r"}
FLAGS = {"forceInput": "f", "lazy": "l", "dynamicPrompts": "p", "multiline": "a"}
UPLOADS = ("image_upload", "video_upload", "animated_image_upload")


def combo_entries(kind, options):
    if isinstance(kind, list):
        return kind
    return options.get("options", [])


def encode_options(kind, options):
    """The attributes of one input."""
    out = {}
    for name, letter in COPIED.items():
        if options.get(name) is not None:
            out[letter] = options[name]
    if len(str(out.get("d", ""))) > PROSE_MIN:
        out["d"] = None
    for name, letter in FLAGS.items():
        if options.get(name):
            out[letter] = 1
    if "control_after_generate" in options:
        out["c"] = 1 if options["control_after_generate"] else 0
    if kind == "COMBO" and any(options.get(name) for name in UPLOADS):
        out["u"] = 1
    return out


def encode_template(template, out):
    out["t"] = encode_inputs(template.get("input", {}))
    if "names" in template:
        out["n"] = template["names"]
    else:
        out["x"] = template.get("prefix", "")


def encode_input(name, spec, optional):
    options = spec[1] if len(spec) > 1 else {}
    kind = "COMBO" if isinstance(spec[0], list) else spec[0]
    out = encode_options(kind, options)
    if kind == "COMBO":
        entries = combo_entries(spec[0], options)
        if entries:
            out["e"] = entries[0]
    elif kind == "COMFY_DYNAMICCOMBO_V3":
        out["o"] = [[o["key"], encode_inputs(o["inputs"])] for o in options["options"]]
    elif kind == "COMFY_AUTOGROW_V3":
        encode_template(options["template"], out)
    elif kind == "COMFY_MATCHTYPE_V3":
        kind = options["template"]["allowed_types"]
        out["y"] = options["template"]["template_id"]
    if "widgetType" in options and not kind.startswith("COMFY_"):
        out["w"] = options["widgetType"]
    if optional:
        out["q"] = 1
    return [name, kind, out] if out else [name, kind]


def encode_inputs(sections, order=None):
    result = []
    for section in ("required", "optional"):
        inputs = sections.get(section, {})
        for name in (order or {}).get(section, inputs):
            result.append(encode_input(name, inputs[name], section == "optional"))
    return result


def allowed_types(sections):
    """What each match group of a class allows: template id -> types."""
    allowed = {}
    for section in ("required", "optional"):
        for spec in sections.get(section, {}).values():
            template = spec[1].get("template", {}) if len(spec) > 1 else {}
            if spec[0] == "COMFY_AUTOGROW_V3":
                allowed.update(allowed_types(template.get("input", {})))
            elif spec[0] == "COMFY_MATCHTYPE_V3":
                allowed[template["template_id"]] = template["allowed_types"]
    return allowed


def output_types(info):
    """A match type is written as what its group allows."""
    allowed = allowed_types(info["input"])
    groups = info.get("output_matchtypes") or [None] * len(info["output"])
    types = [kind if isinstance(kind, str) else "COMBO" for kind in info["output"]]
    return [allowed.get(group, kind) for kind, group in zip(types, groups)]


def encode_class(info):
    flags = (1 if info.get("output_node") else 0) | (2 if info.get("api_node") else 0)
    flags |= 4 if info.get("deprecated") else 0
    flags |= 8 if any(info.get("output_matchtypes") or []) else 0
    outputs = output_types(info)
    inputs = encode_inputs(info["input"], info.get("input_order"))
    display = info.get("display_name") or info["name"]
    return json.dumps([flags, display, outputs, inputs], ensure_ascii=False,
                      separators=(",", ":"))


def read_table(path):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8") as file:
        classes = json.load(file)
    return {name: encode_class(info) for name, info in classes.items()
            if info.get("python_module") not in FOREIGN_MODULES}


def version_of(path):
    return tuple(int(part) for part in pathlib.Path(path).name.split(".json")[0].split("."))


def write_lines(name, lines):
    print(f"constexpr std::string_view {name}[] = {{")
    for line in lines:
        assert ')~"' not in line and "\n" not in line
        print(f'    R"~({line})~",')
    print("};")


def main(paths):
    if not paths:
        sys.exit(__doc__)
    tables = {version_of(path): read_table(path) for path in paths}
    newest = max(tables)
    names = ", ".join(".".join(map(str, version)) for version in sorted(tables, reverse=True))
    print(f"// Made by tools/make_node_table.py from /object_info of ComfyUI {names}; "
          "its first lines explain the format.")
    print("// clang-format off")
    rows = []
    for version in sorted(tables, reverse=True):
        table, lines = tables[version], []
        for name in sorted(set(table) | set(tables[newest]), key=lambda n: n.encode()):
            line = table.get(name, "-")
            if version == newest or line != tables[newest].get(name, "-"):
                lines.append(f"{name}\t{line}")
        variable = "kNodes_" + "_".join(map(str, version))
        write_lines(variable, lines)
        rows.append(f"    {{{{{version[0]}, {version[1]}, {version[2]}}}, {variable}}},")
    print("constexpr VersionTable kTables[] = {")
    print("\n".join(rows))
    print("};")


if __name__ == "__main__":
    main(sys.argv[1:])
