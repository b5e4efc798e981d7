"""Preprocessing of series for analysis (数据预处理; T/CSMT park document, clause 6.4): correction, one unit, outliers,
one grid of times, missing values. docs/preprocessing.md says what each step does.

It works beside the signed log and never changes it. Every reading is kept as it was, with what became of it; every
value of the grid says how it came about. Values are exact fractions until they are written.
"""

from bisect import bisect_right
from fractions import Fraction
from itertools import pairwise

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
    """Marks values far from their neighbours as suspect (异常值处理).

    The neighbours are up to `neighbours` good values before and as many after, less the line between the medians of the
    two sides, so that a slope is none of its values' fault. Far: the modified z-score among them is above `limit`, and
    the distance from their median at least `least`. Each value is judged by the values as they came, so the order does
    not matter. Fewer than FEWEST neighbours say nothing.
    """
    rows = [one for one in readings if one.quality == GOOD]
    found = []
    for place, one in enumerate(rows):
        before, after = rows[max(0, place - neighbours) : place], rows[place + 1 : place + 1 + neighbours]
        if len(before) + len(after) < FEWEST:
            continue
        slope = _slope(before, after)
        middle, scale = rules.spread([other.value - slope * (other.time_ms - one.time_ms) for other in before + after])
        distance = abs(one.value - middle)
        if distance > limit * scale and distance >= least:
            found.append(one)
    for one in found:
        one.suspect("outlier")


def _slope(before, after):
    """Of the line between the medians of two sides, per ms; 0 where one of them is empty."""
    if not before or not after:
        return 0
    ends = [(rules.median([Fraction(one.time_ms) for one in side]), rules.median([one.value for one in side]))
            for side in (before, after)]  # fmt: skip
    return (ends[1][1] - ends[0][1]) / (ends[1][0] - ends[0][0])


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
