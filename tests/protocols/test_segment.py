"""The log on its storage: group commit, rotation, torn tails at every byte, damage that must not be passed over."""

import pytest

from carbonterm.errors import LedgerError
from carbonterm.gm import sm2
from carbonterm.ledger import checkpoint, entry, frames, segment
from carbonterm.ledger.tree import leaf, root_of
from memory_storage import MemoryStorage
from seeded import Random
from stamp import SIGNER, Stamp

OTHER = sm2.Signer(bytes(31) + b"\x08")
T0 = 1750000000000
SEGMENT = "00000-0000000000.seg"
CHECKPOINTS = "00000-0000000000.ckp"


def opened(storage, signer=None, epoch=0, terminal_id="T1", size=segment.SEGMENT_SIZE):
    return segment.Log(storage, terminal_id, epoch, signer or Stamp(), segment_size=size)


def readings(log, count, time_ms=T0):
    for i in range(count):
        log.append(time_ms + i, 1, entry.READINGS, [[[0, 0, 0, -1, log.next_seq]], None])


def decoded(log, from_seq=0, to_seq=None):
    return [entry.decode(raw) for raw, _ in log.entries(from_seq, to_seq)]


def seqs(log, from_seq=0, to_seq=None):
    return [one.seq for one in decoded(log, from_seq, to_seq)]


def test_group_commit():
    storage = MemoryStorage()
    log = opened(storage)
    assert log.size == log.next_seq == 0 and log.cut is None
    storage.log.clear()
    readings(log, 5)
    assert (log.size, log.next_seq, storage.log, seqs(log)) == (0, 5, [], [])
    log.commit()
    assert (log.size, seqs(log)) == (5, [0, 1, 2, 3, 4])
    assert [row[:2] for row in storage.log] == [("append", SEGMENT), ("sync", SEGMENT)]
    log.commit()
    assert len(storage.log) == 2
    readings(log, 1)
    log.commit()
    assert len(storage.log) == 4 and seqs(log, 4) == [4, 5] and seqs(log, 1, 3) == [1, 2] and seqs(log, 6) == []
    print(storage.log)


def test_real_signatures():
    log = opened(MemoryStorage(), SIGNER)
    readings(log, 2)
    text = log.checkpoint()
    for raw, fingerprint in log.entries():
        assert sm2.verify(SIGNER.public, raw, fingerprint)
    head = checkpoint.parse(text)
    assert checkpoint.verify(head, "carbonterm/T1/0", SIGNER.public)
    assert (head.size, head.root) == (2, root_of([leaf(raw) for raw, _ in log.entries()]))
    print(text)


def test_hedged_signatures():
    asked = []

    def random(count):
        asked.append(count)
        return bytes(count)

    log = segment.Log(MemoryStorage(), "T1", 0, SIGNER, random)
    readings(log, 1)
    log.checkpoint()
    assert asked == [32, 32]
    raw, fingerprint = next(log.entries())
    assert sm2.verify(SIGNER.public, raw, fingerprint) and fingerprint != SIGNER.sign(raw)


def test_a_wrong_checkpoint_signature_is_never_released():
    class Faulty:
        """A processor that slips while it signs a checkpoint: one bit of s, or the key of someone else."""

        public = SIGNER.public
        slip = None

        def sign(self, message, extra):
            right = SIGNER.sign(message, extra)
            if self.slip is None or not message.startswith(b"carbonterm/"):
                return right
            return right[:63] + bytes((right[63] ^ 1,)) if self.slip == "bit" else OTHER.sign(message, extra)

    for slip in ("bit", "key"):
        storage, signer = MemoryStorage(), Faulty()
        log = opened(storage, signer)
        readings(log, 3)
        log.checkpoint()
        before = bytes(storage.files[CHECKPOINTS])
        readings(log, 2)
        signer.slip = slip
        with pytest.raises(LedgerError, match="does not verify") as caught:
            log.checkpoint()
        print(caught.value)
        assert storage.files[CHECKPOINTS] == before and (log.sealed, log.size) == (3, 5)
        with pytest.raises(LedgerError, match="closed after a failed signature"):
            log.append(T0, 1, entry.READINGS, [[], None])
        signer.slip = None
        log = opened(storage, signer)
        assert log.size == 5 and checkpoint.parse(log.checkpoint()).size == 5


