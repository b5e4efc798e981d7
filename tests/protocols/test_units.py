"""Units: sizes, spellings, exact conversion, and refusal of everything that only looks alike."""

import pytest

from carbonterm import units
from carbonterm.errors import UnitError
from carbonterm.nearest import distance, nearest
from carbonterm.number import Number, Ratio
from seeded import Random


@pytest.mark.requirement("T-8.3.1-1", part="exact factors")
@pytest.mark.parametrize(
    "value, source, target, result",
    (
        ("1", "kWh", "J", "3600000/1"), ("1.5", "MWh", "kWh", "1500/1"), ("1", "GJ", "kWh", "2500/9"),
        ("1", "tce", "GJ", "73269/2500"),
        ("29.3076", "GJ", "tce", "1/1"), ("1", "kcal", "J", "20934/5"), ("3", "kg", "t", "3/1000"),
        ("1", "mg", "t", "1/1000000000"),
        ("84082", "Nm3", "10^4Nm3", "42041/5000"), ("2", "万Nm3", "Nm3", "20000/1"), ("1", "m3", "L", "1000/1"),
        ("7", "tC/TJ", "tC/GJ", "7/1000"),
        ("35.5", "MJ/kg", "GJ/t", "71/2"), ("389.31", "GJ/10^4Nm3", "kJ/Nm3", "38931/1"),
        ("50", "%", "fraction", "1/2"),
        ("0.5568", "tCO2/MWh", "kgCO2/kWh", "348/625"), ("36", "m3/h", "L/s", "10/1"), ("1", "bar", "kPa", "100/1"),
        ("1", "kgCO2e", "tCO2e", "1/1000"), ("3", "kW", "W", "3000/1"), ("2", "kWh/(m2.a)", "MJ/(m2·a)", "36/5"),
        ("1", "亿kWh", "GWh", "100/1"),
        ("1", "kt", "t", "1000/1"), ("90", "s", "min", "3/2"), ("5", "°C", "℃", "5/1"),
        ("1", "tCH4/10^8Nm3", "kgCH4/Nm3", "1/100000"),
        ("1", "gCO2/mol", "tCO2/kmol", "1/1000"), ("-1", "MPa", "kPa", "-1000/1"),
        ("1", "kJ/(kg.K)", "J/(g.K)", "1/1"), ("1", "m^3", "m3", "1/1"),
    ),
)  # fmt: skip
def test_conversion_is_exact(value, source, target, result):
    found = units.convert(Number(value), source, target)
    assert str(found) == result
    assert units.convert(found, target, source) == Number(value)
    assert units.fits(source, target)


def test_spellings_of_one_unit():
    for spellings in (
        ("kWh", "千瓦时", "度", "kW·h", "kW.h", "kW*h", " kWh "), ("MWh", "兆瓦时", "10^3kWh"), ("t", "吨", "10^3kg"),
        ("10^4Nm3", "万Nm3", "10^4 Nm3", "万标准立方米", "10⁴Nm³", "10000Nm3", "万Nm³"), ("GJ", "吉焦", "百万千焦"),
        ("tCO2", "吨二氧化碳", "tCO₂"), ("tCO2e", "tCO2eq", "tCO2-e", "吨二氧化碳当量"),
        ("m3/h", "m³/h", "立方米/小时", "m3·h^-1"),
        ("%", "％"), ("fraction", "-", "1", ""), ("万kWh", "万千瓦时", "10^4kWh", "10MWh"),
        ("kg/(m2.a)", "kg/m2/a", "kg/（m²·年）"),
    ):  # fmt: skip
        for spelling in spellings:
            assert units.same(spelling, spellings[0]), spelling
    assert not units.same("kWh", "MWh")
    assert not units.same("kWh", "kW")


@pytest.mark.parametrize(
    "source, target, why",
    (
        ("Nm3", "m3", "101.325"), ("10^4Nm3", "m3", "101.325"), ("GJ/m3", "GJ/Nm3", "101.325"), ("tC", "tCO2", "44/12"),
        ("tCO2", "tCO2e", "GWP"), ("tCH4", "tCO2e", "GWP"), ("t", "tCO2", "emission factor"),
        ("t", "tC", "same thing"), ("°C", "K", "273.15"),
        ("kW", "kWh", "integrate"), ("kWh", "kvarh", "reactive"), ("kVA", "kW", "apparent"), ("t", "m3", "density"),
        ("t", "Nm3", "density"),
        ("kWh", "t", "same thing"), ("a", "h", "same thing"), ("m2", "m3", "same thing"),
        ("fraction", "t", "same thing"),
    ),
)  # fmt: skip
def test_what_only_looks_alike_is_refused_with_the_way(source, target, why):
    for one, other in ((source, target), (target, source)):
        with pytest.raises(UnitError, match=why) as caught:
            units.convert(1, one, other)
        assert not units.fits(one, other)
    print(str(caught.value))


