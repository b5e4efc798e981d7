"""Methods and factors: published figures to their digits, dates, doubts, the compiled source, and every refusal."""

import json

import pytest

import shipped
from carbonterm import cbor, clock
from carbonterm.accounting import library, source
from carbonterm.errors import AccountingError, CarbonError, FormulaError
from carbonterm.gm import sm3
from carbonterm.number import Number, Ratio
from seeded import Random

METHODS = shipped.methods("common", "cn-2015-machinery", "cn-2015-other-industry")
FACTORS = shipped.factors(
    "gwp-sar", "grid-2018-reports", "grid-2021", "grid-2022", "grid-2023", "carbonates", "heat", "ndrc-2013-chem",
    "ndrc-2015",
)  # fmt: skip
MACHINERY, OTHER, COMMON = METHODS["cn-2015-machinery"], METHODS["cn-2015-other-industry"], METHODS["common"]
AT = clock.stamp(2022, 3, 4)


def account(method, name, values, at=AT):
    return library.account(method, name, values, FACTORS, at)


def test_hand_worked_cases_of_every_other_source():
    for method, name, values, expected in (
        # 1000 t of limestone, 90 % CaCO3: 1000 × 0.9 × 0.4397
        (OTHER, "carbonate_use", {"AD": 1000, "PUR": (90, "%"), "EF": "chem/caco3"}, "39573/100"),
        # ((1000 × (5 − 1) − 100) × 0.25 × 0.8 − 30) / 1000 = 0.75 t CH4, × 21
        (OTHER, "wastewater_ch4", {"W": 1000, "COD_in": 5, "COD_out": 1, "S": 100, "R": 30,
                                   "MCF": "ndrc-2015/MCF/anaerobic_reactor"}, "63/4"),
        # −(2 × 0.5 + 1 × 0.4 × 0.99) × 7.17 × 21
        (OTHER, "ch4_recovery", {"Q_ext": 2, "PUR_ext": Number("0.5"), "Q_self": 1, "PUR_self": Number("0.4")},
        "-5254893/25000"),
        # −0.98 × 1000 × 24 × 0.5 × 16/22.4 / 1000 = −8.4 t CH4, × 21
        (OTHER, "ch4_destroy", {"eta": Number("0.98"), "FR": 1000, "H": 24, "V": Number("0.5")}, "-882/5"),
        # −(3 × 0.99 + 1 × 1) × 19.7
        (OTHER, "co2_recovery", {"Q_ext": 3, "PUR_ext": Number("0.99"), "Q_raw": 1, "PUR_raw": 1}, "-78209/1000"),
        (OTHER, "purchased_electricity", {"AD": 1000, "EF": "cn-nat-2021"}, "2784/5"),
        (OTHER, "purchased_heat", {"AD": 100}, "11/1"),
        (MACHINERY, "purchased_heat", {"AD": 100, "EF": Number("0.1")}, "10/1"),
        (COMMON, "purchased_heat", {"AD_h": (1, "MWh")}, "99/250"),
        # 20 % CO2 in argon: SUM_PM = 0.2 × 44 + 0.8 × 40 = 40.8; 10 × 0.2 × 44 / 40.8
        (MACHINERY, "co2_welding", {"W": 10, "P_CO2": (20, "%"), "SUM_PM": Number("40.8")}, "110/51"),
    ):  # fmt: skip
        result = account(method, name, values)
        print(method.id, name, result.ratio, [(gas, str(t)) for gas, t in result.gases])
        assert str(result.ratio) == expected, name


