"""Masses of a CEMS by hand, hours, days and years, what stands for missing hours, and what is refused."""

import pytest

from carbonterm import clock
from carbonterm.accounting import cems, substitution
from carbonterm.errors import CarbonError
from carbonterm.number import Number, Ratio
from seeded import Random

START = clock.parse("2026-01-01T00:00:00+08:00")
HOUR = 3600000
NO_RULE = substitution.RULES["none"]


def got(setup, **values):
    numbers = {}
    for name in values:
        numbers[name] = Number(values[name])
    return cems.reading(setup, numbers)


def minutes(count, c=100000000, q=10**12, flag="N", start=START):
    """Rows of one minute each: 100 g/Nm3 and 10^6 Nm3/h are 100 t/h."""
    return [(start + i * 60000, flag, c, q) for i in range(count)]


@pytest.mark.requirement("C-1-3")
def test_the_mass_of_an_hour_by_hand():
    """12 % of a dry million Nm3/h: 0.12 × 44.01/22.414 kg = 0.235621 kg/Nm3, 235.620594 t in the hour."""
    c, q = got(cems.Setup(), concentration="12", flow="1000000")
    print(c, q)
    assert c == 235620594 and q == 10**12
    (hour,) = cems.hours([(START, "N", c, q)], HOUR, ["minutes", 45])
    assert hour.state == cems.VALID and hour.mass == 235620594


@pytest.mark.requirement("C-1-3", part="wet and dry, standard state")
def test_bases_and_standard_state():
    """2 000 000 m3/h of wet gas at 120 °C and 99.325 kPa with 8 % of water: × 273.15/393.15 × 99.325/101.325."""
    units = {"flow": "m3/h"}
    state = {"flow": "2000000", "temperature": "120", "pressure": "99.325", "moisture": "8"}
    flow = Ratio(2000000) * Ratio(27315, 39315) * Ratio(99325, 101325)
    for concentration, factor in (("dry", Ratio(92, 100)), ("wet", Ratio(1))):
        c, q = got(cems.Setup(units, concentration=concentration, flow="wet"), concentration="12", **state)
        assert q == flow.round(6).mantissa
        assert c == (Number("0.12") * Number("44010") / Number("22.414") * factor).round(6).mantissa
    c, q = got(cems.Setup(concentration="wet", flow="dry"), concentration="11.04", flow="1000", moisture="8")
    assert c == 235620594  # 11.04 / 0.92 = 12
    # a velocity: 15 m/s through 40 m2 are 2 160 000 m3/h
    setup = cems.Setup({"flow": "m/s"}, area="40")
    assert got(setup, concentration="1", flow="15", temperature="0", pressure="101.325")[1] == 2160000 * 10**6
    # moisture from oxygen, dry and wet (F-31): (8 - 7.36)/8 = 8 %
    c, _ = got(cems.Setup(concentration="wet"), concentration="11.04", flow="1", o2="8", o2wet="7.36")
    assert c == 235620594


def test_other_units_and_gases():
    same = (("%", "1"), ("ppm", "10000"), ("g/Nm3", "19.63505"), ("mg/m3", "19635.05"), ("mg/Nm3", "19635.05"))
    for unit, value in same:
        c, _ = got(cems.Setup({"concentration": unit}), concentration=value, flow="1")
        assert abs(c - 19635050) < 10, unit
    c, _ = got(cems.Setup(density="1977"), concentration="10", flow="1")
    assert c == 197700000
    setup = cems.Setup({"flow": "m3/h"}, gas="CH4")
    c, q = got(setup, concentration="0.5", flow="600000", temperature="20", pressure="101.325")
    (hour,) = cems.hours([(START, "N", c, q)], HOUR, ["minutes", 45])
    print(hour.mass)
    assert hour.mass == 2000777  # a mine's air: 0.005 × 600 000 × 273.15/293.15 Nm3 × 0.715758 kg/Nm3


def test_a_concentration_at_reference_oxygen_is_turned_back():
    """14.25 % at 6 % O2 while 8 % were measured: × (21 - 8)/(21 - 6) = 12.35 %."""
    back, _ = got(cems.Setup(o2_reference="6"), concentration="14.25", flow="1", o2="8")
    plain, _ = got(cems.Setup(), concentration="12.35", flow="1")
    assert back == plain
    assert got(cems.Setup(o2_reference="6"), concentration="14.25", flow="1") == (None, 1000000)


