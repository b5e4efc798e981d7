"""On the terminal: rates, fills, months and standstills, with its own log, clock and restarts, as a board runs them."""

import pytest

from carbonterm import clock
from carbonterm.ledger import entry as entries
from carbonterm.ledger.segment import Log
from carbonterm.number import Number
from carbonterm.pipeline import Replay
from carbonterm.site import FORMATS, Bus, Meter, Site
from carbonterm_device.recorder import reading
from carbonterm_device.standstill import Standstill
from carbonterm_device.terminal import Terminal
from memory_storage import MemoryStorage
from sites import document, point
from stamp import Stamp

T = clock.parse("2026-03-02T00:00:00+08:00")  # a Monday
HOUR_MS = 3600000


class Clock:
    state = 3
    now = T

    def now_ms(self):
        return self.now


def site(series, calendar=(), closings=(3, 4)):
    flow = point("F1", 1, "t/h", interval_ms=HOUR_MS)
    flow[9], flow[12], flow[13] = "instant", [0, 0], [30, 0]
    doc = document(points=[point("E1", 0, interval_ms=HOUR_MS), flow], sources=[], closings=closings)
    doc[0] = FORMATS[1]
    doc[5] = [Bus(row, "bus", True).canonical() + [None] for row in doc[5]]
    doc[6] = [Meter(row, "meter", True).canonical() + [value for _, _, value in Meter.later()] for row in doc[6][:2]]
    return Site(doc + [[], [], [], series] + ([list(calendar)] if calendar else []))


RATE = [1, 0, 0, HOUR_MS, "t", 0, False]
JUDGED = [0, None, None, None, None, 0, True]


class Plant:
    """A terminal on a storage in memory; `restart` takes its log up again."""

    def __init__(self, config):
        self.site, self.clock, self.storage, self.terminal = config, Clock(), MemoryStorage(), None
        self.restart()

    def restart(self):
        if self.terminal is not None:
            self.terminal.commit()
        self.log = Log(self.storage, "CT-TEST-1", 0, Stamp(), lambda n: bytes(n))
        self.terminal = Terminal(self.log, self.clock, "test")
        self.terminal.start(self.site)
        self.standstill = Standstill(self.terminal, self.site)

    def read(self, hour, register=None, rate=None):
        self.clock.now = T + hour * HOUR_MS
        rows = []
        for index, value in ((0, register), (1, rate)):
            if value is not None:
                rows.append(reading(index, self.site.points[index], 0, Number(value)))
        self.terminal.record(self.clock.now, rows, b"")

    def all(self):
        self.log.commit()
        return [entries.decode(raw) for raw, _ in self.log.entries()]

    def entries(self, kind):
        return [one for one in self.all() if one.kind == kind]

    def replayed(self):
        replay = Replay()
        wrong = [replay.entry(one) for one in self.all()]
        assert [finding for finding in wrong if finding] == []
        return replay


@pytest.mark.slow
@pytest.mark.requirement("T-12.4-2", part="the terminal fills a rate's gap, over a restart in between")
@pytest.mark.requirement("T-12.4-5", part="the terminal writes the fill entry")
def test_the_terminal_fills_a_gap():
    plant = Plant(site([JUDGED, RATE], closings=(2, 3, 4, 5)))
    for hour in range(60):
        plant.read(hour, 10 * hour, 6)
    plant.restart()
    for hour in range(64, 120):
        plant.read(hour, 10 * hour, 6)
    bodies = [entry.body for entry in plant.entries(entries.FILL)]
    assert [body[:4] for body in bodies] == [
        [0, 2, T + 59 * HOUR_MS, T + 64 * HOUR_MS], [1, 0, T + 59 * HOUR_MS, T + 64 * HOUR_MS]]  # fmt: skip
    assert bodies[1][9:] == [(59 - 0 + 111 - 64) * 6000000, (59 + 111 - 64 + 5) * 6000000]
    points, _ = plant.terminal.totals()
    assert points == [("E1", "kWh", "1190"), ("F1", "t", str(119 * 6) + ".000000")]
    plant.replayed()
    print(points, len(plant.entries(entries.CLOSING)))


