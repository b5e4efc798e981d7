"""Buses of meters: Modbus TCP connections and Modbus RTU lines, driven from asyncio without ever blocking it.

Both have one interface:

    data, raw = await bus.read(unit, function, address, count, timeout_ms)

data: the registers' bytes as the meter sent them; raw: the whole response frame, for the log. It raises NoAnswer when
the time is over, Refused when the meter answers with an exception, LinkDown when there is no connection or device.
Frames that are not the answer (late, doubled, echoed, another unit's) are dropped and counted, never returned.
One request is on a bus at a time; callers wait for each other. A broken link is closed and opened again at the next
read, with a growing pause between attempts that fail.

A timeout costs nothing where there is an answer: one guard per bus sleeps until the deadline and cancels the reading
only if it has really passed, instead of one task more for every request (which wait_for takes).
"""

import asyncio

from carbonterm.errors import CarbonError, quoted
from carbonterm.field.modbus import EXCEPTIONS, Exchange, TcpDecoder, match, read_request, tcp
from carbonterm_device.ports import port as default_port

FIRST_PAUSE_MS = 500  # after the first failed attempt to open a link, doubled by each further one
LONGEST_PAUSE_MS = 30000
CONNECT_MS = 3000
SILENT_LIMIT = 3  # timeouts without a byte after which a TCP connection counts as half open
_PREPARED = 256


class BusError(CarbonError):
    """A read that gave no registers."""


class NoAnswer(BusError):
    """The meter did not answer in time, or not with the answer."""


class LinkDown(BusError):
    """No connection to the meter's server, or no serial device."""


class Refused(BusError):
    """The meter answered with an exception: `.code`, `.raw` (the frame), `.again` whether asking later may help."""

    def __init__(self, where, unit, code, raw):
        unknown = "exception %d" % code, "the meter's papers say what it means", True
        name, meaning, again = EXCEPTIONS.get(code, unknown)
        super().__init__("%s: unit %d refuses: %s" % (where, unit, name), meaning)
        self.code = code
        self.raw = raw
        self.again = again


class Counters:
    """What happened on a bus: requests sent, replies taken, timeouts, errors (frames with a wrong CRC), exceptions,
    dropped (bytes that were no answer), opened (how often the link was opened)."""

    __slots__ = ("dropped", "errors", "exceptions", "opened", "replies", "requests", "timeouts")

    def __init__(self):
        self.requests = self.replies = self.timeouts = self.errors = self.exceptions = self.dropped = self.opened = 0


class _Guard:
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


class _Bus:
    def __init__(self, where, port):
        self.where = where  # for messages
        self.counters = Counters()
        self._port = port
        self._guard = _Guard(port)
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
        number = error.errno if isinstance(error, OSError) else None
        return self._down(_REASONS.get(number, "error %s" % number) if number else "no answer to the connection")

    def _down(self, reason):
        self._reason = reason or self._reason
        return LinkDown("%s is not reachable: %s" % (self.where, self._reason), self._HINT)

    def _silent(self, unit):
        self.counters.timeouts += 1
        hint = "check the meter's power, its unit number and the wiring"
        return NoAnswer("%s: unit %d does not answer" % (self.where, unit), hint)

    def _timed_out(self):
        """Whether a CancelledError was the guard's, which ends the step and not the task."""
        if not self._guard.fired:
            self._guard.disarm()
            return False
        self._port.uncancel(asyncio.current_task())
        return True


# errno: what it means to a person (MicroPython's errors have no text)
_REASONS = {
    2: "there is no such device", 5: "the device is gone (EIO)", 6: "the device is not there",
    11: "it takes no more bytes", 13: "permission denied", 16: "the device is in use", 32: "the connection was closed",
    101: "no route to the network", 104: "the connection was reset", 110: "the connection timed out",
    111: "connection refused", 113: "no route to the host",
}  # fmt: skip


class _Request:
    """A read that was made before: its frame and the head of its answer, where only the transaction changes."""

    __slots__ = ("frame", "head", "pdu", "size", "transaction", "unit")

    def __init__(self, unit, function, address, count):
        self.unit = unit
        self.pdu = read_request(function, address, count)
        self.transaction = 0
        self.frame = bytearray(tcp(0, unit, self.pdu))
        size = 2 * count if function > 2 else (count + 7) // 8
        self.head = bytearray((0, 0, 0, 0, 0, size + 3, unit, function, size))
        self.size = 9 + size


