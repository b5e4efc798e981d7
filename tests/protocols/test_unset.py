"""Readings of an unset clock: nothing of them is lost, no period gets them before their time is known."""

import pytest

from carbonterm import cbor, clock
from carbonterm.clock import DAY, HOUR, MONTH, YEAR
from carbonterm.gm import sm3
from carbonterm.ledger import entry as entries
from carbonterm.number import Number
from carbonterm.pipeline import Pipeline, Replay
from carbonterm.series.closing import ESTIMATED, Settler
from carbonterm.site import Site
from seeded import Random
from sites import document, point

NOON = clock.parse("2026-11-21T12:10:00+08:00")
MINUTE, DAY_MS = 60000, 86400000


class Plant:
    """A terminal's log by hand: a meter that counts, a clock that is right, wrong or unset, restarts; every entry is
    folded as the terminal does it, and again from a snapshot of the state."""

    def __init__(self, modulus=None, limit=None, first=1000):
        self.true = NOON  # what time it is
        self.off = 0  # what the terminal's clock is wrong by
        self.uptime = None  # of an unset clock
        self.value = self.first = first
        self.modulus = modulus
        self.since = 0
        self.pipeline = Pipeline()
        self.entries = []
        doc = document(points=[point("E1", 0, modulus=modulus, limit=limit)], sources=[])
        self.canonical = Site(doc).canonical()
        self.counted = False

    def now(self):
        return self.true + self.off if self.uptime is None else self.uptime

    def put(self, kind, body, state=None, time_ms=None):
        state = (2 if self.uptime is None else 0) if state is None else state
        time_ms = self.now() if time_ms is None else time_ms
        raw = entries.encode("CT-TEST-1", 0, len(self.entries), time_ms, state, kind, body)
        self.entries.append(entries.decode(raw))
        if kind in (entries.CLOSING, entries.EMISSION):
            return
        again = Pipeline()
        again.restore(cbor.decode(cbor.encode(self.pipeline.state())))
        derived = self.pipeline.fold(self.entries[-1])
        assert [list(one) for one in again.fold(self.entries[-1])] == [list(one) for one in derived]
        assert cbor.encode(again.state()) == cbor.encode(self.pipeline.state())
        for one in derived:
            self.put(one[2], one[3], one[1], one[0])

    def start(self, unset=False, dark_ms=0, used=0):
        """Power comes back after dark_ms, in which the meter counted `used`."""
        known = self.pipeline.time_ms
        self.true += dark_ms
        self.value += used
        self.uptime = 0 if unset else None
        self.since = len(self.entries)
        self.put(entries.START, ["v", "r", "restart", self.since])
        if not unset and known is not None and self.now() < known:
            self.put(entries.CLOCK, [entries.STEP, known, self.now(), 2, 2, None])
        if self.pipeline.document is None:
            self.put(entries.CONFIG, [sm3.digest(self.canonical), self.canonical])

    def run(self, minutes, each=1):
        for _ in range(minutes):
            self.true += MINUTE
            self.value += each
            if self.uptime is not None:
                self.uptime += MINUTE
            self.read()

    def read(self):
        if not self.counted:
            self.first, self.counted = self.value, True
        shown = self.value if self.modulus is None else self.value % self.modulus[0]
        self.put(entries.READINGS, [[[0, 0, 0, 0, shown]], None])

    def sync(self):
        """The unset clock gets the time."""
        before, self.uptime = self.uptime, None
        self.put(entries.CLOCK, [entries.REBASE, before, self.now(), 0, 3, self.since])

    def step(self, ms):
        before = self.now()
        self.off += ms
        self.put(entries.CLOCK, [entries.STEP, before, self.now(), 2, 2, None])

    def closings(self, period):
        return [e.body for e in self.entries if e.kind == entries.CLOSING and e.body[0] == period]

    def check(self):
        """Sums are last minus first, at every level; replay gives the same bytes."""
        settler = self.pipeline.settlers[0]
        whole = Number(self.value - self.first)
        assert settler.total == whole, (str(settler.total), str(whole))
        if settler.open(HOUR) is not None:
            for period in (HOUR, DAY, MONTH, YEAR):
                total = settler.open(period).increment
                for body in self.closings(period):
                    total = total + Number(body[2][0][3], body[2][0][2])
                assert total == whole, period
        replay = Replay()
        assert [w for w in (replay.entry(e) for e in self.entries) if w] == [] and not replay.expected
        assert cbor.encode(replay.state()[2]) == cbor.encode(self.pipeline.state())


@pytest.mark.requirement("T-12.4-2", part="readings of an unset clock, re-based when the time comes")
def test_the_first_start_has_no_time():
    plant = Plant()
    plant.start(unset=True)
    plant.run(90)
    plant.check()
    assert plant.closings(HOUR) == []
    plant.sync()
    plant.run(30)
    plant.check()
    # 12:11 to 13:40 unset, evenly: 49 of them before 13:00; the clock got the time at 13:40, 20 more until 14:00
    assert [(body[1], body[2][0][3], body[2][0][1]) for body in plant.closings(HOUR)] == [
        (clock.start(clock.HOUR, NOON), 49, 1), (clock.start(clock.HOUR, NOON) + 60 * MINUTE, 60, 1),
    ]  # fmt: skip


