"""Runs machinery.yaml through the real firmware: a year of a published report in some seconds.

    python docs/tutorial/machinery.py [FOLDER]

The terminal (MicroPython) reads three simulated meters on 1 January 2021, loses its power for the rest of the year, and
reads them again in the last seconds of it. The year's settlement and emissions are in the log; FOLDER/machinery.bundle
can be verified and replayed. The clock and the meters are simulated.
"""

import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from carbonterm import clock
from carbonterm.field import models
from carbonterm.ledger import entry as entries
from carbonterm.number import Number
from carbonterm_host import bundles, site_yaml
from carbonterm_host.commands import pull
from carbonterm_host.firmware import Terminal
from carbonterm_host.simulate.meter import Meter
from carbonterm_host.simulate.site import Simulation
from carbonterm_host.simulate.tcp import TcpServer

SITE = Path(__file__).parent / "machinery.yaml"
ZONE = 480
# meter: model, register, what it counted in 2021
YEAR = (
    ("总进线", "schneider-iem3155", "active_energy_import", "1619725000"),  # Wh
    ("燃气表", "generic-gas-modbus", "volume", "84082"),  # Nm3
    ("焊接保护气", "generic-mass-modbus", "mass", "232000"),  # kg
)


def run(folder):
    """{source name: tCO2e of 2021 as the log's emission entry says it} ; leaves machinery.bundle in `folder`."""
    folder = Path(folder)
    _phase(folder, "2021-01-01T00:00:00.050+08:00", final=False)
    _phase(folder, "2021-12-31T23:59:58+08:00", final=True)
    pull.to_file(folder / "data", folder / "machinery.bundle")
    return _figures(folder / "machinery.bundle")


def _phase(folder, begin, final):
    meters = [
        Meter(name, unit, models.load(model), rate="0", start={register: total if final else "0"})
        for unit, (name, model, register, total) in enumerate(YEAR, 1)
    ]
    with Simulation([TcpServer("lan", meters)]) as plant:
        text = SITE.read_text(encoding="utf-8").replace("port: 5020", f"port: {plant.buses[0].port}")
        offset = clock.parse(begin) - time.time_ns() // 1000000
        terminal = Terminal(folder, site_yaml.compile_text(text, str(SITE)).canonical(), offset_ms=offset)
        terminal.start()
        if final:  # until the first reading of the new year has closed the old one
            terminal.wait(lambda status: status["time_ms"] > clock.parse("2022-01-01T00:00:01+08:00"), 60)
            terminal.stop()
        else:
            terminal.wait(lambda status: status["readings"] >= 6 and status["sealed"] > 0, 60)
            terminal.kill()


def _figures(bundle):
    plan, figures = None, {}
    for raw, _ in bundles.read(bundle).entries:
        entry = entries.decode(raw)
        if entry.kind == entries.CONFIG:
            plan = site_yaml.site.decode(entry.body[1])
        elif entry.kind == entries.EMISSION and entry.body[0] == clock.YEAR:
            for source, _, exponent, mantissa, _ in entry.body[3]:
                figures[plan.sources[source].name] = Number(mantissa, exponent)
    return figures


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="carbonterm-")
    figures = run(folder)
    table = Table("排放源 source", Column("tCO2e", justify="right"), Column("published", justify="right"))
    for name, figure in figures.items():
        table.add_row(name, str(figure), str(figure.mantissa // 10**-figure.exponent))
    whole = sum(figure.mantissa // 10**-figure.exponent for figure in figures.values())
    table.add_row("合计 total", str(sum(figures.values(), Number(0))), str(whole))
    console = Console()
    console.print(table)
    console.print("The report cuts each item to whole tonnes. 报告对每项取整吨。")
    for command in ("verify", "replay"):
        console.print(f"carbonterm {command} {folder}/machinery.bundle", soft_wrap=True)


if __name__ == "__main__":
    main()
