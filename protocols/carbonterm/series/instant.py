"""Settlements of values of the moment: a rate becomes an amount, any other value a mean (clauses 8.2.1, 8.3.2 积分).

The area under the readings is kept in integers, twice mantissa × milliseconds, and rounded once, where a figure is
recorded: the figure of a period is the difference of the rounded amounts at its two borders, so that at every level
the periods add up to the whole. Readings may come at any spacing. What lies between two readings further apart than
two sampling intervals is a gap: it is in no figure until it is filled (carbonterm.series.gaps). docs/series.md.
"""

from carbonterm import clock
from carbonterm.clock import DAY, HOUR, MONTH, YEAR
from carbonterm.errors import SeriesError, quoted
from carbonterm.number import Number, half_even
from carbonterm.series import gaps
from carbonterm.series.closing import BACK, ESTIMATED, GOOD, LONGEST, SUSPECT, Settlement, Settler
from carbonterm.series.register import FIRST, FORWARD, LATE, pack, unpack

AMOUNT, MEAN = range(2)
SETTLES = ("amount", "mean")
PLACES = 6  # decimals of a figure
INVALID = 3
MAX_HOLES = 32  # in the days that a fill looks at; a series with more has too little to fill from


class _Level:
    """The open settlement of one period: `base` the area where it began, `extra` what fills added (at PLACES);
    the ones in [since, done) were settled."""

    __slots__ = ("period", "start", "end", "base", "quality", "readings", "covered", "lost", "max", "min", "extra",
                 "since", "done")  # fmt: skip

    def __init__(self, period):
        self.period = period
        self.start = self.end = self.base = self.quality = self.readings = self.covered = self.lost = self.extra = 0
        self.since = self.done = 0
        self.max = self.min = None

    def numbers(self):
        """All of it, for a snapshot."""
        texts = [None if n is None else str(n) for n in (self.base, self.max, self.min, self.extra)]
        numbers = [self.period, self.start, self.end, self.quality, self.readings, self.covered, self.lost]
        return numbers + texts + [self.since, self.done]


class _NoRegister:
    """What is asked of a settler's register."""

    held = 0
    value = None
    floor = 0


