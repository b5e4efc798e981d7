"""The way through: log entries in, the derived entries that must follow them out.

`Pipeline` is a fold over the log. Its whole state comes from `config`, `readings` and `meter` entries; what it gives
are the bodies of `closing` and `emission` entries. The terminal appends them when they arise, `Replay` compares them
with the ones in a log: both run this code, so a log whose derived entries differ by a bit was not made by it.
"""

from carbonterm import cbor
from carbonterm import site as sites
from carbonterm.accounting import source as accounting
from carbonterm.clock import FLOOR_MS
from carbonterm.errors import CarbonError, LedgerError, SeriesError
from carbonterm.gm import sm3
from carbonterm.ledger import entry as entries
from carbonterm.number import Number, Ratio
from carbonterm.series.closing import Settlement, Settler

PLACES = 6  # an emission is recorded to 0.000001 t, one gram
SUSPECT, INVALID = 2, 3
REPLACED, RESET = 0, 1
DERIVED = (entries.CLOSING, entries.EMISSION)
MOVING = (entries.CONFIG, entries.READINGS, entries.CLOCK, entries.METER)
NOT_TOLD = (entries.SNAPSHOT, entries.GAP)  # what the log itself writes, unseen by the fold of a running terminal
MAX_WAITING = 2048  # figures that wait for a point that is silent; beyond them the oldest stay unknown for good


class Pipeline:
    """State of the fold: `site` in force and its canonical `document` (None before the first config), one settler per
    register point; `time_ms`: the last time that a clock showed which was set, None before the first. known: a Site
    that is taken where a document is its own, so that it is not held twice."""

    def __init__(self, known=None):
        self._known = known
        self.site = None
        self.time_ms = None
        self.settlers = []
        self.digests = []
        self.document = None
        self._waiting = {}

    def fold(self, entry):
        """The derived entries of `entry`, in order: list of (time_ms, clock_state, kind, body). LedgerError if the
        entry makes no sense where it stands (readings before a config, a point that is not there)."""
        return list(self.derive(entry))

    def derive(self, entry):
        """As `fold`, one after the other: an iterator that must come to its end before the next entry that `moves`.
        After an outage of a year there are ten thousand and more."""
        unset = entry.clock_state == entries.CLOCK_UNSET or entry.time_ms < FLOOR_MS
        if not unset and entry.kind not in NOT_TOLD:
            self.time_ms = entry.time_ms
        if entry.kind == entries.CONFIG:
            self._configure(entry)
        elif entry.kind == entries.START and unset:
            for settler in self.settlers:
                if settler is not None:
                    settler.adrift(entry.time_ms)
        elif entry.kind == entries.READINGS:
            streams = {}
            for point, offset, quality, exponent, mantissa in entry.body[0]:
                settler = self._settler(entry, point)
                if settler is None or mantissa is None or quality >= SUSPECT:
                    continue
                time_ms = entry.time_ms + offset
                before = list(streams.pop(point, ()))  # of the same point in the same round
                if unset or time_ms < FLOOR_MS:
                    settler.unset(time_ms, Number(mantissa, exponent), quality)
                    found = ()
                else:
                    found = settler.closings(time_ms, Number(mantissa, exponent), quality)
                if before or found:
                    streams[point] = before + list(found) if before else found
            return self._derived(entry, streams)
        elif entry.kind == entries.CLOCK:
            return self._derived(entry, self._set(*entry.body[:4]))
        elif entry.kind == entries.METER:
            point, _, time_ms, exponent, last, first = entry.body
            settler = self._settler(entry, point)
            if settler is None:
                raise LedgerError("entry %d: point %d is no register, it cannot be replaced" % (entry.seq, point))
            try:
                found = settler.replaced(time_ms, Number(last, exponent), Number(first, exponent))
            except SeriesError:
                return []  # an event that cannot be: it stays in the log and changes no total
            return self._derived(entry, {point: _in_order(found)})
        return []

    def moves(self, entry):
        """Whether `entry` may change a settler."""
        unset = entry.clock_state == entries.CLOCK_UNSET or entry.time_ms < FLOOR_MS
        return entry.kind in MOVING or (entry.kind == entries.START and unset)

    def _set(self, event, before_ms, after_ms, state):
        """{point: settlements} that a `clock` entry closes."""
        closed = {}
        for point, settler in enumerate(self.settlers):
            if settler is None:
                continue
            if event == entries.REBASE:
                closed[point] = _in_order(settler.landed(after_ms - before_ms))
            elif event == entries.STEP and state != entries.CLOCK_UNSET:
                closed[point] = _in_order(settler.stepped(before_ms, after_ms))
        return closed

    def emitted(self, index):
        """tCO2e of a source from all its increments so far, exact (Ratio); None where it cannot be evaluated."""
        return self._evaluate(self.site.sources[index], lambda point: self.settlers[point].total)

    def state(self):
        """All that later derived entries depend on, for a snapshot: [document or null, settlers' states, waiting,
        time_ms or null]."""
        waiting = []
        for key in sorted(self._waiting):
            rows = []
            for point, settlement in sorted(self._waiting[key].items()):
                increment = settlement.increment
                rows.append([point, settlement.quality, increment.exponent, str(increment.mantissa)])
            waiting.append([key[0], key[1], key[2], rows])
        return [self.document, [None if s is None else s.state() for s in self.settlers], waiting, self.time_ms]

    def restore(self, state):
        """Goes on from a `state()`; LedgerError if it is not one, and then the pipeline is not to be used."""
        try:
            document, settlers, waiting, time_ms = state
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
            self._waiting = {}
            for index, period, start_ms, rows in waiting:
                have = {}
                for point, quality, exponent, mantissa in rows:
                    increment = Number(int(mantissa), exponent)
                    have[point] = Settlement(period, start_ms, None, increment, None, None, quality, None)
                self._waiting[(index, period, start_ms)] = have
        except (ValueError, TypeError, IndexError, AttributeError) as error:
            why = error.what if isinstance(error, CarbonError) else "it has not the shape of one"
            raise LedgerError("a snapshot cannot be restored: " + why, "verify the log, and replay it whole")

    def _configure(self, entry):
        digest, document = entry.body
        if sm3.digest(document) != digest:
            raise LedgerError("entry %d: the site document is not the one its digest names" % entry.seq)
        if document != self.document:  # a new epoch repeats it, and changes nothing
            self._take(document)

    def _take(self, document):
        if self._known is not None and self._known.canonical() == document:
            site = self._known
        else:
            site = sites.decode(document)
        settlers = []
        before = [] if self.site is None else [_shape(self.site, point) for point in self.site.points]
        for point in site.points:
            # a point keeps its series over a new document as long as nothing that shapes its numbers changes
            shape = _shape(site, point)
            if shape in before:
                settlers.append(self.settlers[before.index(shape)])
            elif point.kind == sites.REGISTER:
                settlers.append(
                    Settler(site.zone, point.modulus, point.limit, point.interval_ms, tuple(site.settings.closings))
                )
            else:
                settlers.append(None)
        self.site, self.settlers, self._waiting = site, settlers, {}
        self.document = site.canonical()
        self.digests = [sm3.digest(cbor.encode(source.canonical())) for source in site.sources]

    def _settler(self, entry, point):
        if self.site is None:
            raise LedgerError("entry %d: there are readings before the first site document" % entry.seq)
        if point >= len(self.settlers):
            raise LedgerError("entry %d: point %d is not in the site document" % (entry.seq, point))
        return self.settlers[point]

    def _derived(self, entry, streams):
        return self._stamped(entry, streams) if streams else ()

    def _stamped(self, entry, streams):
        for kind, body in self._close(streams):
            yield entry.time_ms, entry.clock_state, kind, body

    def _close(self, streams):
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
            rows = [(point, settlement) for _, point, settlement, _ in rows]
            yield entries.CLOSING, [period, start_ms, [_closing_row(point, s) for point, s in rows]]
            emissions = self._emissions(period, start_ms, rows)
            if emissions:
                yield entries.EMISSION, [period, start_ms, 1, emissions]

    def _emissions(self, period, start_ms, rows):
        found = []
        for index, source in enumerate(self.site.sources):
            needed = [row[0] for feed in source.inputs for row in feed.points]
            fresh = [(point, s) for point, s in rows if point in needed]
            if not fresh:
                continue
            key = (index, period, start_ms)
            have = self._waiting.setdefault(key, {})
            for point, settlement in fresh:
                have[point] = _together(have.get(point), settlement)
            if len(have) < len(set(needed)):
                # the figure waits for its last point; until then it is unknown, not smaller
                if len(self._waiting) > MAX_WAITING:
                    del self._waiting[min(self._waiting, key=lambda k: (k[2], k[1], k[0]))]
                continue
            del self._waiting[key]
            value = self._evaluate(source, lambda point, have=have: have[point].increment)
            if value is None or accounting.expired(source.compiled, start_ms):
                # no figure rather than a guessed one: a division by a zero production, a factor past its validity
                found.append([index, INVALID, 0, None, self.digests[index]])
            else:
                figure = value.round(PLACES)
                quality = max([s.quality for s in have.values()])
                found.append([index, quality, figure.exponent, figure.mantissa, self.digests[index]])
        return found

    def _evaluate(self, source, amount):
        values = {}
        for feed in source.inputs:
            total = Ratio(0)
            for point, numerator, denominator in feed.points:
                total = total + Ratio(numerator, denominator) * amount(point)
            values[feed.parameter] = total
        try:
            return accounting.evaluate_compiled(source.compiled, values)
        except CarbonError:
            return None


