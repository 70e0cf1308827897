# SPDX-License-Identifier: Apache-2.0
"""What ComfyUI's server refuses of a prompt, and what `ebb convert --report` says that it refuses.

usage: refuse_real.py EBB [SEED]

Every prompt goes through the checkout's own execution.validate_prompt: graphs and prompts of the
shared corpus as Ebb converts them, and copies of them with numbers set beyond their limits, values
of wrong kinds, links of wrong types and links to outputs that are not there. Node by node and input
by input both must agree. What Ebb does not judge is left out: files that a server lacks, inputs
that are missing, and prompts with classes that the checkout lacks.
"""
import asyncio
import copy
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

import support

JUDGED = {"return_type_mismatch", "value_smaller_than_min", "value_bigger_than_max",
          "invalid_input_type", "bad_linked_input"}
ODD_VALUES = [-1, 0, 10**9, 10**18, 2**62, -10**18, 18446744073709551615, 18446744073709552000, 0.5,
              -0.001, 1e300, None, True, "12", "1e3", "many", "", {}, [1, 2, 3], ["1"], [4, 0]]
# Ebb's table of 0.33.0 is of a server of 2026-08-22, which still calls itself 0.33.0: since the
# release these inputs of a class have changed. {class: (input that is dynamic there, inputs)}
SINCE_RELEASE = {"0.33.0": {"SaveVideo": ("format", ("format.", "codec"))}}
CHANGED_PROMPTS = 60  # prompts of the corpus that are changed, each several times
CHANGES = 12


def load_server(folder):
    """The checkout's own modules, on the CPU and silent."""
    import logging

    os.chdir(folder)
    sys.path.insert(0, folder)
    sys.argv = sys.argv[:1]
    import comfy.options
    comfy.options.enable_args_parsing(False)
    import comfy.cli_args
    comfy.cli_args.args.cpu = True
    logging.disable(logging.CRITICAL)
    import execution
    import nodes
    asyncio.run(nodes.init_builtin_extra_nodes())
    asyncio.run(nodes.init_builtin_api_nodes())
    return execution, nodes


def checks_itself(node_class):
    """Whether a class has a check of its own, which may fail on values that it did not expect."""
    inner = getattr(node_class, "validate_inputs", None)
    return hasattr(node_class, "VALIDATE_INPUTS") or inner is not None


def served(execution, nodes, prompt):
    """(node, input) for what the server refuses; (node, None) where looking at a node failed."""
    answer = asyncio.run(execution.validate_prompt("x", copy.deepcopy(prompt), None))
    found, other = set(), False
    if answer[1] and answer[1]["type"] == "missing_node_type":
        return None
    for node, report in answer[3].items():
        for error in report["errors"]:
            if error["type"] in JUDGED:
                found.add((node, error["extra_info"]["input_name"]))
            elif error["type"].startswith("exception"):
                kind = error["extra_info"]["exception_type"]
                if kind in ("RecursionError", "KeyError") and "[4, 0]" not in str(prompt):
                    return None  # circles and missing nodes are said elsewhere
                other = True
                if not checks_itself(nodes.NODE_CLASS_MAPPINGS[prompt[node]["class_type"]]):
                    found.add((node, None))
    return found, other


