"""Meters, rates with fills, amounts by hand, virtual points, new documents, clocks that are set: all of it in one log.

A log of random events from December to March, over a year's border and a leap day. What the terminal derives while it
runs, what a terminal derives that starts anew from a snapshot before any entry, and what replay computes are the same
bytes; periods add up, virtual points to their parts, and every figure is what its formula gives for what the log says.
"""

import pytest

from carbonterm import cbor, clock
from carbonterm.clock import DAY, MONTH, YEAR
from carbonterm.errors import SeriesError
from carbonterm.gm import sm2, sm3
from carbonterm.ledger import entry as entries
from carbonterm.ledger import manual as records
from carbonterm.number import Number, Ratio
from carbonterm.pipeline import Pipeline, Replay
from carbonterm.site import FORMATS, Bus, Meter, Site
from seeded import Random
from sites import compiled, document, point

ZONE, HOUR_MS, DAY_MS = 480, 3600000, 86400000
BEGIN = clock.parse("2027-12-18T00:00:00+08:00")
END = clock.parse("2028-03-04T00:00:00+08:00")
ZHANG, LI = [sm2.Signer(bytes(31) + bytes([one])) for one in (9, 10)]
STEP = 12 * HOUR_MS  # between rounds of readings
CLOSINGS = (DAY, MONTH, YEAR)

# a point: its row, its series or None; a virtual one: op and [name, numerator, denominator]
METERS = {
    "E1": (point("E1", 0, modulus=[1000000, -2], interval_ms=STEP), [None, None, None, None, 0, False]),
    "E2": (point("E2", 1, limit=[100, 0], interval_ms=STEP), [None, None, None, None, None, True]),
    "F1": (point("F1", 2, "t/h", kind="instant", interval_ms=STEP), [0, 0, HOUR_MS, "t", 0, False]),
    "F2": (point("F2", 2, "t/h", kind="instant", interval_ms=STEP), [0, 3, HOUR_MS, "t", 1, False]),
    "T1": (point("T1", 2, "°C", kind="instant", interval_ms=STEP), [1, 0, None, "°C", None, False]),
}
VIRTUAL = {
    "net": ("sum", (("E1", 1, 1), ("E2", -1, 3))),
    "steam": ("sum", (("F1", 1, 1), ("F2", 7, 10))),
    "fuel": ("sum", (("coal", 1, 1), ("lime", 1, 4))),
    "rate": ("quotient", (("steam", 1, 1), ("coal", 1, 1))),
    "mixed": ("sum", (("rate", 3, 1), ("net", 1, 1000))),
}
SOURCES = {  # inputs, formula of (amounts, factor), the same as a text
    "grid": (("E1",), "E1*EF", lambda a, f: a["E1"] * f),
    "net": (("net",), "net*EF", lambda a, f: a["net"] * f),
    "kiln": (("fuel",), "fuel*EF*44/12", lambda a, f: a["fuel"] * f * Ratio(44, 12)),
    "steam": (("steam", "E2"), "steam*EF+E2/1000", lambda a, f: a["steam"] * f + a["E2"] * Ratio(1, 1000)),
    "all": (("mixed",), "mixed*EF", lambda a, f: a["mixed"] * f),
}
MANUAL = ("coal", "lime")


def site(random, version, gone, factor):
    """A document of it all, its rows in an order of chance; gone: the source that it has not."""
    points = list(METERS)
    points.sort()
    names = mixed(random, points)
    manual = mixed(random, MANUAL)
    virtual = mixed(random, sorted(VIRTUAL))
    known = names + manual + virtual
    sources = []
    for name in mixed(random, sorted(SOURCES)):
        if name != gone:
            inputs, text, _ = SOURCES[name]
            form = compiled(name, 1, text, [[one, "t"] for one in inputs], [["EF", "1", -4, factor]])
            sources.append([name, form, [[one, [[known.index(one), 1, 1]]] for one in inputs]])
    doc = document(points=[METERS[name][0] for name in names], sources=sources, version=version, closings=CLOSINGS)
    doc[0] = FORMATS[1]
    doc[5] = [Bus(row, "bus", True).canonical() + [None] for row in doc[5]]
    doc[6] = [Meter(row, "meter", True).canonical() + [value for _, _, value in Meter.later()] for row in doc[6]]
    people = [["zhang", ZHANG.public], ["li", LI.public]]
    rows = [[name, "mass", "t", None, None, False] for name in manual]
    made = []
    for name in virtual:
        op, parts = VIRTUAL[name]
        made.append([name, "mass", "t", op, [[known.index(one), n, d] for one, n, d in parts], None])
    series = [[at] + METERS[name][1] for at, name in enumerate(names)]
    return Site(doc + [[], [], [people, rows, made], series])


