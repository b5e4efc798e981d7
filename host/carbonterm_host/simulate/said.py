"""What a register's bytes say, read by other means than the core's codec: the second opinion of ground truth.

CPython reads integers by itself, floats by struct and as their shortest decimal. MicroPython has no Decimal; there the
core's own decoder is asked, and whoever compares has the second opinion.
"""

import struct

from carbonterm.field import dlt645_items, registers
from carbonterm.number import Number

try:
    from decimal import Decimal
except ImportError:
    Decimal = None


def modbus(data, type, order, scale):
    """Decimal text in the row's unit of a Modbus register's bytes, scale a text; None for NaN and what is no number."""
    if Decimal is None:
        value = registers.decode(data, type, order)
        return None if value is None else str((value * Number(scale)).normal())
    data = _unordered(data, order)
    if type.startswith("float"):
        raw = _shortest(data)
    elif type == "bcd":
        raw = Decimal(data.hex()) if data.hex().isdigit() else None
    else:
        raw = Decimal(int.from_bytes(data, "big", signed=type[0] == "i"))
    return None if raw is None else format((raw * Decimal(scale)), "f")


def digits(data, places, signed=False):
    """Decimal text of packed digits as they come on a DL/T 645 or CJ/T 188 wire, the last first; None: no digits."""
    if Decimal is None:
        layout = "s" * signed + "X" * (2 * len(data) - places) + ("." + "X" * places if places else "")
        value = dlt645_items.read(layout, data)
        return None if value is None else str(value)
    text = data[::-1].hex()
    negative = signed and text[0] >= "8"
    if negative:
        text = str(int(text[0], 16) - 8) + text[1:]
    if not text.isdigit() or data == b"\xff" * len(data):
        return None
    return format(Decimal(text).scaleb(-places) * (-1 if negative else 1), "f")


def _unordered(data, order):
    words = [data[i : i + 2] for i in range(0, len(data), 2)]
    if order in ("BADC", "DCBA"):
        words = [word[::-1] for word in words]
    if order in ("CDAB", "DCBA"):
        words.reverse()
    return b"".join(words)


def _shortest(data):
    """Decimal of a float's bytes with the fewest digits that give the same bytes; None for NaN and infinity."""
    code, most = (">f", 9) if len(data) == 4 else (">d", 17)
    value = struct.unpack(code, data)[0]
    if value != value or abs(value) == float("inf"):
        return None
    for count in range(1, most + 1):
        text = f"{value:.{count}g}"
        try:
            if struct.pack(code, float(text)) == data:
                return Decimal(text)
        except OverflowError:
            continue
    return Decimal(value)
