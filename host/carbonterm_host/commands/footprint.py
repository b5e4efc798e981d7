"""`carbonterm footprint FILE`: a product's carbon footprint from its flows and the plant's inventory."""

from pathlib import Path

import typer
from rich.table import Table

from carbonterm.errors import CarbonError
from carbonterm_host import footprint_yaml, inventories
from carbonterm_host.commands.inventory import entries_of
from carbonterm_host.screen import FINDING, JSON, OK, USAGE, Failure, console, put, say
from carbonterm_host.yaml_reader import Mistakes

STAGES = {
    "A1": ("raw materials", "原材料获取"), "A2": ("transport", "运输"), "A3": ("production", "生产"),
    "A4": ("distribution", "分销"), "B": ("use", "使用"), "C": ("end of life", "寿命终止"),
    "D": ("recovery", "回收收益"),
}  # fmt: skip


def main(
    file: Path = typer.Argument(help="footprint.yaml: products, flows, allocation · 产品碳足迹文件"),
    inventory: Path | None = typer.Option(None, help="FILE.bundle with the plant's emissions · 工厂日志"),
    period: str | None = typer.Option(None, help="of the inventory: 2026, 2026-05; default: the file's · 周期"),
    json: bool = JSON,
):
    """Allocate what was emitted to the products, stage by stage, to the gram; per functional unit · 产品碳足迹"""
    try:
        study = footprint_yaml.read(file)
        plant = None
        if inventory:
            records, site = inventories.of_entries(entries_of(inventory))
            plant = inventories.report(site, records, period or study.period or inventories.last_year(records, site))
        report = footprint_yaml.describe(study, plant)
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(USAGE, f"{file} cannot be read: {error}", "name a footprint.yaml") from None
    except Mistakes:
        raise
    except CarbonError as error:
        raise Failure(USAGE, error.what, error.hint) from error
    report["findings"] = footprint_yaml.findings(study, report)
    if json:
        put(report)
    else:
        _show(report)
    return FINDING if report["findings"] else OK


def _show(report):
    out = console()
    about = (report["boundary"], report["functional_unit"], report["period"])
    out.print(f"[bold]{report['product']}[/]  " + ", ".join(text for text in about if text))
    table = Table(box=None, pad_edge=False)
    table.add_column("tCO2e")
    for row in report["products"]:
        table.add_column(row["name"], justify="right")
    stages = [stage for stage in STAGES if any(stage in row["stages"] for row in report["products"])]
    for stage in stages:
        cells = [row["stages"].get(stage, "0.000000") for row in report["products"]]
        table.add_row(f"{stage} {say(*STAGES[stage])}", *cells)
    table.add_row(say("sum", "合计"), *[row["tco2e"] for row in report["products"]])
    for key in sorted({key for row in report["products"] for key in row["apart"]}):
        cells = [row["apart"].get(key, "0.000000") for row in report["products"]]
        table.add_row(f"{say('told apart', '单列')}: {key}", *cells)
    out.print(table)
    for row in report["products"]:
        value = row["kgco2e_per_unit"] or say("not available", "不可用")
        out.print(f"{row['name']}: [bold]{value}[/] kgCO2e / {report['functional_unit']}")
    out.print(f"{say('all products', '全部产品')}: {report['tco2e']} tCO2e")
    for row in report["flows"]:
        if row["cut"]:
            out.print(f"– {say('cut off', '截断')} {row['name']}: {row['tco2e']} tCO2e, {row['cut']}")
    if report["unconfirmed"]:
        text = say("factors not confirmed against the printed text: ", "因子未与正式文本核对：")
        out.print("⚠ " + text + ", ".join(report["unconfirmed"]), soft_wrap=True)
    for finding in report["findings"]:
        out.print("✗ " + finding)
