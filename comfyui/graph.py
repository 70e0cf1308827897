# SPDX-License-Identifier: Apache-2.0
"""Questions about a prompt's links, without ComfyUI: who still needs whom, and what a pass uses.

A prompt is what `node(id)` answers: a mapping with "inputs", or None where the id is unknown.
Nothing here recurses, and every walk visits a node once.
"""


def is_link(value):
    """True for [node id, output slot], as ComfyUI's own scheduler tells links from constants."""
    return (isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
            and isinstance(value[1], (int, float)))


def links(node):
    """Pairs of input name and source id, in the order of the inputs."""
    return [(name, value[0]) for name, value in (node or {}).get("inputs", {}).items()
            if is_link(value)]


def needed(node, unfinished, is_cached, is_raw):
    """Ids whose cached output a later node will read, each with the id of one that does.

    `unfinished` are the nodes still to run. A node that is neither cached nor scheduled (behind a
    lazy input) may be asked for later, so what it reads counts as well. `is_raw(id, name)` says
    that an input takes the link itself and never the value behind it.
    """
    unfinished = list(unfinished)
    waiting, scheduled, readers = list(unfinished), set(unfinished), {}
    while waiting:
        reader = waiting.pop()
        for name, source in links(node(reader)):
            if is_raw(reader, name):
                continue
            known = source in readers
            readers.setdefault(source, reader)
            if not known and source not in scheduled and not is_cached(source):
                waiting.append(source)
    return readers


def reached(starts, neighbours):
    """All that can be reached from some ids, and these themselves."""
    found, waiting = set(), list(starts)
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting += neighbours(each)
    return found


def nearest_upstream(node, start, uses):
    """The models of the closest ancestors of `start` that use any: one level of links at a time.

    `uses(id)` answers the set of models in memory that a node reads from its inputs, or None if it
    reads no model at all. The walk ends at the first level where a node reads one.
    """
    return _nearest(start, lambda each: [source for _, source in links(node(each))], uses)


def nearest_downstream(node, start, unfinished, uses):
    """The same towards the outputs, among nodes still to run: what the next pass uses."""
    readers = {}
    for each in unfinished:
        for _, source in links(node(each)):
            readers.setdefault(source, []).append(each)
    return _nearest(start, lambda each: readers.get(each, []), uses)


def _nearest(start, neighbours, uses):
    seen, level = {start}, list(dict.fromkeys(neighbours(start)))
    while level:
        used = [found for found in map(uses, level) if found is not None]
        if used:
            return set().union(*used)
        seen.update(level)
        level = [each for each in dict.fromkeys(far for near in level for far in neighbours(near))
                 if each not in seen]
    return set()
