"""Operators, manual points and virtual points of site.yaml (6.2, 8.3.2): rows of the document's part "formed".

`operators` and `points` are read before the sources that they feed; docs/site.md and docs/manual.md describe the keys.
"""

import yaml

from carbonterm import units
from carbonterm.errors import CarbonError
from carbonterm.ledger.checkpoint import is_name
from carbonterm.number import Number, Ratio
from carbonterm.series import combine
from carbonterm.site_rows import INSTANT, MANUAL, VIRTUAL
from carbonterm_host.yaml_reader import Bad

# what is entered because no meter says it (6.2): Chinese, quantity, unit, fuel of the methods' fuel sets
FUELS = {
    "coal": ("煤", "mass", "t", "bituminous"),
    "lpg": ("液化石油气", "mass", "t", "lpg"),
    "manufactured_gas": ("人工煤气", "gas volume", "10^4Nm3", "other_coal_gas"),
    "gasoline": ("汽油", "mass", "t", "gasoline"),
    "kerosene": ("煤油", "mass", "t", "kerosene"),
    "diesel": ("柴油", "mass", "t", "diesel"),
}
_NAME, _QUANTITY, _UNIT, _KIND = 0, 2, 3, 9  # places of a point's row
_WAYS = (("add", "subtract"), ("multiply", "by"), ("divide", "by"), ("apportion", "share"))


def operators(reader, node):
    """Rows [name, public key]; of who enters on the page, [name, None]."""
    return reader.each(node, "operators", lambda item: _operator(reader, item))[0]


def _operator(reader, item):
    keys = reader.table(item, "an operator", ("name",), ("public", "page"))
    name = reader.text(keys["name"])
    if not is_name(name):
        raise reader.bad(keys["name"], f"'{name}' cannot name an operator", "use the name of 'carbonterm key operator'")
    if ("page" in keys and reader.choice(keys["page"], ("true", "false")) == "true") == ("public" in keys):
        raise reader.bad(item, f"operator '{name}' signs with a key, or enters on the page",
                         "public: what 'carbonterm key operator' prints, or page: true")  # fmt: skip
    if "public" not in keys:
        return name, [name, None]
    text = reader.text(keys["public"])
    try:
        public = bytes.fromhex(text.rpartition(":")[2])
    except ValueError:
        public = b""
    if len(public) != 64:
        hint = "'carbonterm key operator' prints it"
        raise reader.bad(keys["public"], "an operator's public key is 128 hex digits", hint)
    return name, [name, public]


def points(reader, manual, virtual):
    """(rows of manual points, rows of virtual points). reader.points and reader.point_index get them too, so that they
    can be named like points of meters.

    reader.fuels: {index of a manual point: fuel}; reader.means: indices of manual points that are values; reader.used:
    {index of a virtual point: [(part, how much of it)]}, of those that are the same quantity.
    """
    reader.fuels, reader.used, reader.means = {}, {}, set()
    first = len(reader.points)
    entered, names = reader.each(manual, "manual", lambda item: _manual(reader, item))
    _named(reader, manual, names, entered, MANUAL)
    for at, item in enumerate(reader.rows(manual, "manual")):
        fuel = next((value.value for key, value in _pairs(item) if key.value == "fuel"), None)
        if entered[at] is not None and fuel in FUELS:
            reader.fuels[first + at] = FUELS[fuel][3]
        if entered[at] is not None and entered[at][-1]:
            reader.means.add(first + at)
    return entered, _virtual(reader, virtual)


def leaves(reader, point):
    """[(index of a measured or entered point, Ratio of it)] that count where a point is counted."""
    if point not in reader.used:
        return [(point, Ratio(1))]
    return [(leaf, share * part) for of, part in reader.used[point] for leaf, share in leaves(reader, of)]


def _named(reader, node, names, rows, kind):
    first, items = len(reader.points), reader.rows(node, kind)
    for name, at in names.items():
        if name in reader.point_index:
            reader.note(items[at], f"points: '{name}' is there twice", "give each a name of its own")
        reader.point_index[name] = first + at
    for row in rows:
        full = None if row is None else [row[0], None, row[1], row[2], None, None, None, None, None, kind]
        reader.points.append(full)


def lineage(site, point):
    """How a virtual point is made, as text: "E1 − E2", "3/5 × 净用电"."""
    words = []
    for index, numerator, denominator in point.parts:
        ratio = "" if abs(numerator) == denominator else f"{abs(numerator)}/{denominator} × "
        sign = "− " if numerator < 0 else "+ " if words else ""
        words.append(sign + ratio + site.all_points[index].name)
    glue = {combine.SUM: " ", combine.PRODUCT: " × ", combine.QUOTIENT: " ÷ "}[point.op]
    return glue.join(word.removeprefix("+ ") if glue != " " else word for word in words)


# --- manual points --------------------------------------------------------------------------------------------------


