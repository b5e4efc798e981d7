"""The accounting boundary of a reporter (核算边界, clause 9.3), in the canonical form that the site document embeds.

Who reports, its units by purpose or by site, their sectors, which emission source belongs where and with what share,
what is left out and why, and what must not be counted twice. It is a plain list; `Boundary(rows)` checks its shape,
`check(site)` that it fits a Site, every source stands in it whole and nothing counts twice.

    [entity, divide, units, sectors, places, submeters, apart, clean, absent, extra, measures, products]
    entity   = [name, code, equivalent, type, registration, contact, attachments, annual]    only the name is never null
               code: unified social credit code; equivalent: why it is accounted like a legal person without one
    units    = [[name, index of the unit above or null], …]     sectors = [[id, name, extension], …]
    places   = [[source, unit, sector, kind, category, custom, share, reason], …]     unit to category may be null
               a reason, not null: this share of the source is outside the boundary
    submeters = [[meter, main meter], …]        apart = [[meter, why two sources may both use it], …]
    clean    = [[point, type], …]               clean energy: shown as energy, in no total
    absent   = [[sector, item, reason], …]      extra = [[sector, name, unit, source or null, parameter or null], …]
    measures = [[kind, name, unit, point or null, amount or null, year or null], …]   denominators of intensities
    products = [] or [allocation, [[name, unit, point or null, amount or null, year or null, weight], …]]
An amount, a share and a weight are [mantissa, exponent]; all references are indices.
"""

from carbonterm import units
from carbonterm.accounting.source import METHOD, SCOPE, SIGN, kind
from carbonterm.errors import CarbonError, SiteError, quoted
from carbonterm.number import Number, Ratio

DIVIDES = ("none", "purpose", "site")
TYPES = ("key", "general")  # 重点排放单位, 非重点排放单位
KEY_TONNES = 26000  # of CO2 equivalent in a year, from which on a unit is a key one (clause 1)
KINDS = ("combustion", "feedstock", "carbonate", "recovery", "process", "fugitive", "electricity", "heat", "transport",
         "other", "sink")  # fmt: skip
CLEAN = ("pv", "wind", "hydro", "biomass", "geothermal", "nuclear", "green", "other")
MEASURES = ("output", "product", "area")  # 产值, 产量, 面积
ALLOCATIONS = ("mass", "energy", "value")
REGISTRATION = ("date", "authority", "representative", "capital", "address")
CONTACT = ("name", "phone", "email")
_CODE = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # GB 32100-2015


class Entity:
    """Who reports (单位基本信息): name, code, equivalent, type, registration and contact (lists of texts or None as
    REGISTRATION and CONTACT name them), attachments [(name, SM3)], annual (year, tCO2e as Number) or None."""

    __slots__ = ("name", "code", "equivalent", "type", "registration", "contact", "attachments", "annual")

    def __init__(self, rows):
        rows = _list(rows, "entity", 8)
        self.name, self.code = _text(rows[0], "entity, name", 128), _text(rows[1], "entity, code", 18, True)
        self.equivalent = _text(rows[2], "entity, equivalent", 200, True)
        if self.code is None and self.equivalent is None:
            raise SiteError("the reporting entity has neither a credit code nor a reason to be accounted like a legal "
                            "person (9.3)", "give its 18 characters as code, or equivalent: the reason")  # fmt: skip
        if self.code is not None and not credit_code(self.code):
            raise SiteError("%s is no unified social credit code" % quoted(self.code), "copy it from the licence")
        self.type = None if rows[3] is None else _choice(rows[3], TYPES, "entity, type")
        self.registration = _texts(rows[4], REGISTRATION, "registration")
        self.contact = _texts(rows[5], CONTACT, "contact")
        self.attachments = []
        for row in _list(rows[6], "attachments"):
            name, digest = _list(row, "attachment", 2)
            if not isinstance(digest, bytes) or len(digest) != 32:
                raise SiteError("attachment %s: its digest is not 32 bytes" % quoted(str(name)))
            self.attachments.append((_text(name, "attachment, name", 128), digest))
        self.annual = None
        if rows[7] is not None:
            year, tonnes = _list(rows[7], "annual", 2)
            self.annual = _integer(year, 1970, 9999, "annual, year"), _number(tonnes, "annual, tCO2e")


