"""Batches, receipts and refusals: what goes over comes back, and what is malformed is refused."""

import binascii

import pytest

from carbonterm import cbor
from carbonterm.errors import UplinkError
from carbonterm.gm import sm2, sm3
from carbonterm.uplink.message import (
    CODES,
    MAX_ANSWER,
    MAX_BATCH,
    MAX_ENTRIES,
    MAX_QUESTION,
    Batch,
    Question,
    Receipt,
    Refusal,
    is_question,
    is_receipt,
)
from seeded import Random

CENTRE = sm2.Signer(b"\x07" * 32)
ROOT = sm3.digest(b"root")
PAIRS = [(b"entry 0", b"\x01" * 64), (b"entry 1", b"\x02" * 64)]


def show(data):
    print(len(data), binascii.hexlify(sm3.digest(data)).decode())


def receipt(**changes):
    fields = {
        "centre": "platform", "terminal_id": "T1", "epoch": 0, "next_seq": 2, "root": ROOT, "time_ms": 5,
        "checkpoint": None,
    }  # fmt: skip
    fields.update(changes)
    names = ("centre", "terminal_id", "epoch", "next_seq", "root", "time_ms", "checkpoint")
    return Receipt.make(*([fields[name] for name in names] + [CENTRE.sign]))


def test_a_batch_comes_back_as_it_was():
    for checkpoint in (None, "a\nb\n"):
        data = Batch("T1", 3, 17, PAIRS, checkpoint).encode()
        back = Batch.decode(data)
        assert (back.terminal_id, back.epoch, back.first, back.pairs) == ("T1", 3, 17, PAIRS)
        assert back.checkpoint == checkpoint
        assert back.encode() == data
        show(data)


def test_a_batch_may_bring_a_checkpoint_alone():
    assert Batch.decode(Batch("T1", 0, 5, [], "text").encode()).checkpoint == "text"
    with pytest.raises(UplinkError, match="neither an entry nor a checkpoint"):
        Batch("T1", 0, 5, []).encode()


@pytest.mark.parametrize(
    "fields, why",
    [
        (("", 0, 0, PAIRS, None), "not a terminal id"),
        (("-T", 0, 0, PAIRS, None), "not a terminal id"),
        (("T" * 33, 0, 0, PAIRS, None), "not a terminal id"),
        (("T\n", 0, 0, PAIRS, None), "not a terminal id"),
        ((b"T1", 0, 0, PAIRS, None), "not a terminal id"),
        (("T1", -1, 0, PAIRS, None), "epoch"),
        (("T1", True, 0, PAIRS, None), "epoch"),
        (("T1", 100000, 0, PAIRS, None), "epoch"),
        (("T1", 0, -1, PAIRS, None), "first seq"),
        (("T1", 0, 1 << 63, PAIRS, None), "first seq"),
        (("T1", 0, "0", PAIRS, None), "first seq"),
        (("T1", 0, 0, [(b"", b"\x01" * 64)], None), "entry 0"),
        (("T1", 0, 0, [("text", b"\x01" * 64)], None), "entry 0"),
        (("T1", 0, 0, [(b"x" * (262144 + 1), b"\x01" * 64)], None), "entry 0"),
        (("T1", 0, 0, [(b"x", b"\x01" * 63)], None), "fingerprint 0"),
        (("T1", 0, 0, [PAIRS[0], (b"x", None)], None), "fingerprint 1"),
        (("T1", 0, 0, [(b"x", b"\x01" * 64)] * (MAX_ENTRIES + 1), None), "1001 entries"),
        (("T1", 0, 0, [(b"x" * 262144, b"\x01" * 64)] * 9, None), "bytes, the limit"),
        (("T1", 0, 0, PAIRS, ""), "checkpoint"),
        (("T1", 0, 0, PAIRS, b"bytes"), "checkpoint"),
        (("T1", 0, 0, PAIRS, "x" * 8193), "checkpoint"),
    ],
)
def test_a_batch_that_breaks_a_rule_is_neither_written_nor_read(fields, why):
    with pytest.raises(UplinkError, match=why) as caught:
        Batch(*fields).encode()
    print(caught.value)
    rows = [list(pair) for pair in fields[3]]
    data = cbor.encode(["carbonterm-batch-1"] + list(fields[:3]) + [rows, fields[4]])
    with pytest.raises(UplinkError, match=why):
        Batch.decode(data)


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        "carbonterm-batch-1",
        [],
        [1, 2, 3, 4, 5, 6],
        [b"carbonterm-batch-1", "T1", 0, 0, [], None],
        ["carbonterm-batch-2", "T1", 0, 0, [], "x"],
        ["carbonterm-batch-1", "T1", 0, 0, [], "x", None],
        ["carbonterm-batch-1", "T1", 0, 0, None, "x"],
        ["carbonterm-batch-1", "T1", 0, 0, [b"x"], "x"],
        ["carbonterm-batch-1", "T1", 0, 0, [[b"x"]], "x"],
        ["carbonterm-batch-1", "T1", 0, 0, [[b"x", b"y" * 64, 0]], "x"],
    ],
)
def test_other_shapes_are_no_message(value):
    data = cbor.encode(value)
    for kind in (Batch, Receipt, Refusal, Question):
        with pytest.raises(UplinkError) as caught:
            kind.decode(data)
        print(caught.value)


