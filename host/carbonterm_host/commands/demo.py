"""`carbonterm demo`: the whole chain on loopback, on the real MicroPython runtime."""

from pathlib import Path

import typer
from rich.cells import set_cell_size
from rich.table import Table

from carbonterm_host.screen import JSON, OK, UNVERIFIED, console, note, put, say

STAGES = {
    "frame": ("frame", "报文"), "reading": ("reading", "读数"), "log": ("signed entry", "签名记录"),
    "increment": ("increment", "增量"), "checkpoint": ("checkpoint", "检查点"), "platform": ("platform", "平台"),
    "shown": ("shown", "展示"),
    "kill": ("kill -9", "断电"), "recovered": ("recovered", "恢复"), "verified": ("verified", "核验"),
    "openssl": ("openssl", "openssl"), "replayed": ("replayed", "重算"), "settlement": ("settlement", "结算"),
    "emission": ("emission", "排放量"),
}  # fmt: skip

PERIODS = {"minute": "分", "hour": "时", "day": "日", "month": "月", "year": "年"}


def main(
    seconds: int = typer.Option(40, min=10, max=86400, help="how long the terminal runs · 运行秒数"),
    folder: Path = typer.Option(Path("build/demo"), help="what the demo leaves · 输出目录"),
    seed: int = typer.Option(1, help="of the simulated meters · 仿真种子"),
    json: bool = JSON,
):
    """Six simulated meters, the firmware on MicroPython, the platform, and the proof · 全链路演示."""
    from carbonterm_host.demo import Demo

    out = console()
    demo = Demo(folder, seconds, seed)
    if not json:
        out.print(say("carbonterm demo: everything on loopback, the meters are simulated",
                      "carbonterm 演示：全部在本机回环，仪表为仿真"))  # fmt: skip

    def tell(stage, text):
        kind, _, detail = stage.partition(" ")
        name = say(*STAGES[kind])
        if detail:
            name += f" · {say(detail, PERIODS[detail])}"
        if json:
            note(f"{name}: {text}")
        else:
            out.print(f"[bold]{set_cell_size(name, 18)}[/bold] {text}", soft_wrap=True)

    result = demo.run(tell)
    good = (
        result["lost"] == result["duplicated"] == 0
        and result["verified"] and result["openssl_verified"] and result["replayed_equal"]
        and all(row["agrees"] for row in result["meters"])
    )  # fmt: skip
    if json:
        put(result)
    else:
        _show(out, result)
    return OK if good else UNVERIFIED


def _show(out, result):
    table = Table(title=say("Meters (simulated)", "仪表（仿真）"), title_justify="left")
    heads = (say("point", "数据点"), say("first", "首读数"), say("last", "末读数"), say("increment", "增量"), "", "=")
    for heading, justify in zip(heads, ("left", "right", "right", "right", "left", "left"), strict=True):
        table.add_column(heading, justify=justify)
    for row in result["meters"]:
        agrees = "✓" if row["agrees"] else "✗"
        table.add_row(row["point"], row["first"] or "–", row["last"] or "–", row["increment"], row["unit"], agrees)
    out.print(table)
    table = Table(title="tCO2e", title_justify="left")
    for heading in (say("source", "排放源"), say("scope", "范围"), "tCO2e"):
        table.add_column(heading, justify="right" if heading == "tCO2e" else "left")
    for row in result["sources"]:
        table.add_row(row["source"], str(row["scope"]), row["tco2e"])
    table.add_section()
    for key, value in result["tco2e"].items():
        table.add_row(say("total", "合计"), "" if key == "total" else key.replace("scope", ""), value)
    out.print(table)
    counts = [
        (say("readings", "读数"), result["readings"]), (say("entries", "记录"), result["entries"]),
        (say("uploaded", "已上传"), result["uploaded"]), (say("lost", "丢失"), result["lost"]),
        (say("duplicated", "重复"), result["duplicated"]), (say("verified", "核验"), _word(result["verified"])),
        ("openssl", _word(result["openssl_verified"])),
        (say("replayed equal", "重算一致"), _word(result["replayed_equal"])),
    ]  # fmt: skip
    out.print("  ".join(f"{name} [bold]{value}[/bold]" for name, value in counts), soft_wrap=True)
    heap = result["heap"]
    out.print(f"{result['runtime']}, heap {heap['limit']}, live peak {heap['live_peak'] // 1024} KB, "
              f"resident {heap['resident_kb'] // 1024} MB", soft_wrap=True)  # fmt: skip
    where = f"{result['folder']}/demo.bundle; carbonterm verify | replay …"
    out.print(say("The log is in", "日志在"), where, soft_wrap=True)


def _word(good):
    return say("yes", "是") if good else say("NO", "否")
