"""A terminal's keys on real MicroPython, with a real platform: from the request to rotation, backup and clone."""

import json
import shutil
import ssl

import httpx
import pytest

from carbonterm.ledger import checkpoint, entry
from carbonterm_host import bundles, site_yaml
from carbonterm_host.commands import pull
from carbonterm_host.firmware import Terminal
from carbonterm_host.platform import keys as platform_keys
from serving import Platform, get
from shell import carbonterm
from station import patient

YAML = """
terminal: T1
name: x
zone: Z
buses: []
meters: []
points: []
settings: {commit: 50ms}
centres: [{name: platform, url: "%s", ca: ca.der, public: "%s"}]
"""


@pytest.fixture
def centre(tmp_path):
    """A platform that knows one operator; its `client` checks the certificate, `key` is the operator's."""
    made = platform_keys.make_certificates(tmp_path)
    code, out, _ = carbonterm("key", "operator", "op.example", "-o", tmp_path / "op.key", "--json")
    assert code == 0
    public = json.loads(out)["public_key"]
    options = ("--operator", f"op.example:{public}", "--tls-cert", made["server.pem"], "--tls-key", made["server.key"])
    with Platform(tmp_path, *options) as started:
        started.operator, started.key, started.ca = public, tmp_path / "op.key", made["ca.pem"]
        yield started


def registered(centre, terminal, **options):
    """The terminal asks, the operator signs, the platform takes it; the registration goes into the data folder."""
    said = terminal.init(terminal="T1", operator="op.example", **options)
    file = terminal.data / f"{said['epoch']:05}.reg"
    done = carbonterm("key", "register", file, "--operator-key", centre.key, "--platform", centre.url, "--ca",
                      centre.ca, "-o", file)  # fmt: skip
    assert done[0] == 0, done
    return said


def made(centre, folder):
    file = folder.parent / f"{folder.name}.yaml"
    file.write_text(YAML % (centre.url, centre.public.hex()))
    terminal = Terminal(folder, site_yaml.compile_file(file).canonical())
    return terminal


@pytest.fixture
def terminal(centre, tmp_path):
    found = made(centre, tmp_path / "terminal")
    yield found
    if found.process and found.process.poll() is None:
        found.kill()


def delivered(epoch):
    return lambda status: status["epoch"] == epoch and all(
        row["epoch"] == epoch and row["backlog"] == 0 and row["cursor"] for row in status["centres"]
    )


def verify(centre, terminal, tmp_path, *more):
    file = tmp_path / "log.bundle"
    pull.to_file(terminal.data, file)
    code, out, _ = carbonterm("verify", file, "--operator", centre.operator, "--json", *more)
    return code, json.loads(out)


@pytest.mark.slow
@pytest.mark.requirement("T-7.4-2")
def test_a_rotation_is_delivered_and_the_old_key_erased(centre, terminal, tmp_path):
    registered(centre, terminal)
    terminal.start()
    terminal.wait(delivered(0))
    terminal.rotate()
    terminal.wait(delivered(1))
    terminal.wait(lambda status: not (terminal.data / "00000.key").exists())
    assert terminal.stop() == 0 and (terminal.data / "00001.key").exists()
    platform = ("--platform", centre.url, "--ca", centre.ca, "--centre", centre.public.hex())
    code, report = verify(centre, terminal, tmp_path, *platform)
    assert code == 0, report
    assert [row["known"] for row in report["keys"]] == [True, True] and report["verdicts"]["platform"] is True
    found = bundles.read(tmp_path / "log.bundle")
    kinds = [entry.KINDS[entry.decode(raw).kind] for raw, _ in found.entries]
    assert [kind for kind in kinds if kind != "audit"][:5] == ["start", "config", "key", "key", "config"]
    # a receipt of somebody else is no word of the platform
    code, out, _ = carbonterm("verify", tmp_path / "log.bundle", "--json", *platform[:4], "--centre", "01" * 64)
    assert code == 4 and json.loads(out)["verdicts"]["platform"] is False


@pytest.mark.slow
def test_a_restored_backup_signs_nothing(centre, terminal, tmp_path):
    registered(centre, patient(terminal))
    terminal.start()
    terminal.wait(delivered(0))
    terminal.stop()
    shutil.copytree(terminal.data, tmp_path / "backup")
    terminal.start()
    terminal.wait(delivered(0))
    terminal.stop()
    newest = get_receipt(centre)
    shutil.rmtree(terminal.data)
    shutil.copytree(tmp_path / "backup", terminal.data)
    before = sorted((path.name, path.read_bytes()) for path in terminal.data.iterdir())
    for _ in range(2):
        terminal.start()
        status = terminal.wait(lambda status: status["stopped"])
        assert "the log was set back" in status["stopped"] and "epoch 1" in status["stopped"]
        assert terminal.stop() == 0
    after = sorted((path.name, path.read_bytes()) for path in terminal.data.iterdir())
    assert [row for row in after if row[0] != "00000.stopped"] == before  # not one signature
    # the way out: a new epoch by the operator's word, in a new folder
    fresh = made(centre, tmp_path / "fresh")
    sealed, root = newest
    registered(centre, fresh, epoch=1, previous=f"{sealed}:{root.hex()}")
    fresh.start()
    fresh.wait(delivered(1))
    fresh.stop()
    code, report = verify(centre, fresh, tmp_path)
    assert code == 0 and report["notes"] == [
        f"epoch 1 follows {sealed} entries of epoch 0 by the word of operator op.example"
    ]  # fmt: skip


def get_receipt(centre):
    """(size, root) of the newest checkpoint that the platform cosigned."""
    head = checkpoint.parse(fetched(centre).checkpoint)
    return head.size, head.root


def fetched(centre, epoch=0):
    with httpx.Client(verify=ssl.create_default_context(cafile=centre.ca)) as client:
        return get(centre, "T1", epoch, client)[1]


@pytest.mark.slow
def test_a_clone_is_found_and_stops(centre, terminal, tmp_path):
    registered(centre, terminal)
    terminal.start()
    terminal.wait(delivered(0))
    terminal.stop()
    clone = made(centre, tmp_path / "clone")
    shutil.copytree(terminal.data, clone.data)
    centre.kill()
    for one in (terminal, clone):  # both go on while nobody looks
        one.start()
        one.wait(lambda status: status["entries"] > 2)
        one.kill()
    centre.start()
    terminal.start()
    terminal.wait(delivered(0))
    terminal.stop()
    clone.start()
    status = clone.wait(lambda status: status["stopped"])
    assert "two histories" in status["stopped"] or "set back" in status["stopped"]
    clone.stop()
    files = [tmp_path / "a.bundle", tmp_path / "b.bundle"]
    for one, file in zip((terminal, clone), files, strict=True):
        pull.to_file(one.data, file)
    code, out, _ = carbonterm("verify", *files, "--json")
    fork = json.loads(out)["fork"]
    assert code == 4 and fork["seq"] >= 2 and [row["signed"] for row in fork["leaves"]] == [True, True]
    code, out, _ = carbonterm("verify", *files)
    assert code == 4 and f"a FORK: entry {fork['seq']} of epoch 0" in out
