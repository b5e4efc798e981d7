"""The accounting boundary: its canonical form again, every mistake in it named, and nothing counted twice."""

import pytest

import bounds
from carbonterm import cbor, site
from carbonterm.accounting import boundary as boundaries
from carbonterm.errors import CarbonError, SiteError
from carbonterm.gm import sm3
from carbonterm.number import Number
from carbonterm.site_changes import changes
from seeded import Random
from sites import compiled, document, point


def later(row):
    return [value for _, _, value in row.later()]


def whole(rows=None, **parts):
    """A document of the present format with a boundary."""
    doc = document(**parts)
    doc[0] = site.FORMAT
    doc[5] = [row + later(site.Bus) for row in doc[5]]
    doc[6] = [row + later(site.Meter) for row in doc[6]]
    doc[7] = [row + later(site.Point) for row in doc[7]]
    doc[8] = [row + later(site.Source) for row in doc[8]]
    return doc + [[], bounds.boundary() if rows is None else rows]


@pytest.mark.requirement("T-9.3-2", "T-9.3-5", "T-9.3-6", "T-11.5-5", part="in the signed site document")
def test_a_boundary_is_part_of_the_document():
    data = cbor.encode(whole())
    again = site.decode(data)
    assert again.canonical() == data and again.nodes == []
    assert again.boundary.entity.code == bounds.CODE
    assert site.Site(whole()).canonical() == data
    assert changes(site.Site(whole()), again) == []
    other = whole(bounds.boundary(divide="purpose"))
    assert changes(again, site.Site(other)) == ["boundary, divide: changed"]
    without = whole()[:11]
    assert changes(again, site.Site(without)) == ["boundary: removed"]
    assert changes(site.Site(without), again) == ["boundary: configured"]
    print(sm3.digest(data).hex())


def test_an_empty_end_is_left_out():
    for doc in (whole()[:12], whole()[:12] + [[]], whole() + [[]]):
        with pytest.raises(SiteError):
            site.Site(doc)


E1 = bounds.place
# what of the boundary is replaced, and what the refusal names
WRONG = (
    ({"entity": bounds.entity(code=None)}, "neither a credit code nor a reason"),
    ({"entity": bounds.entity(code="91350100M000100Y42")}, "is no unified social credit code"),
    ({"entity": bounds.entity(code="91350100M000100Y4I")}, "is no unified social credit code"),
    ({"entity": bounds.entity(name="")}, "entity, name"),
    ({"entity": bounds.entity(type="huge")}, "entity, type"),
    ({"entity": bounds.entity(contact=[None])}, "contact"),
    ({"entity": bounds.entity(attachments=[["licence.pdf", b"short"]])}, "not 32 bytes"),
    ({"entity": bounds.entity(annual=[2025, "26000"])}, "annual, tCO2e"),
    ({"divide": "colour"}, "divide"),
    ({"divide": "none"}, "it is not divided, and has units"),
    ({"units": (("a", 0),)}, "unit, above"),
    ({"units": (("a", None), ("a", 0), ("c", 0))}, "two units are named 'a'"),
    ({"sectors": [["steel", "钢铁", 1]]}, "a flag"),
    ({"places": (E1(0), E1(1), E1(2))}, "names source 2 of 2"),
    ({"places": (E1(0),)}, "source 'gas' has no place in it"),
    ({"places": (E1(0), E1(1, share=(6, -1)), E1(1, share=(5, -1)))}, "'gas' has shares that sum to 1.1"),
    ({"places": (E1(0), E1(1, share=(99, -2)))}, "'gas' has shares that sum to 0.99"),
    ({"places": (E1(0), E1(1, share=(0, 0)))}, "above 0 and at most 1"),
    ({"places": (E1(0), E1(1, unit=3))}, "place, unit"),
    ({"places": (E1(0), E1(1, kind="magic"))}, "place"),
    ({"places": (E1(0), E1(1, category=7))}, "place, category"),
    ({"places": (E1(0), E1(1, reason=""))}, "place, reason"),
    ({"submeters": [[0, 9]]}, "names meter 9 of 3"),
    ({"submeters": [[0, 1], [1, 0]]}, "submeter of itself"),
    ({"submeters": [[0, 0]]}, "submeter of itself"),
    ({"clean": [[7, "pv"]]}, "names point 7 of 4"),
    ({"clean": [[0, "magic"]]}, "clean energy"),
    ({"clean": [[3, "pv"]]}, "point 'P1' is a value of the moment"),
    ({"measures": [["product", "steel", "t", 0, [1, 0], None]]}, "a point or an amount"),
    ({"measures": [["product", "steel", "t", None, None, None]]}, "a point or an amount"),
    ({"measures": [["output", "x", "元", None, [-1, 0], None]]}, "below 0"),
    ({"products": ["mass", [["steel", "t", 2, None, None, [0, 0]]]]}, "weight is not above 0"),
    ({"products": ["luck", []]}, "allocation"),
    ({"absent": [[1, "item", "why"]]}, "absent"),
    ({"extra": [[0, "x", "t", 9, "AD"]]}, "names source 9 of 2"),
)


