"""`carbonterm prove` and `trace`: every figure leads to its raw readings and comes out equal; every bit counts."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

import sites
from carbonterm.errors import LedgerError
from carbonterm.gm import sm2
from carbonterm.ledger import checkpoint, entry, proof, tree
from carbonterm.uplink.kept import keep
from carbonterm.uplink.message import Receipt
from carbonterm_host import bundles, gm_backends
from carbonterm_host.commands import trace as command
from carbonterm_host.commands.verify import proof_report, tools
from carbonterm_host.proofs import Book
from carbonterm_host.tracer import Tracer
from logs import HOUR, Written
from memory_storage import MemoryStorage
from seeded import Random
from shell import carbonterm, pulled

SIGNER = sm2.Signer(bytes(31) + b"\x07")
CENTRE = sm2.Signer(bytes(31) + b"\x08")
T0 = 1767196800000 - 8 * HOUR  # midnight of 2026-01-01 in China
FAST = tools(gm_backends.best())


def plant(seed=1, hours=60):
    """A log of two electricity meters and a gas meter over days: rollovers, gaps, late, backward and silent readings,
    borders hit and missed, a meter replaced."""
    random, storage = Random(seed), MemoryStorage()
    made = Written(storage, SIGNER, sites.document(), T0 - 90000)
    values, time_ms = [999000, 500, 7], T0 - 60000
    while time_ms < T0 + hours * HOUR:
        rows = []
        for point in range(3):
            values[point] += random.between(0, 900)
            shown = values[point] % (1000000 if point < 2 else 10**9)
            chance = random.between(0, 30)
            if chance == 0:
                rows.append((point, 0, 4, 0, None))
            elif chance == 1 and point != 2:
                rows.append((point, random.between(-500, 500), 0, -2, max(shown - 5, 0)))
            elif chance > 4:
                rows.append((point, random.between(-500, 500) * (chance % 2), 0, -2, shown))
        if rows:
            made.readings(time_ms, rows)
        step = random.between(0, 9)
        time_ms += HOUR - time_ms % HOUR if step == 0 else random.between(1, 9 if step == 1 else 2) * 1500000
        if random.between(0, 40) == 0:
            settler = made.pipeline.settlers[2]
            values[2] = 100
            last = settler.register.value.at(-2) + 50
            made.entry(time_ms - 700000, entry.METER, [2, entry.REPLACED, time_ms - 700000, -2, last, 100])
    made.log.commit()
    made.log.checkpoint()
    return storage


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("trace") / "t.bundle"
    path.write_bytes(pulled(plant(), "CT-TEST-1", ("centre.example", CENTRE)))
    return path


@pytest.mark.slow
@pytest.mark.requirement("T-9.2-5", "P-4.2-2")
@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 3, 4, 5))])
def test_every_figure_leads_to_its_readings(seed, tmp_path):
    (tmp_path / "t.bundle").write_bytes(pulled(plant(seed), "CT-TEST-1"))
    tracer = Tracer(Book(bundles.read(tmp_path / "t.bundle")))
    assert not tracer.wrong and len(tracer.figures) > 150
    assert {one.kind for one in tracer.figures} == {entry.CLOSING, entry.EMISSION}
    for one in tracer.figures:
        assert tracer.equal(one), command._named(one)
        out = command.trace(tracer, one, everything=True)
        assert out["ok"], out
        parts = [out] if one.kind == entry.CLOSING else [p for a in out["activity"] for p in a["points"]]
        for part in parts:
            rows = part["readings"]["rows"]
            assert len(rows) == part["readings"]["believed"] + part["readings"]["held"]
            for row in rows:
                held = tracer.book.entries[tracer.book.find(row["seq"], row["epoch"])]
                if held.kind == entry.READINGS:
                    reading = held.body[0][row["row"]]
                    number = command.Number(reading[4], reading[3])
                    assert str(number) == row["value"] and held.body[1].hex() == row["frames"]
                else:
                    assert held.kind == entry.METER and row["verdict"] == "meter event"


@pytest.mark.slow
@pytest.mark.requirement("T-9.2-5", "P-4.2-2", part="every figure of the demo's bundle")
def test_every_figure_of_a_demo(tmp_path):
    code, _, err = carbonterm("demo", "--seconds", "12", "--folder", tmp_path / "demo", "--json")
    assert code == 0, err
    file = tmp_path / "demo" / "demo.bundle"
    figures = json.loads(carbonterm("trace", file, "--list", "--json")[1])["figures"]
    assert len(figures) >= 12
    for one in figures:
        code, out, _ = carbonterm("trace", file, one["figure"], "--json", "--all")
        found = json.loads(out)
        assert code == 0 and found["ok"] is True and one["value"] in [row["value"] for row in found["figures"]]
    assert carbonterm("trace", file, figures[0]["figure"])[0] == 0


@pytest.mark.slow
def test_ways_to_name_a_figure(file):
    listed = json.loads(carbonterm("trace", file, "--list", "--json")[1])["figures"]
    assert listed[0]["figure"] in carbonterm("trace", file, "--list")[1]
    one = next(row for row in listed if row["kind"] == "emission")
    for arguments in ((one["figure"],), one["figure"].split(), (one["seq"],), (f"{one['epoch']}/{one['seq']}",)):
        code, out, _ = carbonterm("trace", file, *arguments, "--json")
        found = json.loads(out)
        assert code == 0 and one["figure"] in [row["figure"] for row in found["figures"]]
    trace = next(row for row in found["figures"] if row["figure"] == one["figure"])
    assert trace["recomputed"]["equal"] and trace["recomputed"]["rounded"] == trace["value"]
    assert trace["checkpoint"]["cosignatures"] and trace["site"]["digest"]
    assert {"method", "version", "formula", "constants"} <= trace["source"].keys()


@pytest.mark.slow
def test_the_tree_on_a_screen(file):
    said = {"en": ("recomputed", "frames SM3", "every step holds"), "zh": ("重算", "仪表", "各级均一致")}
    for lang, words in said.items():
        code, out, _ = carbonterm("trace", file, "electricity", "day", "2026-01-01", lang=lang)
        assert code == 0 and all(word in out for word in words), out
        assert max(sum(2 if ord(c) > 0x2E7F else 1 for c in line) for line in out.split("\n")) <= 80


@pytest.mark.slow
def test_trace_refuses(file, tmp_path):
    for arguments in (
        (), ("electricity",), ("99999",), ("0",), ("7/3",), ("electricity", "day", "2026-13-01"),
        ("electricity", "day", "2026-01-01T00"), ("nobody", "day", "2026-01-01"), ("electricity", "decade", "2020"),
        ("3", "--list"),
    ):  # fmt: skip
        code, _, err = carbonterm("trace", file, *arguments)
        assert code in (1, 2) and "→" in err, arguments
    (tmp_path / "cut").write_bytes(file.read_bytes()[:-9])
    assert carbonterm("trace", tmp_path / "cut", "--list")[0] == 4
    assert carbonterm("trace", tmp_path / "none", "--list")[0] == 2


@pytest.mark.slow
def test_a_changed_reading_shows(file, tmp_path):
    """The terminal's own key signs a log whose figure is not what its readings give: replay and trace say so."""
    found = bundles.read(file)
    tracer = Tracer(Book(found))
    figure = next(one for one in tracer.figures if one.kind == entry.CLOSING)
    one = tracer.book.entries[figure.index]
    one.body[2][figure.row][3] += 1
    raw = entry.encode(one.terminal_id, one.epoch, one.seq, one.time_ms, one.clock_state, one.kind, one.body)
    found.entries[figure.index] = (raw, SIGNER.sign(raw))
    again = Tracer(Book(found))
    bad = next(row for row in again.figures if (row.index, row.row) == (figure.index, figure.row))
    out = command.trace(again, bad)
    assert not again.equal(bad) and out["ok"] is False
    assert out["increment"]["equal"] is False and out["settlement"]["proof"]["ok"] is False


