# SPDX-License-Identifier: Apache-2.0
"""Plans every prompt that is queued, and advises or applies. Never raises into the server."""
import asyncio
import contextvars
import json
import threading
import time
import uuid

from . import circumstances, history, planner, processes, routes
from .host import about, server
from .log import log
from .settings import APPLY, OFF, setting

PATCHED_BYTES_MAX = 2 << 20  # a submission waits for its patch: larger ones are only advised
PATCH_SECONDS, ADVISE_SECONDS = 5.0, 20.0
BYTES_MAX, WAITING_MAX = 16 << 20, 8  # of submissions that are planned later
TOLD_MAX = 100
_pool = processes.Pool(1, "ebb-prompts")  # one after another, as queued
_patches = processes.Pool(1, "ebb-patches", niceness=0)  # somebody waits for it
_waiting = threading.BoundedSemaphore(WAITING_MAX)
_submission = contextvars.ContextVar("ebb_submission", default=None)
_told = {}  # ("client", id), or "" for the log: the line it was told last


# ---- a prompt is queued ----------------------------------------------------------------------

class Submission:
    """A body of POST /prompt while its server works on it."""

    def __init__(self, raw):
        self.raw, self.began = raw, time.perf_counter()
        self.patch, self.wrong = {}, None


async def look(raw):
    """Before the server reads a body: makes its patch, under `apply`, off the event loop."""
    found = Submission(raw)
    if setting()[0] == APPLY and len(raw) <= PATCHED_BYTES_MAX:
        try:
            found.patch = await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(
                _patches.threads, _made, _patches, "patch", raw, PATCH_SECONDS), PATCH_SECONDS)
        except asyncio.TimeoutError:
            found.wrong = planner.Refused(f"it was not planned within {PATCH_SECONDS:g} s")
        except Exception as error:
            found.wrong = error
    _submission.set(found)


def _made(pool, do, body, seconds):
    return processes.told(*pool.answer(do, body, circumstances.options_for, seconds))


def on_prompt(body):
    """The server's handler: the submission, with another prompt only under `apply`."""
    try:
        chosen, _ = setting()
        if chosen == OFF or not isinstance(body, dict) or not planner.is_prompt(body.get("prompt")):
            return body
        given = _submission.get() or Submission(json.dumps(body).encode())
        body = {**body, "prompt_id": str(body.get("prompt_id") or uuid.uuid4())}
        words, text = [], given.raw
        if given.wrong is not None:
            _say_why(given.wrong)
        if given.patch and chosen == APPLY:
            body, words = _patched(body, given.patch), given.patch["words"]
            text = json.dumps({"prompt": body["prompt"]}).encode()
        held = 1000 * (time.perf_counter() - given.began)
        _plan_later(text, body["prompt_id"], body.get("client_id"), words, held)
    except Exception as error:
        _say_why(error)
    return body


def _patched(body, patch):
    """The submission with a patch in it. Raises Refused where it is not what was planned."""
    prompt, new = body["prompt"], {}
    for node, (old, _) in patch["nodes"].items():
        if prompt.get(node) != old:
            raise planner.Refused(f"another pack changed node {node} of the submission, so that "
                                  "nothing is put in")
    for node in patch["order"]:
        new[node] = patch["nodes"][node][1] if node in patch["nodes"] else prompt[node]
    result = {**body, "prompt": new}
    if patch["graph"] is not None:
        extra = body["extra_data"]
        result["extra_data"] = {**extra, "extra_pnginfo": {**extra["extra_pnginfo"],
                                                           "workflow": patch["graph"]}}
    return result


def _plan_later(text, prompt_id, client, words, held):
    """Has a submission planned, after those before it; some are left out where too many wait."""
    if len(text) > BYTES_MAX:
        raise planner.Refused(f"it has more than {BYTES_MAX >> 20} MiB")
    if not _waiting.acquire(blocking=False):
        raise planner.Refused(f"{WAITING_MAX} others wait to be planned")
    _pool.threads.submit(_safely, _advise, text, prompt_id, client, words, held)


def _safely(function, *arguments):
    try:
        function(*arguments)
    except Exception as error:
        _say_why(error)
    finally:
        _waiting.release()


def _say_why(error):
    if isinstance(error, planner.Refused) and error.told["code"] == "no_card":
        log.debug("[Ebb] not planned: %s", error)
        return
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
    made = _made(_pool, "advise", text, ADVISE_SECONDS)
    history.predict(prompt_id, made["plan"], applied)
    tell(made, client, {"prompt_id": prompt_id, "applied": applied,
                        "held_milliseconds": round(held, 2), "plan_milliseconds":
                        round(1000 * (time.perf_counter() - began), 2)})


# ---- saying it -------------------------------------------------------------------------------

def tell(made, client, advice):
    """One line in the log when it is a new one, and the event `ebb.advice`."""
    plan, fix = made["plan"], made["fix"]
    line = plan["headline"]
    if advice["applied"]:
        line = f"Put in: {'; '.join(advice['applied'])}. With that: {line}"
    if fix:
        line += " " + fix["sentence"]
    news = _is_news(("client", client), line)
    if _is_news("", line):
        log.info("[Ebb] %s", line)
    if not client and about.has_several_users():
        return  # it would go to every browser
    server.send("ebb.advice", {**advice, "verdict": plan["verdict"],
                               "known_verdict": planner.known_verdict(plan),
                               "headline": plan["headline"], "fix": fix, "news": news}, client)


def start():
    """Registers with the running server; one line where planning is off."""
    if not server.is_there():
        return
    history.start()
    routes.add()
    package, why = planner.find()
    if package is None:
        log.info("[Ebb] nodes are ready; planning is off (%s)", why)
    elif not server.add_on_prompt(on_prompt):
        log.warning("[Ebb] this ComfyUI has no handlers of prompts: only the panel plans")
    else:
        server.look_at_submissions(lambda: setting()[0] != OFF, look, _submission)
