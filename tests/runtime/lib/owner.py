"""What a terminal does with its log, without a terminal: for tests of the log's storage."""

from carbonterm import site as sites  # first: modules that import modules that import it take all of a small stack
from carbonterm.gm import sm2, sm3
from carbonterm.ledger import entry, segment
from carbonterm.pipeline import DERIVED, Replay
from seeded import Random
from sites import document

SIGNER = sm2.Signer(bytes(31) + b"\x07")
T0 = 1772290800000  # 2026-02-28T23:00:00+08:00


class Owner:
    """What a terminal does with its log, without a terminal: folds, appends what follows, goes on after a restart."""

    def __init__(self, storage, size=3000):
        self.log = segment.Log(storage, "CT-TEST-1", 0, SIGNER, segment_size=size)
        self.replay = Replay()
        if self.log.restored is not None:
            self.replay.restore(self.log.restored)
        self.wrong = []
        for raw, _ in self.log.entries(self.log.base):
            finding = self.replay.entry(entry.decode(raw))
            if finding:
                self.wrong.append(finding)
        self.log.state = self.replay.state
        late = list(self.replay.take())
        if not self.log.size:
            data = sites.Site(document()).canonical()
            self.add(T0, entry.CONFIG, [sm3.digest(data), data])
        for one in late:
            self.add(one[0], one[2], one[3])

    def add(self, time_ms, kind, body):
        seq = self.log.append(time_ms, 2, kind, body)
        if kind in DERIVED:
            return
        if kind == entry.READINGS:
            self.replay.readings += len(body[0])
        for one in self.replay.pipeline.fold(entry.Entry("CT-TEST-1", 0, seq, time_ms, 2, kind, body, None)):
            self.add(one[0], one[2], one[3])

    def read(self, minute, values):
        rows = [[i, 0, 0, -2, values[i]] for i in range(3) if values[i] is not None]
        self.add(T0 + minute * 60000, entry.READINGS, [rows, None])


def run(storage, minutes, restarts, seed=5):
    random = Random(seed)
    owner = Owner(storage)
    values = [1000, 2000, 3000]
    for minute in range(minutes):
        values = [value + random.below(50) for value in values]
        silent = minute % 7 == 0
        owner.read(minute, [values[0], None if silent else values[1], values[2]])
        if minute % 4 == 3:
            owner.log.commit()
            if minute in restarts:
                owner = Owner(storage)
                assert owner.wrong == []
    owner.log.checkpoint()
    return owner
