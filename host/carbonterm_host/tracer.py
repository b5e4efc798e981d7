"""Where a figure comes from: the log folded once, with every reading's part in every increment kept (9.2, T-9.2-5).

`Tracer(book)` runs the same fold as replay (carbonterm.pipeline) and listens to its registers. A settlement is then
recomputed a second time, by the rule of docs/formats.md on the two readings around each border, and a figure of
emissions from the closing rows it names; both must be what the log holds.
"""

from carbonterm import clock
from carbonterm.accounting import source as accounting
from carbonterm.errors import CarbonError
from carbonterm.figures import recorded
from carbonterm.ledger import entry as entries
from carbonterm.number import Number, Ratio, half_even
from carbonterm.pipeline import Replay
from carbonterm.series.closing import BACK, LONGEST
from carbonterm.series.register import FIRST, ROLLOVER, WORDS
from carbonterm.site import INSTANT
from carbonterm_host import tracer_formed, tracer_rates


class Step:
    """A reading or meter event as its register took it: `index` of the entry and `row` in it (None: an event), `value`
    Number, `total` of all increments after it, `verdict` (None: an event), `believed`: it moved the series on."""

    __slots__ = ("believed", "index", "quality", "row", "time_ms", "total", "value", "verdict")

    def __init__(self, index, row, time_ms, value, quality, verdict, total):
        self.index, self.row, self.time_ms, self.value, self.quality = index, row, time_ms, value, quality
        self.verdict, self.total = verdict, total
        self.believed = verdict is None or verdict <= ROLLOVER

    @property
    def word(self):
        return "meter event" if self.verdict is None else WORDS[self.verdict]


class _Heard:
    """A settler that tells what it is fed; everything else it is asked goes to the settler itself."""

    def __init__(self, settler, tracer):
        self._settler = settler
        self._tracer = tracer
        self.steps = []
        self.turns = []  # indexes of entries at which the clock was set, lost or found

    def __getattr__(self, name):
        return getattr(self._settler, name)

    def closings(self, time_ms, value, quality=0):
        closed = self._settler.closings(time_ms, value, quality)
        verdict = self._settler.verdict
        at = self._tracer.index, self._tracer.row_of(time_ms, value, self)
        self.steps.append(Step(*at, time_ms, value, quality, verdict, self._settler.total))
        return closed

    def replaced(self, time_ms, last, first):
        closed = self._settler.replaced(time_ms, last, first)
        self.steps.append(Step(self._tracer.index, None, time_ms, first, 0, None, self._settler.total))
        return closed


    def stepped(self, before_ms, after_ms):
        self.turns.append(self._tracer.index)
        return self._settler.stepped(before_ms, after_ms)

    def adrift(self, now_ms):
        self.turns.append(self._tracer.index)
        self._settler.adrift(now_ms)

    def unset(self, time_ms, value, quality=0):
        self.turns.append(self._tracer.index)
        self._settler.unset(time_ms, value, quality)

    def landed(self, shift_ms):
        self.turns.append(self._tracer.index)
        return self._settler.landed(shift_ms)


class Figure:
    """A row of a closing or emission entry: `index` of the entry, `row` in it; period, start_ms, `site` in force,
    `config` (index of its entry), `name` of its source or point, `steps` of a meter's point (None of all others)."""

    __slots__ = ("config", "index", "kind", "name", "period", "row", "site", "start_ms", "steps", "subject")

    def __init__(self, index, row, kind, period, start_ms, subject, site, config, name, steps):
        self.index, self.row, self.kind, self.period, self.start_ms = index, row, kind, period, start_ms
        self.subject, self.site, self.config, self.name, self.steps = subject, site, config, name, steps


