"""Runs on MicroPython: a workload on littlefs over NOR flash in memory, cut at every write and erase.

usage: micropython cut_littlefs.py SEED EVERY    (1: every write and erase, n: every n-th)

The workload runs once; what it did to the flash is recorded. Then the flash is put together as it would be after a cut:
all before, and of the write or erase that was cut nothing or half (all of it is nothing of the next one). Each such
flash is mounted, the log recovered, continued and recovered again. Prints writes and erases, cases, violations.
"""

import gc
import os
import sys

import vfs

from carbonterm.gm import sm2
from carbonterm.ledger import entry
from carbonterm.ledger.segment import Log
from carbonterm_device.storage import Folder
from seeded import Random

BLOCK, COUNT, SEGMENT = 512, 256, 2500
SIGNER = sm2.Signer(bytes(31) + b"\x07")
T0 = 1750000000000


class Stamp:
    """Signs entries with a constant: the sweep is about bytes that last, not about signatures."""

    public = SIGNER.public

    def sign(self, message, extra):
        return SIGNER.sign(message, extra) if message[:11] == b"carbonterm/" else bytes(64)


class Flash:
    def __init__(self, data):
        self.data = data
        self.done = []

    def readblocks(self, block, buffer, offset=0):
        at = block * BLOCK + offset
        buffer[:] = self.data[at : at + len(buffer)]

    def writeblocks(self, block, buffer, offset=0):
        self.done.append((block * BLOCK + offset, bytes(buffer)))
        self.data[block * BLOCK + offset : block * BLOCK + offset + len(buffer)] = buffer

    def ioctl(self, what, value):
        if what == 4:
            return COUNT
        if what == 5:
            return BLOCK
        if what == 6:
            self.done.append((value * BLOCK, b"\xff" * BLOCK))
            self.data[value * BLOCK : (value + 1) * BLOCK] = b"\xff" * BLOCK
        return 0


def mounted(flash):
    vfs.mount(vfs.VfsLfs2(flash), "/flash")
    return Folder("/flash/log")


def opened(storage):
    log = Log(storage, "T1", 0, Stamp(), segment_size=SEGMENT)
    log.state = lambda: [log.size]
    return log


def workload(flash, random):
    """Appends 100 entries; returns [(writes and erases so far, entries acknowledged, sealed)] and the entries."""
    storage = mounted(flash)
    log = opened(storage)
    acknowledged = []
    appended = 0
    while appended < 100:
        for _ in range(random.between(1, 4)):
            log.append(T0 + 1000 * appended, 1, entry.READINGS, [[[0, 0, 0, -1, appended]], None])
            appended += 1
        log.commit()
        acknowledged.append((len(flash.done), log.size, log.sealed))
        if random.below(8) == 0:
            log.checkpoint()
            acknowledged.append((len(flash.done), log.size, log.sealed))
    written = [raw for raw, _ in log.entries()]
    storage.close()
    vfs.umount("/flash")
    return acknowledged, written


def wrong(image, size, sealed, written, number):
    """What is wrong after a cut, or None."""
    flash = Flash(bytearray(image))
    storage = mounted(flash)
    try:
        log = opened(storage)
        found = [raw for raw, _ in log.entries()]
        if log.size < size or log.sealed < sealed:
            return f"{log.size} of {size} acknowledged entries, {log.sealed} of {sealed} sealed"
        if found != written[: len(found)]:
            return "other entries than were written"
        log.append(T0, 1, entry.MANUAL, number)
        log.commit()
        if number % 16 == 0:
            log.checkpoint()
        after, root = log.size, log._tree.root()
        storage.close()
        again = opened(storage)
        if again.size != after or again._tree.root() != root or again.cut:
            return "it does not go on"
        rows = [entry.decode(raw) for raw, _ in again.entries(len(found))]
        if rows[-1].kind != entry.MANUAL or rows[-1].body != number:
            return "the entry after the restart is not there"
    finally:
        storage.close()
        vfs.umount("/flash")
    return None


def main(seed, every):
    flash = Flash(bytearray(b"\xff" * (BLOCK * COUNT)))
    vfs.VfsLfs2.mkfs(flash)
    vfs.mount(vfs.VfsLfs2(flash), "/flash")
    os.mkdir("/flash/log")
    vfs.umount("/flash")
    image = bytearray(flash.data)
    flash.done = []
    acknowledged, written = workload(flash, Random(seed))
    cases = violations = 0
    at, size, sealed = 0, 0, 0
    for number, (address, data) in enumerate(flash.done):
        while at < len(acknowledged) and acknowledged[at][0] <= number:
            size, sealed = acknowledged[at][1:]
            at += 1
        if number % every == 0:
            for part in (0, len(data) // 2):
                torn = bytearray(image)
                torn[address : address + part] = data[:part]
                try:
                    reason = wrong(torn, size, sealed, written, number)
                except Exception as error:
                    reason = f"{type(error).__name__}: {error}"
                cases += 1
                if reason:
                    violations += 1
                    print("cut", number, part, reason)
            gc.collect()
        image[address : address + len(data)] = data
    print(len(flash.done), cases, violations)


main(int(sys.argv[1]), int(sys.argv[2]))
