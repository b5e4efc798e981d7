"""Exact numbers: texts, arithmetic, GB/T 8170 rounding, registers without floats."""

import pytest

from carbonterm.errors import NumberError
from carbonterm.number import Number, Ratio, bcd, float32, float64, signed, unsigned
from seeded import Random


def test_texts_keep_their_digits():
    for text, shown in (
        ("0", "0"), ("-0", "0"), ("1.20", "1.20"), ("-0.05", "-0.05"), ("+7", "7"), ("007", "7"), ("1.5e3", "1500"),
        ("1e-6", "0.000001"), ("12.5E-2", "0.125"), ("0e5", "0"), ("0.00", "0.00"),
        ("123456789012345678901234567890.5", "123456789012345678901234567890.5"),
    ):  # fmt: skip
        assert str(Number(text)) == shown
        assert Number(str(Number(text))) == Number(text)
    assert (Number("1.20").mantissa, Number("1.20").exponent) == (120, -2)


@pytest.mark.parametrize(
    "text",
    ("", "-", ".", "1.", ".5", "1..2", "1,5", "1_000", " 1", "1 ", "nan", "inf", "0x10", "１２", "1e", "1e+", "1e99999",
     "--1", "1.5.2", "1e400000", "e5", "9" * 2000),
)  # fmt: skip
def test_what_is_no_number_is_refused(text):
    with pytest.raises(NumberError) as caught:
        Number(text)
    print(str(caught.value)[:60])


def test_floats_and_truth_values_are_refused():
    for value in (1.5, None, True, b"1", [1]):
        with pytest.raises(NumberError):
            Number(value)
    with pytest.raises(NumberError):
        Number("1") + 0.5
    with pytest.raises(NumberError, match="zero"):
        Number("1") / Number("0.00")


def test_arithmetic_is_exact():
    assert str(Number("0.1") + Number("0.2")) == "0.3"
    assert Number("0.1") + Number("0.2") == Number("0.30")
    assert hash(Number("0.3")) == hash(Number("0.300")) == hash(Ratio(3, 10))
    assert str(Number("1.5") - 2) == "-0.5"
    assert str(Number("1.25") * Number("-0.4")) == "-0.500"
    assert str(Number("1") / 3) == "1/3"
    assert Number("1") / 3 * 3 == 1
    assert Ratio(1, 3) < Number("0.34") and Number("0.33") < Ratio(1, 3)
    assert Ratio(2, -4).numerator == -1
    assert str(Ratio(3, 8).number()) == "0.375" and Ratio(1, 3).number() is None
    assert sorted([Number("2"), Number("-1.5"), Number("1.50")])[0] == Number("-1.5")


def test_rounding_is_half_to_even_once():
    # GB/T 8170-2008 3.2: 四舍六入五成双
    for text, places, shown in (
        ("12.1498", 1, "12.1"), ("12.1498", 0, "12"), ("1268", -2, "1300"), ("1.050", 1, "1.0"), ("0.35", 1, "0.4"),
        ("0.325", 2, "0.32"), ("31.5", 0, "32"), ("32.5", 0, "32"), ("10.502", 0, "11"), ("-0.05", 1, "0.0"),
        ("-13.065", 2, "-13.06"), ("15.4546", 0, "15"), ("0.5", 3, "0.500"), ("2500", -3, "2000"), ("3500", -3, "4000"),
    ):  # fmt: skip
        assert str(Number(text).round(places)) == shown, text
        assert Number(text).ratio().round(places) == Number(shown), text
    assert str(Ratio(2, 3).round(6)) == "0.666667"
    assert str(Ratio(-1, 3).round(2)) == "-0.33"
    assert str(Ratio(12345, 1).round(-2)) == "12300"


def test_integers_of_any_width():
    assert unsigned(b"\xff\xff") == 65535 and signed(b"\xff\xff") == -1
    assert signed(bytes.fromhex("8000000000000000")) == -(2**63)
    assert unsigned(bytes.fromhex("ffffffffffffffff")) == 2**64 - 1
    assert signed(b"") == 0 and signed(b"\x7f\xff\xff") == 8388607
    assert bcd(bytes.fromhex("00123456")) == 123456
    assert bcd(bytes.fromhex("12ff")) is None and bcd(bytes.fromhex("a0")) is None


def test_known_floats():
    for hexed, text in (
        ("432cd7f7", "172.84361"), ("432cd810", "172.844"), ("43663334", "230.20001"), ("43663333", "230.2"),
        ("4247f2b1", "49.987003"), ("42480000", "50"), ("42126b80", "36.60498"),
        ("00000001", "1e-45"), ("7f7fffff", "3.4028235e38"), ("80000000", "0"), ("c2c80000", "-100"),
        ("4b800000", "16777216"), ("34000000", "1.1920929e-7"), ("5d5e0b6b", "1e18"),
    ):  # fmt: skip
        assert float32(bytes.fromhex(hexed)) == Number(text), hexed
    for hexed, text in (
        ("3fb999999999999a", "0.1"), ("0000000000000001", "5e-324"), ("7fefffffffffffff", "1.7976931348623157e308"),
        ("0010000000000000", "2.2250738585072014e-308"),
        ("4340000000000000", "9007199254740992"), ("c05ec00000000000", "-123"),
    ):  # fmt: skip
        print(hexed, float64(bytes.fromhex(hexed)))
        assert float64(bytes.fromhex(hexed)) == Number(text), hexed


def test_nan_and_infinity_are_unknown():
    for hexed in ("7fc00000", "7f800000", "ff800000", "ffffffff", "7f800001"):
        assert float32(bytes.fromhex(hexed)) is None
    for hexed in ("7ff8000000000000", "7ff0000000000000", "ffffffffffffffff"):
        assert float64(bytes.fromhex(hexed)) is None


def test_random_floats_print_the_same_everywhere():
    random = Random(754)
    for _ in range(300):
        data = random.bytes(8)
        print(data.hex(), float32(data[:4]), float64(data))
