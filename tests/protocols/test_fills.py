"""The way through of rates and gaps: readings in; closings, fills and versions of emissions out; replayed."""

import pytest

from carbonterm import cbor, clock
from carbonterm.clock import DAY, HOUR, MONTH
from carbonterm.errors import LedgerError
from carbonterm.gm import sm3
from carbonterm.ledger import entry as entries
from carbonterm.number import Number
from carbonterm.pipeline import Pipeline, Replay
from carbonterm.site import FORMATS, Bus, Meter, Site
from seeded import Random
from sites import compiled, document, point

T = clock.parse("2026-03-02T00:00:00+08:00")
HOUR_MS = 3600000
STEAM = [["steam", compiled("steam", 2, "AD*EF", [["AD", "t"]], [["EF", "tCO2/t", -2, 11]]), [["AD", [[1, 1, 1]]]]]]


def site(series, sources=(), unit="t/h"):
    """A site of the second format with the register E1 and the rate F1, hourly."""
    flow = point("F1", 1, unit, interval_ms=HOUR_MS)
    flow[9] = "instant"
    doc = document(points=[point("E1", 0, interval_ms=HOUR_MS), flow], sources=list(sources))
    doc[0] = FORMATS[1]
    doc[5] = [Bus(row, "bus", True).canonical() + [None] for row in doc[5]]
    doc[6] = [Meter(row, "meter", True).canonical() + [value for _, _, value in Meter.later()] for row in doc[6][:2]]
    return Site(doc + [[], [], [], series])


RATE = [1, 0, 0, HOUR_MS, "t", 0, False]
COUNTED = [0, None, None, None, None, 0, False]
JUDGED = [0, None, None, None, None, None, True]


class Log:
    """A log in memory; `restart`: the pipeline is made anew from its state before every entry."""

    def __init__(self, config, restart=False):
        self.pipeline = Pipeline()
        self.entries = []
        self.restart = restart
        data = config.canonical()
        self.add(T, entries.CONFIG, [sm3.digest(data), data])

    def add(self, time_ms, kind, body):
        if self.restart and self.entries:
            state = cbor.encode(self.pipeline.state())
            self.pipeline = Pipeline()
            self.pipeline.restore(cbor.decode(state))
            assert cbor.encode(self.pipeline.state()) == state
        for wanted in self.put(time_ms, kind, body):
            self.put(wanted[0], wanted[2], wanted[3])

    def put(self, time_ms, kind, body):
        raw = entries.encode("CT-TEST-1", 0, len(self.entries), time_ms, 2, kind, body)
        self.entries.append(entries.decode(raw))
        if kind in (entries.CLOSING, entries.EMISSION, entries.FILL):
            return []
        return self.pipeline.fold(self.entries[-1])

    def read(self, hour, register=None, rate=None):
        rows = [[0, 0, 0, 0, register]] if register is not None else []
        rows += [[1, 0, 0, 0, rate]] if rate is not None else []
        self.add(T + hour * HOUR_MS, entries.READINGS, [rows, None])

    def bodies(self, kind, period=None):
        return [e.body for e in self.entries if e.kind == kind and period in (None, e.body[0])]


def replayed(found):
    replay = Replay()
    wrong = [finding for finding in [replay.entry(entry) for entry in found] if finding]
    assert wrong == [] and replay.expected == []
    return replay


def week(series, sources=(), gap=(74, 79), hours=168, restart=False):
    log = Log(site(series, sources), restart)
    for hour in range(hours + 1):
        if not gap[0] < hour < gap[1]:
            log.read(hour, 100 * hour, 10 if hour <= gap[0] else 22)
    return log


