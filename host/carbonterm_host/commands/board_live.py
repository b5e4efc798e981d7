"""Boards at a port: `carbonterm board virtual | deploy | provision | console | logs | backup | factory-reset | doctor`.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from carbonterm_host.boards import board as boards
from carbonterm_host.boards import deploy as deploying
from carbonterm_host.boards import provision as provisioning
from carbonterm_host.boards import record as records
from carbonterm_host.boards.remote import Remote
from carbonterm_host.screen import FINDING, JSON, OK, USAGE, Failure, console, note, put, say

NAME = typer.Argument(..., metavar="NAME", help="a board's name or folder · 板卡名称或目录")
PORT = typer.Option(None, "--port", help="serial port of the board · 串口")
PORTS = typer.Option(None, "--port", help="serial port; several boards at once · 串口，可多个")
VIRTUAL = typer.Option(None, "--virtual", metavar="DIR", help="a virtual board in this folder instead · 虚拟板卡目录")
KEY = typer.Option(..., "--operator-key", exists=True, help="file of carbonterm key operator · 运营方私钥")


@contextlib.contextmanager
def at(board, port, folder):
    """The port to use: the one named, or that of a virtual board that runs meanwhile."""
    if (port is None) == (folder is None):
        raise Failure(USAGE, "say which --port, or --virtual DIR", "carbonterm board list shows the ports there are")
    if folder is None:
        yield port
        return
    from carbonterm_host.boards.virtual import VirtualBoard

    with VirtualBoard(board, folder) as made:
        yield made.port


def virtual(
    name: str = NAME,
    folder: Path = typer.Option(..., "--folder", metavar="DIR", help="its flash and clock are kept there · 数据目录"),
    port_file: Path | None = typer.Option(None, "--port-file", help="write the port's name there · 写入端口名"),
    uart: list[str] | None = typer.Option(None, "--uart", metavar="NAME=DEVICE", help="what is on a line · 串口连接"),
    as_json: bool = JSON,
):
    """Runs a virtual board until Ctrl-C or the end of stdin: real MicroPython, a simulated chip. 运行虚拟板卡

    Lines of stdin: power off, power on, reset, cut N (the power fails in the Nth write), clock lost, network up|down.
    """
    from carbonterm_host.boards.virtual import VirtualBoard

    uarts = {}
    for text in uart or ():
        line, sign, device = text.partition("=")
        if not sign:
            raise Failure(USAGE, f"--uart {text} is not NAME=DEVICE", "for instance rs485-1=/dev/pts/3")
        uarts[line] = device
    with VirtualBoard(boards.load(name), folder, uarts) as board:
        if port_file:
            draft = port_file.with_name(port_file.name + ".new")
            draft.write_text(board.port + "\n")
            os.replace(draft, port_file)
        if as_json:
            put({"board": name, "port": board.port, "folder": str(folder), "heap": board.heap(), "simulated": True})
        else:
            print(say(f"simulated {name} at {board.port}", f"模拟板卡 {name}：{board.port}"), flush=True)
        orders = {
            "power off": board.power_off, "power on": board.power_on, "reset": board.reset,
            "clock lost": board.lose_clock, "network up": lambda: board.network(True),
            "network down": lambda: board.network(False),
        }  # fmt: skip
        for line in sys.stdin:
            text = " ".join(line.split())
            if text in orders:
                orders[text]()
            elif text.startswith("cut ") and text[4:].isdigit():
                board.cut(int(text[4:]))
            elif text:
                print(say(f"no order: {text}", f"未知指令：{text}"), file=sys.stderr)
    return OK


def deploy(
    name: str = NAME,
    image: Path = typer.Option(..., "--image", metavar="DIR", help="folder of carbonterm board build · 镜像目录"),
    port: list[str] | None = PORTS,
    virtual: Path | None = VIRTUAL,
    trust: str | None = typer.Option(None, "--trust", metavar="HEX", help="public key that signed it · 镜像签名公钥"),
    files: bool = typer.Option(False, "--files", help="as files of /lib, not as ROMFS · 以文件方式部署"),
    in_place: bool = typer.Option(
        False, "--in-place", help="not by way of the file system; a cut leaves a board without firmware · 就地写入"
    ),
    as_json: bool = JSON,
):
    """Brings an image onto boards that run MicroPython: only what differs, compared by digest. 部署固件

    A board whose firmware runs has the old or the new one at every moment, whatever is cut.
    """
    from carbonterm_host.commands.key import public_of

    board, key = boards.load(name), public_of(trust, "--trust")
    if board.family == "unix":
        raise Failure(USAGE, f"{name} is a computer", "carbonterm board install --image DIR --folder DIR")
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console(), disable=not console().is_terminal) as bars:

        def one(where):
            bar = bars.add_task(str(where or virtual), total=None)
            try:
                with at(board, where, virtual) as found, Remote(found, board.watchdog["seconds"]) as remote:
                    done = deploying.deploy(
                        remote, board, image, key, files,
                        lambda n, of: bars.update(bar, completed=n, total=of), in_place,
                    )  # fmt: skip
                    remote.restart()
                    return {"port": found, "board": name, **done, "simulated": remote.about["simulated"]}
            except Failure as failure:
                return {"port": str(where), "error": failure.what, "hint": failure.hint, "code": failure.code}

        with ThreadPoolExecutor(max(1, len(port or ()))) as pool:
            rows = list(pool.map(one, port or [None]))
    for row in rows:
        if as_json:
            put(row)
        elif "error" in row:
            print(f"{row['port']}: {row['error']}\n  → {row['hint']}")
        else:
            what = say("blocks", "块") if row["way"] == "romfs" else say("files", "个文件")
            mark = say(" (simulated)", "（模拟）") if row["simulated"] else ""
            done = say("the same after reading back", "回读一致")
            print(f"{row['port']}{mark}: {row['way']}, {row['written']} / {row['of']} {what}, {row['bytes']} B, {done}")
    return max((row.get("code", OK) for row in rows), default=OK)


def provision(
    name: str = NAME,
    terminal: str = typer.Option(..., "--terminal", help="its identifier · 终端编号"),
    operator_key: Path = KEY,
    site: Path = typer.Option(..., "--site", exists=True, metavar="SITE.yaml", help="what it measures · 站点文件"),
    port: str | None = PORT,
    virtual: Path | None = VIRTUAL,
    wifi: str | None = typer.Option(None, help="its Wi-Fi; the secret is asked for, or a line of stdin · Wi-Fi"),
    timeserver: str | None = typer.Option(
        None, "--time-server", metavar="HOST[:PORT]", help="asked by SNTP where no centre tells the time · 时间服务器"
    ),
    platform: str | None = typer.Option(None, help="https://HOST:PORT: register it there too · 平台"),
    ca: Path | None = typer.Option(None, exists=True, help="CA of the platform's certificate, PEM"),
    label: Path | None = typer.Option(None, "--label", metavar="FILE.svg", help="QR of identifier and key · 标签"),
    record: Path | None = typer.Option(None, "--record", metavar="FILE", help="append a signed line · 生产记录"),
    as_json: bool = JSON,
):
    """Gives a board its identity: key made on it, registration, site document, time; again is no harm. 开通板卡"""
    from carbonterm_host import site_yaml
    from carbonterm_host.commands import key as keys

    board = boards.load(name)
    signer, operator = keys.load(operator_key)
    document = site_yaml.compile_file(site)
    provisioning.check_site(board, document, terminal)
    provisioning.named(timeserver)
    network = {"name": wifi, "secret": _secret()} if wifi else None
    with at(board, port, virtual) as where, Remote(where, board.watchdog["seconds"]) as remote:
        provisioning.begin(remote)
        if remote.about["board"] != board.name:
            raise Failure(FINDING, f"the board says it is {remote.about['board']}, not {board.name}", "name that one")
        provisioning.check_image(remote, document, timeserver)
        note(say("clock", "时钟"))
        provisioning.set_time(remote)
        note(say("key and registration", "密钥与登记"))
        registration = provisioning.identify(remote, terminal, signer, operator)
        if platform:
            keys._post(f"{platform.rstrip('/')}/v1/registrations", registration.encode(), ca)
        note(say("site document", "站点文件"))
        changed = provisioning.configure(remote, document.canonical(), network, timeserver)
        if label:
            label.write_text(provisioning.label(terminal, registration.public, board.title))
        if record:
            records.append(record, provisioning.described(remote, board, registration), signer)
        simulated = remote.about["simulated"]
        remote.restart()
    row = {"board": name, "terminal": terminal, "public_key": registration.public.hex(), "operator": operator,
           "epoch": registration.epoch, "site_changed": changed, "simulated": simulated}  # fmt: skip
    if as_json:
        put(row)
    else:
        mark = say(" (simulated)", "（模拟）") if simulated else ""
        print(f"{terminal}{mark}: {row['public_key'][:32]}…, {say('registered by', '登记方')} {operator}")
    return OK


def _secret():
    if sys.stdin.isatty():
        return typer.prompt(say("secret of the Wi-Fi", "Wi-Fi 密码"), hide_input=True)
    return sys.stdin.readline().rstrip("\n")


def console_(port: str = typer.Option(..., "--port", help="serial port · 串口")):
    """MicroPython's prompt, and what the board prints; Ctrl-] leaves. 控制台"""
    return subprocess.call([sys.executable, "-m", "mpremote", "connect", port, "repl"])


