"""A maker's production line: `carbonterm board produce | produced` (docs/boards.md)."""

import shlex
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import typer
from rich.progress import BarColumn, Progress, TextColumn

from carbonterm.errors import CarbonError
from carbonterm_host.boards import board as boards
from carbonterm_host.boards import flash as flashing
from carbonterm_host.boards import production, record
from carbonterm_host.commands.board_live import KEY, NAME
from carbonterm_host.screen import FINDING, JSON, OK, USAGE, Failure, console, put, say

LOOK_S = 0.3  # between looks at the ports
PRINTED_S = 60
STEPS = {"flash": ("flash", "烧录"), "firmware": ("firmware", "固件"), "clock": ("clock", "时钟"),
         "key": ("key and registration", "密钥与登记"), "site document": ("site document", "站点文件")}  # fmt: skip


def produce(
    name: str = NAME,
    image: Path = typer.Option(..., "--image", metavar="DIR", help="folder of carbonterm board build · 镜像目录"),
    ids: str = typer.Option(..., "--ids", help="CT-0001..CT-0500, or a file with one on a line · 编号范围或文件"),
    operator_key: Path = KEY,
    output: Path = typer.Option(..., "-o", "--output", metavar="DIR", help="record and labels · 生产记录与标签目录"),
    port: list[str] | None = typer.Option(
        None, "--port", help="serial port, several boards at once; default: those of this kind · 串口，可多个"
    ),
    watch: bool = typer.Option(False, "--watch", help="go on with the boards that are connected · 持续生产"),
    site: Path | None = typer.Option(
        None, "--sites", metavar="DIR", exists=True, help="ID.yaml of each: what it measures · 站点文件目录"
    ),
    firmware: Path | None = typer.Option(
        None, "--firmware", exists=True, help="base MicroPython for boards without one (ESP32) · 基础固件"
    ),
    digest: str | None = typer.Option(None, "--digest", help="SHA-256 of --firmware that you have checked · 固件摘要"),
    trust: str | None = typer.Option(None, "--trust", metavar="HEX", help="public key that signed it · 镜像签名公钥"),
    printer: str | None = typer.Option(
        None, "--print", metavar="COMMAND", help='prints a label: "lp -d labels {}" · 打印标签'
    ),
    as_json: bool = JSON,
):
    """Makes boards one after the other: firmware, check, key, identifier, label, signed record. 生产线

    Every step may be cut: a board that comes again goes on, with its identifier and its key.
    """
    from carbonterm_host.commands import key as keys

    board = boards.load(name)
    if board.family == "unix":
        raise Failure(USAGE, f"{name} is a computer", "carbonterm board install --image DIR --folder DIR")
    names = production.identifiers(ids)
    signer, operator = keys.load(operator_key)
    base = _base(board, image, firmware, digest, trust)
    documents = _documents(board, names, site) if site else None
    stations = production.Stations(port or (), board.usb)
    key = keys.public_of(trust, "--trust")
    with production.Production(board, image, output, names, signer, operator, documents, base, key) as line:
        if not watch and port:
            rows = [_told(row, as_json) for row in _at_once(line, port, printer)]
        elif not watch:
            rows = [_told(row, as_json) for row in _at_once(line, stations.new(), printer)]
            if not rows:
                raise Failure(USAGE, f"no board of the USB ids {', '.join(board.usb)} is connected",
                              "say which --port, or --watch for those that will be")  # fmt: skip
        else:
            rows = _going_on(line, stations, printer, as_json)
        left = len(line.left())
    made, failed = [row for row in rows if "error" not in row], [row for row in rows if "error" in row]
    if as_json:
        put({"made": len(made), "failed": len(failed), "left": left, "record": str(line.record)})
    else:
        print(say(f"{len(made)} made, {len(failed)} not, {left} identifiers left; record: {line.record}",
                  f"完成 {len(made)}，未完成 {len(failed)}，剩余编号 {left}；记录：{line.record}"))  # fmt: skip
    return max((row["code"] for row in failed), default=OK)


def _base(board, image, firmware, digest, trust):
    """The base firmware's bytes, where it is given and this board takes it over its port."""
    from carbonterm_host.commands.key import public_of

    if firmware is None:
        return None
    if board.family != "esp32":
        raise Failure(USAGE, f"{board.name} does not take its MicroPython over a serial port",
                      "carbonterm board flash first, then this without --firmware")  # fmt: skip
    flashing.fits(board, image, public_of(trust, "--trust"))
    return flashing.firmware(board, firmware, digest)


def _documents(board, names, folder):
    """{identifier: Site} of all that may be made: what is missing or wrong is said before the first board."""
    from carbonterm_host import site_yaml
    from carbonterm_host.boards import provision as provisioning

    found = {}
    for name in names:
        path = folder / f"{name}.yaml"
        if not path.is_file():
            raise Failure(USAGE, f"{path} is not there", "each identifier has its own; or leave out --sites")
        found[name] = site_yaml.compile_file(path)
        provisioning.check_site(board, found[name], name)
    return found


