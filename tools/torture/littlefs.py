"""Power cuts on littlefs: tests/firmware/cut_littlefs.py on MicroPython, at every write and erase of the flash."""

import os
import subprocess

from carbonterm_host import runtime
from tools.torture.__main__ import ROOT


def run(seed, every=1):
    path = ":".join([".frozen", str(ROOT / "tests/runtime/lib"), *map(str, runtime.packages())])
    done = subprocess.run(
        [runtime.find(), "-X", "heapsize=16M", "tests/firmware/cut_littlefs.py", str(seed), str(every)],
        cwd=ROOT, env={**os.environ, "MICROPYPATH": path}, capture_output=True, text=True, timeout=3000,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    *failing, last = done.stdout.strip().split("\n")
    writes, cases, violations = map(int, last.split())
    note = f"{writes} writes and erases of a 100-entry workload, each left out, half done, done"
    return [{"what": "power cuts", "cases": cases, "violations": violations, "note": note, "failing": failing}]