@pytest.mark.slow
@pytest.mark.requirement("T-11.12-1", part="one record with its proof, checked without the log")
def test_prove_and_verify(file, tmp_path):
    out = tmp_path / "one.proof"
    for seq in (0, 1, 30):
        code, text, _ = carbonterm("prove", file, seq, "-o", out, "--json")
        made = json.loads(text)
        assert code == 0 and made["seq"] == seq and made["cosigned"] == ["centre.example"]
        code, text, _ = carbonterm("verify", out, "--json", "--key", SIGNER.public.hex())
        report = json.loads(text)
        assert code == 0 and report["ok"] is True and report["entry"]["seq"] == seq
        assert set(report["verdicts"]) == set(proof.VERDICTS)
    assert carbonterm("prove", file, 3, "--epoch", 0, "-o", out)[0] == 0
    for lang, word in (("en", "verified"), ("zh", "核验通过")):
        assert word in carbonterm("verify", out, lang=lang)[1]
    assert carbonterm("verify", out, "--key", CENTRE.public.hex())[0] == 4
    for arguments in ((10**6, "-o", out), (0, "--epoch", 4, "-o", out), (0, "-o", tmp_path / "no" / "x"), (0,)):
        code, _, err = carbonterm("prove", file, *arguments)
        assert code == 2 and "→" in err
    out.write_bytes(out.read_bytes()[:-1])
    code, text, _ = carbonterm("verify", out, "--json")
    verdicts = json.loads(text)["verdicts"]
    assert code == 4 and verdicts["encoding"] is False and verdicts["tree"] is None
    out.write_bytes(out.read_bytes() + bytes(1 << 20))
    assert carbonterm("verify", out)[0] == 4


