"""`carbonterm board doctor`: one row for each thing that can be wrong with a port and the board behind it; of a
terminal the self-check of T/CSMT draft clause 10.
"""

import getpass

from carbonterm_host import desk
from carbonterm_host.boards import provision as provisioning
from carbonterm_host.boards.remote import Remote, reachable
from carbonterm_host.screen import Failure, say

LEAST_MICROPYTHON = (1, 25)
OFF_MS = 2000  # a clock that is further off was not set
LEAST_FREE = 64 << 10


def row(what, ok, says, do=""):
    """`what` was looked at, whether it is well, what was found, and what to do where it is not."""
    return {"what": what, "ok": ok, "says": says, "do": "" if ok else do}


def look(port):
    """Rows of what was found; without a port, of the ports there are."""
    if port is None:
        from serial.tools import list_ports

        found = [one.device for one in list_ports.comports() if one.vid is not None]
        return [row(
            say("ports", "串口"), bool(found), ", ".join(found) or say("no USB serial port", "没有 USB 串口"),
            say("a cable that only charges has no data wires: try another, then another socket",
                "充电线没有数据线芯：请换线、换接口"),
        )]  # fmt: skip
    try:
        reachable(port)
    except Failure as failure:
        return [row(say("port", "串口"), False, failure.what, failure.hint)]
    rows = [row(say("port", "串口"), True, port)]
    try:
        with Remote(port) as remote:
            rows += _about(remote.about)
            if remote.about["board"] is not None:
                provisioning.begin(remote)
                rows += _state(provisioning.state(remote))
            remote.restart()
    except Failure as failure:
        rows.append(row(say("prompt", "提示符"), False, failure.what, failure.hint))
    return rows


def of_terminal(place, board):
    """{"board", "kinds", "rows"}: the self-check of the terminal at `place` (a folder or socket), by the board's data
    sheet; kinds: which of 10.1 a) "ipc" and b) "gateway" it is, by all that has to be."""
    with desk.Desk.at(place, getpass.getuser()) as asked:
        sheet = {**board.sheet, "serial": len(board.uarts)}
        (event,) = asked.ask({"do": "selfcheck", "sheet": sheet})
    rows = event["selfcheck"]
    lacking = {row["clause"] for row in rows if row["must"] and row["result"] != "pass"}
    kinds = [kind for kind, clause in (("ipc", "10.1a"), ("gateway", "10.1b")) if clause not in lacking]
    return {"board": board.name, "kinds": kinds, "rows": rows}


def _about(about):
    version = tuple(int(one) for one in about["version"].split(".")[:2])
    least = ".".join(map(str, LEAST_MICROPYTHON))
    return [
        row("MicroPython", version >= LEAST_MICROPYTHON,
            f"{about['version']}, mpy {about['mpy']} {about['arch']}, {about['machine']}",
            f"carbonterm board flash --firmware: MicroPython {least} or later"),
        row(say("firmware", "固件"), about["board"] is not None,
            f"carbonterm {about['carbonterm']}, {about['board']}" if about["board"] else say("none", "无"),
            "carbonterm board deploy"),
    ]  # fmt: skip


def hardware(found):
    """Rows of what the board itself is like, by provision.state."""
    clock = found["clock_off_ms"]
    return [
        row(say("file system", "文件系统"), found["free"] >= LEAST_FREE, f"{found['free']} / {found['total']} B",
            "carbonterm board backup, then factory-reset"),
        row(say("log", "日志"), found["log_free"] * 32 > found["log_total"],
            f"{found['log_free']} / {found['log_total']} B", "restore the link to its centre: docs/storage.md"),
        row(say("heap", "堆"), found["heap_free"] > 32 << 10, f"{found['heap_free']} B"),
        row(say("clock", "时钟"), abs(clock) <= OFF_MS,
            say(f"off by {clock} ms", f"偏差 {clock} ms") + ("" if found["clock_chip"] is not None else
            say(", its clock chip does not answer", "，时钟芯片无应答")), "carbonterm board provision sets it"),
    ]  # fmt: skip


def _state(found):
    return [
        *hardware(found),
        row(say("key", "密钥"), found["key"], found["public_key"] or say("none", "无"), "carbonterm board provision"),
        row(say("registration", "登记"), found["registered"],
            found["terminal"] or found.get("registration_error", say("none", "无")), "carbonterm board provision"),
        row(say("site document", "站点文件"), found["site"], say("there", "有") if found["site"] else say("none", "无"),
            "carbonterm board provision"),
        row(say("last crash", "上次崩溃"), found["crash"] is None,
            found["crash"].strip().splitlines()[-1] if found["crash"] else say("none", "无"),
            "carbonterm board logs says when"),
        row(say("last reset", "上次复位"), True, found["cause"]),
    ]  # fmt: skip
