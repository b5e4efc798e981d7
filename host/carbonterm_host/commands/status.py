"""carbonterm status: a terminal's machine, tasks, faults by code and last errors (docs/monitoring.md)."""

import getpass
import json as _json
import time
from pathlib import Path

import typer
from rich.table import Table

from carbonterm import clock
from carbonterm_host import desk
from carbonterm_host.screen import FINDING, JSON, OK, UNREACHABLE, USAGE, Failure, console, put, say

ASKED = "status", "health", "tasks", "faults", "errors"
OLD_S = 15  # a status file that is older is of a terminal that has stopped: it is written every second
PATIENCE_S = 20
_STATES = {"running": "运行", "idle": "空闲", "failed": "异常", "stopped": "停止"}
_CLOCK = ("unset 未设定", "holdover 守时", "RTC 硬件时钟", "network 网络", "GNSS 卫星")


def main(
    place: str = typer.Argument(help="a terminal's folder or maintenance socket · 终端目录或维护套接字"),
    errors: int = typer.Option(10, min=0, help="how many of the last errors · 错误条数"),
    who: str | None = typer.Option(None, help="your name, for the terminal's log · 操作人"),
    json: bool = JSON,
):
    """Show how a terminal is: hardware, tasks, faults, errors · 终端状态.

    Ends with 0 where all is well, 1 with a fault, 3 where the terminal has stopped.
    """
    told = look(place, who or getpass.getuser())
    told["errors"] = told["errors"][-errors:] if errors else []
    if json:
        put(told)
    else:
        _show(told)
    return UNREACHABLE if not told["running"] else FINDING if told["faults"] else OK


def look(place, who):
    """{"terminal", "running", "stopped_s", "status", "health", "tasks", "faults", "errors"}: asked of the terminal, or
    of its status file where it has no socket, or has stopped. Failure where there is neither."""
    path = Path(place)
    if not path.exists():
        raise Failure(USAGE, f"there is no {place}", "name a terminal's folder or its maintenance socket")
    folder = path if path.is_dir() else path.parent
    told = {"terminal": None, "running": True, "stopped_s": None, "status": {}, "health": None, "tasks": [],
            "faults": [], "errors": []}  # fmt: skip
    age = None
    try:
        told["status"] = _json.loads((folder / "status.json").read_text())
        age = time.time() - (folder / "status.json").stat().st_mtime
    except (OSError, ValueError):
        pass
    if age is None or age < OLD_S:
        try:
            with desk.Desk.at(path, who, patience=PATIENCE_S) as asked:
                for what in ASKED:
                    (event,) = asked.ask({"do": what})
                    told[what] = event[what]
            told["terminal"] = told["status"]["terminal"]
            return told
        except Failure as failure:
            if failure.code != UNREACHABLE or (age is None and not told["status"]):
                raise
            refused = (folder / desk.SOCKET).exists() and "permission" not in failure.what
            if not refused:
                age = age if age is not None and age >= OLD_S else None
    told["terminal"] = told["status"].get("terminal")
    told["tasks"], told["faults"] = told["status"].get("tasks", []), told["status"].get("faults", [])
    told["errors"] = told["faults"]
    if age is not None:
        told["running"], told["stopped_s"] = False, int(age)
        for row in told["tasks"]:
            row["state"] = "stopped"
    return told


def _show(told):
    out, status = console(), told["status"]
    zone = status.get("zone", 0)

    def at(time_ms):
        return "" if time_ms is None else clock.text(time_ms, zone)[5:19].replace("T", " ")

    if told["running"]:
        out.print(f"{told['terminal']}: {say('running', '运行中')}")
    else:
        out.print(f"{told['terminal']}: {say('STOPPED', '已停止')}, {told['stopped_s']} s")
    if status:
        state = status.get("clock", {}).get("state")
        source = _CLOCK[state] if state is not None else "?"
        out.print(f"  {say('epoch', '密钥周期')} {status.get('epoch')}, {status.get('entries')} "
                  f"{say('entries', '条日志')}, {status.get('readings')} {say('readings', '个读数')}, "
                  f"{say('clock', '时钟')} {source}, {clock.zone_text(zone)}")  # fmt: skip
    if told["health"]:
        for name, text in machine(told["health"]):
            out.print(f"  {name}: {text}")
    if told["tasks"]:
        out.print(_table((say("task", "任务"), say("kind", "类别"), say("state", "状态"),
                          say("last success", "最近成功"), say("starts", "启动次数"), say("error", "错误")),
                         [(row["task"], row["kind"], say(row["state"], _STATES[row["state"]]), at(row["success_ms"]),
                           str(row["starts"]), row["error"]) for row in told["tasks"]]))  # fmt: skip
    out.print(f"{say('faults', '当前故障')}: {len(told['faults'])}")
    for row in told["faults"]:
        out.print(f"  {row['code']} {row['where']}: {row['name']}\n      {row['text']}\n      → {row['do']}")
    if told["errors"]:
        out.print(_table((say("first", "首次"), say("last", "最近"), say("code", "代码"), say("where", "对象"),
                          say("count", "次数"), say("what", "说明"), say("over", "结束")),
                         [(at(row["first_ms"]), at(row["last_ms"]), row["code"], row["where"], str(row["count"]),
                           row["text"], at(row["over_ms"])) for row in told["errors"]]))  # fmt: skip


def machine(found):
    """(name, text) lines of a health answer."""
    system, cpu, memory, disk = (found.get(name) or {} for name in ("os", "cpu", "memory", "disk"))
    yield say("system", "操作系统"), f"{system.get('type')} {system.get('release')}, {system.get('distribution')}"
    yield say("runtime", "运行环境"), f"{found['runtime']}, carbonterm {found['firmware']}"
    load = cpu.get("load_permille")
    speed = cpu.get("max_hz")
    yield say("processor", "处理器"), (
        f"{cpu.get('cores') or '?'} × {speed // 1000000 if speed else '?'} MHz, "
        + (f"{load // 10}.{load % 10} % {say('in use', '占用')}" if load is not None else "?")
    )
    for name, row in ((say("memory", "内存"), memory), (say("disk", "磁盘"), disk)):
        if row.get("total"):
            yield name, f"{row['free'] >> 20} / {row['total'] >> 20} MiB {say('free', '空闲')}"
    warm = found.get("temperature_mc")
    yield say("temperature", "温度"), f"{warm / 1000:.1f} °C ({found['sensor']})" if warm is not None else "?"
    yield say("up", "运行时间"), f"{found['uptime_s']} s ({say('machine', '主机')} {found.get('system_uptime_s')} s)"


def _table(headings, rows):
    table = Table()
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
