# SPDX-License-Identifier: Apache-2.0
"""A real ComfyUI while 50 hostile plans are under way: its page and /prompt answer as ever.

usage: attack_real.py LIBRARY

For each checkout of EBB_COMFYUI_DIR one server on the CPU under `apply`. Requests are timed one
after the other while nobody else asks, then while 50 clients post the shapes of hostile.py; none
may be lost, and the median may be at most five times that of before. Then hostile submissions:
under `apply` others wait no longer for them than they do when Ebb is off.
"""
import asyncio
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import hostile
import support
import two_pass
from automatic_real import SHORT, set_mode
from nodes_real import Checks
from two_pass import node

CLIENTS, BYTES, REQUESTS, TIMES = 50, 2 << 20, 40, 5
PROMPT = {"1": node("EmptyImage", width=8, height=8, batch_size=1, color=1),
          "2": node("PreviewImage", images=["1", 0])}


async def timed(client, path, body=None):
    """Seconds until an answer of the server is there whole, or None where it is lost."""
    began = time.perf_counter()

    async def ask():
        method = client.session.get if body is None else client.session.post
        async with method(client.url + path, data=body) as answer:
            await answer.read()
            return time.perf_counter() - began if answer.status == 200 else None
    try:
        return await asyncio.wait_for(ask(), 60)
    except (OSError, asyncio.TimeoutError):
        return None


async def series(client):
    """Times of each kind of request, one after the other."""
    kinds = {"page": ("/", None), "file": ("/extensions/ebb/ebb_panel.js", None),
             "/prompt": ("/prompt", json.dumps({"prompt": PROMPT}).encode())}
    taken = {name: [] for name in kinds}
    for _ in range(REQUESTS):
        for name, (path, body) in kinds.items():
            taken[name].append(await timed(client, path, body))
        await asyncio.sleep(0.02)
    return taken


def milliseconds(times):
    known = [each for each in times if each is not None]
    return round(1000 * statistics.median(known), 2) if known else None


async def plans(checks, client, version):
    await series(client)  # what is asked first is slow
    idle = await series(client)
    command = [sys.executable, str(two_pass.HERE / "hostile.py"), client.url, str(CLIENTS),
               str(BYTES)]
    with tempfile.TemporaryFile() as said:
        attack = subprocess.Popen(command, stdout=said)
        try:
            await asyncio.sleep(10)  # all of them are waiting or being planned
            under = await series(client)
            checks.that("the attack went on", attack.poll() is None)
        finally:
            attack.kill()
            attack.wait()
        said.seek(0)
        statuses = said.read().decode().split()
    told = {each: statuses.count(each) for each in sorted(set(statuses))}
    for name, times in under.items():
        before, now = milliseconds(idle[name]), milliseconds(times)
        lost, worst = times.count(None), max(each or 0 for each in times)
        print(f"  {version}, {name}: median {before} ms idle, {now} ms under attack "
              f"({now / before if now and before else 0:.1f} times), worst {1000 * worst:.0f} ms, "
              f"{lost} of {len(times)} lost", flush=True)
        checks.that(f"{name}: none is lost", lost == 0 and None not in idle[name], times)
        checks.that(f"{name}: at most {TIMES} times as long", bool(now and before)
                    and now <= TIMES * before, (before, now))
    print(f"  {version}: {CLIENTS} clients got {told}", flush=True)
    checks.that("hostile plans are answered, or refused for time, memory and number",
                not set(told) - {"200", "400", "413", "429", "503"}, told)


async def submit(client, raw):
    """(seconds until a submission is answered, longest that another request took meanwhile)."""
    began, slowest = time.perf_counter(), 0.0
    task = asyncio.create_task(client.session.post(client.url + "/prompt", data=raw))
    while not task.done():
        slowest = max(slowest, await timed(client, "/system_stats") or 60)
        await asyncio.sleep(0.01)
    (await task).release()
    return time.perf_counter() - began, slowest


async def submissions(checks, client, base, version):
    """Under `apply` each hostile prompt waits for its own patch, and nobody else for it.

    ComfyUI's own work on such a prompt is on the event loop, too: compared is with Ebb off.
    """
    for name, body in hostile.bodies(BYTES // 2).items():
        prompt = json.loads(body).get("prompt")
        if prompt is None:
            continue
        raw, seen = json.dumps({"prompt": prompt}).encode(), {}
        for mode in ("off", "apply"):
            set_mode(base, mode)
            tries = [await submit(client, raw) for _ in range(2)]  # ComfyUI collects garbage, too
            seen[mode] = min(tries, key=lambda each: each[1])
        print(f"  {version}, submission of {name}: " + "; ".join(
            f"{mode}: answered after {took:.2f} s, others waited {1000 * slowest:.0f} ms at most"
            for mode, (took, slowest) in seen.items()), flush=True)
        checks.that(f"{name}: it is answered within the time of a patch",
                    seen["apply"][0] < seen["off"][0] + 30, seen)
        checks.that(f"{name}: others wait for ComfyUI only",
                    seen["apply"][1] < 2 * seen["off"][1] + 1, seen)
    seen = await client.run(two_pass.two_pass(3, size=32, length=1, decode=False))
    checks.that("an ordinary prompt runs after all that", seen["error"] is None, seen["error"])


async def check(folder, library, _):
    version, checks = support.version_of(folder), Checks()
    models = pathlib.Path(os.environ["EBB_TEST_MODELS"])
    two_pass.make_models(folder, models)
    os.environ.update(EBB_LIBRARY=library, PYTHONPATH=str(support.ROOT / "python"),
                      EBB_PLAN_OPTIONS=json.dumps(SHORT))
    with tempfile.TemporaryDirectory(prefix="ebb-comfyui-") as base:
        pathlib.Path(base, "models").symlink_to(models)
        set_mode(base, "apply")
        async with two_pass.client(folder, base) as client:
            await plans(checks, client, version)
            await submissions(checks, client, base, version)
        log = two_pass.log_of(base)
        checks.that("no error of ours", not any("[Ebb]" in line and "Error" in line
                                                for line in log.splitlines()), log[-3000:])
    print(f"ComfyUI {version}: {checks.count} checks under attack, {checks.failures} failures",
          flush=True)
    return checks.failures


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(two_pass.run_checks("EBB_ATTACK_REAL", __file__, check, sys.argv[1:]))
