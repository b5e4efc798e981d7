"""`carbonterm site check`: a site.yaml is right, or all its mistakes at once; -o writes the terminal's document."""

import time
from pathlib import Path

import typer
from rich.table import Table

from carbonterm import clock
from carbonterm.gm import sm3
from carbonterm_host import site_instrument, site_yaml
from carbonterm_host.screen import FINDING, JSON, USAGE, Failure, console, put, say

app = typer.Typer(help="the site document · 站点文档", no_args_is_help=True)


@app.callback()
def group():
    """The site document: what a terminal reads, accounts and delivers · 站点文档."""


@app.command()
def check(
    file: Path = typer.Argument(help="site.yaml"),
    output: Path | None = typer.Option(None, "-o", "--output", help="write the canonical document here · 输出规范文档"),
    json: bool = JSON,
):
    """Check a site.yaml; every mistake at once, with file, line and the way out · 检查站点文件."""
    try:
        site = site_yaml.compile_file(file)
    except site_yaml.Mistakes as mistakes:
        if not json:
            raise
        names = ("file", "line", "column", "what", "hint")
        put({"ok": False, "mistakes": [dict(zip(names, row, strict=True)) for row in mistakes.rows]})
        return FINDING
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(USAGE, f"{file} cannot be read: {error}", "name a site.yaml") from None
    document = site.canonical()
    warnings = [
        f"point '{point.name}': its register rolls over, and no limit says how fast it can run: "
        "a register that shows 0 by mistake would count as a rollover; give it a limit"
        for point in site.points
        if point.modulus is not None and point.limit is None
    ] + site_instrument.warnings(site, time.time_ns() // 1000000)
    if output:
        output.write_bytes(document)
    digest = sm3.digest(document).hex()
    if json:
        put({"ok": True, "terminal": site.terminal_id, "version": site.version, "digest": digest,
             "bytes": len(document), "points": len(site.points), "sources": len(site.sources),
             "warnings": warnings})  # fmt: skip
        return None
    out = console()
    table = Table(title=f"{site.terminal_id} · {site.name}", title_justify="left")
    for heading in (
        say("point", "数据点"),
        say("meter", "仪表"),
        say("unit", "单位"),
        say("every", "周期"),
        say("feeds", "排放源"),
    ):
        table.add_column(heading)
    feeds = {point: source.name for source in site.sources for feed in source.inputs for point, _, _ in feed.points}
    for index, point in enumerate(site.points):
        every = f"{point.interval_ms // 1000} s" if point.interval_ms % 1000 == 0 else f"{point.interval_ms} ms"
        table.add_row(point.name, site.meters[point.meter].name, point.unit, every, feeds.get(index, "–"))
    out.print(table)
    out.print(
        say("zone", "时区"),
        clock.zone_text(site.zone),
        " ",
        say("version", "版本"),
        site.version,
        " SM3",
        digest[:16] + "…",
    )
    for warning in warnings:
        out.print("! " + warning, soft_wrap=True)
    out.print(say("The site is right.", "站点文件正确。"))
    return None