def test_power_comes_back_without_the_time():
    plant = Plant(limit=[60, 0])
    plant.start()
    plant.run(5)
    plant.start(unset=True, dark_ms=30 * MINUTE, used=30)
    plant.run(10)
    assert plant.closings(HOUR) == []
    plant.check()
    plant.sync()
    plant.run(20)
    plant.check()
    # 12:16 … 12:46 dark, 12:46 … 12:56 unset, 13:00 by a clock that is right
    hours = plant.closings(HOUR)
    assert [(body[2][0][3], body[2][0][1]) for body in hours] == [(49, ESTIMATED)]
    print(hours)


def test_a_time_that_never_comes_is_known_by_the_next_reading():
    plant = Plant()
    plant.start()
    plant.run(5)
    plant.start(unset=True, dark_ms=MINUTE, used=1)
    plant.run(7)
    plant.start(unset=True, dark_ms=DAY_MS, used=100)
    plant.run(2)
    plant.check()
    plant.start(dark_ms=10 * MINUTE, used=10)
    plant.run(1)
    plant.check()
    assert len(plant.closings(DAY)) == 1 and len(plant.closings(HOUR)) == 24
    plant.run(100)
    plant.check()


def test_an_unset_terminal_that_never_knew_the_time_starts_again():
    plant = Plant()
    plant.start(unset=True)
    plant.run(7)
    plant.start(unset=True, dark_ms=DAY_MS, used=100)
    plant.run(2)
    plant.sync()
    plant.run(3)
    plant.check()
    other = Plant()
    other.start(unset=True)
    other.run(7)
    other.start(dark_ms=DAY_MS, used=100)
    other.run(2)
    other.check()


@pytest.mark.slow
def test_the_time_that_comes_is_before_the_last_that_was_known():
    for wrong in (12 * 3600000, 2 * DAY_MS, 20000 * DAY_MS):
        plant = Plant()
        plant.off = wrong
        plant.start()
        plant.run(20)
        plant.start(unset=True, dark_ms=MINUTE)
        plant.run(5)
        plant.off = 0
        plant.sync()
        plant.run(200)
        plant.check()
        print(wrong, [body[1:] for body in plant.closings(HOUR)])
        restart = Plant()
        restart.off = wrong
        restart.start()
        restart.run(20)
        restart.off = 0
        restart.start(dark_ms=MINUTE)
        assert restart.entries[-1].kind != entries.START
        restart.run(200)
        restart.check()


@pytest.mark.slow
def test_a_register_that_rolls_over_meanwhile():
    plant = Plant(modulus=[10000, 0], first=9990)
    plant.start()
    plant.run(3)
    plant.start(unset=True)
    plant.run(400, 49)
    plant.sync()
    plant.run(90)
    plant.check()


def test_a_meter_is_replaced_meanwhile():
    settler = Settler(480)
    settler.feed(NOON, Number(100))
    settler.adrift(0)
    settler.unset(MINUTE, Number(110))
    settler.replaced(NOON, Number(115), Number("0.5"))
    settler.unset(2 * MINUTE, Number(3))
    assert settler.total == Number("17.5")
    again = Settler(480)
    again.restore(cbor.decode(cbor.encode(settler.state())))
    for one in (settler, again):
        closed = one.landed(NOON + 60 * MINUTE - 2 * MINUTE)
        assert one.total == Number("17.5") and one.open(DAY).increment == Number("17.5")
        assert [s.period for s in closed] == [HOUR]
        print(closed, one.state())


def test_without_readings_nothing_happens():
    settler = Settler(0)
    assert settler.landed(NOON) == [] and settler.stepped(NOON, NOON + 1) == []
    settler.adrift(0)
    settler.unset(1000, None)
    settler.unset(1000, Number(5), 2)
    assert settler.stepped(NOON, NOON + 1) == [] and settler.open(HOUR) is None
    assert settler.landed(NOON) == [] and settler.total == Number(0)
    assert settler.feed(NOON, Number(7)) == [] and settler.open(HOUR).quality == ESTIMATED


@pytest.mark.slow
@pytest.mark.parametrize("border", ((1 << 31) * 1000, (1 << 32) * 1000, 1 << 41, 1 << 42))
def test_borders_of_time(border):
    plant = Plant()
    plant.true = border - 100 * MINUTE
    plant.start()
    plant.run(120)
    plant.start(unset=True)
    plant.run(50)
    plant.sync()
    plant.run(50)
    plant.step(NOON - plant.true)
    plant.run(50)
    plant.step(border - plant.now())
    plant.run(70)
    plant.check()
    print(plant.entries[-1].time_ms, len(plant.entries))


@pytest.mark.requirement("T-12.4-2", part="any sequence of steps, restarts and unset clocks: sums are exact")
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_any_life(seed):
    random = Random(900 + seed)
    plant = Plant(limit=[600, 0] if seed % 2 else None, modulus=[100000, 0] if seed % 3 == 1 else None)
    plant.start(unset=random.below(2) == 0)
    for _ in range(40):
        plant.run(random.below(40), random.below(4))
        act = random.below(6)
        if act < 2:
            dark = random.below(random.choice((MINUTE, 3600000, 3 * DAY_MS)))
            plant.start(random.below(2) == 0, dark, random.below(1 + min(dark // MINUTE, 2000)))
        elif act < 4 and plant.uptime is not None:
            plant.sync()
        elif act == 4 and plant.uptime is None:
            plant.step(random.choice((-1, 1)) * random.below(random.choice((5000, 7200000, 3 * DAY_MS, 300 * DAY_MS))))
            if plant.now() < NOON - 1000 * DAY_MS:
                plant.step(-plant.off)
    if plant.uptime is not None:
        plant.sync()
    plant.read()
    plant.check()
    print(seed, len(plant.entries), plant.pipeline.settlers[0].total, len(plant.closings(HOUR)))
