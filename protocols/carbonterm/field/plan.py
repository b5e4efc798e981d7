"""The requests that read a bus's points: registers of one meter that lie close together share a request.

Pure: a site and a bus in, requests out. One request costs a turnaround and about 8 bytes, a register two bytes, so
reading a few unwanted registers between two wanted ones is cheaper than asking twice.
"""

from carbonterm.field.registers import WIDTH

MAX_GAP = 8


class Request:
    """Read `count` registers from `address`; `points` is a list of (point index, register offset in the reply)."""

    __slots__ = ("meter", "unit", "function", "address", "count", "interval_ms", "points")

    def __init__(self, meter, unit, function, address, interval_ms):
        self.meter = meter
        self.unit = unit
        self.function = function
        self.address = address
        self.count = 0
        self.interval_ms = interval_ms
        self.points = []


def plan(site, bus):
    """The requests of bus number `bus`, in order of interval, meter, function and address."""
    wanted = []
    for index, point in enumerate(site.points):
        if site.meters[point.meter].bus == bus:
            wanted.append((point.interval_ms, point.meter, point.function, point.address, index))
    requests = []
    for interval_ms, meter, function, address, index in sorted(wanted):
        end = address + WIDTH[site.points[index].type]
        last = requests[-1] if requests else None
        if (
            last is None
            or (last.interval_ms, last.meter, last.function) != (interval_ms, meter, function)
            or address > last.address + last.count + MAX_GAP
            or end - last.address > site.meters[meter].most
        ):
            last = Request(meter, site.meters[meter].unit, function, address, interval_ms)
            requests.append(last)
        last.count = max(last.count, end - last.address)
        last.points.append((index, address - last.address))
    return requests
