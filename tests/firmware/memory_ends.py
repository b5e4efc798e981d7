"""Runs on MicroPython: what the log and a running collector make of a heap that is full.

usage: micropython -X heapsize=… memory_ends.py log FOLDER         appends and commits where memory ends ever later
       micropython -X heapsize=… memory_ends.py app FOLDER SITE    a collector beside a task that takes all memory
       micropython -X heapsize=… memory_ends.py change FOLDER SITE a terminal where it ends in a new site document
       micropython -X heapsize=… memory_ends.py late               a task where it ends as a step's time is over

All print JSON. The memory is real: `Hog` fills the heap, but for one piece.
"""

import asyncio
import gc
import json
import sys

from carbonterm import site as sites
from carbonterm.clock import NETWORK
from carbonterm.field import modbus, registers
from carbonterm.gm import sm2
from carbonterm.ledger import entry
from carbonterm.ledger.segment import Log
from carbonterm.number import Number
from carbonterm_device import provision, reconfigure
from carbonterm_device.app import App
from carbonterm_device.clockwork import Clock
from carbonterm_device.ports import port
from carbonterm_device.storage import Folder


class Hog:
    """Holds the heap; `take(left)` leaves `left` bytes in one piece, `drop()` gives all of it back."""

    def __init__(self):
        self._held = None

    def take(self, left):
        self.drop()
        piece = bytearray(left) if left else None
        for size in (1024, 128, 1):
            try:
                while True:
                    self._held = (self._held, bytearray(size))
            except MemoryError:
                pass
        del piece
        gc.collect()

    def fill(self):
        """Leaves not one piece behind `take`."""
        try:
            while True:
                self._held = (self._held,)
        except MemoryError:
            pass

    def drop(self):
        self._held = None
        gc.collect()


def ends_in_the_log(folder):
    """Entries with the numbers 0, 1, 2 … as their times; a snapshot, a gap's place and checkpoints are among them."""
    log = Log(Folder(folder), "T1", 0, sm2.Signer(bytes(31) + b"\x07"), segment_size=4096, state=lambda: ["state"])
    hog, told = Hog(), {"append": 0, "commit": 0, "closed": 0}
    begin, left = 1760000000000, 0
    for number in range(130):
        rows = [[point, 0, 0, -3, 1000 * number + point] for point in range(6)]
        left = (left + 384) % 12288
        hog.take(left)
        try:
            log.append(begin + number, 3, entry.READINGS, [rows, None])
        except MemoryError:
            hog.drop()
            told["append"] += 1
            log.append(begin + number, 3, entry.READINGS, [rows, None])
        if number % 5 == 4:
            hog.take((5 * left) % 12288)
            try:
                log.commit()
            except MemoryError:
                hog.drop()
                told["commit"] += 1
                if log.closed:  # in the middle of a write: what is durable, only the storage can tell
                    told["closed"] += 1
                    before = log.size
                    log.recover()
                    for again in range(log.size - before, 5) if log.size < before + 5 else ():
                        rows = [[point, 0, 0, -3, 1000 * (number - 4 + again) + point] for point in range(6)]
                        log.append(begin + number - 4 + again, 3, entry.READINGS, [rows, None])
                log.commit()
        hog.drop()
    log.checkpoint()
    print(json.dumps(told))


