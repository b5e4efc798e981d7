"""Figures of a terminal by kind, name and time, a page at a time, and their trend over years (9.1, 9.6).

Values are exact decimals as text. A page's cursor is the place of its last figure, so that pages neither repeat nor
leave out anything while new figures come in.
"""

import hashlib

from sqlalchemy import select, text

from carbonterm import clock
from carbonterm import site as sites
from carbonterm.errors import CarbonError, StoreError
from carbonterm.ledger import entry as formats
from carbonterm.number import Number
from carbonterm_host.platform import store as stored
from carbonterm_host.platform.data import tables

KINDS = {"closing": formats.CLOSING, "emission": formats.EMISSION}
MAX_LIMIT = 10000
MAX_NAME = 64
MAX_BUCKETS = 10000
MAX_MS = 253402300799999
_PLACE = ("start_ms", "log", "seq", "row")


class Query:
    """What is looked for: kind "closing" or "emission", period and `by` as in clock.PERIODS, from_ms <= start < to_ms.

    From texts as they stand in an address; StoreError where one is wrong.
    """

    __slots__ = ("after", "by", "from_ms", "kind", "limit", "name", "period", "to_ms")

    def __init__(self, kind="emission", period="hour", name="", start="", end="", after="", limit="1000", by=""):
        _choice("kind", kind, KINDS)
        _choice("period", period, clock.PERIODS)
        if by:
            _choice("by", by, clock.PERIODS)
            if clock.PERIODS.index(by) < clock.PERIODS.index(period):
                raise StoreError(f"a {period} cannot be divided into {by}s", "let by be a longer period")
        if len(name) > MAX_NAME:
            raise StoreError(f"a name has at most {MAX_NAME} characters", "name a point or a source")
        self.kind, self.period, self.name = KINDS[kind], clock.PERIODS.index(period), name
        self.by = clock.PERIODS.index(by) if by else None
        self.from_ms, self.to_ms = _moment("from", start, 0), _moment("to", end, MAX_MS)
        if self.to_ms <= self.from_ms:
            raise StoreError("to is not later than from", "turn them round")
        self.after = _cursor(after)
        if not (limit.isascii() and limit.isdigit() and len(limit) <= 5 and 1 <= int(limit) <= MAX_LIMIT):
            raise StoreError(f"limit is a number from 1 to {MAX_LIMIT}", "take more pages")
        self.limit = int(limit)

    def etag(self, logs):
        """Changes when the answer may: the query, and how much is there of each log."""
        values = [getattr(self, name) for name in self.__slots__] + [(log.id, log.next_seq) for log in logs]
        return '"' + hashlib.sha256(repr(values).encode()).hexdigest()[:32] + '"'


def logs_of(store, terminal_id):
    """The rows of `logs` of a terminal, in order of epoch."""
    of = stored.logs.c
    with store.read() as connection:
        return connection.execute(
            select(stored.logs).where(of.terminal_id == terminal_id).order_by(of.epoch)
        ).all()  # fmt: skip


def page(store, terminal_id, query):
    """{"terminal", "figures": [...], "metadata": {key: {...}}, "next": cursor or None}, figures by start."""
    with store.read() as connection:
        epochs = _epochs(connection, terminal_id)
        found = _rows(connection, epochs, query, query.after, query.limit + 1)
        more, found = len(found) > query.limit, found[: query.limit]
        metadata = _metadata(connection, epochs, query.kind, found)
    return {
        "terminal": terminal_id,
        "figures": [_figure(row, epochs, metadata, query) for row in found],
        "metadata": metadata,
        "next": ".".join(str(part) for part in _place(found[-1])) if more else None,
    }


def trend(store, terminal_id, query):
    """{"terminal", "name", "unit", "by", "buckets": [{"start", "value", "figures", "missing", "quality"}]}: sums of the
    figures of one point or source by a longer period, exact; of each moment the highest version counts."""
    if not query.name or query.by is None:
        raise StoreError("a trend is of one name, and by a period", "give name and by")
    with store.read() as connection:
        epochs = _epochs(connection, terminal_id)
        rows = _newest(_rows(connection, epochs, query, None, -1))
        zone = _zone(connection, epochs)
        units = _units(connection, epochs, query)
    buckets, begin, end = [], 0, 0
    for row in rows:
        if not begin <= row.start_ms < end:
            begin, end = clock.start(query.by, row.start_ms, zone), clock.end(query.by, row.start_ms, zone)
            if len(buckets) == MAX_BUCKETS:
                raise StoreError(f"these are more than {MAX_BUCKETS} buckets", "let by be longer, or from to shorter")
            buckets.append([begin, Number(0), 0, 0, 0])
        last = buckets[-1]
        last[2] += 1
        last[4] = max(last[4], row.quality)
        if row.value is None:
            last[3] += 1
        else:
            last[1] += Number(row.value)
    return {
        "terminal": terminal_id, "name": query.name, "units": units, "by": clock.PERIODS[query.by],
        "buckets": [
            {"start": clock.text(begin, zone), "value": str(value) if count > missing else None, "figures": count,
             "missing": missing, "quality": quality}
            for begin, value, count, missing, quality in buckets
        ],
    }  # fmt: skip


def _newest(rows):
    """Of the figures of one moment those with the highest version; rows are in order of start."""
    same = []
    for row in rows:
        if same and row.start_ms != same[0].start_ms:
            yield from same
            same = []
        if same and row.version > same[0].version:
            same = []
        if not same or row.version == same[0].version:
            same.append(row)
    yield from same


