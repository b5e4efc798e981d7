"""`carbonterm simulate meter | bus | site | logger`: meters for hardware in the loop, with faults and ground truth."""

import asyncio
import signal
import threading
from pathlib import Path

import typer
from rich.table import Table

from carbonterm.errors import CarbonError
from carbonterm.field import models, places
from carbonterm.gm.sm4 import Cipher
from carbonterm_host.screen import JSON, OK, UNREACHABLE, USAGE, Failure, console, put, say
from carbonterm_host.simulate import faults as fault_table
from carbonterm_host.simulate.cems import Cems
from carbonterm_host.simulate.line import MeterLine
from carbonterm_host.simulate.logger import LoggerLine
from carbonterm_host.simulate.meter import Meter
from carbonterm_host.simulate.site import Simulation, from_site
from carbonterm_host.simulate.tcp import TcpServer

app = typer.Typer(no_args_is_help=True, help="simulated meters · 模拟仪表")

SEED = typer.Option(1, min=0, help="of loads and faults · 随机种子")
NAMES = " ".join(fault_table.FAULTS)
FAULT = typer.Option([], "--fault", metavar="NAME[:PROBABILITY][@METER]", help=f"again and again: {NAMES} · 故障")
SPEED = typer.Option(1.0, min=0.001, max=100000, help="of the meters' time · 时间倍率")
SECONDS = typer.Option(None, min=0, help="stop by itself; else Ctrl-C · 运行秒数")
TRUTH = typer.Option(None, help="write ground truth there at the end (JSON lines); on SIGUSR1 as well · 真值文件")
PORT = typer.Option(0, min=0, max=65535, help="of Modbus TCP; 0: a free one · 端口")
SERIAL = typer.Option(False, "--serial", help="a line on a pty instead of Modbus TCP · 串行线路")
PTY = typer.Option(None, help="make a link to the pty there · 虚拟串口链接")
BAUD = typer.Option(9600, help="of the line · 波特率")
PARITY = typer.Option("none", help="none even odd · 校验")


@app.command()
def meter(
    model: str = typer.Argument(help="of field/meters, like eastron-sdm630 · 仪表型号"),
    unit: str | None = typer.Option(None, help="Modbus unit 1 to 247, or the meter's address; default: 1 · 地址"),
    start: list[str] = typer.Option([], metavar="REGISTER=VALUE", help="a total at the start · 初始读数"),
    rate: str | None = typer.Option(None, help="nominal load: kW, m3/h, GJ/h, t/h by the medium · 额定负荷"),
    port: int = PORT, serial: bool = SERIAL, pty: Path | None = PTY, baud: int = BAUD, parity: str = PARITY,
    seed: int = SEED, fault: list[str] = FAULT, speed: float = SPEED, seconds: float | None = SECONDS,
    truth: Path | None = TRUTH, as_json: bool = JSON,
):  # fmt: skip
    """One meter, on Modbus TCP or alone on a serial line. 模拟一台仪表"""
    totals = {}
    for text in start:
        name, equals, value = text.partition("=")
        if not equals:
            raise Failure(USAGE, f"'{text}' sets nothing", "write it like --start active_energy_import=12345.6")
        totals[name] = value
    digits = {"dlt645-2007": 12, "dlt645-1997": 12, "cjt188": 14}.get(models.load(model)["protocol"], 1)
    one = _meters([f"{unit or '1'.zfill(digits)}:{model}"], seed, rate, totals)
    _run([_bus("bus", one, port, serial, pty, baud, parity)], seed, fault, speed, seconds, truth, as_json)


@app.command()
def bus(
    meters: list[str] = typer.Argument(
        metavar="UNIT:MODEL…", help="like 1:eastron-sdm630 201000000012:dlt645-2007-three-phase · 地址:型号"),
    port: int = PORT, serial: bool = SERIAL, pty: Path | None = PTY, baud: int = BAUD, parity: str = PARITY,
    seed: int = SEED, fault: list[str] = FAULT, speed: float = SPEED, seconds: float | None = SECONDS,
    truth: Path | None = TRUTH, as_json: bool = JSON,
):  # fmt: skip
    """Several meters on one serial line or behind one Modbus TCP server; they are named meter-UNIT. 模拟一条总线"""
    line = _bus("bus", _meters(meters, seed), port, serial, pty, baud, parity)
    _run([line], seed, fault, speed, seconds, truth, as_json)


@app.command()
def site(
    file: Path = typer.Argument(exists=True, dir_okay=False, help="site.yaml · 站点文件"),
    seed: int = SEED, fault: list[str] = FAULT, speed: float = SPEED, seconds: float | None = SECONDS,
    truth: Path | None = TRUTH, as_json: bool = JSON,
):  # fmt: skip
    """Every meter of a site file, where the file says if that is on this machine. 模拟整个站点"""
    from carbonterm_host.site_yaml import compile_file

    document = compile_file(file)
    _run(None, seed, fault, speed, seconds, truth, as_json, document)


