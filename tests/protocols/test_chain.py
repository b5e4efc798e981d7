"""Links from an operator to a key: what they show, what they may not lack, every changed byte, every other shape."""

import pytest

from carbonterm import cbor
from carbonterm.errors import LedgerError
from carbonterm.gm import sm2
from carbonterm.ledger import chain, entry, proof, registry
from proving import CENTRE, OTHER, SIGNER, good, made
from seeded import Random

OPERATOR = sm2.Signer(bytes(31) + b"\x21")
KEYS = (sm2.Signer(bytes(31) + b"\x22"), sm2.Signer(bytes(31) + b"\x23"), SIGNER)
T0 = 1750000000000


def registration(epoch=0, signer=KEYS[0], operator=OPERATOR, terminal_id="T1"):
    previous = (epoch - 1, 3, bytes(32)) if epoch else None
    asked = registry.Registration.request(terminal_id, epoch, T0, "op.example", previous, signer)
    done = asked.authorised(operator.sign)
    return ["registration", done.body, done.device_signature, done.operator_signature]


def following(epoch, old, new, seq=9, terminal_id="T1"):
    message = registry.succession(terminal_id, epoch, seq, old.public, new.public)
    raw = entry.encode(terminal_id, epoch, seq, T0, 3, entry.KEY, ["next", epoch + 1, new.public, new.sign(message)])
    return ["next", raw, old.sign(raw)]


def revocation(epoch, seq, time_ms, operator=OPERATOR):
    done = registry.Revocation.make("T1", epoch, seq, time_ms, "stolen", operator.sign)
    return ["revocation", done.body, done.signature]


LINKS = [registration(), following(0, KEYS[0], KEYS[1]), following(1, KEYS[1], KEYS[2])]


def said(links, epoch=2, public=SIGNER.public, seq=2, **more):
    return chain.check(links, "T1", epoch, public, seq, **more)


def test_from_the_operator_to_the_key():
    both = {"operators": [OTHER.public, OPERATOR.public]}
    for links, epoch in ((LINKS, 2), ([registration(2, SIGNER)], 2), ([registration(0, SIGNER)], 0)):
        assert chain.is_links(links)
        assert said(links, epoch) == said(links, epoch, **both) == (None, None)
    assert said(LINKS, trusted=[KEYS[0].public]) == said(LINKS, trusted=[SIGNER.public]) == (None, None)
    assert said([]) == said([], trusted=[SIGNER.public], operators=[OTHER.public]) == (None, None)
    for links, more in (
        (LINKS, {"operators": [OTHER.public]}), (LINKS, {"trusted": [OTHER.public]}),
        ([], {"operators": [OTHER.public]}), ([], {"trusted": [OTHER.public]}),
    ):  # fmt: skip
        wrong, unsaid = said(links, **more)
        assert wrong and unsaid is None
        print(wrong)


@pytest.mark.slow
def test_links_that_do_not_follow():
    for links in (
        LINKS[:2], LINKS[1:], [LINKS[0], LINKS[2], LINKS[1]], [LINKS[0]] + LINKS, LINKS + [LINKS[2]],
        [registration(0, OTHER)] + LINKS[1:], [registration(0, KEYS[0], OPERATOR, "T2")] + LINKS[1:],
        [LINKS[0], following(0, OTHER, KEYS[1]), LINKS[2]],
        [LINKS[0], following(0, KEYS[0], KEYS[1], 9, "T2"), LINKS[2]],
        LINKS + [revocation(7, 1, T0)], [revocation(0, 1, T0)] + LINKS,
        [LINKS[0][:2] + [bytes(64)] + LINKS[0][3:]] + LINKS[1:], [["next", LINKS[0][1], bytes(64)]],
        [["next", b"", bytes(64)]],
        [LINKS[0], ["next", entry.encode("T1", 0, 1, T0, 3, entry.AUDIT, ["a", "b", "c"]), bytes(64)]],
    ):  # fmt: skip
        assert chain.is_links(links)
        wrong, unsaid = said(links)
        assert wrong and unsaid is None
        print(wrong)


