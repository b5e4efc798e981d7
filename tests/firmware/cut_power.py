"""Runs on MicroPython: a terminal's work on NOR flash in memory, cut or disturbed at every operation of the flash.

usage: micropython cut_power.py littlefs|ring cut|fail SEED EVERY    (EVERY 1: each operation, n: every n-th)

ring: the log's segments in a ring, the small files in littlefs beside it. The work: 100 entries of a real terminal with
the readings, settlements and emissions of a site, checkpoints, segments that begin with snapshots, and old segments
dropped. It runs once; what it did to the flash is recorded.

cut: the flash is put together as it would be after a power cut: all before, and of the write or erase that was cut none
or half (all of it is none of the next one). It is mounted, and the terminal starts, works on and starts again.
fail: from the flash as it was at each commit a terminal starts and works on, and one read, write or erase fails (none,
half or all of it done) with EIO while everything goes on living; littlefs is mounted anew, and the terminal resumes by
itself and starts again.

No acknowledged entry may be lost, none be there twice; the derived entries, the snapshots and the tree must come out
again. Prints operations, cases, violations.
"""

import gc
import sys

import vfs

from carbonterm.errors import LedgerError
from carbonterm.gm import sm2
from carbonterm.ledger import checkpoint, entry
from carbonterm.ledger.segment import Log
from carbonterm.ledger.tree import Tree, leaf
from carbonterm.pipeline import Replay
from carbonterm.site import Site
from carbonterm_device.ring import Ring, RingAndFolder
from carbonterm_device.storage import Folder
from carbonterm_device.terminal import Terminal
from nor import Nor, Part
from seeded import Random
from sites import document

BLOCK, FILES, RING = 1024, 96, 64  # blocks of the littlefs; with a ring 24 are enough for the files
SEGMENT = 5000
SIGNER = sm2.Signer(bytes(31) + b"\x07")
T0 = 1772290800000  # 2026-02-28T23:00:00+08:00
STEP = 15 * 60000


class Stamp:
    """Signs checkpoints and snapshots, the rest with a constant: the sweep is about bytes that last."""

    public = SIGNER.public

    def sign(self, message, extra):
        text = message[:11] == b"carbonterm/"
        return SIGNER.sign(message) if text or entry.decode(message).kind == entry.SNAPSHOT else bytes(64)


class Clock:
    state = 2

    def __init__(self):
        self.now = T0

    def now_ms(self):
        return self.now


class Machine:
    """A terminal on a flash: mounts and starts at construction. `found`: the entries before."""

    def __init__(self, flash, ring):
        self.files = Part(flash, 0, 24 if ring else FILES)
        self.terminal = None
        vfs.mount(vfs.VfsLfs2(self.files), "/flash")
        try:
            self.storage = Folder("/flash/log")
            if ring:
                self.storage = RingAndFolder(Ring(Part(flash, 24, RING), 16), self.storage)
        except Exception:
            vfs.umount("/flash")
            raise

    def start(self, number=0):
        self.terminal = None
        self.log = Log(self.storage, "CT-TEST-1", 0, Stamp(), segment_size=SEGMENT)
        self.found = [raw for raw, _ in self.log.entries(self.log.kept)]
        self.kept, self.size, self.sealed = self.log.kept, self.log.size, self.log.sealed
        self.clock = Clock()
        if self.found:
            self.clock.now = entry.decode(self.found[-1]).time_ms
        self.terminal = Terminal(self.log, self.clock, "test")
        self.terminal.start(Site(document()))
        self.round = self.terminal.readings // 3

    def work(self, random):
        """One round of readings, most times a commit, sometimes a checkpoint. OSError where the storage failed."""
        self.clock.now += STEP
        self.round += 1
        values = [1000 + 40 * self.round + random.below(40), 2000 + 30 * self.round, 3000 + 20 * self.round]
        rows = [[i, 10 * i, 0, -2, values[i]] for i in range(3)]
        self.terminal.record(self.clock.now, rows, b"frames")
        if random.below(3):
            self.terminal.commit(random.below(6) == 0)
        if self.terminal.failed:
            raise OSError(5)

    def drop(self):
        """Half of what may go, as retention does after receipts."""
        firsts = self.log._firsts
        return self.log.drop_before(firsts[1]) if len(firsts) > 3 else self.log.kept

    def anew(self):
        """Mounts the littlefs anew: its read cache keeps garbage under the address of a read that failed."""
        self.off()
        vfs.mount(vfs.VfsLfs2(self.files), "/flash")

    def off(self):
        try:
            self.storage.close()
        except OSError:
            return
        finally:
            vfs.umount("/flash")


def workload(flash, ring, random):
    """Works until 100 entries are there: [(operations, acknowledged, sealed, may be dropped before)], the entries."""
    machine = Machine(flash, ring)
    machine.start()
    log, done, written = machine.log, [], []

    def note():
        for raw, _ in log.entries(len(written)):
            written.append(raw)
        done.append((len(flash.done), log.size, log.sealed, log._firsts[1] if len(log._firsts) > 3 else log.kept))

    note()
    while log.size < 100:
        machine.work(random)
        note()
        machine.drop()
    note()
    machine.off()
    return done, written


