"""A fault from its first hour to the report: the terminal's timer, alarm and log, and what `carbonterm gaps` says."""

import json

import pytest

from carbonterm.gm import sm2
from carbonterm.ledger import entry
from carbonterm.ledger.segment import Log
from carbonterm.number import Number
from carbonterm.site import FORMATS, Bus, Meter, Site
from carbonterm_device.recorder import reading
from carbonterm_device.standstill import Standstill
from carbonterm_device.terminal import Terminal
from memory_storage import MemoryStorage
from shell import carbonterm, pulled
from sites import document, point

SIGNER = sm2.Signer(bytes(31) + b"\x07")
T = 1772380800000  # 2026-03-02T00:00:00+08:00, a Monday
HOUR = 3600000


class Clock:
    state = 3
    now = T

    def now_ms(self):
        return self.now


@pytest.mark.slow
@pytest.mark.requirement("T-12.4-1")
def test_a_fault_of_more_than_three_working_days(tmp_path):
    doc = document(points=[point(f"E{i + 1}", i, interval_ms=2 * HOUR) for i in range(2)], sources=[], closings=(3, 4))
    doc[0] = FORMATS[1]
    doc[5] = [[*Bus(row, "bus", True).canonical(), None] for row in doc[5]]
    doc[6] = [Meter(row, "meter", True).canonical() + [value for _, _, value in Meter.later()] for row in doc[6][:2]]
    tuesday = (T + 480 * 60000) // 86400000 + 1
    site, time, storage = Site([*doc, [], [], [], [], [[tuesday], []]]), Clock(), MemoryStorage()
    terminal = Terminal(Log(storage, "CT-TEST-1", 0, SIGNER), time, "test")
    terminal.start(site)
    timer, told = Standstill(terminal, site), []
    for hour in range(0, 180, 2):  # E1 goes on, E2 breaks on Monday at 02:00 and is repaired a week later
        time.now = T + hour * HOUR
        rows = [reading(0, site.points[0], 0, Number(hour))]
        if hour <= 2 or hour >= 170:
            rows.append(reading(1, site.points[1], 0, Number(hour)))
        terminal.record(time.now, rows, b"")
        timer.look()
        told += [(hour, text) for text in timer.alarms()]
    # Monday from 02:00 is 0.9 days, Tuesday a holiday, Wednesday and Thursday two: it warns on Thursday at 02:00 …
    assert told[0][0] == 74 and "E2" in told[0][1] and "2.0 of 3" in told[0][1]
    # … a day before the limit is passed; the weekend does not count, and it ends with the repair
    assert next(hour for hour, text in told if "3.1 of 3" in text) == 100
    assert told[-1][0] == 168 and "4.0 of 3" in told[-1][1] and timer.alarms() == []
    terminal.commit(True)
    log = [entry.decode(raw) for raw, _ in terminal.log.entries()]
    audits = [one.body[2] for one in log if one.kind == entry.AUDIT and one.body[1] == "standstill"]
    assert len(audits) == 3 and audits[2] == "point E2: it goes on"
    (tmp_path / "t.bundle").write_bytes(pulled(storage, "CT-TEST-1"))
    code, out, _ = carbonterm("gaps", str(tmp_path / "t.bundle"), "--json")
    view = json.loads(out)
    assert code == 1 and view["over"] == 1
    assert [(row["point"], row["hours"], row["over"]) for row in view["gaps"]] == [("E2", "168", True)]
    assert view["gaps"][0]["working_days"] == "4"
    total = terminal.totals()[0]
    assert total == [("E1", "kWh", "178"), ("E2", "kWh", "178")]  # its register counted on: nothing is lost
