"""What the benchmarks share: interleaved rounds, CPU time of child processes, snippets on any runtime, rows.

A figure is never taken alone: `rounds` runs ours and the peer's in turn, so that both see the same machine, and the
ratio comes from their best (for work without waiting) or median (for work that waits for a disk or a peer).
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from carbonterm_host import runtime

ROOT = Path(__file__).resolve().parent.parent.parent
RUNTIMES = ("cpython", "micropython", "micropython32")


class Unavailable(Exception):
    """A runtime or peer that can't be had on this machine, with the reason."""


def row(what, figure, unit, peer="", peer_figure=None, ratio=None, target="", ok=None):
    """One line of the table. ok: True or False where there is a target, None where the figure only informs."""
    return {
        "what": what, "figure": figure, "unit": unit, "peer": peer, "peer_figure": peer_figure,
        "ratio": ratio, "target": target, "ok": ok,
    }  # fmt: skip


class Samples(list):
    """The figures of one contender, one per round, smaller is better."""

    @property
    def best(self):
        return min(self)

    @property
    def median(self):
        ordered = sorted(self)
        middle = len(ordered) // 2
        return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def rounds(contenders, count=5, warm=1):
    """{name: Samples} of {name: function giving a figure}, run in turn `count` times after `warm` unrecorded rounds."""
    found = {name: Samples() for name in contenders}
    for number in range(warm + count):
        names = list(contenders)
        for name in names if number % 2 else reversed(names):
            figure = contenders[name]()
            if number >= warm:
                found[name].append(figure)
    return found


def seconds(function, *arguments):
    """Wall time of one call."""
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


class Done:
    """A child process that ended well: .out its stdout, .wall and .cpu (user + system, with its children) in seconds,
    .peak its largest resident set in bytes."""

    __slots__ = ("cpu", "out", "peak", "wall")

    def __init__(self, out, wall, cpu, peak):
        self.out = out
        self.wall = wall
        self.cpu = cpu
        self.peak = peak

    def json(self):
        """What the child printed on its last line."""
        return json.loads(self.out.strip().split("\n")[-1])


def child(arguments, env=None, cwd=ROOT, timeout=300):
    """Runs a command to its end; Done, or RuntimeError with what it said if it failed."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        process = subprocess.Popen([str(a) for a in arguments], stdout=out, stderr=err, env=env, cwd=cwd)
        return finish(process, out, err, start, timeout)


def finish(process, out, err, start, timeout=300):
    """Waits for a Popen whose stdout and stderr are the open files `out` and `err`; Done or RuntimeError."""
    alarm = threading.Timer(timeout, process.kill)
    alarm.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
    finally:
        alarm.cancel()
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    out.seek(0)
    err.seek(0)
    said = out.read().decode(errors="replace")
    if process.returncode:
        said = said[-1500:] + err.read().decode(errors="replace")[-1500:]
        raise RuntimeError(f"{process.args[0]} ended with {process.returncode}:\n{said}")
    return Done(said, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def command(name, heap="16M", emit=None):
    """(argument list, environment) that starts a runtime from the project's root, core and firmware on its path.

    name: one of RUNTIMES; heap: MicroPython's, like "192K"; emit: "bytecode" or "native" for MicroPython's compiler.
    """
    path = ":".join(str(p) for p in runtime.packages())
    if name == "cpython":
        return [sys.executable], {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0"}
    if name == "micropython":
        try:
            binary = runtime.find()
        except runtime.NotFound as reason:
            raise Unavailable(str(reason)) from None
    else:
        done = subprocess.run([ROOT / "tools/micropython32"], capture_output=True, text=True, timeout=600)
        if done.returncode:
            raise Unavailable(done.stderr.strip())
        binary = done.stdout.strip()
    options = ["-X", f"heapsize={heap}"] + (["-X", f"emit={emit}"] if emit else [])
    return [binary, *options], runtime.environment()


def snippet(code, name="micropython", heap="16M", arguments=(), timeout=300):
    """Runs a Python text on a runtime; Done. It prints what it found, as JSON on its last line for Done.json()."""
    start, env = command(name, heap)
    with tempfile.NamedTemporaryFile("w", suffix=".py", encoding="utf-8") as file:
        file.write(code)
        file.flush()
        return child([*start, file.name, *arguments], env=env, timeout=timeout)


_LOOP = """
import time, gc
{setup}
def _run(n):
    for _ in range(n):
        {statement}
_run({warm})
gc.collect()
_start = time.time_ns()
_run({number})
print(time.time_ns() - _start)
"""


def per_call(setup, statement, number, name="micropython", heap="16M", warm=1):
    """Seconds that one run of `statement` (one line) takes on a runtime, mean of `number` in a fresh process."""
    code = _LOOP.format(setup=setup, statement=statement, number=number, warm=warm)
    return snippet(code, name, heap).json() / number / 1e9
