# SPDX-License-Identifier: Apache-2.0
"""Predicted and actual, prompt by prompt: the last RUNS_MAX, in memory only."""
import threading
import time

from . import journal, memory
from .host import progress, server
from .log import log

RUNS_MAX = 50
POLL_SECONDS = 0.02
PATIENCE_SECONDS = 60  # a prompt that is not queued by then was refused

_lock = threading.Lock()
_runs = {}       # prompt id: what is known of it, oldest first
_pending = {}    # prompt id: when it was planned; not seen running yet
_idle_bytes = None  # what this process held in RAM before any model was loaded
_thread = None


def start():
    """Remembers what ComfyUI holds without a model."""
    global _idle_bytes
    _idle_bytes = memory.resident_bytes()


def predict(prompt_id, plan, applied):
    """Keeps a prediction (that of jobs.advise), and looks out for its prompt until it has run."""
    global _thread
    machine = plan["machine"]
    run = {"prompt_id": prompt_id, "planned_at": round(time.time(), 3), "state": "queued",
           "applied": applied, "gpu": machine["gpu"],
           "predicted": {key: value for key, value in plan.items()
                         if key not in ("machine", "passes")},
           "others": {"vram_bytes": machine["vram_total_bytes"] - machine["vram_free_bytes"],
                      "ram_bytes": machine["ram_others_bytes"]},
           "passes": [{**each, "actual": None} for each in plan["passes"]],
           "ram_idle_bytes": _idle_bytes, "actual": None}
    with _lock:
        _runs[prompt_id] = run
        _pending[prompt_id] = time.monotonic()
        while len(_runs) > RUNS_MAX:
            gone = next(iter(_runs))
            _runs.pop(gone)
            _pending.pop(gone, None)
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_look_out, daemon=True, name="ebb-history")
            _thread.start()


def runs():
    """All of it, oldest first."""
    with _lock:
        return list(_runs.values())


def last_done():
    """Id of the last prompt whose actual figures are known, or None."""
    return next((run["prompt_id"] for run in reversed(runs()) if run["actual"]), None)


# ---- watching --------------------------------------------------------------------------------

def _look_out():
    """Looks at what runs, from outside: nothing is registered with the executor of a run, which
    goes through its handlers in another thread."""
    seen = watched = None
    while True:
        time.sleep(POLL_SECONDS)
        try:
            prompt_id, class_of = progress.prompt_in_progress()
            prompt_id = prompt_id if server.is_busy() else None
            over, ended = seen, watched
            if prompt_id != seen:
                seen, watched = prompt_id, None  # first: what can't be closed is not tried again
                if ended is not None:
                    _close(over, ended)
            with _lock:
                mine = bool(prompt_id) and _pending.pop(prompt_id, None) is not None
                if mine and prompt_id in _runs:
                    _runs[prompt_id]["state"] = "running"
            if mine:
                watched = journal.Journal(prompt_id, class_of)
            if watched is not None:
                _look(watched)
            elif _give_up():
                return
        except Exception as error:
            log.debug("[Ebb] history: %s: %s", type(error).__name__, error)


def _look(watched):
    """One look: which nodes began, which are over, and the RAM held."""
    if journal.watches(watched.prompt_id):
        watched.report = journal.current  # has it all, to the millisecond
        return
    running = set(progress.running_nodes())
    watched.peak = max(watched.peak, memory.resident_bytes() or 0)
    for node in set(watched.open) - running:
        watched.finish(node)
    for node in running - set(watched.open):
        watched.start(node)


def _give_up():
    """Ends those that ran unseen or never will; True where none is left to wait for."""
    global _thread
    with _lock:
        for prompt_id, since in list(_pending.items()):
            status = server.prompt_status(prompt_id)
            late = time.monotonic() - since > PATIENCE_SECONDS and not server.is_busy()
            if status is not None or late:
                _pending.pop(prompt_id)
                _runs[prompt_id]["state"] = _ending(status) or "not run"
        if not _pending:
            _thread = None
        return not _pending


def _close(prompt_id, watched):
    """A run that was watched is over: what it took, in all and pass by pass."""
    watched = watched.report or watched
    for node in list(watched.open):
        watched.finish(node)
    status = server.prompt_status(prompt_id) or {}
    times = {name: data.get("timestamp") for name, data in status.get("messages") or []}
    began = times.get("execution_start")
    ended = times.get("execution_success") or times.get("execution_error") \
        or times.get("execution_interrupted")
    events = [event for event in list(watched.events) if "ram_peak_bytes" in event]
    cached = [node for name, data in status.get("messages") or [] if name == "execution_cached"
              for node in data.get("nodes", ())]
    with _lock:
        run = _runs.get(prompt_id)
        if run is None:
            return
        run["state"] = _ending(status) or "interrupted"
        run["actual"] = {**_sum(events), "cached": cached,
                         "seconds": (ended - began) / 1000 if began and ended else None}
        run["events"] = [event for event in events if event["kind"] != "step"]
        for each in run["passes"]:
            mine = [event for event in events if str(event["node"]) in each["nodes"]]
            each["actual"] = _sum(mine) if mine else None


def _ending(status):
    """success, interrupted or error; ComfyUI's own word for what a user stopped is `error`."""
    stopped = any(name == "execution_interrupted" for name, _ in (status or {}).get("messages")
                  or [])
    return "interrupted" if stopped else (status or {}).get("status_str")


def _sum(events):
    return {"seconds": round(sum(event["seconds"] for event in events), 3),
            "ram_peak_bytes": max((event["ram_peak_bytes"] for event in events), default=None),
            "vram_peak_bytes": max((size for event in events
                                    for size in event["vram_peak_bytes"].values()), default=None)}
