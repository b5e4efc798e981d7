"""Energy data of a park (5.1, 5.4): resolution, one unit, corrections and certificates, the way back to the raw."""

import csv
import json

import pytest

from carbonterm import clock
from carbonterm.number import Number
from carbonterm_host import series_types, site_yaml
from shell import carbonterm

START = clock.parse("2026-03-01T00:00:00+08:00")
HOUR = 3600000
RECIPE = """\
unit: kWh
every: 1h
outliers: {neighbours: 5}
complete: {method: linear, longest: 3h}
sources:
  - {name: power, file: power.csv, unit: MWh, correct: {factor: "1.02", offset: "0.5", certificate: JL-2026-0815}}
  - {name: heat, file: heat.csv, unit: GJ}
  - {name: coal, file: coal.csv, unit: tce}
"""
VALUES = {
    "power": ["1", "2", "3", "4", "500", "6", "", "8", "9", "10", "11"],
    "heat": ["3.6", "7.2", "10.8", "14.4", "18", "21.6", "25.2", "28.8", "32.4", "36", "39.6"],
    "coal": ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"],
}


@pytest.fixture
def prepared(tmp_path):
    for name, values in VALUES.items():
        lines = [f"{clock.text(START + i * HOUR, 480)},{value}" for i, value in enumerate(values)]
        (tmp_path / f"{name}.csv").write_text("time,value\n" + "\n".join(lines) + "\n")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    code, _, error = carbonterm("prepare", tmp_path / "recipe.yaml", "-o", tmp_path / "out", "--json")
    assert code == 0, error
    return tmp_path / "out"


def table(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.requirement("P-5.1-6")
def test_all_energy_is_in_one_unit_and_corrections_name_their_certificate(prepared):
    report = {row["name"]: row for row in json.loads((prepared / "prepared.json").read_text())["sources"]}
    assert report["power"]["correction"] == {
        "factor": "1.02", "offset": "0.5", "unit": "MWh", "certificate": "JL-2026-0815"}  # fmt: skip
    assert {row["unit"] for row in report.values()} == {"kWh"}
    first = {name: table(prepared / f"{name}.csv")[0] for name in VALUES}
    # 1.02 × 1 + 0.5 MWh; 3.6 GJ; 1 tce = 29.3076 GJ
    assert [first[name]["value"] for name in VALUES] == ["1520", "1000", "8141"]
    assert all(row["unit"] == "kWh" for name in VALUES for row in table(prepared / f"{name}.csv"))


@pytest.mark.requirement("P-5.4-3")
def test_each_step_is_flagged_and_can_be_undone(prepared):
    rows, grid = table(prepared / "power.readings.csv"), table(prepared / "power.csv")
    said = json.loads((prepared / "prepared.json").read_text())["sources"][0]
    # flagged: the outlier among the readings, what was completed on the grid, the correction in the report
    assert [(row["raw"], row["quality"], row["why"]) for row in rows if row["why"]] == [
        ("500", "2", "outlier"), ("", "4", "no value")]  # fmt: skip
    assert [(i, row["how"], row["quality"]) for i, row in enumerate(grid) if row["how"] != "measured"] == [
        (4, "completed", "1"), (6, "completed", "1")]  # fmt: skip
    assert said["correction"]["certificate"] and (said["outlier"], said["completed"]) == (1, 2)
    # undone: every reading is there as it came, and the correction leads back to it exactly
    assert [row["raw"] for row in rows] == VALUES["power"]
    factor, offset = Number(said["correction"]["factor"]), Number(said["correction"]["offset"])
    for row in rows:
        if row["raw"]:
            back = (Number(row["value"]) / 1000 - offset) / factor
            assert back == Number(row["raw"])


SITE = """\
terminal: CT-1
name: park
zone: "+08:00"
buses:
  - {name: lan, kind: modbus-tcp, host: 192.168.1.20}
meters:
  - {name: incomer, bus: lan, unit: 1, model: schneider-iem3155}
  - {name: gas, bus: lan, unit: 2, model: generic-gas-modbus}
points:
  - {name: E1, meter: incomer, register: active_energy_import}
  - {name: E2, meter: incomer, register: active_energy_export, every: 15s}
  - {name: G1, meter: gas, register: volume}
"""


@pytest.mark.requirement("P-5.1-5", part="read at least every quarter of an hour, unless the site says otherwise")
def test_energy_points_have_a_high_resolution():
    site = site_yaml.compile_text(SITE)
    assert [(point.quantity, point.interval_ms) for point in site.points] == [
        ("active energy", 60000), ("active energy", 15000), ("gas volume", 60000)]  # fmt: skip
    rows, other = series_types.periods()
    for row in [*rows, other]:
        assert series_types.span_ms(row["default"]) <= 15 * 60000
