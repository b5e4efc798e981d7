"""Settlements (日结): increments of a register become seconds, minutes, hours, days, months and years (clause 8.2.1).

A streaming fold: readings go in, closed settlements come out; no reading is kept, the work per reading does not grow
with the series. An increment lies evenly over the time between its two readings. Where that time crosses the border of
a period, the register's value at the border is interpolated in integers and rounded half to even, once, for all
periods that end there: so at every level the settlements, with the open one, add up to last minus first, days add up
to months and months to years. docs/series.md says the rules for users.
"""

from carbonterm import clock
from carbonterm.clock import DAY, HOUR, MONTH, YEAR
from carbonterm.errors import SeriesError, quoted
from carbonterm.number import Number, half_even
from carbonterm.series.register import ROLLOVER, Register, pack, unpack

GOOD, ESTIMATED, SUSPECT = range(3)  # quality, as in docs/formats.md

# An increment over a longer time is not apportioned: that is a clock that was wrong, and work without an end. 400 days
# are longer than any period; seconds and minutes stop earlier (28 hours, 69 days), at 100 000 of them.
BACK = 86400000  # a clock set back by no more is waited for; what is further in the future was never true
LONGEST = (100000000, 6000000000, 34560000000, 34560000000, 34560000000, 34560000000)


class Settlement:
    """A period of a series: what the register went on in [start_ms, end_ms).

    increment, max, min: Numbers with the same exponent; max and min are the largest and smallest increment of a
    sampling interval that ends in (start, end] and is no gap, None where there is none. quality: 0 good, 1 estimated,
    2 suspect. readings: how many believed readings lie in (start, end].
    """

    __slots__ = ("period", "start_ms", "end_ms", "increment", "max", "min", "quality", "readings")

    def __init__(self, period, start_ms, end_ms, increment, max, min, quality, readings):
        self.period = period
        self.start_ms = start_ms
        self.end_ms = end_ms
        self.increment = increment
        self.max = max
        self.min = min
        self.quality = quality
        self.readings = readings

    def fields(self):
        """The slots as a tuple, in order."""
        return (
            self.period, self.start_ms, self.end_ms, self.increment, self.max, self.min, self.quality, self.readings,
        )  # fmt: skip

    def __eq__(self, other):
        return isinstance(other, Settlement) and self.fields() == other.fields()

    def __repr__(self):
        texts = [clock.PERIODS[self.period], clock.text(self.start_ms), clock.text(self.end_ms)]
        texts += [str(n) for n in (self.increment, self.max, self.min, self.quality, self.readings)]
        return "Settlement(%s)" % ", ".join(texts)


class _Level:
    """The open settlement of one period; numbers are mantissas at the settler's exponent."""

    __slots__ = ("period", "start", "end", "base", "quality", "readings", "max", "min")

    def __init__(self, period):
        self.period = period
        self.start = self.end = self.base = self.quality = self.readings = 0
        self.max = self.min = None


