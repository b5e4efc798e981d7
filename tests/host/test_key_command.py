"""`carbonterm key`, the platform's register of keys, and `verify` against other words: every refusal."""

import json
import stat

import httpx
import pytest

from carbonterm import cbor
from carbonterm.gm import sm2, sm3
from carbonterm.ledger import checkpoint, entry, registry
from carbonterm.ledger.registry import Registration, Revocation
from carbonterm.ledger.segment import Log
from carbonterm.ledger.tree import leaf
from carbonterm.uplink.message import Batch, Receipt, Refusal
from memory_storage import MemoryStorage
from seeded import Random
from serving import START_MS, Platform, Source, get, post
from shell import carbonterm, pulled

pytestmark = pytest.mark.slow

OPERATOR = sm2.Signer(bytes(31) + b"\x51")
STRANGER = sm2.Signer(bytes(31) + b"\x52")
NEXT = sm2.Signer(bytes(31) + b"\x53")


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    with Platform(tmp_path_factory.mktemp("keys"), "--operator", f"op:{OPERATOR.public.hex()}") as started:
        yield started


def registration(terminal, signer, epoch=0, previous=None, operator=OPERATOR, name="op", device=None):
    asked = Registration.request(terminal, epoch, START_MS, name, previous, signer)
    if device:
        asked = Registration(asked.body, device.sign(asked.body))
    return asked.authorised(operator.sign).encode()


def send(platform, what, data):
    """(status, answer): the Refusal, or the bytes that came back."""
    answer = httpx.post(f"{platform.url}/v1/{what}", content=data)
    return answer.status_code, answer.content if answer.status_code == 200 else Refusal.decode(answer.content)


def refused(platform, what, data):
    status, refusal = send(platform, what, data)
    return status, refusal.code


def statements(platform, terminal):
    return cbor.decode(httpx.get(f"{platform.url}/v1/terminals/{terminal}/registry").content)


def registered(platform, terminal, count, seed=1):
    source = Source(terminal, count, seed)
    data = registration(terminal, source.signer)
    assert send(platform, "registrations", data) == (200, data)
    return source


def test_a_known_operator_opens_an_epoch(platform):
    source = registered(platform, "open", 60)
    data = registration("open", source.signer)
    assert send(platform, "registrations", data)[0] == 200  # the same again
    assert statements(platform, "open") == [["registration", data]]
    assert post(platform, "open", source.batch(checkpoint=source.log.last_checkpoint))[0] == 200


def test_registrations_that_are_not_taken(platform):
    signer = Source("bad").signer
    for data, code in (
        (registration("bad", signer, operator=STRANGER), (403, "operator")),
        (registration("bad", signer, name="other"), (403, "operator")),
        (Registration.request("bad", 0, 5, "op", None, signer).encode(), (403, "operator")),
        (registration("bad", signer, device=STRANGER), (400, "malformed")),
        (registration("bad", signer, 1, (0, 5, bytes(32))), (404, "unknown-terminal")),
        (b"", (400, "malformed")),
        (bytes(3000), (400, "malformed")),
    ):
        assert refused(platform, "registrations", data) == code
    assert statements(platform, "bad") == [] and get(platform, "bad")[0] == 404
    registered(platform, "taken", 0)
    assert refused(platform, "registrations", registration("taken", STRANGER)) == (409, "fork")
    random = Random(5)
    good = registration("bad", signer)
    for _ in range(40):
        data = bytearray(good)
        data[random.below(len(data))] ^= 1 << random.below(8)
        assert send(platform, "registrations", bytes(data))[0] in (400, 403)
    assert statements(platform, "bad") == []


def rotation(source, signer=NEXT, named=None):
    """The log's last entry names `signer`, and the checkpoint over it."""
    log, seq = source.log, source.log.next_seq
    message = registry.succession(source.terminal_id, 0, seq, source.signer.public, signer.public)
    log.append(START_MS, 3, entry.KEY, ["next", 1, signer.public, (named or signer).sign(message)])
    return log.checkpoint()


