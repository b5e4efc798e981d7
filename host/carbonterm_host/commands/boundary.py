"""`carbonterm boundary`: the accounting boundary of a site.yaml as a tree, as a page to change it, as a checklist."""

from pathlib import Path

import typer
from rich.table import Table
from rich.tree import Tree

from carbonterm.accounting import boundary as boundaries
from carbonterm.accounting import inventory
from carbonterm.accounting.records import Records
from carbonterm.errors import CarbonError
from carbonterm_host import boundary_page, checklist, inventories, library, site_yaml
from carbonterm_host.commands import inventory as totals
from carbonterm_host.screen import FINDING, JSON, OK, USAGE, Failure, console, put, say

STATES = {
    "metered": ("metered", "计量"), "manual": ("entered by hand", "人工填报"), "declared": ("own value", "自有数值"),
    "default": ("default", "缺省值"), "absent": ("does not apply", "不适用"), "missing": ("missing", "缺失"),
}  # fmt: skip


def main(
    file: Path | None = typer.Argument(None, help="site.yaml; without it the published sectors are listed · 站点文件"),
    show_checklist: bool = typer.Option(False, "--checklist", help="activity data of the sectors · 活动数据采集清单"),
    sector: str | None = typer.Option(None, help="sources and activity data of one sector · 行业排放源目录"),
    output: Path | None = typer.Option(None, "-o", "--output", help="write the graphical page here · 图形化页面"),
    bundle: Path | None = typer.Option(None, help="FILE.bundle whose totals the page shows · 显示该日志的汇总"),
    json: bool = JSON,
):
    """Show the boundary of a site: who reports, units, sectors, sources, meters, and what is left out · 核算边界"""
    if sector is not None:
        return _catalogue(sector, json)
    if file is None:
        return _sectors(json)
    try:
        text = file.read_text(encoding="utf-8")
        site = site_yaml.compile_file(file)
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(USAGE, f"{file} cannot be read: {error}", "name a site.yaml") from None
    except site_yaml.Mistakes as mistakes:
        if not json:
            raise
        names = ("file", "line", "column", "what", "hint")
        put({"ok": False, "mistakes": [dict(zip(names, row, strict=True)) for row in mistakes.rows]})
        return FINDING
    if show_checklist:
        return _checklist(site, json)
    figures = _figures(bundle) if bundle else None
    if output:
        output.write_text(boundary_page.page(site, text, figures), encoding="utf-8")
    return _show(site, output, json)


def _figures(path):
    records, site = inventories.of_entries(totals.entries_of(path))
    return inventories.report(site, records, inventories.last_year(records, site))


def _show(site, output, json):
    found = inventory.lines(site, Records(site.zone), 0, 1)
    root = inventories.node(site, inventory.tree(site, found))
    kind = boundaries.type_of(site.boundary) if site.boundary else None
    report = {
        "ok": True, "terminal": site.terminal_id, "entity": inventories.entity(site.boundary), "type": kind,
        "tree": root, "unlinked": inventories.unlinked(site),
        "excluded": [{"source": line.source, "share": str(line.share), "reason": line.reason}
                     for line in found if line.reason is not None],
        "custom": sorted({line.source for line in found if line.custom}),
        "page": str(output) if output else None,
    }  # fmt: skip
    if json:
        put(report)
        return OK
    out = console()
    if report["entity"]:
        entity = report["entity"]
        out.print(f"[bold]{entity['name']}[/]  {entity['code'] or entity['equivalent']}  {say(*totals.TYPES[kind])}")
        rows = [*entity["registration"].values(), *entity["contact"].values()]
        out.print("  ".join(value for value in rows if value))
    else:
        out.print(say("No boundary: all sources are the site's own.", "未配置边界：所有排放源均属本站点。"))
    _tree(out, site, found)
    for row in report["excluded"]:
        out.print(f"– {say('excluded', '不计入')} {row['source']} × {row['share']}: {row['reason']}")
    for row in report["unlinked"]:
        behind = f" ({say('behind', '上级')} {row['main']})" if row["main"] else ""
        out.print(f"! {say('meter feeds nothing', '仪表未关联')}: {row['meter']}{behind}")
    for name in report["custom"]:
        out.print(f"* {name}: " + say("its method is none of the sector's", "自定义排放源，其方法不属于该行业"))
    if output:
        out.print(say("page", "页面") + f": {output}")
    return OK


