"""A collector's fold settles nothing, and comes to the state that a terminal's comes to on the same log."""

import pytest

from carbonterm import cbor, clock, fold, pipeline
from carbonterm.errors import LedgerError, SiteError
from carbonterm.gm import sm2, sm3
from carbonterm.ledger import entry as entries
from carbonterm.ledger.segment import Log
from carbonterm.number import Number
from carbonterm.site import COLLECTOR, FORMATS, TERMINAL, Site
from carbonterm_device.recorder import Recorder, reading
from carbonterm_device.terminal import Terminal
from memory_storage import MemoryStorage
from seeded import Random
from sites import document, point

BEGIN = clock.parse("2026-02-28T23:00:00+08:00")
MINUTE = 60000
SIGNER = sm2.Signer(bytes(31) + b"\x07")


def site(profile=COLLECTOR, version=1, closings=None):
    points = [point("E1", 0, modulus=[1000000, -2]), point("E2", 1), point("T1", 2, unit="kW", kind="instant")]
    sources = None if profile == TERMINAL else []
    if profile == TERMINAL:
        points.append(point("G1", 2, unit="Nm3"))
    closings = ((2, 3) if profile == TERMINAL else ()) if closings is None else closings
    made = document(points, [] if sources is None else sources, closings, version=version)
    made[0] = FORMATS[1]
    for row in made[5]:
        row.append(None)
    for row in made[6]:
        row += ["modbus", None, None, None, None, 8, 0, None, None, None, None]
    made[-1] = [list(closings), 1000, 4096, 0, 0, "any"] + ([COLLECTOR] if profile == COLLECTOR else [])
    return Site(made)


class Clock:
    state = 2

    def __init__(self):
        self.time_ms = BEGIN

    def now_ms(self):
        return self.time_ms


class World:
    """A recorder with a log in memory and small segments, so that there are snapshots."""

    def __init__(self, where, make=Recorder, storage=None):
        self.storage, self.clock, self.site = storage or MemoryStorage(), Clock(), where
        self.start(where, make)

    def start(self, where, make=Recorder):
        self.log = Log(self.storage, "CT-TEST-1", 0, SIGNER, None, 4096)
        self.recorder = make(self.log, self.clock, "test")
        self.site = where
        self.recorder.start(where)

    def minutes(self, count):
        for _ in range(count):
            self.clock.time_ms += MINUTE
            kwh = (self.clock.time_ms - BEGIN) // MINUTE
            rows = [reading(i, self.site.points[i], i, Number(kwh * 7 + i, -2)) for i in range(len(self.site.points))]
            self.recorder.record(self.clock.time_ms, rows, b"frame")
            self.recorder.commit()

    def entries(self):
        return [entries.decode(raw) for raw, _ in self.log.entries()]


def verified(found, make):
    replay = make()
    wrong = [one for one in [replay.entry(entry) for entry in found] if one]
    return replay, wrong


@pytest.mark.slow
@pytest.mark.requirement("T-4-2", part="a collector polls, signs, stores; its log replays by its site document")
def test_a_collectors_log_has_no_derived_entries_and_replays_in_both_folds():
    world = World(site())
    world.minutes(150)
    world.recorder.exchanged(0, entries.REPLACED, world.clock.time_ms, Number("11"), Number("0"))
    world.minutes(3)
    world.recorder.commit()
    found = world.entries()
    kinds = [entries.KINDS[one.kind] for one in found]
    assert kinds.count("snapshot") >= 2 and not [one for one in found if one.kind in fold.DERIVED]
    slim, wrong = verified(found, fold.Replay)
    full, other = verified(found, pipeline.Replay)
    assert wrong == [] and other == []
    assert cbor.encode(slim.state()) == cbor.encode(full.state())
    assert slim.readings == full.readings == 153 * 3 and full.expected == [] and slim.expected == []
    assert full.pipeline.total(0) is None and full.pipeline.total(2) is None
    print(len(found), kinds.count("snapshot"), sm3.digest(cbor.encode(slim.state())))


@pytest.mark.slow
def test_a_restart_goes_on_from_the_snapshot():
    world = World(site())
    world.minutes(200)
    size = world.log.size
    world.start(site())
    assert world.recorder.disagreements == 0 and world.recorder.readings == 600
    world.minutes(5)
    found = world.entries()
    assert found[size].kind == entries.START and found[size].body[2] == "restart"
    assert [one.kind for one in found[size:] if one.kind == entries.CONFIG] == []
    assert verified(found, pipeline.Replay)[1] == [] and verified(found, fold.Replay)[1] == []
    half = [one for one in found if one.kind == entries.SNAPSHOT][-1].seq
    assert verified(found[half:], pipeline.Replay)[1] == [] and verified(found[half:], fold.Replay)[1] == []


