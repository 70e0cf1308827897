# SPDX-License-Identifier: Apache-2.0
"""What a planning process does with a job: the answers of the routes, advice, patches. No ComfyUI.

Each function takes the object of a request's body and `options_for(classes, asked)`, which answers
the planner's options, and returns what is to be answered as JSON.
"""
import json

from . import graph, planner
from .planner import Refused

OUTPUT_CHANGES = ["tile-vae"]  # fixes that never go in unasked: pictures differ in the last bits
PATCHED_MAX = 2000  # nodes; the submission waits for a patch, so that larger prompts are advised
PREDICTED = ("verdict", "known_verdict", "cause", "headline", "vram_peak_bytes", "ram_peak_bytes",
             "seconds", "known_seconds", "offloaded_bytes", "notes")
PASS = ("index", "work", "nodes", "verdict", "vram_peak_bytes", "ram_peak_bytes", "seconds")


def answer(header, body, options_for):
    """(header, bytes) of the answer to a job; what is wrong is an error object with its status."""
    try:
        done = JOBS[header["do"]](_object(body), options_for)
        return {"status": 200}, json.dumps(done).encode()
    except Refused as error:
        told, status = error.told, error.status
    except MemoryError:
        told, status = {"code": "too_large", "message": "planning this takes too much memory",
                        "hint": ""}, 413
    except Exception as error:
        told, status = {"code": "internal", "message": f"{type(error).__name__}: {error}",
                        "hint": "This is a bug in Ebb."}, 500
    return {"status": status}, json.dumps({"error": told}).encode()


def _object(body):
    try:
        made = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(f"the body is no JSON: {error}") from error
    if not isinstance(made, dict):
        raise Refused("the body is not a JSON object")
    return made


def _workflow(body):
    """(key, workflow) of a request. Raises Refused."""
    keys = [key for key in ("prompt", "workflow") if body.get(key) is not None]
    if len(keys) != 1 or not isinstance(body[keys[0]], dict):
        raise Refused("the body needs either \"workflow\" (a graph) or \"prompt\", an object",
                      "For example {\"workflow\": ..., \"options\": {\"gpu\": \"rtx5090\"}}.")
    return keys[0], body[keys[0]]


def _asked(body, options_for):
    """(key, workflow as text, the planner's options) of a request. Raises Refused."""
    key, workflow = _workflow(body)
    asked = planner.check_options(body.get("options"))
    return key, json.dumps(workflow), options_for(planner.classes_of(workflow), asked)


def plan(body, options_for):
    _, text, options = _asked(body, options_for)
    made, milliseconds = planner.call("plan", text, options)
    picture, _ = planner.call("svg", text, options)
    return {"plan": made, "fix": planner.cheapest(made), "svg": picture,
            "milliseconds": milliseconds}


def apply(body, options_for):
    key, text, options = _asked(body, options_for)
    done, milliseconds = planner.call("apply", text, options)
    return {"changed": done["changed"], key: json.loads(done["text"]), "words": done["plan"],
            "lines": done["lines"], "changes": done["changes"],
            "refused": done["refused"], "notes": done["notes"], "milliseconds": milliseconds}


def undo(body, _):
    key, workflow = _workflow(body)
    try:
        done, _ = planner.call("undo", json.dumps(workflow), {})
    except Refused as error:
        if error.told.get("reason") != "nothing_of_ours":
            raise
        return {"changed": False, key: workflow, "nodes": 0, "notes": []}
    return {"changed": True, key: json.loads(done["text"]), "nodes": done["nodes"],
            "notes": done["notes"]}


# ---- submissions -----------------------------------------------------------------------------

def advise(body, options_for):
    """What the log, the browser and the history need of a submission's plan."""
    prompt, targets = body["prompt"], body.get("partial_execution_targets")
    if isinstance(targets, list) and targets:
        prompt = _needed_for(targets, prompt)
    options = options_for(planner.classes_of(prompt), {})
    made, milliseconds = planner.call("plan", json.dumps(prompt), options)
    return {"plan": {**{key: made[key] for key in PREDICTED}, "machine": made["machine"],
                     "passes": [{key: each[key] for key in PASS} for each in made["passes"]]},
            "fix": planner.cheapest(made), "milliseconds": milliseconds}


def _needed_for(targets, prompt):
    """The nodes that run in a run of a part of the graph."""
    def known(ids):
        return [each for each in ids if isinstance(each, str) and each in prompt]
    needed = graph.reached(known(targets), lambda each: known(
        source for _, source in graph.links(prompt[each])))
    return {node: value for node, value in prompt.items() if node in needed}


def patch(body, options_for):
    """What the plan's fixes change in a submission; {} if nothing helps.

    `nodes` has, for each id, the node before and after (null: none); `order` all ids afterwards,
    and `graph` the graph that the submission carries, if it carries one.
    """
    prompt = body.get("prompt")
    if not planner.is_prompt(prompt) or len(prompt) > PATCHED_MAX \
            or body.get("partial_execution_targets"):
        return {}
    options = options_for(planner.classes_of(prompt), {})
    done, _ = planner.call("apply", json.dumps(body), {**options, "skip": OUTPUT_CHANGES})
    if not done["changed"]:
        return {}
    new = json.loads(done["text"])
    after = new["prompt"]
    saved = ((new.get("extra_data") or {}).get("extra_pnginfo") or {}).get("workflow")
    return {"nodes": {node: [prompt.get(node), after.get(node)] for node in {**prompt, **after}
                      if prompt.get(node) != after.get(node)},
            "order": list(after), "graph": saved,
            "words": [change["words"] for change in done["changes"]]}


JOBS = {"plan": plan, "apply": apply, "undo": undo, "advise": advise, "patch": patch}
