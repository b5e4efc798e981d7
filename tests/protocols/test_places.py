"""Where values are found in each protocol: what is an address, a dialect, a place, a layout, and what is refused."""

import pytest

from carbonterm.errors import FrameError
from carbonterm.field import cjt188, dlt645_items, places
from carbonterm.field.dlt645 import address_bytes, identifier_bytes
from seeded import Random

GOOD_UNITS = (
    ("modbus", 0), ("modbus", 255), ("dlt645-2007", "000000000000"), ("dlt645-2007", "201000000012"),
    ("dlt645-1997", "999999999998"), ("cjt188", "00112233445566"), ("cjt188", "7833AAFF000001"),
)  # fmt: skip
BAD_UNITS = (
    ("modbus", 256), ("modbus", -1), ("modbus", True), ("modbus", "1"), ("modbus", None), ("dlt645-2007", 12),
    ("dlt645-2007", "2010"), ("dlt645-2007", "AAAAAAAAAAAA"), ("dlt645-2007", "99" * 6), ("dlt645-1997",
     "20100000001 "),
    ("dlt645-1997", None), ("cjt188", "001122334455"), ("cjt188", "AA" * 7), ("cjt188", "99" * 7),
    ("cjt188", "0011223344556G"), ("cjt188", "7833aaff000001"), ("cjt188", 1),
)  # fmt: skip


def test_units():
    for protocol, unit in GOOD_UNITS:
        assert places.check_unit(protocol, unit) is None
        if protocol.startswith("dlt"):
            assert len(address_bytes(unit)) == 6
    for protocol, unit in BAD_UNITS:
        with pytest.raises(FrameError) as caught:
            places.check_unit(protocol, unit)
        print(caught.value)


def test_dialects():
    for dialect in ([0x10, "90 1F", False], [0x20, "1F 90", True], [0x49, "90 1F", True]):
        assert places.check_dialect("cjt188", dialect) is None
        assert cjt188.Profile(dialect[1], dialect[2]).unit_first == dialect[2]
    assert places.check_dialect("modbus", None) is None
    for protocol, dialect in (
        ("modbus", [0x10, "90 1F", False]), ("dlt645-2007", []), ("cjt188", None), ("cjt188", []),
        ("cjt188", [0x50, "90 1F", False]), ("cjt188", [0x0F, "90 1F", False]), ("cjt188", ["10", "90 1F", False]),
        ("cjt188", [0x10, "901F", False]), ("cjt188", [0x10, "90 1F", None]), ("cjt188", [0x10, "90 1F"]),
    ):  # fmt: skip
        with pytest.raises(FrameError) as caught:
            places.check_dialect(protocol, dialect)
        print(caught.value)


GOOD = (
    ("modbus", 3, 0, "uint16", "ABCD"), ("modbus", 4, 65534, "float32", "CDAB"), ("modbus", 1, 65535, "int16", "ABCD"),
    ("dlt645-2007", 0, "00010000", "XXXXXX.XX", "ABCD"), ("dlt645-2007", 0, "0201FF00", "XXX.X", "ABCD"),
    ("dlt645-1997", 0, "B611", "XXXX", "ABCD"), ("cjt188", 0, "current", "bcd", "ABCD"),
    ("cjt188", 0, "return_temp", "bcd", "ABCD"),
)  # fmt: skip
BAD = (
    ("modbus", 0, 0, "uint16", "ABCD"), ("modbus", 5, 0, "uint16", "ABCD"), ("modbus", "3", 0, "uint16", "ABCD"),
    ("modbus", 3, -1, "uint16", "ABCD"), ("modbus", 3, 65535, "float32", "ABCD"), ("modbus", 3, 65533, "int64", "ABCD"),
    ("modbus", 3, "00010000", "uint16", "ABCD"), ("modbus", 3, 0, "XXXX", "ABCD"), ("modbus", 3, 0, "uint16", "ABDC"),
    ("modbus", 3, None, "uint16", "ABCD"), ("modbus", 3, 0, None, None), ("dlt645-2007", 3, "00010000", "XX", "ABCD"),
    ("dlt645-2007", 0, "00010000", "XX", "CDAB"), ("dlt645-2007", 0, "9010", "XX", "ABCD"),
    ("dlt645-2007", 0, "0001000g", "XX", "ABCD"), ("dlt645-2007", 0, "0001ab00", "XX", "ABCD"),
    ("dlt645-2007", 0, 65536, "XX", "ABCD"), ("dlt645-2007", 0, "00010000", "XXX", "ABCD"),
    ("dlt645-2007", 0, "00010000", "float32", "ABCD"), ("dlt645-2007", 0, "00010000", None, "ABCD"),
    ("dlt645-1997", 0, "00010000", "XX", "ABCD"), ("cjt188", 0, "901F", "bcd", "ABCD"),
    ("cjt188", 0, "clock", "bcd", "ABCD"), ("cjt188", 0, "current", "float32", "ABCD"),
    ("cjt188", 3, "current", "bcd", "ABCD"), ("cjt188", 0, None, "bcd", "ABCD"),
)  # fmt: skip


def test_points():
    for protocol, function, address, type, order in GOOD:
        assert places.check_point(protocol, function, address, type, order) is None
        if protocol.startswith("dlt"):
            assert len(identifier_bytes(address)) in (2, 4) and dlt645_items.size(type) >= 1
    for protocol, function, address, type, order in BAD:
        with pytest.raises(FrameError) as caught:
            places.check_point(protocol, function, address, type, order)
        print(caught.value)


def test_layouts():
    good = ("XX", "sXX", "XXXX", "XXX.X", "sXXX.XXX", "XXXXXX.XX", "X.XXX", "XXXXXXXXXXXXXXXX")
    for text in good:
        assert places.is_layout(text), text
        assert dlt645_items.read(text, bytes(dlt645_items.size(text))) == 0
    bad = ("", "X", "XXX", "s", "ss", "XX.", ".XX", "X.X.XX", "xx", "XX XX", "NN", "YYMMDD", "X" * 20, None, 8, b"XX")
    for text in bad:
        assert not places.is_layout(text), text


def test_whatever_is_taken_can_be_read():
    """Seeded texts of the letters that layouts have: what is_layout takes, the reader of items reads."""
    random, taken = Random(188), 0
    for _ in range(3000):
        text = "".join(["sX.XXX"[random.below(6)] for _ in range(random.between(1, 10))])
        if places.is_layout(text):
            taken += 1
            assert dlt645_items.read(text, b"\xff" * dlt645_items.size(text)) is None
    print(taken)
    assert taken > 100
