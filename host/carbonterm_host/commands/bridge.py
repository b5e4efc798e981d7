"""`carbonterm bridge opcua | odbc | queue`: other systems' values into a terminal (docs/bridges.md)."""

import signal
import sys
import threading
from pathlib import Path

import typer

from carbonterm_host.bridge import config
from carbonterm_host.bridge.queue import Queue
from carbonterm_host.bridge.service import Bridge
from carbonterm_host.screen import FINDING, JSON, OK, UNREACHABLE, Failure, put, say

app = typer.Typer(no_args_is_help=True, help="other systems' values into a terminal · 第三方系统数据接入")

CONFIG = typer.Option(..., "--config", help="of the bridge, YAML (docs/bridges.md) · 配置文件")
ONCE = typer.Option(False, "--once", help="read what there is, push it, end; for a timer · 只运行一次")
STATES = {
    "connected": ("reads", "读取中"), "waiting": ("waits", "等待"), "bad": ("no value", "无有效值"),
    "pushing": ("takes messages", "接收中"), "refused": ("refused", "拒收"),
}  # fmt: skip
PARTS = {"source": ("source", "数据源"), "terminal": ("terminal", "终端")}


@app.command()
def opcua(config: Path = CONFIG, once: bool = ONCE, as_json: bool = JSON):
    """Nodes of an OPC UA server, polled or subscribed. 接入 OPC UA 服务器"""
    return _run(config, "opcua", once, as_json)


@app.command()
def odbc(config: Path = CONFIG, once: bool = ONCE, as_json: bool = JSON):
    """Rows of a database, read on by a key or a time. 接入 ODBC 数据库"""
    return _run(config, "odbc", once, as_json)


@app.command()
def queue(
    file: Path = typer.Argument(help="the bridge's queue, as its configuration names it · 队列文件"),
    as_json: bool = JSON,
):
    """What waits, what was refused and why; the bridge may run meanwhile. 查看队列"""
    held = Queue(file, readonly=True)
    counts, refused = held.counts(), held.last_refused()
    held.close()
    if as_json:
        rows = [dict(zip(("id", "time", "values", "why"), row, strict=True)) for row in refused]
        put({**counts, "last_refused": rows})
    else:
        print(_counts(counts))
        for id, time_ms, values, why in refused:
            print(f"{id} ({time_ms}, {', '.join(values)}): {why}")
    return FINDING if counts["refused"] or counts["lost"] else OK


def _run(path, kind, once, as_json):
    lock = threading.Lock()

    def tell(part, state, why):
        with lock:
            if as_json:
                put({"part": part, "state": state, "why": why})
            else:
                text = f"{say(*PARTS[part])}: {say(*STATES[state])}" + (f": {why}" if why else "")
                print(text, file=sys.stderr, flush=True)

    try:
        bridge = Bridge(config.read(path, kind), tell)
    except OSError as error:
        raise Failure(UNREACHABLE, f"{error.filename or path}: {error.strerror}") from None
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        done = bridge.run(stop, once)
    except config.Unreachable as error:
        raise Failure(UNREACHABLE, error.what, error.hint) from None
    put(bridge.counts) if as_json else print(_counts(bridge.counts))
    return UNREACHABLE if once and not done else OK


def _counts(counts):
    return say(
        "waiting {waiting}, sent {sent}, refused {refused}, lost {lost}",
        "待发 {waiting}, 已发 {sent}, 拒收 {refused}, 丢弃 {lost}",
    ).format(**counts)
