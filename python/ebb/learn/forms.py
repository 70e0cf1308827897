# SPDX-License-Identifier: Apache-2.0
"""A function of a shape as a few numbers: what a form is, how it is found, and how well it holds.

A form says, for a shape n:

    bytes = product of n[i], i in "times"
            * (rate + rate_step * (t - from)) + constant + constant_step * (t - from)

with t = n["along"] (0 where nothing is "along"), and the numbers of the last of "pieces" whose
"from" is not above t. A piece with a "power" has rate * t ** power in place of the first bracket.
With "every", the rate of t repeats: rates[(t - 1) % every] + step * ((t - 1) // every).
A function that is none of these is {"form": "unknown"} with the reason.
"""
import math

CLOSE = 1e-9  # relative: what rounding may do to a sum of doubles
LINE = (*range(1, 25), 33, 49, 65, 81, 97, 121, 241, 500, 1000, 10_000)  # along one axis
LONG = 400  # along the axis that decides, to see every bend
MOST_PIECES, MOST_PERIOD = 12, 32


def close(a, b, bound=0.0):
    return abs(a - b) <= max(CLOSE * max(abs(a), abs(b)), bound)


def evaluate(form, shape):
    """Bytes that a form says for a shape; None where it is not of a known form."""
    if form["form"] != "product":
        return None
    product = math.prod(shape[i] for i in form["times"])
    t = shape[form["along"]] if form["along"] is not None else 0
    if "every" in form:
        rates, turn = form["rates"], divmod(t - 1, form["every"])
        return product * (rates[turn[1]] + form["step"] * turn[0])
    piece = [p for p in form["pieces"] if p["from"] <= t][-1]
    past = t - piece["from"]
    rate = piece["rate"] + piece.get("rate_step", 0) * past
    if "power" in piece:
        rate = piece["rate"] * t ** piece["power"]
    return product * rate + piece.get("constant", 0) + piece.get("constant_step", 0) * past


def unknown(why):
    return {"form": "unknown", "why": why}


def fitted(function, start, checks, fixed=()):
    """The form of a function of shapes like `start`, with how far it is from the function at
    `checks`, shapes that had no part in finding it: "residual" in bytes. Axes that are `fixed`
    are the same in all of them."""
    try:
        form = find_form(function, tuple(start), fixed)
        if form["form"] == "unknown":
            return form
        worst = max(abs(evaluate(form, shape) - function(shape)) for shape in checks)
        highest = max(abs(function(shape)) for shape in checks)
    except Exception as error:  # whatever a foreign function raises is an answer
        return unknown(f"{type(error).__name__}: {error}"[:200])
    if not worst <= max(1.0, CLOSE * highest):
        return unknown(f"a form was found, but at other shapes it is off by {worst:.0f} bytes")
    return {**form, "residual": worst, "checked": len(checks)}


def find_form(function, start, fixed=()):
    kinds = ["nothing" if axis in fixed else kind_of_axis(function, start, axis)
             for axis in range(len(start))]
    along = [axis for axis, kind in enumerate(kinds) if kind == "other"]
    if len(along) > 1:
        return unknown(f"axes {along} each count in a way of their own")
    times = [axis for axis, kind in enumerate(kinds) if kind in ("times", "affine")]
    axis = along[0] if along else None
    length = LONG if along else 0
    series = [rate_and_constant(function, start, times, axis, t)
              for t in (range(1, length + 1) if along else (None,))]
    form = {"form": "product", "times": times, "along": axis}
    if not along:
        return {**form, "pieces": [piece_of(0, series[0], (0, 0))]}
    pieces = pieces_of(series)
    if len(pieces) <= MOST_PIECES:
        return {**form, "pieces": pieces}
    found = period_of(series) or powers_of(series)
    if found:
        return {**form, **found}
    return unknown(f"axis {axis} counts in more than {MOST_PIECES} pieces")


def at(start, axis, n):
    return (*start[:axis], n, *start[axis + 1:])


def kind_of_axis(function, start, axis):
    values = [function(at(start, axis, n)) for n in LINE]
    if all(close(v, values[0]) for v in values):
        return "nothing"
    if all(close(v / n, values[0]) for v, n in zip(values, LINE)):
        return "times"
    step = values[1] - values[0]
    if all(close(v, values[0] + step * (n - 1)) for v, n in zip(values, LINE)):
        return "affine"
    return "other"


def rate_and_constant(function, start, times, axis, t):
    """What one of the product costs at t, and what does not grow with it."""
    here = start if axis is None else at(start, axis, t)
    low = function(here)
    if not times:
        return low, 0
    product = math.prod(here[i] for i in times)
    high = function(at(here, times[0], here[times[0]] * 1000))
    rate = (high - low) / (product * 999)
    constant = low - rate * product
    if close(low, rate * product, 1e-6):
        return low / product, 0
    return rate, constant


def piece_of(start, first, step):
    piece = {"from": start, "rate": tidy(first[0])}
    for name, value in (("rate_step", step[0]), ("constant", first[1]), ("constant_step", step[1])):
        if value:
            piece[name] = tidy(value)
    return piece


def tidy(value):
    """A whole number as one, where rounding alone made it none."""
    return round(value) if value and close(value, round(value)) and abs(value) < 2 ** 53 else value


def pieces_of(series):
    """Straight pieces, longest first from the left. Stops when there are too many."""
    pieces, i = [], 0
    while i < len(series) and len(pieces) <= MOST_PIECES:
        scale = CLOSE * max(abs(series[i][0]), abs(series[-1][0]))
        step, j = (0, 0), i + 1
        if j < len(series):
            step = tuple(b - a if abs(b - a) > max(scale, CLOSE * abs(a)) else 0
                         for a, b in zip(series[i], series[j]))
        while j < len(series) and all(
                close(v, a + s * (j - i), scale) for v, a, s in zip(series[j], series[i], step)):
            j += 1
        if j == i + 2 and any(step):  # two points are always a line: the second begins the next
            step, j = (0, 0), i + 1
        pieces.append(piece_of(i + 1, series[i], step))
        i = j
    return pieces


def period_of(series):
    rates = [rate for rate, constant in series if constant == 0]
    if len(rates) != len(series):
        return None
    for every in range(2, MOST_PERIOD + 1):
        step = rates[every] - rates[0]
        if all(close(rates[i + every], rates[i] + step) for i in range(len(rates) - every)):
            return {"every": every, "step": tidy(step), "rates": [tidy(r) for r in rates[:every]]}
    return None


def powers_of(series):
    """A constant up to some t, and a power of t from there on."""
    rates = [rate for rate, constant in series if constant == 0]
    if len(rates) != len(series) or rates[-1] <= 0:
        return None
    last = len(rates)
    half = last // 2
    power = round(math.log(rates[-1] / rates[half - 1]) / math.log(last / half), 6)
    rate = rates[-1] / last ** power
    bend = next((t for t in range(1, last)
                 if all(close(rates[u - 1], rate * u ** power, 1e-6) for u in (t, t + 1))), None)
    if bend is None or not all(close(rates[t - 1], rates[0]) for t in range(1, bend)):
        return None
    pieces = [{"from": 1, "rate": tidy(rates[0])}] if bend > 1 else []
    return {"pieces": [*pieces, {"from": bend, "rate": rate, "power": power}]}
