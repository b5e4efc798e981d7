"""Columns of settlements through the sources of a site: emissions of every period, with the terminal's digits.

Most formulas are straight lines in their inputs: those become two integers once, and a figure is one product and one
division, rounded half to even (GB/T 8170). The others are evaluated period by period, by the code of the terminal.
"""

import numpy as np

from carbonterm import formula
from carbonterm.accounting import source as accounting
from carbonterm.errors import CarbonError
from carbonterm.ledger.entry import INVALID
from carbonterm.number import Number, Ratio, half_even
from carbonterm.pipeline import PLACES
from carbonterm_host.batch.series import integers


class Line:
    """A source as a straight line: (constant + sum of slopes × increments of points) / divisor, in 10^-PLACES t."""

    __slots__ = ("constant", "divisor", "slopes")

    def __init__(self, slopes, constant):
        self.divisor = constant.denominator
        for slope in slopes.values():
            self.divisor *= slope.denominator // _common(self.divisor, slope.denominator)
        self.divisor, scale = self.divisor, 10**PLACES
        self.constant = constant.numerator * (self.divisor // constant.denominator) * scale
        self.slopes = {p: s.numerator * (self.divisor // s.denominator) * scale for p, s in slopes.items()}


def emissions(site, index, settled, period):
    """Columns of source `index` of a Site for one period: start (ms), quality, mantissa at 10^-PLACES t, and known:
    False where there is no figure (a division by zero, a factor past its validity). settled: {point: Settled}.

    A period has a figure where all points of the source have settled it, as on the terminal.
    """
    source = site.sources[index]
    points = sorted({row[0] for feed in source.inputs for row in feed.points})
    columns = [settled[point].columns(period) for point in points]
    starts = columns[0]["start"] if columns else np.zeros(0, np.int64)
    for one in columns[1:]:
        starts = np.intersect1d(starts, one["start"])
    columns = [_at(one, starts) for one in columns]
    known = np.array([not accounting.expired(source.compiled, at) for at in _stamps(source, starts)], bool)
    if len(known) == 1 != len(starts):
        known = np.repeat(known, len(starts))
    line = straight(source)
    amounts = {p: (c["increment"].tolist(), c["exponent"].tolist()) for p, c in zip(points, columns, strict=True)}
    values = _along(line, amounts, len(starts)) if line else _each(source, amounts, len(starts))
    known &= np.array([value is not None for value in values], bool)
    quality = np.maximum.reduce([one["quality"] for one in columns]) if columns else starts
    return {
        "start": starts,
        "quality": np.where(known, quality, INVALID),
        "mantissa": integers([value if there else 0 for value, there in zip(values, known.tolist(), strict=True)]),
        "known": known,
    }


def straight(source):
    """The Line of a site's Source, or None where its formula is none."""
    names = [name for name, _ in source.compiled[accounting.INPUTS]]
    if not all(affine(steps, names) for _, steps, _ in accounting.parts(source.compiled)):
        return None
    nothing = dict.fromkeys(names, 0)
    try:
        constant = accounting.evaluate_compiled(source.compiled, nothing)
        slopes = {}
        for feed in source.inputs:
            one = accounting.evaluate_compiled(source.compiled, {**nothing, feed.parameter: 1}) - constant
            for point, numerator, denominator in feed.points:
                slopes[point] = slopes.get(point, Ratio(0)) + one * Ratio(numerator, denominator)
    except CarbonError:
        return None
    return Line(slopes, constant)


def affine(steps, names):
    """Whether a formula's program is a straight line in `names`: no product of two of them, none in a divisor."""
    stack = []  # whether each value depends on the names
    for step in steps:
        if isinstance(step, str):
            stack.append(step in names)
        elif isinstance(step, (list, tuple)):
            if len(step) == 2:
                stack.append(False)
            elif len(step) != 1 or (stack[-1] and step[0] != 1):
                return False
        elif step != formula.NEGATE:
            right, left = stack.pop(), stack.pop()
            bent = {
                formula.ADD: False, formula.SUBTRACT: False, formula.MULTIPLY: left and right, formula.DIVIDE: right,
            }.get(step, left or right)  # fmt: skip
            if bent:
                return False
            stack.append(left or right)
    return True


def _common(a, b):
    while b:
        a, b = b, a % b
    return a


def _stamps(source, starts):
    """The starts for which to ask whether a factor has expired: one where none of them ever does."""
    bounds = [bound for origin in accounting.origins(source.compiled) for bound in origin[4:6]]
    if all(bound is None for bound in bounds) and len(starts):
        return starts[:1].tolist()
    return starts.tolist()


def _at(columns, starts):
    """The columns at those starts, in their order; the settlements of one point have each start once."""
    order = np.argsort(columns["start"], kind="stable")
    places = order[np.searchsorted(columns["start"], starts, sorter=order)]
    return {name: column[places] for name, column in columns.items()}


def _along(line, amounts, count):
    """Mantissas by a straight line."""
    lowest = min([min(exponents) for _, exponents in amounts.values() if exponents], default=0)
    lowest = min(lowest, 0)
    divisor = line.divisor * 10**-lowest
    sums = [line.constant * 10**-lowest] * count
    for point, (mantissas, exponents) in amounts.items():
        slope = line.slopes[point]
        weights = {e: slope * 10 ** (e - lowest) for e in set(exponents)}
        sums = [s + weights[e] * m for s, m, e in zip(sums, mantissas, exponents, strict=True)]
    return [half_even(s, divisor) for s in sums]


def _each(source, amounts, count):
    """Mantissas by the formula itself, None where it has no value."""
    found = []
    for i in range(count):
        values = {}
        for feed in source.inputs:
            total = Ratio(0)
            for point, numerator, denominator in feed.points:
                mantissas, exponents = amounts[point]
                total = total + Ratio(numerator, denominator) * Number(mantissas[i], exponents[i])
            values[feed.parameter] = total
        try:
            found.append(accounting.evaluate_compiled(source.compiled, values).round(PLACES).mantissa)
        except CarbonError:
            found.append(None)
    return found
