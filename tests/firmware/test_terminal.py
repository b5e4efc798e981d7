"""The firmware on real MicroPython: from simulated meters to the log, through every trouble a plant has."""

import json
import time
from itertools import pairwise

import pytest

import patience
from carbonterm import clock
from carbonterm.ledger import entry as entries
from carbonterm.number import Number
from carbonterm_host import bundles, site_yaml
from carbonterm_host.commands import pull
from carbonterm_host.commands.replay import replay
from carbonterm_host.firmware import Terminal
from carbonterm_host.simulate.site import six_meters
from carbonterm_host.verifier import Verifier

# bus → meter: what six_meters simulates
POINTS = (
    ("E1", "em-1", "active_energy_import"),
    ("E2", "em-2", "active_energy_import"),
    ("E3", "em-3", "active_energy_import"),
    ("E4", "em-4", "active_energy_import"),
    ("G1", "gas-1", "volume"),
    ("H1", "heat-1", "heat_float"),
)


@pytest.fixture
def plant(tmp_path):
    with six_meters(7, speed=60, path=str(tmp_path / "line.tty")) as found:
        yield found


def site_of(plant, every="200ms", closings="[minute, hour, day]", timeout="10s"):
    lines = ["terminal: CT-TEST-1", "name: test", 'zone: "+08:00"', "buses:"]
    for bus in plant.buses:
        row = bus.describe()
        names = ("host", "port") if row["kind"] == "modbus-tcp" else ("device", "baud")
        place = f"{names[0]}: {row['address']}, {names[1]}: {row['port']}"
        lines.append(f"  - {{name: {row['bus']}, kind: {row['kind']}, timeout: {timeout}, retries: 0, {place}}}")
    lines.append("meters:")
    for bus in plant.buses:
        lines += [
            f"  - {{name: {m.name}, bus: {bus.name}, unit: {m.unit}, model: {m.model['id']}}}"
            for m in bus.meters.values()
        ]
    lines.append("points:")
    lines += [f"  - {{name: {p}, meter: {m}, register: {r}, every: {every}}}" for p, m, r in POINTS]
    lines.append(f"settings: {{closings: {closings}, commit: 50ms}}")
    return site_yaml.compile_text("\n".join(lines)).canonical()


@pytest.fixture
def terminal(tmp_path, plant):
    found = Terminal(tmp_path / "terminal", site_of(plant), heap="2M")
    yield found
    if found.process and found.process.poll() is None:
        found.kill()


def logged(terminal, tmp_path):
    """(entries, {point: [(quality, Number or None)]}) of a stopped terminal, after verification and replay."""
    file = tmp_path / "log.bundle"
    pull.to_file(terminal.data, file)
    verifier = Verifier()
    with open(file, "rb") as opened:
        verifier.read(opened)
    assert verifier.report()["ok"], verifier.report()
    found = bundles.read(file)
    fold, wrong = replay(found.entries)
    assert wrong == []
    rows = {name: [] for name, _, _ in POINTS}
    log = [entries.decode(raw) for raw, _ in found.entries]
    for entry in log:
        if entry.kind == entries.READINGS:
            for point, _, quality, exponent, mantissa in entry.body[0]:
                rows[POINTS[point][0]].append((quality, None if mantissa is None else Number(mantissa, exponent)))
    return log, rows, fold.pipeline


def answered(plant, name):
    """The values that a point's meter has said (NaN left out)."""
    _, meter, register = next(row for row in POINTS if row[0] == name)
    said = [row["registers"].get(register) for row in plant.truth.answers(meter)]
    return [Number(str(value)) for value in said if value is not None]


