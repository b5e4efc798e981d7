"""The console of a board whose firmware runs: its lines, its status, which it says when asked, its crashes."""

import json
import time

import serial

ASK_S = 1.0  # between two questions
FORGET_S = 10.0  # so long an answer is awaited
PROMPT = b">>> "
RUNS, CRASHED = b" runs: epoch ", b"crashed"  # what carbonterm_device.boot says
ENDED = "the firmware ended"


class Console:
    """At a serial port that may vanish and come back. `port()` names it now, or gives None."""

    def __init__(self, port):
        self._port = port
        self._line = None
        self._held = b""
        self._asked = self._answered = 0.0
        self.status = {}
        self.said = b""  # the last of what it said
        self.awaited = 0  # starts that were asked for
        self._runs, self._crashes = 0, []
        self._last, self._typed = "", False  # the last error; whether what follows is the prompt's

    def close(self):
        """Lets go of the port; what was known is of no use any more."""
        if self._line is not None:
            self._line.close()
        self._line, self._held, self.status = None, b"", {}
        self._asked = self._answered = 0.0

    def look(self):
        """Reads what came, and asks for the status now and then; the last one, {} before the first."""
        now = time.monotonic()
        try:
            if not self._open():
                return {}
            self._take(self._line.read(1 << 16))
            waits = self._asked > self._answered and now < self._asked + FORGET_S
            if not waits and now >= self._asked + ASK_S and not self.ended:
                self._asked = now
                self._line.write(b"status\n")
        except (OSError, serial.SerialException):
            self.close()
        return self.status

    def starts(self):
        """The board was switched on, or reset."""
        self.awaited += 1

    def crashes(self):
        """Why it restarted or ended of itself, a text for each time."""
        found = self._crashes + ["it restarted by itself"] * (self._runs - self.awaited - len(self._crashes))
        return found + ([f"{ENDED}: {self._last}"] if self.ended else [])

    @property
    def ended(self):
        """Whether MicroPython's prompt is there: the firmware has ended."""
        return self._held.endswith(PROMPT)

    def say(self, line):
        """A line to the firmware; lost where the board is away."""
        try:
            if self._open():
                self._line.write(line.encode() + b"\n")
        except (OSError, serial.SerialException):
            self.close()

    def _open(self):
        if self._line is None:
            name = self._port()
            if name is not None:
                self._line = serial.Serial(name, timeout=0, write_timeout=5, exclusive=True)
        return self._line is not None

    def _take(self, data):
        self.said = (self.said + data)[-20000:]
        *lines, self._held = (self._held + data).split(b"\n")
        for line in lines:
            if RUNS in line:
                self._runs, self._typed = self._runs + 1, False
            elif line.strip() == CRASHED:
                self._crashes.append(self._last)
            elif line.startswith(PROMPT):
                self._typed = True
            elif not self._typed and b"Error" in line.partition(b":")[0] and line[:1].isalpha():  # ends a traceback
                self._last = line.decode(errors="replace").strip()[:200]
            if line.startswith(b"status "):
                try:
                    self.status = json.loads(line[7:])
                except ValueError:
                    continue  # two said something at once
                self._answered = time.monotonic()
