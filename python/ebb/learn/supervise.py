# SPDX-License-Identifier: Apache-2.0
"""Asks worker.py in ComfyUI's Python, several at a time, and outlives whatever happens to it."""
import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading

from .checkout import Refused

WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "worker.py")
START_SECONDS = 300
LIMITS = {"seconds": 60, "memory": 1 << 30}  # for one question
GRACE = 15


class Died(Exception):
    """The worker is gone, or does not answer."""


class Worker:
    """One process that has ComfyUI imported."""

    def __init__(self, python, checkout):
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "CUDA_VISIBLE_DEVICES": "",
                       "OMP_NUM_THREADS": "1", "PYTHONNOUSERSITE": "1"}
        self.errors = tempfile.TemporaryFile()
        try:
            self.process = subprocess.Popen(
                [python, "-B", WORKER, os.path.abspath(checkout)], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=self.errors, cwd=tempfile.gettempdir(),
                env=environment)
        except OSError as error:
            self.errors.close()
            raise Refused(f"{python} can't be started: {error.strerror}") from None
        self.lines = queue.Queue()
        self.listener = threading.Thread(target=self.listen, daemon=True)
        self.listener.start()

    def listen(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def next(self, seconds):
        try:
            line = self.lines.get(timeout=seconds)
        except queue.Empty:
            line = None
        if line is None:
            self.close()
            raise Died()
        return json.loads(line)

    def ask(self, question):
        try:
            self.process.stdin.write(json.dumps(question).encode() + b"\n")
            self.process.stdin.flush()
        except OSError:
            self.close()
            raise Died() from None
        return self.next(question["seconds"] + GRACE)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.listener.join()
        self.process.stdout.close()
        with contextlib.suppress(OSError):  # what was not read yet
            self.process.stdin.close()
        with self.errors:
            self.errors.seek(max(0, self.errors.seek(0, os.SEEK_END) - 2000))
            lines = self.errors.read().decode("utf-8", "replace").split("\n")
        self.last_words = next((line.strip() for line in reversed(lines) if line.strip()),
                               "it said nothing")


def started(python, checkout):
    """A worker, and what it said of itself. Raises Refused with one line for people."""
    worker = Worker(python, checkout)
    try:
        first = worker.next(START_SECONDS)
    except Died:
        raise Refused(f"{python} could not import {checkout}: {worker.last_words}") from None
    if "failed" in first:
        worker.close()
        if first["missing"] in ("torch", "safetensors", "torchvision", "einops"):
            raise Refused(f"{python} has no {first['missing']}: --python names the Python that "
                          "ComfyUI runs with")
        raise Refused(f"{python} could not import {checkout}: {first['failed']}")
    return worker, first


def ask_all(python, checkout, first_worker, questions, jobs, told):
    """[answer] for each question, in their order. `told(question, answer)` as each comes in."""
    answers = [None] * len(questions)
    waiting = queue.SimpleQueue()
    for item in enumerate(questions):
        waiting.put(item)
    lock = threading.Lock()

    def work(worker):
        try:
            while True:
                at, question = waiting.get_nowait()
                question = {**LIMITS, **question}
                try:
                    worker = worker or started(python, checkout)[0]
                    answer = worker.ask(question)
                except Died:
                    worker, answer = None, {"error": "the process that looked at it died"}
                except Refused as error:
                    worker, answer = None, {"error": str(error)}
                with lock:
                    answers[at] = answer
                    told(question, answer)
        except queue.Empty:
            pass
        finally:
            if worker:
                worker.close()

    threads = [threading.Thread(target=work, args=(first_worker if i == 0 else None,), daemon=True)
               for i in range(max(1, min(jobs, len(questions))))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def show_progress(total):
    """`told` for ask_all: a bar on a terminal, else a line for each ten."""
    stream, done = sys.stderr, [0]

    def told(question, _answer):
        done[0] += 1
        name = question.get("name", "")[:40]
        if stream.isatty():
            filled = 30 * done[0] // total
            stream.write(f"\r[{'#' * filled}{'.' * (30 - filled)}] {done[0]} of {total}  {name:40}")
            if done[0] == total:
                stream.write("\n")
        elif done[0] % 10 == 0 or done[0] == total:
            stream.write(f"ebb learn: {done[0]} of {total}\n")
        stream.flush()
    return told
