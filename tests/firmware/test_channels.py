"""The firmware reads its own inputs: 4–20 mA and pulses, simulated by files as Linux shows converters and counters."""

import json
import sys

import pytest

import entrance
from carbonterm_host import cli, site_yaml
from carbonterm_host.firmware import Terminal

SITE = """
terminal: CT-1
name: plant
zone: "+08:00"
factors_on: 2026-01-01
buses:
  - {name: io, kind: analog, folder: FOLDER}
meters:
  - {name: FT101, bus: io, channel: "iio:device0/in_voltage0_raw", model: transmitter-4-20ma, full: 4096, span: "20.48"}
  - {name: gas, bus: io, channel: count0, model: pulse-s0}
METERS
points:
  - {name: F1, meter: FT101, register: span, low: "0", high: "500", unit: Nm3/h, quantity: gas flow, every: 100ms}
  - {name: G1, meter: gas, register: pulses, pulse: "0.01", unit: 10^4Nm3, quantity: gas volume, every: 100ms}
POINTS
sources:
  - name: gas
    method: cn-2015-other-industry
    source: fuel_combustion
    parameters: {FC: [G1], fuel: natural_gas}
settings: {closings: [minute, hour, day], commit: 50ms}
"""


class Inputs:
    """Channels as files; `show` puts a number into one, as a driver does: whole."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "iio:device0").mkdir(parents=True)

    def show(self, channel, text):
        beside = self.folder / "beside"
        beside.write_text(f"{text}\n")
        beside.replace(self.folder / channel)


def document(folder, more=0):
    kind = "model: transmitter-4-20ma"
    meters = [f'  - {{name: X{i}, bus: io, channel: "iio:device0/x{i}", {kind}}}' for i in range(more)]
    points = [f"  - {{name: P{i}, meter: X{i}, register: span, every: 100ms}}" for i in range(more)]
    text = SITE.replace("FOLDER", str(folder)).replace("METERS", "\n".join(meters)).replace("POINTS", "\n".join(points))
    return site_yaml.compile_text(text)


@pytest.mark.slow
@pytest.mark.parametrize("binary", [None, sys.executable])
@pytest.mark.requirement("T-7.1-4", "T-11.3-7")  # inputs simulated by files, as the criteria allow
def test_inputs_are_read_settled_and_accounted(tmp_path, binary):
    inputs, steps = Inputs(tmp_path / "iio"), ("800", "4000", "700", "4300")
    for i in range(48):
        inputs.show(f"iio:device0/x{i}", "12")
    inputs.show("iio:device0/in_voltage0_raw", "2400")
    inputs.show("count0", "65000")
    made = Terminal(tmp_path / "terminal", document(inputs.folder, 48).canonical(), binary=binary)
    made.start()
    try:
        for raw in steps:
            rounds = made.wait(lambda s: s.get("buses") and s["buses"][0]["rounds"] >= 2)["buses"][0]["rounds"]
            inputs.show("iio:device0/in_voltage0_raw", raw)
            inputs.show("count0", str(65000 + rounds))
            made.wait(lambda s, n=rounds: s["buses"][0]["rounds"] >= n + 5)
        status = made.wait(lambda s: s["buses"][0]["requests"] >= 1000)
    finally:
        assert made.stop() == 0
    bus = status["buses"][0]
    assert bus["timeouts"] == bus["errors"] == bus["exceptions"] == 0 and bus["replies"] == bus["requests"]
    rows = entrance.rows(made, tmp_path / "log.bundle")
    flow = {(row[2], row[3]) for row in rows if row[0] == 0}
    assert flow == {(0, "250.000000"), (0, "0.000000"), (0, "500.000000"), (3, None)}
    pulses = [row[3] for row in rows if row[0] == 1]
    assert pulses[0] == "650.00" and pulses == sorted(pulses) and pulses[-1] > pulses[0]
    assert {(row[2], row[3]) for row in rows if row[0] > 1} == {(0, "50.000000")}
    print(f"simulated by files: {bus['requests']} polls, {len(rows)} readings, no error")


@pytest.mark.slow
def test_a_channel_that_is_gone_is_silent_and_garbage_is_no_value(tmp_path):
    inputs = Inputs(tmp_path / "iio")
    inputs.show("count0", "7")
    made = Terminal(tmp_path / "terminal", document(inputs.folder).canonical())
    made.start()
    try:
        made.wait(lambda s: s.get("buses") and s["buses"][0]["silent"])
        inputs.show("iio:device0/in_voltage0_raw", "2400")
        made.wait(lambda s: not s["buses"][0]["silent"])
        inputs.show("count0", "seven")
        rounds = made.status()["buses"][0]["rounds"]
        made.wait(lambda s: s["buses"][0]["rounds"] >= rounds + 4)
    finally:
        assert made.stop() == 0
    rows = entrance.rows(made, tmp_path / "log.bundle")
    flow, pulses = ([row[2:4] for row in rows if row[0] == point] for point in (0, 1))
    assert flow[0] == (4, None) and flow[-1] == (0, "250.000000")
    assert pulses[0] == (0, "0.07") and pulses[-1] == (3, None)


def test_a_point_is_explained(tmp_path, capsys, monkeypatch):
    inputs = Inputs(tmp_path / "iio")
    inputs.show("iio:device0/in_voltage0_raw", "2400")
    path = tmp_path / "site.yaml"
    path.write_text(SITE.replace("FOLDER", str(inputs.folder)).replace("METERS", "").replace("POINTS", ""))
    monkeypatch.setenv("CARBONTERM_LANG", "en")
    with pytest.raises(SystemExit) as end:
        cli.main(["explain", "F1", str(path), "--live", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert end.value.code == 0
    steps = {row["step"]: row for row in found["answer"]["steps"]}
    assert steps["bytes"]["hex"] == b"2400\n".hex().upper() and float(steps["value"]["value"]) == 250
    for asked in (["probe", str(path)], ["scan", str(path), "--bus", "io"]):
        with pytest.raises(SystemExit) as end:
            cli.main(asked)
        assert end.value.code != 0 and "Traceback" not in capsys.readouterr().err
