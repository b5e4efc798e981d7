"""`carbonterm models list|show`: the meter models there are, what each reads, from which source, how sure that is."""

from enum import StrEnum
from pathlib import Path

import typer
from rich.table import Table

from carbonterm.errors import CarbonError
from carbonterm.field import models
from carbonterm_host import site_meter
from carbonterm_host.screen import FINDING, JSON, USAGE, Failure, console, put, say

app = typer.Typer(help="meter models · 仪表模型", no_args_is_help=True)

Protocol = StrEnum("Protocol", {name.replace("-", "_"): name for name in models.PROTOCOLS})
Medium = StrEnum("Medium", {name.replace(" ", "_"): name for name in models.MEDIA})
_LEVELS = {
    "vendor document": "厂家资料", "vendor document, second hand": "厂家资料（转引）", "standard": "标准",
    "standard, second hand": "标准（转引）", "open-source project": "开源项目", "memory": "凭记忆，未核实",
    "low": "低，未核实", "simulated": "仿真",
}  # fmt: skip
_RATIOS = {
    models.PRIMARY: ("primary side, multiplied by the meter", "一次侧，仪表已乘变比"),
    models.SECONDARY: ("secondary side: give ct and pt", "二次侧，需给出 ct、pt"),
    models.DIRECT: ("no transformers", "直接接入"),
}


@app.callback()
def group():
    """The meter models: registers, units, sources · 仪表模型：寄存器、单位与出处."""


@app.command("list")
def list_models(
    protocol: Protocol | None = typer.Option(None, help="only this protocol · 协议"),
    medium: Medium | None = typer.Option(None, help="only this medium · 介质"),
    json: bool = JSON,
):
    """All models, with how sure their maps are · 全部模型及可信程度."""
    rows = [models.load(name) for name in models.ids()]
    rows = [m for m in rows if protocol in (None, m["protocol"]) and medium in (None, m["medium"])]
    if json:
        for m in rows:
            put({key: m[key] for key in ("id", "maker", "model", "protocol", "medium", "ratios")}
                | {"registers": len(m["registers"]), "source": m["source"]})  # fmt: skip
        return
    table = _table(("model", "型号"), ("meter", "仪表"), ("protocol", "协议"), ("medium", "介质"), ("values", "数据项"),
                   ("confidence", "可信程度"))  # fmt: skip
    for m in rows:
        sure = models.confidence(m).split(";")[0]
        table.add_row(m["id"], f"{m['maker']} {m['model']}", m["protocol"], m["medium"], str(len(m["registers"])),
                      _level(sure))  # fmt: skip
    out = console()
    out.print(table)
    count = len(rows)
    out.print(say(f"{count} models; carbonterm models show MODEL", f"共 {count} 个；carbonterm models show 型号"))


@app.command()
def show(
    model: str = typer.Argument(help="id of a model, or a .json file · 型号或文件"),
    json: bool = JSON,
):
    """One model: every register, its source and how sure it is · 一个模型的全部寄存器、出处与可信程度."""
    found = _load(model)
    if json:
        put(found)
        return
    out = console()
    out.print(f"[bold]{found['id']}[/] · {found['maker']} {found['model']} · {found['protocol']} · {found['medium']}")
    for en, zh, text in (
        ("source", "出处", found["source"]["document"]), ("read in", "见于", found["source"]["via"]),
        ("confidence", "可信程度", _level(models.confidence(found))),
        ("transformers", "互感器", say(*_RATIOS[found["ratios"]])),
        ("line", "串口", _line(found)), ("tell it apart", "识别", _probe(found)), ("notes", "说明", found["notes"]),
    ):  # fmt: skip
        if text:
            out.print(f"{say(en, zh)}: {text}", soft_wrap=True, markup=False)
    table = _table(("register", "寄存器"), ("value", "数值"), ("where", "位置"), ("source", "出处"))
    for row in found["registers"]:
        source = row["source"] + (f" ({_level(row['confidence'])})" if "confidence" in row else "")
        table.add_row(f"{row['name']}\n{row['title_zh']}", _value(row), where(found, row), source)
    out.print(table)


def _value(row):
    """What a register measures, in which unit, and the numbers it can show."""
    quantity = say(row["quantity"], models.QUANTITIES[row["quantity"]][0])
    kind = say("total", "累计") if row["kind"] == "register" else say("moment", "瞬时")
    text = f"{quantity}, {row['unit']}\n{kind}"
    if row["min"] or row["max"]:
        text += f", {row['min'] or '…'} – {row['max'] or '…'}"
    return text + (say(f", 0 at {row['modulus']}", f"，{row['modulus']} 归零") if row["modulus"] else "")


def where(model, row):
    """Where a register of a model is, as its protocol writes it."""
    if model["protocol"] == "modbus":
        address = row["address"]
        return f"{row['function']:02d} {address} ({address:04X}H) {row['type']} {row['order']} × {row['scale']}"
    if model["protocol"] == "analog":
        return f"{row['signal']} {row['low']} … {row['high']}"
    if model["protocol"] == "pulse":
        return f"{row['bits']} bit × {row['constant']}"
    return " ".join([row["item"], *(row[key] for key in ("layout", "field") if key in row)])


def _load(name):
    if not name.endswith(".json"):
        return models.load(name)
    try:
        document, problems = site_meter.own_model(Path(name))
    except CarbonError as error:
        raise Failure(USAGE, error.what, error.hint) from None
    if problems:
        raise Failure(FINDING, "\n".join(problems), "docs/models.md has the schema")
    return document


def _line(model):
    if "serial" not in model:
        return ""
    serial = model["serial"]
    text = f"{serial['baud']} 8{serial['parity'][0].upper()}{serial['stop']}"
    if "max_registers" in model:
        most = model["max_registers"]
        text += say(f", at most {most} registers a request", f"，每次最多 {most} 个寄存器")
    if "dialect" in model:
        kind, order, first = model["dialect"]["type"], model["dialect"]["order"], model["dialect"]["unit_first"]
        text += say(f", type {kind}, identifier {order}, unit {'before' if first else 'behind'} the digits",
                    f"，类型 {kind}，标识 {order}，单位在数字{'前' if first else '后'}")  # fmt: skip
    return text


def _probe(model):
    if "probe" not in model:
        return ""
    probe = model["probe"]
    name, range_ = probe["register"], f"{probe['min']} … {probe['max']}"
    return say(f"{name} lies in {range_}", f"{name} 在 {range_} 内")


def _level(text):
    level, _, rest = text.partition(";")
    return say(level, _LEVELS[level]) + ((";" + rest) if rest else "")


def _table(*headings):
    table = Table()
    for en, zh in headings:
        # what is cut off or broken in two cannot be copied
        table.add_column(say(en, zh), overflow="fold", no_wrap=en == "model")
    return table
