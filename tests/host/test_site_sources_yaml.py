"""Sources in site.yaml: lines, a chosen gas, several gases, derivations, and what is refused with its line."""

import pytest

from carbonterm import formula
from carbonterm.accounting import source as accounting
from carbonterm.number import Number
from carbonterm_host import site_yaml

HEAD = """\
terminal: CT-1
name: plant
zone: "+08:00"
factors_on: 2026-06-01
buses:
  - {name: lan, kind: modbus-tcp, host: 192.168.1.20}
meters:
  - {name: m, bus: lan, unit: 1, model: generic-gas-modbus}
  - {name: e, bus: lan, unit: 2, model: schneider-iem3155}
points:
  - {name: G1, meter: m, register: volume, every: 1min}
  - {name: G2, meter: m, register: volume, every: 1min}
  - {name: E1, meter: e, register: active_energy_import, every: 1min}
sources:
  - name: s
"""


def compiled(text):
    return site_yaml.compile_text(HEAD + "".join(f"    {line}\n" for line in text.strip().split("\n"))).sources[0]


@pytest.mark.requirement("T-9.2-4")
@pytest.mark.requirement("T-9.2-9", part="the saved link names gas, formula, matched items and GWP set")
def test_two_fuels_in_two_lines():
    found = compiled("""
method: cn-2013-steel
source: fossil_combustion
parameters: {FC.1: [G1], fuel.1: 天然气, FC.2: [G2], fuel.2: 焦炉煤气}
""")
    assert [feed.parameter for feed in found.inputs] == ["FC.1", "FC.2"]
    gas, steps, gwp = accounting.parts(found.compiled)[0]
    assert (gas, formula.text(steps)) == ("CO2", "FC.1*NCV.1*CC.1*OF.1*44/12+FC.2*NCV.2*CC.2*OF.2*44/12")
    assert gwp[4][0].startswith("gwp/")
    names = [origin[0] for origin in accounting.origins(found.compiled)]
    assert "ndrc-2013-metals/natural_gas/NCV" in names
    one = accounting.evaluate_compiled(found.compiled, {"FC.1": 1, "FC.2": 0})
    assert one == Number("389.31") * Number("0.0153") * Number("0.99") * 44 / 12


def test_a_gas_is_chosen_and_its_gwp_may_be_given():
    found = compiled("""
method: iso14064-1-2018
source: imported_electricity
parameters: {AD: [E1], EF: {value: "0.5", unit: tCH4/MWh, source: report 7}, gas: CH4}
""")
    gas, _, gwp = accounting.parts(found.compiled)[0]
    assert (gas, gwp[4][0]) == ("CH4", "gwp/AR6/CH4")
    found = compiled("""
method: iso14064-1-2018
source: imported_electricity
parameters: {AD: [E1], EF: {value: "0.5", unit: tCH4/MWh, source: report 7}, gas: CH4, gwp_set: AR4}
""")
    assert accounting.parts(found.compiled)[0][2][2:4] == [0, 25]
    found = compiled("""
method: iso14064-1-2018
source: imported_electricity
parameters: {AD: [E1], EF: {value: "0.5", unit: tCH4/MWh, source: r}, gas: CH4, GWP: {value: "29", source: r}}
""")
    gas, _, gwp = accounting.parts(found.compiled)[0]
    assert (gas, gwp[2:4], gwp[4][0]) == ("CH4", [0, 29], "site/GWP")


@pytest.mark.requirement("T-9.2-4")
@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("{FC.1: [G1], fuel.1: 天然气, FC.3: [G2]}", "the lines of FC are 1, 3", "without a gap"),
        ("{FC.1: [G1], FC.2: [G2], fuel: 天然气, OF.1: {value: '1', source: x}}", "OF of fossil_combustion has 1", ""),
        ("{FC: [G1], fuel: 焦炭}", "NCV of fossil_combustion: ", "density"),
        ("{FC: [E1], fuel: 焦炭}", "FC of fossil_combustion", ""),
        ("{FC: [G1]}", "lacks NCV", "feed it"),
        ("{FC: [G1], fuel: 天然气, OF: {value: '98', source: x}}", "fraction from 0 to 1, not 98", "0.98"),
        ("{FC: [G1], fuel: 天然气, gas: CO2}", "knows no key 'gas'", ""),
        ("{FC: [G1], fuel: 天然气, NVC: {value: '98', source: x}}", "knows no key 'NVC'", "NCV"),
    ],
)  # fmt: skip
def test_refusals_have_a_line_and_a_way_out(text, what, hint):
    with pytest.raises(site_yaml.Mistakes) as caught:
        compiled(f"method: cn-2013-steel\nsource: fossil_combustion\nparameters: {text}")
    row = next(row for row in caught.value.rows if what in row[3])
    assert row[1] == 18
    assert hint in row[4]


def test_an_auxiliary_source_is_no_emission():
    with pytest.raises(site_yaml.Mistakes, match="no emission"):
        compiled("method: common\nsource: hot_water_gj\nparameters: {}")
