"""The terminal: what it knows is its log, what it does is append to it.

Start-up is the only recovery there is: fold the log, append what a crash kept from being appended, go on. A derived
entry follows the readings that caused it in the same group commit, or after the restart.
"""

from carbonterm import __version__
from carbonterm.clock import DAY, UNSET
from carbonterm.errors import LedgerError
from carbonterm.gm import sm3
from carbonterm.ledger import entry as entries
from carbonterm.ledger import room
from carbonterm.number import Number
from carbonterm.pipeline import DERIVED, Replay
from carbonterm.series.register import in_range
from carbonterm.site import INSTANT
from carbonterm_device.journal import issued
from carbonterm_device.upkeep import Missed, says

GOOD, SUSPECT, INVALID, SILENT, REFUSED = 0, 2, 3, 4, 5
CHUNK = 8192  # bytes of entries that one reading closes and that wait for a commit
LATER = 16  # audits that wait for a storage that fails


class Terminal:
    """`log` is an open ledger Log, `clock` has now_ms() and `state` (clock_state), `runtime` is a text for people.

    full(): called where a commit would end behind a multiple of commit_bytes. `step`: of carbonterm.ledger.room, what
    of the readings is kept; `thinned` counts the others. `failed`: None, or (what, what to do) of a storage that can't
    be written: then nothing is appended, `missed` counts, and `resume` is the way on.
    """

    def __init__(self, log, clock, runtime, full=None, commit_bytes=4096):
        self.log = log
        self.clock = clock
        self.runtime = runtime
        self.site = None
        self.disagreements = 0
        self.stopped = ""
        self.failed = None
        self.by_hand = 0  # records taken since the start
        self.step = room.NORMAL
        self.thinned, self.missed = Missed(), Missed()
        self.above = {}  # readings of a point since the last one that was within twice its largest valid month
        self._full = full
        self._commit_bytes = commit_bytes
        self._unsure = []  # (seq, time_ms, rows, done) of readings that wait for a commit
        self._later = []  # audits that wait for a storage
        self._replay = Replay()
        self._day_ended = False
        self._started = 0  # seq of this start's entry in the log being written

    def start(self, site, past=(), previous=None):
        """Folds the log from its last snapshot on, continues it under `site` (a Site). Returns the log's size as it
        was found. past: iterable of the entries' bytes of earlier epochs, read where this one has no snapshot;
        previous: (epoch, size, root) of the one before, for the first entry of an epoch that follows another."""
        replay = self._replay = Replay(site)
        found = self.log.size
        if self.log.restored is not None:
            replay.restore(self.log.restored)
        else:
            for raw in past:
                replay.entry(entries.decode(raw))
        for raw, _ in self.log.entries(self.log.base):
            if replay.entry(entries.decode(raw)) is not None:
                self.disagreements += 1
        self.site = site
        self.log.state = None if replay.owes() else replay.state
        known = replay.pipeline.time_ms
        if not found and previous is not None:
            self._append(self.clock.now_ms(), self.clock.state, entries.KEY, ["previous"] + list(previous))
        self._started = self.log.next_seq
        self._append(
            self.clock.now_ms(),
            self.clock.state,
            entries.START,
            [__version__, self.runtime, "restart" if found else "first", found],
        )
        self._follow(replay.take())
        self.log.state = replay.state
        now = self.clock.now_ms()
        if known is not None and self.clock.state != UNSET and now < known:
            state = self.clock.state
            self._append(now, state, entries.CLOCK, [entries.STEP, known, now, state, state, None])
        canonical = site.canonical()
        if canonical != replay.pipeline.document or not found:
            told = issued(replay.pipeline.site, site)
            self._append(self.clock.now_ms(), self.clock.state, entries.CONFIG, [sm3.digest(canonical), canonical])
            for what, detail in told:
                self.audit("site document", what, detail)
        self.log.checkpoint()
        return found

    def stop(self, reason):
        """Nothing is appended or signed any more: a centre has shown that another history of this log exists."""
        self.stopped = reason

    def succeed(self, body):
        """Ends the epoch: its last entry is the `key` entry `body`, under its last checkpoint. Returns that text."""
        self._append(self.clock.now_ms(), self.clock.state, entries.KEY, body)
        text = self.log.checkpoint()
        self._sure()
        return text

    def go_on(self, log, previous):
        """Continues in `log`, the next epoch's: what was folded so far stands."""
        log.state = self._replay.state
        self.log = log
        self._started = 0
        now, state = self.clock.now_ms(), self.clock.state
        canonical = self.site.canonical()
        self._append(now, state, entries.KEY, ["previous"] + list(previous))
        self._append(now, state, entries.CONFIG, [sm3.digest(canonical), canonical])
        log.checkpoint()

    def clock_set(self, event, before_ms, after_ms, before, after):
        """Appends what `Clock.check` found; the readings since the start get their time with the clock's first."""
        since = self._started if event == entries.REBASE else None
        self._append(after_ms, after, entries.CLOCK, [event, before_ms, after_ms, before, after, since])

    def record(self, time_ms, rows, frames, done=None):
        """Appends one round of readings and what follows from it. rows as in docs/formats.md; frames: the response
        frames in the order they came, joined (empty if none came). done(stored), where it is given, is called once:
        with True when the entry is durable, with False when it will not be."""
        if self.failed or self.stopped:
            self.missed.count(time_ms, len(rows))
            if done is not None:
                done(False)
            return
        kept = room.thin(self.step, time_ms, rows, self.site.points)
        if len(kept) < len(rows):
            self.thinned.count(time_ms, len(rows) - len(kept))
            if not kept:
                if done is not None:
                    done(False)
                return
        kept = self._judged(time_ms, kept)
        body = [kept, sm3.digest(frames) if frames else None]
        seq = self._append(time_ms, self.clock.state, entries.READINGS, body)
        self._unsure.append((seq, time_ms, len(kept), done))
        self._replay.readings += len(kept)

    def _judged(self, time_ms, rows):
        """The rows, with those suspect that go on by more than twice the largest valid month (8.1.2)."""
        pipeline = self._replay.pipeline
        if not pipeline.histories:
            return rows
        found = []
        for row in rows:
            point, offset, quality, exponent, mantissa = row
            if quality < SUSPECT and pipeline.above(point, time_ms + offset, Number(mantissa, exponent)):
                self.above[point] = self.above.get(point, 0) + 1
                row = [point, offset, SUSPECT, exponent, mantissa]
            elif quality < SUSPECT:
                self.above.pop(point, None)
            found.append(row)
        return found

    def hurry(self):
        """Asks for a commit now: somebody waits for it."""
        if self._full:
            self._full()

    @property
    def readings(self):
        """Rows of readings in the log."""
        return self._replay.readings

    def audit(self, who, what, detail):
        """Appends what happened to the terminal or its meters: three texts of at most 200 characters."""
        if self.failed:
            if len(self._later) < LATER:
                self._later.append((who, what, detail))
            return
        self._append(self.clock.now_ms(), self.clock.state, entries.AUDIT, [who, what, detail])

    def exchanged(self, point, event, time_ms, last, first):
        """An operator's word: the register of point number `point` was replaced (event 0) or reset (1) at time_ms; it
        stood at `last` and began at `first` (Numbers in the point's unit)."""
        exponent = min(last.exponent, first.exponent)
        body = [point, event, time_ms, exponent, last.at(exponent), first.at(exponent)]
        self._append(self.clock.now_ms(), self.clock.state, entries.METER, body)

    @property
    def manuals(self):
        """The carbonterm.series.manual Manuals of what is entered by hand; None where nobody may."""
        return None if self.failed else self._replay.pipeline.manuals

    def enter(self, record):
        """Appends a carbonterm.ledger.manual Record and what follows, durably; the seq of its entry. CarbonError where
        it cannot be taken."""
        if self.stopped or self.failed or self.site is None:
            why = self.failed[0] if self.failed else self.stopped or "the terminal has not begun"
            raise LedgerError("nothing is recorded now: " + why, "see the status")
        now, state = self.clock.now_ms(), self.clock.state
        self._replay.pipeline.admit(record, None if state == UNSET else now)
        self.by_hand += 1
        seq = self._append(now, state, entries.MANUAL, [record.body, record.signature])
        self.commit()
        if self.failed:
            raise LedgerError("it could not be stored: " + self.failed[0], self.failed[1])
        return seq

    def _append(self, time_ms, state, kind, body):
        """Appends an entry and what follows from it; its seq, None where nothing is appended."""
        if self.stopped or self.failed:
            return None
        seq = self.log.append(time_ms, state, kind, body)
        if self._full and self.log.ripe(self._commit_bytes):
            self._full()
        entry = entries.Entry(self.site.terminal_id, self.log.epoch, seq, time_ms, state, kind, body, None)
        if kind in DERIVED:
            self._day_ended = self._day_ended or (kind != entries.FILL and body[0] >= DAY)
            return seq
        self._follow(self._replay.pipeline.derive(entry))
        return seq

    def _follow(self, derived):
        """Appends derived entries as they come, and commits among them, so that a long outage needs no long memory.
        While some are owed no segment begins with a snapshot, which would have to hold them."""
        state, self.log.state = self.log.state, None
        for one in derived:
            self._append(*one)
            if self.log.buffered >= CHUNK and not self.failed:
                try:
                    self.log.commit()
                except OSError as error:
                    self.fail(error)
        self.log.state = state

    def commit(self, seal=False):
        """Makes all that was appended durable; signs a checkpoint at a day's end, when the log asks for one, and with
        `seal`. A storage that fails ends up in `failed`."""
        if self.stopped or self.failed:
            return
        try:
            if seal or self._day_ended or self.log.due(self.clock.now_ms()):
                self.log.checkpoint()
                self._day_ended = False
            else:
                self.log.commit()
        except OSError as error:
            self.fail(error)
            return
        self._sure()

    def _sure(self):
        """All readings appended so far are durable: tells who waits for it."""
        unsure, self._unsure = self._unsure, []
        for one in unsure:
            if one[3] is not None:
                one[3](True)

    def fail(self, error):
        """The storage refused a write: nothing more is appended until `resume`."""
        self.failed = says(error)

    def resume(self, site, past=(), previous=None):
        """Begins anew from what is durable, as after a restart, and says what is missing. Arguments as `start`; OSError
        where the storage still fails."""
        why = self.failed[0]
        self.log.recover()
        unsure, self._unsure = self._unsure, []
        for seq, time_ms, rows, done in unsure:
            stored = seq < self.log.size
            if not stored:
                self.missed.count(time_ms, rows)
            if done is not None:
                done(stored)
        self.failed = None
        try:
            self.start(site, past, previous)
            self.audit("terminal", "storage", "%s; %s not stored" % (why[:80], self.missed))
            for one in self._later:
                self.audit(*one)
            self.log.checkpoint()
        except OSError as error:
            self.fail(error)
            raise
        self._later = []
        self.missed.clear()

    def held(self):
        """[(index of the point, Number of the last believed reading, readings held since)] of registers that have some
        held: an operator's word may be wanted (docs/series.md)."""
        settlers = [] if self.site is None or self.failed else self._replay.pipeline.settlers
        return [(i, s.register.value, s.register.held) for i, s in enumerate(settlers) if s and s.register.held]

    def believed(self):
        """[(index, time_ms of the last believed reading or None)] of the points that are settled."""
        settlers = [] if self.site is None or self.failed else self._replay.pipeline.settlers
        found = []
        for index, settler in enumerate(settlers):
            if settler is not None:
                instant = self.site.points[index].kind == INSTANT
                found.append((index, settler.time_ms if instant else settler.register.time_ms))
        return found

    def totals(self):
        """What the log says so far: per point of amounts (name, unit, total), per source (name, scope, tCO2e)."""
        points, sources = [], []
        if self.site is None or self.failed:
            return points, sources
        for index, settler in enumerate(self._replay.pipeline.settlers):
            if settler is not None and self.site.is_amount(index):
                points.append((self.site.points[index].name, self.site.unit(index), str(settler.total)))
        for index in range(len(self.site.points), len(self.site.all_points)):
            total = self._replay.pipeline.total(index)
            if total is not None:
                points.append((self.site.all_points[index].name, self.site.unit(index), str(total)))
        for index, source in enumerate(self.site.sources):
            value = self._replay.pipeline.emitted(index)
            sources.append((source.name, source.scope(), None if value is None else str(value.round(6))))
        return points, sources


def reading(index, point, offset_ms, value):
    """The row of a point from its value, a Number or None, checked against its range (8.1.1)."""
    if value is None:
        return missing(index, offset_ms, INVALID)
    low, high = point.minimum, point.maximum
    return [index, offset_ms, GOOD if in_range(value, low, high) else SUSPECT, value.exponent, value.mantissa]


def missing(index, offset_ms, quality):
    """The row of a point that gave no value: unknown stays unknown."""
    return [index, offset_ms, quality, 0, None]
