"""`carbonterm account METHOD SOURCE NAME=VALUE…`: one source's emissions, exactly, with the working shown."""

import re

import typer
from rich.table import Table

from carbonterm import clock
from carbonterm.accounting.library import account, canonical
from carbonterm.errors import AccountingError, CarbonError, quoted
from carbonterm.gm import sm3
from carbonterm.number import Number
from carbonterm_host import library, uncertain
from carbonterm_host.budget_table import show_budget
from carbonterm_host.commands import methods
from carbonterm_host.screen import JSON, OK, USAGE, Failure, console, language, put, say

_VALUE = re.compile(r"([+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)\s*(.*)", re.ASCII | re.DOTALL)
UNNAMED = "unnamed"  # a gas whose GWP was given by hand
SINGLE = ("gas", "GWP", "gwp_set")  # what has no lines
ZONE = 480


def main(
    method: str | None = typer.Argument(None, help="method, e.g. common, cn-2015-other-industry · 方法"),
    source: str | None = typer.Argument(None, help="source, e.g. fuel_combustion · 排放源"),
    values: list[str] | None = typer.Argument(None, metavar="NAME=VALUE…", help="FC=1000 or FC=84082Nm3 · 参数=数值"),
    at: str | None = typer.Option(None, "--at", help="day of the emission, default today · 排放日期 YYYY-MM-DD"),
    uncertainty: list[str] = uncertain.OPTION,
    folder: str | None = library.LIBRARY,
    json: bool = JSON,
):
    """Account one source by a method, exactly · 按方法核算一个排放源

    A value may carry a unit (FC=84082Nm3) or name a factor (EF=cn-nat-2022); fuel=natural_gas gives NCV, CC and OF.
    A name given several times makes lines (M=20000 d=0.48 M=30000 d=0.055); gas=CF4 chooses a gas.
    Without SOURCE it lists sources, without METHOD it lists methods.
    """
    try:
        if method is None:
            return _methods(json, folder)
        chosen = library.method(method, folder)
        if source is None:
            return _sources(chosen, json)
        when = library.moment(at)
        stated = uncertain.options(uncertainty, values or [])
        result = account(chosen, source, all_given(values or []), library.factors(folder), when)
        budget = uncertain.of_result(chosen.source(source), result, stated) if uncertainty else None
    except CarbonError as error:
        raise Failure(USAGE, error.what, error.hint) from error
    view = _view(chosen, chosen.source(source), result, when)
    if budget:
        view["uncertainty"] = budget
    if json:
        put(view)
    else:
        _show(view)
        if budget:
            show_budget(console(), budget)
    return OK


def all_given(texts):
    """{name: value}; what is given several times makes lines: M=1 M=2 is M.1 and M.2."""
    lines = {}
    for text in texts:
        name, value = _given(text)
        lines.setdefault(name, []).append(value)
    given = {}
    for name, values in lines.items():
        if len(values) == 1:
            given[name] = values[0]
        elif name in SINGLE or name.rpartition(".")[2].isdigit():
            raise AccountingError(f"{name} is given {len(values)} times", "give it once")
        else:
            given |= {f"{name}.{line}": value for line, value in enumerate(values, 1)}
    return given


def _given(text):
    """(name, given value) of NAME=VALUE; the value is a number, (number, unit) or the text of a factor or fuel."""
    name, equals, value = text.partition("=")
    name, value = name.strip(), value.strip()
    if not equals or not name or not value:
        raise AccountingError(f"{quoted(text)} is not NAME=VALUE", "write it like FC=1000 or FC=84082Nm3")
    if value[0].isalpha():
        return name, value
    found = _VALUE.fullmatch(value)
    if not found:
        raise AccountingError(f"{name}: {quoted(value)} is not a number", "write it like 1000, 0.94 or 84082Nm3")
    number, unit = Number(found[1]), found[2].strip()
    return name, ((number, unit) if unit else number)


def decimal(ratio, places=6):
    """The exact decimal where it ends within `places`, else rounded half to even (GB/T 8170)."""
    exact = ratio.number()
    if exact is not None and exact.exponent >= -places:
        return str(exact)
    return str(ratio.round(places))


