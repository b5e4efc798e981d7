"""Who is on this line? Meters of all protocols found by asking, for whoever puts a terminal up.

Modbus units are asked one by one. Meters of DL/T 645 and CJ/T 188 answer to wildcards: first all are asked at once; if
more than one answers (their bytes fall on each other, or several frames come), those with the last two digits 00, then
01, … are asked, and where that is still a crowd, those with the last four, and so on. A noise that does not come again
when the same is asked again is no crowd. Meters that take no shortened address stay a crowd: that is told. A line that
says something to a question for nobody is noisy: that is told, and no crowd is sought in it.

Everything asked is a read. All that comes until the time is over is listened to, since a second answer is what tells a
crowd from a meter.
"""

from carbonterm.errors import FrameError
from carbonterm.field import cjt188, dlt645, modbus, places
from carbonterm.field.requests import Request, Talk
from carbonterm_device.bus import NoAnswer, Refused
from carbonterm_device.line import line_ms

_AWAITED = 60  # bytes that an answer may have, after which the listening ends
_GATEWAY = (0x0A, 0x0B)  # exceptions of a gateway that has no such unit
_TRIES = 3  # how often a noise is asked again before it counts as a crowd
_GLITCH = 2  # bytes that a driver makes when it lets go of the line
TELL_MS = 500  # between two words about progress


class Settings:
    """How a line is set for a question, as a site's Meter says it to SerialLine."""

    __slots__ = ("baud", "parity", "silence_ms", "stop")

    def __init__(self, baud=None, parity=None, stop=None):
        self.baud = baud
        self.parity = parity
        self.stop = stop
        self.silence_ms = 0


class _Listening:
    """An exchange that takes nothing for the answer: it ends with the time, and then all that came is its frame."""

    __slots__ = ("dropped", "errors", "frame", "raw")

    def __init__(self, frame):
        self.frame = frame
        self.raw = b""
        self.dropped = self.errors = 0

    def feed(self, data):
        self.raw += data
        return None

    def flush(self):
        return self if self.raw else None


class _Hear(Talk):
    def take(self, frame):
        self.exchange = None
        raw, sent = frame.raw, frame.frame
        self.data = raw[len(sent) :] if raw[: len(sent)] == sent else raw  # a line that echoes


class _Question(Request):
    __slots__ = ("frame",)

    def __init__(self, unit, frame):
        super().__init__(None, unit, 0)
        self.frame = frame
        self.sent = len(frame)
        self.awaited = _AWAITED

    def talk(self, number):
        return _Hear(_Listening(self.frame))


async def hear(bus, frame, settings, timeout_ms):
    """All bytes that came to the bytes `frame`, b"" for nothing. LinkDown."""
    try:
        data, _ = await bus.ask(_Question("any", frame), settings, timeout_ms)
    except NoAnswer:
        return b""
    return data


# --- what each protocol asks, and who it hears -----------------------------------------------------------------------


class _Dlt645:
    """Meters of one edition by their last digits; `asks`: how many ways there are to ask all of them at once."""

    DIGITS = 12

    def __init__(self, edition):
        self.protocol = edition
        self.asks = 2 if edition == dlt645.V2007 else 1

    def frame(self, tail, way=0):
        address = dlt645.short_address(tail)
        if self.protocol == dlt645.V1997:
            return dlt645.frame(address, dlt645.read_request("9010"))
        if not tail and way == 0:
            return dlt645.frame(address, dlt645.address_request())
        return dlt645.frame(address, dlt645.read_request("00010000"))

    def heard(self, raw, tail):
        """({address: None} of those that answered, bytes that are nobody's answer)."""
        decoder = dlt645.Decoder(dlt645.MASTER)
        found, noise = {}, 0
        for frame in decoder.feed(raw) + decoder.flush():
            row = dlt645.FUNCTIONS[frame.function]
            address = frame.address
            if row[0] == self.protocol and dlt645.covers(dlt645.short_address(tail), address) and _digits(address):
                found[address] = None
            else:
                noise += len(frame.raw)
        return found, noise + decoder.dropped


