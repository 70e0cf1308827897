# SPDX-License-Identifier: Apache-2.0
"""Names of tensors with the numbers of blocks taken out, and what detection reads of them."""
import re


def folded(name):
    """The name with every number in it as #."""
    return re.sub(r"\d+", "#", name)


def folded_set(state):
    """{folded name: how many tensors have it}, in the order of their first."""
    found = {}
    for name in state:
        short = folded(name)
        found[short] = found.get(short, 0) + 1
    return found


class Watched(dict):
    """A set of tensors that remembers which of them were looked at, and which names asked for."""

    def __init__(self, state):
        super().__init__(state)
        self.read, self.asked = {}, {}

    def __getitem__(self, name):
        value = super().__getitem__(name)
        self.read.setdefault(folded(name), list(value.shape))
        return value

    def get(self, name, default=None):
        return self[name] if name in self else default

    def __contains__(self, name):
        there = super().__contains__(name)
        if isinstance(name, str):
            self.asked.setdefault(folded(name), there)
        return there

    def copy(self):
        return dict(self)