def _at_once(line, ports, printer):
    """Rows of the boards at these ports, as they become ready; what one costs, the others don't see."""
    if not ports:
        return
    with _bars() as bars, ThreadPoolExecutor(len(ports)) as pool:
        for future in [pool.submit(_one, line, one, printer, bars) for one in ports]:
            yield future.result()


def _going_on(line, stations, printer, as_json):
    """Rows of all boards that were connected until Ctrl-C, or until nobody has an identifier left. A board in the
    making is waited for; one that failed is tried again when it is connected again."""
    rows, running, lock = [], {}, threading.Lock()

    def one(port, bars):
        row = _one(line, port, printer, bars)
        with lock:
            rows.append(_told(row, as_json))

    print(say("connect boards; Ctrl-C ends it", "请连接板卡；Ctrl-C 结束"), flush=True) if not as_json else None
    with _bars() as bars:
        try:
            while True:
                busy = [port for port, thread in running.items() if thread.is_alive()]
                if not busy and not line.left():
                    break
                for port in stations.new(busy):
                    running[port] = threading.Thread(target=one, args=(port, bars))
                    running[port].start()
                time.sleep(LOOK_S)
        except KeyboardInterrupt:
            pass
        for thread in running.values():
            thread.join()
    return rows


def _one(line, port, printer, bars):
    bar = bars.add_task(port, total=None)

    def step(what, done=0, total=0):
        bars.update(bar, description=f"{port} {say(*STEPS[what])}", completed=done, total=total or None)

    try:
        row = {"port": port, **line.make(port, step)}
        if printer and not row["again"]:
            row["label_error"] = _print(printer, line.folder / "labels" / f"{row['terminal']}.svg")
        return row
    except Failure as failure:
        return {"port": port, "error": failure.what, "hint": failure.hint, "code": failure.code}
    except (CarbonError, OSError) as error:  # of this board or this disk: the others go on
        hint = say("mend that, then connect it again", "排除后重新连接")
        return {"port": port, "error": str(error), "hint": hint, "code": FINDING}
    finally:
        bars.remove_task(bar)


def _print(command, path):
    """Runs the command that prints a label; what went wrong, or None."""
    words = [word.replace("{}", str(path)) for word in shlex.split(command)]
    if words == shlex.split(command):
        words.append(str(path))
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=PRINTED_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return f"{words[0]}: {done.stderr.strip()[-200:] or done.returncode}" if done.returncode else None


def _told(row, as_json):
    if as_json:
        put(row)
    elif "error" in row:
        print(f"✗ {row['port']}: {row['error']}\n  → {row['hint']}", flush=True)
    else:
        mark = say(" (simulated)", "（模拟）") if row["simulated"] else ""
        again = say("there already", "此前已完成") if row["again"] else f"{row['seconds']:.0f} s"
        known = f"{row['terminal']}{mark}, {row['public_key'][:16]}…, {row['chip']}"
        print(f"✓ {row['port']}: {known}, {again}", flush=True)
        if row.get("label_error"):
            print(say(f"  label not printed: {row['label_error']}", f"  标签未打印：{row['label_error']}"))
    return row


def _bars():
    return Progress(TextColumn("{task.description}"), BarColumn(), console=console(), transient=True,
                    disable=not console().is_terminal)  # fmt: skip


def produced(
    file: Path = typer.Argument(..., exists=True, help="record.jsonl · 生产记录"),
    public: str = typer.Option(..., "--public", metavar="HEX", help="the operator's public key · 运营方公钥"),
    as_json: bool = JSON,
):
    """The boards of a production record, and whether it is whole: signed, none taken out, none twice. 核对生产记录"""
    from carbonterm import clock
    from carbonterm_host.commands.key import public_of

    rows, wrong = record.check(file, public_of(public, "--public"))
    if as_json:
        put({"boards": rows, "wrong": wrong, "ok": not wrong})
        return FINDING if wrong else OK
    for row in rows:
        mark = say(" (simulated)", "（模拟）") if row["simulated"] else ""
        when = clock.text(row["time_ms"])
        print(f"{row['number'] + 1:>6}  {when}  {row['terminal']}{mark}  {row['board']}  {row['chip']}  "
              f"carbonterm {row['carbonterm']}  {row['public_key'][:16]}…")  # fmt: skip
    for text in wrong:
        print(f"✗ {text}")
    if not wrong:
        print(say(f"boards: {len(rows)}; all signed, none missing in between", f"共 {len(rows)} 块，签名完整，无缺行"))
    return FINDING if wrong else OK


def add(app):
    """Registers the commands with `carbonterm board`."""
    app.command("produce")(produce)
    app.command("produced")(produced)
