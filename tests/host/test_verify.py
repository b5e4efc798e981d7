"""`carbonterm pull`, `verify` and `bundle --openssl`: a true log verifies, and nothing else does.

The forger here knows the format: after every change he makes the bundle's end fit again. He has no private key but his
own.
"""

import io
import json
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from functools import cache, partial

import pytest

from carbonterm import cbor
from carbonterm.errors import LedgerError
from carbonterm.gm import sm2
from carbonterm.ledger import bundle, checkpoint, entry, registry, retention
from carbonterm.ledger.frames import segments
from carbonterm.ledger.segment import Log
from carbonterm.ledger.tree import leaf, root_of
from carbonterm.uplink.message import Receipt
from carbonterm_device.storage import Folder
from carbonterm_host import cli, datafolder, gm_backends
from carbonterm_host.commands.verify import tools
from carbonterm_host.verifier import VERDICTS, Verifier
from memory_storage import MemoryStorage

SIGNER = sm2.Signer(bytes(31) + b"\x07")
CENTRE = sm2.Signer(bytes(31) + b"\x08")
FORGER = sm2.Signer(bytes(31) + b"\x09")
T0 = 1750000000000
OPENSSL = tools("openssl")


def readings(log, count, time_ms=T0, step=1000):
    for i in range(count):
        log.append(time_ms + i * step, 1, entry.READINGS, [[[0, 0, 0, -1, log.next_seq]], None])
    log.commit()


def frames_of(storage, terminal_id="T1"):
    """The frames of a pulled bundle without its end, as lists."""
    file = io.BytesIO()
    writer = bundle.Writer(file, terminal_id, "test", OPENSSL["hasher"]())
    datafolder.pull(storage, writer)
    writer.end()
    return [frame for _, frame in bundle.read(io.BytesIO(file.getvalue()), OPENSSL["hasher"]())]


def joined(frames):
    data = bundle.MAGIC
    for frame in frames:
        raw = cbor.encode(frame)
        data += len(raw).to_bytes(4, "big") + raw
    raw = cbor.encode(["end", len(frames), gm_backends.digest(data, "openssl")])
    return data + len(raw).to_bytes(4, "big") + raw


def verified(data, trusted=(), options=OPENSSL):
    verifier = Verifier(trusted, **options)
    verifier.read(io.BytesIO(data))
    return verifier.report()


@cache
def _log(signer, count, tail, terminal_id="T1", time_ms=T0):
    storage = MemoryStorage()
    log = Log(storage, terminal_id, 0, signer)
    readings(log, count, time_ms)
    log.checkpoint()
    readings(log, tail, time_ms + count * 1000)
    return frames_of(storage, terminal_id)


def log(signer=SIGNER, count=6, tail=2, **more):
    """Frames: header, key, `count` entries, checkpoint, `tail` entries."""
    return [list(frame) for frame in _log(signer, count, tail, **more)]


def witnessed():
    """The frames of a log whose checkpoint a centre cosigned, with the centre's receipt."""
    frames = log()
    frames.insert(2, ["centre", "centre.example", CENTRE.public])
    frames[9][1] = checkpoint.cosigned(frames[9][1], "centre.example", CENTRE.public, 1750000100, CENTRE.sign)
    root = root_of([leaf(frame[1]) for frame in frames if frame[0] == "entry"])
    receipt = Receipt.make("centre.example", "T1", 0, 8, root, T0, None, CENTRE.sign)
    return [*frames, ["receipt", receipt.body, receipt.signature]]


@pytest.mark.parametrize("backend", gm_backends.BACKENDS)
def test_a_true_log(backend):
    report = verified(joined(witnessed()), [SIGNER.public], tools(backend))
    assert report["ok"] is True and report["verdicts"] == dict.fromkeys(VERDICTS, True)
    assert (report["entries"], report["unsealed"], report["checkpoints"]) == (8, 2, 1)
    assert (report["cosignatures"], report["receipts"], report["terminal"]) == (1, 1, "T1")
    assert report["keys"] == [{"epoch": 0, "public": SIGNER.public.hex(), "known": True}]
    assert report["reasons"] == {} and report["first_offence"] is None


