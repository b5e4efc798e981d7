"""A meter that was silent for months closes thousands of settlements at once: on 32 bit with a small heap, and the log
is what replay makes of it."""

import subprocess

import pytest

import runtimes
from carbonterm.gm import sm2
from carbonterm.ledger import entry
from carbonterm.ledger.segment import Log
from carbonterm.number import Number
from carbonterm.pipeline import Replay
from carbonterm.site import Site
from carbonterm_device.storage import Folder
from sites import document

PRIVATE = bytes(31) + b"\x07"
DAYS = 60


@pytest.mark.slow
@pytest.mark.requirement("T-12.4-2", part="an outage of months on a small device")
@pytest.mark.parametrize("runtime,heap", [("micropython", "640K"), ("micropython32", "384K")])
def test_months_of_silence(tmp_path, runtime, heap):
    try:
        command, environment = runtimes.command(runtime, heap=heap)
    except runtimes.Unavailable as reason:
        pytest.skip(str(reason))
    site = tmp_path / "site.bin"
    site.write_bytes(Site(document(terminal="T1")).canonical())
    done = subprocess.run(
        [*command, "tests/firmware/outage.py", str(tmp_path / "data"), str(DAYS), str(site)],
        cwd=runtimes.ROOT, env=environment, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert said["failed"] == "None" and int(said["closed"]) > 24 * DAYS * 2
    log = Log(Folder(str(tmp_path / "data")), "T1", 0, sm2.Signer(PRIVATE))
    replay = Replay()
    rows = [entry.decode(raw) for raw, _ in log.entries()]
    assert [found for found in map(replay.entry, rows) if found] == [] and replay.expected == []
    assert replay.pipeline.settlers[0].total == Number(900000 - 1000, -2)
    print(runtime, heap, done.stdout.split("\n"), log.size)
    log.storage.close()
