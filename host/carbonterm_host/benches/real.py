"""A scenario in real time: simulated meters on ptys, serial devices, TCP; what stands on the bench; centres over TLS.

Nothing hangs on the machine's speed: what the scenario says happens in time, but the power is not cut before the
terminal has read something since its last start, and the end waits for what is still to come (`PATIENCE_S`). A firmware
that crashes again and again ends it.
"""

import heapq
import itertools
import time

from carbonterm import clock
from carbonterm import site as sites
from carbonterm.errors import CarbonError
from carbonterm.field import models
from carbonterm.ledger import manual as records
from carbonterm.number import Number
from carbonterm_host.benches import entrances, standing
from carbonterm_host.benches.centre import Centre
from carbonterm_host.benches.console import ENDED
from carbonterm_host.benches.defective import KINDS, defective
from carbonterm_host.benches.events import OPERATOR
from carbonterm_host.platform import keys
from carbonterm_host.simulate.faults import Fault
from carbonterm_host.simulate.line import DeviceLine, MeterLine
from carbonterm_host.simulate.plant import meters_of
from carbonterm_host.simulate.site import Simulation
from carbonterm_host.simulate.tcp import TcpServer

LOOK_S = 0.1
MINUTE_MS, DAY_MS = 60000, 86400000
SETTLED = ("settled", "formed")  # what needs the end of a minute
FIRST_S = PATIENCE_S = 180
UNDER_WAY_MS = 10000  # from an answer to its commit at most, besides the time that commits are apart
CRASHES = 3  # a firmware that crashed so often is waited for no longer
COUNTERS = ("requests", "replies", "timeouts", "errors", "exceptions", "dropped")


