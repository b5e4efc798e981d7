"""`carbonterm meters list | report`: instruments of a log, certificates and results (docs/instruments.md)."""

import csv
import sys
import tempfile
import time
from pathlib import Path

import typer
from rich.markup import escape
from rich.table import Table

from carbonterm import clock
from carbonterm.errors import CarbonError
from carbonterm_host import bundles
from carbonterm_host.commands import pull
from carbonterm_host.instruments import Instruments, moment
from carbonterm_host.screen import FINDING, JSON, OK, UNVERIFIED, USAGE, Failure, console, put, say

app = typer.Typer(no_args_is_help=True, help="measuring instruments · 计量器具")

LOG = typer.Argument(metavar="BUNDLE|DATA", help="a bundle, or the data folder of a terminal · 日志")
CSV = typer.Option(False, "--csv", help="comma-separated values with a heading · 输出 CSV")
LIST_COLUMNS = ("name", "model", "serial", "identifier", "asset", "place", "bus", "unit", "identified",
                "identification")  # fmt: skip
CERTIFICATE_COLUMNS = ("number", "authority", "date", "due", "result", "uncertainty", "k", "standard", "file_sm3",
                       "days_left", "holds")  # fmt: skip
REPORT_COLUMNS = ("start", "increment", "max", "min", "quality", "serial", "certificate", "certified")


