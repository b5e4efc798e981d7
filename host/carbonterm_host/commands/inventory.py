"""`carbonterm inventory`: what the figures of a log come to, over the tree of its boundary, by category, gas, scope."""

import ssl
from enum import StrEnum
from pathlib import Path

import httpx
import typer
from rich.table import Table
from rich.tree import Tree

from carbonterm.errors import CarbonError, LedgerError
from carbonterm.ledger import bundle
from carbonterm.ledger.frames import Frames, segments
from carbonterm_host import bundles, inventories
from carbonterm_host.datafolder import DataFolder
from carbonterm_host.screen import JSON, OK, UNREACHABLE, UNVERIFIED, USAGE, Failure, console, put, say

TYPES = {"key": ("key emission unit", "重点排放单位"), "general": ("general unit", "非重点排放单位")}
BY_ZH = {"source": "排放源", "unit": "核算单元", "category": "ISO 14064-1 类别", "kind": "排放类别", "gas": "气体",
         "scope": "范围", "energy": "能源品种与过程", "method": "核算方法"}  # fmt: skip
By = StrEnum("By", {name: name for name in inventories.BY})


def main(
    where: str = typer.Argument(metavar="FILE.bundle|PLATFORM|DATA", help="a log, or where it is kept · 日志或平台"),
    period: str | None = typer.Option(None, help="2026, 2026-05 or 2026-05-03; default: the last year · 周期"),
    by: By = typer.Option("unit", help="how the total is divided · 分类维度"),
    terminal: str | None = typer.Option(None, help="which terminal of a platform · 终端编号"),
    token: str | None = typer.Option(None, envvar="CARBONTERM_TOKEN", help="login at the platform · 平台令牌"),
    ca: Path | None = typer.Option(None, exists=True, help="the platform's CA, PEM · 平台证书"),
    json: bool = JSON,
):
    """Total the emissions of a log over its boundary: exact, newest versions, what is unknown listed · 碳排放清单

    PLATFORM is https://HOST:PORT or sqlite:///PATH, with --terminal; DATA is a terminal's data folder.
    """
    try:
        if where.startswith(("http://", "https://")):
            found = _over_http(where, period, _named(terminal), token, ca)
        else:
            found = _asked(where, period, terminal)
    except CarbonError as error:
        raise Failure(USAGE, error.what, error.hint) from error
    if json:
        put(found)
    else:
        show(found, by)
    return OK


def _asked(where, period, terminal):
    if where.startswith("sqlite:"):
        from carbonterm_host.platform.inventory import figures as platform
        from carbonterm_host.platform.store import Store

        found = platform.of(Store(where), _named(terminal), period)
        if found is None:
            raise Failure(USAGE, f"the store has no terminal {terminal}", "carbonterm platform register")
        return found
    path = Path(where)
    records, site = inventories.of_entries(entries_in(path))
    return inventories.report(site, records, period or inventories.last_year(records, site))


def _named(terminal):
    if not terminal:
        raise Failure(USAGE, "a platform has many terminals", "--terminal CT-000001")
    return terminal


def entries_in(path):
    """The entries of a bundle or of a terminal's data folder."""
    return _folder(path) if path.is_dir() else entries_of(path)


def entries_of(path):
    """The entries of a bundle, as `inventories.told` gives them."""
    with bundles.open_bundle(path) as file:
        try:
            for _, frame in bundle.read(file):
                if frame[0] == "entry":
                    yield inventories.told(frame[1])
        except LedgerError as error:
            raise Failure(UNVERIFIED, f"{path}: {error.what}", error.hint) from None


def _folder(path):
    storage = DataFolder(path)
    for epoch, first, name in segments(storage):
        frames = Frames(storage, name, epoch, first)
        frame = frames.next()
        while frame:
            yield inventories.told(frame[0])
            frame = frames.next()


def _over_http(url, period, terminal, token, ca):
    address = f"{url.rstrip('/')}/v1/terminals/{terminal}/inventory"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    trust = ssl.create_default_context(cafile=ca) if ca else True
    try:
        answer = httpx.get(
            address, params={"period": period} if period else {}, headers=headers, verify=trust, timeout=60
        )
        found = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise Failure(UNREACHABLE, f"{url} does not answer: {error}", "is it a platform, and is it running?") from None
    if answer.status_code != 200:
        raise Failure(UNREACHABLE, f"{url}: {found.get('error', answer.status_code)}", found.get("hint", ""))
    return found


def show(found, by):
    """The inventory as text."""
    out = console()
    entity = found["entity"]
    names = TYPES.get(found["type"], ("", ""))
    out.print(f"[bold]{entity['name'] if entity else found['name']}[/] {say(*names)}  {found['terminal']}")
    until = found["until"] or "—"
    out.print(f"{found['period']}: {found['from']} – {found['to']}, {say('figures until', '数据截至')} {until}")
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, zh, en in inventories.DIMENSIONS:
        table.add_row(say(en, zh), found["total"][name] + " tCO2e")
    clean = found["clean"]
    if clean["points"]:
        share = f" ({clean['percent']} %)" if clean["percent"] else ""
        table.add_row(say("clean energy", "清洁能源"), clean["mwh"] + " MWh" + share)
    out.print(table)
    _show_by(out, found, by)
    tree(out, found["tree"])
    for row in found["intensities"]:
        value = row["tco2e_per_unit"] or say("not available", "不可用")
        out.print(f"{row['name']}: {value} tCO2e/{row['unit']}")
    for row in found["products"]["rows"]:
        value = row["kgco2e_per_unit"] or say("not available", "不可用")
        out.print(f"{say('product', '产品')} {row['name']}: {value} kgCO2e/{row['unit']} ({row['tco2e'] or '—'} tCO2e)")
    for row in found["excluded"]:
        what = f"– {say('excluded', '不计入')} {row['source']} × {row['share']}"
        out.print(f"{what}: {row['tco2e']} tCO2e, {row['reason']}")
    for row in found["unknown"][:20]:
        out.print(f"? {row['source']}: {say('no figure', '无数据')} {row['from']} – {row['to']}")
    if found["unconfirmed"]:
        text = say("not confirmed against the printed text: ", "未与正式文本核对：")
        out.print("⚠ " + text + ", ".join(found["unconfirmed"]), soft_wrap=True)
    if found["unlinked"]:
        out.print(say("meters that feed nothing: ", "未关联仪表：") + ", ".join(r["meter"] for r in found["unlinked"]))


def _show_by(out, found, by):
    table = Table(title=say(f"by {by}", "按" + BY_ZH[by]), title_justify="left")
    table.add_column("")
    table.add_column("tCO2e", justify="right")
    for row in found["by"][by]:
        table.add_row(say(row["title_en"], row["title_zh"]), row["tco2e"])
    table.add_row(say("sum", "合计"), found["total"]["total"])
    out.print(table)


def tree(out, root):
    """A tree of levels as text."""

    def put_below(branch, node):
        for child in node.get("children", ()):
            label = child["name"]
            if child["level"] == "meter":
                label = f"[dim]{label}[/]"
            elif "total" in child:
                sink = child["level"] == "source" and child["kind"] == "sink"
                mark = " ?" if child["incomplete"] else ""
                label += f"  {child['sink' if sink else 'total']}{mark}" + (" *" if child.get("custom") else "")
            put_below(branch.add(label), child)

    top = Tree(f"{root['name']}  {root['total']} tCO2e")
    put_below(top, root)
    out.print(top)
