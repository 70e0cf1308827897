# SPDX-License-Identifier: Apache-2.0
"""The pack as ComfyUI loads it: from which folder, whether it is the only one, what works in it."""
import os

from .host import about, server
from .log import log

FOLDER = os.path.dirname(os.path.abspath(__file__))


def installed():
    """The folder in custom_nodes: the pack's own, or that of the repository around it."""
    return os.path.dirname(FOLDER) if "." in __package__ else FOLDER


def is_first():
    """False, and a line in the log, where another copy of the pack is at work already."""
    other = about.claim(installed())
    if other:
        log.warning("[Ebb] this copy does nothing: %s is a second one of %s, which works. "
                    "Remove one of the two folders.", installed(), other)
    return not other


def start(classes):
    """Starts what there is; answers the folder of the front end's part for ComfyUI."""
    missing, taken = about.missing_parts(), about.taken_ids(classes)
    if missing:
        log.warning("[Ebb] this ComfyUI lacks %s: the nodes pass values through and free nothing",
                    ", ".join(missing))
    for name in taken:
        log.warning("[Ebb] %s is another pack's node here: the one loaded last is used", name)
    from . import automatic

    automatic.start()
    if server.is_there():
        server.serve(os.path.basename(installed()), os.path.join(FOLDER, "web"))
    return "./web"
