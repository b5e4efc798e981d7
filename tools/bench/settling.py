"""Settling and accounting: a year of minutes of 50 points on the host beside pandas, a minute of them on a terminal.

The host reads a Parquet file of exact decimals, settles hours, days, months and years and multiplies 50 sources; pandas
reads the same figures as floats and does the same in the plain way: differences, four resamplings with sum, max and
min, a product. Both as processes of their own, whole run times with start-up. A terminal's minute is 50 readings, their
settlements of the minute, 50 emissions and the encoded entries, beside SM2 signatures of the same runtime.
"""

import json
import sys
import tempfile
from pathlib import Path

from tools.bench.measure import RUNTIMES, Unavailable, child, command, per_call, rounds, row

POINTS, MINUTES = 50, 365 * 1440
MONTH = 30 * 1440
AT_MOST, RESIDENT, SIGNATURES = 4, 2 << 30, 8

_SITE = """
from carbonterm import clock, formula
from carbonterm.site import Site
BEGIN = clock.parse("2026-01-01T00:00:00+08:00")
def site(closings, points=50):
    bus = ["lan", "modbus-tcp", "127.0.0.1", 502, "none", 1, 500, 1, 0]
    meter = ["M", 0, 1, "none", 60, None, None, None, None, None]
    rows = [["P%d" % i, 0, "energy", "kWh", 3, 2 * i, "uint32", "ABCD", [1, -2], "register", [100000000, 0],
             [100000, 0], None, None, 60000] for i in range(points)]
    steps = formula.compile("AD*EF", ["AD", "EF"])
    constants = [["EF", "tCO2/MWh", -4, 5703, None]]
    source = ["carbonterm-source-1", ["bench", 1], "electricity", 2, "CO2", 1, steps, [["AD", "MWh"]], constants,
              ["GWP", "tCO2e/tCO2", 0, 1, None]]
    sources = [["S%d" % i, source, [["AD", [[i, 1, 1000]]]]] for i in range(points)]
    head = ["carbonterm-site-1", 1, "CT-BENCH-1", "bench", 480]
    return Site(head + [[bus], [meter], rows, sources, [], [closings, 1000]])
"""

_WRITE = _SITE + """
import sys
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
folder, count, shift = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
random = np.random.default_rng(1)
times = BEGIN + 60000 * np.arange(count + 1) + (random.integers(0, shift, count + 1) if shift else 0)
exact = {"time": pa.array(times, pa.int64()).cast(pa.timestamp("ms", "UTC"))}
floats = dict(exact)
for i in range(50):
    values = np.cumsum(random.integers(0, 500, count + 1)) + random.integers(0, 10**6)
    words = np.stack([values, values >> 63], 1)
    exact["P%d" % i] = pa.Array.from_buffers(pa.decimal128(18, 2), count + 1, [None, pa.py_buffer(words.tobytes())])
    floats["P%d" % i] = pa.array(values / 100)
pq.write_table(pa.table(exact), folder + "/exact.parquet")
pq.write_table(pa.table(floats), folder + "/floats.parquet")
"""

_OURS = _SITE + """
import json, sys
from carbonterm_host.batch import parquet, year
where = site([2, 3, 4, 5])
found = year.of_columns(where, parquet.columns(sys.argv[1])) if sys.argv[1].endswith("parquet") else (
    year.of_bundle(sys.argv[1]))
total = 0
for period in (2, 3, 4, 5):
    for source in range(50):
        total += sum(found.emissions(source, period)["mantissa"].tolist())
print(json.dumps([found.readings, total / 1e6]))
"""

_PANDAS = """
import json, sys
import pandas as pd
frame = pd.read_parquet(sys.argv[1]).set_index("time").tz_convert("Asia/Shanghai")
steps = frame.diff().iloc[1:]
total = 0.0
for rule in ("h", "D", "MS", "YS"):
    periods = steps.resample(rule, closed="right", label="left")
    sums, high, low = periods.sum(), periods.max(), periods.min()
    total += (sums / 1000 * 0.5703).round(6).to_numpy().sum()
print(json.dumps([frame.size, total]))
"""

_BUNDLE = _SITE + """
import hashlib, sys
from carbonterm.gm import sm3
from carbonterm.ledger import bundle, entry
import random
dice, data = random.Random(1), site([2, 3, 4, 5]).canonical()
with open(sys.argv[1], "wb") as file:
    fast = hashlib.new("sm3") if "sm3" in hashlib.algorithms_available else None
    out = bundle.Writer(file, "CT-BENCH-1", "bench", fast)
    out.key(0, bytes(64))
    begin = entry.prefix("CT-BENCH-1", 0)
    out.entry(entry.encode_after(begin, 0, BEGIN - 1, 3, entry.CONFIG, [sm3.digest(data), data]), bytes(64))
    values = [dice.randrange(10**6) for _ in range(50)]
    for minute in range(int(sys.argv[2]) + 1):
        values = [value + dice.randrange(500) for value in values]
        rows = [[i, 0, 0, -2, value] for i, value in enumerate(values)]
        raw = entry.encode_after(begin, minute + 1, BEGIN + 60000 * minute, 3, entry.READINGS, [rows, bytes(32)])
        out.entry(raw, bytes(64))
    out.end()
"""

