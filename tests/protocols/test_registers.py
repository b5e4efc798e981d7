"""Values of registers: types, orders, what is no number, and the meter's way back."""

import pytest

from carbonterm.errors import FrameError
from carbonterm.field.registers import ORDERS, TYPES, WIDTH, decode, encode, reorder
from carbonterm.number import Number
from seeded import Random
from vectors import load


def test_orders_are_where_the_bytes_stand():
    for order, two, four, eight in (
        ("ABCD", b"AB", b"ABCD", b"ABCDEFGH"), ("CDAB", b"AB", b"CDAB", b"GHEFCDAB"),
        ("BADC", b"BA", b"BADC", b"BADCFEHG"), ("DCBA", b"BA", b"DCBA", b"HGFEDCBA"),
    ):  # fmt: skip
        assert reorder(b"AB", order) == two and reorder(b"ABCD", order) == four and reorder(b"ABCDEFGH", order) == eight
        for data in (b"AB", b"ABCD", b"ABCDEFGH"):
            assert reorder(reorder(data, order), order) == data
    assert sorted(ORDERS) == ["ABCD", "BADC", "CDAB", "DCBA"]


@pytest.mark.requirement("T-11.3-1")
def test_the_vectors_give_their_values():
    wanted = {  # the decimals of the vectors, as the bits have them
        "modbus-01": ("float32", "ABCD", "1", "230.20001"), "modbus-03": ("float32", "ABCD", "1", "49.987003"),
        "modbus-05": ("float32", "ABCD", "1", "50"), "modbus-07": ("int32", "ABCD", "0.001", "28.300"),
        "modbus-15": ("float32", "CDAB", "1", "36.62541"), "modbus-17": ("int32", "ABCD", "0.01", "1234.56"),
    }  # fmt: skip
    seen = 0
    for vector in load("field_frames")["vectors"]:
        if vector["id"] in wanted:
            type, order, scale, value = wanted[vector["id"]]
            data = bytes.fromhex(vector["frames"][1]["hex"].replace(" ", ""))[3:-2]
            found = decode(data, type, order) * Number(scale)
            assert found == Number(value) and str(found) == value, vector["id"]
            seen += 1
        if vector["id"] == "modbus-11":
            data = bytes.fromhex(vector["frames"][1]["hex"].replace(" ", ""))[3:-2]
            assert str(decode(data[2:6], "float32").round(3)) == "27.759"  # at an odd offset
    assert seen == len(wanted)


