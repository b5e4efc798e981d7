"""Emissions over a boundary and a span: level by level, by unit, by category, by gas (clauses 9.3, 9.4, 11.7).

Everything is integers of grams: the figures as the log has them, added; a share of one is apportioned so that the
shares sum to it exactly. So every level is the exact sum of the next, and the total is the same in every tree.

    total = direct + energy + other, less recovery and export; sinks (below 0) stand beside it; net = total + sinks
"""

from carbonterm import clock, units
from carbonterm.accounting import boundary as boundaries
from carbonterm.accounting import source as accounting
from carbonterm.accounting.records import POINT, SOURCE
from carbonterm.errors import AccountingError, CarbonError, UnitError
from carbonterm.number import Number, Ratio

PLACES = 6
MONITORED = "a stack's monitor, which checks the accounted sources and is not added to them"
DIMENSIONS = ("direct", "energy", "other", "sink")  # 直接, 能源间接, 其他间接, 碳汇: scopes 1 to 3, and sinks


class Line:
    """A share of a source inside the boundary: source (its name), unit and sector (indices or None), scope, dimension,
    kind, category, custom, method (id), fuel (id or None), grams (integer), gases {gas: grams}, unknown [(begin, end)],
    quality, until, unconfirmed (ids of factors), reason (None: inside)."""

    __slots__ = ("source", "unit", "sector", "scope", "dimension", "kind", "category", "custom", "method", "fuel",
                 "grams", "gases", "unknown", "quality", "until", "unconfirmed", "reason", "share", "inputs")


class Node:
    """A level of the tree: level ("entity", "unit", "sector", "source", "meter"), name, grams [direct, energy, other,
    sink], children, line (of a source), unknown (whether a figure below is)."""

    __slots__ = ("level", "name", "grams", "children", "line", "unknown")

    def __init__(self, level, name, children=(), line=None):
        self.level, self.name, self.children, self.line = level, name, list(children), line
        self.grams, self.unknown = [0, 0, 0, 0], line is not None and len(line.unknown) > 0
        if line is not None:
            self.grams[DIMENSIONS.index(line.dimension)] = line.grams
        for child in self.children:
            self.grams = [self.grams[i] + child.grams[i] for i in range(4)]
            self.unknown = self.unknown or child.unknown

    @property
    def total(self):
        """Grams without sinks."""
        return sum(self.grams[:3])


def lines(site, records, begin_ms, end_ms):
    """The Lines of all sources of a Site over a span, those outside the boundary too. Without a boundary all sources
    are the site's own, but a stack's monitor beside what may leave by the stack is outside: never is it added. A source
    that the site no longer has is a line of its own, without a place."""
    found = []
    boundary = site.boundary
    checks = [] if boundary is not None else [one for one, _ in boundaries.monitored(site)]
    for index, source in enumerate(site.sources):
        total = records.total(SOURCE, source.name, begin_ms, end_ms)
        places = [] if boundary is None else [place for place in boundary.places if place.source == index]
        weights = [place.share for place in places] or [Number(1)]
        grams = apportion(total.value.at(-PLACES), weights)
        gases = [(gas, apportion(part, weights)) for gas, part in _gases(site, source, records, total)]
        for at, place in enumerate(places or [None]):
            line = _line(source, total, place)
            line.grams = grams[at]
            line.reason = MONITORED if index in checks else line.reason
            line.gases = dict([(gas, part[at]) for gas, part in gases])
            found.append(line)
    known = [source.name for source in site.sources]
    for name in records.names(SOURCE):
        if name not in known:
            total = records.total(SOURCE, name, begin_ms, end_ms)
            if total.parts:
                found.append(_former(name, total))
    return found


def _line(source, total, place):
    compiled, line = source.compiled, Line()
    line.source, line.scope = source.name, compiled[accounting.SCOPE]
    line.unit = line.sector = line.reason = None
    line.custom, line.share = False, Number(1)
    line.kind, line.category = accounting.kind(compiled), accounting.category(compiled)
    if place is not None:
        line.unit, line.sector, line.reason = place.unit, place.sector, place.reason
        line.custom, line.share = place.custom, place.share
        line.kind, line.category = place.kind or line.kind, place.category or line.category
    line.dimension = "sink" if line.kind == "sink" else DIMENSIONS[line.scope - 1]
    line.method, line.fuel = compiled[accounting.METHOD][0], fuel_of(compiled)
    line.unknown, line.quality, line.until = total.unknown, total.quality, total.until
    line.unconfirmed, line.inputs = accounting.unconfirmed(compiled), source.inputs
    return line


