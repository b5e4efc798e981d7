"""Inputs of the terminal itself as meters on a bus of kind "analog": 4–20 mA and 0–10 V signals, counters of pulses.

    protocol   unit of a meter         dialect                address of a point    type          order
    analog     the channel's name      [full, [mantissa,      [low, high], each     4-20mA        ABCD
                                       exponent] of span]     [mantissa, exponent]  0-10V
    pulse      the channel's name      None                   bits of the counter   pulse         ABCD

A channel is what the system shows a converter or counter as: a text with one number (Linux: a file of sysfs below the
bus's folder, /sys/bus/iio/devices/iio:device0/in_voltage0_raw). mA or V = number / full × span; low and high are the
quantity at the signal's ends; of a pulse the point's scale is the quantity. carbonterm.field.analog has the limits.
"""

from carbonterm.errors import FrameError, NumberError, quoted
from carbonterm.field.analog import SIGNALS, Scale
from carbonterm.field.requests import Request
from carbonterm.number import Number, Ratio

ANALOG, PULSE = "analog", "pulse"
LONGEST = 64  # bytes of a channel's text


def check_unit(unit):
    """FrameError unless `unit` names a channel: a path below the bus's folder, of 1 to 128 characters."""
    if not isinstance(unit, str) or not 1 <= len(unit) <= 128:
        raise FrameError("%s is no channel" % quoted(str(unit)), "name the file below the bus's folder")
    if [part for part in unit.split("/") if part in ("", ".", "..")] or [c for c in unit if not "!" <= c <= "~"]:
        raise FrameError("%s is no channel" % quoted(unit), "a path like iio:device0/in_voltage0_raw, without . and ..")


def check_dialect(protocol, dialect):
    """See the table at the top."""
    if protocol == PULSE:
        if dialect is not None:
            raise FrameError("a pulse input has no dialect", "leave it out")
        return
    if not isinstance(dialect, (list, tuple)) or len(dialect) != 2 or type(dialect[0]) is not int or dialect[0] < 1:
        raise FrameError("the dialect of an analog input is [full, span]", "full: 4095, span: 20.475 (mA or V)")
    if not _number(dialect[1]) > 0:
        raise FrameError("a span of %s" % _number(dialect[1]), "it is the mA or V at the converter's full scale")


def check_point(protocol, function, address, type, order):
    """See the table at the top."""
    if function != 0 or order != "ABCD":
        raise FrameError("a point of an %s input has function 0 and order ABCD" % protocol)
    if protocol == PULSE:
        if type != PULSE or not _is_int(address) or not 8 <= address <= 64:
            raise FrameError("a pulse input is a counter of 8 to 64 bits", "pulse and bits say it")
        return
    if type not in SIGNALS:
        raise FrameError("unknown signal %s" % quoted(str(type)), "it is " + " or ".join(sorted(SIGNALS)))
    if not isinstance(address, (list, tuple)) or len(address) != 2:
        raise FrameError("the place of an analog point is [low, high]")
    if _number(address[0]) == _number(address[1]):
        raise FrameError("low and high are the same", "they are the quantity at the ends of the signal")


class ChannelRequest(Request):
    """One channel; all points of its meter are in the number that it shows. dialect: the meter's."""

    __slots__ = ("dialect",)

    sent = awaited = 0

    def __init__(self, meter, unit, interval_ms, dialect):
        super().__init__(meter, unit, interval_ms)
        self.dialect = dialect

    @property
    def identifier(self):
        return self.unit

    def joins(self, point, gap, most):
        return True

    def value(self, data, point, place):
        """Number of a channel's text; FrameError says why it is none."""
        try:
            number = Number(bytes(data).decode().strip())
        except (NumberError, UnicodeError):
            raise FrameError("the channel shows no number", "name the file that holds the value")
        if point.type == PULSE:
            if not number.is_integer() or number < 0 or not number < (1 << point.address):
                raise FrameError("a count of %s" % number, "a counter of %d bits holds no such count" % point.address)
            return number
        full, span = self.dialect
        signal = (Ratio(1, full) * number * _number(span)).round(6) if full > 1 else number * _number(span)
        low, high = point.address
        value, reason = Scale(point.type, _number(low), _number(high)).value(signal)
        if reason:
            raise FrameError("%s: %s" % (signal, reason), "look at the transmitter, its supply and its wires")
        return value


def _number(value):
    good = isinstance(value, (list, tuple)) and len(value) == 2 and _is_int(value[0]) and _is_int(value[1])
    if not good:
        raise FrameError("a number is [mantissa, exponent]")
    return Number(value[0], value[1])


def _is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)
