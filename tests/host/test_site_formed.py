"""operators, manual and virtual in site.yaml: what the document gets, and every mistake with its line and way out."""

import pytest
from typer.testing import CliRunner

from carbonterm.accounting import source as accounting
from carbonterm.series import combine
from carbonterm_host import site_formed
from carbonterm_host.commands import site as site_command
from carbonterm_host.site_yaml import compile_text
from carbonterm_host.yaml_reader import Mistakes

KEYS = ("aa" * 64, "bb" * 64)
PLANT = """\
terminal: CT-000001
name: 示范工厂
zone: "+08:00"
buses: [{name: lan, kind: modbus-tcp, host: 127.0.0.1, port: 1502}]
meters:
  - {name: M1, bus: lan, unit: 1, model: eastron-sdm630}
  - {name: M2, bus: lan, unit: 2, model: eastron-sdm630}
points:
  - {name: E1, meter: M1, register: active_energy_import, every: 1min, limit: "2000"}
  - {name: E2, meter: M2, register: active_energy_import, every: 1min, limit: "2000"}
  - {name: P1, meter: M1, register: active_power, every: 1min}
"""
PEOPLE = f"operators: [{{name: zhang, public: {KEYS[0]}}}, {{name: li, public: 'li:{KEYS[1]}'}}]\n"
SHARES = 'virtual:\n  - {name: A, apportion: E1, share: "0.6"}\n  - {name: B, apportion: E1, share: "0.4"}\n'


def read(text, people=PEOPLE):
    return compile_text(PLANT + people + text)


def refused(text, people=PEOPLE):
    """[(line, what, hint)] of the mistakes; lines count from the text's first."""
    with pytest.raises(Mistakes) as caught:
        read(text, people)
    before = (PLANT + people).count("\n")
    return [(row[1] - before, row[3], row[4]) for row in caught.value.rows]


def source(name, point, parameter="AD", kind="purchased_electricity"):
    factor = ", EF: {value: '0.5', unit: tCO2/MWh, source: x}" if parameter == "AD" else ""
    parameters = f"{{{parameter}: [{point}]{factor}}}"
    return f"  - {{name: {name}, method: cn-2015-other-industry, source: {kind}, parameters: {parameters}}}\n"


def test_every_way_to_combine():
    found = read("""virtual:
  - {name: share, apportion: net, share: "0.6"}
  - {name: rest, apportion: net, share: "0.4", unit: MWh}
  - {name: net, add: [E1], subtract: [E2]}
  - {name: heat, multiply: [out], by: {value: "2.78", unit: GJ/t, source: test of the turbine}, unit: MJ}
  - {name: per, divide: [net, out], unit: kWh/t}
  - {name: third, divide: [out], by: {value: "3", source: three lines}, unit: t}
manual:
  - {name: out, unit: t, quantity: production, min: "1", max: "900"}
""")
    assert [row.name for row in found.all_points[3:]] == ["out", "share", "rest", "net", "heat", "per", "third"]
    rows = {row.name: row for row in found.virtual}
    assert (rows["share"].op, rows["share"].parts, rows["rest"].parts) == ("sum", [[6, 3, 5]], [[6, 1, 2500]])
    assert rows["net"].parts == [[0, 1, 1], [1, -1, 1]] and rows["net"].unit == "kWh"
    assert rows["heat"].parts == [[3, 2780, 1]] and rows["heat"].note == "× 2.78 GJ/t: test of the turbine"
    assert (rows["per"].op, rows["per"].parts) == (combine.QUOTIENT, [[6, 1, 1], [3, 1, 1]])
    assert rows["third"].parts == [[3, 1, 3]]
    assert [site_formed.lineage(found, rows[name]) for name in ("net", "share", "per")] == [
        "E1 − E2", "3/5 × net", "net ÷ out",
    ]  # fmt: skip
    assert (str(found.manual[0].minimum), str(found.manual[0].maximum)) == ("1", "900")
    assert [row.public.hex() for row in found.operators] == list(KEYS)
    assert combine.leaves(found, 4) == [(0, 1), (1, -1)]


