"""integrate, average, fill and history in site.yaml: what they compile to, and every way to say them wrongly."""

import pytest

from carbonterm_host import site_yaml
from carbonterm_host.site_series import amount_of

SITE = """\
terminal: CT-1
name: test
zone: "+08:00"
factors_on: 2026-11-21
buses:
  - {name: lan, kind: modbus-tcp, host: 192.168.1.20}
meters:
  - {name: incomer, bus: lan, unit: 1, model: schneider-iem3155}
points:
  - {name: E1, meter: incomer, register: active_energy_import, every: 1min, fill: linear, history: true}
  - {name: P1, meter: incomer, register: active_power, every: 1s, integrate: linear, fill: nearest}
  - {name: U1, meter: incomer, register: voltage_a, every: 1min, average: step}
sources:
  - name: electricity
    method: cn-2015-other-industry
    source: purchased_electricity
    parameters: {AD: [P1], EF: {value: "0.5703", source: own report}}
"""


def test_what_they_compile_to():
    site = site_yaml.compile_text(SITE)
    unit = site.points[1].unit
    assert {i: row.canonical()[1:] for i, row in site.series.items()} == {
        0: [None, None, None, None, 0, True],
        1: [0, 0, 3600000, unit + "h", 1, False],
        2: [1, 3, None, site.points[2].unit, None, False],
    }
    assert site.unit(1) == unit + "h" and site.sources[0].inputs[0].points[0][0] == 1
    numerator, denominator = site.sources[0].inputs[0].points[0][1:]
    assert denominator == numerator * {"W": 10**6, "kW": 1000}[unit]  # Wh or kWh to MWh
    plain = site_yaml.compile_text(SITE.replace(", fill: linear, history: true", ", fill: none, history: false"))
    assert 0 not in plain.series


@pytest.mark.parametrize(
    ("old", "new", "what", "way"),
    [
        ("history: true}", "integrate: linear}", "settles by itself", "leave"),
        ("history: true}", "average: step}", "settles by itself", "leave"),
        ("fill: linear, history", "fill: nearest, history", "counted through the gap", "evenly"),
        ("fill: linear, history", "fill: cubic, history", "cubic", "linear"),
        ("history: true}", "history: maybe}", "maybe", "true"),
        ("fill: nearest}", "history: true}", "no monthly totals", "valid range"),
        ("fill: nearest}", "average: step}", "integrated and averaged", "one of them"),
        ("average: step}", "average: step, fill: linear}", "leaves a gap out", "leave 'fill' out"),
        ("average: step}", "fill: linear}", "not settled", "integrate: linear"),
        ("average: step}", "integrate: step}", "no rate", "t/h"),
        ("integrate: linear, fill: nearest", "integrate: cubic", "cubic", "step"),
        ("integrate: linear, fill: nearest", "average: linear", "not a running total", "integrate: linear"),
        ("sources:", "settings: {closings: [hour, day]}\nsources:", "needs months", "add month"),
    ],
)
def test_wrong_ways_are_said_with_their_place(old, new, what, way):
    assert old in SITE
    with pytest.raises(site_yaml.Mistakes) as caught:
        site_yaml.compile_text(SITE.replace(old, new))
    rows = [row for row in caught.value.rows if what in row[3]]
    assert len(rows) == 1 and way in rows[0][4] and rows[0][1] >= 9


def test_units_of_amounts():
    assert amount_of("t/h") == ("t", 3600000) and amount_of("m3/s") == ("m3", 1000)
    assert amount_of("kW") == ("kWh", 3600000) and amount_of("Nm3/min") == ("Nm3", 60000)
    assert amount_of("kg/d") == ("kg", 86400000)
    for unit in ("°C", "kWh", "mg/m3", "/h", "h", "", "V"):
        assert amount_of(unit) is None


def test_a_calendar_of_days_and_spans():
    text = SITE + "calendar: {holidays: [2026-10-01/2026-10-07, 2027-01-01], worked: [2026-10-10]}\n"
    first = site_yaml.compile_text(text).calendar
    assert (len(first[0]), first[0][1] - first[0][0], first[1]) == (8, 1, (first[0][0] + 9,))
    assert site_yaml.compile_text(SITE).calendar == ((), ())
    for days, what in (
        ("holidays: [2026-13-01]", "is not a date"), ("holidays: [gestern]", "is no date"),
        ("holidays: [2026-10-07/2026-10-01]", "no span"), ("worked: [2026-10-01/2026-10-02/2026-10-03]", "no span"),
        ("holidays: [2026-10-01], worked: [2026-10-01]", "holiday and worked"), ("feast: [2026-10-01]", "feast"),
    ):  # fmt: skip
        with pytest.raises(site_yaml.Mistakes) as caught:
            site_yaml.compile_text(SITE + "calendar: {" + days + "}\n")
        assert any(what in row[3] for row in caught.value.rows), days
