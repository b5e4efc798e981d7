"""What a meter says it is: the register of its serial number (出厂编号), as text, compared with the record of it.

A place to read is [function, address, count, type, order]: type is an unsigned type of carbonterm.field.registers, bcd,
or text (two ASCII characters a register, high byte first, ended by 0 or blanks). GB/T clause 11.8: the identification
of an instrument must match the software's record of it.
"""

from carbonterm.errors import FrameError
from carbonterm.field.registers import ORDERS, WIDTH, decode, encode
from carbonterm.number import Number

TEXT = "text"
TYPES = ("uint16", "uint32", "uint64", "bcd", TEXT)
MAX_COUNT = 32  # registers


def check(place):
    """FrameError unless `place` is [function, address, count, type, order] of a register that can be read."""
    if not isinstance(place, (list, tuple)) or len(place) != 5:
        raise FrameError("an identity is [function, address, count, type, order]")
    function, address, count, type, order = place
    for value, low, high, name in (
        (function, 3, 4, "function"), (address, 0, 0xFFFF, "address"), (count, 1, MAX_COUNT, "count"),
    ):  # fmt: skip
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise FrameError("%s of an identity must be an integer from %d to %d" % (name, low, high))
    if type not in TYPES or order not in ORDERS:
        raise FrameError("an identity's type is one of %s, its order ABCD CDAB BADC DCBA" % " ".join(TYPES))
    right = count in (1, 2, 4) if type == "bcd" else type == TEXT or count == WIDTH[type]
    if not right or address + count > 0x10000:
        raise FrameError("%d registers from %d hold no %s" % (count, address, type))


def said(data, type, order):
    """The serial number in a meter's bytes as text, None where they hold none (no digits, nothing printable)."""
    if type != TEXT:
        value = decode(data, type, order)
        return None if value is None else str(value)
    text = "".join([chr(byte) for byte in _swapped(data, order) if 32 <= byte < 127]).strip()
    return text or None


def tell(text, count, type, order):
    """The bytes of a meter that says `text`: what `said` reads. FrameError where the register cannot hold it."""
    if type != TEXT:
        return encode(Number(text), type, order, count)
    data = text.encode()
    if len(data) > 2 * count:
        raise FrameError("%d registers hold no text of %d bytes" % (count, len(data)))
    return _swapped(data + bytes(2 * count - len(data)), order)


def _swapped(data, order):
    if not ORDERS[order][1]:
        return data
    return b"".join([bytes([data[i + 1], data[i]]) for i in range(0, len(data) - 1, 2)])


def same(recorded, told):
    """Whether a record and a meter name one serial number: case, blanks, "-" and zeros in front mean nothing."""
    return _plain(recorded) == _plain(told)


def _plain(text):
    short = "".join([c for c in text.upper() if c not in " -"])
    while len(short) > 1 and short[0] == "0":
        short = short[1:]
    return short