def mixed(random, names):
    left, found = list(names), []
    while left:
        found.append(left.pop(random.below(len(left))))
    return found


class Log:
    """A terminal's log in memory. Before an entry the pipeline is, by chance, made anew from its own state."""

    def __init__(self, seed):
        self.random = Random(seed)
        self.restarts = Random(seed + 1)
        self.pipeline = Pipeline()
        self.entries = []
        self.now, self.state = BEGIN, 2
        self.version, self.factor = 0, 8000
        self.given = []  # digests of amounts by hand
        self.register = {"E1": 990000, "E2": 0}
        self.upto = dict([(name, BEGIN) for name in MANUAL])
        self.taken = self.refused = 0

    def add(self, kind, body):
        if self.entries and self.restarts.below(9) == 0:
            state = cbor.encode(self.pipeline.state())
            self.pipeline = Pipeline()
            self.pipeline.restore(cbor.decode(state))
            assert cbor.encode(self.pipeline.state()) == state
        for wanted in self.put(self.now, self.state, kind, body):
            self.put(*wanted)

    def put(self, time_ms, state, kind, body):
        raw = entries.encode("CT-TEST-1", 0, len(self.entries), time_ms, state, kind, body)
        self.entries.append(entries.decode(raw))
        return () if kind in (entries.CLOSING, entries.EMISSION, entries.FILL) else self.pipeline.fold(self.entries[-1])

    # --- what happens ------------------------------------------------------------------------------------------------

    def configure(self, gone=None):
        self.version += 1
        self.factor += self.random.below(3) * 50
        data = site(self.random, self.version, gone, self.factor).canonical()
        self.add(entries.CONFIG, [sm3.digest(data), data])

    def read(self, silent=()):
        rows, random = [], self.random
        for name in sorted(METERS):
            if name in silent or random.below(40) == 0:
                continue
            if name in self.register:
                self.register[name] = (self.register[name] + random.below(40)) % 1000000
                mantissa, exponent = self.register[name], -2
            else:
                mantissa, exponent = random.below(3000), -random.below(3)
            quality = 2 if random.below(60) == 0 else 0
            at = [one.name for one in self.pipeline.site.points].index(name)
            rows.append([at, -random.below(3) * 100, quality, exponent, mantissa])
            if random.below(50) == 0:
                rows.append(rows[-1])
        self.add(entries.READINGS, [rows, None])

    def by_hand(self):
        """An amount, a correction, a review or an order, as it comes; what may not be is refused."""
        random, name = self.random, self.random.choice(MANUAL)
        what = random.below(8) if self.given else 0
        if what < 6:
            first, of = self.upto[name], None  # mostly the days behind those that were entered
            if what == 3:
                first = clock.start(DAY, self.now - random.below(70) * DAY_MS, ZONE)
            last = min(first + (1 + random.below(28)) * DAY_MS, clock.start(DAY, self.now, ZONE))
            if what > 3:
                name, first, last, of = random.choice(self.given)
            elif first >= last:
                return
            number = [-random.below(4), random.below(10**6)]
            fields = [name, first, last] + number + ["t", [["a.pdf", bytes(32)]], "", of]
            digest = self.give("zhang", ZHANG, records.ENTER, fields)
            if digest is not None:
                self.given.append((name, first, last, digest))
                self.upto[name] = max(self.upto[name], last)
        elif what == 6:
            of = random.choice(self.given)[3]
            self.give("li", LI, records.REVIEW, [of, random.choice((records.REVIEWED, records.REJECTED)), "seen"])
        else:
            start = clock.start(MONTH, self.now - random.below(60) * DAY_MS, ZONE)
            fields = [random.choice(sorted(SOURCES)), start, clock.end(MONTH, start, ZONE), "factor confirmed"]
            self.give("zhang", ZHANG, records.RECALCULATE, fields)

    def give(self, who, key, what, fields):
        """The digest of a record that was taken, None of one that was refused."""
        record = records.make("CT-TEST-1", who, self.now, what, fields, key.sign)
        try:
            self.pipeline.admit(record, self.now)
        except SeriesError:
            self.refused += 1
            return None
        self.taken += 1
        self.add(entries.MANUAL, [record.body, record.signature])
        return record.digest

    def start_unset(self):
        """A start without the time, some rounds of readings, then the time comes."""
        now, boot = self.now, 1000000
        self.now, self.state = boot, 0
        self.add(entries.START, START)
        for _ in range(1 + self.random.below(4)):
            self.now += STEP
            self.read()
        passed = self.now - boot
        before, after = self.now, now + passed + self.random.below(STEP)
        self.now, self.state = after, 2
        self.add(entries.CLOCK, [entries.REBASE, before, after, 0, 2, len(self.entries) - 1])

    def step(self):
        way = self.random.choice((-70, -9, -3, -1, 1, 2, 9, 70)) * 40 * 60000
        before, self.now = self.now, self.now + way
        self.add(entries.CLOCK, [entries.STEP, before, self.now, 2, 2, None])

    def replace(self):
        name = self.random.choice(sorted(self.register))
        at = [one.name for one in self.pipeline.site.points].index(name)
        self.add(entries.METER, [at, 0, self.now, -2, self.register[name], 0])
        self.register[name] = 0


