#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs *.test files: a line `$ command`, then what it must print (stdout, then stderr), then
`[exit N]` if N is not 0. With --update the files are rewritten; the diff is the review.

Usage: run.py EBB_BINARY [--update] FILE.test ...
Commands run in a fresh folder that holds `examples/` (the project's) and nothing else.
"""
import difflib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
# For media.test: `pictures` writes a picture and a prompt that loads it. For bad_input.test: `make
# NAME` writes a bad input, `plan FILE` must answer at once and in bounds.
PRELUDE = f"""make() {{ python3 "{ROOT}/tests/cli/bad_input.py" "$1"; }}
pictures() {{ python3 "{ROOT}/tests/cli/pictures.py"; }}
plan() {{ local file=$1; shift; timeout 20 ebb plan "$file" --vram 24G --ram 64G --os linux \
  --html out.html --svg out.svg --save-machine m.toml "$@"; }}
# For server.test: `serve KIND COMMAND ...` runs a command with $URL of a small server; the port,
# which changes, is taken out of what it prints.
serve() {{ local kind=$1; shift; rm -f port; python3 "{ROOT}/tests/cli/serve.py" "$kind" port & \
  while [ ! -s port ]; do sleep 0.02; done; local port; port=$(cat port)
  export URL=http://127.0.0.1:$port; bash -c "$*" > said 2>&1; local code=$?
  kill %1; wait %1 2>/dev/null; sed "s/:$port/:PORT/g" said; return $code; }}
"""


def blocks(text):
    """Splits a test file into its comment lines and its (command, expected) pairs."""
    comment, pairs = [], []
    for line in text.splitlines():
        if line.startswith("$ "):
            pairs.append((line[2:], []))
        elif pairs:
            pairs[-1][1].append(line)
        else:
            comment.append(line)
    return comment, [(command, "\n".join(lines).rstrip("\n")) for command, lines in pairs]


def run(command, folder, binary):
    env = {"PATH": f"{binary.parent}:{os.environ['PATH']}", "HOME": folder, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(["bash", "-c", PRELUDE + command], cwd=folder, env=env,
                          capture_output=True, text=True, timeout=120, check=False)
    output = (done.stdout + done.stderr).replace(folder, "TMP").rstrip("\n")
    if done.returncode:
        output += f"\n[exit {done.returncode}]"
    return output.lstrip("\n")


def check(path, binary, update):
    comment, pairs = blocks(path.read_text())
    good, out = True, list(comment)
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(ROOT / "examples", pathlib.Path(folder) / "examples")
        for command, expected in pairs:
            actual = run(command, folder, binary)
            out += [f"$ {command}", actual, ""]
            if actual != expected and not update:
                good = False
                print(f"{path.name}: $ {command}")
                print("\n".join(difflib.unified_diff(expected.splitlines(), actual.splitlines(),
                                                     "expected", "actual", lineterm="")))
    if update:
        path.write_text(re.sub(r"\n{2,}$", "\n", "\n".join(out) + "\n"))
    return good


def main():
    arguments = [a for a in sys.argv[1:] if a != "--update"]
    binary = pathlib.Path(arguments[0]).resolve()
    results = [check(pathlib.Path(f), binary, "--update" in sys.argv) for f in arguments[1:]]
    return 0 if results and all(results) else 1


sys.exit(main())
