"""A clock that is set while a series runs: no increment is lost, nothing is stuck, what is in doubt is marked."""

import pytest

from carbonterm import cbor, clock
from carbonterm.clock import DAY, HOUR, MONTH, YEAR
from carbonterm.number import Number
from carbonterm.series.closing import ESTIMATED, Settler
from seeded import Random

NOON = clock.parse("2026-11-21T12:10:00+08:00")
MINUTE, HOUR_MS, DAY_MS = 60000, 3600000, 86400000
BORDERS = (1 << 31, 1 << 32, 253000000000)  # seconds: 2038, 2106 and the year 9987


class Series:
    """A settler, the wall clock that feeds it, and everything it closed."""

    def __init__(self, now, **more):
        self.settler = Settler(480, interval_ms=MINUTE, **more)
        self.now = now
        self.value = 1000
        self.first = 1000
        self.closed = []

    def run(self, minutes, each=1):
        for _ in range(minutes):
            self.now += MINUTE
            self.value += each
            self.closed.extend(self.settler.feed(self.now, Number(self.value)))

    def step(self, ms):
        found = self.settler.stepped(self.now, self.now + ms)
        self.now += ms
        self.closed.extend(found)
        return found

    def check(self):
        """At every level: what was closed and what is open add up to last minus first."""
        whole = Number(self.value - self.first)
        assert self.settler.total == whole
        for period in (HOUR, DAY, MONTH, YEAR):
            total = self.settler.open(period).increment
            for s in self.closed:
                if s.period == period:
                    total = total + s.increment
            assert total == whole, period

    def begin(self):
        self.settler.feed(self.now, Number(self.value))
        return self


def test_set_back_a_day_it_waits():
    series = Series(NOON, limit="60").begin()
    series.run(30)
    assert series.step(-DAY_MS) == []
    series.now += 30 * MINUTE  # the meter is silent for half an hour
    series.value += 29
    series.run(120)
    series.check()
    assert series.closed == []  # nothing that was settled is opened again
    series.step(DAY_MS)
    series.run(40)
    series.check()
    assert next(s.quality for s in series.closed if s.period == HOUR) == ESTIMATED
    print(series.closed)


@pytest.mark.requirement("T-12.4-2", part="a clock that is wrong by a year and set right again")
def test_forward_a_year_and_back_again():
    series = Series(NOON, limit="60").begin()
    series.run(30)
    year = 365 * DAY_MS
    found = series.step(year)
    assert [s.period for s in found] == [HOUR, DAY, MONTH, YEAR] and all(s.quality == ESTIMATED for s in found)
    series.run(60)
    series.step(-year)
    series.run(120)
    series.check()
    last = series.closed[-1]
    assert last.end_ms <= series.now and series.settler.open(HOUR).start_ms <= series.now
    print(series.closed)


def test_a_step_inside_its_periods_closes_nothing():
    series = Series(NOON).begin()
    series.run(2)
    assert series.step(1500) == []
    series.run(60)
    series.check()


def test_before_the_first_reading_nothing_happens():
    assert Settler(0).stepped(NOON, NOON + DAY_MS) == []


@pytest.mark.parametrize("border", BORDERS)
def test_borders_of_time(border):
    for step in (0, -3 * DAY_MS, 3 * DAY_MS, NOON - border * 1000):
        series = Series(border * 1000 - 90 * MINUTE, limit="60").begin()
        series.run(100)
        series.step(step)
        series.run(100)
        series.check()
        print(border, step, len(series.closed), series.closed[-1])


def test_to_the_first_time_there_is_and_the_last():
    series = Series(NOON).begin()
    series.run(5)
    series.step(clock.FLOOR_MS - series.now)
    series.run(90)
    series.step(clock.CEILING_MS - series.now)
    series.run(90)
    series.check()
    assert all(s.start_ms >= 0 for s in series.closed)


@pytest.mark.slow
def test_a_clock_that_knows_no_rest():
    random = Random(1970)
    series = Series(NOON, limit="60").begin()
    for _ in range(300):
        series.run(random.below(90))
        series.step(random.choice((-1, 1)) * random.below(random.choice((5000, 2 * HOUR_MS, 3 * DAY_MS, 200 * DAY_MS))))
        if series.now < NOON - 1500 * DAY_MS:
            series.step(NOON - series.now)
        again = Settler(480, interval_ms=MINUTE, limit="60")
        again.restore(cbor.decode(cbor.encode(series.settler.state())))
        assert again.state() == series.settler.state()
        series.settler = again
        series.check()
    print(len(series.closed), series.closed[-1])
