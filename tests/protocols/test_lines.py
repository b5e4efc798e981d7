"""Sums over lines, derived parameters, chosen gases, alternatives of units: how a formula becomes plain steps."""

import pytest

from carbonterm import cbor, clock, formula
from carbonterm.accounting import library, lines, source
from carbonterm.accounting.dimensions import check_source
from carbonterm.accounting.load import load_factors, load_method
from carbonterm.errors import AccountingError, CarbonError
from carbonterm.number import Number, Ratio
from seeded import Random

AT = clock.stamp(2025, 6, 1)


def parameter(name, unit, kind="activity", **more):
    row = {"name": name, "name_zh": "参数" + name, "name_en": name, "unit": unit, "kind": kind}
    row.update(more)
    return row


def make(id, formula, parameters, **more):
    row = {
        "id": id, "name_zh": id, "name_en": id, "scope": 1, "gas": "CO2", "sign": 1, "formula": formula,
        "source": "the test", "basis": "definition", "confidence": "high", "parameters": parameters,
    }  # fmt: skip
    row.update(more)
    for key in ("gas", "formula"):
        if row[key] is None:
            del row[key]
    return row


METHOD = load_method({
    "id": "lines", "version": 3, "name_zh": "行", "name_en": "lines", "document": "the test", "gwp_set": "SAR",
    "gwp_sets": ["SAR", "AR5"], "fuel_set": "fuels", "gases": ["CO2", "CF4", "C2F6", "CO2e"], "basis": "definition",
    "confidence": "high", "superseded": {"by": "lines-2", "from": "2024-01-01"},
    "sources": [
        make("clinker", "Q*EF-sum(M*d)", [
            parameter("Q", "t"), parameter("EF", "tCO2/t", "factor"), parameter("M", "t", optional=True),
            parameter("d", "tCO2/t", "factor", optional=True),
        ]),
        make("balance", "(sum(AD*CC)-sum(P*CP))*44/12", [
            parameter("AD", "t | 10^4Nm3"), parameter("CC", "tC/t | tC/10^4Nm3", "factor"),
            parameter("P", "t", optional=True), parameter("CP", "tC/t", "factor", default="x/cp", optional=True),
        ], carries="tCO2/tC"),
        make("fuel", "FC*NCV*CC*OF*44/12", [
            parameter("FC", "t | 10^4Nm3", derive="V*rho"),
            parameter("NCV", "GJ/t | GJ/10^4Nm3", "factor", choose="fuel"),
            parameter("CC", "tC/GJ", "factor", choose="fuel"), parameter("OF", "fraction", "factor", choose="fuel"),
            parameter("V", "m3"), parameter("rho", "t/m3", "factor", default="x/rho"),
        ], carries="tCO2/tC", kind="combustion"),
        make("effect", None, [
            parameter("P", "t"), parameter("a", "kg/t", "factor", default="x/a", derive="k*AEM", carries="kg/(t.min)"),
            parameter("b", "kg/t", "factor", default="x/b", derive="a*r"), parameter("AEM", "min"),
            parameter("k", "1", "constant", default="x/k"), parameter("r", "fraction", "constant", default="x/r"),
        ], gas=None, parts=[{"gas": "CF4", "formula": "P*a/1000", "carries": "tCF4/kg"},
                            {"gas": "C2F6", "formula": "P*b/1000", "carries": "tC2F6/kg"}]),
        make("leak", "A*L/1000", [parameter("A", "kgGAS"), parameter("L", "fraction", "factor", default="x/leak/GAS")],
             gas=["CF4", "C2F6"], carries="tGAS/kgGAS", sign=-1),
        make("any", "AD*EF", [
            parameter("AD", "t | GJ | MWh"), parameter("EF", "tGAS/t | tGAS/GJ | tGAS/MWh", "factor"),
        ], gas=["CO2e", "CF4"]),
        make("share", "1-max(G/F, 0)", [parameter("G", "t"), parameter("F", "t")], gas=None, gives="fraction",
             kind="auxiliary"),
        make("ore", "AD*S", [
            parameter("AD", "t"), parameter("S", "tCO2/t", "factor", derive="sum(w*EF)"),
            parameter("w", "fraction"), parameter("EF", "tCO2/t", "factor"),
        ]),
    ],
})  # fmt: skip


