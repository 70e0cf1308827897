# SPDX-License-Identifier: Apache-2.0
"""`ebb apply --in-place` and `ebb undo --in-place`, killed at random moments, lose nothing.

usage: kill.py EBB [ROUNDS] [SEED]

Each round patches or undoes a file of half a megabyte and sends SIGKILL after a random part of the
time that it takes undisturbed. Afterwards the file is the old or the new one, whole; so is its
backup.
"""
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
GRAPH = ROOT / "examples/workflows/wan22_two_pass.json"


def big_graph():
    graph = json.loads(GRAPH.read_text())
    graph["extra"]["ballast"] = "x" * 500_000
    return json.dumps(graph, indent=2).encode()


def run(ebb, command, path, delay=None):
    extra = ["--with", "UnloadModels"] if command == "apply" else []
    process = subprocess.Popen([ebb, command, str(path), "--in-place", "--force", *extra],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if delay is None:
        return process.wait() == 0
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    return process.wait() == 0


def main(ebb, rounds, seed):
    rng = random.Random(seed)
    failures, killed, left_old, left_new = 0, 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "flow.json")
        backup = pathlib.Path(folder, "flow.json.bak")
        plain = big_graph()
        path.write_bytes(plain)
        os.chmod(path, 0o640)
        started = time.monotonic()
        if not run(ebb, "apply", path):
            sys.exit("ebb apply does not work at all")
        took = time.monotonic() - started
        patched = path.read_bytes()
        for number in range(rounds):
            command = ("apply", "undo")[number % 2]
            old, new = (plain, patched) if command == "apply" else (patched, plain)
            path.write_bytes(old)
            backup.unlink(missing_ok=True)
            done = run(ebb, command, path, rng.uniform(0, 1.3 * took))
            killed += not done
            now = path.read_bytes()
            left_old += now == old
            left_new += now == new
            whole = not backup.exists() or backup.read_bytes() == old
            if now not in (old, new) or not whole or (done and now != new):
                failures += 1
                print(f"round {number}: {command}: {len(now)} bytes, backup whole: {whole}")
        mode = path.stat().st_mode & 0o777
    if mode != 0o640:
        failures += 1
        print(f"permissions became {mode:o}")
    print(f"seed {seed}: {rounds} rounds, {killed} killed, {left_old} times the old file, "
          f"{left_new} times the new one, {failures} failures")
    return 1 if failures or killed == 0 or left_new == 0 else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    SEED = int(sys.argv[3]) if len(sys.argv) > 3 else random.SystemRandom().randrange(1 << 30)
    sys.exit(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 200, SEED))
