"""Scenarios on boards: shipped ones on a virtual collector, and at a port as of a real board."""

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import tty
from pathlib import Path

import pytest

from carbonterm_host.benches import bench, scenario, standing
from carbonterm_host.screen import Failure
from scenarios import check
from shell import carbonterm

pytestmark = pytest.mark.slow
PROGRAM = Path(sys.executable).parent / "carbonterm"
SHORT = """\
title = "A collector 采集器"
time = "real"
lasts = "8s"
%s
[site]
buses = [{name = "line", kind = "serial", baud = 19200, timeout = "5s", gap = "10ms"}]
meters = [{name = "e1", bus = "line", unit = 1, model = "eastron-sdm630"}]
points = [{name = "E1", meter = "e1", register = "active_energy_import", every = "1s", limit = "20000"}]
settings = {commit = "500ms"}
[meters]
e1 = {rate = "3600"}
%s
[expect]
verified = true
wrong = 0
lost = 0
totals_equal = true
delivered = true
"""
POWER = '[[events]]\ndo = "power-cut"\nat = "3s"\noff = "2s"\n'


def written(folder, boards, more="", expect=""):
    file = folder / "short.scenario.toml"
    file.write_text(SHORT % (boards, more) + expect, encoding="utf-8")
    return file


@pytest.mark.requirement("T-4-1", part="a collector from its box between meters and a centre; simulated chip")
def test_commissioning_of_a_collector(tmp_path):
    check("board-commissioning", tmp_path)


@pytest.mark.requirement("T-7.6-1", "T-7.6-2", part="a collector whose flash's writes are torn; simulated chip")
def test_power_storm_over_a_collector(tmp_path):
    check("board-power-storm", tmp_path)


def test_line_faults_at_a_collector(tmp_path):
    check("board-line-faults", tmp_path)


@contextlib.contextmanager
def wires():
    """Two serial devices that are connected with each other."""
    ends = [os.openpty(), os.openpty()]
    for master, slave in ends:
        tty.setraw(slave)
        os.set_blocking(master, False)
    (one, _), (other, _) = ends
    over = os.pipe()

    def pump():
        while True:
            ready = select.select([one, other, over[0]], [], [])[0]
            if over[0] in ready:
                return
            for end in ready:
                os.write(other if end == one else one, os.read(end, 4096))

    thread = threading.Thread(target=pump)
    thread.start()
    try:
        yield [os.ttyname(slave) for _, slave in ends]
    finally:
        os.write(over[1], b"x")
        thread.join()
        for number in (*over, *(one for end in ends for one in end)):
            os.close(number)


@contextlib.contextmanager
def plugged(folder, uart):
    """The port of a board that runs in another process, with a switch for its power."""
    os.mkfifo(folder / "orders")
    orders = os.open(folder / "orders", os.O_RDWR)
    words = PROGRAM, "board", "virtual", "rpi-pico2", "--folder", folder / "v", "--uart", f"rs485-2={uart}", "--json"
    process = subprocess.Popen(words, stdin=orders, stdout=subprocess.PIPE, text=True)
    try:
        yield json.loads(process.stdout.readline())["port"]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        os.close(orders)


def test_a_board_at_a_port(tmp_path):
    """As of a real one: the port by mpremote, the line by an adapter on the same wires, the power by a command."""
    with wires() as (near, far), plugged(tmp_path, far) as port:
        from carbonterm_host.boards import image, virtual

        image.build("rpi-pico2", tmp_path / "image", None, virtual.arch())
        row = (f'[[boards]]\nname = "desk"\nboard = "rpi-pico2"\nport = "{port}"\nimage = "image"\n'
               f'lines = {{line = "rs485-2"}}\ndevices = {{line = "{near}"}}\n'
               f'power = ["sh", "-c", "echo power {{to}} > {tmp_path}/orders"]\n')  # fmt: skip
        file = written(tmp_path, row, POWER, "starts = 2\n")
        for turn in ("first", "again: what a bench left on the board is taken from it"):
            code, out, err = carbonterm("bench", "run", file, "-o", tmp_path / "out", "--json")
            result = json.loads(out.splitlines()[-1])
            assert code == 0, (turn, result, err)
            assert result["board"]["name"] == "desk" and result["board"]["simulated"]


def test_a_board_that_is_not_there(tmp_path):
    row = '[[boards]]\nboard = "rpi-pico2"\nport = "/dev/nowhere"\ndevices = {line = "/dev/null"}\n'
    (one, _), = standing.each(scenario.load(written(tmp_path, row)))
    with pytest.raises(Failure, match="/dev/nowhere is not there") as said:
        bench.run(one, tmp_path / "out")
    assert "carbonterm board list" in said.value.hint