def _former(name, total):
    line = Line()
    line.source, line.scope, line.dimension, line.kind, line.category = name, 1, "direct", "other", 1
    line.unit = line.sector = line.fuel = line.reason = None
    line.custom, line.method, line.share, line.inputs = True, "", Number(1), ()
    line.grams = total.value.at(-PLACES)
    line.gases, line.unconfirmed = {"": line.grams}, []
    line.unknown, line.quality, line.until = total.unknown, total.quality, total.until
    return line


def _gases(site, source, records, total):
    """[(gas, grams)] that sum to a source's total: all of it where it has one gas; else by the activity data of the
    same periods. Where those are not all there the gases are told together."""
    compiled = source.compiled
    gases = []
    for part in accounting.parts(compiled):
        if part[0] not in gases:
            gases.append(part[0])
    grams = total.value.at(-PLACES)
    if len(gases) == 1:
        return [(gases[0], grams)]
    exact = dict([(gas, Ratio(0)) for gas in gases])
    for period, start_ms, _ in total.parts:
        values = {}
        for feed in source.inputs:
            amount = Ratio(0)
            for point, numerator, denominator in feed.points:
                one = records.total(POINT, site.all_points[point].name, 0, 0, [(period, start_ms)])
                if not one.parts:
                    return [(", ".join(gases), grams)]
                amount = amount + Ratio(numerator, denominator) * one.value
            values[feed.parameter] = amount
        try:
            for gas, _, tonnes in accounting.by_gas(compiled, values):
                exact[gas] = exact[gas] + tonnes
        except CarbonError:
            return [(", ".join(gases), grams)]
    if not [gas for gas in gases if exact[gas] != 0]:
        return [(", ".join(gases), grams)]
    return list(zip(gases, apportion(grams, [abs(exact[gas]) for gas in gases])))


def fuel_of(compiled):
    """Id of the fuel whose calorific value a compiled source uses, as its fuel set names it; None where it has none."""
    for name, _, _, _, origin in compiled[accounting.CONSTANTS]:
        parts = [] if origin is None else origin[0].split("/")
        if name == "NCV" and len(parts) == 3:
            return parts[1]
    return None


def tree(site, found):
    """The Node of the legal entity over the Lines inside the boundary: units, sectors, sources, meters."""
    boundary = site.boundary
    inside = [line for line in found if line.reason is None]
    if boundary is None:
        return Node("entity", site.name, [_source_node(site, line) for line in inside])
    below = {}
    for index in range(len(boundary.units)):
        below.setdefault(boundary.units[index][1], []).append(index)

    def level(unit):
        children = []
        for sector in [None] + list(range(len(boundary.sectors))):
            rows = [_source_node(site, line) for line in inside if (line.unit, line.sector) == (unit, sector)]
            if rows and sector is not None:
                rows = [Node("sector", boundary.sectors[sector][1], rows)]
            children.extend(rows)
        for index in below.get(unit, ()):
            children.append(Node("unit", boundary.units[index][0], level(index)))
        return children

    return Node("entity", boundary.entity.name, level(None))


def _source_node(site, line):
    meters = []
    for feed in line.inputs:
        for name in fed_by(site, feed):
            if name not in meters:
                meters.append(name)
    node = Node("source", line.source, (), line)
    node.children = [Node("meter", name) for name in meters]
    return node


def fed_by(site, feed):
    """Names of the meters, or of the manual points, that feed an input of a source."""
    names, left = [], [row[0] for row in feed.points]
    while left:
        point = site.all_points[left.pop(0)]
        if point.meter is not None:
            name = site.meters[point.meter].name
        elif point.kind == "manual":
            name = point.name
        else:
            left.extend([part[0] for part in point.parts])
            continue
        if name not in names:
            names.append(name)
    return names


def apportion(total, weights):
    """Integers that sum to the integer `total`, in proportion to weights (Number or Ratio, not below 0, not all 0):
    each rounded towards 0, the rest goes one by one to the largest remainders, the first first where they are equal."""
    whole = Ratio(0)
    for weight in weights:
        if weight < 0:
            raise AccountingError("a weight of an allocation is below 0: %s" % weight)
        whole = whole + weight
    if whole == 0:
        raise AccountingError("nothing to allocate by: all weights are 0", "give an amount or a weight above 0")
    sign, total = (-1, -total) if total < 0 else (1, total)
    shares, rests = [], []
    for at, weight in enumerate(weights):
        exact = total * weight.ratio() * Ratio(whole.denominator, whole.numerator)
        share, rest = divmod(exact.numerator, exact.denominator)
        shares.append(share)
        rests.append((Ratio(rest, exact.denominator), at))
    for _ in range(total - sum(shares)):
        best = 0
        for i in range(1, len(rests)):
            if rests[i][0] > rests[best][0]:
                best = i
        shares[rests[best][1]] += 1
        rests[best] = (Ratio(-1), rests[best][1])
    return [sign * share for share in shares]


