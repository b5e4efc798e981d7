"""Footprints of products: every flow is allocated to the gram, stages and shares sum to the plant's total."""

import pytest

from carbonterm.accounting.footprint import BOUNDARIES, STAGES, Flow, covered, footprints
from carbonterm.errors import AccountingError
from carbonterm.number import Number, Ratio
from seeded import Random

T = 10**6  # grams in a tonne


@pytest.mark.requirement("T-9.4-9")
def test_an_example_by_hand():
    """A rolling mill: 8000 t of coil, 120 t of scale that counts 0.3 by mass; 8036 t to allocate by.

    A1 slabs 13 600 t, A2 transport 96 t, A3 the mill 3452.641199 t, of coil alone 10 t of packaging.
    """
    products = [("coil", Number(8000), Number(1)), ("scale", Number(120), Number("0.3"))]
    flows = [
        Flow("A1", "slabs", 13600 * T), Flow("A2", "transport", 96 * T), Flow("A3", "mill", 3452641199),
        Flow("A3", "packaging", 10 * T, 0), Flow("A1", "wood", -5 * T, None, "biogenic"),
        Flow("A2", "air freight", 3 * T, None, "air"), Flow("A3", "office", 20 * T, None, "fossil", "below 1 %"),
    ]  # fmt: skip
    coil, scale = footprints("cradle-to-gate", products, flows, Number(1))
    assert coil.total + scale.total == 13600 * T + 96 * T + 3452641199 + 10 * T + 3 * T
    assert coil.grams["A1"] == 13539074166  # 13600 × 8000/8036 = 13539.07416625 t, the larger remainder is scale's
    assert scale.grams["A1"] == 60925834 and coil.grams["A1"] + scale.grams["A1"] == 13600 * T
    assert coil.grams["A3"] == 3437173916 + 10 * T
    assert coil.per_unit == Ratio(coil.total, 8000 * 1000) and scale.per_unit == Ratio(scale.total, 120 * 1000)
    assert coil.apart["biogenic"] + scale.apart["biogenic"] == -5 * T and coil.apart["air"] == 2986560
    assert covered(flows) == Ratio(100 * (17161641199), 17181641199)
    print(str(coil.per_unit.round(3)), str(scale.per_unit.round(3)), coil.grams, scale.grams)


def test_what_is_recovered_beyond_the_system_is_told_apart():
    products = [("coil", Number(10), Number(1))]
    (one,) = footprints("cradle-to-grave", products, [Flow("C", "end", 5 * T), Flow("D", "scrap", -3 * T)], Number(1))
    assert (one.total, one.apart, str(one.per_unit)) == (5 * T, {"D": -3 * T}, "500/1")


@pytest.mark.requirement("T-9.4-9", part="allocation sums to the plant's total")
def test_shares_sum_to_every_flow_and_stage():
    random = Random(77)
    for _ in range(60):
        products = [("p%d" % i, Number(random.below(10**6), -random.below(4)), Number(1 + random.below(10**5), -3))
                    for i in range(1 + random.below(6))]  # fmt: skip
        if not [row for row in products if row[1] != 0]:
            continue
        flows = [Flow(random.choice(STAGES[:6]), "f", random.between(-(10**8), 10**10),
                      None if random.below(3) else random.below(len(products))) for _ in range(12)]  # fmt: skip
        found = footprints("cradle-to-grave", products, flows, Number(1))
        assert sum([one.total for one in found]) == sum([flow.grams for flow in flows])
        for stage in STAGES[:6]:
            whole = sum([flow.grams for flow in flows if flow.stage == stage])
            assert sum([one.grams.get(stage, 0) for one in found]) == whole
        print([one.total for one in found])


@pytest.mark.parametrize(
    "boundary, product, flow, named",
    (
        ("cradle-to-moon", (1, 1), ("A1", "fossil"), "is no boundary"),
        ("cradle-to-gate", (1, 1), ("B", "fossil"), "outside cradle-to-gate"),
        ("cradle-to-gate", (1, 1), ("A9", "fossil"), "no stage"),
        ("cradle-to-gate", (1, 1), ("A1", "magic"), "no stage and kind"),
        ("cradle-to-gate", (-1, 1), ("A1", "fossil"), "has amount -1"),
        ("cradle-to-gate", (1, 0), ("A1", "fossil"), "weight 0"),
        ("cradle-to-gate", (0, 1), ("A1", "fossil"), "nothing to allocate by"),
    ),
)
def test_refusals(boundary, product, flow, named):
    with pytest.raises(AccountingError) as caught:
        products = [("p", Number(product[0]), Number(product[1]))]
        footprints(boundary, products, [Flow(flow[0], "f", 1, None, flow[1])], Number(1))
    assert named in str(caught.value)
    print(caught.value)


def test_nothing_made_has_no_footprint():
    products = [("p", Number(1), Number(1)), ("q", Number(0), Number(1))]
    found = footprints("cradle-to-gate", products, [Flow("A3", "f", 7)], Number(1))
    assert [one.total for one in found] == [7, 0] and found[1].per_unit is None
    assert covered([]) is None and sorted(BOUNDARIES) == ["cradle-to-gate", "cradle-to-grave"]
