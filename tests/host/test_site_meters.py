"""Meters of every protocol in site.yaml: what a good line becomes, and every refusal with its line and the way out."""

import json
import random
import subprocess
import sys

import pytest

from carbonterm import site
from carbonterm.number import Number
from carbonterm_host import site_meter, site_yaml
from carbonterm_host.commands.models import where

GOOD = """\
terminal: CT-1
name: 混合线路
zone: "+08:00"
buses:
  - {name: lan, kind: modbus-tcp, host: 192.168.1.20}
  - {name: mb, kind: modbus-rtu, device: /dev/ttyS1}
  - {name: line, kind: serial, device: /dev/ttyS2, baud: 2400, parity: even}
meters:
  - {name: cg, bus: lan, unit: 1, model: carlo-gavazzi-em340}
  - {name: adw, bus: line, unit: 9, model: acrel-adw300, baud: 9600, parity: none, stop: 2, gap: 2, ct: 200/5,
     pt: 10000/100}
  - {name: old, bus: line, address: "000012345678", model: dlt645-1997, baud: 1200, silence: 100ms}
  - {name: main, bus: line, address: "000012345678", model: dlt645-2007-three-phase, ct: 400/5}
  - {name: water, bus: line, address: "7833aa00000001", model: cjt188-water, type: "11", order: 1F 90, unit_first: true}
  - {name: heat, bus: line, address: "00000000000001", model: cjt188-heat}
points:
  - {name: E1, meter: cg, register: active_energy_import, every: 1min}
  - {name: E2, meter: adw, register: active_energy_import, every: 1min, digits: 6, limit: "1000"}
  - {name: U2, meter: adw, register: voltage_a, every: 1min}
  - {name: I2, meter: adw, register: current_a, every: 1min, decimals: 3}
  - {name: P2, meter: adw, register: active_power, every: 1min, multiplier: "2"}
  - {name: E3, meter: old, register: active_energy_import, every: 15min, decimals: 1}
  - {name: E4, meter: main, register: active_energy_import, every: 15min}
  - {name: D4, meter: main, item: "02800004", every: 15min}
  - {name: T4, meter: main, item: "00010100", every: 15min, digits: 5}
  - {name: X4, meter: main, item: "02900001", every: 15min, layout: XXX.X, unit: "%", quantity: humidity}
  - {name: F4, meter: main, register: frequency, every: 15min}
  - {name: W5, meter: water, register: volume, every: 1h, decimals: 3}
  - {name: H6, meter: heat, register: heat, every: 1h, unit: GJ}
"""


def test_a_good_file_compiles():
    plant = site_yaml.compile_text(GOOD)
    assert plant.format == site.FORMAT and site.decode(plant.canonical()).canonical() == plant.canonical()
    cg, adw, old, main, water, heat = plant.meters
    assert [(m.protocol, m.unit) for m in (cg, adw, old, main, water, heat)] == [
        ("modbus", 1), ("modbus", 9), ("dlt645-1997", "000012345678"), ("dlt645-2007", "000012345678"),
        ("cjt188", "7833AA00000001"), ("cjt188", "00000000000001"),
    ]  # fmt: skip
    assert (adw.baud, adw.parity, adw.stop, adw.gap, adw.ct, adw.pt) == (9600, "none", 2, 2, "200/5", "10000/100")
    assert (cg.baud, cg.gap, old.baud, old.parity, old.silence_ms) == (None, 8, 1200, None, 100)
    assert water.dialect == [0x11, "1F 90", True] and heat.dialect == [0x20, "90 1F", False] and main.dialect is None
    points = {point.name: point for point in plant.points}
    told = {
        name: (p.function, p.address, p.type, p.order, str(p.scale), None if p.modulus is None else str(p.modulus))
        for name, p in points.items()
    }
    assert told == {
        "E1": (4, 0x34, "int32", "CDAB", "0.1", None),
        # 0.01 kWh × 40 × 100, at 10^6 × 4000
        "E2": (3, 62, "int32", "ABCD", str(Number("4e1")), str(Number("4e9"))),
        "U2": (3, 20, "uint16", "ABCD", "10", None),  # 0.1 V × 100
        "I2": (3, 26, "uint16", "ABCD", "0.04", None),  # 0.001 A × 40
        "P2": (3, 36, "int32", "ABCD", str(Number("8e3")), None),
        "E3": (0, "9010", "XXXXXXX.X", "ABCD", "1", str(Number("1e7"))),
        "E4": (0, "00010000", "XXXXXX.XX", "ABCD", str(Number("8e1")), str(Number("8e7"))),
        "D4": (0, "02800004", "sXX.XXXX", "ABCD", str(Number("8e1")), None),
        "T4": (0, "00010100", "XXXXXX.XX", "ABCD", str(Number("8e1")), str(Number("8e6"))),
        "X4": (0, "02900001", "XXX.X", "ABCD", "1", None),
        "F4": (0, "02800002", "XX.XX", "ABCD", "1", None),
        "W5": (0, "current", "bcd", "ABCD", "0.1", str(Number("1e5"))),
        "H6": (0, "current_heat", "bcd", "ABCD", "1", str(Number("1e6"))),
    }
    assert (points["T4"].quantity, points["T4"].kind, points["D4"].kind) == ("active energy", "register", "instant")
    assert (points["H6"].unit, points["X4"].quantity, str(points["U2"].maximum)) == ("GJ", "humidity", "50000")


