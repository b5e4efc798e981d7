"""The inventory of a log over its boundary, as one plain object for commands, pages and programs (9.3, 9.4, 11.7).

`of_entries` gives the figures of a log and the site in force at its end, `report` what they come to over a span. All
amounts are exact decimals as text, in tCO2e to the gram.
"""

from functools import lru_cache

from carbonterm import clock, units
from carbonterm import site as sites
from carbonterm.accounting import boundary as boundaries
from carbonterm.accounting import inventory
from carbonterm.accounting.records import POINT, Records, span
from carbonterm.errors import AccountingError, CarbonError
from carbonterm.ledger import entry as formats
from carbonterm.number import Number, Ratio
from carbonterm_host import library

# kinds of sources in the order of clause 9.4: (kind, scope, Chinese, English)
KINDS = (
    ("combustion", 1, "化石燃料燃烧", "fossil fuel combustion"),
    ("feedstock", 1, "原料或还原剂", "feedstock and reductants"),
    ("carbonate", 1, "碳酸盐分解", "carbonate decomposition"),
    ("recovery", 1, "销毁或回收利用", "destruction and recovery"),
    ("process", 1, "行业特定过程", "sector-specific processes"),
    ("fugitive", 1, "逸散", "fugitive"),
    ("transport", 1, "运输", "transport"),
    ("other", 1, "其他", "other"),
    ("electricity", 2, "电力消费隐含", "electricity use"),
    ("heat", 2, "热力消费隐含", "heat use"),
    ("sink", 1, "碳汇", "carbon sinks"),
)
ALWAYS = ("combustion", "feedstock", "carbonate", "recovery", "process", "electricity", "heat")
DIMENSIONS = (
    ("total", "碳排放总量", "total emissions"),
    ("direct", "直接排放", "direct emissions"),
    ("energy", "电力/热力间接排放", "electricity and heat, indirect"),
    ("other", "其他间接排放", "other indirect"),
    ("sink", "碳汇", "carbon sinks"),
    ("net", "净排放", "net of sinks"),
)
CATEGORIES = ("直接排放与清除 direct", "输入能源 imported energy", "运输 transport", "使用的产品 products used",
              "产品的使用 use of products", "其他 other")  # fmt: skip
BY = ("source", "unit", "category", "kind", "gas", "scope", "energy", "method")
_TITLES = {row[0]: row[2:] for row in KINDS}
_HEARD = (formats.CONFIG, formats.SNAPSHOT, formats.CLOSING, formats.EMISSION)
_SIGNIFICANT = 6  # digits of an intensity as a decimal; the fraction stands beside it


class Passed:
    """An entry that says nothing to an inventory but its time."""

    __slots__ = ("kind", "time_ms")

    def __init__(self, kind, time_ms):
        self.kind, self.time_ms = kind, time_ms


def told(raw):
    """The Entry of its bytes, or what is Passed: a year of readings is not decoded for its few thousand figures."""
    at = 2  # [1, terminal id, epoch, seq, time, clock state, kind, body]
    values = []
    for _ in range(6):
        value, size = raw[at] & 31, 0
        if value > 23:
            size = 1 << (value - 24)
            value = int.from_bytes(raw[at + 1 : at + 1 + size], "big")
        at += 1 + size + (0 if values else value)
        values.append(value)
    _, _, _, time_ms, _, kind = values
    return formats.decode(raw) if kind in _HEARD else Passed(kind, time_ms)


def of_entries(found):
    """(Records, Site in force at the end) of an iterable of Entry and Passed; AccountingError where there is no site
    document."""
    site = records = None
    for entry in found:
        if entry.kind == formats.CONFIG:
            site = sites.decode(entry.body[1])
            records = records or Records(site.zone)
        elif entry.kind == formats.SNAPSHOT and site is None and entry.body[1][2][0] is not None:
            site = sites.decode(entry.body[1][2][0])  # the log's beginning was dropped
            records = Records(site.zone)
        if records is not None:
            if entry.kind in (formats.CLOSING, formats.EMISSION):
                records.take(entry, site)
            else:
                records.heard(entry.time_ms)
    if site is None:
        raise AccountingError("the log has no site document", "pull it whole, or begin with a snapshot")
    return records, site


def last_year(records, site):
    """The civil year of the last entry, as the text of a period."""
    return "1970" if records.last_ms is None else clock.text(records.last_ms, site.zone)[:4]


