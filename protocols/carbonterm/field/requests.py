"""What a terminal asks a meter in one go, and what the answer says of its points: one class for each protocol.

    talk = request.talk(number)             a conversation; number makes two of them tell apart, where the protocol can
    while talk.exchange is not None:        send exchange.frame, feed it what comes, until it gives a frame
        talk.take(frame)                    then `exchange` is the next one, or None
    talk.refusal                            None, or (what the meter said, what it means, whether to ask again)
    request.value(talk.data, point, place)  Number, or None where the meter has no value (FF, NaN, no digits)

`request.sent` and `request.awaited` are the bytes that go over the line, `request.turns` how often it changes hands:
all that carbonterm.field.plan needs to tell how long it takes.
"""

from carbonterm.errors import CarbonError, FrameError, NumberError, UnitError
from carbonterm.field import modbus, places, registers


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
    return "" if meter.protocol == places.CJT188 or meter.protocol in places.CHANNELS else point.address


def make(index, meter, point):
    """The Request that a point of meter number `index` needs, without points yet."""
    if meter.protocol == places.MODBUS:
        return ModbusRequest(index, meter.unit, point.interval_ms, point.function, point.address)
    if meter.protocol == places.CJT188:  # codecs that only their lines pay for
        from carbonterm.field.requests_cjt188 import Cjt188Request

        return Cjt188Request(index, meter.unit, point.interval_ms, meter.dialect)
    if meter.protocol in places.DLT645:
        from carbonterm.field.dlt645_items import size
        from carbonterm.field.requests_dlt645 import Dlt645Request

        return Dlt645Request(index, meter.unit, point.interval_ms, point.address, size(point.type))
    if meter.protocol in places.CHANNELS:
        from carbonterm.field.channels import ChannelRequest

        return ChannelRequest(index, meter.unit, point.interval_ms, meter.dialect)
    raise CarbonError("meter %s speaks %s" % (meter.name, meter.protocol), "no bus here can ask it")
