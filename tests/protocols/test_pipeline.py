"""The way through: readings in, settlements and emissions out, the same again by replay, whatever a crash cut."""

import pytest

from carbonterm import cbor, clock
from carbonterm.errors import LedgerError
from carbonterm.gm import sm3
from carbonterm.ledger import entry as entries
from carbonterm.number import Number
from carbonterm.pipeline import Pipeline, Replay
from carbonterm.site import FORMATS, Bus, Meter, Site
from seeded import Random
from sites import compiled, document, point

ZONE = 480
NIGHT = clock.parse("2026-02-28T23:00:00+08:00")
MINUTE = 60000


class Book:
    """A log in memory: numbers entries, folds them, and appends what must follow."""

    def __init__(self):
        self.pipeline = Pipeline()
        self.entries = []

    def add(self, time_ms, kind, body):
        follow = self.put(time_ms, kind, body)
        for wanted in follow:
            self.put(wanted[0], wanted[2], wanted[3])

    def put(self, time_ms, kind, body, state=2):
        raw = entries.encode("CT-TEST-1", 0, len(self.entries), time_ms, state, kind, body)
        entry = entries.decode(raw)
        self.entries.append(entry)
        return [] if kind in (entries.CLOSING, entries.EMISSION) else self.pipeline.fold(entry)

    def configure(self, doc, time_ms=NIGHT):
        data = Site(doc).canonical()
        self.add(time_ms, entries.CONFIG, [sm3.digest(data), data])

    def read(self, time_ms, *values, first=0):
        """values: mantissas at two decimals, or (quality, mantissa or None)."""
        rows = []
        for i, value in enumerate(values):
            quality, mantissa = value if isinstance(value, tuple) else (0, value)
            rows.append([first + i, 0, quality, 0 if mantissa is None else -2, mantissa])
        self.add(time_ms, entries.READINGS, [rows, None])

    def bodies(self, kind):
        return [entry.body for entry in self.entries if entry.kind == kind]


def replayed(found):
    replay = Replay()
    wrong = [finding for finding in (replay.entry(entry) for entry in found) if finding]
    return replay, wrong


@pytest.mark.requirement("T-4-2")
def test_readings_become_settlements_and_emissions():
    book = Book()
    half_hourly = [
        point("E1", 0, interval_ms=1800000),
        point("E2", 1, interval_ms=1800000),
        point("G1", 2, "Nm3", interval_ms=1800000),
    ]
    book.configure(document(points=half_hourly))
    book.read(NIGHT, 100000, 200000, 5000000)
    book.read(NIGHT + 30 * MINUTE, 100500, 200100, 5000000)
    book.read(NIGHT + 60 * MINUTE, 101000, 200300, 6000000)  # midnight, end of February
    closings = book.bodies(entries.CLOSING)
    assert [body[0] for body in closings] == [clock.HOUR, clock.DAY, clock.MONTH]
    assert closings[0] == [
        clock.HOUR,
        NIGHT,
        [[0, 0, -2, 1000, 500, 500], [1, 0, -2, 300, 200, 100], [2, 0, -2, 1000000, 1000000, 0]],
    ]
    assert closings[1][2][0][1] == 1  # the first day is seen from 23:00 on: estimated
    emissions = book.bodies(entries.EMISSION)
    assert emissions[0][:3] == [clock.HOUR, NIGHT, 1]
    # 13 kWh × 0.5306 t/MWh = 0.0068978 t; 1 × 10^4 Nm3 × 389.31 × 0.0153 × 0.99 × 44/12 = 21.62188809 t
    assert [row[2:4] for row in emissions[0][3]] == [[-6, 6898], [-6, 21621888]]
    assert str(book.pipeline.emitted(0)) == "34489/5000000"
    for body in closings + emissions:
        print(cbor.encode(body).hex())


def test_a_figure_waits_for_its_last_point():
    book = Book()
    book.configure(document())
    book.read(NIGHT, 0, 0, 0)
    book.read(NIGHT + 59 * MINUTE, 100, 100, 100)
    book.read(NIGHT + 60 * MINUTE, 200, (4, None), 200)  # E2 is silent at midnight
    assert [body[2][0][0] for body in book.bodies(entries.CLOSING)] == [0, 0, 0]
    gas_only = [[row[0] for row in body[3]] for body in book.bodies(entries.EMISSION)]
    assert gas_only == [[1], [1], [1]]
    book.read(NIGHT + 200 * MINUTE, 300, 300, 300)  # E2 is back: its hours are apportioned over the silence
    late = [body for body in book.bodies(entries.EMISSION) if body[3][0][0] == 0]
    hours = [body for body in late if body[0] == clock.HOUR]
    assert len(hours) == 3 and [body[3][0][1] for body in hours] == [1, 1, 1]
    _, wrong = replayed(book.entries)
    assert wrong == []
    print(len(book.entries), [cbor.encode(body).hex() for body in late])


