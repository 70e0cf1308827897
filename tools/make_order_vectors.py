#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints tests/pass/order_vectors.jsonl: what ComfyUI checkouts do with prompts made up here.

usage: make_order_vectors.py COMFYUI_DIR... > tests/pass/order_vectors.jsonl

Prompts come from tests/comfy/order_real.py with fixed seeds. Single prompts must run alike in all
checkouts; queues are recorded per checkout, with one kind of node cache each.
"""
import itertools
import json
import pathlib
import random
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/comfy"))
import order_real  # noqa: E402
import support  # noqa: E402

SINGLES, QUEUES, NODES_MAX = 30, 4, 12


def small(make, rng):
    while True:
        made = make(rng)
        if len(json.dumps(made)) < NODES_MAX * 110:
            return made


def singles():
    rng = random.Random(1)
    for i in range(SINGLES):
        prompt = small(order_real.random_prompt, rng)
        jobs = order_real.jobs_of(f"prompt {i}", prompt, order_real.RANDOM_CLASSES, rng)
        yield from itertools.islice(jobs, 2)


def queues(version):
    rng = random.Random(2)
    for i in range(QUEUES):
        queue = small(lambda r, i=i: order_real.queue_of(r, i % 2 > 0)[:3], rng)
        for cache, flags, entries in order_real.caches(version, rng):
            if queue and (version, cache, i % 2 > 0) != ("0.3.64", "none", True):
                yield {"id": f"queue {i} {cache} {version}", "queue": queue, "version": version,
                       "classes": order_real.RANDOM_CLASSES, "flags": flags, "cache": cache,
                       "entries": entries}


def ask(folder, jobs):
    run = subprocess.run([sys.executable, str(ROOT / "tools/comfy_order.py"), folder],
                         input="".join(json.dumps(job) + "\n" for job in jobs),
                         capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    for answer in answers:
        answer.pop("id")
    return answers


def main(folders):
    jobs = list(singles())
    answers = [ask(folder, jobs) for folder in folders]
    if any(other != answers[0] for other in answers):
        sys.exit("the checkouts run single prompts in different orders")
    for job, answer in zip(jobs, answers[0], strict=True):
        print(json.dumps({**job, "answer": answer}))
    for folder in folders:
        jobs = list(queues(support.version_of(folder)))
        for job, answer in zip(jobs, ask(folder, jobs), strict=True):
            print(json.dumps({**job, "answer": answer}))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