def test_another_site_document_is_followed():
    world = World(site())
    world.minutes(10)
    world.start(site(version=2))
    world.minutes(10)
    found = world.entries()
    assert len([one for one in found if one.kind == entries.CONFIG]) == 2
    slim, wrong = verified(found, fold.Replay)
    assert wrong == [] and slim.pipeline.site.version == 2


@pytest.mark.slow
def test_a_terminal_becomes_a_collector_and_a_terminal_again():
    """The log says which it was when, and replays whole."""
    world = World(site(TERMINAL), Terminal)
    world.minutes(130)
    closings = len([one for one in world.entries() if one.kind == entries.CLOSING])
    assert closings >= 2
    world.start(site(version=2), Recorder)
    world.minutes(130)
    assert len([one for one in world.entries() if one.kind == entries.CLOSING]) == closings
    world.start(site(TERMINAL, 3), Terminal)
    world.minutes(130)
    found = world.entries()
    replay, wrong = verified(found, pipeline.Replay)
    assert wrong == [] and replay.expected == []
    assert len([one for one in found if one.kind == entries.CLOSING]) > closings
    print(len(found), closings, str(replay.pipeline.total(0)))
    with pytest.raises(fold.Settles) as said:
        verified(found, fold.Replay)
    assert "collector" in said.value.hint


def test_a_document_of_a_collector_asks_for_no_more_than_it_does():
    with pytest.raises(SiteError) as said:
        site(closings=(2,))
    assert "no closings" in said.value.what and "terminal" in said.value.hint
    good = site().canonical()
    for at, part in ((8, [["x", [], []]]), (10, [[], 1000, 4096, 0, 0, "any", TERMINAL]),
                     (10, [[], 1000, 4096, 0, 0, "any", "x"]), (10, [[], 1000, 4096, 0, 0, "any", COLLECTOR, 1]),
                     (10, [[], 1000, COLLECTOR])):  # fmt: skip
        made = cbor.decode(good)
        made[at] = part
        with pytest.raises(SiteError):
            Site(made)
    tails = ([[], ["b"]], [[], [], [[["op", bytes(64)]], [], []]], [[], [], [], [[0, 1]]])
    for tail in tails:
        with pytest.raises(Exception) as refused:
            Site(cbor.decode(good) + tail)
        assert isinstance(refused.value, (SiteError, ValueError, TypeError, LedgerError)) or "." in str(refused.value)
    assert Site(cbor.decode(good)).canonical() == good
    print(len(good))


def test_states_that_are_none_are_refused():
    world = World(site())
    world.minutes(2)
    good, _ = verified(world.entries(), fold.Replay)
    state, random = good.state(), Random(7)
    other = fold.Replay()
    other.restore(cbor.decode(cbor.encode(state)))
    assert cbor.encode(other.state()) == cbor.encode(state)
    pipe = state[2]
    bad = [[1, 0, pipe + [1], []], [2, 0, pipe, []], [1, 0, pipe], 7, [1, 0, pipe[:3], []], [1, 0, [], []],
           [1, 0, [pipe[0], [None], [], None], []], [1, 0, [pipe[0], [None, None, 1], [], None], []],
           [1, 0, [pipe[0], pipe[1], [1], None], []], [1, 0, [None, [None], [], None], []],
           [1, 0, [bytes(9), pipe[1], [], None], []]]  # fmt: skip
    for _ in range(60):
        raw = bytearray(pipe[0])
        raw[random.below(len(raw))] ^= 1 + random.below(255)
        bad.append([1, 0, [bytes(raw), pipe[1] + [None], [], None], []])
    for one in bad:
        with pytest.raises(Exception) as said:
            fold.Replay().restore(one)
        assert hasattr(said.value, "what"), one


def test_entries_that_stand_in_a_wrong_place():
    first = entries.Entry("CT-TEST-1", 0, 0, BEGIN, 2, entries.READINGS, [[[0, 0, 0, 0, 1]], None], b"")
    with pytest.raises(LedgerError):
        fold.Fold().fold(first)
    one = fold.Fold()
    data = site().canonical()
    with pytest.raises(LedgerError):
        one.fold(entries.Entry("CT-TEST-1", 0, 0, BEGIN, 2, entries.CONFIG, [bytes(32), data], b""))
    one.fold(entries.Entry("CT-TEST-1", 0, 0, BEGIN, 2, entries.CONFIG, [sm3.digest(data), data], b""))
    with pytest.raises(LedgerError):
        one.fold(entries.Entry("CT-TEST-1", 0, 1, BEGIN, 2, entries.READINGS, [[[3, 0, 0, 0, 1]], None], b""))
    closing = entries.Entry("CT-TEST-1", 0, 1, BEGIN, 2, entries.CLOSING, [2, BEGIN, []], b"")
    assert "nothing before it explains" in fold.Replay().entry(closing)
