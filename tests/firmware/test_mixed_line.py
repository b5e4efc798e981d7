"""One serial line with meters of four kinds, each at its own rate (a pty has no parity), read on MicroPython."""

import os
import termios
import threading
import time
import tty

import pytest

from carbonterm.field import cjt188, dlt645, dlt645_items, modbus
from carbonterm.ledger import entry as entries
from carbonterm.number import Number
from carbonterm_host import bundles, site_yaml
from carbonterm_host.commands import pull
from carbonterm_host.commands.replay import replay
from carbonterm_host.firmware import Terminal

# a captured answer of a heat meter: 5328.19 kWh, 1833.42 m³, the unit before the digits
HEAT = bytes.fromhex(
    "05192853000519285300170000000035000000002C4233180003190010190061270026572331031520 0301".replace(" ", "")
)
SITE = """\
terminal: CT-MIXED-1
name: 混合线路
zone: "+08:00"
buses:
  - {name: line, kind: serial, device: DEVICE, baud: 2400, parity: even, timeout: 3s, retries: 0, gap: 20ms}
meters:
  - {name: three-phase, bus: line, address: "201000000012", model: dlt645-2007-three-phase}
  - {name: old, bus: line, address: "000000000007", model: dlt645-1997}
  - {name: heat, bus: line, address: "42590008210438", model: cjt188-heat-unit-first}
  - {name: gas, bus: line, unit: 3, model: generic-gas-modbus, baud: 9600, parity: none}
  - {name: dead, bus: line, address: "000000000099", model: dlt645-2007-single-phase}
points:
  - {name: E1, meter: three-phase, register: active_energy_import, every: 2s}
  - {name: E1-peak, meter: three-phase, item: "00010200", layout: XXXXXX.XX, unit: kWh, every: 2s}
  - {name: E2, meter: old, register: active_energy_import, every: 2s}
  - {name: H, meter: heat, register: heat, every: 2s}
  - {name: V, meter: heat, register: volume, every: 2s}
  - {name: G, meter: gas, register: volume, every: 2s}
  - {name: D, meter: dead, register: active_energy_import, every: 2s}
settings: {closings: [minute, hour, day], commit: 50ms}
"""
KWH = {"00010000": "123456.78", "00010200": "2345.67", "9010": "4321.09"}


class Line(threading.Thread):
    """A pty with the meters at its other end. `rates`: what speed each answered request came at."""

    def __init__(self):
        super().__init__(daemon=True)
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.path = os.ttyname(self.slave)
        self.rates = {}
        self.told = []
        self.ended = False
        self.meters = [dlt645.Meter(address, self.payload, self.told.append) for address in
                       ("201000000012", "000000000007")]  # fmt: skip

    @staticmethod
    def payload(identifier):
        if identifier not in KWH:
            return None
        return dlt645_items.write("XXXXXX.XX", Number(KWH[identifier]))

    def run(self):
        decoders = dlt645.Decoder(dlt645.METER), cjt188.Decoder(cjt188.METER), modbus.RtuDecoder(modbus.METER)
        while not self.ended:
            try:
                data = os.read(self.master, 256)
            except OSError:
                return
            for decoder, answer in zip(decoders, (self.electricity, self.heat, self.gas), strict=True):
                for frame in decoder.feed(data) + decoder.flush():  # a request comes in one piece, after a silence
                    reply = answer(frame)
                    if reply:
                        self.rates[answer.__name__] = termios.tcgetattr(self.slave)[5]
                        time.sleep(0.02)
                        os.write(self.master, reply)

    def electricity(self, frame):
        return next(filter(None, (meter.answer(frame) for meter in self.meters)), None)

    def heat(self, frame):
        return cjt188.respond(frame, HEAT, leaders=2) if frame.address == "42590008210438" else None

    def gas(self, frame):
        if frame.unit != 3 or frame.function not in (3, 4):
            return None
        request = modbus.parse_request(frame.pdu)
        return modbus.rtu(3, modbus.read_response(request.function, bytes(range(1, 2 * request.count + 1))))

    def close(self):
        self.ended = True
        os.close(self.slave)


@pytest.mark.slow
@pytest.mark.requirement("T-11.3-2")
@pytest.mark.requirement("T-11.3-3")
@pytest.mark.requirement("T-11.3-1")
def test_four_kinds_of_meters_on_one_line(tmp_path):
    line = Line()
    line.start()
    terminal = Terminal(tmp_path / "terminal", site_yaml.compile_text(SITE.replace("DEVICE", line.path)).canonical())
    terminal.start()
    try:
        terminal.wait(lambda status: status["buses"][0]["rounds"] >= 4 and status["buses"][0]["silent"])
        bus = terminal.status()["buses"][0]
    finally:
        terminal.stop()
        line.close()
    assert [one["meter"] for one in bus["silent"]] == ["dead"]
    assert line.rates == {"electricity": termios.B2400, "heat": termios.B2400, "gas": termios.B9600}
    pull.to_file(terminal.data, tmp_path / "log.bundle")
    found = bundles.read(tmp_path / "log.bundle")
    assert replay(found.entries)[1] == []
    values = {}
    for raw, _ in found.entries:
        one = entries.decode(raw)
        if one.kind == entries.READINGS:
            for point, _, quality, exponent, mantissa in one.body[0]:
                value = None if mantissa is None else str(Number(mantissa, exponent).normal())
                values.setdefault(point, set()).add((quality, value))
    for point, seen in values.items():
        if point != 6:
            seen.discard((4, None))  # an answer that came late on a busy machine
    assert {k: v for k, v in values.items() if k != 5} == {
        0: {(0, "123456.78")}, 1: {(0, "2345.67")}, 2: {(0, "4321.09")}, 3: {(0, "5328.19")}, 4: {(0, "1833.42")},
        6: {(4, None)},
    }, values  # fmt: skip
    (gas,) = values[5]
    assert gas[1] is not None
