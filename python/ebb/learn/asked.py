# SPDX-License-Identifier: Apache-2.0
"""What a model asks of the memory manager before a step, as forms of the latent's shape."""
import itertools
import math

from . import forms, look

SIZES = {1: [(7,), (333,), (1024,), (5000,), (44_100,)],
         2: [(1, 1), (7, 9), (64, 64), (91, 77), (128, 96), (154, 212), (512, 300)],
         3: [(1, 60, 104), (2, 33, 15), (5, 31, 45), (7, 90, 160), (21, 152, 104), (31, 90, 160),
             (401, 17, 9)]}
BATCHES = (1, 2, 3)
START = {1: (500,), 2: (60, 104), 3: (5, 60, 104)}


def shapes_to_check(channels, dims):
    return [(batch, channels, *size) for size, batch in itertools.product(SIZES[dims], BATCHES)]


def form_of(function, channels, dims, fixed=()):
    """How a number of bytes follows from a latent's shape, and how exactly."""
    return forms.fitted(lambda shape: float(function(list(shape))), (1, channels, *START[dims]),
                        shapes_to_check(channels, dims), fixed)


def counted_more(model, channels, dims):
    """{conditioning: form of its shape} of those that the estimate counts beside the latent."""
    latent = [1, channels, *START[dims]]
    found = {}
    for name in getattr(model, "memory_usage_factor_conds", ()):
        alone = model.memory_required(latent)

        def more(shape, name=name, alone=alone):
            return model.memory_required(latent, {name: [list(shape)]}) - alone

        for size in (3, 1, 2):  # of a video, else what a list of latents is flattened to
            form = form_of(more, channels, size)
            if form["form"] != "unknown":
                break
        found[name] = form
    return found


def names_in(model):
    """Words in the code that says which conditionings the estimate hears of."""
    for cls in type(model).__mro__:
        function = vars(cls).get("extra_conds_shapes")
        if function is not None:
            yield from (word for word in function.__code__.co_consts
                        if isinstance(word, str) and word.isidentifier())


def conditionings(model, channels, dims):
    """{conditioning as nodes set it: what the estimate hears of it, and the area that counts}."""
    import torch

    def told(name, shape, listed):
        tensor = torch.empty(tuple(shape), device="meta")
        return model.extra_conds_shapes(**{name: [tensor] if listed else tensor})

    def area(name, shape, listed):
        (size,) = told(name, shape, listed).values()
        return size[0] * math.prod(size[2:])

    def form(name, listed):
        for fixed in ((), (1,)):  # a whole number of channels may be all that it can do with
            found = form_of(lambda shape: area(name, shape, listed), channels, dims, fixed)
            if found["form"] != "unknown":
                break
        return found

    found, counted = {}, getattr(model, "memory_usage_factor_conds", ())
    for name in dict.fromkeys(names_in(model)) if counted else ():
        for listed in (True, False):  # reference latents are a list, the others are tensors
            try:
                (heard,) = told(name, (1, channels, *START[dims]), listed)
            except Exception:  # it takes something else, or is no conditioning
                continue
            if heard in counted:
                found[name] = {"as": heard, "list": listed, "area": form(name, listed)}
                break
    return found


def facts_of(model, channels, dims):
    """Both branches of the estimate, and what it counts beside the latent."""
    found = {}
    told = conditionings(model, channels, dims)
    if told:
        found["conditionings"] = told
    for name, flash in (("fused", True), ("other", False)):
        with look.attention(flash):
            found[name] = form_of(model.memory_required, channels, dims)
            more = counted_more(model, channels, dims)
        if more:
            found[name + "_more"] = more
    return found


def form_of_one(function):
    """How a number of bytes follows from a number of tokens."""
    return forms.fitted(lambda shape: float(function(shape)), (77,),
                        [(n,) for n in (1, 7, 77, 100, 333, 512, 641, 642, 700, 1024, 5000)])
