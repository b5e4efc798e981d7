"""The terminal: a recorder that settles and accounts what it records, and takes what people enter by hand."""

from carbonterm.clock import UNSET
from carbonterm.errors import CarbonError, LedgerError
from carbonterm.ledger import entry as entries
from carbonterm.number import Number
from carbonterm.pipeline import Replay
from carbonterm.site import INSTANT
from carbonterm.site_rows import VIRTUAL
from carbonterm_device.recorder import SUSPECT, Recorder


class Terminal(Recorder):
    """As Recorder. `above`: {point: readings since the last one that was within twice its largest valid month}."""

    REPLAY = Replay

    def __init__(self, log, clock, runtime, full=None, commit_bytes=4096):
        Recorder.__init__(self, log, clock, runtime, full, commit_bytes)
        self.by_hand = 0  # records taken since the start
        self.above = {}

    def configure(self, site):
        """Goes on under another Site: every entry behind its `config` entry is of that one. Where memory ends, the
        terminal has `failed`, and `resume` under this Site is the way on."""
        before, self.site = self.site, site
        self.above.clear()  # its indices are those of the document before; nothing here takes memory
        self._commit_bytes = site.settings.commit_bytes
        try:
            self._replay.know(site)
            self._configured(before, site)
            self.commit()
        except MemoryError as error:  # whether the entry is there, only the log knows
            self.fail(error)

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

    def so_far(self, index, period):
        """tCO2e of a source in the period that is open, exact (Ratio); None where it is not known."""
        pipeline = self._replay.pipeline
        if self.failed or pipeline.figures is None:
            return None

        def amount(point):
            if self.site.all_points[point].kind == VIRTUAL:
                return pipeline.figures.total(point, amount)
            settler = pipeline.settlers[point] if point < len(pipeline.settlers) else None
            try:
                found = None if settler is None else settler.open(period)
            except CarbonError:  # it is not settled by this period
                return None
            return None if found is None else found.increment

        return pipeline.figures.evaluate(index, amount)

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
