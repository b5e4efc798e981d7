"""`carbonterm uncertainty` and `account --uncertainty`: published examples, analytic against Monte Carlo, refusals."""

import json
import math
import random

import pytest

import steelworks
from carbonterm import clock
from carbonterm.accounting import records
from carbonterm.accounting.uncertainty import LEVELS, student
from carbonterm.gm import sm2
from carbonterm.ledger.segment import Log
from carbonterm.number import Number
from carbonterm_host import monte_carlo, site_yaml, uncertain, uncertain_log, uncertainty_file
from memory_storage import MemoryStorage
from runtimes import ROOT
from shell import carbonterm, pulled
from vectors import load

BOILER = """
inputs:
  FC: {value: 50000, unit: t, class: 0.5}
  FC2: {value: 20000, unit: t, readings: [19990, 20010, 20005, 19995]}
  NCV: {value: 20.5, U: 2%, group: factor}
  CC: {value: 0.02749, U: 5%, group: factor}
  OF: {value: 0.98, a: 0.02, group: factor}
sources:
  boiler: FC*NCV*CC*OF*44/12
  kiln: FC2*NCV*CC*OF*44/12
model_error: 1%
"""


def run(tmp_path, text, *options, code=0, name="u.yaml"):
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    returned, out, err = carbonterm("uncertainty", file, *options, "--json")
    assert returned == code, err + out
    return json.loads(out)


def example(id):
    return next(one for one in load("worked_examples")["examples"] if one["id"] == id)


@pytest.mark.requirement("P-7.4-1")
@pytest.mark.requirement("P-7.4-2")
@pytest.mark.requirement("P-7.4-3")
def test_acquisition_factors_and_model_are_in_the_budget_and_the_simulation_agrees(tmp_path):
    """Three groups of components; the factors that both sources share add up; the two intervals agree within δ."""
    view = run(tmp_path, BOILER)
    assert sorted(view["groups_percent"]) == ["acquisition", "factor", "model"]
    assert abs(sum(map(float, view["groups_percent"].values())) - 100) < 0.02
    assert view["value"] == "141750.352333" and view["monte_carlo"]["agrees"] is True
    assert abs(float(view["monte_carlo"]["u"]) / float(view["u"]) - 1) < 0.01
    shares = {row["name"]: float(row["contribution_percent"]) for row in view["rows"]}
    assert max(shares, key=shares.get) == "CC" and list(shares) == sorted(shares, key=shares.get, reverse=True)
    apart = [float(view["sources"][name]["U"]) for name in ("boiler", "kiln")]
    assert float(view["U"]) > math.hypot(*apart)  # NCV, CC and OF are the same in both
    assert run(tmp_path, BOILER)["monte_carlo"] == view["monte_carlo"]
    assert run(tmp_path, BOILER, "--seed", "2")["monte_carlo"]["u"] != view["monte_carlo"]["u"]
    assert "monte_carlo" not in run(tmp_path, BOILER, "--no-monte-carlo")


@pytest.mark.requirement("F-4-ref-4", part="GUM H.1 from a file")
def test_the_end_gauge_from_a_file(tmp_path):
    """JCGM 100 H.1 as in the shared vectors; the simulation also sees the product of two uncertain zeros: 34 nm."""
    expected = example("we-gum-h1")["expected"]
    view = run(tmp_path, """
        inputs:
          ls: {value: 50000623, u: 25, dof: 18}
          d: {value: 215, u: 9.7, dof: 25.6}
          alpha: {value: 11.5e-6, u: 1.2e-6}
          theta: {value: -0.1, u: 0.41}
          da: {value: 0, u: 0.58e-6, dof: 50}
          dt: {value: 0, u: 0.029, dof: 2}
        model: ls + d - ls*(da*theta + alpha*dt)
        coverage: 0.99
        """)  # fmt: skip
    assert f"{float(view['value']) / 1e6:.6f}" == expected["l_mm"] and expected["uc_nm"].startswith("32 (31.7)")
    assert f"{float(view['u']):.1f}" == "31.7" and str(int(float(view["dof"]))) == expected["veff"]
    assert f"{float(view['k']):.2f}" == expected["k99"] and f"{float(view['U']):.0f}" == expected["U99_nm"]
    assert 33 < float(view["monte_carlo"]["u"]) < 35  # t(16) × 31.7 is about 1.96 × 34: the intervals agree
    assert view["monte_carlo"]["agrees"] is True and view["monte_carlo"]["stable"] is True


