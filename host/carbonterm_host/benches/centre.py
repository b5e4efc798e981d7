"""A centre of the bench: `carbonterm platform serve` as a process, which can lose its network and come back."""

import json
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

from carbonterm_host.screen import UNREACHABLE, Failure


class Centre:
    """`name` of the centre, its `folder`, certificates as platform.keys.make_certificates gives them, and the
    terminal's (id, epoch, public key). host: where it listens. The port stays the same over stops."""

    def __init__(self, name, folder, tls, terminal, host="127.0.0.1"):
        self.name = name
        self.folder = Path(folder)
        self.tls = tls
        self.terminal = terminal
        self.host, self.port = host, 0
        self.process = None

    def start(self):
        terminal_id, epoch, public = self.terminal
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "platform.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "carbonterm_host", "platform", "serve", "--json", "--name", self.name,
                 "--store", f"sqlite:///{self.folder / 'platform.sqlite'}", "--host", self.host,
                 "--port", str(self.port),
                 "--register", f"{terminal_id}:{epoch}:{public.hex()}",
                 "--tls-cert", self.tls["server.pem"], "--tls-key", self.tls["server.key"]],
                stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        line = self.process.stdout.readline()
        if not line:
            said = (self.folder / "platform.log").read_text(errors="replace")[-1000:]
            raise Failure(UNREACHABLE, f"centre {self.name} did not start: {said}", "see its platform.log")
        self.ready = json.loads(line)
        self.port = int(self.ready["url"].rsplit(":", 1)[1])

    def row(self):
        """For `centres` of a site file."""
        return {"name": self.name, "url": self.ready["url"], "ca": str(self.tls["ca.der"]),
                "public": self.ready["public_key"]}  # fmt: skip

    def stop(self, hard=False):
        """Ends the process, as a network that is cut where `hard`."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL if hard else signal.SIGTERM)
            self.process.wait(30)
        if self.process is not None:
            self.process.stdout.close()
            self.process = None

    def held(self):
        """{"name", "entries": {(epoch, seq): bytes}, "twice": how many are there more than once}."""
        store = f"file:{self.folder / 'platform.sqlite'}?mode=ro"
        with sqlite3.connect(store, uri=True) as connection:
            rows = connection.execute(
                "SELECT logs.epoch, entries.seq, entries.raw FROM entries JOIN logs ON logs.id = entries.log"
            ).fetchall()
        found = {(epoch, seq): raw for epoch, seq, raw in rows}
        return {"name": self.name, "entries": found, "twice": len(rows) - len(found)}
