"""What settlements come to: virtual points, and emissions in versions (clauses 8.3.2, 9.2; docs/recalculation.md).

A figure is of a source (or virtual point), a period and its start. It waits until all its points have closed it;
until then it is unknown, not smaller. Where one of them closes again, because a person corrected an amount or a gap was
filled, the figure is computed again: an emission gets the next version, with the reason, beside the old one; a virtual
point closes again with the difference, as any point does.
"""

from carbonterm import cbor, clock
from carbonterm.clock import DAY, MONTH, YEAR
from carbonterm.errors import CarbonError, LedgerError
from carbonterm.gm import sm3
from carbonterm.ledger import entry as entries
from carbonterm.number import Number, Ratio, held_at
from carbonterm.series.closing import Settlement

PLACES = 6  # an emission is recorded to 0.000001 t, one gram
SUSPECT, INVALID = 2, 3
MAX_WAITING = 2048  # figures that wait for a point that is silent; beyond them the oldest stay unknown for good
MAX_KEPT = 4096  # figures that can be computed again; beyond them the oldest stay as they are


class Figures:
    """Of a Site. revised: indices of the points that may close a period again; those of this year and the last are kept
    for that. `before`: the Figures of the site document before, whose figures go on where sources and points do."""

    def __init__(self, site, revised=(), before=None):
        self.site = site
        self.digests = [sm3.digest(cbor.encode(source.canonical())) for source in site.sources]
        self.waiting = {}  # (source, period, start_ms): {point: Settlement}
        self.kept = {}  # the same of complete ones: [version, {point: Settlement}, what a virtual point closed with]
        self._needed = [_points(feed.points for feed in source.inputs) for source in site.sources]
        self._first = len(site.points) + len(site.manual)
        # sources with a value that holds: a year's amount by a year's mean is not what its months come to
        means = [point for point in range(len(site.all_points)) if site.is_mean(point)]
        self._monthly = [at for at, needed in enumerate(self._needed) if [point for point in needed if point in means]]
        self._order = ()
        if site.virtual:
            from carbonterm.series import combine

            self._order = combine.in_order(site.virtual, self._first)
            self._needed += [_points([row.parts]) for row in site.virtual]
        self._revised = self._all_revised(revised)
        self.keeps = len(site.operators) > 0 or len(self._revised) > 0
        if before is not None and self.keeps:
            self._go_on(before)

    def _all_revised(self, revised):
        """`revised` with the virtual points that are made of them."""
        found = set(revised)
        for at in self._order:
            if [point for point in self._needed[len(self.site.sources) + at] if point in found]:
                found.add(self._first + at)
        return found

    def _go_on(self, before):
        """Takes over what waits and what is kept, by the names of sources and points."""
        points = _by_name(before.site.all_points, self.site.all_points)
        sources = _by_name(before.site.sources, self.site.sources)
        virtual = _by_name(before.site.virtual, self.site.virtual)
        count, was = len(self.site.sources), len(before.site.sources)
        for old, new in ((before.waiting, self.waiting), (before.kept, self.kept)):
            for key in old:
                index = sources[key[0]] if key[0] < was else virtual[key[0] - was]
                parts = old[key] if old is before.waiting else old[key][1]
                if index is None or [point for point in parts if points[point] is None]:
                    continue
                index += count if key[0] >= was else 0
                moved = dict([(points[point], parts[point]) for point in parts])
                if [point for point in moved if point not in self._needed[index]]:
                    continue
                if old is before.kept and len(moved) < len(self._needed[index]):
                    continue
                new[(index, key[1], key[2])] = moved if old is before.waiting else [old[key][0], moved, old[key][2]]

    # --- what settlements come to ------------------------------------------------------------------------------------

    def close(self, period, start_ms, rows, reason=""):
        """The bodies of the closing of `rows` [(point, Settlement)] of one period, with the virtual points that are
        complete with them, and of the emissions that follow: (kind, body) in order."""
        rows = [(point, _fitting(settlement)) for point, settlement in rows]
        if reason and period < DAY:  # an hour's figures stay as they closed first; those of its day are computed again
            yield entries.CLOSING, [period, start_ms, [_closing_row(point, s) for point, s in rows]]
            return
        for at in self._order:
            self._combined(at, period, start_ms, rows)
        yield entries.CLOSING, [period, start_ms, [_closing_row(point, s) for point, s in rows]]
        found = {}
        for index in range(len(self.site.sources)):
            complete = self._take(index, period, start_ms, rows)
            if complete is not None:
                version, parts = complete
                found.setdefault(version, []).append(self._emission(index, start_ms, parts))
        for version in sorted(found):
            yield entries.EMISSION, _body(period, start_ms, version, found[version], reason or "it closed again")

    def again(self, index, start_ms, end_ms, reason):
        """The emission bodies of the kept figures of a source whose period lies in [start_ms, end_ms)."""
        zone, wanted = self.site.zone, []
        for key in self.kept:
            end = clock.end(key[1], key[2], zone)
            if key[0] == index and start_ms <= key[2] and end <= end_ms:
                wanted.append((end, key[1], key[2]))
        for _, period, start in sorted(wanted):
            kept = self.kept[(index, period, start)]
            kept[0] += 1
            row = self._emission(index, start, kept[1])
            yield entries.EMISSION, _body(period, start, kept[0], [row], reason)

    def evaluate(self, index, amount):
        """tCO2e of a source, exact (Ratio), None where it cannot be known; amount(point) -> Number or None."""
        source, values = self.site.sources[index], {}
        for feed in source.inputs:
            total = Ratio(0)
            for point, numerator, denominator in feed.points:
                value = amount(point)
                if value is None:
                    return None
                total = total + Ratio(numerator, denominator) * value
            values[feed.parameter] = total
        from carbonterm.accounting import source as accounting  # collectors have no sources

        try:
            return accounting.evaluate_compiled(source.compiled, values)
        except CarbonError:
            return None

    def total(self, point, amount):
        """Total of all increments of a virtual point, None where that is no sum of its parts' totals."""
        from carbonterm.series import combine

        row = self.site.virtual[point - self._first]
        return combine.combine(row.op, row.parts, amount) if row.op == combine.SUM else None

    def _take(self, index, period, start_ms, rows):
        """(version, {point: Settlement}) of a figure that rows complete or change; or None."""
        needed = self._needed[index]
        fresh = [(point, s) for point, s in rows if point in needed]
        if not fresh:
            return None
        slow = [point for point in needed if point in self._revised]
        if period < DAY and [point for point in slow if self._by_hand(point)]:
            return None  # nobody enters an hour: its figures are of days and longer
        if period > MONTH and index in self._monthly:
            return None
        key = (index, period, start_ms)
        kept = self.kept.get(key)
        if kept is None:
            known = self.waiting.get(key, {})
            fresh = [(point, s) for point, s in fresh if s.readings is not None or point in known]
            if not fresh:
                return None  # a difference to what is no longer kept: the figure stays as it is
        parts = self.waiting.setdefault(key, {}) if kept is None else kept[1]
        for point, settlement in fresh:
            parts[point] = _together(parts.get(point), settlement, self.keeps)
        if kept is not None:
            kept[0] += 1
            return kept[0], parts
        if len(parts) < len(needed):
            _bound(self.waiting, MAX_WAITING)
            return None
        del self.waiting[key]
        if self.keeps and (period >= MONTH or (period == DAY and slow)):
            self._keep(key, [1, parts, None])
        return 1, parts

    def _by_hand(self, point):
        """Whether a point is entered by hand, or made of one that is."""
        if point < self._first:
            return point >= len(self.site.points)
        parts = self._needed[len(self.site.sources) + point - self._first]
        return len([part for part in parts if self._by_hand(part)]) > 0

    def _keep(self, key, row):
        oldest = clock.start(YEAR, clock.start(YEAR, key[2], self.site.zone) - 1, self.site.zone)
        for old in [old for old in self.kept if old[2] < oldest]:
            del self.kept[old]
        self.kept[key] = row
        _bound(self.kept, MAX_KEPT)

    def _emission(self, index, start_ms, parts):
        value = self.evaluate(index, lambda point: parts[point].increment)
        from carbonterm.accounting import source as accounting

        source = self.site.sources[index]
        figure = None if value is None or accounting.expired(source.compiled, start_ms) else recorded(value)
        if figure is None:
            # no figure rather than a guessed one: a division by a zero production, a factor past its validity
            return [index, INVALID, 0, None, self.digests[index]]
        return [index, _worst(parts), figure.exponent, figure.mantissa, self.digests[index]]

    def _combined(self, at, period, start_ms, rows):
        """Appends the settlement of a virtual point to the rows that complete or change it."""
        from carbonterm.series import combine

        row, index = self.site.virtual[at], len(self.site.sources) + at
        complete = self._take(index, period, start_ms, rows)
        if complete is None:
            return
        version, parts = complete
        value = combine.combine(row.op, row.parts, lambda point: parts[point].increment)
        quality = INVALID if value is None else _worst(parts)
        if value is not None and value < 0 and combine.subtracts(row.op, row.parts):
            quality = max(quality, SUSPECT)
        kept = self.kept.get((index, period, start_ms))
        if kept is not None:
            kept[2], before = value, kept[2]
            value = value if value is None or before is None else value - before
        end_ms = clock.end(period, start_ms, self.site.zone)
        made = Settlement(period, start_ms, end_ms, value, None, None, quality, None if version > 1 else 0)
        rows.append((self._first + at, _fitting(made)))

    # --- snapshots ---------------------------------------------------------------------------------------------------

    def state(self):
        """What waits, as a snapshot has it: rows [source, period, start_ms, parts]."""
        return [list(key) + [_packed(self.waiting[key])] for key in sorted(self.waiting)]

    def kept_state(self):
        """What is kept: rows [source, period, start_ms, version, parts, value]; value: what a virtual point closed with
        so far, [exponent, mantissa as text] or null."""
        rows = []
        for key in sorted(self.kept):
            version, parts, value = self.kept[key]
            value = None if value is None else [value.exponent, str(value.mantissa)]
            rows.append(list(key) + [version, _packed(parts), value])
        return rows

    def restore(self, waiting, kept):
        """Goes on from the two states; ValueError, TypeError, IndexError for what is none."""
        for index, period, start_ms, parts in waiting:
            self.waiting[(index, period, start_ms)] = _unpacked(period, start_ms, parts)
        for index, period, start_ms, version, parts, value in kept:
            found = _unpacked(period, start_ms, parts)
            if not 0 <= index < len(self._needed) or sorted(found) != sorted(self._needed[index]):
                raise LedgerError("it keeps a figure that the site document does not have")
            value = None if value is None else Number(int(value[1]), value[0])
            self.kept[(index, period, start_ms)] = [version + 0, found, value]


