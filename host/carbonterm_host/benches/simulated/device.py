"""A terminal in simulated time: runs on MicroPython (or CPython).

usage: INTERPRETER device.py FOLDER. FOLDER has site.bin, the canonical site document, and plan.json (what is in it:
carbonterm_host.benches.planned); the log and truth.jsonl, what the meters said, are left there. Prints counts as JSON.

The firmware's own parts are at work: SerialLine and Acquisition of each line, Terminal, Log, Clock. What is simulated
is the board under them and the wires it is on. A power cut ends all of them in the middle of a write, and they begin
again from what was durable.
"""

import asyncio
import binascii
import gc
import json
import sys

from carbonterm import site as sites
from carbonterm.gm import sm2
from carbonterm.gm.sm4 import Cipher
from carbonterm.ledger.frames import key_name
from carbonterm.ledger.segment import SEGMENT_SIZE, Log
from carbonterm.number import Number
from carbonterm_device.acquisition import Acquisition
from carbonterm_device.clockwork import Clock
from carbonterm_device.line import SerialLine
from carbonterm_device.terminal import Terminal
from carbonterm_device.upkeep import Upkeep
from carbonterm_host.benches.defective import defective
from carbonterm_host.benches.simulated.board import MICROPYTHON, Board
from carbonterm_host.benches.simulated.storage import CutStorage, PowerCut
from carbonterm_host.simulate.cems import Cems, Centre
from carbonterm_host.simulate.chance import Chance
from carbonterm_host.simulate.faults import Faults
from carbonterm_host.simulate.loop import Loop
from carbonterm_host.simulate.plant import meters_of
from carbonterm_host.simulate.wire import Wire

KEY = bytes(31) + b"\x2a"
OPERATOR_MS = 120000  # from a meter's exchange to the operator's word
PATIENCE = 8  # readings held in a row, after which an operator goes and looks at the meter


class Truth:
    """Rows of ground truth to a file, the newest kept back for a while: what happens to a reply on the line is written
    into its row later."""

    def __init__(self, path):
        self._file = open(path, "w")  # noqa: SIM115 - it is open as long as this is
        self._held = []
        self.events = []

    def add(self, row):
        if "totals" in row and "event" in row:
            self.events.append(row)
        self._held.append(row)
        if len(self._held) > 200:
            self._write(100)

    def close(self):
        self._write(len(self._held))
        self._file.close()

    def _write(self, count):
        for row in self._held[:count]:
            self._file.write(json.dumps(row) + "\n")
        self._held = self._held[count:]


class Time:
    """The simulation's clock, as meters take it."""

    def __init__(self, board):
        self._board = board
        self.start_ms = board.start_ms

    def elapsed_s(self):
        return self._board.elapsed // 1000

    def now_ms(self):
        return self._board.now_ms()


