"""The shipped data: every number has a source, every formula gives tonnes of its gas, every reference exists."""

import pytest

import shipped
from carbonterm import formula, units
from carbonterm.accounting.dimensions import check_source, unit_of
from carbonterm.accounting.load import FUEL, GAS, load_method, of_gas
from carbonterm.errors import AccountingError, UnitError

METHODS = shipped.methods()
FACTORS = shipped.factors()


@pytest.mark.requirement("T-9.1-1", part="formulas of 29 methods and GB/T 32150")
def test_every_formula_gives_tonnes_of_its_gas():
    for name in sorted(METHODS):
        for source in METHODS[name].sources:
            check_source(source)
            used = []
            for holder in source.parts + source.parameters:
                used += formula.names(holder.program or ())
            assert sorted(set(used)) == sorted([p.name for p in source.parameters])
            print(name, source.id, source.formula)


@pytest.mark.requirement("T-11.4-2")
@pytest.mark.requirement("T-9.2-1", part="every Annex A entry addressable")
def test_all_of_annex_a_is_there():
    """29 items of Annex A and the general rules; each with document, version and gases, each method for one item."""
    items = {}
    for method in METHODS.values():
        assert method.version >= 1 and method.document and method.name_zh and method.name_en and method.gases
        if method.appendix_a is not None:
            items.setdefault(method.appendix_a, []).append(method.id)
    assert sorted(items) == list(range(1, 30))
    assert "gbt32150-2015" in METHODS
    for item in sorted(items):
        assert len(items[item]) == 1
        print(item, items[item])


@pytest.mark.slow
def test_every_reference_exists_and_fits():
    for name in sorted(METHODS):
        method = METHODS[name]
        assert method.fuel_set is None or method.fuel_set in FACTORS.fuels
        for gas_set in method.gwp_sets:
            for gas in method.gases:
                gwp = FACTORS.by_id.get("gwp/%s/%s" % (gas_set, gas))
                assert gwp is None or units.same(gwp.unit, "tCO2e/t" + gas)
        for source in method.sources:
            _gases(method, source)
            for p in source.parameters:
                for factor in _factors(method, source, p):
                    fitting = [u for u in p.units if units.fits(of_gas(factor.unit, "CO2"), of_gas(u, "CO2"))]
                    assert fitting, (name, source.id, p.name, factor.id)


def _gases(method, source):
    """A gas that is not chosen must have a GWP in every set of its method."""
    for gas in source.gases if source.choices is None else []:
        for gas_set in method.gwp_sets:
            id = "gwp/%s/%s" % (gas_set, gas)
            assert gas in ("CO2", "CO2e") or id in FACTORS.by_id, (method.id, source.id, gas)


def _factors(method, source, p):
    """Factors that a parameter may take: its default, those of its set, those of the method's fuels."""
    found = []
    if p.default and GAS in p.default:
        found += [FACTORS.by_id[id] for id in [of_gas(p.default, gas) for gas in source.gases] if id in FACTORS.by_id]
        assert found
    elif p.default:
        found.append(FACTORS.by_id[p.default])
    if p.choose == FUEL:
        ids = ["%s/%s/%s" % (method.fuel_set, fuel, p.name) for fuel in FACTORS.fuels[method.fuel_set]]
        found += [FACTORS.by_id[id] for id in ids if id in FACTORS.by_id]  # a table may withhold a doubtful cell
    elif p.choose:
        chosen = FACTORS.of(p.choose)
        assert chosen, (method.id, source.id, p.choose)
        found += [FACTORS.by_id[id] for id in chosen]
    return found


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
        (("program", formula.compile("FC*NCV*CC*OF*44/12+FC")), "a sum of"),
        (("program", formula.compile("FC*NCV*CC*(1-FC)")), "a sum of"),
    ),
)  # fmt: skip
def test_a_formula_that_gives_something_else_is_refused(change, why):
    source = shipped.methods("common")["common"].source("fossil_combustion")
    setattr(source.parts[0], change[0], change[1])
    with pytest.raises(AccountingError, match=why) as caught:
        check_source(source)
    print(str(caught.value))


@pytest.mark.parametrize(
    "change, why",
    (
        ({"derive": "CC*2"}, "FC = CC.2 gives .*not t"), ({"derive": "CC+OF"}, "a sum of"),
        ({"derive": "CC*2", "carries": "GJ/tC"}, "FC = CC.2 gives"),
    ),
)  # fmt: skip
@pytest.mark.slow
def test_a_derivation_that_gives_something_else_is_refused(change, why):
    data = next(data for name, data in shipped.files("methods") if name == "common.json")
    row = next(row for row in data["sources"] if row["id"] == "fossil_combustion")
    row["parameters"][0].update(change)
    with pytest.raises(AccountingError, match=why) as caught:
        check_source(load_method(data).source("fossil_combustion"))
    print(str(caught.value))


def test_units_of_formulas():
    known = {"m": "kg", "a": "m/s2", "E": "kWh", "t": "h", "x": "fraction", "T": "°C"}
    for text, unit in (("E/t", "kW"), ("E*(1-x)", "kWh"), ("-E+E", "kWh"), ("t^2", "h2"), ("1/t", "h^-1"),
    ("2*x^3", "1")):
        assert units.same(unit_of(formula.compile(text), known), unit), text
    for text, unit in (("max(0,E,2*E)", "kWh"), ("sum(E*x)-E", "kWh"), ("(T-T)*E", "K.kWh"), ("E-0", "kWh")):
        assert units.same(unit_of(formula.compile(text), known), unit), text
    with pytest.raises(UnitError, match="same unit"):
        unit_of(formula.compile("E+t"), known)