@app.command("list")
def listed(file: Path = LOG, as_csv: bool = CSV, json: bool = JSON):
    """Every instrument: record, identification, certificate, chain to the standard. Exit 1: one lacks it. 清单"""
    terminal_id, found = _folded(file, as_csv and json)
    rows = found.listed(time.time_ns() // 1_000_000)
    good = all(row["certificate"] and row["certificate"]["holds"] and row["identified"] is not False for row in rows)
    if json:
        put({"terminal": terminal_id, "ok": good, "meters": rows})
    elif as_csv:
        flat = [
            [*(row[name] for name in LIST_COLUMNS),
             *((row["certificate"] or {}).get(name) for name in CERTIFICATE_COLUMNS), " → ".join(row.get("chain", ()))]
            for row in rows
        ]  # fmt: skip
        _csv([*LIST_COLUMNS, *(f"certificate_{name}" for name in CERTIFICATE_COLUMNS), "chain"], flat)
    else:
        _show(rows)
    return OK if good else FINDING


@app.command()
def report(
    file: Path = LOG,
    meter: str = typer.Argument(metavar="NAME", help="name of the instrument · 仪表名称"),
    start: str = typer.Option(..., "--from", help="date in the site's zone, or ISO 8601 · 起"),
    end: str = typer.Option(..., "--to", help="the same; not itself included · 止"),
    period: str = typer.Option("day", help="minute hour day month year · 周期"),
    as_csv: bool = CSV,
    json: bool = JSON,
):
    """What an instrument measured in a time: settlements, totals, readings, and the certificates behind them. 报告"""
    if period not in clock.PERIODS[1:]:
        raise Failure(USAGE, f"{period!r} is no period", "one of " + " ".join(clock.PERIODS[1:]))
    terminal_id, found = _folded(file, as_csv and json)
    if not found.known(meter):
        raise Failure(USAGE, f"there is no instrument {meter!r} in the log", "carbonterm meters list shows them")
    try:
        from_ms, to_ms = moment(start, found.site.zone), moment(end, found.site.zone)
    except CarbonError as error:
        raise Failure(USAGE, error.what, error.hint) from None
    if to_ms <= from_ms:
        raise Failure(USAGE, "--to is not later than --from", "turn them round")
    result = found.report(meter, clock.PERIODS.index(period), from_ms, to_ms)
    record = next((row for row in found.listed(to_ms) if row["name"] == meter), None)
    if json:
        zone = found.site.zone
        put({"terminal": terminal_id, "meter": meter, "record": record, "period": period,
             "from": clock.text(from_ms, zone), "to": clock.text(to_ms, zone), **result})  # fmt: skip
    elif as_csv:
        flat = [
            [meter, row["point"], row["unit"], period, *(one[name] for name in REPORT_COLUMNS)]
            for row in result["points"] for one in row["settlements"]
        ]  # fmt: skip
        _csv(["meter", "point", "unit", "period", *REPORT_COLUMNS], flat)
    else:
        _show([record] if record else [])
        _show_results(result)
    return OK


def _folded(path, both):
    """(terminal id, Instruments) of a bundle or data folder; its signatures are the affair of carbonterm verify."""
    if both:
        raise Failure(USAGE, "--csv and --json exclude each other", "give one of them")
    try:
        if path.is_dir():
            with tempfile.TemporaryDirectory() as folder:
                pull.to_file(path, Path(folder) / "log.bundle")
                bundle = bundles.read(Path(folder) / "log.bundle")
        else:
            bundle = bundles.read(path)
        found = Instruments(raw for raw, _ in bundle.entries)
    except CarbonError as error:
        raise Failure(UNVERIFIED, f"{path}: {error.what}", error.hint) from None
    if found.site is None:
        raise Failure(USAGE, f"{path}: the log holds no site document", "give a configured terminal's")
    return bundle.terminal_id, found


def _csv(heading, rows):
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(heading)
    writer.writerows([[_cell(value) for value in row] for row in rows])


def _cell(value):
    """A value of a CSV file that no spreadsheet takes for a formula."""
    if isinstance(value, str) and value[:1] in ("=", "+", "@", "\t", "\r"):
        return "'" + value
    return value


def _show(rows):
    out = console()
    for row in rows:
        word = {True: say("identified", "标识相符"), False: say("IDENTITY MISMATCH", "标识不符"),
                None: say("not identified", "未核对")}[row["identified"]]  # fmt: skip
        out.print(f"[bold]{escape(row['name'])}[/bold] {escape(row['model'])} · {word}", soft_wrap=True)
        told = (str(row[name] or "–") for name in ("serial", "identifier", "asset", "place"))
        out.print("  " + say("serial, identifier, asset, place: ", "编号、标识、资产号、位置：")
                  + escape(" / ".join(told)), soft_wrap=True)  # fmt: skip
        certificate = row["certificate"]
        if certificate is None:
            out.print("  " + say("! no certificate on record: traceable to nothing", "! 无证书：无法溯源"))
            continue
        words = [certificate[name] for name in ("number", "authority", "date", "result", "uncertainty")]
        out.print("  " + escape(", ".join(str(word) for word in words if word) + (
            f" (k = {certificate['k']})" if certificate["k"] else "")), soft_wrap=True)  # fmt: skip
        left = say(f"due {certificate['due']}, {certificate['days_left']} days left",
                   f"有效期至 {certificate['due']}，余 {certificate['days_left']} 天")  # fmt: skip
        out.print("  " + left + ("" if certificate["holds"] else say("  ! DOES NOT HOLD", "  ! 无效")))
        out.print("  " + escape(" → ".join(row["chain"])), soft_wrap=True)


def _show_results(result):
    table = Table(box=None, header_style="bold")
    for heading in (say("point", "数据点"), say("start", "开始"), say("increment", "增量"), "max", "min",
                    say("quality", "质量"), say("certificate", "证书")):  # fmt: skip
        table.add_column(heading)
    for row in result["points"]:
        for one in row["settlements"]:
            mark = "" if one["certified"] else " !"
            cells = [row["point"], one["start"], one["increment"], one["max"], one["min"], one["quality"],
                     (one["certificate"] or "–") + mark]  # fmt: skip
            table.add_row(*(escape("–" if cell is None else str(cell)) for cell in cells))
        table.add_row(escape(row["point"]), say("total", "合计"), row["total"] or "–", row["unit"] or "")
    out = console()
    out.print(table)
    for event in result["events"]:
        out.print(f"{event['time']} {escape(event['event'])}")
