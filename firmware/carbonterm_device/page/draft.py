"""A site document being changed: its rows as {field: value} that name each other, so that a row can go or be renamed.

`Draft(site)`; `.parts[part]` is the list of its rows; `.site(version)` makes the Site again, with all the checks that
there are, or raises CarbonError. Values are those of the canonical document, but for references, which are names.
"""

from carbonterm import site as sites
from carbonterm import site_formed, site_page, site_series, units
from carbonterm.errors import CarbonError, SiteError, quoted
from carbonterm.field.plan import Budget
from carbonterm.number import Number, Ratio
from carbonterm.series import combine
from carbonterm.site_rows import plain
from carbonterm_device.page import entity

# part: class of its rows; `head` and `settings` are one row each, `page` none or one
PARTS = {
    "buses": sites.Bus, "meters": sites.Meter, "points": sites.Point, "virtual": site_formed.Virtual,
    "sources": sites.Source, "centres": sites.Centre, "manual": site_formed.Manual,
    "operators": site_formed.Operator, "nodes": sites.Node, "series": site_series.Settling,
    "settings": sites.Settings, "page": site_page.Page,
}  # fmt: skip
SINGLE = ("head", "settings", "page", "calendar", "entity")
_ROWS = ("buses", "meters", "points", "sources", "centres")
_FORMED = ("operators", "manual", "virtual")


def order(part):
    """Names of the fields of a part's rows, in the document's order."""
    row = PARTS[part]
    return [one[0] for one in row.shape() + row.later() + (row.extra() if part in ("buses", "meters") else ())]


def is_sender(row):
    """Whether the row of a bus is an entrance."""
    return row["kind"] in sites.places.SENDERS


class Draft:
    """See above. base: the version in force that it changes; changed: whether anything was."""

    def __init__(self, site):
        self.base = site.version
        self.least = 0  # the version has to be above it
        self.changed = False
        self.terminal_id = site.terminal_id
        self.parts = {"head": [{"name": site.name, "zone": site.zone}]}
        for part in PARTS:
            rows = getattr(site, part) or ()
            if part in ("settings", "page"):
                rows = [rows] if rows else []
            elif part == "series":
                rows = [rows[point] for point in sorted(rows)]
            names = order(part)
            self.parts[part] = [{name: plain(getattr(row, name)) for name in names} for row in rows]
        self.parts["calendar"] = [{"holidays": list(site.calendar[0]), "worked": list(site.calendar[1])}]
        self.boundary = site.boundary.canonical() if site.boundary else []
        self.parts["entity"] = entity.rows(self.boundary)
        _refer(self, _name_of(self))

    def site(self, version):
        """The Site of what is here; CarbonError where it cannot be."""
        rows, boundary = self.parts, self.boundary
        copy = _Copy(rows, boundary)
        _refer(copy, _index_of(self))
        values = {part: [_values(part, row) for row in copy.parts[part]] for part in PARTS}
        values["series"].sort(key=lambda row: row[0])
        head, calendar = rows["head"][0], rows["calendar"][0]
        document = [sites.FORMAT, version, self.terminal_id, head["name"], head["zone"]]
        document += [values[part] for part in _ROWS] + [values["settings"][0]]
        formed = [values[part] for part in _FORMED]
        if rows["entity"]:
            copy.boundary = entity.bounded(copy.boundary, rows["entity"][0], len(rows["sources"]))
        tail = [
            values["nodes"], copy.boundary, formed if formed != [[], [], []] else [], values["series"],
            [calendar["holidays"], calendar["worked"]] if calendar["holidays"] or calendar["worked"] else [],
            values["page"][0] if values["page"] else [],
        ]  # fmt: skip
        while tail and not tail[-1]:
            tail.pop()
        site = sites.Site(document + tail)
        for index, bus in enumerate(site.buses):
            if bus.kind not in sites.places.SENDERS:
                Budget(site, index)  # refuses what the line cannot do
        _counted_once(site)
        return site

    def names(self, part):
        """Names of a part's rows; "all": of all points."""
        if part == "all":
            return self.names("points") + self.names("manual") + self.names("virtual")
        return [row["name"] for row in self.parts[part]]

    def renamed(self, part, old, new):
        """A row has another name: who names it, names it so."""
        kinds = {"points": "all", "manual": "all", "virtual": "all"}

        def named(kind, value):
            return new if kind == kinds.get(part, part) and value == old else value

        _refer(self, named)