class Instant:
    """Settles the values of one point; used like `closing.Settler`.

    zone: minutes east of UTC. settles: AMOUNT (area / per_ms: a rate per hour has 3600000) or MEAN. rule: gaps.LINEAR
    or gaps.STEP between readings. interval_ms: the sampling interval, None: there are no gaps. fill: gaps.LINEAR,
    gaps.NEAREST or None. `.fills`: gaps.Fill of what the last reading decided.
    """

    __slots__ = (
        "zone", "settles", "rule", "per_ms", "interval_ms", "fill", "fills", "register", "verdict", "value", "time_ms",
        "_levels", "_exponent", "_sum", "_filled", "_reached", "_begun", "_holes", "_drift",
    )  # fmt: skip

    def __init__(self, zone, settles=AMOUNT, rule=gaps.LINEAR, per_ms=3600000, interval_ms=None, fill=None,
                 periods=(HOUR, DAY, MONTH, YEAR)):  # fmt: skip
        for period in periods or (None,):
            if period not in range(6):
                raise SeriesError("%s is no period" % quoted(str(period)), "periods are clock.SECOND to clock.YEAR")
        if settles not in (AMOUNT, MEAN) or rule not in (gaps.LINEAR, gaps.STEP):
            raise SeriesError("values settle as amount or mean, along lines or steps")
        if fill not in (None, gaps.LINEAR, gaps.NEAREST) or (fill is not None and settles == MEAN):
            raise SeriesError("only amounts are filled, linear or nearest", "a mean leaves a gap out")
        for what in (per_ms, 1 if interval_ms is None else interval_ms):
            if not isinstance(what, int) or what < 1:
                raise SeriesError("%s is not a positive number of milliseconds" % quoted(str(what)))
        self.zone, self.settles, self.rule = zone, settles, rule
        self.per_ms, self.interval_ms, self.fill = per_ms, interval_ms, fill
        self.fills = []
        self.register = _NoRegister
        self.verdict = self.value = self.time_ms = None
        self._levels = [_Level(period) for period in range(6) if period in periods]
        self._exponent = 0  # of the values in every area below: the finest that came
        self._sum = 0
        self._filled = 0  # by fills, at PLACES
        self._reached = self._begun = None
        self._holes = []  # [from_ms, to_ms, first, last, open, empty] of the days that a fill may look at
        self._drift = None  # clock unset: [first, last, area, covered], first and last [time_ms, value] or None

    @property
    def total(self):
        """The amount so far, with what was filled, a Number; of a mean: 0."""
        return Number(self._amount(self._sum) + self._filled, -PLACES) if self.settles == AMOUNT else Number(0)

    def feed(self, time_ms, value, quality=0):
        """As `closing.Settler.feed`; what `fills` add to closed periods comes first."""
        closed = list(self.closings(time_ms, value, quality))
        return [one for fill in self.fills for one in fill.closed] + closed

    def closings(self, time_ms, value, quality=0):
        """As `closing.Settler.closings`, without what `fills` add to closed periods, which is older."""
        self.fills = []
        if value is None or quality >= SUSPECT:
            return ()
        before = self.time_ms
        drift, self._drift = self._drift, None
        if before is None:
            self.verdict = FIRST
            self._finer(value.exponent)
            self._begin(time_ms, quality)
            self.time_ms, self.value = time_ms, value
            if drift is not None:
                self._lump(drift)
            return ()
        if drift is not None:
            self._lump(drift)
        elif time_ms <= before:
            self.verdict = LATE
            return ()
        self.verdict = FORWARD
        self._finer(value.exponent)
        self._decide(time_ms)
        return self._next(time_ms, value, quality, drift is None)

    def _next(self, time_ms, value, quality, clean):
        """Counts the way to a reading: an iterable of the settlements that this closes."""
        before, first, last = self.time_ms, self.value.at(self._exponent), value.at(self._exponent)
        length = max(time_ms - before, 0)
        old, self.time_ms, self.value = self.value, time_ms, value
        reached = self._reached
        hole = self.interval_ms is not None and length > 2 * self.interval_ms
        if hole:
            self._remember([before, time_ms, old, value, True, clean and reached == before])
        if time_ms <= reached:
            if not hole:
                self._count(gaps.course(self.rule, length, first, last, length), length)
            self._sample(None, quality)
            return ()
        self._reached = time_ms
        area = 0 if hole else gaps.course(self.rule, length, first, last, length)
        if reached == before:
            way = None if hole else (self.rule, length, first, last)
        else:  # the clock was set back and has caught up: the area lies evenly over what is new
            way = (gaps.STEP, time_ms - reached, None, area)
        begin, self._sum = self._sum, self._sum + area
        return self._through(reached, time_ms, way, begin, None if hole else area, quality)

    def stepped(self, before_ms, after_ms):
        """As `closing.Settler.stepped`."""
        self.fills = []
        if self.time_ms is None or self._drift is not None:
            return []
        shift = after_ms - before_ms
        self.time_ms = min(max(self.time_ms + shift, clock.FLOOR_MS), after_ms)
        closed = []
        if not self.time_ms < self._reached <= self.time_ms + BACK:
            closed = self._go_on(self.time_ms)
        if self.interval_ms is None or abs(shift) > 2 * self.interval_ms:
            self._mark(ESTIMATED)
        return closed

    def adrift(self, now_ms):
        """As `closing.Settler.adrift`. Readings of an earlier start by an unset clock never get their time: what they
        gave is counted with the next reading that has one."""
        drift = self._drift
        self._drift = [None, None, 0, 0] if drift is None else [None, None, drift[2], drift[3]]

    def unset(self, time_ms, value, quality=0):
        """As `closing.Settler.unset`."""
        if value is None or quality >= SUSPECT:
            return
        if self._drift is None:
            self.adrift(time_ms)
        self._finer(value.exponent)
        drift = self._drift
        if drift[0] is None:
            drift[0] = [time_ms, value]
        else:
            before, old = drift[1]
            length = time_ms - before
            if length <= 0:
                return
            if self.interval_ms is None or length <= 2 * self.interval_ms:
                ends = old.at(self._exponent), value.at(self._exponent)
                drift[2] += gaps.course(self.rule, length, ends[0], ends[1], length)
                drift[3] += length
        drift[1] = [time_ms, value]

    def landed(self, shift_ms):
        """As `closing.Settler.landed`: from the first reading by the unset clock to the last the area lies evenly."""
        drift, self._drift, self.fills = self._drift, None, []
        if drift is None or drift[0] is None:
            if drift is not None and self.time_ms is not None:
                self._lump(drift)
            return []
        first_ms, value = drift[0][0] + shift_ms, drift[0][1]
        closed = []
        if self.time_ms is None or first_ms > self.time_ms:
            closed = list(self.closings(first_ms, value, ESTIMATED))
        elif self._reached > first_ms + BACK:  # the clock was ahead for longer than is waited for
            closed = self._go_on(first_ms)
        time_ms, value = drift[1]
        time_ms += shift_ms
        if time_ms <= self._reached:
            self._count(drift[2], drift[3])
        else:
            since, self._reached = self._reached, time_ms
            way = (gaps.STEP, time_ms - since, None, drift[2])
            begin, self._sum = self._sum, self._sum + drift[2]
            closed.extend(self._through(since, time_ms, way, begin, None, ESTIMATED))
        self.time_ms, self.value = time_ms, value
        self._mark(ESTIMATED)
        return closed

    def gap(self, time_ms):
        """None: what became of a gap stands in `fills`."""

    def replaced(self, time_ms, last, first):
        """A value of the moment has no register that could be replaced."""
        raise SeriesError("values of the moment have no register", "leave the event out; the series goes on by itself")

    def open(self, period):
        """As `closing.Settler.open`."""
        for level in self._levels:
            if level.period == period:
                return None if self._reached is None else self._settlement(level, self._sum, ESTIMATED)
        raise SeriesError("period %s is not settled here" % quoted(str(period)))

    # --- the fold ----------------------------------------------------------------------------------------------------

    def _begin(self, time_ms, quality):
        for level in self._levels:
            level.start = clock.start(level.period, time_ms, self.zone)
            level.end = clock.end(level.period, time_ms, self.zone)
            inside = time_ms > level.start
            level.quality = ESTIMATED if inside else quality
            level.readings = 1 if inside else 0
        self._reached = self._begun = time_ms

    def _lump(self, drift):
        """Counts what an unset clock's readings gave, at the time the series has reached."""
        self._count(drift[2], drift[3])
        self._mark(ESTIMATED)

    def _count(self, area, covered):
        self._sum += area
        for level in self._levels:
            level.covered += covered

    def _through(self, begin_ms, end_ms, way, begin, area, quality):
        """Goes from begin_ms to end_ms: iterator of the settlements that end there. way: (rule, length, first, last)
        as gaps.course takes it, None: a gap; first None: the area `last` lies evenly; begin: the area at begin_ms."""
        levels = self._levels
        length = end_ms - begin_ms
        for level in levels:
            if length > LONGEST[level.period]:
                yield self._settlement(level, begin, ESTIMATED)
                self._reopen(level, clock.start(level.period, end_ms - 1, self.zone), begin, ESTIMATED)
        while True:
            border = min([level.end for level in levels])
            if border >= end_ms:
                break
            at = begin
            if way is not None:
                past = border - begin_ms
                at += half_even(way[3] * past, length) if way[2] is None else gaps.course(*(way + (past,)))
            for level in levels:
                if level.end == border:
                    self._cover(level, begin_ms, border, way is None)
                    yield self._settlement(level, at, quality)
                    self._reopen(level, border, at, quality)
        for level in levels:
            self._cover(level, begin_ms, end_ms, way is None)
        self._sample(area, quality)
        for level in levels:
            if level.end == end_ms:
                yield self._settlement(level, self._sum, GOOD)
                self._reopen(level, end_ms, self._sum, quality)

    def _cover(self, level, begin_ms, end_ms, hole):
        if hole:
            level.lost += 1
        else:
            level.covered += end_ms - max(begin_ms, level.start)

    def _sample(self, area, quality):
        """Counts a reading; area: of its sampling interval, None where there is none."""
        shown = None
        if self.settles == MEAN:
            shown = self.value.at(self._exponent)
        elif area is not None:
            shown = area
        for level in self._levels:
            level.readings += 1
            level.quality = max(level.quality, quality)
            if shown is not None:
                level.max = shown if level.max is None else max(level.max, shown)
                level.min = shown if level.min is None else min(level.min, shown)

    def _reopen(self, level, start, base, quality):
        if not level.since <= level.start <= level.done:
            level.since = level.done = level.start
        level.done = max(level.done, level.end)
        level.start, level.end = start, clock.end(level.period, start, self.zone)
        level.base, level.quality = base, quality
        level.readings = level.covered = level.lost = level.extra = 0
        level.max = level.min = None

    _go_on = Settler._go_on

    def _mark(self, quality):
        for level in self._levels:
            level.quality = max(level.quality, quality)

    def _settlement(self, level, at, quality):
        quality = max(quality, level.quality, SUSPECT if level.lost > 0 else GOOD)
        increment = None
        if self.settles == AMOUNT:
            # one that was settled before, ere the clock was set back, has an amount: nothing comes to it
            if level.covered or at != level.base or level.extra or level.since <= level.start < level.done:
                increment = self._amount(at) - self._amount(level.base) + level.extra
            high, low = [None if n is None else self._amount(n) for n in (level.max, level.min)]
        else:
            if level.covered:
                increment = self._scaled(at - level.base, 2 * level.covered)
            high, low = [None if n is None else self._scaled(n, 1) for n in (level.max, level.min)]
        if increment is None:
            quality, high, low = INVALID, None, None  # nothing is known of it
        numbers = [None if n is None else Number(n, -PLACES) for n in (increment, high, low)]
        return Settlement(level.period, level.start, level.end, *(numbers + [quality, level.readings]))

    def _amount(self, area):
        return self._scaled(area, 2 * self.per_ms)

    def _scaled(self, area, divisor):
        """Mantissa at PLACES of area × 10^exponent / divisor."""
        shift = self._exponent + PLACES
        return half_even(area * 10**shift, divisor) if shift >= 0 else half_even(area, divisor * 10**-shift)

    def _finer(self, exponent):
        if exponent >= self._exponent:
            return
        factor = 10 ** (self._exponent - exponent)
        self._exponent = exponent
        self._sum *= factor
        if self._drift is not None:
            self._drift[2] *= factor
        for level in self._levels:
            level.base *= factor
            if level.max is not None:
                level.max *= factor
                level.min *= factor

    # --- gaps --------------------------------------------------------------------------------------------------------

    def _remember(self, hole):
        """Keeps a gap for as long as a fill may look at it. Where there are very many, the oldest two and what is known
        between them become one, which is not filled."""
        if self.fill is None:
            return
        self._holes.append(hole)
        if len(self._holes) > MAX_HOLES:
            first = self._holes.pop(0)
            later = self._holes[0]
            self._holes[0] = [first[0], later[1], first[2], later[3], first[4] or later[4], False]

    def _decide(self, now_ms):
        """Decides on the gaps behind which two days have passed, into `fills`."""
        if not self._holes:
            return
        holes = list(self._holes)
        if now_ms - self.time_ms > 2 * self.interval_ms:
            holes.append([self.time_ms, now_ms])  # the gap that ends now
        for hole in self._holes:
            if hole[4] and now_ms >= hole[1] + gaps.SIDE_MS:
                days = gaps.around(self._begun, holes, hole[0], hole[1])
                before, after, closed = self.total, None, ()
                if hole[5] and hole[1] - hole[0] <= gaps.LONGEST_MS and gaps.enough(days):
                    closed = self._fill(hole)
                    after = self.total
                hole[4] = False
                self.fills.append(gaps.Fill(self.fill, *(hole[:4] + [days, before, after, closed])))
        kept = 2 * gaps.SIDE_MS
        opened = min([hole[0] for hole in self._holes if hole[4]] + [now_ms])
        self._holes = [hole for hole in self._holes if hole[1] + kept > opened]

    def _fill(self, hole):
        """Adds the way through a gap to its periods: what is closed closes again with the difference."""
        since, until = hole[0], hole[1]
        first, last = hole[2].at(self._exponent), hole[3].at(self._exponent)

        def at(moment):
            past = min(max(moment, since), until) - since
            return self._amount(gaps.course(self.fill, until - since, first, last, past))

        found = []
        for level in self._levels:
            start = clock.start(level.period, since, self.zone)
            while start < until:
                end = clock.end(level.period, start, self.zone)
                more = at(end) - at(start)
                if start == level.start:
                    level.extra += more
                    level.lost -= 1
                    level.quality = max(level.quality, ESTIMATED)
                else:
                    quality = self._still(hole, start, end)
                    found.append(
                        Settlement(level.period, start, end, Number(more, -PLACES), None, None, quality, 0)
                    )
                start = end
        self._filled += at(until)
        return [row[2] for row in sorted([((s.end_ms, s.period), i, s) for i, s in enumerate(found)])]

    def _still(self, hole, start, end):
        """The quality of a closed period once a gap in it is filled: suspect while another one is not."""
        for other in self._holes:
            if other is not hole and other[4] and other[0] < end and other[1] > start:
                return SUSPECT
        return ESTIMATED

    # --- snapshots ---------------------------------------------------------------------------------------------------

    def state(self):
        """All that later settlements depend on: a list for canonical CBOR."""
        own = [self._exponent, str(self._sum), str(self._filled), self.time_ms, pack(self.value), self._reached,
               self._begun]  # fmt: skip
        holes = [[h[0], h[1], pack(h[2]), pack(h[3]), h[4], h[5]] for h in self._holes]
        drift = self._drift
        if drift is not None:
            ends = [None if end is None else [end[0], pack(end[1])] for end in drift[:2]]
            drift = ends + [str(drift[2]), drift[3]]
        return [1, own, [level.numbers() for level in self._levels], holes, drift]

    def restore(self, state):
        """Goes on from a `state()` of the same settings; SeriesError, and nothing changes, if it is not one."""
        try:
            version, own, rows, holes, drift = state
            exponent, total, filled, time_ms, value, reached, begun = own
            value = unpack(value)
            if version != 1 or [row[0] for row in rows] != [level.period for level in self._levels]:
                raise ValueError
            if len({time_ms is None, value is None, reached is None, begun is None}) != 1:
                raise ValueError
            levels = [_level(row) for row in rows]
            holes = [[h[0] + 0, h[1] + 0, unpack(h[2]), unpack(h[3]), h[4] is True, h[5] is True] for h in holes]
            if drift is not None:
                ends = [None if end is None else [end[0] + 0, unpack(end[1])] for end in drift[:2]]
                drift = ends + [int(drift[2]), drift[3] + 0]
            exponent, total, filled = exponent + 0, int(total), int(filled)
        except (ValueError, TypeError, IndexError, AttributeError):
            raise SeriesError("this is no state of such a series", "rebuild it from the log")
        self._exponent, self._sum, self._filled = exponent, total, filled
        self.time_ms, self.value, self._reached, self._begun = time_ms, value, reached, begun
        self._levels, self._holes, self._drift = levels, holes, drift


def _level(row):
    level = _Level(row[0])
    level.start, level.end, level.quality, level.readings, level.covered, level.lost = [n + 0 for n in row[1:7]]
    level.base, level.extra, level.since, level.done = int(row[7]), int(row[10]), row[11] + 0, row[12] + 0
    level.max, level.min = [None if text is None else int(text) for text in row[8:10]]
    return level
