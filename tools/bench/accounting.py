"""Methods and factors: how much they weigh, what one account costs, and what a terminal's evaluation of it costs.

`account` is compared with the same formula written by hand over Python's fractions and over floats; on MicroPython one
evaluation of a compiled source (fuel by carbon balance, three lines of raw material) is compared with an SM2 signature
of the same runtime, the unit in which a terminal's minute is counted.
"""

import json
import os
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

from carbonterm import clock
from carbonterm.accounting import library as accounting
from carbonterm.number import Number
from carbonterm_host import library
from tools.bench.measure import RUNTIMES, Unavailable, child, command, per_call, rounds, row

MOST_BYTES = 400_000
AT = clock.stamp(2025, 6, 1)
VALUES = {"FC": Number("8.4082"), "fuel": "natural_gas"}
CALLS = 300

_COMPILED = """
from carbonterm.accounting import source
from carbonterm.gm import sm2
from carbonterm.number import Number
names, steps, constants = [], [], []
for line in ("1", "2", "3"):
    names += [["AD." + line, "t"]]
    constants.append(["CC." + line, "tC/t", -4, 8563, ["f", "d", "found", "high", None, None]])
    steps += ["AD." + line, "CC." + line, 2] + ([0] if line != "1" else [])
steps += [[0, 44], 2, [0, 12], 3]
gwp = ["GWP", "tCO2e/tCO2", 0, 1, ["gwp/CO2", "by definition", "definition", "high", None, None]]
compiled = ["carbonterm-source-2", ["bench", 1], "s", 1, 1, 1, [["CO2", steps, gwp]], names, constants, "process"]
values = {"AD.1": Number(1234567, -3), "AD.2": Number(89, 0), "AD.3": Number(5, -1)}
signer = sm2.Signer(bytes(31) + b"\\x07")
"""


def run():
    """Rows of the table."""
    return [_size(), *_account(), *_command(), *_devices()]


def _size():
    size = sum(path.stat().st_size for kind in ("methods", "factors") for path in library.shipped_files(kind))
    count = len(library.shipped_files("methods"))
    target = f"<= {MOST_BYTES // 1000} kB"
    return row(f"{count} methods with all factors", size // 1000, "kB", target=target, ok=size <= MOST_BYTES)


def _account():
    """CPU time of one account of a fuel, with its factors looked up, beside the product by hand."""
    method, factors = library.method("cn-2015-machinery"), library.factors()

    def ours():
        accounting.account(method, "fuel_combustion", VALUES, factors, AT)

    def by_fractions():
        Fraction("8.4082") * Fraction("389.31") * Fraction("0.0153") * Fraction("0.99") * 44 / 12

    found = rounds({"ours": lambda: _cpu(ours), "fractions": lambda: _cpu(by_fractions)})
    ratio = found["ours"].best / found["fractions"].best
    yield row("one account: units, factors, validity, compiled form, exact", found["ours"].best * 1e6, "µs",
              "the bare product by fractions", found["fractions"].best * 1e6, ratio)  # fmt: skip


def _cpu(function):
    start = time.process_time()
    for _ in range(CALLS):
        function()
    return (time.process_time() - start) / CALLS


def _command():
    """Wall time of the whole command, beside a Python that only starts and loads the command line."""
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        bare.write_text("import typer, rich.table\n", encoding="utf-8")
        account = "account cn-2015-machinery fuel_combustion FC=8.4082 fuel=natural_gas --at 2025-06-01 --json"
        start = [sys.executable, "-m", "carbonterm_host", *account.split()]
        env = dict(os.environ)
        found = rounds({
            "ours": lambda: child(start, env).cpu, "bare": lambda: child([sys.executable, str(bare)], env).cpu,
        }, 5)  # fmt: skip
    ratio = found["ours"].best / found["bare"].best
    yield row("carbonterm account, the whole command, CPU", found["ours"].best * 1000, "ms",
              "python with typer and rich", found["bare"].best * 1000, ratio)  # fmt: skip


def _devices():
    for name in RUNTIMES[1:]:
        try:
            command(name)
        except Unavailable as reason:
            yield row(f"one emission on {name}: {reason}", None, "")
            continue
        found = rounds({
            "ours": lambda name=name: per_call(_COMPILED, "source.evaluate_compiled(compiled, values)", 500, name),
            "sign": lambda name=name: per_call(_COMPILED, "signer.sign(b'minute')", 10, name),
        }, 3)  # fmt: skip
        ratio = found["ours"].best / found["sign"].best
        yield row(f"one emission of three lines on {name}", found["ours"].best * 1e6, "µs", "one SM2 signature",
                  found["sign"].best * 1e6, ratio)  # fmt: skip


if __name__ == "__main__":
    for line in run():
        print(json.dumps(line, ensure_ascii=False))
