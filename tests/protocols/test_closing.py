"""Settlements: hand-made days, outages, replacements, month ends, held readings, wrong clocks."""

import pytest

from carbonterm import cbor, clock
from carbonterm.clock import DAY, HOUR, MINUTE, MONTH, SECOND, YEAR
from carbonterm.errors import SeriesError
from carbonterm.number import Number
from carbonterm.series.closing import ESTIMATED, GOOD, SUSPECT, Settler
from carbonterm.series.register import BACKWARDS, FAST
from seeded import Random

EAST8 = 480
MINUTE_MS = 60000
HOUR_MS = 3600000
DAY_MS = 86400000
QUARTER = 15 * MINUTE_MS
ALL = (SECOND, MINUTE, HOUR, DAY, MONTH, YEAR)


def at(text):
    """Milliseconds of a civil time in +08:00."""
    return clock.parse((text + "T00:00:00" if len(text) == 10 else text) + "+08:00")


def shown(settlement):
    """(start, increment, max, min, quality, readings) as one would read it; printed for the other runtimes."""
    row = (
        clock.text(settlement.start_ms, EAST8)[:16], str(settlement.increment), str(settlement.max),
        str(settlement.min), settlement.quality, settlement.readings,
    )  # fmt: skip
    print(clock.PERIODS[settlement.period], row)
    assert settlement.end_ms == clock.end(settlement.period, settlement.start_ms, EAST8)
    return row


def feed(settler, rows):
    """The settlements of (time_ms, value text) rows."""
    closed = []
    for time_ms, text in rows:
        closed.extend(settler.feed(time_ms, None if text is None else Number(text)))
    return closed


def check_sums(settler, closed, total):
    """At every level the settlements and the open one follow each other and add up to `total`."""
    assert settler.total == total
    for period in [level.period for level in settler._levels]:
        rows = [s for s in closed if s.period == period] + [settler.open(period)]
        amount = Number(0)
        for row in rows:
            amount = amount + row.increment
        assert amount == total, (period, str(amount), str(total))


def check_nesting(closed, short, long):
    """Every `long` settlement is the sum of its `short` ones, max and min included; and the readings, from where the
    short ones begin."""
    begin = min([s.start_ms for s in closed if s.period == short])
    for whole in [s for s in closed if s.period == long]:
        parts = [s for s in closed if s.period == short and whole.start_ms <= s.start_ms < whole.end_ms]
        amount = Number(0)
        for part in parts:
            amount = amount + part.increment
        assert amount == whole.increment
        assert whole.start_ms < begin or sum([part.readings for part in parts]) == whole.readings
        highs = [part.max for part in parts if part.max is not None]
        lows = [part.min for part in parts if part.min is not None]
        assert whole.max == (max(highs) if highs else None)
        assert whole.min == (min(lows) if lows else None)


@pytest.mark.requirement("T-8.2.1-1", "T-8.2.1-2")
def test_a_day_by_hand():
    """Hourly readings; 03:00 and the day's last hours are missing, the borders are not read but interpolated."""
    settler = Settler(EAST8, interval_ms=HOUR_MS, periods=(DAY,))
    rows = [
        ("2026-03-04T23:30:00", "1000"), ("2026-03-05T00:30:00", "1007"),  # border: 1003.5, to even 1004
        ("2026-03-05T01:30:00", "1010"), ("2026-03-05T02:30:00", "1030"),
        ("2026-03-05T04:30:00", "1031"),  # two hours: one sample is missing, that is not yet a gap
        ("2026-03-05T05:30:00", "1033"), ("2026-03-05T06:30:00", None), ("2026-03-05T07:30:00", None),
        ("2026-03-05T08:30:00", "1100"),  # three hours: a gap, its 67 are in the day but in no sampling interval
        ("2026-03-05T09:30:00", "1100"), ("2026-03-05T10:30:00", "1112"),
        ("2026-03-05T23:30:00", "1200"), ("2026-03-06T00:30:00", "1203"),  # border: 1201.5, to even 1202
    ]  # fmt: skip
    closed = feed(settler, [(at(time), text) for time, text in rows])
    assert [shown(s) for s in closed] == [
        ("2026-03-04T00:00", "4", "None", "None", ESTIMATED, 1),
        ("2026-03-05T00:00", "198", "20", "0", GOOD, 9),
    ]
    assert shown(settler.open(DAY)) == ("2026-03-06T00:00", "1", "3", "3", ESTIMATED, 1)
    check_sums(settler, closed, 203)


