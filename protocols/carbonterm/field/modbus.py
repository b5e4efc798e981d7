"""Modbus by GB/T 19582-2008 (Modbus Application Protocol 1.1b): PDUs, RTU and TCP frames, both roles, no I/O.

Theory of operation
-------------------
A PDU is a function code and its data, the same on every line. On a serial line (GB/T 19582.2, RTU) a frame is unit
(1 byte), PDU, CRC-16 (low byte first); over TCP (GB/T 19582.3) it is transaction (2), protocol 0 (2), length of what
follows (2), unit (1), PDU. A frame's length follows from its first seven bytes: `_LENGTHS` has one row per function and
direction, and every decoder, parser and check reads that table.

A decoder (field.stream) drops what can be no frame byte by byte. Silence is 3.5 character times (1.75 ms above 19200
baud). Between two feeds at most 260 bytes are held.

The decoder knows which side it is on: a MASTER decodes responses, a METER requests. A line may give a master its own
request back (echo), the late response to an earlier request, another unit's response. `expect(unit, function, count)`
says what may begin a frame now; all else is dropped byte by byte, at once, without waiting. Three things no RTU master
can tell by looking: the echo of a request 05 or 06 (the response is the same bytes, by design: say `echo=True` to an
`Exchange` on a line that echoes), the late response to an identical earlier request, and the late response to a read of
as many registers at another address (both: let a silence pass after a time-out before the next request). Over TCP the
transaction tells them apart. A METER on a shared line sees other meters' responses to 05 and 06 as requests, for the
same reason; they carry the other meter's unit.

Example, a master:

    exchange = Exchange(1, read_request(3, 0x0C83, 4))
    send(exchange.frame)
    response = exchange.feed(received)      # None until it is there; then parse_response(response.pdu).data
"""

from carbonterm.errors import FrameError
from carbonterm.field import stream
from carbonterm.field.stream import REQUEST, RESPONSE

MASTER, METER = stream.MASTER, stream.METER
COILS, INPUTS, HOLDING, INPUT_REGISTERS, WRITE_COIL, WRITE_REGISTER = range(1, 7)
WRITE_COILS, WRITE_REGISTERS = 0x0F, 0x10

FUNCTIONS = {
    COILS: "read coils",
    INPUTS: "read discrete inputs",
    HOLDING: "read holding registers",
    INPUT_REGISTERS: "read input registers",
    WRITE_COIL: "write single coil",
    WRITE_REGISTER: "write single register",
    WRITE_COILS: "write multiple coils",
    WRITE_REGISTERS: "write multiple registers",
}

# most coils or registers of one request (GB/T 19582.1 clause 6)
LIMITS = {COILS: 2000, INPUTS: 2000, HOLDING: 125, INPUT_REGISTERS: 125, WRITE_COILS: 1968, WRITE_REGISTERS: 123}

# code: (name, meaning, whether the same request may succeed later) (GB/T 19582.1 clause 7)
EXCEPTIONS = {
    0x01: ("illegal function", "the meter does not have this function", False),
    0x02: ("illegal data address", "the meter does not have these registers, or not all of them", False),
    0x03: ("illegal data value", "count or value is not allowed", False),
    0x04: ("server device failure", "the meter failed while it carried the request out", True),
    0x05: ("acknowledge", "the meter works on it and needs long; ask again later", True),
    0x06: ("server device busy", "the meter works on something else; ask again later", True),
    0x08: ("memory parity error", "the meter's memory is damaged", True),
    0x0A: ("gateway path unavailable", "the gateway has no way to the unit; check its configuration", True),
    0x0B: ("gateway target failed to respond", "the gateway got no answer from the unit", True),
}