def report(site, records, period):
    """The inventory of a Site and its Records over "2026", "2026-05" or "2026-05-03"."""
    begin, end = span(period, site.zone)
    found = inventory.lines(site, records, begin, end)
    root = inventory.tree(site, found)
    grams = _dimensions(root.grams)
    boundary = site.boundary
    year = Number(grams["total"], -inventory.PLACES) if len(period) == 4 else None
    clean = _clean(site, records, begin, end)
    return {
        "terminal": site.terminal_id, "name": site.name, "period": period,
        "from": clock.text(begin, site.zone), "to": clock.text(end, site.zone),
        "until": _time(site, records.last_ms),
        "entity": entity(boundary), "type": boundaries.type_of(boundary, year) if boundary else None,
        "total": {name: tonnes(value) for name, value in grams.items()},
        "incomplete": root.unknown,
        "change": _changes(site, records, begin, end, grams["total"], root.unknown),
        "tree": node(site, root),
        "by": {name: grouped(site, found, name) for name in BY},
        "sinks": [{"source": line.source, "tco2e": tonnes(line.grams)} for line in found
                  if line.dimension == "sink" and line.reason is None],
        "excluded": [{"source": line.source, "share": str(line.share), "tco2e": tonnes(line.grams),
                      "reason": line.reason} for line in found if line.reason is not None],
        "unknown": [{"source": line.source, "from": clock.text(a, site.zone), "to": clock.text(b, site.zone)}
                    for line in found for a, b in line.unknown],
        "custom": sorted({line.source for line in found if line.custom}),
        "unconfirmed": sorted({name for line in found for name in line.unconfirmed}),
        "unlinked": unlinked(site),
        "energy": _energy(site, records, begin, end),
        "clean": clean,
        "intensities": [
            {"kind": kind, "name": name, "unit": unit, "amount": _text(amount), "tco2e_per_unit": significant(per),
             "exact": None if per is None else str(per)}
            for kind, name, unit, amount, per in inventory.intensities(site, records, begin, end, grams["total"])
        ],
        "products": _products(site, records, begin, end, grams["total"]),
    }  # fmt: skip


def entity(boundary):
    """Who reports, as JSON; None without a boundary."""
    if boundary is None:
        return None
    one = boundary.entity
    return {
        "name": one.name, "code": one.code, "equivalent": one.equivalent, "declared_type": one.type,
        "registration": dict(zip(boundaries.REGISTRATION, one.registration, strict=True)),
        "contact": dict(zip(boundaries.CONTACT, one.contact, strict=True)),
        "attachments": [{"name": name, "sm3": digest.hex()} for name, digest in one.attachments],
        "annual": None if one.annual is None else {"year": one.annual[0], "tco2e": str(one.annual[1])},
        "divide": boundary.divide,
        "sectors": [{"id": name, "name": title, "extension": own} for name, title, own in boundary.sectors],
    }  # fmt: skip


def unlinked(site):
    """[{"meter", "main"}] of the meters that feed nothing; main: the meter behind which one is, or None."""
    boundary = site.boundary
    if boundary is None:
        return []
    found = boundaries.unlinked(boundary, site)
    mains = boundary.submeters
    return [{"meter": site.meters[at].name, "main": site.meters[mains[at]].name if at in mains else None}
            for at in found]  # fmt: skip


def node(site, one):
    """A level of the tree as JSON."""
    found = {"level": one.level, "name": one.name}
    if one.level != "meter":
        found |= {name: tonnes(value) for name, value in _dimensions(one.grams).items()}
        found["incomplete"] = one.unknown
        found["children"] = [node(site, child) for child in one.children]
    if one.line is not None:
        line = one.line
        found |= {"scope": line.scope, "kind": line.kind, "category": line.category, "method": line.method,
                  "custom": line.custom, "share": str(line.share), "quality": line.quality,
                  "gases": {gas: tonnes(value) for gas, value in sorted(line.gases.items())}}  # fmt: skip
    return found


def grouped(site, found, by):
    """Rows {"key", "title_zh", "title_en", "tco2e"} of one way to divide the total; they sum to it exactly."""
    if by == "gas":
        rows = inventory.by_gas(found)
    elif by == "kind":
        # other indirect emissions by their category of ISO 14064-1: their kinds are those of scope 1, too
        rows = dict(inventory.grouped(found, lambda line: line.kind if line.scope < 3 else f"other-{line.category}"))
        others = sorted(key for key in rows if key.startswith("other-"))
        rows = [(row[0], rows.get(row[0], 0)) for row in KINDS if row[0] in rows or row[0] in ALWAYS] + [
            (key, rows[key]) for key in others
        ]
    else:
        names = [unit[0] for unit in site.boundary.units] if site.boundary else []
        keys = {
            "source": lambda line: line.source, "scope": lambda line: line.scope, "method": lambda line: line.method,
            "category": lambda line: line.category, "unit": lambda line: "" if line.unit is None else names[line.unit],
            "energy": lambda line: line.fuel or line.kind,
        }  # fmt: skip
        rows = inventory.grouped(found, keys[by])
    return [_titled(by, key, value) for key, value in rows]


def _titled(by, key, value):
    zh = en = str(key)
    if by == "category" or (by == "kind" and key.startswith("other-")):
        zh, _, en = CATEGORIES[int(str(key)[-1]) - 1].partition(" ")
    elif by == "scope":
        zh, en = f"范围{'一二三'[key - 1]}", f"scope {key}"
    elif key in _TITLES and by in ("kind", "energy"):
        zh, en = _TITLES[key]
    elif by == "energy":
        zh = _fuels().get(key, key)
    elif by == "unit" and not key:
        zh, en = "不分单元", "the entity itself"
    return {"key": key, "title_zh": zh, "title_en": en, "tco2e": tonnes(value)}


