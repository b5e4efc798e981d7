"""A product's carbon footprint as a file: what is made, what flows in and out at which stage, what is left out and why.

`read(path)` gives a Study; Mistakes otherwise, all at once with line and way out. docs/footprint.md describes the keys.
"""

from pathlib import Path

from carbonterm import units
from carbonterm.accounting import footprint
from carbonterm.accounting.boundary import ALLOCATIONS
from carbonterm.errors import CarbonError
from carbonterm.number import Number
from carbonterm_host.yaml_reader import Bad, Reader

UNITS = {"mass": "t", "energy": "GJ", "value": None}  # what a weight is per unit of a product


class Study:
    """title, boundary, unit (amount of a product, Number), unit_name, period (text or None), cutoff (text), by, reason,
    products [(name, amount, weight, unit)], flows [(Flow, amount, unit, factor as text, source)], plant (the Flows
    whose grams come from the inventory)."""

    __slots__ = ("boundary", "by", "cutoff", "flows", "period", "plant", "products", "reason", "title", "unit",
                 "unit_name")  # fmt: skip


def read(path):
    """The Study of a file."""
    path = Path(path)
    reader = Reader(path.read_text(encoding="utf-8"), str(path), path.parent, "footprint file", "docs/footprint.md")
    study = Study()
    try:
        keys = reader.table(
            reader.root, "the footprint", ("product", "functional_unit", "boundary", "allocation", "flows"),
            ("period", "cutoff"),
        )  # fmt: skip
        study.title = reader.text(keys["product"])
        study.boundary = reader.choice(keys["boundary"], tuple(footprint.BOUNDARIES))
        unit = reader.table(keys["functional_unit"], "the functional unit", ("amount", "unit"))
        study.unit, study.unit_name = reader.number(unit["amount"]), reader.text(unit["unit"])
        if not study.unit > 0:
            raise reader.bad(unit["amount"], "a functional unit is above 0")
        study.period = reader.text(keys["period"]) if "period" in keys else None
        study.cutoff = reader.text(keys["cutoff"]) if "cutoff" in keys else ""
        _allocation(reader, keys["allocation"], study)
        study.flows, study.plant = [], []
        for item in reader.rows(keys["flows"], "flows"):
            try:
                _flow(reader, item, study)
            except Bad:
                continue
    except Bad:
        pass
    reader.refuse()
    return study


def _allocation(reader, node, study):
    keys = reader.table(node, "the allocation", ("by", "products"), ("reason",))
    study.by = reader.choice(keys["by"], ALLOCATIONS)
    study.products, names = [], []
    for item in reader.rows(keys["products"], "products"):
        try:
            row = reader.table(item, "a product", ("name", "amount", "unit"), ("weight",))
            name, unit, amount = reader.text(row["name"]), reader.text(row["unit"]), reader.number(row["amount"])
            if amount < 0:
                raise reader.bad(row["amount"], "an amount is not below 0")
            if name in names:
                raise reader.bad(item, f"two products are named '{name}'")
            names.append(name)
            study.products.append((name, amount, _weight(reader, item, row, study.by, unit), unit))
        except Bad:
            continue
    if not reader.mistakes and not any(amount != 0 for _, amount, _, _ in study.products):
        raise reader.bad(node, "nothing was made: there is nothing to allocate to", "give the products' amounts")
    if len(study.products) > 1 and "reason" not in keys:
        what = "an allocation says why the processes cannot be divided (ISO 14067: avoid it first)"
        reader.note(node, what, "reason: one line produces both")
    study.reason = reader.text(keys["reason"]) if "reason" in keys else ""


def _weight(reader, item, row, by, unit):
    """What one unit of a product counts: as said, or its mass in t, its energy in GJ."""
    if "weight" in row:
        weight = reader.number(row["weight"])
        if not weight > 0:
            raise reader.bad(row["weight"], "a weight is above 0")
        return weight
    try:
        if UNITS[by] is None:
            raise CarbonError("a product has no value of its own")
        return units.factor(unit, UNITS[by])
    except CarbonError:
        what = f"a product in {unit} needs its weight: how much {by} one {unit} has"
        raise reader.bad(item, what, "weight: 1.2") from None