class Boundary:
    """`Boundary(rows)`: the canonical list, checked in shape; SiteError names the part that is wrong.

    entity; divide; units [(name, above)]; sectors [(id, name, extension)]; places (list of Place); submeters {meter:
    main}; apart {meter: why}; clean [(point, type)]; absent [(sector, item, reason)]; extra [(sector, name, unit,
    source, parameter)]; measures [(kind, name, unit, point, amount, year)]; allocation and products [(name, unit,
    point, amount, year, weight)], None and [] where there are none.
    """

    __slots__ = ("entity", "divide", "units", "sectors", "places", "submeters", "apart", "clean", "absent", "extra",
                 "measures", "allocation", "products", "_rows")  # fmt: skip

    def __init__(self, rows):
        self._rows = rows = _list(rows, "boundary", 12)
        self.entity = Entity(rows[0])
        self.divide = _choice(rows[1], DIVIDES, "divide")
        self._structure(rows)
        self.submeters, self.apart = {}, {}
        for row in _list(rows[5], "submeters"):
            meter, main = [_index(value, 65536, "submeter") for value in _list(row, "submeter", 2)]
            self.submeters[meter] = main
        for row in _list(rows[6], "apart"):
            meter, why = _list(row, "apart", 2)
            self.apart[_index(meter, 65536, "apart")] = _text(why, "apart", 200)
        self.clean = []
        for row in _list(rows[7], "clean"):
            point, kind = _list(row, "clean energy", 2)
            self.clean.append((_index(point, 65536, "clean energy"), _choice(kind, CLEAN, "clean energy")))
        self._lists(rows)
        self._products(rows[11])

    def canonical(self):
        """The list it was made of."""
        return self._rows

    def inside(self):
        """{index of a source: share of it that is inside the boundary (Number)}; what is left out whole has none."""
        found = {}
        for place in self.places:
            if place.reason is None:
                found[place.source] = found.get(place.source, Number(0)) + place.share
        return found

    def _structure(self, rows):
        self.units, self.sectors, self.places = [], [], []
        for row in _list(rows[2], "units"):
            name, above = _list(row, "unit", 2)
            # a unit stands behind the one above it, so that no unit is above itself
            above = None if above is None else _index(above, len(self.units), "unit, above")
            self.units.append((_text(name, "unit, name", 64), above))
        for row in _list(rows[3], "sectors"):
            name, title, extension = _list(row, "sector", 3)
            self.sectors.append((_text(name, "sector", 64), _text(title, "sector, name", 64), _flag(extension)))
        for rule, names in (("unit", [unit[0] for unit in self.units]), ("sector", [one[0] for one in self.sectors])):
            for name in names:
                if names.count(name) > 1:
                    raise SiteError("boundary: two %ss are named %s" % (rule, quoted(name)))
        if self.divide == "none" and self.units:
            raise SiteError("boundary: it is not divided, and has units", "say divide: purpose or site")
        for row in _list(rows[4], "places"):
            self.places.append(Place(row, len(self.units), len(self.sectors)))

    def _lists(self, rows):
        count = len(self.sectors)
        self.absent, self.extra, self.measures = [], [], []
        for row in _list(rows[8], "absent"):
            sector, item, reason = _list(row, "absent", 3)
            self.absent.append((_index(sector, count, "absent"), _text(item, "absent, item", 64),
                                _text(reason, "absent, reason", 200)))  # fmt: skip
        for row in _list(rows[9], "extra"):
            sector, name, unit, source, parameter = _list(row, "extra", 5)
            source = None if source is None else _index(source, 65536, "extra, source")
            name, unit = _text(name, "extra, name", 64), _text(unit, "extra, unit", 32)
            self.extra.append((_index(sector, count, "extra"), name, unit, source, _text(parameter, "extra", 64, True)))
        for row in _list(rows[10], "measures"):
            kind, name, unit, point, amount, year = _list(row, "measure", 6)
            where = "measure %s" % quoted(str(name))
            point, amount = _amount(point, amount, where)
            year = None if year is None else _integer(year, 1970, 9999, where)
            self.measures.append((_choice(kind, MEASURES, where), _text(name, where, 64), _text(unit, where, 32),
                                  point, amount, year))  # fmt: skip

    def _products(self, rows):
        self.allocation, self.products = None, []
        if not _list(rows, "products"):
            return
        allocation, rows = _list(rows, "products", 2)
        self.allocation = _choice(allocation, ALLOCATIONS, "products, allocation")
        for row in _list(rows, "products"):
            name, unit, point, amount, year, weight = _list(row, "product", 6)
            where = "product %s" % quoted(str(name))
            point, amount = _amount(point, amount, where)
            weight = _number(weight, where)
            if not weight > 0:
                raise SiteError("%s: its weight is not above 0" % where)
            year = None if year is None else _integer(year, 1970, 9999, where)
            self.products.append((_text(name, where, 64), _text(unit, where, 32), point, amount, year, weight))

    def check(self, site):
        """Refuses (SiteError) what does not fit the rows of a Site, a source that does not stand in it whole, and what
        would count twice."""
        sources, points, meters = site.sources, site.all_points, site.meters
        for limit, name, used in (
            (len(sources), "source", [place.source for place in self.places]),
            (len(sources), "source", [row[3] for row in self.extra if row[3] is not None]),
            (len(meters), "meter", list(self.submeters) + list(self.submeters.values()) + list(self.apart)),
            (len(points), "point", [row[0] for row in self.clean]),
            (len(points), "point", [row[3] for row in self.measures if row[3] is not None]),
            (len(points), "point", [row[2] for row in self.products if row[2] is not None]),
        ):
            for index in used:
                if index >= limit:
                    raise SiteError("boundary: it names %s %d of %d" % (name, index, limit))
                if name == "point" and not site.is_amount(index):
                    raise SiteError("boundary: point %s is a value of the moment" % quoted(points[index].name),
                                    "only amounts add up: a register, or integrate: linear")  # fmt: skip
        for index in range(len(sources)):
            shares = [place.share for place in self.places if place.source == index]
            total = Number(0)
            for share in shares:
                total = total + share
            if total != 1:
                what = "source %s has shares that sum to %s" % (quoted(sources[index].name), total)
                if not shares:
                    what = "source %s has no place in it" % quoted(sources[index].name)
                hint = "give it a unit; a share that is not yours is excluded, with its reason"
                raise SiteError("boundary: " + what, hint)
        for meter in self.submeters:
            above, seen = self.submeters.get(meter), [meter]
            while above is not None:
                if above in seen:
                    raise SiteError("boundary: meter %s is a submeter of itself" % quoted(meters[meter].name))
                seen.append(above)
                above = self.submeters.get(above)
        for meter, parts in doubles(self, site):
            told = ["source %s by meter %s" % (quoted(sources[source].name), quoted(meters[at].name))
                    for source, at in parts[:3]]  # fmt: skip
            what = "what meter %s measures feeds %s" % (quoted(meters[meter].name), " and ".join(told))
            raise SiteError("boundary: %s: it would count twice" % what, TWICE_HINT)
        for one, other in monitored(site, self):
            raise SiteError("boundary: " + stack_text(sources[one].name, sources[other].name), STACK_HINT)


