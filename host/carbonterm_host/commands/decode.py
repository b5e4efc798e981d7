"""carbonterm decode: frames of a field bus explained, each on one line of JSON or as a table (docs/decode.md)."""

import re
import sys
from enum import StrEnum

import typer
from rich.table import Table

from carbonterm.errors import quoted
from carbonterm.field.modbus import FUNCTIONS
from carbonterm.field.registers import ORDERS, TYPES
from carbonterm.nearest import hint
from carbonterm_host import decode_cjt188, decode_dlt645, decode_hj212, decode_modbus
from carbonterm_host.screen import FINDING, JSON, OK, USAGE, Failure, console, put, say

# protocol: function of (bytes, type, order) that yields the objects
PROTOCOLS = {
    "dlt645-2007": lambda data, type, order: decode_dlt645.decode(data, "dlt645-2007"),
    "dlt645-1997": lambda data, type, order: decode_dlt645.decode(data, "dlt645-1997"),
    "modbus-rtu": lambda data, type, order: decode_modbus.decode(data, False, type, order),
    "modbus-tcp": lambda data, type, order: decode_modbus.decode(data, True, type, order),
    "cjt188": lambda data, type, order: decode_cjt188.decode(data),
    "hj212": lambda data, type, order: decode_hj212.decode(data),
}
TEXT = ("hj212",)  # take text, the others hex

Type = StrEnum("Type", {name: name for name in TYPES})
Order = StrEnum("Order", {name: name for name in ORDERS})

_CHINESE = {
    "request": "请求", "response": "响应", "request or response": "请求或响应",
    "start address": "起始地址", "count": "数量",
    "illegal function": "非法功能", "illegal data address": "非法数据地址", "illegal data value": "非法数据值",
    "server device failure": "从站设备故障", "acknowledge": "确认，处理中", "server device busy": "从站设备忙",
    "memory parity error": "存储奇偶差错", "gateway path unavailable": "网关路径不可用",
    "gateway target failed to respond": "网关目标设备无响应", "unknown exception": "未知异常",
    "read coils": "读线圈", "read discrete inputs": "读离散量输入", "read holding registers": "读保持寄存器",
    "read input registers": "读输入寄存器", "write single coil": "写单个线圈", "write single register": "写单个寄存器",
    "write multiple coils": "写多个线圈", "write multiple registers": "写多个寄存器",
}  # fmt: skip


def main(
    protocol: str = typer.Argument(help="dlt645-2007 dlt645-1997 modbus-rtu modbus-tcp cjt188 hj212 · 协议"),
    data: list[str] = typer.Argument(None, metavar="HEX|-", help="hex, hj212 text, - stdin · 十六进制或文本"),
    type: Type | None = typer.Option(None, "--as", help="type of the registers' values · 寄存器数据类型"),
    order: Order = typer.Option(Order.ABCD, help="order of bytes and words · 字节序"),
    as_json: bool = JSON,
):
    """Explain frames of a field bus. 解析现场总线报文。

    Exit code 0 if every frame is valid, 1 if any is not, 2 for a wrong call.
    """
    if protocol not in PROTOCOLS and not data:
        raise Failure(USAGE, f"which protocol is {quoted(protocol)} of?", f"name it first: {', '.join(PROTOCOLS)}")
    if protocol not in PROTOCOLS:
        raise Failure(USAGE, f"unknown protocol {quoted(protocol)}", hint(protocol, list(PROTOCOLS), "supported"))
    text = sys.stdin.read() if data == ["-"] else " ".join(data or ())
    found = PROTOCOLS[protocol](text if protocol in TEXT else unhex(text), type and type.value, order.value)
    code = OK
    for frame in found:
        if not frame["valid"]:
            code = FINDING
        role = frame.pop("role")
        title = frame.pop("title", None)
        chinese = frame.pop("chinese", {})
        if as_json:
            put(frame)
        else:
            _show(frame, role, title, chinese)
    return code


def unhex(text):
    """Bytes of hex as people paste it: spaces, line ends, commas, colons, 0x; Failure(USAGE) says what and where."""
    data = bytearray()
    for word in re.finditer(r"[^\s,;:]+", text):
        digits = re.sub(r"^0[xX]", "", word[0])
        wrong = re.search(r"[^0-9a-fA-F]", digits)
        if wrong or not digits:
            shown = quoted(wrong[0] if wrong else word[0])
            raise Failure(USAGE, f"{shown} in {quoted(word[0])} at character {word.start() + 1} is no hex digit",
                          "write bytes like 01 03 00 00 00 02 C4 0B")  # fmt: skip
        if len(digits) % 2 and len(digits) > 1:
            raise Failure(USAGE, f"{quoted(word[0])} at character {word.start() + 1} has {len(digits)} hex digits",
                          "a byte has two; is one lost?")  # fmt: skip
        data += bytes.fromhex(digits if len(digits) > 1 else "0" + digits)
    if not data:
        raise Failure(USAGE, "no bytes to decode", "give them in hex, or - and send them to stdin")
    return bytes(data)


def _show(frame, role, title, chinese):
    out = console()
    width = min(out.width, 80)
    if not frame["valid"]:
        out.print(say("invalid", "无效报文") + ": " + frame["error"], style="red", width=width, markup=False)
        return
    title = title or _modbus_title(frame, role)
    out.print(title, style="bold", width=width, markup=False)
    table = Table()
    for column in (say("code", "代码"), say("name", "名称"), say("value", "数值")):
        table.add_column(column, overflow="fold", justify="right" if column in ("value", "数值") else "left")
    for item in frame["items"]:
        value = "—" if item["value"] is None else item["value"]
        name = _said(item["name"], chinese or _CHINESE)
        table.add_row(item["code"], name, value if item["unit"] is None else f"{value} {item['unit']}")
    out.print(table, width=width)
    if frame["error"]:
        out.print(frame["error"], style="yellow", width=width, markup=False)


def _modbus_title(frame, role):
    name = _said(FUNCTIONS[int(frame["control"], 16) & 0x7F])
    return f"{_said(role)} · {say('unit', '地址')} {frame['address']} · {frame['control']} {name}"


def _said(name, chinese=_CHINESE):
    """An English name in the user's language."""
    if name in chinese:
        return say(name, chinese[name])
    word, _, rest = name.partition(" ")
    things = {"register": "寄存器", "coil": "线圈"}
    if word in things and rest:
        return say(name, f"{things[word]} {rest}")
    return say(name, _CHINESE.get(name, name))
