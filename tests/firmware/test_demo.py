"""`carbonterm demo`: the whole chain, with a SIGKILL in the middle, in a short run."""

import json
import os
import subprocess
import sys

import pytest

from carbonterm import clock
from carbonterm.ledger import entry as entries
from carbonterm.number import Number
from carbonterm_host import bundles

KEYS = {
    "readings", "entries", "uploaded", "lost", "duplicated", "tco2e", "verified", "openssl_verified", "replayed_equal",
    "runtime",
}  # fmt: skip


def carbonterm(*arguments, **options):
    command = [sys.executable, "-m", "carbonterm_host", *arguments]
    return subprocess.run(command, capture_output=True, text=True, **options)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "demo"
    done = carbonterm("demo", "--seconds", "20", "--json", "--folder", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.requirement("T-4-2", "T-4-5", "T-8.2.1-1", "T-9.1-1", "T-11.3-4")
@pytest.mark.requirement("T-7.6-1", part="a terminal that is killed once, in the whole chain")
@pytest.mark.requirement("T-4-1", part="terminal, platform, smart instruments, a third party's Modbus server")
def test_the_whole_chain(run):
    folder, said = run
    assert set(said) >= KEYS
    assert said["lost"] == said["duplicated"] == 0 and said["uploaded"] == said["entries"]
    assert said["verified"] is said["openssl_verified"] is said["replayed_equal"] is True
    assert said["readings"] > 12 and all(row["agrees"] and row["first"] != row["last"] for row in said["meters"])
    assert said["kills"] == 1 and "MicroPython" in said["runtime"]
    figures = {key: int(value.replace(".", "")) for key, value in said["tco2e"].items()}  # millionths of a tonne
    assert figures["scope1"] > 0 and figures["scope2"] > 0
    assert abs(figures["scope1"] + figures["scope2"] - figures["total"]) <= 1
    assert (folder / "demo.bundle").exists()


@pytest.mark.slow
@pytest.mark.requirement("T-4-2", "T-4-6")
def test_the_day_arrives_whole_and_is_shown(run):
    """The day that ended in the run: at the platform, a settlement of every point and the emissions of every source."""
    folder, _ = run
    logged = {}
    for raw, _ in bundles.read(folder / "demo.bundle").entries:
        entry = entries.decode(raw)
        if entry.kind == entries.EMISSION and entry.body[0] == clock.DAY:
            logged.update({row[0]: str(Number(row[3], row[2])) for row in entry.body[3]})
    shown = json.loads((folder / "platform.json").read_text())
    days = [row for row in shown["closings"] if row["period"] == "day"]
    assert sorted(row["point"] for row in days) == ["E1", "E2", "E3", "E4", "G1", "H1"]
    figures = [row["tco2e"] for row in shown["emissions"] if row["period"] == "day"]
    assert figures == [logged[index] for index in sorted(logged)] and len(figures) == 3
    page = (folder / "platform.html").read_text()
    assert all(figure in page for figure in figures)


@pytest.mark.slow
def test_what_it_leaves_can_be_checked_again(run, tmp_path):
    bundle = str(run[0] / "demo.bundle")
    for backend in ("core", "openssl"):
        done = carbonterm("verify", bundle, "--json", "--backend", backend)
        said = json.loads(done.stdout)
        assert done.returncode == 0 and said["ok"] and said["entries"] == run[1]["entries"]
    done = carbonterm("replay", bundle, "--json")
    said = json.loads(done.stdout)
    assert done.returncode == 0 and said["equal"] and said["tco2e"] == run[1]["tco2e"]
    data = bytearray((run[0] / "demo.bundle").read_bytes())
    data[len(data) // 2] ^= 1
    broken = tmp_path / "broken.bundle"
    broken.write_bytes(data)
    for command in ("verify", "replay"):
        assert carbonterm(command, str(broken)).returncode == 4


@pytest.mark.slow
def test_refusals(tmp_path):
    (tmp_path / "mine.txt").write_text("keep me")
    done = carbonterm("demo", "--folder", str(tmp_path), "--json")
    assert done.returncode == 2 and "not empty" in json.loads(done.stdout)["error"]
    assert (tmp_path / "mine.txt").read_text() == "keep me"
    assert carbonterm("demo", "--seconds", "3").returncode == 2
    elsewhere = {**os.environ, "CARBONTERM_MICROPYTHON": "/nowhere"}
    done = carbonterm("demo", "--folder", str(tmp_path / "new"), env=elsewhere)
    assert done.returncode == 3 and "CARBONTERM_MICROPYTHON=/nowhere" in done.stderr