def test_values_may_come_in_other_units():
    plain = account(MACHINERY, "fuel_combustion", {"FC": Number("8.4082"), "fuel": "天然气"})
    for text, unit in (("84082", "Nm3"), ("8.4082", "万Nm3"), ("84.082", "kNm3")):
        other = account(MACHINERY, "fuel_combustion",
        {"FC": (Number(text), unit), "fuel": "ndrc-2013-chem/natural_gas"})
        assert other.ratio == plain.ratio
        assert [row.unit for row in other.rows] == ["10^4Nm3", "GJ/10^4Nm3", "tC/GJ", "fraction"]
    own = {"FC": (1000, "kg"), "NCV": (20000, "kJ/kg"), "CC": (Number("27.49"), "tC/TJ"), "OF": (94, "%")}
    assert account(COMMON, "fossil_combustion", own).ratio * 1000 == Ratio(1421233, 750)
    mixed = {"FC": 1, "fuel": "diesel", "NCV": 43}
    assert [f.id[-2:] for f in account(OTHER, "fuel_combustion", mixed).factors] == ["CC", "OF", "O2"]


@pytest.mark.parametrize(
    "name, values, why",
    (
        ("fuel_combustion", {"FC": 1}, "lacks NCV .*GJ/t or GJ/10.4Nm3.*CC .*单位热值含碳量, tC/GJ.*OF .*fuel=FUEL"),
        ("fuel_combustion", {}, "lacks FC"),
        ("fuel_combustion", {"FC": 1, "fuel": "natural_gaz"}, "did you mean natural_gas"),
        ("fuel_combustion", {"FC": 1, "fuel": "天然汽"}, "天然气"),
        ("fuel_combustion", {"FC": 1, "fuel": "no-such-set/coke"}, "unknown fuel set"),
        ("fuel_combustion", {"FC": 1, "fuel": 3}, "fuel is the id"),
        ("fuel_combustion", {"FC": 1, "fule": "coke"}, "did you mean fuel"),
        ("fuel_combustion", {"FC": (1, "m3"), "fuel": "natural_gas"}, "101.325"),
        ("fuel_combustion", {"FC": (1, "t"), "fuel": "natural_gas"}, "NCV of fuel_combustion.*density"),
        ("fuel_combustion", {"FC": (1, "tt"), "fuel": "natural_gas"}, "FC of fuel_combustion: unknown unit"),
        ("purchased_electricity", {"AD": 1}, "lacks EF .*EF=FACTOR"),
        ("purchased_electricity", {"AD": 1, "EF": "chem/caco3"},
        "EF of purchased_electricity: 'tCO2/t' and 'tCO2/MWh'"),
        ("purchased_electricity", {"AD": 1, "EF": "cn-nat-2202"}, "did you mean cn-nat-2"),
        ("purchased_electricity", {"AD": 1, "EF": "cn-nat-0.6101"},
        "not valid on 2022-03-04.*2018-01-01 to 2020-12-31"),
        ("purchased_electricity", {"AD": 1, "EF": "cn-nat-2023"}, "holds from 2023-01-01 to now on"),
        ("purchased_electricity", {"AD": None, "EF": 1}, "lacks AD"),
        ("purchased_heat", {"AD": 1, "fuel": "coke"}, "no parameter 'fuel'"),
        ("purchased_electricit", {"AD": 1}, "did you mean purchased_electricity"),
    ),
)  # fmt: skip
def test_refusals_say_what_to_do(name, values, why):
    with pytest.raises(AccountingError, match=why) as caught:
        account(OTHER, name, values)
    print(str(caught.value))


def test_division_by_zero_is_named():
    with pytest.raises(FormulaError, match="division by zero in 'W\\*P_CO2\\*44/SUM_PM'"):
        account(MACHINERY, "co2_welding", {"W": 1, "P_CO2": 1, "SUM_PM": 0})


def test_validity_ends_with_its_last_day_in_china():
    ends = clock.parse("2021-01-01T00:00:00+08:00")
    assert FACTORS.factor("cn-nat-0.6101", ends - 1).value == Number("0.6101")
    with pytest.raises(AccountingError, match="not valid on 2021-01-01"):
        FACTORS.factor("cn-nat-0.6101", ends)
    with pytest.raises(AccountingError, match="method 'cn-2015-machinery' is not valid on 2015-07-05"):
        account(MACHINERY, "purchased_heat", {"AD": 1}, clock.parse("2015-07-05T23:59:59+08:00"))