@pytest.mark.requirement("T-8.2.1-2")
def test_a_reading_at_the_border_closes_with_its_own_value():
    settler = Settler(EAST8, interval_ms=6 * HOUR_MS, periods=(DAY,))
    rows = [("2026-03-05", "10.5"), ("2026-03-05T06:00:00", "16.5"), ("2026-03-05T12:00:00", "20.25")]
    rows += [("2026-03-05T18:00:00", "20.25"), ("2026-03-06", "31")]
    closed = feed(settler, [(at(time), text) for time, text in rows])
    # begun and ended by a reading: good; the four intervals that end in (00:00, 24:00] are its samples
    assert [shown(s) for s in closed] == [("2026-03-05T00:00", "20.50", "10.75", "0.00", GOOD, 4)]
    assert shown(settler.open(DAY)) == ("2026-03-06T00:00", "0.00", "None", "None", ESTIMATED, 0)


@pytest.mark.requirement("T-8.2.1-2")
def test_the_day_ends_at_local_midnight():
    rows = [(at("2026-03-05T22:00:00") + i * HOUR_MS, str(i)) for i in range(13)]
    for zone, start in ((EAST8, "2026-03-05T16:00:00Z"), (0, "2026-03-06T00:00:00Z"), (-210, "2026-03-05T03:30:00Z")):
        settler = Settler(zone, periods=(DAY,))
        closed = feed(settler, rows)
        found = [clock.text(s.start_ms) for s in closed] + [clock.text(settler.open(DAY).start_ms)]
        print(zone, found)
        assert start in found
        check_sums(settler, closed, 12)


@pytest.mark.requirement("T-8.2.2-1", "T-8.2.1-1")
def test_rollover_over_an_outage_and_over_midnight():
    settler = Settler(EAST8, modulus=10000, interval_ms=HOUR_MS, periods=(HOUR, DAY))
    closed = feed(settler, [(at("2026-03-05T20:00:00"), "9996"), (at("2026-03-05T21:00:00"), "9998"),
                            (at("2026-03-06T01:00:00"), "3")])  # fmt: skip
    assert [shown(s)[:5] for s in closed] == [
        ("2026-03-05T20:00", "2", "2", "2", GOOD),
        ("2026-03-05T21:00", "1", "None", "None", ESTIMATED),  # 9999.25
        ("2026-03-05T22:00", "1", "None", "None", ESTIMATED),  # 10000.5 to even
        ("2026-03-05T23:00", "2", "None", "None", ESTIMATED),  # 10001.75
        ("2026-03-05T00:00", "6", "2", "2", ESTIMATED),
        ("2026-03-06T00:00", "1", "None", "None", ESTIMATED),
    ]
    check_sums(settler, closed, 7)


@pytest.mark.requirement("T-8.2.2-1")
def test_a_replaced_meter_goes_on_where_it_was():
    settler = Settler(EAST8, modulus=10000, interval_ms=HOUR_MS, periods=(HOUR, DAY))
    closed = feed(settler, [(at("2026-03-05T10:00:00"), "9990"), (at("2026-03-05T11:00:00"), "9994")])
    closed += settler.replaced(at("2026-03-05T11:30:00"), Number(9996), Number(3))
    closed += feed(settler, [(at("2026-03-05T12:00:00"), "6"), (at("2026-03-05T13:00:00"), "7")])
    assert [shown(s)[1:5] for s in closed] == [
        ("4", "4", "4", GOOD), ("5", "5", "5", GOOD), ("1", "1", "1", GOOD),  # 2 on the old, 3 on the new: one interval
    ]  # fmt: skip
    check_sums(settler, closed, 10)


