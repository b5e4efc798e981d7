"""The core's shortest decimals against CPython's own repr, which is the reference for binary64."""

import struct
from decimal import Decimal
from random import Random

from carbonterm.number import float32, float64


def test_binary64_is_what_repr_prints():
    random = Random(754)
    for bits in [random.getrandbits(64) for _ in range(20000)] + [p << 52 for p in range(2047)]:
        data = bits.to_bytes(8, "big")
        value = struct.unpack(">d", data)[0]
        if value - value == 0:
            assert Decimal(str(float64(data))) == Decimal(repr(value)), data.hex()
        else:
            assert float64(data) is None


def test_binary32_rounds_back_and_is_shortest():
    random = Random(754)
    for bits in [random.getrandbits(32) for _ in range(20000)] + [p << 23 for p in range(255)]:
        data = bits.to_bytes(4, "big")
        value = struct.unpack(">f", data)[0]
        if value - value != 0 or value == 0:
            continue
        number = float32(data)
        assert struct.pack(">f", float(str(number))) == data
        digits = len(str(abs(number.normal().mantissa)))
        assert digits == 1 or abs(value) > 3.4e38 or struct.pack(">f", float(f"{value:.{digits - 2}e}")) != data