class _Copy:
    def __init__(self, parts, boundary):
        self.parts = {part: [_copied(row) for row in parts[part]] for part in parts}
        self.boundary = _copied(boundary)


def _copied(value):
    if isinstance(value, dict):
        return {name: _copied(one) for name, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, (list, tuple)) else value


def _values(part, row):
    names = order(part)
    short = (part == "centres" and row["mqtt"] is None) or (part == "meters" and row["identifier"] is None)
    if short or (part == "buses" and not is_sender(row)):
        names = names[:-1]
    if part == "settings" and not [1 for name, _, usual in PARTS[part].later() if row[name] != usual]:
        names = names[:2]  # as site.yaml becomes, where nothing is said of them
    return [row[name] for name in names]


def _name_of(draft):
    lists = {kind: draft.names(kind) for kind in ("buses", "meters", "sources", "all")}

    def named(kind, value):
        return lists[kind][value]

    return named


def _index_of(draft):
    lists = {kind: draft.names(kind) for kind in ("buses", "meters", "sources", "all")}

    def index(kind, value):
        if value not in lists[kind]:
            words = {"buses": "bus", "meters": "meter", "sources": "source", "all": "point"}
            raise SiteError("there is no %s %s, and another row names it" % (words[kind], quoted(str(value))),
                            "change that row first · 请先修改引用它的行")  # fmt: skip
        return lists[kind].index(value)

    return index


def _refer(draft, change):
    """Puts change(kind, value) in the place of all references of `parts` and `boundary`."""
    parts = draft.parts
    for row in parts["meters"]:
        row["bus"] = change("buses", row["bus"])
    for row in parts["points"]:
        row["meter"] = change("meters", row["meter"])
    for row in parts["nodes"]:
        row["meters"] = [change("meters", one) for one in row["meters"]]
        if row["meters"] and isinstance(row["meters"][0], int):
            row["meters"].sort()
    for row in parts["series"]:
        row["point"] = change("all", row["point"])
    for row in parts["virtual"]:
        row["parts"] = [[change("all", one[0]), one[1], one[2]] for one in row["parts"]]
    for row in parts["sources"]:
        for feed in row["inputs"]:
            feed[1] = [[change("all", one[0]), one[1], one[2]] for one in feed[1]]
    if draft.boundary:
        draft.boundary = _bounded(draft.boundary, change)


def _bounded(rows, change):
    """The boundary's list, as carbonterm.accounting.boundary has it."""
    rows = _copied(rows)

    def at(row, place, kind):
        if row[place] is not None:
            row[place] = change(kind, row[place])

    for place, kinds in ((4, ((0, "sources"),)), (5, ((0, "meters"), (1, "meters"))), (6, ((0, "meters"),)),
                         (7, ((0, "all"),)), (9, ((3, "sources"),)), (10, ((3, "all"),))):  # fmt: skip
        for row in rows[place]:
            for where, kind in kinds:
                at(row, where, kind)
    for row in rows[11][1] if rows[11] else ():
        at(row, 2, "all")
    return rows


def _counted_once(site):
    """SiteError where a point feeds sources with more than the whole of it, itself or in what is added of it."""
    counted = {}
    for source in site.sources:
        for feed in source.inputs:
            for point, _, _ in feed.points:
                for leaf, share in _leaves(site, point):
                    counted[leaf] = counted.get(leaf, Number(0)) + share
                    if counted[leaf] > 1:
                        name = quoted(site.all_points[leaf].name)
                        raise SiteError("point %s would count twice in source %s" % (name, quoted(source.name)),
                                        "let it feed one source only, or apportion it: virtual")  # fmt: skip


def _leaves(site, point):
    """[(point of a meter or entered, Ratio of it)] that count where a point is counted."""
    first = len(site.all_points) - len(site.virtual)
    if point < first or site.all_points[point].op != combine.SUM:
        return [(point, Ratio(1))]
    found, row = [], site.all_points[point]
    for part, above, below in row.parts:
        if above > 0 and units.fits(site.unit(part), row.unit):
            share = Ratio(above, below) / units.convert(1, site.unit(part), row.unit)
            found += [(leaf, share * of) for leaf, of in _leaves(site, part)]
    return found


def whole(draft, version):
    """(Site, None), or (None, the CarbonError that says why there is none)."""
    try:
        return draft.site(version), None
    except CarbonError as error:
        return None, error
