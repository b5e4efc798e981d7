"""The shipped data: every number has a source, every formula gives tonnes of its gas, every reference exists."""

import pytest

import shipped
from carbonterm import formula, units
from carbonterm.accounting.dimensions import check_source, unit_of
from carbonterm.accounting.load import FUEL
from carbonterm.errors import AccountingError, UnitError

METHODS = shipped.methods()
FACTORS = shipped.factors()


@pytest.mark.requirement("T-9.1-1")
def test_every_formula_gives_tonnes_of_its_gas():
    for name in sorted(METHODS):
        for source in METHODS[name].sources:
            check_source(source)
            used = formula.names(source.steps)
            assert sorted(used) == sorted([p.name for p in source.parameters])
            print(name, source.id, source.formula)


def test_every_reference_exists_and_fits():
    for name in sorted(METHODS):
        method = METHODS[name]
        assert method.fuel_set in FACTORS.fuels
        for source in method.sources:
            gwp = FACTORS.by_id["gwp/" + method.gwp_set + "/" + source.gas]
            assert units.same(gwp.unit, "tCO2e/t" + source.gas)
            for p in source.parameters:
                if p.default:
                    assert units.fits(FACTORS.by_id[p.default].unit, p.units[0])
                if p.choose == FUEL:
                    for fuel in FACTORS.fuels[method.fuel_set]:
                        factor = FACTORS.by_id["%s/%s/%s" % (method.fuel_set, fuel, p.name)]
                        assert [u for u in p.units if units.fits(factor.unit, u)]
                elif p.choose:
                    chosen = FACTORS.of(p.choose)
                    assert chosen
                    for id in chosen:
                        assert units.fits(FACTORS.by_id[id].unit, p.units[0])


def test_every_number_says_where_it_is_from():
    count = 0
    for id in FACTORS.by_id:
        factor = FACTORS.by_id[id]
        assert factor.source and factor.document and factor.name_zh
        if "memory" in factor.source and "from memory" not in factor.source:
            assert factor.unconfirmed, id
        assert factor.unconfirmed or factor.basis in ("found", "definition", "confirmed")
        count += 1
    assert count == sum([len(FACTORS.sets[name]) for name in FACTORS.sets])
    print(count, sorted(FACTORS.sets), len([f for f in FACTORS.by_id.values() if f.unconfirmed]))
    for name in METHODS:
        assert METHODS[name].document
        for source in METHODS[name].sources:
            assert source.origin and source.name_zh and source.name_en


@pytest.mark.parametrize(
    "change, why",
    (
        (("carries", "1"), "gives .*not tCO2"), (("carries", "kgCO2/tC"), "off by a factor of 1/1000"),
        (("gas", "CH4"), "not tCH4"),
        (("steps", formula.compile("FC*NCV*CC*OF*44/12+FC")), "a sum of"),
        (("steps", formula.compile("FC*NCV*CC*(1-FC)")), "a sum of"),
    ),
)  # fmt: skip
def test_a_formula_that_gives_something_else_is_refused(change, why):
    source = shipped.methods()["common"].source("fossil_combustion")
    setattr(source, change[0], change[1])
    with pytest.raises(AccountingError, match=why) as caught:
        check_source(source)
    print(str(caught.value))


def test_units_of_formulas():
    known = {"m": "kg", "a": "m/s2", "E": "kWh", "t": "h", "x": "fraction"}
    for text, unit in (("E/t", "kW"), ("E*(1-x)", "kWh"), ("-E+E", "kWh"), ("t^2", "h2"), ("1/t", "h^-1"),
    ("2*x^3", "1")):
        assert units.same(unit_of(formula.compile(text), known), unit), text
    with pytest.raises(UnitError, match="same unit"):
        unit_of(formula.compile("E+t"), known)
