"""The mixed site of the tutorial, simulated by the command and read by the firmware on MicroPython; and a line whose
only meter is somebody else's (PyPI dlt645)."""

import json
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import dlt645 as peer
import pytest

from cable import Cable
from carbonterm import site as sites
from carbonterm.field import models
from carbonterm.ledger import entry as entries
from carbonterm.number import Number
from carbonterm_host import bundles, site_yaml
from carbonterm_host.commands import pull
from carbonterm_host.commands.replay import replay
from carbonterm_host.commands.verify import tools
from carbonterm_host.firmware import Terminal
from carbonterm_host.verifier import Verifier
from loopback import free_port

MIXED = Path(__file__).parents[2] / "docs/tutorial/mixed.yaml"


def logged(file):
    """(Site, [(point, time, quality, Decimal or None)]) of a bundle that verifies and replays."""
    verifier = Verifier(**tools("openssl"))
    with open(file, "rb") as opened:
        verifier.read(opened)
    assert verifier.report()["ok"], verifier.report()
    found = bundles.read(file)
    assert replay(found.entries)[1] == []
    site, rows = None, []
    for raw, _ in found.entries:
        one = entries.decode(raw)
        if one.kind == entries.CONFIG:
            site = sites.decode(one.body[1])
        elif one.kind == entries.READINGS:
            for point, offset, quality, exponent, mantissa in one.body[0]:
                value = None if mantissa is None else Decimal(mantissa).scaleb(exponent)
                rows.append((site.points[point], one.time_ms + offset, quality, value))
    return site, rows


@pytest.mark.slow
@pytest.mark.requirement("T-6.3-1", part="meters of four protocols on one line, by themselves and at once")
@pytest.mark.requirement("T-6.3-2", part="Modbus TCP")
@pytest.mark.requirement("T-7.1-1", part="on a simulated line")
@pytest.mark.requirement("T-7.1-3", part="Modbus TCP")
@pytest.mark.requirement("T-11.2-1", part="points at 1 s and 5 s on one terminal")
@pytest.mark.requirement("T-11.3-1", "T-11.3-2", "T-11.3-3", part="on one line")
def test_the_mixed_site(tmp_path):
    text = MIXED.read_text(encoding="utf-8")
    text = text.replace("/tmp/carbonterm-line", str(tmp_path / "line"))
    text = text.replace("port: 5020", f"port: {free_port()}, timeout: 10s")
    text = text.replace("timeout: 500ms", "timeout: 10s")  # a busy machine is no silent meter
    (tmp_path / "mixed.yaml").write_text(text, encoding="utf-8")
    arguments = ["simulate", "site", tmp_path / "mixed.yaml", "--seed", 7, "--truth", tmp_path / "truth", "--json"]
    plant = subprocess.Popen(
        [sys.executable, "-c", "from carbonterm_host.cli import main; main()", *map(str, arguments)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert len(json.loads(plant.stdout.readline())["meters"]) == 7
        terminal = Terminal(tmp_path / "terminal", site_yaml.compile_file(tmp_path / "mixed.yaml").canonical())
        terminal.start()
        try:
            terminal.wait(lambda status: all(bus["rounds"] >= 3 for bus in status["buses"]))
            buses = terminal.status()["buses"]
        finally:
            terminal.stop()
        plant.send_signal(signal.SIGTERM)
        told = json.loads(plant.communicate(timeout=120)[0].splitlines()[-1])
    finally:
        plant.kill()
        plant.wait()
    assert told["faults"] == {} and all(count >= 3 for count in told["answered"].values()), told
    for bus in buses:
        assert (bus["timeouts"], bus["errors"], bus["exceptions"], bus["silent"]) == (0, 0, 0, []), bus
    pull.to_file(terminal.data, tmp_path / "log.bundle")
    site, rows = logged(tmp_path / "log.bundle")
    truth = [json.loads(line) for line in (tmp_path / "truth").read_text().splitlines()]
    assert {point.name for point, *_ in rows} == {point.name for point in site.points}
    for point in site.points:
        values = iter(said(site, truth, point))
        for _, _, quality, value in (row for row in rows if row[0].name == point.name):
            assert quality == 0 and value in values, (point.name, value)  # in the order in which they were said


def said(site, truth, point):
    """What the meter's register said, times the transformers."""
    meter = site.meters[point.meter]
    model = models.load(meter.model)
    row = next(row for row in model["registers"] if models.place(model, row)[:2] == (point.function, point.address))
    ratio = point.scale / models.place(model, row)[4]
    assert ratio == (40 if meter.ct else 1)
    return [
        Decimal(one["registers"][row["name"]]) * Decimal(str(ratio.number()))
        for one in truth
        if one.get("meter") == meter.name and "registers" in one and row["name"] in one["registers"]
    ]  # fmt: skip


# --- somebody else's meter -------------------------------------------------------------------------------------------

THEIRS = """\
terminal: CT-THEIRS-1
name: 别家电表
zone: "+08:00"
buses: [{name: line, kind: serial, device: DEVICE, baud: 9600, parity: even, timeout: 10s}]
meters: [{name: theirs, bus: line, address: "123456789012", model: dlt645-2007-three-phase}]
points:
  - {name: E, meter: theirs, register: active_energy_import, every: 1s, limit: "1000"}
  - {name: R, meter: theirs, register: active_energy_export, every: 1s, limit: "1000"}
  - {name: U, meter: theirs, register: voltage_a, every: 1s}
  - {name: I, meter: theirs, register: current_a, every: 1s}
  - {name: P, meter: theirs, register: active_power, every: 1s}
  - {name: F, meter: theirs, register: frequency, every: 1s}
settings: {closings: [minute, hour, day], commit: 100ms}
"""
GIVEN = {"00010000": 1234.56, "00020000": 0.01, "02010100": 231.4, "02020100": 12.345, "02030000": 6.25,
         "02800002": 50.01}  # fmt: skip


@pytest.mark.slow
@pytest.mark.requirement("T-11.3-2", part="somebody else's meter on a line, read by the firmware")
@pytest.mark.requirement("T-4-7", part="DL/T 645 with an independent peer")
def test_their_meter_on_our_line(tmp_path):
    cable = Cable()
    cable.start()
    meter = peer.MeterServerService.new_rtu_server(cable.ends[1], 8, 1, 9600, "E", 5.0)
    meter.address = bytearray(bytes.fromhex("129078563412"))
    for identifier, value in GIVEN.items():
        assert (meter.set_00 if identifier[1] == "0" else meter.set_02)(int(identifier, 16), value)
    assert meter.server.start()
    try:
        document = site_yaml.compile_text(THEIRS.replace("DEVICE", cable.ends[0])).canonical()
        terminal = Terminal(tmp_path / "terminal", document)
        terminal.start()
        try:
            terminal.wait(lambda status: status["buses"][0]["rounds"] >= 3)
            bus = terminal.status()["buses"][0]
        finally:
            terminal.stop()
    finally:
        meter.server.stop()
        cable.close()
    assert (bus["timeouts"], bus["errors"], bus["exceptions"], bus["silent"]) == (0, 0, 0, []), bus
    pull.to_file(terminal.data, tmp_path / "log.bundle")
    _, rows = logged(tmp_path / "log.bundle")
    values = {point.address: set() for point, *_ in rows}
    for point, _, quality, value in rows:
        values[point.address].add((quality, str(Number(str(value)).normal())))
    assert values == {item: {(0, str(Number(str(value)).normal()))} for item, value in GIVEN.items()}
