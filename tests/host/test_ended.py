"""Epochs that were dropped whole: what is kept of their ends leads from the operator's word to the keys behind."""

import functools
import io
import json
import subprocess

import pytest

from carbonterm import cbor
from carbonterm.errors import LedgerError
from carbonterm.gm import sm2
from carbonterm.ledger import bundle, checkpoint, proof, registry
from carbonterm.uplink import kept
from carbonterm.uplink.message import Receipt
from carbonterm_device import app as device
from carbonterm_device import keys
from carbonterm_device.clockwork import Clock
from carbonterm_device.storage import Folder
from carbonterm_host import datafolder, site_yaml
from carbonterm_host.commands.verify import tools
from carbonterm_host.verifier import Verifier
from shell import carbonterm

SITE = site_yaml.compile_text("terminal: T1\nname: x\nzone: Z\nbuses: []\nmeters: []\npoints: []\n").canonical()
OPERATOR, OTHER, CENTRE = (sm2.Signer(bytes(31) + bytes((number,))) for number in (0x31, 0x32, 0x33))
OPENSSL = tools("openssl")
OPENSSL["verify"] = functools.cache(OPENSSL["verify"])


def worked(app):
    for _ in range(12):
        app.terminal.record(5, [], b"")
        app.terminal.commit()
    app.terminal.log.checkpoint()