def factor(id, value, unit, **more):
    row = {"id": id, "name_zh": id, "value": value, "unit": unit}
    row.update(more)
    return row


FACTORS = load_factors({
    "id": "x", "name_zh": "x", "name_en": "x", "document": "the test", "source": "the test", "basis": "definition",
    "confidence": "high",
    "factors": [
        factor("x/cp", "0.5", "tC/t"), factor("x/rho", "0.8", "t/m3"), factor("x/a", "0.034", "kg/t"),
        factor("x/b", "0.0034", "kg/t"), factor("x/k", "0.143", "1"), factor("x/r", "0.1", "-"),
        factor("x/leak/CF4", "0.05", "-"), factor("gwp/SAR/CO2", "1", "tCO2e/tCO2"),
        factor("gwp/SAR/CF4", "6500", "tCO2e/tCF4"), factor("gwp/SAR/C2F6", "9200", "tCO2e/tC2F6"),
        factor("gwp/AR5/CF4", "6630", "tCO2e/tCF4"), factor("gwp/AR5/C2F6", "11100", "tCO2e/tC2F6"),
    ],
}, {
    "id": "fuels", "name_zh": "x", "name_en": "x", "document": "the test", "source": "the test", "basis": "definition",
    "confidence": "high",
    "fuels": [{"id": "coal", "name_zh": "煤", "per": "t", "NCV": "20", "CC": "0.03", "OF": "0.9"},
              {"id": "gas", "name_zh": "气", "per": "10^4Nm3", "NCV": "300", "CC": "0.02", "OF": "1"}],
})  # fmt: skip


def account(name, values, at=AT):
    return library.account(METHOD, name, values, FACTORS, at)


def test_the_method_of_this_test_is_sound():
    for one in METHOD.sources:
        check_source(one)
    assert METHOD.source("effect").formula == "CF4: P*a/1000; C2F6: P*b/1000"
    assert METHOD.source("effect").gases == ["CF4", "C2F6"]


