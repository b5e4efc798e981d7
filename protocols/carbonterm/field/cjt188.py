"""CJ/T 188-2004 and -2018, water, gas and heat meters: frames and readings, both roles, no I/O.

Theory of operation
-------------------
A frame is FE leaders (0 to any number), 68, type T, address A0..A6, control C, length L, L bytes of data, CS, 16. An
address is 14 digits, the low pair first on the wire; makers put other nibbles there too, so it is a text of 14 hex
digits. CS is the sum of all bytes from 68 on. C: bit 7 from the meter, bit 6 error, bit 5 more follows, below it the
function. Data begin with a data identifier DI (2 bytes) and SER (1 byte), which the meter must repeat.

The sum sees no two bytes that changed places and no pair of errors that cancel: an answer is believed only if type,
address, function, identifier and SER are the asked ones (`match`), and every unit stands where its layout wants it.

What the standard's text leaves open, meters do differently, and a `Profile` says which way: the identifier's bytes (90
1F or 1F 90), a unit before or after its digits. The layout of a heat meter follows from L: 46 bytes as in the text of
2004, or 43 (power and flow of 3 bytes, temperatures of 2, hours of 4). A layout that fits nowhere is refused with its
name. `suggest` tries the profiles on an answer and says which ones fit; whoever sets the meter up decides.

What is no digit (FF where nothing is measured) is None, never 0. The two bytes of status mean something else with
every maker: raw. The meter's clock is a text, or None where it is no time; the terminal's clock is the record.

Silence ends a half frame: `flush()` (500 ms at 2400 baud is usual).

Only data, address and time are asked or set here; no valve, no price, no address is ever written.
"""

from carbonterm.errors import FrameError, quoted
from carbonterm.field import stream
from carbonterm.field.stream import MASTER, METER, REQUEST, RESPONSE
from carbonterm.number import Number, bcd

READ_DATA, READ_ADDRESS, WRITE_DATA, READ_KEY_VERSION, WRITE_ADDRESS, SYNCHRONISE = 1, 3, 4, 9, 0x15, 0x16
FUNCTIONS = {
    READ_DATA: "read data",
    READ_ADDRESS: "read address",
    WRITE_DATA: "write data",
    READ_KEY_VERSION: "read key version",
    WRITE_ADDRESS: "write address",
    SYNCHRONISE: "synchronise totaliser",
}
ERROR, MORE = 0x40, 0x20  # bits of a control byte

ANY_TYPE, ANY_ADDRESS, BROADCAST = 0xAA, "AA" * 7, "99" * 7
CURRENT, ADDRESS, TIME = 0x901F, 0x810A, 0xA015
HIGH_FIRST, LOW_FIRST = "90 1F", "1F 90"  # how an identifier's bytes stand on the wire, shown on 901F

_WATER = {0x10: "cold water", 0x11: "hot water", 0x12: "drinking water", 0x13: "reclaimed water"}
_HEAT = {0x20: "heat", 0x21: "cooling", 0x22: "heat and cooling"}

