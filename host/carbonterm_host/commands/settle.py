"""`carbonterm settle`: settlements of the readings in a CSV file, by the rules of the terminal (T/CSMT clause 8.2)."""

from enum import StrEnum

import typer
from rich.table import Table

from carbonterm import clock
from carbonterm.errors import CarbonError, SeriesError, quoted
from carbonterm.number import Number
from carbonterm.series.closing import Settler
from carbonterm.series.register import LATE, ROLLOVER, WORDS
from carbonterm_host.screen import FINDING, JSON, OK, USAGE, Failure, console, put, say
from carbonterm_host.series_csv import Line, median, name_of, ordered, readings, refuse, table

EVENTS = ("replaced", "reset")
QUALITIES = {"good": "正常", "estimated": "估算", "suspect": "可疑"}
_WHY_ZH = {"backwards": "读数倒退", "faster than the limit": "增量超限"}


class Period(StrEnum):
    minute = "minute"
    hour = "hour"
    day = "day"
    month = "month"
    year = "year"


def main(
    file: str = typer.Argument(..., metavar="FILE.csv", help="columns time,value; or - · 列 time,value，- 为标准输入"),
    modulus: str | None = typer.Option(None, metavar="N", help="10000 for 0…9999 · 满刻度模数（最大输出数 + 1）"),
    events: str | None = typer.Option(None, metavar="FILE", help="columns time,event,last,first · 换表、清零事件"),
    period: Period = typer.Option(Period.day, help="period to settle · 结算周期"),
    zone: str = typer.Option("+08:00", help="offset in which days begin · 时区"),
    limit: str | None = typer.Option(None, metavar="N", help="largest plausible increase per hour · 每小时最大增量"),
    interval: int | None = typer.Option(
        None, metavar="SECONDS", min=1, help="sampling interval, default the median spacing · 采集间隔，缺省取中位数"
    ),
    json: bool = JSON,
):
    """Settle the readings of one register: increment, max and min per period · 日结：周期增量与最大、最小值

    The sum of all periods is last minus first, over rollovers, replacements and outages. Exit code 1 where readings
    are suspect (held, in no total). docs/series.md says the rules.
    """
    mistakes = []
    rows = readings(file, mistakes)
    changes = _events(events, mistakes) if events else []
    refuse(mistakes)
    rows, duplicates = ordered(file, rows)
    present = [row for row in rows if row[2] is not None]
    interval_ms = interval * 1000 if interval else median([row[1] for row in present])
    level = clock.PERIODS.index(period)
    try:
        zone_minutes = clock.parse_zone(zone)
        settler = Settler(zone_minutes, modulus, limit, interval_ms, (level,))
    except CarbonError as error:
        raise Failure(USAGE, error.what, error.hint) from error
    settlements, suspect = _settle(settler, present, changes, events, zone_minutes)
    last = settler.open(level)
    if not settlements or last.start_ms < settler.register.time_ms:
        settlements.append(last)
    view = {
        "periods": [_view(s, zone_minutes) for s in settlements],
        "total": str(settler.total),
        "readings": len(present),
        "missing": len(rows) - len(present),
        "duplicates": duplicates,
        "first": {"time": clock.text(present[0][1], zone_minutes), "value": str(present[0][2])},
        "last": {"time": clock.text(present[-1][1], zone_minutes), "value": str(present[-1][2])},
        "interval": None if interval_ms is None else str(Number(interval_ms, -3).normal()),
        "suspect": suspect,
    }
    if json:
        put(view)
    else:
        _show(view, level, file)
    return FINDING if suspect else OK


def _events(file, mistakes):
    """(line, time_ms, last, first) of each row."""
    rows = []
    for line, cells in table(file, ("time", "event", "last", "first"), mistakes):
        with Line(file, line, mistakes):
            if cells["event"] not in EVENTS:
                raise SeriesError(f"unknown event {quoted(cells['event'])}", f"known events: {', '.join(EVENTS)}")
            rows.append((line, clock.parse(cells["time"]), Number(cells["last"]), Number(cells["first"])))
    return rows


# --- the series ----------------------------------------------------------------------------------------------------


def _settle(settler, rows, changes, events, zone):
    """(settlements, suspect readings). A reading at an event's own time is the old meter's, and comes before the event,
    where it is nearer to the old register than to the new one."""
    borders = {time_ms: (last, first) for _, time_ms, last, first in changes}
    steps = []
    for row in rows:
        last, first = borders.get(row[1], (None, None))
        old = last is not None and abs(row[2] - last) <= abs(row[2] - first)
        steps.append((row[1], 0 if old else 2, row[0], row))
    steps += [(row[1], 1, row[0], row) for row in changes]
    steps.sort(key=lambda step: step[:3])
    settlements, suspect, refused = [], [], []
    for time_ms, kind, line, row in steps:
        if kind == 1:
            with Line(events, line, refused):
                settlements += settler.replaced(time_ms, row[2], row[3])
            continue
        value = row[2]
        settlements += settler.feed(time_ms, value)
        if settler.verdict > ROLLOVER and not (settler.verdict == LATE and value == settler.register.value):
            why = WORDS[settler.verdict]
            suspect.append({"line": line, "time": clock.text(time_ms, zone), "value": str(value), "why": why})
    if refused:
        raise Failure(USAGE, "\n".join(refused))
    if settler.register.value is None:
        hint = say("the modulus is the maximum output number + 1", "模数为最大输出数 + 1")
        raise Failure(USAGE, say("no reading lies inside the register", "没有有效读数"), hint)
    return settlements, suspect


def _view(settlement, zone):
    return {
        "start": clock.text(settlement.start_ms, zone),
        "end": clock.text(settlement.end_ms, zone),
        "increment": str(settlement.increment),
        "max": None if settlement.max is None else str(settlement.max),
        "min": None if settlement.min is None else str(settlement.min),
        "quality": list(QUALITIES)[settlement.quality],
    }


def _show(view, level, file):
    screen = console()
    table = Table(title=say(f"Settlements of {name_of(file)}", f"结算：{name_of(file)}"), title_justify="left")
    table.add_column(say("From", "起始"), no_wrap=True)
    headings = (say("Increment", "增量"), say("Max", "最大值"), say("Min", "最小值"))
    for heading in headings:
        table.add_column(heading, justify="right", overflow="fold")
    table.add_column(say("Quality", "质量"), no_wrap=True)
    size = {clock.YEAR: 4, clock.MONTH: 7, clock.DAY: 10}.get(level, 16)
    for row in view["periods"]:
        quality = say(row["quality"], QUALITIES[row["quality"]])
        start = row["start"][:size].replace("T", " ")
        table.add_row(start, row["increment"], row["max"] or "—", row["min"] or "—", quality)
    screen.print(table)
    total, count = view["total"], view["readings"]
    screen.print(say(f"Total {total} from {count} readings", f"合计 {total}，读数 {count} 个"))
    for key, text in (
        ("duplicates", say("copies of readings left out", "重复读数已忽略")),
        ("missing", say("rows without a value", "缺失值")),
    ):
        if view[key]:
            screen.print(f"{text}: {view[key]}")
    for row in view["suspect"]:
        why = say(row["why"], _WHY_ZH.get(row["why"], "超出量程"))
        where = f"{name_of(file)}:{row['line']}"
        screen.print(say("suspect", "可疑") + f": {where} {row['time']} {row['value']}: {why}", soft_wrap=True)
    if view["suspect"]:
        screen.print(
            say(
                "Suspect readings are in no total. If the meter was replaced or reset, say so with --events.",
                "可疑读数不计入合计；如有换表或清零，请用 --events 说明。",
            )
        )
