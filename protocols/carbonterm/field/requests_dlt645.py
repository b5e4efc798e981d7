"""What a terminal asks a DL/T 645 meter in one go (carbonterm.field.requests)."""

from carbonterm.field import dlt645, dlt645_items
from carbonterm.field.requests import Request, Talk

_BYTES = 16  # of a request with 4 leaders and no data; of a reply with as many


class Dlt645Request(Request):
    """One data identifier of a DL/T 645 meter, `size` bytes of data."""

    __slots__ = ("identifier",)

    def __init__(self, meter, unit, interval_ms, identifier, size):
        super().__init__(meter, unit, interval_ms)
        self.identifier = identifier
        self.sent = _BYTES + len(identifier) // 2
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