def test_size_limits_hold_before_anything_is_decoded():
    for kind, limit in ((Batch, MAX_BATCH), (Receipt, MAX_ANSWER), (Refusal, MAX_ANSWER)):
        with pytest.raises(UplinkError, match="the limit is %d" % limit):
            kind.decode(bytes(limit + 1))
        with pytest.raises(UplinkError, match="not canonical"):
            kind.decode(b"")


def test_a_receipt_comes_back_with_its_signature():
    made = receipt(checkpoint="text\n")
    back = Receipt.decode(made.encode())
    assert back.signed_by(CENTRE.public)
    assert not back.signed_by(sm2.Signer(b"\x08" * 32).public)
    assert not back.signed_by(bytes(64))
    assert not back.signed_by(b"")
    assert (back.centre, back.terminal_id, back.epoch, back.next_seq) == ("platform", "T1", 0, 2)
    assert (back.root, back.time_ms, back.checkpoint, back.body) == (ROOT, 5, "text\n", made.body)
    show(back.encode())


@pytest.mark.parametrize(
    "field, value",
    [
        ("centre", ""), ("centre", "two words"), ("centre", b"platform"), ("centre", "a\nb"), ("centre", "x" * 101),
        ("terminal_id", "T 1"), ("terminal_id", None), ("epoch", -1), ("epoch", False), ("next_seq", -1),
        ("next_seq", None), ("next_seq", 1 << 64 - 1), ("root", ROOT[1:]), ("root", "r" * 32), ("time_ms", -1),
        ("time_ms", 1 << 63), ("checkpoint", ""), ("checkpoint", 5), ("checkpoint", "x" * 8193),
    ],
)  # fmt: skip
def test_a_receipt_that_breaks_a_rule_is_neither_written_nor_read(field, value):
    with pytest.raises(UplinkError) as caught:
        receipt(**{field: value})
    print(caught.value)


def test_a_receipt_needs_a_signature_of_64_bytes():
    body = receipt().body
    for outer in ([body], [body, b""], [body, b"\x01" * 63], [body, None], [body, b"\x01" * 64, 0], [[], b"\x01" * 64]):
        with pytest.raises(UplinkError):
            Receipt.decode(cbor.encode(outer))


def test_refusals_come_back_and_only_known_codes():
    for code in CODES:
        for wanted in (None, 0, 12345):
            back = Refusal.decode(Refusal(code, "why · 为什么", wanted).encode())
            assert (back.code, back.reason, back.next_seq) == (code, "why · 为什么", wanted)
    show(Refusal("gap", "entry 5 is wanted", 5).encode())
    for fields in (("", "x", None), (None, "x", None), ([], "x", None), ("Gap", "x", None), ("gap", None, None),
                   ("gap", "x" * 501, None), ("gap", "x", -1), ("gap", "x", "5"), ("gap", "x", True)):  # fmt: skip
        with pytest.raises(UplinkError):
            Refusal(*fields)
        with pytest.raises(UplinkError):
            Refusal.decode(cbor.encode(("carbonterm-refusal-1",) + fields))