def test_nothing_doubtful_enters_a_total():
    book = Book()
    book.configure(document())
    book.read(NIGHT, 100000, 100000, 100000)
    book.read(NIGHT + MINUTE, (3, None), 100100, 100100)  # NaN
    book.read(NIGHT + 2 * MINUTE, (2, 99999999), 100200, 100200)  # outside its range
    book.read(NIGHT + 3 * MINUTE, 50000, 100300, 50000)  # backwards: 500 kWh below; no modulus for gas
    book.read(NIGHT + 4 * MINUTE, 100400, 100400, 100400)
    totals = [str(settler.total) for settler in book.pipeline.settlers]
    assert totals == ["4.00", "4.00", "4.00"]


@pytest.mark.requirement("T-8.2.2-1")
def test_rollover_and_replacement_are_facts_of_the_log():
    book = Book()
    book.configure(document())
    book.read(NIGHT, 999800, 100000, 100000)
    book.read(NIGHT + MINUTE, 300, 100100, 100100)  # 9998.00 → 0003.00 of 9999.99
    book.add(NIGHT + 2 * MINUTE, entries.METER, [1, 0, NIGHT + 2 * MINUTE, -2, 100150, 0])
    book.read(NIGHT + 3 * MINUTE, 400, 70, 100200)
    totals = ["6.00", "2.20", "2.00"]
    assert [str(settler.total) for settler in book.pipeline.settlers] == totals
    # a last register below the one that was read is no event that can be
    book.add(NIGHT + 4 * MINUTE, entries.METER, [1, 0, NIGHT + 4 * MINUTE, -2, 10, 0])
    assert [str(settler.total) for settler in book.pipeline.settlers] == totals


@pytest.mark.requirement("T-12.4-2", part="the clock is set while the terminal runs")
@pytest.mark.slow
def test_a_set_clock_is_a_fact_of_the_log():
    year = 365 * 86400000
    for steps in ((-86400000, 86400000), (year, -year), (1500, -1500)):
        book, now, value = Book(), NIGHT, 0
        book.configure(document())
        for step in (0,) + steps:
            if step:
                book.add(now + step, entries.CLOCK, [entries.STEP, now, now + step, 2, 3, None])
                now += step
            for _ in range(100):
                now += MINUTE
                value += 10
                book.read(now, value, value, value)
        assert [str(settler.total) for settler in book.pipeline.settlers] == ["29.90"] * 3
        for level in (clock.HOUR, clock.DAY, clock.MONTH, clock.YEAR):
            found = [row for body in book.bodies(entries.CLOSING) if body[0] == level for row in body[2] if row[0] == 0]
            total = book.pipeline.settlers[0].open(level).increment
            for row in found:
                total = total + Number(row[3], row[2])
            assert total == Number(2990, -2), (step, level)
        replay, wrong = replayed(book.entries)
        assert wrong == [] and replay.expected == []
        assert replay.pipeline.state() == book.pipeline.state()
        print(steps, [cbor.encode(body).hex() for body in book.bodies(entries.CLOSING)])


@pytest.mark.requirement("T-12.4-2", part="the terminal does not know the time for a while")
def test_readings_without_a_time_are_not_settled_and_nothing_is_lost():
    book = Book()
    book.configure(document())
    book.read(NIGHT, 100, 100, 100)
    for minute in range(90):  # a start without a clock: 1970, in a zone where that was the year before
        rows = [[point, 0, 0, -2, 200 + minute] for point in range(3)]
        assert book.put(minute * MINUTE, entries.READINGS, [rows, None], minute % 2) == []
    book.add(NIGHT + 120 * MINUTE, entries.CLOCK, [entries.REBASE, 90 * MINUTE, NIGHT + 120 * MINUTE, 0, 3, 2])
    book.read(NIGHT + 121 * MINUTE, 300, 300, 300)
    assert [str(settler.total) for settler in book.pipeline.settlers] == ["2.00"] * 3
    assert all(body[1] >= NIGHT - 366 * 86400000 for body in book.bodies(entries.CLOSING))
    _, wrong = replayed(book.entries)
    assert wrong == []


def test_an_unchanged_point_keeps_its_series_over_a_new_document():
    book = Book()
    book.configure(document())
    book.read(NIGHT, 1000, 1000, 1000)
    book.read(NIGHT + MINUTE, 1100, 1100, 1100)
    points = [point("G1", 2, unit="Nm3"), point("E1", 0, modulus=[1000000, -2])]
    book.configure(document(points=points, sources=[], version=2), NIGHT + 2 * MINUTE)
    book.read(NIGHT + 3 * MINUTE, 1300, 1500)
    assert [str(settler.total) for settler in book.pipeline.settlers] == ["3.00", "5.00"]


