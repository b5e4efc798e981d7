"""Builds a large log fast for the benchmark of start-up: real bytes and a real tail, SM3 from OpenSSL, few signatures.

All entries, leaves, nodes and frames are as a terminal writes them, and so is the last segment with its snapshot and
what its readings settle. Fingerprints and checkpoints are signed only where start-up verifies them.
"""

import binascii
import hashlib

from carbonterm import cbor
from carbonterm.gm import sm2, sm3
from carbonterm.ledger import checkpoint, entry, frames
from carbonterm.ledger.segment import SEGMENT_SIZE
from carbonterm.ledger.tree import Tree
from carbonterm.pipeline import DERIVED, Replay
from carbonterm.site import Site

TERMINAL = "CT-DEMO-1"
SIGNER = sm2.Signer(bytes(31) + b"\x07")
T0 = 1772290800000
STEP = 1200  # milliseconds: 72 000 entries a day
SEAL = 60


def digest(data):
    return hashlib.new("sm3", data).digest()


class Builder:
    """Writes segments and checkpoint files into `folder` (Path), nothing flushed."""

    def __init__(self, folder, document):
        self.folder = folder
        self.prefix = entry.prefix(TERMINAL, 0)
        self.tree = Tree(digest)
        self.replay = Replay()
        self.parts, self.size, self.first, self.texts, self.sealed = [], 0, 0, [], 0
        self.values = [10000000, 2345678, 987654]
        (folder / frames.key_name(0)).write_bytes(binascii.hexlify(SIGNER.public) + b"\n")
        data = Site(document).canonical()
        self.add(T0, entry.CONFIG, [sm3.digest(data), data])

    def add(self, time_ms, kind, body, fold=True):
        seq = self.tree.size
        raw = entry.encode_after(self.prefix, seq, time_ms, 3, kind, body)
        snapshot = kind == entry.SNAPSHOT
        self.keep(raw, SIGNER.sign(raw) if snapshot else bytes(64))
        if fold and not snapshot:
            derived = self.replay.pipeline.fold(entry.Entry(TERMINAL, 0, seq, time_ms, 3, kind, body, None))
            for time_ms, _, kind, body in derived:
                self.add(time_ms, kind, body, kind not in DERIVED)

    def keep(self, raw, fingerprint):
        self.parts += frames.frames_of([(raw, fingerprint)])
        self.size += len(self.parts[-1])
        self.tree.append(digest(b"\0" + raw))
        if self.tree.size - self.sealed >= SEAL:
            self.seal()

    def seal(self, sign=lambda message: bytes(64)):
        """A checkpoint; without `sign` one whose signature start-up does not look at: that is the verifier's work."""
        self.sealed = self.tree.size
        body = checkpoint.body(TERMINAL, 0, self.sealed, self.tree.root())
        text = checkpoint.signed(body, checkpoint.origin(TERMINAL, 0), SIGNER.public, sign).encode()
        text = len(text).to_bytes(4, "big") + text
        self.texts.append(text + binascii.crc32(text).to_bytes(4, "big"))

    def reading(self, fold):
        """One entry of three points; straight to bytes where nothing follows from it."""
        seq = self.tree.size
        self.values = [value + 3 + seq % 7 for value in self.values]
        body = [[[i, 37 * i, 0, -2, self.values[i]] for i in range(3)], bytes(32)]
        if fold:
            self.add(T0 + STEP * seq, entry.READINGS, body)
        else:
            middle = cbor.encode(seq) + cbor.encode(T0 + STEP * seq) + b"\x03\x03"
            self.keep(self.prefix + middle + cbor.encode(body), bytes(64))

    def close(self):
        """Ends the segment, under a checkpoint whose signature start-up looks at if it is the last."""
        self.seal(SIGNER.sign)
        data = frames.header(0, self.first) + b"".join(self.parts)
        (self.folder / frames.segment_name(0, self.first)).write_bytes(data)
        (self.folder / frames.checkpoints_name(0, self.first)).write_bytes(b"".join(self.texts))
        self.parts, self.size, self.first, self.texts = [], 0, self.tree.size, []

    def snapshot(self):
        self.close()
        self.add(T0 + STEP * self.first, entry.SNAPSHOT, [list(self.tree.state()[1]), self.replay.state()])


def build(folder, document, count):
    """A log of `count` entries or a few more; its last segment is as full as it gets."""
    log = Builder(folder, document)
    per_segment = SEGMENT_SIZE // 168
    while log.tree.size < count - per_segment:
        if log.size >= SEGMENT_SIZE:
            log.snapshot()
        log.reading(False)
    log.snapshot()
    while log.size < SEGMENT_SIZE - 2000:
        log.reading(True)
    log.close()
    return log.tree.size