def _points(lists):
    found = []
    for parts in lists:
        for part in parts:
            if part[0] not in found:
                found.append(part[0])
    return found


def _by_name(old, new):
    """For each row of `old` the index of the one in `new` with its name, or None."""
    names = dict([(row.name, index) for index, row in enumerate(new)])
    return [names.get(row.name) for row in old]


def _bound(rows, most):
    if len(rows) > most:
        del rows[min(rows, key=lambda key: (key[2], key[1], key[0]))]


def _body(period, start_ms, version, rows, reason):
    body = [period, start_ms, version, rows]
    return body if version == 1 else body + [reason[: entries.MAX_TEXT]]


def _worst(parts):
    return max([settlement.quality for settlement in parts.values()])


def _together(first, second, later):
    """Two settlements of one period, which closed twice, as one. later: the second one's quality is the period's; else
    the worst is. A period that closed without a value begins anew."""
    if first is None or second.increment is None:
        return second
    quality = second.quality if later else max(first.quality, second.quality)
    increment = second.increment if first.increment is None else first.increment + second.increment
    return Settlement(second.period, second.start_ms, second.end_ms, increment, None, None, quality, None)


def recorded(value):
    """The Number that an emission entry has of an exact tCO2e (Ratio): rounded half to even to a gram, or to as many
    digits as 64 bits hold; None where no exponent is large enough."""
    figure = value.round(PLACES)
    exponent = held_at([figure], -PLACES)
    return figure if exponent == -PLACES else None if exponent is None else value.round(-exponent)