@pytest.mark.slow
def test_no_proof_without_a_checkpoint(tmp_path):
    storage = MemoryStorage()
    made = Written(storage, SIGNER, sites.document(), T0)
    made.log.commit()
    (tmp_path / "t.bundle").write_bytes(pulled(storage, "CT-TEST-1"))
    code, _, err = carbonterm("prove", tmp_path / "t.bundle", 0, "-o", tmp_path / "p")
    assert code == 2 and "no checkpoint" in err and not (tmp_path / "p").exists()


@pytest.mark.slow
def test_proofs_of_a_log_whose_beginning_was_dropped():
    """Its first entry is a snapshot with the full subtrees before it: all later entries can still be proven."""
    for first in (1, 6, 8, 13):
        found, leaves = bundles.Bundle(), tree.Tree(FAST["digest"])
        found.terminal_id, found.keys = "T1", {0: SIGNER.public}
        for seq in range(first + 9):
            body = [list(leaves.state()[1]), []] if seq == first else ["a", "b", str(seq)]
            kind = entry.SNAPSHOT if seq == first else entry.AUDIT
            raw = entry.encode("T1", 0, seq, T0 + seq, 3, kind, body)
            leaves.append(tree.leaf(raw, FAST["digest"]))
            if seq >= first:
                found.entries.append((raw, SIGNER.sign(raw)))
        head = checkpoint.body("T1", 0, leaves.size, leaves.root())
        found.checkpoints = [checkpoint.signed(head, checkpoint.origin("T1", 0), SIGNER.public, SIGNER.sign)]
        book = Book(found)
        assert all(book.report(index)["ok"] for index in range(9))
        with pytest.raises(LedgerError, match="no entry"):
            book.find(first - 1)
    found.entries.pop(0)
    with pytest.raises(LedgerError, match="no snapshot"):
        Book(found)