@pytest.mark.requirement("T-9.3-2", "T-9.3-3")
@pytest.mark.parametrize("own, named", WRONG)
def test_what_is_wrong_is_named(own, named):
    with pytest.raises(SiteError) as caught:
        points = [point("E1", 0), point("E2", 1), point("G1", 2, unit="Nm3"), point("P1", 0, unit="kW", kind="instant")]
        site.Site(whole(bounds.boundary(**own), points=points))
    assert named in str(caught.value), str(caught.value)
    print(caught.value)


def electric(name, *feeds, sign=1, scope=2):
    made = compiled(name, scope, "AD*EF", [["AD", "MWh"]], [["EF", "tCO2/MWh", -4, 5306]])
    made[5] = sign
    return [name, made, [["AD", [[index, 1, 1000] for index in feeds]]]]


def two(*sources, **own):
    places = [bounds.place(i, 0, None, "electricity", 2, reason=own.get("reasons", {}).get(i)) for i in range(2)]
    points = [point("E1", 0), point("E2", 1), point("E1t", 0), point("G1", 2, unit="Nm3")]
    return whole(
        bounds.boundary(places, submeters=own.get("submeters"), apart=own.get("apart")),
        points=points, sources=list(sources),
    )  # fmt: skip


def of_stack(name, index, method="cems", kind="other", scope=1):
    """A source of the present form, fed by one point."""
    old = compiled(name, scope, "M", [["M", "kWh"]], [])
    part = [["CO2", old[6], ["GWP", "tCO2e/tCO2", 0, 1, None]]]
    made = ["carbonterm-source-2", [method, 1], name, scope, 1, 1, part, old[7], [], kind]
    return [name, made, [["M", [[index, 1, 1]]]]]


@pytest.mark.requirement("T-9.3-4", part="what a stack's monitor measures and what is accounted of the stack")
def test_a_stack_is_not_counted_twice():
    monitor, kiln = of_stack("stack", 0), of_stack("kiln", 1, "cn-2013-cement", "combustion")

    def plant(*units, other=kiln, reason=None, apart=None):
        places = [bounds.place(0, units[0], None, reason=reason), bounds.place(1, units[1], None)]
        return whole(bounds.boundary(places, apart=apart), points=[point("E1", 0), point("E2", 1)],
                     sources=[monitor, other])  # fmt: skip

    for units in ((0, 0), (0, 1), (1, 0), (None, 1), (1, None)):  # unit 1 is a part of unit 0
        with pytest.raises(SiteError, match="source 'stack' measures what source 'kiln' accounts") as caught:
            site.Site(plant(*units))
        assert "exclude one" in caught.value.hint
    site.Site(plant(1, 2))  # two shops beside each other
    site.Site(plant(0, 0, reason="a check of the accounted figure"))
    site.Site(plant(0, 0, apart=[[0, "the stack of the old kiln, which nobody accounts"]]))
    for other in (of_stack("leak", 1, "x", "fugitive"), of_stack("bus", 1, "x", "combustion", 3),
                  of_stack("second stack", 1)):  # fmt: skip
        site.Site(plant(0, 0, other=other))
    with pytest.raises(SiteError):  # the other one's meter apart says nothing of the monitor's
        site.Site(plant(0, 0, apart=[[1, "why"]]))
    without = site.Site(plant(1, 2)[:11])
    assert boundaries.monitored(without) == [(0, 1)]


def shared(*parts, submeters=None):
    """Two sources, each fed by a virtual point of its own, the sum of one part."""
    doc = two(electric("one", 4), electric("two", 5), submeters=submeters)
    virtual = [[name, "energy", "kWh", "sum", [part], None] for name, part in zip(("V1", "V2"), parts)]
    return doc + [[[], [], virtual]]


