"""Analogue and pulse inputs: 4–20 mA and 0–10 V as quantities, NAMUR NE 43 limits, counts of pulses as a register.

A current from 3.8 to 20.5 mA is a measured value (NE 43): a transmitter saturates there, so 3.8 mA is a little below
the range and not yet a fault. 3.6 mA and less or 21 mA and more say that the transmitter or its wire is broken; what
lies between is neither. All is exact: the linear map is evaluated in fractions and rounded once, half to even.

What is no value is None with the reason, never 0 and never the range's end.
"""

from carbonterm.errors import NumberError
from carbonterm.number import Number, Ratio

OPEN, LOW, HIGH, SHORT = "open or failed low", "below the valid range", "above the valid range", "failed high"

# name: (low end, high end, faulty at and below, valid from, valid to, faulty at and above), in mA or V
SIGNALS = {
    "4-20mA": (Number(4), Number(20), Number("3.6"), Number("3.8"), Number("20.5"), Number(21)),
    # a voltage has no live zero: 0 V may be a measured 0 or a broken wire. Limits: 2 % of the span beyond its ends
    "0-10V": (Number(0), Number(10), Number("-0.5"), Number("-0.2"), Number("10.2"), Number("10.5")),
}


class Scale:
    """A linear input. signal: a key of SIGNALS; low, high: quantity at its ends (Numbers); places: decimals."""

    __slots__ = ("_limits", "high", "low", "places")

    def __init__(self, signal, low, high, places=6):
        if signal not in SIGNALS:
            raise NumberError("unknown signal %s" % signal, "it is 4-20mA or 0-10V")
        if low == high:
            raise NumberError("a range from %s to %s" % (low, high), "its two ends differ")
        self._limits = SIGNALS[signal]
        self.low = low
        self.high = high
        self.places = places

    def fault(self, signal):
        """Why a signal (Number, mA or V) is no value: OPEN, LOW, HIGH, SHORT; None if it is one."""
        _, _, failed, least, most, broken = self._limits
        if signal <= failed:
            return OPEN
        if signal < least:
            return LOW
        if signal >= broken:
            return SHORT
        return HIGH if signal > most else None

    def value(self, signal):
        """(Number, None) of a signal in mA or V, or (None, why it is none)."""
        reason = self.fault(signal)
        if reason:
            return None, reason
        start, end = self._limits[:2]
        return (_over(end - start) * (signal - start) * (self.high - self.low) + self.low).round(self.places), None

    def signal(self, value):
        """Number in mA or V that stands for a quantity: what a simulated transmitter gives."""
        start, end = self._limits[:2]
        return (_over(self.high - self.low) * (value - self.low) * (end - start) + start).round(self.places)


def _over(number):
    """1 / number as a Ratio."""
    ratio = number.ratio()
    return Ratio(ratio.denominator, ratio.numerator)


def converted(raw, full, span):
    """Number of mA or V of a converter's raw integer: raw / full × span, e.g. 0 to 27648 for 0 to 20 mA. 6 decimals."""
    if full < 1:
        raise NumberError("a full scale of %d" % full, "it is the raw value at the end of the span")
    return (Ratio(raw, full) * span).round(6)


class Pulses:
    """A pulse input. constant: quantity of one pulse (Number); bits: of the counter, after which it begins again at 0.

    `value` makes a register of the counter; what follows settles its increments by `modulus`.
    """

    __slots__ = ("bits", "constant")

    def __init__(self, constant, bits=32):
        if constant <= 0:
            raise NumberError("a pulse of %s" % constant, "a pulse stands for more than 0, e.g. 0.01 m3")
        if not 8 <= bits <= 64:
            raise NumberError("a counter of %d bits" % bits, "it has 8 to 64")
        self.constant = constant
        self.bits = bits

    @property
    def modulus(self):
        """Number at which the register begins again at 0."""
        return Number(1 << self.bits) * self.constant

    def value(self, count):
        """Number of a counter's state."""
        if not 0 <= count < 1 << self.bits:
            raise NumberError("a count of %d" % count, "a counter of %d bits holds no such count" % self.bits)
        return Number(count) * self.constant

    def pulses(self, before, after):
        """Pulses between two states of the counter, over its end at most once."""
        self.value(before)
        self.value(after)
        return (after - before) % (1 << self.bits)
