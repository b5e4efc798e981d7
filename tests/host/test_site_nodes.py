"""Nodes of the plant, the point map, periods by energy type and series types of sensors (park document, 6.1, 6.3)."""

import json
import random
from fractions import Fraction

import pytest

from carbonterm import clock, site, units
from carbonterm.field import models
from carbonterm.number import Number
from carbonterm_host import series_types, site_nodes, site_yaml
from sensors import model
from shell import carbonterm

NOW = clock.parse("2026-11-21T12:00:00+08:00")
PLANT = """\
terminal: CT-1
name: 示范工厂
zone: "+08:00"
factors_on: 2026-11-21
buses:
  - {name: lan, kind: modbus-tcp, host: 192.168.1.20}
meters:
  - {name: press, bus: lan, unit: 1, model: eastron-sdm630}
  - {name: gas, bus: lan, unit: 2, model: generic-gas-modbus}
  - {name: incomer, bus: lan, unit: 3, model: schneider-iem3155}
  - {name: compressor, bus: lan, unit: 4, model: eastron-sdm120}
  - {name: cems, bus: lan, unit: 5, model: sensors.json, place: 1号烟囱 20 m,
     certificate: {number: J-1, authority: 省计量院, date: 2026-01-05, due: 2027-01-05, result: 合格}}
  - {name: weather, bus: lan, unit: 6, model: sensors.json, place: 厂区东门,
     certificate: {number: J-2, authority: 省计量院, date: 2026-01-05, due: 2027-01-05, result: 合格}}
points:
  - {name: E1, meter: press, register: active_energy_import}
  - {name: G1, meter: gas, register: volume}
  - {name: E2, meter: incomer, register: active_energy_import, every: 15min}
  - {name: P3, meter: compressor, register: active_power, every: 1s}
  - {name: T5, meter: cems, register: temperature}
  - {name: C5, meter: cems, register: co2}
  - {name: F5, meter: cems, register: flow}
  - {name: T6, meter: weather, register: temperature}
  - {name: H6, meter: weather, register: humidity}
  - {name: W6, meter: weather, register: wind}
  - {name: B6, meter: weather, register: pressure}
nodes:
  - {name: 冲压线, class: production, meters: [press]}
  - {name: 1号锅炉, class: boiler, meters: [gas]}
  - {name: 2号锅炉, class: boiler, gap: 2026 年停用，燃料阀已铅封}
  - {name: 进线柜, class: distribution, meters: [incomer]}
  - {name: 空压机, class: consumption, meters: [compressor]}
  - {name: 1号烟囱, class: outlet, meters: [cems]}
  - {name: 气象站, class: environment, meters: [weather]}
"""


@pytest.fixture
def folder(tmp_path):
    def made(text=PLANT, **units_of):
        (tmp_path / "sensors.json").write_text(json.dumps(model(**units_of)), encoding="utf-8")
        (tmp_path / "site.yaml").write_text(text, encoding="utf-8")
        return tmp_path / "site.yaml"

    return made


@pytest.mark.requirement("P-6.1-1", "P-6.1-2", "P-6.1-3", "P-6.1-4")
def test_the_map_of_a_plant_that_is_metered(folder):
    plan = site_yaml.compile_file(folder())
    assert site.decode(plan.canonical()).canonical() == plan.canonical()
    report = site_nodes.point_map(plan, NOW)
    assert report["ok"] and report["findings"] == [] and report["unassigned"] == []
    found = {row["class"]: row["nodes"] for row in report["classes"]}
    assert list(found) == list(site.NODES)
    assert [(n["node"], n["gap"], [m["meter"] for m in n["meters"]]) for n in found["boiler"]] == [
        ("1号锅炉", None, ["gas"]), ("2号锅炉", "2026 年停用，燃料阀已铅封", []),
    ]  # fmt: skip
    assert [m["points"][0]["point"] for name in ("production", "distribution", "consumption") for n in found[name]
            for m in n["meters"]] == ["E1", "E2", "P3"]  # fmt: skip


ROWS = (
    ("冲压线", "production", "主要生产设施"), ("1号锅炉", "boiler", "锅炉"), ("进线柜", "distribution", "电力配电设备"),
    ("空压机", "consumption", "关键消耗节点"),
)  # fmt: skip


@pytest.mark.requirement("P-6.1-1", "P-6.1-2", "P-6.1-3", "P-6.1-4", part="no meter and no reason is found")
@pytest.mark.parametrize("name,kind,said", ROWS)
def test_a_class_without_a_node_is_a_finding(folder, name, kind, said):
    text = "\n".join(line for line in PLANT.split("\n") if f"name: {name}" not in line and "2号锅炉" not in line)
    report = site_nodes.point_map(site_yaml.compile_file(folder(text)), NOW)
    assert [said in finding for finding in report["findings"]] in ([True], [True, False], [False, True])
    assert not report["ok"] and len(report["unassigned"]) == 1
    gap = text + f"  - {{name: {name}, class: {kind}, gap: 外包，由供应商计量}}\n"
    assert said not in str(site_nodes.point_map(site_yaml.compile_file(folder(gap)), NOW)["findings"])


