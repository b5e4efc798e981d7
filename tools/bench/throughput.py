"""Modbus TCP to a durable log: 1000 points a second for a minute beside the ThingsBoard gateway, then 5000 a second.

Both poll the same devices at the same time: 10 units of one server process that answers at once, 100 values of 32 bit
each, every second. Ours is the firmware on MicroPython: decodes, checks, settles the tenth that are registers, signs
one entry a round and flushes it. The peer (tools.bench.peers.thingsboard) decodes, commits to SQLite and signs nothing.
CPU time (user and system, all threads) and resident size are the kernel's, over the same minute; values are counted in
the log and by what the server was asked. Targets: half of the peer's CPU for each point, and 24 MB.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from carbonterm import site as sites
from carbonterm_host.firmware import Terminal
from tools.bench.measure import Unavailable, row
from tools.bench.peers.thingsboard import Gateway

UNITS, VALUES = 10, 100
SECONDS = 60
SETTLE_S = 8  # before the minute begins

# 100 values of 32 bit that go up with time; says on a line of its input how many values each port was asked for
_SERVER = """
import asyncio, struct, sys, time
class Server(asyncio.Protocol):
    def __init__(self, asked, index):
        self.asked, self.index = asked, index
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        first, count = struct.unpack(">HH", data[8:12])
        self.asked[self.index] += count // 2
        base = int(time.time() * 10) & 0xFFFFFFF
        values = b"".join([struct.pack(">I", base + first + i) for i in range(count // 2)])
        self.transport.write(data[:4] + bytes((0, 3 + 2 * count)) + data[6:8] + bytes((2 * count,)) + values)
async def main():
    loop, asked = asyncio.get_running_loop(), [0, 0]
    servers = [await loop.create_server(lambda i=i: Server(asked, i), "127.0.0.1", 0) for i in (0, 1)]
    print(*[s.sockets[0].getsockname()[1] for s in servers], flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(*asked, flush=True)
asyncio.run(main())
"""


class Server:
    """The devices, as a process; `ports`: one for each of the two that poll."""

    def __enter__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.ports = [int(word) for word in self.process.stdout.readline().split()]
        return self

    def asked(self):
        """Values that each port was asked for so far."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return [int(word) for word in self.process.stdout.readline().split()]

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def document(port, values, interval_ms):
    """Site of 10 units behind one Modbus TCP server; every tenth value is a register, the others of the moment."""
    meters = [[f"M{i}", 0, i + 1, "none", 125] + 5 * [None] for i in range(UNITS)]
    points = [
        [f"P{m}.{i}", m, "energy", "kWh", 3, 2 * i, "uint32", "ABCD", [1, -1], "instant" if i % 10 else "register"]
        + 4 * [None] + [interval_ms]
        for m in range(UNITS)
        for i in range(values)
    ]  # fmt: skip
    bus = ["lan", "modbus-tcp", "127.0.0.1", port, "none", 1, 1000, 1, 0]
    rows = [bus], meters, points, [], [], [[2, 3], 1000]
    return sites.Site([sites.FORMATS[0], 1, "CT-FAST-1", "fast", 480, *rows]).canonical()


def used(process):
    """(CPU seconds, resident bytes) of a process so far, by the kernel."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return cpu, int(fields[21]) * os.sysconf("SC_PAGE_SIZE")


def minute(terminal, gateway, server):
    """((CPU s, resident bytes, values asked for) of ours and, where it is there, the peer, and how many readings ours
    logged) over SECONDS; RuntimeError where a round was late or a reading failed."""
    processes = [terminal.process] + ([gateway.process] if gateway else [])
    before, asked, first = [used(one) for one in processes], server.asked(), terminal.status()
    time.sleep(SECONDS)
    after, then, last = [used(one) for one in processes], server.asked(), terminal.status()
    bus = last["buses"][0]
    if bus["late"] > first["buses"][0]["late"] or bus["timeouts"] or bus["errors"] or last["errors"] or last["alarms"]:
        raise RuntimeError(f"not read cleanly: {bus}, {last['errors']}, {last['alarms']}")
    found = [(b[0] - a[0], b[1], n) for a, b, n in zip(before, after, _less(then, asked), strict=False)]
    return found, last["readings"] - first["readings"]


def _less(a, b):
    return [x - y for x, y in zip(a, b, strict=True)]


def started(folder, port, values, interval_ms):
    terminal = Terminal(folder, document(port, values, interval_ms))
    terminal.start()
    terminal.wait(lambda status: status.get("buses") and status["buses"][0]["rounds"] >= 2, 60)
    return terminal


def run():
    """Rows of the table; see tools.bench.measure."""
    rows = []
    with tempfile.TemporaryDirectory() as folder, Server() as server:
        gateway = None
        terminal = started(Path(folder, "ours"), server.ports[0], VALUES, 1000)
        try:
            try:
                gateway = Gateway(Path(folder, "peer"), server.ports[1], range(1, UNITS + 1), VALUES, 1000)
            except Unavailable as reason:
                rows.append(row(f"the ThingsBoard gateway was not run: {reason}", None, ""))
            time.sleep(SETTLE_S)
            found, logged = minute(terminal, gateway, server)
            rows += compared(found, logged, gateway and gateway.stored())
        finally:
            terminal.stop()
            if gateway:
                gateway.stop()
        terminal = started(Path(folder, "fast"), server.ports[0], VALUES, 200)
        try:
            time.sleep(SETTLE_S)
            found, logged = minute(terminal, None, server)
        finally:
            terminal.stop()
        rate = logged / SECONDS
        what = f"Modbus TCP to a signed log, {UNITS * VALUES} points every 200 ms, points a second"
        rows.append(row(what, rate, "1/s", "", None, None, "≥ 4900 logged", rate >= 4900))
        rows.append(row("  its CPU, share of a core", found[0][0] / SECONDS, "", "", None, None, "", None))
    return rows


def compared(found, logged, stored):
    """Rows of the minute; stored: values in the peer's store since its start, None where it was not run."""
    (cpu, size, asked), peer = found[0], found[1] if len(found) > 1 else None
    if abs(logged - asked) > 2 * UNITS * VALUES:  # a round or two that were under way
        raise RuntimeError(f"{asked} values were read, {logged} logged")
    each, name = cpu / logged * 1e6, ""
    theirs = None
    if peer:
        name = "ThingsBoard gateway"
        theirs = peer[0] / peer[2] * 1e6
        if stored < peer[2]:
            raise RuntimeError(f"the peer was told {peer[2]} values and stored {stored}")
    ratio = each / theirs if peer else None
    what = f"Modbus TCP to a durable log, {asked / SECONDS:.0f} points/s for {SECONDS} s"
    theirs_kib, smaller = (peer[1] >> 10, size / peer[1]) if peer else (None, None)
    return [
        row(f"{what}: CPU a point", each, "µs", name, theirs, ratio, "≤ 0.5", ratio <= 0.5 if peer else None),
        row("  resident", size >> 10, "KiB", name, theirs_kib, smaller, "≤ 24 MiB", size <= 24 << 20),
    ]


if __name__ == "__main__":
    for line in run():
        print(line)
