# SPDX-License-Identifier: Apache-2.0
"""Patched workflows in real ComfyUI's scheduler: the unload node runs between the passes.

usage: patch_order_real.py EBB

Every workflow of ../shared/corpus that `ebb apply --with UnloadModels` changes is converted and run
by the checkout's own ExecutionList, for several orders of its output nodes. Which model a sampler
uses is followed here, by input names alone, without Ebb: between two samplers whose models come
from different loaders an UnloadModels node must have run.
"""
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import order_real
import support

ORDERS = 6


def patched_prompts(ebb):
    run = subprocess.run([ebb, "apply", str(support.SHARED / "corpus"), "--with", "UnloadModels",
                          "--check", "--json"], capture_output=True, text=True, check=False)
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    with tempfile.TemporaryDirectory() as folder:
        for row in rows:
            if not row["changed"]:
                continue
            path = str(pathlib.Path(folder, "patched.json"))
            subprocess.run([ebb, "apply", row["file"], "--with", "UnloadModels", "-o", path,
                            "--force"], check=True, capture_output=True)
            done = subprocess.run([ebb, "convert", path], check=True, capture_output=True,
                                  text=True)
            prompt = order_real.unlink_missing(json.loads(done.stdout))
            yield row["file"], prompt, {c["node"] for c in row["changes"]}


def model_of(prompt, node):
    """The loader behind a sampler: back along model-like inputs."""
    for _ in range(len(prompt)):
        inputs = prompt[node]["inputs"]
        links = [inputs[name] for name in ("model", "guider", "model1", "basic_pipe", "on_true")
                 if order_real.is_link(inputs.get(name))]
        if not links:
            return node
        node = links[0][0]
    return node


def is_sampler(node):
    name, inputs = node.get("class_type", ""), node["inputs"]
    return (name.startswith(("KSampler", "SamplerCustom")) and "Select" not in name and
            "Config" not in name and order_real.is_link(inputs.get("model", inputs.get("guider"))))


def file_of(prompt, node):
    """Two loaders of one file are one model."""
    values = [v for v in prompt[node]["inputs"].values() if isinstance(v, str) and "." in v]
    return values[0] if values else node


def late_unloads(prompt, order):
    """Pairs of samplers of different models without an UnloadModels between them."""
    last, unloaded = None, False
    for node in order:
        if prompt[node].get("class_type") == "UnloadModels":
            unloaded = True
        elif is_sampler(prompt[node]):
            model = file_of(prompt, model_of(prompt, node))
            if last and last[1] != model and not unloaded:
                yield last[0], node
            last, unloaded = (node, model), False


def output_nodes(prompt, classes):
    read = {v[0] for n in prompt.values() for v in n["inputs"].values() if order_real.is_link(v)}
    return [key for key, node in prompt.items()
            if classes.get(node.get("class_type"), {}).get("output_node") or
            (node.get("class_type") not in classes and key not in read and
             any(order_real.is_link(v) for v in node["inputs"].values()))]


def main(ebb):
    folders = support.checkouts()
    if not support.SHARED.is_dir():
        support.skip("../shared (workflow corpus) is not here")
    import gzip
    path = support.SHARED / "reference/object_info/0.18.2.json.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        known = order_real.slim(json.load(file), order_real.coroutine_classes())
    rng, jobs = random.Random(1), []
    for file, prompt, _ in patched_prompts(ebb):
        outputs = output_nodes(prompt, known)
        if not outputs or order_real.has_cycle(prompt):
            continue
        used = {node.get("class_type") for node in prompt.values()}
        facts = {name: known.get(name, {"input": {}}) for name in used}
        for node in outputs:
            name = prompt[node].get("class_type")
            facts[name] = dict(facts[name], output_node=True)
        for order in [outputs, outputs[::-1]] + [rng.sample(outputs, len(outputs))
                                                 for _ in range(ORDERS - 2)]:
            jobs.append({"id": file, "prompt": prompt, "outputs": order, "classes": facts})
    text = "".join(json.dumps(job) + "\n" for job in jobs)
    failures = 0
    for folder in folders:
        real = order_real.ask([sys.executable, str(support.ROOT / "tools/comfy_order.py"), folder],
                              text)
        ran = 0
        for job, answer in zip(jobs, real):
            order = answer.get("order")
            if order is None:
                failures += 1
                print(job["id"], answer)
                continue
            ran += sum(job["prompt"][n].get("class_type") == "UnloadModels" for n in order)
            for first, second in late_unloads(job["prompt"], order):
                failures += 1
                print(f"{job['id']}, outputs {job['outputs']}: nothing unloads between {first} and "
                      f"{second}: {order}")
        print(f"ComfyUI {support.version_of(folder)}: {len({j['id'] for j in jobs})} patched "
              f"workflows, {len(jobs)} orders, {ran} unload nodes run, {failures} failures")
    return 1 if failures or not jobs else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
