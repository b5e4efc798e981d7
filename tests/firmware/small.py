"""Runs on a MicroPython with a heap of 256 KB: recovers the log in FOLDER, signs, appends and proves.

usage: micropython -X heapsize=256K small.py FOLDER SEQ …; prints "found N", "grown N", per SEQ its proof in hex, and
the most memory that was in use.
"""

import binascii
import gc
import sys

from carbonterm.gm import sm2
from carbonterm.ledger import entry, proof
from carbonterm.ledger.prover import prove
from carbonterm.ledger.segment import Log
from carbonterm_device.storage import Folder

gc.threshold(16384)
log = Log(Folder(sys.argv[1]), "T1", 0, sm2.Signer(bytes(31) + b"\x07"), segment_size=65536, state=lambda: ["state"])
print("found", log.size)
peak = 0
for turn in range(20):
    for i in range(10):
        rows = [[point, 0, 0, -3, 1000 * log.next_seq + point] for point in range(6)]
        log.append(1760000000000 + 1000 * (10 * turn + i), 3, entry.READINGS, [rows, bytes(32)])
    log.commit()
    gc.collect()
    peak = max(peak, gc.mem_alloc())
log.checkpoint()
print("grown", log.size)
for seq in sys.argv[2:]:
    print("proof", seq, binascii.hexlify(proof.encode(prove(log, int(seq)))).decode())
    gc.collect()
    peak = max(peak, gc.mem_alloc())
print("peak", peak)