@app.command()
def logger(
    place: str = typer.Argument(metavar="HOST:PORT", help="of the upper computer, as a terminal is · 上位机"),
    number: str = typer.Argument(metavar="MN", help="of the station · 设备编号"),
    password: str = typer.Option("123456", help="PW of the station · 密码"),
    version: str = typer.Option("2017", help="2017 2025 · 版本"),
    key: str | None = typer.Option(None, help="32 hex digits: SM4 of the data area (2025) · 密钥"),
    seed: int = SEED, fault: list[str] = FAULT, speed: float = SPEED, seconds: float | None = SECONDS,
    truth: Path | None = TRUTH, as_json: bool = JSON,
):  # fmt: skip
    """A CEMS that uploads by HJ 212: real time, 10 minutes, hours, days. 模拟数采仪"""
    host, _, port = place.rpartition(":")
    if not host or not port.isdigit() or version not in ("2017", "2025"):
        raise Failure(USAGE, f"'{place}', version '{version}'", "write HOST:PORT, version 2017 or 2025")
    try:
        faults = [fault_table.parse(text) for text in fault]
        cipher = Cipher(bytes.fromhex(key)) if key else None
    except (ValueError, CarbonError) as error:
        raise Failure(USAGE, str(error)) from None
    line = LoggerLine(Cems("station", number, password, version, cipher, seed), host, int(port), seed, speed, truth,
                      faults)  # fmt: skip
    asyncio.run(_log(line, seconds))
    rows = len(line.truth.rows)
    told = {"connected": line.connected, "uploads": rows, "packets": line.sent,
            "waiting": line.cems.logger.waiting, "faults": line.faults.table()}  # fmt: skip
    if as_json:
        put(told)
    else:
        print(say(f"{rows} uploads, {line.cems.logger.waiting} not acknowledged, {line.connected} connections",
                  f"上传 {rows} 次，未应答 {line.cems.logger.waiting}，连接 {line.connected} 次"))  # fmt: skip


async def _log(line, seconds):
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    if seconds is not None:
        asyncio.get_running_loop().call_later(seconds, stopped.set)
    await line.run(stopped)


def _meters(texts, seed, rate=None, start=None):
    found = []
    for number, text in enumerate(texts, 1):
        unit, colon, name = text.partition(":")
        if not colon or not unit.isalnum():
            hint = "write UNIT:MODEL or ADDRESS:MODEL, like 1:eastron-sdm630 or 201000000012:dlt645-1997"
            raise Failure(USAGE, f"'{text}' is no meter", hint)
        model = models.load(name)
        if model["protocol"] == places.MODBUS:
            if not unit.isdigit() or not 1 <= int(unit) <= 247:
                raise Failure(USAGE, f"'{text}': {name} has no unit {unit}", "a Modbus unit is 1 to 247")
            number = unit = int(unit)
        try:
            found.append(Meter(f"meter-{unit}", unit, model, seed * 100 + number, rate, start))
        except ValueError as error:
            raise Failure(USAGE, str(error)) from None
    return found


def _bus(name, meters, port, serial, pty, baud, parity):
    try:
        if serial or pty or any(meter.persona.key != places.MODBUS for meter in meters):
            if parity not in models.PARITIES:
                raise ValueError(f"parity '{parity}' is none of {', '.join(models.PARITIES)}")
            return MeterLine(name, meters, baud, parity, path=pty and str(pty))
        return TcpServer(name, meters, port)
    except ValueError as error:
        raise Failure(USAGE, str(error)) from None


def _run(buses, seed, fault, speed, seconds, truth, as_json, document=None):
    moved = []
    try:
        faults = [fault_table.parse(text) for text in fault]
        if document is None:
            simulation = Simulation(buses, seed, speed, truth, faults)
        else:
            simulation, moved = from_site(document, seed, speed, truth, faults)
        simulation.start()
    except CarbonError:
        raise
    except ValueError as error:
        raise Failure(USAGE, str(error)) from None
    except OSError as error:
        raise Failure(UNREACHABLE, str(error), "choose another port or path, or let it choose one") from None
    done = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: done.set())
    signal.signal(signal.SIGINT, lambda *_: done.set())
    signal.signal(signal.SIGUSR1, lambda *_: simulation.write_truth())
    _tell(simulation, {bus.name: place for bus, place in moved}, as_json)
    done.wait(seconds)
    simulation.stop()
    _report(simulation, as_json)
    return OK


def _tell(simulation, moved, as_json):
    rows = []
    for bus in simulation.buses:
        for meter in bus.meters.values():
            row = {**bus.describe(), "meter": meter.name, "unit": meter.unit, "model": meter.model["id"]}
            if bus.name in moved:
                row["instead_of"] = moved[bus.name]
            rows.append(row)
    if as_json:
        put({"meters": rows, "seed": simulation.seed})
        return
    heads = [say("meter", "仪表"), say("model", "型号"), say("unit", "地址"), say("where", "位置")]
    table = Table(*heads, box=None, pad_edge=False)
    for row in rows:
        where = f"{row['address']}:{row['port']}"
        if row["kind"] != "modbus-tcp":
            where = f"{row['address']} {row['port']} 8{row['parity'][0].upper()}{row['stop']}"
        if "instead_of" in row:
            where += say(f"  (instead of {row['instead_of']})", f"  (代替 {row['instead_of']})")
        table.add_row(row["meter"], row["model"], str(row["unit"]), where)
    wide = console()
    wide.width = max(wide.width, 200)  # a path is never cut
    wide.print(table)
    wide.file.flush()


def _report(simulation, as_json):
    answers = {name: meter.answered for name, meter in simulation.meters.items()}
    faults = simulation.faults.table()
    lines = {bus.name: round(bus.busy_ms) for bus in simulation.buses if bus.kind != "modbus-tcp"}
    if as_json:
        put({"answered": answers, "faults": faults, "line_ms": lines})
        return
    for name, count in answers.items():
        print(f"{name}: " + say(f"{count} reads answered", f"应答 {count} 次"))
    for name, busy in lines.items():
        print(f"{name}: " + say(f"line busy for {busy} ms", f"线路占用 {busy} ms"))
    if faults:
        print(say("faults: ", "故障: ") + ", ".join(f"{name} {count}" for name, count in faults.items()))
