"""Columns against the terminal's own pipeline, bit for bit: closings and emissions of logs, from bundles and tables."""

import io
import random

import numpy as np
import pytest

from carbonterm import clock
from carbonterm.errors import LedgerError, SeriesError
from carbonterm.gm import sm2, sm3
from carbonterm.ledger import bundle
from carbonterm.ledger import entry as entries
from carbonterm.pipeline import Pipeline
from carbonterm.site import FORMATS, Bus, Meter, Site
from carbonterm_host.batch import account, year
from carbonterm_host.batch.parquet import Column
from sites import compiled, document, point

NIGHT = clock.parse("2026-02-27T21:59:00+08:00")
PUBLIC = sm2.public(bytes(31) + b"\7")
PERIODS = (clock.MINUTE, clock.HOUR, clock.DAY, clock.MONTH, clock.YEAR)


class Log:
    """Entries folded by the pipeline as a terminal does, and written into a bundle without being signed."""

    def __init__(self, doc):
        self.pipeline, self.file, self.seq = Pipeline(), io.BytesIO(), 0
        self.site = Site(doc)
        self.bundle = bundle.Writer(self.file, self.site.terminal_id, "test")
        self.bundle.key(0, PUBLIC)
        self.derived = []
        data = self.site.canonical()
        self.put(NIGHT - 60000, entries.CONFIG, [sm3.digest(data), data])

    def put(self, time_ms, kind, body, state=3):
        raw = entries.encode(self.site.terminal_id, 0, self.seq, time_ms, state, kind, body)
        self.seq += 1
        self.bundle.entry(raw, bytes(64))
        if kind not in (entries.CLOSING, entries.EMISSION):
            for one in self.pipeline.fold(entries.decode(raw)):
                self.derived.append((one[2], one[3]))
                self.put(one[0], one[2], one[3])

    def read(self, time_ms, rows):
        self.put(time_ms, entries.READINGS, [[list(row) for row in rows], sm3.digest(b"%d" % time_ms)])

    def save(self, folder):
        self.bundle.end()
        (folder / "a.bundle").write_bytes(self.file.getvalue())
        return folder / "a.bundle"

    def closings(self):
        """{(period, start, point): row} and {(period, start, source): row} of the derived entries."""
        settled, emitted = {}, {}
        for kind, body in self.derived:
            if kind == entries.FILL:
                continue
            rows, found = (body[2], settled) if kind == entries.CLOSING else (body[3], emitted)
            for row in rows:
                found[(body[0], body[1], row[0])] = row[1:] if kind == entries.CLOSING else row[1:4]
        return settled, emitted


def same(found, log):
    """The figures of a Year are the log's, digit for digit; how many closings and emissions."""
    settled, emitted = {}, {}
    for period in found.site.settings.closings:
        for index, table in found.settled.items():
            c = table.columns(period)
            names = "start", "quality", "exponent", "increment", "high", "low", "measured"
            rows = zip(*(c[name].tolist() for name in names), strict=True)
            for start, quality, exponent, increment, high, low, measured in rows:
                numbers = [increment, high, low] if measured else [increment, None, None]
                settled[(period, start, index)] = [quality, exponent, *numbers]
        for source in range(len(found.site.sources)):
            c = found.emissions(source, period)
            rows = zip(*(c[name].tolist() for name in ("start", "quality", "mantissa", "known")), strict=True)
            for start, quality, mantissa, known in rows:
                emitted[(period, start, source)] = [quality, -6, mantissa] if known else [quality, 0, None]
    right = log.closings()
    assert settled == right[0]
    assert emitted == right[1]
    return len(settled), len(emitted)


