"""A site's readings from a file, settled and accounted: what the terminal's log would say, in columns.

From a bundle whose clock was never set back, whose site document did not change and which has nothing but registers
and sources, and from Parquet, every figure is computed in columns; other bundles are replayed entry by entry by the
terminal's own pipeline, which gives the same and takes its time.
"""

import numpy as np

from carbonterm.clock import FLOOR_MS
from carbonterm.errors import LedgerError, SeriesError, quoted
from carbonterm.ledger import entry as entries
from carbonterm.number import Number
from carbonterm.pipeline import PLACES, Replay
from carbonterm.series.closing import SUSPECT, Settler
from carbonterm.site import REGISTER
from carbonterm.site import decode as decode_site
from carbonterm_host import bundles
from carbonterm_host.batch import account, bundle, series

HELD_ROWS = 1 << 21  # of a bundle, before they are settled
_FIELDS = ("start", "quality", "mantissa", "known")


class Irregular(Exception):
    """A bundle that has to be replayed."""


class Year:
    """`site`, `settled` {point: Settled}, `settlers` {point: Settler} where columns were settled, and `readings`, the
    number of readings that had a value; `replayed`: whether the pipeline did it."""

    def __init__(self, site):
        self.site = site
        self.readings = 0
        self.replayed = False
        self.settled, self.settlers, self._emitted = {}, {}, {}
        for index, point in enumerate(site.points):
            if point.kind == REGISTER:
                self.settlers[index] = settler(site, point)
                self.settled[index] = series.Settled(tuple(site.settings.closings))

    def feed(self, index, times, mantissas, exponents, qualities):
        """Readings of a point, which begin where the last ones ended."""
        if index in self.settlers:
            series.settle(self.settlers[index], times, mantissas, exponents, qualities, self.settled[index])

    def emissions(self, source, period):
        """Columns start, quality, mantissa (10^-6 t) and known of a source's figures in a period."""
        if self.replayed:
            return self._emitted[source][period]
        return account.emissions(self.site, source, self.settled, period)

    def total(self, source, period):
        """Sum of a source's known figures of a period, a Number in t."""
        return Number(int(sum(self.emissions(source, period)["mantissa"].tolist())), -PLACES)


def settler(site, point):
    """A Settler with the settings of a site's point."""
    return Settler(site.zone, point.modulus, point.limit, point.interval_ms, tuple(site.settings.closings))


def plain(site):
    """Whether a site's figures come from registers and sources alone."""
    return not (site.operators or site.manual or site.virtual or site.series)


def of_columns(site, columns):
    """The Year of (point's name, Column) pairs; SeriesError for a point that the site hasn't got."""
    if not plain(site):
        raise SeriesError(
            "this site has more than registers and sources: what its terminal does can't be told from a table",
            "give the bundle of its log",
        )
    year = Year(site)
    names = {point.name: index for index, point in enumerate(site.points)}
    for name, column in columns:
        if name not in names:
            raise SeriesError(f"the site has no point {quoted(name)}", "name the columns as the site's points")
        if len(column) and column.times[0] < FLOOR_MS:
            raise SeriesError(f"point {quoted(name)} has readings of before 2020", "correct their times")
        index, qualities = names[name], column.qualities
        outside = _outside(site.points[index], column)
        if outside.any():
            qualities = np.zeros(len(column), np.int8) if qualities is None else qualities
            qualities = np.where(outside, np.maximum(qualities, SUSPECT), qualities)
        year.readings += len(column)
        year.feed(index, column.times, column.mantissas, column.exponents, qualities)
    return year