@lru_cache(maxsize=1)
def _fuels():
    """{id: Chinese name} of the fuels of all sets."""
    return {fuel: name for fuels in library.factors().fuels.values() for fuel, name in fuels.items()}


def tonnes(grams):
    """Grams as the text of tCO2e."""
    return None if grams is None else str(Number(grams, -inventory.PLACES))


def significant(ratio):
    """A ratio as a decimal with six significant digits or its exact value if that is shorter; None stays None."""
    if ratio is None:
        return None
    exact = ratio.number()
    if exact is not None and len(str(abs(exact.mantissa))) <= _SIGNIFICANT:
        return str(exact)
    places = _SIGNIFICANT - len(str(abs(ratio.numerator) // ratio.denominator))
    if abs(ratio) < 1:
        places = _SIGNIFICANT - 1 + len(str(ratio.denominator // abs(ratio.numerator)))
    return str(ratio.round(max(places, 0)))


def _dimensions(grams):
    direct, energy, other, sink = grams
    total = direct + energy + other
    return {"total": total, "direct": direct, "energy": energy, "other": other, "sink": sink, "net": total + sink}


def compared(begin, end, zone):
    """[("previous" or "year_ago", begin, end)] of what a day, month or year is compared with."""
    level = next(level for level in (clock.DAY, clock.MONTH, clock.YEAR) if clock.end(level, begin, zone) == end)
    year, month, day = clock.civil(begin, zone)[:3]
    starts = [("previous", clock.start(level, begin - 1, zone))]
    if year > 1970 and level != clock.YEAR:
        day = min(day, clock.month_days(year - 1, month))
        starts.append(("year_ago", clock.stamp(year - 1, month, day, zone=zone)))
    return [(name, start, clock.end(level, start, zone)) for name, start in starts]


def _changes(site, records, begin, end, grams, incomplete):
    """What the period before, and the same one a year ago, come to, and the change in per cent; a change of figures
    that are not whole is not known."""
    found = []
    for name, start, stop in compared(begin, end, site.zone):
        lines = inventory.lines(site, records, start, stop)
        root = inventory.tree(site, lines)
        known = any(line.until is not None for line in lines)
        whole = known and root.total > 0 and not incomplete and not root.unknown
        # a period that goes on still cannot be compared
        whole = whole and records.last_ms is not None and records.last_ms >= end
        percent = str((Ratio(100 * (grams - root.total), root.total)).round(1)) if whole else None
        found.append({"what": name, "from": clock.text(start, site.zone), "percent": percent,
                      "tco2e": tonnes(root.total) if known else None})  # fmt: skip
    return found


def _energy(site, records, begin, end):
    """Energy by source, with its share of all heat: shares are per cent with two decimals and sum to 100.00."""
    rows = inventory.energies(site, records, begin, end)
    heats = [row[6] for row in rows]
    shares = [None] * len(rows)
    if rows and None not in heats and sum(heats, Ratio(0)) > 0 and not any(heat < 0 for heat in heats):
        shares = [str(Number(share, -2)) for share in inventory.apportion(10000, heats)]
    return [
        {"source": name, "parameter": parameter, "kind": kind, "fuel": fuel, "amount": str(amount.round(6)),
         "unit": unit, "gj": None if heat is None else str(heat.round(6)), "percent": share,
         "incomplete": bool(unknown)}
        for (name, parameter, kind, fuel, amount, unit, heat, unknown), share in zip(rows, shares, strict=True)
    ]  # fmt: skip


def _clean(site, records, begin, end):
    """Clean energy, as energy: {"points": [...], "mwh", "percent"}: of the electricity bought and made."""
    points, made = [], Ratio(0)
    for index, kind in site.boundary.clean if site.boundary else ():
        point = site.all_points[index]
        total = records.total(POINT, point.name, begin, end)
        unit = site.unit(index)
        mwh = _converted(total.value, unit)
        points.append({
            "point": point.name, "type": kind, "amount": str(total.value), "unit": unit,
            "mwh": None if mwh is None else str(mwh.round(6)), "incomplete": bool(total.unknown),
        })  # fmt: skip
        made = made + (mwh or 0)
    bought = Ratio(0)
    for _, _, kind, _, amount, unit, _, _ in inventory.energies(site, records, begin, end):
        if kind == "electricity":
            bought = bought + (_converted(amount, unit) or 0)
    both = made + bought
    percent = str((made * 100 / both).round(2)) if points and both > 0 else None
    return {"points": points, "mwh": str(made.round(6)), "percent": percent}


def _converted(amount, unit):
    try:
        return units.factor(unit, "MWh") * amount
    except CarbonError:
        return None


def _products(site, records, begin, end, grams):
    rows = inventory.products(site, records, begin, end, grams)
    return {
        "allocation": site.boundary.allocation if site.boundary else None,
        "rows": [
            {"name": name, "unit": unit, "amount": _text(amount), "tco2e": tonnes(share),
             "kgco2e_per_unit": significant(per), "exact": None if per is None else str(per)}
            for name, unit, amount, share, per in rows
        ],
    }  # fmt: skip


def _text(value):
    return None if value is None else str(value)


def _time(site, ms):
    return None if ms is None else clock.text(ms, site.zone)
