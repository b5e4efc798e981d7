"""`carbonterm gaps`: where a log has no readings, for how many working days, and what was filled (docs/series.md)."""

from pathlib import Path

import typer
from rich.markup import escape
from rich.table import Table

from carbonterm.errors import CarbonError
from carbonterm.ledger import entry as entries
from carbonterm.series.downtime import LIMIT_DAYS
from carbonterm_host import bundles, standstills
from carbonterm_host.screen import FINDING, JSON, OK, UNVERIFIED, Failure, console, put, say

METHODS_ZH = {"linear": "线性插值", "nearest": "最近邻插值", "counted": "表计累计"}


def main(
    file: Path = typer.Argument(help="FILE.bundle"),
    least: float = typer.Option(0, "--hours", min=0, help="only from so many hours on · 仅列出不短于此的（小时）"),
    json: bool = JSON,
):
    """List gaps of points and standstills of the terminal; exit code 1 above 3 working days (12.4) · 缺失与停运."""
    found = bundles.read(file)
    try:
        rows, site = standstills.walk(entries.decode(raw) for raw, _ in found.entries)
    except CarbonError as error:
        raise Failure(UNVERIFIED, f"{file}: {error.what}", "see carbonterm verify for all that is wrong") from None
    zone = site.zone if site else 0
    rows = [row for row in rows if row.until_ms - row.from_ms >= least * 3600000]
    over = sum(row.over for row in rows)
    if json:
        put({"terminal": found.terminal_id, "gaps": [row.view(zone) for row in rows], "over": over})
    else:
        _show(rows, zone, over)
    return FINDING if over else OK


def _show(rows, zone, over):
    if not rows:
        print(say("no gaps", "没有缺失"))
        return
    table = Table(title=say("Gaps and standstills", "缺失与停运"), title_justify="left")
    for heading in (say("point", "数据点"), say("from", "起"), say("to", "止")):
        table.add_column(heading, overflow="fold")
    table.add_column(say("working days", "工作日"), justify="right")
    table.add_column(say("filled", "补全"))
    for row in rows:
        view = row.view(zone)
        fill = view["fill"]
        told = "—"
        if fill is not None:
            told = say("not filled", "未补全")
            if fill["added"] is not None:
                told = say(fill["method"], METHODS_ZH[fill["method"]]) + f" {fill['added']}"
        name = say("(terminal)", "（终端）") if row.name is None else escape(row.name)
        mark = " ✗" if row.over else ""
        table.add_row(name, view["from"], view["to"] or say("goes on", "未结束"), view["working_days"] + mark, told)
    console().print(table)
    if over:
        print(say(f"{over} longer than {LIMIT_DAYS} working days", f"{over} 项超过 {LIMIT_DAYS} 个工作日"))
