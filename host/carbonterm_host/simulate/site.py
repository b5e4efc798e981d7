"""A whole simulated plant in this process: buses, meters, faults, ground truth; started and stopped like a device.

    with six_meters(seed=1) as plant:
        for bus in plant.buses: print(bus.describe())
        plant.faults.add("crc", probability=0.1)
        …
        plant.write_truth()

The buses run in one thread with an event loop of its own. Everything is on 127.0.0.1, on free ports and own ptys.
"""

import asyncio
import os
import threading

from carbonterm.field import inbound, models
from carbonterm_host.simulate.faults import Faults
from carbonterm_host.simulate.line import MeterLine
from carbonterm_host.simulate.meter import Meter
from carbonterm_host.simulate.plant import meters_of
from carbonterm_host.simulate.tcp import TcpServer
from carbonterm_host.simulate.truth import Clock, Truth


class Simulation:
    """`buses`: TcpServer and MeterLine, which hold the meters. seed: of the faults; speed: of simulated time;
    truth: path of the ground truth file, or None; start_ms: simulated time at the start (default: now)."""

    def __init__(self, buses, seed=1, speed=1, truth=None, faults=(), start_ms=None):
        self.buses = list(buses)
        self.meters = {}
        for bus in self.buses:
            for meter in bus.meters.values():
                if meter.name in self.meters:
                    raise ValueError(f"two meters are named {meter.name}")
                self.meters[meter.name] = meter
        self.seed = seed
        self.speed = speed
        self.start_ms = start_ms
        self.faults = Faults(seed, faults)
        for fault in faults:
            if fault.meter is not None and fault.meter not in self.meters:
                known = ", ".join(self.meters)
                raise ValueError(f"fault {fault.name}: there is no meter '{fault.meter}'; there are: {known}")
        self.truth = Truth(truth)
        self.clock = None
        self._loop = None
        self._thread = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def bus(self, name):
        return next(bus for bus in self.buses if bus.name == name)

    def start(self):
        """Starts all buses; returns when every port listens and every pty is there. OSError if one cannot be had."""
        self.clock = Clock(self.speed, self.start_ms)
        for meter in self.meters.values():
            meter.begin(self.clock, self.faults, self.truth)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulated meters", daemon=True)
        self._thread.start()
        try:
            for bus in self.buses:
                self._call(bus.start(self.faults))
        except BaseException:
            self.stop()
            raise

    def stop(self):
        """Stops all buses and writes ground truth if it has a path."""
        if self._loop is None:
            return
        for bus in self.buses:
            self._call(bus.stop())
        self._call(_settle())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = None
        self.write_truth()

    def cut(self, name):
        """Cuts a bus: its server stops and closes all connections, or its serial adapter is pulled out."""
        self._call(self.bus(name).stop())

    def restore(self, name):
        """Puts a cut bus back, at the same port; a pty without a link of its own may get another name."""
        self._call(self.bus(name).start(self.faults))

    def finals(self):
        """The meters' totals now, one row each (see Meter.final)."""
        return [meter.final() for meter in self.meters.values()]

    def write_truth(self, path=None):
        """Writes ground truth, JSON lines: every answered read, then every meter's totals, then the faults' counts."""
        counts = {"final": True, "faults": self.faults.table(), "seed": self.seed}
        self.truth.write([*self.finals(), counts], path)

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)


async def _settle():
    """Lets connections that are being closed end."""
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def six_meters(seed=1, speed=1, truth=None, faults=(), path=None):
    """The demo's plant: two electricity meters on Modbus TCP, two on an RTU line at 9600 baud, a gas and a heat meter
    on TCP. Bus names: "workshop-1", "workshop-2", "line", "gas", "heat"; path: a link to the line's pty."""

    def meter(name, unit, model, place):
        return Meter(name, unit, models.load(model), seed=seed * 100 + place)

    return Simulation(
        [
            TcpServer("workshop-1", [meter("em-1", 1, "schneider-iem3155", 1)]),
            TcpServer("workshop-2", [meter("em-2", 2, "acrel-adw300", 2)]),
            MeterLine("line", [meter("em-3", 1, "eastron-sdm630", 3), meter("em-4", 2, "chint-dtsu666", 4)], path=path),
            TcpServer("gas", [meter("gas-1", 1, "generic-gas-modbus", 5)]),
            TcpServer("heat", [meter("heat-1", 1, "tuf-2000m", 6)]),
        ],
        seed=seed, speed=speed, truth=truth, faults=faults,
    )  # fmt: skip


def from_site(site, seed=1, speed=1, truth=None, faults=()):
    """(Simulation, moved): every meter of a Site (see carbonterm.site), and the buses that are not where the site says,
    as (bus, the site's place): a host that is not this one gets a free port here, a device that exists a pty. Entrances
    for what others send are left out."""
    buses, moved = [], []
    for index, row in enumerate(site.buses):
        if row.kind in inbound.KINDS:
            continue  # others send there: a broker, a client, `simulate logger`
        meters = meters_of(site, index, seed)
        if row.kind == "modbus-tcp":
            here = row.address in ("127.0.0.1", "localhost")
            buses.append(TcpServer(row.name, meters, row.port if here else 0))
            place = f"{row.address}:{row.port}"
        else:
            here = _free(row.address)
            link = row.address if here else None
            buses.append(MeterLine(row.name, meters, row.port, row.parity, row.stop, link, kind=row.kind))
            place = row.address
        if not here:
            moved.append((buses[-1], place))
    return Simulation(buses, seed, speed, truth, faults), moved


def _free(path):
    """Whether a link to a pty can be made at `path`: there is nothing, or a link that leads nowhere."""
    folder = os.path.dirname(path) or "."
    return os.access(folder, os.W_OK) and not os.path.exists(path)
