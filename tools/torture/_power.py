"""What the sweeps of littlefs and the ring share: tests/firmware/cut_power.py on MicroPython."""

import os
import subprocess

from carbonterm_host import runtime
from tools.torture.__main__ import ROOT

FAILS = 600  # of the operations of a disturbed run, reads above all, one in about so many fails in its turn


def rows(kind, seed, every, fails):
    """A row for power cuts at every `every`-th write and erase, one for every `fails`-th operation that fails alive."""
    return [
        _row(kind, "cut", seed, every, "power cuts", "writes and erases, each left out, half done, done"),
        _row(kind, "fail", seed, fails, "EIO alive", "writes and erases; from each commit on a run is disturbed"),
    ]


def _row(kind, mode, seed, every, what, note):
    path = ":".join([".frozen", str(ROOT / "tests/runtime/lib"), *map(str, runtime.packages())])
    done = subprocess.run(
        [runtime.find(), "-X", "heapsize=32M", "tests/firmware/cut_power.py", kind, mode, str(seed), str(every)],
        cwd=ROOT, env={**os.environ, "MICROPYPATH": path}, capture_output=True, text=True, timeout=3000,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    *failing, last = done.stdout.strip().split("\n")
    operations, cases, violations, entries, dropped = map(int, last.split())
    note = f"{entries} entries, {dropped} of them dropped on the way, {operations} {note}"
    return {"what": what, "cases": cases, "violations": violations, "note": note, "failing": failing}