def test_the_platform_follows_a_rotation(platform):
    source = registered(platform, "rotate", 9)
    text = rotation(source)
    status, receipt = post(platform, "rotate", source.batch(checkpoint=text))
    assert status == 200 and checkpoint.parse(receipt.checkpoint).size == 10
    follower = Log(MemoryStorage(), "rotate", 1, NEXT)
    follower.append(START_MS, 3, entry.KEY, ["previous", 0, 10, receipt.root])
    follower.commit()
    body = Batch("rotate", 1, 0, list(follower.entries())).encode()
    assert post(platform, "rotate", body)[0] == 200
    source.add(1)  # the old key goes on: not here
    status, refusal = post(platform, "rotate", source.batch(10))
    assert (status, refusal.code) == (409, "revoked") and "epoch 1 follows" in refusal.reason
    assert post(platform, "rotate", source.batch(0, 10))[0] == 200  # what is held is answered as ever
    shown = httpx.get(f"{platform.url}/v1/terminals/rotate").json()
    assert shown["epochs"][0]["ended"] == "epoch 1 follows" and len(shown["epochs"]) == 2


def test_rotations_that_are_none(platform):
    source = registered(platform, "unnamed", 3)
    rotation(source, named=STRANGER)
    status, refusal = post(platform, "unnamed", source.batch())
    assert (status, refusal.code) == (400, "malformed") and "did not sign" in refusal.reason
    source = registered(platform, "behind", 3)
    rotation(source)
    source.add(2)
    assert post(platform, "behind", source.batch())[1].code == "malformed"
    assert get(platform, "behind")[1].next_seq == 0


def test_a_new_device_goes_on_from_what_was_cosigned(platform):
    source = registered(platform, "dead", 70)
    post(platform, "dead", source.batch(checkpoint=source.log.last_checkpoint))
    shown = httpx.get(f"{platform.url}/v1/terminals/dead").json()["epochs"][0]
    size, root = shown["sealed"], bytes.fromhex(shown["sealed_root"])
    assert size == 60
    for previous in ((0, 59, root), (0, 60, bytes(32)), (0, 70, root)):
        assert refused(platform, "registrations", registration("dead", NEXT, 1, previous)) == (409, "fork")
    assert send(platform, "registrations", registration("dead", NEXT, 1, (0, size, root)))[0] == 200
    source.add(1)
    assert post(platform, "dead", source.batch(70))[1].code == "revoked"
    fresh = registered(platform, "never", 0)
    assert send(platform, "registrations", registration("never", NEXT, 1, (0, 0, sm3.digest(b""))))[0] == 200
    assert post(platform, "never", fresh.add(1).batch())[1].code == "revoked"


def test_a_revoked_epoch_takes_nothing_more(platform):
    source = registered(platform, "revoked", 5)
    post(platform, "revoked", source.batch())
    for data, code in (
        (Revocation.make("revoked", 0, 3, START_MS, "x", STRANGER.sign).encode(), (403, "operator")),
        (Revocation.make("nobody", 0, 3, START_MS, "x", OPERATOR.sign).encode(), (404, "unknown-terminal")),
        (b"x", (400, "malformed")),
    ):
        assert refused(platform, "revocations", data) == code
    data = Revocation.make("revoked", 0, 3, START_MS, "stolen", OPERATOR.sign).encode()
    assert send(platform, "revocations", data) == (200, data) and send(platform, "revocations", data)[0] == 200
    assert statements(platform, "revoked")[1:] == [["revocation", data]]
    source.add(1)
    status, refusal = post(platform, "revoked", source.batch(5))
    assert (status, refusal.code, refusal.reason) == (
        409, "revoked", "epoch 0 takes nothing more: revoked from entry 3 on: stolen",
    )  # fmt: skip
    assert get(platform, "revoked")[1].next_seq == 5
    assert "revoked from entry 3 on: stolen" in httpx.get(platform.url).text