# code: (unit, power of ten that its values are multiplied by, what it measures)
UNITS = {
    0x01: ("J", 0, "energy"), 0x02: ("Wh", 0, "energy"), 0x03: ("Wh", 1, "energy"), 0x04: ("Wh", 2, "energy"),
    0x05: ("kWh", 0, "energy"), 0x06: ("kWh", 1, "energy"), 0x07: ("kWh", 2, "energy"),
    0x08: ("MWh", 0, "energy"), 0x09: ("MWh", 1, "energy"), 0x0A: ("MWh", 2, "energy"),
    0x0B: ("kJ", 0, "energy"), 0x0C: ("kJ", 1, "energy"), 0x0D: ("kJ", 2, "energy"),
    0x0E: ("MJ", 0, "energy"), 0x0F: ("MJ", 1, "energy"), 0x10: ("MJ", 2, "energy"),
    0x11: ("GJ", 0, "energy"), 0x12: ("GJ", 1, "energy"), 0x13: ("GJ", 2, "energy"),
    0x14: ("W", 0, "power"), 0x15: ("W", 1, "power"), 0x16: ("W", 2, "power"),
    0x17: ("kW", 0, "power"), 0x18: ("kW", 1, "power"), 0x19: ("kW", 2, "power"),
    0x1A: ("MW", 0, "power"), 0x1B: ("MW", 1, "power"), 0x1C: ("MW", 2, "power"),
    0x29: ("L", 0, "volume"), 0x2A: ("L", 1, "volume"), 0x2B: ("L", 2, "volume"),
    0x2C: ("m3", 0, "volume"), 0x2D: ("m3", 1, "volume"), 0x2E: ("m3", 2, "volume"),
    0x32: ("L/h", 0, "flow"), 0x33: ("L/h", 1, "flow"), 0x34: ("L/h", 2, "flow"),
    0x35: ("m3/h", 0, "flow"), 0x36: ("m3/h", 1, "flow"), 0x37: ("m3/h", 2, "flow"),
    0x40: ("J/h", 0, "power"), 0x43: ("kJ/h", 0, "power"), 0x46: ("MJ/h", 0, "power"), 0x49: ("GJ/h", 0, "power"),
}  # fmt: skip

# Layouts of 901F behind DI and SER: rows of (code, what it measures, bytes of digits, decimals). What UNITS names has a
# unit byte beside its digits. "hours" are whole; "clock" and "status" are no quantities.
_TAIL = (("clock", "clock", 7, 0), ("status", "status", 2, 0))
VOLUME = (("current", "volume", 4, 2), ("settle", "volume", 4, 2)) + _TAIL
HEAT_46 = (
    ("settle_heat", "energy", 4, 2), ("current_heat", "energy", 4, 2), ("power", "power", 4, 2),
    ("flow", "flow", 4, 4), ("volume", "volume", 4, 2), ("supply_temp", "temperature", 3, 2),
    ("return_temp", "temperature", 3, 2), ("work_hours", "hours", 3, 0),
) + _TAIL  # fmt: skip
HEAT_43 = (
    ("settle_heat", "energy", 4, 2), ("current_heat", "energy", 4, 2), ("power", "power", 3, 2),
    ("flow", "flow", 3, 3), ("volume", "volume", 4, 2), ("supply_temp", "temperature", 2, 2),
    ("return_temp", "temperature", 2, 2), ("work_hours", "hours", 4, 0),
) + _TAIL  # fmt: skip
_PLAIN = {"temperature": "°C", "hours": "h"}

NAMES = {
    "current": "total now", "settle": "total at settlement day", "settle_heat": "heat at settlement day",
    "current_heat": "heat now", "power": "thermal power", "flow": "flow", "volume": "volume",
    "supply_temp": "supply temperature", "return_temp": "return temperature", "work_hours": "hours of work",
    "clock": "clock", "status": "status",
}  # fmt: skip

_LEADER, _START, _END = 0xFE, 0x68, 0x16
_OVERHEAD = 13  # bytes of a frame without its data


def type_name(type):
    """What a meter of type T measures: "cold water", "heat", "gas" …; None for a T the standard has no meaning for."""
    if 0x10 <= type <= 0x19:
        return _WATER.get(type, "water")
    if 0x20 <= type <= 0x29:
        return _HEAT.get(type, "heat")
    if 0x30 <= type <= 0x39:
        return "gas"
    if 0x40 <= type <= 0x49:
        return "electricity or custom"
    return "any" if type == ANY_TYPE else None


class Profile:
    """How a meter writes: order HIGH_FIRST or LOW_FIRST, unit_first: a unit stands before its digits."""

    __slots__ = ("order", "unit_first")

    def __init__(self, order=HIGH_FIRST, unit_first=False):
        if order not in (HIGH_FIRST, LOW_FIRST):
            raise FrameError("identifier order %s" % quoted(str(order)), "it is '90 1F' or '1F 90'")
        self.order = order
        self.unit_first = unit_first

    def __str__(self):
        return "identifier %s, unit %s the digits" % (self.order, "before" if self.unit_first else "behind")


