"""carbonterm probe: one raw read in every type and order, beside what the display shows (docs/commissioning.md)."""

import getpass

import typer
from rich.table import Table

from carbonterm_host import desk
from carbonterm_host.screen import FINDING, JSON, OK, console, put, say

SHOWN_ROWS = 20


def main(
    place: str = typer.Argument(help="/dev/ttyUSB0, host[:port], or a terminal's folder · 串口、主机或终端目录"),
    unit: str = typer.Option(help="Modbus unit, or the printed address · 地址"),
    protocol: str = typer.Option("modbus", help="modbus dlt645-2007 dlt645-1997 cjt188 · 协议"),
    function: int = typer.Option(3, min=3, max=4, help="Modbus: 3 or 4 · 功能码"),
    address: int = typer.Option(0, min=0, max=65535, help="Modbus: first register, from 0 · 寄存器地址"),
    count: int = typer.Option(2, min=1, max=125, help="Modbus: registers · 寄存器个数"),
    item: str | None = typer.Option(None, help="DL/T 645: data identifier · 数据标识"),
    order: str = typer.Option("90 1F", help="CJ/T 188: order of the identifier's bytes · 标识字节顺序"),
    expect: str | None = typer.Option(None, help="what the meter's display shows now · 仪表显示值"),
    bus: str | None = typer.Option(None, help="which bus of a terminal · 终端的总线"),
    baud: int | None = typer.Option(None, help="baud rate · 波特率 (9600)"),
    parity: str = typer.Option("none", help="none even odd · 校验"),
    stop: int = typer.Option(1, min=1, max=2, help="stop bits · 停止位"),
    timeout: int = typer.Option(1000, min=20, max=60000, help="ms to wait for the answer · 超时"),
    who: str | None = typer.Option(None, help="your name, for the terminal's log · 操作人"),
    all: bool = typer.Option(False, "--all", help="every way to read it · 列出全部"),
    json: bool = JSON,
):
    """Read once, and show the bytes in every type and order, best match first · 读一次，按各种类型解读.

    Exit code 1 where nothing is what the display shows, or the meter does not answer.
    """
    question = {"do": "probe", "protocol": protocol, "timeout_ms": timeout}
    question["unit"] = int(unit) if protocol == "modbus" and unit.isdecimal() else unit
    if protocol == "modbus":
        question |= {"function": function, "address": address, "count": count}
    elif protocol == "cjt188":
        question["order"] = order
    elif item:
        question["item"] = item
    if expect is not None:
        question["expect"] = expect
    with desk.Desk.at(place, who or getpass.getuser(), bus) as asked:
        if "host" not in asked.place and (baud or not asked.terminal):
            question["settings"] = [[baud or 9600, parity, stop]]
        answer, *found = asked.ask(question)
    for view in found:
        del view["event"]
        if expect is not None:
            view["match"] = ("shown", "near", "other", "nothing")[view["match"]]
    if json:
        put({"raw": answer["raw"], "data": answer["data"], "views": found})
    else:
        _show(answer, found, expect, len(found) if all else SHOWN_ROWS)
    return OK if expect is None or (found and found[0]["match"] == "shown") else FINDING


def _show(answer, found, expect, most):
    out = console()
    out.print(say("answer", "应答") + ": " + answer["raw"], soft_wrap=True)
    out.print(say("data", "数据") + ": " + answer["data"], soft_wrap=True)
    table = Table()
    for heading in (say("place", "位置"), say("type", "类型"), say("order", "顺序"), say("value", "数值")):
        table.add_column(heading, overflow="fold")
    if expect is not None:
        table.add_column("×")
        table.add_column(say(f"beside {expect}", f"对照 {expect}"))
    words = {"shown": say("the display", "与显示一致"), "near": say("near", "接近")}
    for view in found[:most]:
        value = "–" if view["value"] is None else _short(view["value"]) + (f" {view['unit']}" if view["unit"] else "")
        cells = [str(view["place"]), view["type"], view["order"], value]
        if expect is not None:
            match = words.get(view["match"], "")
            cells += [view["scale"] if match else "", f"{_short(view['shown'])} {match}" if match else ""]
        table.add_row(*cells)
    out.print(table)
    if len(found) > most:
        out.print(say(f"{len(found) - most} more with --all", f"另有 {len(found) - most} 种，见 --all"))
    if expect is not None and found and found[0]["match"] != "shown":
        out.print(say("Nothing here is what the display shows.", "没有与显示一致的解读。"))


def _short(text):
    return text if len(text) <= 24 else f"{text[:20]}… ({len(text)})"