def logs(
    port: str = typer.Option(..., "--port", help="serial port · 串口"),
    last: int = typer.Option(20, min=1, help="how many · 条数"),
    as_json: bool = JSON,
):
    """What a board's log says of itself: starts, crashes, clock, audits; the last ones. 运行记录"""
    from carbonterm import clock
    from carbonterm.ledger import entry as entries
    from carbonterm_host import bundles

    wanted = {entries.START: "start", entries.AUDIT: "audit", entries.CLOCK: "clock", entries.GAP: "gap",
              entries.KEY: "key"}  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "log.bundle"
        pulled(port, file)
        found = [entries.decode(raw) for raw, _ in bundles.read(file).entries]
    for one in [one for one in found if one.kind in wanted][-last:]:
        row = {"seq": one.seq, "time": clock.text(one.time_ms), "kind": wanted[one.kind],
               "says": [part.hex() if isinstance(part, bytes) else part for part in one.body]}  # fmt: skip
        if as_json:
            put(row)
        else:
            print(f"{row['seq']:>8}  {row['time']}  {row['kind']:<6} {' · '.join(map(str, row['says']))}")
    return OK


def _guarded(port):
    """A Remote that feeds the watchdog which the firmware of a board of ours has begun, however long it takes."""
    with Remote(port) as remote:
        name = remote.about["board"]
    try:
        seconds = boards.load(name).watchdog["seconds"] if name else 0
    except Failure:  # a board of somebody else's
        seconds = 0
    return Remote(port, seconds)


