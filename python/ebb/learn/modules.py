# SPDX-License-Identifier: Apache-2.0
"""What ComfyUI's patcher lists as modules to load or leave out, as groups of equal ones."""
import collections

LARGEST = 4


def size_of(state):
    return sum(tensor.nbytes for tensor in state.values())


def values_of(state):
    return sum(tensor.numel() for tensor in state.values())


def listed(patcher):
    """[(kind, bytes, bytes more while streamed, name)] by ComfyUI's own list."""
    rows = []
    for entry in patcher._load_list():
        at = next(i for i, part in enumerate(entry) if isinstance(part, str))
        numbers = [part for part in entry[:at] if isinstance(part, int)
                   and not isinstance(part, bool)]
        module = entry[at + 1]
        kind = type(module).__name__
        if not hasattr(module, "comfy_cast_weights"):
            kind += " (stays)"  # can't be streamed
        rows.append((kind, numbers[-1], max(0, numbers[0] - numbers[-1]), entry[at]))
    return rows


def facts_of(patcher):
    rows = listed(patcher)
    groups = collections.Counter(row[:3] for row in rows)
    ordered = sorted(groups.items(), key=lambda item: (-item[0][1], item[0][0], item[0][2]))
    largest = sorted(rows, key=lambda row: (-row[1], row[3]))[:LARGEST]
    return {"listed": sum(row[1] for row in rows),
            "modules": [[*group, count] for group, count in ordered],
            "largest": [[row[3], row[1]] for row in largest]}
