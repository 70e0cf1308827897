# SPDX-License-Identifier: Apache-2.0
"""Work and memory stay in proportion to the input, whatever its shape.

usage: scale.py EBB work|memory [--unoptimised] [SHAPE ...]

work: every shape of shapes.py at two sizes; the instructions that the larger one takes beyond an
empty input may be as many times more as it is larger, and half as many again, and at either size
there is a number for every byte. They are counted by valgrind's callgrind, so that no clock and no
other program has a say; --unoptimised allows more of them. memory: every shape at about a
megabyte, with the most that was resident at once: 64 MiB and 40 times the input at most.
"""
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile

from shapes import SHAPES

SMALL, LARGE, WHOLE = 50_000, 200_000, 1_000_000
SLACK = 1.5
PER_BYTE = 4_000  # instructions of the larger: half a second to one and a third a megabyte
PER_BYTE_SMALL = 8_000  # of the smaller: what products may take has a constant part (Allowance)
UNOPTIMISED = 12  # times as many instructions as a build with optimisation
FLOOR = 60_000_000  # a fiftieth of a second: what a shape may take whatever its size
MIB = 1 << 20


def size_of(folder):
    """Bytes of all that was written, for shapes that need more than one file."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and p.name != "out")


def instructions(ebb, arguments):
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", ebb, *arguments],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
    found = re.search(r"Collected : (\d+)", done.stderr)
    if not found or done.returncode not in (0, 1, 3):
        sys.exit(f"{' '.join(arguments)}: ended with {done.returncode}\n{done.stderr[-2000:]}")
    return int(found[1])


def made(shape, size, folder):
    folder = pathlib.Path(folder)
    path, arguments = shape(size, folder)
    return [arguments[0], str(path), *arguments[1:]], size_of(folder)


def check_work(ebb, shapes, times):
    if not shutil.which("valgrind"):
        print("skipped: valgrind, which counts instructions, is not installed")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        empty = pathlib.Path(folder, "empty.json")
        empty.write_text('{"1": {"class_type": "SaveImage", "inputs": {}}}')
        start = instructions(ebb, ["show", str(empty)])
    failures = 0
    for shape in shapes:
        took, sizes = [], []
        for size in (SMALL, LARGE):
            with tempfile.TemporaryDirectory() as folder:
                arguments, count = made(shape, size, folder)
                took.append(max(0, instructions(ebb, arguments) - start))
                sizes.append(count)
        # Beside a constant part, which both have, the larger may take what it is larger.
        grown = max(1.0, sizes[1] / sizes[0])
        verdict = "GROWS" if took[1] > FLOOR * times + took[0] * grown * SLACK else ""
        for count, size, most in zip(took, sizes, (PER_BYTE_SMALL, PER_BYTE)):
            if count > (FLOOR + most * size) * times:
                verdict += " TOO MUCH"
        failures += bool(verdict)
        print(f"{shape.__name__:17} {sizes[0]:7} {sizes[1]:7} bytes  {took[0] / 1e6:8.1f} "
              f"{took[1] / 1e6:8.1f} million instructions {verdict}", flush=True)
    return failures > 0


def check_memory(ebb, shapes, _):
    failures = 0
    for shape in shapes:
        with tempfile.TemporaryDirectory() as folder:
            arguments, count = made(shape, WHOLE, folder)
            process = subprocess.Popen([ebb, *arguments], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL, preexec_fn=limit)
            _, status, used = os.wait4(process.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        mib, most = used.ru_maxrss / 1024, 64 + 40 * count / MIB
        bad = code not in (0, 1, 3) or mib > most
        failures += bad
        print(f"{shape.__name__:17} {count:8} bytes  {mib:7.1f} MiB of {most:6.1f}  code {code} "
              f"{'FAILED' if bad else ''}", flush=True)
    return failures > 0


def limit():
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))  # so that a failure harms nobody
    resource.setrlimit(resource.RLIMIT_CPU, (30, 30))


if __name__ == "__main__":
    ebb, check, *names = sys.argv[1:]
    more = UNOPTIMISED if "--unoptimised" in names else 1
    names = [name for name in names if name and not name.startswith("-")]
    wanted = [s for s in SHAPES if s.__name__ in names or not names]
    if not wanted:
        sys.exit(f"no such shape: {' '.join(names)}")
    sys.exit({"work": check_work, "memory": check_memory}[check](ebb, wanted, more))
