"""Single-point accounting: terminal, instrument, point; sector, kind, source; gas, formula, matched items (9.2)."""

import csv
import json

import pytest

from carbonterm_host.cli import main
from carbonterm_host.site_yaml import compile_text

KEY = "aa" * 64
PLANT = f"""\
terminal: CT-1
name: 示范工厂
zone: "+08:00"
factors_on: 2026-11-21
buses:
  - {{name: lan, kind: modbus-tcp, host: 192.168.1.20}}
  - {{name: broker, kind: mqtt, host: 127.0.0.1, ca: ca.der, login: broker.login}}
meters:
  - {{name: incomer, bus: lan, unit: 1, model: schneider-iem3155, serial: S-7}}
  - {{name: gas, bus: lan, unit: 2, model: generic-gas-modbus}}
  - {{name: mes, bus: broker, topic: plant/mes, time: /ts}}
points:
  - {{name: E1, meter: incomer, register: active_energy_import, every: 1min, limit: "2000000"}}
  - {{name: P1, meter: incomer, register: active_power, every: 1s}}
  - {{name: G1, meter: gas, register: volume, every: 1h}}
  - {{name: W1, meter: mes, pointer: /coke, unit: t, quantity: mass, kind: register, every: 1h}}
operators: [{{name: zhang, public: {KEY}}}]
manual:
  - {{name: L1, unit: t, quantity: limestone}}
sources:
  - {{name: gas, method: cn-2013-steel, source: fossil_combustion, parameters: {{FC: [G1], fuel: 天然气}}}}
  - {{name: coke, method: cn-2013-steel, source: fossil_combustion, parameters: {{FC: [W1], fuel: 焦炭}}}}
  - {{name: flux, method: cn-2013-steel, source: flux, parameters: {{P: [L1], EF: {{value: "0.44", source: r}}}}}}
"""


@pytest.fixture
def run(capsys, tmp_path):
    (tmp_path / "ca.der").write_bytes(b"\x30\x03\x01\x01\x00")
    (tmp_path / "broker.login").write_text("user\nsecret\n", encoding="utf-8")
    path = tmp_path / "plant.yaml"
    path.write_text(PLANT, encoding="utf-8")

    def call(command, *arguments):
        with pytest.raises(SystemExit) as caught:
            main(["site", command, str(path), *arguments, "--json"])
        return caught.value.code, json.loads(capsys.readouterr().out)

    return call


@pytest.mark.requirement("T-9.2-3", part="links of an instrument, a third-party system and manual entry")
@pytest.mark.requirement("T-9.2-6")
@pytest.mark.requirement("T-9.2-9")
def test_points_stand_under_their_instruments(run, tmp_path):
    code, view = run("links", "--csv", str(tmp_path / "links.csv"))
    groups = {group["instrument"]: group for group in view["instruments"]}
    assert code == 0
    assert list(groups) == ["incomer", "gas", "mes", None]
    assert (groups["incomer"]["terminal"], groups["incomer"]["serial"]) == ("CT-1", "S-7")
    assert [point["point"] for point in groups["incomer"]["points"]] == ["E1", "P1"]
    (link,) = groups["gas"]["points"][0]["links"]
    assert (link["source"], link["parameter"], link["ratio"]) == ("gas", "FC", "1/10000")
    assert (link["gases"], link["formula"], link["gwps"]) == (["CO2"], "FC*NCV*CC*OF*44/12", ["gwp/CO2"])
    assert {"parameter": "FC", "unit": "10^4Nm3", "from": "points"} in link["matched"]
    assert {"parameter": "NCV", "unit": "GJ/10^4Nm3", "from": "ndrc-2013-metals/natural_gas/NCV"} in link["matched"]
    fed = {name: [] for name in groups}
    for name, group in groups.items():
        fed[name] += [one["source"] for point in group["points"] for one in point["links"]]
    assert fed == {"incomer": [], "gas": ["gas"], "mes": ["coke"], None: ["flux"]}
    with open(tmp_path / "links.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["instrument"], row["point"], row["source"]) for row in rows] == [
        ("incomer", "E1", ""), ("incomer", "P1", ""), ("gas", "G1", "gas"), ("mes", "W1", "coke"), ("", "L1", "flux"),
    ]  # fmt: skip
    assert [group["instrument"] for group in run("links", "--meter", "gas")[1]["instruments"]] == ["gas"]
    assert run("links", "--meter", "gsa")[0] == 2


