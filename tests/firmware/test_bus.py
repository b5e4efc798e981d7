"""The firmware's buses on real MicroPython against pymodbus and an RTU line: right values or none, whatever comes."""

import json
import select
import socket
import subprocess
import threading
from pathlib import Path

import pytest

import entrance
import patience
import runtimes
from carbonterm.field import models
from carbonterm_host.simulate import faults
from carbonterm_host.simulate.faults import COMMON, names
from carbonterm_host.simulate.line import MeterLine
from carbonterm_host.simulate.meter import Meter
from carbonterm_host.simulate.profile import Register
from carbonterm_host.simulate.site import Simulation, six_meters
from carbonterm_host.simulate.tcp import TcpServer

POLL = Path(__file__).parent / "poll.py"
ALL = ("cpython", "micropython", "micropython32")
SDM630, DTSU666 = models.load("eastron-sdm630"), models.load("chint-dtsu666")
SDM_READ = (4, 52, 24)  # power to energy, 12 values and gaps
SDM_TOTAL = (4, 342, 2)
SDM_VOLTAGE = (4, 0, 2)


def start(job, runtime="micropython"):
    try:
        command, env = runtimes.command(runtime, heap="2M")
    except runtimes.Unavailable as reason:
        pytest.skip(str(reason))
    job = {"rounds": 3, "timeout": 10000, "retries": 0, "pause": 0, **job}
    pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    process = subprocess.Popen([*command, str(POLL)], env=env, text=True, **pipes)
    process.stdin.write(json.dumps(job))
    process.stdin.close()
    process.stdin = None
    return process


def poll(job, runtime="micropython"):
    """(rows of the reads, counters per bus) of a job that ends by itself."""
    process = start(job, runtime)
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0 and not err, err
    rows = [json.loads(line) for line in out.splitlines()]
    return rows[:-1], rows[-1]["counters"]


def place(bus):
    if bus.kind == "modbus-tcp":
        return ["tcp", bus.host, bus.port]
    return ["rtu", bus.path, bus.baud, bus.parity, bus.stop_bits]


def said(model, row):
    """{register: what the bytes of a read say}, by the simulator's own decoder."""
    data = bytes.fromhex(row["data"])
    found = {}
    for wanted in model["registers"]:
        register = Register(wanted, 1, 0, 0)
        at = register.address - row["address"]
        if register.function == row["function"] and at >= 0 and at + register.width <= row["count"]:
            found[register.name] = register.said(data[2 * at : 2 * (at + register.width)])
    return found


def check(simulation, meter, row):
    """What was read is what the meter said in one answer to just this read."""
    spoken = [
        answer["registers"] for answer in simulation.truth.answers(meter.name)
        if (answer["function"], answer["address"], answer["count"]) == (row["function"], row["address"], row["count"])
    ]  # fmt: skip
    assert said(meter.model, row) in spoken


def pair(kind, baud=38400, **settings):
    """A plant of one bus with two meters, "a" (unit 1) and "b" (unit 2)."""
    meters = [Meter("a", 1, SDM630, 1), Meter("b", 2, SDM630, 2)]
    line = "bus", meters, baud
    bus = TcpServer("bus", meters) if kind == "tcp" else MeterLine(*line, turnaround_ms=(1, 4), **settings)
    return Simulation([bus], seed=11, speed=3600)


# --- right values ----------------------------------------------------------------------------------------------------


