"""The firmware: one task per bus, one that commits, one per centre, a heartbeat, and a console for who started it.

Crash-only: there is no shutdown to get wrong. SIGKILL, power loss and an error that reaches the top are the same thing,
and the next start recovers from the log. The console's "stop" only saves the readers a torn tail: it ends the rounds,
commits, lets the centres catch up for a while and leaves.
"""

import asyncio
import binascii
import gc
import json

from carbonterm import site as sites
from carbonterm.errors import LedgerError
from carbonterm.ledger.frames import terminal_of
from carbonterm.ledger.segment import Log
from carbonterm_device import bus, delivery, keys
from carbonterm_device.acquisition import Acquisition
from carbonterm_device.clockwork import Clock
from carbonterm_device.ports import port
from carbonterm_device.storage import Folder
from carbonterm_device.terminal import Terminal

DRAIN_MS = 15000
EPOCH = 0


class App:
    """One terminal on `data` (folder), configured by `document` (canonical site document, bytes), by `clock`."""

    def __init__(self, data, document, clock):
        self.site = sites.decode(document)
        storage = Folder(data)
        owner = terminal_of(storage)
        if owner not in (None, self.site.terminal_id):
            raise LedgerError(
                "%s holds the log of %s, the site document is for %s" % (data, owner, self.site.terminal_id),
                "give each terminal a data folder of its own",
            )
        signer = keys.load_or_make(storage, port.random)
        log = Log(storage, self.site.terminal_id, EPOCH, signer, port.random)
        self.clock = clock
        self.terminal = Terminal(log, clock, port.RUNTIME)
        self.found = self.terminal.start(self.site)
        self.acquisitions = [
            Acquisition(i, self.site, _driver(row), self.terminal, clock, port) for i, row in enumerate(self.site.buses)
        ]
        self.deliveries = [delivery.Delivery(log, centre, port) for centre in self.site.centres]
        self.stopping = False
        self.heap_peak = 0
        self.errors = []

    async def run(self, status_file=None, console=False):
        """Until the console says stop; returns 0."""
        tasks = [asyncio.create_task(self._guarded(a.name, a.run)) for a in self.acquisitions]
        senders = [asyncio.create_task(self._guarded("delivery", d.run)) for d in self.deliveries]
        if console:
            self._listener = asyncio.create_task(port.console_lines(self._console))
        beat = 0
        while not self.stopping:
            await port.sleep_ms(self.site.settings.commit_ms)
            self.terminal.commit()
            self._wake()
            now = port.now_ms()
            if now - beat >= 1000 or now < beat:
                beat = now
                self._heartbeat(status_file)
        for acquisition in self.acquisitions:
            acquisition.stopping = True
        for task in tasks:
            await task
        self.terminal.log.checkpoint()
        self._wake()
        await self._drain()
        for sender in senders:
            sender.cancel()
        self._heartbeat(status_file)
        return 0

    def _wake(self):
        for sender in self.deliveries:
            sender.wake()

    async def _drain(self):
        end = port.now_ms() + DRAIN_MS
        while port.now_ms() < end and not all([d.idle() for d in self.deliveries]):
            await port.sleep_ms(50)

    async def _guarded(self, name, run):
        """A task whose errors end only its own round: they are counted, said, and it begins again after a second.
        A failed write is not its own: the log says so at the next commit, and the terminal restarts."""
        while True:
            try:
                await run()
                return
            except asyncio.CancelledError:
                return
            except Exception as error:
                self.errors.append("%s: %s" % (name, error))
                self.errors = self.errors[-20:]
                port.print_exception(error)
                await port.sleep_ms(1000)

    def _console(self, line):
        """A line of the console: "stop". The end of the input means the same, so that no orphan is left."""
        if line.strip() in (b"stop", b""):
            self.stopping = True

    def _heartbeat(self, status_file):
        gc.collect()
        self.heap_peak = max(self.heap_peak, port.heap_used())
        if status_file:
            port.write_volatile(status_file, json.dumps(self.status()))

    def status(self):
        """What a supervisor or a screen wants to know; texts, integers and lists only."""
        log = self.terminal.log
        points, sources = self.terminal.totals()
        return {
            "terminal": log.terminal_id, "epoch": log.epoch, "time_ms": self.clock.now_ms(),
            "runtime": self.terminal.runtime,
            "entries": log.size, "sealed": log.sealed, "found": self.found, "readings": self.terminal.readings,
            "disagreements": self.terminal.disagreements, "heap_peak": self.heap_peak,
            "points": points, "sources": sources, "errors": self.errors,
            "alarms": [text for a in self.acquisitions for text in a.identification.alarms()],
            "buses": [a.status() for a in self.acquisitions], "centres": [d.status() for d in self.deliveries],
        }  # fmt: skip


def _driver(row):
    if row.kind == "modbus-tcp":
        return bus.TcpBus(row.address, row.port)
    return bus.RtuBus(row.address, row.port, row.parity, row.stop, row.gap_ms)


def main(argv):
    """Command line of the unix port: --data FOLDER --site FILE [--status FILE] [--console] [--clock-offset MS], or
    --data FOLDER --init, which makes the key, prints its epoch and public half as JSON, and ends."""
    options = _options(argv)
    if "data" not in options or not ("site" in options or "init" in options):
        print(
            "usage: carbonterm_device --data FOLDER"
            " (--init | --site DOCUMENT [--status FILE] [--console] [--clock-offset MS])"
        )
        return 2
    if "init" in options:
        signer = keys.load_or_make(Folder(options["data"]), port.random)
        print(json.dumps({"epoch": EPOCH, "public": binascii.hexlify(signer.public).decode()}))
        return 0
    with open(options["site"], "rb") as file:
        document = file.read()
    app = App(options["data"], document, Clock(int(options.get("clock-offset", "0"))))
    return asyncio.run(app.run(options.get("status"), "console" in options))


def _options(argv):
    options, i = {}, 0
    while i < len(argv):
        name = argv[i].lstrip("-")
        if name in ("console", "init"):
            options[name] = ""
        elif i + 1 < len(argv):
            i += 1
            options[name] = argv[i]
        i += 1
    return options