def walk(log, minutes, seed, points=3, trouble=0, jitter=0):
    """Readings of every minute; one row in `trouble` is something else."""
    dice = random.Random(seed)
    values = [dice.randrange(900000) for _ in range(points)]
    rows_of = [[] for _ in range(points)]
    for minute in range(minutes):
        time_ms = NIGHT + 60000 * minute + (dice.randrange(jitter) if jitter else 0)
        rows = []
        for i in range(points):
            values[i] = (values[i] + dice.randrange(300)) % 1000000
            row = [i, 0, 0, -2, values[i]]
            if trouble and dice.randrange(trouble) == 0:
                row = [[i, 0, 4, 0, None], [i, -3000, 1, -2, values[i]], [i, 0, 0, -2, dice.randrange(1000000)],
                       [i, 0, 0, -3, values[i] * 10], None, [i, 0, 2, -2, 5]][dice.randrange(6)]  # fmt: skip
            if row is not None:
                rows.append(row)
                rows_of[i].append((time_ms + row[1], row[4], row[3], row[2]))
        if trouble and dice.randrange(2 * trouble) == 0:
            log.put(time_ms, entries.CLOCK, [entries.SYNC, time_ms, time_ms, 2, 3, None])
        if rows:
            log.read(time_ms, rows)
    return rows_of


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("trouble", "jitter"), [(0, 0), (0, 5000), (60, 3000)])
def test_a_bundle_by_columns_is_the_terminals_log(tmp_path, seed, trouble, jitter):
    log = Log(document(closings=PERIODS))
    walk(log, 1700, seed, trouble=trouble, jitter=jitter)
    found = year.of_bundle(log.save(tmp_path))
    assert not found.replayed
    closings, emissions = same(found, log)
    assert closings > 2500 and emissions > 800
    assert [s.state() for s in found.settlers.values()] == [s.state() for s in log.pipeline.settlers]


def test_replacements_and_restarts_in_a_bundle(tmp_path):
    log = Log(document())
    for hour in range(30):
        log.read(NIGHT + hour * 3600000, [[i, 0, 0, -2, 100 * hour + i] for i in range(3)])
        if hour == 11:
            log.put(NIGHT + hour * 3600000 + 60000, entries.METER,
                    [1, entries.REPLACED, NIGHT + hour * 3600000 + 50000, -2, 1150, 7])  # fmt: skip
            log.put(NIGHT + hour * 3600000 + 60000, entries.METER, [0, entries.RESET, NIGHT, -2, 5, 0])  # cannot be
            log.put(NIGHT + hour * 3600000 + 70000, entries.START, ["1", "test", "restart", 5])
            data = log.site.canonical()
            log.put(NIGHT + hour * 3600000 + 80000, entries.CONFIG, [sm3.digest(data), data])
    found = year.of_bundle(log.save(tmp_path))
    assert not found.replayed and same(found, log)[0] > 80


@pytest.mark.slow
@pytest.mark.parametrize("what", ["step", "unset", "config"])
def test_what_columns_cannot_tell_is_replayed(tmp_path, what):
    log = Log(document())
    log.read(NIGHT, [[i, 0, 0, -2, i] for i in range(3)])
    if what == "step":
        log.put(NIGHT + 120000, entries.CLOCK, [entries.STEP, NIGHT + 60000, NIGHT + 120000, 3, 3, None])
    elif what == "unset":
        log.put(5000, entries.START, ["1", "test", "restart", 5], 0)
        log.put(6000, entries.READINGS, [[[0, 0, 0, -2, 3]], None], 0)
    else:
        data = Site(document(version=2)).canonical()
        log.put(NIGHT + 120000, entries.CONFIG, [sm3.digest(data), data])
    for hour in range(1, 30):
        log.read(NIGHT + hour * 3600000, [[i, 0, 0, -2, 100 * hour + i] for i in range(3)])
    found = year.of_bundle(log.save(tmp_path))
    assert found.replayed and same(found, log)[1] > 50


@pytest.mark.slow
def test_rates_fills_and_versions_are_replayed(tmp_path):
    hour = 3600000
    flow = point("F1", 1, "t/h", interval_ms=hour)
    flow[9] = "instant"
    steam = compiled("steam", 2, "AD*EF", [["AD", "t"]], [["EF", "tCO2/t", -2, 11]])
    doc = document(points=[point("E1", 0, interval_ms=hour), flow], sources=[["steam", steam, [["AD", [[1, 1, 1]]]]]])
    doc[0] = FORMATS[1]
    doc[5] = [[*Bus(row, "bus", True).canonical(), None] for row in doc[5]]
    doc[6] = [Meter(row, "meter", True).canonical() + [value for _, _, value in Meter.later()] for row in doc[6][:2]]
    log = Log([*doc, [], [], [], [[1, 0, 0, hour, "t", 0, False]]])  # a rate, an amount by the linear rule, gaps filled
    for n in range(168):
        if not 74 <= n < 79:
            log.read(NIGHT + 60000 + n * hour, [[0, 0, 0, -2, 100 * n], [1, 0, 0, -1, 200 + n % 7]])
    found = year.of_bundle(log.save(tmp_path))
    closings, emissions = same(found, log)
    assert found.replayed and closings > 300 and emissions > 150
    assert any(kind == entries.EMISSION and body[2] > 1 for kind, body in log.derived)
    with pytest.raises(SeriesError, match="more than registers and sources"):
        year.of_columns(log.site, [])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_a_table_gives_what_the_terminal_would_have_logged(seed):
    log = Log(document(closings=PERIODS))
    rows = walk(log, 1500, seed, trouble=(0, 80)[seed], jitter=3000)
    columns = []
    for index, found in enumerate(rows):
        times, mantissas, exponents, qualities = zip(*found, strict=True)
        arrays = np.array(times), np.array([m or 0 for m in mantissas]), np.array(exponents), np.array(qualities)
        columns.append((log.site.points[index].name, Column(*arrays)))
    assert same(year.of_columns(log.site, columns), log)[0] > 3500


