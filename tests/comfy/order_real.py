# SPDX-License-Identifier: Apache-2.0
"""Ebb's order against that of real ComfyUI's scheduler: recorded, corpus and random prompts.

usage: order_real.py PRINT_ORDER [SEED]
"""
import gzip
import json
import random
import re
import subprocess
import sys

import support

SHUFFLES = 2
RANDOM_PROMPTS = 400
RANDOM_QUEUES = 60
QUEUED = 4  # prompts in a queue


def is_link(value):
    return (isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
            and isinstance(value[1], (int, float)))


def unlink_missing(prompt):
    """Drops links to nodes that are not there: ComfyUI refuses them before it schedules."""
    for node in prompt.values():
        node["inputs"] = {name: value for name, value in node.get("inputs", {}).items()
                          if not is_link(value) or value[0] in prompt}
    return prompt


def has_cycle(prompt):
    waiting = {node: {v[0] for v in value["inputs"].values() if is_link(v)}
               for node, value in prompt.items()}
    while True:
        free = [node for node, sources in waiting.items() if not sources & waiting.keys()]
        if not free:
            return bool(waiting)
        for node in free:
            del waiting[node]


def coroutine_classes():
    text = (support.ROOT / "src/pass/order_classes.inc").read_text(encoding="utf-8")
    return set(re.findall(r'\{"(.+?)", \{kAsync', text))


