"""A year of minutes: what the terminal's code derives, reading by reading, is what the host computes in columns."""

import subprocess
from array import array

import numpy as np
import pytest

import minutes
import runtimes
from carbonterm.ledger import entry as entries
from carbonterm_host.batch import year
from carbonterm_host.batch.parquet import Column

DAYS = "import minutes\nprint(minutes.digest(minutes.folded(minutes.site(50), minutes.readings(50, 1700, 3, 5000))))"


def columns(where, rows):
    """(point's name, Column) of readings as the terminal had them."""
    found = [[array(code) for code in "qqhb"] for _ in where.points]
    for time_ms, body in rows:
        for point, offset, quality, exponent, mantissa in body:
            for column, value in zip(found[point], (time_ms + offset, mantissa or 0, exponent, quality), strict=True):
                column.append(value)
    for point, table in zip(where.points, found, strict=True):
        yield point.name, Column(*(np.array(column) for column in table))


def told(found):
    """{(kind, period, start): rows} of a Year, as the log has them."""
    told = {}
    for period in found.site.settings.closings:
        for index, settled in found.settled.items():
            names = "start", "quality", "exponent", "increment", "high", "low", "measured"
            table = settled.columns(period)
            for start, *numbers, measured in zip(*(table[name].tolist() for name in names), strict=True):
                row = [index, *(numbers if measured else [*numbers[:3], None, None])]
                told.setdefault((entries.CLOSING, period, start), []).append(row)
        for index in range(len(found.site.sources)):
            table = found.emissions(index, period)
            names = "start", "quality", "mantissa"
            for start, quality, mantissa in zip(*(table[name].tolist() for name in names), strict=True):
                told.setdefault((entries.EMISSION, period, start), []).append([index, quality, -6, mantissa])
    return told


def gathered(bodies):
    """The same of derived entries; a period's points may have closed one after the other."""
    found, count = {}, 0
    for kind, body in bodies:
        rows = body[2] if kind == entries.CLOSING else [row[:4] for row in body[3]]
        found.setdefault((kind, body[0], body[1]), []).extend(rows)
        count += 1
    return {key: sorted(rows) for key, rows in found.items()}, count


def same(points, count, seed, trouble):
    where = minutes.site(points)
    rows = points, count, seed, trouble
    wanted, entries_count = gathered(minutes.folded(where, minutes.readings(*rows)))
    found = told(year.of_columns(where, columns(where, minutes.readings(*rows))))
    assert {key: sorted(table) for key, table in found.items()} == wanted
    return entries_count


@pytest.mark.requirement("T-8.2.1-1", "T-8.2.1-2", "T-8.2.2-1", part="a year on the host is the terminal's")
def test_a_day_of_four_points():
    assert same(4, 1700, 5, 300) > 60


@pytest.mark.slow
def test_a_year_of_minutes_is_the_terminals_bit_for_bit():
    assert same(2, 366 * 1440, 9, 20000) > 8760 * 2


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["micropython", "micropython32"])
def test_a_day_of_fifty_points_on_the_terminals_runtime(runtime):
    where = minutes.site(50)
    rows = list(minutes.readings(50, 1700, 3, 5000))
    bodies = list(minutes.folded(where, rows))
    try:
        command, env = runtimes.command(runtime)
    except runtimes.Unavailable as reason:
        pytest.skip(str(reason))
    done = subprocess.run([*command, "-c", DAYS], env=env, capture_output=True, text=True, timeout=500, check=True)
    assert done.stdout.strip() == str(minutes.digest(bodies))
    found = told(year.of_columns(where, columns(where, rows)))
    assert {key: sorted(table) for key, table in found.items()} == gathered(bodies)[0]