@pytest.mark.requirement("C-1-3", part="against the form of 40 CFR 75 Appendix F")
def test_the_form_of_40_cfr_75():
    """F-11: 5.7e-7 × 11.2 % × 35 000 000 scf/h = 223.44 short tons; ours of the same gas, at 20 °C, within 0.3 %."""
    tons = cems.part75("11.2", "35000000")
    assert tons == Number("223.44")
    flow = Number("35000000") * Number("0.028316846592")  # m3 of 68 °F and 29.92 inHg
    setup = cems.Setup({"flow": "m3/h"}, concentration="wet", flow="wet")
    c, q = cems.reading(setup, {"concentration": Number("11.2"), "flow": flow, "temperature": Number(20),
                                "pressure": Number("101.325")})  # fmt: skip
    (hour,) = cems.hours([(START, "N", c, q)], HOUR, ["minutes", 45])
    print(hour.mass)
    theirs = tons * Number("0.90718474")
    assert abs(Number(hour.mass, -6) - theirs) * 1000 < theirs * 3


REFUSED = [
    (dict(concentration="12", flow="-1"), {}), (dict(concentration="-0.1", flow="1"), {}),
    (dict(concentration="100.1", flow="1"), {}), (dict(concentration="12", flow="1", moisture="100"), {}),
    (dict(concentration="12", flow="1", moisture="-1"), {}), (dict(concentration="12", flow="1", o2="20.9"), {}),
    (dict(concentration="12", flow="1", o2="-1"), {}), (dict(concentration="12", flow="1", o2="5", o2wet="6"), {}),
    (dict(concentration="12", flow="1", temperature="-273.15", pressure="101"), {"flow": "m3/h"}),
    (dict(concentration="12", flow="1", temperature="20", pressure="0"), {"flow": "m3/h"}),
]  # fmt: skip


@pytest.mark.parametrize("values, units", REFUSED)
def test_what_cannot_be(values, units):
    with pytest.raises(CarbonError):
        got(cems.Setup(units), **values)


def test_what_no_setup_is():
    for fields in (
        {"units_of": {"flow": "kWh"}}, {"units_of": {"flow": "furlong/h"}}, {"units_of": {"co": "%"}}, {"gas": "SO2"},
        {"concentration": "damp"}, {"flow": "moist"}, {"o2_reference": "20.9"}, {"o2_reference": "-1"},
        {"units_of": {"flow": "m/s"}}, {"density": "0"}, {"area": "-1"}, {"units_of": {"temperature": "K"}},
    ):  # fmt: skip
        with pytest.raises(CarbonError):
            cems.Setup(**fields)
    for valid in (
        None, [], ["minutes", 0], ["minutes", 61], ["share", 0.8], ["share", "1.1"], ["quarters", 5], ["x", 1],
    ):  # fmt: skip
        with pytest.raises(CarbonError):
            cems.hours(minutes(60), 60000, valid)


def test_when_an_hour_is_valid():
    for count, valid, state in (
        (45, ["minutes", 45], cems.VALID), (44, ["minutes", 45], cems.MISSING),
        (48, ["share", "0.8"], cems.VALID), (47, ["share", "0.8"], cems.MISSING),
    ):  # fmt: skip
        rows = minutes(count) + minutes(60 - count, flag="D", start=START + count * 60000)
        (hour,) = cems.hours(rows, 60000, valid)
        assert hour.state == state and hour.mass == (100000000 if state == cems.VALID else None), (count, valid)
    # a reading in each quarter
    sparse = [(START + q * 900000 + 60000, "N", 10**8, 10**12) for q in range(4)]
    assert cems.hours(sparse, 60000, ["quarters", 4])[0].state == cems.VALID
    assert cems.hours(sparse[:3], 60000, ["quarters", 4])[0].state == cems.MISSING
    # the plant ran for half of it, and all of that is known
    half = minutes(30) + minutes(30, flag="F", start=START + 1800000)
    for valid in (["minutes", 45], ["share", "0.8"], ["quarters", 4]):
        (hour,) = cems.hours(half, 60000, valid)
        assert hour.state == cems.VALID and hour.run == (30, 60) and hour.mass == 50000000
    (hour,) = cems.hours(minutes(60, flag="F"), 60000, ["minutes", 45])
    assert hour.state == cems.STOPPED and hour.mass == 0
    assert cems.hours([], 60000, ["minutes", 45]) == []


def test_hours_without_rows_and_parts_without_values():
    rows = minutes(60) + minutes(60, start=START + 3 * HOUR)
    hours = cems.hours(rows, 60000, ["minutes", 45])
    assert [hour.state for hour in hours] == [cems.VALID, cems.MISSING, cems.MISSING, cems.VALID]
    (hour,) = cems.hours([(START + i * 60000, "N", 10**8, None) for i in range(60)], 60000, ["minutes", 45])
    assert hour.state == cems.MISSING and hour.c == 10**8 and hour.q is None


