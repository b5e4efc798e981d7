"""`carbonterm board list | check | build | flash`: boards, images, and how these get onto them (docs/boards.md)."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from carbonterm_host.boards import board as boards
from carbonterm_host.boards import flash as flashing
from carbonterm_host.boards import image as images
from carbonterm_host.commands import board_gateway, board_live, board_produce
from carbonterm_host.commands.key import load, public_of
from carbonterm_host.screen import FINDING, JSON, OK, USAGE, Failure, console, language, put, say

app = typer.Typer(no_args_is_help=True, help="boards: images, flashing, deploying · 板卡：镜像、烧录、部署")
board_live.add(app)
board_gateway.add(app)
board_produce.add(app)

NAME = typer.Argument(..., metavar="NAME", help="a board's name or folder · 板卡名称或目录")
IMAGE = typer.Option(..., "--image", metavar="DIR", help="folder of carbonterm board build · 镜像目录")
TRUST = typer.Option(None, "--trust", metavar="HEX", help="public key that must have signed the image · 镜像签名公钥")


@app.command("list")
def list_(as_json: bool = JSON):
    """Boards that there are folders for, and serial ports that are connected. 列出板卡与串口"""
    from serial.tools import list_ports

    rows = []
    for name in boards.names():
        board = boards.load(name)
        rows.append({"name": name, "title": board.title, "title_zh": board.title_zh, "chip": board.chip,
                     "profile": board.profile, "confidence": board.confidence, "usb": board.usb})  # fmt: skip
    ports = []
    for one in sorted(list_ports.comports()):
        usb = f"{one.vid:04x}:{one.pid:04x}" if one.vid is not None else None
        ports.append({"device": one.device, "usb": usb, "serial": one.serial_number, "product": one.product,
                      "boards": [row["name"] for row in rows if usb in row["usb"]]})  # fmt: skip
    if as_json:
        put({"boards": rows, "ports": ports})
        return OK
    zh = language() == "zh"
    table = Table(box=None, pad_edge=False)
    for title in (say("board", "板卡"), "", say("chip", "芯片"), say("profile", "类型"), say("known from", "依据")):
        table.add_column(title)
    for row in rows:
        table.add_row(row["name"], row["title_zh" if zh else "title"], row["chip"], row["profile"], row["confidence"])
    console().print(table)
    if not ports:
        print(say("no serial port is connected", "未发现串口"))
    for one in ports:
        may_be = ", ".join(one["boards"]) or say("no board known by its USB ids", "未知 USB 编号")
        print(f"{one['device']}  {one['usb'] or '-'}  {one['product'] or ''}  {may_be}")
    return OK


@app.command()
def check(
    names: list[str] | None = typer.Argument(None, metavar="[NAME…]", help="default: all · 缺省全部"),
    as_json: bool = JSON,
):
    """What is wrong with boards' folders: fields, pins, partitions, files. 检查板卡目录"""
    found = [{"board": name, "mistakes": boards.check(boards.folder_of(name))} for name in names or boards.names()]
    if as_json:
        for row in found:
            put(row)
    else:
        for row in found:
            print(f"{row['board']}: {say('ok', '正常') if not row['mistakes'] else ''}")
            for text in row["mistakes"]:
                print(f"  {text}")
    return FINDING if any(row["mistakes"] for row in found) else OK


@app.command()
def build(
    name: str = NAME,
    output: Path = typer.Option(..., "-o", "--output", metavar="DIR", help="folder of the image · 镜像目录"),
    key: Path | None = typer.Option(
        None, "--key", exists=True, help="the maker's key, of `carbonterm key operator` · 制造方私钥"
    ),
    arch: str | None = typer.Option(
        None, help="of machine code, e.g. x64; 'here' for a virtual board on this machine · 目标架构"
    ),
    site: Path | None = typer.Option(
        None, "--site", exists=True, metavar="SITE.yaml", help="a collector's: only what it needs · 按站点裁剪"
    ),
    as_json: bool = JSON,
):
    """Compiles the firmware for a board and makes its image: ROMFS, littlefs, manifest, bill of materials. 生成镜像"""
    if arch == "here":
        from carbonterm_host.boards import virtual

        arch = virtual.arch()
    if arch is not None and arch not in boards.ARCHITECTURES:
        raise Failure(USAGE, f"{arch} is no architecture", "one of " + ", ".join(boards.ARCHITECTURES[1:]))
    signer = None
    if key is not None:
        signer, _ = load(key)
    document = None
    if site is not None:
        from carbonterm_host import site_yaml

        document = site_yaml.compile_file(site)
    manifest = images.build(name, output, signer, arch, document)
    mpy = manifest["mpy"]
    view = {**manifest, "modules": len(manifest["modules"]), "output": str(output),
            "signed": signer.public.hex() if signer else None}  # fmt: skip
    if as_json:
        put(view)
        return OK
    what = f"mpy {mpy['version']} {mpy['arch'] or say('bytecode', '字节码')}"
    count = f"{view['modules']} {say('modules', '个模块')}"
    print(f"{manifest['board']}: carbonterm {manifest['carbonterm']}, {manifest['profile']}, {what}, {count}")
    for row in manifest["files"]:
        print(f"  {row['size']:>10}  {row['name']:<15} {row['sm3'][:16]}…")
    print(say("signed by ", "签名公钥 ") + view["signed"][:16] + "…" if signer else say("not signed", "未签名"))
    return OK


