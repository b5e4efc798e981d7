"""`python -m tools.torture [NAME …] [--seed N] [--count N] [--json FILE]`: runs the sweeps, prints what each tried and
found.

A sweep is a module beside this one with `run(seed) -> rows`; a row is {"what": text, "cases": int, "violations": int,
"note": text, "failing": [text, …]} (note and failing may be left out; failing names cases so that they can be tried
again by hand). The same seed gives the same cases; --count says how many, to a sweep with `run(seed, count)`. Writes
build/torture.json. Exit code 0 if nothing was violated and no sweep broke off, 1 if not, 2 for an unknown name. A sweep
that cannot run here raises Unavailable with the reason.
"""

import argparse
import importlib
import inspect
import json
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SEED = 20260101


class Unavailable(Exception):
    """What a sweep needs is not on this machine."""


def names():
    """All sweeps: the modules beside this one."""
    return sorted(p.stem for p in Path(__file__).parent.glob("*.py") if not p.stem.startswith("_"))


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tools.torture", description="Runs the torture sweeps.")
    parser.add_argument("names", nargs="*", help="which ones; all of them if none is named: " + ", ".join(names()))
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--count", type=int, help="how many cases, for a sweep that can try more or fewer")
    parser.add_argument("--json", type=Path, help="write the rows here as well")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in names()]
    if unknown:
        parser.error(f"there is no sweep {', '.join(unknown)}; there are: {', '.join(names())}")
    rows, broken = [], 0
    for name in options.names or names():
        start = time.perf_counter()
        try:
            run = importlib.import_module("tools.torture." + name).run
            counted = options.count and "count" in inspect.signature(run).parameters
            found = run(options.seed, **({"count": options.count} if counted else {}))
        except Exception as reason:
            if type(reason).__name__ == "Unavailable":
                print(f"{name}: left out, {reason}")
            else:
                broken += 1
                print(f"{name}: broke off\n{traceback.format_exc()}")
            continue
        spent = time.perf_counter() - start
        for row in found:
            rows.append({"sweep": name, **row})
            note = f" ({row['note']})" if row.get("note") else ""
            print(f"{name}: {row['what']}: {row['cases']} cases, {row['violations']} violations{note}")
            for case in row.get("failing", [])[:10]:
                print(f"    {case}")
        print(f"{name}: {spent:.1f} s", flush=True)
    cases, violations = (sum(row[key] for row in rows) for key in ("cases", "violations"))
    print(f"seed {options.seed}: {cases} cases, {violations} violations")
    text = json.dumps({"seed": options.seed, "rows": rows}, ensure_ascii=False, indent=1) + "\n"
    (ROOT / "build").mkdir(exist_ok=True)
    for file in [ROOT / "build/torture.json", *([options.json] if options.json else [])]:
        file.write_text(text, encoding="utf-8")
    return 1 if violations or broken else 0


if __name__ == "__main__":
    sys.exit(main())
