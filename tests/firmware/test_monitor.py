"""The real firmware on MicroPython under faults that are put in: each is located by its code, at the thing it is of, is
in the error log with time, code and text, in the signed log, and there again after the power failed."""

import json
import os
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import disks
from carbonterm.clock import parse
from carbonterm.ledger import entry as entries
from carbonterm_device import selfcheck
from carbonterm_host import bundles, desk, runtime, site_yaml
from carbonterm_host.commands import pull
from carbonterm_host.commands import status as command
from carbonterm_host.commands.replay import replay
from carbonterm_host.firmware import Terminal
from carbonterm_host.platform.keys import make_certificates
from loop import Loop, server_context
from loopback import free_port
from ptyline import PtyLine, modbus_meter
from serving import Platform
from shell import carbonterm

SITE = """\
terminal: CT-MON-1
name: 状态监视
zone: "+08:00"
buses:
  - {name: line, kind: serial, device: DEVICE, baud: 19200, timeout: 2s, retries: 0, gap: 5ms}
  - {name: lan, kind: modbus-tcp, host: 127.0.0.1, port: PORT, timeout: 5s}
meters:
  - {name: gas, bus: line, unit: 3, model: generic-gas-modbus}
  - {name: air, bus: line, unit: 4, model: generic-gas-modbus, certificate: {number: J-1, authority: 省计量院,
     date: 2019-03-01, due: 2020-03-01, result: 合格}}
  - {name: far, bus: lan, unit: 1, model: generic-gas-modbus}
points:
  - {name: F3, meter: gas, register: flow, every: 200ms}
  - {name: F4, meter: air, register: flow, every: 200ms}
  - {name: X1, meter: far, register: flow, every: 1s}
settings: {closings: [day], commit: 50ms}
"""
SECONDS = 180  # so long a fault may take to be seen where everything else is busy


class Moody:
    """A meter of the line that works, is dead, garbles its answers, or refuses."""

    def __init__(self, unit):
        self.mood = "works"
        self.baud, self._answer = modbus_meter(unit, {(3, 4): ("230.1", "float32", "ABCD")}, 19200)
        self._unit = unit

    def answer(self, data):
        said = self._answer(data)
        if self.mood == "dead" or not said:
            return None
        if self.mood == "garbles":
            return bytes(byte ^ 0x5A for byte in said)
        return modbus_meter(self._unit, {}, 19200)[1](data) if self.mood == "refuses" else said


def codes(status):
    return {(row["code"], row["where"]) for row in status["faults"]}


def shows(*wanted):
    return lambda status: set(wanted) <= codes(status)


@pytest.mark.slow
@pytest.mark.requirement("T-10.6.1-1", part="faults of meters and lines located by their codes")
@pytest.mark.requirement("T-10.6.2-5")
def test_each_fault_of_meters_and_lines_has_its_code_and_is_in_the_error_log(tmp_path):
    gas, air = Moody(3), Moody(4)
    with PtyLine([(gas.baud, gas.answer), (air.baud, air.answer)]) as line:
        text = SITE.replace("DEVICE", line.path).replace("PORT", str(free_port()))
        terminal = Terminal(tmp_path / "t", site_yaml.compile_text(text).canonical(), maintenance=True)
        terminal.start()
        try:
            first = terminal.wait(shows(("F105", "lan"), ("F702", "air")), SECONDS)
            for mood, code in (("dead", "F101"), ("garbles", "F102"), ("refuses", "F103")):
                gas.mood = mood
                terminal.wait(shows((code, "gas")), SECONDS)
            gas.mood = "works"
            terminal.wait(lambda status: not [one for one in codes(status) if one[1] == "gas"], SECONDS)
            gas.mood = air.mood = "dead"
            seen = terminal.wait(shows(("F104", "line")), SECONDS)
            terminal.wait(lambda status: status["entries"] > seen["entries"] + 2, SECONDS)  # it is durable
            terminal.kill()
            gas.mood = air.mood = "works"
            terminal.start()
            terminal.wait(lambda status: status["readings"] > first["readings"] and shows(("F105", "lan"))(status),
                          SECONDS)  # fmt: skip
            with desk.Desk.at(str(terminal.folder), "测试") as asked:
                (answer,) = asked.ask({"do": "errors"})
                (faults,) = asked.ask({"do": "faults"})
        finally:
            terminal.stop()
    known = {(row["code"], row["where"]): row for row in answer["errors"]}
    for code, where in (("F101", "gas"), ("F102", "gas"), ("F103", "gas"), ("F104", "line")):
        row = known[code, where]
        assert not row["active"] and row["first_ms"] >= parse("2020-01-01T00:00:00Z") and row["count"] >= 1, row
        assert row["text"] and row["name"].count("·") == row["do"].count("·") == 1, row
    assert "unit 3" in known["F101", "gas"]["text"] and "illegal data address" in known["F103", "gas"]["text"]
    assert known["F105", "lan"]["active"] and known["F105", "lan"]["count"] >= 2  # once before the power failed
    assert ("F702", "air") in {(row["code"], row["where"]) for row in faults["faults"]}
    pull.to_file(terminal.data, tmp_path / "log.bundle")
    found = bundles.read(tmp_path / "log.bundle").entries
    told = [one.body for one in map(entries.decode, (raw for raw, _ in found)) if one.kind == entries.AUDIT]
    told = [body[1:] for body in told if body[0] == "monitor"]
    assert [detail for what, detail in told if what == "fault" and detail.startswith("F103 gas: ")]
    assert ["fault over", "F103 gas"] in told
    assert len([1 for what, detail in told if what == "fault" and detail.startswith("F105 lan")]) <= 2
    assert replay(found)[1] == []


