# SPDX-License-Identifier: Apache-2.0
"""`python -m ebb.learn`: what a ComfyUI's own code says of models, as a file of facts."""
import argparse
import os
import sys
import time

from . import checkout, collect

INPUT, INTERRUPTED = 3, 130
EXAMPLES = """\
examples:
  python -m ebb.learn --comfyui ~/ComfyUI
  python -m ebb.learn --comfyui ~/ComfyUI --model krea2_turbo_fp8_scaled.safetensors
  python -m ebb.learn --comfyui ~/ComfyUI --python ~/ComfyUI/venv/bin/python --models /data/models
  python -m ebb.learn --comfyui ~/ComfyUI --no-files --facts classes.json

ComfyUI's own code is imported on the CPU, in a process of its own, without custom nodes; of model
files the headers are read. Nothing in ComfyUI's folder is changed. What is known already (the same
ComfyUI, the same header) is not learned again.

exit code: 0 done, 2 a wrong option, 3 something that can't be read or written, 130 interrupted.
What could not be traced is in the file with its reason, and is no error.
"""


def parser():
    words = argparse.ArgumentParser(
        prog="python -m ebb.learn", epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Learns from a ComfyUI what it asks for each of its model classes.")
    words.add_argument("--comfyui", required=True, metavar="DIR", help="the ComfyUI to learn from")
    words.add_argument("--python", metavar="PY", help="the Python that it runs with; without: that "
                       "of its venv, else this one")
    words.add_argument("--models", metavar="DIR", help="a folder laid out as ComfyUI's models; "
                       "without: its own, and those of its extra_model_paths.yaml")
    words.add_argument("--model", action="append", default=[], metavar="NAME",
                       help="of all files only this one; may be given again")
    words.add_argument("--no-files", action="store_true", help="classes alone")
    words.add_argument("--facts", metavar="FILE", help="where the facts go; without: the cache")
    words.add_argument("--only", action="append", default=[], metavar="CLASS",
                       help="of all classes only this one; may be given again")
    words.add_argument("--again", action="store_true", help="learn what is known already, too")
    words.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), metavar="N",
                       help="processes at a time (2)")
    words.add_argument("--quiet", action="store_true", help="no progress")
    return words


def said(done):
    """What was learned, and what was not: lines on stdout."""
    for what, rows in (("classes", done.facts["classes"]), ("files", done.facts["files"])):
        if not rows:
            continue
        failed = [row for row in rows if "not_traced" in row]
        print(f"{what}: {len(rows) - len(failed)} of {len(rows)}"
              + (f", {done.known[what]} of them known already" if done.known[what] else ""))
        for row in failed:
            print(f"  {row.get('file') or row['class']} could not be traced: {row['not_traced']}")


def main(words=None):
    options = parser().parse_args(words)
    start = time.monotonic()
    try:
        done = collect.learn(options)
    except checkout.Refused as error:
        print(f"ebb learn: {error}", file=sys.stderr)
        return INPUT
    except OSError as error:
        print(f"ebb learn: {error.filename}: {error.strerror}", file=sys.stderr)
        return INPUT
    except KeyboardInterrupt:
        print("\nebb learn: interrupted, nothing was written", file=sys.stderr)
        return INTERRUPTED
    seconds = time.monotonic() - start
    print(f"learned ComfyUI {done.facts['comfyui']['version']} in {seconds:.0f} s: {done.path}")
    said(done)
    return 0


if __name__ == "__main__":
    sys.exit(main())