def test_what_is_from_memory_stays_marked():
    result = account(COMMON, "purchased_electricity", {"AD_e": 1, "EF_e": "cn-nat-2022-res"}, clock.stamp(2023, 5, 1))
    assert result.factors[0].unconfirmed
    assert library.unconfirmed(result.compiled) == ["cn-nat-2022-res"]
    sure = account(COMMON, "purchased_electricity", {"AD_e": 1, "EF_e": "cn-nat-2022"}, clock.stamp(2023, 5, 1))
    assert library.unconfirmed(sure.compiled) == []
    assert [library.doubtful(b, c) for b, c in (("found", "low"), ("unknown", "high"),
    ("confirmed", "high"))] == [True, True, False]


# --- the compiled source ---------------------------------------------------------------------------------------------


def compiled(given=None, inputs=None, name="fuel_combustion", at=AT):
    return library.compile_source(OTHER, name, {"fuel": "natural_gas"} if given is None else given, FACTORS, at, inputs)


def test_a_compiled_source_needs_no_library():
    plain = compiled()
    data = library.canonical(plain)
    again = cbor.decode(data)
    library.check(again)
    assert again == plain
    assert again[source.INPUTS] == [["FC", "10^4Nm3"]]
    print(len(data), sm3.digest(data).hex())
    assert library.evaluate_compiled(again, {"FC": Number("8.4082")}) == Ratio(90900579719169, 500000000000)
    assert account(OTHER, "fuel_combustion", {"FC": Number("8.4082"), "fuel": "natural_gas"}).compiled == plain
    with pytest.raises(FormulaError, match="input 'FC' has no value"):
        library.evaluate_compiled(again, {})
    deduction = compiled({}, name="co2_recovery")
    values = {"Q_ext": 1, "PUR_ext": 1, "Q_raw": 0, "PUR_raw": 0}
    assert library.evaluate_compiled(deduction, values) == Ratio(-197, 10)


def test_another_factor_or_method_version_gives_another_digest():
    gas, seen = "natural_gas", []
    for given in ({"fuel": gas}, {"fuel": "diesel"}, {"fuel": gas, "OF": 1}, {"fuel": gas, "OF": (99, "%")}):
        seen.append(sm3.digest(library.canonical(compiled(given))))
    assert len(set(seen)) == 4


def test_the_unit_of_an_input_settles_what_is_open():
    with pytest.raises(AccountingError, match="FC of fuel_combustion may be in t or 10"):
        compiled({})
    assert compiled({}, {"FC": "Nm3"})[source.INPUTS][1] == ["NCV", "GJ/10^4Nm3"]
    assert compiled({}, {"FC": "kg"})[source.INPUTS][1] == ["NCV", "GJ/t"]
    for unit, why in (("kWh", "do not measure"), ("m3", "101.325"), ("foo", "unknown unit")):
        with pytest.raises(AccountingError, match=why):
            compiled({}, {"FC": unit})
    with pytest.raises(AccountingError, match="AD of purchased_heat: 'kW' and 'GJ'"):
        compiled({}, {"AD": "kW"}, "purchased_heat")
    with pytest.raises(AccountingError, match="no short decimal"):
        compiled({"fuel": "natural_gas", "OF": Ratio(1, 3)})


def test_expired_factors_are_named():
    row = compiled({"EF": "cn-nat-0.6101"}, name="purchased_electricity", at=clock.stamp(2019, 1, 1))
    assert library.expired(row, clock.stamp(2020, 6, 1)) == []
    assert library.expired(row, clock.stamp(2021, 6, 1)) == ["cn-nat-0.6101"]
    assert library.expired(row, clock.stamp(2017, 6, 1)) == ["cn-nat-0.6101"]


