# SPDX-License-Identifier: Apache-2.0
"""Ebb's nodes in real ComfyUI: order, same latents, later queues, interrupts, failures.

usage: nodes_real.py PRINT_ORDER [PART]

For each checkout of EBB_COMFYUI_DIR a server on the CPU runs a Wan-shaped two-pass graph with real
loaders and small random models. PART is the name of one part below; without it all of them run.
"""
import os
import pathlib
import sys
import tempfile
import time

import server_real
import support
import two_pass
from two_pass import node

UNLOAD = node("UnloadModels")
SMALL = {"size": 32, "length": 1}
LOADERS = {"high": ["37"], "low": ["56"]}


def cut(models="pass_before", action="drop", prefetch="nothing", **links):
    return node("EbbCut", models=models, action=action, prefetch=prefetch, **links)


class Checks:
    """Counts what held and prints what did not, with the place."""

    def __init__(self):
        self.count = self.failures = 0

    def that(self, what, holds, detail=""):
        self.count += 1
        if not holds:
            self.failures += 1
            print(f"FAILED: {what}\n  {detail}", flush=True)


def event(seen, node_id):
    return seen["ui"][node_id]["ebb"][0]


def line(seen, node_id):
    return seen["ui"][node_id]["text"][0]


def digest(seen):
    return seen["ui"]["90"]["hash"][0]


def experts(seen):
    return seen["ui"]["90"]["alive"][0].get("WAN21", 0)


def dropped(seen, node_id):
    return [each["model"] for each in event(seen, node_id)["dropped"]]


async def forget(client):
    """A prompt that shares nothing with the others empties the classic cache."""
    forget.count = getattr(forget, "count", 0) + 1
    await client.run({"1": node("EmptyImage", width=8, height=8, batch_size=1,
                                color=forget.count),
                      "2": node("PreviewImage", images=["1", 0])})


# ---- parts -----------------------------------------------------------------------------------

async def order(checks, client, print_order):
    """What the server executes is what Ebb predicts, with each node and with all of them."""
    cases = {"unload": {"cut1": UNLOAD}, "cuts": {"cut1": cut(), "cut2": cut()},
             "report": {"cut1": UNLOAD, "report": True}, "lora": {"cut1": cut(), "lora": True},
             "no decoder": {"cut1": cut(), "decode": False},
             "straight": {"cut1": cut(), "decode": False, "model_sampling": False}}
    for number, (name, options) in enumerate(cases.items()):
        await forget(client)
        prompt = two_pass.two_pass(seed=900 + number, **SMALL, **options)
        version = os.environ["EBB_TEST_VERSION"]
        mine = server_real.ebb_runs(print_order, version, "", [(name, prompt)],
                                    client.classes)[0].get("order")
        seen = await client.run(prompt)
        checks.that(f"order, {name}", not seen["error"] and mine == seen["order"],
                    f"Ebb {mine}\n  real {seen}")


async def same_latents(checks, client, _):
    """Bit-identical with and without, in the first queue and with a new seed and a new text."""
    variants = {"unload": {"cut1": UNLOAD}, "drop": {"cut1": cut(), "cut2": cut()},
                "park": {"cut1": cut(action="park")},
                "all": {"cut1": cut("all"), "cut2": cut("all")},
                "all but next": {"cut1": cut("all_but_next")},
                "connected": {"cut1": cut("connected", model_1=["54", 0])}}
    runs = [(11, "a boat"), (12, "a boat"), (12, "a tree")]
    for lora in (False, True):
        expected = [digest(await client.run(two_pass.two_pass(*run, lora, decode=False, **SMALL)))
                    for run in runs]
        checks.that("latents differ by seed and text", len(set(expected)) == 3, expected)
        for name, options in list(variants.items())[:3 if lora else None]:
            for run, wanted in zip(runs, expected):
                seen = await client.run(two_pass.two_pass(*run, lora, decode=False, **SMALL,
                                                          **options))
                checks.that(f"{name}, lora {lora}, {run}: same latents",
                            seen["error"] is None and digest(seen) == wanted, seen)