def test_four_rectangles(tmp_path):
    """JCGM 101 clause 9.2.2 and 9.2.3: ±3.88 where the GUM framework gives ±3.92, and ±17.0 where it gives ±19.9."""
    expected = example("we-jcgm101-rect")["expected"]
    for width, u, low, high in ((1, expected["a_u"], -3.88, 3.88), (10, expected["b_u"], -17.0, 17.0)):
        half = {1: "1.7320508075688772", 10: "17.320508075688772"}[width]
        inputs = ", ".join(f"X{i}: {{value: 0, a: {'1.7320508075688772' if i < 4 else half}}}" for i in (1, 2, 3, 4))
        text = f"inputs: {{{inputs}}}\nmodel: X1+X2+X3+X4\nmonte_carlo: {{trials: 400000}}\ncoverage: 0.95\n"
        view = run(tmp_path, text, code=0 if width == 1 else 1)
        limit = 0.02 * width
        assert abs(float(view["monte_carlo"]["low"]) - low) < limit, width
        assert abs(float(view["monte_carlo"]["high"]) - high) < limit
        assert abs(float(view["u"]) - float(u)) < 0.06 and view["dof"] is None
        assert (view["monte_carlo"]["agrees"] is True) == (width == 1)


@pytest.mark.parametrize("shape", ["rectangular", "triangular", "arcsine"])
def test_the_draws_have_the_variance_of_their_shape(tmp_path, shape):
    text = f"inputs: {{a: {{value: 100, a: 3, shape: {shape}}}}}\nmodel: a\nmonte_carlo: {{trials: 100000}}\n"
    document = tmp_path / "u.yaml"
    document.write_text(text)
    model = uncertainty_file.model(uncertainty_file.read(document))
    total, _ = model.budgets()
    found = monte_carlo.simulate(model, str(total.u()), most=100000)
    assert abs(found.u / float(str(total.u())) - 1) < 0.01 and abs(found.mean - 100) < 0.05
    assert found.low >= 97 and found.high <= 103


def test_correlated_inputs(tmp_path):
    """Two factors of the same laboratory, r = 1: 10 % of the sum; r = -1: nothing is left."""
    text = "inputs: {a: {value: 10, u: 1}, b: {value: 10, u: 1}}\nmodel: a+b\ncorrelations: [[a, b, %s]]\n"
    view = run(tmp_path, text % "1")
    assert view["u"] == "2.00000" and abs(float(view["monte_carlo"]["u"]) - 2) < 0.03
    assert run(tmp_path, text % "0.5")["u"] == "1.73205"
    assert run(tmp_path, text % "-1")["u"] == "0"


@pytest.mark.requirement("P-7.4-4")
def test_three_checks_are_in_the_report(tmp_path):
    text = """
        checks:
          sources: [{name: cems, value: 110, U: 8}, {name: balance, value: 100, U: 6}]
          repeated: [10.1, 10.3, 9.9]
          history: {value: 104, past: [98, 102, 101, 99, 100]}
        """
    found = run(tmp_path, text)["checks"]
    assert found["sources"]["En"] == {"cems": "1.000", "balance": "-1.000"} and found["sources"]["agree"] is True
    assert found["sources"]["mean"] == "103.600000" and found["repeated"]["u_mean"] == "0.115470"
    assert found["repeated"]["s"] == "0.200000" and found["history"]["inside"] is True
    assert found["history"]["half_width"] == "4.80887"
    view = run(tmp_path, text.replace("value: 110", "value: 111"), code=1)
    assert view["checks"]["sources"]["agree"] is False
    assert run(tmp_path, text.replace("value: 104", "value: 106"), code=1)["checks"]["history"]["inside"] is False
    for lang, word in (("en", "they agree"), ("zh", "多源比对")):
        (tmp_path / "u.yaml").write_text(text)
        assert word in carbonterm("uncertainty", tmp_path / "u.yaml", lang=lang)[1]


