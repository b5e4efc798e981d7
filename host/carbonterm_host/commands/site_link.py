"""`carbonterm site links` and `site link`: which point feeds which source; and the steps to a new link."""

import csv
from pathlib import Path

import typer
from rich.table import Table

from carbonterm_host import library, site_links, site_yaml
from carbonterm_host.screen import FINDING, JSON, OK, USAGE, Failure, console, put, say, usage

WITH = typer.Option(None, "--with", metavar="NAME=FACTOR", help="the other parameters, e.g. fuel=天然气 · 其他参数")


def links(
    file: Path = typer.Argument(help="site.yaml"),
    meter: str | None = typer.Option(None, "--meter", help="one instrument only · 仪表"),
    output: Path | None = typer.Option(None, "--csv", help="write a row for each link · 导出 CSV"),
    json: bool = JSON,
):
    """Single-point accounting by instrument: points, sources, gases, formulas, matched items · 单点核算关联"""
    site = _site(file)
    groups = site_links.by_instrument(site)
    if meter is not None:
        groups = [group for group in groups if group["instrument"] == meter]
        if not groups:
            raise Failure(USAGE, f"there is no instrument {meter!r}", ", ".join(one.name for one in site.meters))
    if output:
        _export(output, groups)
    if json:
        put({"instruments": groups})
        return OK
    screen = console()
    for group in groups:
        named = group["instrument"] or say("by hand or virtual", "人工或虚拟")
        screen.print(f"[bold]{group['terminal']} / {named}[/] {group['model'] or ''}")
        for point in group["points"]:
            none = "" if point["links"] else "  –"
            screen.print(f"  {point['point']} ({point['quantity']}, {point['unit']}){none}")
            for link in point["links"]:
                sets = ", ".join(link["gwps"])
                screen.print(f"    → {link['source']}: {link['method']}/{link['of']} {link['parameter']}, "
                             f"{' '.join(link['gases'])}, {link['formula']}  GWP {sets}")  # fmt: skip
    return OK


def link(
    file: Path = typer.Argument(help="site.yaml"),
    meter: str | None = typer.Argument(None, help="instrument · 仪表"),
    point: str | None = typer.Argument(None, help="point · 采集点"),
    method: str | None = typer.Argument(None, help="method of the sector · 行业方法"),
    source: str | None = typer.Argument(None, help="source · 排放源"),
    others: list[str] | None = WITH,
    parameter: str | None = typer.Option(None, help="which parameter the point gives · 匹配的参数项"),
    json: bool = JSON,
):
    """Step by step to a source of one point: what can be chosen next, and at the end its row of site.yaml · 单点关联"""
    site = _site(file)
    if meter is None:
        view = {"terminal": site.terminal_id, "instruments": [one.name for one in site.meters]}
        return _choose(view, "instruments", json)
    if point is None:
        groups = {group["instrument"]: group for group in site_links.by_instrument(site)}
        if meter not in groups:
            raise Failure(USAGE, f"there is no instrument {meter!r}", ", ".join(one.name for one in site.meters))
        view = {"terminal": site.terminal_id, "instrument": meter, "points": groups[meter]["points"]}
        return _choose(view, "points", json)
    with usage():
        return _from(site, meter, point, method, source, others, parameter, json)


def _from(site, meter, point, method, source, others, parameter, json):
    """The steps behind the point."""
    _, unit = site_links.point_of(site, meter, point)
    preset = {"terminal": site.terminal_id, "instrument": meter, "point": point, "unit": unit}
    if method is None:
        return _choose({"preset": preset, "methods": _methods(unit)}, "methods", json)
    chosen = library.method(method)
    if source is None:
        fitting = site_links.candidates(unit, chosen)
        return _choose({"preset": preset, "method": method, "sources": fitting}, "sources", json)
    given = site_links.given_of(others or [])
    view = site_links.match(site, meter, point, chosen, chosen.source(source), given, parameter)
    if json:
        put(view)
        return OK
    screen = console()
    screen.print(f"{' '.join(view['gases'])}: {view['formula']}  GWP {view['gwp_set'] or '-'}")
    for row in view["matched"]:
        screen.print(f"  {row['parameter']} ({row['unit']}) ← {row['from']}")
    print(view["yaml"])
    return OK


def _methods(unit):
    """Methods with a source that fits, each with the kinds of these sources."""
    found = {}
    for row in site_links.candidates(unit):
        kinds = found.setdefault(row["method"], [])
        if row["kind"] not in kinds:
            kinds.append(row["kind"])
    return [{"method": name, "name_zh": library.method(name).name_zh, "kinds": kinds} for name, kinds in found.items()]


def _choose(view, what, json):
    if json:
        put(view)
        return OK if view[what] else FINDING
    table = Table(box=None, pad_edge=False, show_header=False)
    for row in view[what]:
        if isinstance(row, str):
            table.add_row(row)
        elif what == "points":
            table.add_row(row["point"], row["quantity"], row["unit"], ", ".join(one["source"] for one in row["links"]))
        elif what == "methods":
            table.add_row(row["method"], row["name_zh"], ", ".join(row["kinds"]))
        else:
            table.add_row(row["source"], row[say("name_en", "name_zh")], row["kind"], row["parameter"])
    console().print(table)
    return OK if view[what] else FINDING


def _export(path, groups):
    names = ("terminal", "instrument", "point", "unit", "source", "parameter", "method", "of", "scope", "category",
             "kind", "gases", "formula", "gwps")  # fmt: skip
    with open(path, "w", newline="", encoding="utf-8-sig") as file:
        out = csv.writer(file)
        out.writerow(names)
        for group in groups:
            for point in group["points"]:
                for one in point["links"] or [{}]:
                    row = {**group, **point, **one}
                    cells = (row.get(name) for name in names)
                    out.writerow(["; ".join(cell) if isinstance(cell, list) else cell for cell in cells])


def _site(file):
    try:
        return site_yaml.compile_file(file)
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(USAGE, f"{file} cannot be read: {error}", "name a site.yaml") from None