async def queues(checks, client, _):
    """What is read again in later queues is what was dropped, and nothing else."""
    both = {"cut1": cut(), "cut2": cut(), "decode": False, "lora": True, **SMALL}
    first = await client.run(two_pass.two_pass(21, **both))
    checks.that("cut 1 drops HIGH", dropped(first, "80") == ["wan_high.safetensors"],
                line(first, "80"))
    checks.that("cut 2 drops LOW", dropped(first, "81") == ["wan_low.safetensors"],
                line(first, "81"))
    checks.that("no expert is left", experts(first) == 0, first["ui"]["90"])
    same = await client.run(two_pass.two_pass(21, **both))
    checks.that("the same prompt runs nothing", not set(same["order"]) & {"37", "56", "57", "58"},
                same["order"])
    later = await client.run(two_pass.two_pass(22, **both))
    checks.that("a new seed reads both again", {"37", "56"} <= set(later["order"]), later["order"])
    checks.that("and not the text encoder", not set(later["order"]) & {"38", "6", "7"},
                later["order"])
    one = {**both, "cut2": None}
    await client.run(two_pass.two_pass(23, **one))
    for seed, cut1 in ((24, cut()), (25, UNLOAD)):
        seen = await client.run(two_pass.two_pass(seed, **{**one, "cut1": cut1}))
        checks.that(f"one cut, seed {seed}: HIGH is read, LOW left before it and is read after it",
                    [each for each in seen["order"] if each in ("37", "80", "56")]
                    == ["37", "80", "56"] and experts(seen) == 1, seen["order"])
    again = two_pass.two_pass(25, **{**one, "cut1": UNLOAD})
    again["58"]["inputs"]["cfg"] = 1.5
    seen = await client.run(again)
    checks.that("one cut, a change of pass 2 alone: nothing is read",
                not set(seen["order"]) & {"37", "56", "57", "80"}, seen["order"])
    parked = {**one, "cut1": cut(action="park")}
    await client.run(two_pass.two_pass(27, **parked))
    seen = await client.run(two_pass.two_pass(28, **parked))
    checks.that("parking reads nothing again", not set(seen["order"]) & {"37", "56"}, seen["order"])
    checks.that("a cut with nothing to free takes less than 0.1 s",
                event(seen, "80")["seconds"] < 0.1, line(seen, "80"))
    low = two_pass.two_pass(26, **{**both, "cut1": cut()})
    low["58"]["inputs"]["cfg"] = 1.5
    seen = await client.run(low)
    low["58"]["inputs"]["cfg"] = 1.25
    seen = await client.run(low)
    checks.that("a change of pass 2 alone reads LOW only",
                "56" in seen["order"] and not set(seen["order"]) & {"37", "57", "80"},
                seen["order"])


async def stops(checks, client, fail):
    """Interrupted in each pass, and failed in pass 2: the next queue is right."""
    options = {"cut1": cut(), "cut2": cut(), "decode": False, "lora": True, "steps": 30,
               "size": 64, "length": 5}
    wanted = digest(await client.run(two_pass.two_pass(31, **{**options, "cut1": None,
                                                              "cut2": None})))
    for place in ("57", "58"):
        for cut1 in (cut(), UNLOAD):
            prompt = two_pass.two_pass(32 + len(cut1["inputs"]), **{**options, "cut1": cut1})
            prompt["57"]["inputs"]["cfg"] = 1.0 + int(place) / 100
            seen = await client.run(prompt, interrupt_at=place)
            checks.that(f"interrupted in {place}", seen["error"] == "interrupted", seen["error"])
            seen = await client.run(two_pass.two_pass(31, **{**options, "cut1": cut1}))
            checks.that(f"right after an interrupt in {place}, {cut1['class_type']}",
                        seen["error"] is None and digest(seen) == wanted, seen)
            checks.that("and no expert is left", experts(seen) == 0, seen["ui"]["90"])
    prompt = two_pass.two_pass(33, **options)
    prompt["95"] = node("EbbTestFail", model=["55", 0])
    prompt["58"]["inputs"]["model"] = ["95", 0]
    fail.touch()
    seen = await client.run(prompt)
    checks.that("pass 2 fails on purpose", "failed on purpose" in (seen["error"] or ""), seen)
    fail.unlink()
    seen = await client.run(prompt)
    checks.that("and runs when queued again", seen["error"] is None, seen["error"])
    checks.that("without pass 1 or HIGH", not set(seen["order"]) & {"37", "57", "80"},
                seen["order"])
    seen = await client.run(two_pass.two_pass(31, **options))
    checks.that("right after a failure", digest(seen) == wanted and experts(seen) == 0, seen)