def test_sources_by_method_share_their_factors(tmp_path):
    """Two electricity bills of one year have the same factor: 10 % of it is 10 % of their sum."""
    rows = "{method: common, source: purchased_electricity, at: 2023-05-01, values: {AD_e: %d, EF_e: cn-nat-2022}, %s}"
    stated = "uncertainty: {AD_e: 'u:0', EF_e: 'u:10%'}"
    text = f"sources:\n  a: {rows % (1000, stated)}\n  b: {rows % (3000, stated)}\n"
    view = run(tmp_path, text, "--no-monte-carlo")
    assert [row["name"] for row in view["rows"]] == ["cn-nat-2022"] and view["percent"] == "20.00"
    code, out, _ = carbonterm("uncertainty", tmp_path / "u.yaml", "--no-monte-carlo", lang="zh")
    assert code == 0 and "cn-nat-2022" in out and "排放因子" in out


@pytest.mark.requirement("P-7.4-2", part="an inventory by IPCC approach 1, with its trend")
def test_rows_of_an_inventory(tmp_path):
    """200 t ± √(5² + 10²) % and 100 t ± 20 %: 300 t ± 10 %; against 150 and 100 t the trend is +20 %."""
    text = """
        inventory:
          - {name: boiler, emission: 200, base: 150, activity: 5%, factor: 10}
          - {name: kiln, emission: 100, base: 100, factor: 20%}
        """
    found = run(tmp_path, text)["inventory"]
    assert found["percent"] == "10.0000" and found["rows"][0]["percent"] == "11.1803"
    assert found["trend"]["change_percent"] == "20.0000" and found["rows"][1]["B"] == "0.4000"
    code, out, _ = carbonterm("uncertainty", tmp_path / "u.yaml", lang="zh")
    assert code == 0 and "趋势: 20.0000 %" in out
    found = run(tmp_path, text.replace("base: 150, ", ""))["inventory"]
    assert "trend" not in found and found["rows"][0].get("A") is None
    grouped = text.replace("20%", "20%, factor_group: c")
    grouped = grouped.replace("activity: 5%, factor: 10", "factor: 20, factor_group: c")
    assert run(tmp_path, grouped)["inventory"]["percent"] == "20.0000"


def test_one_factor_has_one_uncertainty(tmp_path):
    """What is stated of a factor in one source holds in the other; two statements of it are refused."""
    rows = "{method: common, source: purchased_electricity, at: 2023-05-01, values: {AD_e: 1000, EF_e: cn-nat-2022}%s}"
    for first, second in (("", ", uncertainty: {EF_e: 10%}"), (", uncertainty: {EF_e: 10%}", "")):
        text = f"sources:\n  a: {rows % first}\n  b: {rows % second}\n"
        view = run(tmp_path, text, "--no-monte-carlo")
        assert view["percent"] == "10.00" and view["without"] == ["a.AD_e", "b.AD_e"]
    text = f"sources:\n  a: {rows % ', uncertainty: {EF_e: 10%}'}\n  b: {rows % ', uncertainty: {EF_e: 9%}'}\n"
    (tmp_path / "u.yaml").write_text(text)
    code, _, err = carbonterm("uncertainty", tmp_path / "u.yaml")
    assert code == 2 and "cn-nat-2022 has two uncertainties" in err


def test_a_json_file_is_the_same(tmp_path):
    text = json.dumps({"inputs": {"a": {"value": 2.5, "u": 0.1}, "b": {"value": 4, "u": 0.2}}, "model": "a*b"})
    assert run(tmp_path, text, name="u.json")["u"] == "0.640312"


