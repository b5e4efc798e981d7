"""What the buses of meters share: carbonterm_device.network for Modbus TCP, carbonterm_device.line for serial lines.

Both are driven from asyncio without ever blocking it, and have one interface:

    data, raw = await bus.ask(request, meter, timeout_ms)           a carbonterm.field.requests, a site's Meter
    data, raw = await bus.read(unit, function, address, count, timeout_ms)                    Modbus registers

data: what the request's `value` takes, or the registers' bytes; raw: the response frames as they came, for the log.
They raise NoAnswer when the time is over, Refused when the meter refuses, LinkDown when there is no connection.
Frames that are not the answer (late, doubled, echoed, another unit's) are dropped and counted, never returned.
One request is on a bus at a time; callers wait for each other. A broken link is closed and opened again at the next
read, with a growing pause between attempts that fail.

A timeout costs nothing where there is an answer: one guard per bus sleeps until the deadline and cancels the reading
only if it has really passed, instead of one task more for every request (which wait_for takes).
"""

import asyncio

from carbonterm.errors import CarbonError

FIRST_PAUSE_MS = 500  # after the first failed attempt to open a link, doubled by each further one
LONGEST_PAUSE_MS = 30000


class BusError(CarbonError):
    """A read that gave no registers."""


class NoAnswer(BusError):
    """The meter did not answer in time, or not with the answer."""


class LinkDown(BusError):
    """No connection to the meter's server, or no serial device."""


class Refused(BusError):
    """The meter will not say it: `.raw` (the frames), `.again` whether asking later may help."""

    def __init__(self, where, unit, name, meaning, again, raw):
        super().__init__("%s: unit %s refuses: %s" % (where, unit, name), meaning)
        self.raw = raw
        self.again = again


class Counters:
    """What happened on a bus: requests sent, replies taken, timeouts, errors (frames with a wrong CRC), exceptions,
    dropped (bytes that were no answer), opened (how often the link was opened)."""

    __slots__ = ("dropped", "errors", "exceptions", "opened", "replies", "requests", "timeouts")

    def __init__(self):
        self.requests = self.replies = self.timeouts = self.errors = self.exceptions = self.dropped = self.opened = 0


class Guard:
    """Cancels the step a task waits in when its time is over. `fired` says that it was this guard that did it."""

    def __init__(self, port):
        self._port = port
        self._watch = None  # the task that sleeps
        self._reader = None  # the task that is guarded
        self._start = self._limit = 0
        self._wakes = 0  # ticks at which the watch looks again
        self.fired = False

    def arm(self, limit_ms):
        """From now on the calling task has `limit_ms` until disarm()."""
        self._reader = asyncio.current_task()
        self._start = self._port.ticks_ms()
        self._limit = limit_ms
        self.fired = False
        watch = self._watch
        if watch is not None:
            if self._port.ticks_diff(self._wakes, self._start) <= limit_ms:
                return
            watch.cancel()
        self._sleep(limit_ms)
        self._watch = asyncio.create_task(self._run())

    def extend(self, ms):
        self._limit += ms

    def disarm(self):
        self._reader = None

    def stop(self):
        self._reader = None
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _sleep(self, ms):
        self._wakes = self._port.ticks_add(self._port.ticks_ms(), ms)
        return ms

    async def _run(self):
        me = asyncio.current_task()
        left = self._limit
        try:
            while self._reader is not None:
                await self._port.sleep_ms(self._sleep(left))
                left = self._limit - self._port.ticks_diff(self._port.ticks_ms(), self._start)
                if left <= 0 and self._reader is not None:
                    reader, self._reader = self._reader, None
                    self.fired = True
                    reader.cancel()
        except asyncio.CancelledError:
            pass
        if self._watch is me:
            self._watch = None


class Bus:
    def __init__(self, where, port):
        self.where = where  # for messages
        self.counters = Counters()
        self._port = port
        self._guard = Guard(port)
        self._lock = asyncio.Lock()
        self._link = None
        self._failures = 0  # attempts in a row that led to no byte
        self._failed_at = 0
        self._pause = 0
        self._reason = ""

    @property
    def up(self):
        """Whether the link is open."""
        return self._link is not None

    @property
    def failure(self):
        """Why the link cannot be opened; "" where it is open, or nobody has tried."""
        return self._reason if self._link is None and self._failures else ""

    def close(self):
        self._guard.stop()
        if self._link is not None:
            self._link.close()
            self._link = None

    async def _open(self):
        """Opens the link, unless the pause after a failure is not over: then LinkDown at once."""
        port = self._port
        if self._failures and port.ticks_diff(port.ticks_ms(), self._failed_at) < self._pause:
            raise self._down("")
        try:
            self._link = await self._connect()
        except (OSError, asyncio.TimeoutError) as error:
            raise self._broken(error)
        self.counters.opened += 1

    def _broken(self, error):
        """Closes the link and gives the LinkDown to raise; the next attempt waits."""
        if self._link is not None:
            self._link.close()
            self._link = None
        self._pause = min(FIRST_PAUSE_MS << min(self._failures, 10), LONGEST_PAUSE_MS)
        self._pause += self._port.random(1)[0] * self._pause // 1024  # many terminals shall not come back in step
        self._failures += 1
        self._failed_at = self._port.ticks_ms()
        number = error.args[0] if isinstance(error, OSError) and error.args else None  # errno is set for two only
        return self._down(REASONS.get(number, "error %s" % number) if number else "no answer to the connection")

    def _down(self, reason):
        self._reason = reason or self._reason
        return LinkDown("%s is not reachable: %s" % (self.where, self._reason), self._HINT)

    def _silent(self, unit):
        self.counters.timeouts += 1
        hint = "check the meter's power, its unit number and the wiring"
        return NoAnswer("%s: unit %s does not answer" % (self.where, unit), hint)

    def _timed_out(self):
        """Whether a CancelledError was the guard's, which ends the step and not the task."""
        if not self._guard.fired:
            self._guard.disarm()
            return False
        self._port.uncancel(asyncio.current_task())
        return True


# errno: what it means to a person (MicroPython's errors have no text)
REASONS = {
    2: "there is no such device", 5: "the device is gone (EIO)", 6: "the device is not there",
    11: "it takes no more bytes", 13: "permission denied", 16: "the device is in use",
    25: "it is no serial device", 32: "the connection was closed",
    101: "no route to the network", 104: "the connection was reset", 110: "the connection timed out",
    111: "connection refused", 113: "no route to the host",
}  # fmt: skip
