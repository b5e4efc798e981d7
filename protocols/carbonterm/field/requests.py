"""What a terminal asks a meter in one go, and what the answer says of its points: one class for each protocol.

    talk = request.talk(number)             a conversation; number makes two of them tell apart, where the protocol can
    while talk.exchange is not None:        send exchange.frame, feed it what comes, until it gives a frame
        talk.take(frame)                    then `exchange` is the next one, or None
    talk.refusal                            None, or (what the meter said, what it means, whether to ask again)
    request.value(talk.data, point, place)  Number, or None where the meter has no value (FF, NaN, no digits)

`request.sent` and `request.awaited` are the bytes that go over the line, `request.turns` how often it changes hands:
all that carbonterm.field.plan needs to tell how long it takes.
"""

from carbonterm import units
from carbonterm.errors import CarbonError, FrameError, NumberError, UnitError
from carbonterm.field import cjt188, dlt645, dlt645_items, modbus, places, registers

_DLT645_BYTES = 16  # of a request with 4 leaders and no data; of a reply with as many
_CJT188_BYTES = 17
_CJT188_REPLY = {1: 22, 2: 46, 3: 22, 4: 22}  # longest data of an answer with 901F by the first digit of the type


class Request:
    """points: list of (index of the point, its place in the answer). meter: index of the meter, unit: how it is asked.
    alike: what a late answer to another request may be taken for this one's, None where nothing can be.
    joins(point, gap, most): whether a point of the same meter fits into this request; add(index, point)."""

    __slots__ = ("alike", "awaited", "interval_ms", "meter", "points", "sent", "turns", "unit")

    def __init__(self, meter, unit, interval_ms):
        self.meter = meter
        self.unit = unit
        self.interval_ms = interval_ms
        self.points = []
        self.turns = 1
        self.alike = None

    def add(self, index, point):
        self.points.append((index, 0))

    def same(self, other):
        """Whether the other asks the very same of the same meter."""
        return self is other


class ModbusRequest(Request):
    """Registers `address` to `address + count - 1`; a point's place is its first register in the answer."""

    __slots__ = ("address", "count", "function")

    def __init__(self, meter, unit, interval_ms, function, address):
        super().__init__(meter, unit, interval_ms)
        self.function = function
        self.address = address
        self.count = 0
        self.sent = 8

    def joins(self, point, gap, most):
        end = point.address + registers.WIDTH[point.type]
        near = self.address <= point.address <= self.address + self.count + gap
        return near and self.function == point.function and end - self.address <= most

    def add(self, index, point):
        place = point.address - self.address
        self.reach(place + registers.WIDTH[point.type])
        self.points.append((index, place))

    def reach(self, count):
        """Reads at least so many registers."""
        self.count = max(self.count, count)
        self.awaited = 5 + 2 * self.count
        self.alike = self.unit, self.function, self.count

    def same(self, other):
        return self.alike == other.alike and self.address == other.address

    def talk(self, number):
        return Talk(modbus.Exchange(self.unit, modbus.read_request(self.function, self.address, self.count)))

    def value(self, data, point, place):
        return registers.decode(data[2 * place : 2 * (place + registers.WIDTH[point.type])], point.type, point.order)


class Dlt645Request(Request):
    """One data identifier of a DL/T 645 meter."""

    __slots__ = ("identifier",)

    def __init__(self, meter, unit, interval_ms, identifier, size):
        super().__init__(meter, unit, interval_ms)
        self.identifier = identifier
        self.sent = _DLT645_BYTES + len(identifier) // 2
        self.awaited = self.sent + size
        if len(identifier) == 4:
            self.alike = unit, identifier  # follow-up frames of 1997 have no number

    def joins(self, point, gap, most):
        return self.identifier == point.address

    def talk(self, number):
        return _Dlt645Talk(self)

    def value(self, data, point, place):
        found = dlt645_items.read(point.type, data)
        return None if isinstance(found, str) else found


