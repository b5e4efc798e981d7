"""A heap of 256 KB is enough for the log: 32-bit MicroPython recovers thousands of entries, signs, appends, proves."""

import subprocess

import pytest

import runtimes
from carbonterm.gm import sm2
from carbonterm.ledger import entry
from carbonterm.ledger.segment import Log
from carbonterm_device.storage import Folder
from carbonterm_host import gm_backends
from carbonterm_host.commands.verify import proof_report, tools

PRIVATE = bytes(31) + b"\x07"
COUNT, MORE = 2500, 200


class Quick(sm2.Signer):
    """Signs by OpenSSL where it can, so that the test's own part is short."""

    def sign(self, message, extra=b""):
        if gm_backends.best() == "openssl":
            return gm_backends.sign(PRIVATE, message, "openssl")
        return super().sign(message, extra)


@pytest.mark.slow
@pytest.mark.requirement("T-11.12-1", part="a proof made with 256 KB of memory")
@pytest.mark.parametrize("state", [None, lambda: ["state"]], ids=["whole", "snapshots"])
def test_a_small_heap(tmp_path, state):
    try:
        command, environment = runtimes.command("micropython32", heap="256K")
    except runtimes.Unavailable as reason:
        pytest.skip(str(reason))
    log = Log(Folder(str(tmp_path)), "T1", 0, Quick(PRIVATE), segment_size=65536, state=state)
    for i in range(COUNT):
        rows = [[point, 0, 0, -3, 1000 * i + point] for point in range(6)]
        log.append(1750000000000 + 1000 * i, 3, entry.READINGS, [rows, bytes(32)])
        if i % 10 == 9:
            log.commit()
    log.storage.close()
    wanted = [0, 777, log.size - 1, log.size + MORE - 1]
    done = subprocess.run(
        [*command, "tests/firmware/small.py", str(tmp_path), *map(str, wanted)],
        cwd=runtimes.ROOT, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-2000:]
    lines = [line.split() for line in done.stdout.split("\n")]
    assert lines[0] == ["found", str(log.size)] and int(lines[1][1]) >= log.size + MORE
    proofs = {int(line[1]): bytes.fromhex(line[2]) for line in lines if line[:1] == ["proof"]}
    assert sorted(proofs) == sorted(wanted)
    for seq, data in proofs.items():
        report = proof_report(data, [sm2.public(PRIVATE)], tools(gm_backends.best()))
        assert report["ok"] and report["entry"]["seq"] == seq, report
    print(done.stdout.split("peak")[1].strip(), "bytes in use at most")
