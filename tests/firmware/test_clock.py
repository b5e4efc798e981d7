"""The clock of the real firmware on MicroPython is set while it runs, and between two starts: nothing is lost."""

import time

import pytest

from carbonterm import clock
from carbonterm.ledger import entry as entries
from carbonterm.number import Number
from carbonterm_host import bundles, site_yaml
from carbonterm_host.commands import pull
from carbonterm_host.commands.replay import replay
from carbonterm_host.firmware import Terminal
from carbonterm_host.platform.keys import make_certificates
from carbonterm_host.simulate.site import six_meters
from carbonterm_host.verifier import Verifier
from serving import Platform

DAY, YEAR = 86400000, 365 * 86400000
UNSET = -1_790_000_000_000  # from these years to before 1980: a clock without a battery


@pytest.fixture
def plant(tmp_path):
    with six_meters(11, speed=60, path=str(tmp_path / "line.tty")) as found:
        yield found


@pytest.fixture
def terminal(tmp_path, plant):
    found = Terminal(tmp_path / "terminal", site_of(plant), heap="2M")
    yield found
    if found.process and found.process.poll() is None:
        found.kill()


def site_of(plant, platform=None, ca=None):
    bus, meter = next((bus, m) for bus in plant.buses for m in bus.meters.values() if m.name == "em-1")
    row = bus.describe()
    text = f"""\
terminal: CT-CLOCK
name: test
zone: "+08:00"
buses: [{{name: lan, kind: {row["kind"]}, host: {row["address"]}, port: {row["port"]}, timeout: 10s}}]
meters: [{{name: em-1, bus: lan, unit: {meter.unit}, model: {meter.model["id"]}}}]
points: [{{name: E1, meter: em-1, register: active_energy_import, every: 200ms}}]
settings: {{closings: [minute, hour, day, month, year], commit: 50ms}}
"""
    if platform:
        name, public = platform.ready["name"], platform.public.hex()
        text += f"centres: [{{name: {name}, url: {platform.url}, ca: {ca}, public: {public}}}]\n"
    return site_yaml.compile_text(text).canonical()


def more(terminal, readings=5, **wanted):
    """Waits for so many readings more, and for a clock with these words in its status."""
    beyond = terminal.status()["readings"] + readings
    return terminal.wait(
        lambda status: status["readings"] >= beyond and all(status["clock"][k] == v for k, v in wanted.items())
    )


def judged(terminal, plant, tmp_path):
    """The log's entries, after verification, replay, and the comparison of all sums with the simulated meter."""
    file = tmp_path / "log.bundle"
    pull.to_file(terminal.data, file)
    verifier = Verifier()
    with open(file, "rb") as opened:
        verifier.read(opened)
    assert verifier.report()["ok"], verifier.report()
    fold, wrong = replay(bundles.read(file).entries)
    assert wrong == [] and not fold.expected
    log = [entries.decode(raw) for raw, _ in bundles.read(file).entries]
    said = [str(row["registers"].get("active_energy_import")) for row in plant.truth.answers("em-1")]
    rows = [row for entry in log if entry.kind == entries.READINGS for row in entry.body[0] if row[4] is not None]
    values = [Number(row[4], row[3]) for row in rows]
    assert len(rows) > 10 and all(value in map(Number, said) for value in values)
    settler = fold.pipeline.settlers[0]
    whole = values[-1] - values[0]
    assert settler.total == whole and whole > 0
    for period in range(clock.MINUTE, clock.YEAR + 1):
        total = settler.open(period).increment
        for entry in log:
            if entry.kind == entries.CLOSING and entry.body[0] == period:
                total = total + Number(entry.body[2][0][3], entry.body[2][0][2])
        assert total == whole, clock.PERIODS[period]
    return log


def words(log):
    """The clock entries: (event, seconds of the step, state before, state after)."""
    found = [entry.body for entry in log if entry.kind == entries.CLOCK]
    return [(body[0], round((body[2] - body[1]) / 1000), body[3], body[4]) for body in found]


