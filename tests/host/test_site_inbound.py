"""Entrances in site.yaml: what is compiled, and every refusal with its line and the way out."""

import json
import re

import pytest

from carbonterm import site
from carbonterm.field import plan
from carbonterm_host import site_yaml
from shell import carbonterm

TOKEN = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
GOOD = f"""\
terminal: CT-IN-1
name: 入站
zone: "+08:00"
buses:
  - {{name: lan, kind: modbus-tcp, host: 127.0.0.1, port: 1502}}
  - {{name: broker, kind: mqtt, host: 127.0.0.1, ca: ca.der, login: broker.login, keep_alive: 30s, state: ct/1/state}}
  - {{name: inbox, kind: https, host: 0.0.0.0, certificate: inbox.crt, key: inbox.key, timeout: 5s}}
  - {{name: stacks, kind: hj212, host: 0.0.0.0, stations: stations.txt, version: "2025"}}
meters:
  - {{name: asked, bus: lan, unit: 1, model: eastron-sdm630}}
  - {{name: hall, bus: broker, topic: plant/hall, time: /ts, serial: H-1}}
  - {{name: mes, bus: inbox, source: mes-1, token: {TOKEN}}}
  - {{name: cems, bus: stacks, mn: "010000A8900016F000169DC0", model: hj212-cems}}
points:
  - {{name: A, meter: asked, register: active_energy, every: 10s}}
  - {{name: E, meter: hall, pointer: /energy, unit: kWh, kind: register, digits: 6, multiplier: "0.1", every: 10s}}
  - {{name: T, meter: hall, pointer: "", unit: °C, every: 10s, min: "-40", max: "60"}}
  - {{name: W, meter: mes, key: clinker, unit: t, quantity: mass, kind: register, every: 1h}}
  - {{name: CO2, meter: cems, register: co2, every: 60s}}
  - {{name: O2, meter: cems, register: o2, every: 60s}}
  - {{name: AVG, meter: cems, item: a05001-Avg, window: hour, every: 1h}}
  - {{name: COU, meter: cems, item: a00000-Cou, quantity: gas volume, every: 10min}}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "ca.der").write_bytes(b"\x30\x03\x01\x01\x00")
    return tmp_path


def test_what_is_compiled(folder):
    made = site_yaml.compile_text(GOOD, folder=folder)
    assert site.decode(made.canonical()).canonical() == made.canonical()
    assert [(bus.address, bus.port, bus.inbound) for bus in made.buses] == [
        ("127.0.0.1", 1502, None),
        ("127.0.0.1", 8883, ["carbonterm-broker", "broker.login", b"\x30\x03\x01\x01\x00", 30, "ct/1/state"]),
        ("0.0.0.0", 8443, ["inbox.crt", "inbox.key"]), ("0.0.0.0", 9212, ["stations.txt", "2025"]),
    ]  # fmt: skip
    assert [(m.unit, m.protocol, m.dialect) for m in made.meters[1:]] == [
        ("plant/hall", "mqtt", [1, "/ts"]), ("mes-1", "https", bytes.fromhex(TOKEN)),
        ("010000A8900016F000169DC0", "hj212", None),
    ]  # fmt: skip
    assert [(p.address, p.unit, p.quantity, p.kind) for p in made.points[1:]] == [
        ("/energy", "kWh", "active energy", "register"), ("", "°C", "temperature", "instant"),
        ("clinker", "t", "mass", "register"), ("2011/a05001-Rtd", "mg/m3", "concentration", "instant"),
        ("2011/a19001-Rtd", "%", "concentration", "instant"), ("2061/a05001-Avg", "mg/m3", "concentration", "instant"),
        ("2051/a00000-Cou", "m3", "gas volume", "instant"),
    ]  # fmt: skip
    energy, oxygen = made.points[1], made.points[5]
    assert (str(energy.scale), energy.modulus) == ("0.1", 100000) and (oxygen.minimum, oxygen.maximum) == (0, 25)
    assert [plan.Budget(made, bus).requests for bus in range(4)] == [1, 0, 0, 0]
    assert TOKEN not in GOOD.replace(TOKEN, "") and b"a secret" not in made.canonical()


REFUSALS = [
    ("login: broker.login", "login: ../broker", 6, "no name of a file in the data folder; begin with a letter"),
    ("certificate: inbox.crt", "certificate: 00000.key", 7, "no name of a file in the data folder"),
    ("stations: stations.txt, ", "", 8, "lacks stations"),
    ('version: "2025"', 'version: "2005"', 8, "'2005' is not one of 2017, 2025"),
    ("keep_alive: 30s", "keep_alive: 1s", 6, "keep_alive is 5s to 1h"),
    ("ca: ca.der", "ca: none.der", 6, "the CA certificate cannot be read"),
    ("state: ct/1/state", "state: ct/#", 6, "is no topic"),
    ("timeout: 5s", "timeout: 5min", 7, "a timeout is 10ms to 60s"),
    ("timeout: 5s", "baud: 9600", 7, "a bus of kind https knows no key 'baud'"),
    ("topic: plant/hall", "topic: plant+", 11, "is no topic and no filter"),
    ("topic: plant/hall", "topic: plant/+", 17, "this point does not say which it is"),
    ("topic: plant/hall", "unit: 1", 11, "knows no key 'unit'"),
    ("time: /ts", "time: ts", 11, "is no JSON pointer"),
    ("time: /ts", "qos: 2", 11, "an integer from 0 to 1"),
    (f"token: {TOKEN}", "token: secret", 12, "never write the token itself here; printf"),
    (f", token: {TOKEN}", "", 12, "lacks token"),
    ('mn: "010000A8900016F000169DC0"', 'mn: "MN 1"', 13, "is no MN"),
    ("model: hj212-cems", "model: eastron-sdm630", 13, "is modbus, not hj212; known: hj212-cems"),
    ("pointer: /energy", "pointer: energy", 16, "is no JSON pointer"),
    ("pointer: /energy, ", "", 16, "a point lacks pointer"),
    ("pointer: /energy", "register: energy", 16, "knows no key 'register'"),
    ("unit: °C", "unit: parsec", 17, "unknown"),
    ("unit: °C, ", "", 17, "a point lacks unit"),
    ("quantity: mass, ", "", 18, "cannot be told: a point lacks quantity"),
    ("quantity: mass", "quantity: weight", 18, "is not one of"),
    ('"", unit: °C', '"", digits: 6, unit: °C', 17, "only a running total has digits"),
    ('multiplier: "0.1"', 'multiplier: "0"', 16, "a multiplier must be above 0"),
    ("register: co2", "register: co3", 19, "has no register"),
    ("register: co2", "register: co2, unit: kg", 19, "a point with a register has no 'unit'"),
    ("register: co2, ", "", 19, "a point lacks register or item"),
    ("window: hour", "window: realtime", 21, "2011 has -Rtd"),
    ("window: hour", "window: week", 21, "is not one of realtime"),
    ("item: a05001-Avg", "item: a05001-Flag", 21, "is no place in an HJ 212 packet"),
    ("key: clinker", "key: clinker, every: 1s", 18, "'every' twice"),
    ("every: 1h}\n  - {name: CO2", "every: 2d}\n  - {name: CO2", 18, "no duration"),
    ("name: mes, bus: inbox", "name: mes, bus: nowhere", 12, "there is no bus 'nowhere'"),
    ("unit: 1, model: eastron-sdm630", "unit: 1, model: hj212-cems", 10, "no meter on a bus"),
]


@pytest.mark.parametrize("old,new,line,what", REFUSALS)
def test_refusals_name_the_line_and_the_way_out(folder, old, new, line, what):
    assert GOOD.count(old) >= 1
    with pytest.raises(site_yaml.Mistakes) as caught:
        site_yaml.compile_text(GOOD.replace(old, new, 1), folder=folder)
    shown = [f"{row[3]}; {row[4]}" for row in caught.value.rows if row[1] == line]
    assert any(what in text for text in shown), caught.value


@pytest.mark.requirement("T-12.2-4")
@pytest.mark.parametrize("without, missing", [
    (("COU",), "gas flow (a00000)"), (("CO2", "AVG"), "CO2 concentration (a05001)"),
    (("CO2", "AVG", "COU", "O2"), "CO2 concentration (a05001) or gas flow (a00000)"),
])  # fmt: skip
def test_a_stack_whose_carbon_is_not_monitored_is_refused(folder, without, missing):
    lines = [line for line in GOOD.split("\n") if not any(f"{{name: {name}," in line for name in without)]
    with pytest.raises(site_yaml.Mistakes) as caught:
        site_yaml.compile_text("\n".join(lines), folder=folder)
    ((_, line, _, what, way),) = caught.value.rows
    assert (line, what) == (13, f"CEMS 'cems' must monitor CO2, and has no point of {missing}") and "add a point" in way


def test_one_sender_twice(folder):
    text = GOOD.replace("points:\n", "  - {name: again, bus: broker, topic: plant/hall}\npoints:\n")
    with pytest.raises(site_yaml.Mistakes, match=re.escape("make them one meter with the points of both")):
        site_yaml.compile_text(text, folder=folder)


def test_the_commands_know_entrances(folder):
    (folder / "site.yaml").write_text(GOOD)
    for words in (["site", "check"], ["site", "plan"]):
        code, out, err = carbonterm(*words, folder / "site.yaml", "--json")
        assert code == 0, out + err


def test_a_value_that_is_sent_is_explained(folder):
    (folder / "site.yaml").write_text(GOOD)
    code, out, err = carbonterm("explain", "CO2", folder / "site.yaml", "--json")
    told = json.loads(out)
    assert code == 0 and told["asked"] is None and told["place"] == "2011/a05001-Rtd", err
    assert (told["register"]["name"], told["meter"]["protocol"]) == ("co2", "hj212")
    code, out, err = carbonterm("explain", "E", folder / "site.yaml")
    assert code == 0 and "/energy" in out, err
