# SPDX-License-Identifier: Apache-2.0
"""Between two runs: what a cut dropped is read again, and then nothing else is to stand beside it.

With one cut a run ends with its last pass's models in memory. The next run would read the first
pass's files beside them, and hold more than a run without any cut. So, as a run begins that has to
read files before its cut, the models that are needed only after it leave; they are read when their
pass comes. Where nothing has to be read before the cut, nothing happens.
"""
import os

from . import graph, unload
from .host import executor, folders, progress, survey
from .log import log

SMALL = 8  # a model of less than this part of what is read first may stay: a VAE


def watch():
    """Called for each cut as a run begins: looks again when the next run does."""
    progress.at_next_run(_make_room)


def _make_room():
    run, coming = executor.coming_run()
    cuts = [each for each, node in (coming or {}).items() if _drops(node)]
    if not cuts:
        return
    node_of, seen = coming.get, survey.survey(run)
    near = graph.reached(cuts, lambda each: [source for _, source in graph.links(node_of(each))])
    available = _available(run, coming)
    runs = graph.reached(
        [source for each in cuts for name, source in graph.links(node_of(each))
         if name == "anything" and not available(source)],
        lambda each: [source for _, source in graph.links(node_of(each)) if not available(source)])
    files = [path for each in runs for path in folders.files_of(node_of(each))]
    if not files:
        return
    early = set().union(*(seen.carried_by(each) for each in near))
    least = sum(map(os.path.getsize, filter(os.path.isfile, files))) / SMALL
    done = unload.Cut(kind="between", before=unload.moment())
    gone = unload.drop(done, run, seen, {key for key, model in seen.models.items()
                                         if key not in early and model.bytes >= least}, set())
    unload.after_drop(seen, gone)
    done.after = unload.moment()
    if done.dropped:
        done.notes.append("the run that begins reads other files first, and these after the cut")
        log.info("[Ebb] %s", done.text())


def _drops(node):
    return node.get("class_type") == "UnloadModels" or (
        node.get("class_type") == "EbbCut" and node["inputs"].get("action") == "drop")


def _available(run, coming):
    """Whether a node's output is there already: it and all above it are what they were."""
    cached = {each for _, _, nodes, _ in run.cached() for each in nodes}
    readers = {}
    for each, node in coming.items():
        for _, source in graph.links(node):
            readers.setdefault(source, []).append(each)
    others = [each for each, node in coming.items() if not _same(run.node(each), node)]
    changed = graph.reached(others, lambda each: readers.get(each, []))
    return lambda each: each in cached and each not in changed


def _same(old, new):
    return old is not None and all(old[key] == new[key] for key in ("class_type", "inputs"))
