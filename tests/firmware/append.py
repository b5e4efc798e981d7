"""Runs on MicroPython: appends to the log in FOLDER until it is killed; "ack N": the entries 0 to N-1 are durable.

usage: micropython append.py FOLDER SEED
"""

import sys

from carbonterm.gm import sm2
from carbonterm.ledger import entry
from carbonterm.ledger.segment import Log
from carbonterm_device.storage import Folder
from seeded import Random

random = Random(int(sys.argv[2]))
log = Log(Folder(sys.argv[1]), "T1", 0, sm2.Signer(bytes(31) + b"\x07"), segment_size=8192)
print("found", log.size)
time_ms = 1750000000000 + log.size * 1000
log.append(time_ms, 1, entry.START, ["0.1.0", "test", "restart" if log.size else "first", log.size])
while True:
    for _ in range(random.between(1, 9)):
        time_ms += 1000
        rows = [[point, 0, 0, -1, log.next_seq] for point in range(random.between(0, 6))]
        log.append(time_ms, 1, entry.READINGS, [rows, None])
    log.commit()
    print("ack", log.size)
    if random.below(4) == 0:
        log.checkpoint()
        print("sealed", log.sealed)
