"""carbonterm account: the contract's keys, published figures, lists, and every refusal with exit code 2."""

import io
import json
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from carbonterm_host import cli

CASES = json.loads((Path(__file__).parents[1] / "vectors" / "worked_examples.json").read_text())["examples"]
COMMON = [case for case in CASES if case["method"] == "common"]


def run(*arguments, lang="en"):
    """What the command says and how it ends; in this process, because there are many cases."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("CARBONTERM_LANG", lang)
        patch.setenv("COLUMNS", "160")
        with pytest.raises(SystemExit) as end:
            cli.main(["account", *arguments])
    return subprocess.CompletedProcess(arguments, end.value.code, out.getvalue(), err.getvalue())


def answer(*arguments):
    done = run(*arguments, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.requirement("T-9.1-1")
@pytest.mark.parametrize("case", COMMON, ids=[case["id"] for case in COMMON])
def test_published_figures(case):
    found = answer("common", case["source_id"], *[f"{name}={value}" for name, value in case["inputs"].items()])
    assert found["exact"] == case["expected_fraction"]
    assert abs(float(found["tco2e"]) - float(case["expected_published"])) <= float(case["tolerance"])
    assert found["gases"] == {"CO2": found["tco2e"]}
    assert found["method"]["id"] == "common"
    for factor in found["factors"]:
        assert {"id", "value", "unit", "source", "confidence"} <= set(factor)


def test_a_decimal_that_ends_is_exact_and_one_that_does_not_is_rounded():
    assert answer("common", "purchased_electricity", "AD_e=5000", "EF_e=0.5568")["tco2e"] == "2784"
    assert answer("common", "fossil_combustion", "FC=1000", "NCV=20", "CC=0.02749", "OF=0.94")["tco2e"] == "1894.977333"
    found = answer("common", "purchased_electricity", "AD_e=1e-7", "EF_e=5")
    assert (found["tco2e"], found["exact"]) == ("0.000000", "1/2000000")  # a tie goes to the even digit


@pytest.mark.requirement("P-7.1-3")
def test_units_fuels_and_factors_of_the_machinery_report():
    found = answer("cn-2015-machinery", "fuel_combustion", "FC=84082Nm3", "fuel=天然气", "--at", "2021-12-31")
    assert (found["tco2e"], found["at"]) == ("181.801159", "2021-12-31")
    assert found["factors"][0]["id"] == "ndrc-2013-chem/natural_gas/NCV"
    assert [p["value"] for p in found["parameters"]] == ["8.4082", "389.31", "0.0153", "0.99"]
    found = answer("cn-2015-machinery", "purchased_electricity", "AD=1619725 kWh", "EF=cn-region-2012-华中")
    assert (found["tco2e"], found["exact"]) == ("851.489432", "340595773/400000")  # …4325: a tie goes to the even digit
    assert len(found["digest"]) == 64


def test_a_factor_from_memory_is_flagged_in_both_outputs():
    arguments = ("common", "purchased_electricity", "AD_e=1", "EF_e=cn-nat-2022-res", "--at", "2023-05-01")
    assert answer(*arguments)["unconfirmed"] == ["cn-nat-2022-res"]
    assert "⚠ not confirmed against the printed text: cn-nat-2022-res" in run(*arguments).stdout
    assert "未与正式文本核对" in run(*arguments, lang="zh").stdout


def test_people_see_parameters_factors_formula_and_result():
    shown = run("cn-2015-other-industry", "ch4_recovery", "Q_ext=1", "PUR_ext=50%", "Q_self=0", "PUR_self=0",
    lang="zh").stdout
    for part in ("回收外供第三方的甲烷气量", "found/high", "ndrc-2015/OX",
    "(sum(Q_ext*PUR_ext)+sum(Q_self*PUR_self*OX))*rho × −1", "-3.585 t CH4",
                 "-75.285 tCO2e", "-15057/200"):  # fmt: skip
        assert part in shown.replace("\n", " "), part


def test_lists():
    assert {row["id"] for row in answer()["methods"]} >= {"common", "cn-2015-other-industry", "cn-2015-machinery"}
    assert "purchased_heat" in run().stdout
    sources = answer("cn-2015-other-industry")["sources"]
    assert [row["id"] for row in sources][:2] == ["fuel_combustion", "carbonate_use"]
    assert sources[0]["parameters"][0]["unit"] == "t | 10^4Nm3"
    assert "FC*NCV*CC*OF*44/12" in run("common").stdout


@pytest.mark.parametrize(
    ("arguments", "what", "hint"),
    [
        (["comon"], "unknown method 'comon'", "common"),
        (["common", "fosil_combustion"], "no source 'fosil_combustion'", "fossil_combustion"),
        (["common", "fossil_combustion", "FC=1"], "NCV (平均低位发热量, GJ/t or GJ/10^4Nm3)", "fuel=FUEL"),
        (["common", "fossil_combustion", "FC"], "'FC' is not NAME=VALUE", "FC=1000"),
        (["common", "fossil_combustion", "=1"], "'=1' is not NAME=VALUE", "FC=1000"),
        (["common", "fossil_combustion", "FC=１"], "FC: '１' is not a number", "0.94"),
        (["common", "fossil_combustion", "FC=1,5"], "unknown unit ',5'", "known units"),
        (["common", "fossil_combustion", "FC=nan"], "unknown factor 'nan'", "known factors"),
        (["common", "fossil_combustion", "FC=1e9999"], "'1e9999'", ""),
        (["common", "fossil_combustion", "NVC=1"], "no parameter 'NVC'", "NCV"),
        (["iso14064-1-2018", "process", "AD=1", "EF=1", "gas=CH4", "gas=CO2"], "gas is given 2 times", "once"),
        (["common", "fossil_combustion", "FC=1", "FC=2", "fuel=coke", *["OF=1"] * 3], "has 3 lines, FC 2", "once"),
        (["common", "fossil_combustion", "FC=1", "FC.2=2", "fuel=coke"], "the lines of FC are 0, 2", "FC.1, FC.2"),
        (["common", "fossil_combustion", "FC=1", "fuel=coke", "OF=98"], "is a fraction from 0 to 1, not 98", "0.98"),
        (["common", "purchased_heat", "AD_h=1kW"], "'kW' and 'GJ'", "integrate"),
        (["common", "purchased_heat", "AD_h=1", "--at", "2022-02-30"], "--at: ", ""),
        (["common", "purchased_heat", "AD_h=1", "--at", "yesterday"], "'yesterday' is not a date", "2024-05-01"),
        (["common", "purchased_heat", "AD_h=1", "--at", "2012-01-01"], "'heat-default' is not valid", "right date"),
        (["cn-2015-machinery", "co2_welding", "W=1", "P_CO2=1", "SUM_PM=0"], "division by zero", "not 0"),
    ],
)
def test_refusals(arguments, what, hint):
    done = run(*arguments, "--json")
    error = json.loads(done.stdout)
    assert done.returncode == 2
    assert what in error["error"]
    assert hint in error["hint"]
    plain = run(*arguments)
    assert (plain.returncode, plain.stdout) == (2, "")
    assert what in plain.stderr
