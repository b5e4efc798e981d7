"""A simulated meter as its bus sees it: a unit, its state, and the ground truth of what it answered.

Ground truth is a list of plain rows (JSON lines in a file): one per answered read, with what the registers that were
asked for said in this very answer and the fault that befell it; and at the end one per meter with its totals.
"""

import json
import threading
import time

from carbonterm.field import identity, models
from carbonterm_host.simulate.profile import MeterState


class Clock:
    """Simulated time: real time, `speed` times as fast, from `start_ms` (default now) on."""

    def __init__(self, speed=1, start_ms=None):
        self.speed = speed
        self.begun = time.monotonic()
        self.start_ms = time.time_ns() // 1000000 if start_ms is None else start_ms

    def elapsed_s(self):
        """Real seconds since the start."""
        return time.monotonic() - self.begun

    def now_ms(self):
        return self.start_ms + int(self.elapsed_s() * 1000 * self.speed)


class Truth:
    """Ground truth; `path` (or None) is written by `write()`, as often as one wants."""

    def __init__(self, path=None):
        self.path = path
        self.rows = []
        self._lock = threading.Lock()

    def add(self, row):
        with self._lock:
            self.rows.append(row)

    def answers(self, meter=None):
        """The rows of answered reads, of one meter or of all."""
        with self._lock:
            return [row for row in self.rows if meter in (None, row["meter"])]

    def write(self, final=(), path=None):
        path = path or self.path
        if path is not None:
            with self._lock:
                lines = [json.dumps(row, ensure_ascii=False) for row in [*self.rows, *final]]
            with open(path, "w", encoding="utf-8") as f:
                f.write("".join(line + "\n" for line in lines))


class Meter:
    """`model` as models.load gives it; see MeterState for rate and start. serial: what it says its serial number is, if
    its model has a register for that; None: it has no such register."""

    def __init__(self, name, unit, model, seed=1, rate=None, start=None, serial=None):
        self.name = name
        self.unit = unit
        self.model = model
        self.serial = serial
        self.place = models.identity(model) if serial else None
        self.settings = seed, rate, start
        self.state = None
        self.answered = 0

    def begin(self, clock, faults, truth):
        """Called by the simulation when it starts."""
        seed, rate, start = self.settings
        self.clock, self.faults, self.truth = clock, faults, truth
        place = tuple(self.place[:3]) if self.place else None
        self.state = MeterState(self.model, clock.start_ms, seed, rate, start, place=place)
        self.first = self.state.totals()

    def fault(self):
        """The fault that befalls the answer to the read that has just come, or None."""
        return self.faults.choose(self.name, self.clock.elapsed_s())

    def read(self, function, address, count, fault):
        """(registers' bytes, None), or (None, exception code); goes on to now first. Writes ground truth."""
        if self.place and [function, address, count] == self.place[:3]:
            return (None, 4) if fault == "exception" else (identity.tell(self.serial, *self.place[2:]), None)
        now = self.clock.now_ms()
        self.state.advance(now)
        back = self.faults.random.randint(1, 500) if fault == "backwards" else 0
        data, said = self.state.read(function, address, count, back, fault == "nan")
        if data is None:
            return None, said
        if fault == "exception":
            return None, 4
        if fault != "silent":
            self.answered += 1
            self.truth.add({
                "time_ms": now, "meter": self.name, "unit": self.unit, "function": function,
                "address": address, "count": count, "registers": said, "fault": fault,
            })  # fmt: skip
        return data, None

    def final(self):
        """The last row of ground truth: totals at the start and now."""
        self.state.advance(self.clock.now_ms())
        totals = self.state.totals()
        return {
            "final": True, "time_ms": self.state.now_ms, "meter": self.name, "unit": self.unit,
            "model": self.model["id"], "answered": self.answered,
            "totals": {name: {"start": self.first[name], "end": totals[name]} for name in totals},
        }  # fmt: skip
