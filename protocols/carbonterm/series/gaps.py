"""Gaps of a series of values of the moment, and how they are filled (T/CSMT clause 12.4).

A gap lies between two good readings further apart than two sampling intervals. It is filled along the straight line
between the two (线性插值) or by the nearer of them (最近邻插值), and only where the two days before it and the two days
after it are known well enough. What is filled is told in a `fill` entry and marked as estimated; no reading is changed.
"""

from carbonterm.errors import SeriesError, quoted
from carbonterm.number import Number, half_even, held_at

LINEAR, NEAREST, COUNTED, STEP = range(4)  # COUNTED: a register went on counting; STEP: a value holds until the next
METHODS = ("linear", "nearest", "counted", "step")
FILLS = METHODS[:2]

DAY_MS = 86400000
SIDE_MS = 2 * DAY_MS  # 前后两天
LEAST = 75  # percent of each of the four days that has to be known
LONGEST_MS = 5 * DAY_MS  # three working days (clause 12.4) and a weekend; a longer gap is not filled


def method(name):
    """LINEAR or NEAREST of its name; SeriesError otherwise."""
    if name not in FILLS:
        raise SeriesError("%s is no way to fill a gap" % quoted(str(name)), "known: " + ", ".join(FILLS))
    return METHODS.index(name)


def course(rule, length, first, last, at):
    """Twice the area under the way from value `first` to `last` (integers) over `length` ms, from its beginning up to
    `at` ms, 0 <= at <= length: an integer, half to even where the line gives none."""
    if rule == LINEAR:
        return 2 * first * at + half_even((last - first) * at * at, length)
    if rule == STEP or 2 * at <= length:
        return 2 * first * at
    return first * length + last * (2 * at - length)


def value(rule, length, first, last, at):
    """The value (integer) of that way at `at` ms: of the line half to even, else the nearer one (the first of two)."""
    if rule == LINEAR:
        return half_even(first * length + (last - first) * at, length)
    return first if rule == STEP or 2 * at <= length else last


def known(begun_ms, holes, since_ms):
    """Milliseconds that are known of the day since_ms … + 24 h of a series that began at begun_ms and goes on behind
    that day; holes: [[from_ms, to_ms, …], …] that do not overlap."""
    end = since_ms + DAY_MS
    rest = end - max(since_ms, begun_ms)
    for hole in holes:
        rest -= max(0, min(end, hole[1]) - max(since_ms, hole[0], begun_ms))
    return max(0, rest)


def around(begun_ms, holes, from_ms, to_ms):
    """Known milliseconds of the two days before a gap and the two days behind it, in the order of time."""
    starts = (from_ms - SIDE_MS, from_ms - DAY_MS, to_ms, to_ms + DAY_MS)
    return [known(begun_ms, holes, start) for start in starts]


def enough(days):
    """Whether the days of `around` say enough to fill a gap between them."""
    return all([part * 100 >= DAY_MS * LEAST for part in days])


class Fill:
    """What became of a gap: rule, from_ms and to_ms of the readings on its two sides, their values `first` and `last`
    (Numbers), `days` (as `around`; () of a register), totals `before` and `after` (Numbers of one exponent; None where
    it was not filled), `closed`: the Settlements of closed periods, what the fill adds to each."""

    __slots__ = ("rule", "from_ms", "to_ms", "first", "last", "days", "before", "after", "closed")

    def __init__(self, rule, from_ms, to_ms, first, last, days, before, after, closed=()):
        self.rule = rule
        self.from_ms = from_ms
        self.to_ms = to_ms
        self.first = first
        self.last = last
        self.days = days
        self.before = before
        self.after = after
        self.closed = closed

    def body(self, point):
        """The body of the `fill` entry that tells it of a point (docs/formats.md)."""
        sides, totals = [self.first, self.last], [self.before] if self.after is None else [self.before, self.after]
        side = held_at(sides, min(self.first.exponent, self.last.exponent))
        total = held_at(totals, self.before.exponent)
        after = None if self.after is None else self.after.at(total)
        return [point, self.rule, self.from_ms, self.to_ms, list(self.days), side, self.first.at(side),
                self.last.at(side), total, self.before.at(total), after]  # fmt: skip


def counted(since, time_ms, value, total):
    """The Fill of a gap through which a register went on counting. since: as `closing.Settler.gap` says it; the reading
    (time_ms, Number) that ended it, and the total behind it."""
    exponent = min(since[2].exponent, total.exponent)
    before, after = Number(since[2].at(exponent), exponent), Number(total.at(exponent), exponent)
    return Fill(COUNTED, since[0], time_ms, since[1], value, (), before, after)