@pytest.mark.requirement("T-9.3-4", part="nothing counts twice")
def test_nothing_counts_twice():
    shop, hall = electric("shop", 0), electric("hall", 2)
    for doc, named in (
        (two(shop, hall), "'shop' by meter 'M0' and source 'hall' by meter 'M0'"),  # the total and a tariff of a meter
        (two(shop, electric("hall", 0)), "source 'hall' by meter 'M0'"),
        (two(shop, electric("hall", 1), submeters=[[1, 0]]), "'hall' by meter 'M1' and source 'shop' by meter 'M0'"),
        (two(electric("hall", 1), shop, submeters=[[1, 2], [2, 0]]), "source 'shop' by meter 'M0'"),
        (two(electric("shop", 0, 1), electric("hall", 3), submeters=[[1, 0]]), "'shop' by meter 'M0'"),
        (shared([0, 6, 10], [0, 5, 10]), "source 'two' by meter 'M0'"),
        (shared([0, 1, 1], [1, 1, 1], submeters=[[1, 0]]), "source 'two' by meter 'M1' and source 'one' by meter 'M0'"),
        (shared([0, 1, 1], [1, 1, 10], submeters=[[1, 0]]), "'two' by meter 'M1' and source 'one' by meter 'M0'"),
    ):
        with pytest.raises(SiteError) as caught:
            site.Site(doc)
        assert named in caught.value.what and "twice" in caught.value.what, caught.value.what
        print(caught.value)
    # told why, excluded, deducted, in another scope, of another quantity, or beside each other: no double counting
    fine = [
        two(shop, hall, apart=[[0, "two channels of one meter"]]),
        two(shop, hall, reasons={1: "let to another firm"}),
        two(shop, electric("hall", 2, sign=-1)),
        two(shop, electric("hall", 2, scope=3)),
        two(shop, electric("hall", 1), submeters=[[0, 2], [1, 2]]),
        two(shop, electric("hall", 3), submeters=[[2, 0]]),
        shared([0, 6, 10], [0, 4, 10]),
        shared([0, 1, 3], [0, 2, 3]),
        shared([0, 10, 1], [1, 1, 1]),  # one typical machine stands for ten
    ]
    less = shared([0, 1, 1], [1, 1, 1], submeters=[[1, 0]])
    less[13][2][0][4].append([1, -1, 1])  # the main meter less its submeter, beside the submeter
    fine.append(less)
    for doc in fine:
        site.Site(doc)
    only = site.Site(two(shop, electric("hall", 1)))
    assert boundaries.unlinked(only.boundary, only) == [2]


@pytest.mark.requirement("T-1-1", "T-5.1-1", "T-5.1-2")
def test_a_key_emission_unit_begins_at_26000_tonnes():
    found = []
    for text in ("0", "25999.99", "26000", "26000.000001"):
        own = bounds.entity(annual=[2025, [Number(text).mantissa, Number(text).exponent]])
        found.append(boundaries.type_of(boundaries.Boundary(bounds.boundary(entity=own))))
    assert found == ["general", "general", "key", "key"]
    one = boundaries.Boundary(bounds.boundary())
    assert boundaries.type_of(one) == "general" and boundaries.type_of(one, Number("26000")) == "key"
    # in a sector of the reporter's own it is one only if he says so
    own = boundaries.Boundary(bounds.boundary(sectors=[["x", "自定义", True]]))
    assert boundaries.type_of(own, Number("26000")) == "general"
    declared = boundaries.Boundary(bounds.boundary(entity=bounds.entity(type="key")))
    assert boundaries.type_of(declared, Number("1")) == "key"
    print(found)


def test_credit_codes():
    good = ["91350100M000100Y43", "91110000600037341L", "911100001000013428"]
    print([boundaries.credit_code(code) for code in good])
    assert boundaries.credit_code(good[0])
    for i in range(18):
        for c in "0A":
            changed = bounds.CODE[:i] + c + bounds.CODE[i + 1 :]
            assert changed == bounds.CODE or not boundaries.credit_code(changed)
    assert not boundaries.credit_code("") and not boundaries.credit_code("9135010OM000100Y43")


def test_anything_else_is_refused_and_nothing_else_raised():
    random = Random(5)
    data = cbor.encode(whole())
    start = data.find(cbor.encode(bounds.boundary())[:40])
    assert start > 0
    refused = 0
    for _ in range(160):
        bad = bytearray(data)
        for _ in range(1 + random.below(3)):
            bad[start + random.below(len(data) - start)] = random.below(256)
        try:
            assert site.decode(bytes(bad)).canonical() == bytes(bad)
        except CarbonError:
            refused += 1
    print(refused)
    assert refused > 80
