"""An OPC UA server and a database on a bench, each read by a `carbonterm bridge` of its own (docs/bridges.md).

The next value comes when the bridge has the last one, and the end is when its queue is empty: what is in it is what the
terminal has acknowledged.
"""

import asyncio
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime

from carbonterm_host.benches.entrances import HOST, ODBC, OPC_UA, TOKEN
from carbonterm_host.benches.senders import Sender
from carbonterm_host.bridge.config import BridgeError
from carbonterm_host.bridge.queue import Queue

_TERMINAL = """\
source: {source}
terminal: {{url: "https://{host}:{port}/v1/readings", token_file: token, ca: {ca}}}
queue: bridge.queue
"""
_OPCUA = """\
opcua:
  endpoint: {endpoint}
  security: none
  read: subscribe
  every: 200ms
  timeout: 30s
  values: {{{values}}}
"""
_ODBC = """\
odbc:
  connection: "DRIVER=SQLite3;Database={folder}/plant.db;Timeout=30000"
  query: "SELECT id, at, total FROM production WHERE id > ? ORDER BY id"
  every: 200ms
  key: id
  start: 0
  time: {{column: at, form: ms}}
  values: {{{values}}}
"""


class _Bridged(Sender):
    process = None

    def bridge(self, kind, text):
        """Starts the bridge by its file."""
        (self.folder / "token").touch(0o600)
        (self.folder / "token").write_text(TOKEN)
        head = _TERMINAL.format(source=self.meter.unit, host=HOST, port=self.port,
                                ca=self.bench.folder / "inbox" / "ca.pem")  # fmt: skip
        (self.folder / "bridge.yaml").write_text(head + text)
        with open(self.folder / "bridge.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "carbonterm_host", "bridge", kind, "--config", self.folder / "bridge.yaml"],
                env={**os.environ, "CARBONTERM_LANG": "en"}, stdout=log, stderr=log,
            )  # fmt: skip

    def counts(self):
        """(messages that wait, messages that the terminal has) of the bridge's queue."""
        if self.process.poll() is not None:
            said = (self.folder / "bridge.log").read_text(errors="replace")[-500:]
            raise RuntimeError(f"the bridge ended with {self.process.returncode}: {said}")
        try:
            queue = Queue(self.folder / "bridge.queue", readonly=True)
        except BridgeError:  # not there yet
            return 0, 0
        try:
            found = queue.counts()
        finally:
            queue.close()
        return found["waiting"], found["sent"]

    def finish(self):
        self.until(lambda: self.counts()[0] == 0)

    def end(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)


class Plant(_Bridged):
    """An OPC UA server of asyncua with a node for each point."""

    by = OPC_UA
    loop = None

    def begin(self):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self._do(self._serve())

    def _do(self, what):
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(60)

    async def _serve(self):
        from asyncua import Server, ua  # only who needs it pays for it

        logging.getLogger("asyncua").setLevel(logging.ERROR)  # it warns of a server without security
        self.ua, self.server = ua, Server()
        await self.server.init()
        self.server.set_endpoint(f"opc.tcp://{HOST}:0/plant")
        self.server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        index = await self.server.register_namespace("urn:plant")
        objects = self.server.nodes.objects
        self.nodes = {one.address: await objects.add_variable(ua.NodeId(one.address, index), one.address, "")
                      for one in self.points}  # fmt: skip
        self.values = ", ".join(f"{one.address}: ns={index};s={one.address}" for one in self.points)

    def send(self, now_ms, rows):
        before = sum(self.counts()) if self.process else 0
        when = datetime.fromtimestamp(now_ms / 1000, UTC).replace(tzinfo=None)
        for point, value in rows:
            shown = self.ua.Variant(value, self.ua.VariantType.String)
            self._do(self.nodes[point.address].write_value(self.ua.DataValue(shown, SourceTimestamp=when)))
        if self.process is None:  # the node's first value is one that is true
            self._do(self.server.start())
            endpoint = f"opc.tcp://{HOST}:{self.server.bserver.port}/plant"
            self.bridge("opcua", _OPCUA.format(endpoint=endpoint, values=self.values))
        self.until(lambda: sum(self.counts()) > before)

    def end(self):
        super().end()
        if self.loop is not None:
            if self.process is not None:
                self._do(self.server.stop())
            self.loop.call_soon_threadsafe(self.loop.stop)


class Database(_Bridged):
    """A table of an SQLite database, behind its ODBC driver; a row for each value."""

    by = ODBC
    database = None

    def begin(self):
        self.database = sqlite3.connect(self.folder / "plant.db", timeout=30)
        self.database.execute("PRAGMA journal_mode=WAL")
        self.database.execute("CREATE TABLE production (id INTEGER PRIMARY KEY, at BIGINT, total DECIMAL(18,3))")
        self.database.commit()
        values = ", ".join(f"{one.address}: total" for one in self.points)
        self.bridge("odbc", _ODBC.format(folder=self.folder, values=values))

    def send(self, now_ms, rows):
        before = sum(self.counts())
        self.database.execute("INSERT INTO production (at, total) VALUES (?, ?)", (now_ms, rows[0][1]))
        self.database.commit()
        self.until(lambda: sum(self.counts()) > before)

    def end(self):
        super().end()
        if self.database is not None:
            self.database.close()
