"""The bytes of one answer read in every way they can be read, beside what the meter's display shows.

Nobody knows which type and order a maker means until one live value was compared with the display. `of_registers`,
`of_digits` and `of_items` give every reading of an answer's bytes; `ranked` puts those first that the display confirms,
also where it shows another power of ten (Wh and kWh, a register in hundredths).
"""

from carbonterm.errors import FrameError
from carbonterm.field import cjt188, dlt645_items
from carbonterm.field.registers import ORDERS, TYPES, WIDTH, decode
from carbonterm.number import Number

SHOWN, NEAR, OTHER, NOTHING = range(4)  # the display shows it; within 2 %; neither; no number
SHIFTS = (0, -1, -2, -3, 3, 1, 2, -4, -5, -6)  # powers of ten that a register is multiplied by, the likeliest first
_NEAR = Number(2, -2)
_WIDTHS = dict([(name, WIDTH[name]) for name in TYPES if name != "bcd"] + [("bcd16", 1), ("bcd32", 2), ("bcd64", 4)])
_ONE_REGISTER = ("ABCD", "BADC")  # all that there is of orders


class View:
    """One way to read: place (the first register, byte or item's code), type, order, unit or None, value (Number or
    None). With a display's value: match (SHOWN, NEAR, OTHER, NOTHING), shift: the display is value × 10^shift."""

    __slots__ = ("match", "order", "place", "shift", "type", "unit", "value")

    def __init__(self, place, type, order, value, unit=None):
        self.place = place
        self.type = type
        self.order = order
        self.value = value
        self.unit = unit
        self.match = None
        self.shift = 0

    @property
    def shown(self):
        """The value as a display with that power of ten shows it."""
        return None if self.value is None else self.value * Number(1, self.shift)

    def row(self):
        """For JSON: texts, integers and None."""
        shown = self.shown
        return {
            "place": self.place, "type": self.type, "order": self.order, "unit": self.unit,
            "value": None if self.value is None else str(self.value), "scale": str(Number(1, self.shift)),
            "shown": None if shown is None else str(shown), "match": self.match,
        }  # fmt: skip


def of_registers(data, address=0):
    """Views of Modbus registers' bytes, the first of which is register `address`: every type and order that fits."""
    if len(data) % 2:
        raise FrameError("registers of %d bytes" % len(data), "a register is two bytes")
    found = []
    for place in range(len(data) >> 1):
        for type in TYPES:
            for width in (1, 2, 4) if type == "bcd" else (WIDTH[type],):
                part = data[2 * place : 2 * (place + width)]
                if len(part) < 2 * width:
                    continue
                name = "bcd%d" % (16 * width) if type == "bcd" else type
                for order in _ONE_REGISTER if width == 1 else sorted(ORDERS):
                    found.append(View(address + place, name, order, decode(part, type, order)))
    return found


def of_digits(data, identifier):
    """Views of a DL/T 645 answer's payload: what the identifier means, then all its digits with any point."""
    found = []
    try:
        for one in dlt645_items.values(identifier, data):
            if isinstance(one.value, Number) or one.value is None:
                found.append(View(one.code, "item", "", one.value, one.unit))
    except FrameError:
        pass  # of another length than the standard's: the digits are what there is
    if 0 < len(data) <= 8:
        for sign in ("", "s"):
            for places in range(5):
                layout = _layout(len(data), places, sign)
                if layout is not None:
                    found.append(View(0, layout, "", dlt645_items.read(layout, data)))
    return found


def _layout(size, places, sign):
    digits = 2 * size - places
    if digits < 1:
        return None
    return sign + "X" * digits + ("." + "X" * places if places else "")


def of_items(frame):
    """Views of a CJ/T 188 answer with 901F (a Frame): its values by every profile that fits."""
    found = []
    for profile in cjt188.suggest(frame):
        for item in cjt188.readings(frame, profile):
            if isinstance(item.value, Number):
                found.append(View(item.code, "unit first" if profile.unit_first else "unit behind", profile.order,
                                  item.value, item.unit))  # fmt: skip
    return found


def ranked(views, expect=None):
    """The views, best match first; without a display's value (a Number) those with a number first, as they come."""
    keys = []
    for i, view in enumerate(views):
        if view.value is None:
            key = (NOTHING, 0, 0, i)
        elif expect is None:
            key = (SHOWN, 0, 0, i)
        else:
            key = _compare(view, expect) + (i,)
        if expect is not None:
            view.match = key[0]
        keys.append(key)
    return [views[key[3]] for key in sorted(keys)]


def _compare(view, expect):
    """(match, rank of the shift, error) of the best power of ten; sets the view's shift. Of what the display shows
    the longest type comes first: its upper half may be all zeros, and then the lower one alone matches too."""
    best = None
    for rank, shift in enumerate(SHIFTS if expect.mantissa else (0,)):
        value = view.value * Number(1, shift)
        off = abs(value - expect)
        error = _ppm(off, expect)
        if off < Number(1, expect.exponent) and (expect.mantissa == 0 or value.mantissa != 0):
            match, error = SHOWN, -_WIDTHS.get(view.type, 0)
        elif off <= abs(expect) * _NEAR and expect.mantissa:
            match = NEAR
        else:
            match, rank = OTHER, 0
        key = match, rank, error
        if best is None or key < best:
            best = key
            view.shift = 0 if match == OTHER else shift
    return best


def _ppm(off, expect):
    scale = abs(expect) if expect.mantissa else Number(1)
    share = off.ratio()
    whole = scale.ratio()
    return min(share.numerator * whole.denominator * 1000000 // (share.denominator * whole.numerator), 1 << 62)
