# SPDX-License-Identifier: Apache-2.0
"""ComfyUI's server: what it is sent, what it is asked, and what is added to it."""
import os
import re
import urllib.parse

from ..log import log
from .about import module


def _server():
    """The running server, or None."""
    return getattr(getattr(module("server"), "PromptServer", None), "instance", None)


def is_there():
    return _server() is not None


def send(event, data, client):
    """Sends an event to a browser (None: to all); from any thread."""
    if is_there():
        _server().send_sync(event, data, client)


def show_on_node(node, text):
    """Shows a line on the node in the browser, where the version can."""
    try:
        if node and is_there() and _server().client_id is not None:
            _server().send_progress_text(text, node)
    except Exception as error:
        log.debug("[Ebb] no text on the node: %s", error)


def is_busy():
    """False only if the server says that no prompt runs or waits."""
    queue = getattr(_server(), "prompt_queue", None)
    return queue is None or queue.get_tasks_remaining() > 0


def prompt_status(prompt_id):
    """How a prompt ended, as ComfyUI's own history has it; None if it did not (yet)."""
    queue = getattr(_server(), "prompt_queue", None)
    known = queue.get_history(prompt_id=prompt_id, map_function=lambda entry: entry.get("status")) \
        if queue is not None else {}
    return known.get(prompt_id)


def add_route(method, path, answer):
    """Has `answer` called for requests (with and without /api in front)."""
    getattr(_server().routes, method)(path)(answer)


def add_on_prompt(handler):
    """Has each submission go through a handler; False where a version has no such way."""
    if not hasattr(_server(), "add_on_prompt_handler"):
        return False
    _server().add_on_prompt_handler(handler)
    return True


def look_at_submissions(wanted, look, submission):
    """Has `look` see each body of POST /prompt before the server reads it, while `wanted()`."""
    from aiohttp import web

    @web.middleware
    async def around(request, handler):
        if request.method != "POST" or request.path not in ("/prompt", "/api/prompt") \
                or not wanted():
            return await handler(request)
        mark = submission.set(None)
        try:
            await look(await request.read())  # the server reads the same bytes again
            return await handler(request)
        finally:
            submission.reset(mark)

    _server().app.middlewares.append(around)


def serve(name, folder):
    """Serves the front end's part where the pack's folder has a name that addresses must escape.

    ComfyUI names such an address to the browser, and its own route for it never matches.
    """
    escaped = urllib.parse.quote(name)
    if escaped == name or "{" in name or "}" in name:
        return
    from aiohttp import web

    async def answer(request):
        path = os.path.realpath(os.path.join(folder, request.match_info["ebb_file"]))
        if not path.startswith(os.path.realpath(folder) + os.sep) or not os.path.isfile(path):
            raise web.HTTPNotFound
        return web.FileResponse(path)
    either = f"{re.escape(name)}|{re.escape(escaped)}"  # versions differ in what they compare
    _server().app.router.add_get(f"/extensions/{{ebb_pack:{either}}}/{{ebb_file:.+}}", answer)
