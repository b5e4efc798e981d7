"""A scenario in real time: simulated meters on ptys and TCP, the terminal as a process, centres over TLS."""

import heapq
import itertools
import time

from carbonterm import clock
from carbonterm import site as sites
from carbonterm.field import models
from carbonterm.ledger import manual as records
from carbonterm.number import Number
from carbonterm_host.benches.centre import Centre
from carbonterm_host.benches.defective import KINDS, defective
from carbonterm_host.benches.events import OPERATOR
from carbonterm_host.firmware import Terminal
from carbonterm_host.platform import keys
from carbonterm_host.simulate.faults import Fault
from carbonterm_host.simulate.plant import meters_of
from carbonterm_host.simulate.rtu import RtuLine
from carbonterm_host.simulate.site import Simulation
from carbonterm_host.simulate.tcp import TcpServer

HEAP = "8M"
LOOK_S = 0.1
DAY_MS = 86400000
FIRST_S = 30  # for the first reading
UNDER_WAY_MS = 1000  # from an answer to its commit, besides the time that commits are apart
COUNTERS = ("requests", "replies", "timeouts", "errors", "exceptions", "dropped")


class Real:
    """`run()` does all of it in `folder` and returns what the bench saw (carbonterm_host.benches.evidence)."""

    def __init__(self, scenario, folder, defect, tell):
        self.scenario, self.folder, self.defect, self.tell = scenario, folder, defect, tell
        self.power, self.cuts, self.samples = [], [], []
        self.alarms, self.errors, self.spent = [], [], {}
        self.status = {}
        self.queue, self.order = [], itertools.count()
        self.offset_ms = 0
        if scenario.begins is not None:
            now = time.time_ns() // 1000000
            begins = clock.start(clock.DAY, now, scenario.site.zone) + scenario.begins
            self.offset_ms = begins - now if begins < now else begins - 86400000 - now

    def now_ms(self):
        return time.time_ns() // 1000000 + self.offset_ms

    def run(self):
        scenario = self.scenario
        self.terminal = Terminal(
            self.folder / "terminal", heap=scenario.board.get("heap", HEAP), offset_ms=self.offset_ms,
            segment_size=scenario.board.get("segment_size"),
        )  # fmt: skip
        epoch, public = self.terminal.key()
        tls = keys.make_certificates(self.folder / "tls") if scenario.centres else None
        identity = scenario.site.terminal_id, epoch, public
        self.centres = [Centre(f"centre-{n}", self.folder / f"centre-{n}", tls, identity)
                        for n in range(1, scenario.centres + 1)]  # fmt: skip
        self.plant = self._plant()
        try:
            for centre in self.centres:
                centre.start()
            self.plant.start_ms = self.now_ms()
            with self.plant:
                self._configure()
                self._operate()
        finally:
            if self.terminal.process and self.terminal.process.poll() is None:
                self.terminal.kill()
            for centre in self.centres:
                centre.stop()
        return {
            "power": self.power, "cuts": self.cuts, "samples": self.samples,
            "lost_ms": self.site.settings.commit_ms + UNDER_WAY_MS,
            "alarms": self.alarms, "errors": self.errors, "lines": self._lines(),
            "centres": [centre.held() for centre in self.centres], "faults": self.plant.faults.table(),
            "begin_ms": self.begin_ms, "end_ms": self.end_ms,
        }  # fmt: skip

    # --- setting up --------------------------------------------------------------------------------------------------

    def _plant(self):
        scenario, buses = self.scenario, []
        for index, row in enumerate(scenario.site.buses):
            meters = [self._meter(meter) for meter in meters_of(scenario.site, index, scenario.seed)]
            if row.kind == "modbus-tcp":
                buses.append(TcpServer(row.name, meters))
            else:
                link = str(self.folder / f"{row.name}.tty")
                buses.append(RtuLine(row.name, meters, row.port, row.parity, row.stop, link, kind=row.kind))
        faults = [Fault(*row) for row in scenario.faults]
        return Simulation(buses, scenario.seed, 1, self.folder / "truth.jsonl", faults)

    def _meter(self, meter):
        rate, start = self.scenario.meters.get(meter.name, (None, None))
        meter.settings = meter.settings[0], rate, start
        defect = self.defect
        if defect and defect["does"] in KINDS:
            return defective(meter, [defect["does"], defect["meter"], defect.get("every", 10)])
        return meter

    def _configure(self):
        found = {bus.name: (bus.address, bus.port) if bus.kind == "modbus-tcp" else bus.path
                 for bus in self.plant.buses}  # fmt: skip
        rows = [centre.row() for centre in self.centres]
        (self.folder / "site.yaml").write_text(self.scenario.site_text(found, rows), encoding="utf-8")
        self.site = self.scenario.compile(found, rows, self.folder)
        (self.folder / "site.bin").write_bytes(self.site.canonical())
        self.terminal.configure(self.site.canonical())

    # --- running -----------------------------------------------------------------------------------------------------

    def _operate(self):
        time_of = self.plant.clock  # faults and events have one beginning
        self.begin_ms = time_of.start_ms
        self.terminal.start()
        self.terminal.wait(lambda status: status.get("readings"), FIRST_S)
        for event in self.scenario.events:
            self._at(event.at_ms, self._happen, event)
        for row in self.scenario.faults:
            if row[0] == "silent" and row[1] == 1 and row[2] is not None and row[4] is not None and row[5] is None:
                since = self.begin_ms + 1000 * row[3]
                self.cuts.append([[row[2]], since, self.begin_ms + 1000 * row[4]])
        while (elapsed := time_of.elapsed_s() * 1000) < self.scenario.ms:
            while self.queue and self.queue[0][0] <= elapsed:
                _, _, act, given = heapq.heappop(self.queue)
                act(*given)
            self._look()
            time.sleep(LOOK_S)
        if self.terminal.process.poll() is None:
            self.terminal.stop()
            self._look(True)
            self._spend()
        self.end_ms = self.now_ms()

    def _at(self, ms, act, *given):
        heapq.heappush(self.queue, (ms, next(self.order), act, given))

    def _happen(self, event):
        self.tell(event.do, f"{event.at_ms / 1000:g} s" + (f", {event.for_ms / 1000:g} s" if event.for_ms else ""))
        getattr(self, "_" + event.do.replace("-", "_"))(event)

    def _power_cut(self, event):
        self._look()
        self.terminal.kill()
        self._spend()
        self.power.append([self.now_ms(), None])
        self.plant.truth.add({"event": "power", "time_ms": self.now_ms()})
        if not (self.defect and self.defect["does"] == "off"):
            self._at(event.at_ms + event.for_ms, self._power_on)

    def _power_on(self):
        self.power[-1][1] = self.now_ms()
        self.terminal.start()

    def _line_cut(self, event):
        bus = event.row["bus"]
        since = self.now_ms()
        self.plant.cut(bus)
        self.cuts.append([[meter.name for meter in self.plant.bus(bus).meters.values()], since, since + event.for_ms])
        self._at(event.at_ms + event.for_ms, self._line_back, bus, self.cuts[-1])

    def _line_back(self, bus, cut):
        cut[2] = self.now_ms()
        self.plant.restore(bus)

    def _network_cut(self, event):
        centre = self.centres[event.row.get("centre", 0)]
        centre.stop(hard=True)
        self._at(event.at_ms + event.for_ms, centre.start)

    def _replaced(self, event):
        self.plant.faults.add(event.do, meter=event.row["meter"], limit=1)
        self._at(event.at_ms + 500, self._tell_terminal, event)

    _reset = _replaced

    def _tell_terminal(self, event):
        """What an operator enters about a meter that was exchanged, once it has been."""
        done = [row for row in self.plant.truth.rows
                if row.get("event") == event.do and row["meter"] == event.row["meter"]]  # fmt: skip
        if not done or self.terminal.process.poll() is not None:
            self._at(event.at_ms + 1000, self._tell_terminal, event)
            return
        meter = next(index for index, one in enumerate(self.site.meters) if one.name == event.row["meter"])
        model = models.load(self.site.meters[meter].model)
        for point in self.site.points:
            if point.meter == meter and point.kind == sites.REGISTER:
                name = next(row["name"] for row in model["registers"]
                            if tuple(models.place(model, row)[:2]) == (point.function, point.address))  # fmt: skip
                stood = done[-1]["totals"][name]
                when = clock.text(done[-1]["time_ms"], 0)
                self.terminal.say(f"{event.do} {point.name} {when} {stood['last']} {stood['first']}")

    def _enter(self, event):
        site, now = self.site, self.now_ms()
        index = next(i for i, one in enumerate(site.manual) if one.name == event.row["point"])
        value, today = Number(event.row["value"]), clock.start(clock.DAY, now, site.zone)
        fields = [event.row["point"], today - DAY_MS, today, value.exponent, value.mantissa,
                  site.manual[index].unit, [], "bench", None]  # fmt: skip
        made = records.make(site.terminal_id, "bench", now, records.ENTER, fields, OPERATOR.sign)
        self.terminal.say("enter " + made.encode().hex())

    def _clock_step(self, event):
        self.offset_ms += self.scenario.duration(event.row["by"], "by")
        self.terminal.set_clock(self.offset_ms)

    # --- looking -----------------------------------------------------------------------------------------------------

    def _look(self, last=False):
        status = self.terminal.status()
        if not status or "entries" not in status:
            return
        if not last and self.samples and status["time_ms"] == self.samples[-1]["time_ms"]:
            return
        self.status = status
        self.samples.append({
            "time_ms": status["time_ms"], "entries": status["entries"], "heap": status["heap_peak"],
            "cursors": [centre["cursor"] or 0 for centre in status["centres"]],
        })  # fmt: skip
        for kept, told in ((self.alarms, status["alarms"]), (self.errors, status["errors"])):
            kept += [text for text in told if text not in kept]

    def _spend(self):
        """Counters begin again with each start of the terminal: they are added up."""
        for bus in self.status.get("buses", ()):
            row = self.spent.setdefault(bus["bus"], dict.fromkeys(COUNTERS, 0))
            for name in COUNTERS:
                row[name] += bus[name]
        self.status = {}

    def _lines(self):
        for bus in self.plant.buses:
            if bus.kind != "modbus-tcp":
                self.spent.setdefault(bus.name, {})["busy_ms"] = bus.busy_ms
        return self.spent