class _Cjt188:
    DIGITS = 14
    protocol = places.CJT188
    asks = 3

    def frame(self, tail, way=0):
        if not tail and way == 0:
            return cjt188.read_address(1)
        profile = cjt188.Profile(cjt188.LOW_FIRST if way == 2 else cjt188.HIGH_FIRST)
        pattern = cjt188.ANY_ADDRESS[len(tail) :] + tail
        return cjt188.read_data(cjt188.ANY_TYPE, pattern, 1, profile=profile)

    def heard(self, raw, tail):
        """({address: [type, identifier order, unit first or None]}, bytes that are nobody's answer)."""
        decoder = cjt188.Decoder(cjt188.MASTER)
        found, noise = {}, 0
        for frame in decoder.feed(raw) + decoder.flush():
            if frame.address[14 - len(tail) :] == tail and frame.ser == 1:
                fits = cjt188.suggest(frame)
                order = cjt188.LOW_FIRST if frame.wire in (0x1F90, 0x0A81) else cjt188.HIGH_FIRST
                found[frame.address] = [frame.type, order, fits[0].unit_first if len(fits) == 1 else None]
            else:
                noise += len(frame.raw)
        return found, noise + decoder.dropped


def _digits(text):
    return all(["0" <= c <= "9" for c in text])


# --- the scan --------------------------------------------------------------------------------------------------------


