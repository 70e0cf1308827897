#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""RAM of a real ComfyUI over four queues of a two-pass graph: stock and with Ebb's nodes.

usage: two_pass_ram.py COMFYUI_FOLDER MODELS_FOLDER OUT.jsonl [--only VARIANT,...] [--lora]
       two_pass_ram.py --table OUT.jsonl ...
       two_pass_ram.py --picture OUT.jsonl PICTURE.svg

Run it with ComfyUI's Python. Makes two experts of 1,678 MB in MODELS_FOLDER if they are not there,
then runs each variant in a server of its own on the CPU, one after the other: a first run, a new
seed, a new text, a new seed. RSS and its anonymous part are read from outside, every 20 ms. One
line of JSON a variant is added to OUT.jsonl, so that a broken run can go on. It needs 8 GB of RAM.
"""
import argparse
import asyncio
import json
import pathlib
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "comfy"))
import support  # noqa: E402
import two_pass  # noqa: E402

QUEUES = [("first run", 1, "a boat"), ("new seed", 2, "a boat"), ("new text", 2, "a tree"),
          ("new seed again", 3, "a tree")]
SIZE = ("1280", "16")
MB = 1e6


def cut(action):
    return two_pass.node("EbbCut", models="pass_before", action=action, prefetch="nothing")


VARIANTS = {"stock": {}, "UnloadModels": {"cut1": two_pass.node("UnloadModels")},
            "UnloadModels twice": {"cut1": two_pass.node("UnloadModels"),
                                   "cut2": two_pass.node("UnloadModels")},
            "park": {"cut1": cut("park")}, "drop at the cut": {"cut1": cut("drop")},
            "drop at both ends": {"cut1": cut("drop"), "cut2": cut("drop")},
            "--cache-none": {}}


class Watch:
    """Reads what a process holds, in a thread: (seconds, RSS, anonymous) in bytes."""

    def __init__(self, pid):
        self.pid, self.samples, self.stop = pid, [], threading.Event()
        self.started = time.monotonic()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.stop.wait(0.02):
            try:
                text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
            except OSError:
                return
            values = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
            if "VmRSS" in values:
                self.samples.append((time.monotonic() - self.started,
                                     *[int(values[key].split()[0]) * 1024
                                       for key in ("VmRSS", "RssAnon")]))

    def between(self, since):
        return [sample for sample in self.samples if sample[0] >= since] or self.samples[-1:]


def prompt_of(seed, text, options, lora):
    prompt = two_pass.two_pass(seed, text, lora, decode=False, **options)
    del prompt["38"]
    for node_id, words in (("6", text), ("7", "blurry")):
        prompt[node_id] = two_pass.node("EbbTestText", text=words)
    return prompt


async def measure(folder, models, name, lora):
    """One variant: peaks, seconds, digests and the curve of its four queues."""
    row = {"comfyui": support.version_of(folder), "variant": name, "lora": lora, "queues": []}
    options = ["--cache-none"] if name == "--cache-none" else []
    with tempfile.TemporaryDirectory(prefix="ebb-ram-") as base:
        pathlib.Path(base, "models").symlink_to(pathlib.Path(models).resolve())
        started = []
        async with two_pass.client(folder, base, options, process_of=started.append) as client:
            await asyncio.sleep(2)
            watch = Watch(started[0].pid)
            while not watch.samples:
                await asyncio.sleep(0.1)
            row["idle_bytes"] = watch.samples[-1][1]
            for label, seed, text in QUEUES:
                since = time.monotonic() - watch.started
                seen = await client.run(prompt_of(seed, text, VARIANTS[name], lora), seconds=900)
                await asyncio.sleep(0.5)
                samples = watch.between(since)
                row["queues"].append({
                    "queue": label, "error": seen["error"], "seconds": seen["seconds"],
                    "rss_peak_bytes": max(sample[1] for sample in samples),
                    "anonymous_peak_bytes": max(sample[2] for sample in samples),
                    "rss_end_bytes": samples[-1][1], "digest": seen["ui"]["90"]["hash"][0],
                    "experts": seen["ui"]["90"]["alive"][0].get("WAN21", 0),
                    "loads": [each for each in seen["order"] if each in ("37", "56")],
                    "cut_seconds": [ui["ebb"][0]["seconds"] for ui in seen["ui"].values()
                                    if "ebb" in ui],
                    "texts": [ui["text"][0] for ui in seen["ui"].values() if "ebb" in ui]})
            watch.stop.set()
            step = max(1, len(watch.samples) // 400)
            row["curve"] = [[round(t, 2), round(rss / MB), round(anonymous / MB)]
                            for t, rss, anonymous in watch.samples[::step]]
    return row


def run(arguments):
    two_pass.make_models(arguments.folder, arguments.models, *SIZE)
    out = pathlib.Path(arguments.out)
    version = support.version_of(arguments.folder)
    done = {(row["comfyui"], row["variant"], row["lora"]) for row in rows_of([out])}
    for name in arguments.only.split(",") if arguments.only else VARIANTS:
        if (version, name, arguments.lora) in done:
            continue
        row = asyncio.run(measure(arguments.folder, arguments.models, name, arguments.lora))
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(f"{version} {name}, lora {arguments.lora}: peaks "
              f"{[round(each['rss_peak_bytes'] / MB) for each in row['queues']]}", flush=True)


def rows_of(paths):
    return [json.loads(line) for path in paths if pathlib.Path(path).exists()
            for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines()]


def table(paths):
    """Markdown: peaks of each queue (anonymous part in brackets), what is left, seconds, cuts."""
    print("| ComfyUI | LoRA | variant | " + " | ".join(label for label, *_ in QUEUES) +
          " | afterwards | experts | seconds | longest cut, s |")
    print("|" + "---|" * (9 + len(QUEUES) - 1))
    for row in rows_of(paths):
        queues = row["queues"]
        cells = [f"{each['rss_peak_bytes'] / MB:,.0f} ({each['anonymous_peak_bytes'] / MB:,.0f})"
                 for each in queues]
        took = " / ".join(f"{each['seconds']:.0f}" for each in queues)
        cuts = [seconds for each in queues for seconds in each["cut_seconds"]]
        print(f"| {row['comfyui']} | {'yes' if row['lora'] else 'no'} | {row['variant']} | "
              + " | ".join(cells) + f" | {queues[-1]['rss_end_bytes'] / MB:,.0f} | "
              f"{queues[-1]['experts']} | {took} | {max(cuts) if cuts else 0:.2f} |")
    digests = {}
    for row in rows_of(paths):
        digests.setdefault((row["comfyui"], row["lora"]), set()).add(
            tuple(each["digest"] for each in row["queues"]))
    print("\nLatents equal in every variant:", all(len(each) == 1 for each in digests.values()))


def picture(path, out):
    """RSS over time, a strip for each variant on one scale, as an SVG that needs no script."""
    rows = sorted(rows_of([path]), key=lambda row: (
        row["lora"], [int(part) for part in row["comfyui"].split(".")]))
    width, strip, left, right = 860, 84, 150, 60
    seconds = max(row["curve"][-1][0] for row in rows)
    highest = max(point[1] for row in rows for point in row["curve"])
    height = strip * len(rows) + 40
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
             'font-family="sans-serif" font-size="12" role="img">',
             "<title>RAM of ComfyUI over four queues, stock and with Ebb's nodes</title>",
             f'<rect width="{width}" height="{height}" fill="#fff"/>']
    for number, row in enumerate(rows):
        bottom = strip * (number + 1)
        place = lambda t, mb: (left + t / seconds * (width - left - right),  # noqa: E731
                               bottom - mb / highest * (strip - 16))
        points = " ".join("{:.1f},{:.1f}".format(*place(t, rss)) for t, rss, _ in row["curve"])
        end, peak = place(row["curve"][-1][0], 0), max(point[1] for point in row["curve"])
        line = place(0, highest)[1]
        parts += [f'<line x1="{left}" x2="{width - right}" y1="{line:.1f}" y2="{line:.1f}" '
                  'stroke="#D55E00" stroke-dasharray="4 4"/>',
                  f'<polygon points="{left},{bottom} {points} {end[0]:.1f},{bottom}" '
                  'fill="#56B4E9" stroke="#0072B2"/>',
                  f'<text x="8" y="{bottom - 44}">{row["variant"]}</text>',
                  f'<text x="8" y="{bottom - 29}" fill="#555">{row["comfyui"]}'
                  f'{", LoRA" if row["lora"] else ""}</text>',
                  f'<text x="8" y="{bottom - 14}" fill="#555">peak {peak / 1000:.1f} GB</text>']
    parts.append(f'<text x="{left}" y="{height - 12}">ComfyUI, '
                 f"{seconds:.0f} s: first run, new seed, new text, new seed. Dashed: "
                 f"{highest / 1000:.1f} GB</text></svg>")
    pathlib.Path(out).write_text("\n".join(parts) + "\n", encoding="utf-8")


def main():
    if sys.argv[1:2] == ["--table"]:
        return table(sys.argv[2:])
    if sys.argv[1:2] == ["--picture"]:
        return picture(*sys.argv[2:4])
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("folder")
    parser.add_argument("models")
    parser.add_argument("out")
    parser.add_argument("--only", default="")
    parser.add_argument("--lora", action="store_true")
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
