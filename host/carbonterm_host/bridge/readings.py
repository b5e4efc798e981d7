"""What a source reads, as messages: exact decimal texts, times in ms, readings of one time together.

A binary floating-point value is written as the shortest decimal that rounds back to it, of its own width: 0.1 as a
single and as a double are both "0.1". Where a source holds decimals (a text, DECIMAL), its digits are kept as they are.
"""

import datetime
import decimal
import math
import struct

from carbonterm.errors import NumberError
from carbonterm.number import Number, float32, float64

# so that no message has more than the 16384 bytes that the terminal's endpoint takes
MOST_VALUES = 50
LONGEST_NAME = 64  # characters, of up to 3 bytes
EARLIEST, LATEST = 10**11, 1 << 53  # ms of a message's time; the terminal takes a smaller number for seconds
LONGEST_TEXT = 60  # of a value; the terminal takes 10^±40
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MS = datetime.timedelta(milliseconds=1)


def messages(readings):
    """List of (time_ms, {name: text or None}) of readings (time_ms, name, text or None) in their order. Neighbours of
    one time share a message, unless one names a value twice or would become too long."""
    found = []
    for time_ms, name, text in readings:
        if not found or found[-1][0] != time_ms or name in found[-1][1] or len(found[-1][1]) == MOST_VALUES:
            found.append((time_ms, {}))
        found[-1][1][name] = text
    return found


def decimal_text(value, single=False):
    """Decimal text of what a source gave; None for what is no number that a terminal takes: None, NaN, infinities,
    other texts and types, more than LONGEST_TEXT characters.

    single: a float stands for an IEEE binary32.
    """
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        text = str(float32(struct.pack(">f", value)) if single else float64(struct.pack(">d", value)))
    elif isinstance(value, (int, decimal.Decimal, str)):
        try:
            text = str(Number(str(value).strip()))
        except (NumberError, ValueError):  # ValueError: an integer too long for Python to write
            return None
    else:
        return None
    return text if len(text) <= LONGEST_TEXT else None


def milliseconds(value, form="iso", zone=None):
    """Milliseconds since 1970 of a time, rounded down; None where it is none, or before March 1973.

    value: a datetime, or by form: "iso" a text, "s" or "ms" a number since 1970. zone: minutes east of Greenwich, of
    times that say none; such a time without `zone` is None.
    """
    found = _counted(value, 1000 if form == "s" else 1) if form != "iso" else _civil(value, zone)
    return found if found is not None and EARLIEST <= found < LATEST else None


def _civil(value, zone):
    if isinstance(value, str):
        try:
            value = datetime.datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if not isinstance(value, datetime.datetime):
        return None
    if value.tzinfo is None:
        if zone is None:
            return None
        value = value.replace(tzinfo=datetime.timezone(datetime.timedelta(minutes=zone)))
    return (value - _EPOCH) // _MS


def _counted(value, scale):
    if isinstance(value, (bool, datetime.datetime)):
        return None
    text = decimal_text(value)
    if text is None:
        return None
    return math.floor(decimal.Decimal(text) * scale)