def test_a_site_without_nodes_says_so_four_times(folder):
    plan = site_yaml.compile_file(folder(PLANT[: PLANT.index("nodes:")]))
    report = site_nodes.point_map(plan, NOW)
    assert len(report["findings"]) == 4 and len(report["unassigned"]) == 6 and plan.nodes == []
    unread = PLANT.replace("  - {name: P3, meter: compressor, register: active_power, every: 1s}\n", "")
    (finding,) = site_nodes.point_map(site_yaml.compile_file(folder(unread)), NOW)["findings"]
    assert finding == "node '空压机', meter 'compressor': no point of it is read · 没有采集点"


@pytest.mark.requirement("P-6.1-5")
def test_periods_by_energy_type(folder):
    """A point that says no period gets the one of its energy type, and every period stands beside its reason."""
    plan = site_yaml.compile_file(folder())
    assert {p.name: p.interval_ms for p in plan.points} == {
        "E1": 60000, "G1": 60000 if plan.points[1].quantity == "gas volume" else 300000, "E2": 900000, "P3": 1000,
        "T5": 60000, "C5": 10000, "F5": 10000, "T6": 60000, "H6": 60000, "W6": 10000, "B6": 60000,
    }  # fmt: skip
    report = site_nodes.point_map(plan, NOW)
    points = [p for row in report["classes"] for n in row["nodes"] for m in n["meters"] for p in m["points"]]
    assert len(points) == 11 and all(p["why"] and p["why_zh"] and p["energy"] for p in points)
    assert not any(p["slow"] for p in points)
    slow = site_yaml.compile_file(folder(PLANT.replace("every: 15min", "every: 30min")))
    told = site_nodes.point_map(slow, NOW)
    assert [p["point"] for row in told["classes"] for n in row["nodes"] for m in n["meters"] for p in m["points"]
            if p["slow"]] == ["E2"]  # fmt: skip
    rows, other = series_types.periods()
    seen = set()
    for row in [*rows, other]:
        assert 1000 <= series_types.span_ms(row["default"]) <= series_types.span_ms(row["slowest"]) <= 3600000
        assert row["why"] and row["why_zh"] and row["title_zh"]
        for quantity in row.get("quantities", ()):
            assert quantity in models.QUANTITIES and (quantity, row["kind"]) not in seen
            seen.add((quantity, row["kind"]))
    assert series_types.period_of("setting", "instant") == other


@pytest.mark.requirement("P-6.3-1", "P-6.3-2", "P-6.3-3", "P-6.3-4", part="a wrong unit is refused, with its line")
@pytest.mark.parametrize(
    "register,unit,points",
    (
        ("temperature", "K", ("T5", "T6")), ("humidity", "°C", ("H6",)), ("wind", "m", ("W6",)),
        ("flow", "kg/h", ("F5",)), ("co2", "t/h", ("C5",)), ("pressure", "kW", ("B6",)),
    ),
)  # fmt: skip
def test_a_wrong_unit_of_a_sensor_is_refused(folder, register, unit, points):
    with pytest.raises(site_yaml.Mistakes) as caught:
        site_yaml.compile_file(folder(**{register: unit}))
    rows = caught.value.rows
    lines = PLANT.split("\n")
    assert all(f"name: {name}," in lines[row[1] - 1] for row, name in zip(rows, points, strict=True))
    assert all(f"is in {unit}, and" in row[3] and "it can be in" in row[4] for row in rows)
    elsewhere = PLANT[: PLANT.index("nodes:")]
    assert site_yaml.compile_file(folder(elsewhere, **{register: unit}))  # a process has any unit


@pytest.mark.requirement("P-6.3-1", "P-6.3-2", "P-6.3-3", "P-6.3-4", part="range by type, in the point's own unit")
def test_a_sensor_has_the_range_of_its_type(folder):
    plan = site_yaml.compile_file(folder(pressure="Pa", co2="g/m3"))
    ends = {p.name: (str(p.minimum), str(p.maximum)) for p in plan.points[4:]}
    assert {name: (Number(a), Number(b)) for name, (a, b) in ends.items()} == {
        "T5": (-40, 1300), "C5": (0, 2000), "F5": (0, 10**7), "T6": (-60, 60), "H6": (0, 100), "W6": (0, 75),
        "B6": (50000, 110000),
    }  # fmt: skip
    own = PLANT.replace("register: humidity}", 'register: humidity, min: "5", max: "95"}')
    plan = site_yaml.compile_file(folder(own))
    assert (plan.points[8].minimum, plan.points[8].maximum) == (5, 95)