STACK = ("combustion", "feedstock", "carbonate", "process")  # what may leave by a stack
STACK_HINT = "exclude one of them; where the stack is of no accounted source, name its monitor under apart and say so"
TWICE_HINT = "let one source have it, exclude one, or say under apart why what they measure is not the same"


class Place:
    """Where a share of a source belongs: source, unit, sector (indices or None), kind, category (ISO 14064-1, 1 to 6;
    both None: what its method says), custom (its method is none of the sector's), share (Number, above 0, at most 1),
    reason it is outside, or None."""

    __slots__ = ("source", "unit", "sector", "kind", "category", "custom", "share", "reason")

    def __init__(self, row, units, sectors):
        row = _list(row, "place", 8)
        self.source = _index(row[0], 65536, "place, source")
        self.unit = None if row[1] is None else _index(row[1], units, "place, unit")
        self.sector = None if row[2] is None else _index(row[2], sectors, "place, sector")
        self.kind = None if row[3] is None else _choice(row[3], KINDS, "place, kind")
        self.category = None if row[4] is None else _integer(row[4], 1, 6, "place, category")
        self.custom, self.share = _flag(row[5]), _number(row[6], "place, share")
        if not self.share.ratio() > 0 or self.share > 1:
            raise SiteError("boundary, place: a share is above 0 and at most 1, not %s" % self.share)
        self.reason = _text(row[7], "place, reason", 200, True)


