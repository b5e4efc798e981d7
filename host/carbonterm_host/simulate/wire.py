"""What happens on a serial line, byte by byte in its time: requests heard, replies, echoes, noise, collisions.

Nothing here waits or knows what time it is: moments (microseconds) are handed in, so the same line runs behind a pty in
real time and inside a soak in simulated time, on CPython and MicroPython.

    wire.send(now_us, data, settings)     the master speaks, from now_us on
    wire.next_us()                        when it will have something to read, None: nothing is on its way
    wire.take(now_us) -> bytes            what has come until then

settings are (baud, parity, stop bits) of who speaks; a meter hears only its own. Two that speak at once are wired AND:
a byte on which two bytes fall is both, bit by bit (a driver that pulls the line to 0 wins), and who is spoken over
hears that as well.
"""

from carbonterm_host.simulate import faults as table
from carbonterm_host.simulate.chance import mixed

PIECE = 8  # bytes of a reply that are handed over together, as a UART's FIFO does
PAUSE_US = 600000
DRIP_US = 40000
_WAKES = (b"", b"\xff", b"\x00", b"\xff\xff\xff")


def bits(settings):
    """Bits of a byte on the line."""
    return 9 + settings[2] + (settings[1] != "none")


class _Run:
    """Bytes that somebody puts on the line without a pause; row: of ground truth, None where they are no answer."""

    __slots__ = ("byte_us", "data", "row", "start")

    def __init__(self, start, byte_us, data, row=None):
        self.start = start
        self.byte_us = byte_us
        self.data = bytearray(data)
        self.row = row

    @property
    def end(self):
        return self.start + self.byte_us * len(self.data)


