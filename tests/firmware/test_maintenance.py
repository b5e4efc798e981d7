"""The terminal's maintenance socket: the real firmware on MicroPython answers what a person on the spot asks, by reads
only, while acquisition goes on; and its log says who asked."""

import json
import os
import socket
import stat
import tempfile
import threading
from pathlib import Path

import pytest

from carbonterm.ledger import entry as entries
from carbonterm_host import bundles, desk, site_yaml
from carbonterm_host.commands import pull
from carbonterm_host.commands.replay import replay
from carbonterm_host.firmware import Terminal
from carbonterm_host.screen import Failure
from ptyline import PtyLine, dlt645_meter, modbus_meter

SITE = """\
terminal: CT-DESK-1
name: 维护口
zone: "+08:00"
buses:
  - {name: line, kind: serial, device: DEVICE, baud: 19200, parity: even, timeout: 10s, retries: 0, gap: 5ms}
  - {name: lan, kind: modbus-tcp, host: 127.0.0.1, port: 1}
meters:
  - {name: main, bus: line, address: "201000000012", model: dlt645-2007-three-phase, ct: 200/5}
  - {name: gas, bus: line, unit: 3, model: generic-gas-modbus}
  - {name: far, bus: lan, unit: 1, model: generic-gas-modbus}
points:
  - {name: E1, meter: main, register: active_energy_import, every: 300ms}
  - {name: F1, meter: gas, register: flow, every: 300ms}
  - {name: X1, meter: far, register: flow, every: 1h}
settings: {closings: [day], commit: 50ms}
"""
WORKS = ("E1", "49382.4"), ("F1", "230.1")


@pytest.fixture
def there(tmp_path):
    """(terminal, socket path) of a terminal that has read its line."""
    meters = [dlt645_meter("201000000012", 19200), modbus_meter(3, {(3, 4): ("230.1", "float32", "ABCD")}, 19200)]
    with PtyLine(meters) as line:
        document = site_yaml.compile_text(SITE.replace("DEVICE", line.path)).canonical()
        terminal = Terminal(tmp_path / "t", document, maintenance=True)
        terminal.start()
        try:
            terminal.wait(lambda status: status["readings"] > 3)
            yield terminal, terminal.folder / desk.SOCKET
        finally:
            terminal.stop()
    assert not (terminal.folder / desk.SOCKET).exists(), "the socket is there without its terminal"


def ask(path, question, who="张工", bus=None):
    with desk.Desk.at(str(path), who, bus) as asked:
        return list(asked.ask(question))


@pytest.mark.slow
@pytest.mark.requirement("T-10.6.1-1", part="the maintenance socket")
def test_everything_a_person_may_ask(there):
    terminal, path = there
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    (status,) = ask(path, {"do": "status"})
    assert status["status"]["terminal"] == "CT-DESK-1" and len(status["status"]["buses"]) == 2
    rows = {row["point"]: row for row in ask(path, {"do": "watch"})}
    for name, value in WORKS:
        assert (rows[name]["value"], rows[name]["quality"]) == (value, 0)
    assert "X1" not in rows or rows["X1"]["quality"] == 4
    assert {row["point"] for row in ask(path, {"do": "watch", "meter": "gas"})} == {"F1"}
    (told,) = ask(path, {"do": "explain", "point": "E1"})
    steps = {step["step"]: step for step in told["steps"]}
    assert steps["bytes"]["hex"] == "56341200" and steps["scaled"]["ct"] == "200/5"
    assert told["value"] == steps["value"]["value"] == "49382.4" and told["raw"].startswith("68120000001020")
    answer, best, *_ = ask(path, {"do": "probe", "unit": 3, "address": 4, "expect": "230.1"}, bus="line")
    assert answer["data"] == "4366199A" and (best["type"], best["match"]) == ("float32", 0)
    before = terminal.status()["buses"][0]["rounds"]
    found = ask(path, {"do": "scan", "protocols": ["modbus"], "from": 2, "to": 4, "timeout_ms": 3000}, bus="line")
    assert [event["unit"] for event in found if event["event"] == "found"] == [3]
    terminal.wait(lambda status: status["buses"][0]["rounds"] > before + 2)
    assert terminal.status()["errors"] == []


@pytest.mark.slow
@pytest.mark.requirement("T-10.6.1-1", part="who looked is in the log")
def test_who_asked_is_in_the_log_and_the_log_replays(there, tmp_path):
    terminal, _ = there
    with desk.Desk.at(str(terminal.folder), "李工") as asked:
        for _ in range(5):
            list(asked.ask({"do": "watch"}))
        list(asked.ask({"do": "explain", "point": "F1"}))
    assert terminal.stop() == 0
    pull.to_file(terminal.data, tmp_path / "log.bundle")
    found = bundles.read(tmp_path / "log.bundle")
    audits = [one.body for one in map(entries.decode, (raw for raw, _ in found.entries)) if one.kind == entries.AUDIT]
    assert [row for row in audits if row[1] == "maintenance"] == [
        ["李工", "maintenance", "watch"],
        ["李工", "maintenance", "explain F1"],
    ]
    assert replay(found.entries)[1] == []