class Bench:
    def __init__(self, folder, plan):
        self.folder, self.plan = folder, plan
        seed = plan["seed"]
        with open(folder + "/site.bin", "rb") as file:
            self.site = sites.decode(file.read())
        self.end_ms = plan["end_ms"]
        self.truth = Truth(folder + "/truth.jsonl")
        # each line has dice of its own: which of two lines comes first in a moment is nobody's business
        self.faults = [Faults("%s/%d" % (seed, index)) for index in range(len(self.site.buses) + 1)]
        for one in self.faults:
            for row in plan["faults"]:
                one.add(*row)
        self.lines = {}
        self.board = Board(self.lines, plan["start_ms"], Chance("board/%s" % seed), self._unplugged)
        clock = Time(self.board)
        self.meters = []
        for index, bus in enumerate(self.site.buses):
            found = [self._meter(meter) for meter in meters_of(self.site, index, seed)]
            for meter in found:
                meter.begin(clock, self.faults[index], self.truth)
            self.lines[bus.address] = Wire(found, (bus.port, bus.parity, bus.stop), self.faults[index], (20, 120))
            self.meters += found
        self.stations = []
        for name, number, version, cut in plan["stations"]:
            cipher = Cipher(bytes(range(16))) if version == "2025" else None
            self.stations.append((Cems(name, number, "123456", version, cipher, seed, cut),
                                  Centre(name, number, "123456", version, cipher)))  # fmt: skip
        self.loop = Loop(plan["loop"], Number(-20), Number(180), seed) if plan["loop"] else None
        self.flash = _flash(plan["flash"])
        self.storage = self.flash or CutStorage(Chance("power/%s" % seed))
        self.random = Chance("signatures/%s" % seed).randbytes
        self.cuts = list(plan["power"])  # when the power fails
        self.entered = []  # (event, seq of the entry behind it) that an operator has entered
        self.alarms = []
        self.starts = 0
        self.confirmed = 0
        self.counters = {}

    def _meter(self, meter):
        """The meter with what the plan says of its load, and of its defect."""
        rate, start = self.plan["meters"].get(meter.name, (None, None))
        meter.settings = meter.settings[0], rate, start
        return defective(meter, self.plan["defect"])

    def _unplugged(self, path, elapsed_ms):
        return any([path == name and begin <= elapsed_ms < end for name, begin, end in self.plan["unplugged"]])

    async def run(self):
        beside = asyncio.create_task(self._beside())
        while self.board.elapsed < self.end_ms:
            await self._life()
        await beside
        for meter in self.meters:
            self.truth.add(meter.final())
        with open(self.folder + "/centres.json", "w") as file:
            json.dump({centre.name: centre.taken for _, centre in self.stations}, file)
        self.truth.close()
        public = binascii.hexlify(sm2.public(KEY)) + b"\n"
        self.storage.write_out(self.folder + "/log", {key_name(0): public})

    async def _beside(self):
        """What is on no line: stations of HJ 212 with their centres, and a transmitter, once a second and a minute."""
        board = self.board
        for station, centre in self.stations:
            station.begin(board.now_ms(), self.faults[-1], self.truth)
            centre.begin(board.now_ms(), self.faults[-1])
        if self.loop:
            self.loop.begin(board.now_ms(), self.faults[-1])
        while board.elapsed < self.end_ms or any([station.logger.waiting for station, _ in self.stations]):
            await board.sleep_ms(1000 if self.stations else 60000)
            now = board.now_ms()
            for station, centre in self.stations:
                if board.elapsed < self.end_ms:
                    up = station.poll(now)
                else:
                    up = station.logger.poll(now)
                down = centre.poll(now)
                while up or down:
                    if up:
                        down += centre.hear(b"".join(up), now)
                    up, down = station.hear(b"".join(down), now), []
            if self.loop and now % 60000 < 1000 and board.elapsed < self.end_ms:
                current, fault, _ = self.loop.sample(now)
                value, reason = self.loop.scale.value(current)
                self.truth.add({"time_ms": now, "loop": str(current), "fault": fault, "reason": reason,
                                "value": None if value is None else str(value)})  # fmt: skip

    async def _life(self):
        """From a start to a power cut, or to the end."""
        board, self.starts = self.board, self.starts + 1
        if self.starts > 1:
            self.truth.add({"event": "restart", "time_ms": board.now_ms()})
        clock = Clock(port=board)
        size = self.plan["segment_size"] or SEGMENT_SIZE
        log = Log(self.storage, self.site.terminal_id, 0, sm2.Signer(KEY), self.random, size)
        terminal = Terminal(log, clock, board.RUNTIME)
        found = terminal.start(self.site)
        self.entered = [one for one in self.entered if one[1] <= found]  # what the power took is entered again
        upkeep = Upkeep(terminal, self.site, [Everything] if self.plan["held"] else [], [], board)
        running, tasks = [], []
        for index, bus in enumerate(self.site.buses):
            driver = SerialLine(bus.address, bus.port, bus.parity, bus.stop, bus.gap_ms, board)
            one = Acquisition(index, self.site, driver, terminal, clock, board)
            running.append(one)
            tasks.append(asyncio.create_task(one.run()))
        try:
            while board.elapsed < self.end_ms:
                await board.sleep_ms(self.site.settings.commit_ms)
                if self.cuts and board.elapsed >= self.cuts[0]:
                    self.cuts.pop(0)
                    self.storage.cut_soon()
                found = clock.check()
                if found:
                    terminal.clock_set(*found)
                self._operator(terminal)
                self._look(terminal)
                terminal.commit()
                if upkeep.due():
                    upkeep.look()
                    self._alarmed(upkeep, running)
        except PowerCut:
            self.truth.add({"event": "power", "time_ms": board.now_ms()})
            for task in tasks:
                task.cancel()
            await board.sleep_ms(2000)
        else:
            for one in running:
                one.stopping = True
            for task in tasks:
                await task
            terminal.commit(True)
        for one in running:
            self._count(one)
            one.driver.close()

    def _alarmed(self, upkeep, running):
        for text in upkeep.alarms() + [text for one in running for text in one.identification.alarms()]:
            if text not in self.alarms:
                self.alarms.append(text)

    def _operator(self, terminal):
        """Enters what was done to meters: an entry for each register that is read."""
        for row in self.truth.events[len(self.entered) :]:
            if row["event"] in ("replaced", "reset"):
                if self.board.now_ms() < row["time_ms"] + OPERATOR_MS:
                    return
                self._enter(terminal, row)
            self.entered.append((row["event"], terminal.log.next_seq))

    def _enter(self, terminal, row):
        for index, point in enumerate(self.site.points):
            if self.site.meters[point.meter].name == row["meter"] and point.kind == sites.REGISTER:
                stood = row["totals"][self._register(point)[1].name]
                terminal.exchanged(index, ("replaced", "reset").index(row["event"]), row["time_ms"],
                                   Number(stood["last"]), Number(stood["first"]))  # fmt: skip

    def _look(self, terminal):
        """Readings that are held again and again (a lie was believed, the truth now looks like a jump): the operator
        reads the meter's display and confirms it."""
        for index, believed, held in terminal.held():
            if held < PATIENCE:
                continue
            meter, register = self._register(self.site.points[index])
            meter.state.advance(self.board.now_ms())
            shown = Number(meter.state.totals()[register.name])
            if shown > believed:
                terminal.exchanged(index, 0, self.board.now_ms(), shown, shown)
                self.confirmed += 1

    def _register(self, point):
        """(Meter, its Register) of a point."""
        name = self.site.meters[point.meter].name
        meter = next(one for one in self.meters if one.name == name)
        here = point.function, point.address
        return meter, next(one for one in meter.state.registers if (one.function, one.address) == here)

    def _count(self, one):
        for name in ("requests", "replies", "timeouts", "errors", "exceptions", "dropped", "opened"):
            self.counters[name] = self.counters.get(name, 0) + getattr(one.driver.counters, name)
        self.counters["rounds"] = self.counters.get("rounds", 0) + one.rounds
        self.counters["late rounds"] = self.counters.get("late rounds", 0) + one.late_rounds


