# SPDX-License-Identifier: Apache-2.0
"""The routes /ebb/...: JSON in, JSON out, and what is wrong as an error object."""
import asyncio
import json
import os
import re

from . import automatic, circumstances, history, hooks, memory, planner
from .planner import Refused


def add(server):
    """Adds the routes to ComfyUI's server (with and without /api in front)."""
    from aiohttp import web

    def guarded(work):
        async def answer(request):
            try:
                body = await _body(request) if request.method == "POST" else None
                done = await asyncio.get_running_loop().run_in_executor(None, work, body)
                return web.json_response(done)
            except Refused as error:
                return web.json_response({"error": error.told}, status=error.status)
            except Exception as error:
                hooks.log.warning("[Ebb] %s: %s: %s", request.path, type(error).__name__, error)
                told = {"code": "internal", "message": f"{type(error).__name__}: {error}",
                        "hint": "This is a bug in Ebb."}
                return web.json_response({"error": told}, status=500)
        return answer

    server.routes.post("/ebb/plan")(guarded(plan))
    server.routes.post("/ebb/apply")(guarded(apply))
    server.routes.post("/ebb/undo")(guarded(undo))
    server.routes.get("/ebb/status")(guarded(status))
    server.routes.get("/ebb/history")(guarded(all_runs))


async def _body(request):
    try:
        body = json.loads(await request.text())
    except (ValueError, RecursionError) as error:
        raise Refused(f"the body is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise Refused("the body is not a JSON object")
    return body


def _asked(body):
    """(key, workflow, options of the planner) of a request. Raises Refused."""
    keys = [key for key in ("prompt", "workflow") if body.get(key) is not None]
    if len(keys) != 1 or not isinstance(body[keys[0]], dict):
        raise Refused("the body needs either \"workflow\" (a graph) or \"prompt\", an object",
                      "For example {\"workflow\": ..., \"options\": {\"gpu\": \"rtx5090\"}}.")
    workflow = body[keys[0]]
    asked = planner.check_options(body.get("options"))
    options, why = circumstances.options_for(workflow, automatic.with_given(asked))
    if options is None:
        raise Refused(why, "Name a card: {\"options\": {\"gpu\": \"rtx5090\"}}.", "no_card")
    return keys[0], workflow, options


def plan(body):
    _, workflow, options = _asked(body)
    text = json.dumps(workflow)
    made, milliseconds = planner.call("plan", text, options)
    picture, _ = planner.call("svg", text, options)
    return {"plan": made, "fix": planner.cheapest(made), "svg": picture,
            "milliseconds": milliseconds}


def apply(body):
    key, workflow, options = _asked(body)
    done, milliseconds = planner.call("apply", json.dumps(workflow), options)
    return {"changed": done["changed"], key: json.loads(done["text"]), "words": done["plan"],
            "changes": done["changes"], "refused": done["refused"], "notes": done["notes"],
            "milliseconds": milliseconds}


def undo(body):
    key, workflow, _ = _asked({**body, "options": {"vram": "24G"}})
    try:
        done, _ = planner.call("undo", json.dumps(workflow), {})
    except Refused as error:
        if "has no node that Ebb put there" not in str(error):
            raise
        return {"changed": False, key: workflow, "nodes": 0, "notes": []}
    return {"changed": True, key: json.loads(done["text"]), "nodes": done["nodes"],
            "notes": done["notes"]}


def status(_):
    chosen, origin = automatic.setting()
    here, why = circumstances.card()
    package, absent = planner.find()
    return {"schema": "ebb.status/1", "pack": _pack_version(), "library": planner.version(),
            "planning_off": absent or None, "setting": chosen, "setting_from": origin,
            "comfyui": hooks.comfyui_version(), "flags": circumstances.flags(),
            "card": here and {"gpu": here["gpu"], "vram_total_bytes": here["vram"],
                              "vram_free_bytes": here["vram_free"]},
            "no_card": why or None, "ram": memory.of_machine(),
            "devices": circumstances.devices_now(), "running": _running(),
            "last_run": history.last_done()}


def _running():
    if not hooks.is_busy():
        return None
    prompt_id, class_of = hooks.prompt_in_progress()
    return {"prompt_id": prompt_id, "nodes": [{"id": node, "class": class_of(node)}
                                              for node in hooks.running_nodes()]}


def _pack_version():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pyproject.toml")
    with open(path, encoding="utf-8") as file:
        return re.search(r'^version = "(.+?)"', file.read(), re.M)[1]


def all_runs(_):
    return {"schema": "ebb.history/1", "runs": history.runs()}
