"""`python -m tools.fuzz [CODEC …] [--seed N] [--streams N] [--micropython N] [--only NUMBER]`: mutated and random
streams through every codec (tests/runtime/lib/fuzzing.py), in parallel over the cores.

CPython runs all streams, MicroPython the first of them, of which both must give the same events. A stream is named by
codec, seed and number and can be run again alone with --only. Prints counts, writes build/fuzz.json. Exit code 0 if
nothing was violated, 1 if something was, 2 for an unknown codec.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests/runtime"), str(ROOT / "tests/runtime/lib")]

import fuzzing  # noqa: E402
import runtimes  # noqa: E402

CODECS = fuzzing.CODECS

SEED = 20260101
CHUNK = 10_000  # streams of one process


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description="Fuzzes the codecs.")
    parser.add_argument("names", nargs="*", metavar="CODEC", help="all if none is named: " + ", ".join(CODECS))
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--streams", type=int, default=1_000_000, help="on CPython, of each codec")
    parser.add_argument("--micropython", type=int, default=100_000, help="of these on MicroPython too, 64 bit")
    parser.add_argument("--micropython32", type=int, default=0, help="and on 32 bit")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--only", type=int, metavar="NUMBER", help="run this one stream of the codec here and show it")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in CODECS]
    if unknown:
        parser.error(f"there is no codec {', '.join(unknown)}; there are: {', '.join(CODECS)}")
    if options.only is not None:
        return show(options.names or list(CODECS), options.seed, options.only)
    counts = {"cpython": options.streams, "micropython": options.micropython, "micropython32": options.micropython32}
    rows = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for name in options.names or CODECS:
            began = time.perf_counter()
            chunks = {}
            for runtime, count in counts.items():
                for first in range(0, count, CHUNK):
                    size = min(CHUNK, count - first)
                    chunks[runtime, first] = pool.submit(chunk, runtime, name, options.seed, first, size)
            rows += report(name, {key: made.result() for key, made in chunks.items()}, counts)
            print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
    violations = sum(row["violations"] for row in rows)
    print(f"seed {options.seed}: {sum(row['streams'] for row in rows)} streams, {violations} violations")
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build/fuzz.json").write_text(json.dumps({"seed": options.seed, "rows": rows}, indent=1) + "\n")
    return 1 if violations else 0


def chunk(runtime, name, seed, first, count):
    """What fuzzing.many says of these streams, run in a process of `runtime`."""
    command, environment = runtimes.command(runtime)
    command += ["tests/runtime/lib/fuzzing.py", name, str(seed), str(first), str(count)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name} on {runtime}, streams from {first} on:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def report(name, found, counts):
    """A row of each runtime, printed: sums of its chunks, and whether their digests are those of CPython."""
    rows = []
    for runtime, count in counts.items():
        mine = {first: one for (where, first), one in found.items() if where == runtime}
        if not count or not mine:
            continue
        row = {"codec": name, "runtime": runtime}
        for key in ("streams", "frames", "accepted", "violations"):
            row[key] = sum(one[key] for one in mine.values())
        failing = [f"{number}: {what}" for one in mine.values() for number, what in one["failing"]]
        for first, one in mine.items():
            other = found.get(("cpython", first))
            if runtime != "cpython" and other and other["streams"] == one["streams"]:
                row["compared"] = row.get("compared", 0) + one["streams"]
                if other["digest"] != one["digest"]:
                    row["violations"] += 1
                    failing.append(f"{first} to {first + one['streams'] - 1}: other events than on CPython")
        row["failing"] = failing[:20]
        rows.append(row)
        said = f", {row['compared']} with the events of CPython" if "compared" in row else ""
        print(f"{name} on {runtime}: {row['streams']} streams, {row['frames']} frames found, {row['accepted']} replies "
              f"accepted, {row['violations']} violations{said}")  # fmt: skip
        for text in row["failing"]:
            print(f"    --only {text}")
    return rows


def show(names, seed, number):
    for name in names:
        codec = CODECS[name]()
        line = codec.stream(fuzzing.Chance(f"{codec.NAME} {seed} {number}"))
        print(f"{name} {number}: {line.hex(' ')}")
        events, frames, accepted = fuzzing.one(codec, seed, number)
        print(f"{frames} frames, {accepted} accepted: {events}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
