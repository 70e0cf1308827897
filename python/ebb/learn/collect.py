# SPDX-License-Identifier: Apache-2.0
"""One run of the collector: what is to be learned, what is known already, what comes out."""
import dataclasses
import os
import sys

from . import checkout, facts, header, supervise

MODEL_FILES = (".safetensors", ".sft")
OTHER_FILES = (".gguf", ".ckpt", ".pt", ".pth", ".bin")
MOST_FILES = 5000


@dataclasses.dataclass
class Done:
    path: str
    facts: dict
    known: dict  # how many classes and files were known already


def cache_folder():
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(cache):
        return os.path.join(cache, "ebb")
    if os.name == "nt" and os.environ.get("LOCALAPPDATA"):
        return os.path.join(os.environ["LOCALAPPDATA"], "ebb")
    return os.path.join(os.path.expanduser("~"), ".cache", "ebb")


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


def earlier(path, tree, torch):
    """What an earlier run left, if it was of the same ComfyUI: {"classes": {}, "files": {}}."""
    try:
        found = facts.read(path)
    except (OSError, facts.Unreadable):
        return {"classes": {}, "files": {}}
    same = found["comfyui"].get("tree") == tree and found["made_with"].get("torch") == torch
    if not same:
        return {"classes": {}, "files": {}}
    return {"classes": {row.get("class"): row for row in found.get("classes", [])},
            "files": {key_of(row): row for row in found.get("files", [])}}


def key_of(row):
    """A file in a folder of a kind, with this header, is the same file."""
    return row.get("folder"), row.get("file"), row.get("header"), row.get("file_bytes")


# ---- which files ---------------------------------------------------------------------------------


def files_below(place):
    """Names of model files in a folder and those below, with / between."""
    for root, folders, names in os.walk(place, followlinks=True):
        folders.sort()
        if root[len(place):].count(os.sep) > 8:
            folders.clear()
        for name in sorted(names):
            if name.lower().endswith(MODEL_FILES + OTHER_FILES):
                yield os.path.relpath(os.path.join(root, name), place).replace(os.sep, "/")


def file_questions(folders, only):
    """A question for each model file; the first of several of one name, as ComfyUI takes it."""
    questions, seen = [], set()
    for kind, places in folders.items():
        for place in places:
            for name in files_below(place):
                wanted = not only or name in only or name.rpartition("/")[2] in only
                if wanted and (kind, name) not in seen and len(questions) < MOST_FILES:
                    seen.add((kind, name))
                    questions.append(file_question(kind, name, os.path.join(place, name)))
    return questions


def file_question(kind, name, path):
    row = {"file": name, "folder": kind}
    try:
        row["file_bytes"] = os.path.getsize(path)
        if name.lower().endswith(MODEL_FILES):
            row["header"] = header.hash_of(header.read(path)[0])
            return {"what": "file", "name": name, "path": os.path.abspath(path), "folder": kind,
                    "row": row}
        why = "only headers of safetensors are read so far"
    except header.Unreadable as error:
        why = str(error)
    except OSError as error:
        why = error.strerror
    return {"what": "nothing", "row": {**row, "not_traced": why}}


# ---- asking --------------------------------------------------------------------------------------


def answered(questions, known):
    """[row or None] of what needs no asking."""
    rows = []
    for question in questions:
        row = question["row"]
        old = known["files"].get(key_of(row)) if "file" in row else known["classes"].get(
            row["class"])
        rows.append(row if "not_traced" in row else
                    old if old and "not_traced" not in old else None)
    return rows


def row_of(question, answer):
    if "facts" in answer:
        return {**question["row"], **answer["facts"]}
    return {**question["row"], "not_traced": answer["error"]}


def questions_of(options, worker, names):
    questions = [{"what": "class", "order": order, "name": name,
                  "row": {"class": name, "order": order}} for order, name in enumerate(names)
                 if not options.only or name in options.only]
    if options.no_files:
        return questions
    answer = worker.ask({"what": "folders", "models": options.models and os.path.abspath(
        os.path.expanduser(options.models)), **supervise.LIMITS})
    if "facts" not in answer:
        raise checkout.Refused(f"the folders of models are not known: {answer['error']}")
    return questions + file_questions(answer["facts"], options.model)


def check_names(options, names, questions):
    """Raises Refused for a class or a file that is not there."""
    for name in options.only:
        if name not in names:
            raise checkout.Refused(f"this ComfyUI has no class {name}")
    files = [question["row"]["file"] for question in questions if "file" in question["row"]]
    for name in options.model:
        if not any(name in (file, file.rpartition("/")[2]) for file in files):
            raise checkout.Refused(f"no model folder has a file {name}")


def started(options, folder):
    """A worker, what it said of itself, and the Python it runs in."""
    python = os.path.expanduser(options.python or checkout.python_of(folder) or sys.executable)
    return (*supervise.started(python, folder), python)


def asked_for(options, worker, names):
    """All questions of this run, checked. Raises Refused; the worker is gone then."""
    try:
        questions = questions_of(options, worker, names)
        check_names(options, names, questions)
    except supervise.Died:
        raise checkout.Refused("ComfyUI died when it was asked for its folders") from None
    except BaseException:
        worker.close()
        raise
    return questions


def learn(options):
    """Raises Refused, or OSError."""
    folder = os.path.abspath(os.path.expanduser(options.comfyui))
    version, tree = checkout.version_of(folder), checkout.tree_of(folder)
    path = options.facts or os.path.join(cache_folder(), "facts", tree[:16] + ".json")
    check_writable(path)
    worker, about, python = started(options, folder)
    questions = asked_for(options, worker, about["ready"])
    known = earlier(path, tree, about["torch"])
    rows = answered(questions, known if not options.again else {"classes": {}, "files": {}})
    open_ones = [at for at, row in enumerate(rows) if row is None]
    told = (lambda *_: None) if options.quiet else supervise.show_progress(len(open_ones))
    answers = supervise.ask_all(python, folder, worker, [questions[at] for at in open_ones],
                                options.jobs, told)
    for at, answer in zip(open_ones, answers):
        rows[at] = row_of(questions[at], answer)
    found = {"format": facts.FORMAT,
             "comfyui": {"version": version, "commit": checkout.commit_of(folder), "tree": tree},
             "made_with": {"torch": about["torch"], "python": about["python"],
                           "card": about["card"]},
             "sources": facts.SOURCES,
             "classes": [row for row in rows if "file" not in row],
             "files": [row for row in rows if "file" in row]}
    keep_others(options, found, known)
    facts.check(found)
    facts.write(path, found)
    fresh = {id(rows[at]) for at in open_ones}
    return Done(path, found, {what: sum(id(row) not in fresh and "not_traced" not in row
                                        for row in found[what]) for what in ("classes", "files")})


def keep_others(options, found, known):
    """What an earlier run knew and this one was told not to ask for."""
    if options.only:
        classes = {row["class"] for row in found["classes"]}
        found["classes"] += [row for name, row in known["classes"].items() if name not in classes]
        found["classes"].sort(key=lambda row: row.get("order", 0))
    if options.model or options.no_files:
        files = {(row["folder"], row["file"]) for row in found["files"]}
        found["files"] += [row for key, row in known["files"].items() if key[:2] not in files]
        found["files"].sort(key=lambda row: (str(row.get("folder")), str(row.get("file"))))
