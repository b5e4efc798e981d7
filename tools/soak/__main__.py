"""`python -m tools.soak` (make soak): the plant on MicroPython in simulated time, and its log against ground truth."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from carbonterm_host.benches.compare import compare
from tools.soak.host import run


def main():
    parser = argparse.ArgumentParser(prog="python -m tools.soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=24, help="of simulated time (24)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--level", type=float, default=0.003, help="probability of each fault at each answer (0.003)")
    parser.add_argument("--runtime", default="micropython", choices=("cpython", "micropython", "micropython32"))
    parser.add_argument("--keep", type=Path, help="leave log and ground truth in this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        counts = run(folder, options.seed, options.hours, options.level, options.runtime)
        took = time.monotonic() - began
        result = compare(folder)
    for name, count in counts["faults"].items():
        print(f"  {name:16} {count}")
    print(f"faults: {sum(counts['faults'].values())} of {len(counts['faults'])} kinds; bytes that collided: "
          f"{counts['collided']}; power cuts: {counts['cuts']}; starts: {counts['starts']}; "
          f"jumps confirmed by an operator: {counts['confirmed']}")  # fmt: skip
    print("line: " + ", ".join(f"{name} {count}" for name, count in counts["counters"].items()))
    print("log: " + ", ".join(f"{name} {count}" for name, count in result.counts.items()))
    print(f"{options.hours:g} simulated hours on {options.runtime}, seed {options.seed}, in {took:.0f} s")
    for line in result.differences[:40]:
        print("DIFFERENCE " + line)
    print(f"differences between ground truth and log: {len(result.differences)}")
    return 1 if result.differences else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RuntimeError as error:
        sys.exit(str(error))