class Settler:
    """Settles one register.

    zone: minutes east of UTC, where days begin at midnight. modulus, limit: as in `register.Register`. interval_ms: the
    sampling interval; readings further apart than twice that are a gap. periods: of clock.SECOND … YEAR.
    `.total` is the sum of all increments, `.verdict` the register's verdict on the last reading (register.WORDS).
    """

    __slots__ = (
        "zone", "register", "verdict", "_levels", "_exponent", "_sum", "_quality", "_reached", "_sampled_ms",
        "_sampled", "_marks",
    )  # fmt: skip

    def __init__(self, zone, modulus=None, limit=None, interval_ms=None, periods=(HOUR, DAY, MONTH, YEAR)):
        for period in periods or (None,):
            if period not in range(6):
                raise SeriesError("%s is no period" % quoted(str(period)), "periods are clock.SECOND to clock.YEAR")
        if not (isinstance(zone, int) and -840 <= zone <= 840):
            raise SeriesError("zone %s is not in minutes from -840 to 840" % quoted(str(zone)))
        self.zone = zone
        self.register = Register(modulus, limit, interval_ms)
        self.verdict = None
        self._levels = [_Level(period) for period in range(6) if period in periods]
        self._exponent = 0  # of every mantissa below: the finest that came so far
        self._sum = 0
        self._quality = GOOD  # of the reading the register stands at
        self._reached = None  # up to when it is settled: the baseline's time, or later after a clock was set back
        self._sampled_ms = None
        self._sampled = 0  # the sum at the last believed reading, which is where a sampling interval begins
        self._marks = None  # clock unset: [time_ms, value, sum] where it was lost, of the first reading, of the last

    @property
    def total(self):
        """Sum of all increments, a Number."""
        return Number(self._sum, self._exponent)

    def feed(self, time_ms, value, quality=0):
        """The settlements that a reading closes, by end, then from short periods to long: list of Settlement.

        value: Number or None. A reading of quality 2 or more, or without a value, changes nothing.
        """
        return list(self.closings(time_ms, value, quality))

    def closings(self, time_ms, value, quality=0):
        """As `feed`, one after the other: an iterable that holds none, for outages of many periods and small memories.
        It must come to its end before the settler is asked anything but its total and verdict, which are right at once.
        """
        if value is None or quality >= SUSPECT:
            return ()
        register = self.register
        before, old, held, marks = self._reached, register.value, register.held, self._marks
        if marks is not None:
            register.time_ms = self._known(time_ms)
        self.verdict, step = register.step(time_ms, value)
        if self.verdict > ROLLOVER:
            return ()
        doubt = SUSPECT if held > 1 or register.unsure else GOOD
        exponent = value.exponent
        self._marks = None
        if marks is not None and step is not None:
            # nobody knows when the readings of an unset clock were: what they counted lies somewhere before this one
            step = (step + self._number(self._sum - marks[0][2])).normal()
            self._sum, old, doubt = marks[0][2], marks[0][1], max(doubt, ESTIMATED)
            exponent = min(exponent, step.exponent)
        if before is None:
            self._begin(time_ms, value, max(quality, doubt))
            if step is not None:
                self._add(step, min(exponent, register.floor))
                self._sampled = self._sum
            return ()
        if time_ms <= before:
            self._add(step, min(old.exponent, exponent, register.floor))
            self._mark(doubt)
            self._sampled = self._sum
            self._quality = quality
            return ()
        found = self._span(before, time_ms, old, exponent, step, max(quality, doubt))
        if found is None:
            return self._arrive(before, time_ms, quality, doubt)
        return self._through(found, before, time_ms, quality, doubt)

    def stepped(self, before_ms, after_ms):
        """The clock was set from before_ms to after_ms between two readings. Returns the settlements that this closes.

        The baseline moves along, so that the time to the next reading stays the true one. Set back by at most a day,
        the series waits: increments count at the time it had reached, until the clock is there again. Otherwise it
        goes on from the new time: what was open there closes as it stands, where it ends before or begins after it.
        Both sides are estimated, and so is every open period if the step is longer than two sampling intervals.
        """
        register = self.register
        if self._reached is None:
            return []
        if self._marks is not None:
            register.time_ms = self._known(after_ms)
            del self._marks[1:]  # the time that an unset clock showed is lost for good
        shift = after_ms - before_ms
        register.time_ms = min(max(register.time_ms + shift, clock.FLOOR_MS), after_ms)
        self._sampled_ms = min(max(self._sampled_ms + shift, clock.FLOOR_MS), after_ms)
        if self._marks is not None:
            self._marks[0][0] = register.time_ms
        closed = []
        if not register.time_ms < self._reached <= register.time_ms + BACK:
            closed = self._go_on(register.time_ms)
        if register.interval_ms is None or abs(shift) > 2 * register.interval_ms:
            self._mark(ESTIMATED)
        return closed

    def adrift(self, now_ms):
        """From here on readings come by an unset clock, which shows now_ms: they go to `unset`."""
        register = self.register
        if self._marks is None:
            self._marks = [[register.time_ms, register.value, self._sum]]
        del self._marks[1:]  # those of an earlier start by an unset clock never get their time
        if register.value is not None:
            register.time_ms = now_ms - LONGEST[DAY]  # unknown, and long enough for every limit

    def unset(self, time_ms, value, quality=0):
        """As `feed`, with a time by an unset clock: the register goes on and the total grows, no period closes."""
        if value is None or quality >= SUSPECT:
            return
        if self._marks is None:
            self.adrift(time_ms)
        register = self.register
        old = register.value
        self.verdict, step = register.step(time_ms, value)
        if self.verdict > ROLLOVER:
            return
        self._finer(min(value.exponent, register.floor))
        if step is not None:
            self._add(step, min(old.exponent, value.exponent, register.floor))
        del self._marks[2:]
        self._marks.append([register.time_ms, value, self._sum])

    def landed(self, shift_ms):
        """The unset clock was set, shift_ms forward. Returns the settlements that this closes: the increment up to the
        first reading since `adrift` lies evenly before it, the rest evenly up to the last; all of it is estimated."""
        closed, marks = [], self._marks
        if marks is None:
            return closed
        self._marks = None
        self._sum = marks[0][2]
        self.register.time_ms = marks[0][0]
        for i in range(1, len(marks)):
            time_ms, value, total = marks[i]
            self.register.time_ms = time_ms = time_ms + shift_ms
            closed.extend(self._land(time_ms, marks[i - 1][1], value, self._number(total - self._sum).normal()))
            self._sampled_ms, self._sampled = time_ms, self._sum
        self._quality = max(self._quality, ESTIMATED)
        return closed

    def replaced(self, time_ms, last, first):
        """An operator's event: the old meter's last register, the new one's first (Numbers), or a reset of the same
        meter. The total goes on with last minus the last reading, then from `first`.

        Returns the settlements it closes, as `feed`. SeriesError where `last` can't follow; then nothing has changed.
        """
        before, old = self._reached, self.register.value
        if self._marks is not None and old is not None:
            step = self.register.replaced(self.register.time_ms, last, first)
            self._add(step, min(old.exponent, last.exponent, first.exponent, self.register.floor))
            del self._marks[2:]
            self._marks.append([self.register.time_ms, first, self._sum])
            return []
        step = self.register.replaced(time_ms, last, first)
        if old is None:
            self._marks = None
            self._begin(time_ms, first, GOOD)
            return []
        closed = []
        if LONGEST[DAY] >= before - time_ms >= 0:
            self._add(step, min(old.exponent, last.exponent, self.register.floor))
        else:
            closed = list(self._span(before, time_ms, old, last.exponent, step, GOOD) or ())
            if time_ms < before:  # the clock was more than a year ahead: the operator brings the series back
                self.register.time_ms = time_ms
                self._sampled_ms, self._sampled = time_ms, self._sum
            self._reached = time_ms
            self._ends(time_ms, GOOD, closed)
        self._quality = GOOD
        return closed

    def open(self, period):
        """The running settlement of a period so far, with its civil end and quality at least 1; None before the first
        reading; SeriesError for a period that is not settled."""
        for level in self._levels:
            if level.period == period:
                if self._reached is None:
                    return None
                doubt = SUSPECT if self.register.held > 1 else ESTIMATED
                return self._settlement(level, self._sum, doubt)
        raise SeriesError("period %s is not settled here" % quoted(str(period)))

    def go_on(self, other, factor):
        """Continues the series of another settler with the same zone and periods, whose readings come × factor (Ratio)
        from now on: a transformer, the decimals or a limit were changed. What is open is estimated. SeriesError where
        the last reading × factor is none of this register; then this settler is not to be used."""
        self.restore(other.state())
        self.register.rescaled(factor)
        for mark in self._marks or ():
            mark[1] = None if mark[1] is None else (mark[1] * factor).number()
        self._finer(self.register.floor)
        self._mark(ESTIMATED)

    def gap(self, time_ms):
        """(time_ms, value, total) of the last believed reading where one at `time_ms` would end a gap; else None."""
        register = self.register
        if register.value is None or register.interval_ms is None or self._marks is not None:
            return None
        if time_ms - register.time_ms <= 2 * register.interval_ms or register.time_ms < self._reached:
            return None
        return register.time_ms, register.value, self.total

    # --- the fold ----------------------------------------------------------------------------------------------------

    def _begin(self, time_ms, value, quality):
        self._finer(min(value.exponent, self.register.floor))
        for level in self._levels:
            level.start = clock.start(level.period, time_ms, self.zone)
            level.end = clock.end(level.period, time_ms, self.zone)
            inside = time_ms > level.start
            level.quality = ESTIMATED if inside else quality  # nobody saw how the period began
            level.readings = 1 if inside else 0
        self._quality = quality
        self._reached = self._sampled_ms = time_ms

    def _land(self, time_ms, old, value, step):
        """Counts an increment up to a reading of an unset clock, whose true time is known now."""
        exponent = min(value.exponent, step.exponent)
        closed = []
        if self._reached is None:
            self._begin(time_ms, value, ESTIMATED)
            self._add(step, min(exponent, self.register.floor))
        elif time_ms > self._reached:
            closed = list(self._span(self._reached, time_ms, old, exponent, step, ESTIMATED) or ())
            for level in self._levels:
                level.readings += 1
            self._ends(time_ms, ESTIMATED, closed)
            self._reached = time_ms
        else:
            if self._reached > time_ms + BACK:
                closed = self._go_on(time_ms)
            self._add(step, min(old.exponent, exponent, self.register.floor))
        self._mark(ESTIMATED)
        return closed

    def _go_on(self, target):
        """Goes on from another time: what is open and does not hold it closes as it stands."""
        closed = []
        for level in self._levels:
            if not level.start <= target < level.end:
                closed.append(self._settlement(level, self._sum, ESTIMATED))
                self._reopen(level, clock.start(level.period, target, self.zone), self._sum, ESTIMATED)
        self._reached = target
        return closed

    def _known(self, now_ms):
        """The last reading's time before the clock was lost; 400 days ago where there is none."""
        known = self._marks[0][0]
        return now_ms - LONGEST[DAY] if known is None else known

    def _span(self, before, after, old, exponent, step, quality):
        """Adds the increment `step` over (before, after]. None, or an iterator that closes the periods that end in
        between, one after the other."""
        exponent = min(old.exponent, exponent, self.register.floor)
        begin, scale = self._add(step, exponent)
        first = self._levels[0]
        length = after - before
        if first.end >= after and 0 < length <= LONGEST[first.period]:
            return None
        interval = self.register.interval_ms
        gap = interval is not None and length > 2 * interval
        quality = max(quality, self._quality, ESTIMATED if gap else GOOD)
        return self._borders(before, after, old.at(exponent), step.at(exponent), begin, scale, quality)

    def _borders(self, before, after, old, step, begin, scale, quality):
        levels = self._levels
        length = after - before
        for level in levels:
            if not 0 < length <= LONGEST[level.period]:
                worse = max(quality, ESTIMATED)
                yield self._settlement(level, begin, worse)
                self._reopen(level, clock.start(level.period, after - 1, self.zone), begin, worse)
        while True:
            border = min([level.end for level in levels])
            if border >= after:
                return
            register = half_even(old * length + step * (border - before), length)
            closed = []
            self._close(border, begin + (register - old) * scale, quality, closed)
            yield from closed

    def _through(self, found, before, time_ms, quality, doubt):
        """What a span closes, then what its end does."""
        yield from found
        yield from self._arrive(before, time_ms, quality, doubt)

    def _arrive(self, before, time_ms, quality, doubt):
        """Counts the reading at a span's end; the settlements that end exactly there."""
        closed = []
        self._mark(doubt)
        self._sample(before, time_ms)
        self._ends(time_ms, quality, closed)
        self._reached, self._quality = time_ms, quality
        return closed

    def _add(self, step, exponent):
        """Adds an increment to the sum; (the sum before, the weight of a unit at `exponent` in it)."""
        self._finer(exponent)
        scale = 10 ** (exponent - self._exponent)
        begin = self._sum
        self._sum = begin + step.at(exponent) * scale
        return begin, scale

    def _sample(self, before, after):
        """Counts a believed reading, and its sampling interval's increment unless that is a gap."""
        interval = self.register.interval_ms
        longest = LONGEST[DAY] if interval is None else 2 * interval
        full = self._sum - self._sampled if after - self._sampled_ms <= longest else None
        for level in self._levels:
            level.readings += 1
            if full is not None:
                if level.max is None or full > level.max:
                    level.max = full
                if level.min is None or full < level.min:
                    level.min = full
        self._sampled_ms = after
        self._sampled = self._sum

    def _ends(self, time_ms, quality, closed):
        """Closes the periods that end exactly at a reading, with the register's own value."""
        if self._levels[0].end == time_ms:
            self._close(time_ms, self._sum, quality, closed)

    def _close(self, border, at, quality, closed):
        for level in self._levels:
            if level.end == border:
                closed.append(self._settlement(level, at, quality))
                self._reopen(level, border, at, quality)

    def _reopen(self, level, start, base, quality):
        level.start = start
        level.end = clock.end(level.period, start, self.zone)
        level.base = base
        level.quality = quality  # a border in doubt is in doubt on both sides
        level.readings = 0
        level.max = level.min = None

    def _settlement(self, level, at, quality):
        return Settlement(
            level.period, level.start, level.end, self._number(at - level.base), self._number(level.max),
            self._number(level.min), max(quality, level.quality), level.readings,
        )  # fmt: skip

    def _number(self, mantissa):
        return None if mantissa is None else Number(mantissa, self._exponent)

    def _mark(self, quality):
        if quality:
            for level in self._levels:
                level.quality = max(level.quality, quality)

    def _finer(self, exponent):
        """Goes over to a finer exponent, where readings have more decimals than any before."""
        if exponent < self._exponent:
            factor = 10 ** (self._exponent - exponent)
            self._exponent = exponent
            self._sum *= factor
            self._sampled *= factor
            for mark in self._marks or ():
                mark[2] *= factor
            for level in self._levels:
                level.base *= factor
                if level.max is not None:
                    level.max *= factor
                    level.min *= factor

    # --- snapshots ---------------------------------------------------------------------------------------------------

    def state(self):
        """All that later settlements depend on: a list for canonical CBOR. The settings are not in it."""
        levels = []
        for level in self._levels:
            numbers = [_text(level.base), _text(level.max), _text(level.min)]
            levels.append([level.period, level.start, level.end, level.quality, level.readings] + numbers)
        own = [self._exponent, str(self._sum), self._quality, self._sampled_ms, str(self._sampled), self._reached]
        marks = self._marks
        if marks is not None:
            marks = [[time_ms, pack(value), str(total)] for time_ms, value, total in marks]
        return [1, self.register.state(), own, levels, marks]

    def restore(self, state):
        """Goes on from a `state()` of a settler with the same settings; SeriesError, and nothing changes, if it is not
        one."""
        try:
            version, register, own, rows, marks = state
            exponent, total, quality, sampled_ms, sampled, reached = own
            total, sampled = int(total), int(sampled)
            levels = []
            for period, start, end, worst, readings, base, high, low in rows:
                level = _Level(period)
                level.start, level.end, level.quality, level.readings = start + 0, end + 0, worst + 0, readings + 0
                level.base = int(base)
                level.max, level.min = _int(high), _int(low)
                levels.append(level)
            if version != 1 or [level.period for level in levels] != [level.period for level in self._levels]:
                raise ValueError
            exponent, quality = exponent + 0, quality + 0
            if sampled_ms is not None:
                sampled_ms, reached = sampled_ms + 0, reached + 0
            if marks is not None:
                marks = [[at if at is None else at + 0, unpack(value), int(sum_)] for at, value, sum_ in marks]
                if not 1 <= len(marks) <= 3 or (marks[0][0] is None) != (reached is None):
                    raise ValueError
            elif (sampled_ms is None) != (register[0] is None):
                raise ValueError
            if (reached is None) != (sampled_ms is None):
                raise ValueError
            self.register.restore(register)
        except (ValueError, TypeError, IndexError, AttributeError):
            raise SeriesError("this is no state of a settler of these periods", "rebuild it from the log")
        self._exponent, self._sum, self._quality = exponent, total, quality
        self._sampled_ms, self._sampled, self._reached, self._levels = sampled_ms, sampled, reached, levels
        self._marks = marks


def _text(mantissa):
    """A mantissa as text, because it may be longer than CBOR's integers."""
    return None if mantissa is None else str(mantissa)


def _int(text):
    return None if text is None else int(text)