START = ["1.0", "test", "restart", 0]


def simulated(seed, until=END):
    log = Log(seed)
    random = log.random
    log.configure()
    silent, since = (), 0
    while log.now < until:
        log.now += STEP + random.below(60000)
        if since <= 0 and random.below(60) == 0:
            silent, since = mixed(random, sorted(METERS))[: 1 + random.below(5)], 3 + random.below(5)
        since -= 1
        log.read(silent if since > 0 else ())
        chance = random.below(100)
        if chance < 12:
            log.by_hand()
        elif chance == 12:
            log.start_unset()
        elif chance < 15:
            log.step()
        elif chance == 15:
            log.replace()
        elif chance < 18:
            log.configure(random.choice([None] + sorted(SOURCES)))
    log.configure()
    for _ in range(12):
        log.by_hand()
    return log


# --- what must hold --------------------------------------------------------------------------------------------------


def replayed(log):
    replay = Replay()
    for entry in log.entries:
        found = replay.entry(entry)
        assert found is None, found
    assert not replay.owes()
    assert cbor.encode(replay.pipeline.state()) == cbor.encode(log.pipeline.state())


def replayed_from(log, cut):
    first, second = Replay(), Replay()
    for entry in log.entries[:cut]:
        first.entry(entry)
    state = cbor.encode(first.state())
    second.restore(cbor.decode(state))
    assert cbor.encode(second.state()) == state
    for entry in log.entries[cut:]:
        assert second.entry(entry) is None, (cut, entry.seq)
    assert cbor.encode(second.pipeline.state()) == cbor.encode(log.pipeline.state())


class Said:
    """What the log says of each point by name: {(name, period, start): Number, or None}."""

    def __init__(self):
        self.amounts, self.versions, self.checked, self.unknown = {}, {}, 0, 0
        self.former, self.back = {}, {}  # sources that were there once, and those that came back: they begin anew

    def configured(self, document):
        names = [source.name for source in document.sources]
        for name in names:
            if name in self.former and not self.former[name]:
                self.back[name] = True
        for name in SOURCES:
            if name in names or name in self.former:
                self.former[name] = name in names

    def take(self, entry, document):
        if entry.kind == entries.CLOSING:
            period, start, rows = entry.body
            for row in rows:
                key = document.all_points[row[0]].name, period, start
                value = None if row[3] is None else Number(row[3], row[2])
                known = self.amounts.get(key)
                self.amounts[key] = value if known is None or value is None else known + value
        elif entry.kind == entries.EMISSION and entry.body[0] >= MONTH:
            period, start, version, rows = entry.body[:4]
            for index, quality, exponent, mantissa, digest in rows:
                source = document.sources[index]
                key = source.name, period, start
                if source.name in self.back:
                    continue
                assert version == self.versions.get(key, 0) + 1, (key, version)
                self.versions[key] = version
                assert digest == sm3.digest(cbor.encode(source.canonical()))
                inputs, _, figure = SOURCES[source.name]
                amounts = dict([(name, self.amounts.get((name, period, start))) for name in inputs])
                if [name for name in inputs if amounts[name] is None]:
                    assert (quality, mantissa) == (3, None), (key, amounts)
                    self.unknown += 1
                    continue
                factor = source.compiled[8][0]
                exact = figure(dict([(name, amounts[name].ratio()) for name in inputs]), Number(factor[3], factor[2]))
                assert Number(mantissa, exponent) == exact.round(6), (key, version, amounts)
                self.checked += 1


def said_of(log):
    """The Said of a log; every figure of a month or year is checked on its way."""
    follow, said = Pipeline(), Said()
    for entry in log.entries:
        if entry.kind in (entries.CLOSING, entries.EMISSION):
            said.take(entry, follow.site)
        elif entry.kind != entries.FILL:
            follow.fold(entry)
            if entry.kind == entries.CONFIG:
                said.configured(follow.site)
    return said