def test_a_question_comes_back_and_is_told_from_a_batch():
    for terminal_id, epoch in (("T1", 0), ("x" * 32, 99999), ("CT-0001.a", 7)):
        data = Question(terminal_id, epoch).encode()
        back = Question.decode(data)
        assert (back.terminal_id, back.epoch) == (terminal_id, epoch) and len(data) <= MAX_QUESTION
        assert is_question(data) and not is_receipt(data)
        show(data)
    answer, refusal = receipt().encode(), Refusal("gap", "why").encode()
    assert is_receipt(answer) and not is_receipt(refusal) and not is_receipt(b"")
    for other in (Batch("T1", 3, 17, PAIRS).encode(), Batch("T1", 0, 5, [], "t").encode(), answer, refusal, b"",
                  b"\x83" + bytes(MAX_QUESTION)):  # fmt: skip
        assert not is_question(other)


def test_what_is_no_question():
    kind = "carbonterm-question-1"
    for terminal_id, epoch in (("", 0), ("-T", 0), ("T 1", 0), (None, 0), (b"T1", 0), ("x" * 33, 0), ("T1", -1),
                               ("T1", 100000), ("T1", None), ("T1", "0"), ("T1", True)):  # fmt: skip
        with pytest.raises(UplinkError) as caught:
            Question(terminal_id, epoch)
        print(caught.value)
        with pytest.raises(UplinkError):
            Question.decode(cbor.encode((kind, terminal_id, epoch)))
    good = Question("T1", 0).encode()
    for data in (b"", b"\x83", good[:-1], good + b"\x00", bytes(MAX_QUESTION + 1), cbor.encode((kind, "T1")),
                 cbor.encode((kind, "T1", 0, 0)), cbor.encode(("carbonterm-question-2", "T1", 0)),
                 cbor.encode((None, "T1", 0)), cbor.encode("T1")):  # fmt: skip
        with pytest.raises(UplinkError):
            Question.decode(data)


def mutated(random, data):
    """`data` with one seeded change: a bit, a cut, a doubled piece, an inserted or a deleted byte."""
    at = random.below(len(data))
    kind = random.below(5)
    if kind == 0:
        return data[:at] + bytes((data[at] ^ 1 << random.below(8),)) + data[at + 1 :]
    if kind == 1:
        return data[:at]
    if kind == 2:
        return data[:at] + data[at // 2 :]
    if kind == 3:
        return data[:at] + random.bytes(1) + data[at:]
    return data[:at] + data[at + 1 :]


def test_fuzz_what_a_decoder_takes_it_would_have_written():
    random = Random(76)
    originals = (
        (Batch, Batch("T1", 3, 17, PAIRS, "text").encode()),
        (Receipt, receipt(checkpoint="text").encode()),
        (Refusal, Refusal("gap", "why", 5).encode()),
        (Question, Question("T1", 3).encode()),
    )
    for kind, original in originals:
        taken = 0
        for _ in range(400):
            data = mutated(random, original)
            try:
                back = kind.decode(data)
            except UplinkError:
                continue
            taken += 1
            assert back.encode() == data
        print(kind.__name__, taken)


@pytest.mark.requirement("T-7.6-2")
@pytest.mark.slow
def test_fuzz_no_mutation_of_a_receipt_is_signed():
    random = Random(77)
    original = receipt(checkpoint="text").encode()
    decoded = 0
    for _ in range(300):
        data = mutated(random, original)
        if data == original:
            continue
        try:
            back = Receipt.decode(data)
        except UplinkError:
            continue
        decoded += 1
        assert not back.signed_by(CENTRE.public)
    print(decoded)


def test_fuzz_random_bytes_are_no_message():
    random = Random(78)
    for _ in range(500):
        data = random.bytes(random.below(200))
        for kind in (Batch, Receipt, Refusal, Question):
            with pytest.raises(UplinkError):
                kind.decode(data)
