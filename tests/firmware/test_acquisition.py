"""The bus's task and a clock that is set while it runs: it goes on reading, whatever the clock says."""

import asyncio

import pytest

from carbonterm.field import models
from carbonterm.gm import sm2
from carbonterm.ledger.entry import STEP
from carbonterm.ledger.segment import Log
from carbonterm_device.acquisition import Acquisition
from carbonterm_device.clockwork import Clock
from carbonterm_device.network import TcpBus
from carbonterm_device.ports import port
from carbonterm_device.terminal import Terminal
from carbonterm_host import site_yaml
from carbonterm_host.simulate.meter import Meter
from carbonterm_host.simulate.site import Simulation
from carbonterm_host.simulate.tcp import TcpServer
from memory_storage import MemoryStorage

SITE = """\
terminal: CT-1
name: one meter
zone: Z
buses: [{name: lan, kind: modbus-tcp, host: 127.0.0.1, port: PORT, timeout: 10s}]
meters: [{name: m, bus: lan, unit: 1, model: generic-mass-modbus}]
points: [{name: W1, meter: m, register: mass, every: 100ms}]
"""


@pytest.mark.slow
@pytest.mark.parametrize("offset_ms", (-3600000, -86400000, 7200000, 400))
def test_a_clock_that_is_set_does_not_stop_the_bus(offset_ms):
    async def run(number):
        clock = Clock()
        site = site_yaml.compile_text(SITE.replace("PORT", str(number)))
        terminal = Terminal(Log(MemoryStorage(), "CT-1", 0, sm2.Signer(bytes(31) + b"\x07")), clock, "test")
        terminal.start(site)
        task = Acquisition(0, site, TcpBus("127.0.0.1", number), terminal, clock, port)
        running = asyncio.create_task(task.run())
        for offset in (0, offset_ms):
            clock.simulate(offset)
            found = clock.check()
            if found:
                terminal.clock_set(*found)
            assert (found is not None and found[0] == STEP) == (abs(offset) > 1000)
            wanted = task.driver.counters.replies + 3
            while task.driver.counters.replies < wanted:
                await asyncio.sleep(0.01)
        task.stopping = True
        await running
        task.driver.close()
        assert task.rounds >= 6 and terminal.readings >= 6 and task.driver.counters.replies >= 6

    with Simulation([TcpServer("lan", [Meter("m", 1, models.load("generic-mass-modbus"))])]) as plant:
        asyncio.run(asyncio.wait_for(run(plant.buses[0].port), 300))
