"""What a collector is, and a terminal first of all: its log is what it knows, and to append to it is what it does.

Start-up is the only recovery there is: fold the log, append what a crash kept from being appended, go on. A derived
entry follows the readings that caused it in the same group commit, or after the restart.
"""

from carbonterm import __version__
from carbonterm.clock import DAY, UNSET
from carbonterm.fold import DERIVED, Replay, Settles
from carbonterm.gm import sm3
from carbonterm.ledger import entry as entries
from carbonterm.ledger import room
from carbonterm.number import in_range
from carbonterm_device.failures import NO_MEMORY, Missed, says

GOOD, SUSPECT, INVALID, SILENT, REFUSED = 0, 2, 3, 4, 5
CHUNK = 8192  # bytes of entries that one reading closes and that wait for a commit
LATER = 16  # audits that wait for a storage that fails


class Recorder:
    """`log` is an open ledger Log, `clock` has now_ms() and `state` (clock_state), `runtime` is a text for people.

    full(): called where a commit would end behind a multiple of commit_bytes. `step`: of carbonterm.ledger.room, what
    of the readings is kept; `thinned` counts the others. `failed`: None, or (what, what to do) of a storage that can't
    be written: then nothing is appended, `missed` counts, and `resume` is the way on.
    """

    REPLAY = Replay
    above = ()  # {point: readings that were suspect one after the other}: for who judges them
    manuals = None  # the carbonterm.series.manual Manuals of what is entered by hand; None where nobody may

    def __init__(self, log, clock, runtime, full=None, commit_bytes=4096):
        self.log = log
        self.clock = clock
        self.runtime = runtime
        self.site = None
        self.disagreements = 0
        self.stopped = ""
        self.failed = None
        self.settled_ms = None  # time of the last entry that followed from others
        self.step = room.NORMAL
        self.thinned, self.missed = Missed(), Missed()
        self._full = full
        self._commit_bytes = commit_bytes
        self._unsure = []  # (seq, time_ms, rows, done) of readings that wait for a commit
        self._later = []  # audits that wait for a storage
        self._replay = self.REPLAY()
        self._day_ended = False
        self._started = 0  # seq of this start's entry in the log being written

    def start(self, site, past=tuple, previous=None):
        """Folds the log from its last snapshot on, continues it under `site` (a Site). Returns the log's size as it
        was found. past(): an iterable of the entries' bytes of earlier epochs, read where this one has no snapshot;
        previous: (epoch, size, root) of the one before, for the first entry of an epoch that follows another."""
        found = self.log.size
        try:
            replay = self._replay = self._folded(self.REPLAY(site), past)
        except Settles:  # a collector by its new document, a terminal by its old one
            replay = self._replay = self._folded(settling()(site), past)
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
            self._configured(replay.pipeline.site, site)
        self.log.checkpoint()
        return found

    def _configured(self, before, site):
        """Appends the `config` entry of a Site, and what it changes of the one before (None: it is the first)."""
        from carbonterm_device.issued import issued  # a new document is rare

        told, canonical = issued(before, site), site.canonical()
        self._append(self.clock.now_ms(), self.clock.state, entries.CONFIG, [sm3.digest(canonical), canonical])
        for what, detail in told:
            self.audit("site document", what, detail)

    def _folded(self, replay, past):
        """`replay` after all that the log has."""
        self.disagreements = 0
        if self.log.restored is not None:
            replay.restore(self.log.restored)
        else:
            for raw in past():
                replay.entry(entries.decode(raw))
        for raw, _ in self.log.entries(self.log.base):
            if replay.entry(entries.decode(raw)) is not None:
                self.disagreements += 1
        return replay

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
        with True when the entry is durable, with False when it will not be. MemoryError: nothing was appended, and the
        same may be tried again."""
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
        waits = [None, time_ms, len(kept), done]
        self._unsure.append(waits)
        try:
            waits[0] = self._append(time_ms, self.clock.state, entries.READINGS, body)
        except MemoryError:
            self._unsure.pop()
            raise
        self._replay.readings += len(kept)

    def _judged(self, time_ms, rows):
        """The rows, with those marked that are doubtful by the ones before them."""
        return rows

    def exchanged(self, point, event, time_ms, last, first):
        """An operator's word: the register of point number `point` was replaced (event 0) or reset (1) at time_ms; it
        stood at `last` and began at `first` (Numbers in the point's unit)."""
        exponent = min(last.exponent, first.exponent)
        body = [point, event, time_ms, exponent, last.at(exponent), first.at(exponent)]
        self._append(self.clock.now_ms(), self.clock.state, entries.METER, body)

    def held(self):
        """[(index of the point, Number of the last believed reading, readings held since)] of registers that have some
        held: an operator's word may be wanted (docs/series.md)."""
        return []

    def believed(self):
        """[(index, time_ms of the last believed reading or None)] of the points that are settled."""
        return []

    def totals(self):
        """What the log says so far: per point of amounts (name, unit, total), per source (name, scope, tCO2e)."""
        return [], []

    def relieve(self):
        """Asks who holds memory that can be had again to let go of it: whoever runs this puts a function here."""

    def hurry(self):
        """Asks for a commit now: somebody waits for it."""
        if self._full:
            self._full()

    @property
    def readings(self):
        """Rows of readings in the log."""
        return self._replay.readings

    @property
    def known_ms(self):
        """The last time that the log knows of; None before there is one."""
        return self._replay.pipeline.time_ms

    def audit(self, who, what, detail):
        """Appends what happened to the terminal or its meters: three texts of at most 200 characters."""
        if self.failed:
            if len(self._later) < LATER:
                self._later.append((who, what, detail))
            return
        self._append(self.clock.now_ms(), self.clock.state, entries.AUDIT, [who, what, detail])

    def upgraded(self, body):
        """Appends that the firmware is another one than before; body as in docs/formats.md."""
        self._append(self.clock.now_ms(), self.clock.state, entries.UPGRADE, body)

    def _append(self, time_ms, state, kind, body):
        """Appends an entry and what follows from it; its seq, None where nothing is appended."""
        if self.stopped or self.failed:
            return None
        entry = entries.Entry(self.site.terminal_id, self.log.epoch, None, time_ms, state, kind, body, None)
        entry.seq = self.log.append(time_ms, state, kind, body)
        if kind in DERIVED:
            self.settled_ms = time_ms
            self._day_ended = self._day_ended or (kind != entries.FILL and body[0] >= DAY)
        else:
            try:
                self._follow(self._replay.pipeline.derive(entry))
            except MemoryError as error:  # what follows is half done: only the log knows how to go on
                self.fail(error)
        if self._full and self.log.ripe(self._commit_bytes):
            self._full()
        return entry.seq

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
        `seal`. A storage that fails ends up in `failed`. MemoryError: the same may be tried again."""
        if self.stopped or self.failed:
            return
        if self.missed.rounds:
            self.audit("terminal", "memory", "%s; %s not stored" % (NO_MEMORY[0], self.missed))
            self.missed.clear()
        try:
            if seal or self._day_ended or self.log.due(self.clock.now_ms()):
                self.log.checkpoint()
                self._day_ended = False
            else:
                self.log.commit()
        except OSError as error:
            self.fail(error)
            return
        except MemoryError as error:
            if not self.log.closed:
                raise
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
        """The storage refused a write, or memory ended in the middle: nothing more is appended until `resume`."""
        self.failed = says(error)

    def resume(self, site, past=tuple, previous=None):
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
        except (OSError, MemoryError) as error:
            self.fail(error)
            raise
        self._later = []
        self.missed.clear()


def settling():
    """The Replay of a terminal; Settles where this firmware has none."""
    try:
        from carbonterm import pipeline
    except ImportError:
        raise Settles("this log or site document is a terminal's, and here is the firmware of a collector",
                      "write profile: collector into settings, in a new folder; or deploy a terminal")  # fmt: skip
    return pipeline.Replay


def reading(index, point, offset_ms, value):
    """The row of a point from its value, a Number or None, checked against its range (8.1.1)."""
    if value is None:
        return missing(index, offset_ms, INVALID)
    low, high = point.minimum, point.maximum
    return [index, offset_ms, GOOD if in_range(value, low, high) else SUSPECT, value.exponent, value.mantissa]


def missing(index, offset_ms, quality):
    """The row of a point that gave no value: unknown stays unknown."""
    return [index, offset_ms, quality, 0, None]
