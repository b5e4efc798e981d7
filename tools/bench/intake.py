"""The platform's intake against the bare signature checks in it: CPU per entry, best of interleaved rounds.

Ours: a batch from bytes to the signed receipt, through every check, the tree and the commit to SQLite with fsync. The
floor: libcrypto's SM2 verification of the same fingerprints and nothing else.
"""

import tempfile
import time
from functools import partial
from pathlib import Path

from carbonterm.gm import sm2
from carbonterm.ledger import entry
from carbonterm.uplink.message import Batch
from carbonterm_host import gm_backends
from carbonterm_host.platform.intake import Intake
from carbonterm_host.platform.store import Store
from tools.bench.measure import Unavailable, rounds, row

TARGET = 1.6  # times the floor
BATCHES, ENTRIES = 5, 100


def run():
    backend = gm_backends.best()
    if backend != "openssl":
        raise Unavailable("OpenSSL 3 is not installed: there is no fast verification to compare with")
    verify, digest = partial(gm_backends.verify, backend=backend), partial(gm_backends.digest, backend=backend)
    signer = sm2.Signer(bytes(31) + b"\x07")
    pairs = []
    for seq in range(BATCHES * ENTRIES):
        rows = [[point, 120, 0, -2, 123456789 + point] for point in range(3)]
        raw = entry.encode("CT-0001", 0, seq, 1750000000000 + seq, 3, entry.READINGS, [rows, bytes(32)])
        pairs.append((raw, signer.sign(raw)))
    batches = [Batch("CT-0001", 0, at, pairs[at : at + ENTRIES]).encode() for at in range(0, len(pairs), ENTRIES)]
    with tempfile.TemporaryDirectory() as folder:
        numbers = iter(range(1000))

        def intake():
            store = Store(f"sqlite:///{Path(folder)}/{next(numbers)}.db")
            store.register("CT-0001", 0, signer.public)
            taken = Intake(store, "platform", signer, verify, digest)
            start = time.process_time()
            for body in batches:
                status, _ = taken.post("CT-0001", body)
                if status != 200:
                    raise RuntimeError(f"a good batch was refused with {status}")
            spent = time.process_time() - start
            store.close()
            return spent / len(pairs)

        def floor():
            start = time.process_time()
            for raw, fingerprint in pairs:
                verify(signer.public, raw, fingerprint)
            return (time.process_time() - start) / len(pairs)

        found = rounds({"intake": intake, "floor": floor})
    ratio = found["intake"].best / found["floor"].best
    return [
        row("platform takes an entry, 100 in a batch", found["intake"].best * 1e6, "µs CPU", "SM2 verification alone",
            found["floor"].best * 1e6, ratio, f"<= {TARGET}x", ratio <= TARGET),
        row("platform, entries a second and core", 1 / found["intake"].best, "1/s"),
    ]  # fmt: skip


if __name__ == "__main__":
    for line in run():
        print(line)
