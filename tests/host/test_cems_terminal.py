"""A stack on the terminal: what its logger sends as CO2 mass becomes emissions hour by hour; replay finds the same."""

import pytest

from carbonterm import clock
from carbonterm.gm import sm3
from carbonterm.ledger import entry as entries
from carbonterm.number import Number
from carbonterm.pipeline import Pipeline, Replay
from carbonterm_host import site_yaml
from runtimes import ROOT

START = clock.parse("2026-03-01T00:00:00+08:00")
HOUR = 3600000


def book(data, readings):
    """Entries of a log with the site and one reading of point 2 at each time, and what must follow."""
    pipeline, log = Pipeline(), []

    def add(time_ms, kind, body):
        raw = entries.encode("CT-000001", 0, len(log), time_ms, clock.NETWORK, kind, body)
        log.append(entries.decode(raw))
        return [] if kind in (entries.CLOSING, entries.EMISSION) else pipeline.fold(log[-1])

    def all_of(time_ms, kind, body):
        for wanted in add(time_ms, kind, body):
            add(wanted[0], wanted[2], wanted[3])

    all_of(START, entries.CONFIG, [sm3.digest(data), data])
    for time_ms, value in readings:
        all_of(time_ms, entries.READINGS, [[[2, 0, 0, value.exponent, value.mantissa]], None])
    return log


@pytest.mark.requirement("C-1-3", part="emissions of a stack in the terminal's signed log")
def test_the_mass_that_a_logger_sends_is_accounted_hour_by_hour(tmp_path):
    """235 620.594 kg in each hour of a day, told at its beginning; 5654.894256 t in the day, the sum of its hours."""
    text = (ROOT / "docs/cems.md").read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]
    file = tmp_path / "site.yaml"
    file.write_text(text, encoding="utf-8")
    data = site_yaml.compile_file(file).canonical()
    log = book(data, [(START + i * HOUR, Number("235620.594")) for i in range(26)])
    emissions = [entry.body for entry in log if entry.kind == entries.EMISSION]
    hours = [body[3][0] for body in emissions if body[0] == clock.HOUR]
    assert len(hours) == 25 and {Number(row[3], row[2]) for row in hours} == {Number("235.620594")}
    (day,) = [body[3][0] for body in emissions if body[0] == clock.DAY]
    assert Number(day[3], day[2]) == Number("5654.894256") and day[1] == 0
    replay = Replay()
    assert [found for found in (replay.entry(entry) for entry in log) if found] == []