def test_rotation_and_restart():
    storage = MemoryStorage()
    for start in range(4):
        log = opened(storage, size=1000)
        assert log.size == start * 20 and log.cut is None
        for _ in range(5):
            readings(log, 4)
            log.commit()
    log = opened(storage, size=1000)
    assert seqs(log) == list(range(80))
    for first in range(81):
        assert seqs(log, first, first + 7) == list(range(first, min(first + 7, 80)))
    found = frames.segments(storage)
    print([(name, storage.size(name)) for _, _, name in found])
    assert len(found) == 7 and max(storage.size(name) for _, _, name in found) < 1000 + 4 * 110
    # a large entry goes where there is still room, and ends its segment
    log.append(T0, 1, entry.UPGRADE, bytes(3000))
    log.commit()
    readings(log, 1)
    log.commit()
    assert len(frames.segments(storage)) == 8 and seqs(opened(storage), 79) == [79, 80, 81]


def test_readers_while_it_grows():
    log = opened(MemoryStorage(), size=600)
    readings(log, 3)
    log.commit()
    reader = log.entries()
    got = [entry.decode(next(reader)[0]).seq]
    readings(log, 30)
    log.commit()
    got += [entry.decode(raw).seq for raw, _ in reader]
    assert got == [0, 1, 2]  # what was durable when the reader began
    readings(log, 5)
    assert seqs(log, 30) == [30, 31, 32]
    log.commit()
    assert seqs(log, 2, 5) == [2, 3, 4] and seqs(log, 30) == list(range(30, 38))


@pytest.mark.slow
def test_torn_tail_at_every_byte():
    """Whatever is left of the last commit: the commits before it are found whole, the rest is cut and said."""
    storage = MemoryStorage()
    log = opened(storage)
    readings(log, 3)
    log.commit()
    durable = storage.size(SEGMENT)
    readings(log, 3)
    log.commit()
    whole = storage.size(SEGMENT)
    one = (whole - durable) // 3
    cuts = {}
    for end in range(durable, whole + 1):
        cut = storage.copy()
        cut.files[SEGMENT] = cut.files[SEGMENT][:end]
        log = opened(cut)
        found, left = 3 + (end - durable) // one, (end - durable) % one
        assert log.size == found
        if left:
            assert log.cut == ["torn", SEGMENT, end - left, left]
        else:
            assert log.cut is None
        readings(log, 2)
        log.commit()
        again = opened(cut)
        assert again.cut is None and again.size == found + 2 + (1 if left else 0)
        rows = decoded(again)
        assert [row.seq for row in rows] == list(range(again.size))
        gaps = [row.body for row in rows if row.kind == entry.GAP]
        assert gaps == ([["torn", SEGMENT, end - left, left]] if left else [])
        assert not left or (rows[found].kind == entry.GAP and frames.segments(cut)[1][1] == found)
        cuts[found] = cuts.get(found, 0) + 1
    print([(found, cuts[found]) for found in sorted(cuts)])


def test_torn_first_commit_at_every_byte():
    storage = MemoryStorage()
    log = opened(storage)
    readings(log, 1)
    log.commit()
    whole = storage.size(SEGMENT)
    for end in range(whole):
        cut = storage.copy()
        cut.files[SEGMENT] = cut.files[SEGMENT][:end]
        log = opened(cut)
        # an empty file, or a header alone, holds nothing that could be lost
        assert log.size == 0 and (log.cut is None) == (end in (0, 20)) and (end == 20 or SEGMENT not in cut.files)
        readings(log, 1)
        log.commit()
        assert seqs(opened(cut)) == ([0] if end in (0, 20) else [0, 1])


def test_torn_commit_whose_later_pages_were_written():
    """A power cut may keep the end of a write and lose its middle: that commit was not durable, and is cut off."""
    storage = MemoryStorage()
    log = opened(storage)
    readings(log, 2)
    log.commit()
    durable = storage.size(SEGMENT)
    readings(log, 4)
    log.commit()
    storage.files[SEGMENT][durable + 40 : durable + 80] = bytes(40)
    log = opened(storage)
    assert log.size == 2 and log.cut[2] == durable
    readings(log, 1)
    log.commit()
    assert [row.kind for row in decoded(log, 2)] == [entry.GAP, entry.READINGS]


