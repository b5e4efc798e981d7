"""Starts a terminal in simulated time on a MicroPython of this machine."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import carbonterm_host
from carbonterm_host import runtime

START_MS = 1795222800000  # 2026-11-21T09:00:00+08:00
BEFORE_MS = 3000  # the simulation begins so much sooner, so that the first round is read
ROOT = Path(carbonterm_host.__file__).parent.parent


def plan(seed=1, hours=1.0, faults=(), power=(), unplugged=(), stations=(), loop=None, meters=None, flash=None,
         held=False, segment_size=None, defect=None):  # fmt: skip
    """plan.json of a run of so many hours. faults: rows as for Faults.add; power: milliseconds since the start when it
    fails; unplugged: [device, from, until] in milliseconds; stations: [name, MN, version, bytes of a packet]; loop: a
    transmitter's name; meters: {name: [rate, {register: start}]}; flash: [bytes of a block, blocks of the ring, blocks
    of the littlefs, bytes of a page]; held: a centre has all entries at once; defect: see benches.defective."""
    return {
        "seed": seed, "start_ms": START_MS - BEFORE_MS, "end_ms": int(hours * 3600000) + BEFORE_MS,
        "faults": list(faults), "power": list(power), "unplugged": list(unplugged), "stations": list(stations),
        "loop": loop, "meters": meters or {}, "flash": flash, "held": held, "segment_size": segment_size,
        "defect": defect,
    }  # fmt: skip


def run(folder, site, made, command=None, heap="256M"):
    """Leaves site.bin, plan.json, truth.jsonl and the log in `folder`; the device's counts, as a dict. made: of `plan`;
    command: the interpreter's, default MicroPython. RuntimeError with what it said where it failed."""
    (folder / "site.bin").write_bytes(site.canonical())
    (folder / "plan.json").write_text(json.dumps(made))
    shutil.rmtree(folder / "log", ignore_errors=True)
    path = os.pathsep.join(map(str, [*runtime.packages(), ROOT]))
    done = subprocess.run(
        [*(command or [runtime.find(), "-X", f"heapsize={heap}"]),
         "-c", f"import sys; sys.argv[1:] = [{str(folder)!r}]; import carbonterm_host.benches.simulated.device"],
        env={**os.environ, "MICROPYPATH": ".frozen:" + path, "PYTHONPATH": path, "PYTHONHASHSEED": "0"},
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the terminal in simulated time ended with {done.returncode}: "
                           f"{done.stdout[-1500:]}{done.stderr[-1500:]}")  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])
