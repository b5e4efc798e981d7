"""The `boundary` of site.yaml (clauses 9.3, 11.5): who reports, units, sectors, which source belongs where.

`read` gives the rows of carbonterm.accounting.boundary, `check` notes what counts twice with its line; docs/boundary.md
describes the keys.
"""

from carbonterm.accounting import boundary
from carbonterm.accounting.source import METHOD
from carbonterm.errors import CarbonError
from carbonterm.gm import sm3
from carbonterm.number import Number
from carbonterm_host import checklist
from carbonterm_host.yaml_reader import Bad, nearest

CLAUSE = "clause 9.3"
_KEYS = ("divide", "units", "sectors", "sources", "submeters", "apart", "clean", "checklist", "measures", "products")


def read(reader, node, sources):
    """Rows of the boundary, [] where there is none; sources: rows of the document, None where one is bad.

    reader.meter_index, .point_index and .source_index give the indices of names.
    """
    if node is None:
        return []
    try:
        keys = reader.table(node, "the boundary", ("entity",), _KEYS)
    except Bad:
        return []
    made = _Made(reader, keys, sources)
    rows = [made.entity(keys["entity"]), made.divide(), made.units, made.sectors, made.places(node)]
    for name, take in (("submeters", made.submeter), ("apart", made.apart), ("clean", made.clean)):
        rows.append([row for row in made.all(keys.get(name), name, take) if row])
    checked = [row for row in made.all(keys.get("checklist"), "checklist", made.checked) if row]
    rows.append([row for row in checked if len(row) == 3])
    rows.append([row for row in checked if len(row) == 5])
    rows.append([row for row in made.all(keys.get("measures"), "measures", made.measure) if row])
    rows.append(made.products(keys.get("products")))
    if reader.mistakes:
        return rows
    try:
        boundary.Boundary(rows)
    except CarbonError as error:
        reader.note(node, error.what, error.hint)
    return rows


def check(reader, node, rows, site):
    """Notes what is wrong with the boundary `rows` of a Site that was made without it."""
    found = boundary.Boundary(rows)
    places = reader.rows(_key(node, "sources"), "sources")
    lines = {}
    for item in places:
        name = _key(item, "source")
        lines.setdefault(name.value, item)
    for meter, parts in boundary.doubles(found, site):
        names = [site.sources[source].name for source, _ in parts]
        told = [f"source '{site.sources[source].name}' by meter '{site.meters[at].name}'" for source, at in parts]
        what = f"what meter '{site.meters[meter].name}' measures feeds {' and '.join(told)}: it would count twice"
        line = next((lines[name] for name in reversed(names) if name in lines), node)
        reader.note(line, f"{what} ({CLAUSE})", boundary.TWICE_HINT)
    for one, other in boundary.monitored(site, found):
        names = site.sources[one].name, site.sources[other].name
        reader.note(lines.get(names[0], node), f"{boundary.stack_text(*names)} ({CLAUSE})", boundary.STACK_HINT)
    try:
        if not reader.mistakes:
            found.check(site)
    except CarbonError as error:
        reader.note(node, f"{error.what} ({CLAUSE})", error.hint)


def _key(node, name):
    """The value of a key of a mapping that was read before, or None."""
    return next((value for key, value in node.value if key.value == name), None)


