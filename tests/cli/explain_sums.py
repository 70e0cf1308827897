#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Redoes the sums of `ebb explain` from what it prints, as a person with a calculator would.

usage: explain_sums.py EBB_BINARY [EVERY_NTH]

Per workflow, pass and machine: terms add up to the printed result exactly, factors multiply to the
printed term within its last digit, and the results are those of `ebb plan --json`. Workflows: the
example, and every n-th (default 23) of ../shared/corpus where it is there.
"""
import json
import pathlib
import re
import subprocess
import sys
from decimal import Decimal

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORPUS = ROOT.parent / "shared" / "corpus"
MACHINES = [
    ["--gpu", "rtx5090", "--ram", "64G", "--os", "windows", "--flags", "--reserve-vram 4"],
    ["--gpu", "rtx4070", "--ram", "32G", "--os", "linux", "--comfyui", "0.18.2"],
    ["--gpu", "rtx3060", "--ram", "32G", "--os", "linux", "--comfyui", "0.18.2", "--flags",
     "--disable-dynamic-vram"],
    ["--vram", "8G", "--ram", "16G", "--os", "windows", "--comfyui", "0.3.64", "--flags",
     "--lowvram"],
]
PASSES_MAX = 6  # of one workflow
TERM = re.compile(r"^([ +=-]) +(-?[\d,]+(?:\.\d\d)?)  (\S.*)$")
FACTOR = re.compile(r"^(-?[\d,]+(?:\.\d+)?(?:e[+-]?\d+)?)(?: [A-Za-z/]+)?$")


def number(text):
    return Decimal(text.replace(",", ""))


def terms_of(text):
    """Blocks of (sign, value, rest with its continuation lines) between titles."""
    blocks = []
    for line in text.splitlines():
        if line.startswith(" " * 15) and blocks and blocks[-1]:
            blocks[-1][-1][2] += " " + line.strip()
        elif (match := TERM.match(line)) and line[13:15] == "  ":
            if blocks and blocks[-1] and blocks[-1][-1][0] == "=":
                blocks.append([])
            if not blocks:
                blocks.append([])
            blocks[-1].append([match[1], number(match[2]), match[3]])
    return [b for b in blocks if b]


def product_of(rest):
    """The product written in a term, or None where it is a plain number."""
    text = rest.split("  [")[0] if "  [" in rest else re.sub(r" \[[^\[]*\]$", "", rest)
    for at in (m.end() for m in re.finditer(": ", text)):
        parts = re.split(r" (x|/) ", text[at:])
        factors = [FACTOR.match(p.strip()) for p in parts[::2]]
        if not all(factors):
            continue
        value = Decimal(1)
        for sign, factor in zip(["x"] + parts[1::2], factors):
            value = value * number(factor[1]) if sign == "x" else value / number(factor[1])
        return value
    return None


def check_blocks(blocks):
    """Problems with the arithmetic, a sentence each; and how many products were redone."""
    problems, products, results = [], 0, {}
    for block in blocks:
        total = Decimal(0)
        for sign, value, rest in block:
            product = product_of(rest)
            if product is not None:
                products += 1
                if abs(abs(product) - abs(value)) > Decimal("0.0051"):
                    problems.append(f"{product} is not {value}: {rest}")
            if sign != "=":
                total += -value if sign == "-" else value
            elif len(block) > 1 and total != value:
                problems.append(f"terms make {total}, printed is {value}: {rest}")
        if block[-1][0] != "=":
            problems.append(f"a sum without a result: {block[-1][2]}")
        name = re.split(r"[,: ]", block[-1][2])[0]
        results.setdefault(name, block[-1][1])
        for sign, value, rest in block[:-1]:
            if rest.startswith("asked  [") and value != results.get("asked"):
                problems.append(f"asked is {results['asked']} above and {value} here")
    return problems, products, results


def run(ebb, *arguments):
    done = subprocess.run([ebb, *map(str, arguments)], capture_output=True, text=True, timeout=60,
                          check=False)
    return done.returncode, done.stdout, done.stderr


def check_against_plan(explained, planned):
    """What the explanation says beside what the plan says, in MiB."""
    problems = []
    sums = {s["key"]: s["total"] for s in explained["sums"]}
    pairs = [("usable", planned["usable_bytes"]), ("offloaded", planned["offloaded_bytes"])]
    if "asked" in sums and planned["asked_bytes"] is not None:
        pairs.append(("asked", planned["asked_bytes"]))
    if "live" in sums and planned["live_bytes"] is not None:
        pairs.append(("live", planned["live_bytes"]))
    if planned["ram_peak_bytes"] is not None:
        pairs.append(("ram", planned["ram_peak_bytes"]))
    for key, size in pairs:
        if key in sums and size is not None and abs(sums[key] - size / 2**20) > 0.25:
            problems.append(f"{key}: {sums[key]} MiB, the plan says {size / 2**20:.2f}")
    return problems


def main():
    ebb, nth = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 23
    files = [ROOT / "examples" / "workflows" / "wan22_two_pass.json"]
    if CORPUS.is_dir():
        files += sorted(p for p in CORPUS.rglob("*.json"))[::nth]
    else:
        print("../shared/corpus is not there: only the example is explained")
    bad = explained = products = 0
    works = set()
    for number_of_file, file in enumerate(files):
        machine = MACHINES[number_of_file % len(MACHINES)]
        code, out, _ = run(ebb, "plan", file, *machine, "--json")
        if code != 0:
            continue
        passes = json.loads(out)["passes"]
        for planned in passes[:PASSES_MAX]:
            options = [file, *machine, "--pass", planned["index"]]
            code, text, errors = run(ebb, "explain", *options)
            problems = [] if code == 0 else [f"exit {code}: {errors}"]
            found, redone, _ = check_blocks(terms_of(text))
            problems += found
            problems += [f"too wide: {x}" for x in text.splitlines() if len(x) > 100]
            as_json = json.loads(run(ebb, "explain", *options, "--json")[1])
            problems += check_against_plan(as_json, planned)
            products += redone
            explained += 1
            works.add(planned["work"])
            works.update(word for word in ("one tile", "patched", "(dynamic", "(classic")
                         if word in text)
            bad += len(problems)
            for problem in problems:
                print(f"{file} pass {planned['index']}: {problem}")
    print(f"{explained} passes explained, {products} products redone, {bad} problems; "
          f"seen: {', '.join(sorted(works))}")
    wanted = {"encode_text", "sample", "decode", "encode_image", "(classic"}
    if len(files) > 1:
        wanted |= {"one tile", "patched", "(dynamic"}
    if products < 10 or not wanted <= works:
        sys.exit("too little was explained")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
