"""Filling by hand: the line and the nearer neighbour, the four days around a gap, what is not filled."""

import pytest

from carbonterm.errors import SeriesError
from carbonterm.number import Ratio
from carbonterm.series import gaps
from carbonterm.series.gaps import DAY_MS, LINEAR, NEAREST, STEP
from seeded import Random

HOUR = 3600000


@pytest.mark.requirement("T-12.4-3", part="values of both methods against a hand calculation")
def test_values_between_two_readings_by_hand():
    # 10 at 00:00, 20 at 04:00: 12.5, 15, 17.5 by the line (half to even: 12, 15, 18), 10 10 20 by the nearer one
    line = [gaps.value(LINEAR, 4 * HOUR, 10, 20, k * HOUR) for k in range(5)]
    near = [gaps.value(NEAREST, 4 * HOUR, 10, 20, k * HOUR) for k in range(5)]
    step = [gaps.value(STEP, 4 * HOUR, 10, 20, k * HOUR) for k in range(5)]
    assert line == [10, 12, 15, 18, 20]
    assert near == [10, 10, 10, 20, 20]
    assert step == [10] * 5
    print(line, near, step)


@pytest.mark.requirement("T-12.4-3", part="amounts of both methods against a hand calculation")
def test_areas_between_two_readings_by_hand():
    # twice the area: the line 10 → 20 over 4 h holds 60 value-hours, the first hour 11.25, the first three 41.25
    assert [gaps.course(LINEAR, 4 * HOUR, 10, 20, k * HOUR) for k in (0, 1, 3, 4)] == [
        0, 22 * HOUR + HOUR // 2, 82 * HOUR + HOUR // 2, 120 * HOUR]  # fmt: skip
    assert [gaps.course(NEAREST, 4 * HOUR, 10, 20, k * HOUR) for k in (1, 2, 3, 4)] == [
        20 * HOUR, 40 * HOUR, 80 * HOUR, 120 * HOUR]  # fmt: skip
    assert gaps.course(NEAREST, 3, 10, 20, 3) == 90  # an odd length has its middle between two milliseconds
    assert gaps.course(STEP, 4 * HOUR, 10, 20, 3 * HOUR) == 60 * HOUR


def test_a_course_is_the_exact_area_rounded_once():
    random = Random(12)
    for _ in range(500):
        length = random.between(1, 10**9)
        first, last = random.between(-(10**6), 10**6), random.between(-(10**6), 10**6)
        at = random.between(0, length)
        exact = Ratio(2 * first * at) + Ratio((last - first) * at * at, length)
        assert gaps.course(LINEAR, length, first, last, at) == exact.round(0).mantissa
        assert gaps.course(LINEAR, length, first, last, length) == (first + last) * length
        assert gaps.course(NEAREST, length, first, last, length) == (first + last) * length
        assert gaps.value(NEAREST, length, first, last, at) in (first, last)
        assert min(first, last) <= gaps.value(LINEAR, length, first, last, at) <= max(first, last)
    print(gaps.course(LINEAR, 7, 3, 5, 3), gaps.value(LINEAR, 7, 3, 5, 3))


@pytest.mark.requirement("T-12.4-4", part="the two days before and after decide whether a gap is filled")
def test_four_days_around_a_gap():
    gap = [10 * DAY_MS, 10 * DAY_MS + 5 * HOUR]
    assert gaps.around(0, [gap], *gap) == [DAY_MS] * 4
    assert gaps.enough([DAY_MS * 3 // 4] * 4)
    assert not gaps.enough([DAY_MS] * 3 + [DAY_MS * 3 // 4 - 1])
    # the series began 30 hours before; another gap of 7 hours lies on the border of the two days after
    begun = gap[0] - 30 * HOUR
    other = [gap[1] + 20 * HOUR, gap[1] + 27 * HOUR]
    days = gaps.around(begun, [gap, other], *gap)
    assert days == [6 * HOUR, 24 * HOUR, 20 * HOUR, 21 * HOUR]
    assert not gaps.enough(days)
    # gaps that are older or later than the four days play no part
    far = [[gap[0] - 60 * HOUR, gap[0] - 50 * HOUR], [gap[1] + 49 * HOUR, gap[1] + 99 * HOUR]]
    assert gaps.enough(gaps.around(0, far + [gap], *gap))
    print(days)


def test_methods_by_name():
    assert [gaps.method(name) for name in ("linear", "nearest")] == [LINEAR, NEAREST]
    for name in ("cubic", "", "counted", None, 7):
        with pytest.raises(SeriesError):
            gaps.method(name)
