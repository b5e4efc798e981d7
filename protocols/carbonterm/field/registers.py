"""Register values: bytes of Modbus registers to exact numbers and back.

A register is two bytes, high byte first. A value of more registers comes in one of four orders, named by where the
bytes of a 32-bit value ABCD stand on the wire:

    ABCD  as written                      CDAB  low register first ("word swap")
    DCBA  all bytes reversed              BADC  low byte first inside each register ("byte swap")

Values of 64 bits likewise (CDAB: registers in reverse order, and so on); for one register ABCD and CDAB are the same,
and so are BADC and DCBA. Vendors use these names loosely: compare a live value in all four before you believe one.
"""

from carbonterm.errors import FrameError, quoted
from carbonterm.number import Number, bcd, float32, float64, half_even, signed, unsigned

# registers of a value; bcd also comes in 1 or 4
WIDTH = {
    "int16": 1, "uint16": 1, "int32": 2, "uint32": 2, "int64": 4, "uint64": 4, "float32": 2, "float64": 4, "bcd": 2,
}  # fmt: skip
TYPES = ("int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "bcd")

# order: (registers reversed, bytes swapped inside each register)
ORDERS = {"ABCD": (False, False), "CDAB": (True, False), "BADC": (False, True), "DCBA": (True, True)}

_DECODERS = {
    "int16": signed, "int32": signed, "int64": signed, "uint16": unsigned, "uint32": unsigned, "uint64": unsigned,
    "float32": float32, "float64": float64, "bcd": bcd,
}  # fmt: skip
_FLOATS = {"float32": (8, 23), "float64": (11, 52)}  # exponent and fraction bits
_BCD_WIDTHS = (1, 2, 4)


def decode(data, type, order="ABCD"):
    """Number of a value's bytes as they came; None where they are none (NaN, infinity, no BCD digits).

    FrameError for an unknown type or order and for a number of bytes the type does not have.
    Example: decode(b"\\x80\\x6b\\x42\\x12", "float32", "CDAB") is Number("36.62541").
    """
    if WIDTH.get(type) != len(data) >> 1 or len(data) & 1:
        _check(type, order, len(data))
    value = _DECODERS[type](data if order == "ABCD" else reorder(data, order))
    return Number(value, 0) if isinstance(value, int) else value


def encode(number, type, order="ABCD", width=None):
    """Bytes of a value as a meter sends it; what `decode` gives back. number: Number, int, or None for "unknown".

    Integers and bcd are rounded half to even; unsigned ones and bcd roll over at the end of their range as a meter's
    counter does. Floats are rounded half to even at their last bit. None gives NaN, or FF in every byte of a bcd.
    width: registers of a bcd (1, 2, 4). FrameError for what the type cannot hold.
    """
    width = width or WIDTH.get(type, 0)
    _check(type, order, 2 * width)
    if number is None:
        if type == "bcd":
            return b"\xff" * (2 * width)
        if type not in _FLOATS:
            raise FrameError("%s has no bytes that mean unknown" % type)
        exponent_bits, fraction_bits = _FLOATS[type]
        value = ((2 << exponent_bits) - 1) << (fraction_bits - 1)
    elif type in _FLOATS:
        value = _float_bits(_number(number), type)
    else:
        value = _integer_bits(_number(number).at(0), type, 2 * width)
    return reorder(value.to_bytes(2 * width, "big"), order)


def reorder(data, order):
    """Bytes put from `order` to ABCD, or from ABCD to `order`: each is its own inverse."""
    if order not in ORDERS:
        raise FrameError("unknown order %s" % quoted(str(order)), "orders: ABCD CDAB BADC DCBA")
    words, swapped = ORDERS[order]
    if not (words or swapped):
        return bytes(data)
    last, flip = (len(data) - 2 if words else 0), (1 if swapped else 0)
    return bytes(data[(last - (i & -2) if words else i & -2) + (i & 1 ^ flip)] for i in range(len(data)))


def _check(type, order, size):
    if type not in WIDTH:
        raise FrameError("unknown register type %s" % quoted(str(type)), "types: " + " ".join(TYPES))
    if order not in ORDERS:
        raise FrameError("unknown order %s" % quoted(str(order)), "orders: ABCD CDAB BADC DCBA")
    widths = _BCD_WIDTHS if type == "bcd" else (WIDTH[type],)
    if size % 2 or size // 2 not in widths:
        wanted = " or ".join(str(2 * w) for w in widths)
        raise FrameError("%s of %d bytes" % (type, size), "it takes %s" % wanted)


def _number(value):
    return value if isinstance(value, Number) else Number(value)


def _integer_bits(value, type, size):
    if type == "bcd":
        if value < 0:
            raise FrameError("bcd holds no %d" % value, "it has no sign")
        digits = str(value % 10 ** (2 * size))
        return int(digits, 16)
    top = 1 << 8 * size
    if type[0] == "i":
        if not -top // 2 <= value < top // 2:
            raise FrameError("%s holds no %d" % (type, value))
        return value % top
    if value < 0:
        raise FrameError("%s holds no %d" % (type, value))
    return value % top


def _float_bits(number, type):
    """IEEE-754 bits nearest to an exact decimal, as an integer (Clinger 1990, in plain integers)."""
    exponent_bits, fraction_bits = _FLOATS[type]
    ratio = number.ratio()
    above, below = abs(ratio.numerator), ratio.denominator
    if above == 0:
        return 0
    power = _bit_length(above) - _bit_length(below)
    if (above < below << power) if power >= 0 else (above << -power < below):
        power -= 1  # now 2^power <= value < 2^(power+1)
    bias = (1 << (exponent_bits - 1)) - 1
    power = max(power, 1 - bias)  # subnormal numbers share the smallest exponent
    shift = fraction_bits - power
    mantissa = half_even(above << shift, below) if shift >= 0 else half_even(above, below << -shift)
    # the mantissa's top bit, absent in subnormal numbers and doubled by a carry, adds to the exponent by itself
    bits = ((power + bias - 1) << fraction_bits) + mantissa
    if bits >= ((1 << exponent_bits) - 1) << fraction_bits:
        raise FrameError("%s holds no number of this size (%d digits)" % (type, len(str(above // below))))
    return bits | (1 << (exponent_bits + fraction_bits)) if ratio.numerator < 0 else bits


def _bit_length(value):
    length = 0
    while value >> 32:
        value >>= 32
        length += 32
    while value:
        value >>= 1
        length += 1
    return length