def test_a_series_goes_on_when_the_document_gets_the_second_format():
    """The same site, compiled anew: its rows are longer, its points are what they were."""
    book, newer = Book(), document(version=2)
    newer[0] = FORMATS[1]
    for rows, row in ((newer[5], Bus), (newer[6], Meter)):
        for one in rows:
            one += [value for _, _, value in row.later()]
    book.configure(document())
    book.read(NIGHT, 100000, 200000, 5000000)
    book.configure(newer, NIGHT + MINUTE)
    book.read(NIGHT + 60 * MINUTE, 101000, 200300, 6000000)
    hour = book.bodies(entries.CLOSING)[0]
    assert (hour[0], [row[3] for row in hour[2]]) == (clock.HOUR, [1000, 300, 1000000])
    replay, wrong = replayed(book.entries)
    assert wrong == [] and replay.pipeline.site.format == FORMATS[1]


def test_a_division_by_nothing_is_marked_not_guessed():
    source = compiled("intensity", 1, "FC/P", [["FC", "10^4Nm3"], ["P", "t"]], [])
    rows = [["intensity", source, [["FC", [[2, 1, 1]]], ["P", [[0, 1, 1]]]]]]
    book = Book()
    book.configure(document(sources=rows, closings=(clock.HOUR,)))
    book.read(NIGHT, 100, 100, 100)
    book.read(NIGHT + 60 * MINUTE, 100, 200, 300)  # no production
    assert book.bodies(entries.EMISSION)[0][3][0][1:4] == [3, 0, None]


def test_replay_finds_what_was_changed_left_out_or_invented():
    book = Book()
    book.configure(document())
    random, values = Random(8), [0, 0, 0]
    for minute in range(0, 130, 10):
        values = [value + random.below(500) for value in values]
        book.read(NIGHT + minute * MINUTE, *values)
    replay, wrong = replayed(book.entries)
    assert (
        wrong == []
        and replay.expected == []
        and replay.compared == len(book.bodies(entries.CLOSING)) + len(book.bodies(entries.EMISSION))
    )
    for kind in (entries.CLOSING, entries.EMISSION):
        at = [entry.kind for entry in book.entries].index(kind)
        assert replayed(book.entries[:at] + book.entries[at + 1 :])[1], "left out"
        assert "explains" in replayed([book.entries[0], book.entries[at]])[1][0]
        victim = book.entries[at]
        body = cbor.decode(cbor.encode(victim.body))
        body[2 if kind == entries.CLOSING else 3][0][3] += 1
        forged = entries.decode(entries.encode("CT-TEST-1", 0, victim.seq, victim.time_ms, 2, kind, body))
        findings = replayed(book.entries[:at] + [forged] + book.entries[at + 1 :])[1]
        print(findings)
        assert len(findings) == 1 and "entry %d" % at in findings[0]


@pytest.mark.requirement("T-8.2.1-1")
def test_a_crash_at_any_entry_is_made_good_by_the_next_start():
    book = Book()
    book.configure(document())
    random, values = Random(9), [0, 0, 0]
    feeds = []
    for minute in range(0, 100, 7):
        values = [value + random.below(500) for value in values]
        feeds.append((NIGHT + minute * MINUTE, tuple(values)))
    for time_ms, row in feeds:
        book.read(time_ms, *row)
    whole = [(entry.kind, entry.body) for entry in book.entries]
    for cut in range(1, len(book.entries) + 1):
        again = Book()
        replay = Replay()
        for entry in book.entries[:cut]:
            assert replay.entry(entry) is None
        again.pipeline, again.entries = replay.pipeline, book.entries[:cut]
        for late in replay.expected:
            again.put(late[0], late[2], late[3])
        reached = max([entry.time_ms for entry in book.entries[:cut]]) if cut > 1 else 0
        for time_ms, row in feeds:
            if time_ms > reached or cut == 1:
                again.read(time_ms, *row)
        assert [(entry.kind, entry.body) for entry in again.entries] == whole, cut


def test_entries_that_make_no_sense_are_refused():
    book = Book()
    with pytest.raises(LedgerError, match="before the first site document"):
        book.read(NIGHT, 1, 2, 3)
    book = Book()
    book.configure(document())
    with pytest.raises(LedgerError, match="not in the site document"):
        book.read(NIGHT, 1, 2, 3, 4)
    data = Site(document()).canonical()
    with pytest.raises(LedgerError, match="digest"):
        Pipeline().fold(entries.Entry("CT-TEST-1", 0, 0, NIGHT, 2, entries.CONFIG, [bytes(32), data], b""))
