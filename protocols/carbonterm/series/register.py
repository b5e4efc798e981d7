"""A meter's register: consecutive readings become increments (T/CSMT clause 8.2.1, full-scale rollover 8.2.2).

An increment is the difference to the *baseline*, the last reading that was believed. A reading that can't be explained
(a register that runs backwards or jumps further than it can) is held: it gives no increment and the baseline stays, so
a passing glitch costs nothing and nothing false enters a total. What was held is never believed because there was much
of it or because time went by; only a reading that follows from the baseline, or an operator's word, goes on.
"""

from carbonterm.errors import NumberError, SeriesError, quoted
from carbonterm.number import Number

HOUR_MS = 3600000

FIRST, FORWARD, ROLLOVER, LATE, INVALID, BACKWARDS, FAST = range(7)  # verdicts; up to ROLLOVER believed
WORDS = (
    "first reading",
    "forward",
    "rollover",
    "not later than the last reading and not above it",
    "outside the register (negative, or at or above the modulus)",
    "backwards",
    "faster than the limit",
)


class Register:
    """Increments of one register.

    modulus: maximum output number + 1 (10000 for a counter of four digits, and for one that shows 9999.99), or None;
    then every backward step is suspect. limit: largest plausible increase in units per hour, or None. interval_ms: the
    sampling interval, what the limit allows at least whatever the clock says. Numbers, or texts and ints for Number.

    `.time_ms`, `.value` are the baseline (None before the first reading), `.held` counts the readings held since.
    `.unsure`: the last believed reading came after a gap in which the register may, by its limit, have passed full
    scale once more than was counted.
    """

    __slots__ = ("modulus", "limit", "interval_ms", "time_ms", "value", "held", "ahead", "told", "floor", "unsure")

    def __init__(self, modulus=None, limit=None, interval_ms=None):
        self.modulus = _positive("modulus", modulus)
        self.limit = _positive("limit", limit)
        if interval_ms is not None and not (isinstance(interval_ms, int) and interval_ms > 0):
            raise SeriesError("interval %s is not a positive number of milliseconds" % quoted(str(interval_ms)))
        self.interval_ms = interval_ms
        self.time_ms = None
        self.value = None
        self.held = 0
        self.ahead = None  # the smallest way from the baseline forward to a held reading
        self.unsure = False
        self.told = False  # the baseline is an operator's word: what is older was another meter's
        self.floor = 0 if self.modulus is None else min(0, self.modulus.exponent)

    def step(self, time_ms, value):
        """(verdict, increment) of a reading; increment is a Number, None for FIRST and for what is not believed.

        A backward step with a modulus is a rollover where the way through full scale is plausible: within the limit
        for the time that passed, or without a limit not more than half the modulus. A reading at or before the
        baseline's time is LATE (a copy, or a clock set back) and changes nothing, unless the register moved forward
        by no more than the limit allows one interval: then it counts, at the baseline's time. What is older than an
        event is the old meter's and never counts.
        """
        old = self.value
        exponent = min(value.exponent, self.floor)
        if old is not None:
            exponent = min(exponent, old.exponent)
            if self.ahead is not None:
                exponent = min(exponent, self.ahead.exponent)
        new = value.at(exponent)
        modulus = None
        if self.modulus is not None:
            modulus = self.modulus.at(exponent)
            if not 0 <= new < modulus:
                return INVALID, None
        if old is None:
            self.time_ms, self.value = time_ms, value
            return FIRST, None
        way = new - old.at(exponent)
        elapsed = time_ms - self.time_ms
        if elapsed <= 0:
            if way <= 0 or (self.told and elapsed) or not self._plausible(way, 0, exponent):
                return LATE, None
            time_ms = self.time_ms
            verdict = FORWARD
        elif way >= 0:
            verdict = FORWARD if self._plausible(way, elapsed, exponent) else FAST
        elif modulus is None:
            self.held += 1
            return BACKWARDS, None
        else:
            way += modulus
            plausible = self._plausible(way, elapsed, exponent) and (self.limit is not None or 2 * way <= modulus)
            verdict = ROLLOVER if plausible else BACKWARDS
        if verdict >= BACKWARDS:
            self.held += 1
            if self.ahead is None or way < self.ahead.at(exponent):
                self.ahead = Number(way, exponent)
            return verdict, None
        self.rebase(time_ms, value)
        self.unsure = (
            modulus is not None and self.limit is not None and self.interval_ms is not None
            and elapsed > 2 * self.interval_ms and way + modulus <= self._allowed(elapsed, exponent)
        )  # fmt: skip
        return verdict, Number(way, exponent)

    def replaced(self, time_ms, last, first):
        """An operator's word: the register stood at `last`, was replaced or reset at `time_ms`, and began at `first`.

        Returns the increment from the baseline to `last` (0 where there was none) and goes on from `first`. `first`
        = `last` confirms a jump that was held. SeriesError, and nothing changes, where `last` can't follow.
        """
        way = Number(0)
        if self.modulus is not None:
            for name, value in (("last", last), ("first", first)):
                if value < 0 or value >= self.modulus:
                    raise SeriesError("%s = %s is outside the register of modulus %s" % (name, value, self.modulus))
        if self.value is not None:
            way = last - self.value
            if way < 0 and self.modulus is not None and (way + self.modulus) * 2 <= self.modulus:
                way = way + self.modulus
            if way < 0:
                raise SeriesError(
                    "last = %s is below the register's last reading %s" % (last, self.value),
                    "give the old meter's register as it was when it was taken off, in the unit of the readings",
                )
            time_ms = max(time_ms, self.time_ms)
        self.rebase(time_ms, first)
        self.told = True
        return way

    def rescaled(self, factor):
        """What the baseline shows where every reading is multiplied by `factor` (Ratio) from now on, as the ratio of a
        transformer was changed. SeriesError, and nothing changes, where that is no reading of this register."""
        value = None if self.value is None else (self.value * factor).number()
        if self.value is not None and (value is None or (self.modulus is not None and not value < self.modulus)):
            raise SeriesError("the last reading × %s is no reading of the register" % factor)
        self.rebase(self.time_ms, value)

    def rebase(self, time_ms, value):
        """A new baseline; what was held is forgotten."""
        self.time_ms, self.value = time_ms, value
        self.held, self.ahead, self.told = 0, None, False

    def _plausible(self, way, elapsed, exponent):
        """Whether the register can have gone `way` (mantissa at `exponent`) in `elapsed` ms.

        Below everything that was held: waiting does not make a jump true. And within limit × time, rounded up to a
        whole last digit, because a register that shows whole units moves in whole units.
        """
        if self.ahead is not None and way >= self.ahead.at(exponent):
            return False
        if self.limit is None:
            return True
        return way <= self._allowed(elapsed, exponent)

    def _allowed(self, elapsed, exponent):
        """The mantissa at `exponent` of limit × time, rounded up."""
        allowed = self.limit.mantissa * max(elapsed, self.interval_ms or 0)
        shift = self.limit.exponent - exponent
        if shift >= 0:
            return -(-allowed * 10**shift // HOUR_MS)
        return -(-allowed // (HOUR_MS * 10**-shift))

    def state(self):
        """What a snapshot holds: a list for canonical CBOR."""
        return [self.time_ms, pack(self.value), self.held, pack(self.ahead), self.told]

    def restore(self, state):
        time_ms, value, held, ahead, told = state
        value, ahead, held = unpack(value), unpack(ahead), held + 0
        if time_ms is not None:
            time_ms = time_ms + 0
        if (time_ms is None) != (value is None) or told not in (True, False):
            raise SeriesError("this is no state of a register", "rebuild it from the log")
        self.time_ms, self.value, self.held, self.ahead, self.told = time_ms, value, held, ahead, told


def pack(number):
    """[exponent, mantissa] of a Number or None, the mantissa as text: it may be longer than CBOR's integers."""
    return None if number is None else [number.exponent, str(number.mantissa)]


def unpack(item):
    """What `pack` packed."""
    return None if item is None else Number(int(item[1]), item[0])


def _positive(name, value):
    if value is None:
        return None
    try:
        value = value if isinstance(value, Number) else Number(value)
    except NumberError as error:
        raise SeriesError("%s: %s" % (name, error.what), error.hint)
    if value <= 0:
        raise SeriesError("%s %s is not above 0" % (name, value), "leave it out where there is none")
    return value.normal()