@pytest.mark.slow
@pytest.mark.requirement("T-10.6.1-1", part="faults of line, clock and storage located by their codes")
def test_a_line_that_is_pulled_a_clock_without_time_and_a_full_storage(tmp_path):
    meter = modbus_meter(3, {(3, 4): ("230.1", "float32", "ABCD")}, 19200)
    data = tmp_path / "t" / "data"
    data.mkdir(parents=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", data], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    try:
        with PtyLine([meter]) as line:
            text = SITE.replace("DEVICE", line.path).replace("PORT", str(free_port()))
            document = site_yaml.compile_text(text).canonical()
            terminal = Terminal(tmp_path / "t", document, offset_ms=-parse("2026-01-01T00:00:00Z"))
            terminal.start()
            terminal.wait(lambda status: shows(("F401", "clock"))(status) and status["readings"] > 3, SECONDS)
            terminal.set_clock(0)
            terminal.wait(lambda status: ("F401", "clock") not in codes(status), SECONDS)
            terminal.set_clock(7200000)
            disks.fill(data / "fill")
            terminal.wait(shows(("F301", "storage")), SECONDS)
            (data / "fill").unlink()
            terminal.wait(lambda status: ("F301", "storage") not in codes(status), SECONDS)
        terminal.wait(shows(("F105", "line")), SECONDS)
        assert terminal.stop() == 0
    finally:
        if terminal.process.poll() is None:
            terminal.kill()
        subprocess.run(["umount", "-l", data], check=True)


@pytest.mark.slow
@pytest.mark.requirement("T-10.6.1-1", part="faults of centres located by their codes")
def test_centres_that_refuse_are_silent_or_have_an_old_certificate(tmp_path):
    async def listen(reader, writer):
        await reader.read(1)

    made = make_certificates(tmp_path / "now")
    old = make_certificates(tmp_path / "old", now=datetime.now(UTC) - timedelta(days=900))
    served = ("--tls-cert", made["server.pem"], "--tls-key", made["server.key"])
    with Platform(tmp_path, *served) as platform, Loop(listen, server_context(old)) as server:
        text = SITE.replace("DEVICE", "/dev/null").replace("PORT", str(free_port())) + "centres:\n"
        for name, port, ca in (
            ("refuses", platform.port, made), ("expired", server.port, old), ("silent", free_port(), made)
        ):  # fmt: skip
            text += f"  - {{name: {name}, url: 'https://127.0.0.1:{port}', ca: {ca['ca.der']}, "
            text += f"public: '{platform.public.hex()}'}}\n"
        (tmp_path / "site.yaml").write_text(text)
        terminal = Terminal(tmp_path / "t", site_yaml.compile_file(tmp_path / "site.yaml").canonical())
        terminal.start()
        try:
            wanted = ("F503", "refuses"), ("F502", "expired"), ("F501", "silent")
            status = terminal.wait(shows(*wanted), SECONDS)
        finally:
            terminal.kill()
    assert {(row["task"], row["state"]) for row in status["tasks"] if row["kind"] == "delivery"} == {
        ("refuses", "failed"), ("expired", "failed"), ("silent", "failed")
    }  # fmt: skip


def _checks_itself(terminal):
    """The self-check prints a row for each demand of 10.1 to 10.5, with what was found and whether it was measured."""
    code, out, _ = carbonterm("board", "doctor", "--terminal", terminal.folder)
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    assert f"{'✓' if total >= 8 * 10**9 else '✗'} T-10.1a-1 " in out and "✓ T-10.1a-2 " in out, out
    assert f"{'✓' if total >= 10**9 else '✗'} T-10.1b-2 " in out and "✗ T-10.1a-4 " in out, out
    assert out.count("T-10") == len(selfcheck.CHECKS) and "(declared)" in out and code in (0, 1)
    code, out, _ = carbonterm("board", "doctor", "--terminal", terminal.folder, "--json")
    found = json.loads(out)
    assert found["board"] == "linux-gateway" and {row["result"] for row in found["rows"]} <= {"pass", "fail", "unknown"}


@pytest.mark.slow
@pytest.mark.requirement("T-10.1a-1")
@pytest.mark.requirement("T-10.1a-2")
@pytest.mark.requirement("T-10.6.2-3", part="a terminal that has stopped is shown as stopped")
@pytest.mark.parametrize("how", (signal.SIGSTOP, signal.SIGKILL))
def test_a_terminal_that_has_stopped_is_shown_as_stopped(tmp_path, how):
    """Whatever stopped it: the status file is written every second, and one of 15 s ago is no sign of life."""
    text = SITE.replace("DEVICE", "/dev/null").replace("PORT", str(free_port()))
    terminal = Terminal(tmp_path / "t", site_yaml.compile_text(text).canonical(), maintenance=True)
    terminal.start()
    try:
        terminal.wait(lambda status: status["tasks"], SECONDS)
        assert command.look(str(terminal.folder), "me")["running"]
        _checks_itself(terminal)
        terminal.process.send_signal(how)
        if how == signal.SIGKILL:
            terminal.process.wait()
        old = terminal.status_file.stat().st_mtime - 2 * command.OLD_S  # as if so long had passed
        os.utime(terminal.status_file, (old, old))
        code, out, _ = carbonterm("status", terminal.folder, "--json")
        told = json.loads(out)
        assert code == 3 and not told["running"] and told["stopped_s"] >= command.OLD_S
        assert {row["state"] for row in told["tasks"]} == {"stopped"}
        code, out, _ = carbonterm("status", terminal.folder)
        assert code == 3 and "STOPPED" in out
    finally:
        terminal.kill()


@pytest.mark.slow
@pytest.mark.requirement("T-10.6.2-3")
def test_what_ends_or_hangs_is_shown_as_stopped_within_a_minute(tmp_path):
    """A task, which begins again; and the whole, which is gone at the end."""
    text = SITE.replace("DEVICE", "/dev/null").replace("PORT", str(free_port()))
    (tmp_path / "site.bin").write_bytes(site_yaml.compile_text(text).canonical())
    status = tmp_path / "status.json"
    done = subprocess.run(
        [runtime.find(), "-X", "heapsize=8M", Path(__file__).with_name("hanging.py"), tmp_path / "data",
         tmp_path / "site.bin", status],
        env=runtime.environment(), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    said = done.stdout.split("\n")
    assert "cancelled stopped" in said and "cancelled begun 2" in said
    assert "hangs stopped" in said and "hangs begun 3" in said
    assert "F901 lan 2" in said
    assert next(int(line.split()[1]) for line in said if line.startswith("patience")) < 60000
    before = status.stat().st_mtime - 59  # as if so long had passed
    os.utime(status, (before, before))
    code, out, _ = carbonterm("status", tmp_path, "--json")
    told = json.loads(out)
    assert code == 3 and not told["running"] and {row["state"] for row in told["tasks"]} == {"stopped"}
    assert "STOPPED" in carbonterm("status", tmp_path)[1]
