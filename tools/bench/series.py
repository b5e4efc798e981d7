"""What a reading costs in a settler, in every runtime, beside the SM2 signature that makes its entry provable.

A 15-minute register with two decimals, hours, days, months and years settled, a border crossed by every fourth reading;
and the memory that a silent month leaves in one answer.
"""

from tools.bench.measure import RUNTIMES, Unavailable, per_call, rounds, row, snippet

READINGS = {"cpython": 20000, "micropython": 8000, "micropython32": 8000}
SHARE = 0.02  # a settler's part of the signature's time, at most

_FEED = """
from carbonterm.number import Number
from carbonterm.series.closing import Settler
settler = Settler(480, 1000000, 5000, 900000)
clock, value = [1772640120000], [0]
def feed():
    clock[0] += 900000
    value[0] = (value[0] + 12345) % 100000000
    settler.feed(clock[0], Number(value[0], -2))
"""

_SIGN = """
from carbonterm.gm import sm2
signer = sm2.Signer(bytes(range(1, 33)))
message = bytes(range(200))
"""

_SILENT = """
import gc
from carbonterm.number import Number
from carbonterm.series.closing import Settler
settler = Settler(480, 1000000, None, 900000)
settler.feed(1772640000000, Number(12345678, -2))
settler.feed(1772640900000, Number(12345700, -2))
gc.collect()
before = gc.mem_alloc()
closed = settler.feed(1772640000000 + 31 * 86400000, Number(22345678, -2))
gc.collect()
print((gc.mem_alloc() - before) // len(closed))
"""


def run():
    rows = []
    for name in RUNTIMES:
        try:
            found = rounds(
                {
                    "feed": lambda name=name: per_call(_FEED, "feed()", READINGS[name], name, warm=100),
                    "sign": lambda name=name: per_call(_SIGN, "signer.sign(message)", 20, name),
                },
                count=3,
                warm=0,
            )
        except Unavailable as reason:
            rows.append(row(f"settler: a reading, {name}: {reason}", None, "µs"))
            continue
        feed, sign = found["feed"].best * 1e6, found["sign"].best * 1e6
        share = feed / sign
        what, target = f"settler: a reading, 4 periods, {name}", f"<= {SHARE:.0%}"
        figures = round(feed, 1), "µs", "an SM2 signature", round(sign, 1), f"{share:.1%}"
        rows.append(row(what, *figures, target, share <= SHARE))
        if name != "cpython":
            size = snippet(_SILENT, name).json()
            rows.append(row(f"settler: a settlement after a silent month, {name}", size, "bytes"))
    return rows


if __name__ == "__main__":
    for line in run():
        print(line)
