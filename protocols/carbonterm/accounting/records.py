"""The figures of a log by name, as inventories add them up: emissions of sources and settlements of points.

A figure of a period that is recorded again with a higher version takes the place of the one before; with the same
version, because the clock was set or a period closed again, it adds to it. What is unknown (null) stays unknown. Where
a source's method or factors changed within a period, its shorter periods count, each with the factors of its time.
"""

from carbonterm import clock
from carbonterm.errors import CarbonError, ClockError, quoted
from carbonterm.ledger import entry as entries
from carbonterm.number import Number

SOURCE, POINT = "source", "point"


class Total:
    """What is known of a span: value (Number), unknown (list of (begin ms, end ms) that have closed without a figure),
    quality (the worst, None without a figure), until (end ms of the last figure, or None), parts (list of (period,
    start ms, Number))."""

    __slots__ = ("value", "unknown", "quality", "until", "parts")

    def __init__(self):
        self.value, self.unknown, self.quality, self.until, self.parts = Number(0), [], None, None, []

    def take(self, other):
        """Adds the Total of a later span of which nothing is unknown."""
        self.value = self.value + other.value
        self.quality = other.quality if self.quality is None else max(self.quality, other.quality)
        self.until = other.until
        self.parts.extend(other.parts)


class Records:
    """Of one log, in a zone (minutes east). last_ms: the last time that was heard of, None before."""

    def __init__(self, zone):
        self.zone = zone
        self.last_ms = None
        self._rows = {}  # (SOURCE or POINT, name): {(period, start_ms): [version, quality, Number or None, made by]}

    def take(self, entry, site):
        """Takes the rows of a closing or emission entry; site: the Site in force, whose names they get. Rows that it
        does not have are left out: a log with such rows is not whole, and `verify` says so."""
        self.heard(entry.time_ms)
        if entry.kind == entries.EMISSION:
            period, start_ms, version, rows = entry.body[:4]
            for source, quality, exponent, mantissa, _ in rows:
                if source < len(site.sources):
                    value, one = None if mantissa is None else Number(mantissa, exponent), site.sources[source]
                    self.add(SOURCE, one.name, period, start_ms, version, quality, value, one.compiled)
        elif entry.kind == entries.CLOSING:
            period, start_ms, rows = entry.body
            for point, quality, exponent, increment, _, _ in rows:
                if point < len(site.all_points):
                    value = None if increment is None else Number(increment, exponent)
                    self.add(POINT, site.all_points[point].name, period, start_ms, 0, quality, value)

    def heard(self, time_ms):
        """The log has an entry of this time."""
        if self.last_ms is None or time_ms > self.last_ms:
            self.last_ms = time_ms

    def add(self, kind, name, period, start_ms, version, quality, value, made_by=None):
        """One figure, in the order of the log; made_by: what it was computed with, to compare (a compiled source)."""
        rows = self._rows.setdefault((kind, name), {})
        known = rows.get((period, start_ms))
        if known is None or version > known[0]:
            rows[(period, start_ms)] = [version, quality, value, made_by]
        elif version == known[0]:
            # as the terminal has it: a period that closed without a value begins anew
            both = known[2] is not None and value is not None
            known[1], known[2] = max(known[1], quality) if both else quality, known[2] + value if both else value
            known[3] = made_by

    def names(self, kind):
        """Names of the sources or points that have figures, in order."""
        return sorted([key[1] for key in self._rows if key[0] == kind])

    def total(self, kind, name, begin_ms, end_ms, like=None):
        """Total of [begin, end), which must be whole periods: of the longest periods that have figures, shorter ones
        where they lack. like: take the figures of exactly these (period, start ms) instead."""
        rows, found = self._rows.get((kind, name), {}), Total()
        if like is not None:
            for period, start_ms in like:
                self._use(found, rows.get((period, start_ms)), period, start_ms)
            return found
        within, inside = {}, [key for key in rows if begin_ms <= key[1] < end_ms]
        for period, start_ms in inside:
            made_by = rows[(period, start_ms)][3]
            for longer in range(period + 1, clock.YEAR + 1):
                key = longer, clock.start(longer, start_ms, self.zone)
                within[key] = made_by if key not in within or _same(within[key], made_by) else _MIXED
        level = clock.YEAR
        while level > clock.SECOND and clock.end(level, begin_ms, self.zone) > end_ms:
            level -= 1
        while level > clock.SECOND and clock.start(level, begin_ms, self.zone) != begin_ms:
            level -= 1
        if inside:
            self._cover(found, rows, within, level, begin_ms, end_ms)
        else:
            self._unknown(found, begin_ms, end_ms)
        return found

    def _cover(self, found, rows, within, level, begin_ms, end_ms):
        at = begin_ms
        while at < end_ms:
            end, row = clock.end(level, at, self.zone), rows.get((level, at))
            if (level, at) not in within:
                self._use(found, row, level, at)
            elif row is None or row[2] is None:
                self._cover(found, rows, within, level - 1, at, end)
            elif row[0] > 1 or _same(within[(level, at)], row[3]):  # computed anew as a whole, it holds as a whole
                self._use(found, row, level, at)
            else:
                parts = Total()
                self._cover(parts, rows, within, level - 1, at, end)
                if parts.unknown:  # they are no longer all there
                    self._use(found, row, level, at)
                else:
                    found.take(parts)
            at = end

    def _use(self, found, row, period, start_ms):
        end_ms = clock.end(period, start_ms, self.zone)
        if row is None or row[2] is None:
            self._unknown(found, start_ms, end_ms)
            return
        found.value = found.value + row[2]
        found.quality = row[1] if found.quality is None else max(found.quality, row[1])
        found.until = end_ms
        found.parts.append((period, start_ms, row[2]))

    def _unknown(self, found, begin_ms, end_ms):
        """Notes what has closed without a figure; what the log has not reached yet is to come."""
        if self.last_ms is None or begin_ms >= self.last_ms or (end_ms > self.last_ms and found.until == begin_ms):
            return
        end_ms = min(end_ms, self.last_ms)
        if found.unknown and found.unknown[-1][1] == begin_ms:
            begin_ms = found.unknown.pop()[0]
        found.unknown.append((begin_ms, end_ms))


_MIXED = object()  # of figures that were made by different methods or factors


def _same(one, other):
    return one is other or (one is not _MIXED and other is not _MIXED and one == other)


def span(text, zone):
    """(begin ms, end ms) of "2026", "2026-05" or "2026-05-03" in a zone; ClockError otherwise."""
    parts = text.split("-")
    try:
        if [len(part) for part in parts] not in ([4], [4, 2], [4, 2, 2]):
            raise ClockError("")
        numbers = [Number(part).at(0) if "0" <= part[0] <= "9" else 0 for part in parts] + [1, 1]
        begin = clock.stamp(numbers[0], numbers[1], numbers[2], zone=zone)
    except CarbonError:
        raise ClockError("%s is no period" % quoted(text), "write it like 2026, 2026-05 or 2026-05-03")
    return begin, clock.end((clock.YEAR, clock.MONTH, clock.DAY)[len(parts) - 1], begin, zone)