@pytest.mark.slow
def test_foreign_compiled_sources_are_checked():
    good = library.canonical(compiled())
    random, refused = Random(6), 0
    for _ in range(1500):
        bad = cbor.decode(good)
        spot = bad
        for _ in range(random.between(0, 3)):
            deeper = spot[random.below(len(spot))]
            if not isinstance(deeper, list) or not deeper:
                break
            spot = deeper
        change = random.below(3)
        at = random.below(len(spot))
        if change == 0:
            spot[at] = random.choice((None, True, -1, 5, 1 << 63, "x", "FC", b"y", [], [1], ["FC", "t"]))
        elif change == 1:
            del spot[at]
        else:
            spot.append(spot[at])
        try:
            library.check(bad)
        except (AccountingError, FormulaError) as error:
            assert error.what
            refused += 1
            continue
        try:
            library.evaluate_compiled(bad, {"FC": 1, "x": 1})
        except CarbonError as error:
            assert error.what
    print(refused)
    assert refused > 750
    for bad in (None, [], "x", [1] * 10, cbor.decode(good) + [1]):
        with pytest.raises(AccountingError, match="not a compiled source"):
            library.check(bad)


# --- loading ---------------------------------------------------------------------------------------------------------


def first(kind, name):
    return shipped.files(kind, [name[:-5]])[0][1]


@pytest.mark.parametrize(
    "change, why",
    (
        ({"id": None}, "lacks 'id'"), ({"version": "1"}, "'version' is not an integer"), ({"version": 0}, "from 1"),
        ({"name_zh": 5}, "is not a text"), ({"valid_from": "2015-7-6"}, "not a date"),
        ({"valid_from": "2015-13-06"}, "2015"),
        ({"valid_from": "2014-01-02", "valid_to": "2014-01-01"}, "ends before it begins"),
        ({"basis": "hearsay"}, "one of found"), ({"sources": {}}, "is not a list"),
        ({"sources": ["x"]}, "is not an object"), ({"gases": []}, "gas 'CO2' of source"),
        ({"gases": [1]}, "list of texts"),
        ({"surces": []}, "did you mean sources"),
        ({"gwp_sets": ["AR5"]}, "is not among its gwp_sets"), ({"appendix_a": 0}, "from 1 to 99"),
        ({"superseded": "x"}, "is an object"), ({"superseded": {}}, "lacks 'by'"), ({"rules": [2]}, "list of texts"),
        ({"superseded": {"by": "x", "from": "soon"}}, "not a date"),
    ),
)  # fmt: skip
def test_mistakes_in_a_method_are_named(change, why):
    data = first("methods", "common.json")
    data.update(change)
    with pytest.raises(AccountingError, match=why) as caught:
        library.load_method(data)
    print(str(caught.value))


@pytest.mark.parametrize(
    "change, why",
    (
        ({"formula": "FC*NCV*CC*OF*44/12*X"}, "unknown name 'X'"),
        ({"formula": "FC*NCV*CC*44/12"}, "does not use parameter 'OF'"),
        ({"formula": "FC*"}, "ends where"), ({"gas": "XYZ"}, "unknown unit 'tXYZ'"),
        ({"carries": "foo"}, "unknown unit"), ({"sign": 0}, "sign is 1"),
        ({"scope": 4}, "from 1 to 3"), ({"parameters": None}, "lacks 'parameters'"),
        ({"id": "purchased_heat"}, "is there twice"), ({"category": 7}, "from 1 to 6"), ({"kind": "x"}, "one of comb"),
        ({"gas": []}, "is not a text"), ({"gas": None}, "lacks 'gas'"), ({"gas": ["CO2", 1]}, "list of texts"),
        ({"parts": []}, "parts are empty"), ({"parts": [{"gas": "CO2", "formula": "FC"}]}, "unknown field"),
    ),
)  # fmt: skip
def test_mistakes_in_a_source_are_named(change, why):
    data = first("methods", "common.json")
    data["sources"][0].update(change)
    with pytest.raises(AccountingError, match=why) as caught:
        library.load_method(data)
    print(str(caught.value))


