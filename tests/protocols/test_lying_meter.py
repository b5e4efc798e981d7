"""A meter that lies (8.1.1): what it says is marked, kept as it was said, and never trusted into a total."""

import pytest

from carbonterm import pipeline
from carbonterm import site as sites
from carbonterm.field import registers, requests
from carbonterm.gm import sm2
from carbonterm.ledger import entry as entries
from carbonterm.ledger.segment import Log
from carbonterm.number import Number
from carbonterm_device.clockwork import Clock
from carbonterm_device.recorder import GOOD, INVALID, SUSPECT, reading
from carbonterm_device.terminal import Terminal
from memory_storage import MemoryStorage
from seeded import Random
from sites import document, point

START = 1750000000000


def _point(low=None, high=None, type="uint32", scale=(1, -2), **more):
    row = point("E", 0, scale=scale, **more)
    row[6] = type
    row[12], row[13] = low, high
    return sites.Site(document([row], sources=[])).points[0]


def _said(one, data):
    """The row of a reading whose registers hold `data`."""
    request = requests.ModbusRequest(0, 1, 60000, 3, one.address)
    request.add(0, one)
    value, _ = requests.value(request, data, one, 0)
    return reading(0, one, 0, value)


@pytest.mark.requirement("T-8.1.1-1")
def test_both_ends_of_the_range_are_valid_and_what_is_beyond_is_kept_with_a_flag():
    one = _point([-500, -2], [100000, -2], type="int32")
    for raw, quality in ((-500, GOOD), (100000, GOOD), (0, GOOD), (-501, SUSPECT), (100001, SUSPECT)):
        row = _said(one, registers.encode(raw, "int32", "ABCD"))
        print(raw, row)
        assert row == [0, 0, quality, -2, raw]


@pytest.mark.requirement("T-8.1.1-1")
@pytest.mark.parametrize(
    "type, data",
    (
        ("float32", b"\x7f\xc0\x00\x00"), ("float32", b"\xff\xff\xff\xff"), ("float32", b"\x7f\x80\x00\x00"),
        ("float32", b"\xff\x80\x00\x00"), ("float64", b"\x7f\xf8" + bytes(6)), ("bcd", b"\xff" * 4),
        ("bcd", b"\x12\x3a\x00\x00"),
    ),
)  # fmt: skip
def test_what_is_no_number_is_invalid_and_stays_unknown(type, data):
    row = _said(_point(type=type), data)
    print(row)
    assert row == [0, 0, INVALID, 0, None]


@pytest.mark.slow
@pytest.mark.requirement("T-8.1.1-1", part="nothing that was flagged enters a total")
@pytest.mark.parametrize("seed", range(2))
def test_a_total_is_that_of_the_believed_readings(seed):
    """One reading in three is a lie: out of range, no number, a jump forward, a step back. The meter's own increments
    are the total, and every lie stands in the log as it was said."""
    random = Random(seed)
    row = point("E", 0, limit=[600, 0])  # kWh an hour
    row[12], row[13] = [0, 0], [5000000, -2]
    site = sites.Site(document([row], sources=[], closings=(2, 3)))
    terminal = Terminal(Log(MemoryStorage(), "CT-TEST-1", 0, sm2.Signer(bytes(31) + b"\x07")), Clock(), "test")
    terminal.start(site)
    one, truth, lies, flagged = site.points[0], 100000, 0, 0
    for minute in range(60):
        truth += random.below(900)
        said, lie = truth, 0 < minute < 59 and random.below(3) == 0
        if lie:
            lies += 1
            jump = truth + 200000 + random.below(9999)
            said = (5000001 + random.below(1000), None, jump, truth - 50000)[random.below(4)]
        made = reading(0, one, 0, None if said is None else Number(said, -2))
        flagged += made[2] != GOOD
        terminal.record(START + 60000 * minute, [made], b"")
    terminal.commit()
    total = terminal.totals()[0][0][2]
    print(seed, lies, flagged, total)
    assert Number(total) == Number(truth, -2) - Number(_first(terminal), -2)
    fold, kept = pipeline.Replay(), 0
    for raw, _ in terminal.log.entries():
        entry = entries.decode(raw)
        assert fold.entry(entry) is None
        kept += entry.kind == entries.READINGS
    assert kept == 60 and str(fold.pipeline.settlers[0].total) == total and lies > 10 and flagged > 3


def _first(terminal):
    for raw, _ in terminal.log.entries():
        one = entries.decode(raw)
        if one.kind == entries.READINGS:
            return one.body[0][0][4]
    return None