class Frame:
    """A frame: type T (integer), address (14 hex digits as printed on the meter), control, data, raw from 68 to 16."""

    __slots__ = ("address", "control", "data", "raw", "type")

    def __init__(self, type, address, control, data, raw):
        self.type = type
        self.address = address
        self.control = control
        self.data = data
        self.raw = raw

    @property
    def role(self):
        """REQUEST or RESPONSE."""
        return RESPONSE if self.control & 0x80 else REQUEST

    @property
    def function(self):
        """Function without the bits for direction, error and more."""
        return self.control & 0x1F

    @property
    def error(self):
        """True if the meter refuses."""
        return bool(self.control & ERROR)

    @property
    def more(self):
        """True if the meter has more data than fit."""
        return bool(self.control & MORE)

    @property
    def wire(self):
        """The identifier's two bytes as they stand, or None."""
        return None if self.error or len(self.data) < 3 else self.data[0] << 8 | self.data[1]

    @property
    def di(self):
        """The data identifier, whichever way its bytes stand, or None. See `identifier`."""
        return None if self.wire is None else identifier(self.wire)

    @property
    def ser(self):
        """The serial number of the exchange, or None."""
        if self.error:
            return self.data[0] if len(self.data) == 3 else None
        return self.data[2] if len(self.data) > 2 else None


def identifier(wire):
    """Data identifier of its two bytes on the wire, high or low first.

    The standard's identifiers begin with 81, 90, 91, A0, A1, D1 to D4: the byte that does so is the high one. If both
    do or none does, the first.
    """
    high, low = wire >> 8, wire & 255
    if _begins(low) and not _begins(high):
        return low << 8 | high
    return wire


def _begins(byte):
    return byte in (0x81, 0x90, 0x91, 0xA0, 0xA1, 0xD1, 0xD2, 0xD3, 0xD4)


# --- frames --------------------------------------------------------------------------------------------------------


def frame(type, address, control, data, leaders=0):
    """Bytes of a frame. address: 14 hex digits as printed; leaders: FE bytes before it (masters send 2 to 4)."""
    if not 0 <= type <= 255 or not 0 <= control <= 255:
        raise FrameError("type %d, control %d: each is a byte" % (type, control))
    if len(data) > 255:
        raise FrameError("%d bytes of data" % len(data), "a frame has at most 255")
    body = bytes((_START, type)) + _wire_address(address) + bytes((control, len(data))) + bytes(data)
    return bytes((_LEADER,)) * leaders + body + bytes((sum(body) & 255, _END))


def _wire_address(address):
    if len(address) != 14 or not all(c in "0123456789ABCDEFabcdef" for c in address):
        raise FrameError("address %s" % quoted(address), "it has 14 hex digits, as printed on the meter")
    return bytes([int(address[i : i + 2], 16) for i in range(12, -1, -2)])


def _check_ser(ser):
    if not 0 <= ser <= 255:
        raise FrameError("SER %d" % ser, "it is 0 to 255")


def _head(di, ser, profile):
    _check_ser(ser)
    if not 0 <= di <= 0xFFFF:
        raise FrameError("data identifier %d is outside 0 to FFFFH" % di)
    pair = (di >> 8, di & 255) if (profile or Profile()).order == HIGH_FIRST else (di & 255, di >> 8)
    return bytes(pair + (ser,))


def read_data(type, address, ser, di=CURRENT, profile=None, leaders=4):
    """Bytes of a request for the data of `di`."""
    return frame(type, address, READ_DATA, _head(di, ser, profile), leaders)


def read_address(ser, type=ANY_TYPE, profile=None, leaders=4):
    """Bytes of a request for the address of the one meter on the line (two would answer at once)."""
    return frame(type, ANY_ADDRESS, READ_ADDRESS, _head(ADDRESS, ser, profile), leaders)


def set_time(type, address, ser, time, profile=None, leaders=4):
    """Bytes that set a clock. time: (year, month, day, hour, minute, second). DI A015, from the table of 2004."""
    return frame(type, address, WRITE_DATA, _head(TIME, ser, profile) + clock_bytes(time), leaders)


