"""DL/T 645-2007 and DL/T 645-1997: frames, requests and replies of electricity meters, both roles, no I/O.

Theory of operation
-------------------
A frame is `68 A0..A5 68 C L DATA CS 16`, often behind FE bytes that wake the line (a master sends 4, a meter 0 to 7,
all are skipped). A0..A5 are the 12 digits of the address, last pair first. L counts DATA, at most 200. Every byte of
DATA has 33H added modulo 256 on the wire, so a byte below 33H is data of CDH and more, not an error. CS is the sum
modulo 256 from the first 68 to the last byte of DATA. The sum sees no swapped bytes: their order is this file's duty.

C is a function (bits 0 to 4) and three flags: D7 from the meter, D6 refused (DATA is one error byte), D5 more frames
follow. The editions share the frame and differ in functions and in the width of a data identifier: 2007 reads with 11H
and 4 bytes, 1997 with 01H and 2. `FUNCTIONS` has a row for each; a function belongs to one edition, 08H to both.

Here a *PDU* is C and DATA without the 33H, as one bytes object: what a frame carries for its address. Addresses are
texts of 12 digits, the most significant first, as printed on the meter ("201000000012" is 12 00 00 00 10 20 on the
wire); identifiers are texts in the standard's order ("00010000" is 00 00 01 00, "9010" is 10 90). "AA" in place of the
upper pairs of an address is a wildcard: all six ask whoever is there, fewer are a shortened address (`short_address`).
"99" six times is a broadcast that no meter answers; of the 1997 edition some do, to a read.

A half frame ends with silence: `flush()` after SILENCE_MS. At most 211 bytes are held between two feeds. A MASTER takes
frames with D7 set only, so its own echo is dropped; a METER the others. `match` accepts a reply if function, address
(or the wildcard asked) and identifier are those of the request, and of a follow-up frame its number (2007). What no
master can tell: the late reply to an identical earlier request, and in the 1997 edition, which numbers nothing, a
follow-up frame that comes twice: let a silence pass after a time-out.

Only reads, setting the time and freezing can be asked: `frame` refuses every other request, so that no password, no
clearing, no valve or relay and no address change can leave a terminal.

Example, a master:

    exchange = Exchange("201000000012", read_request("00010000"))
    send(exchange.frame)
    reply = exchange.feed(received)         # None until it is there; then reply.error or reply.payload
"""

from carbonterm.clock import month_days
from carbonterm.errors import FrameError, quoted
from carbonterm.field import stream
from carbonterm.field.stream import RESPONSE

MASTER, METER = stream.MASTER, stream.METER
V2007, V1997 = "dlt645-2007", "dlt645-1997"
BROADCAST = "99" * 6
WILDCARD = "AA" * 6

SET_TIME = 0x08
READ, READ_FOLLOW, READ_ADDRESS, FREEZE = 0x11, 0x12, 0x13, 0x16
READ_97, READ_FOLLOW_97, REREAD_97 = 0x01, 0x02, 0x03

# function: (edition or None for both, name, bytes of its data identifier)
FUNCTIONS = {
    0x01: (V1997, "read data", 2), 0x02: (V1997, "read follow-up data", 2), 0x03: (V1997, "read again", 2),
    0x04: (V1997, "write data", 2), 0x08: (None, "set time", 0), 0x0A: (V1997, "write address", 0),
    0x0C: (V1997, "set baud rate", 0), 0x0F: (V1997, "change password", 0), 0x10: (V1997, "clear demand", 0),
    0x11: (V2007, "read data", 4), 0x12: (V2007, "read follow-up data", 4), 0x13: (V2007, "read address", 0),
    0x14: (V2007, "write data", 4), 0x15: (V2007, "write address", 0), 0x16: (V2007, "freeze", 0),
    0x17: (V2007, "set baud rate", 0), 0x18: (V2007, "change password", 0), 0x19: (V2007, "clear demand", 0),
    0x1A: (V2007, "clear meter", 0), 0x1B: (V2007, "clear events", 0),
}  # fmt: skip

# what may be asked: all of them read, set the time or freeze
ASKED = (READ_97, READ_FOLLOW_97, REREAD_97, SET_TIME, READ, READ_FOLLOW, READ_ADDRESS, FREEZE)
_READS = (READ_97, READ_FOLLOW_97, REREAD_97, READ, READ_FOLLOW)

