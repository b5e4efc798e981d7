"""SIGKILL at random moments under the firmware on MicroPython (tests/firmware/live.py): its log is fed as fast as it
goes, with checkpoints, rotation of keys, new segments, snapshots and retention: each start is three hours later than
the one before, and what is older than a day goes.

Whatever was acknowledged must be there after the kill, once and unchanged: every acknowledged size had a root, and the
tree over the entries that are found has the same one. A kill keeps the page cache, so it proves the order of writes and
the recovery; power cuts are the sweeps of littlefs and of the ring. The seed decides workloads and moments.
"""

import io
import random
import selectors
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from carbonterm.ledger import bundle
from carbonterm.ledger.frames import read_key
from carbonterm_host import datafolder, gm_backends, site_yaml
from carbonterm_host.authority import Heads
from carbonterm_host.commands.verify import tools
from carbonterm_host.verifier import Verifier
from tools.torture.__main__ import ROOT, Unavailable

sys.path.insert(0, str(ROOT / "tests/runtime"))

SITES = 3
LOOK_EVERY = 5  # kills between two looks at the whole folder: what was acknowledged is compared before it is dropped
LATER_MS = 3 * 3600000  # from start to start
TERMINAL = "CT-TEST-1"
SITE = """
terminal: %s
name: torture %d
zone: "+08:00"
buses: [{name: lan, kind: modbus-tcp, host: 127.0.0.1, port: 502}]
meters: [{name: gas, bus: lan, unit: 1, model: generic-gas-modbus}]
points:
  - {name: A, meter: gas, register: volume, every: 1s}
  - {name: B, meter: gas, register: volume, every: 1s}
  - {name: C, meter: gas, register: volume, every: 1s}
settings: {closings: [minute, hour, day], keep: {days: 1}}
"""


