"""An OPC UA server and a database, through their bridges, into the firmware on MicroPython: all of it there, once."""

import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

import entrance
from carbonterm.gm import sm3
from carbonterm_host import site_yaml
from carbonterm_host.bridge.config import BridgeError
from carbonterm_host.bridge.queue import Queue
from carbonterm_host.firmware import Terminal
from opcua_plant import Plant

pyodbc = pytest.importorskip("pyodbc", reason="no pyodbc (apt-get install unixodbc)", exc_type=ImportError)
needs_driver = pytest.mark.skipif("SQLite3" not in pyodbc.drivers(), reason="no libsqliteodbc here (apt-get install)")
SITE = """\
terminal: CT-BRIDGE-1
name: 桥接
zone: "+08:00"
buses:
  - {name: inbox, kind: https, host: 127.0.0.1, port: PORT, certificate: inbox.crt, key: inbox.key}
meters:
  - {name: SCADA, bus: inbox, source: scada, token: TOKEN}
  - {name: ERP, bus: inbox, source: erp, token: TOKEN}
points:
  - {name: E, meter: SCADA, key: E, unit: kWh, quantity: active energy, every: 24h}
  - {name: C, meter: ERP, key: clinker, unit: t, quantity: mass, kind: register, every: 24h}
settings: {closings: [hour, day], commit: 50ms}
"""
TERMINAL = "terminal: {{url: 'https://127.0.0.1:{port}/v1/readings', token_file: token, ca: ca.pem}}\n"
OPCUA = """\
source: scada
opcua:
  endpoint: opc.tcp://127.0.0.1:{server}/plant
  security: none
  read: subscribe
  every: 100ms
  timeout: 20s
  values: {{E: ns=2;s=energy}}
"""
ODBC = """\
source: erp
odbc:
  connection: "DRIVER=SQLite3;Database={folder}/erp.db;Timeout=30000"
  query: "SELECT id, at, total FROM clinker WHERE id > ? ORDER BY id"
  every: 100ms
  key: id
  start: 0
  time: {{column: at, form: ms}}
  values: {{clinker: total}}
"""


class Bridges:
    def __init__(self, folder, **given):
        self.folder, self.running = folder, {}
        (folder / "token").touch(0o600)
        (folder / "token").write_text(entrance.TOKEN)
        for kind, text in (("opcua", OPCUA), ("odbc", ODBC)):
            (folder / f"{kind}.yaml").write_text((TERMINAL + text).format(folder=folder, **given))

    def start(self, *kinds):
        for kind in kinds:
            command = [sys.executable, "-m", "carbonterm_host", "bridge", kind, "--config"]
            environment = {**os.environ, "CARBONTERM_LANG": "en"}
            self.running[kind] = subprocess.Popen([*command, self.folder / f"{kind}.yaml"], env=environment)

    def counts(self, kind):
        """(messages that wait, messages sent) of a bridge's queue."""
        try:
            queue = Queue(self.folder / f"{kind}.queue", readonly=True)
        except BridgeError:  # not there yet
            return 0, 0
        found = queue.counts()
        queue.close()
        return found["waiting"], found["sent"]

    def end(self, kind, number=signal.SIGTERM):
        process = self.running.pop(kind)
        process.send_signal(number)
        return process.wait(60)


@pytest.mark.slow
@needs_driver
@pytest.mark.requirement("T-11.3-10", "P-6.2-2")
@pytest.mark.requirement("T-11.3-9", part="OPC UA, the successor of OPC (OLE for Process Control)")
@pytest.mark.requirement("T-4-7", part="OPC UA, from a server of asyncua into the terminal's signed log")
@pytest.mark.requirement("T-6.3-2", part="an OPC UA server and a database into the log, once, over kills on both sides")
def test_what_systems_have_is_in_the_log_once(tmp_path):
    port = entrance.free_port()
    text = SITE.replace("PORT", str(port)).replace("TOKEN", sm3.digest(entrance.TOKEN.encode()).hex())
    entrance.certificates(tmp_path)
    terminal = Terminal(tmp_path / "terminal", site_yaml.compile_text(text).canonical())
    terminal.data.mkdir()
    for name, source in (("inbox.crt", "server.der"), ("inbox.key", "key.der")):
        (terminal.data / name).write_bytes((tmp_path / source).read_bytes())
    database = sqlite3.connect(tmp_path / "erp.db", timeout=30)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE clinker (id INTEGER PRIMARY KEY, at BIGINT, total DECIMAL(18,3))")
    plant = Plant(tmp_path, False)
    bridges = Bridges(tmp_path, port=port, server=plant.port)
    begin = time.time_ns() // 1_000_000 - 3_600_000
    wanted = []

    def add(count):
        for _ in range(count):
            i = len(wanted) + 1
            wanted.append((1, begin + i * 1000, 0, f"{1000 + i}.25"))
            database.execute("INSERT INTO clinker VALUES (?, ?, ?)", (i, begin + i * 1000, f"{1000 + i}.250"))
        database.commit()

    try:
        bridges.start("opcua", "odbc")  # before the terminal is there: they wait for it
        add(20)
        terminal.start()
        terminal.wait(lambda status: status["inbound"])
        entrance.wait(lambda: bridges.counts("odbc") == (0, 20))
        entrance.wait(lambda: bridges.counts("opcua") == (0, 1))
        for value in (123457.25, 123458.5):  # one after the other: two in one sampling interval would be one
            before = sum(bridges.counts("opcua"))
            plant.set("energy", value)
            entrance.wait(lambda before=before: sum(bridges.counts("opcua")) > before)
        add(20)
        terminal.kill()
        add(20)
        bridges.end("odbc", signal.SIGKILL)
        terminal.start()
        bridges.start("odbc")
        add(20)
        entrance.wait(lambda: bridges.counts("odbc") == (0, 80))
        entrance.wait(lambda: bridges.counts("opcua")[0] == 0)
        assert bridges.end("odbc") == bridges.end("opcua") == 0
    finally:
        for kind in list(bridges.running):
            bridges.end(kind, signal.SIGKILL)
        terminal.stop()
        plant.stop()
        plant.end()
    found = [row[:4] for row in entrance.rows(terminal, tmp_path / "log.bundle")]
    assert [row for row in found if row[0] == 1] == wanted
    assert [row[2:] for row in found if row[0] == 0] == [(0, "123456.7"), (0, "123457.25"), (0, "123458.5")]
