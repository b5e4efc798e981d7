"""What may be dropped of a log's beginning, and what a terminal gives up when its storage runs out."""

import pytest

from carbonterm.ledger import frames, retention, room
from carbonterm.ledger.entry import MAX_SEQ
from memory_storage import MemoryStorage
from owner import T0, Owner, run
from seeded import Random

DAY = 86400000


def whole(epoch, end):
    return True


def nobody(epoch, end):
    return False


def upto(seq):
    return lambda epoch, end: end is not None and end <= seq


@pytest.mark.slow
def test_what_goes_and_why():
    storage = MemoryStorage()
    owner = run(storage, 200, ())
    rows = retention.measure(storage)
    firsts = [row[1] for row in rows]
    assert len(rows) > 4 and sum([row[2] for row in rows]) == sum([storage.size(n) for n in storage.names()]) - 129
    late = T0 + 1000 * DAY
    for held, limits, why in (
        (nobody, {"keep_ms": DAY, "keep_bytes": 1, "wanted": 1 << 30}, None),
        (whole, {}, None),
        (whole, {"keep_ms": 1001 * DAY}, None),
        (whole, {"keep_ms": DAY}, "older than 1 days"),
        (whole, {"keep_bytes": 1}, "the log is larger than 0 MiB"),
        (whole, {"wanted": 1 << 30}, "storage runs out"),
    ):
        found = retention.plan(storage, rows, held, late, **limits)
        assert (found is None) == (why is None)
        if found:
            assert (found.epoch, found.first, found.why) == (0, firsts[-2], why)
            assert found.size == sum([row[2] for row in rows[:-2]]) and found.count == len(rows) - 2
            print(found)
    # one segment at a time, as far as the receipts reach, no further than is wanted
    for i in range(1, len(rows) - 1):
        found = retention.plan(storage, rows, upto(firsts[i]), late, keep_ms=DAY)
        assert found.first == firsts[i]
        found = retention.plan(storage, rows, upto(firsts[i] - 1), late, keep_ms=DAY)
        assert (found.first if found else None) == (firsts[i - 1] if i > 1 else None)
        assert retention.held_bytes(rows, upto(firsts[i])) == sum([row[2] for row in rows[:i]])
    assert retention.plan(storage, rows, whole, late, wanted=1).first == firsts[1]
    assert retention.plan(storage, rows, whole, late, wanted=rows[0][2]).first == firsts[1]
    assert retention.plan(storage, rows, whole, late, wanted=rows[0][2] + 1).first == firsts[2]
    # by age: up to the segment that began before the limit; not at all by a clock that is not to be trusted
    second = frames.snapshot(storage, 0, firsts[2]).time_ms
    assert retention.plan(storage, rows, whole, second + DAY + 1, keep_ms=DAY).first == firsts[2]
    assert retention.plan(storage, rows, whole, second + DAY, keep_ms=DAY).first == firsts[1]
    assert retention.plan(storage, rows, whole, None, keep_ms=DAY) is None
    total = sum([row[2] for row in rows])
    assert retention.plan(storage, rows, whole, late, keep_bytes=total) is None
    assert retention.plan(storage, rows, whole, late, keep_bytes=total - 1).first == firsts[1]
    # an interrupted drop is finished first
    retention.remove(storage, 0, 0)
    assert retention.plan(storage, retention.measure(storage), whole, late) is None
    storage.files[frames.segment_name(0, firsts[1])][:] = owner_segment(owner, firsts[1])
    found = retention.plan(storage, retention.measure(storage), whole, late)
    assert (found.first, found.why) == (firsts[2], "a drop that was interrupted")


def owner_segment(owner, first):
    """The bytes of a segment without its snapshot: what a drop leaves that a power cut ended in the middle."""
    data = bytes(owner.log.storage.files[frames.segment_name(0, first)])
    size = int.from_bytes(data[20:24], "big") & 0x7FFFFFFF
    return data[:20] + data[20 + size + 72 :]


