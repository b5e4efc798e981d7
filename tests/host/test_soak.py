"""The soak for a simulated hour, and that its comparison sees what is wrong."""

import json
import shutil
from itertools import pairwise

import pytest

from carbonterm import site as sites
from carbonterm.ledger import entry as entries
from carbonterm_host import bundles
from carbonterm_host.benches.compare import compare
from carbonterm_host.simulate import faults as table
from tools.soak.host import run


@pytest.fixture(scope="module")
def hour(tmp_path_factory):
    """(folder, counts) of an hour on MicroPython, with more of everything than in the long soak."""
    folder = tmp_path_factory.mktemp("soak")
    return folder, run(folder, 8, 1, 0.012)


@pytest.mark.slow
@pytest.mark.requirement("T-6.3-1", part="30 meters of four protocols on 4 lines, with every fault")
@pytest.mark.requirement("T-11.3-1", "T-11.3-2", "T-11.3-3", part="faults: nothing wrong, nothing missing")
@pytest.mark.requirement("T-11.2-2", part="one minute")
def test_an_hour_without_a_difference(hour):
    folder, counts = hour
    result = compare(folder)
    assert result.differences == []
    assert set(counts["faults"]) == set(table.FAULTS) and counts["cuts"] == 4 and counts["collided"] > 50
    assert result.counts["totals"] == result.counts["equal totals"] == 33
    assert result.counts["right values"] == result.counts["values"] > 2000 < result.counts["readable answers"]


@pytest.mark.slow
@pytest.mark.parametrize("what, words", [("value", "wrong: "), ("silence", "missing: "), ("total", "totals: ")])
def test_a_difference_is_seen(hour, tmp_path, what, words):
    """A meter that said something else, or more often, or counted more than ground truth knows."""
    folder = tmp_path / "other"
    shutil.copytree(hour[0], folder)
    rows = [json.loads(line) for line in (folder / "truth.jsonl").read_text().splitlines()]
    of_one = [row for row in rows if row.get("meter") == "dts-1" and row.get("fault", "") is None]
    row = of_one[len(of_one) // 4]
    if what == "value":
        row["registers"]["active_energy_import"] += "1"
    elif what == "silence":
        rows.append({**row, "time_ms": row["time_ms"] + 20000})
    else:
        of_one[-1]["registers"]["active_energy_import"] += "1"
    rows.sort(key=lambda row: row["time_ms"])
    (folder / "truth.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert any(text.startswith(words) for text in compare(folder).differences)


# --- without faults --------------------------------------------------------------------------------------------------

SLOW = """\
terminal: CT-SLOW-1
name: 采集频次
zone: "+08:00"
buses: [{name: line, kind: serial, device: /dev/line, baud: 2400, parity: even, timeout: 400ms}]
meters:
  - {name: e, bus: line, address: "201000000012", model: dlt645-2007-three-phase}
  - {name: h, bus: line, address: "42590008210438", model: cjt188-heat}
  - {name: g, bus: line, unit: 3, model: generic-gas-modbus, baud: 9600, parity: none}
points:
  - {name: minute, meter: e, register: active_energy_import, every: 1min, limit: "200"}
  - {name: five, meter: g, register: volume, every: 5min, limit: "300"}
  - {name: quarter, meter: h, register: heat, every: 15min, limit: "3000"}
  - {name: hour, meter: e, register: active_energy_import_t1, every: 1h, limit: "200"}
  - {name: day, meter: h, register: volume, every: 24h, limit: "100"}
settings: {closings: [hour, day], commit: 1s}
"""
EVERY = {"minute": 60, "five": 300, "quarter": 900, "hour": 3600, "day": 86400}


@pytest.mark.slow
@pytest.mark.requirement("T-11.2-1", part="each point at its own interval")
@pytest.mark.requirement("T-11.2-2", "T-11.2-3", part="1 min to 24 h, a day in simulated time")
def test_points_are_read_as_often_as_is_set(tmp_path):
    """A day: not one reading more or less, each on the grid of its interval and soon after its moment."""
    counts = run(tmp_path, 3, 24, 0, text=SLOW)
    assert counts["counters"]["timeouts"] == counts["counters"]["late rounds"] == 0
    result = compare(tmp_path)
    assert result.differences == [] and set(result.counts) & {"silent", "invalid", "refused"} == set()
    moments = {name: [] for name in EVERY}
    site, rows = readings(tmp_path / "log.bundle")
    for point, time_ms, offset in rows:
        moments[site.points[point].name].append(time_ms)
        assert offset < 3000
    for name, seconds in EVERY.items():
        times = moments[name]
        assert len(times) == 24 * 3600 // seconds, name
        assert {later - sooner for sooner, later in pairwise(times)} <= {1000 * seconds}
        assert all(time_ms % (1000 * seconds) == 0 for time_ms in times)


@pytest.mark.slow
@pytest.mark.requirement("T-7.1-1", "T-7.1-2", part="a simulated line: no errors in 1000 polls and more")
def test_a_line_without_faults_has_no_errors(tmp_path):
    """RS-485 and RS-232 are one byte stream behind a driver: what differs is the wire."""
    counters = run(tmp_path, 5, 1, 0)["counters"]
    assert counters["requests"] == counters["replies"] > 2000
    assert [counters[name] for name in ("timeouts", "errors", "exceptions", "dropped", "late rounds")] == [0] * 5
    result = compare(tmp_path)
    assert result.differences == [] and result.counts["values"] == result.counts["right values"]


def readings(file):
    """(Site, [(index of the point, time of the round, offset)]) of a bundle."""
    site, rows = None, []
    for raw, _ in bundles.read(file).entries:
        one = entries.decode(raw)
        if one.kind == entries.CONFIG:
            site = sites.decode(one.body[1])
        elif one.kind == entries.READINGS:
            rows += [(row[0], one.time_ms, row[1]) for row in one.body[0]]
    return site, rows