# a minute of a terminal: the entry of 50 readings, what the fold derives of it, and the entries of that
_MINUTE = _SITE + """
from carbonterm import cbor
from carbonterm.gm import sm3
from carbonterm.ledger import entry
from carbonterm.pipeline import Pipeline
data = site(CLOSINGS).canonical()
pipeline, begin, at = Pipeline(), entry.prefix("CT-BENCH-1", 0), [0]
pipeline.fold(entry.Entry("CT-BENCH-1", 0, 0, BEGIN, 3, entry.CONFIG, [sm3.digest(data), data], None))
def minute():
    at[0] += 1
    n = at[0]
    time_ms = BEGIN + 60000 * n + 350
    body = [[[i, 0, 0, -2, 1000000 * i + 731 * n] for i in range(50)], bytes(32)]
    entry.encode_after(begin, n, time_ms, 3, entry.READINGS, body)
    for found in pipeline.derive(entry.Entry("CT-BENCH-1", 0, n, time_ms, 3, entry.READINGS, body, None)):
        entry.encode_after(begin, n, *found)
"""

_SIGN = """
from carbonterm.gm import sm2
signer = sm2.Signer(bytes(range(1, 33)))
message = bytes(range(200))
"""


def run():
    with tempfile.TemporaryDirectory() as folder:
        return _host(Path(folder)) + [one for name in RUNTIMES[1:] for one in _terminal(name)]


def _host(folder):
    """Rows of the host: Parquet with readings at whole minutes, as pandas wants them, then some ms later; a bundle."""
    python, env = command("cpython")
    env["PYTHONPATH"] += ":host"

    def once(code, *arguments):
        return child([*python, "-c", code, *map(str, arguments)], env=env)

    once(_WRITE, folder, MINUTES, 0)
    done = {"ours": [], "pandas": []}

    def timed(name, code, file):
        done[name].append(once(code, folder / file))
        return done[name][-1].wall

    found = rounds({"ours": lambda: timed("ours", _OURS, "exact.parquet"),
                    "pandas": lambda: timed("pandas", _PANDAS, "floats.parquet")}, count=3)  # fmt: skip
    (count, ours), (size, theirs) = done["ours"][0].json(), done["pandas"][0].json()
    if count != size or abs(ours - theirs) > 0.01:
        raise RuntimeError(f"pandas has {theirs} t of {size} readings, we {ours} t of {count}")
    wall, peer = found["ours"].best, found["pandas"].best
    peak, large = max(one.peak for one in done["ours"]), max(one.peak for one in done["pandas"])
    what = f"settling and accounting a year of minutes, {POINTS} points, {count / 1e6:.1f} million readings, Parquet"
    rows = [
        row(what, round(wall, 2), "s", "pandas, floats", round(peer, 2), round(wall / peer, 2), f"<= {AT_MOST}",
            wall / peer <= AT_MOST),
        row("  resident", peak >> 20, "MiB", "pandas, floats", large >> 20, round(peak / large, 2), "<= 2 GiB",
            peak <= RESIDENT),
    ]  # fmt: skip
    once(_WRITE, folder, MINUTES, 900)
    wall = once(_OURS, folder / "exact.parquet").wall
    rows.append(row("  with readings beside the borders, which are interpolated", round(wall, 2), "s"))
    once(_BUNDLE, folder / "month.bundle", MONTH)
    done = once(_OURS, folder / "month.bundle")
    each = done.wall / done.json()[0] * 1e6
    rows.append(row("  a month from a bundle, a reading", round(each, 3), "µs"))
    rows.append(row("  a year at that rate", round(each * count / 1e6, 1), "s"))
    return rows


def _terminal(name):
    """Rows of a minute on a runtime, with hours, days, months and years settled, and with minutes too."""
    rows = []
    for closings, what in (([1, 2, 3, 4, 5], "settled every minute"), ([2, 3, 4, 5], "settled every hour")):
        code = _MINUTE.replace("CLOSINGS", str(closings))
        try:
            found = rounds(
                {
                    "minute": lambda code=code: per_call(code, "minute()", 130, name, warm=2),
                    "sign": lambda: per_call(_SIGN, "signer.sign(message)", 20, name),
                },
                count=3,
                warm=0,
            )
        except Unavailable as reason:
            return [row(f"a {POINTS}-point minute, {name}: {reason}", None, "ms")]
        minute, sign = found["minute"].best * 1e3, found["sign"].best * 1e3
        share = minute / sign
        what = f"a {POINTS}-point minute {what}: register, settlement, emission, entry, {name}"
        figures = round(minute, 1), "ms", "an SM2 signature", round(sign, 2), round(share, 2)
        rows.append(row(what, *figures, f"<= {SIGNATURES}", share <= SIGNATURES))
    return rows


if __name__ == "__main__":
    for line in run():
        print(json.dumps(line, ensure_ascii=False), file=sys.stdout)
