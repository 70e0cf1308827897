# SPDX-License-Identifier: Apache-2.0
"""`python -m ebb.learn`: what a ComfyUI's own code says of models, as a file of facts."""
import argparse
import os
import sys
import time

from . import checkout, facts, supervise

NEED_ATTENTION, USAGE, INPUT = 1, 2, 3
EXAMPLES = """\
examples:
  python -m ebb.learn --comfyui ~/ComfyUI
  python -m ebb.learn --comfyui ~/ComfyUI --python ~/ComfyUI/venv/bin/python --facts facts.json
  python -m ebb.learn --comfyui ~/ComfyUI --only WAN21_T2V --facts wan.json

ComfyUI's own code is imported on the CPU, in a process of its own, without custom nodes and without
a byte of any model; nothing in its folder is changed.

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
    words.add_argument("--facts", metavar="FILE", help="where the facts go; without: the cache")
    words.add_argument("--only", action="append", default=[], metavar="CLASS",
                       help="learn this class of comfy/supported_models.py; may be given again")
    words.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), metavar="N",
                       help="processes at a time (2)")
    words.add_argument("--quiet", action="store_true", help="no progress")
    return words


def cache_folder():
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(cache):
        return os.path.join(cache, "ebb")
    if os.name == "nt" and os.environ.get("LOCALAPPDATA"):
        return os.path.join(os.environ["LOCALAPPDATA"], "ebb")
    return os.path.join(os.path.expanduser("~"), ".cache", "ebb")


def facts_path(given, tree):
    return given or os.path.join(cache_folder(), "facts", tree[:16] + ".json")


def check_writable(path):
    """Before minutes of work, not after. Raises Refused."""
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path):
        raise checkout.Refused(f"{path} is a folder; --facts names a file")
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise checkout.Refused(f"{folder} can't be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise checkout.Refused(f"{folder} can't be written to; --facts FILE names another place")


def row_of(question, answer):
    if "facts" in answer:
        return answer["facts"]
    return {**question["row"], "not_traced": answer["error"]}


def learn(options):
    folder = os.path.abspath(os.path.expanduser(options.comfyui))
    version, tree = checkout.version_of(folder), checkout.tree_of(folder)
    path = facts_path(options.facts, tree)
    check_writable(path)
    python = options.python or checkout.python_of(folder) or sys.executable
    worker, about = supervise.started(os.path.expanduser(python), folder)
    questions = [{"what": "class", "order": order, "name": name,
                  "row": {"class": name, "order": order}}
                 for order, name in enumerate(about["ready"])
                 if not options.only or name in options.only]
    told = supervise.show_progress(len(questions)) if not options.quiet else lambda *_: None
    answers = supervise.ask_all(python, folder, worker, questions, options.jobs, told)
    found = {"format": facts.FORMAT,
             "comfyui": {"version": version, "commit": checkout.commit_of(folder), "tree": tree},
             "made_with": {"torch": about["torch"], "python": about["python"],
                           "card": about["card"]},
             "sources": facts.SOURCES,
             "classes": [row_of(*pair) for pair in zip(questions, answers)]}
    facts.check(found)
    facts.write(path, found)
    return path, found


def said(path, found, seconds):
    rows = found["classes"]
    failed = [row for row in rows if "not_traced" in row]
    print(f"learned {len(rows) - len(failed)} of {len(rows)} classes of ComfyUI "
          f"{found['comfyui']['version']} in {seconds:.0f} s: {path}")
    for row in failed:
        print(f"  {row['class']} could not be traced: {row['not_traced']}")


def main(words=None):
    options = parser().parse_args(words)
    start = time.monotonic()
    try:
        path, found = learn(options)
    except checkout.Refused as error:
        print(f"ebb learn: {error}", file=sys.stderr)
        return INPUT
    except OSError as error:
        print(f"ebb learn: {error.filename or options.facts}: {error.strerror}", file=sys.stderr)
        return INPUT
    except KeyboardInterrupt:
        print("\nebb learn: interrupted, nothing was written", file=sys.stderr)
        return 130
    said(path, found, time.monotonic() - start)
    return 0


if __name__ == "__main__":
    sys.exit(main())
