"""Several sources of one quantity made into one series with its uncertainty (T/CSMT park document, clause 6.5).

A source is a list of (time_ms, value) with the standard uncertainty of its values, absolute or relative. `aligned` puts
them on a common grid of times (linear between two values that are not further apart than `reach_ms`; never beyond the
first or last), so that only values of one time are put together. Then

- `weighted`: mean with inverse variances as weights. Where the sources differ by more than their uncertainties allow
  (Birge ratio above 1), the uncertainty grows by that ratio and the row is marked.
- `filtered`: a Kalman filter of a quantity that wanders by `drift` (standard deviation in an hour): each time first the
  prediction, then every source's value. It bridges times at which a source has none, and says how unsure it is there.
- `combined`: the weighted mean of the sources and of a model's values, where a model is a source like another (for
  example an emission computed from activity data beside one that was measured).

Numbers are decimals of 28 digits, rounded half to even: the same on every machine. Weights are given with each row.
Source: JJF 1059.1-2012 (combination of uncertainties); R. T. Birge, Phys. Rev. 40, 207 (1932).
"""

from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from itertools import pairwise

_CONTEXT = Context(prec=28, rounding=ROUND_HALF_EVEN)
HOUR_MS = 3600000


class Source:
    """`rows`: (time_ms, Decimal) in order of time; standard uncertainty of each: `absolute`, in the series' unit, or
    `relative`, a part of the value."""

    def __init__(self, name, rows, absolute=None, relative=None):
        self.name = name
        self.rows = rows
        self.absolute = absolute
        self.relative = relative

    def uncertainty(self, value):
        return self.absolute if self.relative is None else abs(value) * self.relative

    def at(self, moments, reach_ms):
        """{moment: value} for those of `moments` that lie on a value or between two near ones."""
        found, place, rows = {}, 0, self.rows
        for moment in moments:
            while place + 1 < len(rows) and rows[place + 1][0] <= moment:
                place += 1
            before = rows[place]
            if before[0] == moment:
                found[moment] = before[1]
            elif before[0] < moment and place + 1 < len(rows):
                after = rows[place + 1]
                if after[0] - before[0] <= reach_ms:
                    part = Decimal(moment - before[0]) / Decimal(after[0] - before[0])
                    found[moment] = before[1] + (after[1] - before[1]) * part
        return found


class Row:
    """One time of the fused series: value, standard uncertainty, {source: weight}, whether the sources contradict each
    other, and whether no source had a value (then it is a prediction)."""

    __slots__ = ("contradiction", "predicted", "time_ms", "uncertainty", "value", "weights")

    def __init__(self, time_ms, value, uncertainty, weights, contradiction=False, predicted=False):
        self.time_ms = time_ms
        self.value = value
        self.uncertainty = uncertainty
        self.weights = weights
        self.contradiction = contradiction
        self.predicted = predicted


def aligned(sources, every_ms, reach_ms):
    """[(time_ms, [(source, value, uncertainty)])] on the grid of `every_ms`, from the first value of all to the last.

    A value of uncertainty 0 would outweigh everything: ValueError says whose it is.
    """
    first = min(source.rows[0][0] for source in sources)
    last = max(source.rows[-1][0] for source in sources)
    moments = list(range(first - first % every_ms + (every_ms if first % every_ms else 0), last + 1, every_ms))
    with localcontext(_CONTEXT):
        tables = [(source, source.at(moments, reach_ms)) for source in sources]
        found = []
        for moment in moments:
            there = []
            for source, table in tables:
                if moment in table:
                    uncertainty = source.uncertainty(table[moment])
                    if not uncertainty > 0:
                        raise ValueError(f"{source.name}: an uncertainty of 0 at a value of {table[moment]}")
                    there.append((source, table[moment], uncertainty))
            found.append((moment, there))
    return found


def weighted(table):
    """Rows of the inverse-variance weighted mean; times without a value are left out."""
    rows = []
    with localcontext(_CONTEXT):
        for moment, there in table:
            if there:
                rows.append(_mean(moment, there))
    return rows


def _mean(moment, there):
    total = sum((1 / (u * u) for _, _, u in there), Decimal(0))
    weights = {source.name: 1 / (u * u) / total for source, _, u in there}
    value = sum((weights[source.name] * x for source, x, _ in there), Decimal(0))
    uncertainty = (1 / total).sqrt()
    if len(there) > 1:
        chi2 = sum(((x - value) / u) ** 2 for _, x, u in there)
        ratio = (chi2 / (len(there) - 1)).sqrt()
        if ratio > 1:
            return Row(moment, value, uncertainty * ratio, weights, contradiction=ratio > 2)
    return Row(moment, value, uncertainty, weights)


def filtered(table, drift):
    """Rows of the Kalman filter, from the first value on. drift: standard deviation of the change in an hour."""
    rows, value, variance, before = [], None, None, None
    with localcontext(_CONTEXT):
        for moment, there in table:
            if value is None and not there:
                continue
            gains = {}
            if value is not None:
                variance += drift * drift * Decimal(moment - before) / HOUR_MS
            surprise = False
            for source, measured, uncertainty in there:
                noise = uncertainty * uncertainty
                if value is None:
                    value, variance, gain = measured, noise, Decimal(1)
                else:
                    surprise = surprise or (measured - value) ** 2 > 16 * (variance + noise)
                    gain = variance / (variance + noise)
                    value += gain * (measured - value)
                    variance *= 1 - gain
                gains = {name: weight * (1 - gain) for name, weight in gains.items()}
                gains[source.name] = gain
            before = moment
            rows.append(Row(moment, value, variance.sqrt(), gains, surprise, not there))
    return rows


def combined(table, models):
    """Rows of the weighted mean, at those times only at which every source of `models` (names) has a value."""
    whole = [(moment, there) for moment, there in table if {source.name for source, _, _ in there} >= set(models)]
    return weighted(whole)


def spacing_ms(rows):
    """The largest of the usual spacings of a source's rows: how far two values may be apart to be neighbours."""
    gaps = sorted(after[0] - before[0] for before, after in pairwise(rows))
    return 2 * gaps[len(gaps) // 2] if gaps else 0
