"""The page's forms in this process (11.3): of every protocol each parameter is an input, takes another value that is
right, and refuses what is not; the simulated clicks of a browser are in tests/firmware/test_page*.py."""

import pytest

from carbonterm import site as sites
from carbonterm.errors import CarbonError
from carbonterm.field import places
from carbonterm.site_rows import plain
from carbonterm_device.page import editing, fields
from carbonterm_device.page.draft import Draft, order
from carbonterm_host import site_yaml

SITE = f"""\
terminal: CT-FORM-1
name: 接入配置
zone: "+08:00"
buses:
  - {{name: tcp, kind: modbus-tcp, host: 10.0.0.1, port: 502}}
  - {{name: rtu, kind: modbus-rtu, device: /dev/ttyS1, baud: 9600, parity: none}}
  - {{name: line, kind: serial, device: /dev/ttyS2, baud: 2400, parity: even}}
  - {{name: io, kind: analog, folder: /sys/bus/iio/devices/}}
  - {{name: broker, kind: mqtt, host: 10.0.0.2, login: broker.login}}
  - {{name: inbox, kind: https, host: 0.0.0.0, certificate: inbox.crt, key: inbox.key, timeout: 5s}}
  - {{name: stacks, kind: hj212, host: 0.0.0.0, port: 5018, stations: stations.txt, version: "2025"}}
meters:
  - {{name: T1, bus: tcp, unit: 1, model: eastron-sdm630, serial: "77"}}
  - {{name: R1, bus: rtu, unit: 1, model: generic-gas-modbus}}
  - {{name: D07, bus: line, address: "000000000001", model: dlt645-2007-three-phase}}
  - {{name: D97, bus: line, address: "000000000002", model: dlt645-1997}}
  - {{name: C188, bus: line, address: "00000000000003", model: cjt188-heat, baud: 2400}}
  - {{name: FT, bus: io, channel: in0, model: transmitter-4-20ma, full: 4095, span: "20.475"}}
  - {{name: W, bus: io, channel: count0, model: pulse-s0}}
  - {{name: hall, bus: broker, topic: plant/hall, time: /ts}}
  - {{name: mes, bus: inbox, source: mes-1, token: {"ab" * 32}}}
  - {{name: cems, bus: stacks, mn: "010000A8900016F000169DC0", model: hj212-cems}}
points:
  - {{name: PT1, meter: T1, register: active_energy_import, every: 60s}}
  - {{name: PR1, meter: R1, register: volume, every: 60s}}
  - {{name: PD07, meter: D07, register: active_energy_import, every: 60s}}
  - {{name: PD97, meter: D97, register: active_energy_import, every: 60s}}
  - {{name: PC188, meter: C188, register: heat, every: 60s}}
  - {{name: PFT, meter: FT, register: span, low: "0", high: "500", unit: Nm3/h, quantity: gas flow, every: 60s}}
  - {{name: PW, meter: W, register: pulses, pulse: "0.001", unit: kWh, quantity: active energy, every: 60s}}
  - {{name: Phall, meter: hall, pointer: /t, unit: °C, every: 60s}}
  - {{name: Pmes, meter: mes, key: E1, unit: kWh, kind: register, every: 60s}}
  - {{name: Pcems, meter: cems, register: co2, every: 60s}}
  - {{name: Pflow, meter: cems, register: flow, every: 60s}}
settings: {{closings: [hour]}}
"""
WRONG = ("x1 ?", "x" * 300, "-1", "", "a/#")  # one of them is wrong for every input
OTHERS = (
    "3", "7", "5", "0", "2400", "19200", "12.5", "0.25", "/dev/ttyS9", "other", "uint16", "BADC", "cd" * 32, "MWh",
    "10/5", "88.118.1/x", "000000000009", "00000000000009", "00020000", "9010", "settle_heat", "2051/a05001-Avg",
    "1F 90",
)  # fmt: skip
# inputs that stand or fall together
TOGETHER = {
    "identity": ("3", "100", "2", "uint32", "ABCD"),
    "certificate": ("JL-1", "省计量院", "2026-03-01", "2027-03-01", "合格", "0.2", "%", "2", "国家基准", "ab" * 32),
}
KINDS = {"buses": ("kind",), "meters": ("bus", "protocol"), "points": ("meter",)}  # of them a row is, or it is another
BY_PROTOCOL = ("function", "type", "order")  # of a point: a Modbus meter's; with others the key says all


def words_of(draft, part, row):
    """{input: text} of a form as a browser would send it."""
    return {one[0]: fields.shown(row, one) for one in editing.inputs(draft, part, row)}


def saved(site, part, at, changed):
    """(what is wrong, Draft) after a form of a row was sent with `changed` inputs."""
    draft = Draft(site)
    row = draft.parts[part][at]
    return editing.save(draft, part, at, {**words_of(draft, part, row), **changed}, row), draft


def candidates(one, text):
    """Texts that may be another right value of an input."""
    if one[3].choices is not None:
        return [value for value in one[3].choices if value != text]
    return ([str(int(text) + 1)] if text.isdigit() else []) + [other for other in OTHERS if other != text]