def _outside(point, column):
    """Which readings lie outside the point's range, whose both ends are valid (8.1.1)."""
    wrong = np.zeros(len(column), bool)
    if point.minimum is None and point.maximum is None:
        return wrong
    for exponent in np.unique(column.exponents).tolist():
        rows = column.exponents == exponent
        unit = Number(1, exponent).ratio()
        if point.minimum is not None:
            least = point.minimum / unit
            wrong |= rows & (column.mantissas < _whole(-(-least.numerator // least.denominator)))
        if point.maximum is not None:
            most = point.maximum / unit
            wrong |= rows & (column.mantissas > _whole(most.numerator // most.denominator))
    return wrong


def _whole(value):
    """A bound that int64 can be compared with."""
    return max(min(value, series.ROOM * 4 - 1), -series.ROOM * 4)


def of_bundle(path):
    """The Year of a bundle's log."""
    try:
        return _in_columns(path)
    except Irregular:
        return _replayed(path)


def _in_columns(path):
    year, waiting, count = None, [], 0
    for fact in bundle.facts(path):
        if isinstance(fact, bundle.Rows):
            if year is None or fact.unset.any() or fact.time.min() < FLOOR_MS:
                raise Irregular
            waiting.append(fact)
            count += len(fact.time)
            if count >= HELD_ROWS:
                _feed(year, waiting)
                waiting, count = [], 0
        elif fact.kind == entries.CONFIG:
            site = decode_site(fact.body[1])
            if year is None and plain(site):
                year = Year(site)
            elif year is None or site.canonical() != year.site.canonical():
                raise Irregular
        elif fact.kind == entries.METER:
            _feed(year, waiting)
            waiting, count = [], 0
            _replace(year, fact)
        elif fact.kind == entries.START:
            if fact.clock_state == entries.CLOCK_UNSET or fact.time_ms < FLOOR_MS:
                raise Irregular
        elif fact.kind == entries.SNAPSHOT:
            if year is None:
                raise Irregular
        elif fact.kind != entries.CLOCK or fact.body[0] != entries.SYNC:
            raise Irregular
    if year is None:
        raise LedgerError("the bundle has no site document and no readings")
    _feed(year, waiting)
    return year


def _feed(year, waiting):
    """Settles Rows, point by point."""
    if not waiting:
        return
    point, time, quality, exponent, mantissa = (
        np.concatenate([getattr(rows, name) for rows in waiting])
        for name in ("point", "time", "quality", "exponent", "mantissa")
    )
    if int(point.max()) >= len(year.site.points):
        raise LedgerError(f"there are readings of point {int(point.max())}, which is not in the site document")
    order = np.argsort(point.astype(np.uint16), kind="stable")
    borders = np.searchsorted(point[order], np.arange(len(year.site.points) + 1))
    year.readings += int((quality < entries.INVALID).sum())
    for index in year.settlers:
        rows = order[borders[index] : borders[index + 1]]
        if len(rows):
            year.feed(index, time[rows], mantissa[rows], exponent[rows], quality[rows])


def _replace(year, fact):
    index, _, time_ms, exponent, last, first = fact.body
    if year is None or index not in year.settlers:
        raise Irregular
    try:
        closed = year.settlers[index].replaced(time_ms, Number(last, exponent), Number(first, exponent))
    except SeriesError:
        return  # an event that cannot be changes no total, as on the terminal
    year.settled[index].take(closed)


# --- replay ----------------------------------------------------------------------------------------------------------


def _replayed(path):
    replay, bodies, year = Replay(), [], None
    for raw, _ in bundles.read(path).entries:
        entry = entries.decode(raw)
        replay.entry(entry)
        if entry.kind in (entries.CLOSING, entries.EMISSION):
            bodies.append((entry.kind, entry.body))
    site = replay.pipeline.site
    if site is None:
        raise LedgerError("the bundle has no site document and no readings")
    year = Year(site)
    year.replayed, year.readings = True, replay.readings
    year.settlers = {i: one for i, one in enumerate(replay.pipeline.settlers) if one is not None}
    for kind, body in bodies:
        if kind == entries.CLOSING:
            _take_closing(year, body)
    year._emitted = _emitted(site, [body for kind, body in bodies if kind == entries.EMISSION])
    return year


def _take_closing(year, body):
    period, start_ms, rows = body
    for point, quality, exponent, increment, high, low in rows:
        if increment is not None:
            year.settled.setdefault(point, series.Settled(tuple(year.site.settings.closings)))
            row = (start_ms, start_ms, increment, high or 0, low or 0, exponent, quality, 0, high is not None)
            columns = {name: series.integers([v]) for name, v in zip(series.COLUMNS, row, strict=True)}
            year.settled[point].add(period, columns)


def _emitted(site, bodies):
    """{source: {period: columns}} of emission entries: the highest version of each figure."""
    found = [{period: {} for period in site.settings.closings} for _ in site.sources]
    for body in bodies:
        period, start_ms, version, rows = body[:4]
        for source, quality, _, mantissa, _ in rows:
            table = found[source][period]
            before = table.get(start_ms)
            if before and before[0] == version and mantissa is not None and before[2] is not None:
                mantissa, quality = mantissa + before[2], max(quality, before[1])  # closed again: they add up
            table[start_ms] = version, quality, mantissa
    return {source: {p: _columns(rows) for p, rows in tables.items()} for source, tables in enumerate(found)}


def _columns(rows):
    ordered = [(start, quality, mantissa) for start, (_, quality, mantissa) in sorted(rows.items())]
    columns = [series.integers([row[i] or 0 for row in ordered]) for i in range(3)]
    known = np.array([row[2] is not None for row in ordered], bool)
    columns[1] = np.where(known, columns[1], entries.INVALID)
    return dict(zip(_FIELDS, [*columns, known], strict=True))
