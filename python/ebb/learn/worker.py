# SPDX-License-Identifier: Apache-2.0
"""Runs inside ComfyUI's Python: imports the checkout once and answers questions, a line each.

usage: PYTHON worker.py CHECKOUT

Each question is answered in a child of its own, where the system can fork: what goes wrong in one
takes nothing else with it, and what it leaves behind is gone. {"ready": ...} comes first.
"""
import json
import os
import select
import signal
import sys
import time

PARENT = os.getppid() if hasattr(os, "getppid") else 0
CHECKOUT = sys.argv[1] if len(sys.argv) > 1 else ""
HERE = os.path.dirname(os.path.abspath(__file__))


def answer(question):
    from learn import classes, files
    if question["what"] == "class":
        return classes.facts_of(question["order"])
    if question["what"] == "folders":
        return files.folders(CHECKOUT, question["models"])
    return files.facts_of(question["path"], question["folder"])


def answered(question):
    try:
        return {"facts": answer(question)}
    except MemoryError:
        return {"error": "it needs more memory than the collector may use"}
    except Exception as error:  # of the checkout's code: any
        return {"error": " ".join(f"{type(error).__name__}: {error}".split())[:300]}


def held_by(process):
    """Bytes of RAM; 0 where the system does not say."""
    try:
        with open(f"/proc/{process}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def in_a_child(question):
    """The line of an answer, made by a fork that is killed when it takes too long."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(read)
            with os.fdopen(write, "w", encoding="ascii") as out:
                out.write(json.dumps(answered(question)))
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    return gathered(child, read, question)


def gathered(child, read, question):
    parts, why, end = [], None, time.monotonic() + question["seconds"]
    most = held_by(os.getpid()) + question["memory"]
    while not why:
        if select.select([read], [], [], 0.05)[0]:
            part = os.read(read, 1 << 16)
            if not part:
                break
            parts.append(part)
        elif time.monotonic() > end:
            why = f"it took more than {question['seconds']} seconds"
        elif held_by(child) > most:
            why = f"it needs more than {question['memory'] >> 20} MiB of memory"
        elif os.getppid() != PARENT:
            why = "nobody waits for it any more"
    if why:
        os.kill(child, signal.SIGKILL)
    os.close(read)
    _, status = os.waitpid(child, 0)
    if why or not parts:
        return json.dumps({"error": why or f"the process that looked at it died ({status})"})
    return b"".join(parts).decode("ascii")


def main():
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # what ComfyUI prints is no answer
    sys.path.insert(0, os.path.dirname(HERE))

    def tell(text):
        out.write(text + "\n")
        out.flush()

    try:
        from learn import classes, look
        look.import_checkout(CHECKOUT)
        import torch
        names = [cls.__name__ for cls in classes.every()]
    except Exception as error:
        tell(json.dumps({"failed": " ".join(f"{type(error).__name__}: {error}".split())[:300],
                         "missing": getattr(error, "name", None)
                         if isinstance(error, ModuleNotFoundError) else None}))
        return 1
    tell(json.dumps({"ready": names, "card": look.CARD, "torch": torch.__version__,
                     "python": ".".join(map(str, sys.version_info[:3]))}))
    for line in sys.stdin:
        question = json.loads(line)
        fork = hasattr(os, "fork")
        tell(in_a_child(question) if fork else json.dumps(answered(question)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