async def early(checks, client, _):
    """The three shapes that load LOW before the cut: the node says so, and names the loader."""
    shapes = {}
    last = two_pass.two_pass(41, cut1=cut(), decode=False, **SMALL)
    inputs = last["58"]["inputs"]
    inputs["model"] = inputs.pop("model")
    shapes["model is the last link"] = last, "80"
    gated = two_pass.two_pass(42, decode=False, **SMALL)
    gated["80"] = node("EbbCut", anything=["55", 0], models="pass_before", action="drop",
                       prefetch="nothing")
    gated["58"]["inputs"]["model"] = ["80", 0]
    shapes["on the MODEL link"] = gated, "80"
    straight = two_pass.two_pass(43, cut1=cut(), decode=False, model_sampling=False,
                                 **SMALL)
    straight["91"] = node("SaveLatent", samples=["58", 0], filename_prefix="straight")
    shapes["pass 2 feeds an output node"] = straight, "80"
    for name, (prompt, cut_id) in shapes.items():
        await forget(client)
        seen = await client.run(prompt)
        told = event(seen, cut_id)
        checks.that(f"{name}: LOW is loaded before the cut",
                    seen["order"].index("56") < seen["order"].index(cut_id), seen["order"])
        checks.that(f"{name}: the node says so", told["warning"]
                    and "wan_low.safetensors was loaded before me" in told["text"], told["text"])
    seen = await client.run(two_pass.two_pass(44, cut1=cut(), cut2=cut(), decode=False,
                                              **SMALL))
    seen = await client.run(two_pass.two_pass(45, cut1=cut(), cut2=cut(), decode=False,
                                              **SMALL))
    checks.that("no such word where the order is good", not event(seen, "80")["warning"]
                and "before me" not in line(seen, "80"), line(seen, "80"))


async def holders(checks, client, _):
    """Where nothing can be freed the node warns and names who holds the model."""
    await forget(client)
    prompt = two_pass.two_pass(51, cut1=cut(), decode=False, **SMALL)
    prompt["95"] = node("EbbTestHold", model=["54", 0])
    prompt["57"]["inputs"]["model"] = ["95", 0]
    seen = await client.run(prompt)
    told = event(seen, "80")
    checks.that("a node that keeps the model is named", told["warning"] and not told["dropped"]
                and "0 bytes freed" in told["text"] and "node 95 EbbTestHold" in told["text"],
                told["text"])
    prompt["57"]["inputs"]["noise_seed"] = 52
    seen = await client.run(prompt)
    checks.that("what could not be freed is not read again", "37" not in seen["order"],
                seen["order"])
    shared = two_pass.two_pass(53, cut1=cut(), decode=False, **SMALL)
    shared["58"]["inputs"]["model"] = ["54", 0]  # both passes with HIGH
    seen = await client.run(shared)
    told = event(seen, "80")
    checks.that("a model that pass 2 needs stays", not told["dropped"]
                and "node 58 KSamplerAdvanced still needs" in told["text"], told["text"])
    twice = two_pass.two_pass(54, cut1=cut(), decode=False, **SMALL)
    twice["56"]["inputs"]["unet_name"] = "wan_high.safetensors"  # the same loader twice
    seen = await client.run(twice)
    checks.that("the same loader twice shares one model, which stays",
                seen["error"] is None and not event(seen, "80")["dropped"], line(seen, "80"))
    pipe = two_pass.two_pass(55, cut1=cut("all"), decode=False, **SMALL)
    pipe["95"] = node("EbbTestPipe", model=["54", 0], latent=["57", 0])
    pipe["80"]["inputs"]["anything"] = ["95", 1]
    seen = await client.run(pipe)
    checks.that("a model cached together with results stays, and is named",
                "EbbTestPipe is cached together with results" in line(seen, "80"),
                line(seen, "80"))
    linked = two_pass.two_pass(56, cut1=cut("connected", model_1=["54", 0], model_2=["6", 0]),
                               decode=False, **SMALL)
    seen = await client.run(linked)
    checks.that("connected drops what is linked, though a link is all the node has",
                dropped(seen, "80") == ["wan_high.safetensors"], line(seen, "80"))


