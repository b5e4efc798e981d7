"""What a terminal asks a CJ/T 188 meter in one go (carbonterm.field.requests)."""

from carbonterm import units
from carbonterm.errors import FrameError
from carbonterm.field import cjt188
from carbonterm.field.requests import Request, Talk

_BYTES = 17
_REPLY = {1: 22, 2: 46, 3: 22, 4: 22}  # longest data of an answer with 901F by the first digit of the type


class Cjt188Request(Request):
    """901F of a CJ/T 188 meter: all that it counts. dialect: [type, identifier order, unit first]."""

    __slots__ = ("profile", "type")

    def __init__(self, meter, unit, interval_ms, dialect):
        super().__init__(meter, unit, interval_ms)
        self.type = dialect[0]
        self.profile = cjt188.Profile(dialect[1], dialect[2])
        self.sent = _BYTES + 3
        self.awaited = _BYTES + _REPLY.get(self.type >> 4, 46)

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
