"""`python -m tools.bench [NAME …] [--json FILE]`: runs the benchmarks and prints one table with the machine it ran on.

Writes build/bench.json and build/bench.md too. A benchmark that fails is reported and the rest goes on. Exit code 0
if all ran and met their targets, 1 if not, 2 for an unknown name.
"""

import argparse
import importlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import traceback
from pathlib import Path

from rich.console import Console
from rich.table import Table

from carbonterm_host import runtime
from tools.bench.measure import ROOT

HELPERS = {"__init__", "__main__", "measure", "storage_log"}
PEERS = ("pymodbus", "gmssl", "cryptography")
COLUMNS = ("what", "figure", "unit", "peer", "peer's figure", "ratio", "target", "met")


def names():
    """All benchmarks: the modules beside this one."""
    return sorted(p.stem for p in Path(__file__).parent.glob("*.py") if p.stem not in HELPERS)


def machine():
    """What the figures depend on, as pairs of texts."""
    cpu = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")  # elsewhere than on Linux the short name is enough
    lines = cpuinfo.read_text().split("\n") if cpuinfo.exists() else []
    cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
    try:
        micropython = runtime.version(runtime.find())
    except runtime.NotFound as reason:
        micropython = str(reason)
    openssl = "none"
    if shutil.which("openssl"):
        openssl = subprocess.run(["openssl", "version"], capture_output=True, text=True).stdout.strip()
    return [
        ("date", time.strftime("%Y-%m-%dT%H:%M:%S%z")),
        ("cpu", f"{cpu}, {os.cpu_count()} cores, load {' '.join(f'{x:.2f}' for x in os.getloadavg())}"),
        ("system", f"{platform.system()} {platform.release()}"),
        ("python", platform.python_version()),
        ("micropython", micropython),
        ("openssl", openssl),
        *((name, importlib.metadata.version(name)) for name in PEERS),
    ]


def shown(value):
    """A figure as text: four significant digits for a float, the rest as it is."""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10000 else f"{value:.0f}"
    return "" if value is None else str(value)


def cells(row):
    met = {True: "yes", False: "NO", None: ""}[row.get("ok")]
    keys = ("what", "figure", "unit", "peer", "peer_figure", "ratio", "target")
    return [shown(row.get(key)) for key in keys] + [met]


def collect(wanted):
    """(rows, failures): each row with its benchmark's name, each failure (name, traceback)."""
    rows, failures = [], []
    for name in wanted:
        print(f"bench {name} …", file=sys.stderr, flush=True)
        try:
            for row in importlib.import_module("tools.bench." + name).run():
                rows.append({"bench": name, **row})
        except Exception:
            failures.append((name, traceback.format_exc()))
    return rows, failures


def markdown(about, rows, failures):
    lines = ["# Benchmarks", "", *(f"- {name}: {value}" for name, value in about), ""]
    lines += ["| " + " | ".join(COLUMNS) + " |", "|---|--:|---|---|--:|--:|---|---|"]
    lines += ["| " + " | ".join(c.replace("|", "\\|") for c in cells(row)) + " |" for row in rows]
    lines += [f"\n{name} failed:\n\n```\n{trace}```" for name, trace in failures]
    return "\n".join(lines) + "\n"


def show(about, rows, failures):
    console = Console(highlight=False)
    table = Table(*COLUMNS, box=None, pad_edge=False)
    for column in (1, 4, 5):
        table.columns[column].justify = "right"
    for row in rows:
        table.add_row(*cells(row), style="red" if row.get("ok") is False else None)
    console.print(table)
    for name, trace in failures:
        console.print(f"\n{name} failed:\n{trace}", style="red", markup=False)
    console.print("\n" + "\n".join(f"{name:12} {value}" for name, value in about), markup=False)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description="Runs the benchmarks.")
    parser.add_argument("names", nargs="*", help="which ones; all of them if none is named: " + ", ".join(names()))
    parser.add_argument("--json", type=Path, help="write the rows here as well")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in names()]
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are: {', '.join(names())}")
    about = machine()
    rows, failures = collect(options.names or names())
    record = {"machine": dict(about), "rows": rows, "failures": [{"bench": n, "error": t} for n, t in failures]}
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    text = json.dumps(record, ensure_ascii=False, indent=1) + "\n"
    for file in [build / "bench.json", *([options.json] if options.json else [])]:
        file.write_text(text, encoding="utf-8")
    (build / "bench.md").write_text(markdown(about, rows, failures), encoding="utf-8")
    show(about, rows, failures)
    return 1 if failures or any(row.get("ok") is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
