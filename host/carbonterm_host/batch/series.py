"""A column of readings of one register through a Settler (clause 8.2.1), whole runs of regular readings at once.

Regular is a reading that is believed, not lower than the one before, and no gap: then nothing but differences, borders
and extremes is asked, which int64 columns answer with the integers that the Settler would have. Between two such runs
the Settler itself is fed, reading by reading. It is handed over by its own `state()` and `restore()`.
"""

import numpy as np

from carbonterm import clock
from carbonterm.number import Number
from carbonterm.series.closing import LONGEST, SUSPECT, Settlement
from carbonterm.series.register import HOUR_MS

SHORTEST = 32  # readings: a shorter run is not worth its own arrays
ROOM = 1 << 61  # what a column's integers may reach, so that sums and differences stay in int64
COLUMNS = ("start", "end", "increment", "high", "low", "exponent", "quality", "readings", "measured")


class Settled:
    """Settlements of one point as columns.

    `.columns(period)` is a dict of arrays: start, end (ms), increment, high, low (mantissas at `exponent`, one for all
    three), quality, readings, and measured: False where there is no max and min, whose columns are then 0.
    """

    __slots__ = ("_parts",)

    def __init__(self, periods):
        self._parts = {period: [] for period in periods}

    def add(self, period, columns):
        self._parts[period].append(columns)

    def take(self, settlements):
        """Adds Settlements of the core."""
        for one in settlements:
            numbers = [one.increment, one.max, one.min]
            exponent = min(n.exponent for n in numbers if n is not None)
            row = [one.start_ms, one.end_ms] + [0 if n is None else n.at(exponent) for n in numbers]
            row += [exponent, one.quality, one.readings, one.max is not None]
            self._parts[one.period].append({name: integers([v]) for name, v in zip(COLUMNS, row, strict=True)})

    def columns(self, period):
        parts = self._parts[period]
        if len(parts) != 1:
            joined = {}
            for name in COLUMNS:
                arrays = [part[name] for part in parts]
                joined[name] = np.concatenate(arrays) if arrays else np.zeros(0, np.int64)
            self._parts[period] = parts = [joined]
        return parts[0]

    def settlements(self, period):
        """The same as Settlements of the core, in order of their times of closing."""
        columns = self.columns(period)
        rows = zip(*(columns[name].tolist() for name in COLUMNS), strict=True)
        for start, end, increment, high, low, exponent, quality, readings, measured in rows:
            numbers = [Number(n, exponent) for n in (increment, high, low)]
            if not measured:
                numbers[1:] = None, None
            yield Settlement(period, start, end, *numbers, quality, readings)


def integers(values):
    """An int64 array of integers, or one of Python's where they are longer."""
    try:
        return np.array(values, np.int64)
    except OverflowError:
        return np.array(values, object)


def settle(settler, times, mantissas, exponents, qualities, found):
    """Feeds columns of readings (int64 arrays; value = mantissa × 10^exponent) to a Settler, as `feed` would one after
    the other; what closes is added to `found` (Settled). qualities: array, or None where all are good."""
    if qualities is not None and len(qualities) and qualities.max() >= SUSPECT:
        keep = qualities < SUSPECT
        times, mantissas, exponents, qualities = times[keep], mantissas[keep], exponents[keep], qualities[keep]
    run = _Runs(settler, times, mantissas, exponents.astype(np.int64), qualities)
    at, count = 0, len(times)
    while at < count:
        stop = run.stop(at)
        if stop - at >= SHORTEST and run.ready(at):
            run.through(at, stop, found)
            at = stop
        else:
            quality = 0 if qualities is None else int(qualities[at])
            found.take(settler.feed(int(times[at]), Number(int(mantissas[at]), int(exponents[at])), quality))
            at += 1