@pytest.mark.slow
@pytest.mark.requirement("T-12.4-2", part="the firmware, its clock set back a day, forward a year, to 1970")
def test_a_clock_set_while_it_runs(terminal, plant, tmp_path):
    terminal.start()
    terminal.wait(lambda status: status["readings"] >= 5)
    for offset in (-DAY, 0, YEAR, 0, (1 << 31) * 1000 - time.time_ns() // 1000000 - 2000, 0,
                   (1 << 32) * 1000 - time.time_ns() // 1000000 - 2000, 0):  # fmt: skip
        before = terminal.status()["clock"]["shifted_ms"]
        terminal.set_clock(offset)
        terminal.wait(lambda status, before=before: status["clock"]["shifted_ms"] != before)
        more(terminal, 12 if abs(offset) > YEAR else 5, state=clock.HOLDOVER)
    terminal.set_clock(UNSET)
    status = more(terminal, state=clock.HOLDOVER)
    assert abs(status["time_ms"] - time.time_ns() // 1000000) < 60000  # 1970 is no time: it goes on by its own
    assert terminal.stop() == 0
    log = judged(terminal, plant, tmp_path)
    steps = words(log)
    assert [step[0] for step in steps].count(entries.STEP) == 8
    day, year = DAY // 1000, YEAR // 1000
    assert [round(s[1] / 3600) for s in steps if s[0] == entries.STEP][:4] == [-24, 24, year // 3600, -year // 3600]
    assert day == 86400 and all(step[2] and step[3] for step in steps)
    said = [entry.body for entry in log if entry.kind == entries.AUDIT and entry.body[1] == "simulated clock"]
    assert len(said) == 9 and said[0][0] == "clock"
    years = {clock.civil(entry.time_ms)[0] for entry in log}
    assert {2038, 2106} <= years and 1970 not in years


@pytest.mark.slow
def test_a_start_with_an_earlier_time(terminal, plant, tmp_path):
    terminal.offset_ms = YEAR
    terminal.start()
    terminal.wait(lambda status: status["readings"] >= 8)
    terminal.kill()
    terminal.offset_ms = 0
    terminal.start()
    terminal.wait(lambda status: status["readings"] >= 16)
    terminal.kill()
    terminal.offset_ms = -DAY
    terminal.start()
    terminal.wait(lambda status: status["readings"] >= 24)
    assert terminal.stop() == 0
    steps = words(judged(terminal, plant, tmp_path))
    assert [step[0] for step in steps] == [entries.STEP] * 2
    assert [round(step[1] / 86400) for step in steps] == [-365, -1]


@pytest.mark.slow
def test_a_start_without_the_time(terminal, plant, tmp_path):
    """Twice without, then the time comes; the centre hears nothing before that, and everything after it."""
    epoch, public = terminal.key()
    tls = make_certificates(tmp_path / "tls")
    options = ("--register", f"CT-CLOCK:{epoch}:{public.hex()}")
    options += ("--tls-cert", tls["server.pem"], "--tls-key", tls["server.key"])
    with Platform(tmp_path, *options) as platform:
        terminal.configure(site_of(plant, platform, tls["ca.der"]))
        terminal.offset_ms = UNSET
        terminal.start()
        status = terminal.wait(lambda status: status["readings"] >= 8 and status["centres"][0]["error"])
        assert status["clock"] == {"state": clock.UNSET, "simulated": True, "shifted_ms": 0}
        assert "the clock is not set" in status["centres"][0]["error"] and not status["centres"][0]["connections"]
        terminal.kill()
        started = time.time_ns() // 1000000
        terminal.start()
        status = terminal.wait(lambda status: status["readings"] >= 16)
        assert status["time_ms"] < DAY and status["centres"][0]["cursor"] is None
        terminal.set_clock(0)
        more(terminal, state=clock.HOLDOVER)
        terminal.wait(lambda status: status["centres"][0]["cursor"] == status["entries"])
        assert terminal.stop() == 0
    log = judged(terminal, plant, tmp_path)
    rebase = next(entry for entry in log if entry.kind == entries.CLOCK)
    begin = [entry.seq for entry in log if entry.kind == entries.START][-1]
    assert rebase.body[0] == entries.REBASE and rebase.body[3:] == [0, 1, begin]
    assert {entry.clock_state for entry in log if entry.seq < rebase.seq} == {0}
    assert {entry.clock_state for entry in log if entry.seq >= rebase.seq} == {1}
    # what the entries of that start say, put right, is a time between its beginning and the sync
    shift = rebase.body[2] - rebase.body[1]
    times = [entry.time_ms + shift for entry in log if begin <= entry.seq < rebase.seq]
    assert all(started - 1000 < moment <= rebase.time_ms for moment in times)
