"""`carbonterm footprint`: a product's footprint from a file and a log; mistakes all at once with line and way out."""

import json
from fractions import Fraction

import pytest

import steelworks
from carbonterm.gm import sm2
from carbonterm.ledger.segment import Log
from memory_storage import MemoryStorage
from shell import carbonterm, pulled

FILE = """\
product: 热轧卷
functional_unit: {amount: "1", unit: t}
boundary: cradle-to-gate
period: "2026"
cutoff: 单项低于1%且合计低于5%的不计
allocation:
  by: mass
  reason: 同一条轧线同时产出
  products:
    - {name: 热轧卷, amount: "8000", unit: t}
    - {name: 氧化铁皮, amount: "120", unit: t, weight: "0.3"}
flows:
  - {stage: A1, name: 板坯, amount: "8200", unit: t, factor: "1.7", source: 供应商声明 2026}
  - {stage: A2, name: 运输, amount: "1200000", unit: t, factor: "0.08", factor_unit: kgCO2e/t, source: 承运商}
  - {stage: A3, name: 轧钢厂, inventory: total}
  - {stage: A3, name: 包装, amount: "10", unit: t, factor: "1", source: 台账, of: 热轧卷}
  - {stage: A3, name: 办公, amount: "20", unit: t, factor: "1", source: 估算, cut: 低于1%}
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    storage = MemoryStorage()
    steelworks.written(Log(storage, "CT-STEEL", 0, sm2.Signer(bytes(31) + b"\x07")), 1767196800000)
    path = tmp_path_factory.mktemp("bundle") / "steel.bundle"
    path.write_bytes(pulled(storage, "CT-STEEL"))
    return path


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "footprint.yaml"
    path.write_text(FILE, encoding="utf-8")
    return path


@pytest.mark.requirement("T-9.4-9", "T-11.7-7", part="from a log and a file, per functional unit, with its stages")
def test_a_footprint_by_hand(file, bundle):
    code, out, err = carbonterm("footprint", file, "--inventory", bundle, "--json")
    assert code == 0, err
    found = json.loads(out)
    coil, scale = found["products"]
    plant = Fraction("3452.641199")  # the inventory of 2026, test_boundary_command
    whole = 8200 * Fraction("1.7") + 96 + plant + 10
    assert Fraction(found["tco2e"]) == whole == Fraction(coil["tco2e"]) + Fraction(scale["tco2e"])
    share = Fraction(8000, 8036)
    assert abs(Fraction(coil["tco2e"]) - (10 + (whole - 10) * share)) < Fraction(4, 10**6)
    assert Fraction(coil["exact"]) == Fraction(coil["tco2e"]) * 1000 / 8000
    for stage, total in (("A1", Fraction(13940)), ("A2", 96), ("A3", plant + 10)):
        assert Fraction(coil["stages"][stage]) + Fraction(scale["stages"][stage]) == total
    inside = Fraction(100) * whole / (whole + 20)
    assert abs(Fraction(found["covered_percent"]) - inside) <= Fraction(1, 200) and found["findings"] == []
    code, out, _ = carbonterm("footprint", file, "--inventory", bundle, lang="zh")
    assert code == 0 and "kgCO2e / 1 t" in out and "截断 办公" in out


def test_findings(file, bundle):
    file.write_text(FILE.replace('amount: "20", unit: t', 'amount: "2000", unit: t').replace("cutoff: ", "# "))
    code, out, _ = carbonterm("footprint", file, "--inventory", bundle, "--json")
    found = json.loads(out)["findings"]
    assert code == 1 and len(found) == 2 and "less than 95 %" in found[0] and "no rule says when" in found[1]


WRONG = (
    ("boundary: cradle-to-gate", "boundary: cradle-to-moon", "not one of cradle-to-gate"),
    ("by: mass", "by: luck", "not one of mass, energy, value"),
    ("  reason: 同一条轧线同时产出\n", "", "why the processes cannot be divided"),
    ("{stage: A2,", "{stage: B,", "stage B is outside cradle-to-gate"),
    (', source: 承运商', "", "lacks source"),
    ("factor_unit: kgCO2e/t", "factor_unit: kgCO2e/kWh", "flow '运输'"),
    ("inventory: total", "inventory: all", "is its total"),
    ("of: 热轧卷", "of: 冷轧卷", "there is no product '冷轧卷'"),
    ('weight: "0.3"', 'weight: "0"', "a weight is above 0"),
    ('amount: "120", unit: t, weight: "0.3"', 'amount: "120", unit: m3', "needs its weight"),
    ('amount: "8000"', 'amount: "-1"', "not below 0"),
    ('{amount: "1", unit: t}', '{amount: "0", unit: t}', "a functional unit is above 0"),
    ('factor: "1.7"', 'factor: "many"', "is not a decimal number"),
)  # fmt: skip


@pytest.mark.parametrize("old, new, named", WRONG)
def test_mistakes(file, old, new, named):
    assert old in FILE
    file.write_text(FILE.replace(old, new, 1))
    code, _, err = carbonterm("footprint", file)
    assert code == 1 and named in err and "footprint.yaml:" in err, err


def test_without_the_log_it_needs(file, tmp_path):
    code, _, err = carbonterm("footprint", file)
    assert code == 2 and "--inventory FILE.bundle" in err
    code, _, err = carbonterm("footprint", tmp_path / "none.yaml")
    assert code == 2 and "cannot be read" in err
