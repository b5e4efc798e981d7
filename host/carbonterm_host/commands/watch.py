"""carbonterm watch: a live table of a terminal's points, or of a site's meters (docs/commissioning.md)."""

import getpass
import json as _json
import sys
import time
from pathlib import Path

import typer
from rich.live import Live
from rich.table import Table

from carbonterm import clock
from carbonterm_host import desk, site_yaml
from carbonterm_host.screen import JSON, OK, UNREACHABLE, USAGE, Failure, console, put, say

QUALITY = ("good", "", "suspect", "invalid", "silent", "refused")
_CHINESE = {"good": "正常", "suspect": "可疑", "invalid": "无效", "silent": "无应答", "refused": "拒绝",
            "total": "累计值"}  # fmt: skip


def main(
    place: str = typer.Argument(help="a terminal's folder or socket, or site.yaml · 终端目录或站点文件"),
    meter: str | None = typer.Option(None, help="this meter only · 仅此仪表"),
    bus: str | None = typer.Option(None, help="this bus only · 仅此总线"),
    every: float = typer.Option(2, min=0.1, help="seconds between two looks · 刷新周期，秒"),
    times: int = typer.Option(0, min=0, help="how many looks, 0: until Ctrl-C · 次数"),
    who: str | None = typer.Option(None, help="your name, for the terminal's log · 操作人"),
    json: bool = JSON,
):
    """Show the points of a terminal as it reads them, or read a site.yaml's meters from here · 实时数据表.

    A terminal is asked by its maintenance socket; where it has none, its status file says the totals.
    """
    path, document = Path(place), None
    if path.suffix in (".yaml", ".yml"):
        document = compiled(path).canonical()
    elif path.is_dir() and not (path / desk.SOCKET).exists():
        return _follow(lambda: _totals(path / "status.json"), every, times, json)
    elif not path.exists():
        raise Failure(USAGE, f"there is no {place}", "name a terminal's folder or socket, or a site.yaml")
    question = {"do": "watch"} | ({"meter": meter} if meter else {})
    target = None if document else place
    with desk.Desk.at(target, who or getpass.getuser(), bus, document) as asked:
        return _follow(lambda: list(asked.ask(question)), every, times, json)


def compiled(file):
    """The Site of a site.yaml; Failure or its mistakes."""
    try:
        return site_yaml.compile_file(file)
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(USAGE, f"{file} cannot be read: {error}", "name a site.yaml") from None


def _follow(look, every, times, json):
    """Looks again and again; a table that stays in place on a terminal, else one below the other."""
    looks = 0
    live = Live(console=console(), auto_refresh=False) if sys.stdout.isatty() and not json else None
    if live:
        live.start()
    try:
        while True:
            rows = look()
            if json:
                put({"points": [_plain(row) for row in rows]})
            elif live:
                live.update(_table(rows), refresh=True)
            else:
                console().print(_table(rows))
            looks += 1
            if looks == times:
                return OK
            time.sleep(every)
    finally:
        if live:
            live.stop()


def _totals(file):
    """Rows of the status file: it knows running totals only."""
    try:
        status = _json.loads(file.read_text())
    except (OSError, ValueError):
        raise Failure(UNREACHABLE, f"{file} cannot be read", "is a terminal running in this folder?") from None
    return [
        {"point": name, "meter": None, "bus": None, "unit": unit, "value": total, "quality": None,
         "time_ms": status.get("time_ms"), "zone": status.get("zone", 0), "total": True}
        for name, unit, total in status.get("points", ())
    ]  # fmt: skip


def _plain(row):
    row = {name: value for name, value in row.items() if name != "event"}
    return row | {"quality": None if row["quality"] is None else QUALITY[row["quality"]]}


def _table(rows):
    table, zone = Table(), rows[0].get("zone", 0) if rows else 0
    for heading in (say("point", "数据点"), say("meter", "仪表"), say("value", "数值"), say("unit", "单位"),
                    say("quality", "质量"), say("at ", "时间 ") + clock.zone_text(zone)):  # fmt: skip
        table.add_column(heading, overflow="fold")
    for row in map(_plain, rows):
        value = "–" if row["value"] is None else row["value"]
        quality = row["quality"] or ("total" if row.get("total") else "")
        at = clock.text(row["time_ms"], zone)[11:19] if row["time_ms"] else ""
        quality = say(quality, _CHINESE.get(quality, quality))
        table.add_row(row["point"], row["meter"] or "", value, row["unit"], quality, at)
    return table
