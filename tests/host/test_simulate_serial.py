"""Simulated serial lines: each fault and protocol, the same on every runtime; collisions; the command; HJ 212."""

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import tty
from pathlib import Path

import pytest

import runtimes
from carbonterm.field import dlt645, dlt645_items
from carbonterm.number import Number
from carbonterm_host.simulate import faults as table
from carbonterm_host.simulate.cems import CENTRE, Cems, Centre
from carbonterm_host.simulate.faults import Faults
from carbonterm_host.simulate.logger import LoggerLine
from carbonterm_host.simulate.truth import Truth
from carbonterm_host.simulate.wire import Wire

ROOT = Path(__file__).parents[2]


def cases(runtime):
    paths = [ROOT / "protocols", ROOT / "host"]
    try:
        command, env = runtimes.command(runtime, paths)
    except runtimes.Unavailable as why:
        pytest.skip(str(why))
    arguments = [*command, str(ROOT / "tests/host/wire_cases.py")]
    done = subprocess.run(arguments, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout.splitlines()


@pytest.mark.requirement("T-11.3-1", "T-11.3-2", "T-11.3-3", part="every fault of a line, each protocol")
def test_each_fault_of_each_protocol():
    """What a fault leaves readable is read, what it spoils is not, and what a meter says is what is told."""
    lines = [line.rsplit(" ", 3) for line in cases("cpython")]
    assert len(lines) == 4 + 4 * len(table.names(*table.METERS)) - 3 - 3 - 1
    for name, meter, shown, said in lines:
        fault = None if name == "None" else name
        if table.leaves(fault) == table.READABLE:
            assert Number(shown) == Number(said) * (100 if meter == "g" else 1), (name, meter)
        lost = table.leaves(fault) == table.LOST and table.kind(fault) == table.LINE
        if lost or fault in ("silent", "truncated", "crc", "exception"):
            assert shown == "None", (name, meter)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", runtimes.MICRO)
def test_the_same_on_every_runtime(runtime):
    assert cases(runtime) == cases("cpython")


def test_bytes_that_meet_are_both():
    wire = Wire([], (9600, "none", 1), Faults(1))
    rows = [{}, {}]
    wire.put(0, b"\xf0\xf1\xf2\xf3", 1000, rows[0])
    wire.put(2000, b"\x3c\x3d\x3e\x3f", 1000, rows[1])
    assert wire.take(10000) == bytes((0xF0, 0xF1, 0xF2 & 0x3C, 0xF3 & 0x3D, 0x3E, 0x3F))
    assert wire.collided == 2 and rows == [{"spoilt": True}] * 2
    wire.put(20000, b"ab", 1000)
    assert (wire.next_us(), wire.next_us(1)) == (22000, 21000)
    assert (wire.take(20999), wire.take(21000), wire.take(22500), wire.next_us()) == (b"", b"a", b"b", None)


def test_a_request_into_a_late_reply():
    """A master that speaks while a late reply comes destroys both."""
    wire = Wire([], (9600, "none", 1), Faults(1))
    row = {}
    wire.put(1000, b"\xff" * 8, 1041, row)
    wire.send(3000, b"\x0f" * 4, (9600, "none", 1))
    assert row == {"spoilt": True} and set(wire.take(20000)) == {0xFF, 0x0F}


def carbonterm(*arguments):
    return subprocess.Popen(
        [sys.executable, "-c", "from carbonterm_host.cli import main; main()", "simulate", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.slow
def test_command_bus_of_three_protocols(tmp_path):
    """A raw master reads a DL/T 645 meter of a line that other protocols share; the meter's clock takes the time."""
    meters = "201000000012:dlt645-2007-three-phase", "42590008210438:cjt188-heat", "7:tuf-2000m"
    process = carbonterm("bus", *meters, "--pty", tmp_path / "tty", "--json", "--truth", tmp_path / "truth")
    meters = json.loads(process.stdout.readline())["meters"]
    assert [meter["unit"] for meter in meters] == ["201000000012", "42590008210438", 7]
    fd = os.open(tmp_path / "tty", os.O_RDWR | os.O_NOCTTY)
    tty.setraw(fd)

    def ask(identifier):
        exchange = dlt645.Exchange("201000000012", dlt645.read_request(identifier))
        os.write(fd, exchange.frame)
        reply = None
        while reply is None and select.select([fd], [], [], 60)[0]:
            reply = exchange.feed(os.read(fd, 256))
        return reply.payload

    energy = dlt645_items.read("XXXXXX.XX", ask("00010000"))
    os.write(fd, dlt645.frame(dlt645.BROADCAST, dlt645.time_request(2031, 5, 6, 7, 8, 9)))
    assert select.select([fd], [], [], 0.3)[0] == []
    day, time = ask("04000101"), ask("04000102")
    assert day == bytes((2, 6, 5, 0x31)) and dlt645_items.read("hhmmss", time)[:5] == "07:08"
    block = ask("0001FF00")
    assert len(block) == 20 and dlt645_items.read("XXXXXX.XX", block[:4]) >= energy
    os.close(fd)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=180)
    assert (process.returncode, err) == (0, "") and json.loads(out)["line_ms"]["bus"] > 0
    rows = [json.loads(line) for line in (tmp_path / "truth").read_text().splitlines()]
    assert Number(rows[0]["registers"]["active_energy_import"]) == energy


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments, words",
    [
        (["bus", "20100000001:dlt645-2007-three-phase"], "is no address of a DL/T 645 meter"),
        (["bus", "248:tuf-2000m"], "a Modbus unit is 1 to 247"),
        (["bus", "1:hj212-cems"], "which is no meter on a bus"),
        (["logger", "8212", "x"], "write HOST:PORT"),
        (["logger", "127.0.0.1:1", "x", "--key", "zz"], "non-hexadecimal"),
    ],
)
def test_command_refusals(arguments, words):
    process = carbonterm(*arguments, "--seconds", 0)
    out, err = process.communicate(timeout=180)
    assert process.returncode in (1, 2) and words in err and out == ""


MN = "31011519900101000000001A"


@pytest.mark.parametrize("version", ["2017", "2025"])
def test_a_station_and_a_bad_centre(version):
    """All that was uploaded comes once, whatever the way and the centre do."""
    truth, faults = Truth(), Faults(5)
    for name in (*CENTRE, "noise-before", "truncated", "crc", "glued", "silent", "flagged"):
        faults.add(name, 0.05)
    station, centre = Cems("s", MN, "1", version, split_at=200), Centre("s", MN, "1", version)
    now = 1795222800000
    station.begin(now, faults, truth)
    centre.begin(now, faults)
    while now < 1795222800000 + 7200000 or station.logger.waiting:
        now += 1000
        up = station.poll(now) if now < 1795222800000 + 7200000 else station.logger.poll(now)
        down = centre.poll(now)
        while up or down:
            down += centre.hear(b"".join(up), now) if up else []
            up, down = station.hear(b"".join(down), now), []
    assert set(faults.table()) == {fault.name for fault in faults.faults}
    seen = {}
    for command, datatime, told in centre.taken:
        whole = seen.setdefault((command, datatime), {})
        assert not set(whole) & set(told)  # no value comes twice
        whole.update(told)
    assert len(truth.rows) == len(seen) == 119 + 11 + 1
    for row in truth.rows:
        told = seen[row["item"], row["datatime"]]
        assert {key: value for key, value in told.items() if "Flag" not in key} == {
            key.split("/")[1]: text for key, text in row["registers"].items()
        }


@pytest.mark.slow
def test_a_station_on_tcp_that_is_cut_off():
    """It connects again and goes on; nothing is lost."""
    centre = Centre("station", MN, "123456")
    centre.begin(0, Faults(1))

    async def serve(reader, writer):
        while data := await reader.read(4096):
            for answer in centre.hear(data, 0):
                writer.write(answer)
            if len(centre.taken) in (3, 7):
                centre.taken.append(None)
                break
        writer.close()

    async def main():
        stopped = asyncio.Event()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        line = LoggerLine(Cems("station", MN, "123456"), "127.0.0.1", server.sockets[0].getsockname()[1], speed=600)
        task = asyncio.create_task(line.run(stopped))
        while len(centre.taken) < 14:
            await asyncio.sleep(0.01)
        stopped.set()
        await task
        server.close()
        return line

    line = asyncio.run(asyncio.wait_for(main(), 60))
    assert line.connected == 3
    sent = [(row["item"], row["datatime"]) for row in line.truth.rows]
    came = [taken[:2] for taken in centre.taken if taken]
    assert came == sent[: len(came)] and len(came) == len(set(came))