@pytest.mark.requirement("C-3-4", part="hourly series of a stack, hours without data and why")
def test_days_months_and_years_are_the_sums_of_their_hours():
    random, rows = Random(5), []
    for i in range(24 * 62):
        flag = random.choice(("N", "N", "N", "F", "D"))
        rows.append((START + i * HOUR, flag, random.below(3 * 10**8), random.below(10**12)))
    hours = cems.hours(rows, HOUR, ["minutes", 45])
    assert substitution.fill(hours, substitution.RULES["hj75"]) == len([1 for h in hours if h.state == cems.MISSING])
    whole = cems.totals(hours, None)[0]
    print(whole.mass, whole.filled, whole.counts)
    for period, count in ((clock.DAY, 62), (clock.MONTH, 3), (clock.YEAR, 1)):
        parts = cems.totals(hours, period)
        assert len(parts) == count
        assert sum([part.mass for part in parts]) == whole.mass and sum([part.filled for part in parts]) == whole.filled
        assert [sum([part.counts[s] for part in parts]) for s in range(4)] == whole.counts
        assert all(part.start_ms < part.end_ms for part in parts)


def test_valid_days_and_months():
    """20 hours of a day, 25 days of a month, in February 23; stopped hours are no fault."""
    for count, good in ((20, True), (19, False)):
        flags = "N" * (count - 5) + "F" * 5 + "D" * (24 - count)
        rows = [(START + i * HOUR, flags[i], 10**8, 10**12) for i in range(24)]
        (day,) = cems.totals(cems.hours(rows, HOUR, ["minutes", 45]), clock.DAY)
        assert cems.valid_day(day) == good
    for month, days, good in ((1, 25, True), (1, 24, False), (2, 23, True), (2, 22, False)):
        start = clock.stamp(2026, month, 1, zone=480)
        rows = [(start + i * HOUR, "N" if i < days * 24 else "D", 10**8, 10**12) for i in range(28 * 24)]
        hours = cems.hours(rows, HOUR, ["minutes", 45])
        found = cems.totals(hours, clock.DAY)
        assert cems.valid_month(cems.totals(hours, clock.MONTH)[0], found) == good, (month, days)


# --- substitution ----------------------------------------------------------------------------------------------------


def series(pattern):
    """Hours of a pattern: a number is a valid mass in t, "-" missing, "0" stopped."""
    hours = []
    for i in range(len(pattern)):
        hour = cems.Hour(START + i * HOUR)
        if pattern[i] == "stopped":
            hour.state, hour.mass = cems.STOPPED, 0
        elif pattern[i] is not None:
            hour.c, hour.q, hour.state = pattern[i] * 10**6, 10**12, cems.VALID
            hour.weigh()
        hours.append(hour)
    return hours


def test_hj75_takes_the_greatest_of_the_hours_before():
    hours = series([5] * 100 + [9] + [5] * 300 + [7] + [5] * 100 + [None] * 24 + [5] * 50)
    assert substitution.fill(hours, substitution.RULES["hj75"]) == 0
    assert hours[502].mass == 7 * 10**6 and hours[502].state == cems.FILLED and "maximum of 180 h" in hours[502].how
    hours = series([5] * 100 + [9] + [5] * 300 + [7] + [5] * 100 + [None] * 25 + [5] * 50)
    assert substitution.fill(hours, substitution.RULES["hj75"]) == 0 and hours[502].mass == 9 * 10**6
    hours = series([5] * 100 + [8] + [5] * 60 + [None] * 30 + [5] * 50)  # 87 % of the quarter
    assert substitution.fill(hours, substitution.RULES["hj75"]) == 0 and hours[161].mass == 8 * 10**6
    hours = series([5] * 60 + [None] * 40)  # 60 %: nothing may stand for it
    assert substitution.fill(hours, substitution.RULES["hj75"]) == 40 and hours[60].state == cems.MISSING
    hours = series([None, None] + [5] * 100)
    assert substitution.fill(hours, substitution.RULES["hj75"]) == 2  # nothing lies before them


def test_stopped_hours_count_for_nothing():
    hours = series([5] * 20 + ["stopped"] * 500 + [None] + ["stopped"] * 3 + [5] * 20)
    assert substitution.fill(hours, substitution.RULES["hj75"]) == 0
    assert hours[520].mass == 5 * 10**6 and [hour.mass for hour in hours[20:520]] == [0] * 500