def add_up(log, said):
    """Closed periods of a register and a rate add up to its total, at every level; what is open is the rest."""
    pipeline, found = log.pipeline, []
    for index, one in enumerate(pipeline.site.points):
        if one.name == "T1":
            continue
        for period in CLOSINGS:
            total = Number(0)
            for (name, level, _), value in said.amounts.items():
                if (name, level) == (one.name, period) and value is not None:
                    total = total + value
            rest = pipeline.settlers[index].open(period)
            if rest is not None and rest.increment is not None:
                total = total + rest.increment
            assert total == pipeline.total(index), (one.name, period, str(total), str(pipeline.total(index)))
        found.append("%s %s" % (one.name, pipeline.total(index)))
    return sorted(found)


def virtual_of(log, said):
    """A month of a sum is the sum of its parts' months."""
    count = 0
    for (name, period, start), value in said.amounts.items():
        if period < MONTH or name not in VIRTUAL or VIRTUAL[name][0] != "sum" or value is None:
            continue
        parts = [(said.amounts.get((part, period, start)), n, d) for part, n, d in VIRTUAL[name][1]]
        whole = Ratio(0)
        for part, numerator, denominator in parts:
            whole = whole + Ratio(numerator, denominator) * part
        assert abs(whole - value) <= Ratio(9, 10**12), (name, period, start)
        count += 1
    return count


def together(seed, cuts, until=END):
    log = simulated(seed, until)
    replayed(log)
    for _ in range(cuts):
        replayed_from(log, 1 + log.random.below(len(log.entries) - 1))
    said = said_of(log)
    totals = add_up(log, said)
    counted = virtual_of(log, said)
    kinds = {}
    for entry in log.entries:
        kinds[entry.kind] = kinds.get(entry.kind, 0) + 1
    print(len(log.entries), sorted(kinds.items()), said.checked, said.unknown, counted, totals)
    print(sm3.digest(b"".join([entry.raw for entry in log.entries])).hex())
    return log, said


@pytest.mark.slow
@pytest.mark.requirement("T-12.4-2", part="all kinds of data in one log, restarted")
def test_two_weeks_over_the_border_of_a_year():
    together(1, 1, BEGIN + 18 * DAY_MS)


@pytest.mark.slow
@pytest.mark.requirement("T-12.4-2", part="all kinds of data in one log, restarted")
@pytest.mark.requirement("T-9.2-5", part="every version of a month or year is its formula over the log")
@pytest.mark.requirement("T-8.2.1-3", part="hours, days, months, years add up to the total, whatever happens")
@pytest.mark.parametrize("seed", (8, 11))
def test_from_december_to_march_over_a_leap_day(seed):
    log, said = together(seed, 2)
    assert log.taken > 10 and log.refused > 0 and said.checked >= 10
    kinds = [entry.kind for entry in log.entries]
    for kind in (entries.CONFIG, entries.CLOCK, entries.MANUAL, entries.FILL, entries.EMISSION):
        assert kinds.count(kind) > 1, kind
    assert max(said.versions.values()) > 2 and said.unknown > 0


WILD = (  # what meters said, (exponent, mantissa) each: a float's largest, digits of a double, next to nothing
    ((0, 1), (31, 34028235), (0, 5), (0, 8)),
    ((-19, 12345678901234567), (-15, 99999999999999999), (-13, 12345678901234567), (-9, 12345678901234567)),
    ((-400, 1), (0, 10), (0, 100), (400, 7), (0, 1000)),
    ((0, 1), (0, 10**19), (0, 10**19 + 7), (308, 10**19)),
)


@pytest.mark.slow
@pytest.mark.requirement("T-8.1.1-1", part="no number, however long, stops the terminal or its replay")
@pytest.mark.parametrize("values", WILD)
def test_numbers_that_no_entry_holds_are_shortened(values):
    log = Log(3)
    log.restarts.below = lambda most: 1
    log.configure()
    for exponent, mantissa in values + ((0, 2000),) * 16:
        log.now += STEP
        log.add(entries.READINGS, [[[at, 0, 0, exponent, mantissa] for at in range(len(METERS))], None])
    log.now += 3 * DAY_MS
    log.add(entries.READINGS, [[[at, 0, 0, 0, 2000] for at in range(len(METERS))], None])
    for name, exponent, mantissa in (("coal", 400, 10**18), ("lime", -400, 3)):
        fields = [name, BEGIN, BEGIN + DAY_MS, exponent, mantissa, "t", [], "", None]
        assert log.give("zhang", ZHANG, records.ENTER, fields)
    replayed(log)
    replayed_from(log, len(log.entries) // 2)
    for entry in log.entries:
        rows = {entries.CLOSING: 2, entries.EMISSION: 3}
        for row in entry.body[rows[entry.kind]] if entry.kind in rows else ():
            assert row[3] is None or abs(row[3]) < 1 << 64
    print(len(log.entries), sm3.digest(b"".join([entry.raw for entry in log.entries])).hex())
