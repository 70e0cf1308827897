# SPDX-License-Identifier: Apache-2.0
"""Ebb's automatic mode in real ComfyUI: what is said, what is put in, and what can go wrong.

usage: automatic_real.py LIBRARY [PART]

For each checkout of EBB_COMFYUI_DIR servers on the CPU run the two-pass graph of nodes_real.py with
LIBRARY (libebb_c) behind the package in python/. As there is no card, EBB_PLAN_OPTIONS names one.
PART is `prompts`, `routes` or `broken`; without it all of them run.
"""
import asyncio
import json
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
import time
import uuid

import support
import two_pass
from nodes_real import Checks, digest
from two_pass import node

SMALL = {"size": 32, "length": 1}
SHORT = {"vram": "6G", "ram": "800M", "comfyui": "0.3.64", "flags": ""}  # RAM is short: nodes help
JSON_BODY = {"Content-Type": "application/json"}
OURS = {"UnloadModels", "EbbCut", "EbbBudget"}


def set_mode(base, mode):
    """As the front end stores it."""
    path = pathlib.Path(base, "user", "default", "comfy.settings.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"Comfy.ColorPalette": "dark", "Ebb.PlanEveryPrompt": mode}))


async def ask(client, path, body=None, raw=None):
    """(status, answer) of a route; every answer has to be JSON."""
    data = raw if raw is not None else None if body is None else json.dumps(body)
    method = client.session.get if data is None else client.session.post
    more = {} if data is None else {"data": data, "headers": JSON_BODY}
    async with method(client.url + path, **more) as answer:
        return answer.status, json.loads(await answer.text())


async def text_of(socket, seconds):
    """The next message that is no preview picture."""
    while True:
        got = await socket.receive(seconds)
        if isinstance(got.data, str):
            return json.loads(got.data)


async def queue(client, prompt, advice_seconds=0.0, **body):
    """(what ran, its prompt id, advice that came meanwhile, what the server kept of the prompt)."""
    me, advice = uuid.uuid4().hex, []
    async with client.session.ws_connect(f"{client.url}/ws?clientId={me}") as socket:
        async with client.session.post(client.url + "/prompt", json={
                "prompt": prompt, "client_id": me, **body}) as answer:
            reply = await answer.json()
        assert answer.status == 200, reply
        deadline, over = time.monotonic() + 180, False
        seen = {"order": [], "ui": {}, "error": None}
        while not over or (len(advice) == 0 and time.monotonic() < deadline):
            try:
                message = await text_of(socket, deadline - time.monotonic())
            except asyncio.TimeoutError:
                break
            data = message["data"]
            if message["type"] == "ebb.advice":
                advice.append(data)
            if data.get("prompt_id") != reply["prompt_id"]:
                continue
            if message["type"] == "executing" and data["node"] is not None:
                seen["order"].append(data["node"])
            elif message["type"] == "executed":
                seen["ui"][data["node"]] = data["output"] or {}
            elif message["type"] == "execution_error":
                seen["error"] = data["exception_message"]
            elif message["type"] == "executing":
                over, deadline = True, time.monotonic() + advice_seconds
    kept = {}
    while not kept:  # written after the last message
        _, kept = await ask(client, "/history/" + reply["prompt_id"])
    return seen, reply["prompt_id"], advice, kept[reply["prompt_id"]]["prompt"]


def used(kept):
    return {each["class_type"] for each in kept[2].values()}


async def settled(client, prompt_id):
    """What /ebb/history has of a prompt once it is over."""
    for _ in range(100):
        _, answer = await ask(client, "/ebb/history")
        found = [run for run in answer["runs"] if run["prompt_id"] == prompt_id]
        if found and found[0]["state"] not in ("queued", "running"):
            break
        await asyncio.sleep(0.1)
    return found[0] if found else None


# ---- parts -----------------------------------------------------------------------------------

async def prompts(checks, client, base):
    """off, advise and apply: what runs, what comes out, what is told."""
    digests = {}
    for number, mode in enumerate(("off", "advise", "apply")):
        set_mode(base, mode)
        await queue(client, {"1": node("EmptyImage", width=8, height=8, batch_size=1, color=number),
                             "2": node("PreviewImage", images=["1", 0])})  # empties the node cache
        prompt = two_pass.two_pass(5, **SMALL)
        graph = {"nodes": [], "links": [], "version": 0.4}
        extra = {"extra_pnginfo": {"workflow": graph, "kept": 1}, "other": [1.5, None]}
        seen, prompt_id, advice, kept = await queue(client, prompt, 0.0 if mode == "off" else 20,
                                                    extra_data=extra)
        digests[mode] = digest(seen)
        checks.that(f"{mode}: runs", seen["error"] is None, seen)
        checks.that(f"{mode}: nothing else of the submission changes",
                    kept[3]["other"] == [1.5, None] and kept[3]["extra_pnginfo"]["kept"] == 1
                    and {key: kept[2][key] for key in ("6", "38", "61")}
                    == {key: prompt[key] for key in ("6", "38", "61")}, kept)
        checks.that(f"{mode}: {'our nodes' if mode == 'apply' else 'the prompt as it was'} ran",
                    bool(used(kept) & OURS) == (mode == "apply")
                    and (mode == "apply" or kept[2] == prompt), kept[2])
        run = await settled(client, prompt_id) if mode != "off" else None
        if mode == "off":
            checks.that("off: nothing is said", advice == [], advice)
            continue
        # Two layers of a Wan are no model that is known; the rest is said all the same.
        checks.that(f"{mode}: one advice, with a verdict", len(advice) == 1
                    and advice[0]["verdict"] == "unknown" and advice[0]["prompt_id"] == prompt_id
                    and advice[0]["known_verdict"] == "ram_short"
                    and "nearest is wan-1.3b" in advice[0]["headline"]
                    and "is short of RAM" in advice[0]["headline"], advice)
        checks.that(f"{mode}: what was put in is said", bool(advice[0]["applied"])
                    == (mode == "apply") == bool(run["applied"]), advice)
        checks.that(f"{mode}: actual stands beside predicted", run["state"] == "success"
                    and run["predicted"]["ram_peak_bytes"] > 0 and run["actual"]["seconds"] > 0
                    and run["actual"]["ram_peak_bytes"] > run["ram_idle_bytes"] > 0, run)
        sampled = [each for each in run["passes"] if each["work"] == "sample"]
        checks.that(f"{mode}: of each sampling pass, too", len(sampled) == 2 and all(
            each["actual"] and each["actual"]["seconds"] > 0 for each in sampled), run["passes"])
    checks.that("the same latents, bit for bit", len(set(digests.values())) == 1, digests)
    await with_a_report(checks, client, base)
    await odd_prompts(checks, client, base)
    await parts_of_a_prompt(checks, client, base)


async def with_a_report(checks, client, base):
    """EbbReport and the history watch the same run: each node is recorded once."""
    set_mode(base, "advise")
    cut = node("EbbCut", models="pass_before", action="drop", prefetch="nothing")
    prompt = two_pass.two_pass(9, report=True, cut1=cut, **SMALL)
    seen, prompt_id, _, _ = await queue(client, prompt, 20)
    run = await settled(client, prompt_id)
    events = seen["ui"]["82"]["ebb"][0]["events"]
    nodes = [event["node"] for event in events]
    checks.that("a report beside the history", len(nodes) == len(set(nodes))
                and {"57", "58", "80"} <= set(nodes), events)
    checks.that("the history beside a report", run["state"] == "success"
                and {"57", "58"} <= {event["node"] for event in run["events"]}, run)


async def odd_prompts(checks, client, base):
    """What the server answers to nonsense is the same with and without Ebb."""
    nonsense = [b"{}", b'{"prompt": {}}', b'{"prompt": null}', b'{"prompt": {"1": {}}}',
                b'{"prompt": {"1": {"class_type": "No", "inputs": {}}}}',
                b'{"prompt": {"1": {"class_type": "KSampler", "inputs": {"model": ["9", 0]}}}}',
                b'{"prompt": {"1": {"class_type": "EmptyImage", "inputs": []}}}',
                b'{"prompt": {"1": 7}}', b'{"prompt": []}', b'{"prompt": "x"}',
                b'{"prompt": {"1": {"class_type": ["a"], "inputs": {"x": ["1", 0]}}}}',
                b'{"prompt": {"1": {"class_type": "EmptyImage", "inputs": {"width": [[], 0]}}}}']

    async def answers(mode):
        set_mode(base, mode)
        result = []
        for each in nonsense:
            async with client.session.post(client.url + "/prompt", data=each) as answer:
                result.append((answer.status, await answer.text()))
        return result
    wanted = await answers("off")
    for mode in ("advise", "apply"):
        got = await answers(mode)
        checks.that(f"{mode}: the same answers to nonsense", got == wanted,
                    [pair for pair in zip(got, wanted) if pair[0] != pair[1]])


async def parts_of_a_prompt(checks, client, base):
    """A run of a part of the graph is never patched."""
    set_mode(base, "apply")
    prompt = two_pass.two_pass(6, **SMALL)
    prompt["99"] = node("EmptyImage", width=8, height=8, batch_size=1, color=9)
    prompt["98"] = node("PreviewImage", images=["99", 0])
    seen, _, advice, kept = await queue(client, prompt, 20, partial_execution_targets=["98"])
    checks.that("a part runs alone, unpatched", set(seen["order"]) <= {"99", "98"}
                and not used(kept) & OURS and kept[2] == prompt, seen["order"])
    checks.that("and is planned as that part", not advice or not advice[0]["applied"], advice)


async def speed(checks, client, base, version):
    """Prints how long 1,000 nodes are held and planned: milliseconds by the clock, median of 7."""
    prompt = two_pass.two_pass(7, **SMALL)
    last = ["900", 0]
    prompt["900"] = node("EmptyImage", width=8, height=8, batch_size=1, color=3)
    while len(prompt) < 999:
        key = str(1000 + len(prompt))
        prompt[key] = node("ImageInvert", image=last)
        last = [key, 0]
    prompt["999"] = node("PreviewImage", images=last)
    wrong = {**prompt, "998": node("PreviewImage", images=["999", 0])}  # refused, but planned
    took = {}
    for mode in ("off", "advise", "apply"):
        set_mode(base, mode)
        times, me = [], uuid.uuid4().hex
        async with client.session.ws_connect(f"{client.url}/ws?clientId={me}") as socket:
            for _ in range(7):
                async with client.session.post(client.url + "/prompt", json={
                        "prompt": wrong, "client_id": me}) as done:
                    await done.read()
                while mode != "off":
                    message = await text_of(socket, 60)
                    if message["type"] == "ebb.advice":
                        times.append(message["data"])
                        break
        for key in ("held_milliseconds", "plan_milliseconds") if times else ():
            took[f"{mode}, {key.split('_')[0]}"] = statistics.median(each[key] for each in times)
    print(f"  {version}: 1,000 nodes, ms: {took}")
    checks.that("they were planned", len(took) == 4, took)


async def routes(checks, client, base):
    """Each route answers; what is wrong is an error object."""
    prompt, card = two_pass.two_pass(8, **SMALL), {"gpu": "rtx5090", "ram": "32G"}
    status, told = await ask(client, "/ebb/status")
    checks.that("status", status == 200 and told["schema"] == "ebb.status/1"
                and told["pack"] == told["library"] and told["planning_off"] is None
                and told["card"] is None and "CPU" in told["no_card"] and told["devices"] == []
                and told["ram"]["total_bytes"] > told["ram"]["process_bytes"] > 0, told)
    status, told = await ask(client, "/api/ebb/plan", {"prompt": prompt, "options": card})
    plan = told.get("plan", {})
    checks.that("plan, for a card", status == 200 and plan["machine"]["gpu"] == "RTX 5090"
                and plan["machine"]["comfyui"] == os.environ["EBB_TEST_VERSION"]
                and told["svg"].startswith("<svg") and plan["verdict"] == "unknown"
                and told["fix"] is None, told)
    checks.that("sizes come from the server's own folders", {each["bytes_from"] for each in
                plan.get("models", [])} == {"header"}, plan.get("models"))
    checks.that("our own test node is known by its definition",
                not any("EbbTestLook" in note and "does not know" in note
                        for note in plan["notes"]), plan["notes"])
    status, told = await ask(client, "/ebb/apply", {"prompt": prompt, "options": SHORT})
    new = told.get("prompt", {})
    checks.that("apply", status == 200 and told["changed"] and set(new) > set(prompt), told)
    status, told = await ask(client, "/ebb/undo", {"prompt": new})
    checks.that("undo", status == 200 and told["changed"] and told["prompt"] == prompt, told)
    bad = [b"", b"nonsense", b"[]", b"7", b"{}", b'{"prompt": 7}', b'{"workflow": []}',
           b'{"prompt": {}, "workflow": {}}', b"[" * 100_000, b"\xff\xfe\x00",
           *[json.dumps({"prompt": prompt, "options": options}).encode() for options in
             ([], {"gpu": "no such card"}, {"file": "/etc/passwd"}, {"models": "/"},
              {"machine": "/etc/passwd"}, {"comfyui": "/"}, {"flags": "@/etc/passwd"},
              {"gpu": ["a"]}, {"frames": list(range(1000))}, {"folders": {}}, {"vram": -1},
              {"gpu": "rtx5090", "flags": "--no-such-flag"})]]
    for path in ("/ebb/plan", "/ebb/apply"):
        for each in bad:
            status, told = await ask(client, path, raw=each)
            checks.that(f"{path} {each[-60:]}: an error object", status == 400
                        and set(told) == {"error"} and told["error"]["message"]
                        and told["error"]["code"] in ("usage", "input"), (status, told))
    for each in bad[:10]:
        status, told = await ask(client, "/ebb/undo", raw=each)
        checks.that(f"/ebb/undo {each[:20]}: an error object", status == 400, (status, told))
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        async with client.session.post(client.url + "/ebb/plan", data=b"{}",
                                       headers={"Content-Type": kind}) as answer:
            checks.that(f"{kind}, as a page of another site can send it, is refused",
                        answer.status == 415 and (await answer.json())["error"]["code"] == "usage")
    status, told = await ask(client, "/ebb/plan", raw=b" " * (17 << 20))
    checks.that("a body beyond the bound is refused as that", status == 413
                and told["error"]["code"] == "too_large", (status, told))
    status, told = await ask(client, "/ebb/history")
    checks.that("history", status == 200 and told["schema"] == "ebb.history/1", told)


async def broken(checks, folder, models):
    """Without the library, with a broken one, an unknown version: one line, and ComfyUI starts.

    The read-only pack has the library in its own folder.
    """
    prompt = {"1": node("EmptyImage", width=8, height=8, batch_size=1, color=1),
              "2": node("EbbCut", anything=["1", 0], models="all", action="drop",
                        prefetch="nothing"),
              "3": node("PreviewImage", images=["2", 0])}
    with tempfile.TemporaryDirectory(prefix="ebb-broken-") as place:
        text = pathlib.Path(place, "libebb_c.so")
        text.write_text("no library")
        old = pathlib.Path(place, "pack")
        no_cache = shutil.ignore_patterns("__pycache__")
        shutil.copytree(two_pass.PACK, old / "ebb", ignore=no_cache)
        library, path = os.environ["EBB_LIBRARY"], os.environ["PYTHONPATH"]
        shutil.copytree(support.ROOT / "python" / "ebb", old / "ebb" / "lib" / "ebb",
                        ignore=no_cache)
        shutil.copy(library, old / "ebb" / "lib" / "ebb" / "libebb_c.so")
        version = pathlib.Path(place, "other_version")
        version.mkdir()
        (version / "__init__.py").write_text("import comfyui_version\ncomfyui_version.__version__ "
                                             "= '9.9.9-of-tomorrow'\nNODE_CLASS_MAPPINGS = {}\n")
        cases = {"missing": {"PYTHONPATH": ""}, "broken": {"EBB_LIBRARY": str(text)},
                 "read-only pack": {"PYTHONPATH": "", "EBB_LIBRARY": ""}, "unknown version": {}}
        for name, changes in cases.items():
            os.environ.update({"EBB_LIBRARY": library, "PYTHONPATH": path, **changes})
            with tempfile.TemporaryDirectory(prefix="ebb-comfyui-") as base:
                packs = (two_pass.PACK,)
                if name == "read-only pack":
                    for each in (old, *old.rglob("*")):
                        each.chmod(each.stat().st_mode & ~0o222)
                    packs = (old / "ebb",)
                if name == "unknown version":
                    packs = (two_pass.PACK, version)
                before = sorted(str(each) for each in old.rglob("*"))
                async with two_pass.client(folder, base, packs=packs) as client:
                    seen = await client.run(prompt)
                    status, told = await ask(client, "/ebb/status")
                    checks.that(f"{name}: nodes work, status answers", status == 200
                                and seen["error"] is None, (seen, told))
                    status, told = await ask(client, "/ebb/plan", {
                        "prompt": prompt, "options": {"gpu": "rtx5090"}})
                    _, why = await ask(client, "/ebb/plan", {"prompt": prompt})
                    checks.that(f"{name}: on the CPU a card has to be named", name in (
                        "missing", "broken") or why["error"]["code"] == "no_card", why)
                log = two_pass.log_of(base)
                off = name in ("missing", "broken")
                checks.that(f"{name}: the panel {'is told why' if off else 'plans'}",
                            status == (503 if off else 200), (status, told))
                checks.that(f"{name}: one line", log.count("[Ebb] nodes are ready; planning is off")
                            == (1 if off else 0) and not two_pass.tracebacks(log), log[-3000:])
                checks.that(f"{name}: nothing is written into the pack",
                            before == sorted(str(each) for each in old.rglob("*")
                                             if "__pycache__" not in str(each)))
        os.environ.update({"EBB_LIBRARY": library, "PYTHONPATH": path})


async def check(folder, library, part):
    version, checks = support.version_of(folder), Checks()
    models = pathlib.Path(os.environ["EBB_TEST_MODELS"])
    two_pass.make_models(folder, models)
    os.environ.update(EBB_LIBRARY=library, PYTHONPATH=str(support.ROOT / "python"),
                      EBB_TEST_VERSION=version, PYTHONDONTWRITEBYTECODE="1")
    os.environ.pop("EBB_PLAN", None)
    if part in (None, "prompts", "routes"):
        with tempfile.TemporaryDirectory(prefix="ebb-comfyui-") as base:
            pathlib.Path(base, "models").symlink_to(models)
            os.environ["EBB_PLAN_OPTIONS"] = json.dumps(SHORT)
            async with two_pass.client(folder, base) as client:
                if part != "routes":
                    await prompts(checks, client, base)
                    await speed(checks, client, base, version)
                if part != "prompts":
                    await routes(checks, client, base)
            log = two_pass.log_of(base)
            said = [line for line in log.splitlines() if "[Ebb]" in line]
            checks.that("no bug of ours in the log", not any("Error: " in line for line in said),
                        said)
    os.environ.pop("EBB_PLAN_OPTIONS", None)
    if part in (None, "broken"):
        await broken(checks, folder, models)
    print(f"ComfyUI {version}: {checks.count} checks of the automatic mode, {checks.failures} "
          "failures", flush=True)
    return checks.failures


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(two_pass.run_checks("EBB_AUTOMATIC_REAL", __file__, check, sys.argv[1:]))