# what is replaced in GOOD, by what, what the mistake says, in which line
WRONG = (
    ("model: carlo-gavazzi-em340", "model: carlo-gavazi-em340", "did you mean carlo-gavazzi-em340", 9),
    ("model: acrel-adw300", "model: hj212-cems", "hj212, which is no meter on a bus", 10),
    ("bus: line, address: \"000012345678\", model: dlt645-1997",
     "bus: mb, address: \"000012345678\", model: dlt645-1997",
     "'mb' is a modbus-rtu bus", 12),
    ("name: cg, bus: lan", "name: cg, bus: lam", "did you mean 'lan'", 9),
    ("bus: lan, unit: 1", "bus: lan, unit: 1, parity: even", "on a modbus-tcp bus has no 'parity'", 9),
    ("bus: lan, unit: 1", "bus: lan, unit: 1, type: \"10\"", "of protocol modbus has no 'type'", 9),
    ("bus: lan, unit: 1", "bus: lan, address: \"1\"", "a modbus meter needs 'unit'", 9),
    ("bus: lan, unit: 1", "bus: lan, unit: 256", "an integer from 0 to 255", 9),
    ("bus: lan, unit: 1", "bus: lan, unit: 1, ct: 200/5", "already hold the primary side", 9),
    ("unit: 9", "unit: 248", "unit 248 cannot be on a serial line", 10),
    ("baud: 9600", "baud: 96", "an integer from 300 to 4000000", 10),
    ("parity: none", "parity: mark", "'mark' is not one of", 10),
    ("stop: 2", "stop: 3", "an integer from 1 to 2", 10),
    ("gap: 2", "gap: 125", "an integer from 0 to 124", 10),
    ("ct: 200/5", "ct: 200", "'200' is no transformer ratio", 10),
    ("ct: 200/5", "ct: 1000/3", "'1000/3' is no transformer ratio", 10),
    ("ct: 200/5", "ct: 0/5", "is no transformer ratio", 10),
    ("ct: 200/5", "ct: 5/200", "the primary first", 10),
    ("ct: 200/5", "ct: a/b", "is no transformer ratio", 10),
    ("silence: 100ms", "silence: 11s", "a silence of more than 10s", 12),
    ("address: \"000012345678\", model: dlt645-1997", "address: \"12345678\", model: dlt645-1997",
     "12 digits printed on the meter", 12),
    ("address: \"000012345678\", model: dlt645-1997", "unit: 5, model: dlt645-1997",
     "a dlt645-1997 meter has no 'unit'", 12),
    ("baud: 1200, silence", "baud: 1200, gap: 3, silence", "of protocol dlt645-1997 has no 'gap'", 12),
    ("address: \"00000000000001\"", "address: \"000000000001\"", "14 digits printed on the meter", 15),
    ("address: \"00000000000001\", model: cjt188-heat", "address: \"7833AA00000001\", model: cjt188-water",
     "have one address: address 7833AA00000001", 15),
    ("type: \"11\"", "type: \"5A\"", "no CJ/T 188 meter has the type 5AH", 14),
    ("type: \"11\"", "type: water", "'water' is no type", 14),
    ("order: 1F 90", "order: 1F90", "'1F90' is not one of", 14),
    ("unit_first: true", "unit_first: maybe", "'maybe' is not one of", 14),
    ("model: cjt188-heat}", "model: cjt188-heat, ct: 5/1}", "connected without transformers", 15),
    ("meter: cg, register: active_energy_import", "meter: cg, register: active_energy_imprt",
     "did you mean active_energy_import", 17),
    ("meter: cg, register: active_energy_import", "meter: cg", "a point lacks register", 17),
    ("meter: cg, register: active_energy_import", "meter: cg, item: \"00010000\"",
     "a modbus meter has no data identifiers", 17),
    ("meter: cg, register: active_energy_import", "meter: cg, register: active_energy_import, unit: MWh",
     "has no 'unit'", 17),
    ("digits: 6", "digits: 19", "an integer from 1 to 18", 18),
    ("voltage_a, every: 1min", "voltage_a, every: 1min, digits: 3", "only a running total has digits", 19),
    ("decimals: 3}\n  - {name: P2", "decimals: 10}\n  - {name: P2", "an integer from 0 to 9", 20),
    ("multiplier: \"2\"", "multiplier: \"0\"", "must be above 0", 21),
    ("every: 15min, decimals: 1", "every: 15min, decimals: 8", "8 decimals leave no digit of XXXXXX.XX", 22),
    ("item: \"02800004\"", "item: \"9010\"", "no data identifier of dlt645-2007", 24),
    ("item: \"02800004\"", "item: \"01010000\"", "is more than one value", 24),
    ("item: \"02800004\"", "item: \"0400040B\"", "is no number that is known here", 24),
    ("item: \"02800004\"", "item: \"02800004\", register: frequency", "has register and item", 24),
    ("layout: XXX.X, ", "", "item 02900001 is no number that is known here", 26),
    ("layout: XXX.X", "layout: XX.X", "is no number that is known here", 26),
    ("unit: \"%\", quantity: humidity", "unit: furlong, quantity: humidity", "furlong", 26),
    (", quantity: humidity", "", "give its quantity", 26),
    ("quantity: humidity", "quantity: humidty", "did you mean 'humidity'", 26),
    ("quantity: humidity", "quantity: humidity, kind: total", "'total' is not one of", 26),
    ("unit: GJ", "unit: m3", "do not measure the same thing", 29),
)  # fmt: skip


