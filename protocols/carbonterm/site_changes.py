"""What is different between two site documents, in words, for the audit trail."""

from carbonterm import cbor
from carbonterm.errors import quoted
from carbonterm.gm import sm3
from carbonterm.site import Node, Site
from carbonterm.site_rows import Row, plain


def changes(old, new):
    """What is different between two Sites, for the audit trail: texts of at most 200 characters, [] for nothing.

    old: None where there was no document. Rows are found by their name; a renamed row is one less and one more.
    """
    if old is None:
        return ["site document, version %d: the first one" % new.version]
    found = []
    for name in ("version", "terminal_id", "name", "zone"):
        _differ(found, "site", name, getattr(old, name), getattr(new, name))
    kinds = [(attribute, row.NAME) for attribute, row in Site.ROWS + (("nodes", Node),)]
    kinds += [("operators", "operator"), ("manual", "manual point"), ("virtual", "virtual point")]
    for attribute, kind in kinds:
        before, after = [dict([(r.name, r) for r in getattr(site, attribute)]) for site in (old, new)]
        for name in sorted(set(before) | set(after)):
            who = "%s %s" % (kind, quoted(name))
            if name not in after:
                found.append(who + ": removed")
            elif name not in before:
                found.append(who + ": added")
            else:
                _row_changes(found, who, before[name], after[name], old, new)
    _row_changes(found, "settings", old.settings, new.settings, old, new)
    _series_changes(found, old, new)
    _differ(found, "calendar", "days", *[[list(days) for days in site.calendar] for site in (old, new)])
    pages = [site.page and site.page.canonical() for site in (old, new)]
    if None in pages:
        _differ(found, "page", "page", *pages)
    else:
        _row_changes(found, "page", old.page, new.page, old, new)
    if old.boundary or new.boundary:
        from carbonterm.accounting import boundary

        found.extend(boundary.changes(old.boundary, new.boundary))
    return [text if len(text) <= 200 else text[:199] + "…" for text in found]


def _series_changes(found, old, new):
    """What points become as series, by their names."""
    before, after = [
        dict([(site.points[index].name, site.series[index]) for index in site.series]) for site in (old, new)
    ]
    for name in sorted(set(before) | set(after)):
        who = "series of point %s" % quoted(name)
        one, other = before.get(name), after.get(name)
        if one is None or other is None:
            found.append(who + (": added" if one is None else ": removed"))
            continue
        for field in ("settles", "rule", "per_ms", "unit", "fill", "history"):
            _differ(found, who, field, getattr(one, field), getattr(other, field))


def _row_changes(found, who, before, after, old, new):
    for name in [rule[0] for rule in before.shape() + before.later() + before.extra()]:
        one, other = getattr(before, name), getattr(after, name)
        if name == "bus":
            one, other = old.buses[one].name, new.buses[other].name
        elif name == "meter":
            one, other = old.meters[one].name, new.meters[other].name
        elif name == "meters":
            one, other = [_named(site.meters, which) for site, which in ((old, one), (new, other))]
        elif name == "inputs":  # points are indexes, which move when a point is added
            one, other = [_feeds(site, inputs) for site, inputs in ((old, one), (new, other))]
        elif name == "parts":
            one, other = [[[site.all_points[p].name, above, below] for p, above, below in parts]
                          for site, parts in ((old, one), (new, other))]  # fmt: skip
        _differ(found, who, name, one, other)


def _named(rows, indexes):
    return ", ".join([rows[index].name for index in indexes]) or None


def _feeds(site, inputs):
    rows = site.all_points
    return [[row.parameter] + [[rows[p].name, above, below] for p, above, below in row.points] for row in inputs]


def _differ(found, who, name, one, other):
    if plain(one) != plain(other):
        found.append("%s: %s %s → %s" % (who, name, _shown(one), _shown(other)))


def _shown(value):
    if isinstance(value, (list, Row, bytes)):  # a certificate, a formula, a key: what they are stands in the document
        return "SM3 " + "".join(["%02x" % byte for byte in sm3.digest(cbor.encode(plain(value)))[:4]])
    return "none" if value is None else str(value)
