"""A meter is replaced: the terminal doubts the new one, says so, and goes on by the operator's word."""

import time

import pytest

from carbonterm import clock
from carbonterm.field import modbus
from carbonterm.ledger import entry as entries
from carbonterm_host import bundles, site_yaml
from carbonterm_host.commands import pull
from carbonterm_host.commands.replay import replay
from carbonterm_host.firmware import Terminal
from ptyline import PtyLine

SITE = """\
terminal: CT-REPLACED-1
name: 换表
zone: "+08:00"
buses: [{name: line, kind: modbus-rtu, device: DEVICE, baud: 9600, timeout: 10s}]
meters: [{name: m, bus: line, unit: 3, model: generic-mass-modbus}]
points: [{name: W, meter: m, register: mass, every: 200ms, limit: "1000000000"}]
settings: {closings: [hour, day], commit: 50ms}
"""


class Scale:
    """A meter whose register (two registers wide) stands at `value`, one more with each read."""

    value = 5000

    def answer(self, data):
        for frame in modbus.RtuDecoder(modbus.METER).feed(data):
            self.value += 1
            count = modbus.parse_request(frame.pdu).count
            return modbus.rtu(3, modbus.read_response(frame.function, self.value.to_bytes(2 * count, "big")))
        return None


def alarmed(status):
    return any("point W" in text and "not believed" in text for text in status["alarms"])


@pytest.mark.slow
def test_the_operator_ends_a_doubt(tmp_path):
    scale = Scale()
    with PtyLine([(9600, scale.answer)]) as line:
        document = site_yaml.compile_text(SITE.replace("DEVICE", line.path)).canonical()
        terminal = Terminal(tmp_path / "terminal", document)
        terminal.start()
        try:
            terminal.wait(lambda status: status["readings"] >= 3)
            scale.value = 10
            said = terminal.wait(alarmed)
            assert "docs/series.md" in next(text for text in said["alarms"] if "point W" in text)
            terminal.say("replaced X 2026-11-21T08:00:00+08:00 1 2")
            terminal.say("replaced W yesterday 1 2")
            terminal.wait(lambda status: sum(e.startswith("replaced") for e in status["errors"]) == 2)
            confirm(tmp_path, terminal)
            terminal.wait(lambda status: not alarmed(status) and status["readings"] > said["readings"] + 3)
        finally:
            terminal.stop()
    pull.to_file(terminal.data, tmp_path / "log.bundle")
    log = bundles.read(tmp_path / "log.bundle").entries
    fold, wrong = replay(log)
    assert wrong == []
    assert [entries.decode(raw).kind for raw, _ in log].count(entries.METER) == 1
    assert fold.pipeline.settlers[0].register.held == 0


def confirm(tmp_path, terminal):
    """Says that the old meter ended at its last believed reading and the new one began at 10."""
    pull.to_file(terminal.data, tmp_path / "so-far.bundle")
    fold, _ = replay(bundles.read(tmp_path / "so-far.bundle").entries)
    register = fold.pipeline.settlers[0].register
    now = clock.text(time.time_ns() // 1000000, 480)
    terminal.say(f"replaced W {now} {register.value} {fold.pipeline.site.points[0].scale * 10}")
