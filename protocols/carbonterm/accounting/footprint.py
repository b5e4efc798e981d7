"""Carbon footprint of a product (9.4; ISO 14067, GB/T 24067, PAS 2050): stages, allocation, result per functional unit.

What a plant emits for several products is allocated to them by mass, energy or value, flow by flow, so that the shares
sum to each flow, each stage and the whole to the gram. A declared unit of a partial footprint (cradle to gate) has the
stages A1 to A3. What is recovered beyond the system (D), carbon of living origin, of land use and of air transport are
told apart; D and living origin are in no total.
"""

from carbonterm.accounting.inventory import PLACES, apportion, over
from carbonterm.errors import AccountingError, quoted
from carbonterm.number import Ratio

STAGES = ("A1", "A2", "A3", "A4", "B", "C", "D")  # 原材料获取, 运输, 生产, 分销, 使用, 寿命终止, 回收收益
BOUNDARIES = {"cradle-to-gate": STAGES[:3], "cradle-to-grave": STAGES}
KINDS = ("fossil", "biogenic", "land_use", "air")
APART = ("biogenic",)  # kinds that are told, and in no total
LEAST = 95  # per cent of the emissions that have to be inside (PAS 2050, cut-off)


class Flow:
    """What one flow emits: stage, name, grams of CO2e (integer), product (index of the one that it is of alone; None:
    it is allocated), kind, cut (why it is left out, then grams is its estimate; None: it is inside)."""

    __slots__ = ("stage", "name", "grams", "product", "kind", "cut")

    def __init__(self, stage, name, grams, product=None, kind="fossil", cut=None):
        self.stage, self.name, self.grams = stage, name, grams
        self.product, self.kind, self.cut = product, kind, cut


class Footprint:
    """Of one product: grams {stage: integer}, apart {(stage or kind): integer}, total (grams, integer), per_unit (kg of
    CO2e per functional unit, Ratio, None where none was made)."""

    __slots__ = ("grams", "apart", "total", "per_unit")


def footprints(boundary, products, flows, unit):
    """[Footprint] of products [(name, amount, weight)] from Flows; unit: the functional unit's amount of a product.

    AccountingError for a stage outside the boundary, an amount or weight below 0, or nothing to allocate by.
    """
    if boundary not in BOUNDARIES:
        raise AccountingError("%s is no boundary" % quoted(str(boundary)), "one of " + ", ".join(sorted(BOUNDARIES)))
    made = []
    for _ in products:
        one = Footprint()
        one.grams, one.apart, one.total, one.per_unit = {}, {}, 0, None
        made.append(one)
    weights = []
    for name, amount, weight in products:
        if amount < 0 or not weight > 0:
            raise AccountingError("product %s has amount %s, weight %s" % (quoted(name), amount, weight),
                                  "an amount is not below 0, a weight above 0")  # fmt: skip
        weights.append(amount * weight)
    for flow in flows:
        if flow.stage not in STAGES or flow.kind not in KINDS:
            raise AccountingError("flow %s: %s, %s is no stage and kind" % (quoted(flow.name), flow.stage, flow.kind))
        if flow.stage not in BOUNDARIES[boundary]:
            raise AccountingError("flow %s is of stage %s, outside %s" % (quoted(flow.name), flow.stage, boundary),
                                  "leave it out, or let the boundary be cradle-to-grave")  # fmt: skip
        if flow.cut is None:
            shares = [0] * len(products)
            if flow.product is None:
                shares = apportion(flow.grams, weights)
            else:
                shares[flow.product] = flow.grams
            for one, share in zip(made, shares):
                _add(one, flow, share)
    for one, (_, amount, _) in zip(made, products):
        if amount != 0:
            one.per_unit = over(Ratio(one.total, 10 ** (PLACES - 3)) * unit, amount)
    return made


def _add(one, flow, share):
    if flow.stage == "D" or flow.kind in APART:
        key = flow.stage if flow.stage == "D" else flow.kind
        one.apart[key] = one.apart.get(key, 0) + share
        return
    one.grams[flow.stage] = one.grams.get(flow.stage, 0) + share
    one.total += share
    if flow.kind != "fossil":  # told apart as well
        one.apart[flow.kind] = one.apart.get(flow.kind, 0) + share


def covered(flows):
    """Share in per cent (Ratio) of the emissions that are inside, of all that are known; None where there are none."""
    inside = sum([flow.grams for flow in flows if flow.cut is None and _counts(flow)])
    outside = sum([flow.grams for flow in flows if flow.cut is not None and _counts(flow)])
    return None if inside + outside <= 0 else Ratio(100 * inside, inside + outside)


def _counts(flow):
    return flow.stage != "D" and flow.kind not in APART and flow.grams > 0