class Wire:
    """`meters`: Meters that have begun; settings: of those that have none of their own. turnaround_ms: (low, high)."""

    def __init__(self, meters, settings, faults, turnaround_ms=(5, 20)):
        self.settings = settings
        self.faults = faults
        self.turnaround_ms = turnaround_ms
        self.heard = 0  # requests to a meter of this line
        self.lost = 0  # bytes sent by the master while a meter spoke, or at a speed that nobody here has
        self.collided = 0  # bytes that fell on others
        self.busy = {}  # baud: bits that have been on the line
        self._air = []  # runs that have not wholly come yet, in order of their start
        self._ears = []  # (kind of frames, settings, decoder, meters)
        for meter in meters:
            own = meter.persona.key, settings_of(meter, settings)
            ears = [ear for ear in self._ears if ear[:2] == own]
            if not ears:
                ears = [own + (meter.persona.decoder(), [])]
                self._ears += ears
            ears[0][3].append(meter)

    @property
    def errors(self):
        """Frames that came with a wrong checksum."""
        return sum([ear[2].errors for ear in self._ears])

    def send(self, now_us, data, settings):
        """The master's bytes, whole frames; parity None: nobody knows it (a pty). Replies are on their way then."""
        baud, parity = settings[:2]
        byte_us = bits(settings if parity else self.settings) * 1000000 // baud
        run = _Run(now_us, byte_us, data)
        self._count(baud, settings if parity else self.settings, len(data))
        for other in self._air:
            self._fall(run, other, False)
        known = False
        for _, own, decoder, meters in self._ears:
            if own[0] != baud or (parity and own != settings):
                continue
            known = True
            for frame in decoder.feed(run.data) + decoder.flush():
                for meter in meters:
                    if meter.persona.hears(frame):
                        self._answer(meter, frame, now_us, run.end, own)
        if not known:
            self.lost += len(data)

    def speaking(self, now_us):
        """Whether a meter is speaking."""
        return len(self._air) > 0 and self._air[0].start <= now_us < self._air[0].end

    def next_us(self, piece=PIECE):
        """When the next piece of at most so many bytes will be there, None where nothing comes."""
        if not self._air:
            return None
        run = self._air[0]
        return run.start + run.byte_us * min(piece, len(run.data))

    def take(self, now_us):
        """The bytes that were whole by now."""
        found = b""
        while self._air and self._air[0].start < now_us:
            run = self._air[0]
            count = min((now_us - run.start) // run.byte_us, len(run.data))
            found += bytes(run.data[:count])
            if count < len(run.data):
                run.data = run.data[count:]
                run.start += count * run.byte_us
                break
            self._air.pop(0)
        return found

    def put(self, start_us, data, byte_us, row=None):
        """Bytes on the line from a moment on; what falls on others is both."""
        run = _Run(start_us, byte_us, data, row)
        for other in self._air:
            if self._fall(run, other, True):
                break
        if run.data:
            at = len(self._air)
            while at and self._air[at - 1].start > run.start:
                at -= 1
            self._air.insert(at, run)

    def _fall(self, run, other, joins):
        """ANDs the bytes of two runs where they overlap. joins: those of `run` that fell on others are then gone,
        with all behind them (the other's bytes stand for both)."""
        if run.start >= other.end or other.start >= run.end:
            return False
        first = None
        for i in range(len(run.data)):
            at = (run.start + i * run.byte_us - other.start) // other.byte_us
            if 0 <= at < len(other.data):
                both = run.data[i] & other.data[at]
                for one, mine in ((run, run.data[i]), (other, other.data[at])):
                    if one.row is not None and mine != both:
                        one.row["spoilt"] = True
                run.data[i] = other.data[at] = both
                first = i if first is None else first
                self.collided += 1
        if first is None or not joins:
            return False
        if run.row is not None:
            run.row["spoilt"] = True
        if run.end > other.end:  # what is longer goes on behind the other
            tail = (other.end - run.start + run.byte_us - 1) // run.byte_us
            other.data += run.data[tail:]
        run.data = run.data[:first]
        return True

    def _count(self, baud, settings, count):
        self.busy[baud] = self.busy.get(baud, 0) + count * bits(settings)

    def _answer(self, meter, frame, asked_us, end_us, settings):
        persona = meter.persona
        self.heard += 1
        fault = meter.fault()
        meter.row = None
        reply = persona.answer(frame, fault)
        if not reply or fault == "silent":
            return
        low, high = self.turnaround_ms
        start = end_us + self.faults.random.randint(1000 * low, 1000 * high)
        byte_us = bits(settings) * 1000000 // settings[0]
        wakes = b"" if persona.key == "modbus" else b"\xfe" * (mixed(meter.name) % 5)
        for after_us, data in self._spoilt(fault, meter, frame, reply, wakes, byte_us):
            if fault == "drip":
                for i in range(len(data)):
                    self.put(start + after_us + i * DRIP_US, data[i : i + 1], byte_us, meter.row)
            else:
                self.put(start + after_us, data, byte_us, meter.row)
            self._count(settings[0], settings, len(data))
            if meter.row is not None:
                meter.row["took_ms"] = (start + after_us + len(data) * byte_us - asked_us + 999) // 1000

    def _spoilt(self, fault, meter, frame, reply, wakes, byte_us):
        """[(microseconds after the beginning, bytes)] of a reply that a fault befell."""
        chance = self.faults.random
        make = _SPOIL.get(fault)
        if make is not None:
            return [(0, make(self, meter.persona, chance, frame, wakes, reply))]
        data = wakes + reply
        if fault == "late":
            return [(1000 * table.LATE_MS, data)]
        if fault == "pause":
            at = 1 + chance.below(len(reply) - 1) + len(wakes)
            return [(0, data[:at]), (at * byte_us + PAUSE_US, data[at:])]
        if fault == "collision":
            other = meter.persona.foreign(reply, chance)
            return [(0, data), (chance.below(3) * byte_us + byte_us // 3, wakes + other)]
        return [(0, data)]


def settings_of(meter, settings):
    """(baud, parity, stop) of a meter on a line."""
    baud, parity, stop = settings
    return meter.baud or baud, meter.parity or parity, meter.stop or stop


def _crc(wire, persona, chance, frame, wakes, reply):
    at = len(reply) - 1 if persona.key == "modbus" else len(reply) - 2
    return wakes + persona.broken(reply, at, reply[at] ^ chance.randint(1, 255))


def _wrong_rate(wire, persona, chance, frame, wakes, reply):
    """Another rate: other bytes. Another parity: a byte of two is left out."""
    if chance.below(2):
        return chance.randbytes(len(reply))
    return bytes([byte for byte in wakes + reply if chance.below(2)])


def _inside(wire, persona, chance, frame, wakes, reply):
    at = chance.randint(1, len(reply) - 1)
    return wakes + reply[:at] + wire.faults.noise() + reply[at:]


_SPOIL = {
    "noise-before": lambda wire, p, chance, frame, wakes, reply: wire.faults.noise() + wakes + reply,
    "noise-after": lambda wire, p, chance, frame, wakes, reply: wakes + reply + wire.faults.noise(),
    "noise-inside": _inside,
    "truncated": lambda wire, p, chance, frame, wakes, reply: wakes + reply[: chance.randint(1, len(reply) - 1)],
    "crc": _crc,
    "misframed": lambda wire, p, chance, frame, wakes, reply: wakes + p.misframed(reply, chance),
    "glued": lambda wire, p, chance, frame, wakes, reply: wakes + reply + reply,
    "foreign": lambda wire, p, chance, frame, wakes, reply: wakes + p.foreign(reply, chance) + reply,
    "other-item": lambda wire, p, chance, frame, wakes, reply: wakes + p.other_item(reply, chance) + reply,
    "wildcard": lambda wire, p, chance, frame, wakes, reply: wakes + p.wildcard(reply, chance),
    "echo": lambda wire, p, chance, frame, wakes, reply: frame.raw + wakes + reply,
    "partial-echo": lambda wire, p, chance, frame, wakes, reply: (
        frame.raw[chance.randint(1, len(frame.raw) - 1) :] + wakes + reply),
    "switch-late": lambda wire, p, chance, frame, wakes, reply: reply[chance.randint(1, min(5, len(reply) - 1)) :],
    "switch-early": lambda wire, p, chance, frame, wakes, reply: (
        wakes + reply[: -chance.randint(1, min(3, len(reply) - 1))]),
    "wrong-rate": _wrong_rate,
    "leaders": lambda wire, p, chance, frame, wakes, reply: (
        chance.choice(_WAKES) + b"\xfe" * chance.below(9) + reply),
}  # fmt: skip
