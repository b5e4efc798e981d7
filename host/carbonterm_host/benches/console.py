"""The console of a board whose firmware runs: its lines, and its status, which it says when it is asked."""

import json
import time

import serial

ASK_S = 1.0  # between two questions
FORGET_S = 10.0  # so long an answer is awaited
PROMPT = b">>> "


class Console:
    """At a serial port that may vanish and come back. `port()` names it now, or gives None."""

    def __init__(self, port):
        self._port = port
        self._line = None
        self._held = b""
        self._asked = self._answered = 0.0
        self.status = {}
        self.said = b""  # the last of what it said

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
            if line.startswith(b"status "):
                try:
                    self.status = json.loads(line[7:])
                except ValueError:
                    continue  # two said something at once
                self._answered = time.monotonic()