@pytest.mark.requirement("T-6.2-3", part="the six fuels with unit and default factors")
@pytest.mark.requirement("T-6.1-1", part="one item of activity data read from a meter and entered by hand")
def test_the_six_fuels_are_there_with_unit_and_factors():
    text = "manual:\n" + "".join(f"  - {{name: {zh}, fuel: {key}}}\n" for key, (zh, *_) in site_formed.FUELS.items())
    text += "sources:\n" + "".join(
        source(key, zh, "FC", "fuel_combustion") for key, (zh, *_) in site_formed.FUELS.items()
    )
    found = read(text)
    assert [row.unit for row in found.manual] == ["t", "t", "10^4Nm3", "t", "t", "t"]
    for row, (key, (_, _, unit, fuel)) in zip(found.sources, site_formed.FUELS.items(), strict=True):
        assert row.name == key and row.compiled[accounting.INPUTS] == [["FC", unit]]
        assert [f"/{fuel}/" in origin[0] for origin in accounting.origins(row.compiled)].count(True) == 3
        assert accounting.evaluate_compiled(row.compiled, {"FC": 1}) > 0
    both = read("manual: [{name: 外购电, unit: MWh}]\nsources:\n" + source("hand", "外购电") + source("meter", "E1"))
    kinds = [both.all_points[row.inputs[0].points[0][0]].kind for row in both.sources]
    assert kinds == ["manual", "register"]


@pytest.mark.requirement("T-8.3.2-6", part="shares that sum to 0.99 are refused")
def test_shares_that_are_not_one_are_refused_with_the_clause():
    found = refused(SHARES.replace("0.4", "0.39"))
    assert found == [(3, "'E1' is apportioned: the shares add up to 0.99, not to 1 (8.3.2)",
                      "0.01 more for one of them, to the last digit")]  # fmt: skip


ROWS = ("{? [a, b] : 1, apportion: E1, share: '1'}", "{name: [x], apportion: [E1], share: '1'}", "ab", "[]", "[ab]")


@pytest.mark.parametrize("part", ("virtual", "manual"))
@pytest.mark.parametrize("row", ROWS)
def test_rows_of_another_shape_are_refused(part, row):
    assert refused(f"{part}:\n  - {row}\n")[0][0] == 2


@pytest.mark.requirement("T-8.3.1-1", part="units are converted exactly; one that does not fit is refused")
@pytest.mark.requirement("T-8.3.2-5", part="unit check")
def test_what_does_not_fit_is_refused_with_its_line():
    for text, line, what in (
        ("virtual:\n  - {name: A, add: [B]}\n  - {name: B, add: [A]}\n", 2, "made of each other: A, B"),
        ("virtual:\n  - {name: A, add: [A]}\n", 2, "made of each other: A"),
        ("virtual:\n  - {name: A, add: [E1, E1]}\n", 2, "has a part twice"),
        ("virtual:\n  - {name: A, add: [P1]}\n", 2, "value of the moment"),
        ("virtual:\n  - {name: A, add: [E9]}\n", 2, "there is no point 'E9'"),
        ("virtual:\n  - {name: A, add: []}\n", 2, "1 to 256 parts"),
        ("virtual:\n  - {name: A}\n", 2, "one of four ways"),
        ("virtual:\n  - {name: A, add: [E1], divide: [E1, E2]}\n", 2, "one of four ways"),
        ("virtual:\n  - {name: A, add: [E1], by: 3}\n", 2, "does not go with"),
        ("virtual:\n  - {name: A, add: [E1], unit: t}\n", 2, "do not measure the same thing"),
        ("virtual:\n  - {name: A, add: [E1], unit: furlong}\n", 2, "furlong"),
        ("virtual:\n  - {name: A, multiply: [E1, E2]}\n", 2, "lacks its unit"),
        ("virtual:\n  - {name: A, multiply: [E1], by: {value: '2', unit: GJ/t, source: x}, unit: GJ}\n", 2, "the same"),
        ("virtual:\n  - {name: A, multiply: [E1], by: {value: '0', source: x}, unit: kWh}\n", 2, "above 0"),
        ("virtual:\n  - {name: A, multiply: [E1], by: {value: '2'}, unit: kWh}\n", 2, "lacks source"),
        ("virtual:\n  - {name: A, divide: [E1], unit: kWh}\n", 2, "'divide' has 1 points"),
        ("virtual:\n  - {name: A, apportion: E1}\n", 2, "lacks its share"),
        ("virtual:\n  - {name: A, apportion: E1, share: '1.2'}\n", 2, "at most 1"),
        ("virtual:\n  - {name: E1, add: [E2]}\n", 2, "'E1' is there twice"),
        ("virtual:\n  - {name: A, add: [E1]}\n  - {name: A, add: [E2]}\n", 3, "'A' is there twice"),
        ("manual:\n  - {name: coal}\n", 2, "lacks its unit"),
        ("manual:\n  - {name: coal, fuel: wood}\n", 2, "'wood' is not one of"),
        ("manual:\n  - {name: coal, fuel: coal, unit: kWh}\n", 2, "the same thing"),
        ("manual:\n  - {name: coal, unit: t, min: '5', max: '4'}\n", 2, "ends before"),
        ("manual:\n  - {name: v, unit: GJ/t, mean: true}\nvirtual:\n  - {name: A, add: [v]}\n", 4, "of the moment"),
        ("manual:\n  - {name: v, fuel: coal, mean: true}\n", 2, "a fuel is an amount"),
        ("manual:\n  - {name: coal, unit: t, register: x}\n", 2, "knows no key 'register'"),
    ):
        found = refused(text)
        assert any(at == line and what in said for at, said, _ in found), (text, found)