def test_the_types_are_whole():
    seen = set()
    for row in series_types.types():
        assert row["node"] in series_types.PLACES and row["title_zh"] and row["clause"].startswith("P-6.3-")
        assert series_types.span_ms(row["stuck"]) >= 3600000
        for quantity in row["quantities"]:
            assert quantity in models.QUANTITIES and (quantity, row["node"]) not in seen
            seen.add((quantity, row["node"]))
        for form in row["forms"]:
            assert Fraction(form["min"]) < Fraction(form["max"]) and units.parse(form["unit"])
            assert form["step"] is None or 0 < Fraction(form["step"]) <= Fraction(form["max"]) - Fraction(form["min"])
    assert {row["clause"] for row in series_types.types()} == {f"P-6.3-{n}" for n in (1, 2, 3, 4)}
    assert series_types.type_of("voltage", "outlet") is None and series_types.type_of("humidity", "boiler") is None
    form = series_types.form_of(series_types.type_of("pressure", "environment"), "Pa")
    assert form.low == 50000 and form.stuck_ms == 24 * 3600000


@pytest.mark.requirement("P-6.3-5", part="sensor register with place and calibration; due and overdue are said")
def test_the_register_of_sensors(folder):
    plan = site_yaml.compile_file(folder())
    report = site_nodes.point_map(plan, NOW)
    (cems,) = next(row for row in report["classes"] if row["class"] == "outlet")["nodes"][0]["meters"]
    assert (cems["place"], cems["certificate"], cems["due"], cems["days_left"], cems["state"]) == (
        "1号烟囱 20 m", "J-1", "2027-01-05", 45, "due",
    )  # fmt: skip
    later = site_nodes.point_map(plan, NOW + 46 * 86400000)
    assert later["findings"] == [f"node '{n}', meter '{m}': its calibration is overdue since 2027-01-05 · 校准已过期"
                                 for n, m in (("1号烟囱", "cems"), ("气象站", "weather"))]  # fmt: skip
    bare = PLANT.replace(", place: 厂区东门,\n     certificate: {number: J-2, authority: 省计量院, date: 2026-01-05, "
                         "due: 2027-01-05, result: 合格}", "")  # fmt: skip
    assert bare != PLANT
    findings = site_nodes.point_map(site_yaml.compile_file(folder(bare)), NOW)["findings"]
    assert ["needs its place" in findings[0], "not on record" in findings[1]] == [True, True]
    assert [site_nodes.state(days) for days in (None, 0, -3, 1, 60, 61)] == [
        "missing", "overdue", "overdue", "due", "due", "valid",
    ]  # fmt: skip


WRONG = (
    ("class: boiler, meters: [gas]", "class: kiln, meters: [gas]", "'kiln' is not one of production"),
    ("meters: [gas]", "meters: [gaz]", "there is no meter 'gaz'"),
    ("meters: [gas]", "meters: [gas], gap: none", "a meter or a reason for having none, not both"),
    ("class: boiler, meters: [gas]", "class: boiler", "a meter or a reason for having none"),
    ("class: boiler, meters: [gas]", "meters: [gas]", "lacks class"),
    ("name: 1号锅炉, class", "name: 2号锅炉, class", "'2号锅炉' is there twice"),
    ("gap: 2026", "gap: " + "x" * 201, "must be a text of 1 to 200"),
    ("nodes:\n", "nodes: 5\nunused:\n", "nodes must be a list"),
)


@pytest.mark.parametrize("before,after,why", WRONG)
def test_mistakes_in_nodes(folder, before, after, why):
    assert before in PLANT
    with pytest.raises(site_yaml.Mistakes) as caught:
        site_yaml.compile_file(folder(PLANT.replace(before, after, 1)))
    assert why in str(caught.value), str(caught.value)
    assert all(row[1] > 1 for row in caught.value.rows)


@pytest.mark.slow
def test_whatever_nodes_are_they_are_read_or_refused(folder):
    dice, refused = random.Random(9), 0
    begin = PLANT.index("nodes:")
    for _ in range(100):
        text = list(PLANT[begin:])
        for _ in range(dice.randrange(1, 4)):
            place = dice.randrange(len(text))
            text[place : place + dice.randrange(3)] = dice.choice("{}[]:,-&*!|09ax \n锅")
        try:
            site_nodes.point_map(site_yaml.compile_file(folder(PLANT[:begin] + "".join(text))), NOW)
        except site_yaml.Mistakes:
            refused += 1
    print(refused, "refused")
    assert 20 < refused < 100


@pytest.mark.requirement("P-6.1-1", "P-6.1-2", "P-6.1-3", "P-6.1-4", part="as a command")
def test_the_command(folder):
    code, said, error = carbonterm("site", "map", folder(), "--json")
    assert code == (0 if json.loads(said)["ok"] else 1) and json.loads(said)["terminal"] == "CT-1", error
    code, said, _ = carbonterm("site", "map", folder(PLANT.replace("every: 15min", "every: 30min")), lang="zh")
    assert "主要生产设施" in said and "已铅封" in said and "周期偏长" in said
    code, said, _ = carbonterm("site", "map", folder(PLANT[: PLANT.index("nodes:")]))
    assert code == 1 and said.count("✗") == 4 and "at no node: press" in said
    code, said, _ = carbonterm("site", "map", folder("terminal: CT-1\n"), "--json")
    assert code == 1 and not json.loads(said)["ok"]
    assert carbonterm("site", "map", "nothing.yaml")[0] == 2
