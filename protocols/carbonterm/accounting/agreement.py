"""Do figures agree? Monitored and accounted, several sources, repeated measurements, history (park document, 7.4).

All exact until the one root of each, which is rounded half to even.
"""

from carbonterm.accounting.uncertainty import DIGITS, added_up, repeated, root, student
from carbonterm.errors import AccountingError, quoted
from carbonterm.number import Ratio


def normalised_error(x, expanded_x, y, expanded_y, digits=DIGITS):
    """E_n = (x - y) / sqrt(U_x² + U_y²), signed (ISO 13528): they agree within ±1. None if both are exact."""
    variance = (expanded_x * expanded_x + expanded_y * expanded_y).ratio()
    if variance == 0:
        return None
    difference = (x - y).ratio()
    size = root(difference * difference / variance, digits)
    return -size if difference < 0 else size


def relative_error(monitored, accounted):
    """(per cent of the accounted, per cent of the mean of both), Ratios; None where it divides by 0."""
    difference = (monitored - accounted).ratio()
    both = (monitored + accounted).ratio()
    return (
        None if accounted == 0 else difference * 100 / accounted,
        None if both == 0 else difference * 200 / both,
    )


def several(sources, digits=DIGITS):
    """Comparison of several sources of one quantity. sources: list of (name, value, standard uncertainty).

    (weighted mean Ratio, its u, Birge ratio, [(name, E_n of it against the mean of the others, k = 2)]).
    """
    if len(sources) < 2:
        raise AccountingError("one source has nothing to be compared with", "give at least two")
    for name, _, u in sources:
        if not u > 0:
            raise AccountingError("the source %s has no uncertainty" % quoted(name), "state what a certificate says")
    mean, variance = _weighted(sources)
    chi2 = added_up([(x - mean) * (x - mean) / (u * u) for _, x, u in sources])
    errors = []
    for i in range(len(sources)):
        name, x, u = sources[i]
        others, other_variance = _weighted(sources[:i] + sources[i + 1 :])
        size = root((x - others) * (x - others) / ((u * u + other_variance) * 4), digits)
        errors.append((name, -size if x < others else size))
    return mean, root(variance, digits), root(chi2 / (len(sources) - 1), digits), errors


def _weighted(sources):
    weights = added_up([1 / (u * u) for _, _, u in sources])
    return added_up([x / (u * u) for _, x, u in sources]) / weights, 1 / weights


def against_history(value, history, level="0.95", digits=DIGITS):
    """(mean, half-width of the interval for one more value of the same population, inside). history: past values.

    The half-width is t × s × sqrt(1 + 1/n), with n - 1 degrees of freedom.
    """
    mean, variance = repeated(history)
    n = len(history)
    t = student(level, n - 1)
    width = root(variance * t * t * Ratio(n + 1, n), digits)
    return mean, width, abs(value - mean) <= width