@pytest.mark.parametrize(
    "text, hint",
    (
        ("kwh", "kWh"), ("Kwh", "kWh"), ("tco2", "tCO2"), ("MHW", "MWh"), ("NM3", "Nm3"), ("foo", "known units"),
        ("tCO3", "tCO2"), ("KG", "kg"),
        ("m3/", "missing"), ("/h", "missing"), ("//", "missing"), ("(m", "closed"), ("m)", "alone"),
        ("((m))", "parentheses"), ("10^", "power"),
        ("10^99", "power"), ("10^0", "power"), ("0", "cannot be 0"), ("0Nm3", "cannot be 0"),
        ("kJ/(kg.°C)", "K for a"), ("m33", "unknown"),
        ("t tt", "unknown"), ("m^", "power"), ("m^-", "power"), ("m^2^2", "missing|alone"), ("x" * 61, "at most"),
        ("t|Nm3", "unknown"),
        ("kg m", "unknown"), ("10^4", None), ("1/h", None), ("h^-1", None), ("吨碳/吉焦", None),
    ),
)  # fmt: skip
def test_mistakes_and_the_way_out(text, hint):
    if hint is None:
        units.parse(text)
        return
    with pytest.raises(UnitError, match=hint) as caught:
        units.parse(text)
    print(str(caught.value))


def test_no_text_is_no_unit():
    for bad in (None, 3, b"kWh", ["kWh"]):
        with pytest.raises(UnitError, match="is a text"):
            units.parse(bad)


def test_units_of_a_formula_multiply():
    unit = units.times(units.times("10^4Nm3", "GJ/10^4Nm3"), "tC/GJ")
    assert units.same(unit, "tC")
    assert units.same(units.times("m3", "kgCOD/m3"), "kgCOD")
    assert units.same(units.times("kWh", "h", -1), "kW")
    assert units.same(units.times("1", "m", 3), "m3")
    assert units.factor(units.parse("MWh"), "kWh") == Ratio(1000)


@pytest.mark.slow
@pytest.mark.requirement("T-8.3.1-1", part="there and back is the same to the last digit, for every pair that fits")
def test_conversions_come_back():
    random, pairs = Random(83), 0
    names = units.known() + ["t" + substance for substance in units.SUBSTANCES]
    for a in names:
        for b in names:
            if not units.fits(a, b):
                continue
            pairs += 1
            value = Number(random.between(-(10**9), 10**9), -random.below(7))
            assert units.convert(units.convert(value, a, b), b, a) == value, (a, b)
    print(pairs)
    assert pairs > 500


def test_every_known_name_parses():
    names = units.known()
    for name in names:
        units.parse(name)
    for substance in units.SUBSTANCES:
        assert str(units.convert(1, "t" + substance, "kg" + substance)) == "1000/1"
    print(len(names))


@pytest.mark.slow
def test_any_text_is_a_unit_or_refused():
    random, good = Random(4), 0
    parts = ("kWh", "t", "CO2", "10^4", "Nm3", "/", "·", ".", "(", ")", "^", "-", "2", "0", "万", "吨", "°C", "%",
    " ", "x", "e", "é", "\x00")
    for _ in range(3000):
        text = "".join(random.choice(parts) for _ in range(random.below(6)))
        try:
            unit = units.parse(text)
            assert units.same(unit, text)
            assert unit.ratio > 0
            good += 1
        except UnitError as error:
            assert error.what
    print(good)
    assert good > 100


def test_nearest_names():
    assert nearest("purchased_electricty", ["purchased_heat", "purchased_electricity"]) == ["purchased_electricity"]
    assert nearest("qq", ["a", "b"]) == []
    assert nearest("", ["a", "b"]) == []
    assert nearest("Q", ["AD", "EF"]) == []
    assert (distance("ab", "ba"), distance("", "abc"), distance("kitten", "sitting"), distance("x",
    "x")) == (1, 3, 3, 0)
