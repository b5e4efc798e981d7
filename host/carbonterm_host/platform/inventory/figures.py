"""The inventory of a terminal from the figures that the platform stored (11.7).

The figures of days and longer periods are read for the whole span, those of shorter ones only where a day has none: so
a year costs a few thousand rows, and comes to what all of them come to.
"""

import itertools

from sqlalchemy import select

from carbonterm import clock
from carbonterm import site as sites
from carbonterm.accounting.records import POINT, SOURCE, Records, span
from carbonterm.errors import CarbonError
from carbonterm.ledger import entry as formats
from carbonterm.number import Number
from carbonterm_host import inventories
from carbonterm_host.platform.data import tables
from carbonterm_host.platform.store import entries, figures, logs

_KINDS = {formats.EMISSION: SOURCE, formats.CLOSING: POINT}


def of(store, terminal_id, period=None):
    """The inventory of a terminal over a period, the year of its last entry if None; None where it is not known or has
    no site document; ClockError for what is no period."""
    with store.read() as connection:
        found = logs_of(connection, terminal_id)
        site = site_of(connection, found[-1]) if found else None
        if site is None:
            return None
        last_ms = max([_last(connection, log) for log in found])
        if period is None:
            period = clock.text(last_ms, site.zone)[:4]
        return inventories.report(site, records(connection, found, site, period, last_ms), period)


def records(connection, found, site, period, last_ms):
    """Records of the logs (rows of `logs`, by epoch) with what a period and those it is compared with need."""
    begin, end = span(period, site.zone)
    made = Records(site.zone)
    made.heard(last_ms)
    spans = [(begin, end)] + [(a, b) for _, a, b in inventories.compared(begin, end, site.zone)]
    for one in _joined(spans):
        _read(connection, found, made, clock.DAY, clock.YEAR, one)
    gaps = {_days(site, last_ms, last_ms + 1)}  # the day that goes on
    gaps.update(_days(site, at, at + 1) for log in found for at in _configured(connection, log))
    for a, b in spans:
        for kind, rows in ((SOURCE, site.sources), (POINT, site.all_points)):
            for row in rows:
                gaps.update(_days(site, *gap) for gap in made.total(kind, row.name, a, b).unknown)
    for one in _joined(gaps):
        _read(connection, found, made, clock.SECOND, clock.HOUR, one)
    return made


def _read(connection, found, made, shortest, longest, between):
    """Adds the figures of periods from `shortest` to `longest` that begin in a span, each period in the order of the
    logs; the index figures_by_time finds them."""
    names = tables.subjects.c
    for log, kind, period in itertools.product(found, _KINDS, range(shortest, longest + 1)):
        rows = connection.execute(
            select(names.name, figures.c.start_ms, figures.c.version, figures.c.quality, figures.c.value,
                   names.model, names.parameters)
            .join(tables.subjects, (names.log == figures.c.log) & (names.context == figures.c.context)
                  & (names.kind == figures.c.kind) & (names.subject == figures.c.subject))
            .where(figures.c.log == log.id, figures.c.kind == kind, figures.c.period == period,
                   figures.c.start_ms >= between[0], figures.c.start_ms < between[1])
            .order_by(figures.c.seq, figures.c.row)
        )  # fmt: skip
        for name, start_ms, version, quality, value, model, parameters in rows:
            number = None if value is None else Number(value)
            # method, formula and factors, as the terminal's document had them
            made_by = (model, parameters) if kind == formats.EMISSION else None
            made.add(_KINDS[kind], name, period, start_ms, version, quality, number, made_by)


def _days(site, begin, end):
    """The whole days that a span touches."""
    return clock.start(clock.DAY, begin, site.zone), clock.end(clock.DAY, max(begin, end - 1), site.zone)


def _joined(spans):
    found = []
    for begin, end in sorted(spans):
        if found and begin <= found[-1][1]:
            begin, end = found[-1][0], max(end, found.pop()[1])
        found.append((begin, end))
    return found


def logs_of(connection, terminal_id):
    """The rows of `logs` of a terminal, by epoch."""
    return connection.execute(
        select(logs).where(logs.c.terminal_id == terminal_id).order_by(logs.c.epoch)
    ).all()  # fmt: skip


def _configured(connection, log):
    """Times of a log's site documents: in such a day the method or factors of a source may have changed."""
    of_log = entries.c.log == log.id, entries.c.kind == formats.CONFIG
    return connection.execute(select(entries.c.time_ms).where(*of_log)).scalars().all()


def _last(connection, log):
    of_last = entries.c.log == log.id, entries.c.seq == log.next_seq - 1
    return connection.execute(select(entries.c.time_ms).where(*of_last)).scalar() or 0


def site_of(connection, log):
    """The Site in force at the log's end, or None if there is none that can be read."""
    raw = connection.execute(
        select(entries.c.raw).where(entries.c.log == log.id, entries.c.kind == formats.CONFIG)
        .order_by(entries.c.seq.desc()).limit(1)
    ).scalar()  # fmt: skip
    if raw is None:
        return None
    try:
        return sites.decode(formats.decode(raw).body[1])
    except CarbonError:
        return None
