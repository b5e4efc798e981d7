"""`carbonterm settle`: settlements of the readings in a CSV file, by a terminal's rules (T/CSMT 8.1, 8.2, 12.4)."""

from enum import StrEnum

import typer
from rich.table import Table

from carbonterm import clock
from carbonterm.accounting.substitution import RULES
from carbonterm.errors import CarbonError, SeriesError, quoted
from carbonterm.number import Number
from carbonterm.series import gaps
from carbonterm.series.closing import Settlement, Settler
from carbonterm.series.instant import AMOUNT, MEAN, PLACES, Instant
from carbonterm.series.register import LATE, ROLLOVER, WORDS
from carbonterm.series.validity import in_range
from carbonterm_host import substituted
from carbonterm_host.commands import settle_year
from carbonterm_host.screen import FINDING, JSON, OK, USAGE, Failure, console, put, say
from carbonterm_host.series_csv import Line, median, name_of, ordered, readings, refuse, table

EVENTS = ("replaced", "reset")
QUALITIES = {"good": "正常", "estimated": "估算", "suspect": "可疑", "invalid": "无效"}
_HOW_ZH = {"linear": "线性插值", "nearest": "最近邻插值"}
OUTSIDE = "outside the range"
_WHY_ZH = {"backwards": "读数倒退", "faster than the limit": "增量超限", OUTSIDE: "超出有效范围"}


class Period(StrEnum):
    minute = "minute"
    hour = "hour"
    day = "day"
    month = "month"
    year = "year"


class Values(StrEnum):
    mean = "mean"
    s = "s"
    min = "min"
    h = "h"
    d = "d"


class Filling(StrEnum):
    linear = "linear"
    nearest = "nearest"
    hj75 = "hj75"
    part75 = "part75"
    mrr = "mrr"


class Between(StrEnum):
    linear = "linear"
    step = "step"


_PER_MS = {Values.s: 1000, Values.min: 60000, Values.h: 3600000, Values.d: 86400000, Values.mean: 1}


def main(
    file: str = typer.Argument(
        ..., metavar="FILE", help="CSV with columns time,value, or - · 列 time,value，- 为标准输入; Parquet; bundle"
    ),
    modulus: str | None = typer.Option(None, metavar="N", help="10000 for 0…9999 · 满刻度模数（最大输出数 + 1）"),
    events: str | None = typer.Option(None, metavar="FILE", help="columns time,event,last,first · 换表、清零事件"),
    period: Period = typer.Option(Period.day, help="period to settle · 结算周期"),
    zone: str = typer.Option("+08:00", help="offset in which days begin · 时区"),
    limit: str | None = typer.Option(None, metavar="N", help="largest plausible increase per hour · 每小时最大增量"),
    interval: int | None = typer.Option(
        None, metavar="SECONDS", min=1, help="sampling interval, default the median spacing · 采集间隔，缺省取中位数"
    ),
    least: str | None = typer.Option(None, "--min", metavar="N", help="lowest valid value · 有效最小值"),
    most: str | None = typer.Option(None, "--max", metavar="N", help="highest valid value · 有效最大值"),
    instant: Values | None = typer.Option(
        None, help="values of the moment: their mean, or a rate per s, min, h, d as an amount · 瞬时量：平均或积分"
    ),
    rule: Between = typer.Option(Between.linear, help="between two values of the moment · 相邻两值之间"),
    fill: Filling | None = typer.Option(
        None, help="fill gaps from the days around them, or hours by CEMS rules · 缺失补全（前后两天或 CEMS 规则）"
    ),
    site: str | None = typer.Option(None, metavar="SITE.yaml", help="its points and sources, for Parquet · 站点配置"),
    out: str | None = typer.Option(None, metavar="FILE.parquet", help="every period of every point · 输出文件"),
    json: bool = JSON,
):
    """Settle the readings of one register: increment, max and min per period · 日结：周期增量与最大、最小值

    With --instant they are values of the moment. The sum of all periods is last minus first, over rollovers,
    replacements and outages. Exit code 1 where readings are suspect (in no total). docs/series.md says the rules.
    Parquet (time and a column for each point, or time,point,value) and bundles are settled and accounted whole.
    """
    if settle_year.is_one(file):
        if any(one is not None for one in (events, least, most, instant, fill)):
            what = "--events, --min, --max, --instant and --fill are for CSV"
            raise Failure(USAGE, what, "a site.yaml says what its points are: --site SITE.yaml")
        own = {"zone": zone, "modulus": modulus, "limit": limit, "interval_ms": interval and interval * 1000}
        return settle_year.run(file, period.value, json, site, out, **own)
    if site or out:
        raise Failure(USAGE, "--site and --out are for Parquet and bundles", "leave them out")
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
        ends = [None if text is None else Number(text) for text in (least, most)]
        if instant:
            if modulus or limit or events:
                raise SeriesError("values of the moment have no modulus, limit or events", "leave them out")
            settles = (MEAN, AMOUNT)[instant != Values.mean], gaps.METHODS.index(rule)
            if fill in substituted.RULES and (instant == Values.mean or level < clock.HOUR):
                raise SeriesError(f"{fill} stands for hours of an amount", "--instant h --period hour, or longer")
            how = None if fill is None or fill in substituted.RULES else gaps.method(fill)
            settler = Instant(zone_minutes, *settles, _PER_MS[instant], interval_ms, how, (level,))
        else:
            if fill not in (None, Filling.linear):
                hint = "what a register counted in a gap is known: --fill linear lays it evenly over the gap"
                raise SeriesError(f"a register's gap is not filled by {fill}", hint)
            settler = Settler(zone_minutes, modulus, limit, interval_ms, (level,))
    except CarbonError as error:
        raise Failure(USAGE, error.what, error.hint) from error
    outside = [row for row in present if not in_range(row[2], *ends)]
    inside = [row for row in present if in_range(row[2], *ends)]
    fills = []
    if instant:
        settlements, suspect = _flow(settler, inside, fills), []
        if settler.value is None:
            raise Failure(USAGE, say("no reading lies in the range", "没有有效读数"))
    else:
        settlements, suspect = _settle(settler, inside, changes, events, zone_minutes, fills if fill else None)
    suspect += [_suspect(line, time_ms, value, OUTSIDE, zone_minutes) for line, time_ms, value in outside]
    suspect.sort(key=lambda row: row["line"])
    last, total = settler.open(level), settler.total
    substitutes = []
    if fill in substituted.RULES:
        settlements, substitutes, total = _substituted(inside, zone_minutes, settler, fill, level)
    elif not settlements or last.start_ms < (settler.time_ms if instant else settler.register.time_ms):
        settlements.append(last)
    view = {
        "periods": [_view(s, zone_minutes) for s in settlements],
        "total": None if instant == Values.mean else str(total),
        "readings": len(present),
        "missing": len(rows) - len(present),
        "duplicates": duplicates,
        "first": {"time": clock.text(present[0][1], zone_minutes), "value": str(present[0][2])},
        "last": {"time": clock.text(present[-1][1], zone_minutes), "value": str(present[-1][2])},
        "interval": None if interval_ms is None else str(Number(interval_ms, -3).normal()),
        "suspect": suspect,
        "fills": [_filled(one, zone_minutes) for one in fills] + substitutes,
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


def _flow(settler, rows, fills):
    """Settlements of values of the moment, each period once: what a fill added is in it, with the latest quality."""
    found = {}
    for _, time_ms, value in rows:
        for one in settler.feed(time_ms, value):
            before = found.get(one.start_ms)
            if before is not None and before.increment is not None:
                total = before.increment + one.increment
                one = Settlement(one.period, one.start_ms, one.end_ms, total, before.max, before.min, one.quality,
                                 before.readings)  # fmt: skip
            found[one.start_ms] = one
        fills += settler.fills
    return [found[start] for start in sorted(found)]


def _substituted(rows, zone, settler, name, level):
    """(settlements, gaps as --json has them, total) of the whole hours of a rate, by a rule for CEMS."""
    valid = RULES[name]["valid"]
    made = substituted.hours([row[1:] for row in rows], zone, settler.rule, settler.per_ms, settler.interval_ms, valid)
    views = substituted.substitute(made, name, zone)
    return substituted.settle(made, level, zone), views, Number(sum(one.amount or 0 for one in made), -PLACES)


def _settle(settler, rows, changes, events, zone, fills=None):
    """(settlements, suspect readings); gaps go to `fills` if it is a list. A reading at an event's own time is the old
    meter's, and comes before the event, where it is nearer to the old register than to the new one."""
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
        value, since = row[2], settler.gap(time_ms)
        settlements += settler.feed(time_ms, value)
        if fills is not None and since and settler.verdict <= ROLLOVER:
            fills.append(gaps.counted(since, time_ms, value, settler.total))
        if settler.verdict > ROLLOVER and not (settler.verdict == LATE and value == settler.register.value):
            why = WORDS[settler.verdict]
            suspect.append(_suspect(line, time_ms, value, why, zone))
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
        "increment": None if settlement.increment is None else str(settlement.increment),
        "max": None if settlement.max is None else str(settlement.max),
        "min": None if settlement.min is None else str(settlement.min),
        "quality": list(QUALITIES)[settlement.quality],
    }


