"""Lives of registers with everything at once: several rollovers in an outage, another transformer, clocks, restarts."""

import pytest

from carbonterm import cbor, clock
from carbonterm.clock import DAY, HOUR, MONTH, YEAR
from carbonterm.errors import SeriesError
from carbonterm.number import Number, Ratio
from carbonterm.series.closing import GOOD, SUSPECT, Settler
from seeded import Random

EAST8 = 480
HOUR_MS = 3600000
DAY_MS = 86400000
T = clock.parse("2026-03-02T00:00:00+08:00")
PERIODS = (HOUR, DAY, MONTH, YEAR)


def check_sums(settler, closed):
    """At every level the settlements and the open one add up to the total."""
    for period in PERIODS:
        amount = settler.open(period).increment
        for row in closed:
            if row.period == period:
                amount = amount + row.increment
        assert amount == settler.total, (period, str(amount), str(settler.total))


@pytest.mark.requirement("T-8.2.2-1", part="several rollovers in an outage are never counted silently")
def test_an_outage_longer_than_a_round_of_the_register():
    # 0 … 999, at most 100 per hour: in more than ten hours it may pass full scale once more than it shows
    settler = Settler(EAST8, 1000, 100, HOUR_MS)
    for hour in range(3):
        settler.feed(T + hour * HOUR_MS, Number(900 + 40 * hour))
    closed = settler.feed(T + 11 * HOUR_MS, Number(50))  # +70, or +1070, which 9 hours do not allow
    assert settler.total == Number(150) and max([s.quality for s in closed if s.period == HOUR]) < SUSPECT
    closed = settler.feed(T + 23 * HOUR_MS, Number(60))  # +10, or +1010 in twelve hours
    assert settler.total == Number(160)
    assert {s.quality for s in closed} == {SUSPECT} and settler.open(MONTH).quality == SUSPECT
    # the operator knows that it was once round: he says that it stood at its end
    settler.replaced(T + 23 * HOUR_MS, Number(999), Number(999))
    settler.feed(T + 24 * HOUR_MS, Number(61))
    assert settler.total == Number(1161)
    # without a limit, or without a modulus, nothing is known that could be doubted
    for modulus, limit in ((1000, None), (None, 100)):
        other = Settler(EAST8, modulus, limit, HOUR_MS)
        other.feed(T, Number(0))
        other.feed(T + 50 * HOUR_MS, Number(10))
        assert other.open(DAY).quality < SUSPECT


class Life:
    """A meter behind a transformer, and the truth about it: `counted` is what its settler must come to."""

    def __init__(self, seed):
        self.random = Random(seed)
        self.ratio = Number(self.random.choice((1, 30, 80)))
        self.digits = self.random.choice((100, 10000))
        self.shown = self.random.below(self.digits)
        self.at = T + self.random.below(DAY_MS)
        self.counted = Number(0)
        self.rounds = 0  # passed in outages and not counted
        self.closed = []
        self.settler = self.make()
        self.read()

    def make(self):
        return Settler(EAST8, self.ratio * self.digits, self.ratio * 20, HOUR_MS)

    def read(self):
        self.closed += self.settler.feed(self.at, self.ratio * self.shown)

    def wait(self, hours):
        """The register goes on by at most 20 an hour, and is read."""
        grown = self.random.below(20 * hours + 1)
        self.at += hours * HOUR_MS
        before = self.settler.total
        self.shown = (self.shown + grown) % self.digits
        self.read()
        rest = self.ratio * grown - (self.settler.total - before)
        if rest != 0:
            rounds = (rest / (self.ratio * self.digits)).number()
            assert rounds is not None and rounds > 0 and rounds.is_integer()
            assert self.settler.open(YEAR).quality == SUSPECT
            self.rounds += 1
        self.counted = self.counted + self.ratio * grown - rest

    def event(self):
        kind = self.random.below(9)
        if kind == 0:  # another meter, or the same one set to zero
            grown = self.random.below(self.digits - self.shown)
            self.counted = self.counted + self.ratio * grown
            first = self.random.choice((0, self.random.below(self.digits)))
            last = self.ratio * (self.shown + grown)
            self.closed += self.settler.replaced(self.at, last, self.ratio * first)
            self.shown = first
        elif kind == 1:  # another transformer: the register shows what it showed
            old, self.ratio = self.ratio, Number(self.random.choice((1, 30, 40, 80)))
            again = self.make()
            again.go_on(self.settler, self.ratio / old)
            self.settler = again
        elif kind == 2:
            shift = self.random.choice((-1, 1)) * self.random.choice((60000, HOUR_MS, 5 * DAY_MS))
            self.closed += self.settler.stepped(self.at, self.at + shift)
            self.at += shift
        elif kind == 3:
            assert self.settler.feed(self.at, self.ratio * self.shown) == []
        elif kind == 4:
            self.settler.feed(self.at - self.random.below(DAY_MS) - 1, Number(0))
        again = self.make()
        again.restore(cbor.decode(cbor.encode(self.settler.state())))
        self.settler = again


@pytest.mark.slow
@pytest.mark.requirement("T-8.2.1-1", part="sum of periods = last − first over rollovers, outages, ratios, clocks")
@pytest.mark.requirement("T-8.2.2-1", part="rollovers and outages of several rounds, random, restarted at every step")
def test_random_lives_with_everything_at_once():
    rounds = 0
    for seed in range(12):
        life = Life(seed)
        for _ in range(60):
            life.event()
            life.wait(life.random.choice((1, 1, 1, 2, life.random.between(3, 40), life.random.between(100, 1500))))
            assert life.settler.total == life.counted
        check_sums(life.settler, life.closed)
        rounds += life.rounds
        print(seed, str(life.settler.total), life.rounds, len(life.closed))
    assert rounds > 20


def test_another_transformer_by_hand():
    settler = Settler(EAST8, Number(300000), Number(30000), HOUR_MS)  # four digits behind 150/5
    settler.feed(T, Number(30) * 9990)
    settler.feed(T + HOUR_MS, Number(30) * 9995)
    more = Settler(EAST8, Number(400000), Number(40000), HOUR_MS)  # from now on 200/5
    more.go_on(settler, Ratio(4, 3))
    closed = more.feed(T + 2 * HOUR_MS, Number(40) * 5)
    assert more.total == Number(5 * 30 + 10 * 40)
    assert [(str(s.increment), s.quality) for s in closed] == [("400", 1)]
    with pytest.raises(SeriesError):
        Settler(EAST8, Number(9000), None, HOUR_MS).go_on(more, Ratio(50))
    with pytest.raises(SeriesError):
        Settler(EAST8, Number(10**6), None, HOUR_MS).go_on(more, Ratio(1, 3))
    empty = Settler(EAST8)
    empty.go_on(Settler(EAST8), Ratio(1, 3))
    assert empty.feed(T, Number(5)) == [] and empty.open(DAY).quality >= GOOD


def test_what_arrives_late_changes_no_total():
    random = Random(3)
    rows = [(T + k * 600000, Number(7 * k)) for k in range(300)]
    totals = []
    for _ in range(8):
        mixed = list(rows)
        for _ in range(120):  # neighbours and further ones swapped, but for the first and the last
            one, two = random.between(1, 298), random.between(1, 298)
            mixed[one], mixed[two] = mixed[two], mixed[one]
        settler, closed = Settler(EAST8, interval_ms=600000), []
        for at, value in mixed:
            closed += settler.feed(at, value)
        totals.append(settler.total)
        check_sums(settler, closed)
    assert {str(total) for total in totals} == {"2093"}
