#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes src/workflow/pack_table.inc: the order of widgets of classes that ComfyUI does not have.

usage: make_pack_table.py CORPUS_FOLDER OBJECT_INFO.json.gz ... > src/workflow/pack_table.inc

A graph saves the values of widgets without their names. The names and their order show in two
kinds of files: API prompts (`inputs` are in widget order, widgets before links) and graphs whose
nodes have a socket for every widget (`inputs[].widget.name`). Each such node is an observation:
a list of names with the kinds of their values. The longest list of a class is taken if all other
lists have its names in its order; a class needs two observations, or one if it names a model
file. Classes that an OBJECT_INFO has are left out, the project's own table has them.

A line is {class, widgets, output types, observations}: widgets separated by tabs, each a letter for
its kind (s text, n number, b truth, o object, x several) and its name; output types as graphs have
them, separated by tabs, where all agree. Names, order and types are facts; no value is kept.
"""
import collections
import gzip
import json
import pathlib
import re
import struct
import sys
import zlib

OBSERVATIONS_MIN = 2
RULED = {"Power Lora Loader (rgthree)"}  # src/workflow/guess.cpp has a rule for it
MODEL_ENDINGS = (".safetensors", ".gguf", ".sft", ".ckpt", ".pt", ".pth", ".bin")
CONTROLS = {"fixed", "increment", "decrement", "randomize", "increment-wrap"}
# Written into every node by front-end extensions; no class declares them.
FOREIGN_NAMES = {"speak_and_recognation", "control_after_generate", "choose file to upload",
                 "upload", "videopreview", "video-preview"}


def png_texts(data):
    at = 8
    while at + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b"tEXt":
            yield body.split(b"\0", 1)[-1]
        elif kind == b"iTXt" and body.count(b"\0") >= 4:
            yield body.split(b"\0", 4)[-1]
        elif kind == b"zTXt":
            try:
                yield zlib.decompress(body.split(b"\0", 1)[-1][1:])
            except zlib.error:
                pass
        at += 12 + length


def documents(folder):
    """The JSON objects of every JSON file, and of the texts in every PNG."""
    for path in sorted(folder.rglob("*")):
        texts = []
        if path.suffix == ".json":
            texts = [path.read_bytes()]
        elif path.suffix == ".png":
            texts = png_texts(path.read_bytes())
        for text in texts:
            try:
                data = json.loads(text.decode("utf-8-sig", "replace"))
            except ValueError:
                continue
            for key in ("prompt", "workflow", "output"):
                if isinstance(data, dict) and isinstance(data.get(key), dict):
                    yield data[key]
            if isinstance(data, dict):
                yield data


def kind_of(value):
    if isinstance(value, bool):
        return "b"
    if isinstance(value, (int, float)):
        return "n"
    if isinstance(value, str):
        return "s"
    return "o" if isinstance(value, dict) and "__value__" not in value else "x"


def is_link(value):
    return isinstance(value, list)


def names_model(value):
    return isinstance(value, str) and value.lower().endswith(MODEL_ENDINGS)


class Class:
    """What was seen of one class."""

    def __init__(self):
        self.lists = collections.Counter()   # tuple of names -> how often
        self.kinds = collections.defaultdict(set)
        self.outputs = collections.Counter()
        self.model = False

    def observe(self, pairs):
        self.lists[tuple(name for name, _ in pairs)] += 1
        for name, value in pairs:
            if value is not None:
                self.kinds[name].add(kind_of(value))
            self.model |= names_model(value)

    def kind(self, name):
        kinds = self.kinds[name]
        return next(iter(kinds)) if len(kinds) == 1 else "x"


def observe_prompt(prompt, classes):
    for node in prompt.values():
        if not isinstance(node, dict) or not isinstance(node.get("inputs"), dict):
            continue
        if not isinstance(node.get("class_type"), str):
            continue
        pairs = [(name, value) for name, value in node["inputs"].items()
                 if not is_link(value) and name not in FOREIGN_NAMES]
        if pairs:
            classes[node["class_type"]].observe(pairs)


def socket_names(node):
    """Widget names by socket, in order; the seed's extra place is told by its value."""
    names = []
    for socket in node.get("inputs") or []:
        widget = socket.get("widget") if isinstance(socket, dict) else None
        if isinstance(widget, dict) and isinstance(widget.get("name"), str):
            names.append(widget["name"])
    return names


def pair(names, values):
    """Names with values, or nothing if they do not fit exactly."""
    pairs, at = [], 0
    for name in names:
        if at >= len(values):
            return []
        pairs.append((name, values[at]))
        at += 1
        control = at < len(values) and isinstance(values[at], str) and values[at] in CONTROLS
        if control and kind_of(pairs[-1][1]) == "n":
            at += 1
    return pairs if at == len(values) else []


def observe_graph(graph, classes):
    nodes = list(graph["nodes"])
    definitions = graph.get("definitions")
    if isinstance(definitions, dict):
        for definition in definitions.get("subgraphs") or []:
            nodes += definition.get("nodes") or []
    for node in nodes:
        if not isinstance(node, dict) or not isinstance(node.get("type"), str):
            continue
        seen = classes[node["type"]]
        outputs = node.get("outputs")
        if isinstance(outputs, list):
            types = tuple(str(x.get("type")) for x in outputs if isinstance(x, dict))
            seen.outputs[types] += 1
        values = node.get("widgets_values")
        names = socket_names(node)
        if isinstance(values, list) and names:
            pairs = pair(names, values)
            if pairs:
                seen.observe(pairs)


def is_subsequence(short, long):
    rest = iter(long)
    return all(name in rest for name in short)


def known_classes(paths):
    known = set()
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            known |= set(json.load(file))
    return known


def is_definition(name):
    """Instances of subgraphs have a definition's id for a class, old groups `workflow>Name`."""
    uuid = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    return name.startswith("workflow") or re.fullmatch(uuid, name)


def row(name, seen):
    """The line of a class, or nothing where the observations say too little or disagree."""
    count = sum(seen.lists.values())
    if not seen.lists or not (count >= OBSERVATIONS_MIN or seen.model):
        return None
    longest = max(seen.lists, key=lambda names: (len(names), seen.lists[names], names))
    if len(set(longest)) != len(longest):
        return None
    if not all(is_subsequence(names, longest) for names in seen.lists):
        return None
    if any(c in part for part in (name, *longest) for c in "\t\n\"~"):
        return None
    widgets = "\t".join(seen.kind(x) + x for x in longest)
    outputs = next(iter(seen.outputs)) if len(seen.outputs) == 1 else ()
    types = "\t".join(outputs)
    return f'    {{R"~({name})~", R"~({widgets})~", R"~({types})~", {count}}},'


def main(folder, object_infos):
    classes = collections.defaultdict(Class)
    for data in documents(folder):
        if isinstance(data.get("nodes"), list):
            observe_graph(data, classes)
        else:
            observe_prompt(data, classes)
    known = known_classes(object_infos)
    rows, dropped = [], []
    for name in sorted(classes, key=lambda x: x.encode()):
        if name in known or name in RULED or is_definition(name):
            continue
        line = row(name, classes[name])
        if line:
            rows.append(line)
        elif classes[name].model:
            dropped.append(name)
    print("// Made by tools/make_pack_table.py from public workflow files; its first lines explain "
          "the format.\n// clang-format off")
    print("constexpr PackRow kPackRows[] = {")
    print("\n".join(rows))
    print("};\n// clang-format on")
    print(f"{len(rows)} classes; contradicting, though they name models: {dropped}",
          file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])
