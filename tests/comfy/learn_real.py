#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `python -m ebb.learn` says of each checkout's model classes, with what the real code says.

usage: learn_real.py

For every class of comfy/supported_models.py that can be built in its network's own dimensions:
bytes asked, from the stored coefficients, at shapes that had no part in finding them (within a
byte); number of values, bytes of the loaded model, and the class that detection gives for a header
of its own tensors. The same for a model file of each class that is recognised so, for one in
public dimensions of other classes, for three VAEs and a text encoder that ComfyUI loads with their
weights, and of an architecture that is made up and added to a copy of the checkout.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import made_up
import support

sys.path.insert(0, str(support.ROOT / "python/ebb"))
from learn import facts, forms  # noqa: E402

TRUTH = pathlib.Path(__file__).with_name("learn_truth.py")


def learned(checkout, python, folder, *words):
    path = os.path.join(folder, "facts.json")
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "ebb.learn", "--comfyui", checkout, "--python",
                           python, "--facts", path, *words], capture_output=True, text=True,
                          check=False,
                          env={**os.environ, "PYTHONPATH": str(support.ROOT / "python")})
    if done.returncode != 0:
        sys.exit(done.stderr)
    return facts.read(path), time.monotonic() - start


def truths(checkout, python, folder):
    """(classes, files)"""
    done = subprocess.run([python, "-B", str(TRUTH), checkout, folder], capture_output=True,
                          text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr[-2000:])
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return [row for row in rows if "file" not in row], [row for row in rows if "file" in row]


def asked_by_form(asked, branch, shape, more):
    total = forms.evaluate(asked[branch], shape)
    for name, given in more.items():
        form = asked[branch + "_more"][name]
        total += sum(forms.evaluate(form, one) for one in given)
    return total


def differences(row, real):
    """One line for each thing that the facts and the real code see differently."""
    if "asked" not in row:
        yield f"not traced: {row['not_traced']}"
        return
    for key in ("values", "detected_as"):
        if row.get(key) != real[key]:
            yield f"{key} {row.get(key)}, real {real[key]}"
    size = row.get("bytes", {}).get(row.get("stored"))
    if "bytes" in real and size != real["bytes"]:
        yield f"bytes {size}, real {real['bytes']}"
    for name, shape, key, area in real["heard"]:
        told = row["asked"]["conditionings"][name]
        if told["as"] != key or abs(forms.evaluate(told["area"], shape) - area) >= 1:
            yield f"{name} of {shape} counts {area} as {key}: {told}"
    for branch, shape, more, wanted in real["asked"]:
        if row["asked"][branch]["form"] == "unknown":
            yield f"asked: {row['asked'][branch]['why']}"
            return
        found = asked_by_form(row["asked"], branch, shape, more)
        if abs(found - wanted) > 1:
            yield f"asked at {shape} {more} ({branch}): {found}, real {wanted}"
            return


def differences_of_file(row, real):
    """The same of a model file, whose first part is what the real code loaded."""
    if row is None or "not_traced" in row:
        yield f"not traced: {row and row['not_traced']}"
        return
    part = row["parts"][0]
    for key in ("class", "values", "bytes"):
        if key in real and part.get(key) != real[key]:
            yield f"{key} {part.get(key)}, real {real[key]}"
    for branch, shape, more, wanted in real["asked"]:
        found = asked_by_form(part["asked"], branch, shape, more)
        if abs(found - wanted) > 1:
            yield f"asked at {shape} {more} ({branch}): {found}, real {wanted}"
            return


def compare(found, classes, files):
    """Failures, and a line that says what was compared."""
    by_name = {row["class"]: row for row in found["classes"]}
    by_file = {row["file"]: row for row in found["files"]}
    built, failed = [real for real in classes if "lacking" not in real], []
    for real in built:
        failed += [f"{real['class']}: {line}"
                   for line in differences(by_name[real["class"]], real)]
    written = [real for real in built if real.get("written")]
    for real in files + written:
        name = real.get("file") or real["class"] + ".safetensors"
        failed += [f"{name}: {line}" for line in differences_of_file(by_file.get(name), real)]
    own = sum(real["detected_as"] == real["class"] for real in built)
    asked = sum("asked" in row for row in found["classes"])
    of_files = {real["class"] for real in files + written if "class" in real}
    return failed, (f"{len(classes)} classes, {asked} with what they ask; {len(built)} built and "
                    f"compared, {own} of them recognised by their own header; "
                    f"{len(written) + len(files)} files, of {len(of_files)} classes, compared")


def main():
    python, failures = support.comfyui_python(), 0
    for checkout in support.checkouts():
        with tempfile.TemporaryDirectory() as folder:
            classes, files = truths(checkout, python, folder)
            found, seconds = learned(checkout, python, folder, "--models", folder)
            copy = made_up.checkout_with_it(checkout, os.path.join(folder, "copy"))
            new, _ = learned(copy, python, copy, "--only", made_up.NAME)
        if [row["class"] for row in found["classes"]] != [real["class"] for real in classes]:
            sys.exit("the classes, or their order, are not ComfyUI's")
        failed, said = compare(found, classes, files)
        failed += made_up.differences(new, forms.evaluate)
        print(f"ComfyUI {support.version_of(checkout)}: {said}, learned in {seconds:.0f} s: "
              f"{len(failed)} differences", flush=True)
        for line in failed:
            print("  " + line, flush=True)
        failures += len(failed)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