def test_every_type_at_its_edges():
    for type, hexed, value in (
        ("int16", "7FFF", "32767"), ("int16", "8000", "-32768"), ("int16", "FFFF", "-1"), ("uint16", "FFFF", "65535"),
        ("int32", "80000000", "-2147483648"), ("uint32", "FFFFFFFF", "4294967295"), ("int32", "FFFFFFFE", "-2"),
        ("int64", "8000000000000000", "-9223372036854775808"), ("uint64", "FFFFFFFFFFFFFFFF", "18446744073709551615"),
        ("int64", "00000000075BCD15", "123456789"), ("float32", "C2C80000", "-100"), ("float32", "00000000", "0"),
        ("float64", "3FB999999999999A", "0.1"), ("bcd", "12345678", "12345678"), ("bcd", "0099", "99"),
        ("bcd", "0000000000000001", "1"),
    ):  # fmt: skip
        data = bytes.fromhex(hexed)
        assert str(decode(data, type)) == value
        assert encode(Number(value), type, width=len(data) // 2) == data
        for order in ORDERS:
            assert decode(reorder(data, order), type, order) == Number(value)
    assert sorted(TYPES) == sorted(WIDTH)


def test_unknown_stays_unknown():
    for type, hexed in (
        ("float32", "7FC00000"), ("float32", "7F800000"), ("float32", "FFFFFFFF"), ("float64", "FFF0000000000000"),
        ("float64", "7FF8000000000000"), ("bcd", "FFFFFFFF"), ("bcd", "1234567A"), ("bcd", "A000"),
    ):  # fmt: skip
        assert decode(bytes.fromhex(hexed), type) is None
    for type in ("float32", "float64", "bcd"):
        for order in ORDERS:
            assert decode(encode(None, type, order), type, order) is None
    assert encode(None, "bcd", width=1) == b"\xff\xff" and encode(None, "float32") == b"\x7f\xc0\x00\x00"


def test_what_has_no_registers_is_refused():
    for call in (
        lambda: decode(b"12", "int8"), lambda: decode(b"12", ""), lambda: decode(b"12", None),
        lambda: decode(b"12", "int16", "AB"), lambda: decode(b"12", "int16", ""), lambda: decode(b"12", "int16", None),
        lambda: decode(b"", "bcd"), lambda: decode(b"", "int16"), lambda: decode(b"1", "int16"),
        lambda: decode(b"123", "int32"),
        lambda: decode(b"12", "int32"), lambda: decode(b"12345678", "float32"), lambda: decode(b"1234", "float64"),
        lambda: decode(b"123456", "bcd"), lambda: encode(1, "int24"), lambda: encode(1, "int16", "XY"),
        lambda: encode(1, "int16", width=2), lambda: encode(1, "bcd", width=3), lambda: encode(None, "int16"),
        lambda: encode(None, "uint64"), lambda: encode(-1, "uint16"), lambda: encode(-1, "bcd"),
        lambda: encode(32768, "int16"), lambda: encode(-32769, "int16"), lambda: encode(Number("1e39"), "float32"),
        lambda: encode(Number("-1e309"), "float64"), lambda: encode(Number("3.4028235678e38"), "float32"),
        lambda: reorder(b"12", "BA"),
    ):  # fmt: skip
        with pytest.raises(FrameError) as caught:
            call()
        print(caught.value)
    with pytest.raises(ValueError):
        encode("x", "int16")
    with pytest.raises(ValueError):
        encode(1.5, "float32")


def test_counters_roll_over_as_meters_do():
    for type, value, back in (
        ("uint16", 65536, 0), ("uint16", 65535 + 7, 6), ("uint32", 1 << 32, 0), ("uint64", (1 << 64) + 5, 5),
        ("bcd", 100000000, 0), ("bcd", 99999999 + 3, 2),
    ):  # fmt: skip
        assert decode(encode(value, type), type) == back
    assert decode(encode(10000, "bcd", width=1), "bcd") == 0
    # integers take the nearest step, half to even
    for text, value in (("2.5", 2), ("3.5", 4), ("-2.5", -2), ("1234.56", 1235), ("1e3", 1000)):
        assert decode(encode(Number(text), "int32"), "int32") == value


def test_known_floats_both_ways():
    for text, single, double in (
        ("1e-45", "00000001", "3696d601ad376ab9"), ("3.4028235e38", "7f7fffff", "47efffffe54daff8"),
        ("172.844", "432cd810", "40659b020c49ba5e"), ("1e-46", "00000000", "366244ce242c5561"),
        ("-0.1", "bdcccccd", "bfb999999999999a"), ("16777217", "4b800000", "4170000010000000"),
        ("16777219", "4b800002", "4170000030000000"), ("1.1754944e-38", "00800000", "381000000b3aeeab"),
        ("0", "00000000", "0000000000000000"), ("5e-324", "00000000", "0000000000000001"),
        ("2.4703282292062327e-324", "00000000", "0000000000000000"), ("0.999999999999", "3f800000", "3fefffffffffdcd1"),
        ("1.7976931348623157e308", None, "7fefffffffffffff"),
    ):  # fmt: skip
        for type, hexed in (("float32", single), ("float64", double)):
            if hexed is not None:
                assert encode(Number(text), type).hex() == hexed, text


@pytest.mark.parametrize("type", ("float32", "float64"))
def test_floats_survive_the_way_there_and_back(type):
    random = Random(754)
    digest = 0
    for i in range(250):
        data = random.bytes(2 * WIDTH[type])
        if i % 5 == 0:  # powers of two, where the steps change
            data = bytes((random.bits(8) & 0x7F, random.choice((0, 0x80)))) + bytes(2 * WIDTH[type] - 2)
        number = decode(data, type)
        if number is None:
            continue
        again = encode(number, type)
        assert again == data or (number == 0 and data[0] == 0x80), data.hex()  # the shortest decimal means these bits
        assert decode(encode(number, type, "CDAB"), type, "CDAB") == number
        digest = (digest * 31 + number.mantissa) & 0xFFFFFF
    print(type, "%06x" % digest)


def test_integers_survive_the_way_there_and_back():
    random = Random(32)
    for _ in range(300):
        type = random.choice([t for t in TYPES if "int" in t])
        order = random.choice(sorted(ORDERS))
        data = random.bytes(2 * WIDTH[type])
        number = decode(data, type, order)
        assert encode(number, type, order) == data
        print(type, order, data.hex(), number)
