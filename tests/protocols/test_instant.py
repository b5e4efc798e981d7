"""Values of the moment: amounts and means, irregular sampling, gaps and their fills, clocks, restarts."""

import pytest

from carbonterm import cbor, clock
from carbonterm.clock import DAY, HOUR, MINUTE, MONTH, SECOND, YEAR
from carbonterm.errors import SeriesError
from carbonterm.number import Number, Ratio
from carbonterm.series import gaps
from carbonterm.series.instant import AMOUNT, MEAN, Instant
from carbonterm.series.register import FIRST, FORWARD, LATE
from seeded import Random

EAST8 = 480
MIN = 60000
HOUR_MS = 3600000
DAY_MS = 86400000
T = clock.parse("2026-03-02T00:00:00+08:00")
PERIODS = (HOUR, DAY, MONTH, YEAR)


def added(rows):
    total = Number(0)
    for row in rows:
        if row.increment is not None:
            total = total + row.increment
    return total


def check_sums(series, closed, periods=PERIODS):
    """At every level the closings and the open one add up to the total."""
    for period in periods:
        rows = [s for s in closed if s.period == period] + [series.open(period)]
        assert added(rows) == series.total, (period, str(added(rows)), str(series.total))


@pytest.mark.requirement("T-8.3.2-2", part="the integral of a constant rate is rate times time, at any sampling")
def test_a_constant_rate_over_irregular_times():
    random = Random(3)
    for rule in (gaps.LINEAR, gaps.STEP):
        series, at = Instant(EAST8, AMOUNT, rule), T
        closed = series.feed(at, Number("12.5"))
        while at < T + 3 * DAY_MS:
            at = min(at + random.between(MIN, 5 * HOUR_MS), T + 3 * DAY_MS)
            closed += series.feed(at, Number("12.5"))
        assert series.total == Number("900")  # 12.5 t/h × 72 h
        days = [s for s in closed if s.period == DAY]
        assert [str(s.increment) for s in days] == ["300.000000"] * 3
        assert [s.quality for s in days] == [0, 0, 0]
        assert [str(s.increment) for s in closed if s.period == HOUR] == ["12.500000"] * 72
        check_sums(series, closed)
    print(str(series.total))


@pytest.mark.requirement("T-8.3.2-2", part="a rate that changes, by hand")
def test_a_ramp_by_hand():
    # 0 at 00:00, 6 t/h at 03:00, along the line: 1 + 3 + 5 = 9 t in the three hours; along steps nothing
    for rule, hours in ((gaps.LINEAR, ["1.000000", "3.000000", "5.000000"]), (gaps.STEP, ["0.000000"] * 3)):
        series = Instant(EAST8, AMOUNT, rule)
        closed = series.feed(T, Number(0)) + series.feed(T + 3 * HOUR_MS, Number(6))
        assert [str(s.increment) for s in closed] == hours
    # the same rate per second and per minute
    for per_ms, total in ((1000, "32400.000000"), (60000, "540.000000")):
        series = Instant(EAST8, AMOUNT, gaps.LINEAR, per_ms)
        series.feed(T, Number(0))
        series.feed(T + 3 * HOUR_MS, Number(6))
        assert str(series.total) == total
        print(total)


@pytest.mark.requirement("T-8.2.1-4", part="seconds, minutes and hours of a rate add up to its day")
def test_seconds_minutes_and_hours_add_up():
    periods = (SECOND, MINUTE, HOUR, DAY)
    series, closed = Instant(EAST8, AMOUNT, periods=periods), []
    random, at = Random(5), T + 400
    while at < T + 2 * HOUR_MS:
        closed += series.feed(at, Number(random.below(5000), -2))
        at += random.between(200, 90000)
    check_sums(series, closed, periods)
    print(str(series.total), len(closed))


def reference(rows, period, interval_ms):
    """[(start, increment Number or None)] of (time_ms, Number), exactly, everything kept: closed periods."""
    def area(moment):
        total = Ratio(0)
        for i in range(len(rows) - 1):
            (t1, v1), (t2, v2) = rows[i], rows[i + 1]
            if t1 >= moment:
                break
            length, past = t2 - t1, min(moment, t2) - t1
            if interval_ms is not None and length > 2 * interval_ms:
                continue
            total = total + v1 * past + (v2 - v1) * Ratio(past * past, 2 * length)
        return total

    found, start = [], clock.start(period, rows[0][0], EAST8)
    at = Ratio(0).round(6)
    while clock.end(period, start, EAST8) <= rows[-1][0]:
        end = clock.end(period, start, EAST8)
        border = (area(end) / HOUR_MS).round(6)
        found.append((start, border - at))
        start, at = end, border
    return found