class Replay:
    """A pipeline run over a log beside it: says which derived entries are wrong, missing or from nowhere."""

    def __init__(self, known=None):
        self._known = known
        self.pipeline = Pipeline(known)
        self._owed, self._coming = [], iter(())
        self.compared = 0
        self.readings = 0
        self._begun = False

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
        self.pipeline = Pipeline(self._known)
        self.pipeline.restore(pipeline)
        self._owed, self._coming = [tuple(one) for one in owed], iter(())
        self._begun = True


def _shape(site, point):
    return point.canonical()[2:] + [site.meters[point.meter].name, point.name, site.zone, site.settings.closings]


def _when(settlement):
    return settlement.end_ms, settlement.period, settlement.start_ms


def _in_order(settlements):
    return [row[2] for row in sorted([(_when(one), at, one) for at, one in enumerate(settlements)])]


def _advance(heads, point, stream):
    """Adds the next settlement of a point's stream, if there is one."""
    for settlement in stream:
        heads.append((_when(settlement), point, settlement, stream))
        return


def _together(first, second):
    """Two settlements of one period, which closed twice because the clock was set, as one for the figure that waits."""
    if first is None:
        return second
    increment, quality = first.increment + second.increment, max(first.quality, second.quality)
    return Settlement(second.period, second.start_ms, second.end_ms, increment, None, None, quality, None)


def _closing_row(point, settlement):
    numbers = [settlement.increment, settlement.max, settlement.min]
    exponent = min([n.exponent for n in numbers if n is not None])
    return [point, settlement.quality, exponent] + [None if n is None else n.at(exponent) for n in numbers]