# bits of the error byte
ERRORS = {
    V2007: ("other error", "no such data", "wrong password or not authorised", "baud rate cannot be changed",
            "too many year zones", "too many day slots", "too many tariffs"),
    V1997: ("illegal data", "no such data", "wrong password", None, "too many year zones", "too many day slots",
            "too many tariffs"),
}  # fmt: skip
NO_SUCH_DATA = 0x02
NOT_AUTHORISED = 0x04

# baud byte (2007: function 17, 1997: function 0C): bit by bit the rates of the edition
BAUDS = {
    V2007: {0x02: 600, 0x04: 1200, 0x08: 2400, 0x10: 4800, 0x20: 9600, 0x40: 19200},
    V1997: {0x02: 300, 0x04: 600, 0x08: 1200, 0x10: 2400, 0x20: 4800, 0x40: 9600},
}

LONGEST = 200  # bytes of DATA
SILENCE_MS = 500  # between two bytes of a frame, and before a reply begins

# (function, from the meter) -> exact length of DATA
_LENGTHS = {
    (0x01, False): 2, (0x02, False): 2, (0x03, False): 0, (0x08, False): 6, (0x12, False): 5,
    (0x13, False): 0, (0x13, True): 6, (0x16, False): 4, (0x16, True): 0, (0x17, False): 1, (0x17, True): 1,
    (0x0C, False): 1, (0x0C, True): 1, (0x15, False): 6, (0x15, True): 0, (0x0A, False): 6, (0x0A, True): 0,
}  # fmt: skip


# --- addresses and identifiers -------------------------------------------------------------------------------------


def address_bytes(text):
    """The 6 bytes of an address on the wire: 12 digits, the most significant first; upper pairs may be AA."""
    if len(text) == 12:
        real = text
        while real[:2] == "AA":
            real = real[2:]
        if _digits(real):
            return _unhex(text)
    raise FrameError(
        "%s is no address of a DL/T 645 meter" % quoted(text),
        "write the 12 digits printed on the meter, with zeros before a shorter number",
    )


def short_address(digits):
    """The address that asks by the last digits alone (an even number of them): "3456" gives "AAAAAAAA3456"."""
    if not _digits(digits) or len(digits) % 2 or len(digits) > 12:
        raise FrameError("%s is no shortened address" % quoted(digits), "give the last 2, 4, 6, 8 or 10 digits")
    return WILDCARD[len(digits) :] + digits


def covers(asked, own):
    """Whether `asked` (an address, perhaps shortened or all wildcard) means the meter with the address `own`."""
    while asked[:2] == "AA":
        asked = asked[2:]
    return own[len(own) - len(asked) :] == asked


def identifier_bytes(identifier):
    """The bytes of a data identifier on the wire: 8 hex digits (2007) or 4 (1997) in the standard's order."""
    if len(identifier) not in (4, 8) or not _hex(identifier):
        raise FrameError(
            "%s is no data identifier" % quoted(identifier),
            'write 8 hex digits like "00010000" (2007) or 4 like "9010" (1997)',
        )
    return _unhex(identifier)


def _unhex(text):
    return bytes([int(text[i : i + 2], 16) for i in range(len(text) - 2, -1, -2)])


def _text(data):
    return "".join(["%02X" % data[i] for i in range(len(data) - 1, -1, -1)])


def _digits(text):
    return len(text) == 0 or _only(text, "0123456789")


def _hex(text):
    return _only(text, "0123456789ABCDEF")


def _only(text, allowed):
    return all([c in allowed for c in text])


# --- PDUs ----------------------------------------------------------------------------------------------------------


def read_request(identifier):
    """PDU that reads an identifier: function 11 for one of 8 hex digits, 01 for one of 4."""
    data = identifier_bytes(identifier)
    return bytes((READ if len(data) == 4 else READ_97,)) + data


def follow_request(identifier, seq=1):
    """PDU that reads the follow-up frame `seq` (1 to 255; the 1997 edition sends no number)."""
    data = identifier_bytes(identifier)
    if not 1 <= seq <= 255:
        raise FrameError("follow-up frame %d" % seq, "they are numbered from 1 to 255")
    if len(data) == 2:
        return bytes((READ_FOLLOW_97,)) + data
    return bytes((READ_FOLLOW,)) + data + bytes((seq,))


def reread_request():
    """PDU that asks a 1997 meter for its last reply again; a reply to any identifier answers it."""
    return bytes((REREAD_97,))


def address_request():
    """PDU that asks the only meter of a line for its address (2007); send it to WILDCARD."""
    return bytes((READ_ADDRESS,))


