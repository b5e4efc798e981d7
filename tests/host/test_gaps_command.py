"""carbonterm gaps: gaps of points, standstills of the terminal, fills, working days, as a script and a person see."""

import json

import pytest

from carbonterm import clock
from carbonterm.ledger import bundle, entry
from carbonterm.pipeline import Pipeline
from carbonterm.site import FORMATS, Bus, Meter, Site
from shell import carbonterm
from sites import document, point

T = clock.parse("2026-03-02T00:00:00+08:00")  # a Monday
HOUR = 3600000
SERIES = [[0, None, None, None, None, 0, False], [1, 0, 0, HOUR, "t", 0, False]]


class Unsigned:
    """A bundle whose signatures nobody has made: the command does not check them."""

    def __init__(self, path):
        self.path, self.pipeline, self.rows = path, Pipeline(), []
        flow = point("F1", 1, "t/h", interval_ms=HOUR)
        flow[9] = "instant"
        doc = document(points=[point("E1", 0, interval_ms=HOUR), flow], sources=[])
        doc[0] = FORMATS[1]
        doc[5] = [[*Bus(row, "bus", True).canonical(), None] for row in doc[5]]
        doc[6] = [Meter(row, "meter", True).canonical() + [one[2] for one in Meter.later()] for row in doc[6][:2]]
        holiday = (T + 480 * 60000) // 86400000 + 1
        data = Site([*doc, [], [], [], SERIES, [[holiday], []]]).canonical()
        self.add(T, entry.CONFIG, [entry.sm3.digest(data), data])

    def add(self, time_ms, kind, body, state=3):
        raw = entry.encode("CT-TEST-1", 0, len(self.rows), time_ms, state, kind, body)
        self.rows.append(raw)
        if kind not in (entry.CLOSING, entry.EMISSION, entry.FILL):
            for one in self.pipeline.fold(entry.decode(raw)):
                self.add(one[0], one[2], one[3])

    def read(self, hour, *points):
        self.add(T + hour * HOUR, entry.READINGS, [[[i, 0, 0, 0, 7 + hour if i == 0 else 7] for i in points], None])

    def write(self):
        with open(self.path, "wb") as file:
            writer = bundle.Writer(file, "CT-TEST-1", "test")
            writer.key(0, bytes(64))
            for raw in self.rows:
                writer.entry(raw, bytes(64))
            writer.end()
        return str(self.path)


@pytest.fixture
def log(tmp_path):
    return Unsigned(tmp_path / "t.bundle")


@pytest.mark.slow
@pytest.mark.requirement("T-12.4-1", part="a report of standstills in working days, longer than three is a finding")
@pytest.mark.requirement("P-5.1-5", part="gaps are reported")
def test_gaps_fills_and_standstills(log):
    for hour in range(170):
        if hour not in range(61, 66):
            log.read(hour, 0, 1)
    log.add(T + 175 * HOUR, entry.START, ["1", "test", "restart", len(log.rows)])
    log.read(175, 0)
    log.read(176, 0)
    for hour in range(177, 300, 2):
        log.read(hour, 0)
    code, out, _ = carbonterm("gaps", log.write(), "--json")
    view = json.loads(out)
    rows = [(row["point"], row["hours"], row["working_days"], row["over"]) for row in view["gaps"]]
    # the second day, Tuesday, is a holiday; F1 is silent from Monday, 01:00, to Saturday, 11:00
    assert rows == [
        ("E1", "6", "0.25", False), ("F1", "6", "0.25", False), (None, "6", "0.25", False), ("E1", "6", "0.25", False),
        ("F1", "130", "4.96", True),
    ]  # fmt: skip
    assert [row["fill"] for row in view["gaps"]] == [
        {"method": "counted", "added": "6"}, {"method": "linear", "added": "42.000000"}, None,
        {"method": "counted", "added": "6"}, None,
    ]  # fmt: skip
    assert view["gaps"][-1]["to"] is None and code == 1 and view["over"] == 1
    code, out, _ = carbonterm("gaps", str(log.path), "--hours", "100")
    assert code == 1 and "F1" in out and "E1" not in out and "1 longer than 3 working days" in out
    code, out, _ = carbonterm("gaps", str(log.path), lang="zh")
    assert "（终端）" in out and "线性插值" in out


def test_a_holiday_is_no_working_day(log):
    log.read(0, 0, 1)
    log.read(48, 0, 1)
    code, out, _ = carbonterm("gaps", log.write(), "--json")
    assert code == 0 and [row["working_days"] for row in json.loads(out)["gaps"]] == ["1", "1"]


def test_a_log_without_gaps(log):
    for hour in range(5):
        log.read(hour, 0, 1)
    code, out, _ = carbonterm("gaps", log.write())
    assert code == 0 and out.strip() == "no gaps"


def test_readings_that_do_not_count_end_no_gap(log):
    log.read(0, 0, 1)
    for hour in range(1, 9):
        log.add(T + hour * HOUR, entry.READINGS, [[[0, 0, 2, 0, 900 + hour], [1, 0, 4, 0, None]], None])
    log.add(5000, entry.READINGS, [[[0, 0, 0, 0, 8]], None], 0)  # by a clock without the time
    log.read(9, 0, 1)
    code, out, _ = carbonterm("gaps", log.write(), "--json")
    assert code == 0 and [(row["point"], row["hours"]) for row in json.loads(out)["gaps"]] == [("E1", "9"), ("F1", "9")]


def test_files_that_are_none(tmp_path):
    assert carbonterm("gaps", str(tmp_path / "none.bundle"))[0] == 2
    (tmp_path / "x.bundle").write_bytes(b"nothing")
    assert carbonterm("gaps", str(tmp_path / "x.bundle"))[0] == 4
