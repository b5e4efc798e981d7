"""Numbers that outgrow 31 and 32 bits: a log of billions of entries, times after 2038 and 2106, on every runtime.

No log of that length is written here: it begins, as after retention, with a signed snapshot over a tree of that size.
"""

import io

import pytest

from carbonterm.errors import LedgerError
from carbonterm.gm import sm2, sm3
from carbonterm.ledger import bundle, checkpoint, entry
from carbonterm.ledger.frames import frames_of, header, key_name, segment_name
from carbonterm.ledger.segment import Log
from carbonterm.ledger.tree import Tree, check_consistency, check_inclusion, leaf
from memory_storage import MemoryStorage

SIGNER = sm2.Signer(bytes(31) + b"\x2a")
TIMES = ((1 << 31) * 1000, (1 << 32) * 1000, 1 << 41, 253000000000000)


def peaks(size):
    """Hashes that could be a tree's of that size: one per bit that is set."""
    return [sm3.digest(b"peak %d" % bit) for bit in range(40, -1, -1) if size >> bit & 1]


def begun(size, time_ms):
    """A storage whose log begins with the snapshot at seq `size`."""
    raw = entry.encode("CT-BORDER", 0, size, time_ms, 3, entry.SNAPSHOT, [peaks(size), [1, 0, [], []]])
    (data,) = frames_of([(raw, SIGNER.sign(raw))], header(0, size))
    public = "".join(["%02x" % byte for byte in SIGNER.public]).encode() + b"\n"
    return MemoryStorage([(segment_name(0, size), data), (key_name(0), public)]), raw


@pytest.mark.slow
@pytest.mark.requirement("T-12.4-2", part="2^31 and 2^32 borders of seq and time")
@pytest.mark.parametrize("size", ((1 << 31) - 3, (1 << 31) - 1, (1 << 32) - 2, 1 << 32, 9999999980))
def test_a_log_grows_over_the_border(size):
    for time_ms in TIMES:
        storage, first = begun(size, time_ms - 5)
        log = Log(storage, "CT-BORDER", 0, SIGNER)
        assert (log.base, log.size, log.kept, log.restored) == (size, size + 1, size, [1, 0, [], []])
        tree = Tree()
        tree.restore(size, peaks(size))
        tree.append(leaf(first))
        for i in range(1, 10):
            before = tree.root()
            assert log.append(time_ms - 5 + i, 3, entry.READINGS, [[[0, 0, 0, -2, size + i]], None]) == size + i
            log.commit()
            raw, _ = next(log.entries(size + i))
            found = entry.decode(raw)
            assert (found.seq, found.time_ms, found.body[0][0][4]) == (size + i, time_ms - 5 + i, size + i)
            tree.append(leaf(raw))
            head = checkpoint.parse(log.checkpoint())
            assert (head.size, head.root) == (size + i + 1, tree.root()) and head.root != before
        # the next start reads the same from the same bytes
        again = Log(storage.copy(), "CT-BORDER", 0, SIGNER)
        assert (again.base, again.size, again.sealed, again.next_seq) == (size, size + 10, size + 10, size + 10)
        assert again.checkpoint() == log.last_checkpoint
        assert [raw for raw, _ in again.entries(size)] == [raw for raw, _ in log.entries(size)]
        print(log.last_checkpoint)


def test_no_entry_after_the_last_number():
    storage, _ = begun(entry.MAX_SEQ, TIMES[0])
    log = Log(storage, "CT-BORDER", 0, SIGNER)
    with pytest.raises(LedgerError, match="seq"):
        log.append(TIMES[0], 3, entry.AUDIT, ["a", "b", "c"])


def test_proofs_over_the_border():
    for bit in (31, 32):
        size = 1 << bit
        before = peaks(size)
        one, two = leaf(b"one"), leaf(b"two")
        tree = Tree()
        tree.restore(size, before)
        old = tree.root()
        tree.append(one)
        assert check_inclusion(one, size, size + 1, [before[0]], tree.root())
        assert not check_inclusion(one, size - 1, size + 1, [before[0]], tree.root())
        assert check_consistency(size, old, size + 1, tree.root(), [one])
        middle = tree.root()
        tree.append(two)
        assert check_inclusion(two, size + 1, size + 2, [one, before[0]], tree.root())
        assert check_inclusion(one, size, size + 2, [two, before[0]], tree.root())
        assert check_consistency(size + 1, middle, size + 2, tree.root(), [one, two, before[0]])
        assert not check_consistency(size + 1, old, size + 2, tree.root(), [one, two, before[0]])
        print(tree.root().hex())


def test_a_bundle_over_the_border():
    size = (1 << 32) - 2
    storage, _ = begun(size, TIMES[1] - 3)
    log = Log(storage, "CT-BORDER", 0, SIGNER)
    for i in range(4):
        log.append(TIMES[1] - 2 + i, 3, entry.AUDIT, ["somebody", "did", "%d" % i])
    text = log.checkpoint()
    file = io.BytesIO()
    writer = bundle.Writer(file, "CT-BORDER", "test")
    writer.key(0, SIGNER.public)
    for raw, fingerprint in log.entries(size):
        writer.entry(raw, fingerprint)
    writer.checkpoint(text)
    writer.end()
    found = [frame for _, frame in bundle.read(io.BytesIO(file.getvalue()))]
    assert [frame[0] for frame in found] == ["header", "key"] + ["entry"] * 5 + ["checkpoint"]
    assert [entry.decode(frame[1]).seq for frame in found[2:7]] == [size + i for i in range(5)]
    assert checkpoint.parse(found[7][1]).size == size + 5
    print(sm3.digest(file.getvalue()).hex())