@app.command()
def flash(
    name: str = NAME,
    image: Path = IMAGE,
    port: list[str] | None = typer.Option(
        None, "--port", help="serial port; several are written at once · 串口，可多个"
    ),
    drive: Path | None = typer.Option(None, "--drive", help="RP2350: folder of its drive · U 盘目录"),
    firmware: Path | None = typer.Option(None, "--firmware", exists=True, help="base MicroPython · 基础固件"),
    digest: str | None = typer.Option(None, "--digest", help="SHA-256 of --firmware that you have checked · 固件摘要"),
    trust: str | None = TRUST,
    erase: bool = typer.Option(False, "--erase", help="erase everything, data and keys too · 全片擦除"),
    baud: int = typer.Option(460800, help="while writing · 烧录波特率"),
    stub: bool = typer.Option(True, help="load esptool's helper into RAM · 使用 stub"),
    as_json: bool = JSON,
):
    """Writes base firmware and image to a board's flash and reads them back. 烧录并校验

    Data on the board stay, unless --erase says otherwise.
    """
    board = boards.load(name)
    if board.family == "unix":
        raise Failure(USAGE, f"{name} has no flash to write", "carbonterm board install")
    flashing.fits(board, image, public_of(trust, "--trust"))
    base = flashing.firmware(board, firmware, digest) if firmware else None
    if erase and base is None:
        raise Failure(USAGE, "--erase takes the base firmware away, too", "give it with --firmware")
    if board.family == "esp32":
        if not port:
            raise Failure(USAGE, "say which --port", "carbonterm board list shows those there are")
        rows = _several(board, port, flashing.pieces(board, base, image, erase), erase, baud, stub)
    elif board.family == "rp2":
        if drive is None:
            raise Failure(USAGE, "say which --drive", "hold BOOTSEL while you connect the board: it shows as a drive")
        rows = [{"port": str(drive), **flashing.drive(board, drive, base, image, erase)}]
    else:
        with tempfile.TemporaryDirectory() as folder:
            rows = [{"port": "dfu", **flashing.dfu(board, base, image, erase, folder)}]
    for row in rows:
        if as_json:
            put(row)
        elif "error" in row:
            print(f"{row['port']}: {row['error']}\n  → {row['hint']}")
        else:
            seconds = f" {row['seconds']:.1f} s," if "seconds" in row else ""
            done = say("written and verified", "已写入并校验")
            print(f"{row['port']}: {row['chip']} {row.get('mac', '')} {row['bytes']} B,{seconds} {done}")
    return max((row.get("code", OK) for row in rows), default=OK)


def _several(board, ports, what, erase, baud, stub):
    """One row per port; boards are written at the same time, and one that fails costs the others nothing."""
    total = sum(len(data) for _, data in what)
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console(), disable=not console().is_terminal) as bars:

        def one(port):
            bar, before = bars.add_task(port, total=total), [0, 0]

            def step(done, of):
                if done < before[1]:
                    before[0] += before[1]
                before[1] = done
                bars.update(bar, completed=min(total, before[0] + done))

            try:
                return {"port": port, **flashing.espressif(board, port, what, erase, baud, stub, step)}
            except Failure as failure:
                return {"port": port, "error": failure.what, "hint": failure.hint, "code": failure.code}

        if len(ports) == 1:
            return [one(ports[0])]
        with ThreadPoolExecutor(len(ports)) as pool:
            return list(pool.map(one, ports))