@pytest.mark.requirement("P-7.4-2", part="the account command's own budget")
def test_account_says_how_sure_it_is():
    words = ("account", "common", "fossil_combustion", "FC=1000", "NCV=20", "CC=0.02749", "OF=0.94")
    code, out, _ = carbonterm(*words, "--uncertainty", "FC=2%,CC=U95:5%", "--uncertainty", "NCV=a:1%", "--json")
    found = json.loads(out)["uncertainty"]
    u = math.sqrt(1 + (5 / 1.959964) ** 2 + 1 / 3)
    assert code == 0 and abs(float(found["percent"]) - 2 * u) < 0.001 and found["k"] == "2"
    assert found["without"] == ["OF"] and found["stated"]["FC"] == "stated"
    auto = json.loads(carbonterm(*words, "--uncertainty", "auto", "--json")[1])["uncertainty"]
    assert auto["stated"]["CC"].startswith("assumed: IPCC") and auto["without"] == ["NCV", "OF"]
    with_model = json.loads(carbonterm(*words, "--uncertainty", "auto,model=3%", "--json")[1])["uncertainty"]
    assert "model" in with_model["groups_percent"] and float(with_model["u"]) > float(auto["u"])
    code, out, _ = carbonterm(*words, "--uncertainty", "auto")
    assert code == 0 and "⚠ CC: assumed" in out and "taken as exact" in out
    wrong = (("FC", "is not NAME=2%"), ("XX=2%", "is no parameter"), ("FC=-2%", "never below 0"), ("FC=x", "FC: "))
    for bad, said in wrong:
        code, _, err = carbonterm(*words, "--uncertainty", bad)
        assert code == 2 and said in err, err
    code, _, err = carbonterm(*words, "--uncertainty", "FC=2%", "OF=3%")
    assert code == 2 and "A=2%,B=5%" in err


def test_what_a_factor_says_of_itself():
    assert uncertain.of_factor("±30% (IPCC 2006 V5 Table 6.10; memory)", Number("0.25")) == {"U95": "30%"}
    assert uncertain.of_factor("range 0.8-1.0", Number("0.8")) == {"a": "0.2", "shape": "rectangular"}
    assert uncertain.of_factor("range 0-0.2", Number("0.1"))["a"] == "0.1"
    for text in (None, "", "IPCC defaults 0.5 %, 8 %"):
        assert uncertain.of_factor(text, Number(1)) is None


def test_students_t_against_its_integral():
    """Simpson's rule over the density gives the stated coverage back, for rows of the table and behind it."""
    for dof in (1, 2, 5, 16, 30, 31, 60, 200):
        scale = math.exp(math.lgamma((dof + 1) / 2) - math.lgamma(dof / 2)) / math.sqrt(dof * math.pi)
        for level, coverage in zip(LEVELS, (math.erf(1 / math.sqrt(2)), 0.9, 0.95, 0.9545, 0.99, 0.9973), strict=True):
            t = float(str(student(level, dof)))
            steps = 4000
            # x = t·s², so that the long tail of few degrees of freedom is sampled where the density is
            total = 0.0
            for i in range(steps + 1):
                s = i / steps
                weight = 1 if i in (0, steps) else 4 if i % 2 else 2
                total += weight * (1 + (t * s * s) ** 2 / dof) ** (-(dof + 1) / 2) * 2 * t * s
            assert abs(2 * scale * total / (3 * steps) - coverage) < 3e-5, (dof, level)