class _Runs:
    """Where a column is regular, and how a Settler goes through a run of it."""

    def __init__(self, settler, times, mantissas, exponents, qualities):
        self.settler, self.times, self.exponents, self.mantissas = settler, times, exponents, mantissas
        self.scaled, self.finest = _at_one_exponent(mantissas, exponents, settler)
        self.ends = np.zeros(0, np.int64)  # without a common scale no run is regular
        if self.scaled is not None and len(times) > 1:
            clean = self._clean(times, self.scaled, qualities)
            self.ends = np.append(np.flatnonzero(~clean) + 1, len(times))

    def _clean(self, times, values, qualities):
        """Whether each reading but the first follows regularly from the one before it."""
        register, steps, ways = self.settler.register, np.diff(times), np.diff(values)
        longest = LONGEST[min(self._periods())]
        if register.interval_ms is not None:
            longest = min(longest, 2 * register.interval_ms)
        clean = (steps > 0) & (steps <= longest) & (ways >= 0)
        if qualities is not None:
            clean &= (qualities[1:] == 0) & (qualities[:-1] == 0)
        if register.modulus is not None:
            clean &= (values[1:] >= 0) & (values[1:] < min(register.modulus.at(self.finest), ROOM))
        if register.limit is not None and clean.any():
            # what the shortest time allows: a reading above it may still be plausible, and the Settler decides
            span = max(int(steps[clean].min()), register.interval_ms or 0)
            limit = register.limit
            clean &= ways <= min((limit * span).round(-self.finest).mantissa // HOUR_MS, ROOM)
        return clean

    def _periods(self):
        return [row[0] for row in self.settler.state()[3]] or [clock.YEAR]

    def stop(self, at):
        """Where the run that the reading `at` continues ends; `at` itself where it is not regular."""
        if not len(self.ends) or at == 0:
            return at
        return int(self.ends[np.searchsorted(self.ends, at)])

    def ready(self, at):
        """Whether the Settler stands at the reading before `at`, with nothing unusual open."""
        _, (time_ms, value, held, _, _), own, _, marks = self.settler.state()
        exponent, total, quality, sampled_ms, sampled, reached = own
        return (
            marks is None and not held and not quality and time_ms == sampled_ms == reached and total == sampled
            and time_ms == self.times[at - 1] and abs(int(total)) * 10 ** (exponent - self.finest) < ROOM
            and value == [int(self.exponents[at - 1]), str(int(self.mantissas[at - 1]))]
        )  # fmt: skip

    def through(self, at, stop, found):
        """The readings from `at` up to `stop`, which are regular."""
        state = self.settler.state()
        times, values = self.times[at - 1 : stop], self.scaled[at - 1 : stop]
        exponents = self.exponents[at - 1 : stop]
        own, up = state[2], 10 ** (state[2][0] - self.finest)
        sums = values + (int(own[1]) * up - int(values[0]))
        floor = self.settler.register.floor
        finest = np.minimum.accumulate(np.minimum(exponents, min(own[0], floor)))  # the Settler's exponent, over time
        common = np.minimum(np.minimum(exponents[1:], exponents[:-1]), floor)  # that borders are rounded at
        ways = np.diff(values)
        last = 10 ** int(finest[-1] - self.finest)
        for row in state[3]:
            self._level(row, up, last, times, values, sums, ways, (finest, common), found)
        total = str(int(sums[-1]) // last)
        end_ms, value = int(times[-1]), [int(exponents[-1]), str(int(self.mantissas[stop - 1]))]
        state[1][:] = [end_ms, value, 0, None, False]
        own[:] = [int(finest[-1]), total, 0, end_ms, total, end_ms]
        self.settler.restore(state)

    def _level(self, row, up, last, times, values, sums, ways, exponents, found):
        """One period's settlements in a run, and the state's row of what is open behind it."""
        period, start, end, quality, readings, base, high, low = row
        base = int(base) * up
        zone = self.settler.zone
        ends = _borders(period, end, int(times[-1]), zone)
        if len(ends):
            after = np.searchsorted(times, ends)
            at = _registers(times, values, ends, after, exponents[1] - self.finest) + (int(sums[0]) - int(values[0]))
            cuts = np.searchsorted(times, ends, "right") - 1  # readings up to each border, itself included
            columns = {
                "start": np.concatenate(([start], ends[:-1])),
                "end": ends,
                "increment": np.diff(at, prepend=base),
                "exponent": exponents[0][after],
                "quality": np.zeros(len(ends), np.int64),
                "readings": np.diff(cuts, prepend=0),
            }
            _extremes(columns, ways, cuts)
            columns["quality"][0] = quality
            columns["readings"][0] += readings
            if high is not None:
                _first(columns, int(high) * up, int(low) * up)
            scale = 10 ** (columns["exponent"] - self.finest)
            for name in ("increment", "high", "low"):
                columns[name] //= scale
            found.add(period, columns)
            ways, base, start, quality, readings = ways[cuts[-1] :], int(at[-1]), int(ends[-1]), 0, 0
            end, high = clock.end(period, start, zone), None
        if len(ways):
            highest, lowest = int(ways.max()), int(ways.min())
            if high is not None:
                highest, lowest = max(highest, int(high) * up), min(lowest, int(low) * up)
            high, low = str(highest // last), str(lowest // last)
        elif high is None:
            low = None
        row[1:] = [start, end, quality, readings + len(ways), str(base // last), high, low]


def _first(columns, high, low):
    """What the first period had seen before the run."""
    if columns["measured"][0]:
        high, low = max(high, int(columns["high"][0])), min(low, int(columns["low"][0]))
    columns["high"][0], columns["low"][0], columns["measured"][0] = high, low, True


def _at_one_exponent(mantissas, exponents, settler):
    """(mantissas at the finest exponent, that exponent); (None, 0) where they don't fit into int64."""
    if not len(mantissas):
        return None, 0
    finest = min(int(exponents.min()), settler.register.floor, settler.state()[2][0])
    most = max(abs(int(mantissas.max())), abs(int(mantissas.min())))
    widest = int(exponents.max()) - finest
    if widest > 18 or most * 10**widest >= ROOM:
        return None, 0
    return (mantissas * 10 ** (exponents - finest) if widest else mantissas), finest


def _borders(period, end, last, zone):
    """Ends of periods from `end` up to `last`, both included."""
    if period <= clock.DAY:
        return np.arange(end, last + 1, clock.LENGTHS[period], dtype=np.int64)
    ends = []
    while end <= last:
        ends.append(end)
        end = clock.end(period, end, zone)
    return np.array(ends, np.int64)


def _registers(times, values, ends, after, exponents):
    """The register at each border: its own reading, or between the readings around it, rounded half to even at their
    exponent (docs/formats.md, "Settlements"). after: index of the first reading not before the border; exponents: of
    each step's rounding, above that of the values."""
    at = values[after]
    between = np.flatnonzero(times[after] != ends)
    if len(between):
        hind = after[between]
        fore = hind - 1
        unit = 10 ** exponents[fore]
        old, step = values[fore] // unit, (values[hind] - values[fore]) // unit
        length, part = times[hind] - times[fore], ends[between] - times[fore]
        if int(step.max()) * int(length.max()) >= ROOM:
            step, part = step.astype(object), part.astype(object)
        product = step * part
        whole = product // length
        twice = 2 * (product - whole * length)
        up = (twice > length) | ((twice == length) & ((old + whole) & 1 == 1))
        at[between] = (old + whole + up) * unit
    return at


def _extremes(columns, ways, cuts):
    """Columns high, low and measured: the largest and smallest step of the readings of each period."""
    begins = np.concatenate(([0], cuts[:-1]))
    some = cuts > begins
    high, low = np.zeros(len(cuts), np.int64), np.zeros(len(cuts), np.int64)
    if some.any():
        seen = ways[: cuts[-1]]
        high[some] = np.maximum.reduceat(seen, begins[some])
        low[some] = np.minimum.reduceat(seen, begins[some])
    columns["high"], columns["low"], columns["measured"] = high, low, some