def _manual(reader, item):
    keys = reader.table(item, "a manual point", ("name",), ("fuel", "quantity", "unit", "min", "max", "mean"))
    name, quantity, unit = reader.text(keys["name"]), None, None
    if "fuel" in keys:
        _, quantity, unit, _ = FUELS[reader.choice(keys["fuel"], list(FUELS))]
    elif "unit" not in keys:
        raise reader.bad(item, f"manual point '{name}' lacks its unit", "unit: t, or fuel: " + ", ".join(FUELS))
    if "unit" in keys:
        given = reader.text(keys["unit"])
        try:
            units.factor(given, unit or given)
        except CarbonError as error:
            raise reader.bad(keys["unit"], error.what, error.hint) from None
        unit = given
    quantity = reader.text(keys["quantity"]) if "quantity" in keys else quantity or "amount"
    ends = [_pair(reader.number(keys[key])) if key in keys else None for key in ("min", "max")]
    if None not in ends and Number(*ends[0]) > Number(*ends[1]):
        raise reader.bad(keys["max"], f"manual point '{name}': its range ends before it begins", "swap min and max")
    mean = "mean" in keys and reader.choice(keys["mean"], ("true", "false")) == "true"
    if mean and "fuel" in keys:
        raise reader.bad(keys["mean"], "a fuel is an amount", "leave 'fuel' out, and say the unit of the value")
    return name, [name, quantity, unit, *ends, mean]


# --- virtual points -------------------------------------------------------------------------------------------------


def _virtual(reader, node):
    items = reader.rows(node, "virtual")
    names = {}
    for at, item in enumerate(items):
        name = reader._name_of(item)
        if name in names:
            reader.note(item, f"virtual: '{name}' is there twice", "give each a name of its own")
        elif name is not None:
            names[name] = at
    first = len(reader.points)
    _named(reader, node, names, [None] * len(items), VIRTUAL)
    found, left = [None] * len(items), list(range(len(items)))
    while left:  # each behind the ones it is made of, because their units are needed
        ready = [at for at in left if not _refers(items[at]) & {name for name, of in names.items() if of in left}]
        if not ready:
            shown = ", ".join(sorted(name for name, of in names.items() if of in left))
            hint = "take out the part that leads back (8.3.2)"
            reader.note(items[left[0]], f"virtual points are made of each other: {shown}", hint)
            break
        for at in ready:
            try:
                found[at] = row = _made(reader, items[at])
                reader.points[first + at] = [row[0], None, row[1], row[2], None, None, None, None, None, VIRTUAL]
            except Bad:
                pass
        left = [at for at in left if at not in ready]
    _whole(reader, items, found)
    return found


def _pairs(item):
    """The pairs of keys and values of a row; a row of another shape has none, and is told of elsewhere."""
    return item.value if isinstance(item, yaml.MappingNode) else ()


def _refers(item):
    """Names that an item's parts may mean."""
    found = set()
    for key, value in _pairs(item):
        if key.value in ("add", "subtract", "multiply", "divide", "apportion"):
            listed = value.value if isinstance(value.value, list) else [value]
            found |= {one.value for one in listed if isinstance(one.value, str)}
    return found


def _made(reader, item):
    known = {key for way in _WAYS for key in way}
    keys = reader.table(item, "a virtual point", ("name",), ("unit", "quantity", "note", *sorted(known)))
    name = reader.text(keys["name"])
    heads = [way[0] for way in _WAYS if way[0] in keys or (way[0] == "add" and "subtract" in keys)]
    if len(heads) != 1:
        hint = "add and subtract: [points], multiply or divide: [points], or apportion: point with a share"
        raise reader.bad(item, f"virtual point '{name}' is combined in one of four ways", hint)
    allowed = next(way for way in _WAYS if way[0] == heads[0])
    for key in sorted(known & set(keys) - set(allowed)):
        reader.note(keys[key], f"'{key}' does not go with '{heads[0]}'", "leave one of them out")
    try:
        row = _READERS[heads[0]](reader, keys, name)
    except CarbonError as error:
        raise reader.bad(item, f"virtual point '{name}': {error.what}", error.hint) from None
    unit, op, parts, note = row
    if heads[0] in ("add", "apportion"):
        whole = Ratio(1) if heads[0] == "add" else Number(reader.text(keys["share"])).ratio()
        reader.used[reader.point_index[name]] = [(part[0], whole) for part in parts if part[1] > 0]
    else:
        reader.used[reader.point_index[name]] = []  # another quantity, derived from a typical one
    quantity = reader.text(keys["quantity"]) if "quantity" in keys else reader.points[parts[0][0]][_QUANTITY]
    return [name, quantity, unit, op, parts, reader.text(keys["note"]) if "note" in keys else note]