def test_a_range_of_a_point_holds_for_tables_too():
    points = [point("E1", 0), point("E2", 1), point("G1", 2)]
    points[0][12], points[0][13] = [1005, -3], [2, 0]
    site = Site(document(points=points))
    times = NIGHT + 60000 * np.arange(5)
    columns = [("E1", Column(times, np.array([100, 101, 150, 200, 201]), np.full(5, -2)))]
    found = year.of_columns(site, columns)
    assert str(found.settlers[0].total) == "0.99"


def test_tables_that_do_not_fit_the_site():
    site = Site(document())
    columns = [("E9", Column(np.array([NIGHT]), np.array([1]), np.array([0])))]
    with pytest.raises(SeriesError, match="no point 'E9'"):
        year.of_columns(site, columns)
    with pytest.raises(SeriesError, match="before 2020"):
        year.of_columns(site, [("E1", Column(np.array([5]), np.array([1]), np.array([0])))])


def bent(text):
    """A source of the test document whose formula is `text` over AD (MWh, E1 + E2) and FC (10^4Nm3, G1)."""
    inputs = [row for row in (["AD", "MWh"], ["FC", "10^4Nm3"]) if row[0] in text]
    constants = [["EF", "tCO2/MWh", -4, 5306]] if "EF" in text else []
    feeds = {"AD": [[0, 1, 1000], [1, 1, 1000]], "FC": [[2, 1, 10000]]}
    return ["bent", compiled("bent", 1, text, inputs, constants), [[name, feeds[name]] for name, _ in inputs]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "straight"),
    [
        ("AD*EF+FC*2/3-1", True), ("(AD+FC)/(EF+7)", True), ("-AD^1*EF", True), ("AD*FC", False), ("AD/FC", False),
        ("AD^2", False), ("EF*(AD-AD)*FC", False), ("AD/7+0.5", True), ("EF/FC", False),
    ],
)  # fmt: skip
def test_formulas_of_every_shape(tmp_path, text, straight):
    log = Log(document(sources=[bent(text)], closings=PERIODS[:2]))
    walk(log, 200, 7, trouble=20)
    found = year.of_bundle(log.save(tmp_path))
    assert (account.straight(found.site.sources[0]) is not None) == straight
    assert same(found, log)[1] > 100


def test_a_factor_that_expires_and_a_division_by_zero(tmp_path):
    doc = document()
    origin = ["grid", "a document", "found", "high", None, NIGHT + 7200000]
    doc[8][0][1][8][0][4] = origin
    doc[8].append(bent("AD/(FC-FC)"))
    log = Log(doc)
    walk(log, 400, 3)
    found = year.of_bundle(log.save(tmp_path))
    same(found, log)
    hours = found.emissions(0, clock.HOUR)
    assert hours["known"].tolist() == 3 * [True] + 4 * [False] and hours["quality"].tolist()[3:] == 4 * [3]
    assert not found.emissions(2, clock.HOUR)["known"].any()


def test_bundles_that_are_broken(tmp_path):
    log = Log(document())
    walk(log, 100, 1)
    path = log.save(tmp_path)
    whole = path.read_bytes()
    dice = random.Random(5)
    for i in range(300):
        data = bytearray(whole)
        if i % 3 == 0:
            del data[dice.randrange(len(data)) :]
        else:
            for _ in range(1 + i % 4):
                data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        path.write_bytes(data)
        if bytes(data) != whole:
            with pytest.raises(LedgerError):
                year.of_bundle(path)
    path.write_bytes(b"")
    with pytest.raises(LedgerError, match="no bundle"):
        year.of_bundle(path)