def test_a_liar_with_two_histories_is_kept_with_both_sides(platform):
    source, liar = registered(platform, "liar", 8), Source("liar", 5)
    liar.log.append(START_MS, 3, entry.READINGS, [[[0, 0, 0, -2, 666]], None])
    liar.add(2)
    mine, other = source.log.checkpoint(), liar.log.checkpoint()
    assert post(platform, "liar", source.batch(checkpoint=mine))[0] == 200
    status, refusal = post(platform, "liar", liar.batch())
    assert (status, refusal.code) == (409, "fork")
    only_head = Batch("liar", 0, 8, [], other).encode()
    assert post(platform, "liar", only_head)[1].code == "checkpoint"  # never cosigned
    shown = httpx.get(f"{platform.url}/v1/terminals/liar").json()["epochs"][0]
    fork, pairs, lies = shown["forks"][0], source.pairs(), liar.pairs()
    assert (fork["seq"], fork["held_leaf"], fork["other_leaf"]) == (5, leaf(pairs[5][0]).hex(), leaf(lies[5][0]).hex())
    assert (fork["held_fingerprint"], fork["other_fingerprint"]) == (pairs[5][1].hex(), lies[5][1].hex())
    page = httpx.get(platform.url).text
    assert fork["held_leaf"] in page and fork["other_leaf"] in page
    assert shown["evidence"] == {"fork": 1, "checkpoint": 1}


def test_a_receipt_for_the_first_entries(platform):
    source = registered(platform, "first", 20)
    post(platform, "first", source.batch())
    address = f"{platform.url}/v1/terminals/first/entries?epoch=0&size="
    for size, held in ((0, 0), (7, 7), (20, 20), (99, 20)):
        receipt = Receipt.decode(httpx.get(address + str(size)).content)
        assert receipt.next_seq == held and receipt.signed_by(platform.public)
        part = Source("first", held).log
        assert receipt.root == part._tree.root()
    for size in ("-1", "x", "99999999999", "1.5"):
        assert httpx.get(address + size).status_code == 400


@pytest.mark.requirement("T-7.4-2")
@pytest.mark.slow
def test_any_changed_bit_is_another_tree_at_the_platform(platform, tmp_path):
    source = registered(platform, "bits", 12)
    source.log.checkpoint()
    post(platform, "bits", source.batch(checkpoint=source.log.last_checkpoint))
    good, other = tmp_path / "good.bundle", tmp_path / "other.bundle"
    good.write_bytes(pulled(source.log.storage, "bits"))
    options = ("--platform", platform.url, "--centre", platform.public.hex(), "--json")
    code, out, _ = carbonterm("verify", good, *options)
    assert code == 0 and json.loads(out)["platform"]["epochs"] == [{"epoch": 0, "held": 12, "of": 12, "same": True}]
    random = Random(3)
    for _ in range(12):  # the owner of the key himself changes one bit of one value and signs all anew
        at, bit = random.below(12), random.below(20)
        log = Log(MemoryStorage(), "bits", 0, source.signer)
        for seq in range(12):
            log.append(START_MS + seq * 1000, 3, entry.READINGS, [[[0, 0, 0, -2, seq ^ ((seq == at) << bit)]], None])
        log.checkpoint()
        other.write_bytes(pulled(log.storage, "bits"))
        assert carbonterm("verify", other)[0] == 0  # in itself it is right
        code, out, _ = carbonterm("verify", other, *options)
        assert code == 4 and json.loads(out)["verdicts"]["platform"] is False
    source.add(3)
    source.log.checkpoint()
    good.write_bytes(pulled(source.log.storage, "bits"))
    code, out, _ = carbonterm("verify", good, *options)
    assert code == 4 and json.loads(out)["verdicts"]["platform"] is None  # 12 of 15 are there, and the same
    assert "12" in out
    for address in ("http://127.0.0.1:1", "ftp://x", platform.url + "/nothing"):
        assert carbonterm("verify", good, "--platform", address)[0] in (2, 3)


