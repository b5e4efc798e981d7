"""The firmware with a power that is integrated: killed again and again, its amount is what its readings come to."""

import time
from itertools import pairwise

import pytest

from carbonterm.ledger import entry as entries
from carbonterm.number import Number, Ratio
from carbonterm_host import bundles, site_yaml
from carbonterm_host.commands import pull
from carbonterm_host.commands.replay import replay
from carbonterm_host.firmware import Terminal
from carbonterm_host.simulate.site import six_meters

HOUR_MS = 3600000
TAIL = """\
meters:
  - {name: em-1, bus: BUS, unit: UNIT, model: MODEL}
points:
  - {name: P1, meter: em-1, register: active_power, every: 200ms, integrate: linear, fill: linear}
  - {name: E1, meter: em-1, register: active_energy_import, every: 200ms, fill: linear}
sources:
  - name: electricity
    method: cn-2015-other-industry
    source: purchased_electricity
    parameters: {AD: [P1], EF: {value: "0.5703", source: own report}}
settings: {closings: [minute, hour, day], commit: 50ms}
"""


def site_of(plant):
    bus = next(bus for bus in plant.buses if "em-1" in [meter.name for meter in bus.meters.values()])
    meter = next(meter for meter in bus.meters.values() if meter.name == "em-1")
    row = bus.describe()
    names = ("host", "port") if row["kind"] == "modbus-tcp" else ("device", "baud")
    place = f"{names[0]}: {row['address']}, {names[1]}: {row['port']}"
    head = ["terminal: CT-TEST-1", "name: test", 'zone: "+08:00"', "buses:",
            f"  - {{name: {row['bus']}, kind: {row['kind']}, timeout: 10s, retries: 0, {place}}}"]  # fmt: skip
    tail = TAIL.replace("BUS", row["bus"]).replace("UNIT", str(meter.unit)).replace("MODEL", meter.model["id"])
    return site_yaml.compile_text("\n".join(head) + "\n" + tail)


@pytest.mark.slow
@pytest.mark.requirement("T-8.3.2-2", part="the firmware integrates a power; killed at random it loses nothing it had")
@pytest.mark.requirement("T-12.4-2", part="an integrated power over kills")
def test_a_power_is_integrated_over_kills(tmp_path):
    with six_meters(7, speed=60, path=str(tmp_path / "line.tty")) as plant:
        site = site_of(plant)
        terminal = Terminal(tmp_path / "terminal", site.canonical(), heap="2M")
        terminal.start()
        readings = 0
        for _ in range(4):
            status = terminal.wait(lambda status, beyond=readings: status["readings"] > beyond + 16)
            readings = status["readings"]
            terminal.kill()
            time.sleep(0.5)  # longer than two sampling intervals: the power is out, and there is a gap to count through
            terminal.start()
        status = terminal.wait(lambda status, beyond=readings: status["readings"] > beyond + 8)
        assert terminal.stop() == 0
    pull.to_file(terminal.data, tmp_path / "log.bundle")
    fold, wrong = replay(bundles.read(tmp_path / "log.bundle").entries)
    assert wrong == []
    series, area, held, counted = [], Ratio(0), 0, []
    for raw, _ in bundles.read(tmp_path / "log.bundle").entries:
        one = entries.decode(raw)
        held += one.kind == entries.FILL
        for point, offset, quality, exponent, mantissa in one.body[0] if one.kind == entries.READINGS else ():
            if point == 0 and quality < entries.SUSPECT:
                series.append((one.time_ms + offset, Number(mantissa, exponent)))
            elif point == 1 and quality < entries.SUSPECT:
                counted.append(one.time_ms + offset)
    for (before, first), (after, last) in pairwise(series):
        if 0 < after - before <= 400:
            area = area + (first + last) * Ratio(after - before, 2)
    assert len(series) > 30 and fold.pipeline.total(0) == (area / HOUR_MS).round(6)
    assert site.unit(0) == site.points[0].unit + "h"
    assert held == sum(after - before > 400 for before, after in pairwise(counted))  # E1 went on through each gap
    emitted = fold.pipeline.emitted(0)
    assert emitted == fold.pipeline.total(0) * Number("0.5703") / {"W": 10**6, "kW": 1000}[site.points[0].unit]
