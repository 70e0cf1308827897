#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Graphs against the prompts that were sent when their pictures were made, and why they differ.

usage: embedded_prompts.py EBB [--all]

Media of the shared corpus carry both, and the corpus has the graph and the prompt of many more as
files of their own. What the graph says now is what Ebb must send; the prompt is what was sent then.
Every difference needs a cause that the files themselves show:

old widget    a widget that front ends of then sent and those of today do not
new input     the class gained an input since; its default is sent
lost input    the class of today has no such input
edited        the graph's own values or links hold what Ebb sends, not what was sent then
seed          only the seed differs, and the graph says that it changes after every run
random        a text of which one alternative {a|b} is chosen, or a name with the time in it
canvas        what a node that lives on the canvas alone passed on, in the pack of then
unknown       a value of a class that nobody knows, reported as uncertain

Prints the counts and every difference without a cause, and fails if there is one.
"""
import collections
import json
import pathlib
import subprocess
import sys
import tempfile

SHARED = pathlib.Path(__file__).resolve().parents[3] / "shared"
OLD_WIDGETS = {"upload", "choose file to upload", "video-preview", "videopreview",
               "speak_and_recognation", "choose audio to upload", "audioUI", "preview"}
SEEDS = {"seed", "noise_seed"}


def convert(ebb, path, *options):
    """The prompt and the values that are uncertain; nothing if Ebb refuses the file."""
    with tempfile.NamedTemporaryFile() as report:
        done = subprocess.run([ebb, "convert", path, "--comfyui", "0.18.2", "--report", report.name,
                               *options], capture_output=True, check=False)
        if done.returncode != 0:
            return None, None
        told = json.loads(pathlib.Path(report.name).read_text(encoding="utf-8"))
    uncertain = {(x["node"], x["input"]): x["why"] for x in told["uncertain"]}
    return json.loads(done.stdout), uncertain


def flat(value):
    """Numbers as JavaScript compares them; a wrapped list as the list."""
    if isinstance(value, dict) and "__value__" in value:
        return flat(value["__value__"])
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, list):
        return [flat(x) for x in value]
    return value


def is_link(value):
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


def graph_nodes(graph):
    """Every node of a graph by its last id; groups' and subgraphs' inner ones too."""
    nodes = {}
    lists = [("", graph.get("nodes", []))]
    for subgraph in graph.get("definitions", {}).get("subgraphs", []):
        lists.append((":", subgraph.get("nodes", [])))
    for prefix, group in lists:
        for node in group:
            nodes[f"{prefix}{node['id']}"] = node
    return nodes


def values_of(node):
    values = node.get("widgets_values") or []
    return [flat(x) for x in (values.values() if isinstance(values, dict) else values)]


class Comparison:
    def __init__(self, graph):
        self.graph = graph or {}
        self.nodes = graph_nodes(self.graph)
        self.text = json.dumps(self.graph)
        self.primitive_values = [x for n in self.nodes.values() if n["type"] == "PrimitiveNode"
                                 for x in values_of(n)]
        self.causes = collections.Counter()
        self.open = []

    def saved(self, key):
        return self.nodes.get(key) or self.nodes.get(":" + key.rsplit(":", 1)[-1])

    def holds(self, key, value):
        """Whether the graph itself has this value at this node, or in what drives it."""
        if ":" in key and not self.saved(key):  # in a group: its instance holds the values
            key = key.split(":")[0]
        node = self.saved(key)
        value = flat(value)
        return (node is not None and value in values_of(node)) or value in self.primitive_values

    def cause(self, key, name, mine, then, uncertain):
        if name in OLD_WIDGETS and mine is None:
            return "old widget"
        why = uncertain.get((key, name)) or uncertain.get((key, ""))
        if why and ("{a|b}" in why or "time" in why):
            return "random"
        if why or any(node == key for node, _ in uncertain) and mine is None:
            return "unknown"
        node = self.saved(key)
        if node is None and ":" not in key:
            return "edited"
        if then is None:
            return "edited" if is_link(mine) else "new input"
        if mine is None:
            return "edited" if is_link(then) else "lost input"
        if name in SEEDS and not is_link(mine) and not is_link(then):
            control = any(word in self.text for word in ('"randomize"', '"increment"',
                                                         '"decrement"'))
            return "seed" if control else "edited"
        if is_link(mine) or is_link(then):
            return "edited" if self.linked_as(key, name, mine) else None
        return "edited" if self.holds(key, mine) and not self.was(key, name, then) else None

    def was(self, key, name, then):
        """Whether the file says what was sent then, so that Ebb has read it wrongly."""
        node = self.saved(key)
        if node is None or not isinstance(node.get("widgets_values"), dict):
            return False
        return flat(node["widgets_values"].get(name)) == flat(then)

    def linked_as(self, key, name, mine):
        """Whether the graph's own socket agrees with what Ebb sends: a link where one is."""
        node = self.saved(key)
        sockets = [x for x in (node or {}).get("inputs", []) if x["name"] == name]
        linked = bool(sockets) and sockets[0].get("link") is not None
        return is_link(mine) == linked or (is_link(mine) and ":" in key)

    def run(self, mine, then, uncertain):
        for key in list(mine) + [x for x in then if x not in mine]:
            if key not in mine or key not in then or (mine[key]["class_type"] !=
                                                      then[key]["class_type"]):
                self.note(key, "", mine.get(key), then.get(key), self.node_cause(key, mine, then))
                continue
            ours, theirs = mine[key]["inputs"], then[key]["inputs"]
            for name in list(ours) + [x for x in theirs if x not in ours]:
                a, b = ours.get(name), theirs.get(name)
                if flat(a) != flat(b):
                    self.note(key, name, a, b, self.cause(key, name, a, b, uncertain))

    def node_cause(self, key, mine, then):
        """A node that only one of them has: the graph, as it is now, decides."""
        node = self.saved(key)
        if key in mine:
            return "edited" if node is not None else None
        if node is None:
            return "edited"
        if node.get("mode") in (2, 4) or node["type"] != then[key]["class_type"]:
            return "edited"
        if then[key]["class_type"] in ("SetNode", "GetNode", "Reroute (rgthree)", "Reroute"):
            return "canvas"
        return None

    def note(self, key, name, mine, then, cause):
        self.causes[cause or "no cause"] += 1
        if cause is None:
            self.open.append(f"  node {key} {name}: Ebb {str(mine)[:80]}, then {str(then)[:80]}")