def test_two_bundles_and_checkpoints_on_the_command_line(tmp_path):
    one, two = Source("pair", 8), Source("pair", 6)
    two.log.append(START_MS, 3, entry.READINGS, [[[0, 0, 0, -2, 1]], None])
    files = [tmp_path / name for name in ("one.bundle", "two.bundle", "three.bundle")]
    heads = []
    for source, file in zip((one, two, Source("else", 3)), files, strict=True):
        heads.append(source.log.checkpoint())
        file.write_bytes(pulled(source.log.storage, source.terminal_id))
    assert carbonterm("verify", files[0], files[0])[0] == 0
    code, out, _ = carbonterm("verify", *files[:2], "--json")
    fork = json.loads(out)["fork"]
    assert (code, fork["epoch"], fork["seq"]) == (4, 0, 6)
    assert [bytes.fromhex(row["entry"]) for row in fork["leaves"]] == [one.pairs()[6][0], two.pairs()[6][0]]
    assert carbonterm("verify", files[0], files[2])[0] == 4 and carbonterm("verify", *files)[0] == 2
    text = tmp_path / "head.txt"
    text.write_text(heads[0], encoding="utf-8")
    assert carbonterm("verify", files[0], "--checkpoint", text)[0] == 0
    code, out, _ = carbonterm("verify", files[1], "--checkpoint", text, "--json")
    assert code == 4 and "reaches beyond" in json.loads(out)["reasons"]["checkpoints"]
    text.write_text(Source("pair", 6).log.last_checkpoint or "no checkpoint")
    assert carbonterm("verify", files[0], "--checkpoint", text)[0] == 1
    assert carbonterm("verify", files[0], "--checkpoint", tmp_path / "none")[0] == 2
    assert carbonterm("verify", files[0], "--operator", "12")[0] == 2


def test_the_operators_commands(platform, tmp_path):
    file = tmp_path / "op.key"
    code, out, _ = carbonterm("key", "operator", "op", "-o", file, "--json")
    assert code == 0 and stat.S_IMODE(file.stat().st_mode) == 0o600
    public = json.loads(out)["public_key"]
    assert public in carbonterm("key", "show", file)[1] and len(carbonterm("key", "show", file)[1]) < 140
    assert carbonterm("key", "operator", "op", "-o", file)[0] == 2
    assert carbonterm("key", "operator", "a b", "-o", tmp_path / "x")[0] == 2
    request, signed = tmp_path / "00000.reg", tmp_path / "signed.reg"
    request.write_bytes(Registration.request("T9", 0, START_MS, "op", None, NEXT).encode())
    sign = ("key", "register", request, "--operator-key", file)
    code, out, _ = carbonterm(*sign, "-o", signed, "--terminal", "T9", "--json")
    assert code == 0 and json.loads(out)["signed"] is True
    assert Registration.decode(signed.read_bytes()).signed_by(bytes.fromhex(public))
    request.write_text(request.read_bytes().hex())
    assert carbonterm(*sign, "-o", signed)[0] == 0
    assert carbonterm(*sign)[0] == 2 and carbonterm(*sign, "-o", signed, "--terminal", "T8")[0] == 2
    code, _, err = carbonterm(*sign, "--platform", platform.url)  # the platform's "op" has another key
    assert code == 4 and "operator" in err
    assert carbonterm(*sign, "--platform", "http://127.0.0.1:1")[0] == 3
    assert carbonterm(*sign, "--platform", "nowhere")[0] == 2
    request.write_bytes(Registration.request("T9", 0, START_MS, "other", None, NEXT).encode())
    assert carbonterm(*sign, "-o", signed)[0] == 2
    forged = Registration.request("T9", 0, START_MS, "op", None, NEXT)
    request.write_bytes(Registration(forged.body, STRANGER.sign(forged.body)).encode())
    assert carbonterm(*sign, "-o", signed)[0] == 4
    request.write_bytes(b"nonsense")
    assert carbonterm(*sign, "-o", signed)[0] == 1
    revoke = ("key", "revoke", "T9", 0, "--operator-key", file, "--from", 5, "--reason", "lost")
    code, out, _ = carbonterm(*revoke, "-o", signed, "--before", "2026-01-02T03:04:05Z", "--json")
    assert code == 0 and json.loads(out)["from"] == 5
    assert Revocation.decode(signed.read_bytes()).reason == "lost" and "lost" in carbonterm("key", "show", signed)[1]
    assert carbonterm(*revoke, "-o", signed, "--before", "yesterday")[0] == 1
    assert carbonterm("key", "revoke", "a b", *revoke[3:], "-o", signed)[0] == 1
    file.write_text("no key")
    assert carbonterm(*revoke, "-o", signed)[0] == 1 and carbonterm("key", "show", tmp_path / "none")[0] == 2


def test_serve_refuses_operators_that_are_none(tmp_path):
    for text in ("op", "op:12", f"a b:{OPERATOR.public.hex()}", OPERATOR.public.hex()):
        assert carbonterm("platform", "serve", "--store", f"sqlite:///{tmp_path}/x.db", "--operator", text)[0] == 2
