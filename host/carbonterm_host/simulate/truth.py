"""Simulated time and ground truth of a simulation in real time.

Ground truth is a list of plain rows (JSON lines in a file): one per answer, with what the registers that were asked for
said in this very answer and the fault that befell it; and at the end one per meter with its totals.
"""

import json
import threading
import time


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