@pytest.mark.requirement("T-9.2-7")
@pytest.mark.requirement("T-9.2-8")
@pytest.mark.requirement("T-9.2-9")
def test_step_by_step_to_a_link(run, tmp_path):
    assert run("link")[1] == {"terminal": "CT-1", "instruments": ["incomer", "gas", "mes"]}
    assert [row["point"] for row in run("link", "incomer")[1]["points"]] == ["E1", "P1"]
    code, view = run("link", "incomer", "E1")
    assert view["preset"] == {"terminal": "CT-1", "instrument": "incomer", "point": "E1", "unit": "Wh"}
    kinds = {row["method"]: row["kinds"] for row in view["methods"]}
    assert kinds["cn-2013-steel"] == ["electricity", "heat"] and "cn-2013-grid" in kinds
    sources = run("link", "incomer", "E1", "cn-2013-steel")[1]["sources"]
    assert [row["source"] for row in sources] == ["purchased_electricity", "purchased_heat"]
    code, view = run("link", "incomer", "E1", "cn-2013-steel", "purchased_electricity", "--with", "EF_e=cn-nat-2022")
    assert code == 0
    assert (view["gases"], view["formula"], view["scope"], view["category"]) == (["CO2"], "AD_e*EF_e", 2, 2)
    assert view["matched"][0] == {"parameter": "AD_e", "unit": "MWh", "from": "E1", "ratio": "1/1000000"}
    made = compile_text(PLANT + view["yaml"] + "\n", folder=tmp_path)
    assert made.sources[-1].inputs[0].points == [[0, 1, 1000000]]


@pytest.mark.requirement("T-9.2-4")
@pytest.mark.requirement("T-8.3.1-1", part="an activity datum comes in another unit, or is refused")
@pytest.mark.parametrize(
    ("arguments", "code", "what", "hint"),
    [
        (("incmer",), 2, "no instrument 'incmer'", "incomer"),
        (("incomer", "E9"), 2, "incomer has no point 'E9'", "E1"),
        (("incmer", "E1"), 2, "no instrument 'incmer'", "incomer"),
        (("incomer", "G1"), 2, "incomer has no point 'G1'", "E1"),
        (("incomer", "P1"), 2, "value of the moment", "running total"),
        (("incomer", "E1", "cn-2013-steal"), 2, "unknown method", "cn-2013-steel"),
        (("incomer", "E1", "cn-2013-steel", "flux"), 2, "flux takes nothing in Wh", "P (t)"),
        (("incomer", "E1", "cn-2013-steel", "purchased_electricity"), 2, "not matched: EF_e", "--with"),
        (("gas", "G1", "cn-2013-steel", "fossil_combustion", "--with", "fuel=焦炭"), 2, "NCV", "density"),
        (("gas", "G1", "cn-2013-steel", "fossil_combustion", "--with", "fuel"), 2, "'fuel' is not NAME=FACTOR", "EF="),
        (("gas", "G1", "cn-2013-steel", "fossil_combustion", "--with", "FU=x"), 2, "no parameter 'FU'", "fuel"),
    ],
)
def test_what_does_not_match_is_refused(run, arguments, code, what, hint):
    found, error = run("link", *arguments)
    assert found == code
    assert what in error["error"] and hint in error["hint"], error


def test_doubts_are_said_when_a_site_is_checked(run, tmp_path):
    path = tmp_path / "plant.yaml"
    text = PLANT.replace("factors_on: 2026-11-21", "factors_on: 2026-11-22")
    path.write_text(text.replace("fuel: 焦炭", "fuel: gbt32151-2015/coke"), encoding="utf-8")
    warnings = run("check")[1]["warnings"]
    assert any("source 'coke': not confirmed against the printed text: gbt32151-2015/coke" in row for row in warnings)
    assert any("method cn-2013-steel is superseded by" in row for row in warnings)
