"""Which collected values are valid (T/CSMT clause 8.1).

General validation (8.1.1): a value below the instrument's minimum or above its maximum is invalid; both ends are valid.
Secondary validation of other activity data (8.1.2): a single collected value is not above twice the historical valid
monthly total of its source. What fails stays in the log, marked as suspect, and is in no total.
"""

from carbonterm.number import Number, in_range
from carbonterm.series.register import pack, unpack

__all__ = ("ABOVE", "NOT_JUDGED", "VALID", "WORDS", "History", "in_range")

VALID, ABOVE, NOT_JUDGED = range(3)
WORDS = ("valid", "above twice the largest valid month", "not judged: there is no whole valid month yet")
MONTHS = 12  # of history; the largest of them counts, so that a plant with seasons is judged by its high one
MONTH_MS = 31 * 86400000


class History:
    """The last twelve valid monthly totals of a series. Valid is a month that was settled good: the month in which the
    series began, one with a border in a gap and one with suspect readings are not."""

    __slots__ = ("_months",)

    def __init__(self):
        self._months = []  # [start_ms, total (Number), quality], the valid ones and the last

    def month(self, start_ms, total, quality):
        """Takes a monthly settlement: total a Number or None (unknown). The same month again is a difference to add,
        and its latest quality counts."""
        months = self._months
        if months and months[-1][0] == start_ms:
            last = months.pop()
            if last[1] is not None:
                total = last[1] if total is None else last[1] + total
        self._months = [row for row in months if row[2] == 0 and row[1] is not None][-MONTHS:]
        self._months.append([start_ms, total, quality])

    def most(self):
        """The largest valid monthly total, a Number; None while there is none."""
        found = [row[1] for row in self._months[-MONTHS:] if row[2] == 0 and row[1] is not None]
        return max(found) if found else None

    def judge(self, value, elapsed_ms=0):
        """VALID, ABOVE or NOT_JUDGED of a collected value, a Number: twice the largest valid month passes. Where it is
        what a register did since its last reading, elapsed_ms ago: each begun 31 days more allow as much again."""
        most = self.most()
        if most is None:
            return NOT_JUDGED
        return VALID if value <= most * (2 * (1 + max(0, elapsed_ms) // MONTH_MS)) else ABOVE

    def state(self):
        """What a snapshot holds: a list for canonical CBOR."""
        return [[start_ms, pack(total), quality] for start_ms, total, quality in self._months]

    def restore(self, state):
        """Goes on from a `state()`; TypeError, ValueError or IndexError if it is not one."""
        self._months = [[row[0] + 0, unpack(row[1]), row[2] + 0] for row in state]


def grown(register, value):
    """What a register.Register would have gone on by to the value (Number); None where that can't be said."""
    if register.value is None:
        return None
    way = value - register.value
    if way < Number(0) and register.modulus is not None:
        way = way + register.modulus
    return way if way >= Number(0) else None
