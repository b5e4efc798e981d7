"""The four layers of stored data (9.1) as views of one schema, for search, export and people with SQL.

A view is named <layer>_<what it has rows of>, its columns in small letters; times end in _ms and are milliseconds UTC,
values are exact decimals as text. docs/platform_data.md describes every column.
"""

from sqlalchemy import text

from carbonterm.ledger import entry as formats
from carbonterm_host.platform.data.tables import DESCRIPTION

NAMES = r"(raw|preprocessed|analysis|certified)_[a-z]+(_[a-z]+)*"  # what a view may be called
_AT = "l.terminal_id as terminal, l.epoch, "
_DESCRIBED = ", ".join("s." + name for name in DESCRIPTION)
_FIGURES = (
    "select " + _AT + 'f.seq, f."row", f.period, f.start_ms, e.time_ms as recorded_ms, s.name as {subject}, s.unit, '
    "f.value, f.quality, {more}f.context, " + _DESCRIBED + " from figures f join logs l on l.id = f.log "
    "join entries e on e.log = f.log and e.seq = f.seq left join subjects s on s.log = f.log "
    "and s.context = f.context and s.kind = f.kind and s.subject = f.subject where f.kind = {kind}"
)
VIEWS = {
    "raw_entries": "select " + _AT + "e.seq, e.time_ms, e.kind, e.raw, e.fingerprint, "
    "(select max(c.seq) from contexts c where c.log = e.log and c.seq <= e.seq) as context "
    "from entries e join logs l on l.id = e.log",
    "preprocessed_settlements": _FIGURES.format(subject="point", more="", kind=formats.CLOSING),
    "analysis_emissions": _FIGURES.format(subject="source", more="f.version, ", kind=formats.EMISSION),
    "certified_results": "select " + _AT + "c.id, c.time_ms, c.who, c.ok, c.digest, c.body, c.signature "
    "from certifications c join logs l on l.id = c.log",
}  # fmt: skip


def make(connection, anew):
    """Makes the views; anew: also those that are there."""
    for name, query in VIEWS.items():
        if anew:
            connection.execute(text(f"drop view if exists {name}"))
        connection.execute(text(f"create view if not exists {name} as {query}"))


def flagged(connection):
    """{layer: rows that no metadata describes}; all 0 where every datum has its source."""
    found = dict(connection.execute(_BARE).all())
    lost = dict(connection.execute(_LOST).all())
    return {
        "raw": connection.execute(_RAW, {"readings": formats.READINGS, "manual": formats.MANUAL}).scalar(),
        "preprocessed": found.get(formats.CLOSING, 0) + lost.get(formats.CLOSING, 0),
        "analysis": found.get(formats.EMISSION, 0) + lost.get(formats.EMISSION, 0),
        "certified": connection.execute(_CERTIFIED).scalar(),
    }


_BARE = text("select kind, count(*) from figures where context is null group by kind")
_LOST = text(
    "select f.kind, count(*) from figures f left join subjects s on s.log = f.log and s.context = f.context "
    "and s.kind = f.kind and s.subject = f.subject where f.context is not null and s.log is null group by f.kind"
)
_RAW = text(
    "select count(*) from entries e where e.kind in (:readings, :manual) and e.seq < coalesce("
    "(select min(c.seq) from contexts c where c.log = e.log and c.version > 0), 1 << 40)"
)
_CERTIFIED = text("select count(*) from certifications c left join logs l on l.id = c.log where l.id is null")
