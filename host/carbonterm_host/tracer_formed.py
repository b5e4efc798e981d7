"""Closings that no meter gave, computed a second time: manual points from amounts, virtual points from their parts.

`Hands` listens to a log's manual entries. docs/manual.md and docs/trace.md say what is shown.
"""

from carbonterm import clock
from carbonterm.errors import CarbonError
from carbonterm.ledger import manual as records
from carbonterm.series import combine
from carbonterm.series.manual import Entered
from carbonterm.site_rows import MANUAL


class Hands:
    """What was entered up to each manual entry of a log."""

    def __init__(self):
        self.records = {}  # digest: (index of its entry, Record)
        self._states = []  # (index of the entry, {point's name: Entered})

    def heard(self, index, one, pipeline):
        """Takes a manual entry, which the pipeline has folded."""
        try:
            record = records.Record(*one.body)
        except CarbonError:
            return
        self.records.setdefault(record.digest, (index, record))
        if pipeline.manuals is None:
            return
        states = {}
        for row, entered in zip(pipeline.site.manual, pipeline.manuals.entered, strict=True):
            states[row.name] = Entered(entered.zone, None, row.mean)
            states[row.name].restore(entered.state())
        self._states.append((index, states))

    def entered(self, figure):
        """The Entered of a manual point when a closing row was made, or None."""
        for index, states in reversed(self._states):
            if index < figure.index:
                return states.get(figure.name)
        return None


def is_manual(figure):
    """Whether a closing row is of a manual point."""
    return figure.site.all_points[figure.subject].kind == MANUAL


def total(tracer, figure):
    """What the period of a closing row comes to with it, recomputed: a Number, or None where that is not known."""
    end_ms = clock.end(figure.period, figure.start_ms, figure.site.zone)
    if is_manual(figure):
        entered = tracer.hands.entered(figure)
        found = entered and entered.figure(figure.start_ms, end_ms)
        return found[0] if found else None
    row = figure.site.all_points[figure.subject]
    return combine.combine(row.op, row.parts, lambda point: tracer.amount(figure, point, figure.index + 1))


def settled(tracer, figure):
    """The increment of a closing row of a manual or virtual point, recomputed: what the period comes to less what it
    closed with before; None where it is not known."""
    after = total(tracer, figure)
    before = tracer.amount(figure, figure.subject)
    return after if after is None or before is None else after - before


def amounts(tracer, figure):
    """[(Amount, index of its entry, Record)] of those that lie in the period of a manual closing row, at its time."""
    end_ms = clock.end(figure.period, figure.start_ms, figure.site.zone)
    entered = tracer.hands.entered(figure)
    return [
        (one, *tracer.hands.records[one.digest])
        for one in (entered.amounts if entered else ())
        if one.start_ms < end_ms and one.end_ms > figure.start_ms and one.digest in tracer.hands.records
    ]