def pulled(port, path):
    """The log of the board at `port` in the bundle `path`; it measures nothing meanwhile. Returns a Pulled."""
    from carbonterm_host.commands import pull

    with tempfile.TemporaryDirectory() as folder, _guarded(port) as remote:
        provisioning.begin(remote)
        provisioning.fetch(remote, Path(folder), note)
        remote.restart()
        return pull.to_file(Path(folder), path)


def backup(
    port: str = typer.Option(..., "--port", help="serial port · 串口"),
    output: Path = typer.Option(..., "-o", "--output", metavar="FILE.tar", help="file to write · 输出文件"),
    as_json: bool = JSON,
):
    """All files of a board but its private keys and its network's secret; `carbonterm pull` takes the log. 备份"""
    with _guarded(port) as remote:
        names = provisioning.backup(remote, output)
        remote.restart()
    if as_json:
        put({"file": str(output), "files": names})
    else:
        print(say(f"{len(names)} files → {output}", f"{len(names)} 个文件 → {output}"))
    return OK


def factory_reset(
    port: str = typer.Option(..., "--port", help="serial port · 串口"),
    yes: bool = typer.Option(False, "--yes", help="do not ask · 不再询问"),
    as_json: bool = JSON,
):
    """Erases a board's keys, site document and log; the firmware stays. 恢复出厂"""
    with _guarded(port) as remote:
        provisioning.begin(remote)
        found = provisioning.state(remote)
        who = found["terminal"] or say("without an identity", "无身份")
        asked = say(
            f"Erase {who} at {port}, its key and its log, for ever?", f"永久擦除 {port} 上的 {who}，含密钥与日志？"
        )
        if not yes:
            if not (sys.stdin.isatty() and typer.confirm(asked)):
                remote.restart()
                raise Failure(USAGE, "nothing was erased", "--yes, where nobody can be asked")
            remote.fresh()  # its watchdog may have bitten while somebody thought
            provisioning.begin(remote)
        provisioning.erase(remote)
        remote.restart()
    row = {"port": port, "erased": found["terminal"], "id": found["id"]}
    if as_json:
        put(row)
    else:
        print(say(f"{who}: erased; deploy and provision it anew", f"{who}：已擦除，请重新部署与开通"))
    return OK


