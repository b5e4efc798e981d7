"""When a meter is asked who it is: at the start, once a day, and ten minutes after it did not answer (11.8)."""

import asyncio

import pytest

from carbonterm.field import models
from carbonterm_device.identification import AGAIN_MS, DAY_MS, Identification
from carbonterm_device.network import TcpBus
from carbonterm_host import site_yaml
from carbonterm_host.simulate.meter import Meter
from carbonterm_host.simulate.site import Simulation
from carbonterm_host.simulate.tcp import TcpServer

SITE = """\
terminal: CT-1
name: one meter
zone: Z
buses: [{name: lan, kind: modbus-tcp, host: 127.0.0.1, port: PORT, timeout: 10s}]
meters: [{name: m, bus: lan, unit: 1, model: generic-mass-modbus, serial: A-1}]
points: [{name: W1, meter: m, register: mass, every: 1s}]
"""
BEGIN = 1750000000000


class Time:
    """A clock that stands where the test put it."""

    now = BEGIN

    def now_ms(self):
        return self.now


class Log:
    """Keeps what is audited."""

    def __init__(self):
        self.rows = []

    def audit(self, who, what, detail):
        self.rows.append((who, what, detail))


def plant(serial, port=0):
    return Simulation([TcpServer("lan", [Meter("m", 1, models.load("generic-mass-modbus"), serial=serial)], port)])


@pytest.mark.requirement("T-11.8-1", part="asked once a day, and again ten minutes after silence")
def test_once_a_day_and_again_after_silence():
    async def run():
        time, log = Time(), Log()

        async def look(after_ms):
            """When it is asked again, from now; None if it was not asked."""
            before = found.due[0]
            time.now += after_ms
            await found.look()
            return None if found.due[0] == before else found.due[0] - time.now

        with plant("A-1") as served:
            number = served.buses[0].port
            bus = TcpBus("127.0.0.1", number)
            found = Identification(0, site_yaml.compile_text(SITE.replace("PORT", str(number))), bus, log, time)
            assert found.status() == [{"meter": "m", "serial": "A-1", "matches": None}]
            assert await look(0) == DAY_MS and found.status()[0]["matches"] is True
            assert await look(DAY_MS - 1) is None and await look(1) == DAY_MS
            assert log.rows == [("terminal", "identified", "m: A-1")]  # the same word is said once
            assert await look(-3 * DAY_MS) == DAY_MS  # the clock was set back: nobody waits for three days
        assert await look(DAY_MS) == AGAIN_MS and found.alarms() == []  # silence is no answer
        assert await look(AGAIN_MS - 1) is None and await look(1) == AGAIN_MS
        with plant("B-2", number):
            while await look(AGAIN_MS) != DAY_MS:  # until the line is up again
                await asyncio.sleep(0.01)
            assert found.alarms() == ["identity mismatch: m: it says B-2, the record says A-1"]
            assert await look(AGAIN_MS) is None
        assert await look(DAY_MS) == AGAIN_MS and len(found.alarms()) == 1
        assert [row[1] for row in log.rows] == ["identified", "identity mismatch"]
        bus.close()

    asyncio.run(asyncio.wait_for(run(), 300))