def life(random, count, interval_ms):
    """Readings (time_ms, Number) of a life with copies, late ones and outages, and those that count."""
    at, fed, true = T - random.below(3 * HOUR_MS), [], []
    exponent = -random.below(3)
    for _ in range(count):
        reading = (at, Number(random.between(-500, 5000), exponent))
        fed.append(reading)
        true.append(reading)
        event = random.below(20)
        if event == 0:
            fed.append(reading)
        elif event == 1 and len(true) > 2:
            fed.append((true[-2][0], Number(99999)))
        step = random.between(interval_ms // 4, 2 * interval_ms)
        if random.below(25) == 0:
            step = random.between(2 * interval_ms + 1, 40 * interval_ms)
        at = at - at % HOUR_MS + HOUR_MS if random.below(10) == 0 else at + step
    return fed, true


@pytest.mark.requirement("T-8.2.1-1", part="sum of the periods of a rate is its whole, over copies and outages")
def test_random_lives_against_an_exact_second_computation():
    for seed in range(12):
        random = Random(seed)
        interval_ms = 10 * MIN
        fed, true = life(random, 60, interval_ms)
        series, closed = Instant(EAST8, interval_ms=interval_ms), []
        for at, value in fed:
            closed += series.feed(at, value)
        check_sums(series, closed)
        for period in (HOUR, DAY):
            rows = [s for s in closed if s.period == period]
            wanted = reference(true, period, interval_ms)
            assert [s.start_ms for s in rows] == [start for start, _ in wanted]
            for row, (_, increment) in zip(rows, wanted):
                # a border is rounded to half a millisecond's worth of the last digit, far below the sixth decimal
                far = abs((row.increment if row.increment is not None else Number(0)) - increment)
                assert far <= Number(1, -6), (seed, str(row), str(increment))
                assert (row.increment is None) == (row.quality == 3)
        print(seed, str(series.total), [s.quality for s in closed if s.period == DAY])


def restarted(series, make):
    state = cbor.encode(series.state())
    again = make()
    again.restore(cbor.decode(state))
    assert cbor.encode(again.state()) == state
    return again


@pytest.mark.slow
@pytest.mark.requirement("T-12.4-2", part="an integrated amount over restarts at any point")
def test_restarts_at_every_step_change_nothing():
    for seed in range(6):
        random = Random(100 + seed)
        interval_ms = 20 * MIN

        def make(interval_ms=interval_ms):
            return Instant(EAST8, AMOUNT, gaps.LINEAR, HOUR_MS, interval_ms, gaps.LINEAR)

        fed, _ = life(random, 250, interval_ms)
        one, two = make(), make()
        a, b, fills = [], [], [[], []]
        for at, value in fed:
            a += one.feed(at, value)
            b += two.feed(at, value)
            fills[0] += [(f.from_ms, f.days, str(f.after)) for f in one.fills]
            fills[1] += [(f.from_ms, f.days, str(f.after)) for f in two.fills]
            two = restarted(two, make)
        assert a == b and fills[0] == fills[1]
        check_sums(one, a)
        print(seed, str(one.total), len(a), len(fills[0]), sum([1 for f in fills[0] if f[2] != "None"]))


def week(fill, gap=(74, 79), every=30, before=10, after=22, interval=30):
    """(series, closings, fills) of seven days: `before` up to hour gap[0], `after` from hour gap[1] on."""
    series = Instant(EAST8, AMOUNT, gaps.LINEAR, HOUR_MS, interval * MIN, fill)
    closed, fills = [], []
    for k in range(7 * 24 * 60 // every + 1):
        at = k * every
        if gap[0] * 60 < at < gap[1] * 60:
            continue
        closed += series.feed(T + at * MIN, Number(before if at <= gap[0] * 60 else after))
        fills += series.fills
    return series, closed, fills


@pytest.mark.requirement("T-12.4-3", part="amounts filled by both methods equal the hand calculation, and are marked")
def test_a_filled_gap_by_hand():
    plain, rows, fills = week(None)
    assert fills == [] and str(plain.total) == str(Number("740") + Number(22 * (168 - 79), 0)) + ".000000"
    hours = [s for s in rows if s.period == HOUR and s.start_ms >= T + 74 * HOUR_MS][:5]
    assert [(s.increment, s.quality) for s in hours] == [(None, 3)] * 5
    day = [s for s in rows if s.period == DAY][3]  # 72 to 96: two hours of 10, seventeen of 22
    assert (str(day.increment), day.quality) == ("394.000000", 2)
    # linear from 10 at hour 74 to 22 at hour 79: 11.2 13.6 16 18.4 20.8; nearest: 10 10 16 22 22
    by_hand = {gaps.LINEAR: (11200, 13600, 16000, 18400, 20800), gaps.NEAREST: (10000, 10000, 16000, 22000, 22000)}
    for fill in (gaps.LINEAR, gaps.NEAREST):
        series, closed, fills = week(fill)
        assert len(fills) == 1
        one = fills[0]
        assert (one.rule, one.from_ms, one.to_ms) == (fill, T + 74 * HOUR_MS, T + 79 * HOUR_MS)
        assert (one.first, one.last, one.days) == (Number(10), Number(22), [DAY_MS] * 4)
        assert one.after - one.before == Number(80) and series.total - plain.total == Number(80)
        again = [s for s in closed if s not in rows]
        filled = [s for s in again if s.period == HOUR]
        assert [s.increment.at(-3) for s in filled] == list(by_hand[fill])
        assert [(str(s.increment), s.quality) for s in again if s.period == DAY] == [("80.000000", 1)]
        assert {s.quality for s in filled} == {1} and [s.start_ms for s in filled] == [s.start_ms for s in hours]
        check_sums(series, closed)
        print([str(s) for s in again])


@pytest.mark.requirement("T-12.4-4", part="what is filled depends on the two days around the gap and on nothing else")
def test_a_gap_without_enough_around_it_is_not_filled():
    # it begins 30 hours after the series: the first of the two days before is a quarter known
    series, closed, fills = week(gaps.LINEAR, (30, 35))
    # when it is decided, the reading of hour 83 is not yet counted
    assert [(f.before, f.after) for f in fills] == [(Number(300 + 22 * 47 + 11), None)]
    assert fills[0].days == [6 * HOUR_MS, DAY_MS, DAY_MS, DAY_MS]
    check_sums(series, closed)
    # as long as three working days and a weekend is filled, and no longer
    for hours, open_ in ((119, 1), (121, 0)):
        series = Instant(EAST8, AMOUNT, gaps.LINEAR, HOUR_MS, HOUR_MS, gaps.LINEAR)
        fills = []
        for hour in list(range(49)) + list(range(48 + hours, 48 + hours + 49)):
            series.feed(T + hour * HOUR_MS, Number(1))
            fills += series.fills
        assert len([f for f in fills if f.after is not None]) == open_
        print(hours, str(series.total))


def test_the_last_two_days_may_end_in_a_gap():
    # behind the gap comes an hour of readings, then nothing for three days: nothing is filled when the series goes on
    series = Instant(EAST8, AMOUNT, gaps.LINEAR, HOUR_MS, HOUR_MS, gaps.NEAREST)
    fills = []
    for hour in list(range(72)) + [80, 81] + list(range(160, 260)):
        series.feed(T + hour * HOUR_MS, Number(1))
        fills += [(f.from_ms - T, f.days, f.after) for f in series.fills]
    assert fills[0] == (71 * HOUR_MS, [DAY_MS, DAY_MS, HOUR_MS, 0], None)
    assert fills[1] == (81 * HOUR_MS, [DAY_MS, 15 * HOUR_MS, DAY_MS, DAY_MS], None)
    print(fills)


def test_two_gaps_in_one_day_are_suspect_until_both_are_filled():
    series, closed = Instant(EAST8, AMOUNT, gaps.LINEAR, HOUR_MS, HOUR_MS, gaps.LINEAR), []
    for hour in list(range(73)) + list(range(76, 91)) + list(range(93, 150)):
        closed += series.feed(T + hour * HOUR_MS, Number(4))
    day = [(str(s.increment), s.quality) for s in closed if s.period == DAY and s.start_ms == T + 72 * HOUR_MS]
    # 72 to 96 without 72–76 and 90–93: 17 hours of 4, then 16 more, then 12 more
    assert day == [("68.000000", 2), ("16.000000", 2), ("12.000000", 1)]
    month = series.open(MONTH)
    assert (str(month.increment), month.quality) == ("596.000000", 1)
    check_sums(series, closed)
    print(day)


def test_a_line_that_comes_and_goes_is_not_filled_and_bounds_the_memory():
    series = Instant(EAST8, AMOUNT, gaps.LINEAR, HOUR_MS, MIN, gaps.LINEAR)
    fills, at = [], T
    for _ in range(400):  # ten minutes known, ten not
        for _ in range(10):
            series.feed(at, Number(3))
            fills += series.fills
            at += MIN
        at += 10 * MIN
    assert len(cbor.encode(series.state())) < 1500
    while at < T + 9 * DAY_MS:
        series.feed(at, Number(3))
        fills += series.fills
        at += MIN
    assert fills and not [fill for fill in fills if fill.after is not None]
    print(len(fills), str(series.total))


def test_means_are_weighted_by_time_and_leave_gaps_out():
    series, closed = Instant(EAST8, MEAN, interval_ms=HOUR_MS), []
    for minute, value in ((0, 10), (15, 10), (60, 30), (120, 30), (600, 50), (660, 50), (720, 50)):
        closed += series.feed(T + minute * MIN, Number(value))
    hours = [(None if s.increment is None else str(s.increment.round(3)), s.quality) for s in closed]
    # the first: a quarter of 10 and three quarters of 20 on average
    assert hours[:2] == [("17.500", 0), ("30.000", 0)]
    assert hours[2:10] == [(None, 3)] * 8
    assert hours[10:] == [("50.000", 0), ("50.000", 0)]
    assert [(str(s.max), str(s.min)) for s in closed[:2]] == [("30.000000", "10.000000"), ("30.000000", "30.000000")]
    day = series.open(DAY)
    assert (str(day.increment), day.quality) == ("36.875000", 2)  # (17.5 + 30 + 50 + 50) / 4
    assert series.total == Number(0)
    print(hours)


def test_late_readings_and_copies_change_nothing():
    series = Instant(EAST8)
    series.feed(T, Number(1))
    assert series.verdict == FIRST
    series.feed(T + HOUR_MS, Number(1))
    assert series.verdict == FORWARD
    state = series.state()
    for at, value in ((T + HOUR_MS, 1), (T + HOUR_MS, 7), (T, 9), (T - DAY_MS, 9)):
        assert series.feed(at, Number(value)) == [] and series.verdict == LATE
    assert series.feed(T + 2 * HOUR_MS, None) == [] and series.feed(T + 2 * HOUR_MS, Number(9), 2) == []
    assert series.state() == state
    assert series.register.held == 0


def test_a_clock_that_is_set_loses_no_amount():
    for shift in (-2 * HOUR_MS, 2 * HOUR_MS, -3 * DAY_MS, 3 * DAY_MS, -30000, 30000):
        series, closed, at = Instant(EAST8, interval_ms=30 * MIN), [], T
        for _ in range(40):
            closed += series.feed(at, Number(6))
            at += 30 * MIN
        before = at - 25 * MIN
        closed += series.stepped(before, before + shift)
        at = before + shift + 25 * MIN
        for _ in range(40):
            closed += series.feed(at, Number(6))
            at += 30 * MIN
        assert series.total == Number(6) * 79 / 2  # 79 half hours, whatever the clock said
        check_sums(series, closed)
        print(shift, len(closed), str(series.total), [s.quality for s in closed if s.period == DAY])


def test_an_unset_clock_and_what_it_measured():
    series, closed = Instant(EAST8, interval_ms=10 * MIN), []
    for k in range(5):
        closed += series.feed(T + k * 10 * MIN, Number(6))
    series.adrift(1000)
    for k in range(13):
        series.unset(1000 + k * 10 * MIN, Number(12))
    # the clock is set: the first of those readings was at 01:00, twenty minutes after the last before
    closed += series.landed(T + 60 * MIN - 1000)
    closed += series.feed(T + 190 * MIN, Number(12))
    assert series.total == Number(4) + Number(3) + Number(26)  # 40 min of 6, 20 min of 9, 130 min of 12
    check_sums(series, closed)
    assert [str(s.increment) for s in closed] == ["7.000000", "12.000000", "12.000000"]
    assert [s.quality for s in closed] == [1, 1, 1]
    # one that never gets its time: the two hours are counted with the next reading
    series.adrift(50)
    for k in range(13):
        series.unset(k * 10 * MIN, Number(12))
    series.adrift(50)
    closed += series.feed(T + 9 * HOUR_MS, Number(12))
    assert series.total == Number(33 + 24)
    check_sums(series, closed)
    assert series.landed(5) == []
    print([str(s) for s in closed])


def test_an_unset_clock_before_the_first_time():
    series = Instant(EAST8, interval_ms=10 * MIN)
    assert series.total == Number(0) and series.open(DAY) is None and series.stepped(0, 5) == []
    series.adrift(0)
    for k in range(7):
        series.unset(k * 10 * MIN, Number(6))
    closed = series.landed(T)
    assert series.total == Number(6) and [str(s.increment) for s in closed] == ["6.000000"]
    again = Instant(EAST8, interval_ms=10 * MIN)
    for k in range(7):
        again.unset(k * 10 * MIN, Number(6))
    again.feed(T, Number(6))  # nobody knows when they were
    assert again.total == Number(6)
    assert again.open(DAY).quality == 1


@pytest.mark.slow
@pytest.mark.requirement("T-12.4-2", part="an integrated amount over random clocks and restarts")
def test_random_clocks():
    for seed in range(10):
        random = Random(500 + seed)

        def make():
            return Instant(EAST8, AMOUNT, gaps.LINEAR, HOUR_MS, 10 * MIN, gaps.LINEAR)

        series, closed, at, unset = make(), [], T, None
        for _ in range(400):
            event = random.below(60)
            if unset is None:
                closed += series.feed(at, Number(random.below(100), -1))
                if event == 0:
                    shift = random.choice((-1, 1)) * random.choice((MIN, HOUR_MS, 30 * HOUR_MS, 9 * DAY_MS))
                    closed += series.stepped(at + MIN, at + MIN + shift)
                    at += shift
                elif event == 1:
                    unset = 5000
                    series.adrift(unset)
            else:
                series.unset(unset, Number(random.below(100), -1))
                unset += 10 * MIN
                if event < 5:
                    closed += series.landed(at - 5000 + random.below(HOUR_MS))
                    unset = None
                elif event == 5:
                    series.adrift(0)
            at += random.choice((10 * MIN, 10 * MIN, 10 * MIN, 10 * MIN, random.below(3 * DAY_MS)))
            series = restarted(series, make)
        check_sums(series, closed)
        print(seed, str(series.total), len(closed))


def test_settings_that_cannot_be():
    for arguments in ((EAST8, 2), (EAST8, AMOUNT, gaps.NEAREST), (EAST8, AMOUNT, gaps.LINEAR, 0),
                      (EAST8, AMOUNT, gaps.LINEAR, 1000, -1), (EAST8, AMOUNT, gaps.LINEAR, 1000, 5, gaps.STEP),
                      (EAST8, MEAN, gaps.LINEAR, 1000, 5, gaps.LINEAR),
                      (EAST8, AMOUNT, gaps.LINEAR, 1000, 5, None, (9,)),
                      (EAST8, AMOUNT, gaps.LINEAR, 1000, 5, None, ())):  # fmt: skip
        with pytest.raises(SeriesError):
            Instant(*arguments)
    with pytest.raises(SeriesError):
        Instant(EAST8).replaced(T, Number(1), Number(2))
    with pytest.raises(SeriesError):
        Instant(EAST8).open(SECOND)


def test_garbage_is_no_state():
    series = Instant(EAST8, interval_ms=MIN, fill=gaps.LINEAR)
    for k in (0, 1, 2, 90, 91):
        series.feed(T + k * MIN, Number(k))
    series.adrift(0)
    series.unset(5, Number(3))
    good = series.state()
    random = Random(77)
    refused = 0
    for _ in range(300):
        state = cbor.decode(cbor.encode(good))
        place = state
        while True:
            at = random.below(len(place))
            if not isinstance(place[at], list) or not place[at] or random.below(4) == 0:
                place[at] = random.choice((None, "x", [], "1.5", b"", [True]))
                break
            place = place[at]
        fresh = Instant(EAST8, interval_ms=MIN, fill=gaps.LINEAR)
        try:
            fresh.restore(state)
        except SeriesError:
            refused += 1
            assert fresh.time_ms is None and fresh.total == Number(0)
    assert refused > 200
