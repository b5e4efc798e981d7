"""CEMS readings in a CSV file: columns with their units in the header, flags of HJ 212, hours and what fills them.

    time,co2[%],flow[Nm3/h],moisture[%],o2[%],o2wet[%],temperature[°C],pressure[kPa],flag

time, the concentration (co2, ch4, n2o or concentration) and flow are needed; a column without a unit has the one above.
"""

import json
import re
from pathlib import Path

from carbonterm import clock
from carbonterm.accounting import cems, substitution
from carbonterm.errors import AccountingError, CarbonError, quoted
from carbonterm.nearest import hint
from carbonterm.number import Number
from carbonterm_host.screen import USAGE, Failure, say
from carbonterm_host.series_csv import Line, lines, median, name_of, refuse

_HEADER = re.compile(r"([A-Za-z0-9_]+)\s*(?:\[(.*)\])?")
_SAME = {"co2": "concentration", "ch4": "concentration", "n2o": "concentration", "status": "flag"}


class Rows:
    """rows: (time_ms, flag, c, q) by time; interval_ms; setup; lines: how many rows the file has."""

    def __init__(self, rows, interval_ms, setup, count):
        self.rows = rows
        self.interval_ms = interval_ms
        self.setup = setup
        self.count = count


def read(file, make_setup, stated, interval_ms=None):
    """Rows of a file. make_setup(units by column, gas of the column's name or None) gives the cems.Setup; stated:
    Numbers for columns that the file has not."""
    mistakes = []
    everything = lines(file, mistakes)
    refuse(mistakes)
    if not everything:
        raise Failure(USAGE, say(f"{name_of(file)} is empty", f"{name_of(file)} 为空"), "time,co2,flow")
    names, units, gas = _header(file, everything[0][1])
    setup = make_setup(units, gas)
    for wanted in setup.wants():
        if wanted not in names and wanted not in stated:
            _lacks(file, wanted, setup)
    values, last = [], None
    for line, cells in everything[1:]:
        with Line(file, line, mistakes):
            row = dict(zip(names, cells, strict=False))
            time_ms = clock.parse(row["time"])
            if last is not None and time_ms <= last:
                raise AccountingError(f"{row['time']} is not after the row before", "sort the file by time, each once")
            last = time_ms
            values.append((time_ms, *_one(setup, row, stated)))
    refuse(mistakes)
    if not values:
        raise Failure(USAGE, say(f"{name_of(file)} has no readings", f"{name_of(file)} 中没有读数"))
    interval_ms = interval_ms or median([row[0] for row in values]) or 3600000
    return Rows(values, interval_ms, setup, len(values))


def _one(setup, row, stated):
    """(flag, c, q) of one row; the values of a reading that is flagged as invalid are not looked at."""
    flag = row.get("flag", "").upper()
    if flag not in cems.FLAGS:
        known = ", ".join(name for name in cems.FLAGS if name)
        raise AccountingError(f"unknown flag {quoted(flag)}", f"flags of HJ 212: {known}")
    if cems.FLAGS[flag] != cems.RUNS:
        return flag, None, None
    values = dict(stated)
    for name in cems.COLUMNS:
        if row.get(name):
            try:
                values[name] = Number(row[name])
            except CarbonError as error:
                raise AccountingError(f"{name}: {error.what}", error.hint) from error
    return flag, *cems.reading(setup, values)


def _header(file, cells):
    names, units, gas = [], {}, None
    for cell in cells:
        found = _HEADER.fullmatch(cell)
        name = found[1].lower() if found else cell.lower()
        if _SAME.get(name) == "concentration":
            gas = name.upper()
        name = _SAME.get(name, name)
        if name not in ("time", "flag", *cems.COLUMNS):
            known = ["time", "co2", "flow", "moisture", "o2", "o2wet", "temperature", "pressure", "flag"]
            raise Failure(USAGE, f"{name_of(file)}:1: unknown column {quoted(cell)}", hint(name, known, "columns"))
        if name in names:
            raise Failure(USAGE, f"{name_of(file)}:1: column {name} is there twice", "keep one")
        names.append(name)
        if found and found[2] is not None:
            units[name] = found[2].strip()
    if "time" not in names:
        raise Failure(USAGE, f"{name_of(file)}:1: column time is missing", "time,co2,flow")
    return names, units, gas


def _lacks(file, wanted, setup):
    why = {
        "moisture": say("concentration and flow are not on the same basis", "浓度与流量干湿基不同"),
        "o2": say("concentrations at a reference oxygen are turned back by it", "折算浓度须按实测氧还原"),
        "temperature": say("the flow is not at standard state", "流量为工况流量"),
        "pressure": say("the flow is not at standard state", "流量为工况流量"),
    }.get(wanted, say("a mass is concentration × flow", "排放量 = 浓度 × 流量"))
    way = say("add the column", "请补充该列")
    if wanted == "moisture":
        way += say(", or say --moisture, or the bases", "，或用 --moisture 给出，或更正干湿基")
    raise Failure(USAGE, f"{name_of(file)}:1: column {wanted} is missing: {why}", way)


def rule(name, file=None):
    """A rule of substitution: of those that are built in, or of a JSON file of the same fields."""
    if file is None:
        return substitution.RULES[name]
    try:
        found = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Failure(USAGE, f"{file}: {error}", "a JSON object, see docs/cems.md") from None
    try:
        substitution.check(found)
    except CarbonError as error:
        raise Failure(USAGE, f"{file}: {error.what}", error.hint) from error
    return found