# function: (length of a PDU without counted bytes, where its byte count stands or 0)
_LENGTHS = {
    REQUEST: {1: (5, 0), 2: (5, 0), 3: (5, 0), 4: (5, 0), 5: (5, 0), 6: (5, 0), 0x0F: (6, 5), 0x10: (6, 5)},
    RESPONSE: {1: (2, 1), 2: (2, 1), 3: (2, 1), 4: (2, 1), 5: (5, 0), 6: (5, 0), 0x0F: (5, 0), 0x10: (5, 0)},
}
_EXCEPTION = (2, 0)
_MAX_PDU = 253
_REGISTERS = (HOLDING, INPUT_REGISTERS, WRITE_REGISTERS)

# CRC-16, polynomial A001 reflected: what a byte does to the low and the high half; bytes, so that they stay in flash
CRC_LOW = (
    b"\x00\xc1\x81\x40\x01\xc0\x80\x41\x01\xc0\x80\x41\x00\xc1\x81\x40\x01\xc0\x80\x41\x00\xc1\x81\x40"
    b"\x00\xc1\x81\x40\x01\xc0\x80\x41\x01\xc0\x80\x41\x00\xc1\x81\x40\x00\xc1\x81\x40\x01\xc0\x80\x41"
    b"\x00\xc1\x81\x40\x01\xc0\x80\x41\x01\xc0\x80\x41\x00\xc1\x81\x40\x01\xc0\x80\x41\x00\xc1\x81\x40"
    b"\x00\xc1\x81\x40\x01\xc0\x80\x41\x00\xc1\x81\x40\x01\xc0\x80\x41\x01\xc0\x80\x41\x00\xc1\x81\x40"
    b"\x00\xc1\x81\x40\x01\xc0\x80\x41\x01\xc0\x80\x41\x00\xc1\x81\x40\x01\xc0\x80\x41\x00\xc1\x81\x40"
    b"\x00\xc1\x81\x40\x01\xc0\x80\x41\x01\xc0\x80\x41\x00\xc1\x81\x40\x00\xc1\x81\x40\x01\xc0\x80\x41"
    b"\x00\xc1\x81\x40\x01\xc0\x80\x41\x01\xc0\x80\x41\x00\xc1\x81\x40\x00\xc1\x81\x40\x01\xc0\x80\x41"
    b"\x01\xc0\x80\x41\x00\xc1\x81\x40\x01\xc0\x80\x41\x00\xc1\x81\x40\x00\xc1\x81\x40\x01\xc0\x80\x41"
    b"\x00\xc1\x81\x40\x01\xc0\x80\x41\x01\xc0\x80\x41\x00\xc1\x81\x40\x01\xc0\x80\x41\x00\xc1\x81\x40"
    b"\x00\xc1\x81\x40\x01\xc0\x80\x41\x01\xc0\x80\x41\x00\xc1\x81\x40\x00\xc1\x81\x40\x01\xc0\x80\x41"
    b"\x00\xc1\x81\x40\x01\xc0\x80\x41\x01\xc0\x80\x41\x00\xc1\x81\x40"
)
CRC_HIGH = (
    b"\x00\xc0\xc1\x01\xc3\x03\x02\xc2\xc6\x06\x07\xc7\x05\xc5\xc4\x04\xcc\x0c\x0d\xcd\x0f\xcf\xce\x0e"
    b"\x0a\xca\xcb\x0b\xc9\x09\x08\xc8\xd8\x18\x19\xd9\x1b\xdb\xda\x1a\x1e\xde\xdf\x1f\xdd\x1d\x1c\xdc"
    b"\x14\xd4\xd5\x15\xd7\x17\x16\xd6\xd2\x12\x13\xd3\x11\xd1\xd0\x10\xf0\x30\x31\xf1\x33\xf3\xf2\x32"
    b"\x36\xf6\xf7\x37\xf5\x35\x34\xf4\x3c\xfc\xfd\x3d\xff\x3f\x3e\xfe\xfa\x3a\x3b\xfb\x39\xf9\xf8\x38"
    b"\x28\xe8\xe9\x29\xeb\x2b\x2a\xea\xee\x2e\x2f\xef\x2d\xed\xec\x2c\xe4\x24\x25\xe5\x27\xe7\xe6\x26"
    b"\x22\xe2\xe3\x23\xe1\x21\x20\xe0\xa0\x60\x61\xa1\x63\xa3\xa2\x62\x66\xa6\xa7\x67\xa5\x65\x64\xa4"
    b"\x6c\xac\xad\x6d\xaf\x6f\x6e\xae\xaa\x6a\x6b\xab\x69\xa9\xa8\x68\x78\xb8\xb9\x79\xbb\x7b\x7a\xba"
    b"\xbe\x7e\x7f\xbf\x7d\xbd\xbc\x7c\xb4\x74\x75\xb5\x77\xb7\xb6\x76\x72\xb2\xb3\x73\xb1\x71\x70\xb0"
    b"\x50\x90\x91\x51\x93\x53\x52\x92\x96\x56\x57\x97\x55\x95\x94\x54\x9c\x5c\x5d\x9d\x5f\x9f\x9e\x5e"
    b"\x5a\x9a\x9b\x5b\x99\x59\x58\x98\x88\x48\x49\x89\x4b\x8b\x8a\x4a\x4e\x8e\x8f\x4f\x8d\x4d\x4c\x8c"
    b"\x44\x84\x85\x45\x87\x47\x46\x86\x82\x42\x43\x83\x41\x81\x80\x40"
)


