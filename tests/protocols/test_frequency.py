"""How often a point is read (11.2): the bus's task in virtual time, where a read takes as long as it is told."""

import asyncio

import pytest

from carbonterm import site as sites
from carbonterm.clock import RTC
from carbonterm.gm import sm2
from carbonterm.ledger import entry as entries
from carbonterm.ledger.segment import Log
from carbonterm_device import acquisition
from carbonterm_device.acquisition import Acquisition
from carbonterm_device.bus import Counters
from carbonterm_device.clockwork import Clock
from carbonterm_device.terminal import Terminal
from memory_storage import MemoryStorage
from sites import document, point

MINUTE, HOUR, DAY = 60000, 3600000, 86400000
START = 1750000000000


class Port:
    """Time that goes on only where somebody sleeps."""

    def __init__(self):
        self.ticks = 0

    def ticks_ms(self):
        return self.ticks

    def ticks_add(self, ticks, ms):
        return ticks + ms

    def ticks_diff(self, later, earlier):
        return later - earlier

    def now_ms(self):
        return START + self.ticks

    def clock_state(self):
        return RTC

    async def sleep_ms(self, ms):
        self.ticks += ms
        await asyncio.sleep(0)


class Line:
    """A line whose meters answer every request after `cost` ms with zeros."""

    def __init__(self, port, cost):
        self.counters = Counters()
        self.port = port
        self.cost = cost

    async def ask(self, request, meter, timeout_ms):
        await self.port.sleep_ms(self.cost)
        return bytes(2 * request.count), b"frame"


def _moments(intervals, until, cost):
    """{point: times of its readings} and rounds that were late; a point for each of `intervals`, `until` ms."""
    points = [point("P%d" % i, i, interval_ms=ms) for i, ms in enumerate(intervals)]
    site = sites.Site(document(points, sources=[], closings=(4,)))

    async def run():
        port = Port()
        clock = Clock(port=port)
        terminal = Terminal(Log(MemoryStorage(), "CT-TEST-1", 0, sm2.Signer(bytes(31) + b"\x07")), clock, "test")
        terminal.start(site)
        task = Acquisition(0, site, Line(port, cost), terminal, clock, port)
        running = asyncio.create_task(task.run())
        while port.ticks < until and not running.done():
            await asyncio.sleep(0)
        task.stopping = True
        await running
        terminal.commit()
        return terminal.log, task.late_rounds

    log, late = asyncio.run(run())
    found = {}
    for raw, _ in log.entries():
        one = entries.decode(raw)
        if one.kind == entries.READINGS:
            for row in one.body[0]:
                found.setdefault(row[0], []).append(one.time_ms)
    return found, late


@pytest.mark.slow
@pytest.mark.requirement("T-11.2-1", "T-11.2-2")
@pytest.mark.requirement("T-11.2-3", part="third-party systems that are polled")
@pytest.mark.parametrize("intervals, until", [((MINUTE, 5 * MINUTE), 31 * MINUTE), ((HOUR, DAY), 26 * HOUR)])
def test_every_point_has_its_own_interval_and_it_is_kept(intervals, until):
    found, late = _moments(intervals, until, 2000)
    assert late == 0
    for index, interval in enumerate(intervals):
        times = found[index]
        print(index, interval, len(times), times[0] % interval)
        assert abs(len(times) - until // interval) <= 1 and len(times) > 0
        assert [time % interval for time in times] == [0] * len(times)
        assert [times[i] - times[i - 1] for i in range(1, len(times))] == [interval] * (len(times) - 1)


@pytest.mark.slow
@pytest.mark.requirement("T-11.2-1", part="what a line cannot keep is counted")
def test_a_line_that_is_too_slow_says_so_and_goes_on():
    found, late = _moments((1000, 60000), 120000, 1500)
    print(late, len(found[0]), len(found[1]))
    assert late > 10 and len(found[0]) > 30 and len(found[1]) >= 1
    assert all([time % 1000 == 0 for time in found[0]])


@pytest.mark.requirement("T-11.2-2", part="what is not from 100 ms to 24 hours is refused")
@pytest.mark.parametrize("interval", (0, 99, DAY + 1, -60000, None, "1min"))
def test_intervals_that_cannot_be(interval):
    with pytest.raises(sites.SiteError):
        sites.Site(document([point("P", 0, interval_ms=interval)], sources=[]))


class Ticks:
    """The ticks of a 32-bit MicroPython: they begin anew after 12 days."""

    @staticmethod
    def ticks_add(ticks, ms):
        return (ticks + ms) % (1 << 30)

    @staticmethod
    def ticks_diff(end, begin):
        return (end - begin + (1 << 29)) % (1 << 30) - (1 << 29)


def test_an_answer_of_long_ago_does_not_become_new_again():
    meter, now = acquisition._Meter(None), 5
    meter.answered(now)
    for minutes in range(10, 30 * 24 * 60, 10):
        now = Ticks.ticks_add(now, 600000)
        meter.kept_silent(now, 1000, Ticks)
        assert Ticks.ticks_diff(now, meter.seen) == min(minutes * 60000, acquisition.OLD_MS)
    print(now, meter.seen, meter.silent, meter.wait_ms)