@pytest.mark.slow
@pytest.mark.requirement("T-12.4-5", part="an entry with period, method, data used and totals; replay makes it again")
@pytest.mark.requirement("T-12.4-3", part="filled in the log: periods close again with the difference")
def test_a_gap_in_the_log():
    log = week([RATE], STEAM)
    assert log.bodies(entries.FILL) == [
        [1, 0, T + 74 * HOUR_MS, T + 79 * HOUR_MS, [24 * HOUR_MS] * 4, 0, 10, 22, -6, 1774000000, 1854000000]
    ]
    day = T + 72 * HOUR_MS
    rows = [row for body in log.bodies(entries.CLOSING, DAY) if body[1] == day for row in body[2] if row[0] == 1]
    assert rows == [[1, 2, -6, 394000000, 22000000, 10000000], [1, 1, -6, 80000000, None, None]]
    hours = [body for body in log.bodies(entries.CLOSING, HOUR) if body[1] == T + 75 * HOUR_MS]
    assert [body[2][-1] for body in hours] == [[1, 3, 0, None, None, None], [1, 1, -6, 13600000, None, None]]
    # the day's emission: 394 t × 0.11, then with the fill 474 t × 0.11, with the reason; the hour's stays
    figures = [body for body in log.bodies(entries.EMISSION, DAY) if body[1] == day]
    assert [(body[2], body[3][0][1:4]) for body in figures] == [(1, [2, -6, 43340000]), (2, [1, -6, 52140000])]
    assert figures[1][4] == "gap from 2026-03-05T02:00:00+08:00 to 2026-03-05T07:00:00+08:00 filled, linear"
    hourly = [body for body in log.bodies(entries.EMISSION, HOUR) if body[1] == T + 75 * HOUR_MS]
    assert [(body[2], body[3][0][1]) for body in hourly] == [(1, 3)]
    assert str(log.pipeline.total(1)) == "2778.000000"
    assert str(log.pipeline.emitted(0).round(6)) == "305.580000"
    replayed(log.entries)
    for body in log.bodies(entries.FILL) + figures:
        print(cbor.encode(body).hex())


@pytest.mark.requirement("T-12.4-3")
@pytest.mark.requirement("T-12.4-5")
def test_both_methods_in_the_log_by_hand():
    # 10 t/h up to hour 74, 22 t/h from hour 79 on: what the five hours between get, in grams
    by_hand = (11200000, 13600000, 16000000, 18400000, 20800000), (10000000, 10000000, 16000000, 22000000, 22000000)
    bare = week([[1, 0, 0, HOUR_MS, "t", None, False]])
    for method in (0, 1):
        log = week([[1, 0, 0, HOUR_MS, "t", method, False]])
        again = {}
        for entry in log.entries:
            if entry.kind == entries.CLOSING and entry.body[0] == HOUR:
                for row in entry.body[2]:
                    if row[0] == 1:
                        again.setdefault(entry.body[1], []).append(row)
        filled = [again[T + hour * HOUR_MS] for hour in range(74, 79)]
        assert [[row[1] for row in rows] for rows in filled] == [[3, 1]] * 5  # unknown, then estimated
        assert tuple([rows[1][3] for rows in filled]) == by_hand[method]
        # period, point, method, data used, totals before and after; who: the terminal, whose entry it is
        told = [entry for entry in log.entries if entry.kind == entries.FILL]
        assert [(entry.terminal_id, entry.body) for entry in told] == [(
            "CT-TEST-1", [1, method, T + 74 * HOUR_MS, T + 79 * HOUR_MS, [24 * HOUR_MS] * 4, 0, 10, 22, -6, 1774000000,
                          1854000000])]  # fmt: skip
        # the readings are those of a log in which nothing is filled
        assert log.bodies(entries.READINGS) == bare.bodies(entries.READINGS)
        replayed(log.entries)
    assert bare.bodies(entries.FILL) == []