def _suspect(line, time_ms, value, why, zone):
    return {"line": line, "time": clock.text(time_ms, zone), "value": str(value), "why": why}


def _filled(fill, zone):
    """A gap and what became of it; "added" is null where too little is known of the two days around it."""
    return {
        "from": clock.text(fill.from_ms, zone), "to": clock.text(fill.to_ms, zone), "method": gaps.METHODS[fill.rule],
        "first": str(fill.first), "last": str(fill.last),
        "known_hours": [str((Number(part) / 3600000).round(2).normal()) for part in fill.days],
        "before": str(fill.before), "after": None if fill.after is None else str(fill.after),
        "added": None if fill.after is None else str(fill.after - fill.before),
    }  # fmt: skip


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
        table.add_row(start, row["increment"] or "—", row["max"] or "—", row["min"] or "—", quality)
    screen.print(table)
    total, count = view["total"], view["readings"]
    if total is None:
        screen.print(say(f"Means of {count} readings, weighted by time", f"{count} 个读数的时间加权平均"))
    else:
        screen.print(say(f"Total {total} from {count} readings", f"合计 {total}，读数 {count} 个"))
    for row in view["fills"]:
        span = f"{row['from']} – {row['to']}"
        if "how" in row:
            what = say("not all hours can be substituted", "部分小时无法替代") if row["added"] is None else row["how"]
            what = f"{row['method']}, {row['hours']} h: {what}" + (f", {row['added']}" if row["added"] else "")
        elif row["added"] is None:
            known = ", ".join(row["known_hours"])
            what = say(f"not filled: of the four days around it {known} h are known, 18 each are needed",
                       f"未补全：前后四天已知 {known} 小时，每天需 18 小时")  # fmt: skip
        elif row["method"] == "counted":
            what = say(f"the register counted {row['added']}, laid evenly", f"表计累计 {row['added']}，均匀分摊")
        else:
            what = say(f"{row['method']}, {row['added']} added", f"{_HOW_ZH[row['method']]}，补入 {row['added']}")
        screen.print(say("gap", "缺失") + f" {span}: {what}", soft_wrap=True)
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
