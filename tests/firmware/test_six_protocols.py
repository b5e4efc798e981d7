"""The six protocols of clause 4 on one terminal, each against a peer that was not written here (T-4-7).

TCP and Modbus: a pymodbus server; OPC: an OPC UA server of asyncua, through the bridge; MQTT: Debian's mosquitto;
DL/T 645: a meter of PyPI dlt645 on a serial line. Nobody has published a CJ/T 188 meter or codec that can be installed
here (PyPI, npm, Debian): its peer is what meters and programs of eight others have said, as it was recorded
(tests/vectors/field_frames.json), replayed on a serial line; only the serial number of a request, which a meter
repeats, is put in.
"""

import asyncio
import os
import subprocess
import sys
import threading

import dlt645 as dlt645_peer
import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

import entrance
from cable import Cable
from carbonterm.gm import sm3
from carbonterm.ledger.entry import SILENT
from carbonterm_host import site_yaml
from carbonterm_host.firmware import Terminal
from opcua_plant import Plant
from ptyline import PtyLine
from vectors import load

SITE = """\
terminal: CT-SIX-1
name: 六种协议
zone: "+08:00"
buses:
  - {{name: lan, kind: modbus-tcp, host: 127.0.0.1, port: {modbus}, timeout: 20s}}
  - {{name: line1, kind: serial, device: {dlt645}, baud: 9600, parity: even, timeout: 20s}}
  - {{name: line2, kind: serial, device: {cjt188}, baud: 2400, parity: even, timeout: 20s}}
  - {{name: broker, kind: mqtt, host: 127.0.0.1, port: {mqtt}}}
  - {{name: inbox, kind: https, host: 127.0.0.1, port: {inbox}, certificate: inbox.crt, key: inbox.key}}
meters:
  - {{name: modbus, bus: lan, unit: 7, model: eastron-sdm630}}
  - {{name: dlt645, bus: line1, address: "123456789012", model: dlt645-2007-three-phase}}
{meters}
  - {{name: mqtt, bus: broker, topic: plant/1}}
  - {{name: opc, bus: inbox, source: opc, token: {token}}}
points:
  - {{name: Modbus, meter: modbus, register: active_energy_import, every: 1s}}
  - {{name: DL/T 645, meter: dlt645, register: active_energy_import, every: 1s}}
  - {{name: MQTT, meter: mqtt, pointer: /e, unit: kWh, kind: register, every: 24h}}
  - {{name: OPC, meter: opc, key: E, unit: kWh, kind: register, every: 24h}}
{points}
settings: {{closings: [hour, day], commit: 50ms}}
"""
OPCUA = """\
terminal: {{url: 'https://127.0.0.1:{inbox}/v1/readings', token_file: token, ca: ca.pem}}
source: opc
opcua:
  endpoint: opc.tcp://127.0.0.1:{plant}/plant
  security: none
  read: poll
  every: 1s
  values: {{E: ns=2;s=energy}}
"""
# vector, register, what its source says of it
RECORDED = (
    ("cjt188-01", "volume", "556677.00", "m3"), ("cjt188-03", "volume", "2.00", "m3"),
    ("cjt188-07", "volume", "0.00", "m3"), ("cjt188-09", "volume", "2222.00", "m3"),
    ("cjt188-11", "volume", "0.29", "m3"), ("cjt188-13", "volume", "0.00", "m3"),
    ("cjt188-15", "heat", "5328.19", "kWh"), ("cjt188-17", "heat", "540.60", "kWh"),
)  # fmt: skip


def recorded():
    """{name: (printed address, bytes of the answer from 68H on)}."""
    found = {}
    for vector in load("field_frames")["vectors"]:
        for row in vector["frames"]:
            if row["dir"] == "rsp" and vector["id"] in [name for name, *_ in RECORDED]:
                raw = bytes.fromhex(row["hex"])
                raw = raw[raw.index(b"\x68") :]
                found[vector["id"]] = (raw[2:9][::-1].hex().upper(), raw)
    return found


def replayed(raw):
    """A meter of ptyline: answers the read of its own address and identifier with what was recorded."""

    def answer(request):
        asked = request[request.find(b"\x68") :]
        if asked[1:10] != raw[1:9] + b"\x01" or asked[11:13] != raw[11:13]:
            return None
        body = raw[:13] + asked[13:14] + raw[14:-2]
        return body + bytes((sum(body) & 255, 0x16))

    return 2400, answer


