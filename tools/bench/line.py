"""A serial line's use: a round of 30 meters × 50 points at 9600 8N1, beside the least time that it can take.

The firmware's SerialLine and Acquisition run on MicroPython and read a pty. At its other end is a wire with a byte
clock: a request is there when its last byte would be, the meter answers 30 ms later, and the answer comes in pieces at
the pace of the line. The least time is that of carbonterm.field.plan. The same points without merging run beside it on
a wire of their own: one request for each point. Time is taken at the wire, from the first request to the last answer.
"""

import os
import sys
import tempfile
import threading
import time
import tty
from pathlib import Path

from carbonterm import site as sites
from carbonterm.field import modbus
from carbonterm.field.plan import TURNAROUND_MS, Budget
from tools.bench.measure import child, command, row

METERS, POINTS = 30, 50
BAUD, BITS = 9600, 10
INTERVAL_MS = {True: 10000, False: 100000}  # merged, not merged
ROUNDS = {True: 7, False: 1}
PIECE = 12  # bytes of an answer that come together, as from a UART's queue

_FIRMWARE = """
import asyncio, sys
from carbonterm import site as sites
from carbonterm.field.plan import plan
from carbonterm.gm import sm2
from carbonterm.ledger.segment import Log
from carbonterm_device.acquisition import Acquisition
from carbonterm_device.clockwork import Clock
from carbonterm_device.line import SerialLine
from carbonterm_device.ports import port
from carbonterm_device.storage import Folder
from carbonterm_device.terminal import Terminal

async def main(folder, merge, rounds):
    port.tend_heap(16)
    with open(folder + "/site.bin", "rb") as file:
        site = sites.decode(file.read())
    bus, interval = site.buses[0], site.points[0].interval_ms
    clock = Clock()
    signer = sm2.Signer(bytes(31) + b"\\x07")
    terminal = Terminal(Log(Folder(folder), site.terminal_id, 0, signer, port.random), clock, "bench")
    terminal.start(site)
    driver = SerialLine(bus.address, bus.port, bus.parity, bus.stop, bus.gap_ms)
    task = Acquisition(0, site, driver, terminal, clock, port)
    if not merge:
        task.requests = plan(site, 0, False)
    clock.simulate(interval - port.now_ms() % interval - 500)
    clock.check()  # half a second, and the first round is due
    running = asyncio.create_task(task.run())
    while task.rounds < rounds and not running.done():
        await asyncio.sleep_ms(100)
        terminal.commit()
    task.stopping = True
    await running
    terminal.commit()
    print([driver.counters.requests, driver.counters.replies, task.late_rounds, terminal.readings])

asyncio.run(main(sys.argv[1], sys.argv[2] == "True", int(sys.argv[3])))
"""


class Wire(threading.Thread):
    """A pty whose other end keeps a line's time. `spans`: (begin of a request, end of its answer), seconds."""

    def __init__(self):
        super().__init__(daemon=True)
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self.spans = []

    def run(self):
        while True:
            request = os.read(self.master, 256)  # the firmware writes a frame in one piece
            begin = time.perf_counter()
            if not request:
                return
            asked = modbus.parse_request(request[1:-2])
            size = 2 * asked.count
            answer = modbus.rtu(request[0], modbus.read_response(asked.function, bytes(range(size))))
            at = begin + seconds(len(request)) + TURNAROUND_MS / 1000
            for start in range(0, len(answer), PIECE):
                piece = answer[start : start + PIECE]
                at += seconds(len(piece))
                time.sleep(max(at - time.perf_counter(), 0))
                os.write(self.master, piece)
            self.spans.append((begin, time.perf_counter()))

    def close(self):
        os.write(self._slave, b"")
        os.close(self._slave)


def seconds(count):
    return count * BITS / BAUD


def document(path, interval_ms):
    """Site of one line, its meters asked for 50 floats that lie in one piece, as an analyser of power has them."""
    meters = [[f"M{i}", 0, i + 1, "none", 125] + 5 * [None] for i in range(METERS)]
    points = [
        [f"P{m}.{i}", m, "power", "kW", 3, 2 * i, "uint32", "ABCD", [1, -1], "instant"] + 4 * [None] + [interval_ms]
        for m in range(METERS)
        for i in range(POINTS)
    ]
    bus = ["line", "modbus-rtu", path, BAUD, "none", 1, 500, 0, 0]
    return sites.Site([sites.FORMATS[0], 1, "CT-LINE-1", "line", 480, [bus], meters, points, [], [], [[3], 1000]])


def measured(merge, found):
    """Puts (seconds of each round, the least seconds, requests of a round) into found[merge]."""
    wire = Wire()
    site = document(wire.path, INTERVAL_MS[merge])
    least = Budget(site, 0, merge, refuse=False)
    wire.start()
    start, env = command("micropython", heap="4M")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "site.bin").write_bytes(site.canonical())
        done = child([*start, "-c", _FIRMWARE, folder, merge, ROUNDS[merge]], env=env, timeout=200)
    requests, replies, late, readings = done.json()
    count, whole = least.requests, least.requests * ROUNDS[merge]  # of a next round one or two may have begun
    known = METERS * POINTS * ROUNDS[merge] <= readings < METERS * POINTS * (ROUNDS[merge] + 1)
    if requests != replies or not whole <= requests < whole + count or late or not known:
        raise RuntimeError(f"the line was not read cleanly: {done.out}")
    spans = [wire.spans[i : i + count] for i in range(0, whole, count)]
    found[merge] = [part[-1][1] - part[0][0] for part in spans], least.rows[0][3] / 1e6, count


def run():
    """Rows of the table; see tools.bench.measure."""
    found = {}
    beside = threading.Thread(target=measured, args=(False, found))
    beside.start()
    measured(True, found)
    beside.join()
    rows = []
    for merge, name in ((True, "merged"), (False, "one request a point")):
        times, least, count = found[merge]
        time_s = sorted(times)[len(times) // 2]
        target = ("≤ 1.05", time_s <= 1.05 * least) if merge else ()
        what = f"round of a line, {METERS} meters × {POINTS} points, 9600 8N1, {name}: {count} requests"
        rows.append(row(what, time_s, "s", "computed least", least, time_s / least, *target))
    return rows


if __name__ == "__main__":
    for line in run():
        print(line)
    sys.exit(0)