def crc16(data):
    """CRC-16/MODBUS of bytes, an integer; over a frame with its CRC it is 0."""
    low, high = 0xFF, 0xFF
    for byte in data:
        byte ^= low
        low = high ^ CRC_LOW[byte]
        high = CRC_HIGH[byte]
    return high << 8 | low


# --- PDUs ----------------------------------------------------------------------------------------------------------


def read_request(function, address, count):
    """PDU that reads `count` coils (01, 02) or registers (03, 04) from the 0-based `address` on."""
    if function not in (COILS, INPUTS, HOLDING, INPUT_REGISTERS):
        raise _unknown(function, "reads")
    _check_range(function, address, count)
    return bytes((function, address >> 8, address & 255, count >> 8, count & 255))


def write_request(function, address, value):
    """PDU that writes: 05 a truth value, 06 an integer of 16 bits, 0F a list of truth values, 10 registers' bytes."""
    if function == WRITE_COILS:
        count, data = len(value), bits(value)
    elif function == WRITE_REGISTERS:
        count, data = len(value) // 2, bytes(value)
        if len(data) % 2:
            raise FrameError("registers of %d bytes" % len(data), "a register is two bytes")
    elif function in (WRITE_COIL, WRITE_REGISTER):
        _check_range(function, address, 1)
        number = (0xFF00 if value else 0) if function == WRITE_COIL else value
        if not 0 <= number <= 0xFFFF:
            raise FrameError("a register holds 0 to 65535, not %d" % number)
        return bytes((function, address >> 8, address & 255, number >> 8, number & 255))
    else:
        raise _unknown(function, "writes")
    _check_range(function, address, count)
    return bytes((function, address >> 8, address & 255, count >> 8, count & 255, len(data))) + data


def read_response(function, payload):
    """PDU that answers a read with the registers' bytes, or with coils packed by `bits`."""
    if function not in (COILS, INPUTS, HOLDING, INPUT_REGISTERS):
        raise _unknown(function, "reads")
    pdu = bytes((function, len(payload) & 255)) + bytes(payload)
    parse_response(pdu)
    return pdu


def write_response(request):
    """PDU that answers the write whose PDU is `request`: 05 and 06 the same bytes, 0F and 10 address and count."""
    if request[0] not in (WRITE_COIL, WRITE_REGISTER, WRITE_COILS, WRITE_REGISTERS):
        raise _unknown(request[0], "writes")
    return bytes(request[:5])


