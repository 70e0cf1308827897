#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `python -m ebb.learn` says of each checkout's model classes, with what the real code says.

usage: learn_real.py

For every class of comfy/supported_models.py that can be built in its network's own dimensions:
bytes asked, from the stored coefficients, at shapes that had no part in finding them (within a
byte); number of values, bytes of the loaded model, and the class that detection gives for a header
of its own tensors.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import support

sys.path.insert(0, str(support.ROOT / "python/ebb"))
from learn import facts, forms  # noqa: E402

TRUTH = pathlib.Path(__file__).with_name("learn_truth.py")


def learned(checkout, python, folder):
    path = os.path.join(folder, "facts.json")
    done = subprocess.run([sys.executable, "-m", "ebb.learn", "--comfyui", checkout, "--python",
                           python, "--facts", path], capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(support.ROOT / "python")})
    if done.returncode != 0:
        sys.exit(done.stderr)
    print(done.stdout.splitlines()[0])
    return facts.read(path)


def truths(checkout, python):
    done = subprocess.run([python, "-B", str(TRUTH), checkout], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        sys.exit(done.stderr[-2000:])
    return [json.loads(line) for line in done.stdout.splitlines()]


def asked_by_form(asked, branch, shape, more):
    total = forms.evaluate(asked[branch], shape)
    for name, given in more.items():
        form = asked[branch + "_more"][name]
        total += sum(forms.evaluate(form, one) for one in given)
    return total


def differences(row, real):
    """One line for each thing that the facts and the real code see differently."""
    for key in ("values", "detected_as"):
        if row.get(key) != real[key]:
            yield f"{key} {row.get(key)}, real {real[key]}"
    size = row.get("bytes", {}).get(row.get("stored"))
    if "bytes" in real and size != real["bytes"]:
        yield f"bytes {size}, real {real['bytes']}"
    for branch, shape, more, wanted in real["asked"]:
        if row["asked"][branch]["form"] == "unknown":
            yield f"asked: {row['asked'][branch]['why']}"
            return
        found = asked_by_form(row["asked"], branch, shape, more)
        if abs(found - wanted) > 1:
            yield f"asked at {shape} {more} ({branch}): {found}, real {wanted}"
            return


def compare(rows, reals):
    """How many classes were compared, own headers recognised, and bytes compared; failures."""
    by_name = {row["class"]: row for row in rows}
    compared, failed = [real for real in reals if "lacking" not in real], 0
    for real in compared:
        for line in differences(by_name[real["class"]], real):
            print(f"  {real['class']}: {line}")
            failed += 1
    return (len(compared), sum(real["detected_as"] == real["class"] for real in compared),
            sum("bytes" in real for real in compared), failed)


def main():
    python, failed = support.comfyui_python(), 0
    for checkout in support.checkouts():
        with tempfile.TemporaryDirectory() as folder:
            found = learned(checkout, python, folder)
        reals = truths(checkout, python)
        if [row["class"] for row in found["classes"]] != [real["class"] for real in reals]:
            sys.exit("the classes, or their order, are not ComfyUI's")
        compared, own, sized, wrong = compare(found["classes"], reals)
        failed += wrong
        asked = sum("asked" in row for row in found["classes"])
        print(f"ComfyUI {support.version_of(checkout)}: {len(reals)} classes, {asked} with what "
              f"they ask; {compared} built and compared ({own} recognised by their own header, "
              f"bytes of {sized}): {wrong} differences")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
