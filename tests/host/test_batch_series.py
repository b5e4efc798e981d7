"""Columns of readings settled at once give what the Settler gives reading by reading: settlements, total and state."""

import numpy as np
import pytest

from carbonterm import clock
from carbonterm.number import Number
from carbonterm.series.closing import Settler
from carbonterm_host.batch.series import Settled, settle
from seeded import Random

BEGIN = clock.parse("2026-02-27T22:10:00+08:00")
PERIODS = (clock.MINUTE, clock.HOUR, clock.DAY, clock.MONTH, clock.YEAR)


def told(settlement):
    """All of a settlement as integers, with the exponent that its row in the log has."""
    return [x if not isinstance(x, Number) else (x.exponent, x.mantissa) for x in settlement.fields() if x is not None]


def both(settings, rows, chunks=1):
    """The settlements of rows (time_ms, mantissa, exponent, quality) by the core and by columns, which must be equal,
    and the settlers' states too. Returns how many there are."""
    slow, fast = Settler(*settings), Settler(*settings)
    wanted = []
    for time_ms, mantissa, exponent, quality in rows:
        wanted += slow.feed(time_ms, Number(mantissa, exponent), quality)
    found = Settled(settings[4])
    size = -(-len(rows) // chunks) or 1
    for at in range(0, len(rows), size):
        times, mantissas, exponents, qualities = zip(*rows[at : at + size], strict=True)
        columns = np.array(times), np.array(mantissas), np.array(exponents, np.int8), np.array(qualities)
        settle(fast, *columns, found)
    for period in settings[4]:
        rows_of = sorted(told(s) for s in found.settlements(period))
        assert rows_of == sorted(told(s) for s in wanted if s.period == period)
    assert fast.state() == slow.state()
    return len(wanted)


def walk(random, count, step_ms, jitter, exponents=(-2,), way=300, trouble=0):
    """A register that goes forward; one reading in `trouble` is something else."""
    rows, time_ms, value = [], BEGIN, 990000
    for _ in range(count):
        time_ms += step_ms + random.below(2 * jitter + 1) - jitter if jitter else step_ms
        value += random.below(way)
        exponent = exponents[random.below(len(exponents))]
        row = [time_ms, value // 10 ** (exponent + 2) if exponent > -2 else value * 10 ** (-2 - exponent), exponent, 0]
        if trouble and random.below(trouble) == 0:
            what = random.below(7)
            if what == 0:
                row[3] = 1 + random.below(3)
            elif what == 1:
                row[1] = random.below(5000000)  # garbage
            elif what == 2:
                time_ms += random.below(300) * step_ms  # an outage
                row[0] = time_ms
            elif what == 3:
                row[0] -= random.below(5) * step_ms  # late
            elif what == 4:
                value = random.below(100)  # the register begins anew
            elif what == 5:
                rows.append(list(row))  # a copy
            else:
                row[1] = -row[1]
        rows.append(tuple(row))
    return rows


@pytest.mark.requirement("T-8.2.1-1", "T-8.2.1-2", part="a year's columns on the host")
@pytest.mark.slow
@pytest.mark.parametrize("zone", [480, -210])
def test_a_regular_series_by_columns(zone):
    random = Random(11)
    for step_ms, jitter in ((60000, 0), (60000, 900), (900000, 20000), (7000, 3000)):
        rows = walk(random, 3000, step_ms, jitter)
        assert both((zone, None, None, step_ms, PERIODS), rows) > 100
        assert both((zone, 10**9, 10**6, step_ms, PERIODS), rows, chunks=7) > 100
    rows = [(BEGIN + 110 * 60000 + i * 60000, 5, 0, 0) for i in range(100)]  # begins at midnight and stands still
    both((zone, None, None, None, PERIODS), rows)


def test_readings_of_changing_decimals():
    random = Random(12)
    rows = walk(random, 2000, 60000, 7000, exponents=(-2, -3, -2, -5))
    both((480, None, None, 60000, PERIODS), rows, chunks=3)
    rows = walk(random, 2000, 60000, 7000, exponents=(-2,)) + walk(random, 300, 60000, 0)
    both((480, "1000000.5", None, 60000, PERIODS), rows)
    tens = [(BEGIN + i * 61000, i * i, 1, 0) for i in range(2000)]  # rounded to whole units, finer than the readings
    both((480, None, None, 60000, PERIODS), tens)


@pytest.mark.requirement("T-8.2.2-1", part="a year's columns on the host")
@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (0, *range(2, 12)))])
def test_events_are_the_cores(seed):
    random = Random(seed)
    for trouble in (3, 40, 400):
        rows = walk(random, 2500, 60000, (0, 5000)[seed & 1], trouble=trouble)
        limit = (None, "5000", "200")[seed % 3]
        both((480, ("12000", None, "10000")[trouble % 3], limit, 60000, PERIODS[seed & 1 :]), rows, 1 + seed)


def test_numbers_that_are_too_long_for_columns():
    rows = [(BEGIN + i * 61000, 2**61 + i * 7919, 0, 0) for i in range(200)]
    both((480, None, None, 60000, PERIODS), rows)
    rows = [(BEGIN + i * 61000, i * 10**14, 0, 0) for i in range(200)]  # the border's product is longer than int64
    both((480, None, None, 60000, PERIODS), rows)
    rows = [(BEGIN + i * 61000, i * 7, (0, -30)[i & 1], 0) for i in range(200)]
    both((480, None, None, 60000, PERIODS), rows)
    both((480, None, None, 60000, PERIODS), [(BEGIN, 1, 0, 0)])
    both((480, None, None, 60000, PERIODS), [(BEGIN, 1, 0, 3), (BEGIN + 1, 2, 0, 5)])