def test_a_measured_value_feeds_its_parameter_alone():
    text = "manual:\n  - {name: coal, fuel: coal}\n  - {name: ncv, unit: kcal/kg, mean: true}\n"
    text += "  - {name: v2, unit: GJ/t, mean: true}\n"
    text += "sources:\n  - {name: s, method: cn-2015-other-industry, source: fuel_combustion, parameters: "
    found = read(text + "{FC: [coal], NCV: [ncv]}}\n")
    assert sorted(name for name, _ in found.sources[0].compiled[accounting.INPUTS]) == ["FC", "NCV"]
    assert found.manual[1].mean and not found.is_amount(4) and found.is_mean(4)
    ncv = next(row for row in found.sources[0].inputs if row.parameter == "NCV")
    assert ncv.points == [[4, 10467, 2500000]]
    assert "cannot be added to others" in refused(text + "{FC: [coal], NCV: [ncv, v2]}}\n")[0][1]


def test_operators_have_names_and_keys():
    assert "nobody may enter" in refused("manual: [{name: coal, unit: t}]\n", "")[0][1]
    for people, what in ((f"operators: [{{name: 张 三, public: {KEYS[0]}}}]\n", "cannot name an operator"),
                         ("operators: [{name: zhang, public: abc}]\n", "128 hex digits"),
                         ("operators: [{name: zhang}]\n", "signs with a key, or enters on the page"),
                         (f"operators: [{{name: a, page: true, public: {KEYS[0]}}}]\n", "or enters on the page"),
                         ("operators: [{name: zhang, page: true}]\n", "there is no page to enter")):  # fmt: skip
        assert what in refused("", people)[0][1]
    twice = f"operators: [{{name: a, public: {KEYS[0]}}}, {{name: b, public: {KEYS[0]}}}]\n"
    assert "two operators have the key" in refused("", twice)[0][1]


def test_what_flows_counts_once():
    shares = SHARES + "sources:\n"
    assert len(read(shares + source("a", "A") + source("b", "B")).sources) == 2
    found = refused(shares + source("a", "A") + source("b", "E1"))
    assert found[0][0] == 6 and "'E1' already feeds source 'a': it would count twice" in found[0][1]
    net = "virtual:\n  - {name: net, add: [E1], subtract: [E2]}\nsources:\n"
    assert len(read(net + source("a", "net") + source("b", "E2")).sources) == 2
    assert "count twice" in refused(net + source("a", "net") + source("b", "E1"))[0][1]


def test_site_check_shows_them(tmp_path):
    file = tmp_path / "site.yaml"
    text = "manual: [{name: coal, fuel: coal}]\nvirtual: [{name: net, add: [E1], subtract: [E2]}]\n"
    file.write_text(PLANT + PEOPLE + text, encoding="utf-8")
    shown = CliRunner().invoke(site_command.app, ["check", str(file)], env={"COLUMNS": "120"})
    assert shown.exit_code == 0 and "by hand" in shown.stdout and "E1 − E2" in shown.stdout, shown.stdout
