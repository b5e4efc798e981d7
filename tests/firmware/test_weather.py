"""The real firmware in heat and damp (10.5): sensors that are made up lie in the place of the system's own, in a mount
namespace; needs root."""

import json
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from carbonterm.ledger import entry as entries
from carbonterm_host import bundles, site_yaml
from carbonterm_host.commands import pull
from carbonterm_host.commands.replay import replay
from carbonterm_host.firmware import Terminal
from shell import carbonterm

SITE = """\
terminal: CT-HOT-1
name: 高温
zone: "+00:00"
buses: [{name: lan, kind: modbus-tcp, host: 127.0.0.1, port: 1}]
meters: [{name: m, bus: lan, unit: 1, model: generic-gas-modbus}]
points: [{name: F, meter: m, register: flow, every: 10s}]
settings: {closings: [day], commit: 50ms}
"""
UNDER = 'mount --bind "$0" /sys/class && exec "$@"'
SECONDS = 180


def sensor(folder, temperature, humidity):
    for name, chip, inner, value in (("hwmon0", "lm75", "temp1_input", temperature),
                                     ("hwmon1", "sht3x", "humidity1_input", humidity)):  # fmt: skip
        place = folder / "hwmon" / name
        place.mkdir(parents=True, exist_ok=True)
        (place / "name").write_text(chip + "\n")
        (place / "new").write_text(f"{value}\n")
        (place / "new").replace(place / inner)


def codes(status):
    return {row["code"]: row for row in status.get("faults", ())}


@pytest.mark.slow
@pytest.mark.requirement("T-10.5-1", "T-10.5-2")
def test_the_log_knows_the_weather_and_heat_is_an_alarm(tmp_path):
    places = tmp_path / "class"
    sensor(places, 21500, 61200)
    words = ["unshare", "-m", "sh", "-c", UNDER, places]
    done = subprocess.run([*words, "true"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"nothing can be mounted over /sys/class here: {done.stderr.strip()}")
    now = datetime.now(UTC)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    before = int((midnight - now).total_seconds() * 1000) - 4000
    terminal = Terminal(tmp_path / "t", site_yaml.compile_text(SITE).canonical(), offset_ms=before, maintenance=True)
    terminal.command = [*map(str, words), *terminal.command]
    terminal.start()
    try:
        terminal.wait(lambda status: status["time_ms"] > midnight.timestamp() * 1000 + 2000, SECONDS)
        assert "F801" not in codes(terminal.status())
        found = checked(terminal.folder)
        assert found["T-10.5-1"]["result"] == found["T-10.5-2"]["result"] == "pass"
        assert found["T-10.5-1"]["found"] == "-25 to 55 C, 21 C now (lm75)"
        assert found["T-10.5-2"]["found"] == "20 to 93 %"  # what the data sheet of the board declares
        for temperature in (56100, -25100):
            sensor(places, temperature, 61200)
            alarm = codes(terminal.wait(lambda status: "F801" in codes(status), SECONDS))["F801"]
            assert alarm["where"] == "lm75" and alarm["text"] == f"{temperature / 1000:.1f} degrees Celsius"
            assert checked(terminal.folder)["T-10.5-1"]["result"] == "fail"
            sensor(places, 24000, 61200)
            terminal.wait(lambda status: "F801" not in codes(status), SECONDS)
    finally:
        terminal.stop()
    pull.to_file(terminal.data, tmp_path / "log.bundle")
    log = bundles.read(tmp_path / "log.bundle").entries
    said = [one.body for one in map(entries.decode, (raw for raw, _ in log)) if one.kind == entries.AUDIT]
    daily = [detail for _, what, detail in said if what == "health"]
    assert daily and daily[0].startswith("21.5 C (lm75), 61.2 % rh"), said
    assert ["monitor", "fault", "F801 lm75: 56.1 degrees Celsius"] in said
    assert ["monitor", "fault over", "F801 lm75"] in said
    assert replay(log)[1] == []


def checked(folder):
    """{id: row} of the self-check of the terminal there."""
    code, out, err = carbonterm("board", "doctor", "--terminal", folder, "--json")
    assert code in (0, 1), err
    return {row["id"]: row for row in json.loads(out)["rows"]}
