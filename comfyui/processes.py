# SPDX-License-Identifier: Apache-2.0
"""Planning in processes of its own: bounded in number, time and memory, whatever is planned.

A plan is native code, which a thread can't stop. In a process it is stopped by ending that, and
what it takes of processor and memory is not ComfyUI's: no input can stop the server.
"""
import concurrent.futures
import contextlib
import json
import os
import subprocess
import sys
import threading

from . import planner, worker
from .planner import Refused

SECONDS = 20.0  # for one plan; an ordinary one takes some milliseconds
BYTES_MAX = 2 << 30  # of a process's address space; a plan that wants more is refused
WINDOWS = 0x08000000 | 0x00004000  # no window, below normal priority


def _begin(niceness):
    package, why = planner.find()
    if package is None:
        raise Refused(f"planning is off: {why}", "docs/python.md says how to install it.",
                      "absent", 503)
    command = [sys.executable, "-I", "-S", "-X", "utf8",
               *(["-B"] if sys.dont_write_bytecode else []), os.path.abspath(worker.__file__),
               os.path.dirname(os.path.abspath(package.__file__)), str(BYTES_MAX),
               str(niceness)]
    try:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL,
                                creationflags=WINDOWS if sys.platform == "win32" else 0)
    except OSError as error:
        raise Refused(f"planning is off: no process for it can be started: {error}", "",
                      "absent", 503) from error


class Pool:
    """`count` threads, each with a process that is begun when it is first needed."""

    def __init__(self, count, name, niceness=10):
        self.niceness = niceness
        self.threads = concurrent.futures.ThreadPoolExecutor(count, name)
        self.mine = threading.local()

    def answer(self, do, body, options_for, seconds=SECONDS):
        """(status, JSON) of a job, in one of the pool's threads. Raises Refused.

        `options_for(classes, asked)` answers the planner's options, or raises Refused.
        """
        process = getattr(self.mine, "process", None)
        if process is None or process.poll() is not None:
            process = self.mine.process = _begin(self.niceness)
        stopped = threading.Event()
        late = threading.Timer(seconds, lambda: (stopped.set(), process.kill()))
        late.daemon = True
        late.start()
        try:
            worker.send(process.stdin, {"do": do}, body)
            header, data = worker.receive(process.stdout)
            if "ask" in header:
                worker.send(process.stdin, *_options(options_for, header))
                header, data = worker.receive(process.stdout)
        except (OSError, EOFError):
            self._end()
            why = f"planning takes more than {seconds:g} s, so it was stopped" if stopped.is_set() \
                else "the planner's process ended, perhaps for want of memory"
            raise Refused(why, "", "stopped", 503) from None
        finally:
            late.cancel()
        if header["last"]:
            self._end()
        return header["status"], data

    def _end(self):
        process, self.mine.process = self.mine.process, None
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                stream.close()


def _options(options_for, header):
    """The message with the planner's options, or with why there are none."""
    try:
        options = options_for(set(header["ask"]), header["options"])
        return {}, json.dumps(options).encode()
    except Refused as error:
        return {"refused": error.told, "status": error.status}, b""
    except Exception as error:
        return {"refused": {"code": "internal", "message": f"{type(error).__name__}: {error}",
                            "hint": "This is a bug in Ebb."}, "status": 500}, b""


def told(status, data):
    """The object of an answer, or the Refused that it is."""
    made = json.loads(data)
    if status != 200:
        error = made["error"]
        raise Refused(error["message"], error.get("hint", ""), error["code"], status)
    return made
