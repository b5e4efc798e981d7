"""The way through: log entries in, the derived entries that must follow them out.

`Pipeline` is a fold over the log. Its whole state comes from `config`, `readings`, `meter` and `manual` entries; what
it gives are the bodies of `closing` and `emission` entries. The terminal appends them when they arise, `Replay`
compares them with the ones in a log: both run this code, so a log whose derived entries differ by a bit was not made by
it.
"""

from carbonterm import fold
from carbonterm import site as sites
from carbonterm.clock import FLOOR_MS, MONTH, text
from carbonterm.errors import CarbonError, LedgerError, SeriesError
from carbonterm.figures import PLACES, Figures
from carbonterm.ledger import entry as entries
from carbonterm.number import Number, Ratio
from carbonterm.series.closing import Settler
from carbonterm.series.register import ROLLOVER

__all__ = ("DERIVED", "PLACES", "Pipeline", "Replay")
DERIVED = fold.DERIVED
SUSPECT = 2
LARGEST = 308  # exponent of ten; no meter says more, and what it sums to is still a Number
REPLACED, RESET = 0, 1
MOVING = (entries.CONFIG, entries.READINGS, entries.CLOCK, entries.METER, entries.MANUAL)


class Pipeline(fold.Fold):
    """The fold of all there is: one settler per register point; `figures`: what settlements come to; `manuals`: what is
    entered by hand, None where nobody may; `filled`: indices of points whose gaps are told; `histories`: {point:
    validity.History}. The site document of a collector settles nothing."""

    def __init__(self, known=None):
        fold.Fold.__init__(self, known)
        self.settlers = []
        self.figures = None
        self.manuals = None
        self.filled = ()
        self.histories = {}

    def derive(self, entry):
        """As `fold`, one after the other: an iterator that must come to its end before the next entry that `moves`.
        After an outage of a year there are ten thousand and more."""
        unset = self._look(entry)
        if entry.kind == entries.CONFIG:
            self._configure(entry)
        elif entry.kind == entries.START and unset:
            for settler in self.settlers:
                if settler is not None:
                    settler.adrift(entry.time_ms)
        elif entry.kind == entries.READINGS:
            return self._readings(entry, unset)
        elif entry.kind == entries.CLOCK:
            fills = []
            return self._derived(entry, self._set(fills, *entry.body[:4]), "", fills)
        elif entry.kind == entries.METER:
            point, _, time_ms, exponent, last, first = entry.body
            settler = self._settler(entry, point)
            if settler is None:
                if self.site.settings.profile == sites.COLLECTOR:
                    return []
                raise LedgerError("entry %d: point %d is no register, it cannot be replaced" % (entry.seq, point))
            try:
                found = settler.replaced(time_ms, Number(last, exponent), Number(first, exponent))
            except SeriesError:
                return []  # an event that cannot be: it stays in the log and changes no total
            return self._derived(entry, {point: _in_order(found)})
        elif entry.kind == entries.MANUAL:
            return self._by_hand(entry, unset)
        return []

    def _readings(self, entry, unset):
        """What follows from a `readings` entry."""
        streams, fills = {}, []
        for point, offset, quality, exponent, mantissa in entry.body[0]:
            settler = self._settler(entry, point)
            if settler is None or mantissa is None or quality >= SUSPECT or exponent > LARGEST:
                continue
            time_ms, value = entry.time_ms + offset, Number(mantissa, exponent)
            before = list(streams.pop(point, ()))  # of the same point in the same round
            if unset or time_ms < FLOOR_MS:
                settler.unset(time_ms, value, quality)
                found = ()
            elif point in self.filled:
                since = settler.gap(time_ms)
                found = settler.closings(time_ms, value, quality)
                if since and settler.verdict <= ROLLOVER:
                    from carbonterm.series import gaps  # few sites fill them

                    fills.append((point, gaps.counted(since, time_ms, value, settler.total)))
                fills += [(point, fill) for fill in getattr(settler, "fills", ())]
            else:
                found = settler.closings(time_ms, value, quality)
            if before or found:
                streams[point] = before + list(found) if before else found
        return self._derived(entry, streams, "", fills)

    def moves(self, entry):
        """Whether `entry` may change a settler."""
        unset = entry.clock_state == entries.CLOCK_UNSET or entry.time_ms < FLOOR_MS
        return entry.kind in MOVING or (entry.kind == entries.START and unset)

    def _set(self, fills, event, before_ms, after_ms, state):
        """{point: settlements} that a `clock` entry closes; (point, Fill) go to `fills`."""
        closed = {}
        for point, settler in enumerate(self.settlers):
            if settler is None:
                continue
            if event == entries.REBASE:
                closed[point] = _in_order(settler.landed(after_ms - before_ms))
            elif event == entries.STEP and state != entries.CLOCK_UNSET:
                closed[point] = _in_order(settler.stepped(before_ms, after_ms))
            if point in self.filled:
                fills += [(point, fill) for fill in getattr(settler, "fills", ())]
        return closed

    def admit(self, record, now_ms):
        """CarbonError, saying why, unless a carbonterm.ledger.manual Record may be taken; now_ms None: clock unset."""
        if self.manuals is None:
            hint = "operators: [{name: …, public: …}] in the site document (docs/manual.md)"
            raise LedgerError("nobody may enter anything here", hint)
        self.manuals.check(record, now_ms)

    def _by_hand(self, entry, unset):
        """What follows from a `manual` entry; nothing where it cannot be taken: it stays in the log, for who asks."""
        from carbonterm.ledger import manual as records

        try:
            record = records.Record(*entry.body)
            self.admit(record, None if unset else entry.time_ms)
        except CarbonError:
            return ()
        streams = self.manuals.take(record, entry.time_ms)
        if record.what == records.RECALCULATE:
            names = [source.name for source in self.site.sources]
            reason = "%s: %s" % (record.operator, record.note)
            found = self.figures.again(names.index(record.name), record.start_ms, record.end_ms, reason)
            return ((entry.time_ms, entry.clock_state, kind, body) for kind, body in found)
        what = records.REJECTED if record.what == records.REVIEW else "corrected" if record.of else "entered"
        note = ": " + record.note if record.note else ""
        who = record.operator if record.basis == records.KEY else record.operator + " on the page"
        return self._derived(entry, streams, "%s by %s, entry %d%s" % (what, who, entry.seq, note))

    def emitted(self, index):
        """tCO2e of a source from all its increments so far, exact (Ratio); None where it cannot be evaluated."""
        return self.figures.evaluate(index, self.total)

    def total(self, point):
        """Sum of all increments of a point (Number), None where it has none."""
        measured = len(self.settlers)
        if point < measured:
            settler = self.settlers[point]
            return None if settler is None else settler.total
        if point < measured + len(self.site.manual):
            return None if self.site.is_mean(point) else self.manuals.entered[point - measured].total
        return self.figures.total(point, self.total)

    def state(self):
        """All that later derived entries depend on, for a snapshot: [document or null, settlers' states, waiting,
        time_ms or null], then [[name, state], …] of what a site has more, if it has."""
        waiting = [] if self.figures is None else self.figures.state()
        own = [self.document, [None if s is None else s.state() for s in self.settlers], waiting, self.time_ms]
        more = []
        if self.figures is not None and self.figures.keeps:
            more.append(["figures", self.figures.kept_state()])
        if self.manuals is not None:
            more.append(["manual", self.manuals.state()])
        if self.histories:
            more.append(["history", [[point, self.histories[point].state()] for point in sorted(self.histories)]])
        return own + [more] if more else own

    def restore(self, state):
        """Goes on from a `state()`; LedgerError if it is not one, and then the pipeline is not to be used."""
        try:
            document, settlers, waiting, time_ms = state[:4]
            more = dict([(name, one) for name, one in (state[4] if len(state) > 4 else ())])
            self.time_ms = None if time_ms is None else time_ms + 0
            if document is not None:
                self._take(document)
            if len(settlers) != len(self.settlers):
                raise ValueError
            for settler, one in zip(self.settlers, settlers):
                if (settler is None) != (one is None):
                    raise ValueError
                if settler is not None:
                    settler.restore(one)
            if self.figures is not None:
                self.figures.restore(waiting, more.pop("figures", ()))
            if self.manuals is not None:
                self.manuals.restore(more.pop("manual"))
            if self.histories:
                for point, one in more.pop("history"):
                    self.histories[point].restore(one)
            if more:
                raise ValueError
        except (ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
            why = error.what if isinstance(error, CarbonError) else "it has not the shape of one"
            raise LedgerError("a snapshot cannot be restored: " + why, "verify the log, and replay it whole")

    def _work(self, site):
        settlers = self._settlers(site)
        revised = [index for index in self.filled if site.points[index].kind == sites.INSTANT]
        revised += range(len(site.points), len(site.points) + len(site.manual))
        self.figures = Figures(site, revised, self.figures)
        if site.operators:
            from carbonterm.series.manual import Manuals  # most sites have meters only

            self.manuals = Manuals(site, self.time_ms, self.manuals)
        else:
            self.manuals = None
        self.site, self.settlers = site, settlers
        self.document = site.canonical()

    def _settlers(self, site):
        """The settlers of a new document. A point keeps its series as long as nothing that shapes its numbers changes,
        and goes on with another ratio, modulus, limit or interval."""
        settlers, came = [], {}
        count = 0 if self.site is None else len(self.site.points)
        shapes = [_shape(self.site, at) for at in range(count)]
        names = [_name(self.site, at) for at in range(count)]
        for index, point in enumerate(site.points):
            shape, name = _shape(site, index), _name(site, index)
            if shape in shapes:
                came[index] = shapes.index(shape)
                settlers.append(self.settlers[came[index]])
            elif site.settings.profile == sites.COLLECTOR:
                settlers.append(None)
            elif point.kind == sites.REGISTER:
                settlers.append(_settler(site, point))
                if name in names:
                    came[index] = names.index(name)
                    old = self.site.points[came[index]].scale
                    exponent = min(old.exponent, point.scale.exponent)
                    try:
                        factor = Ratio(point.scale.at(exponent), old.at(exponent))
                        settlers[index].go_on(self.settlers[came[index]], factor)
                    except CarbonError:
                        settlers[index] = _settler(site, point)
            else:
                settlers.append(site.series[index].settler(site) if index in site.series else None)
        self._follow_series(site, came)
        return settlers

    def _follow_series(self, site, came):
        """What the document says of fills and histories; came: {index of a point: its index before}."""
        old = self.histories
        self.filled = tuple([point for point in sorted(site.series) if site.series[point].fill is not None])
        self.histories = {}
        for point in site.series:
            if site.series[point].history:
                from carbonterm.series.validity import History  # few sites have one

                self.histories[point] = old.get(came.get(point)) or History()

    def above(self, point, time_ms, value):
        """8.1.2: whether a reading of a point would go on by more than twice its largest valid month."""
        if point not in self.histories:
            return False
        from carbonterm.series import validity

        register = self.settlers[point].register
        way = validity.grown(register, value)
        return way is not None and self.histories[point].judge(way, time_ms - register.time_ms) == validity.ABOVE

    def _settler(self, entry, point):
        self._point(entry, point)
        return self.settlers[point]

    def _derived(self, entry, streams, reason="", fills=()):
        return self._stamped(entry, streams, reason, fills) if streams or fills else ()

    def _stamped(self, entry, streams, reason, fills):
        for point, fill in fills:
            yield entry.time_ms, entry.clock_state, entries.FILL, fill.body(point)
            if fill.closed:
                from carbonterm.series import gaps

                span = [text(at, self.site.zone) for at in (fill.from_ms, fill.to_ms)]
                why = "gap from %s to %s filled, %s" % (span[0], span[1], gaps.METHODS[fill.rule])
                for kind, body in self._close({point: fill.closed}, why):
                    yield entry.time_ms, entry.clock_state, kind, body
        for kind, body in self._close(streams, reason):
            yield entry.time_ms, entry.clock_state, kind, body

    def _close(self, streams, reason):
        """Bodies of the closings and emissions of {point: settlements, each in order of `_when`}, in the same order, a
        period's points together."""
        heads = []  # [_when, point, settlement, the ones after it]
        for point in sorted(streams):
            _advance(heads, point, iter(streams[point]))
        while heads:
            first = min([head[0] for head in heads])
            rows, ahead, heads = [head for head in heads if head[0] == first], heads, []
            for head in ahead:
                if head[0] == first:
                    _advance(heads, head[1], head[3])
                else:
                    heads.append(head)
            _, period, start_ms = first
            if period == MONTH:
                for head in rows:
                    if head[1] in self.histories:
                        self.histories[head[1]].month(start_ms, head[2].increment, head[2].quality)
            yield from self.figures.close(period, start_ms, [(row[1], row[2]) for row in rows], reason)


class Replay(fold.Replay):
    """carbonterm.fold's, of all that a terminal derives."""

    FOLD = Pipeline


def _settler(site, point):
    return Settler(site.zone, point.modulus, point.limit, point.interval_ms, tuple(site.settings.closings))


def _name(site, index):
    """What makes a register the same one, whatever its ratio."""
    point = site.points[index]
    return point.canonical()[2:8] + [point.kind] + _where(site, point)


def _shape(site, index):
    point = site.points[index]
    settled = site.series[index].canonical()[1:6] if point.kind == sites.INSTANT and index in site.series else None
    return point.canonical()[2:] + _where(site, point) + [settled]


def _where(site, point):
    settings = site.settings
    return [site.meters[point.meter].name, point.name, site.zone, settings.closings, settings.profile]


def _when(settlement):
    return settlement.end_ms, settlement.period, settlement.start_ms


def _in_order(settlements):
    return [row[2] for row in sorted([(_when(one), at, one) for at, one in enumerate(settlements)])]


def _advance(heads, point, stream):
    """Adds the next settlement of a point's stream, if there is one."""
    for settlement in stream:
        heads.append((_when(settlement), point, settlement, stream))
        return

