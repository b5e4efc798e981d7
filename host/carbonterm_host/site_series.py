"""What a point of site.yaml becomes as a series: integrate, average, fill, history (8.1.2, 8.2.1, 8.3.2 积分, 12.4).

`read` gives the rows of the document's part "series", by point index; docs/site.md and docs/series.md say them.
"""

from carbonterm import clock, site, units
from carbonterm.errors import CarbonError
from carbonterm.series import gaps
from carbonterm.series.instant import AMOUNT, MEAN
from carbonterm.site_certificate import day_of
from carbonterm_host.yaml_reader import Bad

KEYS = ("integrate", "average", "fill", "history")
RULES = {"linear": gaps.LINEAR, "step": gaps.STEP}
_PER = {"s": 1000, "min": 60000, "h": 3600000, "d": 86400000}


def amount_of(unit):
    """(unit of the amount, milliseconds that the rate is per) of a rate's unit: t/h gives t, kW gives kWh; None where
    it is no rate that is known here."""
    head, slash, tail = unit.rpartition("/")
    if slash and tail in _PER and head:
        return head, _PER[tail]
    try:
        if units.parse(unit).dimension == units.parse("W").dimension and unit.endswith("W"):
            return unit + "h", 3600000
    except CarbonError:
        pass
    return None


def read(reader, node):
    """{index of point: row} of the points that say something of their series; mistakes are noted."""
    found = {}
    for index, item in enumerate(reader.rows(node, "points")):
        point = reader.points[index]
        if point is None:
            continue
        keys = {key.value: value for key, value in item.value if key.value in KEYS}
        sends = reader.meters[point[1]][0][10] in site.places.SENDERS
        try:
            row = _row(reader, keys, index, point, sends)
        except Bad:
            continue
        if row[1:] != [None] * 5 + [False]:
            found[index] = row
    return found


def check_months(reader, node, series, closings):
    """Notes points with a monthly history where months are not settled; what was only assumed is left out."""
    for index, item in enumerate(reader.rows(node, "points")):
        row = series.get(index)
        if row is None or not row[6] or clock.MONTH in closings:
            continue
        said = [value for key, value in item.value if key.value == "history"]
        if said:
            reader.note(said[0], "a monthly history needs months to be settled", "add month to settings: closings")
        row[6] = False
        if row[1:6] == [None] * 5:
            del series[index]


def calendar(reader, node):
    """[holidays, worked days] as day numbers, or []; a day is 2026-10-01, a span 2026-10-01/2026-10-07."""
    if node is None:
        return []
    found = []
    try:
        keys = reader.table(node, "the calendar", (), ("holidays", "worked"))
    except Bad:
        return []
    for key in ("holidays", "worked"):
        days = set()
        for item in reader.rows(keys[key], key) if key in keys else ():
            try:
                ends = [day_of(part) for part in reader.text(item).split("/")]
                if len(ends) > 2 or ends[-1] < ends[0] or ends[-1] - ends[0] > 366:
                    raise reader.bad(item, "this is no span of days", "write 2026-10-01/2026-10-07")
                days |= set(range(ends[0], ends[-1] + 1))
            except CarbonError as error:
                reader.note(item, error.what, error.hint or "write it like 2026-10-01")
            except Bad:
                continue
        found.append(sorted(days))
    if set(found[0]) & set(found[1]):
        reader.note(node, "a day is a holiday and worked", "worked: the weekend days that are worked instead")
    return found if found != [[], []] else []


def _row(reader, keys, index, point, sends):
    history = sends and point[9] == site.REGISTER
    if "history" in keys:
        history = reader.choice(keys["history"], ("true", "false")) == "true"
    fill = None
    if "fill" in keys:
        name = reader.choice(keys["fill"], (*gaps.FILLS, "none"))
        fill = None if name == "none" else gaps.method(name)
    ways = [key for key in ("integrate", "average") if key in keys]
    if point[9] == site.REGISTER:
        if ways:
            raise reader.bad(keys[ways[0]], f"point '{point[0]}' is a running total: it settles by itself",
                             f"leave '{ways[0]}' out")  # fmt: skip
        if fill == gaps.NEAREST:
            raise reader.bad(keys["fill"], f"point '{point[0]}' is a running total: it counted through the gap",
                             "fill: linear lays it evenly over the gap and says so in the log")  # fmt: skip
        return [index, None, None, None, None, fill, history]
    if history:
        raise reader.bad(keys["history"], f"point '{point[0]}' has no monthly totals to be compared with",
                         "min and max are its valid range")  # fmt: skip
    if len(ways) == 2:
        raise reader.bad(keys["average"], f"point '{point[0]}' is integrated and averaged", "leave one of them out")
    if not ways:
        if fill is not None:
            raise reader.bad(keys["fill"], f"point '{point[0]}' is a value of the moment and not settled",
                             "integrate: linear makes an amount of a rate, whose gaps can be filled")  # fmt: skip
        return [index, None, None, None, None, None, False]
    rule = RULES[reader.choice(keys[ways[0]], tuple(RULES))]
    if ways == ["average"]:
        if fill is not None:
            raise reader.bad(keys["fill"], "an average leaves a gap out; only amounts are filled", "leave 'fill' out")
        return [index, MEAN, rule, None, point[3], None, False]
    amount = amount_of(point[3])
    if amount is None:
        raise reader.bad(keys["integrate"], f"point '{point[0]}' is in {point[3]}, which is no rate",
                         "a rate is per time: t/h, m3/h, kg/s, or a power: kW")  # fmt: skip
    return [index, AMOUNT, rule, amount[1], amount[0], fill, False]
