"""Analogue signals as exact quantities, NAMUR limits, pulses as registers."""

import pytest

from carbonterm.errors import NumberError
from carbonterm.field.analog import HIGH, LOW, OPEN, SHORT, Pulses, Scale, converted
from carbonterm.number import Number


@pytest.mark.requirement("T-11.3-7", part="scaling and fault limits")
@pytest.mark.requirement("T-7.1-4", part="scaling and fault limits")
def test_4_to_20_ma_is_0_to_100_percent_and_says_faults():
    scale = Scale("4-20mA", Number(0), Number(100))
    for signal, value, reason in (
        ("4", "0", None), ("20", "100", None), ("12", "50", None), ("3.8", "-1.25", None), ("20.5", "103.125", None),
        ("3.6", None, OPEN), ("0", None, OPEN), ("-1", None, OPEN), ("3.601", None, LOW), ("3.7999", None, LOW),
        ("20.501", None, HIGH), ("20.999", None, HIGH), ("21", None, SHORT), ("25", None, SHORT),
    ):  # fmt: skip
        got, why = scale.value(Number(signal))
        print(signal, got, why)
        assert why == reason and (got is None if value is None else got == Number(value))
        assert scale.fault(Number(signal)) == reason


def test_ranges_are_exact_and_may_fall():
    scale = Scale("4-20mA", Number("-50"), Number("200"), 3)
    assert str(scale.value(Number("5.333333"))[0]) == "-29.167"
    falling = Scale("4-20mA", Number(100), Number(0))
    assert falling.value(Number(8))[0] == Number(75)
    for text in ("-50", "-12.5", "0", "33.3", "200"):
        assert abs(scale.value(scale.signal(Number(text)))[0] - Number(text)) <= Number("0.02")
    volts = Scale("0-10V", Number(0), Number(1000))
    assert volts.value(Number("2.5"))[0] == Number(250) and volts.value(Number("-0.2"))[0] == Number(-20)
    assert [volts.fault(Number(v)) for v in ("-0.5", "-0.3", "10.3", "10.5")] == [OPEN, LOW, HIGH, SHORT]
    assert converted(27648, 27648, Number(20)) == Number(20) and converted(1, 3, Number(1)) == Number("0.333333")


def test_bad_scales_are_refused():
    with pytest.raises(NumberError, match="unknown signal 0-5V; it is 4-20mA"):
        Scale("0-5V", Number(0), Number(1))
    with pytest.raises(NumberError, match="its two ends differ"):
        Scale("0-10V", Number(1), Number(1))
    with pytest.raises(NumberError, match="full scale of 0"):
        converted(1, 0, Number(20))


@pytest.mark.requirement("T-7.1-4", part="pulse inputs")
def test_pulses_are_a_register_with_a_modulus():
    meter = Pulses(Number("0.01"), 16)
    assert str(meter.value(65535)) == "655.35" and meter.modulus == Number("655.36")
    assert meter.pulses(65530, 5) == 11 and meter.pulses(7, 7) == 0
    with pytest.raises(NumberError, match="holds no such count"):
        meter.value(65536)
    with pytest.raises(NumberError, match="holds no such count"):
        meter.pulses(-1, 3)
    for constant, bits in (("0", 32), ("-1", 32), ("1", 7), ("1", 65)):
        with pytest.raises(NumberError):
            Pulses(Number(constant), bits)