class Cjt188Request(Request):
    """901F of a CJ/T 188 meter: all that it counts. dialect: [type, identifier order, unit first]."""

    __slots__ = ("profile", "type")

    def __init__(self, meter, unit, interval_ms, dialect):
        super().__init__(meter, unit, interval_ms)
        self.type = dialect[0]
        self.profile = cjt188.Profile(dialect[1], dialect[2])
        self.sent = _CJT188_BYTES + 3
        self.awaited = _CJT188_BYTES + _CJT188_REPLY.get(self.type >> 4, 46)

    def joins(self, point, gap, most):
        return True

    def talk(self, number):
        return _Cjt188Talk(self, number & 255)

    def value(self, data, point, place):
        """The item in the point's unit, whatever unit the meter shows it in."""
        for item in data:
            if item.code == point.address and item.value is not None:
                if item.unit == point.unit:
                    return item.value
                return units.convert(item.value, item.unit, point.unit).number()
        return None


class Talk:
    """A conversation of one exchange whose data are counted bytes: Modbus."""

    __slots__ = ("data", "exchange", "refusal")

    def __init__(self, exchange):
        self.exchange = exchange
        self.data = None
        self.refusal = None

    def take(self, frame):
        self.exchange = None
        if frame.exception is None:
            self.data = frame.pdu[2:]
        else:
            unknown = "exception %d" % frame.exception, "the meter's papers say what it means", True
            self.refusal = modbus.EXCEPTIONS.get(frame.exception, unknown)


class _Dlt645Talk(Talk):
    __slots__ = ("_read",)

    def __init__(self, request):
        self._read = dlt645.Read(request.unit, request.identifier)
        super().__init__(self._read.exchange)

    def take(self, frame):
        if frame.error is not None:
            edition = dlt645.FUNCTIONS[frame.function][0]
            said = ", ".join(dlt645.errors(edition, frame.error))
            self.exchange, self.refusal = None, (said, "see which identifiers the meter has", False)
            return
        self.data = self._read.take(frame)
        self.exchange = self._read.exchange if self.data is None else None


class _Cjt188Talk(Talk):
    __slots__ = ("_profile",)

    def __init__(self, request, number):
        self._profile = request.profile
        frame = cjt188.read_data(request.type, request.unit, number, profile=request.profile)
        super().__init__(cjt188.Exchange(frame))

    def take(self, frame):
        self.exchange = None
        if frame.error:
            self.refusal = "an error", "see which edition and identifier order the meter has", False
            return
        try:
            self.data = cjt188.readings(frame, self._profile)
        except FrameError as error:
            self.refusal = error.what, error.hint, False


def value(request, data, point, place):
    """(Number, None): the point's value in its unit, scaled; (None, reason) where there is none to be used."""
    try:
        found = request.value(data, point, place)
    except (FrameError, NumberError, UnitError) as error:
        return None, error.what
    if found is None:
        return None, "the meter has no value"
    return found * point.scale, None


def order(meter, point):
    """What points of a meter are sorted by, so that those which may share a request follow each other."""
    if meter.protocol == places.MODBUS:
        return "%d %05d" % (point.function, point.address)
    return "" if meter.protocol == places.CJT188 else point.address


def make(index, meter, point):
    """The Request that a point of meter number `index` needs, without points yet."""
    if meter.protocol == places.MODBUS:
        return ModbusRequest(index, meter.unit, point.interval_ms, point.function, point.address)
    if meter.protocol == places.CJT188:
        return Cjt188Request(index, meter.unit, point.interval_ms, meter.dialect)
    if meter.protocol in (dlt645.V2007, dlt645.V1997):
        return Dlt645Request(index, meter.unit, point.interval_ms, point.address, dlt645_items.size(point.type))
    raise CarbonError("meter %s speaks %s" % (meter.name, meter.protocol), "no bus here can ask it")
