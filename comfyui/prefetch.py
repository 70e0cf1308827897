# SPDX-License-Identifier: Apache-2.0
"""Reads model files ahead into the system's cache, in the background, while RAM allows."""
import os
import threading

from . import memory
from .log import log

CHUNK = 8 << 20
RESERVE = 2 << 30  # RAM that reading ahead leaves available
_stop = threading.Event()
_thread = None


def start(paths):
    """Begins reading, in place of what an earlier call still reads. Answers what it will do."""
    global _stop, _thread
    _stop.set()
    files = [(path, os.path.getsize(path)) for path in paths if os.path.isfile(path)]
    if not files:
        return "nothing to read ahead"
    available = memory.available_bytes()
    room = None if available is None else available - RESERVE
    wanted, total = [], 0
    for path, size in files:
        if room is not None and total + size > room:
            break
        wanted.append(path)
        total += size
    if not wanted:
        return f"no RAM to read {os.path.basename(files[0][0])} ahead"
    _stop = threading.Event()
    _thread = threading.Thread(target=_read, args=(wanted, _stop), daemon=True, name="ebb-prefetch")
    _thread.start()
    names = ", ".join(os.path.basename(path) for path in wanted)
    return f"reading ahead {names} ({memory.text_of(total)})"


def _read(paths, stop_now):
    buffer = bytearray(CHUNK)
    for path in paths:
        try:
            with open(path, "rb", buffering=0) as file:
                while not stop_now.is_set() and file.readinto(buffer):
                    available = memory.available_bytes()
                    if available is not None and available < RESERVE:
                        return
        except OSError as error:
            log.warning("[Ebb] %s can't be read ahead: %s", path, error)