def _fitting(s):
    """A Settlement whose numbers a closing entry holds. What is longer than 64 bits, after a meter that lied or by a
    divisor next to nothing, is rounded half to even to as many digits as they hold."""
    numbers = [n for n in (s.increment, s.max, s.min) if n is not None]
    if not numbers:
        return s
    finest = min([n.exponent for n in numbers])
    exponent = held_at(numbers, finest)
    if exponent == finest:
        return s
    short, quality = [None, None, None], INVALID
    if exponent is not None:
        short = [None if n is None else Number(n.at(exponent), exponent) for n in (s.increment, s.max, s.min)]
        quality = s.quality
    return Settlement(s.period, s.start_ms, s.end_ms, short[0], short[1], short[2], quality, s.readings)


def _closing_row(point, settlement):
    numbers = [settlement.increment, settlement.max, settlement.min]
    if settlement.increment is None:
        return [point, settlement.quality, 0, None, None, None]
    exponent = min([n.exponent for n in numbers if n is not None])
    return [point, settlement.quality, exponent] + [None if n is None else n.at(exponent) for n in numbers]


def _packed(parts):
    """Rows [point, quality, exponent, mantissa as text]; exponent 0 and null where the increment is not known."""
    rows = []
    for point in sorted(parts):
        increment = parts[point].increment
        known = [0, None] if increment is None else [increment.exponent, str(increment.mantissa)]
        rows.append([point, parts[point].quality] + known)
    return rows


def _unpacked(period, start_ms, rows):
    parts = {}
    for point, quality, exponent, mantissa in rows:
        increment = None if mantissa is None else Number(int(mantissa), exponent)
        parts[point] = Settlement(period, start_ms, None, increment, None, None, quality, None)
    return parts