def test_part_75_by_availability_and_length():
    rule, potential = substitution.RULES["part75"], {"c": 20 * 10**6, "q": 2 * 10**12}
    ramp = [1 + i % 100 for i in range(2200)]  # 1 … 100 g/Nm3 again and again

    def first(pattern):
        hours = series(pattern)
        assert substitution.fill(hours, rule, potential) == 0
        filled = [hour for hour in hours if hour.state == cems.FILLED]
        return filled[0].c, filled[0].how, filled[-1].c

    c, how, _ = first(ramp[:1000] + [None] * 24 + [50] * 10)
    assert c == 75 * 10**6 and "beside the gap (2)" in how  # (100 + 50)/2
    c, how, _ = first(ramp[:720] + [None] * 25 + [1] * 10)
    assert c == 90 * 10**6 and "percentile 90 of 720 h" in how  # of 720 hours, seven ramps and twenty: rank 648
    c, how, _ = first(ramp[:700] + [None] * 40 + [1] * 10)  # before 720 hours: 75.31
    assert c == half(100, 1) and "beside the gap" in how
    c, how, last = first(ramp + [None] * 200 + [100] * 10)
    assert c == 100 * 10**6 and "above percentile 90" in how and last == 100 * 10**6
    hours = series([50] * 800 + [None] * 300)
    substitution.fill(hours, rule, potential)
    assert hours[-1].c == 20 * 10**6 and "maximum potential" in hours[-1].how  # below 80 % at its end


def half(a, b):
    return (a + b) * 10**6 // 2


def test_the_mean_and_two_deviations_of_the_mrr():
    """2, 4, 4, 4, 5, 5, 7, 9: mean 5, s = √(32/7) = 2.13809; 5 + 2 s = 9.276180."""
    hours = series([2, 4, 4, None, 4, 5, 5, 7, 9])
    assert substitution.fill(hours, substitution.RULES["mrr"]) == 0
    print(hours[3].c, hours[3].q, hours[3].how)
    assert hours[3].c == 9276180 and hours[3].q == 10**12 and hours[3].mass == 9276180
    hours = series([5, None])
    assert substitution.fill(hours, substitution.RULES["mrr"]) == 1  # one value has no deviation


def test_availability():
    true = [True, False, True, True]
    starts = [START, START + HOUR, START + 2 * HOUR, clock.parse("2026-04-01T00:00:00+08:00")]
    assert substitution.availability(true, starts, "quarter") == [Ratio(2, 3)] * 3 + [Ratio(1)]
    assert substitution.availability(true, starts, "8760") == [Ratio(1), Ratio(1, 2), Ratio(2, 3), Ratio(3, 4)]


def test_the_measured_is_never_changed():
    random = Random(3)
    for name in ("hj75", "part75", "mrr", "none"):
        pattern = [random.choice((None, "stopped", 3, 4, 5, 6, 7)) for _ in range(600)]
        hours = series(pattern)
        before = [(hour.c, hour.q, hour.mass, hour.state) for hour in hours]
        left = substitution.fill(hours, substitution.RULES[name], {"c": 9 * 10**6, "q": 10**12})
        for i in range(len(hours)):
            if pattern[i] is not None:
                assert (hours[i].c, hours[i].q, hours[i].mass, hours[i].state) == before[i]
            assert (hours[i].mass is None) == (hours[i].state == cems.MISSING)
        assert left == len([1 for hour in hours if hour.state == cems.MISSING])
        print(name, left, sum([hour.mass or 0 for hour in hours]))


def changed(**fields):
    rule = dict(substitution.RULES["hj75"])
    rule.update(fields)
    return rule


def test_what_no_rule_is():
    for name in substitution.RULES:
        substitution.check(substitution.RULES[name])
    for tier in (
        ["0.9", 24, "maximum", None], ["1.1", 24, "maximum", None, 9], ["0.9", 0, "maximum", None, 9],
        ["0.9", 1, "best", None, 9], ["0.9", 1, "percentile", None, 9], ["0.9", 1, "percentile", 101, 9],
        ["0.9", 1, "maximum", 1, None], [0.9, 1, "maximum", 1, 9], "maximum",
    ):  # fmt: skip
        with pytest.raises(CarbonError):
            substitution.check(changed(tiers={"mass": [tier]}))
    for rule in (
        None, {}, changed(on="all"), changed(availability="year"), changed(initial="guess"), changed(tiers={}),
        changed(tiers={"c": []}), changed(valid=["minutes", 99]), changed(extra=1),
    ):  # fmt: skip
        with pytest.raises(CarbonError):
            substitution.check(rule)