def swap(frames, a, b):
    frames[a], frames[b] = frames[b], frames[a]


def at(index, value):
    def change(frames):
        frames[index] = value

    return change


def body(frames, index, **fields):
    """The entry in frames[index] with other fields, not signed anew."""
    one = entry.decode(frames[index][1])
    values = {name: getattr(one, name) for name in entry.Entry.__slots__ if name != "raw"}
    values.update(fields)
    frames[index][1] = entry.encode(**values)


def resign(frames, index, signer=FORGER):
    frames[index][2] = signer.sign(frames[index][1])


def fork(frames):
    """Another fourth entry under the terminal's own key: a second history beside the one that was signed."""
    body(frames, 5, body=[[[0, 0, 0, -1, 999]], None])
    resign(frames, 5, SIGNER)


def renumber(frames):
    """The third entry is taken out, and the later ones move up, signed by the terminal itself."""
    del frames[4]
    for index, seq in ((4, 2), (5, 3), (6, 4), (8, 5), (9, 6)):
        body(frames, index, seq=seq)
        resign(frames, index, SIGNER)


# frames of log(): 0 header, 1 key, 2-7 entries, 8 checkpoint, 9-10 entries
OFFENCES = {
    "no checkpoint": (lambda f: f.pop(8), {"checkpoints"}),
    "no key": (lambda f: f.pop(1), {"keys", "fingerprints", "checkpoints"}),
    "another key": (at(1, ["key", 0, FORGER.public]), {"fingerprints", "checkpoints"}),
    "a key off the curve": (at(1, ["key", 0, bytes(64)]), {"fingerprints", "checkpoints"}),
    "a second key": (lambda f: f.insert(2, ["key", 0, FORGER.public]), {"keys"}),
    "a late key": (lambda f: f.insert(6, f.pop(1)), {"keys", "fingerprints"}),
    "two epochs, one key": (lambda f: f.insert(2, ["key", 1, SIGNER.public]), {"keys"}),
    "an entry taken out": (lambda f: f.pop(4), {"sequence", "tree"}),
    "the first entry taken out": (lambda f: f.pop(2), {"sequence", "tree"}),
    "an entry twice": (lambda f: f.insert(4, f[4]), {"sequence", "tree"}),
    "two entries swapped": (lambda f: swap(f, 4, 5), {"sequence", "tree"}),
    "two fingerprints swapped": (
        lambda f: (f[4].__setitem__(2, f[5][2]), f[5].__setitem__(2, f[6][2])), {"fingerprints"},
    ),
    "an entry changed": (lambda f: body(f, 4, time_ms=T0), {"fingerprints", "tree"}),
    "an entry forged": (lambda f: (body(f, 4, time_ms=T0), resign(f, 4)), {"fingerprints", "tree"}),
    "a second history": (fork, {"tree"}),
    "an entry taken out, the rest renumbered": (renumber, {"tree"}),
    "another terminal's entry": (lambda f: f.__setitem__(4, log(terminal_id="T2")[4]), {"sequence", "tree"}),
    "another terminal's checkpoint": (lambda f: f.__setitem__(8, log(terminal_id="T2")[8]), {"checkpoints"}),
    "a forged checkpoint": (lambda f: f.__setitem__(8, log(FORGER)[8]), {"checkpoints"}),
    "another log's checkpoint": (lambda f: f.__setitem__(8, log(time_ms=T0 + 5)[8]), {"tree"}),
    "a checkpoint too early": (lambda f: swap(f, 7, 8), {"tree"}),
    "a checkpoint too late": (lambda f: swap(f, 8, 9), {"tree"}),
    "no checkpoint text": (at(8, ["checkpoint", "x"]), {"checkpoints"}),
    "another terminal's header": (at(0, ["header", "T2", "test"]), {"sequence", "checkpoints"}),
    "an epoch too far": (lambda f: body(f, 9, epoch=2, seq=0), {"sequence", "fingerprints"}),
    "a new epoch without a key": (
        lambda f: (f.pop(10), body(f, 9, epoch=1, seq=0)), {"keys", "fingerprints"},
    ),
    "no canonical entry": (lambda f: f[4].__setitem__(1, f[4][1] + b"\x00"), {"encoding", "fingerprints", "tree"}),
    "a body of another shape": (
        lambda f: (f[10].__setitem__(1, cbor.encode([1, "T1", 0, 7, T0 + 7000, 1, 3, 5])), resign(f, 10, SIGNER)),
        {"encoding"},
    ),
    "an unsigned receipt": (
        lambda f: f.append(["receipt", witnessed()[-1][1], witnessed()[-1][2]]), {"checkpoints"},
    ),
    "a receipt of nonsense": (lambda f: f.append(["receipt", b"x", bytes(64)]), {"encoding"}),
}  # fmt: skip


