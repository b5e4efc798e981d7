"""`carbonterm cems`: masses of a file, what was substituted, the comparison, and what is refused with file and line."""

import json
import random
from datetime import datetime, timedelta
from fractions import Fraction

import pytest

from carbonterm.accounting import cems
from carbonterm.accounting.substitution import RULES, check
from carbonterm.number import Number
from runtimes import ROOT
from shell import carbonterm

START = datetime(2026, 3, 1)


def write(path, header, rows):
    path.write_text(header + "\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def hourly(count, cells, start=0):
    return [f"{(START + timedelta(hours=start + i)).isoformat()}+08:00,{cells}" for i in range(count)]


def minutely(count, cells, start=0):
    return [f"{(START + timedelta(minutes=start + i)).isoformat()}+08:00,{cells}" for i in range(count)]


def run(*arguments, code=0):
    returned, out, err = carbonterm("cems", *arguments, "--json")
    assert returned == code, err + out
    return json.loads(out)


@pytest.mark.requirement("C-1-3", part="from a file of minutes, by the command")
@pytest.mark.requirement("C-3-4", part="hourly series of a stack with what is abnormal in it")
def test_a_day_of_minutes(tmp_path):
    """12 % of 10^6 Nm3/h are 235.620594 t/h; two hours fail and one and a half stand still."""
    rows = minutely(600, "12,1000000,N") + minutely(120, "99,7,D", 600) + minutely(90, "0,0,F", 720)
    rows += minutely(630, "12,1000000,N", 810)
    view = run(write(tmp_path / "a.csv", "time,co2[%],flow[Nm3/h],flag", rows))
    hours = view["hours"]
    assert len(hours) == 24 and [h["state"] for h in hours[9:14]] == ["valid", "filled", "filled", "stopped", "valid"]
    assert hours[0]["tonnes"] == "235.620594" and hours[13]["running"] == "0.5"
    assert hours[13]["tonnes"] == "117.810297" and "maximum of 10 h" in hours[10]["how"]
    assert view["total"]["tonnes"] == "5301.463365" and view["days"][0]["tonnes"] == view["total"]["tonnes"]
    assert view["total"] | {"valid": 21, "filled": 2, "stopped": 1, "missing": 0} == view["total"]
    assert view["days"][0]["valid_day"] is True and view["months"][0]["valid_month"] is False
    assert view["months"][0]["period"] == "2026-03" and view["years"][0]["period"] == "2026"
    assert view["rule"]["basis"] == "memory" and view["total"]["substituted_tonnes"] == "471.241188"
    assert view["uncertainty"]["assumed"] == ["--u-concentration", "--u-flow", "--u-substitute"]


def test_no_substitution_leaves_hours_out_and_says_so(tmp_path):
    file = write(tmp_path / "a.csv", "time,co2,flow", hourly(3, "12,1000000") + hourly(2, "12,1000000", 5))
    view = run(file, "--substitute", "none", code=1)
    assert view["total"]["missing"] == 2 and view["total"]["tonnes"] == "1178.102970"
    code, out, _ = carbonterm("cems", file, "--substitute", "none", lang="en")
    assert code == 1 and "2 hours have no data" in out
    assert run(file, "--substitute", "part75")["total"]["filled"] == 2
    assert run(file, "--substitute", "mrr")["hours"][3]["how"].startswith("c: mean + 2 s of 5 h")


@pytest.mark.requirement("C-3-1", part="of one stack and the time of its file, with the uncertainties of both")
@pytest.mark.requirement("C-3-9", part="the output is a check value; the accounted figure stays the reported one")
@pytest.mark.requirement("C-3-10", part="likely causes of a difference are named")
def test_the_comparison_with_the_accounted_figure(tmp_path):
    file = write(tmp_path / "a.csv", "time,co2,flow", hourly(24, "12,1000000"))  # 5654.894256 t
    stated = ("--u-concentration", "2.5%", "--u-flow", "5%", "--accounted-u", "4%")
    found = run(file, "--accounted", "5500", *stated)["comparison"]
    assert found["difference"] == "154.894256" and found["relative_percent"] == "2.82"
    assert found["symmetric_percent"] == "2.78" and found["En"] == "0.40" and found["agrees"] is True
    assert found["label_zh"] == "校核值" and found["causes"] == []
    found = run(file, "--accounted", "4500", *stated, code=1)["comparison"]
    assert found["agrees"] is False and found["within_10_percent"] is False and "flow" in found["causes"][0]
    assert run(file, "--accounted", "5140.812960")["comparison"]["within_10_percent"] is True  # just 10 %
    found = run(file, "--accounted", "0")["comparison"]
    assert found["relative_percent"] is None and found["symmetric_percent"] == "200.00"
    text = carbonterm("cems", file, "--accounted", "5500", *stated, lang="zh")[1]
    assert "校核值" in text and "一致" in text and "E_n = 0.40" in text


def test_actual_wet_gas_with_velocity(tmp_path):
    rows = hourly(2, "11.04,15,8,0,101.325")
    header = "time,co2[%],flow[m/s],moisture[%],temperature,pressure[kPa]"
    file = write(tmp_path / "a.csv", header, rows)
    view = run(file, "--concentration", "wet", "--flow", "wet", "--area", "40")
    assert view["hours"][0]["flow_Nm3_per_h"] == "2160000.000000" and view["hours"][0]["tonnes"] == "468.225246"
    view = run(file, "--flow", "dry", "--concentration", "wet", "--area", "40")
    assert view["hours"][0]["concentration_g_per_Nm3"] == "235.620594"


@pytest.mark.requirement("C-3-12")
def test_methane_of_a_mine(tmp_path):
    """0.5 % of 600 000 m3/h at 20 °C: 2.000777 t of CH4 an hour (worked in tests/protocols/test_cems.py)."""
    file = write(tmp_path / "a.csv", "time,ch4[%],flow[m3/h],temperature,pressure", hourly(4, "0.5,600000,20,101.325"))
    view = run(file)
    assert view["gas"] == "CH4" and view["hours"][0]["tonnes"] == "2.000777" and view["total"]["tonnes"] == "8.003108"
    assert carbonterm("cems", file, "--gas", "CO2")[0] == 2


def test_concentrations_at_reference_oxygen(tmp_path):
    file = write(tmp_path / "a.csv", "time,co2[mg/m3],o2[%],flow", hourly(2, "279799.45,8,1000000"))
    view = run(file, "--o2-reference", "6")
    assert view["hours"][0]["concentration_g_per_Nm3"] == "242.492857"  # × (21 - 8)/(21 - 6)
    other = write(tmp_path / "b.csv", "time,co2,flow", hourly(2, "12,1"))
    code, _, err = carbonterm("cems", other, "--o2-reference", "6", lang="en")
    assert code == 2 and "column o2 is missing" in err


def test_a_rule_of_ones_own(tmp_path):
    rule = dict(RULES["hj75"], name_en="ours", tiers={"mass": [["0", None, "adjacent", None, None]]})
    own = tmp_path / "rule.json"
    own.write_text(json.dumps(rule), encoding="utf-8")
    file = write(tmp_path / "a.csv", "time,co2,flow", hourly(2, "10,1000000") + hourly(2, "20,1000000", 4))
    view = run(file, "--rule", own)
    assert view["rule"]["name_en"] == "ours" and view["hours"][2]["tonnes"] == "294.525742"
    own.write_text(json.dumps(dict(rule, on="what")), encoding="utf-8")
    for path in (own, tmp_path / "none.json", file):
        code, _, err = carbonterm("cems", file, "--rule", path)
        assert code == 2 and path.name in err


def test_maximum_potential_values(tmp_path):
    rows = hourly(2160, "10,1000000,N") + hourly(600, ",,D", 2160)  # 78 % at the end
    file = write(tmp_path / "a.csv", "time,co2,flow,flag", rows)
    assert run(file, "--substitute", "part75", code=1)["total"]["missing"] == 60
    view = run(file, "--substitute", "part75", "--max-concentration", "15", "--max-flow", "1200000")
    assert view["hours"][2759]["concentration_g_per_Nm3"] == "294.525743"
    assert view["hours"][2759]["flow_Nm3_per_h"] == "1200000.000000" and view["total"]["missing"] == 0


REFUSED = [
    ("time,co2,flow\nx,12,1", (), "a.csv:2: 'x' is not a time"),
    ("time,co2,flow\n2026-03-01T00:00:00+08:00,12,-1", (), "a.csv:2: the flow is -1"),
    ("time,co2,flow\n2026-03-01T00:00:00+08:00,12%,1", (), "a.csv:2: concentration: '12%'"),
    ("time,co2,flow\n2026-03-01T00:00:00+08:00,101,1", (), "a.csv:2: the concentration is 101"),
    ("time,co2,flow,moisture\n2026-03-01T00:00:00+08:00,1,1,100", (), "the moisture is 100"),
    ("time,co2,flow,o2\n2026-03-01T00:00:00+08:00,1,1,20.9", (), "the oxygen is 20.9"),
    ("time,co2,flow,flag\n2026-03-01T00:00:00+08:00,1,1,Q", (), "unknown flag 'Q'"),
    ("time,co2,flow\n2026-03-01T01:00:00+08:00,1,1\n2026-03-01T01:00:00+08:00,1,1", (), "a.csv:3: "),
    ("time,co2\n2026-03-01T00:00:00+08:00,1", (), "column flow is missing"),
    ("co2,flow\n1,1", (), "column time is missing"),
    ("time,co2,flow,flow\n", (), "flow is there twice"),
    ("time,co2,flow,dust\n", (), "unknown column 'dust'"),
    ("time,co2,flow[furlong/h]\n", (), "unknown unit 'furlong'"),
    ("time,co2[kWh],flow\n", (), "do not measure the same thing"),
    ("time,co2,flow\n", (), "no readings"),
    ("", (), "empty"),
    ("time,co2,flow[m3/h]\n2026-03-01T00:00:00+08:00,1,1", (), "column temperature is missing"),
    ("time,co2,flow\n2026-03-01T00:00:00+08:00,1,1", ("--flow", "wet"), "column moisture is missing"),
    ("time,co2,flow[m/s]\n", (), "say the area"),
    ("time,co2,flow\n2026-03-01T00:00:00+08:00,1,1", ("--accounted", "-1"), "--accounted is -1"),
    ("time,co2,flow\n2026-03-01T00:00:00+08:00,1,1", ("--accounted-u", "1"), "without --accounted"),
    ("time,co2,flow\n2026-03-01T00:00:00+08:00,1,1", ("--u-flow", "-1%"), "--u-flow is -1%"),
    ("time,co2,flow\n2026-03-01T00:00:00+08:00,1,1", ("--moisture", "x"), "not a decimal number"),
    ("time,co2,flow\n2026-03-01T00:00:00+08:00,1,1", ("--zone", "x"), "not an offset"),
    ("time,co2,flow\n2026-03-01T00:00:00+08:00,1,1", ("--o2-reference", "21"), "the reference oxygen is 21"),
    ("time,co2,flow\n2026-03-01T00:00:00+08:00,1,1", ("--density", "0"), "the density is 0"),
]  # fmt: skip


@pytest.mark.parametrize("text, options, said", REFUSED)
def test_refusals(tmp_path, text, options, said):
    file = tmp_path / "a.csv"
    file.write_text(text, encoding="utf-8")
    code, out, err = carbonterm("cems", file, *options, lang="en")
    assert code == 2 and said in err, err + out


@pytest.mark.parametrize("period", ["hour", "day", "month", "year"])
def test_every_period_has_a_table_in_both_languages(tmp_path, period):
    file = write(tmp_path / "a.csv", "time,co2,flow,flag", hourly(4, "12,1000000,N") + hourly(2, ",,D", 4))
    for lang, word in (("en", "missing"), ("zh", "缺失")):
        code, out, _ = carbonterm("cems", file, "--period", period, lang=lang)
        assert code == 1 and word in out  # 67 % of the quarter: HJ 75 has no value for it


def test_the_rule_in_the_documentation():
    text = (ROOT / "docs/cems.md").read_text(encoding="utf-8")
    rule = json.loads(text.partition("```json\n")[2].partition("```")[0])
    check(rule)
    assert rule["tiers"]["mass"][0][2] == "adjacent"


@pytest.mark.slow
def test_spoilt_files_are_refused_or_read_never_a_crash(tmp_path):
    """Bytes and cells changed at random: a result, or a refusal that names the file (400 of them, seeded)."""
    dice = random.Random(6)
    header = "time,co2[%],flow[m3/h],moisture[%],o2[%],temperature,pressure,flag"
    good = header + "\n" + "\n".join(minutely(90, "12,1000000,8,6,120,101,N"))
    words = ("", "-1", "1e400", "nan", "九", "1e-400", "9" * 25, '"', "Q", "[", "m3/h]", "%", ",", "\n", "\0")
    seen = set()
    for _ in range(400):
        text = good
        for _ in range(dice.randint(1, 4)):
            at = dice.randrange(len(text))
            text = text[:at] + dice.choice(words) + text[at + dice.choice((0, 1, 1, 3, 40)) :]
        file = tmp_path / "a.csv"
        file.write_text(text, encoding="utf-8", newline="")
        code, out, err = carbonterm("cems", file, "--concentration", dice.choice(("wet", "dry")), "--json")
        seen.add(code)
        assert code in (0, 1, 2) and (code != 2 or "a.csv" in out + err or "unit" in out + err), (text, out, err)
    assert seen == {1, 2}


@pytest.mark.slow
def test_random_readings_against_fractions():
    """2000 readings of every unit, basis and state, computed in the core and by the formulas of docs/cems.md."""
    dice = random.Random(12)
    for _ in range(2000):
        concentration, flow = dice.choice(("wet", "dry")), dice.choice(("wet", "dry"))
        unit, rate = dice.choice(("%", "ppm", "mg/m3", "g/Nm3")), dice.choice(("Nm3/h", "m3/h", "m/s"))
        reference = dice.choice((None, "6", "11"))
        given = {
            "concentration": dice.randint(0, 9999), "flow": dice.randint(0, 10**8), "moisture": dice.randint(0, 9999),
            "o2": dice.randint(0, 2089), "temperature": dice.randint(-4000, 40000),
            "pressure": dice.randint(8000, 11000),
        }  # fmt: skip
        setup = cems.Setup({"concentration": unit, "flow": rate}, "CO2", concentration, flow, reference, "12.5")
        c, q = cems.reading(setup, {name: Number(value, -2) for name, value in given.items()})
        x = {name: Fraction(value, 100) for name, value in given.items()}
        density = Fraction(44010) / Fraction("22.414")
        sizes = {"%": density / 100, "ppm": density / 10**6, "mg/m3": Fraction(1, 1000), "g/Nm3": 1}
        want = x["concentration"] * sizes[unit]
        want *= (21 - x["o2"]) / (21 - int(reference)) if reference else 1
        dry = 1 - x["moisture"] / 100
        want *= {"drywet": dry, "wetdry": 1 / dry}.get(concentration + flow, 1)
        assert c == round(want * 10**6)
        amount = x["flow"] * (3600 * Fraction("12.5") if rate == "m/s" else 1)
        if rate != "Nm3/h":
            amount *= Fraction("273.15") / (Fraction("273.15") + x["temperature"]) * x["pressure"] / Fraction("101.325")
        assert q == round(amount * 10**6)
