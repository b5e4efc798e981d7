"""What the log costs a flash, how long the flash lives with it, and how long a start takes whatever the log's length.

Wear is counted on simulated NOR flash of 4096-byte blocks (bytes programmed and blocks erased, which do not depend on
the machine), start-up is timed on MicroPython's unix port, best of the rounds, with the page cache warm. The batches
are those of a log: each is a number of whole entries, so it ends some bytes behind 4096, never exactly there.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from tools.bench.measure import ROOT, child, command, row

DAY = 72000  # entries
CYCLES = 100000  # erases that a block of NOR flash stands
MIB = 1 << 20
BLOCK = 4096
SIZES = (10000, 100000, 1000000)


def device(script, *arguments, heap="96M"):
    start, env = command("micropython", heap)
    return child([*start, ROOT / "tools/bench/device" / script, *arguments], env=env, timeout=900).json()


def years(erased, payload, per_day, blocks):
    """Years until blocks that are worn evenly have been erased CYCLES times, at `per_day` bytes of log."""
    return CYCLES * blocks / (erased / payload * per_day) / 365


def wear():
    found, (count, payload, size, largest) = device("wear.py", 512)
    by = {(kind, *batch) if isinstance(batch, list) else (kind, batch): rest for kind, batch, *rest in found}
    per_day = payload / count * DAY
    rows = [row("entry of a 3-point minute", largest, "bytes", ratio=f"mean {size / count:.0f}",
                target="<= 120 beside the fingerprint", ok=largest <= 120)]  # fmt: skip
    shapes = (
        ((4096, -200), "4 KB batches that end behind a block, as the log does", {"littlefs": 1.2, "ring": 1.05}),
        ((4096, 200), "4 KB batches that end anywhere", {"ring": 1.05}),
        ((16384, 200), "16 KB batches that end anywhere", {"littlefs": 1.2, "ring": 1.05}),
        ((4096, 0), "batches of 4096 bytes, not one more or less", {"littlefs": 1.2}),
    )
    for shape, what, targets in shapes:
        for kind in ("littlefs", "ring"):
            for program in (16, 256):
                given, programmed, erased, _ = by[(kind, *shape, program)]
                factor, target = programmed / given, targets.get(kind)
                life = years(erased, given, per_day, 1536)
                rows.append(row(
                    f"{kind}, {what}, {program} bytes at once", factor, "bytes written per byte", "erases",
                    erased * BLOCK / given, f"6 MiB last {life:.0f} years",
                    f"<= {target}" if target else "", None if target is None else factor <= target,
                ))  # fmt: skip
    rows += life_of(by, per_day)
    return rows


def life_of(by, per_day):
    """A whole terminal's log with its checkpoints, 72 000 entries a day, on boards of 8 and 16 MiB."""
    given, programmed, erased, _ = by[("littlefs log", 4096)]
    _, _, files, _ = by[("files beside", 4096)]
    _, _, ring, _ = by[("ring alone", 4096)]
    rows = [row("log of 72 000 entries a day", per_day / 1e6, "MB a day"),
            row("… all of it on littlefs, checkpoints too", programmed / given, "bytes written per byte")]  # fmt: skip
    given, programmed, _, _ = by[("ring log", 4096)]
    rows.append(row("… segments in the ring, the rest on littlefs", programmed / given, "bytes written per byte"))
    for board, blocks, rest in ((8, 1536, 256), (16, 3584, 256)):
        in_ring, beside = years(ring, given, per_day, blocks), years(files, given, per_day, rest)
        on_littlefs = years(erased, given, per_day, blocks + rest)
        rows.append(row(
            f"board of {board} MiB: ring of {blocks >> 8} MiB, littlefs of {rest >> 8} MiB", min(in_ring, beside),
            "years", f"all {(blocks + rest) >> 8} MiB littlefs", on_littlefs, f"ring {in_ring:.0f}, files {beside:.0f}",
        ))  # fmt: skip
    return rows


def recovery(rounds=5):
    """Start-up of logs whose last segment is as full as it gets: the worst tail."""
    sys.path.append(str(ROOT / "tests/runtime/lib"))
    from sites import document
    from tools.bench.storage_log import TERMINAL, build

    rows, first = [], None
    (ROOT / "build").mkdir(exist_ok=True)
    for count in SIZES:
        folder = Path(tempfile.mkdtemp(dir=ROOT / "build"))
        try:
            build(folder, document(terminal=TERMINAL), count)
            kinds = [("", ())] + ([("in a ring of 6 MiB, ", (6,))] if count == SIZES[-1] else [])
            for where, more in kinds:
                found = device("recovery.py", folder, rounds, *more)
                first = first or found["log"]
                ms, last = found["log"] / 1000 + found["mount"] / 1000, count == SIZES[-1]
                whole = ms + found["fold"] / 1000
                rows.append(row(
                    f"start-up of a log of {found['entries']:,} entries, {where}{found['names']} names", ms, "ms",
                    "log of 10 000", first / 1000, f"reads {found['read'] / 1e6:.1f} MB, {found['tail']} entries",
                    "< 1000 ms" if last else "", ms < 1000 if last else None,
                ))  # fmt: skip
                rows.append(row(
                    "… with folding these entries, until it reads meters again", whole, "ms",
                    target="< 1000 ms" if last else "", ok=whole < 1000 if last else None,
                ))  # fmt: skip
        finally:
            shutil.rmtree(folder)
    return rows


def run():
    return wear() + recovery()


if __name__ == "__main__":
    from tools.bench.__main__ import main

    raise SystemExit(main(["storage"]))