async def nodes_answer(checks, client, _):
    """Each node returns its object, a line and its log; the report is written."""
    await forget(client)
    prompt = two_pass.two_pass(61, cut1=cut(prefetch="next_files"), report=True, **SMALL)
    prompt["92"] = node("EbbTestLook", latent=["57", 0], mark="before")
    prompt["93"] = node("EbbTestLook", latent=["80", 0], mark="after")
    prompt["94"] = node("SaveLatent", samples=["92", 0], filename_prefix="a")
    prompt["95"] = node("SaveLatent", samples=["93", 0], filename_prefix="b")
    prompt["96"] = node("EbbBudget", model=["54", 0], budget_gib=1.0)
    prompt["57"]["inputs"]["model"] = ["96", 0]
    seen = await client.run(prompt)
    checks.that("it runs", seen["error"] is None, seen["error"])
    checks.that("the same object comes out",
                seen["ui"]["92"]["object"] == seen["ui"]["93"]["object"], seen["ui"])
    checks.that("prefetch names a file", "reading ahead wan_low.safetensors (5 MiB)" in
                line(seen, "80"), line(seen, "80"))
    checks.that("the budget says what it is",
                line(seen, "96").startswith("1,024 MiB as the budget"), line(seen, "96"))
    report = event(seen, "82")
    kinds = [each["kind"] for each in report["events"]]
    asked = [each for each in report["events"] if each["kind"] == "EbbBudget"]
    checks.that("the budget was asked for, and where live is unknown is never lowered",
                [each["budget_bytes"] for each in asked] == [1 << 30]
                and asked[0]["asked_bytes"] < 1 << 30, asked)
    checks.that("the report has loads, samplers and the cut",
                {"load", "sample", "EbbCut"} <= set(kinds), kinds)
    loads = {each["node"]: each["seconds"] for each in report["events"] if each["kind"] == "load"}
    checks.that("what reading costs is in it", report["totals"]["load_seconds"] > 0
                and all(seconds > 0 for seconds in loads.values()), report["totals"])
    saved = list(pathlib.Path(os.environ["EBB_TEST_BASE"], "output", "ebb").glob("report_*.json"))
    checks.that("and is saved", len(saved) >= 1, saved)
    checks.that("the same text is its output", "RAM peak" in line(seen, "82"), line(seen, "82"))


PARTS = {"order": order, "same_latents": same_latents, "queues": queues, "early": early,
         "holders": holders, "nodes_answer": nodes_answer, "stops": stops}


async def other_caches(checks, folder, models):
    """With the other node caches a version has, the cuts do no harm either."""
    flags = [["--cache-none"], ["--cache-lru", "20"]]
    if '"--cache-ram"' in pathlib.Path(folder, "comfy", "cli_args.py").read_text():
        flags.append(["--cache-ram", "1.0"])
    for options in flags:
        with tempfile.TemporaryDirectory(prefix="ebb-comfyui-") as base:
            pathlib.Path(base, "models").symlink_to(models)
            async with two_pass.client(folder, base, options) as client:
                wanted = digest(await client.run(two_pass.two_pass(71, decode=False, **SMALL)))
                for number, cut1 in enumerate((UNLOAD, cut(), cut(action="park"))):
                    seen = await client.run(two_pass.two_pass(
                        71, decode=False, cut1=cut1, cut2=cut(), report=False, **SMALL))
                    checks.that(f"{options}, cut {number}: same latents, no expert is left",
                                seen["error"] is None and digest(seen) == wanted
                                and experts(seen) == 0, seen)
                gated = two_pass.two_pass(72, decode=False, **SMALL)
                gated["80"] = {**cut(), "inputs": {**cut()["inputs"], "anything": ["55", 0]}}
                gated["58"]["inputs"]["model"] = ["80", 0]
                seen = await client.run(gated)
                checks.that(f"{options}: a cut on a MODEL link", seen["error"] is None, seen)
            checks.that(f"{options}: no cut was stopped", "stopped by" not in two_pass.log_of(base))