def time_request(year, month, day, hour, minute, second):
    """PDU that sets the time, to BROADCAST or one meter; no meter answers it. Years 2000 to 2099, local time."""
    if not (2000 <= year <= 2099 and 1 <= month <= 12 and 1 <= day <= month_days(year, month)):
        raise FrameError("%d-%d-%d is no day from 2000 to 2099" % (year, month, day))
    if not (0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 59):
        raise FrameError("%d:%d:%d is no time of a day" % (hour, minute, second))
    return bytes((SET_TIME,)) + bytes([_bcd(part) for part in (second, minute, hour, day, month, year - 2000)])


def freeze_request(month=None, day=None, hour=None, minute=None):
    """PDU that freezes registers at a time, None is any: all None is now, only `minute` is every hour (2007)."""
    parts = (minute, hour, day, month)
    for part, low, high, name in zip(parts, (0, 0, 1, 1), (59, 23, 28, 12), ("minute", "hour", "day", "month")):
        if part is not None and not low <= part <= high:
            raise FrameError("a freeze at %s %d" % (name, part), "it is %d to %d" % (low, high))
    given = [part is not None for part in parts]
    if given != sorted(given, reverse=True):
        raise FrameError("a time to freeze has a gap", "give the minute, then the hour, the day, the month")
    return bytes((FREEZE,)) + bytes([0x99 if part is None else _bcd(part) for part in parts])


def read_response(identifier, payload, more=False):
    """PDU of a meter that answers a read; more: follow-up frames are to be asked for."""
    return bytes((read_request(identifier)[0] | (0xA0 if more else 0x80),)) + identifier_bytes(identifier) + payload


def follow_response(identifier, payload, seq=1, more=False):
    """PDU of a meter's follow-up frame; 2007 ends with its number."""
    request = follow_request(identifier, seq)
    tail = request[5:]
    return bytes((request[0] | (0xA0 if more else 0x80),)) + identifier_bytes(identifier) + payload + tail


def address_response(address):
    """PDU of a meter that tells its address."""
    return bytes((READ_ADDRESS | 0x80,)) + address_bytes(address)


def freeze_response():
    """PDU of a meter that will freeze as it was asked."""
    return bytes((FREEZE | 0x80,))


def error_response(function, error):
    """PDU of a meter that refuses; `error` has the bits of ERRORS."""
    if not 1 <= error <= 255:
        raise FrameError("error byte %d is outside 1 to 255" % error)
    return bytes((function & 0x1F | 0xC0, error))


def errors(edition, byte):
    """List of what an error byte says."""
    names = ERRORS[edition]
    return [names[i] if i < 7 and names[i] else "bit %d" % i for i in range(8) if byte >> i & 1]


def fault(pdu, edition=None):
    """What is wrong with a PDU, as a text; None if it is one of the standard (of `edition`, if given)."""
    control = pdu[0]
    row = FUNCTIONS.get(control & 0x1F)
    if row is None:
        return "unknown function %02XH" % (control & 0x1F)
    if edition and row[0] not in (None, edition):
        return "function %02XH belongs to %s" % (control & 0x1F, row[0])
    size = len(pdu) - 1
    meter = bool(control & 0x80)
    if not meter and control & 0x60:
        return "a request with control %02XH" % control
    if control & 0x40:
        return None if size == 1 else "an error of %d bytes, it has 1" % size
    wanted = _LENGTHS.get((control & 0x1F, meter))
    if wanted is not None:
        return None if size == wanted else "%d bytes of data, function %02XH has %d" % (size, control & 0x1F, wanted)
    wanted = row[2] + (1 if control & 0x1F == READ_FOLLOW else 0)
    if meter and control & 0x1F in (0x04, 0x14):
        wanted = 0  # the answer to a write carries nothing
    return None if size >= wanted else "%d bytes of data, function %02XH has %d or more" % (
        size, control & 0x1F, wanted)  # fmt: skip


def _bcd(number):
    return number // 10 << 4 | number % 10


# --- frames --------------------------------------------------------------------------------------------------------


def frame(address, pdu, leaders=4):
    """The bytes to send: `leaders` times FE, the frame of a PDU. Requests other than ASKED are refused."""
    if not pdu or not (pdu[0] & 0x80 or pdu[0] in ASKED):
        raise FrameError(
            "a request %s cannot be sent" % ("%02XH" % pdu[0] if pdu else "without a function"),
            "a terminal reads meters, sets their time and freezes, nothing else",
        )
    if len(pdu) - 1 > LONGEST:
        raise FrameError("%d bytes of data in a frame" % (len(pdu) - 1), "it takes %d" % LONGEST)
    body = bytearray(b"\x68" + address_bytes(address) + b"\x68")
    body.append(pdu[0])
    body.append(len(pdu) - 1)
    for byte in pdu[1:]:
        body.append(byte + 0x33 & 255)
    return b"\xfe" * leaders + bytes(body) + bytes((sum(body) & 255, 0x16))