def pairs(corpus):
    """(name, graph file and options, prompt file and options, graph JSON or nothing)"""
    for path in sorted(corpus.glob("*/*.workflow.json")):
        stem = str(path)[:-len(".workflow.json")]
        prompt = pathlib.Path(stem + ".prompt.json")
        if prompt.exists():
            yield path.name, [path], [prompt], json.loads(path.read_bytes())
    for path in sorted(corpus.glob("*/*")):
        if path.suffix not in (".json", ".tsv", ".txt"):
            yield path.name, [path, "--workflow"], [path, "--prompt"], None


def main(ebb, show_all):
    corpus = SHARED / "corpus"
    if not corpus.is_dir():
        print("skipped: no ../shared/corpus")
        return 77
    kinds = {"files": collections.Counter(), "media": collections.Counter(),
             "group nodes": collections.Counter()}
    failed = 0
    for name, graph_file, prompt_file, graph in pairs(corpus):
        mine, uncertain = convert(ebb, *graph_file)
        then, _ = convert(ebb, *prompt_file)
        if mine is None or then is None:
            continue
        if graph is None:
            graph = embedded_graph(ebb, graph_file[0])
        groups = any(str(n["type"]).startswith(("workflow>", "workflow/"))
                     for n in graph.get("nodes", []))
        counts = kinds["group nodes" if groups else "files" if len(graph_file) == 1 else "media"]
        comparison = Comparison(graph)
        comparison.run(mine, then, uncertain)
        counts["pairs"] += 1
        counts["equal"] += not comparison.causes
        counts.update(comparison.causes)
        if show_all and comparison.causes:
            print(name, dict(comparison.causes))
        if comparison.open:
            failed += len(comparison.open)
            print(name, *comparison.open[:8], sep="\n")
    for kind, counts in kinds.items():
        print(f"{kind}: " + ", ".join(f"{count} {cause}" for cause, count in counts.items()))
    print(f"{failed} differences without a cause")
    return 1 if failed or not kinds["files"]["pairs"] else 0


def embedded_graph(ebb, path):
    """The graph's JSON out of a media file, searched for in its bytes."""
    data = path.read_bytes()
    decoder = json.JSONDecoder()
    for mark in (b'{"last_node_id"', b'{"id"', b'{"nodes"', b'{"revision"', b'{"version"'):
        at = data.find(mark)
        while at >= 0:
            try:
                value = decoder.raw_decode(data[at:].decode("utf-8", "replace"))[0]
                if "nodes" in value:
                    return value
            except ValueError:
                pass
            at = data.find(mark, at + 1)
    return {}


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], "--all" in sys.argv))
