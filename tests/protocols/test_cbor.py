"""Canonical bytes: RFC 8949 appendix A where our subset reaches, and everything that must be refused."""

import pytest

from carbonterm import cbor
from carbonterm.errors import CborError
from seeded import Random

# RFC 8949 appendix A
KNOWN = (
    (0, "00"), (1, "01"), (10, "0a"), (23, "17"), (24, "1818"), (25, "1819"), (100, "1864"), (1000, "1903e8"),
    (1000000, "1a000f4240"), (1000000000000, "1b000000e8d4a51000"), (18446744073709551615, "1bffffffffffffffff"),
    (-18446744073709551616, "3bffffffffffffffff"), (-1, "20"), (-10, "29"), (-100, "3863"), (-1000, "3903e7"),
    (False, "f4"), (True, "f5"), (None, "f6"), (b"", "40"), (b"\x01\x02\x03\x04", "4401020304"),
    ("", "60"), ("a", "6161"), ("IETF", "6449455446"), ('"\\', "62225c"), ("\u00fc", "62c3bc"),
    ("\u6c34", "63e6b0b4"), ("\U00010151", "64f0908591"), ([], "80"), ([1, 2, 3], "83010203"),
    ([1, [2, 3], [4, 5]], "8301820203820405"),
    (list(range(1, 26)), "98190102030405060708090a0b0c0d0e0f101112131415161718181819"),
)  # fmt: skip

# hex of what no canonical encoder of the subset writes, and why
REFUSED = (
    ("", "empty"), ("18", "head cut"), ("1817", "23 in two bytes"), ("190018", "24 in three bytes"),
    ("1a0000ffff", "65535 in five"), ("1b00000000ffffffff", "2^32-1 in nine"), ("3817", "-24 in two bytes"),
    ("1c", "reserved"), ("1f", "reserved"), ("5f4100ff", "indefinite bytes"), ("7f6161ff", "indefinite text"),
    ("9f01ff", "indefinite array"), ("a0", "map"), ("a10102", "map"), ("c000", "tag"), ("f7", "undefined"),
    ("f0", "simple value"), ("f90000", "half float"), ("fa00000000", "float"), ("fb0000000000000000", "double"),
    ("ff", "break"), ("0000", "trailing byte"), ("8201", "array cut"), ("4301ff", "bytes cut"), ("62c3", "text cut"),
    ("61ff", "not UTF-8"), ("62c080", "overlong"), ("63eda080", "surrogate"), ("64f4908080", "above U+10FFFF"),
    ("63e08080", "overlong"), ("9bffffffffffffffff", "length that is a lie"), ("5affffffff", "length that is a lie"),
)  # fmt: skip


def test_known_encodings():
    for value, hexed in KNOWN:
        assert cbor.encode(value) == bytes.fromhex(hexed), hexed
        assert cbor.decode(bytes.fromhex(hexed)) == value, hexed


def test_not_canonical_is_refused():
    for hexed, why in REFUSED:
        with pytest.raises(CborError) as caught:
            cbor.decode(bytes.fromhex(hexed))
        print(hexed, why, caught.value)


def test_values_without_an_encoding():
    for value in (1 << 64, -(1 << 64) - 1, object, {"a": 1}, "\ud800"):
        with pytest.raises(CborError):
            cbor.encode(value)
    deep = []
    for _ in range(16):
        deep = [deep]
    with pytest.raises(CborError, match="deeper"):
        cbor.encode(deep)
    with pytest.raises(CborError, match="deeper"):
        cbor.decode(b"\x81" * 17 + b"\x00")
    assert cbor.decode(cbor.encode(deep[0])) == deep[0]


def test_what_is_accepted_is_what_would_be_written():
    random, accepted = Random(8949), 0
    heads = (0x00, 0x17, 0x18, 0x19, 0x20, 0x38, 0x40, 0x41, 0x42, 0x60, 0x61, 0x62, 0x80, 0x81, 0x82, 0x83, 0xF4, 0xF6)
    for _ in range(4000):
        size = random.between(1, 9)
        data = bytes(random.choice(heads) if random.below(2) else random.below(256) for _ in range(size))
        try:
            value = cbor.decode(data)
        except CborError:
            continue
        accepted += 1
        assert cbor.encode(value) == data
    print(accepted)
    assert accepted > 100