class Frame:
    """A frame found: address (text), pdu (control and data without the 33H), raw (its bytes from 68 to 16)."""

    __slots__ = ("address", "pdu", "raw")

    def __init__(self, raw):
        self.address = _text(raw[1:7])
        self.pdu = bytes((raw[8],)) + bytes([byte - 0x33 & 255 for byte in raw[10:-2]])
        self.raw = raw

    @property
    def control(self):
        return self.pdu[0]

    @property
    def function(self):
        """Function code without the three flags."""
        return self.pdu[0] & 0x1F

    @property
    def from_meter(self):
        return bool(self.pdu[0] & 0x80)

    @property
    def more(self):
        """Whether follow-up frames are to be asked for."""
        return self.pdu[0] & 0xE0 == 0xA0

    @property
    def error(self):
        """Error byte of a meter that refused, or None."""
        return self.pdu[1] if self.pdu[0] & 0xC0 == 0xC0 and len(self.pdu) == 2 else None

    @property
    def identifier(self):
        """Data identifier as a text, None of a frame that has none."""
        width = FUNCTIONS.get(self.function, (0, 0, 0))[2]
        if not width or self.pdu[0] & 0x40 or len(self.pdu) <= width:
            return None
        return _text(self.pdu[1 : 1 + width])

    @property
    def seq(self):
        """Number of a follow-up frame (2007), else None."""
        return self.pdu[-1] if self.function == READ_FOLLOW and len(self.pdu) > 5 else None

    @property
    def payload(self):
        """Data behind the identifier, without a follow-up frame's number."""
        if self.identifier is None:
            return self.pdu[1:]
        return self.pdu[1 + FUNCTIONS[self.function][2] : None if self.seq is None else -1]


def match(address, pdu, reply):
    """Whether `reply` (a Frame) answers the request `pdu` that was sent to `address`."""
    function = pdu[0]
    if not reply.from_meter or reply.function != function or not _answers(address, function, reply.address):
        return False
    if reply.control & 0x40:
        return reply.control == function | 0xC0 and len(reply.pdu) == 2
    if reply.control & 0x20 and function not in _READS:
        return False
    if fault(reply.pdu):
        return False
    if function == READ_ADDRESS:
        told = _text(reply.pdu[1:])
        return _digits(told) and reply.address in (told, address)
    if function == REREAD_97 or function not in _READS:
        return True
    if function == READ_FOLLOW and reply.seq != pdu[5]:
        return False
    width = FUNCTIONS[function][2]
    return reply.pdu[1 : 1 + width] == pdu[1 : 1 + width]


def _answers(asked, function, address):
    if asked == BROADCAST and function in _READS:
        return True  # meters of 1997 that take it for a wildcard
    return covers(asked, address) or address == asked


def duration_ms(size, baud):
    """Time that `size` bytes take on the line, rounded up: 11 bits each (start, 8, even parity, stop)."""
    return (size * 11000 + baud - 1) // baud


# --- decoders ------------------------------------------------------------------------------------------------------


def frame_length(data, start=0):
    """Length of the frame that may begin at data[start], of either direction; see the top of this file.

    0: none can. A length beyond the end of data: bytes are missing (at least that many are needed).
    """
    held = len(data) - start
    if data[start] != 0x68 or (held > 7 and data[start + 7] != 0x68):
        return 0
    if held < 10:
        return 12
    size = data[start + 9]
    return 0 if size > LONGEST else 12 + size


def checksum(raw):
    """The sum that a whole frame (68 to 16) must have."""
    return sum(raw[:-2]) & 255


class Decoder(stream.Decoder):
    """Frames out of a line's bytes. role MASTER: replies, METER: requests."""

    START = b"\x68"
    LEADER = b"\xfe"

    def __init__(self, role):
        super().__init__()
        self._direction = 0x80 if stream.sought(role) == RESPONSE else 0
        self._expected = None

    def expect(self, address=None, function=None):
        """From now on only replies to `function` of the meters that `address` means are frames; none: all again."""
        self._expected = None if address is None else (address, function)

    def _length(self, held, start):
        count = len(held) - start
        if count > 8:
            control = held[start + 8]
            if control & 0x80 != self._direction or control & 0x1F not in FUNCTIONS:
                return 0
            if self._expected:
                address, function = self._expected
                if control & 0x1F != function or not _answers(address, function, _text(held[start + 1 : start + 7])):
                    return 0
        return frame_length(held, start)

    def _frame(self, raw):
        if raw[-1] != 0x16:
            return None
        if raw[-2] != checksum(raw):
            self.errors += 1
            return None
        return Frame(raw)