def doubles(boundary, site):
    """[(meter, [(source, meter that feeds it), …])] of the meters whose flow counts more than once in a scope.

    What flows through a meter also flows through its main meter. So what it counts is the sum of the shares with which
    it and its main meters feed sources of one scope and sign that are inside, and that is at most 1: a main meter less
    its submeter beside the submeter is right, and so are shares of one meter that sum to one.
    """
    inside = boundary.inside()
    fed = {}  # (scope, sign, meter): [(source, share, unit)]
    for index in sorted(inside):
        compiled = site.sources[index].compiled
        for (meter, unit), share in _shares(site.sources[index], site).items():
            key = compiled[SCOPE], compiled[SIGN], meter
            fed.setdefault(key, []).append((index, share * inside[index], unit))
    found = []
    for scope, sign, meter in sorted(fed):
        for _, _, unit in fed[(scope, sign, meter)]:
            parts, total, at = [], Ratio(0), meter
            while at is not None and meter not in boundary.apart:
                for source, share, measured in fed.get((scope, sign, at), ()):
                    if units.fits(unit, measured):
                        parts.append((source, at))
                        total = total + share
                at = boundary.submeters.get(at)
                if at in boundary.apart:
                    break
            if len(parts) > 1 and total > 1 and (meter, parts) not in found:
                found.append((meter, parts))
    return found


def stack_text(monitored, accounted):
    """Why the two sources cannot both count."""
    return "the stack's monitor of source %s measures what source %s accounts: it would count twice" % (
        quoted(monitored), quoted(accounted))  # fmt: skip


def monitored(site, boundary=None):
    """[(source, accounted source), …], indices: sources of a stack's monitor (method "cems") beside one that may leave
    by that stack: direct, of a kind of STACK, in the same unit or one above or below. A monitored figure checks an
    accounted one and is never added to it. `apart` names the monitor's meter where the stack is of none."""
    places, found = {}, []
    for place in () if boundary is None else boundary.places:
        if place.reason is None:
            places.setdefault(place.source, []).append(place.unit)
    for one, source in enumerate(site.sources):
        if source.compiled[METHOD][0] != "cems" or (boundary is not None and _is_apart(source, site, boundary)):
            continue
        for other, beside in enumerate(site.sources):
            compiled = beside.compiled
            direct = compiled[SCOPE] == 1 and compiled[SIGN] == 1 and kind(compiled) in STACK
            if not direct or compiled[METHOD][0] == "cems":
                continue
            near = boundary is None or [
                1 for unit in places.get(one, ()) for at in places.get(other, ())
                if unit in _above(boundary, at) or at in _above(boundary, unit)
            ]  # fmt: skip
            if near:
                found.append((one, other))
    return found


def _is_apart(source, site, boundary):
    meters = [meter for meter, _ in _shares(source, site)]
    return meters != [] and all([meter in boundary.apart for meter in meters])


def _above(boundary, unit):
    """A unit (None: the whole) with those above it."""
    found = [unit]
    while unit is not None:
        unit = boundary.units[unit][1]
        found.append(unit)
    return found


def _shares(source, site):
    """{(meter, unit): share of what it measures, at most 1} that feed a source; of several points of a meter in one
    unit (its tariffs, its channels) the largest counts."""
    found = {}
    for feed in source.inputs:
        for row in feed.points:
            for meter, unit, share in _leaves(site, row[0], Ratio(1)):
                known = found.get((meter, unit))
                share = Ratio(1) if share > 1 else share
                if known is None or share > known:
                    found[(meter, unit)] = share
    return found


def _leaves(site, index, share):
    """[(meter, unit, share)] of the meters' points that a point is made of; what a person enters has none."""
    row = site.all_points[index]
    if row.meter is not None:
        return [(row.meter, site.unit(index), share)]
    found = []
    for part, numerator, denominator in getattr(row, "parts", ()):
        own, unit = Ratio(numerator, denominator), site.unit(part)
        same = units.fits(unit, row.unit)
        if row.op == "sum" and same:  # its ratio converts units, too
            found.extend(_leaves(site, part, share * own * units.factor(row.unit, unit)))
        elif same:
            found.extend(_leaves(site, part, share))
    return found