class Scan:
    """Looks for meters on a bus. settings: list of Settings, one after the other ([None] on a network); protocols: of
    carbonterm.field.places; units: the Modbus units; timeout_ms of Modbus, wildcard_ms of the others. thorough: asks
    what costs more time: Modbus units by function 04 too, and every two last digits although one meter alone answered
    to the wildcard.

    tell(event): awaited with each of: progress {"at", "left_ms"}, found {"protocol", "unit", "baud", "parity", "stop",
    "said", "dialect"}, crowd {"protocol", "tail", "bytes"} (answers fall on each other there), noise {"protocol", "at",
    "bytes"} (the search by wildcard was given up at these settings), end {"found", "asked"}.
    """

    def __init__(self, bus, settings, protocols, units, timeout_ms, wildcard_ms, thorough, tell, port):
        self.bus = bus
        self.settings = settings
        self.protocols = protocols
        self.units = units
        self.timeout_ms = timeout_ms
        self.wildcard_ms = wildcard_ms
        self.thorough = thorough
        self.serial = settings[0] is not None
        self.asked = 0
        self.found = []
        self._tell = tell
        self._port = port
        self._left = 0  # estimated milliseconds of what is still to be asked
        self._done = 0  # and of what was asked
        self._begun = self._told = port.ticks_ms()

    async def run(self):
        kinds = [_kind(name) for name in self.protocols if name != places.MODBUS]
        functions = (modbus.HOLDING, modbus.INPUT_REGISTERS) if self.thorough else (modbus.HOLDING,)
        for settings in self.settings:
            for kind in kinds:
                self._left += kind.asks * self._cost(settings, self.wildcard_ms)
            if places.MODBUS in self.protocols:
                self._left += len(functions) * len(self.units) * self._cost(settings, self.timeout_ms)
        for settings in self.settings:  # wildcards first, they take a second each
            for kind in kinds:
                await self._wild(kind, settings)
        for settings in self.settings:
            for function in functions if places.MODBUS in self.protocols else ():
                for unit in self.units:
                    await self._unit(unit, function, settings)
        await self._tell({"event": "end", "found": len(self.found), "asked": self.asked})

    def _cost(self, settings, timeout_ms):
        baud = (settings.baud or 9600) if self.serial else 0
        return timeout_ms + (line_ms(24, (baud, "even", 1)) if baud else 0)

    async def _spent(self, cost, at):
        """A question is over."""
        port = self._port
        self.asked += 1
        self._left -= cost
        self._done += cost
        now = port.ticks_ms()
        if port.ticks_diff(now, self._told) >= TELL_MS:
            self._told = now
            left = max(self._left, 0) * max(port.ticks_diff(now, self._begun), 1) // self._done
            await self._tell({"event": "progress", "at": at, "left_ms": left})

    async def _unit(self, unit, function, settings):
        cost = self._cost(settings, self.timeout_ms)
        said = noise = None
        if [places.MODBUS, unit] not in self.found:
            if self.serial:
                said, noise = await self._unit_on_line(unit, function, settings)
            else:
                said = await self._unit_on_network(unit, function)
        if said:
            await self._find(places.MODBUS, unit, settings, said, None)
        elif noise:
            await self._tell({"event": "crowd", "protocol": places.MODBUS, "tail": str(unit), "bytes": noise})
        await self._spent(cost, _at(settings, "modbus %d" % unit))

    async def _unit_on_line(self, unit, function, settings):
        """(answer, 0), (None, bytes of noise)."""
        frame = modbus.rtu(unit, modbus.read_request(function, 0, 1))
        for _ in range(_TRIES):
            raw = await hear(self.bus, frame, settings, self.timeout_ms)
            decoder = modbus.RtuDecoder(modbus.MASTER)
            decoder.expect(unit, function, 1)
            frames = decoder.feed(raw) + decoder.flush()
            if frames:
                return frames[0].raw, 0
            if not raw:
                return None, 0
        return None, len(raw)

    async def _unit_on_network(self, unit, function):
        try:
            return (await self.bus.read(unit, function, 0, 1, self.timeout_ms))[1]
        except Refused as refusal:
            return None if refusal.raw[-1] in _GATEWAY else refusal.raw
        except NoAnswer:
            return None

    async def _wild(self, kind, settings):
        tails = [("", way) for way in range(kind.asks)]
        cost = self._cost(settings, self.wildcard_ms)
        while tails:
            tail, way = tails.pop(0)
            found, noise = await self._crowd(kind, tail, way, settings)
            for address in sorted(found):
                await self._find(kind.protocol, address, settings, b"", found[address])
            more = noise or len(found) > 1 or (self.thorough and not tail and found)
            await self._spent(cost, _at(settings, "%s …%s" % (kind.protocol, tail)))
            if not tail and (found or noise):
                self._left -= len(tails) * cost
                tails = []
            if noise and await self._noisy(kind, settings):
                return
            if noise:
                await self._tell({"event": "crowd", "protocol": kind.protocol, "tail": tail, "bytes": noise})
            if more and len(tail) < kind.DIGITS:
                tails = [("%02d%s" % (pair, tail), way if way == 2 else 1) for pair in range(100)] + tails
                self._left += 100 * cost

    async def _crowd(self, kind, tail, way, settings):
        """({address: dialect} of all tries, bytes that are nobody's answer); what noise is in is asked again."""
        every = {}
        for _ in range(_TRIES):
            raw = await hear(self.bus, kind.frame(tail, way), settings, self.wildcard_ms)
            found, noise = kind.heard(raw, tail)
            every.update(found)
            if not noise or (found and noise <= _GLITCH):
                return every, 0
        return every, noise

    async def _noisy(self, kind, settings):
        """Whether the line says something to a question for a meter that hardly is: then what is heard is no crowd."""
        nobody = "90" * (kind.DIGITS >> 1)
        found, noise = kind.heard(await hear(self.bus, kind.frame(nobody, 1), settings, self.wildcard_ms), nobody)
        if noise and not found:
            await self._tell({"event": "noise", "protocol": kind.protocol, "at": _at(settings, ""), "bytes": noise})
        return noise and not found

    async def _find(self, protocol, unit, settings, said, dialect):
        if [protocol, unit] in self.found:
            return
        self.found.append([protocol, unit])
        event = {"event": "found", "protocol": protocol, "unit": unit, "said": _hex(said), "dialect": dialect}
        if settings is not None:
            event.update({"baud": settings.baud, "parity": settings.parity, "stop": settings.stop})
        await self._tell(event)


def _kind(protocol):
    if protocol in (dlt645.V2007, dlt645.V1997):
        return _Dlt645(protocol)
    if protocol == places.CJT188:
        return _Cjt188()
    raise FrameError("there is no search for %s" % protocol, "search for " + " ".join(places.PROTOCOLS))


def _at(settings, what):
    if settings is None:
        return what
    return "%d 8%s%d %s" % (settings.baud, settings.parity[0].upper(), settings.stop, what)


def _hex(data):
    return "".join(["%02X" % byte for byte in data])
