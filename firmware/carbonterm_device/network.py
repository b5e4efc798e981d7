"""A Modbus TCP connection as a bus: a meter, or a gateway with a line of them behind it."""

import asyncio
import gc

from carbonterm.field.modbus import EXCEPTIONS, TcpDecoder, match, read_request, tcp
from carbonterm_device.bus import Bus, Refused
from carbonterm_device.ports import port as default_port

SILENT_LIMIT = 3  # timeouts without a byte after which a connection counts as half open
CONNECT_MS = 3000
_PREPARED, _ROOM = 256, 1 << 17  # requests that are kept made, where so many bytes of the heap are free


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


class TcpBus(Bus):
    """One connection to a Modbus TCP server (a meter, or a gateway with a line of them behind it)."""

    _HINT = "check the address, the port and the network"

    def __init__(self, host, port, board=default_port):
        super().__init__("%s:%d" % (host, port), board)
        self._host = host
        self._number = port
        self._prepared = {}
        self._most = _PREPARED if not hasattr(gc, "mem_free") or gc.mem_free() > _ROOM else 1
        self._decoder = TcpDecoder()
        self._transaction = int.from_bytes(board.random(2), "big")
        self._silences = 0

    def ask(self, request, meter, timeout_ms):
        """Awaitable of (data, response frame) of a ModbusRequest."""
        return self.read(request.unit, request.function, request.address, request.count, timeout_ms)

    async def read(self, unit, function, address, count, timeout_ms):
        """(registers' bytes, response frame); NoAnswer, Refused, LinkDown; FrameError for a count beyond the limits."""
        key = (unit, function, address, count)
        request = self._prepared.get(key)
        if request is None:
            if len(self._prepared) >= self._most:
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
            unknown = "exception %d" % frame.exception, "the meter's papers say what it means", True
            name, meaning, again = EXCEPTIONS.get(frame.exception, unknown)
            raise Refused(self.where, frame.unit, name, meaning, again, frame.raw)
        self.counters.replies += 1
        return frame.pdu[2:], frame.raw
