"""A fold over the log that settles nothing: what a collector keeps of its own log, and what replay keeps of any.

`Fold` follows the site document and the time; carbonterm.pipeline's Pipeline is one that settles and accounts as well.
On the log of a collector (`profile: collector` in the site document) both come to the same state, to the byte: there
are no derived entries, no settlers, nothing that waits.
"""

from carbonterm import cbor
from carbonterm import site as sites
from carbonterm.clock import FLOOR_MS
from carbonterm.errors import LedgerError
from carbonterm.gm import sm3
from carbonterm.ledger import entry as entries

DERIVED = (entries.CLOSING, entries.EMISSION, entries.FILL)
NOT_TOLD = (entries.SNAPSHOT, entries.GAP)  # what the log itself writes, unseen by the fold of a running terminal


class Settles(LedgerError):
    """The log is a terminal's: only carbonterm.pipeline can go on from it."""


class Fold:
    """`site` in force and its canonical `document` (None before the first config); `time_ms`: the last time that a
    clock showed which was set, None before the first. known: a Site that is taken where a document is its own, so that
    it is not held twice."""

    def __init__(self, known=None):
        self._known = known
        self.site = None
        self.document = None
        self.time_ms = None

    def fold(self, entry):
        """The derived entries of `entry`, in order: list of (time_ms, clock_state, kind, body). LedgerError if the
        entry makes no sense where it stands (readings before a config, a point that is not there)."""
        return list(self.derive(entry))

    def derive(self, entry):
        """As `fold`, one after the other: an iterator that must come to its end before the next entry that `moves`."""
        self._look(entry)
        if entry.kind == entries.CONFIG:
            self._configure(entry)
        elif entry.kind == entries.READINGS:
            for row in entry.body[0]:
                self._point(entry, row[0])
        return ()

    def moves(self, entry):
        """Whether `entry` may change what follows from the next one."""
        return entry.kind in (entries.CONFIG, entries.READINGS)

    def state(self):
        """All that later derived entries depend on, for a snapshot (docs/formats.md)."""
        count = 0 if self.site is None else len(self.site.points)
        return [self.document, [None] * count, [], self.time_ms]

    def restore(self, state):
        """Goes on from a `state()`; LedgerError if it is not one, and then the fold is not to be used."""
        try:
            document, settlers, waiting, self.time_ms = state
            if document is not None:
                self._take(document)
            if waiting or settlers != self.state()[1]:
                raise ValueError
        except Settles:
            raise
        except (ValueError, TypeError, AttributeError):
            raise LedgerError("a snapshot cannot be restored: it has not the shape of one", "verify the log")

    def _look(self, entry):
        """Notes the entry's time; whether it has none."""
        unset = entry.clock_state == entries.CLOCK_UNSET or entry.time_ms < FLOOR_MS
        if not unset and entry.kind not in NOT_TOLD:
            self.time_ms = entry.time_ms
        return unset

    def _configure(self, entry):
        digest, document = entry.body
        if sm3.digest(document) != digest:
            raise LedgerError("entry %d: the site document is not the one its digest names" % entry.seq)
        if document != self.document:  # a new epoch repeats it, and changes nothing
            self._take(document)

    def _take(self, document):
        known = self._known
        self._work(known if known is not None and known.canonical() == document else sites.decode(document))

    def _work(self, site):
        """Under another site document from now on."""
        if site.settings.profile != sites.COLLECTOR:
            raise Settles("this log was written by a terminal, and here is the firmware of a collector",
                          "give the collector a folder of its own, or deploy a terminal's firmware")  # fmt: skip
        self.site, self.document = site, site.canonical()

    def _point(self, entry, point):
        if self.site is None:
            raise LedgerError("entry %d: there are readings before the first site document" % entry.seq)
        if point >= len(self.site.points):
            raise LedgerError("entry %d: point %d is not in the site document" % (entry.seq, point))


class Replay:
    """A fold run over a log beside it: says which derived entries are wrong, missing or from nowhere."""

    FOLD = Fold

    def __init__(self, known=None):
        self._known = known
        self.pipeline = self.FOLD(known)
        self._owed, self._coming = [], iter(())
        self.compared = 0
        self.readings = 0
        self._begun = False

    def know(self, site):
        """The Site of a document that comes next, so that it is not held twice."""
        self._known = self.pipeline._known = site

    @property
    def expected(self):
        """Derived entries that are to come next, all of them, as a list."""
        self._owed.extend(self._coming)
        return self._owed

    def owes(self):
        """Whether derived entries are to come next."""
        if not self._owed:
            for one in self._coming:
                self._owed.append(one)
                break
        return len(self._owed) > 0

    def take(self):
        """Iterates over `expected`, which are then no longer expected, and holds none of them."""
        owed, coming = self._owed, self._coming
        self._owed, self._coming = [], iter(())
        yield from owed
        yield from coming

    def entry(self, entry):
        """None, or what is wrong with `entry` (an entry of the log, in order).

        Where a log's beginning was dropped, the first entry is a snapshot, and what it says is taken for granted.
        """
        begun, self._begun = self._begun, True
        if entry.kind == entries.SNAPSHOT:
            if not begun and entry.seq > 0:
                self.restore(entry.body[1])
                return None
            self.compared += 1
            if cbor.encode(self.state()) != cbor.encode(entry.body[1]):
                return "entry %d: recomputing this snapshot gives other bytes" % entry.seq
            return None
        if entry.kind not in DERIVED:
            if entry.kind == entries.READINGS:
                self.readings += len(entry.body[0])
            if self.pipeline.moves(entry):
                self._owed = self.expected
                self._coming = iter(self.pipeline.derive(entry))
            else:
                self.pipeline.fold(entry)
            return None
        name = entries.KINDS[entry.kind]
        wanted = self._owed.pop(0) if self._owed else next(self._coming, None)
        if wanted is None:
            return "entry %d: nothing before it explains this %s" % (entry.seq, name)
        self.compared += 1
        if entries.encode(entry.terminal_id, entry.epoch, entry.seq, *wanted) != entry.raw:
            return "entry %d: recomputing this %s gives other bytes" % (entry.seq, name)
        return None

    def state(self):
        """What a snapshot says of the entries before it: [1, rows of readings, pipeline's state, owed entries]."""
        owed = [[time_ms, state, kind, body] for time_ms, state, kind, body in self.expected]
        return [1, self.readings, self.pipeline.state(), owed]

    def restore(self, state):
        """Goes on from a `state()`; LedgerError if it is not one."""
        if not isinstance(state, (list, tuple)) or len(state) != 4 or state[0] != 1:
            raise LedgerError("a snapshot is not of version 1", "use a newer carbonterm")
        _, self.readings, pipeline, owed = state
        self.pipeline = self.FOLD(self._known)
        self.pipeline.restore(pipeline)
        self._owed, self._coming = [tuple(one) for one in owed], iter(())
        self._begun = True