@pytest.mark.requirement("T-8.2.2-1")
def test_an_event_closes_what_ends_before_it():
    settler = Settler(EAST8, interval_ms=HOUR_MS, periods=(HOUR,))
    feed(settler, [(at("2026-03-05T10:30:00"), "100")])
    closed = settler.replaced(at("2026-03-05T12:00:00"), Number(106), Number("0.5"))
    assert [shown(s)[1:5] for s in closed] == [("2", "None", "None", ESTIMATED), ("4", "None", "None", GOOD)]
    assert shown(settler.open(HOUR))[1] == "0"
    closed += feed(settler, [(at("2026-03-05T12:30:00"), "2.5"), (at("2026-03-05T13:30:00"), "4.5")])
    assert [shown(s)[1:5] for s in closed[2:]] == [("3.0", "8.0", "8.0", GOOD)]
    check_sums(settler, closed, 10)


def test_an_event_told_late_ends_what_was_held():
    settler = Settler(EAST8, interval_ms=HOUR_MS, periods=(HOUR,))
    feed(settler, [(at("2026-03-05T10:00:00"), "100"), (at("2026-03-05T11:00:00"), "104")])
    assert feed(settler, [(at("2026-03-05T%02d:00:00" % h), str(h - 10)) for h in range(12, 16)]) == []
    assert settler.verdict == BACKWARDS and settler.open(HOUR).quality == SUSPECT and settler.total == 4
    closed = settler.replaced(at("2026-03-05T11:30:00"), Number(106), Number(0))
    assert settler.open(HOUR).quality == ESTIMATED
    closed += feed(settler, [(at("2026-03-05T16:00:00"), "9")])
    # 9 over four and a half hours: 1 in the first half hour, then to 3, 5, 7, 9
    assert [shown(s)[1:5] for s in closed] == [
        ("3", "None", "None", ESTIMATED), ("2", "None", "None", ESTIMATED), ("2", "None", "None", ESTIMATED),
        ("2", "None", "None", ESTIMATED), ("2", "None", "None", ESTIMATED),
    ]  # fmt: skip
    assert settler.total == 15


def test_an_event_before_the_last_reading_or_before_any():
    settler = Settler(EAST8, periods=(HOUR,))
    assert settler.replaced(at("2026-03-05T10:00:00"), Number(7), Number(2)) == []
    assert settler.total == 0 and feed(settler, [(at("2026-03-05T10:30:00"), "3")]) == []
    assert settler.replaced(at("2026-03-05T10:15:00"), Number(5), Number(0)) == []  # counts at 10:30
    assert settler.total == 3
    with pytest.raises(SeriesError, match="below"):
        settler.replaced(at("2026-03-05T10:45:00"), Number(-1), Number(0))
    assert settler.total == 3 and feed(settler, [(at("2026-03-05T11:00:00"), "1")])[0].increment == 4


@pytest.mark.requirement("T-8.2.1-1", "T-8.2.1-3")
def test_several_days_in_an_outage():
    settler = Settler(EAST8, interval_ms=QUARTER, periods=(HOUR, DAY, MONTH))
    rows = [("2026-02-27", "0.00"), ("2026-02-27T00:15:00", "0.10"), ("2026-03-03", "40.30")]
    closed = feed(settler, [(at(time), text) for time, text in rows])
    assert len([s for s in closed if s.period == HOUR]) == 96
    days = [shown(s) for s in closed if s.period == DAY]
    assert [row[1] for row in days] == ["10.07", "10.08", "10.07", "10.08"]  # 10.0713, 20.1475, 30.2237
    assert [row[2:] for row in days] == [("0.10", "0.10", ESTIMATED, 1)] + [("None", "None", ESTIMATED, 0)] * 2 + [
        ("None", "None", ESTIMATED, 1)
    ]
    assert [shown(s)[1:5] for s in closed if s.period == MONTH] == [("20.15", "0.10", "0.10", ESTIMATED)]
    assert [(s.end_ms, s.period) for s in closed] == sorted([(s.end_ms, s.period) for s in closed])
    check_sums(settler, closed, Number("40.3"))
    check_nesting(closed, HOUR, DAY)
    assert Number(days[0][1]) + Number(days[1][1]) == Number("20.15")  # the month began before the series