def _epochs(connection, terminal_id):
    of = stored.logs.c
    rows = connection.execute(select(of.id, of.epoch).where(of.terminal_id == terminal_id)).all()
    return {log: epoch for log, epoch in rows}


def _rows(connection, epochs, query, after, limit):
    """Rows of `figures` by start, log, seq, row, behind the place `after`, at most `limit` (-1: all)."""
    found = []
    for log, subject in _parts(connection, epochs, query):
        of = {"log": log, "kind": query.kind, "period": query.period, "to": query.to_ms, "limit": limit}
        wheres = ["f.log = :log", "f.kind = :kind", "f.period = :period", "f.start_ms >= :from", "f.start_ms < :to"]
        of["from"] = query.from_ms
        if after:
            of |= dict(zip("abcd", after, strict=True))
            of["from"] = max(query.from_ms, after[0])
            wheres.append('(f.start_ms, f.log, f.seq, f."row") > (:a, :b, :c, :d)')
        if subject is not None:
            of |= {"subject": subject, "name": query.name}
            wheres += ["f.subject = :subject", "s.name = :name"]
        join = "join subjects s using (log, context, kind, subject)" if subject is not None else ""
        found += connection.execute(
            text(
                'select f.log, f.seq, f."row", f.start_ms, f.version, f.subject, f.quality, f.value, f.context '
                f'from figures f {join} where {" and ".join(wheres)} order by f.start_ms, f.seq, f."row" limit :limit'
            ), of
        ).all()  # fmt: skip
    if len(epochs) > 1 or query.name:
        found.sort(key=_place)
    return found if limit < 0 else found[:limit]


def _parts(connection, epochs, query):
    """[(log, subject or None for all)] that the query is about."""
    if not query.name:
        return [(log, None) for log in epochs]
    of = tables.subjects.c
    rows = select(of.log, of.subject).where(
        of.log.in_(list(epochs)), of.kind == query.kind, of.name == query.name
    ).distinct()  # fmt: skip
    return connection.execute(rows).all()


def _place(row):
    return tuple(getattr(row, name) for name in _PLACE)


def _metadata(connection, epochs, kind, found):
    """{"epoch/context/subject": what is known of these figures' origin}."""
    of = tables.subjects.c
    wanted = {(row.log, row.context, row.subject) for row in found if row.context is not None}
    rows = []
    for log, context in sorted({one[:2] for one in wanted}):
        rows += connection.execute(
            select(tables.subjects).where(of.log == log, of.context == context, of.kind == kind)
        ).all()  # fmt: skip
    return {
        f"{epochs[row.log]}/{row.context}/{row.subject}":
            {"name": row.name, "unit": row.unit} | {name: getattr(row, name) for name in tables.DESCRIPTION}
        for row in rows if (row.log, row.context, row.subject) in wanted
    }  # fmt: skip


def _figure(row, epochs, metadata, query):
    key = None if row.context is None else f"{epochs[row.log]}/{row.context}/{row.subject}"
    known = metadata.get(key)
    figure = {
        "epoch": epochs[row.log], "seq": row.seq, "row": row.row, "period": clock.PERIODS[query.period],
        "start": clock.text(row.start_ms, 0), "start_ms": row.start_ms, "value": row.value, "quality": row.quality,
        "name": known["name"] if known else None, "unit": known["unit"] if known else None, "metadata": key,
    }  # fmt: skip
    if query.kind == formats.EMISSION:
        figure["version"] = row.version
    return figure


def _units(connection, epochs, query):
    of = tables.subjects.c
    return sorted(connection.execute(
        select(of.unit).where(of.log.in_(list(epochs)), of.kind == query.kind, of.name == query.name).distinct()
    ).scalars())  # fmt: skip


def _zone(connection, epochs):
    """Minutes east of the terminal's newest site document that can be read; 0 where there is none."""
    rows = connection.execute(
        text("select e.raw from contexts c join logs l on l.id = c.log join entries e on e.log = c.log and "
             "e.seq = c.config where c.version > 0 and c.log in (select value from json_each(:logs)) "
             "order by l.epoch desc, c.seq desc limit 1"),
        {"logs": str(list(epochs))},
    ).scalars()  # fmt: skip
    for raw in rows:
        try:
            return sites.decode(formats.decode(raw).body[1]).zone
        except CarbonError:
            return 0
    return 0


def zone_of(connection, terminal_id):
    """Minutes east of a terminal's site, as `trend` has it."""
    return _zone(connection, _epochs(connection, terminal_id))


def _choice(what, value, allowed):
    if value not in allowed:
        raise StoreError(f"{what} is one of {', '.join(allowed)}", f"correct {what}")


def _moment(what, value, default):
    """Milliseconds, or ISO 8601 with offset."""
    if not value:
        return default
    try:
        found = int(value) if value.isascii() and value.isdigit() and len(value) <= 15 else clock.parse(value)
    except CarbonError as error:
        raise StoreError(f"{what}: {error.what}", "write 2026-11-21T08:00:00+08:00, or milliseconds") from None
    if not 0 <= found <= MAX_MS:
        raise StoreError(f"{what} is outside the years 1970 to 9999", "correct it")
    return found


def _cursor(value):
    parts = value.split(".") if value else []
    if not parts:
        return None
    if len(parts) != len(_PLACE) or not all(p.isascii() and p.isdigit() and len(p) <= 15 for p in parts):
        raise StoreError("after is no cursor", 'give the "next" of the page before')
    return tuple(int(part) for part in parts)
