"""Nodes of the plant in site.yaml (park document, 6.1 and 6.3): where it is metered, where not and why not.

`read` gives the nodes' rows of the canonical document, `environment` checks the series of sensors at outlets and in the
environment against their types, `point_map` is the report of `carbonterm site map`. docs/site.md describes the keys.
"""

from carbonterm import site
from carbonterm.errors import CarbonError
from carbonterm_host import series_types, site_instrument
from carbonterm_host.series_types import PLACES

# class: (Chinese, English, whether the document asks for one in every plant)
CLASSES = {
    "production": ("主要生产设施", "main production facilities", True),
    "boiler": ("锅炉", "boilers", True),
    "distribution": ("电力配电设备", "power distribution", True),
    "consumption": ("关键消耗节点", "key consumption nodes", True),
    "outlet": ("排放口", "outlets", False),
    "environment": ("环境", "environment", False),
}  # fmt: skip
HIGH_MS = 60000  # high-frequency sampling: 1 s to 1 min


def read(reader, node):
    """Rows of the nodes; reader.meters and reader.meter_index are there."""
    rows, _ = reader.each(node, "nodes", lambda item: _node(reader, item))
    return rows


def _node(reader, item):
    keys = reader.table(item, "a node", ("name", "class"), ("meters", "gap"))
    name, kind = reader.text(keys["name"]), reader.choice(keys["class"], site.NODES)
    meters = {reader.reference(one, reader.meter_index, "meter") for one in reader.rows(keys.get("meters"), "meters")}
    if bool(meters) == ("gap" in keys):
        hint = "meters: [its meters], or gap: the reason why there is none yet"
        raise reader.bad(item, f"node '{name}' needs a meter or a reason for having none, not both", hint)
    row = [name, kind, sorted(meters), reader.text(keys["gap"]) if "gap" in keys else None]
    try:
        site.Node(row, f"node '{name}'")
    except CarbonError as error:
        raise reader.bad(item, error.what, error.hint) from None
    return name, row


def places(nodes):
    """{meter's index: class} of the meters at outlets and in the environment; nodes: rows, None where one is bad."""
    return {meter: row[1] for row in nodes if row is not None and row[1] in PLACES for meter in row[2]}


def environment(reader, nodes, items):
    """Notes points of sensors whose unit is not one of their series type's, and gives the others its range.

    reader.points are rows of the document; an end of the range is given where the point has none of its own.
    """
    where = places(nodes)
    for item, row in zip(reader.rows(items, "points"), reader.points, strict=True):
        kind = None if row is None else series_types.type_of(row[2], where.get(row[1]))
        if kind is None:
            continue
        form = series_types.form_of(kind, row[3])
        if form is None:
            what = f"point '{row[0]}' is in {row[3]}, and {kind['title_en']} {kind['title_zh']} is not"
            reader.note(item, what, "it can be in " + series_types.wanted(kind) + " or what converts into it")
            continue
        for place, end in ((12, form.low), (13, form.high)):
            if row[place] is None:
                number = series_types.number(end)
                row[place] = [number.mantissa, number.exponent]


def default_ms(quantity, kind):
    """The period of a point that says none: by its quantity (data/periods.json)."""
    return series_types.span_ms(series_types.period_of(quantity, kind)["default"])


# --- the point map --------------------------------------------------------------------------------------------------


def point_map(plan, now_ms):
    """The report of a Site: {"classes": [...], "unassigned": [...], "findings": [...], "ok"}.

    A finding: one of the four classes of 6.1 has neither a node with meters nor a reasoned gap; a sensor of 6.3 has no
    place, no certificate, or one that is overdue.
    """
    findings, classes = [], []
    for name, (zh, en, needed) in CLASSES.items():
        nodes = [_told(plan, node, now_ms, findings) for node in plan.nodes if node.class_ == name]
        if needed and not nodes:
            findings.append(f"{zh} {en}: no node with a meter, and no gap with a reason · 既无计量，也未说明原因")
        classes.append({"class": name, "title_zh": zh, "title_en": en, "nodes": nodes})
    assigned = {index for node in plan.nodes for index in node.meters}
    unassigned = [meter.name for index, meter in enumerate(plan.meters) if index not in assigned]
    return {"terminal": plan.terminal_id, "ok": not findings, "classes": classes, "unassigned": unassigned,
            "findings": findings}  # fmt: skip


def _told(plan, node, now_ms, findings):
    meters = []
    for index in node.meters:
        meter = plan.meters[index]
        certificate = meter.certificate
        left = None if certificate is None else certificate.days_left(now_ms, plan.zone)
        points = [_point(point, node.class_) for point in plan.points if point.meter == index]
        meters.append({
            "meter": meter.name, "model": meter.model, "place": meter.place, "serial": meter.serial,
            "identifier": meter.identifier,
            "certificate": certificate and certificate.number, "due": certificate and certificate.due,
            "days_left": left, "state": state(left), "points": points,
        })  # fmt: skip
        who = f"node '{node.name}', meter '{meter.name}'"
        if not points:
            findings.append(f"{who}: no point of it is read · 没有采集点")
        if node.class_ in PLACES:
            if meter.place is None:
                findings.append(f"{who}: a sensor needs its place on record · 台账缺少安装位置")
            if state(left) in ("missing", "overdue"):
                why = f"overdue since {certificate.due} · 校准已过期" if certificate else "not on record · 无校准证书"
                findings.append(f"{who}: its calibration is {why}")
    return {"node": node.name, "gap": node.gap, "meters": meters}


def state(days_left):
    """Of a calibration with so many days left: missing, overdue, due (within 60 days) or valid."""
    if days_left is None:
        return "missing"
    return "overdue" if days_left <= 0 else "due" if days_left <= site_instrument.DUE_DAYS else "valid"


def _point(point, place):
    row = series_types.period_of(point.quantity, point.kind)
    slowest = series_types.span_ms(row["slowest"])
    kind = series_types.type_of(point.quantity, place)
    return {
        "point": point.name, "quantity": point.quantity, "unit": point.unit, "interval_ms": point.interval_ms,
        "energy": row["energy"], "default_ms": series_types.span_ms(row["default"]), "why": row["why"],
        "why_zh": row["why_zh"], "slow": point.interval_ms > slowest, "high_frequency": point.interval_ms <= HIGH_MS,
        "type": kind and kind["id"], "min": _plain(point.minimum), "max": _plain(point.maximum),
    }  # fmt: skip


def _plain(number):
    return None if number is None else str(number)
