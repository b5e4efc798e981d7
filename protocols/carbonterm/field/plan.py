"""The requests that read a bus's points, and the time that they take on its line.

Pure: a site and a bus in, requests and figures out. Registers of one meter that lie close together share a request: one
more request costs a turnaround and about 13 bytes, a register two bytes, so a few unwanted registers between two wanted
ones are cheaper than asking twice. What reads the bus takes the request whose interval ends first (earliest deadline
first); a request is never broken off for another.

Time on a line is bytes × bits of a byte / baud rate, the meter's turnaround and the silence between frames, counted in
microseconds. How fast a meter answers is not known before it is there: TURNAROUND_MS is what the figures take for it.
"""

from carbonterm.errors import SiteError, quoted
from carbonterm.field import places, requests

TURNAROUND_MS = 30
_NO_LINE = "modbus-tcp", places.INPUTS
_MILLION = 1000000


def plan(site, bus, merge=True):
    """The requests of bus number `bus`, in order of interval and meter. merge False: one for each point. A bus whose
    meters send by themselves has none."""
    if site.buses[bus].kind in places.SENDERS:
        return []
    wanted = []
    for index, point in enumerate(site.points):
        meter = site.meters[point.meter]
        if meter.bus == bus:
            wanted.append((point.interval_ms, point.meter, requests.order(meter, point), index))
    found = []
    for interval_ms, at, _, index in sorted(wanted):
        point, meter = site.points[index], site.meters[at]
        last = found[-1] if found and merge else None
        if last is None or (last.interval_ms, last.meter) != (interval_ms, at) or not last.joins(
            point, meter.gap, meter.most
        ):
            last = requests.make(at, meter, point)
            found.append(last)
        last.add(index, point)
    return found


def bits(bus, meter):
    """Bits of a byte on the line as this meter speaks: start, 8, parity, stop."""
    return 9 + (meter.stop or bus.stop) + ((meter.parity or bus.parity) != "none")


def gap_us(bus, meter):
    """Silence before a frame, microseconds: what the line asks for, what the meter needs, 3.5 characters at least."""
    characters = 3500000 * bits(bus, meter) // (meter.baud or bus.port)
    return max(1000 * bus.gap_ms, 1000 * meter.silence_ms, characters)


def cost_us(request, bus, meter, turnaround_ms=TURNAROUND_MS):
    """Microseconds that a request and its answer keep a serial line busy."""
    line = (request.sent + request.awaited) * bits(bus, meter) * _MILLION // (meter.baud or bus.port)
    return line + request.turns * (1000 * turnaround_ms + gap_us(bus, meter))


class Budget:
    """What reading a bus takes: rows of (interval_ms, requests, points, microseconds) by interval, and `share`, the
    part of all time that the line is busy, in millionths; 0 where there is none, whose time is not computed. SiteError
    where the line has not the time, unless `refuse` is False."""

    __slots__ = ("bus", "points", "requests", "rows", "share")

    def __init__(self, site, bus, merge=True, turnaround_ms=TURNAROUND_MS, refuse=True):
        self.bus = site.buses[bus]
        self.rows = []
        self.requests = self.points = self.share = 0
        row, longest = None, []
        for request in plan(site, bus, merge):
            if row is None or row[0] != request.interval_ms:
                row = [request.interval_ms, 0, 0, 0]
                self.rows.append(row)
                longest.append(0)
            if self.bus.kind not in _NO_LINE:
                cost = cost_us(request, self.bus, site.meters[request.meter], turnaround_ms)
                row[3] += cost
                longest[-1] = max(longest[-1], cost)
            row[1] += 1
            row[2] += len(request.points)
        for interval_ms, count, points, busy in self.rows:
            self.requests += count
            self.points += points
            self.share += busy * 1000 // interval_ms
        if refuse:
            self._check(longest)

    def _check(self, longest):
        """SiteError where a round cannot end before the next one of its interval begins, whatever the order.

        Earliest deadline first keeps every interval if the line has the time and the longest request of a slower
        interval, which may just have begun, fits in too.
        """
        used = 0
        for i in range(len(self.rows)):
            interval_ms, _, points, busy = self.rows[i]
            used += busy * 1000 // interval_ms
            waits = max([0] + longest[i + 1 :]) * 1000 // interval_ms
            if used + waits > _MILLION:
                what = "bus %s cannot be read in time: %d points every %s, with what is read more often, take %d %%"
                raise SiteError(
                    what % (quoted(self.bus.name), points, interval(interval_ms), (used + waits) // 10000),
                    "read some of them less often, raise the baud rate, or move meters to another line",
                )


def interval(ms):
    """An interval as people write it: 60 s, 500 ms."""
    return "%d s" % (ms // 1000) if ms % 1000 == 0 else "%d ms" % ms
