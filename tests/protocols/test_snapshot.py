"""Snapshots: a log that begins with the last one goes on as if it had read everything; dropping what may go."""

import pytest

from carbonterm import cbor
from carbonterm.errors import LedgerError
from carbonterm.gm import sm2, sm3
from carbonterm.ledger import checkpoint, entry, frames
from carbonterm.ledger.segment import Log
from carbonterm.ledger.tree import leaf, root_of
from carbonterm.pipeline import Replay
from memory_storage import MemoryStorage
from owner import Owner, run


def whole(log):
    replay = Replay()
    wrong = [found for found in [replay.entry(entry.decode(raw)) for raw, _ in log.entries()] if found]
    return replay, wrong


@pytest.mark.slow
@pytest.mark.requirement("T-12.4-2", part="snapshots")
def test_restarts_change_nothing():
    """The same readings with and without restarts give the same entries, byte for byte, snapshots included."""
    plain, restarted = MemoryStorage(), MemoryStorage()
    one = run(plain, 130, ())
    two = run(restarted, 130, tuple(range(3, 130, 8)))
    first, second = [[raw for raw, _ in owner.log.entries()] for owner in (one, two)]
    assert first == second
    kinds = [entry.decode(raw).kind for raw in first]
    assert kinds.count(entry.SNAPSHOT) >= 2
    found = frames.segments(plain)
    assert all(kinds[at] == entry.SNAPSHOT for _, at, _ in found if at)
    replay, wrong = whole(one.log)
    assert wrong == [] and cbor.encode(replay.state()) == cbor.encode(one.replay.state())
    again = Owner(plain)
    assert again.log.base == found[-1][1] and again.wrong == []
    assert cbor.encode(again.replay.state()) == cbor.encode(one.replay.state())
    assert checkpoint.parse(again.log.checkpoint()).root == root_of([leaf(raw) for raw in first])
    print(kinds.count(entry.SNAPSHOT), len(first), sm3.digest(b"".join(first)).hex())


@pytest.mark.slow
def test_start_up_reads_only_the_tail():
    storage = MemoryStorage()
    run(storage, 130, ())
    last = frames.segments(storage)[-1][2]
    for name in list(storage.files):
        if name.endswith(".seg") and name != last:
            storage.files[name] = bytearray(storage.size(name))
    owner = Owner(storage)
    assert owner.wrong == [] and owner.log.size > owner.log.base > 0


@pytest.mark.slow
def test_dropping():
    storage = MemoryStorage()
    owner = run(storage, 200, ())
    firsts = [first for _, first, _ in frames.segments(storage)]
    whole_log = [raw for raw, _ in owner.log.entries()]
    assert len(firsts) > 3 and owner.log.drop_before(firsts[1] - 1) == 0
    assert owner.log.drop_before(firsts[1]) == firsts[1] == owner.log.kept
    assert owner.log.drop_before(10**9) == firsts[-2]
    with pytest.raises(LedgerError, match="was dropped"):
        next(owner.log.entries(0))
    assert [raw for raw, _ in owner.log.entries(firsts[-2])] == whole_log[firsts[-2] :]
    again = Owner(storage)
    assert again.wrong == [] and again.log.kept == firsts[-2] and again.log.size == len(whole_log)
    replay = Replay()
    assert [f for f in [replay.entry(entry.decode(raw)) for raw, _ in again.log.entries(again.log.kept)] if f] == []
    assert cbor.encode(replay.state()) == cbor.encode(owner.replay.state())


def test_a_snapshot_that_cannot_be():
    replay = Replay()
    for state in (None, [], [2, 0, [None, [], []], []], [1, 0, [None, [None], []], []], [1, 0, [b"", [], []], []],
                  [1, 0, 5, []], [1, 0, [None, [], [[0, 2]]], []]):  # fmt: skip
        with pytest.raises(ValueError) as caught:
            replay.restore(state)
        print(caught.value)


def test_no_place_for_a_snapshot():
    """Memory that has no room for a snapshot costs no entry: the segment begins without it, and reads back whole."""
    storage = MemoryStorage()
    signer = sm2.Signer(bytes(31) + b"\x05")
    log = Log(storage, "T1", 0, signer, segment_size=1024)

    def state():
        raise MemoryError("no place")

    log.state = state
    for i in range(30):
        log.append(1000 + i, 3, entry.READINGS, [[[0, 0, 0, 0, i]], None])
        log.commit()
    assert len(frames.segments(storage)) > 2
    again = Log(storage, "T1", 0, signer, segment_size=1024)
    kinds = [entry.decode(raw).kind for raw, _ in again.entries()]
    assert kinds == [entry.READINGS] * 30
    print(len(kinds), again.size, again.base)