class Folder:
    """One data folder under kills. `acked`: {(epoch, size): root} not yet compared; `violations`: texts."""

    def __init__(self, path, runtime):
        import runtimes

        try:
            self.command, self.environment = runtimes.command(runtime)
        except runtimes.Unavailable as reason:
            raise Unavailable(str(reason)) from None
        self.path, self.acked, self.violations = path / "data", {}, []
        self.path.mkdir()
        for number in range(SITES):  # every start has one of them: a changed one is an entry
            document = site_yaml.compile_text(SITE % (TERMINAL, number)).canonical()
            (path / f"{number}.site").write_bytes(document)
        self.sealed = {}  # epoch: entries under a checkpoint
        self.newest = (0, 0)  # what was acknowledged last
        self.begins = (0, 0)
        words = "kills", "in recovery", "in rotation", "in a look", "compared", "dropped", "drops", "epochs"
        self.counts = dict.fromkeys(words, 0)

    def round(self, seed, delay, word):
        """Starts the terminal and kills it `delay` s after the first line that begins with `word` ("": at once)."""
        process = subprocess.Popen(
            [*self.command, "tests/firmware/live.py", str(self.path),
             str(self.path.parent / f"{seed % SITES}.site"), str(seed), str(self.counts["kills"] * LATER_MS)],
            cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        lines = _said(process, delay, word).split("\n")[:-1]  # the last line may be cut
        self.counts["kills"] += 1
        if not any(line.startswith("found") for line in lines):
            self.counts["in recovery"] += 1
        elif lines[-1] in ("rotating", "looking"):
            self.counts["in rotation" if lines[-1] == "rotating" else "in a look"] += 1
        self._hear(seed, lines)

    def _hear(self, seed, lines):
        for line in lines:
            what, *values = line.split(" ")
            if what in ("rotating", "looking"):
                continue
            if what not in ("found", "ack", "sealed", "begins"):  # a traceback: the terminal ended by itself
                self.violations.append(f"round {seed}: {' | '.join(lines[-6:])}")
                return
            at = int(values[0]), int(values[1])
            if what == "found" and at < self.newest:
                self.violations.append(f"round {seed}: found {at}, acknowledged {self.newest}")
            elif what == "ack":
                root = bytes.fromhex(values[2])
                if self.acked.setdefault(at, root) != root:
                    self.violations.append(f"round {seed}: another root over {at}")
                self.newest = max(self.newest, at)
            elif what == "begins" and at > self.begins:
                self.counts["drops"] += 1
                self.counts["epochs"] += at[0] - self.begins[0]
                self.begins = at
            elif what == "sealed":
                self.sealed[at[0]] = max(self.sealed.get(at[0], 0), at[1])

    def look(self):
        """Compares all roots that were acknowledged with the entries that are there, and verifies these."""
        file = io.BytesIO()
        writer = bundle.Writer(file, TERMINAL, "torture", tools(gm_backends.best())["hasher"]())
        storage = datafolder.DataFolder(self.path)
        datafolder.pull(storage, writer)
        writer.end()
        # the first key vouches for all that follow, over the ends of epochs that were dropped too
        verifier = Verifier([read_key(storage, 0)], **tools(gm_backends.best()))
        verifier.heads = Heads((), self.acked)
        file.seek(0)
        verifier.read(file)
        report = verifier.report()
        # a kill in the middle of a rotation leaves an epoch's end without its checkpoint; the next start signs it
        if any(verdict is not True for name, verdict in report["verdicts"].items() if name != "policy"):
            self.violations.append(f"after {self.counts['kills']} kills: {report['reasons']}")
        first = min(verifier.sizes, default=0), report["begins"]
        for at, root in sorted(self.acked.items()):
            if at in verifier.heads.roots:
                self.counts["compared"] += 1
                if verifier.heads.roots[at] != root:
                    self.violations.append(f"another root over {at} than was acknowledged")
            elif at <= first:
                self.counts["dropped"] += 1
            else:
                self.violations.append(f"{at} was acknowledged and is not there")
        last = max(verifier.sizes, default=0)
        self.acked = {}
        return (last, verifier.sizes.get(last, 0)), report


def _said(process, delay, word):
    """What the process printed until it was killed, `delay` s after a line that begins with `word`, at the latest 20 s
    after its start."""
    out = b""
    end = time.monotonic() + (delay if not word else 20)
    waiting = bool(word)
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while (left := end - time.monotonic()) > 0:
            if selector.select(left):
                data = process.stdout.read1(65536)
                if not data:
                    break
                out += data
                if waiting and (b"\n" + out).find(b"\n" + word.encode()) >= 0:
                    waiting, end = False, min(end, time.monotonic() + delay)
    process.kill()
    out += process.stdout.read()
    process.stdout.close()
    process.wait()
    return out.decode()


def run(seed, count=300, runtime="micropython"):
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        one = Folder(Path(folder), runtime)
        for number in range(count):
            word, most = dice.choice((("found", 0.3), ("looking", 0.02), ("ack", 0.4), ("rotating", 0.05),
                                      ("", 1.2)))  # fmt: skip
            one.round(seed * 1000 + number, dice.uniform(0, most), word)
            if number % LOOK_EVERY == LOOK_EVERY - 1 or number == count - 1:
                (epoch, size), _ = one.look()
        segments = sum(1 for _ in one.path.glob("*.seg"))
    counts = one.counts
    note = (f"{counts['in recovery']} before the log was open, {counts['in rotation']} in a rotation, "
            f"{counts['in a look']} in a look after the storage; {counts['drops']} drops, {counts['epochs']} whole "
            "epochs; "
            f"{counts['compared']} acknowledged roots compared, {counts['dropped']} were dropped by then; "
            f"it ended in epoch {epoch} with {size} entries, {segments} segments")  # fmt: skip
    return [{"what": f"SIGKILL under the firmware on {runtime}", "cases": counts["kills"],
             "violations": len(one.violations), "note": note, "failing": one.violations}]  # fmt: skip