class Exchange(stream.Exchange):
    """A master's one request and its reply. `frame`: the bytes to send; `silent`: no meter will answer."""

    __slots__ = ("address", "pdu", "silent")

    def __init__(self, address, pdu, leaders=4):
        super().__init__(frame(address, pdu, leaders), Decoder(MASTER))
        if pdu[0] & 0x80 or fault(pdu):
            raise FrameError("a master cannot ask %02XH: %s" % (pdu[0], fault(pdu) or "it is a reply"))
        if address == BROADCAST and pdu[0] not in (SET_TIME, FREEZE, READ_97):
            raise FrameError("function %02XH to all meters" % pdu[0], "only time and freeze are broadcast")
        self.address = address
        self.pdu = pdu
        self.silent = pdu[0] == SET_TIME or (pdu[0] == FREEZE and address == BROADCAST)
        self._decoder.expect(address, pdu[0])

    def _answers(self, frame):
        return not self.silent and match(self.address, self.pdu, frame)


class Read:
    """A read with its follow-up frames: send `exchange.frame`, hand the reply to `take`, again until it gives data."""

    __slots__ = ("_parts", "address", "exchange", "identifier")

    def __init__(self, address, identifier):
        self.address = address
        self.identifier = identifier
        self.exchange = Exchange(address, read_request(identifier))
        self._parts = []

    def take(self, reply):
        """The whole payload, or None if `exchange` now holds the request for the next frame; FrameError if refused."""
        if reply.error is not None:
            edition = FUNCTIONS[reply.function][0]
            said = ", ".join(errors(edition, reply.error))
            raise FrameError("%s refused %s: %s" % (reply.address, self.identifier, said))
        self._parts.append(reply.payload)
        if not reply.more:
            return b"".join(self._parts)
        address = reply.address if covers(self.address, reply.address) else self.address
        self.exchange = Exchange(address, follow_request(self.identifier, len(self._parts)))
        return None


class Meter:
    """The other side of the line: the reply of a meter with `address` to the frames that a METER Decoder finds.

    payload_of(identifier) gives the bytes of an identifier or None; set_time(pdu) and freeze(pdu) get what was asked,
    if given. longest: bytes of DATA in a reply, what goes beyond is told in follow-up frames. Writes are refused.
    """

    __slots__ = ("_freeze", "_payload_of", "_set_time", "address", "longest")

    def __init__(self, address, payload_of, set_time=None, freeze=None, longest=LONGEST):
        address_bytes(address)
        if not 16 <= longest <= LONGEST:
            raise FrameError("replies of %d bytes" % longest, "a meter sends 16 to %d" % LONGEST)
        self.address = address
        self.longest = longest
        self._payload_of = payload_of
        self._set_time = set_time
        self._freeze = freeze

    def answer(self, request, leaders=4):
        """Bytes of the reply to a Frame; None where a meter is silent: another's address, a broadcast, a broken one."""
        to_all = request.address == BROADCAST
        if request.from_meter or not (to_all or covers(request.address, self.address)):
            return None
        function = request.function
        wrong = fault(request.pdu)
        if function == SET_TIME:
            if self._set_time and not wrong:
                self._set_time(request.pdu)
            return None
        if function == FREEZE and not wrong and self._freeze:
            self._freeze(request.pdu)
        if to_all:
            return None
        return frame(self.address, error_response(function, 1) if wrong else self._reply(request), leaders)

    def _reply(self, request):
        function = request.function
        if function == READ_ADDRESS:
            return address_response(self.address)
        if function == FREEZE:
            return freeze_response()
        if function not in (READ, READ_FOLLOW, READ_97, READ_FOLLOW_97):
            return error_response(function, NOT_AUTHORISED)
        payload = self._payload_of(request.identifier)
        room = self.longest - len(identifier_bytes(request.identifier))
        if payload is None:
            return error_response(function, NO_SUCH_DATA)
        if function in (READ, READ_97):
            return read_response(request.identifier, payload[:room], len(payload) > room)
        seq = request.seq or 1  # 1997 numbers nothing: here it has one follow-up frame
        at = room + (seq - 1) * (room - 1)
        if at >= len(payload):
            return error_response(function, NO_SUCH_DATA)
        return follow_response(request.identifier, payload[at : at + room - 1], seq, len(payload) > at + room - 1)