@pytest.mark.slow
def test_damage_in_the_middle():
    """A damaged byte before the last commit is refused wherever it is; in the last one it is a torn tail."""
    storage = MemoryStorage()
    log = opened(storage)
    for _ in range(3):
        readings(log, 2)
        log.commit()
        last = storage.size(SEGMENT)
    begin = [0]
    sizes = [row[2] for row in storage.log if row[0] == "append" and row[1] == SEGMENT]
    for size in sizes:
        begin.append(begin[-1] + size)
    refused = 0
    for at in range(last):
        bad = storage.copy()
        bad.files[SEGMENT][at] ^= 1 << at % 8
        if at < begin[2]:
            with pytest.raises(LedgerError, match="damaged") as caught:
                opened(bad)
            assert SEGMENT in str(caught.value) and "next epoch" in caught.value.hint
            refused += 1
        else:
            assert opened(bad).cut[0] == "torn"
    print(refused, caught.value)


@pytest.mark.slow
def test_damage_before_the_last_segment():
    storage = MemoryStorage()
    log = opened(storage, size=250)
    readings(log, 8)
    for _ in range(4):
        readings(log, 2)
        log.commit()
    names = [name for _, _, name in frames.segments(storage)]
    assert len(names) > 2
    for name in names[:-1]:
        for at in range(0, storage.size(name), 7):
            bad = storage.copy()
            bad.files[name][at] ^= 16
            with pytest.raises(LedgerError, match="damaged"):
                opened(bad)
        missing = storage.copy()
        missing.remove(name)
        with pytest.raises(LedgerError, match="should follow"):
            opened(missing)
    with pytest.raises(LedgerError, match="cannot be read"):
        storage.files[names[0]][100] ^= 1
        seqs(log)


def test_checkpoints_in_time():
    """A checkpoint every 60 entries exactly, and before an entry 15 minutes after the first that has none."""
    storage = MemoryStorage()
    log = opened(storage)
    readings(log, 150)
    assert log.last_checkpoint is None
    log.commit()
    texts = frames.read_checkpoints(storage, 0, 0)[0]
    assert [checkpoint.parse(text).size for text in texts] == [60, 120] and log.sealed == 120
    leaves = [leaf(raw) for raw, _ in log.entries()]
    assert [checkpoint.parse(text).root for text in texts] == [root_of(leaves[:60]), root_of(leaves[:120])]
    start = T0 + 120
    assert not log.due(start + segment.SEAL_MS - 1) and not log.due(start - segment.SEAL_MS + 1)
    assert log.due(start + segment.SEAL_MS) and log.due(start - segment.SEAL_MS)
    readings(log, 1, start + segment.SEAL_MS)
    log.commit()
    assert log.sealed == 150
    first = log.checkpoint()
    assert log.sealed == 151 and log.checkpoint() == first and not log.due(T0 * 2)
    again = opened(storage)
    assert again.sealed == 151 and again.last_checkpoint == first and again.checkpoint() == first
    print(first)


def test_empty_log_has_a_checkpoint():
    storage = MemoryStorage()
    head = checkpoint.parse(opened(storage).checkpoint())
    assert head.size == 0 and head.root == root_of([])
    log = opened(storage)
    assert log.sealed == 0 and log.last_checkpoint
    readings(log, 1)
    assert checkpoint.parse(log.checkpoint()).size == 1 and opened(storage).sealed == 1


def test_killed_between_commit_and_checkpoint():
    """Entries that fell due for a checkpoint get it after the restart, at the size where it belongs."""
    storage = MemoryStorage()
    log = opened(storage)
    readings(log, 130)
    log.commit()
    for kept in (0, 1):
        cut = storage.copy()
        if kept:
            texts = frames.read_checkpoints(storage, 0, 0)[0]
            cut.files[CHECKPOINTS] = cut.files[CHECKPOINTS][: len(texts[0].encode()) + 8]
        else:
            cut.remove(CHECKPOINTS)
        again = opened(cut)
        assert again.sealed == 60 * kept
        again.commit()
        sizes = [checkpoint.parse(text).size for text in frames.read_checkpoints(cut, 0, 0)[0]]
        assert sizes == [60, 120]
        readings(again, 1)
        assert checkpoint.parse(again.checkpoint()).size == 131