def test_hand_worked_cases():
    n = Number
    for name, values, expected in (
        # 100 × 0.5 − (10 × 0.4 + 20 × 0.1)
        ("clinker", {"Q": 100, "EF": n("0.5"), "M.1": 10, "d.1": n("0.4"), "M.2": 20, "d.2": n("0.1")}, "44/1"),
        ("clinker", {"Q": 100, "EF": n("0.5"), "M.1": 10, "M.2": 20, "d": n("0.1")}, "47/1"),
        ("clinker", {"Q": 100, "EF": n("0.5"), "M": 10, "d": n("0.4")}, "46/1"),
        ("clinker", {"Q": 100, "EF": n("0.5"), "M.1": 10, "d.1": n("0.4")}, "46/1"),
        ("clinker", {"Q": 100, "EF": n("0.5")}, "50/1"),
        # (10 t × 0.6 + 2 × 10^4Nm3 × 5 − 3 × 0.5) × 44/12
        ("balance", {"AD.1": (10, "t"), "CC.1": n("0.6"), "AD.2": (20000, "Nm3"), "CC.2": 5, "P": 3}, "319/6"),
        ("balance", {"AD": 10, "CC": n("0.6"), "P.1": 1, "P.2": 2, "CP.1": 1, "CP.2": n("0.25")}, "33/2"),
        # 10 × 20 × 0.03 × 0.9 × 44/12 + 2 × 300 × 0.02 × 44/12
        ("fuel", {"FC.1": 10, "FC.2": 2, "fuel.1": "coal", "fuel.2": "气"}, "319/5"),
        ("fuel", {"FC.1": 10, "FC.2": 20, "fuel": "coal"}, "297/5"),
        ("fuel", {"FC.1": 10, "FC.2": 20, "fuel": "coal", "OF.1": 1, "OF.2": n("0.5")}, "44/1"),
        # 10 m3 × 0.8 t/m3 of coal
        ("fuel", {"V": 10, "fuel": "coal"}, "396/25"),
        ("fuel", {"V.1": 10, "V.2": 20, "fuel": "coal", "rho": 1}, "297/5"),
        # 1000 t: (34 kg × 6500 + 3.4 kg × 9200) / 1000
        ("effect", {"P": 1000}, "6307/25"),
        ("effect", {"P": 1000, "AEM": n("0.5")}, "53053/100"),  # a = 0.0715, b = 0.00715
        ("effect", {"P": 1000, "a": 1}, "7420/1"),
        ("effect", {"P": 1000, "a": 1, "b": 1}, "15700/1"),
        ("effect", {"P.1": 400, "P.2": 600, "b": 1}, "9421/1"),
        ("effect", {"P.1": 400, "P.2": 600, "gwp_set": "AR5"}, "6579/25"),
        ("leak", {"A": 1000, "gas": "CF4"}, "-325/1"),
        ("leak", {"A": (1, "tCF4"), "gas": "CF4", "L": (1, "%")}, "-65/1"),
        ("leak", {"A": 1000, "gas": "C2F6", "L": 1}, "-9200/1"),
        ("leak", {"A": 1000, "GWP": 1000, "L": 1}, "-1000/1"),
        ("leak", {"A": 1000, "gas": "SF6", "GWP": 1000, "L": 1}, "-1000/1"),
        ("any", {"AD": 10, "EF": 2}, "20/1"), ("any", {"AD": (10, "GJ"), "EF": 2}, "20/1"),
        ("any", {"AD": (10, "MWh"), "EF": 2}, "20/1"), ("any", {"AD": 10, "EF": (2, "kgCO2e/kWh")}, "20/1"),
        ("any", {"AD": (36, "MJ"), "EF": (2, "kgCO2e/kWh")}, "1/50"),
        ("any", {"AD": (10, "MWh"), "EF": (1, "tCO2e/GJ")}, "36/1"),
        ("any", {"AD": 10, "EF": 2, "gas": "CF4"}, "130000/1"), ("any", {"AD": 10, "EF": 2, "GWP": 5}, "100/1"),
        ("share", {"G": 1, "F": 4}, "3/4"), ("share", {"G": -1, "F": 4}, "1/1"),
        ("ore", {"AD": 10, "w.1": n("0.5"), "EF.1": n("0.4"), "w.2": n("0.1"), "EF.2": 1}, "3/1"),
        ("ore", {"AD.1": 10, "AD.2": 20, "S": n("0.1")}, "3/1"),
        ("ore", {"AD.1": 10, "AD.2": 20, "w": n("0.5"), "EF": n("0.2")}, "3/1"),
    ):  # fmt: skip
        result = account(name, values)
        print(name, result.ratio, [(gas, str(mass)) for gas, mass in result.gases], result.derived)
        assert str(result.ratio) == expected, values
        if result.compiled is not None:
            assert cbor.decode(library.canonical(result.compiled)) == result.compiled
            library.check(result.compiled)
            whole = Ratio(0)
            for _, _, tonnes in library.by_gas(result.compiled, {r.key: r.value for r in result.rows}):
                whole = whole + tonnes
            assert whole == result.ratio


def test_what_a_result_says():
    result = account("effect", {"P.1": 400, "P.2": 600, "AEM": 1})
    assert [row.key for row in result.rows] == ["P.1", "P.2", "AEM", "k", "r"]
    assert result.derived == [("a", "k*AEM"), ("b", "a*r")]
    assert [(gas, str(value), f.id) for gas, value, f in result.gwps] == [
        ("CF4", "6500", "gwp/SAR/CF4"), ("C2F6", "9200", "gwp/SAR/C2F6")]  # fmt: skip
    assert [f.id for f in result.factors] == ["x/k", "x/r", "gwp/SAR/CF4", "gwp/SAR/C2F6"]
    assert result.warnings == ["method lines is superseded by lines-2 from 2024-01-01"]
    assert account("effect", {"P": 1}, clock.stamp(2023, 6, 1)).warnings == []
    unnamed = account("leak", {"A": 1000, "GWP": 1000, "L": 1})
    assert [(gas, str(mass)) for gas, mass in unnamed.gases] == [("", "-1/1")]
    assert unnamed.gwps[0][2] is None
    assert account("share", {"G": 1, "F": 4}).tco2e is None
    assert [row.unit for row in account("balance", {"AD.1": (1, "t"), "CC": 1, "AD.2": (2, "kg")}).rows] == [
        "t", "t", "tC/t"]  # fmt: skip


