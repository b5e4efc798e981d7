"""Runs on MicroPython: how long the start-up of a log takes, and what it reads.

usage: micropython recovery.py FOLDER ROUNDS [RING_MIB]; RING_MIB: the last segments are copied into a ring of that size
in memory first. Prints JSON {"log", "fold", "mount": best milliseconds, "names", "entries", "tail", "read": bytes}.
"""

import gc
import json
import sys
import time

sys.path.append("tests/runtime/lib")

from carbonterm.gm import sm2
from carbonterm.ledger import entry
from carbonterm.ledger.frames import segments
from carbonterm.ledger.segment import SEGMENT_SIZE, Log
from carbonterm.pipeline import Replay
from carbonterm_device.ring import Ring, RingAndFolder
from carbonterm_device.storage import Folder
from nor import Nor

BLOCK = 4096


class Small:
    """A folder without its segments."""

    def __init__(self, folder):
        self.folder = folder
        self.path = folder.path

    def names(self):
        return [name for name in self.folder.names() if name[-4:] != ".seg"]

    def size(self, name):
        return self.folder.size(name)

    def read(self, name, offset, size):
        return self.folder.read(name, offset, size)


class Counting:
    """Passes everything on and counts the bytes that are read."""

    def __init__(self, storage):
        self.storage = storage
        self.names, self.size, self.sync = storage.names, storage.size, storage.sync
        self.count = 0

    def read(self, name, offset, size):
        data = self.storage.read(name, offset, size)
        self.count += len(data)
        return data


def ringed(folder, mib):
    """A ring that holds the folder's last segments, as after years of dropping the oldest."""
    flash = Nor(BLOCK, mib << 8)
    ring = Ring(flash)
    for _, _, name in segments(folder)[-((mib - 1 << 20) // SEGMENT_SIZE) :]:
        for at in range(0, folder.size(name), BLOCK):
            ring.append(name, folder.read(name, at, BLOCK))
        gc.collect()
    return flash


def since(start):
    return (time.time_ns() - start) // 1000


def main(path, rounds, mib):
    signer = sm2.Signer(bytes(31) + b"\x07")
    storage, flash = Folder(path), None
    if mib:
        flash = ringed(storage, mib)
    best = {"log": 1 << 40, "fold": 1 << 40, "mount": 1 << 40}
    for number in range(rounds + 1):
        gc.collect()
        start = time.time_ns()
        if mib:
            storage = RingAndFolder(Ring(flash), Small(Folder(path)))
        times = {"mount": since(start)}
        used = storage if number else Counting(storage)
        gc.collect()
        start = time.time_ns()
        log = Log(used, "CT-DEMO-1", 0, signer)
        times["log"] = since(start)
        if number == 0:
            read = used.count  # this round counts, the others are timed
            continue
        start = time.time_ns()
        replay, wrong = Replay(), 0
        if log.restored is not None:
            replay.restore(log.restored)
        for raw, _ in log.entries(log.base):
            wrong += replay.entry(entry.decode(raw)) is not None
        times["fold"] = since(start)
        if wrong or replay.expected:
            raise ValueError(f"{wrong} entries do not follow")
        for name in times:
            best[name] = min(best[name], times[name])
    best.update({"names": len(storage.names()), "entries": log.size, "tail": log.size - log.base, "read": read})
    print(json.dumps(best))


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
