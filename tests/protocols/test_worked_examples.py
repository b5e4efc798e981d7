"""Every worked example of an accounting method, to the printed digits, in exact fractions."""

import pytest

import shipped
from carbonterm import clock
from carbonterm.accounting import library
from carbonterm.number import Number, Ratio
from vectors import load

METHODS = shipped.methods()
FACTORS = shipped.factors()
AT = clock.stamp(2025, 3, 4)
EXAMPLES = load("worked_examples")["examples"]


def account(method, source, at=AT, **given):
    """Result of a source; texts of digits become numbers, lists become lines."""
    values = {}
    for name in given:
        value = given[name]
        if isinstance(value, list):
            for at_line in range(len(value)):
                values["%s.%d" % (name, at_line + 1)] = Number(value[at_line])
        else:
            values[name] = Number(value) if value[0] in "0123456789" else value
    return library.account(METHODS[method], source, values, FACTORS, at)


def example(id):
    return next(case for case in EXAMPLES if case["id"] == id)


def expect(case, *results):
    total = Ratio(0)
    for result in results:
        total = total + result.ratio
    print(case["id"], total, total.round(6))
    assert str(total) == case["expected_fraction"], case["id"]
    assert str(total.round(6)) == case["expected_exact"]
    if case["expected_published"] is not None:
        assert abs(total - Number(case["expected_published"])) <= Number(case["tolerance"])


@pytest.mark.requirement("P-7.1-2")
@pytest.mark.requirement("T-9.1-1")
def test_examples_of_one_source():
    seen = 0
    for case in EXAMPLES:
        plain = [value for value in case["inputs"].values() if isinstance(value, str)]
        if "source_id" not in case or "+" in case["source_id"] or len(plain) < len(case["inputs"]):
            continue
        expect(case, account(case["method"], case["source_id"], **case["inputs"]))
        seen += 1
    assert seen == 8


@pytest.mark.requirement("T-9.1-1")
def test_clinker_with_raw_materials_without_carbonate():
    """1000000 × 0.535 − (20000 × 0.480 + 30000 × 0.055)."""
    case = example("cement24-process")
    rows = case["inputs"]["alt"]
    lines = {"M": [row["M"] for row in rows], "d": [row["d"] for row in rows]}
    expect(case, account(case["method"], "clinker_process", Q=case["inputs"]["Q"], EF=case["inputs"]["EF"], **lines))


@pytest.mark.requirement("T-9.1-1")
def test_grid_company():
    """((120−100) + (80−72) + (50−46)) kg SF6 × 23900 / 1000, and (9500 + 1200 − 700 − 9400) GWh × 0.7035."""
    case = example("grid13")
    inputs = case["inputs"]
    rows = inputs["retired"] + inputs["repaired"]
    sf6 = account(case["method"], "sf6", CAP=[row[0] for row in rows], REC=[row[1] for row in rows])
    names = ("EL_gen", "EL_in", "EL_out", "EL_sold", "EF")
    expect(case, sf6, account(case["method"], "transmission_loss", **{name: inputs[name] for name in names}))
    assert [(gas, str(mass)) for gas, mass in sf6.gases] == [("SF6", "4/125")]


@pytest.mark.requirement("T-9.1-1")
def test_flat_glass():
    case = example("glass13")
    inputs = case["inputs"]
    powder = account(case["method"], "carbon_powder", Qc=inputs["Qc"], Cc=inputs["Cc"])
    mass = [inputs[name] for name in ("limestone", "dolomite", "soda")]
    expect(case, powder, account(case["method"], "carbonate", M=mass, EF=inputs["EF"], F=inputs["F"]))


@pytest.mark.requirement("T-9.1-1")
def test_aviation():
    case = example("aviation13")
    inputs = case["inputs"]
    jet = account(case["method"], "fossil_combustion", FC=inputs["jet"], fuel="航空煤油")
    blend = account(
        case["method"], "biomass_blend", FC=inputs["blend"], NCV=inputs["blend_NCV"], BF=inputs["BF"], fuel="航空煤油"
    )
    expect(case, jet, blend)


@pytest.mark.requirement("T-9.1-1")
def test_electronics_panel():
    """1 kg of each gas; the GWPs are the operator's."""
    expected = example("we-electronics-panel")["expected"]
    total = Ratio(0)
    for source, name, gwp, given in (
        ("fc_feed", "SF6_t", "22800", {"gas": "SF6", "U": "0.8", "d": "0.9"}),
        ("fc_feed", "NF3_feed_t", "17200", {"gas": "NF3", "U": "0.8", "d": "0.95"}),
        ("fc_feed", "CF4_t", "7390", {"gas": "CF4", "U": "0.1", "d": "0.9"}),
        ("fc_feed", "CHF3_feed_t", "12400", {"gas": "CHF3", "U": "0.6", "d": "0.9"}),
        ("fc_byproduct", "NF3_byproduct_CF4_t", "7390", {"gas": "CF4", "B": "0.09", "d": "0.9"}),
        ("fc_byproduct", "CHF3_byproduct_CF4_t", "7390", {"gas": "CF4", "B": "0.07", "d": "0.9"}),
    ):
        result = account("cn-2015-electronics", source, FC="0.001", h="0.1", a="0.9", GWP=gwp, **given)
        print(name, result.ratio, [(gas, str(mass)) for gas, mass in result.gases])
        assert result.ratio == Number(expected[name]), name
        total = total + result.ratio
    assert total == Number(expected["sum_t"])


@pytest.mark.requirement("T-9.1-1")
def test_a_published_enterprise_report():
    """The machinery report of 2022-03-04 prints whole tonnes, cut off: 181 + 851 + 232 = 1264."""
    case = example("we-machinery-2022")
    inputs, expected, year = case["inputs"], case["expected"], clock.stamp(2021, 12, 31)
    method = "cn-2015-machinery"
    fuel = account(method, "fuel_combustion", year, FC=inputs["natural_gas_10k_Nm3"], fuel="natural_gas")
    assert [str(f.value.normal()) for f in fuel.factors[:3]] == ["389.31", "0.0153", "0.99"]
    grid = "cn-region-2012-华中"
    electricity = account(method, "purchased_electricity", year, AD=inputs["electricity_MWh"], EF=grid)
    # the report gives the CO2 itself: pure CO2 of 44 g/mol as shielding gas
    process = account(method, "co2_welding", year, W=inputs["process_co2_t"], P_CO2="1", SUM_PM="44")
    whole = [r.ratio.numerator // r.ratio.denominator for r in (fuel, electricity, process)]
    assert [str(n) for n in whole] == [expected["fuel_tCO2"], expected["electricity_tCO2"], expected["process_tCO2"]]
    assert str(sum(whole)) == expected["total_tCO2e"]
    print(fuel.ratio, electricity.ratio, process.ratio)
    assert (str(fuel.tco2e), str(electricity.tco2e), str(process.tco2e)) == ("181.801159", "851.489432", "232.000000")
