"""Analogue and pulse inputs in site.yaml: what compiles, and every mistake with its line and the way out."""

import pytest

from carbonterm_host import site_yaml

HEAD = """\
terminal: T1
name: plant
zone: "+08:00"
buses:
  - {name: io, kind: analog, folder: /sys/bus/iio/devices/}
  - {name: lan, kind: modbus-tcp, host: 127.0.0.1}
meters:
  - {name: FT, bus: io, channel: in0, model: transmitter-4-20ma, full: 4095, span: "20.475", serial: S1}
  - {name: W, bus: io, channel: count0, model: pulse-s0}
"""
POINTS = """\
points:
  - {name: F, meter: FT, register: span, low: "0", high: "500", unit: Nm3/h, quantity: gas flow, every: 1s}
  - {name: P, meter: FT, register: span, every: 1s}
  - {name: W, meter: W, register: pulses, pulse: "0.01", unit: m3, quantity: volume, every: 1min}
"""


def test_inputs_compile():
    found = site_yaml.compile_text(HEAD + POINTS)
    assert found.buses[0].address == "/sys/bus/iio/devices" and found.meters[0].serial == "S1"
    assert [(m.protocol, m.unit, m.dialect) for m in found.meters] == [
        ("analog", "in0", [4095, [20475, -3]]), ("pulse", "count0", None),
    ]  # fmt: skip
    flow, percent, volume = found.points
    assert (flow.address, flow.type, flow.unit, flow.kind) == ([[0, 0], [500, 0]], "4-20mA", "Nm3/h", "instant")
    assert (flow.minimum, str(percent.maximum), percent.unit) == (None, "103.125", "%")
    assert (volume.address, str(volume.scale), str(volume.modulus)) == (32, "0.01", "42949672.96")
    assert site_yaml.compile_text(HEAD + POINTS).canonical() == found.canonical()


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (", folder: /sys/bus/iio/devices/", "", "needs 'folder'"),
        ("/sys/bus", "sys/bus", "does not begin with /"),
        ("kind: analog,", "kind: analog, baud: 9600,", "a bus of kind analog has no 'baud'"),
        ("host: 127.0.0.1}", "host: 127.0.0.1, folder: /x}", "a modbus-tcp bus has no 'folder'"),
        ("channel: in0, ", "", "needs 'channel'"),
        ("channel: in0,", "channel: ../in0,", "is no channel"),
        (', span: "20.475"', "", "full and span belong together"),
        ('"20.475"', '"0"', "a span must be above 0"),
        ("full: 4095", "full: 0", "0"),
        ("channel: in0,", "channel: in0, unit: 1,", "a meter of protocol analog has no 'unit'"),
        ("model: pulse-s0", "model: pulse-s0, full: 7, span: 1", "a meter of protocol pulse has no 'full'"),
        ("FT, bus: io", "FT, bus: lan", "make a bus of kind analog"),
        ("model: pulse-s0", "model: eastron-sdm630", "has inputs only"),
        (', high: "500"', "", "low and high belong together"),
        ('high: "500"', 'high: "0"', "low and high are the same"),
        ("unit: Nm3/h, ", "", "needs its unit"),
        ("unit: Nm3/h", "unit: bushels", "bushels"),
        ("quantity: gas flow", "quantity: gas", "unknown quantity 'gas'"),
        ('pulse: "0.01"', 'pulse: "0"', "a pulse stands for more than 0"),
        ('pulse: "0.01"', 'low: "1"', "a point of a pulse input has no 'low'"),
        ("register: pulses", "register: pulse", "has no register 'pulse'"),
        ("quantity: volume", "quantity: volume, digits: 5", "has no 'digits'"),
    ],
)  # fmt: skip
def test_mistakes(old, new, what):
    text = HEAD + POINTS
    assert old in text
    with pytest.raises(site_yaml.Mistakes) as caught:
        site_yaml.compile_text(text.replace(old, new, 1))
    print(caught.value)
    assert what in str(caught.value)


def test_a_channels_keys_are_no_other_meters():
    text = HEAD + '  - {name: M, bus: lan, unit: 1, model: eastron-sdm630, channel: x}\n' + POINTS
    text += "  - {name: E, meter: M, register: active_energy_import, every: 1min, low: 1}\n"
    with pytest.raises(site_yaml.Mistakes) as caught:
        site_yaml.compile_text(text)
    assert "a modbus meter has no 'channel'" in str(caught.value)
    assert "a point of a modbus meter has no 'low'" in str(caught.value)