def wanted(part, row, protocol):
    """The inputs of a row that are parameters of its protocol, or the row's own; a tuple: together."""
    found = []
    for one in editing.inputs(Draft(SITE_OF), part, row):
        group = one[0].partition(".")[0]
        if one[0] in KINDS[part] or (part == "points" and protocol != places.MODBUS and one[0] in BY_PROTOCOL):
            continue
        if group == "identity" and protocol != places.MODBUS:
            continue
        if group not in TOGETHER:
            found.append(one)
        elif one[0].endswith(".0"):
            found.append(group)
    return found


SITE_OF = site_yaml.compile_text(SITE)


@pytest.mark.slow
@pytest.mark.requirement("T-11.3-14")
@pytest.mark.parametrize("part", ("buses", "meters", "points"))
def test_every_parameter_of_every_protocol_is_edited_and_wrong_values_are_refused(part):
    covered, before = set(), SITE_OF.canonical()
    assert {field for field in order(part)} <= {row[0] for row in fields.FIELDS[part]}
    for at, row in enumerate(Draft(SITE_OF).parts[part]):
        meters = {meter.name: meter.protocol for meter in SITE_OF.meters}
        protocol = {"buses": row.get("kind"), "meters": row.get("protocol")}.get(part) or meters[row["meter"]]
        covered.add(protocol)
        for one in wanted(part, row, protocol):
            if isinstance(one, str):
                changed = [{f"{one}.{place}": text for place, text in enumerate(TOGETHER[one])}]
                name, field = f"{one}.0", one
            else:
                text = fields.shown(row, one)
                changed = [{one[0]: other} for other in candidates(one, text)]
                name, field = one[0], one[4]
            tried = (saved(SITE_OF, part, at, words) for words in changed)
            made = next((draft for wrong, draft in tried if not wrong), None)
            assert made is not None, (row["name"], name)
            after = made.site(SITE_OF.version + 1)
            assert plain(getattr(getattr(after, part)[at], field)) != plain(row[field]), (row["name"], name)
            wrong, draft = next((one for one in (saved(SITE_OF, part, at, {name: text}) for text in WRONG) if one[0]),
                                ({}, None))  # fmt: skip
            assert wrong and not draft.changed, (row["name"], name)
            assert draft.site(SITE_OF.version).canonical() == before
    assert covered >= set(sites.BUS_KINDS if part == "buses" else places.PROTOCOLS + places.CHANNELS + places.SENDERS)


AMOUNTS = """\
terminal: CT-FORM-2
name: 单位
zone: "+08:00"
buses: [{name: tcp, kind: modbus-tcp, host: 10.0.0.1, port: 502}]
meters: [{name: T1, bus: tcp, unit: 1, model: eastron-sdm630}]
points: [{name: "A × B", meter: T1, register: active_energy_import, every: 60s}]
virtual: [{name: shop, apportion: "A × B", share: "0.6"}, {name: rest, apportion: "A × B", share: "0.4"}]
sources:
  - name: electricity
    method: cn-2015-other-industry
    source: purchased_electricity
    parameters: {AD: [shop], EF: {value: "0.5703", unit: tCO2/MWh, source: "2022"}}
settings: {closings: [hour]}
"""


def test_another_unit_of_a_point_converts_where_it_is_taken():
    """A meter's unit is put right, or a virtual point is given in another one: who takes them converts from it."""
    draft = Draft(site_yaml.compile_text(AMOUNTS))

    def change(part, **words):
        row = draft.parts[part][0]
        return editing.save(draft, part, 0, {**words_of(draft, part, row), **words}, row)

    def ratios():
        site = draft.site(9)
        parts = [row.parts[0] for row in site.virtual] + [site.sources[0].inputs[0].points[0]]
        return [f"{above}/{below}" for _, above, below in parts]

    assert ratios() == ["3/5", "2/5", "1/1000"]
    assert change("points", unit="MWh") == {} and ratios() == ["600/1", "400/1", "1/1000"]
    assert change("virtual", unit="MWh") == {} and ratios() == ["3/5", "400/1", "1/1"]
    assert change("virtual", unit="kWh", name="workshop") == {} and ratios() == ["600/1", "400/1", "1/1000"]
    assert change("virtual", unit="MWh", parts="A × B × 1/2") == {} and ratios() == ["1/2", "400/1", "1/1"]
    before = draft.site(9).canonical()
    assert "do not measure the same" in change("points", unit="Nm3")[""]
    assert draft.site(9).canonical() == before


def test_names_and_bytes_are_what_was_typed():
    kind = fields.parts_of(["A", "A × B", "A * B"])
    for value in ([["A", 1, 2]], [["A × B", 1, 1], ["A * B", 3, 1]], [["A × B", -1, 7]]):
        assert kind.read(kind.show(value)) == value
    assert kind.read("A * 1/2") == kind.read("A × 1/2")
    assert fields.OCTETS.read("ab C\n0") == b"\xab\xc0" and fields.OCTETS.read(" ") is None
    for text in ("abc", "+a", "0x", "a_", "-1"):
        with pytest.raises(CarbonError):
            fields.OCTETS.read(text)