class Real:
    """`run()` does all of it in `folder` and returns what the bench saw (carbonterm_host.benches.evidence)."""

    def __init__(self, scenario, folder, defect, tell):
        self.scenario, self.folder, self.defect, self.tell = scenario, folder, defect, tell
        self.power, self.cuts, self.samples, self.crashes = [], [], [], []
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
        self.subject = subject = standing.make(scenario, self.folder, self.offset_ms, self.defect)
        self.centres, self.senders, self.plant = [], [], None
        try:
            identity = scenario.site.terminal_id, *subject.prepare()
            names = (subject.host, "127.0.0.1", "localhost")
            tls = keys.make_certificates(self.folder / "tls", names) if scenario.centres else None
            for n in range(1, scenario.centres + 1):
                self.centres.append(Centre(f"centre-{n}", self.folder / f"centre-{n}", tls, identity, subject.host))
                self.centres[-1].start()
            self.plant = self._plant()
            self.plant.start_ms = self.now_ms()
            with self.plant:
                self._configure()
                self._operate()
            self._pull()
        finally:
            self._silence()
            subject.close()
            for centre in self.centres:
                centre.stop()
        return {
            "power": self.power, "cuts": self.cuts, "samples": self.samples,
            "lost_ms": self.site.settings.commit_ms + UNDER_WAY_MS, "clocks_ms": subject.clocks_ms,
            "alarms": self.alarms, "errors": self.errors, "crashes": self.crashes,
            "lines": self._lines(), "board": subject.about,
            "centres": [centre.held() for centre in self.centres], "faults": self.plant.faults.table(),
            "begin_ms": self.begin_ms, "end_ms": self.end_ms,
        }  # fmt: skip

    # --- setting up --------------------------------------------------------------------------------------------------

    def _plant(self):
        scenario, buses = self.scenario, []
        for index, row in enumerate(scenario.site.buses):
            if row.kind in entrances.NOT_ASKED:
                continue
            meters = [self._meter(meter) for meter in meters_of(scenario.site, index, scenario.seed)]
            if row.kind == "modbus-tcp":
                buses.append(TcpServer(row.name, meters, host=self.subject.host))
            else:
                device = self.subject.device(row.name)
                link = device or str(self.folder / f"{row.name}.tty")
                line = DeviceLine if device else MeterLine
                buses.append(line(row.name, meters, row.port, row.parity, row.stop, link, kind=row.kind))
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
        lines = [bus for bus in self.plant.buses if bus.kind != "modbus-tcp"]
        self.subject.connect({bus.name: bus.path for bus in lines})
        found = {bus.name: self.subject.place(bus) if bus in lines else (bus.address, bus.port)
                 for bus in self.plant.buses}  # fmt: skip
        sent = {bus.name: entrances.place(bus.kind, self.folder) for bus in self.scenario.site.buses
                if bus.kind in entrances.NOT_ASKED}  # fmt: skip
        if sent:
            from carbonterm_host.benches import senders  # what needs no entrance needs none of their tools

            self.senders = senders.make(self, sent, self.defect)
            found.update(sent)
        rows = [centre.row() for centre in self.centres]
        (self.folder / "site.yaml").write_text(self.scenario.site_text(found, rows), encoding="utf-8")
        self.site = self.scenario.compile(found, rows, self.folder)
        (self.folder / "site.bin").write_bytes(self.site.canonical())
        self.subject.configure(self.site.canonical())

    # --- running -----------------------------------------------------------------------------------------------------

    def _operate(self):
        time_of = self.plant.clock  # faults and events have one beginning
        self.begin_ms = time_of.start_ms
        self.subject.start()
        self._wait(lambda: self.subject.status().get("readings") or self._broken(), FIRST_S)
        for sender in self.senders:
            sender.start()
        for event in self.scenario.events:
            self._at(event.at_ms, self._happen, event)
        for row in self.scenario.faults:
            if row[0] == "silent" and row[1] == 1 and row[2] is not None and row[4] is not None and row[5] is None:
                since = self.begin_ms + 1000 * row[3]
                self.cuts.append([[row[2]], since, self.begin_ms + 1000 * row[4]])
        lasts = self.scenario.ms + self._elapsed()  # from the first reading on
        self.border_ms, self.readings = self.now_ms() // MINUTE_MS * MINUTE_MS + MINUTE_MS, None
        due = None  # entries that there were at the planned end
        while (elapsed := self._elapsed()) < lasts + 1000 * PATIENCE_S and not self._broken():
            while self.queue and self.queue[0][0] <= elapsed:
                _, _, act, given = heapq.heappop(self.queue)
                act(*given)
            self._look()
            failed = [sender.failure for sender in self.senders if sender.failure]
            if failed:
                raise RuntimeError(failed[0])
            if elapsed >= lasts and not self._sending():
                due = self.status.get("entries") if due is None else due
                if not self.queue and not self._awaits(due):
                    break
            time.sleep(LOOK_S)
        if self.subject.running and not self._broken():
            self.subject.stop(self._wait_looking)
            self._look(True)
        self._spend()
        self.end_ms = self.now_ms()

    def _broken(self):
        """Whether the firmware crashes again and again, or has ended of itself: nothing is waited for any more."""
        self.crashes = self.subject.crashes() if self.subject.running else self.crashes
        return len(self.crashes) >= CRASHES or any(text.startswith(ENDED) for text in self.crashes)

    def _pull(self):
        path = self.folder / "log.bundle"
        try:
            self.subject.pull(path)
        except (CarbonError, RuntimeError, OSError) as error:
            if not self.crashes:
                raise
            self.tell("log", str(error))
            path.write_bytes(b"")

    def _sending(self):
        """Whether what was sent has still to come; nothing new is sent from here on."""
        for sender in self.senders:
            sender.stopping.set()
            if not self.subject.running:
                sender.given_up.set()
        return any([sender.is_alive() for sender in self.senders])

    def _silence(self):
        for sender in self.senders:
            sender.given_up.set()
            sender.stopping.set()
            if sender.ident is not None:
                sender.join()

    def _elapsed(self):
        return self.plant.clock.elapsed_s() * 1000

    def _awaits(self, due):
        """Whether something that has to come has not come yet: a reading since the last start, entries at the centres,
        answers that are expected."""
        if not self.subject.running:
            return False
        if due is None or not self.status.get("readings") or self._minute_open():
            return True
        if any((centre["cursor"] or 0) < due for centre in self.status["centres"]):
            return True
        now = {bus["bus"]: bus["replies"] for bus in self.status["buses"]}
        wanted = self.scenario.expect.get("polls", {}).items()
        return any(now[bus] + self.spent.get(bus, {}).get("replies", 0) < least for bus, least in wanted)

    def _minute_open(self):
        """Whether settlements are expected and the minute of the first reading may not have been closed yet: points
        have to be read after its end."""
        if not any(name in self.scenario.expect for name in SETTLED):
            return False
        if self.readings is None and self.status["time_ms"] > self.border_ms:
            self.readings = self.status["readings"] + 2 * len(self.site.points)
        return self.readings is None or self.status["readings"] < self.readings

    def _wait(self, condition, seconds):
        """RuntimeError with what was said last where condition() is not true in time."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end or not self.subject.running:
                raise RuntimeError(f"not within {seconds} s; it said last:\n{self.subject.said()}")
            time.sleep(LOOK_S)

    def _wait_looking(self, condition, seconds):
        def looked():
            self._look()
            return condition()

        self._wait(looked, seconds)

    def _at(self, ms, act, *given):
        heapq.heappush(self.queue, (ms, next(self.order), act, given))

    def _happen(self, event):
        self.tell(event.do, f"{event.at_ms / 1000:g} s" + (f", {event.for_ms / 1000:g} s" if event.for_ms else ""))
        getattr(self, "_" + event.do.replace("-", "_"))(event)

    def _power_cut(self, event):
        self._look()
        late = self._elapsed() - event.at_ms
        if not self.status.get("readings") and late < 1000 * PATIENCE_S and self.subject.running:
            self._at(self._elapsed() + 1000 * LOOK_S, self._power_cut, event)  # it is not back from the last one
            return
        self.subject.cut(event.do == "brown-out")
        self._spend()
        self.power.append([self.now_ms(), None])
        self.plant.truth.add({"event": "power", "time_ms": self.now_ms()})
        if not (self.defect and self.defect["does"] == "off"):
            self._at(self._elapsed() + event.for_ms, self._power_on)

    _brown_out = _power_cut

    def _power_on(self):
        self.power[-1][1] = self.now_ms()
        self.subject.on()

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
        if not done or not self.subject.running:
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
                self.subject.say(f"{event.do} {point.name} {when} {stood['last']} {stood['first']}")

    def _enter(self, event):
        site, now = self.site, self.now_ms()
        index = next(i for i, one in enumerate(site.manual) if one.name == event.row["point"])
        value, (begin, end) = Number(event.row["value"]), self._days(event.row, now)
        fields = [event.row["point"], begin, end, value.exponent, value.mantissa,
                  site.manual[index].unit, [], "bench", None]  # fmt: skip
        made = records.make(site.terminal_id, "bench", now, records.ENTER, fields, OPERATOR.sign)
        self.subject.say("enter " + made.encode().hex())

    def _days(self, row, now):
        """(begin, end) of a day, or of a whole month, so many before."""
        if "months" not in row:
            end = clock.start(clock.DAY, now, self.site.zone) - (row.get("days", 1) - 1) * DAY_MS
            return end - DAY_MS, end
        end = begin = now
        for _ in range(row["months"] + 1):
            end, begin = begin, clock.start(clock.MONTH, begin - 1, self.site.zone)
        return begin, end

    def _clock_step(self, event):
        self.offset_ms += self.scenario.duration(event.row["by"], "by")
        self.subject.set_clock(self.offset_ms)

    # --- looking -----------------------------------------------------------------------------------------------------

    def _look(self, last=False):
        status = self.subject.status()
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

