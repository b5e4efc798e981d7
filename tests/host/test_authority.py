"""Who may sign: operators' registrations and revocations, new devices, clones, and what two centres saw."""

import io
from functools import cache

import pytest

from carbonterm.gm import sm2
from carbonterm.ledger import bundle, checkpoint, entry, tree
from carbonterm.ledger.registry import Registration, Revocation
from carbonterm.ledger.segment import Log
from carbonterm_host import datafolder
from carbonterm_host.commands.verify import tools
from carbonterm_host.verifier import Verifier
from memory_storage import MemoryStorage

SIGNER = sm2.Signer(bytes(31) + b"\x07")
CENTRE = sm2.Signer(bytes(31) + b"\x08")
FORGER = sm2.Signer(bytes(31) + b"\x09")
OPERATOR = sm2.Signer(bytes(31) + b"\x0a")
T0 = 1750000000000
OPENSSL = tools("openssl")


def readings(log, count):
    for _ in range(count):
        log.append(T0, 1, entry.READINGS, [[[0, 0, 0, -1, log.next_seq]], None])
    log.commit()


def written(fill):
    """Bytes of a bundle that fill(writer) fills."""
    file = io.BytesIO()
    writer = bundle.Writer(file, "T1", "test", OPENSSL["hasher"]())
    fill(writer)
    writer.end()
    return file.getvalue()


def frames_of(storage):
    data = written(lambda writer: datafolder.pull(storage, writer))
    return [frame for _, frame in bundle.read(io.BytesIO(data), OPENSSL["hasher"]())]


def joined(frames):
    return written(lambda writer: [getattr(writer, frame[0])(*frame[1:]) for frame in frames[1:]])


def registration(epoch, signer, previous=None, operator=OPERATOR, device=None):
    asked = Registration.request("T1", epoch, T0, "op", previous, device or signer)
    whole = asked.authorised(operator.sign)
    return ["registration", whole.body, whole.device_signature, whole.operator_signature]


def revocation(epoch, seq, time_ms, operator=OPERATOR):
    found = Revocation.make("T1", epoch, seq, time_ms, "stolen", operator.sign)
    return ["revocation", found.body, found.signature]


@cache
def _device(epoch, previous, signer, count):
    storage = MemoryStorage()
    log = Log(storage, "T1", epoch, signer)
    if previous:
        log.append(T0, 1, entry.KEY, ["previous", *previous])
    readings(log, count)
    log.checkpoint()
    return frames_of(storage)


def device(epoch=0, previous=None, signer=SIGNER, count=4):
    """Frames of a device that has only this epoch: header, key, entries, checkpoint."""
    return [list(frame) for frame in _device(epoch, previous, signer, count)]


def report(frames, **more):
    verifier = Verifier(**OPENSSL, **more)
    verifier.read(io.BytesIO(joined(frames)))
    return verifier.report()


def wrong(found):
    return {name for name, verdict in found["verdicts"].items() if verdict is not True}


def root_of(frames):
    return checkpoint.parse(next(frame[1] for frame in frames if frame[0] == "checkpoint")).root


def with_registration(frames, row):
    return [*frames[:2], row, *frames[2:]]


@pytest.mark.requirement("T-7.4-2", part="identity: a key the operator registered")
def test_an_operator_vouches_for_a_key():
    frames = with_registration(device(), registration(0, SIGNER))
    found = report(frames, operators=[OPERATOR.public])
    assert found["ok"] and found["keys"] == [
        {"epoch": 0, "public": SIGNER.public.hex(), "known": True, "operator": "op"}
    ]  # fmt: skip
    assert report(frames)["keys"][0]["known"] is False and report(frames)["ok"]
    stranger = report(frames, operators=[FORGER.public])
    assert wrong(stranger) == {"keys"} and "--operator" in stranger["reasons"]["keys"]
    none = report(device(), operators=[OPERATOR.public])
    assert wrong(none) == {"keys"} and "registered by no operator" in none["reasons"]["keys"]


@pytest.mark.parametrize("row, why", (
    (registration(0, FORGER), "another key"),
    (registration(1, SIGNER, (0, 1, bytes(32))), "another key"),
))  # fmt: skip
def test_registrations_of_something_else(row, why):
    found = report(with_registration(device(), row))
    assert wrong(found) == {"keys"} and why in found["reasons"]["keys"]


def test_a_registration_without_possession():
    row = registration(0, SIGNER)
    other = registration(0, SIGNER, device=FORGER)
    assert wrong(report(with_registration(device(), other))) == {"keys"}
    row[2] = FORGER.sign(row[1])
    row[3] = OPERATOR.sign(row[1] + row[2])
    found = report(with_registration(device(), row), operators=[OPERATOR.public])
    assert wrong(found) == {"keys"} and "not signed by the device" in found["reasons"]["keys"]
    assert wrong(report(with_registration(device(), ["registration", b"x", bytes(64), bytes(64)]))) == {"encoding"}
    assert wrong(report(with_registration(device(), ["revocation", b"x", bytes(64)]))) == {"encoding"}


