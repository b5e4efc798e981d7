"""Runs on a MicroPython with a small heap: a terminal in FOLDER whose meter was silent for DAYS days speaks again.

usage: micropython -X heapsize=… outage.py FOLDER DAYS DOCUMENT; prints "closed N", "peak BYTES".
"""

import gc
import sys

from carbonterm import site as sites
from carbonterm.gm import sm2
from carbonterm.ledger.segment import Log
from carbonterm_device.storage import Folder
from carbonterm_device.terminal import Terminal

T0 = 1767225600000  # 2026-01-01T08:00:00+08:00


class Clock:
    state = 3
    now = T0

    def now_ms(self):
        return self.now


class Quick(sm2.Signer):
    """Signs checkpoints; the fingerprints of entries are not what this is about, and slow on 32 bit."""

    def sign(self, message, extra=b""):
        if message[:11] == b"carbonterm/":
            return sm2.Signer.sign(self, message, extra)
        return bytes(64)


def main(folder, days, document):
    gc.threshold(8192)
    with open(document, "rb") as file:
        site = sites.decode(file.read())
    clock = Clock()
    log = Log(Folder(folder), site.terminal_id, 0, Quick(bytes(31) + b"\x07"), segment_size=1 << 16)
    terminal = Terminal(log, clock, "test")
    terminal.start(site)
    for minute in range(3):
        clock.now = T0 + minute * 60000
        terminal.record(clock.now, [[point, 0, 0, -2, 1000 + minute] for point in range(3)], b"")
    terminal.commit()
    before = log.size
    clock.now = T0 + int(days) * 86400000
    terminal.record(clock.now, [[point, 0, 0, -2, 900000 + point] for point in range(3)], b"")
    terminal.commit()
    print("failed", terminal.failed)
    print("closed", log.size - before - 1)
    gc.collect()
    print("in use", gc.mem_alloc() if hasattr(gc, "mem_alloc") else 0)
    terminal.audit("test", "goes", "on")
    terminal.commit(True)


main(*sys.argv[1:])
