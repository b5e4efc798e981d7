"""`carbonterm methods list | show METHOD | check`: the accounting methods, and whether they are sound."""

from collections import Counter

import typer
from rich.table import Table

from carbonterm.accounting.load import ZONE
from carbonterm.clock import text
from carbonterm_host import library, methods_check
from carbonterm_host.library import LIBRARY
from carbonterm_host.screen import FINDING, JSON, OK, console, put, say, usage

app = typer.Typer(
    help="accounting methods: list, show, check · 核算方法库", add_completion=False, no_args_is_help=True
)
AT = typer.Option(None, "--at", help="day, default today · 日期 YYYY-MM-DD")


@app.command(name="list")
def list_(as_json: bool = JSON, folder: str | None = LIBRARY):
    """All methods, by their item of Annex A. 方法目录"""
    rows = [summary(method) for method in library.methods(folder).values()]
    rows.sort(key=lambda row: (row["appendix_a"] is None, row["appendix_a"], row["id"]))
    if as_json:
        put({"methods": rows})
        return OK
    table = Table(say("Annex A", "附录A"), say("method", "方法"), say("name", "名称"), "GWP", say("gases", "气体"),
                  say("sources", "排放源"), box=None, pad_edge=False)  # fmt: skip
    for row in rows:
        mark = " ⚠" if row["superseded"] else ""
        name, gwp = row[say("name_en", "name_zh")], row["gwp_set"] or "-"
        gases = " ".join(row["gases"][:4]) + (f" +{len(row['gases']) - 4}" if len(row["gases"]) > 4 else "")
        table.add_row(str(row["appendix_a"] or ""), row["id"] + mark, name, gwp, gases, str(len(row["sources"])))
    console().print(table)
    if any(row["superseded"] for row in rows):
        console().print("⚠ " + say("a newer document exists: carbonterm methods show METHOD", "已有新版文件"))
    return OK


@app.command()
def show(method: str = typer.Argument(help="method · 方法"), as_json: bool = JSON, folder: str | None = LIBRARY):
    """One method: document, gases, sources, formulas, parameters. 方法内容"""
    with usage():
        chosen = library.method(method, folder)
    view = {**summary(chosen), "total": chosen.total, "rules": chosen.rules, "note": chosen.note,
            "sources": [source_view(source) for source in chosen.sources]}  # fmt: skip
    if as_json:
        put(view)
        return OK
    screen = console()
    screen.print(f"[bold]{view['id']}[/] v{view['version']} {view['name_zh']} · {view['name_en']}")
    sets = f"GWP {view['gwp_set'] or '-'}  {say('fuels', '燃料表')} {view['fuel_set'] or '-'}"
    screen.print(f"{view['document']}  {sets}")
    if view["superseded"]:
        since = f" ({view['superseded']['from']})" if view["superseded"]["from"] else ""
        screen.print(f"⚠ {say('superseded by', '已被替代')}: {view['superseded']['by']}{since}")
    for row in view["sources"]:
        show_source(screen, row)
    if view["total"]:
        screen.print(f"{say('total', '合计')}: {view['total']}")
    for rule in view["rules"]:
        screen.print(f"· {rule}")
    return OK


@app.command()
def check(at: str | None = AT, as_json: bool = JSON, folder: str | None = LIBRARY):
    """Do all methods evaluate, do their units match, has every number a source? Exit code 1 on a finding. 方法检查"""
    view = methods_check.report(library.methods(folder), library.factors(folder), library.moment(at))
    if as_json:
        put(view)
        return FINDING if view["findings"] else OK
    screen = console()
    for row in view["findings"]:
        place = f"{row['method']} {row['source']}: " if row["method"] else ""
        screen.print("✗ " + place + row["what"])
    words = say("methods of Annex A evaluate, units match", "个附录A方法可核算、量纲一致")
    general = "✓" if view["general"] else "✗"
    screen.print(f"{view['annex_a']} {say('of', '/')} {view['of']} {words}; GB/T 32150: {general}")
    screen.print(f"{view['methods']} {say('methods', '个方法')}, {view['sources']} {say('sources', '个排放源')}, "
                 f"{view['factors']} {say('factors, every one with a source', '个因子，均有出处')}")  # fmt: skip
    words = say("factors are from memory or of low confidence", "个因子凭记忆或置信度低")
    _doubts(screen, words, [row["set"] for row in view["unconfirmed"]])
    words = say("formulas are from memory or of low confidence", "个公式凭记忆或置信度低")
    _doubts(screen, words, [row["method"] for row in view["formulas"]])
    _doubts(screen, say("defaults are not valid on that day", "个缺省值当日无效"), view["outdated"])
    return FINDING if view["findings"] else OK


def _doubts(screen, words, names):
    """One line: how many, and where how many of them are."""
    if names:
        places = ", ".join(f"{name} {count}" if count > 1 else name for name, count in Counter(names).items())
        screen.print(f"⚠ {len(names)} {words}: {places}")


def summary(method):
    """What a list shows of a method."""
    since = method.superseded and method.superseded[1]
    return {
        "id": method.id, "version": method.version, "appendix_a": method.appendix_a, "name_zh": method.name_zh,
        "name_en": method.name_en, "document": method.document, "valid_from": _day(method.start, 0),
        "valid_to": _day(method.end, 1), "gwp_set": method.gwp_set, "fuel_set": method.fuel_set, "gases": method.gases,
        "superseded": method.superseded and {"by": method.superseded[0], "from": _day(since, 0)},
        "basis": method.basis, "confidence": method.confidence, "sources": [source.id for source in method.sources],
    }  # fmt: skip


def source_view(source):
    """All of a source, as JSON."""
    return {
        "id": source.id, "name_zh": source.name_zh, "name_en": source.name_en, "scope": source.scope,
        "category": source.category, "kind": source.kind, "sign": source.sign, "gases": source.gases,
        "gives": source.gives, "formula": source.formula, "basis": source.basis, "confidence": source.confidence,
        "origin": source.origin, "note": source.note,
        "parameters": [
            {"name": p.name, "name_zh": p.name_zh, "name_en": p.name_en, "unit": " | ".join(p.units), "kind": p.kind,
             "default": p.default, "choose": p.choose, "derive": p.derive, "optional": p.optional}
            for p in source.parameters
        ],
    }  # fmt: skip


def show_source(screen, row):
    """A source and its parameters, for people."""
    minus = " × −1" if row["sign"] < 0 else ""
    what = row["gives"] or " ".join(row["gases"])
    screen.print(f"[bold]{row['id']}[/] {row[say('name_en', 'name_zh')]}: {row['formula']}{minus} → {what}")
    for p in row["parameters"]:
        chosen = p["choose"] and say("choose from ", "选自 ") + p["choose"]
        ways = (p["default"], chosen, p["derive"] and "= " + p["derive"])
        way = say(", or ", "，或 ").join(way for way in ways if way)
        screen.print(f"  {p['name']:8} {p['unit']:20} {p[say('name_en', 'name_zh')]}  {way}")


def _day(ms, before):
    return None if ms is None else text(ms - before, ZONE)[:10]