def respond(request, data, profile=None, leaders=0):
    """Bytes of a meter's answer to `request` (a Frame): its identifier as it stood there, its SER, then `data`.

    A `profile` writes the identifier its own way. Answers to a wildcard take the meter's address: set request.address.
    """
    head = request.data[:3] if profile is None else _head(request.di, request.ser, profile)
    return frame(request.type, request.address, request.control | 0x80, head + bytes(data), leaders)


def refuse(request, status=b"\0\0", leaders=0):
    """Bytes of a meter's refusal of `request` (a Frame): SER and two bytes of status."""
    ser = 0 if request.ser is None else request.ser
    return frame(request.type, request.address, request.control | 0x80 | ERROR, bytes((ser,)) + status, leaders)


def clock_bytes(time):
    """7 bytes of (year, month, day, hour, minute, second): second first, year last with its low pair first."""
    year, month, day, hour, minute, second = time
    parts = (second, minute, hour, day, month, year % 100, year // 100)
    for part in parts:
        if not 0 <= part <= 99:
            raise FrameError("a time with %d in it" % part, "give year, month, day, hour, minute, second")
    return bytes([part // 10 << 4 | part % 10 for part in parts])


def match(request, answer):
    """Whether Frame `answer` answers Frame `request`: type, address, function, identifier and SER are the asked ones.

    AA in the request stands for any. The identifier may come back the other way round. An error answer has SER only.
    """
    if request.role == RESPONSE or answer.role == REQUEST or answer.function != request.function:
        return False
    if request.type not in (ANY_TYPE, answer.type):
        return False
    if not _fits(request.address, answer.address) or answer.ser is None or answer.ser != request.ser:
        return False
    return answer.error or answer.wire in (request.wire, (request.wire & 255) << 8 | request.wire >> 8)


def _fits(asked, address):
    return all(asked[i : i + 2] in ("AA", address[i : i + 2]) for i in range(0, 14, 2))


def length_at(data, start, role=None):
    """Length of the frame (of REQUEST, RESPONSE or either) that may begin at data[start]; 0: none can.

    A length beyond the end of data: bytes are missing (at least that many are needed).
    """
    held = len(data) - start
    if data[start] != _START or (held > 1 and type_name(data[start + 1]) is None):
        return 0
    if held > 9:
        control = data[start + 9]
        if control & 0x1F not in FUNCTIONS or (role and bool(control & 0x80) != (role == RESPONSE)):
            return 0
        if not control & 0x80 and control & (ERROR | MORE):
            return 0
    return _OVERHEAD + data[start + 10] if held > 10 else _OVERHEAD


def whole(raw):
    """Frame of exactly these bytes, from 68 to 16; None if the sum or the last byte is wrong."""
    if raw[-1] != _END or sum(raw[:-2]) & 255 != raw[-2]:
        return None
    address = "".join("%02X" % raw[i] for i in range(8, 1, -1))
    return Frame(raw[1], address, raw[9], bytes(raw[11:-2]), bytes(raw))


class Decoder(stream.Decoder):
    """Frames out of a line's bytes. role MASTER: answers, METER: requests. See the top of this file."""

    START = b"\x68"
    LEADER = b"\xfe"

    def __init__(self, role):
        super().__init__()
        self._role = stream.sought(role)

    def _length(self, held, start):
        return length_at(held, start, self._role)

    def _frame(self, raw):
        found = whole(raw)
        if not found:
            self.errors += 1
        return found


class Exchange(stream.Exchange):
    """A master's one request and its answer. `frame`: the bytes to send (as read_data and its like give them).

    What is no answer to it (its echo, another meter's answer, a late one with another SER) is dropped.
    """

    __slots__ = ("request",)

    def __init__(self, request):
        super().__init__(request, Decoder(MASTER))
        frames = Decoder(METER).feed(request)
        if len(frames) != 1:
            raise FrameError("the bytes to send are not one request", "make them with read_data or read_address")
        self.request = frames[0]

    def _answers(self, frame):
        return match(self.request, frame)


# --- readings ------------------------------------------------------------------------------------------------------


class Item:
    """One quantity: code (see NAMES), value (Number or None; clock: "2015-05-11 22:01:31" or None), unit, raw bytes."""

    __slots__ = ("code", "raw", "unit", "value")

    def __init__(self, code, value, unit, raw):
        self.code = code
        self.value = value
        self.unit = unit
        self.raw = raw


def layout_of(answer):
    """(name, layout) of an answer with 901F, by type and length; FrameError with the name of what is not known."""
    size, what = len(answer.data), type_name(answer.type)
    if answer.error or answer.role == REQUEST or answer.di != CURRENT:
        raise FrameError("control %02XH, identifier %s is no reading" % (answer.control, _shown(answer.di)),
                         "readings answer 901F")  # fmt: skip
    if 0x20 <= answer.type <= 0x29:
        if size == 46:
            return "heat, 46 bytes", HEAT_46
        if size == 43:
            return "heat, 43 bytes", HEAT_43
    elif size == 22 and what is not None:
        return "volume, 22 bytes", VOLUME
    raise FrameError("unknown layout: %s (type %02XH), 901F, %d bytes" % (what, answer.type, size),
                     "known are 22 bytes of water and gas, 43 and 46 bytes of heat")  # fmt: skip


def readings(answer, profile=None):
    """Tuple of Items of an answer with 901F, read as `profile` says (or the standard's text).

    FrameError "unknown layout" where length or a unit does not fit; its hint says which profile would.
    """
    profile = profile or Profile()
    try:
        return _read(answer, profile.unit_first)
    except FrameError as error:
        other = None if error.hint else _read_or_none(answer, not profile.unit_first)
        if other:
            place = "behind" if profile.unit_first else "before"
            raise FrameError(error.what, "its units fit %s the digits: is it that profile?" % place)
        raise


def suggest(answer):
    """List of Profiles that an answer with 901F fits; a suggestion for who sets the meter up, empty if none fits."""
    order = LOW_FIRST if answer.wire == 0x1F90 else HIGH_FIRST
    return [Profile(order, first) for first in (False, True) if _read_or_none(answer, first)]


def _read_or_none(answer, unit_first):
    try:
        return _read(answer, unit_first)
    except FrameError:
        return None


def _read(answer, unit_first):
    name, layout = layout_of(answer)
    data, at, items = answer.data, 3, []
    for code, what, size, places in layout:
        unit, shift = _PLAIN.get(what), 0
        digits = at
        if what in ("energy", "power", "flow", "volume"):
            unit_at, digits = (at, at + 1) if unit_first else (at + size, at)
            unit, shift, measures = UNITS.get(data[unit_at], (None, 0, None))
            if measures != what:
                place = "before" if unit_first else "behind"
                raise FrameError(
                    "unknown layout: %s: byte %d, %02XH, %s the digits of %s, is no unit of %s"
                    % (name, unit_at, data[unit_at], place, code, what)
                )
            at += 1
        raw = data[digits : digits + size]
        at += size
        if what == "clock":
            value = clock(raw)
        elif what == "status":
            value = None
        else:
            value = number(raw, places, shift)
        items.append(Item(code, value, unit, raw))
    return tuple(items)


def number(raw, places, shift=0):
    """Number of packed digits, low pair first; None where a nibble is no digit (FF: nothing measured)."""
    value = bcd(bytes([raw[i] for i in range(len(raw) - 1, -1, -1)]))
    return None if value is None else Number(value, shift - places)


def clock(raw):
    """Text "YYYY-MM-DD hh:mm:ss" of a meter's clock, None for what is no time: no digits, zeros, 60 s, 30 February."""
    parts = [bcd(raw[i : i + 1]) for i in range(7)]
    if None in parts:
        return None
    second, minute, hour, day, month, low, high = parts
    year = high * 100 + low
    if not (2000 <= year <= 2099 and 1 <= month <= 12 and hour < 24 and minute < 60 and second < 60):
        return None
    if not 1 <= day <= (31, 28 + (year % 4 == 0), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]:
        return None
    return "%04d-%02d-%02d %02d:%02d:%02d" % (year, month, day, hour, minute, second)


def _shown(di):
    return "none" if di is None else "%04X" % di