@pytest.mark.parametrize(
    "name, values, why",
    (
        ("clinker", {"Q": 1, "EF": 1, "M": 1}, "clinker of lines lacks d .参数d, tCO2/t"),
        ("clinker", {"Q": 1, "EF": 1, "M.1": 1, "M.2": 2, "d.1": 1}, "d of clinker has 1 lines, M 2"),
        ("clinker", {"Q": 1, "EF": 1, "M.1": 1, "M.3": 2, "d": 1}, "lines of M are 1, 3.*without a gap"),
        ("clinker", {"Q": 1, "EF": 1, "M": 1, "M.1": 2, "d": 1}, "lines of M are 0, 1"),
        ("clinker", {"Q.1": 1, "Q.2": 1, "EF": 1}, "Q of clinker has 2 lines, but its formula takes it once"),
        ("clinker", {"Q": 1, "EF": 1, "M.0": 1, "d": 1}, "no parameter 'M.0'"),
        ("balance", {"P": 1}, "lacks AD .*CC"),
        ("balance", {"AD.1": (1, "t"), "AD.2": (1, "Nm3"), "CC": (1, "tC/t")}, "density"),
        ("fuel", {"fuel": "coal"}, "lacks FC .*or V and rho"),
        ("fuel", {"FC": 1, "V": 1, "fuel": "coal"}, "V of fuel is not needed"),
        ("fuel", {"FC.1": 1, "FC.2": 1, "FC.3": 1, "fuel.1": "coal", "fuel.2": "gas"}, "has 2 lines"),
        ("effect", {"P": 1, "a": 1, "AEM": 2}, "AEM of effect is not needed"),
        ("leak", {"A": 1}, "leak of lines lacks its gas.*gas=CF4, C2F6"),
        ("leak", {"A": 1, "gas": "SF6"}, "no gas 'SF6'.*CF4"),
        ("leak", {"A": 1, "gas": "C2F6"}, "lacks L"),
        ("leak", {"A": 1, "gas": "CF4", "L": 5}, "L of leak .*fraction from 0 to 1, not 5.*0.98"),
        ("leak", {"A": 1, "gas": "CF4", "L": -1}, "fraction from 0 to 1, not -1"),
        ("leak", {"A": 1, "GWP": "much", "L": 1}, "unknown factor 'much'"),
        ("leak", {"A": 1, "GWP": (5, "t"), "L": 1}, "in tCO2e/t"),
        ("leak", {"A": 1, "gas": 7, "L": 1}, "no gas '7'"),
        ("clinker", {"Q": 1, "EF": 1, "gas": "CO2"}, "no parameter 'gas'"),
        ("any", {"AD": (1, "kWh"), "EF": 1}, "EF of any may be in tCO2e/GJ or tCO2e/MWh.*EF=1tCO2e/GJ"),
        ("any", {"AD": 1, "EF": (1, "tCO2e/kWh")}, "AD of any may be in GJ or MWh"),
        ("clinker", {"Q": 1, "EF": 1, "gwp_set": "AR4"}, "no GWP set 'AR4'.*SAR, AR5"),
        ("share", {"G": 1, "F": 0}, "division by zero"),
        ("ore", {"AD": 1, "w": 1}, "lacks EF|lacks S .*w and EF"),
    ),
)  # fmt: skip
def test_refusals_say_what_to_do(name, values, why):
    with pytest.raises(CarbonError, match=why) as caught:
        account(name, values)
    print(str(caught.value))


