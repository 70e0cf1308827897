# SPDX-License-Identifier: Apache-2.0
"""Plans every prompt that is queued, and advises or applies. Never raises into the server."""
import concurrent.futures
import json
import logging
import os
import time
import uuid

from . import circumstances, history, hooks, planner

SETTING = "Ebb.PlanEveryPrompt"
OFF, ADVISE, APPLY = CHOICES = ("off", "advise", "apply")
log = logging.getLogger("ebb")
_worker = concurrent.futures.ThreadPoolExecutor(1, "ebb-plan")  # one after another, as queued
_told = {}  # ("client", id), or "" for the log: the line it was told last
PATCHED_MAX = 2000  # nodes; the server waits for a patch, so that larger prompts are only advised
TOLD_MAX = 100


def setting():
    """(off, advise or apply; where that comes from)."""
    given = os.environ.get("EBB_PLAN", "").strip().lower()
    if given in CHOICES:
        return given, "EBB_PLAN"
    if circumstances.has_several_users():  # settings belong to users there, prompts to nobody
        return ADVISE, "default"
    try:
        with open(circumstances.settings_path(), encoding="utf-8") as file:
            chosen = json.load(file).get(SETTING)
        if chosen in CHOICES:
            return chosen, "settings"
    except (OSError, ValueError, AttributeError, TypeError):
        pass  # nothing was chosen yet, or ComfyUI itself can't read it either
    return ADVISE, "default"


def given_options():
    """Options of EBB_PLAN_OPTIONS, for a server that plans for another machine. Raises Refused."""
    try:
        options = json.loads(os.environ.get("EBB_PLAN_OPTIONS") or "{}")
    except ValueError as error:
        raise planner.Refused(f"EBB_PLAN_OPTIONS is no JSON: {error}") from error
    if not isinstance(options, dict):
        raise planner.Refused("EBB_PLAN_OPTIONS is no JSON object")
    return options


def with_given(asked):
    """A browser's options: on top of EBB_PLAN_OPTIONS, unless they name a card of their own."""
    if asked.get("gpu") is not None or asked.get("vram") is not None:
        return asked
    return {**given_options(), **asked}


# ---- a prompt is queued ----------------------------------------------------------------------

def on_prompt(body):
    """The server's handler: the submission, with another prompt only under `apply`."""
    began = time.perf_counter()
    try:
        chosen, _ = setting()
        if chosen == OFF or not _is_prompt(body):
            return body
        body = {**body, "prompt_id": str(body.get("prompt_id") or uuid.uuid4())}
        changes, targets = [], body.get("partial_execution_targets")
        if chosen == APPLY and not targets and len(body["prompt"]) <= PATCHED_MAX:
            body, changes = _applied(body)
        text = json.dumps(_needed_for(targets, body["prompt"]) if targets else body["prompt"])
        held = 1000 * (time.perf_counter() - began)
        _worker.submit(_safely, _advise, text, body["prompt_id"], body.get("client_id"),
                       [change["words"] for change in changes], held)
    except Exception as error:
        _say_why(error)
    return body


def _is_prompt(body):
    """Whether there is something to plan; what is not, the server itself refuses."""
    prompt = body.get("prompt") if isinstance(body, dict) else None
    return isinstance(prompt, dict) and len(prompt) > 0 and all(
        isinstance(node, dict) and isinstance(node.get("class_type"), str)
        and isinstance(node.get("inputs"), dict) for node in prompt.values())


def _needed_for(targets, prompt):
    """The nodes that run in a run of a part of the graph."""
    needed, waiting = set(), list(targets)
    while waiting:
        node = waiting.pop()
        if node in prompt and node not in needed:
            needed.add(node)
            waiting += [value[0] for value in prompt[node]["inputs"].values()
                        if isinstance(value, list) and value and isinstance(value[0], str)]
    return {node: value for node, value in prompt.items() if node in needed}


def _safely(function, *arguments):
    try:
        function(*arguments)
    except Exception as error:
        _say_why(error)


def _say_why(error):
    kind = "" if isinstance(error, planner.Refused) else f"{type(error).__name__}: "
    if _is_news("", f"{kind}{error}"):
        log.warning("[Ebb] a prompt is not planned: %s%s", kind, error)


def _is_news(whom, line):
    """True if the same was not said there the last time."""
    known = _told.pop(whom, None)
    while len(_told) >= TOLD_MAX:
        _told.pop(next(iter(_told)))
    _told[whom] = line
    return known != line


def _advise(text, prompt_id, client, applied, held):
    """Plans a prompt, keeps the prediction, says what is to be said."""
    began = time.perf_counter()
    options, why = circumstances.options_for(json.loads(text), given_options())
    if options is None:
        log.debug("[Ebb] not planned: %s", why)
        return
    plan, _ = planner.call("plan", text, options)
    history.predict(prompt_id, plan, applied)
    tell(plan, client, {"prompt_id": prompt_id, "applied": applied,
                        "held_milliseconds": round(held, 2), "plan_milliseconds":
                        round(1000 * (time.perf_counter() - began), 2)})


def _applied(body):
    """(the submission with the plan's fixes in it if any of them helps, what was changed)."""
    options, why = circumstances.options_for(body["prompt"], given_options())
    if options is None:
        log.debug("[Ebb] not planned: %s", why)
        return body, []
    new, answer = planner.patched(body, options)
    return (new, answer["changes"]) if new else (body, [])


# ---- saying it -------------------------------------------------------------------------------

def tell(plan, client, advice):
    """One line in the log when it is a new one, and the event `ebb.advice`."""
    fix = planner.cheapest(plan)
    line = plan["headline"]
    if advice["applied"]:
        line = f"Put in: {'; '.join(advice['applied'])}. With that: {line}"
    if fix:
        line += " " + fix["sentence"]
    news = _is_news(("client", client), line)
    if _is_news("", line):
        log.info("[Ebb] %s", line)
    hooks.send("ebb.advice", {**advice, "verdict": plan["verdict"], "headline": plan["headline"],
                              "fix": fix, "news": news}, client)


def start():
    """Registers with the running server; one line where planning is off."""
    server = hooks.server()
    if server is None:
        return
    history.start()
    from . import routes

    routes.add(server)
    package, why = planner.find()
    if package is None:
        log.info("[Ebb] nodes are ready; planning is off (%s)", why)
    elif not hasattr(server, "add_on_prompt_handler"):
        log.warning("[Ebb] this ComfyUI has no handlers of prompts: only the panel plans")
    else:
        server.add_on_prompt_handler(on_prompt)
