"""Durable append on MicroPython against a bare write-and-fsync loop of the same bytes in the same folder.

Per batch size, all in one process and in turn: the bare loop; `commit` of entries that are already encoded and signed
(the write path itself, which has the target); append and commit with the signature taken out (a constant); and the
whole of it with real signatures. Medians, as a flush waits for the disk. A reading of three points is an entry here.
"""

import shutil
import tempfile

from tools.bench.measure import ROOT, row, snippet

TARGET = 60  # percent of the bare loop's rate

SCRIPT = """
import gc, json, sys, time
from carbonterm.gm import sm2
from carbonterm.ledger import entry, frames
from carbonterm.ledger.segment import Log
from carbonterm_device.storage import Folder

class Constant:
    def __init__(self, public):
        self.public = public
    def sign(self, message, extra):
        return bytes(64)

signer = sm2.Signer(bytes(31) + bytes((7,)))
constant = Constant(signer.public)
folder, rounds = sys.argv[1], {rounds}
ROWS = [[point, 120, 0, -2, 123456789 + point] for point in range(3)]
DIGEST = bytes(32)

def fill(log, batch):
    for i in range(batch):
        log.append(1750000000000 + log.next_seq, 3, entry.READINGS, [ROWS, DIGEST])

def median(values):
    return sorted(values)[len(values) // 2]

found = {{}}
for batch in {batches}:
    commit = Log(Folder("%s/commit%d" % (folder, batch)), "CT-0001", 0, constant)
    unsigned = Log(Folder("%s/unsigned%d" % (folder, batch)), "CT-0001", 0, constant)
    whole = Log(Folder("%s/whole%d" % (folder, batch)), "CT-0001", 0, signer)
    bare = open("%s/bare%d" % (folder, batch), "wb")
    times = {{"bare": [], "commit": [], "unsigned": [], "whole": []}}
    def write_bare():
        bare.write(data)
        bare.flush()
    def append(log):
        fill(log, batch)
        log.commit()
    contenders = [
        ("bare", write_bare), ("commit", commit.commit),
        ("unsigned", lambda: append(unsigned)), ("whole", lambda: append(whole)),
    ]
    for number in range(rounds):
        fill(commit, batch)
        (data,) = frames.frames_of(commit._buffer)
        commit._owed.clear()  # a checkpoint is a write of its own, one in 60 entries
        for i in range(4):
            name, act = contenders[(number + i) % 4]  # each follows each: the disk remembers the one before
            gc.collect()
            start = time.time_ns()
            act()
            times[name].append(time.time_ns() - start)
    bare.close()
    found[str(batch)] = [len(data), [median(times[name]) for name in ("bare", "commit", "unsigned", "whole")]]
print(json.dumps(found))
"""


def run(batches=(1, 8, 32), rounds=150):
    folder = ROOT / "build"
    folder.mkdir(exist_ok=True)
    folder = tempfile.mkdtemp(dir=folder)
    try:
        found = snippet(SCRIPT.format(batches=batches, rounds=rounds), arguments=[folder]).json()
    finally:
        shutil.rmtree(folder)
    rows = []
    for batch, (size, (bare, commit, unsigned, whole)) in sorted(found.items(), key=lambda item: int(item[0])):
        entries = f"{batch} entries, {size} bytes" if batch != "1" else f"1 entry, {size} bytes"
        rate = 100 * bare / commit
        rows += [
            row(f"durable append, {entries}, signed before", commit / 1e6, "ms", "bare write and fsync", bare / 1e6,
                f"{rate:.0f} %", f">= {TARGET} %", rate >= TARGET),
            row(f"… with encoding and tree ({entries})", unsigned / 1e6, "ms", "bare write and fsync", bare / 1e6,
                f"{100 * bare / unsigned:.0f} %"),
            row(f"… with SM2 signatures too ({entries})", whole / 1e6, "ms", "bare write and fsync", bare / 1e6,
                f"{100 * bare / whole:.0f} %"),
        ]  # fmt: skip
    return rows


if __name__ == "__main__":
    from tools.bench.__main__ import main

    raise SystemExit(main(["append"]))