REFUSED = [
    ("", "is not a table"), ("a: [", "u.yaml"), ("inputs: {}", "neither a model nor sources"),
    ("what: 1", "knows no 'what'"),
    ("model: a\nsources: {b: a}", "neither a model nor sources, or both"), ("model: a*", "formula"),
    ("inputs: {a: {value: 1}}\nmodel: a+b", "unknown name 'b'"), ("inputs: {a: 5}\nmodel: a", "a has no value"),
    ("inputs: {a: {value: 1, u: -1}}\nmodel: a", "a: an uncertainty of -1"),
    ("inputs: {a: {value: 1, u: 1, U: 2}}\nmodel: a", "in one way"),
    ("inputs: {a: {value: 1, x: 1}}\nmodel: a", "unknown field 'x'"),
    ("inputs: {a: {value: 1, group: b}}\nmodel: a", "unknown group 'b'"),
    ("inputs: {a: {value: 1}, b: {value: 1}}\nmodel: a", "no formula uses the input 'b'"),
    ("inputs: {a: {value: 0}}\nmodel: 1/a", "division by zero"), ("sources: []", "not a table"),
    ("inputs: {model: {value: 1}}\nmodel: model", "cannot be called model"),
    ("inputs: {a: {value: 1}}\nmodel: a\ncoverage: 0.94", "no coverage"),
    ("inputs: {a: {value: 1}}\nmodel: a\nk: 0", "a coverage factor of 0"),
    ("inputs: {a: {value: 1}}\nmodel: a\ncorrelations: [[a, b, 1]]", "between two inputs"),
    ("inputs: {a: {value: 1}}\nmodel: a\ncorrelations: [a]", "[name, name, r]"),
    ("inputs: {a: {value: 1, u: 1}}\nmodel: a\nmonte_carlo: {trials: 5}", "at least 20000"),
    ("inputs: {a: {value: 1, u: 1}}\nmodel: a\nmonte_carlo: {seed: -5}", "whole numbers"),
    ("sources: {a: {method: common}}", "lacks source"),
    ("sources: {a: {method: x, source: y, at: 2023-01-01}}", "unknown"),
    ("checks: {repeated: [1]}", "at least two"), ("checks: {history: {value: 1, past: []}}", "at least two"),
    ("checks: {sources: [{name: a}]}", "lacks its name or value"), ("checks: {sources: [{name: a, value: 1}]}", "a: "),
    ("checks: {other: 1}", "knows no 'other'"), ("inventory: [{name: a}]", "lacks its name or emission"),
    ("inventory: [{name: a, emission: 0}]", "add up to 0"),
    ("inventory: [{name: a, emission: 1, factor: -1}]", "a, factor"),
    ("inventory: [{name: {}, emission: 1}]", "name is not one value"),
    ("inputs: {a: {value: 1}, b: {value: 1}}\nmodel: a*b\ncorrelations: [[a, {}, 1]]", "[name, name, r]"),
    ("checks: {sources: [{name: [], value: 1, u: 1}, {name: b, value: 1, u: 1}]}", "lacks its name"),
    ("inventory: []", "lacks its name"), ("inventory: [{name: a, emission: 1, x: 1}]", "knows no 'x'"),
]  # fmt: skip


@pytest.mark.parametrize("text, said", REFUSED)
def test_refusals(tmp_path, text, said):
    file = tmp_path / "u.yaml"
    file.write_text(text, encoding="utf-8")
    code, out, err = carbonterm("uncertainty", file)
    assert code == 2 and said in err, err + out
    assert carbonterm("uncertainty", tmp_path / "none.yaml")[0] == 2


def test_the_file_in_the_documentation(tmp_path):
    text = (ROOT / "docs/uncertainty.md").read_text(encoding="utf-8")
    view = run(tmp_path, text.partition("```yaml\n")[2].partition("```")[0])
    assert set(view["sources"]) == {"boiler", "kiln", "power"} and view["monte_carlo"]["agrees"] is True
    checks = text.partition("```\nchecks:")[2].partition("```")[0].partition("\n")[2]
    assert run(tmp_path, "checks:\n" + checks)["checks"]["history"]["inside"] is True


@pytest.mark.slow
def test_spoilt_files_are_refused_or_read_never_a_crash(tmp_path):
    """Characters of a good file changed at random: a result, or a refusal that names the file (400 of them, seeded)."""
    dice = random.Random(9)
    good = BOILER + "correlations: [[NCV, CC, 0.3]]\nchecks: {repeated: [1, 2], history: {value: 4, past: [3, 5]}}\n"
    good += "inventory: [{name: a, emission: 2, base: 3, activity: 5%, factor: 1}]\ncoverage: 0.95\n"
    words = ("", ":", "{", "]", "-", "0", "1e300", "1e-300", "null", "~", "&a", "*a", "'", "%", "^9")
    words += ("\t", "\n", "九", "!!x ")
    seen = set()
    for _ in range(400):
        text = good
        for _ in range(dice.randint(1, 3)):
            at = dice.randrange(len(text))
            text = text[:at] + dice.choice(words) + text[at + dice.choice((0, 1, 1, 5)) :]
        file = tmp_path / "u.yaml"
        file.write_text(text, encoding="utf-8")
        code, out, err = carbonterm("uncertainty", file, "--no-monte-carlo", "--json")
        seen.add(code)
        assert code in (0, 1, 2) and (code != 2 or "u.yaml" in out + err), (text, out, err)
    assert seen >= {0, 2}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    storage = MemoryStorage()
    steelworks.written(Log(storage, "CT-STEEL", 0, sm2.Signer(bytes(31) + b"\x07")), 1767196800000)
    path = tmp_path_factory.mktemp("bundle") / "steel.bundle"
    path.write_bytes(pulled(storage, "CT-STEEL"))
    return path


