"""Manual data not longer than a calendar month (11.2 c): the terminal reminds when a month ends without an entry, and
says that it is overdue a week later. Time is handed in."""

import pytest

from carbonterm import clock
from carbonterm.clock import RTC, UNSET
from carbonterm.errors import CarbonError
from carbonterm.gm import sm2
from carbonterm.ledger import manual as records
from carbonterm.ledger.segment import Log
from carbonterm.site import Site
from carbonterm_device.byhand import Reminder
from carbonterm_device.terminal import Terminal
from forming import formed
from memory_storage import MemoryStorage

DAY = 86400000
PAGE = ["0.0.0.0", 8443, "page.crt", "page.key", "page.users"]


class Now:
    """A clock that says what it is told."""

    def __init__(self, text):
        self.state = RTC
        self.set(text)

    def set(self, text):
        self.time_ms = clock.parse(text + ":00+08:00")

    def now_ms(self):
        return self.time_ms


def day(text):
    return clock.parse(text + "T00:00:00+08:00")


def enter(terminal, first, last, of=None):
    """A user of the page enters 10 t for the days first to last; the record's digest."""
    fields = ["coal", day(first), day(last) + DAY, 0, 10, "t", [], "", of]
    record = records.make("CT-TEST-1", "wang", terminal.clock.now_ms(), records.ENTER, fields, lambda body: None)
    terminal.enter(record)
    return record.digest


@pytest.mark.requirement("T-11.2-4")
def test_a_month_that_ends_without_an_entry_is_reminded_of_and_then_overdue():
    doc = formed([["wang", None], ["zhao", None]], [["coal", "mass", "t", None, None, False]], sources=[])
    doc += [[]] * (16 - len(doc)) + [PAGE]
    now, signer = Now("2026-02-10T10:00"), sm2.Signer(bytes(31) + bytes([9]))
    terminal = Terminal(Log(MemoryStorage(), "CT-TEST-1", 0, signer), now, "test")
    terminal.start(Site(doc))
    reminder = Reminder(terminal)
    told = []
    for moment, wanted in (
        ("2026-02-10T10:00", []), ("2026-02-28T23:59", []),
        ("2026-03-01T00:00", ["coal: 2026-02 not yet entered · 待填报"]),
        ("2026-03-07T23:59", ["coal: 2026-02 not yet entered · 待填报"]),
        ("2026-03-08T00:00", ["coal: 2026-02 overdue · 逾期未填报"]),
        ("2026-04-02T08:00", ["coal: 2026-02 overdue · 逾期未填报", "coal: 2026-03 not yet entered · 待填报"]),
    ):  # fmt: skip
        now.set(moment)
        told.append(reminder.alarms())
        assert told[-1] == wanted, (moment, told[-1])
    first = enter(terminal, "2026-02-10", "2026-02-28")  # it is wanted from the day on which the point came
    assert reminder.alarms() == ["coal: 2026-03 not yet entered · 待填报"]
    enter(terminal, "2026-03-01", "2026-03-30")
    assert reminder.alarms() == ["coal: 2026-03 not yet entered · 待填报"]  # a day is missing
    enter(terminal, "2026-03-31", "2026-03-31")
    assert reminder.alarms() == []
    verdict = records.make("CT-TEST-1", "zhao", now.now_ms(), records.REVIEW, [first, records.REJECTED, ""],
                           lambda body: None)  # fmt: skip
    terminal.enter(verdict)
    assert reminder.alarms() == ["coal: 2026-02 overdue · 逾期未填报"]
    with pytest.raises(CarbonError, match="longer than a calendar month"):
        enter(terminal, "2026-02-10", "2026-03-10")
    now.state = UNSET
    assert reminder.alarms() == []  # nobody knows which month it is
    for row in told:
        print("; ".join(row))