def rows_of_cjt188(answers):
    """Lines of meters and of points."""
    meters, points = [], []
    for name, register, _, unit in RECORDED:
        address, raw = answers[name]
        model = "cjt188-water" if register == "volume" else "cjt188-heat"
        dialect = f'order: "{raw[11:13].hex(" ").upper()}"' + (", unit_first: true" if name == "cjt188-15" else "")
        meters.append(f'  - {{name: {name}, bus: line2, address: "{address}", model: {model}, {dialect}}}')
        points.append(f"  - {{name: {name}, meter: {name}, register: {register}, unit: {unit}, every: 10s}}")
    return "\n".join(meters), "\n".join(points)


class ModbusPeer:
    """A pymodbus server in a thread of its own: unit 7 with a float of 12345.5 at input register 72."""

    def __enter__(self):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.port = self._do(self._start())
        return self

    def _do(self, what):
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(60)

    async def _start(self):
        device = SimDevice(7, [SimData(72, values=[12345.5], datatype=DataType.FLOAT32)])
        self.server = ModbusTcpServer(device, address=("127.0.0.1", 0))
        await self.server.listen()
        return self.server.transport.sockets[0].getsockname()[1]

    def __exit__(self, *_):
        self._do(self.server.shutdown())
        self.loop.call_soon_threadsafe(self.loop.stop)


@pytest.mark.slow
@pytest.mark.requirement("T-4-7", part="all six at once; of CJ/T 188 the peer is recorded frames of others' meters")
def test_each_of_the_six_is_read_from_somebody_else(tmp_path):
    answers = recorded()
    meters, points = rows_of_cjt188(answers)
    ports = {"inbox": entrance.free_port()}
    entrance.certificates(tmp_path)
    broker = entrance.Broker(tmp_path / "broker").start()
    plant = Plant(tmp_path, False)
    cable = Cable()
    cable.start()
    meter = dlt645_peer.MeterServerService.new_rtu_server(cable.ends[1], 8, 1, 9600, "E", 5.0)
    meter.address = bytearray(bytes.fromhex("129078563412"))
    assert meter.set_00(0x00010000, 1234.56) and meter.server.start()
    terminal = bridge = None
    try:
        with ModbusPeer() as modbus, PtyLine([replayed(raw) for _, raw in answers.values()]) as line:
            token = sm3.digest(entrance.TOKEN.encode()).hex()
            text = SITE.format(**ports, modbus=modbus.port, dlt645=cable.ends[0], cjt188=line.path, mqtt=broker.port,
                               token=token, meters=meters, points=points)  # fmt: skip
            terminal = Terminal(tmp_path / "terminal", site_yaml.compile_text(text).canonical())
            terminal.data.mkdir()
            for name, source in (("inbox.crt", "server.der"), ("inbox.key", "key.der")):
                (terminal.data / name).write_bytes((tmp_path / source).read_bytes())
            (tmp_path / "token").touch(0o600)
            (tmp_path / "token").write_text(entrance.TOKEN)
            (tmp_path / "opcua.yaml").write_text(OPCUA.format(**ports, plant=plant.port))
            terminal.start()
            terminal.wait(lambda status: [one["connected"] for one in status["inbound"]] == [True, True])
            command = [sys.executable, "-m", "carbonterm_host", "bridge", "opcua", "--config", tmp_path / "opcua.yaml"]
            bridge = subprocess.Popen(command, env={**os.environ, "CARBONTERM_LANG": "en"})
            broker.publish("plant/1", '{"e": 77.25}')
            terminal.wait(lambda status: all(one["messages"] for one in status["inbound"])
                          and all(one["rounds"] >= 2 for one in status["buses"]))  # fmt: skip
            buses = terminal.status()["buses"]
    finally:
        if bridge:
            bridge.terminate()
            bridge.wait()
        if terminal:
            terminal.stop()
        meter.server.stop()
        cable.close()
        plant.stop()
        plant.end()
        broker.stop()
    for one in buses:
        assert (one["timeouts"], one["errors"], one["exceptions"], one["silent"]) == (0, 0, 0, []), one
    said = {}
    for point, _, quality, value, _ in entrance.rows(terminal, tmp_path / "log.bundle"):
        if quality == SILENT:
            continue  # a busy machine was late for this one
        said.setdefault(point, set()).add((quality, value))
    wanted = ["12345.5", "1234.56", "77.25", "123456.7", *[value for _, _, value, _ in RECORDED]]
    assert said == {point: {(0, value)} for point, value in enumerate(wanted)}
