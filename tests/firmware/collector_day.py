"""Runs on MicroPython: a collector in a board's heap, a day in simulated time.

usage: INTERPRETER collector_day.py IMAGE FLASH init               makes the key and prints it
       INTERPRETER collector_day.py IMAGE FLASH SITE HOURS ZERO    runs; ZERO: the start, in seconds since 1970

The code is in the image of a board's read-only file system, the log in littlefs on NOR flash, which is the file
FLASH; both as a board has them. The meters are answers made of the time: each register of unit u says 1000 u + the
minutes since the start. Time jumps to whatever is due next, unless a centre is being talked to: then it stands until
there is an answer. Prints what the heap had in use and what is in the log, as JSON.
"""

import asyncio
import gc
import json
import os
import struct
import sys
import time

import vfs

BLOCK, BLOCKS = 4096, 2560
AHEAD_MS = 100000000  # of the real ticks, which asyncio gives to tasks that can go on at once: those never wait
ANSWER_MS = 20000  # real time that a centre has for an answer
LINE_MS = 20
NETWORK = 3  # of carbonterm.clock: an image has the number where it is used, and no name

gc.collect()
OWN = gc.mem_alloc()  # of this file, which a board has not
image = bytearray(os.stat(sys.argv[1])[6])
with open(sys.argv[1], "rb") as file:
    file.readinto(image)
vfs.mount(vfs.VfsRom(image), "/rom")
sys.path[:] = [".frozen", "/rom"]
gc.collect()
gc.threshold(4096)

from carbonterm.field import modbus  # noqa: E402 - what an image has of it: the meter's role is not there
from carbonterm_device.ports import port  # noqa: E402
from carbonterm_device.storage import Folder  # noqa: E402


class Flash:
    """A block device on a file: erased bytes are FF, and programming only clears bits."""

    def __init__(self, path):
        self._file = open(path, "r+b")  # noqa: SIM115 - it is open as long as this is
        self._page = bytearray(256)

    def readblocks(self, block, buffer, offset=0):
        self._file.seek(block * BLOCK + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block, buffer, offset=0):
        at, left = block * BLOCK + offset, memoryview(buffer)
        while len(left):
            piece = memoryview(self._page)[: min(256, len(left))]
            self._file.seek(at)
            self._file.readinto(piece)
            for i in range(len(piece)):
                piece[i] &= left[i]
            self._file.seek(at)
            self._file.write(piece)
            at, left = at + len(piece), left[len(piece) :]

    def ioctl(self, what, value):
        if what == 4:
            return BLOCKS
        if what == 5:
            return BLOCK
        if what == 6:
            self._file.seek(value * BLOCK)
            for i in range(256):
                self._page[i] = 0xFF
            for _ in range(BLOCK // 256):
                self._file.write(self._page)
        elif what == 3:
            self._file.flush()
        return 0


class Time:
    """Simulated time in place of the port's and of asyncio's."""

    def __init__(self, start_ms):
        self.start_ms, self.elapsed = start_ms, 0
        self._zero = time.ticks_add(time.ticks_ms(), AHEAD_MS)
        self._queue = asyncio.core._io_queue
        self._poll = self._queue.wait_io_event
        port.now_ms = self.now_ms
        port.ticks_ms = asyncio.core.ticks = self.ticks_ms
        port.clock_state = lambda: NETWORK
        self._queue.wait_io_event = self._jump

    def now_ms(self):
        return self.start_ms + self.elapsed

    def ticks_ms(self):
        return time.ticks_add(self._zero, self.elapsed)

    def _jump(self, ms):
        if self._queue.map:  # a centre is talked to
            waiting = len(self._queue.map)
            self._poll(0 if ms == 0 else ANSWER_MS)
            if len(self._queue.map) != waiting or ms == 0:
                return
            task = asyncio.core._task_queue.peek()
            if task and time.ticks_diff(task.ph_key, self.ticks_ms()) <= 0:
                return
        if ms > 0:
            self.elapsed += ms


class Link:
    """A line of meters that answer after LINE_MS."""

    def __init__(self, clock):
        self._clock = clock
        self._reply = b""

    def send(self, data):
        unit, function, count = data[0], data[1], data[4] << 8 | data[5]
        value = struct.pack(">f", 1000 * unit + self._clock.elapsed // 60000)
        self._reply = modbus.rtu(unit, bytes((function, 2 * count)) + value * (count // 2))

    async def read(self, count):
        if not self._reply:
            await asyncio.Event().wait()
        await asyncio.sleep_ms(LINE_MS)
        reply, self._reply = self._reply, b""
        return reply

    def configure(self, baud, parity, stop):
        """All meters here have the line's own."""

    def discard(self):
        self._reply = b""
        return 0

    def close(self):
        """Nothing is open."""


async def live(app, clock, end_ms):
    running = asyncio.create_task(app.run())
    while clock.elapsed < end_ms:
        await asyncio.sleep_ms(60000)
    app.stopping = True
    await running


def mount(flash):
    try:
        vfs.mount(vfs.VfsLfs2(flash), "/flash")
    except OSError:
        vfs.VfsLfs2.mkfs(flash)
        vfs.mount(vfs.VfsLfs2(flash), "/flash")
    return Folder("/flash/log")


def main(flash, what, hours="0", zero="0"):
    storage = mount(Flash(flash))
    if what == "init":
        from carbonterm_device import provision

        said = provision.init(storage, {"entropy": "00" * 32}, port)
        said["own"] = OWN
        print(json.dumps(said))
        return
    with open(what, "rb") as file:
        document = file.read()
    clock = Time(int(zero) * 1000)
    port.open_serial = lambda path, baud, parity, stop: Link(clock)
    from carbonterm_device.app import App
    from carbonterm_device.clockwork import Clock

    app = App(storage, document, Clock(), 65536)
    asyncio.run(live(app, clock, int(hours) * 3600000))
    status = app.status()
    status["heap"] = app.heap_peak - len(image) - OWN
    print(json.dumps({key: status[key] for key in ("heap", "entries", "readings", "errors", "alarms", "centres",
                                                   "buses", "storage")}))  # fmt: skip


main(*sys.argv[2:])