@pytest.mark.requirement("T-8.1.1-1", part="the terminal: both ends are valid, the value is kept with its flag")
def test_a_range_in_the_log():
    plant = Plant(site([RATE]))
    for hour, value in ((0, 0), (1, 30), (2, "30.001"), (3, "-0.001"), (4, 15)):
        plant.read(hour, None, value)
    rows = [entry.body[0][0] for entry in plant.entries(entries.READINGS)]
    assert [row[2:] for row in rows] == [[0, 0, 0], [0, 0, 30], [2, -3, 30001], [2, -3, -1], [0, 0, 15]]
    missing = reading(1, plant.site.points[1], 0, None)  # NaN and the like
    assert missing[2:] == [3, 0, None]
    plant.replayed()


@pytest.mark.slow
@pytest.mark.requirement("T-8.1.2-1", part="on the terminal: kept in the log as suspect, in no total, told")
def test_what_is_above_twice_the_largest_month():
    plant = Plant(site([JUDGED, RATE]))
    for day in range(62):
        plant.read(24 * day, 100 * day)
    plant.read(24 * 61 + 1, 6100 + 6000)  # 3000 in April: twice that passes
    assert plant.terminal.above == {}
    plant.read(24 * 61 + 2, 12100 + 6001)
    plant.restart()
    plant.read(24 * 61 + 3, 12100 + 6002)
    assert plant.terminal.above == {0: 1}
    plant.read(24 * 61 + 4, 12100 + 10)
    assert plant.terminal.above == {}
    rows = [entry.body[0][0] for entry in plant.entries(entries.READINGS)][-4:]
    assert [row[2:] for row in rows] == [[0, 0, 12100], [2, 0, 18101], [2, 0, 18102], [0, 0, 12110]]
    assert plant.terminal.totals()[0][0][2] == "12110"
    plant.replayed()


@pytest.mark.slow
@pytest.mark.requirement("T-12.4-1", part="an alarm a working day before the limit, and both moments in the log")
def test_two_working_days_warn_three_are_said():
    holiday = (clock.parse("2026-03-03T00:00:00+08:00") + 480 * 60000) // 86400000
    for calendar, first, second in (((), 48, 73), (((holiday,), ()), 72, 97)):
        plant = Plant(site([JUDGED, RATE], [list(days) for days in calendar] if calendar else ()))
        plant.read(0, 5, 5)
        told = []
        for hour in range(1, 100):
            plant.clock.now = T + hour * HOUR_MS
            plant.read(hour, 5 + hour)  # E1 goes on, F1 is silent
            plant.standstill.look()
            for text in plant.standstill.alarms():
                told.append((hour, text))
        assert told[0][0] == first and "F1" in told[0][1] and "2.0 of 3" in told[0][1]
        assert {text.split(":")[0] for _, text in told} == {"point F1"}
        audits = [entry for entry in plant.entries(entries.AUDIT) if entry.body[1] == "standstill"]
        assert [(entry.time_ms - T) // HOUR_MS for entry in audits] == [first, second]
        plant.read(100, 1000, 5)
        plant.standstill.look()
        assert plant.standstill.alarms() == []
        assert plant.entries(entries.AUDIT)[-1].body[2] == "point F1: it goes on"
        plant.replayed()
        print(told[0][0], told[0][1].split(" · ")[0], told[-1][0], told[-1][1].split(" · ")[0])


def test_a_clock_without_the_time_measures_nothing():
    plant = Plant(site([RATE]))
    plant.read(0, None, 5)
    plant.clock.state = clock.UNSET
    plant.clock.now = 0
    plant.standstill.look()
    assert plant.standstill.alarms() == []