@pytest.mark.parametrize("offence", OFFENCES)
def test_offences(offence):
    change, wanted = OFFENCES[offence]
    frames = log()
    change(frames)
    report = verified(joined(frames))
    assert report["ok"] is False
    assert {name for name in VERDICTS if report["verdicts"][name] is not True} == wanted
    assert set(report["reasons"]) == wanted
    assert report["first_offence"]["verdict"] in wanted and report["first_offence"]["why"]


def test_a_log_under_another_key_needs_a_known_key():
    data = joined(log(FORGER))
    assert verified(data)["ok"]  # true to itself; nothing in a bundle says whose key it is
    report = verified(data, [SIGNER.public])
    assert report["verdicts"]["keys"] is False and report["keys"][0]["known"] is False


def test_a_centre_that_lies():
    for index, change in ((2, lambda f: f.insert(3, f[2])), (2, lambda f: f[2].__setitem__(2, FORGER.public))):
        frames = witnessed()
        change(frames)
        assert verified(joined(frames))["ok"] is False, index
    frames = witnessed()
    frames.insert(11, frames.pop())
    assert verified(joined(frames))["verdicts"]["tree"] is False


def test_two_epochs():
    storage = MemoryStorage()
    first = Log(storage, "T1", 0, SIGNER)
    readings(first, 2)
    signature = FORGER.sign(registry.succession("T1", 0, 2, SIGNER.public, FORGER.public))
    first.append(T0 + 3000, 1, entry.KEY, ["next", 1, FORGER.public, signature])
    root = checkpoint.parse(first.checkpoint()).root
    second = Log(storage, "T1", 1, FORGER)
    second.append(T0 + 4000, 1, entry.KEY, ["previous", 0, 3, root])
    readings(second, 1, T0 + 9000)
    second.checkpoint()
    frames = frames_of(storage)
    report = verified(joined(frames), [SIGNER.public, FORGER.public])
    assert report["ok"] and report["entries"] == 5 and [row["epoch"] for row in report["keys"]] == [0, 1]
    open_end = [frame for frame in frames if frame[0] != "checkpoint" or "/1\n" in frame[1]]
    report = verified(joined(open_end))
    assert report["verdicts"]["policy"] is False and report["unsealed"] == 3
    later_only = [frames[0], *frames[6:]]
    assert verified(joined(later_only))["verdicts"]["sequence"] is False


@pytest.mark.slow
def test_policy():
    storage = MemoryStorage()
    one = Log(storage, "T1", 0, SIGNER)
    readings(one, 181, step=900)
    frames = frames_of(storage)
    assert [frame[0] for frame in frames].count("checkpoint") == 3
    report = verified(joined(frames))
    assert report["ok"] and report["unsealed"] == 1
    middle = [i for i in range(len(frames)) if frames[i][0] == "checkpoint"][1]
    report = verified(joined(frames[:middle] + frames[middle + 1 :]))
    assert [name for name in VERDICTS if not report["verdicts"][name]] == ["policy"]

    storage = MemoryStorage()
    slow = Log(storage, "T1", 0, SIGNER)
    readings(slow, 40, step=60000)
    frames = frames_of(storage)
    assert verified(joined(frames))["ok"]
    report = verified(joined([frame for i, frame in enumerate(frames) if frame[0] != "checkpoint" or i == 17]))
    assert [name for name in VERDICTS if not report["verdicts"][name]] == ["policy"]


