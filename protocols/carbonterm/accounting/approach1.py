"""Uncertainty of an inventory by IPCC 2006 Guidelines, Volume 1, Chapter 3, approach 1: propagation of error.

Uncertainties are half the 95 % interval in per cent of the value. Products add them in quadrature (equation 3.1), sums
do so with the emissions as weights (equation 3.2). The rules hold for independent, roughly normal quantities below some
30 %; beyond that, approach 2 (Monte Carlo) is the better one.
"""

from carbonterm.accounting.uncertainty import DIGITS, added_up, root
from carbonterm.errors import AccountingError
from carbonterm.number import Number, Ratio


def product(percents, digits=DIGITS):
    """Equation 3.1: the uncertainty in per cent of a product or quotient of independent quantities."""
    return root(added_up([Number(str(u)) * Number(str(u)) for u in percents]), digits)


class Approach1:
    """total (Ratio), percent (Number), rows of (name, emission, combined per cent, per cent of the total variance)."""

    __slots__ = ("total", "percent", "rows")


def approach1(rows, digits=DIGITS):
    """Equation 3.2 and Table 3.2 over an inventory. rows: (name, emission, U of activity data in %, U of the factor
    in %, group of the activity data or None, group of the factor or None).

    Rows of the same group have the same activity data or factor: their parts add linearly before they are squared, the
    rest in quadrature. AccountingError where the emissions add up to 0.
    """
    found, groups, parts = Approach1(), {}, []
    found.total = added_up([Number(str(row[1])) if isinstance(row[1], str) else row[1] for row in rows])
    if found.total == 0:
        raise AccountingError("the emissions add up to 0", "a relative uncertainty needs a total")
    for i in range(len(rows)):
        name, emission, activity, factor, activity_group, factor_group = rows[i]
        emission = Number(emission) if isinstance(emission, str) else emission
        own = Ratio(0)
        for kind, percent, group in (("a", activity, activity_group), ("f", factor, factor_group)):
            part = emission.ratio() * Number(str(percent)) * Ratio(1, 100)
            own = own + part * part
            key = (kind, group) if group is not None else (kind, group, i)
            groups[key] = groups[key] + part if key in groups else part
        parts.append((name, emission.ratio(), own))
    variance = added_up([groups[key] * groups[key] for key in sorted(groups, key=str)])
    found.percent = root(variance * 10000 / (found.total * found.total), digits)
    found.rows = []
    for name, emission, own in parts:
        share = (own * 100 / variance).round(2) if variance > 0 else Number(0)
        percent = root(own * 10000 / (emission * emission), digits) if emission != 0 else Number(0)
        found.rows.append((name, emission, percent, share))
    return found


class Trend:
    """change: per cent from the base year (Ratio); percent: its uncertainty in percentage points (Number); rows of
    (name, type A and type B sensitivity (Ratios), part of the factor, part of the activity data, both (Numbers))."""

    __slots__ = ("change", "percent", "rows")


def trend(rows, digits=DIGITS):
    """Table 3.2 columns I to M. rows: (name, emission of the base year, emission now, U activity data %, U factor %).

    The factor is the same in both years (its part is A × U), the activity data of each year have errors of their own
    (B × U × √2). A is what the trend changes, in per cent, if base year and now both rise by 1 %; B if only now does.
    """
    base, now = added_up([Number(str(row[1])) for row in rows]), added_up([Number(str(row[2])) for row in rows])
    if base == 0:
        raise AccountingError("the emissions of the base year add up to 0", "a trend needs a base")
    found, variance = Trend(), Ratio(0)
    found.change, found.rows = (now - base) * 100 / base, []
    for name, first, last, activity, factor in rows:
        first, last = Number(str(first)), Number(str(last))
        more = first * Number("0.01") + base
        a = (last * Number("0.01") + now - more) * 100 / more - found.change
        b = last / base
        by_factor, by_activity = a * Number(str(factor)), b * Number(str(activity))
        own = by_factor * by_factor + by_activity * by_activity * 2
        variance = variance + own
        size = root(by_factor * by_factor, digits)
        parts = (-size if by_factor < 0 else size, root(by_activity * by_activity * 2, digits), root(own, digits))
        found.rows.append((name, a, b, parts[0], parts[1], parts[2]))
    found.percent = root(variance, digits)
    return found