WRONG = (
    ({"do": "explode"}, "no question", "usage"),
    ({"do": "explain", "point": "nope"}, "no point", "usage"),
    ({"do": "explain", "point": 7}, "point must be a text", "usage"),
    ({"do": "probe", "bus": "nope"}, "no bus", "usage"),
    ({"do": "probe", "device": "/dev/null"}, "no bus", "usage"),
    ({"do": "probe", "bus": "line", "unit": 999}, "unit must be", "usage"),
    ({"do": "probe", "bus": "line", "unit": 77, "timeout_ms": 50}, "does not answer", "silent"),
    ({"do": "probe", "bus": "line", "unit": 3, "address": 500}, "illegal data address", "refused"),
    ({"do": "probe", "bus": "line", "protocol": "cjt188", "unit": "12"}, "no address", "usage"),
    ({"do": "probe", "bus": "line", "protocol": "smoke"}, "no 'smoke' here", "usage"),
    ({"do": "probe", "bus": "line", "unit": 3, "address": 4, "expect": "a lot"}, "not a decimal number", "usage"),
    ({"do": "probe", "bus": "line", "function": 5}, "function must be", "usage"),
    ({"do": "probe", "bus": "lan", "timeout_ms": 50}, "not reachable", "unreachable"),
    ({"do": "scan", "bus": "line", "settings": [[123, "none", 1]]}, "settings are", "usage"),
    ({"do": "scan", "bus": "line", "settings": []}, "no settings", "usage"),
    ({"do": "scan", "bus": "line", "protocols": ["hj212"]}, "no search", "usage"),
    ({"do": "scan", "bus": "line", "from": 9, "to": 3}, "units from 9", "usage"),
    ({"do": "scan", "bus": "lan", "protocols": ["cjt188"]}, "no search", "usage"),
    ({"do": "status", "who": ""}, "who must be", "usage"),
    ({"do": "status", "who": "x" * 65}, "who must be", "usage"),
)


@pytest.mark.slow
def test_what_makes_no_sense_is_refused_with_a_way_out(there):
    terminal, path = there
    with desk.Desk.at(str(path), "me") as asked:
        for question, what, kind in WRONG:
            with pytest.raises(desk.Unanswered) as caught:
                list(asked.ask(question))
            assert what in caught.value.what and caught.value.kind == kind, caught.value
        assert list(asked.ask({"do": "status"}))
    assert terminal.status()["errors"] == []


@pytest.mark.slow
def test_rubbish_many_at_once_and_those_who_leave(there):
    terminal, path = there

    def link():
        one = socket.socket(socket.AF_UNIX)
        one.settimeout(120)
        one.connect(str(path))
        return one

    with link() as one:
        one.sendall(b"\x00\xff rubbish\n\n[]\n{}\n")
        answers = one.makefile("rb")
        for _ in range(3):
            assert json.loads(answers.readline())["kind"] == "usage"
    with link() as one:
        one.sendall(b"x" * 4608)
        assert b"too long" in one.makefile("rb").read()
    scan = json.dumps({"do": "scan", "bus": "line", "who": "me", "timeout_ms": 60}).encode() + b"\n"
    for _ in range(3):  # they leave in the middle
        with link() as one:
            one.sendall(scan)
            one.recv(10)
    answers = []
    several = [threading.Thread(target=lambda: answers.append(ask(path, {"do": "watch"}))) for _ in range(4)]
    for one in several:
        one.start()
    for one in several:
        one.join(120)
    assert len(answers) == 4 and all(len(rows) >= 2 for rows in answers)
    before = terminal.status()["readings"]
    terminal.wait(lambda status: status["readings"] > before + 4)
    assert terminal.status()["errors"] == []


@pytest.mark.slow
def test_a_socket_left_by_a_killed_terminal_is_replaced_and_nothing_else(there, tmp_path):
    terminal, path = there
    terminal.kill()
    assert path.exists()
    with pytest.raises(Failure, match="no terminal listens"):
        desk.Desk.at(str(path), "me")
    terminal.start()
    terminal.wait(lambda status: status["readings"] > 3)
    assert ask(path, {"do": "status"})


@pytest.mark.slow
@pytest.mark.parametrize("what", ["file", "umask"])
def test_no_socket_where_it_would_not_be_safe(tmp_path, what):
    """A file in its place is left alone, a socket that everybody could write is not opened; the terminal goes on."""
    terminal = Terminal(tmp_path / "t", site_yaml.compile_text(SITE.replace("DEVICE", "/dev/null")).canonical())
    place = terminal.folder / desk.SOCKET
    terminal.options = ["--maintenance", str(place)]
    if what == "file":
        place.write_text("mine")
    else:
        terminal.command = ["/bin/sh", "-c", 'umask 0; exec "$@"', "sh", *terminal.command]
    terminal.start()
    try:
        status = terminal.wait(lambda status: any("maintenance" in text for text in status["errors"]))
    finally:
        terminal.stop()
    assert ("17" if what == "file" else "13") in status["errors"][0]
    assert place.read_text() == "mine" if what == "file" else not place.exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("mode", (0o700, 0o755))
def test_whoever_may_not_write_the_socket_is_told_so(mode):
    """Neither where the folder cannot be entered, nor where the socket cannot be written."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        path = Path(folder) / "s"
        server.bind(str(path))
        path.chmod(0o600)
        path.parent.chmod(mode)
        os.seteuid(65534)
        try:
            with pytest.raises(Failure) as caught:
                desk.Desk.at(str(path), "me")
        finally:
            os.seteuid(0)
        assert "permission denied" in caught.value.what and caught.value.code == 3
