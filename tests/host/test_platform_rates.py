"""A rate on the platform: what its settlements and fills look like there, and what is told of their origin."""

import json

import pytest

from carbonterm import clock
from carbonterm.ledger import entry
from carbonterm.pipeline import Pipeline
from carbonterm.site import FORMATS, Bus, Meter, Site
from carbonterm_host.platform import intake
from carbonterm_host.platform.data import contexts
from sites import document, point

T = clock.parse("2026-03-02T00:00:00+08:00")
HOUR = 3600000


def site(series):
    flow = point("F1", 1, "t/h", interval_ms=HOUR)
    flow[9] = "instant"
    doc = document(points=[point("E1", 0, interval_ms=HOUR), flow], sources=[])
    doc[0] = FORMATS[1]
    doc[5] = [[*Bus(row, "bus", True).canonical(), None] for row in doc[5]]
    doc[6] = [Meter(row, "meter", True).canonical() + [value for _, _, value in Meter.later()] for row in doc[6][:2]]
    return Site([*doc, [], [], [], series] if series else doc)


@pytest.mark.requirement("T-12.4-3", part="a filled period on the platform: what it closed with, and the difference")
def test_figures_of_a_filled_gap_add_up():
    config = site([[1, 0, 0, HOUR, "t", 0, False]])
    fold, log = Pipeline(), []

    def add(time_ms, kind, body):
        one = entry.decode(entry.encode("CT-TEST-1", 0, len(log), time_ms, 2, kind, body))
        log.append(one)
        if kind not in (entry.CLOSING, entry.EMISSION, entry.FILL):
            for row in fold.fold(one):
                add(row[0], row[2], row[3])

    data = config.canonical()
    add(T, entry.CONFIG, [entry.sm3.digest(data), data])
    for hour in range(140):
        if hour not in range(61, 66):
            add(T + hour * HOUR, entry.READINGS, [[[1, 0, 0, 0, 7]], None])
    rows = [row for one in log for row in intake.figures(one)]
    day = [row for row in rows if row["period"] == clock.DAY and row["start_ms"] == T + 48 * HOUR]
    assert [(row["value"], row["quality"]) for row in day] == [("126.000000", 2), ("42.000000", 1)]
    hour = [row for row in rows if row["period"] == clock.HOUR and row["start_ms"] == T + 62 * HOUR]
    assert [(row["value"], row["quality"]) for row in hour] == [(None, 3), ("7.000000", 1)]


def test_what_is_told_of_a_rate():
    config = site([[0, None, None, None, None, 0, False], [1, 0, 3, HOUR, "t", 1, False]])
    register, rate = (contexts._point(config, index) for index in (0, 1))
    assert "increments of the running total by period, gaps filled: linear; read every" in register["processing"]
    assert "amount by period, step between readings, gaps filled: nearest; read every" in rate["processing"]
    assert json.loads(rate["parameters"])["interval_ms"] == HOUR
    assert "instant value; read" in contexts._point(site([]), 1)["processing"]