def recorded_prompts(name):
    """(name, prompt) of everything that a front end sent."""
    with gzip.open(support.SHARED / "reference" / name, "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            if record.get("prompt"):
                yield record["file"], record["prompt"]


def api_prompts():
    """(name, prompt) of every API prompt of the corpus."""
    for path in sorted((support.SHARED / "corpus").glob("**/*.json")):
        try:
            data = json.loads(path.read_text(encoding="utf-8-sig"))
        except ValueError:
            continue
        if isinstance(data, dict) and isinstance(data.get("prompt"), dict):
            data = data["prompt"]
        if isinstance(data, dict) and data and all(
                isinstance(node, dict) and isinstance(node.get("inputs"), dict)
                and "class_type" in node for node in data.values()):
            yield str(path.relative_to(support.SHARED / "corpus")), data


# Classes of random prompts: lazy inputs, an output node in the middle, ids that count, coroutines.
RANDOM_CLASSES = {
    "Plain": {}, "Other": {}, "Save": {"output_node": True}, "Show": {"output_node": True},
    "Late": {"input": {"required": {"in0": ["*", {"lazy": True}], "in2": ["*", {"lazy": True}]}}},
    "GetImageSize": {"input": {"hidden": {"unique_id": "UNIQUE_ID"}}},
    "LumaImageNode": {"async": True},
}


def random_prompt(rng):
    count = rng.randint(1, 40)
    names = rng.choices(list(RANDOM_CLASSES), weights=[8, 4, 1, 1, 3, 1, 1], k=count)
    prompt = {}
    for i, name in enumerate(names):
        inputs = [("seed", rng.randint(0, 2)), ("scale", rng.choice([1, 1.0, True, "1"]))]
        for n in range(rng.randint(0, 3) if i else 0):
            inputs.append((f"in{n}", [str(rng.randrange(max(0, i - 12), i)), rng.randint(0, 1)]))
        rng.shuffle(inputs)
        prompt[str(i)] = {"class_type": name, "inputs": dict(inputs)}
    prompt[str(count)] = {"class_type": "Save", "inputs": {"in0": [str(count - 1), 0]}}
    keys = list(prompt)
    rng.shuffle(keys)
    return {key: prompt[key] for key in keys}


def output_orders(outputs, rng):
    orders = [list(outputs), list(reversed(outputs))]
    for _ in range(SHUFFLES):
        orders.append(rng.sample(outputs, len(outputs)))
    return [list(x) for x in dict.fromkeys(map(tuple, orders))]


def jobs_of(name, prompt, classes, rng):
    prompt = unlink_missing(prompt)
    used = {node.get("class_type") for node in prompt.values()}
    facts = {key: classes[key] for key in used if key in classes}
    outputs = [node for node, value in prompt.items()
               if facts.get(value.get("class_type"), {}).get("output_node")]
    if not outputs or has_cycle(prompt):
        return
    for order in output_orders(outputs, rng):
        yield {"id": name, "prompt": prompt, "outputs": order, "classes": facts}


def slim(info, coroutines):
    """What the order asks of an object_info, without the lists of choices."""
    result = {}
    for name, value in info.items():
        inputs = {}
        for group in ("required", "optional"):
            inputs[group] = {
                key: ["", {"lazy": True}] for key, row in value["input"].get(group, {}).items()
                if len(row) > 1 and isinstance(row[1], dict) and row[1].get("lazy")}
        inputs["hidden"] = value["input"].get("hidden", {})
        result[name] = {"output_node": value["output_node"], "input": inputs,
                        "async": name in coroutines}
    return result


def known_classes(version):
    path = support.SHARED / f"reference/object_info/{version}.json.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        classes = slim(json.load(file), coroutine_classes())
    # Switches ask for one input, which their own node decides; here nodes ask for all.
    return {k: v for k, v in classes.items() if not k.endswith("SwitchNode")}


def all_jobs(rng):
    if support.SHARED.is_dir():
        # The later ones have save nodes with outputs, and nodes that read them.
        old, new = known_classes("0.18.2"), known_classes("0.33.0")
        for classes, prompts in ((old, recorded_prompts("oracle-prompts.jsonl.gz")),
                                 (old, api_prompts()),
                                 (new, recorded_prompts("oracle-prompts-1.58.1.jsonl.gz"))):
            for name, prompt in prompts:
                yield from jobs_of(name, prompt, classes, rng)
    for i in range(RANDOM_PROMPTS):
        yield from jobs_of(f"random {i}", random_prompt(rng), RANDOM_CLASSES, rng)


# ---- queues: what a second prompt finds in the node cache ------------------------------------

def changed(prompt, rng):
    """Another prompt: some values differ, now and then a link or a node goes."""
    result = json.loads(json.dumps(prompt))
    for _ in range(rng.randint(0, 3)):
        node = result[rng.choice(list(result))]
        values = [k for k, v in node["inputs"].items() if not is_link(v)]
        if values:
            node["inputs"][rng.choice(values)] = rng.randint(0, 3)
    if rng.random() < 0.2:
        result.pop(rng.choice([key for key, node in result.items()
                               if node["class_type"] not in ("Save", "Show")] or list(result)))
    return unlink_missing(result)


def queue_of(rng, twins):
    """Prompts that come back after others, so that caches differ in what they still have."""
    prompts = [random_prompt(rng)]
    while len(prompts) < QUEUED:
        prompts.append(changed(rng.choice(prompts), rng))
    queue = []
    for prompt in prompts:
        if not twins:
            for number, node in enumerate(prompt.values()):
                node["inputs"]["alone"] = number
        outputs = [node for node, value in prompt.items()
                   if RANDOM_CLASSES[value["class_type"]].get("output_node")]
        if outputs:
            queue.append({"prompt": prompt, "outputs": rng.sample(outputs, len(outputs))})
    return queue


def caches(version, rng):
    yield "classic", "", 0
    entries = rng.choice([1, 8, 30, 60])
    yield "lru", f"--cache-lru {entries}", entries
    yield "none", "--cache-none", 0
    if version != "0.3.64":
        yield "ram", "--cache-ram", 0
    if has_idle_limit(version):
        yield "ram, plenty", "--cache-ram 4 20", 0
        yield "standard", "", 0


def has_idle_limit(version):
    """Whether the RAM cache drops results of earlier prompts below a limit of their own."""
    return tuple(map(int, version.split("."))) >= (0, 23, 0)


def real_cache(cache):
    return "ram" if cache in ("standard", "ram, plenty") else cache


def ram_of(version, cache):
    """What a job says of RAM: 50 GiB are free, which is less than the limit, unless that is 20."""
    if not has_idle_limit(version):
        return {}
    return {"ram_free_gib": 50, "idle_limit_gib": 20 if cache == "ram, plenty" else 64}


def compare_queues(print_order, folder, seed):
    rng = random.Random(seed)
    version = support.version_of(folder)
    jobs = []
    for i in range(RANDOM_QUEUES):
        queue = queue_of(rng, twins=i % 3 > 0)
        for cache, flags, entries in caches(version, rng):
            # 0.3.64 --cache-none takes a result away from the twin of the node that made it.
            if queue and (version, cache, i % 3 > 0) != ("0.3.64", "none", True):
                jobs.append({"id": f"queue {i} {cache}", "queue": queue, "classes": RANDOM_CLASSES,
                             "version": version, "flags": flags,
                             "cache": real_cache(cache), "entries": entries,
                             **ram_of(version, cache)})
    text = "".join(json.dumps(job) + "\n" for job in jobs)
    ours = ask([print_order], text)
    real = ask([sys.executable, str(support.ROOT / "tools/comfy_order.py"), folder], text)
    failures = kept = 0
    for job, mine, theirs in zip(jobs, ours, real, strict=True):
        runs = zip(job["queue"], mine.get("runs", [{}] * len(job["queue"])), theirs["runs"],
                   strict=True)
        for number, (item, run, real_run) in enumerate(runs):
            kept += len(real_run.get("kept", []))
            if any(run.get(key) != real_run.get(key) for key in ("order", "served", "kept")):
                failures += 1
                if failures <= 3:
                    print(f"{job['id']} {job['flags']}, prompt {number}: {json.dumps(item)}\n"
                          f"  Ebb  {run or mine}\n  real {real_run}")
                break
    print(f"ComfyUI {version}: {len(jobs)} queues of up to {QUEUED} prompts, {kept} results kept, "
          f"{failures} differences")
    return failures


def ask(command, text):
    run = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        sys.exit(f"{' '.join(command)} failed: {run.stderr[-2000:]}")
    return [json.loads(line) for line in run.stdout.splitlines()]


def main(print_order, seed):
    folders = support.checkouts()
    jobs = list(all_jobs(random.Random(seed)))
    text = "".join(json.dumps(job) + "\n" for job in jobs)
    ours = ask([print_order], text)
    failures = 0
    for folder in folders:
        real = ask([sys.executable, str(support.ROOT / "tools/comfy_order.py"), folder], text)
        if not len(jobs) == len(ours) == len(real):
            sys.exit(f"{len(jobs)} jobs, {len(ours)} answers of Ebb, {len(real)} of {folder}")
        served = 0
        for job, mine, theirs in zip(jobs, ours, real):
            served += len(theirs.get("served", []))
            if any(mine.get(key) != theirs.get(key) for key in ("order", "served")):
                failures += 1
                if failures <= 5:
                    print(f"{job['id']}, outputs {job['outputs']}\n  Ebb  {mine}\n  real {theirs}")
        names = len({job["id"] for job in jobs})
        print(f"ComfyUI {support.version_of(folder)}: {names} prompts, {len(jobs)} orders, "
              f"{served} nodes served from another")
        failures += compare_queues(print_order, folder, seed)
    print(f"seed {seed}: {failures} differences")
    return 1 if failures else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    SEED = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 30)
    sys.exit(main(sys.argv[1], SEED))