def test_a_dead_device_is_followed_by_the_operators_word():
    root = root_of(device())
    after = device(1, (0, 4, root), FORGER)
    row = registration(1, FORGER, (0, 4, root))
    alone = report(with_registration(after, row), operators=[OPERATOR.public])
    assert alone["ok"] and alone["notes"] == ["epoch 1 follows 4 entries of epoch 0 by the word of operator op"]
    both = [*device(), after[1], row, *after[2:]]
    assert report(both, trusted=[SIGNER.public], operators=[OPERATOR.public])["ok"]
    assert wrong(report([*device(), *after[1:]])) == {"keys"}  # nobody's word
    assert wrong(report(after)) == {"fingerprints", "checkpoints", "sequence", "keys"} or not report(after)["ok"]
    fewer = [*device(count=3), after[1], row, *after[2:]]
    found = report(fewer, trusted=[SIGNER.public], operators=[OPERATOR.public])
    assert wrong(found) == {"keys"} and "of which 3 are here" in found["reasons"]["keys"]
    other = device(1, (0, 4, bytes(32)), FORGER)
    assert "than its registration says" in report([*device(), other[1], row, *other[2:]])["reasons"]["keys"]


def cosigned(frames, time_s=1750000100):
    frames = [list(frame) for frame in frames]
    at = next(i for i, frame in enumerate(frames) if frame[0] == "checkpoint")
    frames[at][1] = checkpoint.cosigned(frames[at][1], "centre.example", CENTRE.public, time_s, CENTRE.sign)
    return [*frames[:2], ["centre", "centre.example", CENTRE.public], *frames[2:]]


def test_a_revocation_flags_what_no_centre_saw_before():
    operators = [OPERATOR.public]
    base = with_registration(cosigned(device()), registration(0, SIGNER))
    seen_ms = 1750000100000
    fine = report([*base, revocation(0, 4, seen_ms + 1)], operators=operators)
    assert fine["ok"] and fine["notes"] == ["epoch 0 was revoked from entry 4 on, after all of these entries"]
    for row, why in (
        (revocation(0, 4, seen_ms), "entries from 0 on"),
        (revocation(0, 3, seen_ms + 1), "entries from 3 on"),
        (revocation(0, 4, seen_ms + 1, FORGER), "not signed by an operator"),
    ):
        found = report([*base, row], operators=operators)
        assert wrong(found) == {"keys"} and why in found["reasons"]["keys"], found
    unwitnessed = report([*base, revocation(0, 4, seen_ms + 1)], operators=operators, witnesses=[FORGER.public])
    assert wrong(unwitnessed) == {"keys"}
    unknown = report([*base, revocation(0, 4, seen_ms + 1)])
    assert unknown["verdicts"]["keys"] is None and "--operator" in unknown["reasons"]["keys"] and not unknown["ok"]


def head(size, root, signer=SIGNER, terminal="T1"):
    body = checkpoint.body(terminal, 0, size, root)
    return checkpoint.signed(body, checkpoint.origin(terminal, 0), signer.public, signer.sign)


def test_checkpoints_that_came_another_way():
    frames = device()
    same = next(frame[1] for frame in frames if frame[0] == "checkpoint")
    assert report(frames, heads=[same, same])["ok"]
    for texts, why in (
        ([head(4, bytes(32))], "a fork"),
        ([head(9, bytes(32)), head(9, bytes(31) + b"1")], "a fork: two checkpoints over 9 entries"),
        ([head(4, root_of(frames), FORGER)], "not signed with the epoch's key"),
        ([head(4, root_of(frames), terminal="T2")], "is of T2"),
    ):
        found = report(frames, heads=texts)
        assert found["verdicts"]["checkpoints"] is False and why in found["reasons"]["checkpoints"]
    beyond = report(frames, heads=[head(9, bytes(32))])
    assert beyond["verdicts"]["checkpoints"] is None and "reaches beyond" in beyond["reasons"]["checkpoints"]


def test_checkpoints_of_every_size_are_compared():
    frames = device()
    leaves = [tree.leaf(frame[1]) for frame in frames if frame[0] == "entry"]
    for size in range(len(leaves) + 1):
        right = tree.root_of(leaves[:size])
        assert report(frames, heads=[head(size, right)])["ok"]
        found = report(frames, heads=[head(size, right[:31] + bytes((right[31] ^ 1,)))])
        assert found["verdicts"]["checkpoints"] is False and "a fork" in found["reasons"]["checkpoints"], size
    text = head(3, bytes(32)).replace("T1/0", "T1/7")
    later = report(frames, heads=[text])
    assert later["verdicts"]["checkpoints"] is None and "later epoch" in later["reasons"]["checkpoints"]
