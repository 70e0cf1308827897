# SPDX-License-Identifier: Apache-2.0
"""The routes /ebb/...: JSON in, JSON out, and what is wrong as an error object.

Nothing here uses the event loop's own threads, which the server's page needs, and nothing is
parsed or planned on the loop: a body goes as it comes into a process of processes.py.
"""
import asyncio
import concurrent.futures
import json
import os
import re

from . import circumstances, history, memory, planner, processes, settings
from .host import about, devices, progress, server
from .log import log
from .planner import Refused

PLANS = 2  # at once
WAITING_MAX, WAIT_SECONDS = 64, 30.0  # requests without a place; they hold no body yet
BODY_MAX, BODY_SECONDS = 16 << 20, 10.0

_pool = processes.Pool(PLANS, "ebb-routes")
_looking = concurrent.futures.ThreadPoolExecutor(1, "ebb-status")


def add():
    """Adds the routes to ComfyUI's server."""
    from aiohttp import web

    places, waiting = asyncio.Semaphore(PLANS), 0

    async def planned(request, do):
        nonlocal waiting
        if request.content_type != "application/json":  # which a page of another site can't send
            raise Refused("the body has to be sent as application/json", "", "usage", 415)
        if waiting >= WAITING_MAX:
            raise _busy()
        waiting += 1
        try:
            await asyncio.wait_for(places.acquire(), WAIT_SECONDS)
        except asyncio.TimeoutError:
            raise _busy() from None
        finally:
            waiting -= 1
        try:
            if request.transport is None or request.transport.is_closing():
                raise Refused("nobody waits for this any more", "", "gone", 499)
            body = await _body(request)
            return await asyncio.get_running_loop().run_in_executor(
                _pool.threads, _pool.answer, do, body, circumstances.options_for)
        finally:
            places.release()

    async def looked(_, work):
        done = await asyncio.get_running_loop().run_in_executor(_looking, work)
        return 200, json.dumps(done).encode()

    def guarded(work, what):
        async def answer(request):
            try:
                status, data = await work(request, what)
            except Refused as error:
                status, data = error.status, json.dumps({"error": error.told}).encode()
            except Exception as error:
                log.warning("[Ebb] %s: %s: %s", request.path, type(error).__name__, error)
                status, data = 500, json.dumps({"error": {
                    "code": "internal", "message": f"{type(error).__name__}: {error}",
                    "hint": "This is a bug in Ebb."}}).encode()
            return web.Response(body=data, status=status, content_type="application/json")
        return answer

    for do in ("plan", "apply", "undo"):
        server.add_route("post", "/ebb/" + do, guarded(planned, do))
    server.add_route("get", "/ebb/status", guarded(looked, status))
    server.add_route("get", "/ebb/history", guarded(looked, all_runs))


def _busy():
    return Refused("too many plans are under way", "Try again in a moment.", "busy", 429)


async def _body(request):
    """The bytes of a request's body, of which only so many are read."""
    too_large = Refused(f"the body has more than {BODY_MAX >> 20} MiB", "", "too_large", 413)
    if (request.content_length or 0) > BODY_MAX:
        raise too_large

    async def read():
        parts, size = [], 0
        async for part in request.content.iter_any():
            size += len(part)
            if size > BODY_MAX:
                raise too_large
            parts.append(part)
        return b"".join(parts)
    try:
        return await asyncio.wait_for(read(), BODY_SECONDS)
    except asyncio.TimeoutError:
        why = f"the body did not come within {BODY_SECONDS:g} s"
        raise Refused(why, "", "usage", 408) from None


def status():
    chosen, origin = settings.setting()
    here, why = devices.card()
    package, absent = planner.find()
    return {"schema": "ebb.status/1", "pack": _pack_version(),
            "library": getattr(package, "__version__", None), "planning_off": absent or None,
            "setting": chosen, "setting_from": origin,
            "comfyui": about.version(), "flags": about.flags(),
            "card": here and {"gpu": here["gpu"], "vram_total_bytes": here["vram"],
                              "vram_free_bytes": here["vram_free"]},
            "no_card": why or None, "ram": memory.of_machine(),
            "devices": devices.now(), "running": _running(),
            "last_run": history.last_done()}


def _running():
    if not server.is_busy():
        return None
    prompt_id, class_of = progress.prompt_in_progress()
    return {"prompt_id": prompt_id, "nodes": [{"id": node, "class": class_of(node)}
                                              for node in progress.running_nodes()]}


def _pack_version():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pyproject.toml")
    with open(path, encoding="utf-8") as file:
        return re.search(r'^version = "(.+?)"', file.read(), re.M)[1]


def all_runs():
    return {"schema": "ebb.history/1", "runs": history.runs()}
