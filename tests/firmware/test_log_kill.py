"""The log on real MicroPython against SIGKILL at random moments: what was acknowledged is there, once, in order, and
verifies.

A kill keeps the page cache, so it proves the order of writes and the recovery, not the flush; power cuts are simulated
byte by byte in tests/protocols/test_segment.py.
"""

import io
import random
import selectors
import subprocess
import time

import pytest

import runtimes
from carbonterm.gm import sm2
from carbonterm.ledger import bundle, entry
from carbonterm.ledger.segment import Log
from carbonterm_device.storage import Folder
from carbonterm_host import datafolder
from carbonterm_host.commands.verify import tools
from carbonterm_host.verifier import Verifier

ROUNDS = 24
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


def said(process, seconds):
    """All that the process printed until `seconds` after its first line, at which it is killed."""
    out = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        end = time.monotonic() + 60
        while (left := end - time.monotonic()) > 0:
            if selector.select(left):
                data = process.stdout.read1(65536)
                if not data:
                    break
                if not out:
                    end = time.monotonic() + seconds
                out += data
    process.kill()
    out += process.stdout.read()
    process.wait()
    return out.decode()


def last(lines, word):
    """The last number that a whole line gave for `word`, or 0."""
    return max([int(line.split()[1]) for line in lines if line.startswith(word + " ")], default=0)


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path):
    dice = random.Random(SEED)
    folder = tmp_path / "data"
    acknowledged = sealed = 0
    for number in range(ROUNDS):
        process = started(folder, SEED + number)
        lines = said(process, dice.uniform(0, 0.12)).split("\n")[:-1]  # the last line may be cut
        assert lines and lines[0].startswith("found "), f"round {number} of seed {SEED}: {lines}"
        assert last(lines, "found") >= acknowledged, f"round {number} of seed {SEED}"
        acknowledged = max(acknowledged, last(lines, "ack"))
        sealed = max(sealed, last(lines, "sealed"))

    log = Log(Folder(str(folder)), "T1", 0, sm2.Signer(bytes(31) + b"\x07"))
    assert log.size >= acknowledged and log.sealed >= sealed
    found = [entry.decode(raw) for raw, _ in log.entries()]
    assert [one.seq for one in found] == list(range(log.size))
    starts = [one for one in found if one.kind == entry.START]
    gaps = [one for one in found if one.kind == entry.GAP]
    log.append(found[-1].time_ms, 1, entry.START, ["0.1.0", "test", "restart", log.size])
    log.checkpoint()
    log.storage.close()

    file = io.BytesIO()
    writer = bundle.Writer(file, "T1", "test")
    pulled = datafolder.pull(datafolder.DataFolder(folder), writer)
    writer.end()
    verifier = Verifier(**tools("openssl"))
    file.seek(0)
    verifier.read(file)
    report = verifier.report()
    assert report["ok"], report["reasons"]
    assert report["entries"] == log.size and report["unsealed"] == 0 and len(pulled.torn) == len(gaps)
    print(f"{ROUNDS} kills, {len(starts)} starts, {acknowledged} acknowledged, {log.size} found, {len(gaps)} cuts")
    assert log.size > ROUNDS


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
    lines = said(process, 0.3).split("\n")
    assert lines[0] == "found 2"
    log = Log(Folder(str(tmp_path)), "T1", 0, sm2.Signer(bytes(31) + b"\x07"))
    found = [entry.decode(raw) for raw, _ in log.entries()]
    assert (found[2].kind, found[2].body[:2]) == (entry.GAP, ["torn", segment.name])
    assert found[3].kind == entry.START and len(found) >= last(lines[:-1], "ack")
    log.storage.close()