def mistakes(text, folder="."):
    with pytest.raises(site_yaml.Mistakes) as caught:
        site_yaml.compile_text(text, "plant.yaml", folder)
    return [(line, what, hint) for _, line, _, what, hint in caught.value.rows]


@pytest.mark.parametrize(("old", "new", "says", "line"), WRONG)
def test_each_mistake_names_its_line(old, new, says, line):
    assert old in GOOD
    found = mistakes(GOOD.replace(old, new, 1))
    assert any(says in what + " " + hint and at == line for at, what, hint in found), found
    assert all(hint or "integer" in what for _, what, hint in found if says in what), found


@pytest.mark.slow
def test_only_mistakes_leave_the_reader():
    """Seeded: words of a good file put in each other's place, letters changed, lines doubled."""
    chance, refused = random.Random(27), 0
    words = GOOD.replace("{", " ").replace("}", " ").replace(",", " ").split()
    for _ in range(250):
        text = GOOD
        for _ in range(chance.randint(1, 3)):
            kind = chance.randrange(3)
            if kind == 0:
                text = text.replace(chance.choice(words), chance.choice(words), chance.choice((1, -1)))
            elif kind == 1:
                at = chance.randrange(len(text))
                text = text[:at] + chance.choice("abz019:,-{}[]\"' \n#&*!.") + text[at + 1 :]
            else:
                lines = text.splitlines(keepends=True)
                lines.insert(chance.randrange(len(lines)), chance.choice(lines))
                text = "".join(lines)
        try:
            site_yaml.compile_text(text)
        except site_yaml.Mistakes as mistaken:
            refused += 1
            assert all(what and line >= 1 for _, line, _, what, _ in mistaken.rows)
    assert refused > 100


def test_points_that_nobody_confirmed_are_warned_of():
    plant = site_yaml.compile_text(GOOD.replace("register: frequency", "register: active_energy_import_a"))
    [warning] = site_meter.warnings(plant)
    assert "'F4'" in warning and "not confirmed (memory)" in warning and "display" in warning
    assert site_meter.warnings(site_yaml.compile_text(GOOD)) == []


def test_a_float_has_its_decimals_itself():
    text = GOOD.replace("model: carlo-gavazzi-em340", "model: eastron-sdm630").replace(
        "active_energy_import, every: 1min}", "active_energy_import, every: 1min, decimals: 2}", 1
    )
    assert any("a float says its decimals itself" in what and at == 17 for at, what, _ in mistakes(text))


