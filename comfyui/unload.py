# SPDX-License-Identifier: Apache-2.0
"""What a cut does: chooses models, parks or drops them, and says what came of it.

A model is dropped by taking every cached output that carries it out of the node cache, all of them
or none: the weights then die where they are, and nothing is copied to RAM first. Whatever a node
still to run reads, or a result is cached with, stays.
"""
import gc
import time
from dataclasses import dataclass, field

from . import graph, memory
from .host import devices, evict, executor, survey, values
from .log import log

SEARCH_SECONDS = 0.5  # for who holds a model that should be gone


@dataclass
class Cut:
    """What one cut saw and did; `event()` is its line in the structured log."""
    node: str = ""
    kind: str = ""
    before: dict = field(default_factory=dict)
    after: dict = field(default_factory=dict)
    dropped: list = field(default_factory=list)  # (label, bytes)
    parked: list = field(default_factory=list)
    kept: list = field(default_factory=list)  # (label, bytes, why)
    early: list = field(default_factory=list)  # (label, why): in memory although needed only later
    notes: list = field(default_factory=list)
    seconds: float = 0.0

    def event(self):
        return {"kind": self.kind, "node": self.node, "before": self.before, "after": self.after,
                "dropped": [{"model": name, "bytes": size} for name, size in self.dropped],
                "parked": [{"model": name, "bytes": size} for name, size in self.parked],
                "kept": [{"model": name, "bytes": size, "why": why}
                         for name, size, why in self.kept],
                "early": [{"model": name, "why": why} for name, why in self.early],
                "notes": self.notes, "warning": self.is_warning(), "seconds": self.seconds,
                "text": self.text()}

    def is_warning(self):
        failed = self.kept and not (self.dropped or self.parked)
        return bool(failed or any("before me" in why for _, why in self.early))

    def text(self):
        """One line: how much it freed, what left, what stayed and who holds it."""
        parts = []
        for word, models in (("dropped", self.dropped), ("parked", self.parked)):
            if models:
                size = memory.text_of(sum(size for _, size in models))
                parts.append(f"{word} {', '.join(name for name, _ in models)} ({size})")
        if parts:
            parts[0] = f"{self._freed()}: {parts[0]}"
            parts += self._changes()
        elif self.kept:
            parts.append("0 bytes freed: " + "; ".join(f"{name} held: {why}"
                                                       for name, _, why in self.kept))
        else:
            parts.append("0 bytes to free")
        parts += [f"{name} {why}" for name, why in self.early] + self.notes
        line = "; ".join(parts)
        if (self.dropped or self.parked) and self.kept:
            line += "; kept " + ", ".join(f"{name} ({why})" for name, _, why in self.kept)
        return f"{line}. {self.seconds:.2f} s"

    def _freed(self):
        """What the whole cut gave back, as measured; nodes show little more than these words."""
        told = []
        for name, old, new in self._measured():
            gain = old - new if name == "RAM" else new - old
            if gain > 0 or name == "RAM":
                told.append(f"{memory.text_of(max(gain, 0))} {name}")
        return f"{' and '.join(told) or 'unmeasured bytes'} freed"

    def _changes(self):
        for name, old, new in self._measured():
            yield f"{name} {'held' if name == 'RAM' else 'free'} {memory.text_of(old)} -> " \
                  f"{memory.text_of(new)}"

    def _measured(self):
        """(name, before, after) of what was read: RAM held, and free bytes of each device."""
        old, new = self.before.get("ram_bytes"), self.after.get("ram_bytes")
        if old is not None and new is not None:
            yield "RAM", old, new
        for device, free in self.after.get("vram_free_bytes", {}).items():
            was = self.before.get("vram_free_bytes", {}).get(device)
            if was is not None:
                yield device, was, free


def moment():
    """What is held and free right now."""
    try:
        free = devices.free()
    except Exception:
        free = {}
    return {"ram_bytes": memory.resident_bytes(), "ram_available_bytes": memory.available_bytes(),
            "vram_free_bytes": free}


# ---- which models ----------------------------------------------------------------------------

def used_by(run, seen, node_id):
    """Models in memory that a node reads from its links; None if it reads no model at all."""
    found, reads = set(), False
    for name, source in graph.links(run.node(node_id)):
        carried = seen.carried_by(source)
        reads = reads or bool(carried) or run.is_model_link(node_id, name)
        found |= carried
    return found if reads else None


def of_pass_before(run, seen):
    return graph.nearest_upstream(run.node, run.node_id, lambda each: used_by(run, seen, each))


def of_next_pass(run, seen):
    return graph.nearest_downstream(run.node, run.node_id, run.unfinished(),
                                    lambda each: used_by(run, seen, each))


def chosen(which, run, seen, connected):
    """Ids of the models that `which` names: pass_before, all, all_but_next, or connected."""
    if which == "connected":
        return set().union(*(seen.carried_by(link[0]) for link in connected if graph.is_link(link)))
    if which == "pass_before":
        return of_pass_before(run, seen) if run else set()
    if which == "all_but_next":
        return set(seen.models) - (of_next_pass(run, seen) if run else set())
    return set(seen.models)


# ---- what must stay --------------------------------------------------------------------------