def _tree(out, site, found):
    def put_below(branch, one):
        for child in one.children:
            label = child.name
            if child.line is not None:
                label += f"  [dim]{child.line.method}, {say('scope', '范围')} {child.line.scope}[/]"
                label += "" if child.line.share == 1 else f" × {child.line.share}"
            elif child.level == "meter":
                label = f"[dim]{label}[/]"
            put_below(branch.add(label), child)

    root = inventory.tree(site, found)
    top = Tree(root.name)
    put_below(top, root)
    out.print(top)


def _checklist(site, json):
    try:
        rows = checklist.report(site)
    except CarbonError as error:
        raise Failure(USAGE, error.what, error.hint) from None
    whole = all(row["collected"] == row["applicable"] for row in rows)
    if json:
        put({"complete": whole, "sectors": rows})
        return OK if whole else FINDING
    out = console()
    for row in rows:
        title = f"{say(row['title_en'], row['title_zh'])}: {row['collected']}/{row['applicable']}"
        table = Table(title=title + (f", {row['coverage']} %" if row["coverage"] else ""), title_justify="left")
        for heading in (say("activity data", "活动数据"), say("unit", "单位"), say("state", "状态"), say("by", "来源")):
            table.add_column(heading)
        for item in row["items"]:
            mark = "✗ " if item["state"] == checklist.MISSING else ""
            table.add_row(say(item["name_en"], item["name_zh"]), item["unit"], mark + say(*STATES[item["state"]]),
                          item["reason"] or ", ".join(item["by"]))  # fmt: skip
        out.print(table)
    return OK if whole else FINDING


def _sectors(json):
    rows = list(checklist.sectors().values())
    if json:
        keys = ("id", "name_zh", "name_en", "published", "methods")
        put({"sectors": [{key: row[key] for key in keys} for row in rows]})
        return OK
    table = Table(box=None, pad_edge=False)
    for heading in (say("sector", "行业"), say("name", "名称"), say("methods", "核算方法"), say("published", "发布")):
        table.add_column(heading)
    for row in rows:
        table.add_row(row["id"], say(row["name_en"], row["name_zh"]), ", ".join(row["methods"]), row["published"])
    console().print(table)
    return OK


def _catalogue(name, json):
    """Source categories and sources of a sector, and what has to be collected."""
    try:
        row = checklist.named(name)
    except CarbonError as error:
        raise Failure(USAGE, error.what, error.hint) from None
    titles = {kind[0]: kind[2:] for kind in inventories.KINDS}
    sources = [
        {"method": method, "source": source.id, "name_zh": source.name_zh, "name_en": source.name_en,
         "kind": source.kind, "kind_zh": titles[source.kind][0], "kind_en": titles[source.kind][1],
         "scope": source.scope, "gases": source.gases}
        for method in row["methods"] for source in library.method(method).sources if source.kind != "auxiliary"
    ]  # fmt: skip
    if json:
        put({"sector": name, "name_zh": row["name_zh"], "sources": sources, "items": checklist.items(name)})
        return OK
    table = Table(title=say(row["name_en"], row["name_zh"]), title_justify="left")
    for heading in (say("category", "类别"), say("source", "排放源"), say("gas", "气体"), say("method", "方法")):
        table.add_column(heading)
    for one in sources:
        title = f"{say(one['name_en'], one['name_zh'])} ({one['source']})"
        table.add_row(say(one["kind_en"], one["kind_zh"]), title, ", ".join(one["gases"]), one["method"])
    console().print(table)
    for item in checklist.items(name):
        console().print(f"  {say(item['name_en'], item['name_zh'])} ({item['unit']})")
    return OK