def _point(reader, item):
    """(index, unit) of a point that is named, which settles into amounts."""
    index = reader.reference(item, reader.point_index, "point")
    row = reader.points[index]
    if row is None:
        raise reader.given_up()
    if index in reader.means or (row[_KIND] == INSTANT and not reader.is_amount(index)):
        raise reader.bad(item, f"point '{row[_NAME]}' is a value of the moment, not a running total",
                         "combine totals, or make an amount of a rate: integrate: linear")  # fmt: skip
    return index, reader._unit(index)


def _sum(reader, keys, name):
    parts = []
    unit = reader.text(keys["unit"]) if "unit" in keys else None
    for key, sign in (("add", 1), ("subtract", -1)):
        for item in reader.rows(keys.get(key), key):
            index, of = _point(reader, item)
            unit = unit or of
            ratio = _ratio(reader, item, of, unit)
            parts.append([index, sign * ratio.numerator, ratio.denominator])
    if len({part[0] for part in parts}) < len(parts):
        raise reader.bad(keys.get("add", keys.get("subtract")), f"virtual point '{name}' has a part twice",
                         "it would count twice")  # fmt: skip
    combine.check(combine.SUM, parts)
    return unit, combine.SUM, parts, None


def _ratio(reader, item, source, target):
    try:
        return units.factor(source, target)
    except CarbonError as error:
        raise reader.bad(item, error.what, error.hint) from None


def _product(reader, keys, name):
    key, power = ("multiply", 1) if "multiply" in keys else ("divide", -1)
    items = reader.rows(keys[key], key)
    wanted = 1 if "by" in keys else 2
    if len(items) != wanted:
        how = f"{key}: [point, other], or {key}: [point] with by: {{value, unit, source}}"
        raise reader.bad(keys[key], f"'{key}' has {len(items)} points here", how)
    parts = [_point(reader, item) for item in items]
    if "by" not in keys:
        both = [units.parse(of) for _, of in parts]
        unit, ratio = _unit(reader, keys, name, units.times(both[0], both[1], power))
        op = combine.PRODUCT if power > 0 else combine.QUOTIENT
        first, second = parts
        return unit, op, [[first[0], ratio.numerator, ratio.denominator], [second[0], 1, 1]], None
    by = reader.table(keys["by"], "by", ("value", "source"), ("unit",))
    value = reader.number(by["value"])
    if not value > 0:
        raise reader.bad(by["value"], f"a coefficient is above 0, not {value}", "subtract takes something away")
    coefficient = units.parse(reader.text(by["unit"]) if "unit" in by else "1")
    unit, ratio = _unit(reader, keys, name, units.times(units.parse(parts[0][1]), coefficient, power))
    value = value.ratio()
    ratio = ratio * (value if power > 0 else Ratio(value.denominator, value.numerator))
    shown = f"{'×' if power > 0 else '÷'} {by['value'].value} {coefficient.text}: {reader.text(by['source'])}"
    return unit, combine.SUM, [[parts[0][0], ratio.numerator, ratio.denominator]], shown[:200]


def _unit(reader, keys, name, made):
    """(unit that is given, Ratio from the unit that comes out)."""
    if "unit" not in keys:
        raise reader.bad(keys.get("multiply", keys.get("divide")), f"virtual point '{name}' lacks its unit",
                         "unit: what comes out, which is checked")  # fmt: skip
    unit = reader.text(keys["unit"])
    return unit, _ratio(reader, keys["unit"], made, unit)


def _share(reader, keys, name):
    if "share" not in keys:
        raise reader.bad(keys["apportion"], f"virtual point '{name}' lacks its share", 'share: "0.6"')
    index, of = _point(reader, keys["apportion"])
    unit = reader.text(keys["unit"]) if "unit" in keys else of
    share = reader.number(keys["share"])
    if not 0 < share.ratio() <= 1:
        raise reader.bad(keys["share"], f"a share is above 0 and at most 1, not {share}", "0.4 is 40 %")
    ratio = share.ratio() * _ratio(reader, keys["apportion"], of, unit)
    return unit, combine.SUM, [[index, ratio.numerator, ratio.denominator]], None


_READERS = {"add": _sum, "multiply": _product, "divide": _product, "apportion": _share}


def _whole(reader, items, rows):
    """Notes what is apportioned and not shared out to exactly 1."""
    wholes = {}
    for item, row in zip(items, rows, strict=True):
        keys = {key.value: value for key, value in _pairs(item) if isinstance(key.value, str)}
        if "share" in keys and isinstance(keys.get("apportion"), yaml.ScalarNode):
            wholes.setdefault(keys["apportion"].value, []).append((item, row, keys["share"]))
    for whole, parts in wholes.items():
        if not all(row for _, row, _ in parts):
            continue
        try:
            combine.shares([share.value for _, _, share in parts])
        except CarbonError as error:
            reader.note(parts[-1][2], f"'{whole}' is apportioned: {error.what}", error.hint)


def _pair(number):
    return [number.mantissa, number.exponent]
