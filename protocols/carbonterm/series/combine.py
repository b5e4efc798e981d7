"""Virtual points: one datum of an emission source out of several data, exactly (T/CSMT clause 8.3.2).

    sum        part × ratio + part × ratio …    addition, subtraction (a negative ratio), a multiple, a share
    product    part × part, each × its ratio
    quotient   part / part, each × its ratio

A part is [index of a point, numerator, denominator]; the ratio also converts the part's unit. The parts are amounts of
one and the same period. What is not known stays unknown: a missing part, or a division by zero, gives no value.
Shares of one whole (apportionment) are decimals that sum to exactly 1: the parts add up to the whole to its last digit.
"""

from carbonterm.errors import NumberError, SeriesError, quoted
from carbonterm.number import Number, Ratio

SUM, PRODUCT, QUOTIENT = "sum", "product", "quotient"
OPS = (SUM, PRODUCT, QUOTIENT)
PLACES = 12  # of a value that has no finite decimal
MAX_PARTS = 256
_LARGEST = (1 << 64) - 1


def check(op, parts):
    """SeriesError unless `parts` are the parts of an `op`."""
    if op not in OPS:
        raise SeriesError("%s is no way to combine" % quoted(str(op)), "there are " + ", ".join(OPS))
    if not isinstance(parts, list) or not 1 <= len(parts) <= MAX_PARTS:
        raise SeriesError("a virtual point has a list of 1 to %d parts" % MAX_PARTS)
    for part in parts:
        good = isinstance(part, list) and len(part) == 3 and all([type(value) is int for value in part])
        if not good or not 0 <= part[0] <= 65535 or not 0 < abs(part[1]) <= _LARGEST or not 0 < part[2] <= _LARGEST:
            raise SeriesError("a part is [point, numerator, denominator], its ratio not 0")
    if op != SUM and len(parts) != 2:
        raise SeriesError("a %s has two parts, not %d" % (op, len(parts)))


def combine(op, parts, amount):
    """The Number that the parts give, or None where it is not known; amount(point) -> Number, or None.

    Exact; a value without a finite decimal is rounded half to even at 12 decimals. What an entry has of it has as many
    digits as 64 bits hold.
    """
    values = []
    for point, numerator, denominator in parts:
        value = amount(point)
        if value is None:
            return None
        values.append(Ratio(numerator, denominator) * value)
    found = values[0]
    for value in values[1:]:
        if op == SUM:
            found = found + value
        elif op == PRODUCT:
            found = found * value
        elif value == 0:
            return None
        else:
            found = found * Ratio(value.denominator, value.numerator)
    try:
        number = found.number()
        return found.round(PLACES) if number is None else number
    except NumberError:
        return None  # it is beyond what a Number is


def subtracts(op, parts):
    """Whether something is deducted, so that a result below 0 says that the parts do not fit together."""
    return op == SUM and any([part[1] < 0 for part in parts])


def in_order(rows, first):
    """Positions of `rows` (each with .name and .parts), every one behind the ones it is made of; `first` is the point's
    index of rows[0]. SeriesError for a point that is made of itself, at whatever remove."""
    placed, left = [], list(range(len(rows)))
    while left:
        ready = [at for at in left if not [p for p in rows[at].parts if p[0] - first in left]]
        if not ready:
            names = ", ".join([rows[at].name for at in left])
            raise SeriesError(
                "virtual points are made of each other: " + names, "take out the part that leads back (8.3.2)"
            )
        placed += ready
        left = [at for at in left if at not in ready]
    return placed


def shares(texts):
    """[(numerator, denominator)] of shares written as decimals; SeriesError unless they sum to exactly 1."""
    numbers = []
    for text in texts:
        try:
            number = Number(text)
        except NumberError as error:
            raise SeriesError("share %s: %s" % (quoted(str(text)), error.what), error.hint)
        if not number > 0:
            raise SeriesError("share %s is not above 0" % number, "leave out who has no part")
        numbers.append(number)
    total = Number(0)
    for number in numbers:
        total = total + number
    if total != 1:
        raise SeriesError(
            "the shares add up to %s, not to 1 (8.3.2)" % total.normal(),
            "%s more for one of them, to the last digit" % (1 - total).normal() if total < 1
            else "%s less for one of them" % (total - 1).normal(),
        )  # fmt: skip
    found = []
    for number in numbers:
        ratio = number.ratio()
        found.append((ratio.numerator, ratio.denominator))
    return found


def collected(site, point):
    """How a point's data come (6.1): "manual", "automatic", or "both" where it is made of the one and the other."""
    kinds = [leaf >= len(site.points) for leaf, _ in leaves(site, point)]  # behind those of meters: entered
    return "both" if True in kinds and False in kinds else "manual" if True in kinds else "automatic"


def leaves(site, point):
    """[(index of a point that is measured or entered, sign 1 or -1)] that a point of a site is made of, each once."""
    first = len(site.all_points) - len(site.virtual)
    if point < first:
        return [(point, 1)]
    found = []
    row = site.virtual[point - first]
    for part, numerator, _ in row.parts:
        for leaf, sign in leaves(site, part):
            one = leaf, sign if numerator > 0 else -sign
            if one not in found:
                found.append(one)
    return found
