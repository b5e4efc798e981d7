"""A settlement of values of the moment computed a second time, from the readings that the log holds (docs/series.md).

`settled` goes once over all readings of the point up to the figure; what fills added is what their entries say.
"""

from bisect import bisect_left

from carbonterm import clock
from carbonterm.ledger import entry as entries
from carbonterm.number import Number, half_even
from carbonterm.series import gaps
from carbonterm.series.instant import AMOUNT, PLACES


class Filling:
    """A `fill` entry: its `index`, `body`, the `site` in force and the name of its `point`."""

    __slots__ = ("body", "index", "name", "site")

    def __init__(self, index, body, site):
        self.index, self.body, self.site = index, body, site
        self.name = site.points[body[0]].name

    @property
    def filled(self):
        return self.body[10] is not None

    def touches(self, figure, end_ms):
        """Whether it lies in the period of a closing row of its point."""
        return self.name == figure.name and self.body[2] < end_ms and self.body[3] > figure.start_ms

    def between(self, start_ms, end_ms, per_ms):
        """What it adds to [start_ms, end_ms), mantissa at PLACES."""
        _, method, from_ms, to_ms, _, exponent, first, last = self.body[:8]

        def amount(moment):
            past = min(max(moment, from_ms), to_ms) - from_ms
            return _scaled(gaps.course(method, to_ms - from_ms, first, last, past), exponent, 2 * per_ms)

        return amount(end_ms) - amount(start_ms)


def settled(figure, row, fills, again):
    """(increment or None, first Step, last Step, Steps between) of a closing row of a rate or mean. row: of the site's
    part "series"; fills: Fillings of the point before the figure; again: the period had closed before, the figure is
    what the last of them adds."""
    end_ms = clock.end(figure.period, figure.start_ms, figure.site.zone)
    steps = [step for step in figure.steps.steps if step.believed and step.index <= figure.index]
    inside = [step for step in steps if figure.start_ms <= step.time_ms <= end_ms] or steps[-1:]
    shown = (inside[0], inside[-1], inside) if inside else (None, None, [])
    known = [one for one in fills if one.filled and one.touches(figure, end_ms)]
    if again:
        more = known[-1].between(figure.start_ms, end_ms, row.per_ms) if known else None
        return (None if more is None else Number(more, -PLACES), *shown)
    begin, end = (_area(figure, row, steps, border) for border in (figure.start_ms, end_ms))
    if row.settles != AMOUNT:
        covered = end[2] - begin[2]
        exponent = min(begin[1], end[1])
        area = _at(end, exponent) - _at(begin, exponent)
        return (Number(_scaled(area, exponent, 2 * covered), -PLACES) if covered else None, *shown)
    extra = sum(one.between(figure.start_ms, end_ms, row.per_ms) for one in known)
    if end[2] == begin[2] and not extra:
        return (None, *shown)  # nothing is known of it
    ends = [_scaled(area, exponent, 2 * row.per_ms) for area, exponent, _ in (begin, end)]
    return (Number(ends[1] - ends[0] + extra, -PLACES), *shown)


def unknown(row):
    """Whether a closing row says that nothing is known."""
    return row[1] >= entries.INVALID


def _area(figure, row, steps, border):
    """(twice the area up to a border, its exponent, milliseconds known up to there)."""
    interval = figure.site.points[figure.subject].interval_ms
    area, exponent, covered = 0, 0, 0
    last = bisect_left([step.time_ms for step in steps], border)
    for i, step in enumerate(steps[: last + 1]):
        if step.value.exponent < exponent:
            area, exponent = area * 10 ** (exponent - step.value.exponent), step.value.exponent
        if not i:
            continue
        before = steps[i - 1]
        length = step.time_ms - before.time_ms
        if length > 2 * interval:
            continue
        past = min(length, border - before.time_ms)
        if past > 0:
            area += gaps.course(row.rule, length, before.value.at(exponent), step.value.at(exponent), past)
            covered += past
    return area, exponent, covered


def _at(found, exponent):
    return found[0] * 10 ** (found[1] - exponent)


def _scaled(area, exponent, divisor):
    shift = exponent + PLACES
    return half_even(area * 10**shift, divisor) if shift >= 0 else half_even(area, divisor * 10**-shift)