class Tracer:
    """Folds all entries of a proofs.Book. `figures` in log order; `wrong`: what replay finds, by index of the entry;
    `begins`: (epoch, seq) of the first entry where those before it were dropped, else None."""

    def __init__(self, book):
        self.book = book
        first = book.entries[0] if book.entries else None
        self.begins = (first.epoch, first.seq) if first and first.kind == entries.SNAPSHOT else None
        self.figures = []
        self.wrong = {}
        self.index = self._config = self._site = None
        self._heard, self._closings = [], {}
        self._fills = []
        self.hands = tracer_formed.Hands()
        replay = Replay()
        for self.index, one in enumerate(book.entries):
            self._taken = set()
            try:
                finding = replay.entry(one)
            except CarbonError as error:
                finding = str(error)
            if finding:
                self.wrong[self.index] = finding
            pipeline = replay.pipeline
            if pipeline.site is not self._site:
                self._site, self._config = pipeline.site, self.index
                self._heard = pipeline.settlers
                self._heard[:] = [self._hear(settler) for settler in self._heard]
            if one.kind in (entries.CLOSING, entries.EMISSION) and self._site is not None:
                self._figures(one)
            elif one.kind == entries.MANUAL:
                self.hands.heard(self.index, one, pipeline)
            elif one.kind == entries.FILL and self._site is not None and one.body[0] < len(self._site.points):
                self._fills.append(tracer_rates.Filling(self.index, one.body, self._site))

    def row_of(self, time_ms, value, heard):
        """Row of the entry at hand that a register was fed with: the first that fits and was not taken before."""
        one = self.book.entries[self.index]
        for row, (point, offset, _, exponent, mantissa) in enumerate(one.body[0]):
            if row in self._taken or mantissa is None or self._heard[point] is not heard:
                continue
            if one.time_ms + offset == time_ms and Number(mantissa, exponent) == value:
                self._taken.add(row)
                return row
        return None

    def fills(self, figure):
        """The Fillings of the log that lie in the period of a closing row, of its point."""
        end_ms = clock.end(figure.period, figure.start_ms, figure.site.zone)
        return [one for one in self._fills if one.touches(figure, end_ms)]

    def settled(self, figure):
        """(increment recomputed or None, first Step, last Step, Steps between) of a closing row. Where the clock was
        set beside the period, no two readings around a border tell its value: None, and replay vouches for it alone."""
        end_ms = clock.end(figure.period, figure.start_ms, figure.site.zone)
        if figure.steps is None:
            return tracer_formed.settled(self, figure), None, None, []
        if self._is_rate(figure):
            if figure.steps.turns or self.begins:
                return self._counted(figure)
            fills = [one for one in self.fills(figure) if one.index < figure.index]
            return tracer_rates.settled(figure, figure.site.series[figure.subject], fills, self._is_again(figure))
        steps = [step for step in figure.steps.steps if step.believed]
        turn = max([turn for turn in figure.steps.turns if turn <= figure.index], default=None)
        if turn is not None:
            before = [step.time_ms for step in steps if step.index < turn]
            steps = [step for step in steps if turn < step.index < figure.index]
            reached = max([at for at in before if steps and at <= steps[0].time_ms + BACK], default=0)
            if not steps or figure.start_ms < max(reached, steps[0].time_ms):
                return self._counted(figure)
        begin, first, _ = self._border(figure, steps, figure.start_ms)
        end, _, last = self._border(figure, steps, end_ms)
        if first is None or last is None:
            return None, None, None, []
        between = figure.steps.steps[figure.steps.steps.index(first) : figure.steps.steps.index(last) + 1]
        return None if begin is None or end is None else end - begin, first, last, between

    def _counted(self, figure):
        """As `settled`, without an increment: the readings since the point's closing before."""
        same = [one.index for one in self.figures if one.steps is figure.steps and one.period == figure.period]
        since = max([index for index in same if index < figure.index], default=-1)
        steps = [step for step in figure.steps.steps if since <= step.index <= figure.index] or figure.steps.steps[:1]
        return (None, steps[0], steps[-1], steps) if steps else (None, None, None, [])

    def turned(self, figure):
        """True if the clock was set beside the period of a closing row, or a rate's first readings were dropped."""
        if figure.steps is None:
            return False
        open_ = figure.steps.turns or (self.begins and self._is_rate(figure))
        return bool(open_) and self.settled(figure)[0] is None

    def _is_rate(self, figure):
        """Whether a closing row is of a value of the moment."""
        return figure.subject < len(figure.site.points) and figure.site.points[figure.subject].kind == INSTANT

    def _is_again(self, figure):
        """Whether the period of a closing row had closed before."""
        return any(one.index < figure.index for one in self._same(figure, figure.subject))

    def _same(self, figure, point):
        """The closing rows of a point with the period of a figure, in the log's order."""
        rows = figure.site.all_points
        return self._closings.get((rows[point].name, figure.period, figure.start_ms), ()) if point < len(rows) else ()

    def accounted(self, figure):
        """([(parameter, unit, Ratio, [(point, numerator, denominator, closing Figure)])], exact tCO2e or None)."""
        source = figure.site.sources[figure.subject]
        units = dict(source.compiled[accounting.INPUTS])
        rows, values = [], {}
        for feed in source.inputs:
            parts, total = [], Ratio(0)
            for point, numerator, denominator in feed.points:
                closing = self.closing(figure, point)
                parts.append((point, numerator, denominator, closing))
                increment = self.amount(figure, point)
                known = total is not None and increment is not None
                total = total + Ratio(numerator, denominator) * increment if known else None
            rows.append((feed.parameter, units[feed.parameter], total, parts))
            values[feed.parameter] = total
        try:
            exact = accounting.evaluate_compiled(source.compiled, values)
        except CarbonError:
            exact = None
        return rows, exact

    def row(self, figure):
        """The row of the entry."""
        body = self.book.entries[figure.index].body
        return (body[2] if figure.kind == entries.CLOSING else body[3])[figure.row]

    def value(self, figure):
        """The Number in the log, or None where there is none."""
        row = self.row(figure)
        return None if row[3] is None else Number(row[3], row[2])

    def equal(self, figure):
        """True if the entry is byte for byte what replay gives and the figure what its parts give."""
        if figure.index in self.wrong:
            return False
        if figure.kind == entries.CLOSING:
            if self.turned(figure):
                return True
            again = self.settled(figure)[0]
            if again is None and (figure.steps is None or self._is_rate(figure)):
                return tracer_rates.unknown(self.row(figure))
            return again is not None and again == self.value(figure)
        exact, held = self.accounted(figure)[1], self.value(figure)
        return held is None or (exact is not None and recorded(exact) == held)

    def _figures(self, one):
        period, start_ms = one.body[:2]
        for number, row in enumerate(one.body[2] if one.kind == entries.CLOSING else one.body[3]):
            of = self._site.all_points if one.kind == entries.CLOSING else self._site.sources
            if row[0] >= len(of):
                self.wrong.setdefault(self.index, f"entry {one.seq}: its row {number} names what is not in the site")
                continue
            steps = self._heard[row[0]] if one.kind == entries.CLOSING and row[0] < len(self._heard) else None
            name, at = of[row[0]].name, (self.index, number, one.kind, period, start_ms)
            figure = Figure(*at, row[0], self._site, self._config, name, steps)
            self.figures.append(figure)
            if one.kind == entries.CLOSING:
                self._closings.setdefault((name, period, start_ms), []).append(figure)

    def versions(self, figure):
        """The figures of emissions of a source and period, in the log's order; the last is the one that holds."""
        same = figure.kind, figure.name, figure.period, figure.start_ms
        return [one for one in self.figures if (one.kind, one.name, one.period, one.start_ms) == same]

    def closing(self, figure, point, before=None):
        """The last closing before a figure (an index: before that entry) with its period and a point."""
        for one in reversed(self._same(figure, point)):
            if one.index < (figure.index if before is None else before):
                return one
        return None

    def amount(self, figure, point, before=None):
        """What the closings of a point before a figure (an index: before that entry) come to: the later ones are
        differences, one without a value begins anew; None where there is none."""
        amount = None
        for one in self._same(figure, point):
            if one.index < (figure.index if before is None else before):
                value = self.value(one)
                amount = value if amount is None or value is None else amount + value
        return amount

    def _border(self, figure, steps, border):
        """(sum of the increments up to a border, Step before, Step at or behind); the sum None where a gap is too long
        to be apportioned, the Steps None where the log does not reach."""
        at = before = None
        for step in steps:
            at = step.time_ms if at is None else max(at, step.time_ms)
            if before is None and at > border and self.begins and step.verdict != FIRST:
                return None, None, None  # the readings before it were dropped
            if before is None and at >= border:
                return step.total, step, step
            if at >= border:
                break
            before, since = step, at
        else:
            return None, None, None
        if at == border:
            return step.total, step, step
        length = at - since
        if length > LONGEST[figure.period]:
            return None, before, step
        exponent = min(before.value.exponent, step.value.exponent, figure.steps.register.floor)
        old, more = before.value.at(exponent), (step.total - before.total).at(exponent)
        border_value = half_even(old * length + more * (border - since), length)
        return before.total + Number(border_value - old, exponent), before, step

    def _hear(self, settler):
        return settler if settler is None or isinstance(settler, _Heard) else _Heard(settler, self)