def test_nothing_of_nothing():
    assert retention.plan(MemoryStorage(), [], whole, 0) is None
    assert retention.held_bytes([], whole) == 0 and retention.measure(MemoryStorage()) == []
    assert retention.plan(MemoryStorage(), [(0, 0, 5), (0, 9, 5)], whole, MAX_SEQ, keep_ms=1, keep_bytes=1) is None


def test_steps_by_free_bytes():
    for total in (1 << 18, 6 << 20, 16 << 20, 1 << 33, 1 << 40):
        bounds = room.limits(total)
        print(total, bounds)
        assert bounds[0] <= room.MOST and bounds[3] == bounds[0] >> 3
        for i in range(4):
            assert room.step(bounds[i], total, 0) == i and room.step(bounds[i] - 1, total, 0) == i + 1
            # a step ends only where a quarter more is free
            above = bounds[i] + (bounds[i] >> 2)
            assert room.step(above - 1, total, i + 1) == i + 1 and room.step(above, total, i + 1) <= i
        assert room.step(0, total, 0) == room.CLOSED and room.step(total, total, room.CLOSED) == room.NORMAL
        assert room.wanted(bounds[0], total) == 0
        assert bounds[0] - 5 + room.wanted(bounds[0] - 5, total) == bounds[0] + (bounds[0] >> 2)
    assert len(room.STEPS) == room.CLOSED + 1


class Point:
    def __init__(self, kind, interval_ms):
        self.kind = kind
        self.interval_ms = interval_ms


def test_what_each_step_keeps():
    points = [Point("register", 1000), Point("instant", 1000), Point("register", 600000), Point("instant", 7200000)]
    rows = [[i, 0, 0, 0, 1] for i in range(4)]
    hour = 1750003200000
    table = []
    for now in range(5):
        for at in (0, 1000, 599999, 900000, 1800000, 3600000):
            table.append([now, at, [row[0] for row in room.thin(now, hour + at, rows, points)]])
    for row in table:
        print(row)
    kept = dict([((row[0], row[1]), row[2]) for row in table])
    assert kept[room.EARLY, 1000] == [0, 1, 2, 3]
    assert kept[room.COARSE, 1000] == [2, 3] and kept[room.COARSE, 900000] == [0, 1, 2, 3]
    assert kept[room.REGISTERS, 900000] == [] and kept[room.REGISTERS, 3600000] == [0, 2]
    assert kept[room.CLOSED, 0] == []


def test_autonomy():
    # 72 000 entries a day of 188 bytes
    rate = 72000 * 188
    for free, days in ((6 << 20, 0), (64 << 20, 4), (1 << 30, 79), (4000000000, 295)):
        assert room.autonomy(free, rate * 3, 3 * DAY) == (days, rate)
    assert room.autonomy(1 << 30, 1000, 599999) == (None, None) and room.autonomy(1 << 30, 0, DAY) == (None, None)
    assert room.autonomy(-5, rate, DAY) == (0, rate)
    random = Random(4)
    for _ in range(200):
        size, span, free = random.below(1 << 30) + 1, random.below(400 * DAY) + 600000, random.below(1 << 40)
        days, rate = room.autonomy(free, size, span)
        assert days * rate <= free and rate * span <= size * DAY + span
    print(days, rate)


@pytest.mark.slow
def test_readers_of_an_owner_after_a_drop():
    """What a drop leaves begins with a snapshot, and the log goes on from there."""
    storage = MemoryStorage()
    owner = run(storage, 90, ())
    rows = retention.measure(storage)
    found = retention.plan(storage, rows, whole, T0 + 1000 * DAY, keep_ms=DAY)
    size, root = owner.log.size, frames.tree_before(storage, 0, [row[1] for row in rows], owner.log.size)
    assert owner.log.tree_before(owner.log.size) == root and owner.log.tree_before(0) == (0, [])
    assert owner.log.drop_before(found.first) == found.first
    assert owner.log.tree_before(found.first - 1) is None and owner.log.tree_before(found.first)[0] == found.first
    again = Owner(storage)
    assert (again.log.size, again.log.kept, again.wrong) == (size, found.first, [])
    print(found, root[0])