def grouped(found, key):
    """[(key, grams)] of Lines inside the boundary, in the order of the keys; sinks are left out."""
    rows = {}
    for line in found:
        if line.reason is None and line.dimension != "sink":
            rows[key(line)] = rows.get(key(line), 0) + line.grams
    return sorted(rows.items())


def by_gas(found):
    """[(gas, grams of CO2e)] of the Lines inside the boundary, sinks left out."""
    rows = {}
    for line in found:
        if line.reason is None and line.dimension != "sink":
            for gas in line.gases:
                rows[gas] = rows.get(gas, 0) + line.gases[gas]
    return sorted(rows.items())


def energies(site, records, begin_ms, end_ms):
    """Energy indicators: [(source name, parameter, kind, fuel, amount as Ratio, unit, GJ as Ratio or None, unknown)] of
    the inputs of sources of combustion, electricity and heat. A fuel's heat is its amount times the source's NCV."""
    found = []
    for source in site.sources:
        compiled = source.compiled
        kind = accounting.kind(compiled)
        if kind not in ("combustion", "electricity", "heat"):
            continue
        units_of = dict([(row[0], row[1]) for row in compiled[accounting.INPUTS]])
        for feed in source.inputs:
            amount, unknown = Ratio(0), []
            for point, numerator, denominator in feed.points:
                total = records.total(POINT, site.all_points[point].name, begin_ms, end_ms)
                amount = amount + Ratio(numerator, denominator) * total.value
                unknown.extend(total.unknown)
            unit = units_of[feed.parameter]
            heat = _heat(compiled, amount, unit)
            if heat is not None or kind == "combustion":
                found.append((source.name, feed.parameter, kind, fuel_of(compiled), amount, unit, heat, unknown))
    return found


def _heat(compiled, amount, unit):
    """GJ of an amount: of energy itself, or of a fuel by the source's NCV; None where it is neither."""
    for name, own, exponent, mantissa, _ in compiled[accounting.CONSTANTS]:
        if name == "NCV" and own == "GJ/" + unit:
            return amount * Number(mantissa, exponent)
    try:
        return amount * units.factor(unit, "GJ")
    except UnitError:
        return None


def amount_of(site, records, begin_ms, end_ms, point, amount, year=None):
    """Number of what a measure or product names over a span: of its point, or the amount said (of a year: where the
    span is that year); None where it is not known."""
    if point is not None:
        total = records.total(POINT, site.all_points[point].name, begin_ms, end_ms)
        return total.value if total.parts else None
    if year is not None:
        begin = clock.stamp(year, 1, 1, zone=site.zone)
        if (begin, clock.end(clock.YEAR, begin, site.zone)) != (begin_ms, end_ms):
            return None
    return amount


def intensities(site, records, begin_ms, end_ms, grams):
    """[(kind, name, unit, amount or None, tCO2e per unit as Ratio or None)] of the boundary's measures; None: not
    available, as where the denominator is unknown or 0."""
    found = []
    for kind, name, unit, point, amount, year in site.boundary.measures if site.boundary else ():
        value = amount_of(site, records, begin_ms, end_ms, point, amount, year)
        per = None if value is None or value == 0 else over(Ratio(grams, 10**PLACES), value)
        found.append((kind, name, unit, value, per))
    return found


def over(value, amount):
    """value / amount, exact (Ratio); amount is a Number or Ratio and not 0."""
    amount = amount.ratio()
    return value * Ratio(amount.denominator, amount.numerator)


def products(site, records, begin_ms, end_ms, grams):
    """[(name, unit, amount or None, grams or None, kgCO2e per unit as Ratio or None)]: the plant's total allocated to
    its products by amount × weight; all None where an amount is unknown or nothing was made."""
    boundary = site.boundary
    rows = boundary.products if boundary else []
    amounts = [amount_of(site, records, begin_ms, end_ms, *row[2:5]) for row in rows]
    if [amount for amount in amounts if amount is None] or not [amount for amount in amounts if amount != 0]:
        return [(row[0], row[1], amount, None, None) for row, amount in zip(rows, amounts)]
    shares = apportion(grams, [amount * row[5] for row, amount in zip(rows, amounts)])
    return [
        (row[0], row[1], amount, share, None if amount == 0 else over(Ratio(share, 10 ** (PLACES - 3)), amount))
        for row, amount, share in zip(rows, amounts, shares)
    ]