def unlinked(boundary, site):
    """Indices of the meters of which no point feeds a source, a clean energy, a measure or a product."""
    points = site.all_points
    fed = [row[0] for source in site.sources for feed in source.inputs for row in feed.points]
    for rows, at in ((boundary.clean, 0), (boundary.measures, 3), (boundary.products, 2)):
        fed.extend([row[at] for row in rows if row[at] is not None])
    used = []
    for index in fed:  # what is behind a virtual point is found behind it in the list
        used.append(points[index].meter)
        fed.extend([part[0] for part in getattr(points[index], "parts", ()) if part[0] not in fed])
    return [index for index in range(len(site.meters)) if index not in used]


def is_key(tonnes):
    """Whether so many tCO2e in a year (Number) make a key emission unit (不低于2.6万吨/年)."""
    return tonnes >= KEY_TONNES


def type_of(boundary, tonnes=None):
    """ "key" or "general": as declared; else a key unit has 26 000 t a year or more in a sector that is published.
    tonnes: this year's, where they are known; else what the entity says of a year."""
    entity = boundary.entity
    if entity.type is not None:
        return entity.type
    known = [value for value in (tonnes, entity.annual and entity.annual[1]) if value is not None]
    covered = [one for one in boundary.sectors if not one[2]] or not boundary.sectors
    return "key" if covered and [value for value in known if is_key(value)] else "general"


def credit_code(text):
    """Whether a text is a unified social credit code: 18 characters, the last of which checks (GB 32100-2015)."""
    if len(text) != 18:
        return False
    places = [_CODE.find(c) for c in text]
    if min(places) < 0:
        return False
    total, weight = 0, 1
    for place in places[:17]:
        total += place * weight
        weight = weight * 3 % 31
    return (31 - total % 31) % 31 == places[17]


def changes(old, new):
    """What is different between two Boundaries (None: none), one text per part, for the audit trail."""
    if old is None or new is None:
        return [] if old is new else ["boundary: %s" % ("removed" if new is None else "configured")]
    names = ("entity", "divide", "units", "sectors", "places", "submeters", "apart", "clean", "absent", "extra",
             "measures", "products")  # fmt: skip
    return ["boundary, %s: changed" % name for name, one, other in zip(names, old.canonical(), new.canonical())
            if one != other]  # fmt: skip


# --- checks of single values ---------------------------------------------------------------------------------------


def _list(value, where, count=None):
    if not isinstance(value, list) or len(value) > 4096 or (count is not None and len(value) != count):
        raise SiteError("boundary, %s: must be a list%s" % (where, "" if count is None else " of %d" % count))
    return value


def _text(value, where, limit, optional=False):
    if value is None and optional:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= limit:
        raise SiteError("boundary, %s: must be a text of 1 to %d characters" % (where, limit))
    return value


def _texts(value, names, where):
    values = _list(value, where, len(names))
    return [_text(values[i], "%s, %s" % (where, names[i]), 200, True) for i in range(len(names))]


def _choice(value, allowed, where):
    if value not in allowed:
        raise SiteError("boundary, %s: must be one of %s" % (where, ", ".join(allowed)))
    return value


def _integer(value, low, high, where):
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise SiteError("boundary, %s: must be an integer from %d to %d" % (where, low, high))
    return value


def _index(value, count, where):
    return _integer(value, 0, count - 1, where)


def _flag(value):
    if value is not True and value is not False:
        raise SiteError("boundary: a flag must be true or false")
    return value


def _number(value, where):
    _list(value, where, 2)
    try:
        return Number(value[0], value[1])
    except CarbonError as error:
        raise SiteError("boundary, %s: %s" % (where, error.what), error.hint)


def _amount(point, amount, where):
    """(point, Number) of what is measured or said: exactly one of them, the other None."""
    if (point is None) == (amount is None):
        raise SiteError("boundary, %s: it has a point or an amount" % where)
    if point is not None:
        return _index(point, 65536, where), None
    amount = _number(amount, where)
    if amount < 0:
        raise SiteError("boundary, %s: its amount is below 0" % where)
    return None, amount