@pytest.mark.slow
def test_torn_checkpoint_at_every_byte():
    storage = MemoryStorage()
    log = opened(storage)
    readings(log, 2)
    first = log.checkpoint()
    one = storage.size(CHECKPOINTS)
    readings(log, 2)
    log.checkpoint()
    for end in range(one, storage.size(CHECKPOINTS), 3):
        cut = storage.copy()
        cut.files[CHECKPOINTS] = cut.files[CHECKPOINTS][:end]
        log = opened(cut)
        assert log.sealed == 2 and log.last_checkpoint == first and cut.size(CHECKPOINTS) == one
        assert checkpoint.parse(log.checkpoint()).size == 4
        assert len(frames.read_checkpoints(cut, 0, 0)[0]) == 2
    for at in range(one):
        bad = storage.copy()
        bad.files[CHECKPOINTS][at] ^= 1
        with pytest.raises(LedgerError, match="damaged") as caught:
            opened(bad)
    print(caught.value)


def test_a_history_that_was_signed_cannot_change():
    storage = MemoryStorage()
    log = opened(storage)
    readings(log, 4)
    log.checkpoint()
    shorter = storage.copy()
    one = (storage.size(SEGMENT) - 20) // 4
    shorter.files[SEGMENT] = shorter.files[SEGMENT][: 20 + 3 * one]
    with pytest.raises(LedgerError, match="signed over 4") as caught:
        opened(shorter)
    print(caught.value)
    other = MemoryStorage()
    log = opened(other)
    readings(log, 4, T0 + 1)
    log.commit()
    other.files[CHECKPOINTS] = storage.files[CHECKPOINTS]
    with pytest.raises(LedgerError, match="not the one signed"):
        opened(other)
    none = storage.copy()
    none.remove(SEGMENT)
    with pytest.raises(LedgerError):
        opened(none)


def test_another_owner():
    storage = MemoryStorage()
    log = opened(storage)
    readings(log, 2)
    log.commit()
    assert frames.read_key(storage, 0) == SIGNER.public and frames.read_key(storage, 1) is None
    for arguments, match in (
        ({"signer": OTHER}, "another key"), ({"terminal_id": "T2"}, "of T2"), ({"terminal_id": "T"}, "of T"),
    ):  # fmt: skip
        with pytest.raises(LedgerError, match=match) as caught:
            opened(storage, **arguments)
        print(caught.value)
    later = opened(storage, OTHER, 1)
    readings(later, 1)
    later.commit()
    assert (later.size, seqs(later)) == (1, [0])
    with pytest.raises(LedgerError, match="epoch 1"):
        opened(storage)
    for text in (b"", b"00", SIGNER.public, b"zz" * 64 + b"\n", b"AA" * 64 + b"\n"):
        storage.files["00001.pub"] = bytearray(text)
        with pytest.raises(LedgerError) as caught:
            opened(storage, OTHER, 1)
    storage.remove("00001.pub")
    with pytest.raises(LedgerError, match="missing"):
        opened(storage, OTHER, 1)


@pytest.mark.requirement("T-7.4-2", part="a key that was exchanged with its public half signs nothing")
def test_both_halves_of_the_key_exchanged():
    """The newest checkpoint says whose log it is, in whatever segment it stands; nothing is written."""
    for size in (segment.SEGMENT_SIZE, 1000):
        storage = MemoryStorage()
        log = opened(storage, size=size)
        readings(log, 60)
        log.commit()
        log.checkpoint()
        for _ in range(3):  # segments behind the checkpoint, without one
            readings(log, 12)
            log.commit()
        assert len(frames.segments(storage)) == (1 if size > 1000 else 4) and log.sealed == 60
        storage.files["00000.pub"] = bytearray("".join("%02x" % one for one in OTHER.public).encode() + b"\n")
        before = storage.copy().files
        with pytest.raises(LedgerError, match="not signed with the key at hand") as caught:
            opened(storage, OTHER, size=size)
        print(caught.value)
        assert storage.files == before
        storage.files["00000.pub"] = bytearray("".join("%02x" % one for one in SIGNER.public).encode() + b"\n")
        assert opened(storage, size=size).size == 96