class _Made:
    """The parts of a boundary while they are read."""

    def __init__(self, reader, keys, sources):
        self.reader, self.keys, self.sources = reader, keys, sources
        self.sectors, self.units, self.unit_sectors = [], [], []
        self.own = {}
        for item in self.all(keys.get("sectors"), "sectors", self._own_sector):
            if item:
                self.own[item[0]] = item[1]
        for item in reader.rows(keys.get("units"), "units"):
            try:
                self._unit(item)
            except Bad:
                continue

    def all(self, node, name, take):
        """take(item) of a list; None where one is bad."""
        found = []
        for item in self.reader.rows(node, name):
            try:
                found.append(take(item))
            except Bad:
                found.append(None)
        return found

    # --- a) who reports ---------------------------------------------------------------------------------------------

    def entity(self, node):
        """The row of the entity; None where it is wrong."""
        reader = self.reader
        try:
            known = ("code", "equivalent", "type", "registration", "contact", "attachments", "annual")
            keys = reader.table(node, "the entity", ("name",), known)
            code = reader.text(keys["code"]) if "code" in keys else None
            if code is None and "equivalent" not in keys:
                what = f"the reporting entity needs its unified social credit code ({CLAUSE} a)"
                hint = "code: 18 characters, or equivalent: why it is accounted like a legal person"
                raise reader.bad(node, what, hint)
            if code is not None and not boundary.credit_code(code):
                raise reader.bad(keys["code"], f"'{code}' is no unified social credit code: its 18 characters do not "
                                 "check", "copy it from the licence")  # fmt: skip
            return [
                reader.text(keys["name"]), code,
                reader.text(keys["equivalent"]) if "equivalent" in keys else None,
                reader.choice(keys["type"], boundary.TYPES) if "type" in keys else None,
                self._texts(keys.get("registration"), "registration", boundary.REGISTRATION),
                self._texts(keys.get("contact"), "contact", boundary.CONTACT),
                [row for row in self.all(keys.get("attachments"), "attachments", self._attachment) if row],
                self._annual(keys.get("annual")),
            ]  # fmt: skip
        except Bad:
            return None

    def _texts(self, node, name, known):
        keys = {} if node is None else self.reader.table(node, name, (), known)
        return [self.reader.text(keys[key]) if key in keys else None for key in known]

    def _attachment(self, node):
        path = self.reader.folder / self.reader.text(node)
        try:
            return [path.name, sm3.digest(path.read_bytes())]
        except OSError as error:
            raise self.reader.bad(node, f"the attachment cannot be read: {error.strerror}", "name a file") from None

    def _annual(self, node):
        if node is None:
            return None
        keys = self.reader.table(node, "annual", ("year", "tco2e"))
        return [self.reader.integer(keys["year"], 1970, 9999), _pair(self.reader.number(keys["tco2e"]))]

    # --- b) units, c) sectors ---------------------------------------------------------------------------------------

    def divide(self):
        """How the units are divided; noted where it does not fit them."""
        node = self.keys.get("divide")
        try:
            said = "none" if node is None else self.reader.choice(node, boundary.DIVIDES)
        except Bad:
            return "none"
        if (said == "none") == bool(self.units):
            what = "units without saying how they are divided" if self.units else f"divided by {said}, and no units"
            self.reader.note(node or self.keys["units"], f"the boundary has {what} ({CLAUSE} b)",
                             "divide: purpose or site, with units; none or nothing, without")  # fmt: skip
        return said

    def _own_sector(self, node):
        keys = self.reader.table(node, "a sector of one's own", ("id", "name"))
        name = self.reader.text(keys["id"])
        if name in checklist.sectors():
            raise self.reader.bad(node, f"'{name}' is a published sector already", "give yours another id")
        return name, self.reader.text(keys["name"])

    def sector(self, node):
        """Index of a sector, which is noted among the boundary's."""
        name = self.reader.text(node)
        known = checklist.sectors()
        if name in known:
            row = [name, known[name]["name_zh"], False]
        elif name in self.own:
            row = [name, self.own[name], True]
        else:
            ids = {row["name_zh"]: row["id"] for row in known.values()}
            hint = f"write {ids[name]}" if name in ids else nearest(name, [*self.own, *known])
            raise self.reader.bad(node, f"there is no sector '{name}' ({CLAUSE} c)", hint)
        if row not in self.sectors:
            self.sectors.append(row)
        return self.sectors.index(row)

    def _unit(self, node):
        keys = self.reader.table(node, "a unit", ("name",), ("of", "sector", "sectors"))
        name, names = self.reader.text(keys["name"]), [unit[0] for unit in self.units]
        above = None
        if "of" in keys:
            above = self.reader.reference(keys["of"], {name: i for i, name in enumerate(names)}, "unit above")
        if name in names:
            raise self.reader.bad(node, f"two units are named '{name}'", "give each a name of its own")
        nodes = [keys["sector"]] if "sector" in keys else self.reader.rows(keys.get("sectors"), "sectors")
        sectors = [self.sector(one) for one in nodes]
        self.units.append([name, above])
        self.unit_sectors.append(sectors or ([] if above is None else self.unit_sectors[above]))

    # --- d) sources ---------------------------------------------------------------------------------------------------

    def places(self, node):
        """Rows of the places; a source that has none is noted, or is the entity's where nothing is divided."""
        reader = self.reader
        listed = self.keys.get("sources")
        rows = [row for row in self.all(listed, "sources", self._place) if row]
        for name, index in reader.source_index.items():
            if self.sources[index] is None:
                continue
            shares = [Number(*row[6]) for row in rows if row[0] == index]
            total = sum(shares, Number(0))
            if not shares and self.units:
                reader.note(listed or node, f"source '{name}' is in no unit ({CLAUSE} d)",
                            f"- {{source: {name}, unit: …}}, or exclude: and the reason")  # fmt: skip
            elif not shares:
                rows.append([index, None, None, None, None, False, [1, 0], None])
            elif total != 1:
                items = [item for item in reader.rows(listed, "sources") if _key(item, "source").value == name]
                reader.note(items[-1], f"the shares of source '{name}' sum to {total.normal()}, not to 1 ({CLAUSE} d)",
                            "a share that is not yours is excluded, with its reason")  # fmt: skip
        return rows

    def _place(self, node):
        reader = self.reader
        keys = reader.table(node, "a place", ("source",), ("unit", "sector", "kind", "category", "share", "exclude"))
        source = reader.reference(keys["source"], reader.source_index, "source")
        names = {unit[0]: i for i, unit in enumerate(self.units)}
        unit = reader.reference(keys["unit"], names, "unit") if "unit" in keys else None
        share = reader.number(keys["share"]) if "share" in keys else Number(1)
        if not 0 < share <= 1:
            raise reader.bad(keys["share"], f"a share is above 0 and at most 1, not {share}")
        if self.sources[source] is None:
            raise Bad
        sector = self.sector(keys["sector"]) if "sector" in keys else None
        method = self.sources[source][1][METHOD][0]
        if sector is None and unit is not None:
            sector = self._sector_of(method, self.unit_sectors[unit])
        published = sector is not None and not self.sectors[sector][2]
        custom = published and method not in checklist.methods_of(self.sectors[sector][0])
        return [
            source, unit, sector,
            reader.choice(keys["kind"], boundary.KINDS) if "kind" in keys else None,
            reader.integer(keys["category"], 1, 6) if "category" in keys else None,
            custom, _pair(share), reader.text(keys["exclude"]) if "exclude" in keys else None,
        ]  # fmt: skip

    def _sector_of(self, method, sectors):
        """Of a unit's sectors the one whose methods have this one; else its only one."""
        for sector in sectors:
            if method in checklist.methods_of(self.sectors[sector][0]):
                return sector
        return sectors[0] if len(sectors) == 1 else None

    # --- what must not be counted twice, and what stands beside ------------------------------------------------------

    def submeter(self, node):
        keys = self.reader.table(node, "a submeter", ("meter", "main"))
        return [self.reader.reference(keys[key], self.reader.meter_index, "meter") for key in ("meter", "main")]

    def apart(self, node):
        keys = self.reader.table(node, "apart", ("meter", "reason"))
        meter = self.reader.reference(keys["meter"], self.reader.meter_index, "meter")
        return [meter, self.reader.text(keys["reason"])]

    def clean(self, node):
        keys = self.reader.table(node, "clean energy", ("point", "type"))
        return [self._point(keys["point"]), self.reader.choice(keys["type"], boundary.CLEAN)]

    def checked(self, node):
        """[sector, item, reason], or [sector, item, unit, source, parameter] of an item that is collected."""
        reader = self.reader
        keys = reader.table(node, "checklist", ("sector", "item"), ("reason", "unit", "source", "parameter"))
        sector, item = self.sector(keys["sector"]), reader.text(keys["item"])
        known = {row["id"]: row["unit"] for row in checklist.items(self.sectors[sector][0])}
        if "reason" in keys:
            if item not in known:
                raise reader.bad(keys["item"], f"the checklist has no item '{item}'", nearest(item, list(known)))
            return [sector, item, reader.text(keys["reason"])]
        if item not in known and "unit" not in keys:
            raise reader.bad(node, f"'{item}' is an item of your own: it needs its unit (clause 5.2)",
                             "unit: t, or one of the items: " + ", ".join(known))  # fmt: skip
        unit = reader.text(keys["unit"]) if "unit" in keys else known[item]
        source = reader.reference(keys["source"], reader.source_index, "source") if "source" in keys else None
        return [sector, item, unit, source, reader.text(keys["parameter"]) if "parameter" in keys else None]

    def measure(self, node):
        reader = self.reader
        keys = reader.table(node, "a measure", ("kind", "name", "unit"), ("point", "value", "year"))
        kind = reader.choice(keys["kind"], boundary.MEASURES)
        point, amount = self._amount(node, keys)
        year = None if kind == "area" else self._year(node, keys, (point, amount))
        return [kind, reader.text(keys["name"]), reader.text(keys["unit"]), point, amount, year]

    def _year(self, node, keys, amount):
        """The year that an amount which is said holds for; None of one that is measured."""
        if amount[1] is not None and "year" not in keys:
            raise self.reader.bad(node, "an amount holds for a year: say for which", "year: 2026, or point: its meter")
        return self.reader.integer(keys["year"], 1970, 9999) if amount[1] is not None else None

    def products(self, node):
        """[] or [allocation, rows]."""
        if node is None:
            return []
        try:
            keys = self.reader.table(node, "products", ("by", "rows"))
            by = self.reader.choice(keys["by"], boundary.ALLOCATIONS)
            return [by, [row for row in self.all(keys["rows"], "rows", self._product) if row]]
        except Bad:
            return []

    def _product(self, node):
        reader = self.reader
        keys = reader.table(node, "a product", ("name", "unit"), ("point", "value", "year", "weight"))
        weight = reader.number(keys["weight"]) if "weight" in keys else Number(1)
        if not weight > 0:
            raise reader.bad(keys["weight"], "a weight is above 0")
        amount = self._amount(node, keys)
        year = self._year(node, keys, amount)
        return [reader.text(keys["name"]), reader.text(keys["unit"]), *amount, year, _pair(weight)]

    def _amount(self, node, keys):
        if ("point" in keys) == ("value" in keys):
            raise self.reader.bad(node, "it needs a point or a value, not both", "point: the meter's, or value: 1200")
        if "point" in keys:
            return self._point(keys["point"]), None
        value = self.reader.number(keys["value"])
        if value < 0:
            raise self.reader.bad(keys["value"], "an amount is not below 0")
        return None, _pair(value)

    def _point(self, node):
        return self.reader.reference(node, self.reader.point_index, "point")


def _pair(number):
    return [number.mantissa, number.exponent]
