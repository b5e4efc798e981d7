"""What a new site document changes, as `audit` entries behind its `config` entry say it (11.12 全过程日志)."""

from carbonterm.gm import sm3
from carbonterm.ledger.entry import MAX_TEXT

PARTS = ("buses", "meters", "points", "sources", "centres", "nodes", "operators", "manual", "virtual")
# what a change of a row is called in the log; the others are told of in other words
AUDITED = {
    "meter": "instrument", "point": "instrument", "node": "instrument", "boundary": "boundary", "operator": "operator",
    "manual": "instrument", "virtual": "instrument", "series": "instrument", "calendar": "configuration",
}  # fmt: skip
MOST = 64  # sources, and changes of meters and points, that are named one by one


def issued(old, new):
    """(what, detail) of the audits that follow a new site document; old: the one in force before (Site or None)."""
    digest = "".join(["%02x" % byte for byte in sm3.digest(new.canonical())[:4]])
    parts = []
    if old is not None:
        parts = [part for part in PARTS if _rows(old, part) != _rows(new, part)]
        if (old.name, old.zone) != (new.name, new.zone):
            parts.append("name or zone")
        if old.settings.canonical() != new.settings.canonical():
            parts.append("settings")
        if (old.boundary and old.boundary.canonical()) != (new.boundary and new.boundary.canonical()):
            parts.append("boundary")
        for name, told in (
            ("series", _series(old) != _series(new)), ("calendar", old.calendar != new.calendar),
            ("page", (old.page and old.page.canonical()) != (new.page and new.page.canonical())),
        ):  # fmt: skip
            if told:
                parts.append(name)
        if not parts:
            parts = ["nothing but its version"]
    said = "changed: " + ", ".join(parts) if old is not None else "the first"
    found = [("configuration", "version %d, %s…; %s" % (new.version, digest, said))]
    before = {} if old is None else {source.name: source.compiled for source in old.sources}
    methods = [
        ("method", "%s: %s" % (source.name, _method(source.compiled)))
        for source in new.sources
        if before.get(source.name) != source.compiled
    ]
    names = [source.name for source in new.sources]
    methods += [("method", "%s: no longer accounted" % name) for name in sorted(before) if name not in names]
    # a transformer's ratio, decimals, a range: what turns a meter's number into another one
    instruments = [] if old is None else _instruments(old, new)
    return [(what, detail[:MAX_TEXT]) for what, detail in found + _first(methods) + _first(instruments)]


def _instruments(old, new):
    from carbonterm.site_changes import changes  # a new document is rare: its room is free meanwhile

    said = [(AUDITED.get(text.split(" ")[0].rstrip(",:")), text) for text in changes(old, new)]
    return [row for row in said if row[0]]


def _first(rows):
    return rows if len(rows) <= MOST else rows[:MOST] + [(rows[0][0], "and %d more" % (len(rows) - MOST))]


def _rows(site, part):
    return [row.canonical() for row in getattr(site, part)]


def _series(site):
    return [[site.points[index].name] + site.series[index].canonical()[1:] for index in sorted(site.series)]


def _method(compiled):
    """Method, version and factors of a compiled source; its digest is the one that `emission` entries name."""
    from carbonterm.accounting import source as accounting  # collectors have no sources

    name, version = compiled[accounting.METHOD]
    factors = [origin[0] for origin in accounting.origins(compiled)]
    return "%s version %d, %s, factors %s" % (
        name, version, compiled[accounting.SOURCE], ", ".join(factors) if factors else "given",
    )  # fmt: skip