def received(storage, past):
    """Keeps the receipt of a centre that holds the whole epoch."""
    text = checkpoint.cosigned(past.last_checkpoint, "centre", CENTRE.public, 1700000000, CENTRE.sign)
    receipt = Receipt.make("centre", "T1", past.epoch, past.size, past.root, 1700000000000, text, CENTRE.sign)
    kept.keep(storage, CENTRE.public, receipt)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three epochs, the first registered by the operator; the first two and a piece of the third are dropped."""
    storage = Folder(str(tmp_path_factory.mktemp("ended") / "data"))
    app = device.App(storage, SITE, Clock(), 700)
    asked = registry.Registration.request("T1", 0, 5, "op.example", None, keys.load(storage, 0))
    storage.replace("00000.reg", asked.authorised(OPERATOR.sign).encode())
    app._start()
    for _ in range(2):
        worked(app)
        app._rotate()
    worked(app)
    for past in app._past:
        received(storage, past)
        past.keep_end()
        before = storage.read(f"{past.epoch:05}.end", 0, 20000)
        past.keep_end()
        assert storage.read(f"{past.epoch:05}.end", 0, 20000) == before
        past.drop_before(past.size)
    app.terminal.log.drop_before(app.terminal.log.size)
    assert app.terminal.log.kept > 0
    return storage.path


@pytest.fixture(scope="module")
def file(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "log.bundle"
    assert carbonterm("pull", folder, "-o", path, "--no-note")[0] == 0
    return path


def framed(file):
    with open(file, "rb") as opened:
        return [frame for _, frame in bundle.read(opened)]


def judged(frames, operators=(OPERATOR.public,), **more):
    """Report on the bundle of these frames, its end made to fit."""
    out = io.BytesIO()
    writer = bundle.Writer(out, *frames[0][1:], OPENSSL["hasher"]())
    for frame in frames[1:]:
        getattr(writer, frame[0])(*frame[1:])
    writer.end()
    verifier = Verifier(**{"operators": operators, **more}, **OPENSSL)
    verifier.read(io.BytesIO(out.getvalue()))
    return verifier.report()


def wrong(report):
    return {name for name, verdict in report["verdicts"].items() if verdict is not True}


@pytest.mark.slow
@pytest.mark.requirement("T-7.4-2", part="the keys of dropped epochs")
def test_the_chain_of_keys_holds(file, tmp_path):
    code, out, _ = carbonterm("verify", file, "--operator", OPERATOR.public.hex(), "--json")
    report = json.loads(out)
    assert code == 0 and report["ok"] and report["anchored"] and report["begins"] > 0, report
    assert [row["epoch"] for row in report["keys"]] == [2] and report["cosignatures"] == 2
    assert len([note for note in report["notes"] if "which was dropped" in note]) == 2
    assert "begins with entry" in carbonterm("verify", file)[1]
    # without an operator it is true in itself; the first key vouches as well; another operator's does not
    frames = framed(file)
    assert judged(frames, ())["ok"] and not judged(frames, ())["anchored"]
    publics = [frame[2] for frame in frames if frame[0] == "key"]
    for public in publics:
        assert judged(frames, (), trusted=[public])["anchored"]
    assert wrong(judged(frames, (), trusted=[OTHER.public])) == {"keys"}
    assert wrong(judged(frames, (OTHER.public,))) == {"keys"}
    # proofs and the openssl script have it too
    one = tmp_path / "one.proof"
    assert carbonterm("prove", file, str(report["begins"] + 1), "-o", one)[0] == 0
    assert [link[0] for link in proof.decode(one.read_bytes()).links] == ["registration", "next", "next"]
    assert carbonterm("verify", one, "--operator", OPERATOR.public.hex())[0] == 0
    assert carbonterm("bundle", file, "--openssl", tmp_path / "parts")[0] == 0
    assert subprocess.run(["sh", tmp_path / "parts/verify.sh"], capture_output=True).returncode == 0
    assert (tmp_path / "parts/key-0.pem").exists()


@pytest.mark.slow
def test_checkpoints_of_a_dropped_epoch(file):
    frames = framed(file)
    ends = [proof.decode(frame[1]) for frame in frames if frame[0] == "ended"]
    assert judged(frames, heads=[ends[0].checkpoint])["ok"]
    signer = sm2.Signer(bytes(31) + b"\x55")
    other = checkpoint.signed(checkpoint.body("T1", 0, ends[0].size, bytes(32)), "carbonterm/T1/0", signer.public,
                              signer.sign)  # fmt: skip
    assert "not signed with the epoch's key" in judged(frames, heads=[other])["reasons"]["checkpoints"]


@pytest.mark.slow
def test_a_revocation_of_a_dropped_epoch(file):
    """What a centre saw before it stands; from an entry before the end on nobody may name a key."""
    frames = framed(file)
    at = next(i for i, frame in enumerate(frames) if frame[0] == "registration")
    end = proof.decode(next(frame[1] for frame in frames if frame[0] == "ended"))
    for seq, time_ms, fine in ((end.size, 1800000000000, True), (end.seq, 1800000000000, False),
                               (end.size, 1600000000000, False)):  # fmt: skip
        one = registry.Revocation.make("T1", 0, seq, time_ms, "stolen", OPERATOR.sign)
        report = judged([*frames[: at + 1], ["revocation", one.body, one.signature], *frames[at + 1 :]])
        assert report["ok"] == fine, (seq, time_ms, report["reasons"])


@pytest.mark.slow
def test_frames_that_are_changed(file):
    frames = framed(file)
    first, second = [i for i, frame in enumerate(frames) if frame[0] == "ended"]
    entry = next(i for i, frame in enumerate(frames) if frame[0] == "entry")
    end = proof.decode(frames[first][1])

    def changed(**fields):
        one = proof.decode(frames[first][1])
        for name, value in fields.items():
            setattr(one, name, value)
        return [*frames[:first], ["ended", proof.encode(one)], *frames[first + 1 :]]

    cases = (
        ("without the first", [*frames[:first], *frames[first + 1 :]], {"keys"}),
        ("without the second", [*frames[:second], *frames[second + 1 :]], {"keys"}),
        ("twice", [*frames[: first + 1], *frames[first:]], {"keys"}),
        ("behind entries", [*frames[: entry + 1], frames[first], *frames[entry + 1 :]], {"keys"}),
        ("before its key", [frames[0], frames[first], *frames[1:]], {"keys"}),
        ("no proof", [*frames[:first], ["ended", b"\x80"], *frames[first + 1 :]], {"encoding", "keys"}),
        ("a stranger's cosignature", [frame for frame in frames if frame[0] != "centre"], {"checkpoints"}),
        ("another epoch", changed(epoch=1), {"keys"}),
        ("another terminal", changed(terminal_id="T2"), {"keys"}),
        ("another size", changed(size=end.size + 1), {"keys"}),
        ("not the last entry", changed(seq=end.seq - 1), {"keys"}),
        ("another path", changed(path=end.path[:-1]), {"tree", "keys"}),
        ("another fingerprint", changed(fingerprint=bytes(64)), {"fingerprints", "keys"}),
    )
    for what, case, verdicts in cases:
        report = judged(case)
        assert wrong(report) >= verdicts and not report["ok"], (what, report["verdicts"], report["reasons"])


@pytest.mark.slow
def test_no_bit_of_it_can_be_changed(file):
    frames = framed(file)
    first = next(i for i, frame in enumerate(frames) if frame[0] == "ended")
    data = frames[first][1]

    def refused(data):
        verifier = Verifier(**OPENSSL)
        for frame in [*frames[:first], ["ended", data]]:
            verifier.take(0, frame)
        return wrong({"verdicts": verifier.verdicts})

    assert refused(data) == set()
    for at in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[at >> 3] ^= 1 << (at & 7)
        assert refused(bytes(flipped)), at
    print(8 * len(data))


@pytest.mark.slow
def test_what_a_bundle_takes(file):
    frames = framed(file)
    for value in (bytes(bundle.MAX_ENDED + 1), "text", None):
        with pytest.raises(LedgerError, match="ended that is not of the format"):
            judged([frames[0], ["ended", value]])


@pytest.mark.slow
def test_an_end_that_is_broken(folder, tmp_path):
    """`pull` refuses a file that is no proof; with none, the bundle still holds but no operator is found."""
    storage = datafolder.DataFolder(folder)

    class Other:
        size, names = storage.size, storage.names

        def read(self, name, offset, size):
            return cbor.encode(["x"]) if name == "00001.end" else storage.read(name, offset, size)

    with pytest.raises(LedgerError, match="no proof"):
        datafolder.pull(Other(), bundle.Writer(io.BytesIO(), "T1", "test"))

    class Without(Other):
        def names(self):
            return [name for name in storage.names() if name != "00001.end"]

    out = io.BytesIO()
    writer = bundle.Writer(out, "T1", "test")
    datafolder.pull(Without(), writer)
    writer.end()
    (tmp_path / "log.bundle").write_bytes(out.getvalue())
    frames = framed(tmp_path / "log.bundle")
    assert "ended" not in [frame[0] for frame in frames]
    assert judged(frames, ())["ok"] and wrong(judged(frames)) == {"keys"}