class TcpBus(_Bus):
    """One connection to a Modbus TCP server (a meter, or a gateway with a line of them behind it)."""

    _HINT = "check the address, the port and the network"

    def __init__(self, host, port, board=default_port):
        super().__init__("%s:%d" % (host, port), board)
        self._host = host
        self._number = port
        self._prepared = {}
        self._decoder = TcpDecoder()
        self._transaction = int.from_bytes(board.random(2), "big")
        self._silences = 0

    async def read(self, unit, function, address, count, timeout_ms):
        """(registers' bytes, response frame); NoAnswer, Refused, LinkDown; FrameError for a count beyond the limits."""
        key = (unit, function, address, count)
        request = self._prepared.get(key)
        if request is None:
            if len(self._prepared) >= _PREPARED:
                self._prepared.clear()
            request = self._prepared[key] = _Request(unit, function, address, count)
        await self._lock.acquire()
        try:
            reused = self._link is not None
            if not reused:
                await self._open()
            number = self._transaction = self._transaction + 1 & 0xFFFF
            request.transaction = number
            frame, head = request.frame, request.head
            frame[0] = head[0] = number >> 8
            frame[1] = head[1] = number & 255
            self.counters.requests += 1
            guard = self._guard
            guard.arm(timeout_ms)
            try:
                self._link.send(frame)
                raw = await self._link.read(260)
            except OSError as error:
                raw = await self._again(request, reused, error)
            except asyncio.CancelledError:
                if not self._timed_out():
                    raise
                raw = None
            if raw == b"":
                raw = await self._again(request, reused, OSError(32))
            # nearly always: one whole answer, and nothing held from before
            if raw is not None and len(raw) == request.size and raw[:9] == head and not self._decoder.pending:
                guard.disarm()
                self._silences = self._failures = 0
                self.counters.replies += 1
                return raw[9:], raw
            return await self._pick(request, raw)
        finally:
            self._lock.release()

    async def _connect(self):
        self._decoder = TcpDecoder()
        self._silences = 0
        return await asyncio.wait_for(self._port.open_tcp(self._host, self._number), CONNECT_MS // 1000)

    async def _again(self, request, reused, error):
        """The server had closed an idle connection: a read may be repeated, so it is, once, on a new one."""
        down = self._broken(error)
        self._guard.disarm()
        if not reused:
            raise down
        self._failures = 0
        await self._open()
        self._guard.arm(self._guard._limit)
        try:
            self._link.send(request.frame)
            raw = await self._link.read(260)
        except OSError as second:
            self._guard.disarm()
            raise self._broken(second)
        except asyncio.CancelledError:
            if not self._timed_out():
                raise
            return None
        if not raw:
            self._guard.disarm()
            raise self._broken(OSError(32))
        return raw

    async def _pick(self, request, raw):
        """The answer out of whatever comes; raw None: the time is over."""
        decoder = self._decoder
        dropped = decoder.dropped
        while raw is not None:
            self._silences = self._failures = 0
            frame = self._answer(request, decoder.feed(raw))
            if frame is not None:
                self._guard.disarm()
                self.counters.dropped += decoder.dropped - dropped
                return self._take(frame)
            try:
                raw = await self._link.read(260)
            except OSError as error:
                self._guard.disarm()
                raise self._broken(error)
            except asyncio.CancelledError:
                if not self._timed_out():
                    raise
                raw = None
            if raw == b"":
                self._guard.disarm()
                raise self._broken(OSError(32))
        frame = self._answer(request, decoder.flush())
        self.counters.dropped += decoder.dropped - dropped
        if frame is not None:
            return self._take(frame)
        self._silences += 1
        if self._silences >= SILENT_LIMIT:
            self._link.close()  # half open, perhaps: nothing has come for long, not even from another unit
            self._link = None
        raise self._silent(request.unit)

    def _answer(self, request, frames):
        answer = None
        for frame in frames:
            if answer is None and match(request, frame):
                answer = frame
            else:
                self.counters.dropped += len(frame.raw)
        return answer

    def _take(self, frame):
        if frame.exception is not None:
            self.counters.exceptions += 1
            raise Refused(self.where, frame.unit, frame.exception, frame.raw)
        self.counters.replies += 1
        return frame.pdu[2:], frame.raw


class RtuBus(_Bus):
    """A serial line: `path` of the device, baud rate, parity "none", "even" or "odd", stop bits 1 or 2.

    gap_ms: least silence between frames, never below 3.5 characters. timeout_ms of a read is the meter's: the time that
    the bytes are on the line is added to it.

    After a time-out the answer may still come. It cannot be told from the answer to a read of as many registers at
    another address of that unit, so such a read waits until the late answer would have been there.
    """

    _HINT = "check the device, the adapter and the permissions"

    def __init__(self, path, baud=9600, parity="none", stop=1, gap_ms=5, board=default_port):
        super().__init__(path, board)
        if baud not in board.BAUDS:
            hint = "use one of " + " ".join([str(rate) for rate in sorted(board.BAUDS)])
            raise CarbonError("%s: %s baud is no usual rate" % (quoted(path), baud), hint)
        self._settings = path, baud, parity, stop
        self._bits = 9 + stop + (parity != "none")  # of a byte on the line
        self._baud = baud
        self._gap = max(gap_ms, self.line_ms(4))
        self._heard = board.ticks_ms()  # when the last byte was on the line
        self._late = []  # [unit, function, count, address, ticks since, milliseconds it may still come]

    def line_ms(self, count):
        """Milliseconds that `count` bytes take on the line, rounded up."""
        return -(-count * self._bits * 1000 // self._baud)

    async def read(self, unit, function, address, count, timeout_ms):
        """(registers' bytes, response frame); NoAnswer, Refused, LinkDown; FrameError for a count beyond the limits."""
        exchange = Exchange(unit, read_request(function, address, count))
        port, guard = self._port, self._guard
        asked = [unit, function, count, address]
        await self._lock.acquire()
        try:
            if self._link is None:
                await self._open()
            try:
                await self._quiet(asked)
                self.counters.requests += 1
                self._link.send(exchange.frame)
                guard.arm(self.line_ms(len(exchange.frame)) + timeout_ms)
                frame, first = None, True
                while frame is None:
                    data = await self._link.read(256)
                    if not data:
                        raise OSError(5)
                    if first:
                        guard.extend(self.line_ms(9 + 2 * count))
                        first = False
                    self._heard = port.ticks_ms()
                    frame = exchange.feed(data)
                guard.disarm()
            except asyncio.CancelledError:
                if not self._timed_out():
                    raise
                frame = exchange.flush()
            except OSError as error:
                guard.disarm()
                raise self._broken(error)
            self.counters.errors += exchange.errors
            self.counters.dropped += exchange.dropped
            if frame is None:
                self._late.append(asked + [port.ticks_ms(), timeout_ms])
                raise self._silent(unit)
            self._failures = 0
            for late in self._late:
                if late[:4] == asked:  # which of the two was answered is not known: the other answer may still come
                    late[4], late[5] = port.ticks_ms(), timeout_ms
            if frame.exception is not None:
                self.counters.exceptions += 1
                raise Refused(self.where, unit, frame.exception, frame.raw)
            self.counters.replies += 1
            return frame.pdu[2:], frame.raw
        finally:
            self._lock.release()

    async def _connect(self):
        return self._port.open_serial(*self._settings)

    async def _quiet(self, asked):
        """Waits until the line has been still for the gap and no late answer can be taken for the one to come."""
        port = self._port
        now = port.ticks_ms()
        # min: the clock of ticks wraps round, so that a long idle time may look negative
        wait = min(self._gap - port.ticks_diff(now, self._heard), self._gap)
        self._late = [late for late in self._late if port.ticks_diff(now, late[4]) < late[5]]
        for late in self._late:
            if late[:3] == asked[:3] and late[3] != asked[3]:
                wait = max(wait, late[5] - port.ticks_diff(now, late[4]))
        if wait > 0:
            await port.sleep_ms(wait)
        self.counters.dropped += self._link.discard()