@pytest.mark.slow
def test_revocations():
    by = {"operators": [OPERATOR.public]}
    seen = {"witnessed": [(T0 + 5000, 5)]}
    for link, more, right in (
        (revocation(2, 3, T0 + 6000), dict(by, **seen), True),
        (revocation(2, 2, T0 + 6000), dict(by, **seen), False),
        (revocation(2, 3, T0 + 5000), dict(by, **seen), False),
        (revocation(2, 3, T0 + 6000), by, False),
        (revocation(0, 20, T0 + 6000), dict(by, **seen), False),
        (revocation(2, 3, T0 + 6000, OTHER), dict(by, **seen), False),
        (revocation(2, 3, T0 + 6000), seen, None),
    ):
        wrong, unsaid = said(LINKS + [link], **more)
        assert (wrong, unsaid) == (None, None) if right else (unsaid if right is None else wrong)
        print(wrong, unsaid)


def linked():
    one = made(epoch=2)
    one.links = LINKS
    return one


@pytest.mark.slow
def test_a_proof_with_links():
    data = proof.encode(linked())
    assert proof.is_proof(data) and good(data)
    found = proof.decode(data)
    assert proof.encode(found) == data and [list(link) for link in found.links] == LINKS
    print(len(data), data.hex())
    for operator, right in ((OPERATOR, True), (OTHER, False)):
        verdicts, reasons = proof.check(found, (), operators=[operator.public])
        assert [name for name in proof.VERDICTS if not verdicts[name]] == ([] if right else ["keys"])
        print(reasons)
    one = made(epoch=2)
    verdicts, reasons = proof.check(one, (), operators=[OPERATOR.public])
    assert not verdicts["keys"]
    print(reasons)


@pytest.mark.slow
def test_a_revocation_weighs_the_cosignature_of_the_proof():
    for time_ms, witnesses, right in (
        (T0 + 2000, (), True), (T0 + 1000, (), False), (T0 + 2000, [CENTRE.public], True),
        (T0 + 2000, [OTHER.public], False),
    ):  # fmt: skip
        one = linked()
        one.links = LINKS + [revocation(2, 4, time_ms)]
        verdicts, _ = proof.check(one, (), operators=[OPERATOR.public], witnesses=witnesses)
        assert verdicts["keys"] == right
        assert proof.check(one)[0]["keys"] is None


@pytest.mark.slow
@pytest.mark.requirement("T-11.12-1", part="no bit of the links to an operator can be changed")
def test_changed_bits():
    data = proof.encode(linked())
    begin = data.find(b"registration") - 2
    random, passed = Random(74), 0
    for at in range(begin, len(data), 5):
        bad = bytearray(data)
        bad[at] ^= 1 << random.below(8)
        try:
            verdicts, _ = proof.check(proof.decode(bytes(bad)), (), operators=[OPERATOR.public])
        except LedgerError:
            continue
        passed += all(verdicts[name] for name in proof.VERDICTS)
    assert passed == 0
    print(len(data) - begin)


def test_refused_shapes():
    for links in (
        None, 1, "x", [[]], [None], [["next"]], [["next", b"", bytes(63)]], [["next", "x", bytes(64)]],
        [[b"next", b"", bytes(64)]],
        [["other", b"", bytes(64)]], [["registration", b"", bytes(64)]], [["revocation", bytes(2049), bytes(64)]],
        [LINKS[0]] * 65, [["registration", b"", bytes(64), None]],
    ):  # fmt: skip
        assert not chain.is_links(links)
    fields = cbor.decode(proof.encode(linked()))
    for bad in (fields[:-1], fields[:-1] + [[]], fields[:-1] + [[["next"]]], ["carbonterm-proof-1"] + fields[1:],
                ["carbonterm-proof-3"] + fields[1:], fields + [[]]):  # fmt: skip
        with pytest.raises(LedgerError) as caught:
            proof.decode(cbor.encode(bad))
        print(caught.value)