def exception(function, code):
    """PDU of an exception: function + 80H and its code (see EXCEPTIONS)."""
    if not 1 <= code <= 255:
        raise FrameError("exception code %d is outside 1 to 255" % code)
    return bytes((function & 0x7F | 0x80, code))


def bits(values):
    """Truth values packed as coils are, the first in bit 0 of the first byte."""
    packed = bytearray((len(values) + 7) // 8)
    for i, value in enumerate(values):
        if value:
            packed[i >> 3] |= 1 << (i & 7)
    return bytes(packed)


def unpack_bits(data, count=None):
    """List of 0 and 1 of packed coils: the first `count`, or all that the bytes hold."""
    return [data[i >> 3] >> (i & 7) & 1 for i in range(8 * len(data) if count is None else count)]


class Message:
    """What a PDU says. None where it does not say it.

    function without the exception bit; exception: its code; address (0-based); count of coils or registers;
    data: counted bytes of a read response or a multiple write, or the two value bytes of 05 and 06.
    """

    __slots__ = ("address", "count", "data", "exception", "function")

    def __init__(self, function, address=None, count=None, data=None, exception=None):
        self.function = function
        self.address = address
        self.count = count
        self.data = data
        self.exception = exception


def parse_request(pdu):
    """Message of a request's PDU; FrameError for an unknown function, a wrong length, a count beyond the limits."""
    _, fault = _fault(pdu)
    if fault:
        raise fault
    function, address = pdu[0], pdu[1] << 8 | pdu[2]
    if function in (WRITE_COIL, WRITE_REGISTER):
        return Message(function, address, 1, bytes(pdu[3:5]))
    return Message(function, address, pdu[3] << 8 | pdu[4], bytes(pdu[6:]) if function > 6 else None)


def refusal(pdu):
    """What a meter must answer to a request that breaks the rules: the exception's PDU, or None if it keeps them."""
    code, _ = _fault(pdu)
    return exception(pdu[0] if pdu else 0, code) if code else None


def parse_response(pdu):
    """Message of a response's PDU, exceptions too; FrameError for an unknown function, a wrong length or byte count."""
    if not pdu:
        raise FrameError("an empty PDU")
    function = pdu[0] & 0x7F
    if function not in FUNCTIONS:
        raise FrameError("unknown function %02XH" % pdu[0])
    _check_length(pdu, RESPONSE)
    if pdu[0] & 0x80:
        return Message(function, exception=pdu[1])
    if function < 5:
        size = len(pdu) - 2
        if not 1 <= size <= 250 or (function in _REGISTERS and size % 2):
            raise FrameError("function %02XH with %d bytes of data" % (function, size))
        return Message(function, count=size // 2 if function in _REGISTERS else None, data=bytes(pdu[2:]))
    address, number = pdu[1] << 8 | pdu[2], pdu[3] << 8 | pdu[4]
    if function < 7:
        _check_coil(function, number)
        return Message(function, address, 1, bytes(pdu[3:5]))
    _check_range(function, address, number)
    return Message(function, address, number)


def _fault(pdu):
    """(exception code, FrameError) of what is wrong with a request, (0, None) if nothing (GB/T 19582.1 figure 9)."""
    if not pdu or pdu[0] not in FUNCTIONS:
        return 1, FrameError("unknown function %02XH" % pdu[0] if pdu else "an empty PDU")
    function, code = pdu[0], 3
    try:
        _check_length(pdu, REQUEST)
        address, number = pdu[1] << 8 | pdu[2], pdu[3] << 8 | pdu[4]
        _check_coil(function, number)
        if function in LIMITS:
            code = 2 if function < 5 and 1 <= number <= LIMITS[function] else 3
            _check_range(function, address, number)
        if function > 6:
            wanted = _bytes_of(function, number)
            if pdu[5] != wanted:
                raise FrameError("byte count %d for %d values" % (pdu[5], number), "they take %d" % wanted)
    except FrameError as error:
        return code, error
    return 0, None


def _check_coil(function, value):
    if function == WRITE_COIL and value not in (0, 0xFF00):
        raise FrameError("a coil is written with %04X" % value, "0000 is off, FF00 is on")


def _check_range(function, address, count):
    limit = LIMITS.get(function, 1)
    if not 1 <= count <= limit:
        raise FrameError("a count of %d for function %02XH" % (count, function), "it takes 1 to %d" % limit)
    if not 0 <= address <= 0x10000 - count:
        raise FrameError("%d from address %d on" % (count, address), "addresses are 0 to 65535, counted from 0")


def _check_length(pdu, role):
    base, at = _EXCEPTION if role == RESPONSE and pdu[0] & 0x80 else _LENGTHS[role][pdu[0]]
    wanted = base + (pdu[at] if at and len(pdu) > at else 0)
    if len(pdu) != wanted:
        raise FrameError("a %s %02XH of %d bytes" % (role, pdu[0], len(pdu)), "it takes %d bytes" % wanted)


def _unknown(function, what):
    return FrameError("function %02XH is none that %s" % (function, what))


# --- frames --------------------------------------------------------------------------------------------------------


def rtu(unit, pdu):
    """RTU frame: unit, PDU, CRC. Unit 1 to 247; 0 is a broadcast, never answered; 248 to 255 are reserved but used."""
    _check_frame(unit, pdu)
    body = bytes((unit,)) + pdu
    crc = crc16(body)
    return body + bytes((crc & 255, crc >> 8))


def tcp(transaction, unit, pdu):
    """TCP frame: MBAP header, PDU. transaction 0 to 65535."""
    _check_frame(unit, pdu)
    if not 0 <= transaction <= 0xFFFF:
        raise FrameError("transaction %d is outside 0 to 65535" % transaction)
    return bytes((transaction >> 8, transaction & 255, 0, 0, 0, len(pdu) + 1, unit)) + pdu


def _check_frame(unit, pdu):
    if not 0 <= unit <= 255:
        raise FrameError("unit %d is outside 0 to 255" % unit)
    if not 1 <= len(pdu) <= _MAX_PDU:
        raise FrameError("a PDU of %d bytes" % len(pdu), "it has 1 to %d" % _MAX_PDU)


class Frame:
    """A frame found: transaction (None on RTU), unit, pdu, raw (all its bytes), role REQUEST or RESPONSE."""

    __slots__ = ("pdu", "raw", "role", "transaction", "unit")

    def __init__(self, transaction, unit, pdu, raw, role):
        self.transaction = transaction
        self.unit = unit
        self.pdu = pdu
        self.raw = raw
        self.role = role

    @property
    def function(self):
        """Function code without the exception bit."""
        return self.pdu[0] & 0x7F

    @property
    def exception(self):
        """Exception code of a response, or None."""
        return self.pdu[1] if self.pdu[0] & 0x80 and len(self.pdu) > 1 else None


def match(request, frame):
    """Whether `frame` is the response to `request` (a Frame, an Exchange: what has transaction, unit and pdu).

    Transaction, unit and function must be equal, and the byte count the one asked for; a write's address and value, or
    count, must come back as they were sent. An exception to the function is a response.
    """
    asked, got = request.pdu, frame.pdu
    if (frame.transaction, frame.unit, frame.function) != (request.transaction, request.unit, asked[0]):
        return False
    if got[0] & 0x80:
        return len(got) == 2
    if asked[0] < 5:
        wanted = _bytes_of(asked[0], asked[3] << 8 | asked[4])
        return len(got) == 2 + wanted and got[1] == wanted
    return got == asked[:5]


def _bytes_of(function, count):
    return 2 * count if function in _REGISTERS else (count + 7) // 8


def rtu_length(role, data, start=0):
    """Length of the RTU frame that may begin at data[start], for frames of `role`.

    0: none can begin there. A length beyond the end of data: bytes are missing (at least that many are needed).
    """
    held = len(data) - start
    if held < 2:
        return held + 1
    function = data[start + 1]
    if role == RESPONSE and function & 0x80:
        return 5 if function & 0x7F in FUNCTIONS else 0
    base, at = _LENGTHS[role].get(function, _EXCEPTION)
    if base == 2 and not at:
        return 0
    if not at:
        return base + 3
    if held < at + 2:
        return base + 4
    size = data[start + at + 1]
    limit = 250 if role == RESPONSE else 246
    if not 1 <= size <= limit or (function in _REGISTERS and size % 2):
        return 0
    return base + 3 + size


# --- decoders ------------------------------------------------------------------------------------------------------


class RtuDecoder(stream.Decoder):
    """Frames out of a serial line's bytes. role MASTER: responses, METER: requests. See the top of this file."""

    def __init__(self, role):
        super().__init__()
        self.role = stream.sought(role)
        self._expected = None

    def expect(self, unit=None, function=None, count=0):
        """From now on only a response of `unit` to `function` is a frame, to a read of `count` coils or registers.

        `expect()` takes everything again. Bytes held are looked at anew with the next feed.
        """
        if unit is None:
            self._expected = None
        else:
            self._expected = unit, function, _bytes_of(function, count) if function < 5 else 0

    def _length(self, held, start):
        if self._expected:
            unit, function, size = self._expected
            count = len(held) - start
            if held[start] != unit or (count > 1 and held[start + 1] & 0x7F != function):
                return 0
            if size and count > 2 and held[start + 1] == function and held[start + 2] != size:
                return 0
        return rtu_length(self.role, held, start)

    def _frame(self, raw):
        if crc16(raw):
            self.errors += 1
            return None
        return Frame(None, raw[0], raw[1:-2], raw, self.role)


class TcpDecoder(stream.Decoder):
    """Frames out of a TCP stream. role as for RtuDecoder; a METER gets unknown functions too (`refusal` answers them).

    A frame has protocol 0, length 2 to 254 and, for a known function, the PDU's length; else the next byte is tried.
    """

    def __init__(self, role=MASTER):
        super().__init__()
        self.role = stream.sought(role)

    def _length(self, held, start):
        count = len(held) - start
        if any(held[start + 2 : start + 5]):  # protocol and the length's high byte
            return 0
        if count < 6:
            return 8
        return 6 + held[start + 5] if 2 <= held[start + 5] <= 254 else 0

    def _frame(self, raw):
        pdu = raw[7:]
        function = pdu[0] & 0x7F
        if not function or (self.role == REQUEST and pdu[0] & 0x80):
            return None
        if function in FUNCTIONS:
            try:
                _check_length(pdu, self.role)
            except FrameError:
                return None
        return Frame(raw[0] << 8 | raw[1], raw[6], pdu, raw, self.role)


class Exchange(stream.Exchange):
    """A master's one request and its response. transaction None: RTU, else TCP. `frame`: the bytes to send.

    echo=True: the line gives back what is sent, so the first frame that equals it is not the response (only 05 and 06
    need that, other echoes can be told).
    """

    __slots__ = ("_echo", "pdu", "transaction", "unit")

    def __init__(self, unit, pdu, transaction=None, echo=False):
        self.unit = unit
        self.pdu = pdu
        self.transaction = transaction
        self._echo = echo
        if transaction is None:
            super().__init__(rtu(unit, pdu), RtuDecoder(MASTER))
            self._decoder.expect(unit, pdu[0], pdu[3] << 8 | pdu[4])
        else:
            super().__init__(tcp(transaction, unit, pdu), TcpDecoder(MASTER))

    def _answers(self, frame):
        if self._echo and frame.raw == self.frame:
            self._echo = False
            return False
        return match(self, frame)