@pytest.mark.requirement("P-7.4-1", part="the total of a terminal's log, from its meters and factors")
def test_the_total_of_a_log(bundle):
    """January and February of a steelworks, whose log has nearly what its formulas give; meters and model as stated."""
    stated = "E1=U:1%,G1=class:1,model=2%"
    code, out, err = carbonterm("uncertainty", bundle, "--period", "2026", "--uncertainty", stated, "--json")
    view = json.loads(out)
    assert code == 0, err
    for name, row in view["sources"].items():
        assert float(row["value"]) == pytest.approx(float(row["recorded"]), rel=1e-4), name
    # the total is that of the boundary, of which the canteen's tenants have the larger share
    code, out, err = carbonterm("inventory", bundle, "--period", "2026", "--json")
    assert code == 0 and float(view["value"]) == pytest.approx(float(json.loads(out)["total"]["total"]), rel=1e-4), err
    rows = {row["name"]: row for row in view["rows"]}
    assert rows["E1"]["u_percent"] == "0.5000" and rows["G1"]["u_percent"] == "0.5774"
    assert rows["model"]["group"] == "model" and view["monte_carlo"]["agrees"] is True
    assert sum(float(row["value"]) for row in view["sources"].values()) == pytest.approx(float(view["value"]))
    code, out, _ = carbonterm("uncertainty", bundle, "--no-monte-carlo", lang="zh")
    assert code == 0 and "CT-STEEL" in out and "按准确值处理" in out
    for options, said in (
        (("--period", "2026-13"), "is no period"), (("--period", "2024"), "no source has whole figures"),
        (("--uncertainty", "E9=1%"), "is no point"), (("--uncertainty", "E1=x"), "E1: "),
    ):  # fmt: skip
        code, _, err = carbonterm("uncertainty", bundle, *options)
        assert code == 2 and said in err, err


def test_options_of_logs_are_not_for_files(tmp_path):
    (tmp_path / "u.yaml").write_text(BOILER)
    code, _, err = carbonterm("uncertainty", tmp_path / "u.yaml", "--period", "2026")
    assert code == 2 and "are for logs" in err


SITE = """
terminal: CT-1
name: 厂
zone: "+08:00"
buses: [{name: lan, kind: modbus-tcp, host: 127.0.0.1}]
meters:
  - {name: 总表, bus: lan, unit: 1, model: eastron-sdm630, certificate: {number: N1, authority: A, date: 2026-01-01,
     due: 2027-01-01, result: 合格, uncertainty: 0.5 %, k: "2"}}
points: [{name: E1, meter: 总表, register: active_energy_import, every: 1min}]
sources:
  - {name: 电, method: common, source: purchased_electricity, parameters: {AD_e: [E1], EF_e: cn-nat-2022}}
"""


def test_a_certificate_counts_where_nothing_else_is_stated():
    """1 000 000 kWh ± 0.5 % (k = 2) and a factor without a figure: 0.25 % of 536.6 t; a statement comes before it."""
    site = site_yaml.compile_text(SITE)
    begin = records.span("2026-03", site.zone)[0]
    known = records.Records(site.zone)
    known.add(records.POINT, "E1", clock.MONTH, begin, 0, 0, Number(1000000))
    known.add(records.SOURCE, "电", clock.MONTH, begin, 1, 0, Number("536.6"))
    known.heard(begin + 32 * 86400000)
    model, recorded, unknown = uncertain_log.model(site, known, "2026-03", {})
    total, _ = model.budgets()
    assert recorded["电"] == Number("536.6") == total.value and not unknown
    assert str(total.relative(2)) == "0.25" and model.stated == {"E1": "certificate N1 of 总表"}
    assert model.without == ["cn-nat-2022"]
    total, _ = uncertain_log.model(site, known, "2026-03", {"E1": "u:1%", "cn-nat-2022": "5%"})[0].budgets()
    assert str(total.relative(6)) == "2.69258"  # √(1 + 2.5²)
