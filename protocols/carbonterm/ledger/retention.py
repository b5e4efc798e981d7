"""Which of a log's oldest segments may go, and when (docs/storage.md, "Retention").

Only what every centre of the site has signed for may ever go, under a checkpoint that it has answered; the newest two
segments stay whatever happens. What is left must stand by itself, so a cut is made only before a segment that begins
with a snapshot: what comes before it goes together, an epoch that is over with the beginning of the next one. The
oldest file goes first; a drop that a crash interrupted is finished by the next plan.
"""

from carbonterm.ledger.frames import checkpoints_name, key_name, segment_name, segments, snapshot

STAY = 2  # segments


class Drop:
    """What goes: `count` segments of `size` bytes before entry `first` of `epoch`; `begin` (epoch, seq) is where the
    log began before; `why` is a text."""

    __slots__ = ("begin", "count", "epoch", "first", "size", "why")

    def __init__(self, begin, epoch, first, count, size, why):
        self.begin = begin
        self.epoch = epoch
        self.first = first
        self.count = count
        self.size = size
        self.why = why

    def __str__(self):
        return "entries %d:%d to before %d:%d, %d segments, %d bytes: %s" % (
            self.begin[0], self.begin[1], self.epoch, self.first, self.count, self.size, self.why,
        )  # fmt: skip


def measure(storage):
    """[(epoch, first seq, bytes)] of a storage's segments in order, checkpoints counted."""
    names = set(storage.names())
    rows = []
    for epoch, first, name in segments(storage):
        beside = checkpoints_name(epoch, first)
        rows.append((epoch, first, storage.size(name) + (storage.size(beside) if beside in names else 0)))
    return rows


def held_bytes(rows, held):
    """Bytes of the segments from the beginning that may go; rows as `measure` gives them, held as in `plan`."""
    size = 0
    for i in range(len(rows) - STAY):
        if not held(rows[i][0], _end(rows, i)):
            break
        size += rows[i][2]
    return size


def plan(storage, rows, held, now_ms, keep_ms=0, keep_bytes=0, wanted=0):
    """The Drop that is due, or None.

    rows: of `measure`; held(epoch, end): whether every centre holds the epoch's entries before seq `end` (None: all of
    it). now_ms: the time, None where the clock is not to be trusted; keep_ms: what is older goes, 0 for no limit;
    keep_bytes: a larger log loses its beginning, 0 for no limit; wanted: bytes to be freed, if they can.
    """
    if not rows:
        return None
    why = "a drop that was interrupted" if _interrupted(storage, rows[0]) else ""
    left, freed, found = sum([row[2] for row in rows]), 0, None
    for i in range(1, len(rows) - STAY + 1):
        if not held(rows[i - 1][0], _end(rows, i - 1)):
            break
        freed += rows[i - 1][2]
        one = snapshot(storage, rows[i][0], rows[i][1])
        if one is None:
            continue
        if not why and keep_ms and now_ms is not None and one.time_ms < now_ms - keep_ms:
            why = "older than %d days" % (keep_ms // 86400000)
        elif not why and keep_bytes and left > keep_bytes:
            why = "the log is larger than %d MiB" % (keep_bytes >> 20)
        elif not why and wanted > (found.size if found else 0):
            why = "storage runs out"
        if not why:
            break
        found = Drop(rows[0][:2], rows[i][0], rows[i][1], i, freed, found.why if found else why)
        left, why = sum([row[2] for row in rows]) - freed, ""
    return found


def remove(storage, epoch, first):
    """Removes a segment and, before it, its checkpoints: what a crash leaves between is a segment, which goes later."""
    if checkpoints_name(epoch, first) in storage.names():
        storage.remove(checkpoints_name(epoch, first))
    storage.remove(segment_name(epoch, first))


def _end(rows, i):
    """Seq behind the last entry of segment i, None where its epoch ends with it."""
    return rows[i + 1][1] if i + 1 < len(rows) and rows[i + 1][0] == rows[i][0] else None


def _interrupted(storage, row):
    """Whether the log begins where it cannot be cut: in the middle without a snapshot, or with an epoch that goes on
    from one whose key file is here and whose entries are not."""
    epoch, first = row[:2]
    if first:
        return snapshot(storage, epoch, first) is None
    return epoch > 0 and key_name(epoch - 1) in storage.names()
