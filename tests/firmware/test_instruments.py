"""Instruments on record (11.8), with the firmware on real MicroPython: who the meters say they are, and the alarm
where that is not what the record says."""

import pytest

from carbonterm.field import models
from carbonterm.ledger import entry as entries
from carbonterm_host import bundles, site_yaml
from carbonterm_host.commands import pull
from carbonterm_host.commands.replay import replay
from carbonterm_host.firmware import Terminal
from carbonterm_host.simulate.meter import Meter
from carbonterm_host.simulate.site import Simulation
from carbonterm_host.simulate.tcp import TcpServer

SITE = """\
terminal: CT-METERS
name: test
zone: "+08:00"
buses:
  - {{name: lan, kind: modbus-tcp, host: 127.0.0.1, port: {port}, timeout: 10s}}
meters:
  - name: main
    bus: lan
    unit: 1
    model: eastron-sdm630
    serial: "0012345678"
    asset: KS-17
    place: 1# 配电室
    certificate: {{number: JL-2026-0815, authority: 省计量院, date: 2026-03-01, due: 2027-03-01, result: 合格,
                  uncertainty: 0.06 %, k: "2", standard: 国家电能基准}}
  - {{name: gas, bus: lan, unit: 2, model: generic-gas-modbus, serial: {gas}}}
  - {{name: mute, bus: lan, unit: 3, model: schneider-iem3155, serial: "77"}}
points:
  - {{name: E1, meter: main, register: active_energy_import, every: 200ms}}
  - {{name: P1, meter: main, register: active_power, every: 200ms}}
  - {{name: G1, meter: gas, register: volume, every: 200ms}}
settings: {{closings: [minute, hour], commit: 50ms}}
"""


@pytest.fixture
def plant():
    rows = (("main", 1, "eastron-sdm630", "12345678"), ("gas", 2, "generic-gas-modbus", "G-0042"),
            ("mute", 3, "schneider-iem3155", None))  # fmt: skip
    meters = [Meter(name, unit, models.load(model), seed=unit, serial=serial) for name, unit, model, serial in rows]
    with Simulation([TcpServer("lan", meters)], speed=60) as found:
        yield found


def configured(plant, gas):
    text = SITE.format(port=plant.bus("lan").port, gas=gas)
    return site_yaml.compile_text(text).canonical()


def identified(status):
    return [row["matches"] for row in status["buses"][0]["meters"]]


@pytest.mark.slow
@pytest.mark.requirement("T-11.8-1")
def test_a_meter_that_is_not_the_one_on_record_is_an_alarm(tmp_path, plant):
    terminal = Terminal(tmp_path / "terminal", configured(plant, "G-0043"), heap="2M")
    terminal.start()
    try:
        status = terminal.wait(lambda status: None not in identified(status))
        assert identified(status) == [True, False, False]
        assert len(status["alarms"]) == 2 and status["errors"] == []
        assert "gas: it says G-0042, the record says G-0043" in status["alarms"][0]
        assert "mute: it says no serial number" in status["alarms"][1]
        assert terminal.stop() == 0
        terminal.configure(configured(plant, "G-0042"))  # the record is put right
        terminal.start()
        status = terminal.wait(lambda status: None not in identified(status) and status["readings"] > 60)
        assert identified(status) == [True, True, False] and len(status["alarms"]) == 1
        assert terminal.stop() == 0
    finally:
        if terminal.process.poll() is None:
            terminal.kill()
    file = tmp_path / "log.bundle"
    pull.to_file(terminal.data, file)
    found = bundles.read(file)
    fold, wrong = replay(found.entries)
    assert wrong == [] and fold.pipeline.site.meters[0].certificate.number == "JL-2026-0815"
    log = [entries.decode(raw) for raw, _ in found.entries]
    audits = [entry.body for entry in log if entry.kind == entries.AUDIT and entry.body[1][:5] == "ident"]
    assert [body[:2] for body in audits] == [
        ["terminal", what]
        for what in ("identified", "identity mismatch", "identity mismatch") + ("identified",) * 2
        + ("identity mismatch",)
    ]  # fmt: skip
