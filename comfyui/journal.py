# SPDX-License-Identifier: Apache-2.0
"""The structured log of a run: cuts, loaders and samplers, and the report made of them."""
import json
import os
import threading
import time

from . import memory
from .host import about, devices, folders, progress, server
from .log import log

LOADERS = ("Loader", "Load")  # in a class name: it reads files
SAMPLERS = ("Sampler", "Decode", "Encode")
SAMPLE_SECONDS = 0.02
FORMAT = "ebb.report/1"


class Journal:
    """What one prompt did. Nodes of any run share the one at `current`."""

    def __init__(self, prompt_id="", class_of=None):
        self.prompt_id, self.events, self.open = prompt_id, [], {}
        self.class_of = class_of or (lambda node: "")
        self.peak = 0
        self.thread = None
        self.report = None  # the journal of a report that watched the same run
        self.ended = threading.Event()

    # -- steps of the executor; never raise, they are called from inside it
    def start(self, node):
        if node not in self.open:
            devices.peaks(reset=True)
            self.peak = memory.resident_bytes() or 0
            self.open[node] = (time.perf_counter(), self.peak)

    def finish(self, node):
        if node is None:
            self.ended.set()
            return
        if node not in self.open:
            return
        started, before = self.open.pop(node)
        kind = self.class_of(node)
        word = "load" if any(each in kind for each in LOADERS) else "sample" \
            if any(each in kind for each in SAMPLERS) else "step"
        after = memory.resident_bytes() or 0
        self.events.append({"kind": word, "node": node, "class": kind,
                            "seconds": time.perf_counter() - started,
                            "ram_before_bytes": before, "ram_after_bytes": after,
                            "ram_peak_bytes": max(self.peak, after),
                            "vram_peak_bytes": devices.peaks(reset=False)})

    def sample(self):
        count = 0
        while not self.ended.wait(SAMPLE_SECONDS):
            self.peak = max(self.peak, memory.resident_bytes() or 0)
            count += 1
            if count % 100 == 0 and not server.is_busy():
                return  # interrupted or failed before its report


current = Journal()


def watch():
    """Begins to watch the prompt that starts; a second call for the same prompt does nothing."""
    global current
    prompt_id, class_of = progress.prompt_in_progress()
    if watches(prompt_id):
        return
    current.ended.set()
    journal = Journal(prompt_id, class_of)
    if progress.watch(_safe(journal.start), _safe(journal.finish)):
        journal.thread = threading.Thread(target=journal.sample, daemon=True, name="ebb-report")
        journal.thread.start()
    current = journal


def watches(prompt_id):
    """True if a node of that prompt has it watched."""
    return bool(prompt_id) and current.prompt_id == prompt_id and current.thread is not None


def _safe(function):
    def call(*arguments):
        try:
            function(*arguments)
        except Exception as error:
            log.debug("[Ebb] not recorded: %s", error)
    return call


def _this_run():
    """The journal of the prompt in progress, also where nobody watched it from its start."""
    global current
    prompt_id, class_of = progress.prompt_in_progress()
    if current.prompt_id != prompt_id:
        current.ended.set()
        current = Journal(prompt_id, class_of)
    return current


def add(event):
    _this_run().events.append(event)


def say(node, text, warning):
    """One line in the log and on the node."""
    level = log.warning if warning else log.info
    level("[Ebb] %s%s", f"node {node}: " if node else "", text)
    server.show_on_node(node, text)


# ---- the report ------------------------------------------------------------------------------

def report_of(journal):
    events = [event for event in journal.events if event["kind"] != "step"]
    loads = [event for event in events if event["kind"] == "load"]
    return {"format": FORMAT, "prompt_id": journal.prompt_id, "comfyui": about.version(),
            "events": events,
            "totals": {"ram_peak_bytes": max((event["ram_peak_bytes"] for event in journal.events
                                              if "ram_peak_bytes" in event), default=None),
                       "dropped_bytes": sum(model["bytes"] for event in events
                                            for model in event.get("dropped", ())),
                       "load_seconds": sum(event["seconds"] for event in loads),
                       "cut_seconds": sum(event["seconds"] for event in events
                                          if "text" in event)}}


def text_of(report):
    """The totals, which is what a node shows first, then one line an event."""
    lines, totals = [], report["totals"]
    if totals["ram_peak_bytes"]:
        lines.append(f"{memory.text_of(totals['ram_peak_bytes'])} RAM peak; loading took "
                     f"{totals['load_seconds']:.2f} s, cuts {totals['cut_seconds']:.2f} s; dropped "
                     f"{memory.text_of(totals['dropped_bytes'])}, which is read again when needed.")
    for event in report["events"]:
        if "text" in event:
            lines.append(f"{event['kind']} ({event['node']}): {event['text']}")
        else:
            peaks = "".join(f", {device} peak {memory.text_of(size)}"
                            for device, size in event["vram_peak_bytes"].items())
            lines.append(f"{event['class']} ({event['node']}): {event['seconds']:.2f} s, RAM "
                         f"{memory.text_of(event['ram_before_bytes'])} -> "
                         f"{memory.text_of(event['ram_after_bytes'])}, peak "
                         f"{memory.text_of(event['ram_peak_bytes'])}{peaks}")
    return "\n".join(lines) or "0 bytes moved that Ebb could see"


def finish(prefix):
    """Ends the watch; returns (text, report, path or None). `prefix` None: not saved."""
    journal = _this_run()
    journal.ended.set()
    report = report_of(journal)
    text, path = text_of(report), None
    if prefix is not None:
        try:
            path = folders.report_path(prefix)
            temporary = path + ".part"
            with open(temporary, "w", encoding="utf-8") as file:
                json.dump(report, file, indent=1)
            os.replace(temporary, path)
        except Exception as error:
            path = None
            log.warning("[Ebb] the report is not saved: %s", error)
    log.info("[Ebb] %s", text.replace("\n", "\n[Ebb] "))
    server.show_on_node(progress.node_id(), text)
    return text, report, path
