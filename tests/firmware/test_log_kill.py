"""The terminal on real MicroPython against SIGKILL at random moments: what was acknowledged is there, once, unchanged,
and verifies. A seeded part of `make torture`'s sweep of kills (tools/torture/kills.py).
"""

import subprocess

import pytest

import runtimes
from carbonterm.gm import sm2
from carbonterm.ledger import entry
from carbonterm.ledger.segment import Log
from carbonterm_device.storage import Folder
from tools.torture import kills
from tools.torture.__main__ import Unavailable

SEED = 76


def started(folder, seed):
    try:
        command, environment = runtimes.command("micropython")
    except runtimes.Unavailable as reason:
        pytest.skip(str(reason))
    return subprocess.Popen(
        [*command, "tests/firmware/append.py", str(folder), str(seed)],
        cwd=runtimes.ROOT, env=environment, stdout=subprocess.PIPE,
    )  # fmt: skip


def said(process, wanted):
    """All that the process printed until a line began with `wanted`, at which it is killed."""
    out = b""
    while (b"\n" + out).find(b"\n" + wanted.encode()) < 0:
        data = process.stdout.read1(65536)
        assert data, out
        out += data
    process.kill()
    out += process.stdout.read()
    process.wait()
    return out.decode()


def last(lines, word):
    """The last number that a whole line gave for `word`, or 0."""
    return max([int(line.split()[1]) for line in lines if line.startswith(word + " ")], default=0)


@pytest.mark.slow
@pytest.mark.requirement("T-8.2.1-1", part="SIGKILL at random moments of a terminal that runs")
@pytest.mark.parametrize(("runtime", "count"), (("micropython", 16), ("micropython32", 6)))
def test_killed_at_random_moments(runtime, count):
    try:
        (row,) = kills.run(SEED, count, runtime)
    except Unavailable as reason:
        pytest.skip(str(reason))
    print(row["note"])
    assert row["cases"] == count and row["violations"] == 0, row["failing"]


def test_micropython_goes_on_with_a_cut_log(tmp_path):
    """MicroPython recovers what another runtime wrote and something cut: the files are the same on all of them."""
    writer = Log(Folder(str(tmp_path)), "T1", 0, sm2.Signer(bytes(31) + b"\x07"))
    for seq in range(3):
        writer.append(1750000000000 + seq, 1, entry.READINGS, [[], None])
        writer.commit()
    writer.storage.close()
    segment = tmp_path / "00000-0000000000.seg"
    segment.write_bytes(segment.read_bytes()[:-10])
    process = started(tmp_path, 1)
    lines = said(process, "ack").split("\n")
    assert lines[0] == "found 2"
    log = Log(Folder(str(tmp_path)), "T1", 0, sm2.Signer(bytes(31) + b"\x07"))
    found = [entry.decode(raw) for raw, _ in log.entries()]
    assert (found[2].kind, found[2].body[:2]) == (entry.GAP, ["torn", segment.name])
    assert found[3].kind == entry.START and len(found) >= last(lines[:-1], "ack")
    log.storage.close()
