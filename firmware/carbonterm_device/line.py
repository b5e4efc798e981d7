"""A serial line as a bus: meters of any protocol that speaks in frames, each at its own rate and parity."""

import asyncio

from carbonterm.errors import CarbonError, quoted
from carbonterm.field.requests import ModbusRequest
from carbonterm_device.bus import Bus, Refused
from carbonterm_device.ports import port as default_port

_ANSWER = 256  # bytes taken at once


class SerialLine(Bus):
    """`path` of the device, baud rate, parity "none", "even" or "odd", stop bits 1 or 2: what holds for meters that
    have none of their own.

    gap_ms: least silence between frames, never below 3.5 characters. timeout_ms of a read is the meter's: the time that
    the bytes are on the line is added to it.

    After a time-out the answer may still come. Where it cannot be told from the answer to another request (`alike`: of
    Modbus as many registers at another address of that unit), that other request waits until it would have been there.
    """

    _HINT = "check the device, the adapter and the permissions"

    def __init__(self, path, baud=9600, parity="none", stop=1, gap_ms=5, board=default_port):
        super().__init__(path, board)
        self._path = path
        self._settings = self._set = baud, parity, stop
        self._check(baud)
        self._gap_ms = gap_ms
        self._heard = board.ticks_ms()  # when the last byte was on the line
        self._late = []  # [request, ticks since, milliseconds its answer may still come]
        self._number = 0

    async def read(self, unit, function, address, count, timeout_ms):
        """(registers' bytes, response frame) of a Modbus meter; FrameError for a count beyond the limits."""
        request = ModbusRequest(None, unit, 0, function, address)
        request.reach(count)
        return await self.ask(request, None, timeout_ms)

    async def ask(self, request, meter, timeout_ms):
        """(data, response frames) of a request of carbonterm.field.requests; meter: the site's, None: as the line."""
        self._number += 1
        talk = request.talk(self._number)
        settings = self._settings_of(meter)
        raw = b""
        await self._lock.acquire()
        try:
            if self._link is None:
                await self._open()
            while talk.exchange is not None:
                frame = await self._turn(talk.exchange, request, settings, meter, timeout_ms)
                raw += frame.raw
                talk.take(frame)
        finally:
            self._lock.release()
        if talk.refusal is not None:
            self.counters.exceptions += 1
            raise Refused(self.where, request.unit, talk.refusal[0], talk.refusal[1], talk.refusal[2], raw)
        self.counters.replies += 1
        return talk.data, raw

    async def tell(self, frame, meter=None):
        """Sends a frame that no meter answers, and waits until it is over."""
        settings = self._settings_of(meter)
        await self._lock.acquire()
        try:
            if self._link is None:
                await self._open()
            try:
                await self._quiet(None, settings, meter)
                self._link.send(frame)
            except OSError as error:
                raise self._broken(error)
            await self._port.sleep_ms(line_ms(len(frame), settings))
            self._heard = self._port.ticks_ms()
        finally:
            self._lock.release()

    async def _turn(self, exchange, request, settings, meter, timeout_ms):
        """The frame that answers an exchange."""
        port, guard = self._port, self._guard
        try:
            await self._quiet(request, settings, meter)
            self.counters.requests += 1
            self._link.send(exchange.frame)
            guard.arm(line_ms(len(exchange.frame), settings) + timeout_ms)
            frame, first = None, True
            while frame is None:
                data = await self._link.read(_ANSWER)
                if not data:
                    raise OSError(5)
                if first:
                    guard.extend(line_ms(request.awaited + 4, settings))
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
            if request.alike is not None:
                self._late.append([request, port.ticks_ms(), timeout_ms])
            raise self._silent(request.unit)
        self._failures = 0
        for late in self._late:
            if late[0].same(request):  # which of the two was answered is not known: the other may still come
                late[1], late[2] = port.ticks_ms(), timeout_ms
        return frame

    def _settings_of(self, meter):
        if meter is None:
            return self._settings
        baud, parity, stop = self._settings
        return meter.baud or baud, meter.parity or parity, meter.stop or stop

    def _check(self, baud):
        if baud not in self._port.BAUDS:
            hint = "use one of " + " ".join([str(rate) for rate in sorted(self._port.BAUDS)])
            raise CarbonError("%s: %s baud is no usual rate" % (quoted(self._path), baud), hint)

    async def _connect(self):
        self._set = self._settings
        return self._port.open_serial(self._path, *self._settings)

    async def _quiet(self, request, settings, meter):
        """Waits until the line has been still for the gap and no late answer can be taken for the one to come."""
        port = self._port
        now = port.ticks_ms()
        gap = max(self._gap_ms, line_ms(4, settings), meter.silence_ms if meter is not None else 0)
        # min: the clock of ticks wraps round, so that a long idle time may look negative
        wait = min(gap - port.ticks_diff(now, self._heard), gap)
        self._late = [late for late in self._late if port.ticks_diff(now, late[1]) < late[2]]
        for late, since, still in self._late:
            if request is not None and late.alike == request.alike and not late.same(request):
                wait = max(wait, still - port.ticks_diff(now, since))
        if wait > 0:
            await port.sleep_ms(wait)
        if settings != self._set:
            self._check(settings[0])
            self._link.configure(*settings)
            self._set = settings
        self.counters.dropped += self._link.discard()


def line_ms(count, settings):
    """Milliseconds that `count` bytes take on a line of (baud, parity, stop), rounded up."""
    baud, parity, stop = settings
    return -(-count * (9 + stop + (parity != "none")) * 1000 // baud)
