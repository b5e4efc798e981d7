"""Runs on MicroPython: what littlefs and the ring program and erase for what they are given to append.

usage: micropython wear.py BLOCKS (of 4096 bytes); prints JSON rows [storage, batch, payload, programmed, erased,
largest number of erases of one block], for bare batches and for a log of 3-point minutes, and the size of its entries.
"""

import gc
import json
import sys

sys.path.append("tests/runtime/lib")

import vfs

from carbonterm.gm import sm2
from carbonterm.ledger import entry
from carbonterm.ledger.frames import segment_name
from carbonterm.ledger.segment import Log
from carbonterm_device.ring import Ring, RingAndFolder
from carbonterm_device.storage import Folder
from nor import Nor, Part
from seeded import Random

BLOCK = 4096
SIGNER = sm2.Signer(bytes(31) + b"\x07")
FILES = 256  # blocks of littlefs beside a ring


class Constant:
    public = SIGNER.public

    def sign(self, message, extra):
        return SIGNER.sign(message, extra) if message[:11] == b"carbonterm/" else bytes(64)


def littlefs(device, program):
    options = {"readsize": 16, "progsize": program, "lookahead": 64}
    vfs.VfsLfs2.mkfs(device, **options)
    vfs.mount(vfs.VfsLfs2(device, **options), "/flash")
    return Folder("/flash/log")


def batches(storage, size, total, segment, spread):
    """Appends and syncs `total` bytes in batches of size … size + spread (of up to `spread` bytes behind a multiple of
    `size` in the segment, where that is negative); drops the oldest of three segments."""
    random, payload, name, used, kept = Random(size), 0, "", segment, []
    data = random.bytes(512) * (2 * size // 512 + 1)
    while payload < total:
        if used >= segment:
            name = segment_name(0, payload)
            kept.append(name)
            used = 0
            if len(kept) > 3:
                storage.remove(kept.pop(0))
        more = random.below(abs(spread)) if spread else 0
        part = data[: size - (used % size if spread < 0 else 0) + more]
        storage.append(name, part)
        storage.sync(name)
        payload += len(part)
        used += len(part)
    return payload


def log_of(storage, count, segment, commit):
    """A log of `count` readings entries of three points, 72 000 a day, commits behind multiples of `commit`; returns
    (bytes of its segments, of its entries, of the largest entry)."""
    random, values = Random(3), [10000000, 2345678, 987654]
    log = Log(storage, "CT-DEMO-1", 0, Constant(), segment_size=segment)
    log.state = lambda: [1, log.size * 3, [None, [], []], []]
    size, most, payload = 0, 0, 0
    for minute in range(count):
        values = [value + random.below(900) for value in values]
        rows = [[i, 37 * i, 0, -2, values[i]] for i in range(3)]
        log.append(1772290800000 + 1200 * minute, 3, entry.READINGS, [rows, bytes(32)])
        raw = log._buffer[-1][0]
        size, most = size + len(raw), max(most, len(raw))
        if log.ripe(commit):
            payload += log.buffered
            log.commit()
            if len(log._firsts) > 3:
                log.drop_before(log._firsts[1])
        if minute % 500 == 0:
            gc.collect()
    return payload, size, most


def counted(flash, kind, batch, payload, first=0, last=None):
    erased = flash.erased[first:last]
    return [kind, batch, payload, flash.programmed, sum(erased), max(erased)]


def main(blocks):
    rows = []
    for size, spread in ((4096, 0), (4096, 200), (4096, -200), (16384, 200)):
        for program in (16, 256):
            flash = Nor(BLOCK, blocks)
            storage = littlefs(flash, program)
            flash.programmed, flash.erased = 0, [0] * blocks
            payload = batches(storage, size, 4 << 20, 262144, spread)
            storage.close()
            vfs.umount("/flash")
            rows.append(counted(flash, "littlefs", [size, spread, program], payload))
            flash = Nor(BLOCK, blocks)
            payload = batches(Ring(flash, program), size, 4 << 20, 262144, spread)
            rows.append(counted(flash, "ring", [size, spread, program], payload))
            gc.collect()
    entries = []
    for kind in ("littlefs", "ring"):
        flash = Nor(BLOCK, FILES + blocks)
        storage = littlefs(Part(flash, 0, FILES if kind == "ring" else FILES + blocks), 256)
        flash.programmed, flash.erased = 0, [0] * (FILES + blocks)
        if kind == "ring":
            storage = RingAndFolder(Ring(Part(flash, FILES, blocks)), storage)
        payload, size, most = log_of(storage, 12000, 262144, 4096)
        storage.close()
        vfs.umount("/flash")
        entries = [12000, payload, size, most]
        rows.append(counted(flash, kind + " log", 4096, payload))
        if kind == "ring":
            rows.append(counted(flash, "files beside", 4096, payload, 0, FILES))
            rows.append(counted(flash, "ring alone", 4096, payload, FILES))
    print(json.dumps([rows, entries]))


main(int(sys.argv[1]))