@pytest.mark.slow
@pytest.mark.requirement("T-4-5", "T-6.3-1", "T-11.3-1", "T-11.3-4")
def test_meters_are_read_directly_and_recorded(terminal, plant, tmp_path):
    terminal.start()
    terminal.wait(lambda status: status["readings"] >= 60)
    assert terminal.stop() == 0
    log, rows, _ = logged(terminal, tmp_path)
    assert [entries.KINDS[entry.kind] for entry in log[:2]] == ["start", "config"]
    for name, _, _ in POINTS:
        values = [value for quality, value in rows[name] if quality == 0]
        said = answered(plant, name)
        assert len(values) >= 5 and all(value in said for value in values), name
    # a reading is in the log within one sampling interval of its answer: the rounds lie on the 200 ms grid
    times = [entry.time_ms for entry in log if entry.kind == entries.READINGS]
    assert all(time % 200 == 0 for time in times)


@pytest.mark.slow
@pytest.mark.requirement("T-8.2.1-1", "T-8.2.1-4")
def test_the_log_is_the_only_state(terminal, plant, tmp_path):
    terminal.start()
    acknowledged = 0
    for _ in range(6):
        status = terminal.wait(lambda status, beyond=acknowledged: status["entries"] > beyond + 15)
        acknowledged = status["entries"]
        terminal.kill()
        terminal.start()
        found = terminal.wait(lambda status: True)["found"]
        assert found >= acknowledged
    assert terminal.stop() == 0
    log, rows, pipeline = logged(terminal, tmp_path)
    assert [entry.seq for entry in log] == list(range(len(log)))
    assert sum(entry.kind == entries.START for entry in log) == 7
    for index, (name, _, _) in enumerate(POINTS):
        values = [value for _, value in rows[name] if value is not None]
        assert pipeline.settlers[index].total == values[-1] - values[0]


@pytest.mark.slow
@patience.unhurried
def test_settlements_of_a_day_that_ends(tmp_path, plant):
    end = clock.parse("2027-01-01T00:00:00+08:00")
    offset = end - patience.of(15000) - time.time_ns() // 1000000
    document = site_of(plant, closings="[minute, hour, day, month, year]")
    terminal = Terminal(tmp_path / f"terminal{patience.of(1)}", document, heap="2M", offset_ms=offset)
    terminal.start()
    try:
        terminal.wait(lambda status: status["readings"])
        old = terminal.wait(lambda status: status["time_ms"] > end, 600)
        terminal.wait(lambda status: status["readings"] > old["readings"] + 12)
    finally:
        terminal.stop()
    log, _, _ = logged(terminal, tmp_path)
    closed = {tuple(entry.body[:2]) for entry in log if entry.kind == entries.CLOSING}
    for period in (clock.MINUTE, clock.HOUR, clock.DAY, clock.MONTH, clock.YEAR):
        assert (period, clock.start(period, end - 1, 480)) in closed
    assert {start for period, start in closed if period != clock.MINUTE} == {
        clock.start(period, end - 1, 480) for period in (clock.HOUR, clock.DAY, clock.MONTH, clock.YEAR)
    }


@pytest.mark.slow
@pytest.mark.requirement("T-11.3-1")
def test_faults_of_the_line_enter_no_total(terminal, plant, tmp_path):
    faults = ("noise-before", "noise-after", "truncated", "crc", "echo", "glued", "late", "exception", "nan", "foreign")
    for fault in faults:
        plant.faults.add(fault, probability=0.05)
    terminal.configure(site_of(plant, timeout="150ms"))
    terminal.start()
    terminal.wait(lambda status: status["readings"] >= 240 and len(plant.faults.table()) == len(faults))
    terminal.stop()
    _, rows, pipeline = logged(terminal, tmp_path)
    for index, (name, _, _) in enumerate(POINTS):
        values = [value for quality, value in rows[name] if quality == 0]
        said = answered(plant, name)
        assert values and all(value in said for value in values), name
        assert pipeline.settlers[index].total == values[-1] - values[0], name
    assert {quality for row in rows.values() for quality, _ in row} >= {0, 3, 4, 5}
    print(plant.faults.table())