@pytest.mark.requirement("T-11.3-1", "T-11.3-4", "T-4-5")
@pytest.mark.parametrize("runtime", ALL)
def test_six_meters(runtime):
    with six_meters(seed=5, speed=600) as plant:
        reads = [
            [[1, 3, 3203, 4], [1, 3, 3053, 24]], [[2, 3, 62, 4], [2, 3, 20, 18]], [[1, *SDM_READ], [2, 3, 4126, 2]],
            [[1, 3, 0, 13]], [[1, 3, 0, 32]],
        ]  # fmt: skip
        rows, counters = poll({"buses": [place(bus) for bus in plant.buses], "reads": reads}, runtime)
        assert len(rows) == 3 * 8
        for row in rows:
            assert row["error"] is None, row
            bus = plant.buses[row["bus"]]
            meter = bus.meters[row["unit"]]
            check(plant, meter, row)
            raw = bytes.fromhex(row["raw"])
            assert raw.endswith(bytes.fromhex(row["data"])) if bus.kind == "modbus-tcp" else row["data"] in row["raw"]
        for reads_of, count in zip(reads, counters, strict=True):
            assert count["requests"] == count["replies"] == 3 * len(reads_of)
            assert (count["timeouts"], count["errors"], count["exceptions"], count["dropped"]) == (0, 0, 0, 0)
            assert count["opened"] == 1


@pytest.mark.slow
@pytest.mark.requirement("T-7.1-1", "T-7.1-3", "T-10.2.1-1")
@pytest.mark.requirement("T-7.1-2", part="the same port of a computer: a pty in its place")
@pytest.mark.requirement("T-10.2.1-2", part="two servers polled at once")
def test_four_serial_ports_and_two_networks_a_thousand_polls_each():
    lines = [MeterLine(f"s{i}", [Meter(f"s{i}", 1, SDM630, i)], 115200, turnaround_ms=(1, 4)) for i in range(4)]
    servers = [TcpServer(f"n{i}", [Meter(f"n{i}", 1, SDM630, 10 + i)]) for i in range(2)]
    with Simulation([*lines, *servers], seed=3) as plant:
        job = {"buses": [place(bus) for bus in plant.buses], "reads": [[[1, *SDM_TOTAL]]] * 6, "rounds": 1000}
        rows, counters = poll(job)
        assert [row["error"] for row in rows] == [None] * 6000
        for row in rows[::97]:
            check(plant, plant.buses[row["bus"]].meters[1], row)
    for count in counters:
        print(count)
        assert count["requests"] == count["replies"] == 1000 and count["opened"] == 1
        assert (count["timeouts"], count["errors"], count["exceptions"], count["dropped"]) == (0, 0, 0, 0)
    half = [row["bus"] for row in rows[:3000]]
    assert len(set(half)) == 6  # at once, not one after the other


@pytest.mark.slow
@pytest.mark.parametrize("baud, parity, stop", [(2400, "none", 1), (19200, "even", 1), (115200, "odd", 2)])
def test_line_settings(baud, parity, stop):
    meter = Meter("a", 7, SDM630)
    with Simulation([MeterLine("bus", [meter], baud, parity, stop)]) as plant:
        rows, _ = poll({"buses": [place(plant.buses[0])], "reads": [[[7, *SDM_VOLTAGE]]], "rounds": 1})
        assert rows[0]["error"] is None
        check(plant, meter, rows[0])
        # a master at another speed is not heard, and hears nothing
        other = ["rtu", plant.buses[0].path, 9600, parity, stop]
        rows, _ = poll({"buses": [other], "reads": [[[7, *SDM_VOLTAGE]]], "rounds": 1, "timeout": 100})
        assert rows[0]["error"] == "NoAnswer"
        entrance.wait(lambda: plant.buses[0].lost == 8)


def test_two_tasks_share_a_bus():
    code = """
import asyncio, sys
from carbonterm_device.line import SerialLine
from carbonterm_device.network import TcpBus
async def main():
    for bus in (TcpBus("localhost", int(sys.argv[1])), SerialLine(sys.argv[2], 38400)):
        for data, _ in await asyncio.gather(*[bus.read(1 + i % 2, 4, 52 + i, 4 + i, 20000) for i in range(6)]):
            print(len(data))
        bus.close()
asyncio.run(main())
"""
    meters = [Meter(name, unit, SDM630) for name, unit in (("a", 1), ("b", 2), ("c", 1), ("d", 2))]
    with Simulation([TcpServer("tcp", meters[:2]), MeterLine("line", meters[2:], 38400)]) as plant:
        assert run(code, plant.buses[0].port, plant.buses[1].path) == [str(8 + 2 * i) for i in range(6)] * 2