def _view(method, source, result, when):
    parameters, factors = [], []
    for one in result.rows:
        p, factor, unit = one.parameter, one.factor, one.unit or " | ".join(one.parameter.units)
        row = {"name": one.key, "name_zh": p.name_zh, "name_en": p.name_en, "value": decimal(one.value, 18)}
        parameters.append({**row, "unit": unit, "factor": factor.id if factor else None})
        if factor is not None:
            factors.append(_factor(one.key, factor))
        elif p.kind != "activity":
            factors.append(_by_hand(one.key, row["value"], unit))
    for gas, value, factor in result.gwps:
        name = "GWP" if len(result.gwps) == 1 else f"GWP {gas}"
        factors.append(_factor(name, factor) if factor else _by_hand(name, str(value), "tCO2e/t" + gas))
    return {
        "tco2e": decimal(result.ratio) if source.gives is None else None,
        "exact": str(result.ratio),
        "gives": {"value": decimal(result.ratio, 18), "unit": source.gives} if source.gives else None,
        "gases": {gas or UNNAMED: decimal(tonnes) for gas, tonnes in result.gases},
        "method": {
            "id": method.id, "version": method.version, "name_zh": method.name_zh, "name_en": method.name_en,
            "document": method.document, "source": source.id, "source_zh": source.name_zh, "source_en": source.name_en,
            "scope": source.scope, "category": source.category, "kind": source.kind, "sign": source.sign,
            "formula": source.formula, "derived": {name: text for name, text in result.derived},
            "gwp_set": result.gwp_set,
            "basis": source.basis, "confidence": source.confidence,
        },
        "parameters": parameters,
        "factors": factors,
        "unconfirmed": [factor.id for factor in result.factors if factor.unconfirmed],
        "warnings": result.warnings,
        "digest": None if result.compiled is None else sm3.digest(canonical(result.compiled)).hex(),
        "at": clock.text(when, ZONE)[:10],
    }  # fmt: skip


def _by_hand(name, value, unit):
    return {
        "parameter": name, "id": f"given/{name}", "value": value, "unit": unit, "source": "given with the command",
        "document": None, "basis": "given", "confidence": "given", "unconfirmed": False,
    }  # fmt: skip


def _factor(name, factor):
    return {
        "parameter": name, "id": factor.id, "value": str(factor.value), "unit": factor.unit, "source": factor.source,
        "document": factor.document, "basis": factor.basis, "confidence": factor.confidence,
        "unconfirmed": factor.unconfirmed, "valid_from": _day(factor.start, 0), "valid_to": _day(factor.end, 1),
        "uncertainty": factor.uncertainty, "evidence": factor.evidence, "confirmation": factor.confirmation,
    }  # fmt: skip


def _day(ms, before):
    return None if ms is None else clock.text(ms - before, ZONE)[:10]


# --- for people ------------------------------------------------------------------------------------------------------


def _show(view):
    method, screen = view["method"], console()
    zh = language() == "zh"
    screen.print(f"[bold]{method['name_zh' if zh else 'name_en']}[/] · {method['source_zh' if zh else 'source_en']}")
    scope = f"{say('scope', '范围')} {method['scope']}"
    screen.print(f"{method['document']} ({method['id']} v{method['version']}, {scope})")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in (say("parameter", "参数"), "", say("value", "数值"), say("unit", "单位"), say("from", "来源")):
        table.add_column(title, justify="right" if title == say("value", "数值") else "left", overflow="fold")
    known = {row["parameter"]: row for row in view["factors"]}
    for row in view["parameters"]:
        origin = _origin(known[row["name"]]) if row["name"] in known else say("given", "给定")
        table.add_row(row["name"], row["name_zh" if zh else "name_en"], row["value"], row["unit"], origin)
    for name, gwp in known.items():
        if name.startswith("GWP") and name not in [row["name"] for row in view["parameters"]]:
            words = say("global warming potential", "全球变暖潜势")
            table.add_row(name, words, gwp["value"], gwp["unit"], _origin(gwp))
    screen.print(table)
    gases = ", ".join(f"{tonnes} t {gas}" for gas, tonnes in view["gases"].items())
    minus = " × −1" if method["sign"] < 0 else ""
    sure = f"{method['basis']}/{method['confidence']}"
    for name, text in method["derived"].items():
        screen.print(f"{name} = {text}")
    gives = f"{view['gives']['value']} {view['gives']['unit']}" if view["gives"] else gases
    screen.print(f"{say('formula', '公式')}: {method['formula']}{minus} = {gives}  ({sure})")
    if view["tco2e"] is not None:
        screen.print(f"[bold]{view['tco2e']} tCO2e[/]  ({say('exactly', '精确值')} {view['exact']})")
    for text in view["warnings"]:
        screen.print("⚠ " + text)
    if view["unconfirmed"]:
        text = say("not confirmed against the printed text: ", "未与正式文本核对：")
        screen.print("⚠ " + text + ", ".join(view["unconfirmed"]))


def _origin(row):
    if row["basis"] == "given":
        return say("given", "给定")
    mark = "⚠" if row["unconfirmed"] else "✓"
    return f"{mark} {row['basis']}/{row['confidence']} {row['id']}: {row['document']}"


def _methods(json, folder):
    rows = [methods.summary(method) for method in library.methods(folder).values()]
    if json:
        put({"methods": rows})
        return OK
    table = Table(say("method", "方法"), say("name", "名称"), say("sources", "排放源"), box=None, pad_edge=False)
    for row in rows:
        table.add_row(row["id"], row[say("name_en", "name_zh")], ", ".join(row["sources"]))
    console().print(table)
    return OK


def _sources(method, json):
    rows = [methods.source_view(source) for source in method.sources]
    if json:
        put({"method": method.id, "sources": rows})
        return OK
    for row in rows:
        methods.show_source(console(), row)
    return OK
