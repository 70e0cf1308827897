# SPDX-License-Identifier: Apache-2.0
"""The pack as ComfyUI loads it: from which folder, whether it is the only one, what works in it."""
import os
import re
import urllib.parse

from . import hooks
from .log import log

FOLDER = os.path.dirname(os.path.abspath(__file__))


def installed():
    """The folder in custom_nodes: the pack's own, or that of the repository around it."""
    return os.path.dirname(FOLDER) if "." in __package__ else FOLDER


def is_first():
    """False, and a line in the log, where another copy of the pack is at work already."""
    other = hooks.claim(installed())
    if other:
        log.warning("[Ebb] this copy does nothing: %s is a second one of %s, which works. "
                          "Remove one of the two folders.", installed(), other)
    return not other


def start(classes):
    """Starts what there is; answers the folder of the front end's part for ComfyUI."""
    missing, taken = hooks.missing_parts(), hooks.taken_ids(classes)
    if missing:
        log.warning("[Ebb] this ComfyUI lacks %s: the nodes pass values through and free "
                          "nothing", ", ".join(missing))
    for name in taken:
        log.warning("[Ebb] %s is another pack's node here: the one loaded last is used", name)
    from . import automatic

    automatic.start()
    if hooks.server() is not None:
        _serve(hooks.server(), os.path.basename(installed()), os.path.join(FOLDER, "web"))
    return "./web"


def _serve(server, name, folder):
    """Serves the front end's part where the pack's folder has a name that addresses must escape.

    ComfyUI names such an address to the browser, and its own route for it never matches.
    """
    from aiohttp import web

    escaped = urllib.parse.quote(name)
    if escaped == name or "{" in name or "}" in name:
        return

    async def answer(request):
        path = os.path.realpath(os.path.join(folder, request.match_info["ebb_file"]))
        if not path.startswith(os.path.realpath(folder) + os.sep) or not os.path.isfile(path):
            raise web.HTTPNotFound
        return web.FileResponse(path)
    either = f"{re.escape(name)}|{re.escape(escaped)}"  # versions differ in what they compare
    server.app.router.add_get(f"/extensions/{{ebb_pack:{either}}}/{{ebb_file:.+}}", answer)
