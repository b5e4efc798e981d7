"""Registrations, revocations, successions: who signed what, and every way in which bytes are none."""

import pytest

from carbonterm import cbor
from carbonterm.errors import CarbonError, LedgerError
from carbonterm.gm import sm2
from carbonterm.ledger import entry, registry
from carbonterm.ledger.registry import Registration, Revocation
from seeded import Random

OPERATOR = sm2.Signer(bytes(31) + b"\x05")
DEVICE = sm2.Signer(bytes(31) + b"\x06")
NEXT = sm2.Signer(bytes(31) + b"\x07")
ROOT = bytes(range(32))


def registration(epoch=0, previous=None):
    asked = Registration.request("T1", epoch, 1750000000000, "operator.example", previous, DEVICE)
    return asked.authorised(OPERATOR.sign)


def test_a_registration_has_two_signatures():
    asked = Registration.request("T1", 0, 1750000000000, "operator.example", None, DEVICE)
    assert asked.possessed() and not asked.signed_by(OPERATOR.public)
    found = Registration.decode(asked.authorised(OPERATOR.sign).encode())
    assert found.possessed() and found.signed_by(OPERATOR.public) and not found.signed_by(DEVICE.public)
    assert (found.terminal_id, found.epoch, found.operator, found.previous) == ("T1", 0, "operator.example", None)
    assert found.public == DEVICE.public
    print(found.encode())


def test_another_proof_under_the_operators_signature_is_none():
    found = registration()
    other = Registration(found.body, DEVICE.sign(found.body, b"again"), found.operator_signature)
    assert other.possessed() and not other.signed_by(OPERATOR.public)
    assert not Registration(found.body, OPERATOR.sign(found.body), found.operator_signature).possessed()


def test_a_new_device_goes_on_where_the_old_one_ended():
    found = Registration.decode(registration(3, (2, 120, ROOT)).encode())
    assert found.previous == (2, 120, ROOT) and found.epoch == 3
    print(found.encode())


def test_a_revocation():
    made = Revocation.make("T1", 2, 100, 1750000000000, "stolen", OPERATOR.sign)
    found = Revocation.decode(made.encode())
    assert found.signed_by(OPERATOR.public) and not found.signed_by(DEVICE.public)
    assert (found.epoch, found.seq, found.time_ms, found.reason) == (2, 100, 1750000000000, "stolen")
    assert (found.believed(60), found.believed(100), found.believed(180), found.believed(0)) == (60, 100, 100, 0)
    print(found.encode())


def last(signer=NEXT, epoch=1, seq=9, public=DEVICE.public):
    signature = signer.sign(registry.succession("T1", 0, seq, public, NEXT.public))
    raw = entry.encode("T1", 0, 9, 5, 1, entry.KEY, ["next", epoch, NEXT.public, signature])
    return entry.decode(raw)


def test_the_old_key_names_the_new_one_and_both_sign():
    assert registry.names_next(last(), DEVICE.public) == NEXT.public
    for wrong in (last(DEVICE), last(seq=8), last(public=OPERATOR.public)):
        with pytest.raises(LedgerError, match="did not sign"):
            registry.names_next(wrong, DEVICE.public)
    with pytest.raises(LedgerError, match="names epoch 2"):
        registry.names_next(last(epoch=2), DEVICE.public)
    first = entry.decode(entry.encode("T1", 1, 0, 5, 1, entry.KEY, ["previous", 0, 10, ROOT]))
    assert registry.names_next(first, NEXT.public) is None


@pytest.mark.parametrize("body", (
    None, [], ["next", 1, NEXT.public], ["next", 0, NEXT.public, bytes(64)], ["next", 1, ROOT, bytes(64)],
    ["next", 1, NEXT.public, ROOT], ["next", 1, 5, bytes(64)], ["previous", 0, -1, ROOT], ["previous", 0, ROOT, ROOT],
    ["previous", 0, 1, bytes(64)], ["previous", 100000, 1, ROOT], ["other", 0, 1, ROOT], ["previous", 0, True, ROOT],
))  # fmt: skip
def test_key_entries_that_are_none(body):
    with pytest.raises(LedgerError):
        entry.encode("T1", 0, 0, 0, 0, entry.KEY, body)


GOOD = ["carbonterm-registration-1", "T1", 0, DEVICE.public, 5, "op", None]


@pytest.mark.parametrize("at, value", (
    (0, "carbonterm-revocation-1"), (0, 1), (1, "a b"), (1, 5), (2, -1), (2, 100000), (2, 1), (2, True), (3, ROOT),
    (3, "x"), (4, -1), (4, None), (5, ""), (5, "a b"), (5, 7), (6, [0, 1, ROOT]), (6, 5), (6, []),
))  # fmt: skip
def test_registrations_that_are_none(at, value):
    body = list(GOOD)
    body[at] = value
    with pytest.raises(LedgerError):
        Registration(cbor.encode(body), bytes(64))


@pytest.mark.parametrize("previous", (None, [1, 1, ROOT], [0, -1, ROOT], [0, 1, bytes(31)], [0, 1], [0, "1", ROOT]))
def test_a_later_epoch_names_the_one_before(previous):
    with pytest.raises(LedgerError):
        Registration(cbor.encode(["carbonterm-registration-1", "T1", 1, DEVICE.public, 5, "op", previous]), bytes(64))


@pytest.mark.parametrize("at, value", (
    (0, "x"), (1, ""), (2, None), (3, -1), (4, "now"), (5, ""), (5, "x" * 201), (5, 5),
))  # fmt: skip
def test_revocations_that_are_none(at, value):
    body = ["carbonterm-revocation-1", "T1", 0, 5, 5, "lost"]
    body[at] = value
    with pytest.raises(LedgerError):
        Revocation(cbor.encode(body), bytes(64))


def test_outer_shapes():
    for values in ([], [b"", bytes(64)], [b"", bytes(64), None], 5, [5, bytes(64), None]):
        with pytest.raises(LedgerError):
            Registration.decode(cbor.encode(values))
        with pytest.raises(LedgerError):
            Revocation.decode(cbor.encode(values))
    with pytest.raises(LedgerError, match="limit"):
        Registration.decode(bytes(5000))
    good = registration()
    for signatures in ((bytes(63), None), (good.device_signature, b""), (None, None)):
        with pytest.raises(LedgerError):
            Registration(good.body, *signatures)


@pytest.mark.slow
def test_mutated_bytes_are_refused_or_signed_by_nobody():
    random = Random(11)
    whole = (registration(3, (2, 120, ROOT)).encode(), Revocation.make("T1", 2, 9, 5, "lost", OPERATOR.sign).encode())
    refused = 0
    for turn in range(60):
        kind = turn % 2
        data = bytearray(whole[kind])
        for _ in range(1 + random.below(3)):
            data[random.below(len(data))] ^= 1 << random.below(8)
        if bytes(data) == whole[kind]:
            continue
        try:
            found = (Registration, Revocation)[kind].decode(bytes(data))
        except CarbonError:
            refused += 1
            continue
        assert not found.signed_by(OPERATOR.public)
    print(refused)
    assert refused > 10