@pytest.mark.slow
@pytest.mark.requirement("T-12.4-4")
def test_only_the_four_days_decide():
    def fills(missing=(), rates=()):
        log, rates = Log(site([RATE])), dict(rates)
        for hour in range(200):
            if not 100 < hour < 105 and hour not in missing:
                log.read(hour, None, rates.get(hour, 6))
        return [body for body in log.bodies(entries.FILL) if 99 <= (body[2] - T) // HOUR_MS < 106]

    plain = fills()
    assert [body[10] - body[9] for body in plain] == [30000000]  # five hours of 6, by the readings of 100 and 105
    # outside of the four days other values and gaps change nothing but the totals
    for other in (fills(rates=[(hour, 25) for hour in list(range(52)) + list(range(154, 200))]),
                  fills(missing=list(range(20, 51)) + list(range(155, 190)))):  # fmt: skip
        assert [(body[:9], body[10] - body[9]) for body in other] == [(body[:9], 30000000) for body in plain]
    # inside, too little on any of the four days: it is not filled, and that is told
    for first in (55, 80, 108, 132):
        found = fills(missing=range(first, first + 10))
        assert [body[10] for body in found] == [None] and min(found[0][4]) < 18 * HOUR_MS
    print(plain)


def test_a_register_counts_through_its_gap_and_says_so():
    log = week([COUNTED])
    assert log.bodies(entries.FILL) == [
        [0, 2, T + 74 * HOUR_MS, T + 79 * HOUR_MS, [], 0, 7400, 7900, 0, 7400, 7900]
    ]
    assert len([body for body in log.bodies(entries.CLOSING, DAY) if body[1] == T + 72 * HOUR_MS]) == 1
    replayed(log.entries)
    # a reading that is not believed ends no gap
    log = Log(site([COUNTED]))
    for hour, value in ((0, 1000), (1, 1100), (9, 50), (10, 2000)):
        log.read(hour, value)
    assert [body[2:4] for body in log.bodies(entries.FILL)] == [[T + HOUR_MS, T + 10 * HOUR_MS]]


@pytest.mark.requirement("T-12.4-4", part="too little around a gap: not filled, and the log says it")
def test_what_is_not_filled_is_told():
    log = week([RATE], STEAM, (30, 35), 100)
    found = log.bodies(entries.FILL)
    assert [(body[4], body[10]) for body in found] == [([6 * HOUR_MS] + [24 * HOUR_MS] * 3, None)]
    assert [body[2] for body in log.bodies(entries.EMISSION)] == [1] * len(log.bodies(entries.EMISSION))
    replayed(log.entries)


@pytest.mark.slow
@pytest.mark.requirement("T-12.4-2", part="rates and their fills over a restart before every entry")
def test_restarts_before_every_entry():
    for series, sources in (([RATE], STEAM), ([COUNTED, RATE], STEAM), ([[1, 1, 0, None, "t/h", None, False]], ())):
        one, two = week(series, sources, hours=140), week(series, sources, hours=140, restart=True)
        assert [entry.raw for entry in one.entries] == [entry.raw for entry in two.entries]
        print(len(one.entries), sm3.digest(b"".join([entry.raw for entry in one.entries])).hex())


@pytest.mark.slow
def test_a_replay_may_begin_at_any_entry():
    log = week([COUNTED, RATE], STEAM, hours=135)
    last = len(log.entries) - 1
    for cut in range(1, last, 37):
        first, second = Replay(), Replay()
        for entry in log.entries[:cut]:
            assert first.entry(entry) is None
        second.restore(cbor.decode(cbor.encode(first.state())))
        for entry in log.entries[cut:]:
            assert second.entry(entry) is None
        assert second.pipeline.state() == log.pipeline.state()


@pytest.mark.slow
def test_a_fill_that_is_not_what_follows_is_found():
    log = week([RATE], STEAM)
    at = next(i for i, entry in enumerate(log.entries) if entry.kind == entries.FILL)
    good = log.entries[at]
    body = list(good.body)
    body[10] += 1
    raw = entries.encode("CT-TEST-1", 0, good.seq, good.time_ms, good.clock_state, entries.FILL, body)
    replay = Replay()
    wrong = [replay.entry(entry) for entry in log.entries[:at] + [entries.decode(raw)] + log.entries[at + 1 :]]
    assert [finding for finding in wrong if finding] == ["entry %d: recomputing this fill gives other bytes" % good.seq]
    replay = Replay()
    wrong = [replay.entry(entry) for entry in log.entries[:at] + log.entries[at + 1 :]]
    assert wrong[at] is not None


@pytest.mark.requirement("T-8.1.2-1", part="in the fold: readings of a register against its months")
@pytest.mark.slow
def test_a_reading_above_twice_the_largest_month():
    log = Log(site([JUDGED]))
    pipeline = log.pipeline
    hours_of = 24 * 31
    start = clock.parse("2026-03-01T00:00:00+08:00")
    for day in range(0, 62):  # 100 a day, from 2 March on
        log.read(24 * day, 100 * day)
    history = pipeline.histories[0]
    assert str(history.most()) == "3000"  # April; March is not whole
    now = T + 24 * 61 * HOUR_MS + HOUR_MS
    assert not pipeline.above(0, now, Number(6100 + 6000))
    assert pipeline.above(0, now, Number(6100 + 6001))
    assert not pipeline.above(0, now + hours_of * HOUR_MS, Number(6100 + 12000))
    assert not pipeline.above(1, now, Number(10**9)) and start < now
    # a new document with the same point keeps it, one without lets it go
    again = site([JUDGED], STEAM[:0]).canonical()
    log.add(now, entries.CONFIG, [sm3.digest(again), again])
    assert str(log.pipeline.histories[0].most()) == "3000"
    none = site([RATE]).canonical()
    log.add(now, entries.CONFIG, [sm3.digest(none), none])
    assert log.pipeline.histories == {}
    replayed(log.entries)


def test_before_the_first_month_nothing_is_judged():
    log = Log(site([JUDGED]))
    for day in range(5):
        log.read(24 * day, 100 * day)
    assert not log.pipeline.above(0, T + 999 * HOUR_MS, Number(10**12))


def test_a_series_goes_on_over_a_document_that_leaves_it_as_it_is():
    log = Log(site([RATE]))
    for hour in range(30):
        log.read(hour, None, 6)
    more = site([COUNTED, RATE], STEAM).canonical()
    log.add(T + 30 * HOUR_MS, entries.CONFIG, [sm3.digest(more), more])
    log.read(30, 0, 6)
    assert str(log.pipeline.total(1)) == "180.000000"
    other = site([[1, 0, 3, HOUR_MS, "t", 0, False]]).canonical()  # steps instead of lines: another series
    log.add(T + 31 * HOUR_MS, entries.CONFIG, [sm3.digest(other), other])
    assert str(log.pipeline.total(1)) == "0.000000"
    replayed(log.entries)


def test_an_event_of_a_meter_changes_no_rate():
    log = week([RATE], hours=20)
    log.add(T + 21 * HOUR_MS, entries.METER, [1, 0, T + 20 * HOUR_MS, 0, 5, 0])
    assert str(log.pipeline.total(1)) == "200.000000"
    replayed(log.entries)


def test_states_that_are_none_are_refused():
    log = week([JUDGED, RATE], hours=140)
    good = cbor.encode(log.pipeline.state())
    random = Random(9)
    refused = 0
    for _ in range(150):
        state = cbor.decode(good)
        place = random.choice((state[1][1], state[4]))
        while True:
            at = random.below(len(place))
            if not isinstance(place[at], list) or not place[at] or random.below(5) == 0:
                place[at] = random.choice((None, "x", [], [5], "1.5"))
                break
            place = place[at]
        try:
            Pipeline().restore(state)
        except LedgerError:
            refused += 1
    assert refused > 90


@pytest.mark.requirement("T-8.2.1-3", part="days of a filled rate add up to its month")
@pytest.mark.slow
def test_days_add_up_to_the_month_over_fills():
    log = week([RATE], hours=800, gap=(300, 341))
    days = [row for body in log.bodies(entries.CLOSING, DAY) for row in body[2]]
    months = [row for body in log.bodies(entries.CLOSING, MONTH) for row in body[2]]
    total = sum([row[3] for row in days if row[3] is not None and row[0] == 1])
    april = sum([row[3] for body in log.bodies(entries.CLOSING, DAY) if body[1] >= T + 720 * HOUR_MS
                 for row in body[2] if row[0] == 1])  # fmt: skip
    assert total - april == sum([row[3] for row in months if row[0] == 1])
    print(total, april)


@pytest.mark.requirement("T-8.2.1-1", part="a new ratio in the site document: the open periods go on")
def test_a_new_ratio_goes_on_with_the_series():
    def of(scale, limit, unit="kWh"):
        meter = point("E1", 0, unit, interval_ms=HOUR_MS)
        meter[8], meter[11] = [scale, 0], limit
        return Site(document(points=[meter], sources=[]))

    log = Log(of(30, None))
    log.read(0, 30 * 100)
    log.read(5, 30 * 110)
    other = of(40, [5000, 0]).canonical()
    log.add(T + 5 * HOUR_MS + 1, entries.CONFIG, [sm3.digest(other), other])
    log.read(6, 40 * 111)
    log.read(30, 40 * 121)
    assert str(log.pipeline.total(0)) == str(30 * 10 + 40 * 11)
    day = [body[2][0] for body in log.bodies(entries.CLOSING, DAY)]
    assert [row[:4] for row in day] == [[0, 1, 0, 300 + 40 + 300]]
    replayed(log.entries)
    third = of(40, [5000, 0], "MWh").canonical()  # another unit is another series
    log.add(T + 31 * HOUR_MS, entries.CONFIG, [sm3.digest(third), third])
    log.read(32, 40 * 130)
    assert log.pipeline.total(0) == Number(0)
    replayed(log.entries)