def test_a_gap_that_ends_at_a_border_leaves_it_exact():
    settler = Settler(EAST8, interval_ms=HOUR_MS, periods=(DAY,))
    closed = feed(settler, [(at("2026-03-05"), "5"), (at("2026-03-06"), "9"), (at("2026-03-06T23:00:00"), "9"),
                            (at("2026-03-07T01:30:00"), "14"), (at("2026-03-08"), "15")])  # fmt: skip
    assert [shown(s)[1:] for s in closed] == [
        ("4", "None", "None", GOOD, 1), ("2", "None", "None", ESTIMATED, 1), ("4", "None", "None", ESTIMATED, 2),
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.requirement("T-8.2.1-3")
def test_month_ends_and_leap_years():
    for year, days in ((2023, 365), (2024, 366), (2100, 365)):
        settler = Settler(EAST8, interval_ms=6 * HOUR_MS)
        start, value, closed = at("%d-01-01" % year), 0, []
        for quarter in range(4 * days + 5):
            closed.extend(settler.feed(start + quarter * 6 * HOUR_MS, Number(value, -1)))
            value += quarter % 7 + 1
        months = [s for s in closed if s.period == MONTH]
        years = [s for s in closed if s.period == YEAR]
        assert len(months) == 12 and len(years) == 1 and len([s for s in closed if s.period == DAY]) == days + 1
        assert [(s.end_ms - s.start_ms) // DAY_MS for s in months] == [clock.month_days(year, m) for m in range(1, 13)]
        assert years[0].end_ms == at("%d-01-01" % (year + 1)) and years[0].readings == 4 * days
        assert {s.quality for s in closed} == {GOOD}
        check_nesting(closed, HOUR, DAY)
        check_nesting([s for s in closed if s.end_ms <= years[0].end_ms], DAY, MONTH)
        check_nesting(closed, MONTH, YEAR)
        for month in months:
            shown(month)
        shown(years[0])


@pytest.mark.slow
@pytest.mark.requirement("T-8.2.1-4")
def test_seconds_minutes_and_hours_reconcile_to_the_day():
    random = Random(86400)
    start = at("2026-03-05T22:58:00")
    rows, moment, value = [], start, 123456
    while moment < start + 2 * HOUR_MS:
        rows.append((moment, Number(value, -3)))
        moment += random.choice((250, 1000, 1000, 5000, 5000, 61500, 400000))
        value += random.below(5000)
    settler = Settler(EAST8, interval_ms=5000, periods=ALL)
    closed = []
    for row in rows:
        closed.extend(settler.feed(row[0], row[1]))
    check_sums(settler, closed, rows[-1][1] - rows[0][1])
    for short in (SECOND, MINUTE, HOUR):
        for long in (MINUTE, HOUR, DAY):
            if short < long:
                check_nesting(closed, short, long)
    for s in closed:
        if s.period >= MINUTE:
            shown(s)
    # the same series at one resolution alone gives the same settlements
    for period in ALL:
        alone = Settler(EAST8, interval_ms=5000, periods=(period,))
        found = []
        for row in rows:
            found.extend(alone.feed(row[0], row[1]))
        assert found == [s for s in closed if s.period == period]


def test_a_backwards_glitch_changes_no_total():
    for glitch in ("0", "90", "99.9", "-5"):
        clean, hit = Settler(EAST8, periods=(HOUR,)), Settler(EAST8, periods=(HOUR,))
        before = [(at("2026-03-05T10:%02d:00" % m), str(100 + m)) for m in (0, 15, 30)]
        after = [(at("2026-03-05T10:45:00"), "140"), (at("2026-03-05T11:00:00"), "160")]
        closed = feed(clean, before + after)
        other = feed(hit, before)
        assert feed(hit, [(at("2026-03-05T10:40:00"), glitch)]) == [] and hit.verdict == BACKWARDS
        assert other + feed(hit, after) == closed and hit.total == clean.total
        assert closed[0].quality == GOOD


def test_many_held_readings_are_never_silent():
    settler = Settler(EAST8, limit=10, interval_ms=HOUR_MS, periods=(HOUR, DAY))
    closed = feed(settler, [(at("2026-03-05"), "100"), (at("2026-03-05T01:00:00"), "105"),
                            (at("2026-03-05T02:00:00"), "9000")])  # fmt: skip
    assert settler.verdict == FAST and settler.open(DAY).quality == ESTIMATED
    closed += feed(settler, [(at("2026-03-05T03:00:00"), "9001")])
    assert settler.open(DAY).quality == SUSPECT and settler.total == 5 and len(closed) == 1
    closed += feed(settler, [(at("2026-03-05T04:00:00"), "120"), (at("2026-03-05T05:00:00"), "121")])
    assert [shown(s)[1:5] for s in closed] == [
        ("5", "5", "5", GOOD), ("5", "None", "None", SUSPECT), ("5", "None", "None", SUSPECT),
        ("5", "None", "None", SUSPECT), ("1", "1", "1", GOOD),
    ]  # fmt: skip
    assert settler.open(DAY).quality == SUSPECT


def test_readings_without_a_value_or_not_valid_change_nothing():
    settler = Settler(EAST8, modulus=1000, periods=(HOUR, DAY))
    assert settler.open(HOUR) is None and settler.total == 0
    assert settler.feed(0, None) == [] and settler.feed(0, Number(5), 2) == [] and settler.feed(0, Number(1000)) == []
    assert settler.open(DAY) is None
    settler.feed(at("2026-03-05T10:10:00"), Number(5))
    state = settler.state()
    later = at("2026-03-05T18:00:00")
    for value, quality in ((None, 0), (None, 4), (Number(7), 2), (Number(7), 3), (Number(1000), 0), (Number(-1), 0)):
        assert settler.feed(later, value, quality) == [] and settler.state() == state
    for moment in ("2026-03-05T10:10:00", "2026-03-05T09:00:00"):  # a copy, and a copy with a clock set back
        assert settler.feed(at(moment), Number(5)) == [] and settler.state() == state


def test_an_estimated_reading_makes_its_borders_estimated():
    settler = Settler(EAST8, periods=(HOUR,))
    settler.feed(at("2026-03-05T10:00:00"), Number(0))
    closed = settler.feed(at("2026-03-05T10:30:00"), Number(1), 1)
    closed += settler.feed(at("2026-03-05T10:45:00"), Number(2))
    closed += settler.feed(at("2026-03-05T11:00:00"), Number(4))
    closed += settler.feed(at("2026-03-05T12:00:00"), Number(5), 1)
    closed += settler.feed(at("2026-03-05T13:30:00"), Number(8))
    assert [s.quality for s in closed] == [GOOD, ESTIMATED, ESTIMATED]
    assert settler.feed(at("2026-03-05T14:00:00"), Number(8))[0].quality == ESTIMATED


def test_a_clock_set_back_loses_nothing():
    settler = Settler(EAST8, interval_ms=MINUTE_MS, periods=(HOUR,))
    closed = feed(settler, [(at("2026-03-05T10:58:00"), "1"), (at("2026-03-05T11:01:00"), "4"),
                            (at("2026-03-05T10:59:00"), "6"), (at("2026-03-05T11:00:00"), "9"),
                            (at("2026-03-05T11:02:00"), "10")])  # fmt: skip
    assert [s.increment for s in closed] == [2]
    assert shown(settler.open(HOUR)) == ("2026-03-05T11:00", "7", "1", "1", ESTIMATED, 2)
    check_sums(settler, closed, 9)


@pytest.mark.slow
def test_a_clock_that_jumps_by_years_is_not_apportioned():
    settler = Settler(EAST8, interval_ms=HOUR_MS, periods=ALL)
    closed = feed(settler, [(0, "10"), (1500, "11"), (at("2026-03-05T10:00:30"), "500")])
    rows = [shown(s) for s in closed]
    assert len(rows) == 1 + 6 + 1  # second 0; then one of each level as it stood; the reading ends its own second
    assert [r[1] for r in rows] == ["1", "0", "1", "1", "1", "1", "1", "489"]
    assert [s.quality for s in closed[1:]] == [ESTIMATED] * 7
    for period in ALL[1:]:
        assert shown(settler.open(period))[1:] == ("489", "None", "None", ESTIMATED, 1)
    check_sums(settler, closed, 490)
    # a year that is missing is apportioned; seconds and minutes give up earlier
    settler = Settler(EAST8, periods=ALL)
    closed = feed(settler, [(at("2025-03-05"), "0"), (at("2026-03-05T10:00:30"), "366")])
    assert [len([s for s in closed if s.period == p]) for p in ALL] == [2, 1, 365 * 24 + 10, 365, 12, 1]
    assert [(s.end_ms, s.period) for s in closed] == sorted([(s.end_ms, s.period) for s in closed])
    check_sums(settler, closed, 366)


def test_an_operator_brings_a_series_back_from_the_future():
    settler = Settler(EAST8, periods=(DAY, YEAR))
    closed = feed(settler, [(at("2026-03-05"), "0"), (at("2099-01-01T01:00:00"), "5"), (at("2026-03-06"), "6")])
    assert settler.open(YEAR).start_ms == at("2099-01-01")
    closed += settler.replaced(at("2026-03-07"), Number(8), Number(8))
    assert settler.open(DAY) is not None
    closed += feed(settler, [(at("2026-03-07T06:00:00"), "9"), (at("2026-03-08"), "10")])
    for s in closed:
        shown(s)
    assert shown(settler.open(YEAR)) == ("2026-01-01T00:00", "4", "1", "1", ESTIMATED, 2)
    check_sums(settler, closed, 10)


def test_decimals_that_come_and_go():
    settler = Settler(EAST8, periods=(HOUR,))
    closed = feed(settler, [(at("2026-03-05T09:30:00"), "1"), (at("2026-03-05T10:30:00"), "2"),
                            (at("2026-03-05T11:30:00"), "3.25"), (at("2026-03-05T12:30:00"), "5")])  # fmt: skip
    # 1.5 to even 2; 2.625 to even 2.62; 4.125 to even 4.12
    assert [shown(s)[1] for s in closed] == ["1", "0.62", "1.50"]
    check_sums(settler, closed, 4)
    wide = Settler(EAST8, periods=(HOUR,))  # float registers lose their zeros: 1000, 2000 come as 1e3, 2e3
    closed = [wide.feed(at("2026-03-05T%02d:40:00" % h), Number(v, 3)) for h, v in ((9, 1), (10, 2))][1]
    assert closed[0].increment == 333
    for text in ("-1.5", "-2.5", "-3.5"):  # ties at borders of negative registers go to even too
        settler = Settler(EAST8, periods=(HOUR,))
        closed = feed(settler, [(at("2026-03-05T09:30:00"), "-4.0"), (at("2026-03-05T10:30:00"), text)])
        print(closed)


def test_settings_that_make_no_sense():
    for arguments in ((EAST8, None, None, None, ()), (EAST8, None, None, None, (6,)),
                      (EAST8, None, None, None, ("day",)), (900,),
                      ("+08:00",), (EAST8, 0), (EAST8, None, -1), (EAST8, None, None, 0)):  # fmt: skip
        with pytest.raises(SeriesError) as caught:
            Settler(*arguments)
        print(caught.value)
    with pytest.raises(SeriesError, match="not settled"):
        Settler(EAST8, periods=(DAY,)).open(HOUR)
    settler = Settler(EAST8, periods=(YEAR, HOUR, DAY))
    closed = feed(settler, [(at("2025-12-31T23:30:00"), "0"), (at("2026-01-01"), "1")])
    assert [s.period for s in closed] == [HOUR, DAY, YEAR]


def test_what_is_no_state_is_refused():
    settler = Settler(EAST8, periods=(HOUR, DAY))
    feed(settler, [(at("2026-03-05T10:30:00"), "1"), (at("2026-03-05T11:30:00"), "2.5")])
    state = settler.state()
    random = Random(13)
    wrong = [None, [], [1, 2, 3, 4], [2] + state[1:], state[:3] + [state[3][:1]], Settler(EAST8).state()]
    for _ in range(200):
        broken = cbor.decode(cbor.encode(state))
        target = broken
        while isinstance(target[0], list) or target is broken:
            i = random.below(len(target))
            if not isinstance(target[i], list):
                break
            target = target[i]
        i = random.below(len(target))
        target[i] = random.choice(("x", [], b""))
        wrong.append(broken)
    refused = 0
    for item in wrong:
        other = Settler(EAST8, periods=(HOUR, DAY))
        other.restore(state)
        with pytest.raises(SeriesError):
            other.restore(item)
        assert other.state() == state
        refused += 1
    print(refused)