async def installing(checks, folder):
    """A second pack with the same id, a folder that can't be written, and uninstalling."""
    pack_before = sorted(path.name for path in two_pass.PACK.rglob("*")
                         if "__pycache__" not in str(path))
    with tempfile.TemporaryDirectory(prefix="ebb-comfyui-") as base:
        other = pathlib.Path(base, "custom_nodes", "other")
        other.mkdir(parents=True)
        (other / "__init__.py").write_text(
            "class UnloadModels:\n    CATEGORY = FUNCTION = 'other'\n    RETURN_TYPES = ()\n"
            "    INPUT_TYPES = classmethod(lambda cls: {'required': {}})\n"
            "NODE_CLASS_MAPPINGS = {'UnloadModels': UnloadModels}\n")
        output = pathlib.Path(base, "output")
        output.mkdir()
        (output / "ebb").write_text("a file where the folder would be")
        prompt = {"1": node("EmptyImage", width=8, height=8, batch_size=1, color=1),
                  "2": node("EbbCut", anything=["1", 0], models="all", action="drop",
                            prefetch="nothing"),
                  "3": node("EbbReport", anything=["2", 0], save=True, filename_prefix="ebb/r"),
                  "4": node("PreviewImage", images=["3", 0])}
        async with two_pass.client(folder, base) as client:
            seen = await client.run(prompt)
            checks.that("a report that can't be saved is no failure", not seen["error"]
                        and "EbbCut" in line(seen, "3"), seen)
            checks.that("its other nodes are there", "EbbReport" in client.classes)
        log = two_pass.log_of(base)
        checks.that("one line says so", log.count("the report is not saved") == 1, log[-2000:])
        pathlib.Path(base, "custom_nodes", "ebb").unlink()
        left = [str(path.relative_to(base)) for path in pathlib.Path(base).rglob("*")
                if "ebb" in path.name.lower() and path != output / "ebb"]
        checks.that("uninstalling leaves nothing", left == [], left)
        async with two_pass.client(folder, base, packs=()) as client:
            checks.that("and no node", not {"EbbCut", "EbbReport"} & client.classes.keys())
    pack_after = sorted(path.name for path in two_pass.PACK.rglob("*")
                        if "__pycache__" not in str(path))
    checks.that("nothing was written into the pack", pack_before == pack_after)


async def check(folder, print_order, part):
    version, checks = support.version_of(folder), Checks()
    models = pathlib.Path(os.environ["EBB_TEST_MODELS"])
    two_pass.make_models(folder, models)
    with tempfile.TemporaryDirectory(prefix="ebb-comfyui-") as base:
        pathlib.Path(base, "models").symlink_to(models)
        fail = pathlib.Path(base, "fail")
        os.environ.update(EBB_TEST_FAIL=str(fail), EBB_TEST_BASE=base, EBB_TEST_VERSION=version)
        async with two_pass.client(folder, base) as client:
            for name, run in PARTS.items():
                if part in (None, name):
                    started = time.monotonic()
                    await run(checks, client, print_order if name == "order" else fail)
                    print(f"  {name}: {time.monotonic() - started:.0f} s", flush=True)
        log = two_pass.log_of(base)
        checks.that("one line says what is off", log.count("planning is off") == 1, log[-2000:])
        checks.that("no cut was stopped by an error", "stopped by" not in log, log[-4000:])
    if part in (None, "other_caches"):
        await other_caches(checks, folder, models)
    if part in (None, "installing"):
        await installing(checks, folder)
    print(f"ComfyUI {version}: {checks.count} checks of the nodes, {checks.failures} failures")
    return checks.failures


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(two_pass.run_checks("EBB_NODES_REAL", __file__, check, sys.argv[1:]))
