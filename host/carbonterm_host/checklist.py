"""Which activity data a sector has to collect (table 1, clause 5.2), and which of them a site does collect.

The published sectors and their items are protocols/carbonterm/accounting/checklists.json; a sector without items there
has the activity data of its methods (附录 A). A boundary may add items and say why one does not apply.
"""

import json
from functools import lru_cache

from carbonterm.accounting import source as accounting
from carbonterm.errors import AccountingError, quoted
from carbonterm.nearest import hint
from carbonterm_host import library

METERED, MANUAL, DECLARED, DEFAULT, ABSENT, MISSING = (
    "metered", "manual", "declared", "default", "absent", "missing",
)  # fmt: skip
COLLECTED = (METERED, MANUAL, DECLARED, DEFAULT)


@lru_cache(maxsize=1)
def sectors():
    """{id: sector} of the published sectors, in the order of their publication."""
    data = json.loads((library.FOLDER / "checklists.json").read_text(encoding="utf-8"))
    return {row["id"]: row for row in data["sectors"]}


def methods_of(sector):
    """Ids of a sector's methods; none of a sector of one's own."""
    return sectors().get(sector, {}).get("methods", [])


def items(sector):
    """[{"id", "name_zh", "name_en", "unit", "match", "every"}] of a sector; [] of a sector of one's own."""
    row = sectors().get(sector)
    if row is None:
        return []
    return [{"every": False, **item} for item in row["items"]] or _of_methods(row["methods"])


def _of_methods(ids):
    """The activity data of methods: one item for each source and parameter."""
    found = []
    for name in ids:
        for source in library.method(name).sources:
            for parameter in source.parameters:
                if parameter.kind == "activity" and source.kind != "auxiliary":
                    found.append({
                        "id": f"{source.id}.{parameter.name}", "unit": " | ".join(parameter.units), "every": False,
                        "name_zh": f"{source.name_zh}：{parameter.name_zh}",
                        "name_en": f"{source.name_en}: {parameter.name_en}", "match": [f"{source.id}.{parameter.name}"],
                    })  # fmt: skip
    return found


def named(sector):
    """The published sector of an id; AccountingError with the nearest ones."""
    if sector not in sectors():
        raise AccountingError("there is no sector " + quoted(sector), hint(sector, list(sectors()), "published"))
    return sectors()[sector]


def report(site):
    """[{"sector", "title_zh", "title_en", "extension", "items", "collected", "applicable", "coverage"}] of a Site's
    sectors; an item: {"id", "name_zh", "name_en", "unit", "state", "by", "reason"}. coverage: per cent with one
    decimal, as text, rounded down so that 100.0 is all of them; None where no item applies."""
    boundary = site.boundary
    if boundary is None:
        raise AccountingError("the site has no boundary, so it has no sectors", "give it one: docs/boundary.md")
    found = []
    for index, (name, title, extension) in enumerate(boundary.sectors):
        known = sectors().get(name)
        reasons = {item: reason for sector, item, reason in boundary.absent if sector == index}
        extra = [row[1:] for row in boundary.extra if row[0] == index]
        rows = [_state(site, index, item, reasons, extra) for item in items(name)]
        listed = {row["id"] for row in rows}
        rows += [_own(site, *row) for row in extra if row[0] not in listed]
        applicable = [row for row in rows if row["state"] != ABSENT]
        collected = [row for row in applicable if row["state"] in COLLECTED]
        coverage = None
        if applicable:
            tenths = 1000 * len(collected) // len(applicable)
            coverage = f"{tenths // 10}.{tenths % 10}"
        found.append({
            "sector": name, "title_zh": title, "title_en": known["name_en"] if known else title,
            "extension": extension, "items": rows, "collected": len(collected), "applicable": len(applicable),
            "coverage": coverage,
        })  # fmt: skip
    return found


def _row(item, state, by=(), reason=None):
    row = {key: item[key] for key in ("id", "name_zh", "name_en", "unit")}
    return {**row, "state": state, "by": sorted(set(by)), "reason": reason}


def _state(site, sector, item, reasons, extra):
    if item["id"] in reasons:
        return _row(item, ABSENT, (), reasons[item["id"]])
    for name, _, source, parameter in extra:
        if name == item["id"] and source is not None:
            return _row(item, *_fed(site, site.sources[source], parameter))
    worst, by, matched = MISSING, [], 0
    for match in item["match"]:
        rule, _, factor = match.partition("@")
        source_id, parameter = rule.split(".")
        states = [
            _fed(site, source, parameter) for source in _of_sector(site, sector)
            if source.compiled[accounting.SOURCE] == source_id and _uses(source.compiled, factor)
        ]  # fmt: skip
        states = [one for one in states if one[0] != MISSING]
        matched += bool(states)
        for state, names in states:
            by.extend(names)
            # of several sources the one that says least of what was measured
            worst = state if worst == MISSING else max(worst, state, key=COLLECTED.index)
    if item["every"] and matched < len(item["match"]):
        return _row(item, MISSING, by)
    return _row(item, worst, by)


def _own(site, name, unit, source, parameter):
    item = {"id": name, "name_zh": name, "name_en": name, "unit": unit}
    return _row(item, *((MISSING, ()) if source is None else _fed(site, site.sources[source], parameter)))


def _of_sector(site, sector):
    """The sources inside the boundary that stand in a sector."""
    indices = {place.source for place in site.boundary.places if place.sector == sector and place.reason is None}
    return [site.sources[index] for index in sorted(indices)]


def _uses(compiled, factor):
    """Whether a compiled source has a constant of a factor in whose id a text stands."""
    return not factor or any(origin and factor in origin[0] for *_, origin in compiled[accounting.CONSTANTS])


def _fed(site, source, parameter):
    """(state, names of the points or factors) of a parameter of a source."""
    for feed in source.inputs:
        if parameter in (None, feed.parameter):
            leaves = _leaves(site, [row[0] for row in feed.points])
            by_hand = [point.name for point in leaves if point.kind == "manual"]
            return (MANUAL if by_hand else METERED), [point.name for point in leaves]
    for name, _, _, _, origin in source.compiled[accounting.CONSTANTS]:
        if name == parameter:
            own = origin is None or origin[0].startswith("site/")
            return (DECLARED if own else DEFAULT), [origin[1] if origin else source.name]
    return MISSING, []


def _leaves(site, points):
    """The points that are read or entered, behind virtual ones."""
    found, left = [], list(points)
    while left:
        point = site.all_points[left.pop(0)]
        if point.kind == "virtual":
            left.extend(part[0] for part in point.parts)
        elif point not in found:
            found.append(point)
    return found
