"""Bundles: the frames to the byte, what a reader must refuse, and that no flipped bit passes."""

import io

import pytest

from carbonterm import cbor
from carbonterm.errors import LedgerError
from carbonterm.gm import sm3
from carbonterm.ledger import bundle
from seeded import Random

KEY = bytes(range(64))
FRAMES = (
    ["header", "T1", "test"], ["key", 0, KEY], ["centre", "centre.example", KEY], ["entry", b"entry 0", KEY],
    ["checkpoint", "a text"], ["receipt", b"body", KEY], ["entry", b"", KEY],
)  # fmt: skip


def written():
    file = io.BytesIO()
    writer = bundle.Writer(file, "T1", "test")
    writer.key(0, KEY)
    writer.centre("centre.example", KEY)
    writer.entry(b"entry 0", KEY)
    writer.checkpoint("a text")
    writer.receipt(b"body", KEY)
    writer.entry(b"", KEY)
    writer.end()
    return file.getvalue()


def joined(frames, end=True):
    """Bundle of any frames, whose end fits."""
    data = bundle.MAGIC
    for frame in frames:
        raw = cbor.encode(frame)
        data += len(raw).to_bytes(4, "big") + raw
    if end:
        raw = cbor.encode(["end", len(frames), sm3.digest(data)])
        data += len(raw).to_bytes(4, "big") + raw
    return data


def read(data):
    return [frame for _, frame in bundle.read(io.BytesIO(data))]


class Drops:
    """A file that gives one to three bytes at a time, as pipes and sockets may."""

    def __init__(self, data):
        self.file = io.BytesIO(data)
        self.random = Random(3)

    def read(self, count):
        return self.file.read(min(count, self.random.between(1, 3)))


def test_round_trip():
    data = written()
    assert data == joined(FRAMES)
    assert read(data) == list(FRAMES)
    assert [frame for _, frame in bundle.read(Drops(data))] == list(FRAMES)
    offsets = [offset for offset, _ in bundle.read(io.BytesIO(data), sm3.Hash())]
    assert offsets[0] == 20 and data[offsets[1] : offsets[1] + 4] == len(cbor.encode(FRAMES[1])).to_bytes(4, "big")
    print(data.hex())


def test_resume_at_every_border():
    data = written()
    offsets = [offset for offset, _ in bundle.read(io.BytesIO(data))]
    for count in range(len(offsets)):
        hasher = sm3.Hash()
        hasher.update(data[: offsets[count]])
        rest = list(bundle.resume(io.BytesIO(data[offsets[count] :]), hasher, offsets[count], count))
        assert rest == list(zip(offsets, FRAMES))[count:]
        with pytest.raises(LedgerError, match="does not fit"):
            list(bundle.resume(io.BytesIO(data[offsets[count] :]), sm3.Hash(), offsets[count], count))


def test_every_cut_is_refused():
    data = written()
    for end in range(len(data)):
        with pytest.raises(LedgerError):
            read(data[:end])
    with pytest.raises(LedgerError, match="follow the end"):
        read(data + b"\x00")


@pytest.mark.slow
def test_flipped_bits_are_refused():
    # one bit of every byte; all bits of a real bundle are flipped in tests/host/test_verify.py
    data = written()
    for at in range(len(data)):
        bad = bytearray(data)
        bad[at] ^= 1 << at % 8
        with pytest.raises(LedgerError):
            read(bytes(bad))
    print(len(data))


REFUSED = (
    ("no header", FRAMES[1:]), ("nothing", ()), ("two headers", FRAMES[:1] + FRAMES),
    ("unknown", FRAMES + (["notes", 1],)),
    ("no type", FRAMES + ([],)), ("type is a number", FRAMES + ([1],)), ("no array", FRAMES + ("entry",)),
    ("terminal id", (["header", "a b", "x"],)), ("creator", (["header", "a", "x" * 201],)),
    ("header of two", (["header", "a"],)), ("short key", FRAMES + (["key", 0, KEY[:63]],)),
    ("epoch", FRAMES + (["key", -1, KEY],)), ("epoch as text", FRAMES + (["key", "0", KEY],)),
    ("centre name", FRAMES + (["centre", "a b", KEY],)), ("fingerprint", FRAMES + (["entry", b"x", KEY + b"x"],)),
    ("entry as text", FRAMES + (["entry", "x", KEY],)), ("entry of four", FRAMES + (["entry", b"x", KEY, 1],)),
    ("checkpoint as bytes", FRAMES + (["checkpoint", b"x"],)),
    ("long checkpoint", FRAMES + (["checkpoint", "x" * 8193],)),
    ("receipt", FRAMES + (["receipt", b"x", b"y"],)), ("early end", FRAMES[:2] + (["end", 2, bytes(32)],) + FRAMES[2:]),
)  # fmt: skip


def test_frames_that_are_refused():
    for why, frames in REFUSED:
        with pytest.raises(LedgerError) as caught:
            read(joined(frames))
        print(why, "|", caught.value)


@pytest.mark.slow
def test_bounds():
    for head in (b"\xff\xff\xff\xff", (bundle.MAX_FRAME + 1).to_bytes(4, "big")):
        with pytest.raises(LedgerError, match="claims"):
            read(joined(FRAMES[:1], end=False) + head)
    for data in (b"", b"PK\x03\x04", bundle.MAGIC[:9]):
        with pytest.raises(LedgerError, match="no bundle"):
            read(data)
    for begin in (b"carbonterm bundle 2\n", b"carbonterm bundle 10\n", bundle.MAGIC[:-1]):
        with pytest.raises(LedgerError, match="another version") as caught:
            read(begin + written()[20:] if begin[-1] == 10 else begin)
        print(caught.value)
    big = FRAMES[:1] + (["entry", bytes(1 << 18), KEY],)
    assert read(joined(big)) == list(big)


def test_the_writer_refuses_the_same():
    writer = bundle.Writer(io.BytesIO(), "T1", "test")
    for act in (
        lambda: bundle.Writer(io.BytesIO(), "a b", "x"), lambda: writer.key(-1, KEY), lambda: writer.key(0, b""),
        lambda: writer.entry("x", KEY), lambda: writer.entry(bytes(1 << 19), KEY), lambda: writer.checkpoint(b"x"),
        lambda: writer.centre("", KEY), lambda: writer.receipt(None, KEY),
    ):  # fmt: skip
        with pytest.raises(LedgerError) as caught:
            act()
        print(caught.value)
    assert writer.frames == 1


def test_random_bytes():
    random = Random(2)
    for _ in range(300):
        data = bundle.MAGIC + random.bytes(random.between(0, 60))
        with pytest.raises(LedgerError):
            read(data)
