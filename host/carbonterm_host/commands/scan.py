"""carbonterm scan: who is on a line, at which rate and address, and which model it may be (docs/commissioning.md)."""

import getpass

import typer
from rich.table import Table

from carbonterm.field import places
from carbonterm_host import desk, recognise
from carbonterm_host.screen import FINDING, JSON, OK, USAGE, Failure, console, note, put, say

BAUDS, PARITIES = (9600, 2400, 4800, 19200, 1200), ("none", "even")


def main(
    place: str = typer.Argument(help="/dev/ttyUSB0, host[:port], or a terminal's folder · 串口、主机或终端目录"),
    bus: str | None = typer.Option(None, help="which bus of a terminal · 终端的总线"),
    baud: list[int] = typer.Option([], help="rate to try, again for more · 波特率 (9600 2400 4800 19200 1200)"),
    parity: list[str] = typer.Option([], help="none even odd, again for more · 校验 (none even)"),
    stop: int = typer.Option(1, min=1, max=2, help="stop bits · 停止位"),
    protocol: list[str] = typer.Option([], help="modbus dlt645-2007 dlt645-1997 cjt188, again for more · 协议"),
    units: str = typer.Option("1-247", help="Modbus units, FIRST-LAST · Modbus 地址范围"),
    timeout: int = typer.Option(200, min=20, max=10000, help="ms to wait for a Modbus answer · 应答超时"),
    wildcard_timeout: int = typer.Option(500, min=20, max=10000, help="ms to wait for the others' · 通配查询超时"),
    thorough: bool = typer.Option(False, help="ask what takes long, too · 彻底搜索"),
    identify: bool = typer.Option(True, help="tell the models of what is found · 识别型号"),
    who: str | None = typer.Option(None, help="your name, for the terminal's log · 操作人"),
    json: bool = JSON,
):
    """Find meters on a serial line, behind a Modbus TCP address, or on a terminal's bus · 搜索总线上的仪表.

    Nothing is written to any meter. Exit code 1 where nothing was found.
    """
    question = {"do": "scan", "timeout_ms": timeout, "wildcard_ms": wildcard_timeout, "thorough": thorough}
    question |= _units(units)
    if protocol:
        question["protocols"] = protocol
    crowds, noise, found = [], [], []
    with desk.Desk.at(place, who or getpass.getuser(), bus) as asked:
        if "host" not in asked.place and (baud or parity or not asked.terminal):
            rates, parities = baud or BAUDS, parity or PARITIES
            question["settings"] = [[rate, one, stop] for rate in rates for one in parities]
        for event in asked.ask(question):
            kind = event.pop("event")
            if kind == "progress":
                note(say("left", "剩余") + f" {event['left_ms'] // 1000} s  {event['at']}")
            elif kind == "found":
                found.append(event)
                note(say("found", "发现") + f" {event['protocol']} {event['unit']}")
            elif kind in ("crowd", "noise"):
                (crowds if kind == "crowd" else noise).append(event)
        for one in found:
            one["models"] = [row.row() for row in recognise.candidates(asked, one)] if identify else []
    if json:
        put({"found": found, "crowds": crowds, "noise": noise})
    else:
        _show(found, crowds, noise)
    return OK if found else FINDING


def _units(text):
    first, _, last = text.partition("-")
    if not first.isdecimal() or not (last or first).isdecimal():
        raise Failure(USAGE, f"{text} are no units", "write them like 1-32")
    return {"from": int(first), "to": int(last or first)}


def _show(found, crowds, noise):
    out = console()
    if found:
        table = Table()
        for en, zh in (("protocol", "协议"), ("address", "地址"), ("line", "线路"), ("model", "型号"),
                       ("evidence", "依据")):  # fmt: skip
            table.add_column(say(en, zh), overflow="fold", no_wrap=en in ("address", "model"))
        for one in found:
            line = f"{one['baud']} 8{one['parity'][0].upper()}{one['stop']}" if "baud" in one else "TCP"
            names = [row["model"] for row in one["models"]]
            evidence = [", ".join(row["evidence"]) for row in one["models"]]
            if len(names) > 1:
                names.insert(0, say("one of", "其中之一"))
                evidence.insert(0, "")
            table.add_row(one["protocol"], str(one["unit"]), line, "\n".join(names) or "?", "\n".join(evidence))
        out.print(table)
    else:
        out.print(say("No meter answered. Check power, A and B, the rates, then --thorough.",
                      "没有仪表应答。请检查电源、A/B 接线和波特率，再试 --thorough。"))  # fmt: skip
    for one in crowds:
        tail = one["tail"]
        english, chinese = "Two meters may have one address: connect each alone.", "可能地址重复，请逐台接线。"
        if one["protocol"] != places.MODBUS:
            tail = "…" + tail
            english = "A meter that is missing here takes no shortened address: connect it alone."
            chinese = "未列出的仪表不支持缩位地址，请单独接线后再搜。"
        out.print(say(f"Answers fell on each other: {one['protocol']} {tail}, {one['bytes']} bytes. {english}",
                      f"应答冲突：{one['protocol']} {tail}，{one['bytes']} 字节。{chinese}"))  # fmt: skip
    for one in noise:
        out.print(say(f"Noise, or meters at another rate: {one['at']} {one['protocol']}, {one['bytes']} bytes.",
                      f"干扰，或仪表波特率不同：{one['at']} {one['protocol']}，{one['bytes']} 字节。"))  # fmt: skip