def run(code, *arguments, runtime="micropython"):
    command, env = runtimes.command(runtime, heap="2M")
    arguments = [*command, "-c", code, *map(str, arguments)]
    done = subprocess.run(arguments, env=env, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split()


# --- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.requirement("T-11.3-1")
@pytest.mark.parametrize("kind", ["tcp", "rtu"])
@pytest.mark.parametrize("fault", names(COMMON))
@patience.unhurried
def test_each_fault(fault, kind):
    """The meter with the fault gives right values or none; the meter beside it always gives right values."""
    with pair(kind) as plant:
        plant.faults.add(fault, 0.4, meter="a")
        # where answers are missing a time-out is short of what a busy machine may need, and is tried again
        timeout = 10000 if fault in ("noise-before", "echo", "foreign", "exception") else patience.of(400)
        job = {"reads": [[[1, *SDM_READ], [2, *SDM_READ], [1, *SDM_TOTAL], [2, *SDM_VOLTAGE]]], "rounds": 6,
               "timeout": timeout, "retries": 2}  # fmt: skip
        rows, (counters,) = poll({"buses": [place(plant.buses[0])], **job})
        happened = plant.faults.counts["a", fault]
        assert happened > 0
        good = 0
        for row in rows:
            meter = plant.meters["a" if row["unit"] == 1 else "b"]
            if row["error"] is None:
                good += 1
                check(plant, meter, row)
            else:
                assert meter.name == "a" and row["error"] in ("NoAnswer", "Refused"), row
        assert good >= len(rows) - happened
        if fault == "exception":
            assert counters["exceptions"] == happened
            assert "device failure" in next(row["what"] for row in rows if row["error"] == "Refused")
        if fault == "crc" and kind == "rtu":
            assert counters["errors"] >= happened
        if fault in ("silent", "truncated", "crc"):
            assert counters["timeouts"] >= happened
        if fault == "late":
            assert counters["timeouts"] >= 1 and counters["dropped"] >= 1
        if fault in ("noise-before", "echo", "foreign"):
            assert counters["dropped"] >= happened and counters["timeouts"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tcp", "rtu"])
@patience.unhurried
def test_all_faults_together(kind):
    with pair(kind) as plant:
        for fault in names(COMMON):
            plant.faults.add(fault, 0.05)
        rows, _ = poll({"buses": [place(plant.buses[0])], "reads": [[[1, *SDM_READ], [2, *SDM_READ], [2, *SDM_TOTAL]]],
                        "rounds": 30, "timeout": patience.of(400), "retries": 2})  # fmt: skip
        assert len(plant.faults.table()) >= len(names(COMMON)) - 3  # how many reads there are depends on the retries
        for row in rows:
            if row["error"] is None:
                check(plant, plant.meters["a" if row["unit"] == 1 else "b"], row)
        assert len([row for row in rows if row["error"] is None]) > 60


@pytest.mark.slow
@patience.unhurried
def test_late_answer_is_not_taken_for_another_register(monkeypatch):
    """Two reads of as many registers: the late answer to the first would do for the second."""
    monkeypatch.setattr(faults, "LATE_MS", patience.of(5000))
    with pair("rtu") as plant:
        plant.faults.add("late", limit=1)
        job = {"reads": [[[1, *SDM_VOLTAGE], [1, *SDM_TOTAL]]], "rounds": 3, "timeout": patience.of(2000)}
        rows, _ = poll({"buses": [place(plant.buses[0])], **job})
        assert [row["error"] for row in rows] == ["NoAnswer"] + 5 * [None]
        for row in rows[1:]:
            check(plant, plant.meters["a"], row)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tcp", "rtu"])
@patience.unhurried
def test_dead_meter_costs_only_its_timeout(kind):
    with pair(kind) as plant:
        plant.faults.add("silent", meter="a")
        job = {"reads": [[[1, *SDM_READ], [2, *SDM_READ]]], "rounds": 3, "timeout": patience.of(2000)}
        rows, (counters,) = poll({"buses": [place(plant.buses[0])], **job})
        assert [row["error"] for row in rows] == ["NoAnswer", None] * 3
        assert counters["requests"] == 6 and counters["timeouts"] == 3
        for row in rows[::2]:
            assert row["ms"] >= 2000 and row["turns"] > 5  # the loop went on
            assert "unit 1 does not answer" in row["what"] and "wiring" in row["hint"]


def test_refusals_of_the_meter():
    with pair("rtu") as plant:
        reads = [[1, 3, 52, 2], [1, 4, 52, 81], [1, 4, 1000, 2]]
        rows, (counters,) = poll({"buses": [place(plant.buses[0])], "reads": [reads], "rounds": 1})
        for row, words in zip(rows, ("illegal function", "illegal data value", "illegal data address"), strict=True):
            assert row["error"] == "Refused" and words in row["what"]
        assert counters["exceptions"] == 3


def test_reads_that_cannot_be_asked():
    with pair("tcp") as plant:
        reads = [[1, 4, 0, 126], [1, 4, 65535, 2], [1, 6, 0, 1], [300, 4, 0, 1]]
        rows, (counters,) = poll({"buses": [place(plant.buses[0])], "reads": [reads], "rounds": 1})
        assert [row["error"] for row in rows] == ["CarbonError"] * 4 and counters["requests"] == 0
    code = "from carbonterm_device.line import SerialLine\n"
    code += "try:\n SerialLine('x', 9601)\nexcept ValueError as e:\n print(e)"
    assert "9601 baud is no usual rate" in " ".join(run(code))


# --- broken links ----------------------------------------------------------------------------------------------------


class Watch:
    """Rows of a job that runs until it is killed, as they come."""

    def __init__(self, job):
        self.process = start({**job, "rounds": None})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def until(self, wanted, most=2000):
        """The first row for which wanted(row) holds, and all rows before it."""
        before = []
        for _ in range(most):
            assert select.select([self.process.stdout], [], [], 60)[0], "nothing more was read"
            line = self.process.stdout.readline()
            assert line, self.process.stderr.read()
            row = json.loads(line)
            if wanted(row):
                return row, before
            before.append(row)
        raise AssertionError(f"not in {most} rows: {before[-1]}")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tcp", "rtu"])
def test_link_cut_and_restored(kind, tmp_path):
    """A server that dies, an adapter that is pulled out (EIO): that bus says so, the other goes on, it comes back."""
    first = (
        TcpServer("cut", [Meter("a", 1, SDM630)]) if kind == "tcp"
        else MeterLine("cut", [Meter("a", 1, SDM630)], 38400, path=str(tmp_path / "tty"))
    )  # fmt: skip
    with Simulation([first, TcpServer("other", [Meter("b", 1, SDM630)])]) as plant:
        job = {"buses": [place(bus) for bus in plant.buses], "reads": [[[1, *SDM_READ]]] * 2}
        job["pause"] = 20
        with Watch(job) as rows:
            for _ in range(2):
                rows.until(lambda row: row["bus"] == 0 and not row["error"])
                plant.cut("cut")
                down, _ = rows.until(lambda row: row["error"] == "LinkDown")
                assert down["bus"] == 0 and "is not reachable" in down["what"] and down["hint"]
                _, before = rows.until(lambda row: row["bus"] == 1)
                plant.restore("cut")
                back, before = rows.until(lambda row: row["bus"] == 0 and not row["error"])
                check(plant, plant.meters["a"], back)
                assert all(row["error"] is None for row in before if row["bus"] == 1)


class Server:
    """A TCP server of a few lines: handle(connection, number) in a thread each."""

    def __init__(self, handle):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.accepted = 0
        self.handle = handle
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self.handle, args=(connection, self.accepted), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def answer(request):
    return request[:5] + b"\x07" + request[6:8] + b"\x04" + request[8:12]


def test_server_that_closes_after_every_answer():
    """Gateways close idle connections: the next read opens a new one and still gives its value."""

    def handle(connection, number):
        connection.sendall(answer(connection.recv(260)))
        connection.close()

    with Server(handle) as server:
        rows, (counters,) = poll({"buses": [["tcp", "127.0.0.1", server.port]], "reads": [[[1, 3, 9, 2]]], "pause": 30})
        assert [row["data"] for row in rows] == ["00090002"] * 3
        assert counters["opened"] == 3 and counters["timeouts"] == 0


@pytest.mark.slow
def test_half_open_connection_is_given_up():
    """The first connection swallows everything without a word; after three time-outs another is opened."""

    def handle(connection, number):
        while request := connection.recv(260):
            if number > 1:
                connection.sendall(answer(request))

    with Server(handle) as server:
        job = {"buses": [["tcp", "127.0.0.1", server.port]], "reads": [[[1, 3, 9, 2]]], "rounds": 5, "timeout": 2000}
        rows, _ = poll(job)
        assert [row["error"] for row in rows] == ["NoAnswer"] * 3 + [None] * 2


def test_answer_in_drops():
    """A byte at a time, and an old answer with each new one."""

    def handle(connection, number):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        old = b""
        while request := connection.recv(260):
            for byte in old + answer(request):
                connection.sendall(bytes((byte,)))
            old = answer(request[:9] + b"\x77" + request[10:])

    with Server(handle) as server:
        job = {"buses": [["tcp", "127.0.0.1", server.port]], "reads": [[[1, 3, 9, 2]]], "rounds": 10}
        rows, (counters,) = poll(job)
        assert [row["data"] for row in rows] == ["00090002"] * 10
        assert counters["dropped"] == 9 * 13


def test_nobody_there(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    job = {"buses": [["tcp", "127.0.0.1", number], ["rtu", str(tmp_path / "tty"), 9600]], "reads": [[[1, 3, 0, 1]]] * 2}
    rows, counters = poll(job)
    assert [row["error"] for row in rows] == ["LinkDown"] * 6
    assert {row["what"] for row in rows} == {
        f"127.0.0.1:{number} is not reachable: connection refused",
        f"{tmp_path}/tty is not reachable: there is no such device",
    }  # fmt: skip
    assert [count["requests"] for count in counters] == [0, 0]


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
@pytest.mark.parametrize("kind", ["tcp", "rtu"])
def test_cancelling_a_read(kind, runtime):
    """Who cancels a task that reads gets his way; the bus is free for the next."""
    code = """
import asyncio, sys
from carbonterm_device.line import SerialLine
from carbonterm_device.network import TcpBus
async def main():
    bus = TcpBus("127.0.0.1", int(sys.argv[1])) if sys.argv[2] == "tcp" else SerialLine(sys.argv[1], 38400)
    task = asyncio.create_task(bus.read(9, 4, 52, 2, 60000))
    await asyncio.sleep(0.1)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print("cancelled")
    data, _ = await bus.read(1, 4, 52, 2, 20000)
    print(len(data))
    bus.close()
asyncio.run(main())
"""
    with pair(kind) as plant:
        bus = plant.buses[0]
        assert run(code, bus.port if kind == "tcp" else bus.path, kind, runtime=runtime) == ["cancelled", "4"]


@pytest.mark.slow
def test_memory_stays(tmp_path):
    """Four thousand polls in a heap of 192 KB, one in ten of them spoilt."""
    code = """
import asyncio, gc, sys
from carbonterm_device.bus import BusError
from carbonterm_device.network import TcpBus
async def main():
    bus = TcpBus("127.0.0.1", int(sys.argv[1]))
    seen = []
    for i in range(4000):
        try:
            await bus.read(1, 4, 52, 24, 50)
        except BusError:
            pass
        if i in (1000, 3999):
            gc.collect()
            seen.append(gc.mem_alloc())
    bus.close()
    print(seen[1] - seen[0])
asyncio.run(main())
"""
    with pair("tcp") as plant:
        for fault in ("noise-before", "glued", "echo", "exception"):
            plant.faults.add(fault, 0.025)
        command, env = runtimes.command("micropython", heap="192K")
        done = subprocess.run([*command, "-c", code, str(plant.buses[0].port)], env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert int(done.stdout) < 2000