MINE = {
    "id": "mine", "maker": "m", "model": "m", "protocol": "modbus", "medium": "water", "ratios": "direct",
    "serial": {"baud": 9600, "parity": "none", "stop": 1}, "max_registers": 20,
    "source": {"document": "its label", "via": "its label", "confidence": "vendor document"}, "notes": "mine",
    "registers": [
        {"name": "volume", "title_zh": "体积", "quantity": "volume", "unit": "m3", "function": 3, "address": 0,
         "type": "uint32", "order": "ABCD", "scale": "0.01", "modulus": None, "kind": "register", "min": None,
         "max": None, "source": "page 3"},
        {"name": "flow", "title_zh": "流量", "quantity": "volume flow", "unit": "m3/h", "function": 3, "address": 2,
         "type": "float32", "order": "ABCD", "scale": "1", "modulus": None, "kind": "instant", "min": None,
         "max": None, "source": "page 3"},
    ],
}  # fmt: skip
SITE = """\
terminal: CT-1
name: x
zone: Z
buses: [{name: b, kind: modbus-tcp, host: h}]
meters:
  - {name: m, bus: b, unit: 1, model: mine.json}
points:
  - {name: V, meter: m, register: volume, every: 1min}
"""


def test_a_model_of_ones_own_beside_the_site(tmp_path):
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(MINE, indent=1), encoding="utf-8")
    plant = site_yaml.compile_text(SITE, "plant.yaml", tmp_path)
    assert (plant.meters[0].model, plant.meters[0].most, plant.points[0].address) == ("mine", 20, 0)
    broken = json.loads(json.dumps(MINE))
    broken["registers"][1].update(address=1)
    file.write_text(json.dumps(broken, indent=1), encoding="utf-8")
    row = next(i for i, text in enumerate(file.read_text().splitlines(), 1) if '"flow"' in text)
    [(line, what, hint)] = mistakes(SITE, tmp_path)
    assert (line, what) == (6, f"mine.json:{row}: register 'flow': overlaps 'volume'") and "docs/models.md" in hint
    broken["registers"][1].update(address=65535, unit="gallon")
    file.write_text(json.dumps(broken), encoding="utf-8")
    assert "unit must be a unit" in mistakes(SITE, tmp_path)[0][1]
    file.write_text("{", encoding="utf-8")
    assert "mine.json is no JSON" in mistakes(SITE, tmp_path)[0][1]
    file.unlink()
    found = mistakes(SITE, tmp_path)
    assert "mine.json cannot be read" in found[0][1] and "models list" in found[0][2]


def command(*arguments):
    line = [sys.executable, "-m", "carbonterm_host", "models", *arguments]
    done = subprocess.run(line, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
def test_the_command_lists_and_shows(tmp_path):
    code, out, _ = command("list", "--json", "--protocol", "cjt188")
    assert code == 0 and [json.loads(line)["id"] for line in out.splitlines()] == [
        "cjt188-gas", "cjt188-heat", "cjt188-heat-unit-first", "cjt188-water",
    ]  # fmt: skip
    code, out, _ = command("list", "--medium", "flue gas")
    assert code == 0 and "teledyne-t300" in out and "hj212-cems" in out and "eastron" not in out
    code, out, _ = command("show", "dlt645-2007-three-phase", "--json")
    model = json.loads(out)
    assert code == 0 and model["registers"][0]["source"]
    assert where(model, model["registers"][0]) == "00010000 XXXXXX.XX"
    code, out, _ = command("show", "chint-ddsu666", "--lang", "zh")
    assert code == 0 and "出处" in out and "有功电能" in out and "开源项目" in out
    code, _, err = command("show", "chint-ddsu66")
    assert code == 1 and "did you mean chint-ddsu666" in err
    (tmp_path / "mine.json").write_text(json.dumps(MINE), encoding="utf-8")
    assert command("show", str(tmp_path / "mine.json"))[0] == 0
    (tmp_path / "mine.json").write_text(json.dumps(MINE | {"medium": "air"}), encoding="utf-8")
    code, _, err = command("show", str(tmp_path / "mine.json"))
    assert code == 1 and "medium must be one of" in err
    code, _, err = command("show", str(tmp_path / "none.json"))
    assert code == 2 and "cannot be read" in err
