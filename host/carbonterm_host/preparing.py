"""Preprocessing of series for analysis (数据预处理; T/CSMT park document, clause 6.4): correction, one unit, outliers,
one grid of times, missing values. docs/preprocessing.md says what each step does.

It works beside the signed log and never changes it. Every reading is kept as it was, with what became of it; every
value of the grid says how it came about. Values are exact fractions until they are written.
"""

from bisect import bisect_right
from fractions import Fraction
from itertools import pairwise
from math import lcm

from carbonterm import units
from carbonterm_host.platform.quality import rules

GOOD, ESTIMATED, SUSPECT, SILENT = 0, 1, 2, 4  # the qualities of docs/formats.md
MEASURED, BETWEEN, COMPLETED, MISSING = "measured", "between", "completed", "missing"
LINEAR, NEAREST, NONE = "linear", "nearest", "none"
METHODS = (LINEAR, NEAREST, NONE)
FEWEST = 5  # neighbours that an outlier can be told from


class Reading:
    """A reading and what became of it: `raw` (Fraction or None) as the file has it, `value` in the wanted unit, quality
    and why it is not good."""

    __slots__ = ("time_ms", "raw", "value", "quality", "why")

    def __init__(self, time_ms, raw):
        self.time_ms = time_ms
        self.raw = raw
        self.value = raw
        self.quality = GOOD if raw is not None else SILENT
        self.why = "" if raw is not None else "no value"

    def suspect(self, why):
        self.quality, self.why = SUSPECT, why


def corrected(readings, factor, offset):
    """Applies a certificate's line, true = factor × shown + offset, in the instrument's own unit (数据校正)."""
    for one in readings:
        if one.value is not None:
            one.value = factor * one.value + offset


def converted(readings, unit, wanted):
    """Brings values into the wanted unit, exactly (单位统一); UnitError where the two do not measure the same."""
    ratio = units.factor(unit, wanted)
    ratio = Fraction(ratio.numerator, ratio.denominator)
    for one in readings:
        if one.value is not None:
            one.value *= ratio


def bounded(readings, low, high):
    """Marks values outside low … high (both valid; None is open) as suspect (异常值处理)."""
    for one in readings:
        if one.value is not None and ((low is not None and one.value < low) or (high is not None and one.value > high)):
            one.suspect("outside the range")


def filtered(readings, neighbours, limit=rules.FAR, least=0):
    """Marks values far from their neighbours as suspect (异常值处理). Times of the readings are in order, none twice.

    The neighbours are up to `neighbours` good values before and as many after, less the line between the medians of the
    two sides, so that a slope is none of its values' fault. Far: the modified z-score among them (rules.spread) is
    above `limit`, and the distance from their median at least `least`. Each value is judged by the values as they came,
    so the order does not matter. Fewer than FEWEST neighbours say nothing.
    """
    rows = [one for one in readings if one.quality == GOOD]
    whole = lcm(*(one.value.denominator for one in rows))
    values = [int(one.value * whole) for one in rows]  # integers: several times faster than fractions
    times = [one.time_ms for one in rows]
    least = 2 * least * whole
    far = []
    for place in range(len(rows)):
        start, stop = max(0, place - neighbours), min(len(rows), place + 1 + neighbours)
        if stop - start - 1 < FEWEST:
            continue
        distance, part, scale = _distance(values, times, start, place, stop)
        if distance > limit * scale and distance >= least * part:
            far.append(rows[place])
    for one in far:
        one.suspect("outlier")


def _distance(values, times, start, place, stop):
    """(2 × part × distance from the neighbours' median, part, 2 × part × their scale) of a value; part: what residuals
    were multiplied by to stay integers."""
    slope, part = 0, 1
    if start < place < stop - 1:
        slope = _twice(sorted(values[place + 1 : stop])) - _twice(sorted(values[start:place]))
        part = _twice(times[place + 1 : stop]) - _twice(times[start:place])
    now = times[place]
    near = [values[i] * part - slope * (times[i] - now) for i in range(start, stop) if i != place]
    middle = _twice(sorted(near))
    distances = [abs(2 * value - middle) for value in near]
    deviation = _twice(sorted(distances))
    mean = sum(distances) if not deviation else 0
    return abs(2 * values[place] * part - middle), part, rules.scale(deviation, 2, mean, len(near))


