"""Civil time: known moments, borders of every period, ports that count from 2000, refusals."""

import pytest

from carbonterm import clock
from carbonterm.errors import ClockError
from seeded import Random

EAST8 = 480


def test_known_moments():
    for text, ms in (
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T08:00:00+08:00", 0),
        ("2000-01-01T00:00:00Z", 946684800000),
        ("2000-02-29T12:00:00Z", 951825600000),
        ("2038-01-19T03:14:08Z", 2**31 * 1000),
        ("2106-02-07T06:28:16Z", 2**32 * 1000),
        ("2026-11-21T08:00:00.250+08:00", 1795219200250),
        ("9999-12-31T23:59:59.999Z", clock.MAX_MS),
    ):
        assert clock.parse(text) == ms, text
        print(clock.text(ms), clock.text(ms, EAST8), clock.civil(ms, -210))
    assert clock.text(0, EAST8) == "1970-01-01T08:00:00+08:00"
    assert clock.parse("2026-11-21 08:00:00.2504+08:00") == 1795219200250


@pytest.mark.requirement("T-8.2.1-3")
def test_leap_years_and_month_ends():
    assert [y for y in (1900, 1999, 2000, 2004, 2100, 2400) if clock.is_leap(y)] == [2000, 2004, 2400]
    for year in (1970, 2024, 2026, 2100):
        length = 0
        for month in range(1, 13):
            first = clock.stamp(year, month, 1, zone=EAST8)
            end = clock.end(clock.MONTH, first, EAST8)
            assert end == clock.stamp(year + month // 12, month % 12 + 1, 1, zone=EAST8)
            assert (end - first) // 86400000 == clock.month_days(year, month)
            length += end - first
        first = clock.stamp(year, 1, 1, zone=EAST8)
        assert clock.end(clock.YEAR, first, EAST8) - first == length
    with pytest.raises(ClockError):
        clock.stamp(2026, 2, 29)
    assert clock.civil(clock.stamp(2024, 2, 29, 23, 59, 59, 999, EAST8) + 1, EAST8)[:4] == (2024, 3, 1, 0)


def test_a_day_begins_at_local_midnight():
    moment = clock.parse("2026-11-21T00:30:00+08:00")
    assert clock.text(clock.start(clock.DAY, moment, EAST8), EAST8) == "2026-11-21T00:00:00+08:00"
    assert clock.text(clock.start(clock.DAY, moment, 0)) == "2026-11-20T00:00:00Z"
    assert clock.text(clock.start(clock.YEAR, clock.parse("2026-12-31T17:00:00Z"), EAST8), EAST8)[:10] == "2027-01-01"


def test_every_moment_has_one_period_of_each_kind():
    random = Random(32)
    for _ in range(400):
        ms, zone = random.below(clock.MAX_MS - 400 * 86400000), random.choice((0, EAST8, -210, 345, 840))
        fields = clock.civil(ms, zone)
        assert clock.stamp(fields[0], fields[1], fields[2], fields[3], fields[4], fields[5], fields[6], zone) == ms
        assert clock.parse(clock.text(ms, zone)) == ms
        for period in range(6):
            first, end = clock.start(period, ms, zone), clock.end(period, ms, zone)
            assert first <= ms < end
            assert clock.start(period, first, zone) == first == clock.start(period, end - 1, zone)
            assert clock.start(period, end, zone) == end
        print(fields, zone)


def test_ports_count_from_1970_or_2000():
    assert clock.from_port(1, 1970) == 1000
    assert clock.from_port(0, 2000) == clock.parse("2000-01-01T00:00:00Z")
    with pytest.raises(ClockError, match="2001"):
        clock.from_port(0, 2001)


@pytest.mark.parametrize(
    "text",
    ("", "2026-11-21", "2026-11-21T08:00:00", "2026-11-21T08:00+08:00", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z",
     "2026-11-21T24:00:00Z", "2026-11-21T08:00:00+8:00", "2026-11-21T08:00:00+15:00", "2026-11-21T08:00:00.Z",
     "１970-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2026-11-21T08:00:00Zx", "-026-11-21T08:00:00Z"),
)  # fmt: skip
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ClockError) as caught:
        clock.parse(text)
    print(caught.value)