def test_checkpoints_that_were_signed_twice():
    """A start that saw no checkpoint signs one again over the same tree; over another tree it is refused."""
    storage = MemoryStorage()
    log = opened(storage)
    for _ in range(3):
        readings(log, 2)
        log.checkpoint()
    text = log.last_checkpoint
    one = bytes(storage.files[CHECKPOINTS])
    storage.files[CHECKPOINTS] = bytearray(one + one[: len(one) // 3])
    log = opened(storage)
    assert (log.size, log.sealed, log.last_checkpoint) == (6, 6, text)
    readings(log, 1)
    assert checkpoint.parse(log.checkpoint()).size == 7 and opened(storage).sealed == 7
    other = MemoryStorage()
    log = opened(other)
    readings(log, 2, T0 + 5)
    log.checkpoint()
    storage.files[CHECKPOINTS] = bytearray(one + bytes(other.files[CHECKPOINTS]))
    with pytest.raises(LedgerError, match="not the one signed at size 2"):
        opened(storage)


class FailingStorage(MemoryStorage):
    """A disk that takes `room` more bytes; what fits is written before the error."""

    room = 1 << 30

    def append(self, name, data):
        part = data[: self.room]
        super().append(name, part)
        self.room -= len(part)
        if len(part) < len(data):
            raise OSError(28)


def test_full_disk_closes_the_log():
    storage = FailingStorage()
    log = opened(storage)
    readings(log, 2)
    log.commit()
    storage.room = 150
    readings(log, 2)
    with pytest.raises(OSError):
        log.commit()
    assert log.size == 2
    for act in (lambda: readings(log, 1), log.commit, log.checkpoint):
        with pytest.raises(LedgerError, match="restart"):
            act()
    assert seqs(log) == [0, 1]
    storage.room = 1 << 30
    again = opened(storage)
    assert again.size == 3 and again.cut
    storage.room = 0
    with pytest.raises(OSError):
        again.checkpoint()
    with pytest.raises(LedgerError, match="restart"):
        again.checkpoint()


def test_nothing_is_appended_that_breaks_the_format():
    log = opened(MemoryStorage())
    for arguments in (
        (T0, 9, entry.CLOCK, None), (-1, 0, entry.CLOCK, None), (T0, 0, 99, None), (T0, 0, entry.START, []),
    ):  # fmt: skip
        with pytest.raises(LedgerError):
            log.append(*arguments)
    assert log.next_seq == 0
    readings(log, 1)
    log.commit()
    assert seqs(log) == [0]


@pytest.mark.slow
def test_random_cuts_and_flips():
    """Never an exception but LedgerError, never an entry that was not written, never one of a checkpoint missing."""
    random, outcomes = Random(11), {}
    storage = MemoryStorage()
    log = opened(storage, size=700)
    for _ in range(6):
        readings(log, random.between(1, 4))
        log.commit()
        if random.below(3) == 0:
            log.checkpoint()
    written = [raw for raw, _ in log.entries()]
    names = sorted(storage.files)
    for _ in range(400):
        bad = storage.copy()
        for _ in range(random.between(1, 2)):
            data = bad.files[random.choice(names)]
            if random.below(2) and data:
                data[random.below(len(data))] ^= 1 << random.below(8)
            else:
                data[:] = data[: random.below(len(data) + 1)]
        try:
            again = opened(bad, size=700)
        except LedgerError:
            outcome = "refused"
        else:
            outcome = "cut" if again.cut else "whole"
            found = [raw for raw, _ in again.entries()]
            assert found == written[: len(found)] and len(found) >= again.sealed
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    print([(key, outcomes[key]) for key in sorted(outcomes)])


def test_ripe():
    """A commit is due when it would end behind another multiple of the size, counted from the segment's beginning."""
    log = opened(MemoryStorage(), Stamp(), size=3000)
    ends = []
    for i in range(60):
        log.append(T0 + i, 3, entry.UPGRADE, [i, bytes(60)])
        if log.ripe(1024):
            log.commit()
            ends.append(log._file_size)
    previous = 0
    for end in ends:
        before = previous if end > previous else 0
        assert end // 1024 > before // 1024 and end % 1024 < 200
        previous = end
    assert not log.ripe(1 << 30) and len(ends) > 6
    print(ends)
