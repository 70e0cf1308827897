#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns rows of trace_demand.py into the table of traced facts, or into coefficients.

usage: make_traced_table.py ROWS ... > tests/demand/traced.inc
       make_traced_table.py --fit ROWS ...      coefficients for src/demand/*_rows.cpp

ROWS: what trace_demand.py wrote, or an older traced.inc; of a model and version that stand in
several files the last one counts.

Coefficients: live = rate * tokens * hidden * 2 + item (tokens of the picture), bytes a latent pixel
for UNets, and pixel + frame * frames bytes a pixel for VAEs. Those of a model with ControlNets are
followed by what it needs more than the model alone. A version keeps the coefficients of the one
before it unless a size differs by more than half a percent (reserved: two).
"""
import json
import re
import sys

from trace_models import MODELS, UPSCALERS, VAES

TRACED = re.compile(r'\{"(.+?)", "(.+?)", \{(.+?)\}, (.+)\},')
EVERY = {**MODELS, **VAES, **UPSCALERS}
MIB = 1024.0 * 1024


def version_key(row):
    return tuple(map(int, row["version"].split(".")))


def versions_of(rows):
    return [".".join(map(str, key)) for key in sorted({version_key(r) for r in rows})]


def read_traced(lines):
    """Rows of an older table."""
    names = ("width", "height", "frames", "batch", "live", "reserved", "cast")
    for line in lines:
        if match := TRACED.match(line):
            row = {"key": match[1], "what": match[2], "version": match[3].replace(", ", ".")}
            yield {**row, **dict(zip(names, map(int, match[4].split(", "))))}


def read(files):
    rows = []
    for name in files:
        with open(name, encoding="utf-8") as f:
            lines = list(f)
        table = bool(lines) and lines[0].startswith("//")
        new = list(read_traced(lines)) if table else [json.loads(line) for line in lines]
        replaced = {(r["key"], r["version"]) for r in new}
        rows = [r for r in rows if (r["key"], r["version"]) not in replaced] + new
    # One direction of an autoencoder that fails means that the version has another one.
    failed = {(r["key"], r["version"]) for r in rows if "error" in r and r.get("batch", 1) == 1}
    return [r for r in rows if "error" not in r and (r["key"], r["version"]) not in failed]


def traced_inc(rows):
    print("// SPDX-License-Identifier: Apache-2.0")
    print("// Made by tools/make_traced_table.py from what tools/trace_demand.py printed for "
          "ComfyUI " + ", ".join(versions_of(rows)) + ".")
    print("// key, what, version, width, height, frames, batch, live, reserved, cast")
    order = {key: i for i, key in enumerate(EVERY)}
    rows.sort(key=lambda r: (order[r["key"]], r["what"], version_key(r)))
    for r in rows:
        print('{"%s", "%s", {%s}, %d, %d, %d, %d, %d, %d, %d},' % (
            r["key"], r["what"], r["version"].replace(".", ", "), r["width"], r["height"],
            r["frames"], r["batch"], r["live"], r["reserved"], r["cast"]))


def counted(row):
    """What the rate multiplies."""
    spec = EVERY[row["key"]]
    if row["what"] != "sample":
        return row["width"] * row["height"]
    if spec.hidden:
        area = -(-row["height"] // spec.spatial // spec.patch) * -(-row["width"] // spec.spatial
                                                                   // spec.patch)
        frames = (row["frames"] - 1) // spec.temporal + 1 if spec.temporal else 1
        return area * (frames + spec.references) * spec.hidden * 2
    pictures = 1 if spec.temporal else row["frames"]  # a video as a batch of pictures
    return pictures * (row["width"] // spec.spatial) * (row["height"] // spec.spatial)


def line_through(points):
    """rate and constant with the least relative error over (counted, live)."""
    if len({x for x, _ in points}) < 2:
        x, y = points[-1]
        return y / x, 0.0
    sxx = sx1 = s11 = sxy = s1y = 0.0
    for x, y in points:
        a, b = x / y, 1 / y
        sxx, sx1, s11, sxy, s1y = sxx + a * a, sx1 + a * b, s11 + b * b, sxy + a, s1y + b
    determinant = sxx * s11 - sx1 * sx1
    return (sxy * s11 - s1y * sx1) / determinant, (s1y * sxx - sxy * sx1) / determinant


def fit(rows):
    """A dictionary of coefficients for one key, direction and version."""
    single = [r for r in rows if r["batch"] == 1]
    found = {"reserved": sum(r["reserved"] / r["live"] for r in single) / len(single)}
    if rows[0]["what"] == "sample":
        rate, item = line_through([(counted(r), r["live"]) for r in single])
        found.update(rate=float("%.5g" % rate), item=round(item / MIB, 1))
        return found
    temporal = EVERY[rows[0]["key"]].temporal
    long = [r for r in single if r["frames"] > 1 or not temporal]
    pictures = [r for r in single if r["frames"] == 1 and temporal]
    points = [(r["frames"], r["live"] / counted(r)) for r in long]
    frame, pixel = line_through(points) if temporal else (0.0, points[-1][1])
    found.update(pixel=float("%.5g" % pixel), frame=float("%.4g" % frame), picture=0.0)
    if pictures:
        found["picture"] = float("%.5g" % (pictures[-1]["live"] / counted(pictures[-1])))
    return found


def predicted(found, row):
    if row["what"] == "sample":
        return row["batch"] * (found["rate"] * counted(row) + found["item"] * MIB)
    picture = found["picture"] and row["frames"] == 1
    rate = found["picture"] if picture else found["pixel"] + found["frame"] * row["frames"]
    return row["batch"] * counted(row) * rate


def worst(found, rows):
    return max(abs(predicted(found, r) / r["live"] - 1) for r in rows if r["batch"] == 1)


def more_than(base, found):
    """What a row of the ControlNets' table says, as text."""
    rate, item = found["rate"] - base["rate"], found["item"] - base["item"]
    return f"; more than alone: rate {rate:.5g}, item {item:.1f}"


def fits(rows, key, what):
    """Coefficients by version."""
    columns, last = {}, None
    for version in versions_of(rows):
        here = [r for r in rows if (r["key"], r["what"], r["version"]) == (key, what, version)]
        if not here:
            continue
        found = fit(here)
        if last and worst(last, here) < 0.005:
            if abs(last["reserved"] / found["reserved"] - 1) < 0.02:
                found = last
        columns[version] = last = found
    return columns


def main():
    if sys.argv[1:2] != ["--fit"]:
        traced_inc(read(sys.argv[1:]))
        return
    rows = read(sys.argv[2:])
    for key in EVERY:
        for what in ("sample", "decode", "encode", "upscale"):
            for version, found in fits(rows, key, what).items():
                here = [r for r in rows
                        if (r["key"], r["what"], r["version"]) == (key, what, version)]
                text = ", ".join(f"{k} {v:.5g}" for k, v in found.items())
                if alone := fits(rows, EVERY[key].base, what):
                    text += more_than(alone[version], found)
                print(f"{key} {what} {version}: {text}; off by {100 * worst(found, here):.2f} %")


if __name__ == "__main__":
    main()
