# SPDX-License-Identifier: Apache-2.0
"""The program of a planning process: jobs on stdin, answers on stdout. Knows no ComfyUI.

usage: worker.py FOLDER_OF_THE_PACKAGE BYTES_OF_ADDRESS_SPACE NICENESS

A message is two frames, a header in JSON and bytes, each after its length. A job is a header with
`do` and the body of a request as it came. Before it is planned the classes in it are answered, as
{"ask": [...], "options": {...}}, and the options to plan with are read.
"""
import importlib
import json
import os
import struct
import sys
import types

KEEP_MAX = 256 << 20  # a process that has held more is not used again
LENGTH = struct.Struct(">Q")


def send(stream, header, data=b""):
    text = json.dumps(header).encode()
    stream.write(LENGTH.pack(len(text)) + text + LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def receive(stream):
    """(header, bytes). EOFError where the other side is gone."""
    return json.loads(_frame(stream)), _frame(stream)


def _frame(stream):
    start = stream.read(LENGTH.size)
    if len(start) < LENGTH.size:
        raise EOFError
    size, = LENGTH.unpack(start)
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def main(package, bytes_max, niceness):
    """Answers jobs until stdin ends."""
    reading = sys.stdin.buffer
    writing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what else prints here must not be taken for an answer
    _be_modest(int(bytes_max), int(niceness))
    here = types.ModuleType("ebb_pack")
    here.__path__ = [os.path.dirname(os.path.abspath(__file__))]
    sys.modules["ebb_pack"] = here
    sys.path.append(os.path.dirname(package))
    jobs = importlib.import_module("ebb_pack.jobs")
    while True:
        try:
            header, body = receive(reading)
        except EOFError:
            return

        def options_for(classes, asked):
            send(writing, {"ask": sorted(classes), "options": asked})
            given, options = receive(reading)
            if "refused" in given:
                raise jobs.Refused(status=given["status"], **given["refused"])
            return json.loads(options)
        told, data = jobs.answer(header, body, options_for)
        del body
        try:
            send(writing, {**told, "last": _largest() > KEEP_MAX}, data)
        except EOFError:
            return


def _be_modest(bytes_max, niceness):
    """Behind ComfyUI in everything: processor, memory, and in who is ended where memory is out."""
    try:
        os.nice(niceness)
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")
    except (OSError, AttributeError):
        pass
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (bytes_max, bytes_max))
    except (ImportError, OSError, ValueError):
        pass


def _largest():
    try:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
            1 if sys.platform == "darwin" else 1024)
    except ImportError:
        return 0


if __name__ == "__main__":
    main(*sys.argv[1:])