def sound(machine):
    """What does not come out again when the whole log is read, or None."""
    replay, tree, log = Replay(), Tree(), machine.log
    if log.kept:
        tree.restore(log.kept, entry.decode(next(log.entries(log.kept))[0]).body[0])
    seq = log.kept
    for raw, _ in log.entries(seq):
        one = entry.decode(raw)
        wrong = replay.entry(one)
        if wrong or one.seq != seq:
            return wrong or f"entry {one.seq} where {seq} should be"
        tree.append(leaf(raw))
        seq += 1
    if machine.terminal.disagreements or replay.expected:
        return "derived entries are not those that follow"
    if tree.root() != checkpoint.parse(log.checkpoint()).root:
        return "the tree is another one"
    return None


def goes_on(machine, random):
    """Works on, starts again: what is wrong then, or None."""
    machine.start()
    for _ in range(2):
        machine.work(random)
    machine.terminal.commit()
    log = machine.log
    size, root = log.size, log._tree.root()
    before = [raw for raw, _ in log.entries(log.kept)]
    machine.start()
    if machine.size != size or machine.found != before or size - machine.kept != len(before):
        return f"{size} entries, after another start {machine.size}"
    tree = machine.log._tree
    return sound(machine) if tree.size > size or tree.root() == root else "it does not go on"


def prefix(machine, written, size, sealed, may_go):
    """What is missing or wrong of the entries that were acknowledged, or None."""
    if machine.size < size or machine.sealed < sealed:
        return f"{machine.size} of {size} acknowledged entries, {machine.sealed} of {sealed} sealed"
    if machine.kept > may_go:
        return f"it begins with entry {machine.kept}, but {may_go} was the first to keep"
    common = written[machine.kept : machine.size]
    return None if machine.found[: len(common)] == common else "other entries than were written"


def cut(ring, start, ops, done, written, every, report):
    image, at = bytearray(start), 0
    size, sealed, may_go = 0, 0, 0
    for number, (address, data) in enumerate(ops):
        while at < len(done) and done[at][0] <= number:
            size, sealed, may_go = done[at][1:]
            at += 1
        if number % every == 0:
            for part in (0, len(data) // 2):
                torn = bytearray(image)
                torn[address : address + part] = data[:part]

                state = (size, sealed, may_go)

                def case(torn=torn, state=state, number=number):
                    machine = Machine(Nor(BLOCK, len(torn) // BLOCK, torn), ring)
                    try:
                        machine.start()
                        return prefix(machine, written, *state) or goes_on(machine, Random(number))
                    finally:
                        machine.off()

                report(f"cut {number} {part}", case)
            gc.collect()
        image[address : address + len(data)] = data


class Once:
    """Lets the operation number `at` fail, once; none after `end`. `done`: whether it did."""

    def __init__(self, at, part):
        self.at = at
        self.part = part
        self.count = -1
        self.done = False

    def __call__(self, what):
        self.count += 1
        if self.count != self.at:
            return None
        self.done = True
        return self.part

    def end(self):
        self.at = -1


def fail(ring, start, ops, done, written, every, report):
    image, at, turn = bytearray(start), 0, 0
    for number, size, sealed, may_go in done[:-1]:
        for address, data in ops[at:number]:
            image[address : address + len(data)] = data
        at, here = number, 0
        while True:
            turn += 1
            here += 1 + (turn * 7919) % (2 * every - 1) if every > 1 else 1
            once = Once(here - 1, turn % 3)

            def case(once=once, state=(size, sealed, may_go)):
                flash = Nor(BLOCK, len(image) // BLOCK, bytearray(image), after=once)
                return disturbed(flash, ring, once, written, state)

            report(f"fail {number} {here - 1}", case)
            gc.collect()
            if not once.done:
                break


def disturbed(flash, ring, once, written, state):
    """A terminal starts, works for three rounds and drops what may go, while one operation fails; it resumes by itself
    or starts again.

    written, state: all entries of the whole work, and (size, sealed, may be dropped before) of what the flash holds.
    """
    random = Random(once.at)
    try:
        machine = Machine(flash, ring)
    except OSError:
        machine = Machine(flash, ring)  # the mount itself failed: the next one does not
    size, sealed, may_go = state
    acknowledged = written[:size]
    try:
        try:
            machine.start()
            for _ in range(3):
                machine.work(random)
                log = machine.log
                size, sealed = log.size, log.sealed
                acknowledged[log.kept :] = [raw for raw, _ in log.entries(log.kept)]
                may_go = log._firsts[1] if len(log._firsts) > 3 else log.kept
                machine.drop()
        except (OSError, LedgerError):
            if not once.done:
                raise
        once.end()
        machine.anew()
        if machine.terminal and machine.terminal.failed:
            machine.terminal.resume(Site(document()))
        machine.start()
        why = prefix(machine, acknowledged, size, sealed, may_go)
        return why or goes_on(machine, random)
    finally:
        machine.off()


def main(kind, mode, seed, every):
    ring = kind == "ring"
    blocks = 24 + RING if ring else FILES
    flash = Nor(BLOCK, blocks)
    vfs.VfsLfs2.mkfs(Part(flash, 0, 24 if ring else FILES))
    start = bytes(flash.data)
    flash.done = []
    done, written = workload(flash, ring, Random(seed))
    cases, violations = [0], [0]

    def report(name, case):
        try:
            reason = case()
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
        cases[0] += 1
        if reason:
            violations[0] += 1
            print(name, reason)

    (cut if mode == "cut" else fail)(ring, start, flash.done, done, written, every, report)
    print(len(flash.done), cases[0], violations[0] + (flash.misused > 0), len(written), done[-1][3])


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
