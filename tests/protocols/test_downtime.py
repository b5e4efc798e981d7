"""Working days of a standstill: weekends, holidays, days that are worked instead, borders."""

import pytest

from carbonterm import clock
from carbonterm.series.downtime import DAY_MS, LIMIT_DAYS, is_worked, tenths, working_ms
from seeded import Random

EAST8 = 480


def at(text):
    return clock.parse(text + "+08:00")


def day(text):
    return (at(text + "T00:00:00") + EAST8 * 60000) // DAY_MS


@pytest.mark.requirement("T-12.4-1", part="working days with a calendar")
def test_working_days_by_hand():
    friday = at("2026-11-20T12:00:00")
    assert working_ms(friday, at("2026-11-20T18:00:00"), EAST8) == DAY_MS // 4
    assert working_ms(friday, at("2026-11-23T00:00:00"), EAST8) == DAY_MS // 2  # the weekend does not count
    assert working_ms(friday, at("2026-11-25T12:00:00"), EAST8) == LIMIT_DAYS * DAY_MS
    assert tenths(working_ms(friday, at("2026-11-25T12:00:00"), EAST8)) == "3.0"
    assert tenths(working_ms(friday, at("2026-11-25T12:00:01"), EAST8)) == "3.1"
    # National Day: 1 to 7 October are holidays, Saturday the 10th is worked instead
    holidays = [day("2026-10-0%d" % n) for n in range(1, 8)]
    worked = [day("2026-10-10")]
    span = at("2026-09-30T00:00:00"), at("2026-10-11T00:00:00")
    assert working_ms(span[0], span[1], EAST8, (holidays, worked)) == 4 * DAY_MS  # 30 September, 8, 9, 10 October
    assert working_ms(span[0], span[1], EAST8) == 8 * DAY_MS
    assert [is_worked(day("2026-11-%02d" % n)) for n in range(16, 23)] == [True] * 5 + [False] * 2
    print(tenths(0), tenths(1), tenths(DAY_MS))


def test_spans_add_up():
    random = Random(4)
    for _ in range(200):
        begin = at("2026-01-01T00:00:00") + random.below(300 * DAY_MS)
        middle = begin + random.below(20 * DAY_MS)
        end = middle + random.below(20 * DAY_MS)
        zone = random.between(-840, 840)
        parts = working_ms(begin, middle, zone) + working_ms(middle, end, zone)
        assert parts == working_ms(begin, end, zone)
        assert 0 <= parts <= end - begin
    assert working_ms(5, 5, 0) == 0 and working_ms(10, 5, 0) == 0
    assert working_ms(0, 10**15, 0) < 367 * DAY_MS