def remembering():
    """The openssl back end, which does not compute the same thing twice: most of a bundle stays as it was."""
    return {name: cache(OPENSSL[name]) if name != "hasher" else OPENSSL[name] for name in OPENSSL}


def flips(data, options, check, step=1):
    """Every step-th bit of data, flipped; check(changed bytes, position)."""
    for bit in range(0, 8 * len(data), step):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        check(verified(bytes(changed), options=options), bit // 8)
    return 8 * len(data)


def resealed_flips(options, step=1):
    """Every step-th bit of every frame but the header's free text, flipped, with an end that fits again."""
    frames = [cbor.encode(frame) for frame in witnessed()]
    whole = verified(joined(witnessed()), options=options)
    assert whole["ok"]
    count = 0
    for index in range(1, len(frames)):
        for bit in range(0, 8 * len(frames[index]), step):
            changed = bytearray(frames[index])
            changed[bit // 8] ^= 1 << bit % 8
            data = bundle.MAGIC
            for raw in [*frames[:index], bytes(changed), *frames[index + 1 :]]:
                data += len(raw).to_bytes(4, "big") + raw
            raw = cbor.encode(["end", len(frames), gm_backends.digest(data, "openssl")])
            report = verified(data + len(raw).to_bytes(4, "big") + raw, options=options)
            # a line of a signer that nobody knows says nothing, so losing a witness must show in the count
            assert not report["ok"] or report["cosignatures"] < whole["cosignatures"], (index, bit)
            count += 1
    return count


@pytest.mark.slow
def test_flipped_bits_never_verify():
    options = remembering()

    def check(report, position):
        assert report["ok"] is False and report["verdicts"]["encoding"] is False, position

    assert flips(joined(log()), options, check, step=43) > 9000
    assert resealed_flips(options, step=43) > 250


@pytest.mark.slow
def test_no_flipped_bit_ever_verifies(capsys):
    options = remembering()

    def check(report, position):
        assert report["ok"] is False, position

    count = flips(joined(witnessed()), options, check)
    again = resealed_flips(options)
    with capsys.disabled():
        print(f"\n{count} flipped bits and {again} with the end made to fit: none verified")


# --- the commands -----------------------------------------------------------------------------------------------------


def carbonterm(*arguments, lang="en"):
    """(exit code, stdout, stderr) of the command."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("CARBONTERM_LANG", lang)  # so that what the command sets is put back
        with pytest.raises(SystemExit) as ended:
            cli.main(["--lang", lang, *map(str, arguments)])
    return ended.value.code, out.getvalue(), err.getvalue()


@pytest.fixture
def terminal(tmp_path):
    """A terminal's data folder: 130 entries over two starts, two checkpoints, some entries behind them."""
    for start in range(2):
        one = Log(Folder(str(tmp_path / "data")), "T1", 0, SIGNER)
        readings(one, 65, T0 + start * 100000)
        one.storage.close()
    return tmp_path / "data"


@pytest.mark.slow
def test_pull_and_verify(terminal, tmp_path):
    file = tmp_path / "t.bundle"
    code, out, _ = carbonterm("pull", terminal, "-o", file, "--json")
    assert code == 0 and json.loads(out)["entries"] == 130 and json.loads(out)["torn"] == []
    code, out, _ = carbonterm("verify", file, "--json")
    report = json.loads(out)
    assert code == 0 and report["ok"] is True and set(report["verdicts"]) == set(VERDICTS)
    assert (report["entries"], report["unsealed"]) == (130, 10)
    for lang, words in (("en", ("verified", "yes", "tree")), ("zh", ("核验通过", "日志树", "是"))):
        code, out, _ = carbonterm("verify", file, "--backend", "openssl", "--key", SIGNER.public.hex(), lang=lang)
        assert code == 0 and all(word in out for word in words)
    code, out, _ = carbonterm("verify", file, "--key", FORGER.public.hex())
    assert code == 4 and "NOT verified" in out and "--key" in out


@pytest.mark.slow
def test_verify_of_what_is_no_good(terminal, tmp_path):
    file = tmp_path / "t.bundle"
    carbonterm("pull", terminal, "-o", file)
    data = bytearray(file.read_bytes())
    data[5000] ^= 1
    file.write_bytes(data)
    code, out, _ = carbonterm("verify", file, "--json")
    assert code == 4 and json.loads(out)["ok"] is False and json.loads(out)["verdicts"]["encoding"] is False
    assert json.loads(out)["verdicts"]["policy"] is None
    for content in (b"", b"PK\x03\x04" + bytes(100), bytes(data[:5000])):
        file.write_bytes(content)
        assert carbonterm("verify", file)[0] == 4
    for arguments in ((tmp_path / "none",), (tmp_path,), (file, "--key", "12"), (file, "--backend", "x"), ()):
        code, _, err = carbonterm("verify", *arguments)
        assert code == 2 and "→" in err, arguments


@pytest.mark.slow
def test_pull_of_a_torn_log(terminal, tmp_path):
    segment = terminal / "00000-0000000000.seg"
    segment.write_bytes(segment.read_bytes()[:-30])
    file = tmp_path / "t.bundle"
    code, out, err = carbonterm("pull", terminal, "-o", file)
    assert code == 0 and "129 entries" in out and "left out" in err and segment.name in err
    assert carbonterm("verify", file)[0] == 0


@pytest.mark.slow
def test_pull_of_what_is_no_good(terminal, tmp_path):
    file = tmp_path / "t.bundle"
    (tmp_path / "empty").mkdir()
    for arguments, wanted in (
        ((tmp_path / "none", "-o", file), 2), ((tmp_path / "empty", "-o", file), 1), ((terminal,), 2),
        ((terminal, "-o", tmp_path / "no" / "t.bundle"), 2),
    ):  # fmt: skip
        assert carbonterm("pull", *arguments)[0] == wanted, arguments
    segment = terminal / "00000-0000000000.seg"
    data = bytearray(segment.read_bytes())
    data[3000] ^= 1
    segment.write_bytes(data)
    code, _, err = carbonterm("pull", terminal, "-o", file)
    assert code == 1 and "fewer entries" in err and not file.exists() and not list(tmp_path.glob("*.new"))
    (terminal / "00000.pub").unlink()
    assert "no key file" in carbonterm("pull", terminal, "-o", file)[2]


@pytest.fixture
def handed_out(tmp_path):
    """A folder that `carbonterm bundle --openssl` wrote, of a cosigned log."""
    file, folder = tmp_path / "t.bundle", tmp_path / "out"
    file.write_bytes(joined(witnessed()))
    code, out, err = carbonterm("bundle", "--openssl", folder, file, "--json")
    assert code == 0, err
    assert json.loads(out)["signatures"] == 10
    return folder


def run_script(folder):
    done = subprocess.run(["sh", str(folder / "verify.sh")], capture_output=True, text=True, timeout=180)
    return done.returncode, done.stdout


def test_the_openssl_script(handed_out):
    code, out = run_script(handed_out)
    assert code == 0 and "10 of 10 signatures right, 0 wrong" in out
    assert len((handed_out / "verify.sh").read_text().splitlines()) <= 12
    assert "carbonterm" not in "".join((handed_out / "verify.sh").read_text().splitlines()[2:])


@pytest.mark.slow
def test_the_openssl_script_finds_every_changed_file(handed_out):
    files = [path for path in sorted(handed_out.rglob("*")) if path.is_file() and path.name != "verify.sh"]
    assert len(files) == 10 * 2 + 3
    for number, path in enumerate(files):
        data = path.read_bytes()
        if number % 2:
            changed = bytearray(data)
            changed[len(data) // 2] ^= 1
            path.write_bytes(changed)
        else:
            path.unlink()
        assert run_script(handed_out)[0] != 0, path
        path.write_bytes(data)
    assert run_script(handed_out)[0] == 0


def test_bundle_refuses(tmp_path):
    file = tmp_path / "t.bundle"
    file.write_bytes(joined(log()))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    assert carbonterm("bundle", "--openssl", tmp_path / "full", file)[0] == 2
    assert carbonterm("bundle", "--openssl", file, file)[0] == 2
    assert carbonterm("bundle", "--openssl", tmp_path / "a", tmp_path / "none")[0] == 2
    assert carbonterm("bundle", file)[0] == 2
    for name, change in (
        ("b", lambda f: f.pop(8)), ("c", lambda f: f.append(f[10])), ("d", lambda f: f[4].__setitem__(1, b"x")),
        ("e", lambda f: f[8].__setitem__(1, f[8][1].replace("\u2014 carbonterm", "\u2014 nobody"))),
    ):  # fmt: skip
        frames = log()
        change(frames)
        file.write_bytes(joined(frames))
        code, _, err = carbonterm("bundle", "--openssl", tmp_path / name, file)
        assert code == 4 and "→" in err, name
    file.write_bytes(joined(log())[:-1])
    assert carbonterm("bundle", "--openssl", tmp_path / "f", file)[0] == 4


def test_the_script_finds_a_wrong_signature(tmp_path):
    for number, change in enumerate((fork, lambda f: resign(f, 4), lambda f: f[4].__setitem__(2, bytes(64)))):
        frames = log()
        change(frames)
        file, folder = tmp_path / "t.bundle", tmp_path / str(number)
        file.write_bytes(joined(frames))
        assert carbonterm("bundle", "--openssl", folder, file)[0] == 0
        # a second history is signed by the terminal itself: only the tree shows it, and that needs carbonterm verify
        assert (run_script(folder)[0] == 0) == (number == 0)
        assert carbonterm("verify", file)[0] == 4


def test_the_posix_storage_reads_what_it_wrote(tmp_path):
    storage = Folder(str(tmp_path / "new"))
    storage.append("a", b"one")
    storage.append("b", b"two")
    storage.append("a", b"three")
    storage.sync("b")
    storage.sync("a")
    storage.replace("b", b"four")
    (tmp_path / "new" / "folder").mkdir()
    for reader in (storage, datafolder.DataFolder(tmp_path / "new")):
        assert sorted(reader.names()) == ["a", "b"] and reader.size("a") == 8
        assert (reader.read("a", 2, 4), reader.read("a", 6, 100), reader.read("b", 0, 9)) == (b"ethr", b"ee", b"four")
    storage.remove("a")
    assert storage.names() == ["b", "folder"][:1]
    for act in (partial(storage.size, "a"), partial(storage.read, "a", 0, 1), partial(storage.remove, "a")):
        with pytest.raises(OSError):
            act()
    storage.close()


@pytest.mark.parametrize("removed", (1, 2))
def test_an_interrupted_drop_leaves_a_log_that_can_be_pulled(removed):
    """Segments without a snapshot go together with those before them; a kill may leave some of them."""
    storage = MemoryStorage()
    log = Log(storage, "T1", 0, SIGNER, segment_size=300)
    for state in (None, list):  # a long run of settlements has no snapshots in it, later segments have
        log.state = state
        for _ in range(3):
            readings(log, 4)
    log.checkpoint()
    firsts = [first for _, first, _ in segments(storage)]
    assert len(firsts) == 6
    for first in firsts[:removed]:
        retention.remove(storage, 0, first)
    report = verified(joined(frames_of(storage)[:-1]), [SIGNER.public])
    assert report["begins"] == firsts[3] and all(report["verdicts"].values())
    for first in firsts[3:]:
        retention.remove(storage, 0, first)
    with pytest.raises(LedgerError, match=f"begins with entry {firsts[removed]}, but 0 should follow"):
        frames_of(storage)