class Meter:
    """A line with one meter whose register counts its answers."""

    def __init__(self):
        self.answers, self._reply = 0, b""

    def send(self, data):
        request = modbus.parse_request(data[1:-2])
        value = registers.encode(Number(self.answers + 1, 0), "float32", "ABCD")
        self._reply = modbus.rtu(data[0], modbus.read_response(request.function, value * (request.count // 2)))
        self.answers += 1

    async def read(self, count):
        while not self._reply:
            await asyncio.sleep_ms(5)
        reply, self._reply = self._reply, b""
        return reply

    def configure(self, baud, parity, stop):
        """It has the line's own."""

    def discard(self):
        self._reply = b""
        return 0

    def close(self):
        """Nothing is open."""


async def crowd(app, meter):
    """Takes all memory, for a while, seven times; after each the collector reads on."""
    hog = Hog()
    for turn in range(7):
        seen = app.terminal.readings
        hog.take(512 * turn)
        await asyncio.sleep_ms(700)
        hog.drop()
        while app.terminal.readings < seen + 3:
            await asyncio.sleep_ms(50)
    app.stopping = True


async def live(app, meter):
    crowding = asyncio.create_task(crowd(app, meter))
    await app.run()
    await crowding


async def changes(app, document):
    """Puts one version after the other in force, where memory ends ever later, until there is enough. What each left:
    [version of the App, of its terminal, of the file, bytes that were left]."""
    hog, told, left, enough = Hog(), [], 0, 0
    configure = app.terminal.configure

    def crowded(site):
        hog.take(left)
        try:
            configure(site)
        finally:
            hog.drop()

    app.terminal.configure = crowded
    while enough < 3:
        seen = app.terminal.readings
        while app.terminal.failed or app.terminal.readings < seen + 2:
            await asyncio.sleep_ms(20)
        site = sites.decode(document)
        site.version, site._bytes = app.site.version + 1, None
        site.points[0].interval_ms = 200 + site.version
        try:
            await reconfigure.put_in_force(app, site.canonical(), "me", "x")
        except MemoryError:
            told.append("ended")
        with open(app.site_file, "rb") as file:
            found = sites.decode(file.read()).version
        told.append([app.site.version, app.terminal.site.version, found, left])
        enough = 0 if app.terminal.failed else enough + 1
        left += 2048
    app.stopping = True
    print(json.dumps(told))


async def change(app, document):
    running = asyncio.create_task(app.run())
    while app.terminal.site is None:
        await asyncio.sleep_ms(20)
    changing = asyncio.create_task(changes(app, document))
    await running
    await changing


def ends_in_a_change(folder, site):
    app, document, _ = begin(folder, site)
    app.site_file = folder + ".bin"
    asyncio.run(change(app, document))


class Bare(App):
    """An App without a terminal, whose tasks are guarded."""

    def __init__(self):
        self._short = self._starved = self.monitor = None
        self.senders, self.deliveries, self.errors = [], [], []
        self.readers, self.stopping = [], False


async def late(app, told):
    hog = Hog()

    async def crowd():
        await asyncio.sleep_ms(100)
        hog.take(0)
        hog.fill()
        await asyncio.sleep_ms(100000)

    async def run():
        told["runs"] += 1
        if told["runs"] > 1:
            return
        crowding = asyncio.create_task(crowd())
        try:
            await asyncio.wait_for_ms(asyncio.Event().wait(), 300)
        except MemoryError:
            hog.drop()
            told["ended"] += 1
        try:
            await asyncio.sleep_ms(2000)
        except asyncio.CancelledError:
            told["late"] += 1
            raise
        crowding.cancel()

    task = asyncio.create_task(app._guarded("late", run))
    app.readers.append((None, task))
    await task


def ends_as_time_is_over():
    told = {"runs": 0, "ended": 0, "late": 0}
    asyncio.run(late(Bare(), told))
    print(json.dumps(told))


def ends_in_the_app(folder, site):
    app, _, meter = begin(folder, site)
    asyncio.run(live(app, meter))
    told = {"answers": meter.answers, "readings": app.terminal.readings, "errors": app.errors}
    told["missed"] = app.terminal.missed.rows
    print(json.dumps(told))


def begin(folder, site):
    """(App, its document, its meter)."""
    provision.init(Folder(folder), {"entropy": "00" * 32}, port)
    meter = Meter()
    port.open_serial = lambda path, baud, parity, stop: meter
    port.clock_state = lambda: NETWORK
    with open(site, "rb") as file:
        document = file.read()
    return App(Folder(folder), document, Clock(), 65536), document, meter


WAYS = {"log": ends_in_the_log, "app": ends_in_the_app, "change": ends_in_a_change, "late": ends_as_time_is_over}
WAYS[sys.argv[1]](*sys.argv[2:])
