"""Proof files: one entry, self-contained; every flipped bit, every other shape and every swapped part is found."""

import pytest

from carbonterm import cbor
from carbonterm.errors import LedgerError
from carbonterm.ledger import checkpoint, entry, proof
from proving import OTHER, SIGNER, good, made
from seeded import Random


@pytest.mark.slow
@pytest.mark.requirement("T-11.12-1", part="one record with its proof, checked without the log")
def test_round_trip():
    for seq, count in ((0, 1), (0, 2), (4, 5), (2, 5), (7, 8)):
        data = proof.encode(made(seq, count))
        assert proof.is_proof(data) and good(data) and good(data, [SIGNER.public])
        assert proof.encode(proof.decode(data)) == data
        print(seq, count, len(data), data.hex())
    assert good(proof.encode(made(centre=None)))
    assert not good(proof.encode(made()), [OTHER.public])
    verdicts, reasons = proof.check(proof.decode(proof.encode(made())), [OTHER.public])
    assert [name for name in proof.VERDICTS if not verdicts[name]] == ["keys"]
    print(reasons["keys"])


@pytest.mark.slow
def test_parts_of_another_proof():
    for what, change, wanted in (
        ("entry", lambda p, o: setattr(p, "entry", o.entry), ("encoding", "fingerprints", "tree")),
        ("fingerprint", lambda p, o: setattr(p, "fingerprint", o.fingerprint), ("fingerprints",)),
        ("key", lambda p, o: setattr(p, "public", OTHER.public), ("fingerprints", "checkpoints")),
        ("path", lambda p, o: setattr(p, "path", o.path), ("tree",)),
        ("size", lambda p, o: setattr(p, "size", 6), ("tree",)),
        ("seq", lambda p, o: setattr(p, "seq", 3), ("encoding", "tree")),
        ("no centre", lambda p, o: setattr(p, "centres", []), ("checkpoints",)),
        ("centre's key", lambda p, o: setattr(p, "centres", [("centre.example", OTHER.public)]), ("checkpoints",)),
        ("checkpoint", lambda p, o: setattr(p, "checkpoint", made(count=6).checkpoint), ("tree",)),
        ("its signer", lambda p, o: setattr(p, "checkpoint", made(signer=OTHER).checkpoint), ("checkpoints",)),
        ("terminal", lambda p, o: setattr(p, "terminal_id", "T2"), ("encoding", "checkpoints")),
        ("no checkpoint", lambda p, o: setattr(p, "checkpoint", "x"), ("tree", "checkpoints")),
    ):  # fmt: skip
        one = made()
        change(one, made(3))
        verdicts, reasons = proof.check(proof.decode(proof.encode(one)))
        assert tuple(name for name in proof.VERDICTS if not verdicts[name]) == wanted, (what, reasons)
        print(what, "|", " | ".join(reasons[name] for name in wanted))


def test_strangers_lines_are_left_out():
    text = made().checkpoint
    name = checkpoint.origin("T1", 0)
    assert proof.without_strangers(text, [name, "centre.example"]) == text
    assert proof.without_strangers(text, [name]) == "\n".join(text.split("\n")[:5]) + "\n"


@pytest.mark.slow
@pytest.mark.requirement("T-11.12-1", part="no bit of a proof can be changed")
def test_every_flipped_bit():
    # a bit of every third byte; tests/host/test_prove.py flips all bits
    data = proof.encode(made(seq=1, count=2))
    passed = 0
    for at in range(0, len(data), 3):
        bad = bytearray(data)
        bad[at] ^= 1 << at % 8
        passed += good(bytes(bad))
    assert passed == 0
    print(len(data))


def fields():
    return cbor.decode(proof.encode(made()))


REFUSED = (
    (0, "carbonterm-proof-2"), (0, 1), (1, "a b"), (1, b"T1"), (2, -1), (2, 100000), (2, True), (3, 5), (3, -1),
    (4, b""), (4, "x"), (4, bytes(entry.MAX_ENTRY + 1)), (5, bytes(63)), (6, bytes(65)), (7, 0), (7, 1 << 40),
    (7, None), (8, None), (8, [bytes(31)]), (8, [bytes(32)] * 35), (8, ["x"]), (9, None), (9, "x" * 8193), (10, None),
    (10, [[]]), (10, [["a b", bytes(64)]]), (10, [["a", bytes(63)]]), (10, [["a", bytes(64)]] * 16),
)  # fmt: skip


@pytest.mark.slow
def test_refused_shapes():
    for at, value in REFUSED:
        bad = fields()
        bad[at] = value
        with pytest.raises(LedgerError) as caught:
            proof.decode(cbor.encode(bad))
        print(at, caught.value)
    for bad in (b"", b"\x80", cbor.encode(fields()[:-1]), cbor.encode(fields() + [1]), bytes(proof.MAX_PROOF + 1)):
        with pytest.raises(LedgerError) as caught:
            proof.decode(bad)
        print(caught.value)
    for name, value in (("seq", 5), ("path", [b"x"]), ("entry", bytes(entry.MAX_ENTRY + 1))):
        one = made()
        setattr(one, name, value)
        with pytest.raises(LedgerError):
            proof.encode(one)


def test_hostile_lengths():
    data = proof.encode(made())
    for head in (b"\x9b" + b"\xff" * 8, b"\x5b" + b"\x7f" * 8, b"\x9a\xff\xff\xff\xff", b"\x81" * 40):
        with pytest.raises(LedgerError):
            proof.decode(data[:20] + head + data[20:])
        with pytest.raises(LedgerError):
            proof.decode(head)
    random = Random(5)
    for _ in range(300):
        bad = bytearray(data)
        for _ in range(random.between(1, 4)):
            bad[random.between(0, len(bad) - 1)] = random.between(0, 255)
        end = random.between(0, len(bad))
        try:
            proof.decode(bytes(bad[:end]))
        except LedgerError:
            pass