def blockers(run, seen, given):
    """Why a model can't be dropped, by its id. `given` are those in the node's own input."""
    unfinished = run.unfinished()
    readers = graph.needed(run.node, unfinished, run.is_cached, run.is_raw)
    for node_id in unfinished:  # the same loader twice in a graph shares one output
        readers.setdefault(node_id, node_id)
    why = {key: f"{run.label(reader)} still needs it" for key, reader in seen.readers.items()}
    for key in given:
        why[key] = "it is in this node's own input; put the node on the LATENT link instead"
    for entry in seen.entries:
        reader = next((readers[each] for each in entry.nodes if each in readers), None)
        if reader is not None:
            reason = f"{run.label(reader)} still needs {run.label(entry.nodes[0])}"
        elif entry.results:
            reason = f"{run.label(entry.nodes[0]) if entry.nodes else 'an earlier output'} is " \
                     "cached together with results"
        else:
            continue
        for key in entry.models:
            why.setdefault(key, reason)
    spread = True
    while spread:  # outputs that carry several models leave together or not at all
        spread = False
        for entry in seen.entries:
            stuck = next((key for key in entry.models if key in why), None)
            for key in entry.models if stuck is not None else ():
                if key not in why:
                    why[key], spread = why[stuck], True
    return why


# ---- dropping --------------------------------------------------------------------------------

def drop(cut, run, seen, keys, given):
    """Drops the models of `keys` that nothing needs any more; fills the cut's lists."""
    why = blockers(run, seen, given)
    for key in sorted(keys & why.keys(), key=lambda each: seen.models[each].label):
        cut.kept.append((seen.models[key].label, seen.models[key].bytes, why[key]))
    going = keys - why.keys()
    entries = [entry for entry in seen.entries if entry.models & going]
    going |= set().union(*(entry.models for entry in entries))
    private = {key for key in going if not any(key in entry.models for entry in entries)
               and not seen.models[key].dynamic}
    for key in private:
        cut.kept.append((seen.models[key].label, seen.models[key].bytes,
                         "a pack keeps it outside the node cache"))
    going -= private
    if not going:
        return set()
    for key in going:
        evict.release_pages(seen.models[key])
    run.release_links()
    restore = [evict.evict(run, entry) for entry in entries]
    if any(seen.models[key].alive() for key in going):
        evict.clear_gathered()
    if any(seen.models[key].alive() for key in going):
        gc.collect()  # a cycle, as a sampler leaves behind that was interrupted
    gone = {key for key in going if not seen.models[key].alive()}
    for key in sorted(going, key=lambda each: seen.models[each].label):
        model = seen.models[key]
        if key in gone or model.dynamic:
            cut.dropped.append((model.label, model.bytes))
        else:
            cut.kept.append((model.label, model.bytes,
                             survey.holder_of(model, run, SEARCH_SECONDS)))
    for entry, put_back in zip(entries, restore):
        if put_back is not None and not entry.models & gone:
            put_back()  # who holds the model would only read a second copy next time
    return gone


def after_drop(seen, gone):
    if not gone:
        return
    if any(seen.models[key].loaded_bytes for key in gone):
        evict.empty_device_cache()
    memory.hand_back()


# ---- the two nodes ---------------------------------------------------------------------------

def cut(kind, which, action, anything, connected=()):
    """Runs one cut for the node that is executing; never raises."""
    started = time.perf_counter()
    done = Cut(kind=kind, before=moment())
    try:
        _cut(done, which, action, anything, connected)
    except Exception as error:  # a cut must never break the run it sits in
        log.exception("[Ebb] %s", kind)
        done.notes.append(f"stopped by {type(error).__name__}: {error}")
    done.after = moment()
    done.seconds = time.perf_counter() - started
    return done


def _cut(done, which, action, anything, connected):
    run = executor.current_run()
    if run is not None:
        done.node = run.node_id
    seen = survey.survey(run)
    given = seen.add(values.models_in(anything))  # not in the survey where nothing is cached
    keys = chosen(which, run, seen, connected)
    if run is not None:
        tell_early(done, run, seen, keys, given)
    gone = set()
    if action == "drop":
        if run is None:
            done.notes.append("this ComfyUI hides its node cache, so models can be parked only")
        else:
            gone = drop(done, run, seen, keys, given)
            after_drop(seen, gone)
    if action == "park" or done.kind == "UnloadModels":
        park(done, seen, keys - gone, action)


def park(done, seen, keys, action):
    """Moves what was not dropped out of the devices it is on."""
    on_device = {key for key in keys if seen.models[key].loaded_bytes > 0
                 and seen.models[key].alive()}
    moved = evict.park(on_device)
    done.parked = sorted((seen.models[key].label, seen.models[key].loaded_bytes) for key in moved)
    labels = {label for label, _ in done.parked}
    done.kept = [each for each in done.kept if each[0] not in labels]
    for key in on_device - moved:
        done.kept.append((seen.models[key].label, seen.models[key].loaded_bytes,
                          "its place outside use is the GPU (--highvram or --gpu-only)"))
    if action == "park" and not on_device and keys:
        done.notes.append("no weights are on a GPU, so there is nothing to park")


def tell_early(done, run, seen, keys, given):
    """Notes what the next pass uses and is in memory already: the order could be better."""
    ahead = of_next_pass(run, seen)
    before = of_pass_before(run, seen) - ahead
    large = max((seen.models[key].bytes for key in (before or keys) - ahead), default=0) / 2
    for key in sorted(ahead | given, key=lambda each: seen.models[each].label):
        model = seen.models.get(key)
        if model is None or model.bytes < large or large == 0:
            continue
        loaders = [node_id for entry in seen.entries if key in entry.models
                   for node_id in entry.nodes if node_id in run.executed]
        if key in given:
            done.early.append((model.label, "was loaded before me: this node is on a link that "
                               "carries it; put it on the LATENT link between the passes"))
        elif loaders:
            done.early.append((model.label, f"was loaded before me, by {run.label(loaders[0])}: "
                               "both are in RAM at once (see docs/nodes.md, order)"))
        else:
            done.early.append((model.label, "is still in memory from an earlier run, so pass 1 ran "
                               "beside it; a cut after its own pass would drop it"))