@pytest.mark.slow
def test_pull_brings_receipts_and_cosignatures(tmp_path):
    """What a centre gave last is in the bundle: its key, its receipt, its line in the checkpoint it brought back."""
    storage = MemoryStorage()
    made = Written(storage, SIGNER, sites.document(), T0)
    made.log.commit()
    text = made.log.checkpoint() or made.log.last_checkpoint
    head = checkpoint.parse(text)
    for wrong in (False, True):
        signer = SIGNER if wrong else CENTRE
        cosigned = checkpoint.cosigned(text, "centre.example", CENTRE.public, T0 // 1000, signer.sign)
        receipt = Receipt.make("centre.example", "CT-TEST-1", 0, head.size, head.root, T0, cosigned, CENTRE.sign)
        keep(storage, CENTRE.public, receipt)
        (tmp_path / "t.bundle").write_bytes(pulled(storage, "CT-TEST-1"))
        report = json.loads(carbonterm("verify", tmp_path / "t.bundle", "--json")[1])
        assert report["ok"] and (report["receipts"], report["cosignatures"]) == (1, 0 if wrong else 1)


@pytest.mark.slow
@pytest.mark.requirement("T-11.12-1", part="no bit of a proof can be changed")
def test_every_bit_of_a_proof(file):
    data = proof.encode(Book(bundles.read(file)).prove(5))
    report = partial(proof_report, trusted=(), options=FAST)
    assert report(data)["ok"] is True
    passed = []
    for at in range(len(data) * 8):
        bad = bytearray(data)
        bad[at // 8] ^= 1 << at % 8
        if report(bytes(bad))["ok"]:
            passed.append(at)
    print(f"{len(data) * 8} bits flipped, {len(passed)} passed")
    assert passed == []


@pytest.mark.slow
def test_the_vectors_are_what_the_tool_writes(tmp_path):
    root = Path(__file__).parent.parent.parent
    subprocess.run([sys.executable, root / "tools/log_vectors.py", tmp_path / "log.json"], check=True, cwd=root)
    assert (tmp_path / "log.json").read_bytes() == (root / "tests/vectors/log.json").read_bytes()


BOMBS = """
import io, resource, sys
from carbonterm import cbor
from carbonterm.gm import sm3
from carbonterm.ledger import bundle, proof
from carbonterm.errors import LedgerError
from carbonterm_host.commands.verify import proof_report, tools
from carbonterm_host.verifier import Verifier

resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
OPTIONS = tools("openssl")

class Endless:
    "As long as anybody reads."
    def __init__(self, begin, more):
        self.begin, self.more, self.given = io.BytesIO(begin), more, 0
    def read(self, count):
        data = self.begin.read(count) or (self.more * (count // len(self.more) + 1))[:count]
        self.given += len(data)
        return data

def frame(value):
    raw = cbor.encode(value)
    return len(raw).to_bytes(4, "big") + raw

head = bundle.MAGIC + frame(["header", "T1", "x"])
key = frame(["key", 0, bytes(64)])
wide = b"\\x9a" + (bundle.MAX_FRAME - 5).to_bytes(4, "big") + b"\\x80" * (bundle.MAX_FRAME - 5)
cases = [
    head + b"\\xff\\xff\\xff\\xff", head + (1 << 30).to_bytes(4, "big"),
    head + len(wide).to_bytes(4, "big") + wide,
    head + (9).to_bytes(4, "big") + b"\\x9b" + b"\\xff" * 8,
    head + (9).to_bytes(4, "big") + b"\\x5b\\x00\\x00\\x00\\xff" + bytes(4),
    head + (5000).to_bytes(4, "big") + b"\\x81" * 5000,
    head + b"".join(frame(["key", i, i.to_bytes(64, "big")]) for i in range(60000)),
    head + key + frame(["entry", b"\\x9a\\x00\\x04\\x00\\x00" + b"\\x80" * (1 << 18), bytes(64)]),
    head + key + frame(["checkpoint", "\\n" * 8192]), head + frame(["receipt", bytes(1 << 18), bytes(64)]),
]
for data in cases:
    for more in (b"\\x00", b"\\xff", b"\\x80", key):
        file = Endless(data, more)
        one = Verifier(**OPTIONS)
        if more != key or len(data) > 100000:
            one.read(file)
            assert one.report()["ok"] is False and file.given < 12 << 20, (data[:80], file.given)
begin = b"\\x8b\\x72carbonterm-proof-1"
for more in (b"\\x9a\\xff\\xff\\xff\\xff", b"\\x5b" + b"\\x7f" * 8, b"\\x81" * 100000,
             b"\\x80" * (proof.MAX_PROOF - 20), b"\\x80" * (64 << 20)):
    report = proof_report(begin + more, [], OPTIONS)
    assert report["ok"] is False and report["verdicts"]["encoding"] is False
print("bounded")
"""


@pytest.mark.slow
def test_bombs_have_bounds():
    """Hostile lengths, nesting and counts: a verdict, within 400 MB and a minute of processor time."""
    done = subprocess.run([sys.executable, "-c", BOMBS], capture_output=True, text=True, timeout=200)
    assert done.stdout == "bounded\n", done.stderr[-2000:]