def told(ebb, path, version, folder):
    """The prompt that Ebb makes of a file, and (node, input) for what it says is refused."""
    out, report = pathlib.Path(folder, "out.json"), pathlib.Path(folder, "report.json")
    done = subprocess.run([ebb, "convert", path, "--comfyui", version, "-o", out, "--report",
                           report], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return None
    entries = json.loads(report.read_text())["refused"]
    return json.loads(out.read_text()), {(x["node"], x["input"]) for x in entries}


def without_changed(entries, prompt, nodes, version):
    """Entries without those of inputs that this checkout has otherwise than Ebb's table."""
    def changed_since(node, name):
        kind = prompt[node]["class_type"]
        if name is None or kind not in SINCE_RELEASE.get(version, {}):
            return False
        dynamic, names = SINCE_RELEASE[version][kind]
        told = nodes.NODE_CLASS_MAPPINGS[kind].INPUT_TYPES()["required"][dynamic][0]
        return told != "COMFY_DYNAMICCOMBO_V3" and name.startswith(names)
    return {(node, name) for node, name in entries if not changed_since(node, name)}


def agree(server, mine):
    found, failed = server
    if not failed:
        return found == mine
    # A node at which the server fails is refused whole, and it looks no further from there.
    nodes = {node for node, _ in mine}
    return all((node, name) in mine or (name is None and node in nodes) for node, name in found)


def changed(prompt, rng):
    """A copy with one value or link that a user or a script might get wrong."""
    prompt = copy.deepcopy(prompt)
    node = rng.choice([n for n in prompt.values() if n["inputs"]])
    name = rng.choice(list(node["inputs"]))
    value = node["inputs"][name]
    if isinstance(value, list) and rng.random() < 0.8:
        other = value[0] if rng.random() < 0.4 else rng.choice(list(prompt))
        node["inputs"][name] = [other, rng.choice([0, 0, 1, 2, 7, -1, -9])]
    else:
        node["inputs"][name] = rng.choice(ODD_VALUES)
    return prompt


def compare(ebb, folder, seed):
    execution, nodes = load_server(folder)
    version = support.version_of(folder)
    rng = random.Random(seed)
    counts = {"prompts": 0, "refused": 0, "differ": 0}

    def check(name, prompt, mine):
        server = served(execution, nodes, prompt)
        if server is None:
            return
        counts["prompts"] += 1
        counts["refused"] += bool(server[0])
        mine = without_changed(mine, prompt, nodes, version)
        server = (without_changed(server[0], prompt, nodes, version), server[1])
        if not agree(server, mine):
            counts["differ"] += 1
            if counts["differ"] <= 10:
                print(f"server {sorted(server[0], key=str)}, Ebb {sorted(mine)}: {name}"[:3000])

    whole = []
    with tempfile.TemporaryDirectory() as scratch:
        for path in sorted((support.SHARED / "corpus").glob("*/*.json")):
            answer = told(ebb, path, version, scratch)
            if not answer or any(n["class_type"] not in nodes.NODE_CLASS_MAPPINGS
                                 for n in answer[0].values()):
                continue
            check(path.name, *answer)
            if any(n["inputs"] for n in answer[0].values()):
                whole.append((path.name, answer[0]))
        for name, prompt in rng.sample(whole, min(CHANGED_PROMPTS, len(whole))):
            for i in range(CHANGES):
                file = pathlib.Path(scratch, "changed.json")
                file.write_text(json.dumps(changed(prompt, rng)))
                answer = told(ebb, file, version, scratch)
                if answer:
                    check(f"{name}, change {i}: {file.read_text()}", *answer)
    print(f"ComfyUI {version}: {counts['prompts']} prompts, {counts['refused']} refused by the "
          f"server, {counts['differ']} differences (seed {seed})", flush=True)
    return counts["differ"] > 0 or counts["prompts"] == 0


def main(arguments):
    folders = support.checkouts()
    python = support.comfyui_python()
    if not support.SHARED.is_dir():
        support.skip("no ../shared")
    if os.environ.get("EBB_REFUSE_REAL") == "1":
        return compare(os.path.abspath(arguments[0]), folders[0], int(arguments[1]))
    seed = arguments[1] if len(arguments) > 1 else str(random.SystemRandom().randrange(1 << 30))
    code = 0
    for folder in folders:
        environment = dict(os.environ, EBB_REFUSE_REAL="1", EBB_COMFYUI_DIR=folder)
        code |= subprocess.run([python, os.path.abspath(__file__), os.path.abspath(arguments[0]),
                                seed], env=environment, check=False).returncode
    return code


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