def doctor(
    port: str | None = PORT,
    terminal: str | None = typer.Option(
        None, help="a terminal's folder or socket: the self-check of clause 10 · 终端自检"
    ),
    name: str = typer.Option("linux-gateway", "--board", help="whose data sheet declares the rest · 板卡数据表"),
    as_json: bool = JSON,
):
    """What is wrong with a port and the board behind it: cable, permission, firmware, room, clock, key. 诊断"""
    from carbonterm_host.boards import doctor as checks

    if terminal is not None:
        return _selfcheck(checks.of_terminal(terminal, boards.load(name)), as_json)
    rows = checks.look(port)
    for row in rows:
        if as_json:
            put(row)
        else:
            print(f"{'✓' if row['ok'] else '✗'} {row['what']}: {row['says']}")
            if row["do"]:
                print(f"  → {row['do']}")
    return OK if all(row["ok"] for row in rows) else FINDING


_MARKS = {"pass": "✓", "fail": "✗", "unknown": "?"}


def _selfcheck(found, as_json):
    """Ends with 0 where the machine is of one of the two kinds of 10.1 and nothing else fails."""
    if as_json:
        put(found)
    else:
        for row in found["rows"]:
            basis = {"measured": say("measured", "实测"), "declared": say("declared", "声明"), None: "–"}[row["basis"]]
            mark = _MARKS[row["result"]] if row["must"] or row["result"] == "pass" else "–"
            print(f"{mark} {row['id']:<12} {row['what']}: {row['found']} ({basis})")
        kinds = {"ipc": "10.1 a)", "gateway": "10.1 b)"}
        meets = ", ".join(kinds[one] for one in found["kinds"]) or say("neither 10.1 a) nor b)", "均不满足 10.1 a)、b)")
        print(f"{say('meets', '满足')}: {meets}")
    failed = [row for row in found["rows"] if row["result"] == "fail" and not row["clause"].startswith("10.1")]
    return OK if found["kinds"] and not failed else FINDING


def add(app):
    """Registers the commands with `carbonterm board`."""
    for name, command in (("virtual", virtual), ("deploy", deploy), ("provision", provision), ("console", console_),
                          ("logs", logs), ("backup", backup), ("factory-reset", factory_reset),
                          ("doctor", doctor)):  # fmt: skip
        app.command(name)(command)
