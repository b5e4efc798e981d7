"""A storage that refuses a write, at every write: the terminal lives on, loses nothing it had acknowledged, has nothing
twice, says what is missing, and its totals are the meters'."""

import pytest

from carbonterm.ledger import checkpoint, entry
from carbonterm.ledger.frames import segments
from carbonterm.ledger.segment import Log
from carbonterm.number import Number
from carbonterm.pipeline import Replay
from carbonterm.site import Site
from carbonterm_device.terminal import Terminal
from memory_storage import MemoryStorage
from sites import document
from stamp import Stamp

T0 = 1772290800000
ENOSPC, EROFS, EIO = 28, 30, 5
ROUNDS = 14


class Clock:
    state = 3

    def __init__(self):
        self.now = T0

    def now_ms(self):
        return self.now


class Failing(MemoryStorage):
    """Refuses `last` writes from number `left` on; how: what of an append is there in spite of it, "none", "half" or
    "whole"."""

    def __init__(self, left, errno, how, last):
        super().__init__()
        self.left, self.errno, self.how, self.last = left, errno, how, last
        self.refused = 0

    def _refuses(self):
        self.left -= 1
        if self.left < 0 and self.refused < self.last:
            self.refused += 1
            return True
        return False

    def append(self, name, data):
        if self._refuses():
            part = {"none": 0, "half": len(data) // 2, "whole": len(data)}[self.how]
            if part:
                super().append(name, data[:part])
            raise OSError(self.errno)
        super().append(name, data)

    def sync(self, name):
        if self._refuses():
            raise OSError(self.errno)

    def replace(self, name, data):
        if self._refuses():
            raise OSError(self.errno)
        super().replace(name, data)

    def remove(self, name):
        if self._refuses():
            raise OSError(self.errno)
        super().remove(name)


class Life:
    """A terminal with three registers, read every minute; `acknowledged`: {minute: seq} of rounds that were durable."""

    def __init__(self, storage):
        self.storage = storage
        self.clock = Clock()
        self.site = Site(document(terminal="T1"))
        self.acknowledged = {}
        self.offered = 0
        self.terminal = None

    def open(self):
        log = Log(self.storage, "T1", 0, Stamp(), segment_size=2600)
        self.terminal = Terminal(log, self.clock, "test")
        try:
            self.terminal.start(self.site)
        except OSError as error:
            self.terminal.fail(error)

    def turn(self, minute):
        terminal = self.terminal
        self.clock.now = T0 + minute * 60000
        if terminal.failed:
            try:
                terminal.resume(self.site)
            except OSError:
                assert terminal.failed[0] and terminal.failed[1]
        seq = terminal.log.next_seq
        terminal.record(self.clock.now, [[i, 0, 0, -2, 1000 * (i + 1) + minute] for i in range(3)], b"frames")
        self.offered += 3
        waits = not terminal.failed
        if minute % 2:
            terminal.commit(minute % 6 == 5)
            if waits and not terminal.failed:
                self.acknowledged[minute] = seq


def lived(left, errno, how, last):
    storage = Failing(left, errno, how, last)
    life = Life(storage)
    while life.terminal is None:
        try:
            life.open()
        except OSError:  # not even the epoch's key file can be written: the caller tries again
            assert storage.refused
    for minute in range(ROUNDS):
        life.turn(minute)
    minute = ROUNDS
    life.terminal.commit(True)
    while life.terminal.failed:
        life.turn(minute)
        life.terminal.commit(True)
        minute += 1
    return life


def judged(life):
    """(entries, rows that are missing as the log says them); asserts all that must hold."""
    log = Log(life.storage, "T1", 0, Stamp(), segment_size=2600)
    head = checkpoint.parse(log.last_checkpoint)
    assert log.cut is None and head.size == log.size == log.sealed
    replay, wrong, minutes, missing, stored = Replay(), [], [], 0, 0
    rows = [entry.decode(raw) for raw, _ in log.entries()]
    for one in rows:
        finding = replay.entry(one)
        if finding:
            wrong.append(finding)
        if one.kind == entry.READINGS:
            minutes.append((one.time_ms - T0) // 60000)
            stored += len(one.body[0])
        if one.kind == entry.AUDIT and " readings of " in one.body[2]:
            missing += int(one.body[2].split(";")[1].split()[0])
    assert wrong == [] and replay.expected == []
    assert [one.seq for one in rows] == list(range(log.size))
    assert len(set(minutes)) == len(minutes) and minutes == sorted(minutes)  # none twice
    for minute in life.acknowledged:
        assert minute in minutes and rows[life.acknowledged[minute]].kind != entry.AUDIT
    assert stored + missing == life.offered
    if minutes and minutes[-1] > minutes[0]:
        for settler in replay.pipeline.settlers:
            assert settler.total == Number(minutes[-1] - minutes[0], -2)
    return rows, missing


def test_without_a_fault():
    life = lived(1 << 30, ENOSPC, "none", 0)
    rows, missing = judged(life)
    assert missing == 0 and len(segments(life.storage)) > 1
    print(len(rows), [entry.KINDS[one.kind] for one in rows][:5], life.storage.left)


def sweep(errno, how, last):
    whole = lived(1 << 30, errno, how, 0)
    writes = (1 << 30) - whole.storage.left
    gone = starts = gaps = 0
    for left in range(writes):
        life = lived(left, errno, how, last)
        assert life.storage.refused
        rows, missing = judged(life)
        gone += missing
        starts += sum([1 for one in rows if one.kind == entry.START])
        gaps += sum([1 for one in rows if one.kind == entry.GAP])
        said = [one.body[2] for one in rows if one.kind == entry.AUDIT]
        assert left < 2 or said
    print(errno, how, last, writes, gone, starts, gaps)


@pytest.mark.slow
@pytest.mark.requirement("T-12.4-2", part="a storage that fails at every write")
@pytest.mark.requirement("T-7.6-2", part="a storage that fails at every write")
def test_no_space_at_every_write():
    for how in ("none", "half", "whole"):
        sweep(ENOSPC, how, 1)
    sweep(ENOSPC, "half", 7)


@pytest.mark.slow
@pytest.mark.requirement("T-12.4-2", part="a storage that becomes read-only or fails")
def test_read_only_and_failing_at_every_write():
    sweep(EROFS, "none", 5)
    sweep(EIO, "half", 3)


@pytest.mark.slow
def test_a_storage_that_stays_full():
    """Nothing is claimed, what is durable can be read on, and audits wait."""
    life = lived(1 << 30, ENOSPC, "half", 1000)
    size = life.terminal.log.size
    before = [raw for raw, _ in life.terminal.log.entries()]
    life.storage.left = 0
    for minute in range(ROUNDS + 1, ROUNDS + 9):
        life.turn(minute)
        life.terminal.audit("test", "waits", str(minute))
        assert life.terminal.log.size == size or not life.terminal.failed
    terminal = life.terminal
    assert terminal.failed[0].startswith("no space left") and "free space" in terminal.failed[1]
    assert [raw for raw, _ in terminal.log.entries()] == before and terminal.totals() == ([], [])
    print(" | ".join(terminal.failed), terminal.missed)
    assert terminal.missed.rows > 0
    life.storage.last = 0
    life.turn(ROUNDS + 9)
    life.turn(ROUNDS + 11)
    terminal.commit(True)
    assert not terminal.failed
    rows, missing = judged(life)
    assert missing > 0
    said = [one.body for one in rows if one.kind == entry.AUDIT]
    assert [body[2] for body in said if body[0] == "test"] == [str(n) for n in range(ROUNDS + 1, ROUNDS + 9)]
    print(" | ".join([body[2] for body in said if body[0] == "terminal"]))
