"""A terminal's log made by hand for tests: site document, readings, and the derived entries that follow from them."""

from carbonterm import cbor
from carbonterm.gm import sm3
from carbonterm.ledger import entry
from carbonterm.ledger.segment import Log
from carbonterm.pipeline import Pipeline

HOUR = 3600000


class Written:
    """`Written(storage, signer, document)`: a log with its config entry; `entry` appends one with what follows from it.
    `random(n)` as Log takes it."""

    def __init__(self, storage, signer, document, time_ms, random=None):
        self.log = Log(storage, document[2], 0, signer, *([random] if random else []))
        self.pipeline = Pipeline()
        raw = cbor.encode(document)
        self.entry(time_ms, entry.CONFIG, [sm3.digest(raw), raw])

    def entry(self, time_ms, kind, body):
        log = self.log
        one = entry.Entry(log.terminal_id, log.epoch, log.next_seq, time_ms, 3, kind, body, None)
        log.append(time_ms, 3, kind, body)
        for derived in self.pipeline.fold(one):
            log.append(*derived)

    def readings(self, time_ms, rows):
        """rows: (point, offset_ms, quality, exponent, mantissa)."""
        frames = sm3.digest(b"frames at %d" % time_ms)
        self.entry(time_ms, entry.READINGS, [[list(row) for row in rows], frames])