@pytest.mark.parametrize(
    "change, why",
    (
        ({"unit": "tt"}, "unknown unit"), ({"unit": "t | kg | g"}, "as many units"),
        ({"kind": "guess"}, "one of activity, factor"),
        ({"name": "NCV"}, "unknown name 'FC'|there twice"), ({"colour": "red"}, "unknown field 'colour'"),
        ({"name_en": None}, "lacks 'name_en'"), ({"derive": "X*2"}, "unknown name 'X'"),
        ({"derive": "FC*2"}, "derived from itself"), ({"carries": "x"}, "unknown unit"),
        ({"optional": "yes"}, "true or false"), ({"derive": 5}, "is not a text"),
    ),
)  # fmt: skip
def test_mistakes_in_a_parameter_are_named(change, why):
    data = first("methods", "common.json")
    data["sources"][0]["parameters"][0].update(change)
    with pytest.raises(AccountingError, match=why) as caught:
        library.load_method(data)
    print(str(caught.value))


@pytest.mark.parametrize(
    "change, why",
    (
        ({"value": "0,11"}, "not a decimal"), ({"value": "nan"}, "not a decimal"), ({"value": None}, "lacks 'value'"),
        ({"unit": "tCO3/GJ"}, "unknown unit"),
        ({"source": None}, "lacks 'source'"), ({"document": None}, "lacks 'document'"),
        ({"confidence": "sure"}, "one of high"),
        ({"value": "0." + "1" * 30}, "18 digits"), ({"valid_from": "soon"}, "not a date"),
        ({"price": "1"}, "unknown field"),
    ),
)  # fmt: skip
def test_mistakes_in_a_factor_are_named(change, why):
    data = first("factors", "heat.json")
    data["factors"][0].update(change)
    with pytest.raises(AccountingError, match=why) as caught:
        library.load_factors(data)
    print(str(caught.value))


@pytest.mark.slow
@pytest.mark.parametrize("kind, name", (("methods", "common.json"), ("factors", "heat.json"),
("factors", "ndrc-2013-chem.json")))
@pytest.mark.slow
def test_spoilt_files_are_refused_or_load(kind, name):
    random, refused = Random(8), 0
    text = json.dumps(first(kind, name))
    for _ in range(80):
        data = json.loads(text)
        spot = data
        for _ in range(random.below(4)):
            keys = sorted(spot) if isinstance(spot, dict) else list(range(len(spot)))
            inner = [key for key in keys if isinstance(spot[key], (dict, list)) and spot[key]]
            if not inner:
                break
            spot = spot[random.choice(inner)]
        key = random.choice(sorted(spot) if isinstance(spot, dict) else list(range(len(spot))))
        spot[key] = random.choice((None, 0, -1, 7, "", "x", "1 | 2", [], {}, ["x"], {"id": "x"},
        True, "%", "FC", "2020-01-01"))
        try:
            library.load_method(data) if kind == "methods" else library.load_factors(data)
        except AccountingError as error:
            assert error.what
            refused += 1
    print(refused)
    assert refused > 20


def test_one_factor_is_there_once():
    data = first("factors", "heat.json")
    with pytest.raises(AccountingError, match="is there twice"):
        library.load_factors(data, data)
    for bad in (None, [], "x", {"id": "x"}):
        with pytest.raises(AccountingError):
            library.load_factors(bad)
        with pytest.raises(AccountingError):
            library.load_method(bad)


def test_loaded_data_has_no_floats():
    for kind in ("methods", "factors"):
        for _, data in shipped.files(kind):
            assert "." not in json.dumps(numbers(data))


def numbers(data):
    if isinstance(data, dict):
        data = list(data.values())
    if isinstance(data, list):
        return [numbers(part) for part in data]
    return 0 if isinstance(data, str) or data is None else data
