#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs inside ComfyUI's Python for numbers_real.py: executes nodes that only compute sizes.

usage: run_numbers.py CHECKOUT < cases.jsonl > sizes.jsonl

A case has the class, its inputs as a prompt would name them, and the size of the picture it gets.
"""
import importlib
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tools"))
import trace_demand

PLACES = {
    "ResolutionSelector": ("nodes_resolution", "ResolutionSelector"),
    "ComfyMathExpression": ("nodes_math", "MathExpressionNode"),
    "ImageScaleToTotalPixels": ("nodes_post_processing", "ImageScaleToTotalPixels"),
    "ResizeImageMaskNode": ("nodes_post_processing", "ResizeImageMaskNode"),
}


def run(case):
    import torch
    place, name = PLACES[case["class"]]
    node = getattr(importlib.import_module("comfy_extras." + place), name)
    inputs = dict(case["inputs"])
    if case["class"] == "ComfyMathExpression":
        values = {key.split(".")[1]: inputs.pop(key) for key in list(inputs) if "." in key}
        return list(node.execute(inputs["expression"], values).args)
    if case["class"] == "ResolutionSelector":
        return list(node.execute(**inputs).args)
    width, height = case["picture"]
    picture = torch.zeros(1, height, width, 3)
    if case["class"] == "ResizeImageMaskNode":
        kind = {key.rpartition(".")[2]: inputs.pop(key) for key in list(inputs)
                if key.startswith("resize_type")}
        result = node.execute(input=picture, resize_type=kind, **inputs).args[0]
    else:
        result = node.execute(image=picture, **inputs).args[0]
    return [result.shape[2], result.shape[1]]


def main():
    cases = [json.loads(line) for line in sys.stdin]
    trace_demand.import_checkout(sys.argv[1])
    for case in cases:
        try:
            print(json.dumps(run(case)))
        except Exception as error:  # the checkout lacks the node, or refuses these inputs
            print(json.dumps({"lacking": f"{type(error).__name__}: {error}"[:120]}))


if __name__ == "__main__":
    main()