def test_a_site_gets_plain_steps():
    row = library.compile_source(
        METHOD, "clinker", {"EF": Number("0.5"), "d.1": Number("0.4"), "d.2": 1}, FACTORS, AT,
        {"Q": "kg", "M.1": "t", "M.2": "t"},
    )  # fmt: skip
    assert row[source.INPUTS] == [["Q", "t"], ["M.1", "t"], ["M.2", "t"]]
    assert formula.text(source.parts(row)[0][1]) == "Q*EF-(M.1*d.1+M.2*d.2)"
    assert library.evaluate_compiled(row, {"Q": 100, "M.1": 10, "M.2": 2}) == 44
    derived = library.compile_source(METHOD, "effect", {}, FACTORS, AT, {"P": "t", "AEM": "min"})
    assert [name for name, _ in derived[source.INPUTS]] == ["P", "AEM"]
    assert [(gas, formula.text(steps)) for gas, steps, _ in source.parts(derived)] == [
        ("CF4", "P*(k*AEM)/1000"), ("C2F6", "P*(k*AEM*r)/1000")]  # fmt: skip
    gases = library.by_gas(derived, {"P": 1000, "AEM": Number("0.5")})
    assert [(gas, str(mass), str(t)) for gas, mass, t in gases] == [
        ("CF4", "143/2000", "1859/4"), ("C2F6", "143/20000", "3289/50")]  # fmt: skip
    assert (source.category(derived), source.kind(derived)) == (1, "other")
    with pytest.raises(AccountingError, match="gives fraction, no emission"):
        library.compile_source(METHOD, "share", {}, FACTORS, AT)
    print(library.canonical(derived))


def test_the_former_form_is_read():
    row = ["carbonterm-source-1", ["m", 1], "s", 2, "CO2", -1, ["A", "k", 2], [["A", "t"]],
           [["k", "tCO2/t", -1, 5, None]],
           ["GWP", "tCO2e/tCO2", 0, 1, ["g", "d", "found", "low", None, 5]]]  # fmt: skip
    library.check(row)
    assert library.evaluate_compiled(row, {"A": 3}) == Ratio(-3, 2)
    assert (source.category(row), source.kind(row), source.parts(row)[0][0]) == (2, "other", "CO2")
    assert library.unconfirmed(row) == ["g"]
    assert library.expired(row, 5) == ["g"]


def test_lines_of_keys():
    names = ["M", "a.b"]
    for key, expected in (
        ("M", ("M", 0)), ("M.1", ("M", 1)), ("M.12", ("M", 12)), ("M.01", ("M.01", 0)), ("M.", ("M.", 0)),
        ("M.x", ("M.x", 0)), ("a.b", ("a.b", 0)), ("a.b.2", ("a.b", 2)), ("x.1", ("x.1", 0)), (".1", (".1", 0)),
        ("M.1234", ("M.1234", 0)),
    ):  # fmt: skip
        assert lines.split(key, names) == expected, key
    assert lines.by_name(["M.2", "a.b", "M.1"], names, "x") == {"M": ["M.1", "M.2"], "a.b": ["a.b"]}
    with pytest.raises(AccountingError, match="at most 50"):
        lines.by_name(["M.%d" % n for n in range(1, 52)], names, "x")


@pytest.mark.slow
def test_anything_given_is_accounted_or_refused():
    random, good = Random(41), 0
    words = ("gas", "GWP", "fuel", "gwp_set", "x", "M")
    half = Number("0.5")
    values = (1, 1, 1, 0, -1, half, half, Ratio(1, 3), (1, "t"), "coal", "CF4", "x/a", None, (2, "zz"))
    for _ in range(1500):
        given, one = {}, random.choice(METHOD.sources)
        for p in one.parameters:
            if random.below(5):
                for tail in random.choice((("",), ("",), (".1", ".2"), (".2",))):
                    given[p.name + tail] = random.choice(values)
        if random.below(3) == 0:
            given[random.choice(words)] = random.choice(values)
        try:
            result = account(one, given)
        except CarbonError as error:
            assert error.what
            continue
        good += 1
        print(one.id, result.ratio)
    print(good)
    assert good > 10