@pytest.mark.slow
def test_a_silent_meter_is_marked_and_costs_the_others_nothing(terminal, plant, tmp_path):
    plant.faults.add("silent", meter="em-3")
    terminal.configure(site_of(plant, timeout="3s"))
    terminal.start()
    terminal.wait(lambda status: status["readings"] >= 150 and min(one["rounds"] for one in status["buses"]) > 8)
    status = terminal.status()
    terminal.stop()
    _, rows, _ = logged(terminal, tmp_path)
    assert {quality for quality, _ in rows["E3"]} == {4} and all(value is None for _, value in rows["E3"])
    for name in ("E1", "E2", "E4", "G1", "H1"):
        good = sum(quality == 0 for quality, _ in rows[name])
        assert good >= 0.9 * len(rows[name]) > 5, name
    assert next(point for point in status["points"] if point[0] == "E3")[2] == "0"


@pytest.mark.slow
def test_a_register_that_goes_backwards_changes_no_total(terminal, plant, tmp_path):
    plant.faults.add("backwards", probability=0.3, meter="em-1")
    terminal.start()
    terminal.wait(lambda status: status["readings"] >= 150)
    terminal.stop()
    _, rows, pipeline = logged(terminal, tmp_path)
    values = [value for _, value in rows["E1"] if value is not None]
    highest = max(values)
    assert pipeline.settlers[0].total == highest - values[0] or values[0] > min(values)
    assert any(b < a for a, b in pairwise(values)), "the fault never struck"


@pytest.mark.slow
def test_a_cut_link_comes_back(terminal, plant, tmp_path):
    terminal.start()
    terminal.wait(lambda status: status["readings"] >= 30)
    plant.cut("gas")
    plant.cut("line")
    before = terminal.status()["readings"]
    terminal.wait(lambda status: status["readings"] >= before + 60)
    plant.restore("gas")
    plant.restore("line")
    mark = len(plant.truth.answers("gas-1")), len(plant.truth.answers("em-3"))
    terminal.wait(
        lambda _: len(plant.truth.answers("gas-1")) > mark[0] + 5 and len(plant.truth.answers("em-3")) > mark[1] + 5
    )
    terminal.stop()
    _, rows, pipeline = logged(terminal, tmp_path)
    for index, name in ((2, "E3"), (4, "G1")):
        qualities = [quality for quality, _ in rows[name]]
        assert 4 in qualities and qualities[-1] == 0
        values = [value for _, value in rows[name] if value is not None]
        assert pipeline.settlers[index].total == values[-1] - values[0]


@pytest.mark.slow
def test_a_new_site_document_is_an_entry(terminal, plant, tmp_path):
    terminal.start()
    terminal.wait(lambda status: status["readings"] >= 12)
    terminal.stop()
    terminal.configure(site_of(plant, every="400ms"))
    terminal.start()
    terminal.wait(lambda status: status["readings"] >= 40)
    terminal.stop()
    log, _, _ = logged(terminal, tmp_path)
    assert sum(entry.kind == entries.CONFIG for entry in log) == 2


@pytest.mark.slow
def test_another_terminals_folder_is_refused(terminal, plant, tmp_path):
    terminal.start()
    terminal.wait(lambda status: status["readings"] >= 6)
    terminal.stop()
    document = site_yaml.compile_text(
        "terminal: CT-OTHER\nname: x\nzone: Z\nbuses: []\nmeters: []\npoints: []\n"
    ).canonical()
    terminal.configure(document)
    terminal.start()
    assert terminal.process.wait(120) == 1
    assert "holds the log of CT-TEST-1, the site document is for CT-OTHER" in terminal.console()


def test_keys_are_made_once(terminal):
    first = terminal.key()
    assert first == terminal.key() and len(first[1]) == 64
    secret = terminal.data / "00000.key"
    assert secret.stat().st_mode & 0o077 == 0
    secret.write_bytes(b"short")
    with pytest.raises(RuntimeError, match="not 32"):
        terminal.key()


@pytest.mark.slow
def test_the_status_is_plain_json(terminal):
    terminal.start()
    status = terminal.wait(lambda status: status["readings"] >= 12)
    terminal.stop()
    assert json.dumps(status) and status["errors"] == [] and status["heap_peak"] < 1 << 20
    assert [bus["bus"] for bus in status["buses"]] == ["workshop-1", "workshop-2", "line", "gas", "heat"]
