"""The rules of quality control as pure functions on exact numbers; they say what is odd and change nothing."""

from fractions import Fraction

COMPLETE = Fraction(95, 100)  # of the readings that a point owes a day
REJECTED = Fraction(5, 100)  # of a point's readings may be none, or not believed
FEWEST = 8  # values of a group that outliers can be told from
NEAR = Fraction(10, 100)  # of the median: so small a distance is never far, however equal the others are
# modified z-score above 3.5 (Iglewicz and Hoaglin, "How to Detect and Handle Outliers", ASQC 1993)
FAR = Fraction("3.5")
_MEDIAN, _MEAN = Fraction("0.6745"), Fraction("1.253314")


def median(values):
    """Of at least one Fraction; the mean of the two in the middle."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def spread(values):
    """(median, scale) of at least one Fraction: |x - median| / scale is the modified z-score of x.

    The scale is MAD / 0.6745, MAD being the median of |x - median|; where that is 0 (most values are equal),
    1.253314 × mean of |x - median|.
    """
    middle = median(values)
    distances = [abs(value - middle) for value in values]
    return middle, scale(median(distances), 1, sum(distances), len(distances))


def scale(deviation, times, total, count):
    """Of `spread`: deviation is `times` × MAD, total the sum of `count` distances."""
    return deviation / (times * _MEDIAN) if deviation else _MEAN * total / count


def outliers(values):
    """[(key, value, median)] of those in `values` [(key, Fraction)] whose modified z-score is above FAR.

    Fewer than FEWEST values say nothing, and what differs by less than NEAR of the median is not far.
    """
    if len(values) < FEWEST:
        return []
    middle, scale = spread([value for _, value in values])
    return [
        (key, value, middle)
        for key, value in values
        if abs(value - middle) > FAR * scale and abs(value - middle) >= NEAR * abs(middle)
    ]


def incomplete(held, expected, least=COMPLETE):
    """[(key, held, expected)] of keys with less than `least` of what they owe; both {key: count}."""
    return [
        (key, min(held.get(key, 0), count), count)
        for key, count in sorted(expected.items())
        if count and Fraction(min(held.get(key, 0), count), count) < least
    ]


def rejected(bad, all_of, most=REJECTED):
    """[(key, bad, all)] of keys of which more than `most` are bad; both {key: count}."""
    return [
        (key, bad.get(key, 0), count)
        for key, count in sorted(all_of.items())
        if count and Fraction(bad.get(key, 0), count) > most
    ]


def different(first, second, within):
    """[(key, value, other)] of two {key: Fraction} that measure the same thing: the difference is more than `within`
    (a Fraction) of the greater amount, or one of them is None because it is not there."""
    found = []
    for key in sorted(set(first) | set(second)):
        a, b = first.get(key), second.get(key)
        if a is None or b is None or abs(a - b) > within * max(abs(a), abs(b)):
            found.append((key, a, b))
    return found