def _flash(geometry):
    if not geometry:
        return None
    from carbonterm_host.benches.simulated.flash import Flash  # littlefs is MicroPython's

    return Flash(*geometry)


class Everything:
    """A centre that holds all there is, as one does that answers at once."""

    @staticmethod
    def holds(epoch, end):
        return True


def main(folder):
    if MICROPYTHON:
        gc.threshold(4 << 20)  # what lives long stays together, so that there is room for long arrays
    with open(folder + "/plan.json") as file:
        bench = Bench(folder, json.load(file))
    bench.board.run(bench.run())
    faults = {}
    for one in bench.faults:
        for name, count in one.table().items():
            faults[name] = faults.get(name, 0) + count
    print(json.dumps({
        "faults": {name: faults[name] for name in sorted(faults)}, "counters": bench.counters, "starts": bench.starts,
        "collided": sum([wire.collided for wire in bench.lines.values()]),
        "heard": sum([wire.heard for wire in bench.lines.values()]), "cuts": bench.storage.cuts,
        "confirmed": bench.confirmed, "alarms": bench.alarms, "wear": bench.flash.wear() if bench.flash else None,
        "busy_ms": {path: sum([1000 * bits // baud for baud, bits in wire.busy.items()])
                    for path, wire in bench.lines.items()},
    }))  # fmt: skip


main(*sys.argv[1:])