def _twice(ordered):
    """Twice the median of integers in order."""
    half = len(ordered) // 2
    return 2 * ordered[half] if len(ordered) % 2 else ordered[half - 1] + ordered[half]


def usual_ms(readings):
    """The median spacing of the readings, the lower one of two; None for fewer than two."""
    gaps = sorted(after.time_ms - before.time_ms for before, after in pairwise(readings))
    return gaps[(len(gaps) - 1) // 2] if gaps else None


def moments(series, every_ms):
    """The grid that several lists of readings come onto: multiples of every_ms from the first to the last reading."""
    first = min(readings[0].time_ms for readings in series)
    last = max(readings[-1].time_ms for readings in series)
    return range(-(-first // every_ms) * every_ms, last + 1, every_ms)


def gridded(readings, grid, method=LINEAR, longest_ms=0):
    """[(time_ms, value or None, quality, how)] at the times of a grid (标准化处理, 缺失值补全).

    A time with a good reading has its value. Between two good readings at most one and a half of the usual spacing
    apart lies their straight line. A longer gap, up to longest_ms, is completed by `method`: the straight line, or the
    nearer reading (the earlier one of two). Beyond that, before the first and after the last, the value is missing.
    """
    good = [one for one in readings if one.quality == GOOD]
    times = [one.time_ms for one in good]
    usual = usual_ms(readings) or 0
    found = []
    for moment in grid:
        place = bisect_right(times, moment)
        before = good[place - 1] if place else None
        if before is not None and before.time_ms == moment:
            found.append((moment, before.value, GOOD, MEASURED))
            continue
        after = good[place] if place < len(good) else None
        gap = after.time_ms - before.time_ms if before is not None and after is not None else None
        if gap is not None and 2 * gap <= 3 * usual:
            found.append((moment, _line(before, after, moment), ESTIMATED, BETWEEN))
        elif gap is not None and gap <= longest_ms and method != NONE:
            value = _line(before, after, moment) if method == LINEAR else _nearer(before, after, moment)
            found.append((moment, value, ESTIMATED, COMPLETED))
        else:
            found.append((moment, None, SILENT, MISSING))
    return found


def _line(before, after, moment):
    part = Fraction(moment - before.time_ms, after.time_ms - before.time_ms)
    return before.value + (after.value - before.value) * part


def _nearer(before, after, moment):
    return (before if moment - before.time_ms <= after.time_ms - moment else after).value


def running(readings, grid, longest_ms):
    """[(time_ms, hours or None, quality, how)]: how long a state was on since the grid's time before, exact (设备状态).

    A reading is 0 (off) or any other number (on) and holds until the next one, at most longest_ms: longer silence is
    not known to be either, and the hours of that interval are missing. The grid's first time has no interval.
    """
    spans = [(one.time_ms, min(after.time_ms, one.time_ms + longest_ms), one.value != 0)
             for one, after in pairwise([one for one in readings if one.quality == GOOD])]  # fmt: skip
    found, place = [], 0
    for start, end in pairwise(grid):
        while place < len(spans) and spans[place][1] <= start:
            place += 1
        on = known = 0
        for since, until, state in _from(spans, place):
            if since >= end:
                break
            part = min(until, end) - max(since, start)
            known += part
            on += part if state else 0
        if known == end - start:
            found.append((end, Fraction(on, 3600000), GOOD, MEASURED))
        else:
            found.append((end, None, SILENT, MISSING))
    return found


def _from(rows, place):
    for index in range(place, len(rows)):
        yield rows[index]
