"""Files from outside: no name in them becomes a path, and a folder that lost entries is not pulled in silence."""

import json

import pytest

from carbonterm.errors import LedgerError
from carbonterm.gm import sm2
from carbonterm.ledger import bundle, checkpoint, entry
from carbonterm.ledger.segment import Log
from carbonterm.uplink.kept import keep
from carbonterm.uplink.message import Receipt
from memory_storage import MemoryStorage
from shell import carbonterm, pulled

SIGNER = sm2.Signer(bytes(31) + b"\x07")
CENTRE = sm2.Signer(bytes(31) + b"\x08")
T0 = 1750000000000
NAMES = ("../../../../tmp/evil", "/etc/passwd", "..", "C:\\evil", "a;touch$IFS-evil", "$(touch${IFS}evil)", "`id`",
         "-rf", "key-0.pem", "entries/00000-0000000000.cbor", "verify.sh", "CON")  # fmt: skip


def storage(count=3):
    found = MemoryStorage()
    log = Log(found, "T1", 0, SIGNER)
    for i in range(count):
        log.append(T0 + i, 3, entry.AUDIT, ["../../who", "/etc/passwd", "$(touch evil)"])
    log.checkpoint()
    return found, log


@pytest.mark.parametrize("name", NAMES)
def test_no_name_in_a_bundle_becomes_a_path(tmp_path, name):
    """A centre may call itself what it likes; `bundle --openssl` writes its files by numbers, inside the folder."""
    assert checkpoint.is_name(name)
    file, home = tmp_path / "t.bundle", tmp_path / "home"
    home.mkdir()
    file.write_bytes(pulled(storage()[0], "T1", (name, CENTRE)))
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    code, out, err = carbonterm("bundle", "--openssl", home / "out", file, "--json")
    assert code == 0 and json.loads(out)["signatures"] == 5, err
    new = sorted({str(path) for path in tmp_path.rglob("*")} - set(before))
    written = sorted(str(path.relative_to(home / "out")) for path in (home / "out").rglob("*") if path.is_file())
    assert all(path.startswith(str(home / "out")) for path in new)
    assert written == [
        "centre-0.pem", "checkpoints/00000-0000000003-centre-0.txt", "checkpoints/00000-0000000003-centre-0.txt.sig",
        "checkpoints/00000-0000000003.txt", "checkpoints/00000-0000000003.txt.sig",
        *[f"entries/00000-{i:010}.cbor{end}" for i in range(3) for end in ("", ".sig")],
        "key-0.pem", "list", "verify.sh",
    ]  # fmt: skip
    assert name not in (home / "out/list").read_text().split() or name in written
    assert name not in (home / "out/verify.sh").read_text() or name in ("..", "-rf", "verify.sh", "CON")


@pytest.mark.parametrize("terminal_id", ("../T1", "T1/..", "/T1", "T 1", "T1\nrm", "", ".", "-rf", "T" * 33))
def test_a_terminal_id_is_no_path(terminal_id, tmp_path):
    with pytest.raises(LedgerError):
        bundle.Writer(open(tmp_path / "x", "wb"), terminal_id, "x")  # noqa: SIM115 - nothing is written


def test_a_folder_with_fewer_entries_than_a_receipt():
    found, log = storage()
    root = log._tree.root()
    keep(found, CENTRE.public, Receipt.make("c", "T1", 0, 4, root, T0, None, CENTRE.sign))
    with pytest.raises(LedgerError, match="fewer entries than the 4 in a receipt of c") as caught:
        pulled(found, "T1")
    assert caught.value.hint
    keep(found, CENTRE.public, Receipt.make("c", "T1", 0, 3, root, T0, None, CENTRE.sign))
    assert pulled(found, "T1")
    keep(found, CENTRE.public, Receipt.make("c", "T1", 1, 9, root, T0, None, CENTRE.sign))  # of an epoch not here
    assert pulled(found, "T1")
