"""`carbonterm site check`: a site.yaml is right, or all its mistakes at once; -o writes the terminal's document."""

import time
from pathlib import Path

import typer
from rich.table import Table

from carbonterm import clock
from carbonterm import site_rows as sites
from carbonterm.field import inbound, places, plan
from carbonterm.gm import sm3
from carbonterm_host import site_formed, site_instrument, site_links, site_meter, site_nodes, site_yaml
from carbonterm_host.commands import site_link
from carbonterm_host.screen import FINDING, JSON, USAGE, Failure, console, put, say

app = typer.Typer(help="the site document · 站点文档", no_args_is_help=True)


app.command("links")(site_link.links)
app.command("link")(site_link.link)


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
    site = _compiled(file, json)
    if site is None:
        return FINDING
    document = site.canonical()
    warnings = [
        f"point '{point.name}': its register rolls over, and no limit says how fast it can run: "
        "a register that shows 0 by mistake would count as a rollover; give it a limit"
        for point in site.points
        if point.modulus is not None and point.limit is None
    ] + site_instrument.warnings(site, time.time_ns() // 1000000) + site_meter.warnings(site)
    warnings += site_links.warnings(site, time.time_ns() // 1000000)
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
    for index, point in enumerate(site.all_points[len(site.points) :], len(site.points)):
        made = say("by hand", "人工") if point.kind == sites.MANUAL else site_formed.lineage(site, point)
        table.add_row(point.name, made, point.unit, "–", feeds.get(index, "–"))
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


@app.command("plan")
def show_plan(
    file: Path = typer.Argument(help="site.yaml"),
    turnaround: int = typer.Option(
        plan.TURNAROUND_MS, min=0, max=10000, help="ms a meter takes to answer · 仪表应答时间，毫秒"
    ),
    json: bool = JSON,
):
    """Show what will be asked and how long it keeps each line busy, before anything runs · 总线时间预算."""
    site = _compiled(file, json)
    if site is None:
        return FINDING
    rows = []
    for index, bus in enumerate(site.buses):
        if bus.kind in inbound.KINDS:
            continue  # nobody is asked there
        merged = plan.Budget(site, index, turnaround_ms=turnaround)
        apart = plan.Budget(site, index, False, turnaround, refuse=False)
        serial = bus.kind not in ("modbus-tcp", places.INPUTS)
        rows.append({
            "bus": bus.name, "kind": bus.kind, "requests": merged.requests, "unmerged": apart.requests,
            "points": merged.points,
            "intervals": [
                {"interval_ms": interval, "requests": count, "points": points,
                 "busy_ms": -(-busy // 1000) if serial else None}
                for interval, count, points, busy in merged.rows
            ],
            "busy_percent": round(merged.share / 10000, 1) if serial else None,
            "unmerged_percent": round(apart.share / 10000, 1) if serial else None,
            "asked": [_asked(site, bus, request, turnaround) for request in plan.plan(site, index)],
        })  # fmt: skip
    if json:
        put({"turnaround_ms": turnaround, "buses": rows})
        return None
    out = console()
    for row in rows:
        table = Table(title=f"{row['bus']} · {row['kind']}", title_justify="left")
        for heading in (say("every", "周期"), say("meter", "仪表"), say("asked", "请求"), say("points", "点数"), "ms"):
            table.add_column(heading)
        for asked in row["asked"]:
            cells = plan.interval(asked["interval_ms"]), asked["meter"], asked["what"], str(len(asked["points"]))
            table.add_row(*cells, "–" if asked["ms"] is None else f"{asked['ms']:.1f}")
        out.print(table)
        for part in row["intervals"]:
            every, requests = part["interval_ms"], part["requests"]
            if part["busy_ms"] is None:
                text = say(f"{requests} requests every", f"{requests} 个请求，周期")
                out.print(f"{row['bus']}: {text} {plan.interval(every)}")
            else:
                of = say("of", "/")
                share = round(100 * part["busy_ms"] / every)
                out.print(f"{row['bus']}: {part['busy_ms'] / 1000:.1f} s {of} {every / 1000:g} s, {share} %")
        if row["busy_percent"] is not None:
            out.print(f"{row['bus']}: " + say(
                f"{row['requests']} requests keep the line busy {row['busy_percent']} % of the time, "
                f"without merging {row['unmerged']} requests {row['unmerged_percent']} %",
                f"{row['requests']} 个请求占用总线 {row['busy_percent']} %；"
                f"不合并为 {row['unmerged']} 个请求，{row['unmerged_percent']} %",
            ))  # fmt: skip
    out.print(say(f"A turnaround of {turnaround} ms is assumed.", f"假定仪表应答时间为 {turnaround} 毫秒。"))
    return None


@app.command("map")
def show_map(file: Path = typer.Argument(help="site.yaml"), json: bool = JSON):
    """Show which places of the plant are metered, by what, how often, and where not and why · 监测点位图."""
    site = _compiled(file, json)
    if site is None:
        return FINDING
    report = site_nodes.point_map(site, time.time_ns() // 1000000)
    if json:
        put(report)
        return None if report["ok"] else FINDING
    out = console()
    for row in report["classes"]:
        table = Table(title=say(row["title_en"], row["title_zh"]), title_justify="left")
        for heading in (say("node", "节点"), say("meter", "仪表"), say("place", "位置"),
                        say("calibration due", "校准到期"), say("points and periods", "数据点与周期")):  # fmt: skip
            table.add_column(heading)
        for node in row["nodes"]:
            if node["gap"]:
                table.add_row(node["node"], "–", "–", "–", say("none: ", "无：") + node["gap"])
            for meter in node["meters"]:
                points = (f"{p['point']} {plan.interval(p['interval_ms'])}" + (" !" if p["slow"] else "")
                          for p in meter["points"])  # fmt: skip
                due = {"missing": say("none", "无"), "overdue": f"{meter['due']} !"}.get(meter["state"], meter["due"])
                table.add_row(node["node"], meter["meter"], meter["place"] or "–", due, ", ".join(points))
        if row["nodes"]:
            out.print(table)
    slow = [(p["point"], p["energy"], p["why"], p["why_zh"]) for row in report["classes"] for node in row["nodes"]
            for meter in node["meters"] for p in meter["points"] if p["slow"]]  # fmt: skip
    for point, energy, why, why_zh in slow:
        out.print(f"! {point}: " + say(f"read more seldom than is usual for {energy}: {why}", f"周期偏长：{why_zh}"))
    if report["unassigned"]:
        out.print(say("at no node: ", "未归入节点：") + ", ".join(report["unassigned"]))
    for finding in report["findings"]:
        out.print("✗ " + finding, soft_wrap=True)
    if report["ok"]:
        out.print(say("Every place is metered, or says why not.", "各节点均有计量或已说明原因。"))
    return None if report["ok"] else FINDING


def _asked(site, bus, request, turnaround):
    """One request, for people and programs."""
    meter = site.meters[request.meter]
    modbus = meter.protocol == "modbus"
    identifier = getattr(request, "identifier", "901F")
    what = f"{request.function:02X} {request.address}+{request.count}" if modbus else identifier
    cost = None if bus.kind in ("modbus-tcp", places.INPUTS) else plan.cost_us(request, bus, meter, turnaround) / 1000
    return {
        "interval_ms": request.interval_ms, "meter": meter.name, "unit": meter.unit, "protocol": meter.protocol,
        "what": what, "points": [site.points[index].name for index, _ in request.points], "ms": cost,
    }  # fmt: skip


def _compiled(file, json):
    """The Site of a file; None after its mistakes were put out as JSON."""
    try:
        return site_yaml.compile_file(file)
    except site_yaml.Mistakes as mistakes:
        if not json:
            raise
        names = ("file", "line", "column", "what", "hint")
        put({"ok": False, "mistakes": [dict(zip(names, row, strict=True)) for row in mistakes.rows]})
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(USAGE, f"{file} cannot be read: {error}", "name a site.yaml") from None