def _flow(reader, item, study):
    known = ("amount", "unit", "factor", "factor_unit", "source", "of", "kind", "cut", "inventory")
    keys = reader.table(item, "a flow", ("stage", "name"), known)
    stage, name = reader.choice(keys["stage"], footprint.STAGES), reader.text(keys["name"])
    if stage not in footprint.BOUNDARIES[study.boundary]:
        raise reader.bad(keys["stage"], f"stage {stage} is outside {study.boundary}", "cradle-to-grave has it")
    names = {row[0]: index for index, row in enumerate(study.products)}
    product = reader.reference(keys["of"], names, "product") if "of" in keys else None
    kind = reader.choice(keys["kind"], footprint.KINDS) if "kind" in keys else "fossil"
    cut = reader.text(keys["cut"]) if "cut" in keys else None
    flow = footprint.Flow(stage, name, 0, product, kind, cut)
    if "inventory" in keys:
        if reader.text(keys["inventory"]) != "total" or "amount" in keys or "factor" in keys:
            what = "a flow of the inventory is its total, without amount and factor"
            raise reader.bad(item, what, "inventory: total")
        study.plant.append(flow)
        study.flows.append((flow, None, None, None, "inventory"))
        return
    if missing := [key for key in ("amount", "unit", "factor", "source") if key not in keys]:
        raise reader.bad(item, f"flow '{name}' lacks {', '.join(missing)}", "or inventory: total, of a log")
    amount, factor, unit = reader.number(keys["amount"]), reader.number(keys["factor"]), reader.text(keys["unit"])
    per = reader.text(keys["factor_unit"]) if "factor_unit" in keys else f"tCO2e/{unit}"
    try:
        tonnes = factor * units.factor(per, f"tCO2e/{unit}")
    except CarbonError as error:
        raise reader.bad(keys.get("factor_unit", keys["unit"]), f"flow '{name}': {error.what}", error.hint) from None
    flow.grams = (tonnes * amount).round(6).at(-6)
    study.flows.append((flow, amount, unit, f"{factor} {per}", reader.text(keys["source"])))


def describe(study, plant=None):
    """The footprint of a Study as JSON; plant: an inventory, whose total is the flow that says so."""
    if study.plant and plant is None:
        raise CarbonError("a flow is the total of an inventory", "say of which log: --inventory FILE.bundle")
    for flow in study.plant:
        flow.grams = Number(plant["total"]["total"]).at(-6)
    flows = [row[0] for row in study.flows]
    found = footprint.footprints(study.boundary, [row[:3] for row in study.products], flows, study.unit)
    covered = footprint.covered(flows)
    return {
        "product": study.title, "boundary": study.boundary, "allocation": study.by, "reason": study.reason,
        "functional_unit": f"{study.unit} {study.unit_name}", "period": study.period or (plant and plant["period"]),
        "products": [
            {"name": name, "amount": str(amount), "unit": unit, "tco2e": _tonnes(one.total),
             "stages": {stage: _tonnes(grams) for stage, grams in sorted(one.grams.items())},
             "apart": {key: _tonnes(grams) for key, grams in sorted(one.apart.items())},
             "kgco2e_per_unit": None if one.per_unit is None else str(one.per_unit.round(6)),
             "exact": None if one.per_unit is None else str(one.per_unit)}
            for (name, amount, _, unit), one in zip(study.products, found, strict=True)
        ],
        "tco2e": _tonnes(sum(one.total for one in found)),
        "flows": [
            {"stage": flow.stage, "name": flow.name, "amount": None if amount is None else str(amount), "unit": unit,
             "factor": factor, "source": source, "tco2e": _tonnes(flow.grams),
             "kind": flow.kind, "cut": flow.cut,
             "of": None if flow.product is None else study.products[flow.product][0]}
            for flow, amount, unit, factor, source in study.flows
        ],
        "covered_percent": None if covered is None else str(covered.round(2)),
        "cutoff": study.cutoff, "incomplete": bool(plant and plant["incomplete"]),
        "unconfirmed": plant["unconfirmed"] if plant else [],
    }  # fmt: skip


def findings(study, report):
    """What an auditor would ask about: too much cut off, no cut-off rule said, an inventory that is not whole."""
    found = []
    covered = report["covered_percent"]
    if covered is not None and Number(covered) < footprint.LEAST:
        found.append(f"{covered} % of the emissions are inside, less than {footprint.LEAST} % · 截断过多")
    if any(flow.cut for flow, *_ in study.flows) and not study.cutoff:
        found.append("something is cut off, and no rule says when · 未声明截断准则")
    if report["incomplete"]:
        found.append("the inventory has periods without figures · 清单数据不完整")
    return found


def _tonnes(grams):
    return str(Number(grams, -6))
