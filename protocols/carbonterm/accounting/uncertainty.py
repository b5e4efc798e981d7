"""Measurement uncertainty by the GUM, exactly (JCGM 100:2008, JJF 1059.1-2012).

A variance is an exact Ratio: (U/k)², a²/3 for a rectangle, a²/6 for a triangle. So is the variance of a result: the
derivatives of a formula are exact (`gradient`), and an input that stands in it several times, as a factor that several
sources share, is one input, so that its parts add before they are squared: full correlation needs no rule of its own.
Roots are taken last, once, by integers, rounded half to even to a stated number of digits.
"""

from carbonterm import formula
from carbonterm.errors import AccountingError, quoted
from carbonterm.number import Number, Ratio

DIGITS = 6  # significant digits of a shown uncertainty
_INNER = 30  # significant digits of a root within a calculation

# Student's t for a two-sided coverage at 1 to 30 degrees of freedom, in 10^-4 (GUM table G.2 has two decimals of it)
LEVELS = ("0.6827", "0.90", "0.95", "0.9545", "0.99", "0.9973")
_NORMAL = ("1", "1.644854", "1.959964", "2", "2.575829", "3")
_STUDENT = (
    (18373, 63138, 127062, 139677, 636567, 2358015), (13213, 29200, 43027, 45265, 99248, 192067),
    (11969, 23534, 31824, 33068, 58409, 92189), (11416, 21318, 27764, 28693, 46041, 66202),
    (11105, 20150, 25706, 26486, 40321, 55071), (10906, 19432, 24469, 25165, 37074, 49041),
    (10767, 18946, 23646, 24288, 34995, 45300), (10665, 18595, 23060, 23664, 33554, 42766),
    (10587, 18331, 22622, 23198, 32498, 40943), (10526, 18125, 22281, 22837, 31693, 39569),
    (10476, 17959, 22010, 22549, 31058, 38499), (10434, 17823, 21788, 22313, 30545, 37643),
    (10400, 17709, 21604, 22118, 30123, 36942), (10370, 17613, 21448, 21953, 29768, 36358),
    (10345, 17531, 21314, 21812, 29467, 35864), (10322, 17459, 21199, 21689, 29208, 35441),
    (10303, 17396, 21098, 21583, 28982, 35075), (10286, 17341, 21009, 21488, 28784, 34755),
    (10270, 17291, 20930, 21405, 28609, 34472), (10256, 17247, 20860, 21330, 28453, 34222),
    (10244, 17207, 20796, 21263, 28314, 33997), (10232, 17171, 20739, 21202, 28188, 33796),
    (10222, 17139, 20687, 21147, 28073, 33613), (10213, 17109, 20639, 21097, 27969, 33448),
    (10204, 17081, 20595, 21051, 27874, 33296), (10196, 17056, 20555, 21009, 27787, 33158),
    (10189, 17033, 20518, 20969, 27707, 33030), (10182, 17011, 20484, 20933, 27633, 32913),
    (10175, 16991, 20452, 20900, 27564, 32804), (10169, 16973, 20423, 20868, 27500, 32703),
)  # fmt: skip

SHAPES = ("normal", "rectangular", "triangular", "arcsine")
_SQUARES = {"rectangular": 3, "triangular": 6, "arcsine": 2}  # of what a half-width is divided by


# --- roots -----------------------------------------------------------------------------------------------------------


def sqrt_floor(n):
    """The largest integer whose square is not above n >= 0."""
    if n < 2:
        return n
    x = 10 ** ((len(str(n)) + 1) // 2)
    while True:
        y = (x + n // x) // 2
        if y >= x:
            return x
        x = y


def root(ratio, digits=DIGITS):
    """The square root of a Ratio >= 0 as a Number of `digits` significant digits, rounded half to even."""
    ratio = ratio.ratio()
    n, d = ratio.numerator, ratio.denominator
    if n < 0:
        raise AccountingError("a variance below 0 has no root", "check the correlations")
    if n == 0:
        return Number(0)
    places = digits - (len(str(n)) - len(str(d)) + 2) // 2  # no digit too many, at most two too few
    while True:
        top, bottom = (4 * n * 10 ** (2 * places), d) if places >= 0 else (4 * n, d * 10 ** (-2 * places))
        twice = sqrt_floor(top // bottom)
        if twice >= 2 * 10 ** (digits - 1):
            break
        places += 1
    rounded = (twice + 1) // 2
    if twice & 1 and rounded & 1 and twice * twice * bottom == top:
        rounded -= 1  # a tie
    return Number(rounded, -places)


def student(level, dof=None):
    """The coverage factor (Number) of Student's t for a two-sided coverage of LEVELS; dof None: infinitely many.

    A fraction of a degree is cut off (GUM G.4.1). Above 30 by the expansion in 1/dof of Abramowitz and Stegun 26.7.5,
    whose error is below 10^-4 there.
    """
    if level not in LEVELS:
        raise AccountingError("no coverage of " + quoted(str(level)), "one of " + ", ".join(LEVELS))
    column = LEVELS.index(level)
    z = Number(_NORMAL[column])
    if dof is None:
        return z
    dof = dof.ratio().numerator // dof.ratio().denominator if not isinstance(dof, int) else dof
    if dof < 1:
        raise AccountingError("%d degrees of freedom" % dof, "at least 1: repeat the measurement")
    if dof <= len(_STUDENT):
        return Number(_STUDENT[dof - 1][column], -4)
    z2 = z * z
    g1 = (z2 + 1) * z * Ratio(1, 4)
    g2 = ((5 * z2 + 16) * z2 + 3) * z * Ratio(1, 96)
    g3 = (((3 * z2 + 19) * z2 + 17) * z2 - 15) * z * Ratio(1, 384)
    return (z.ratio() + (g1 + (g2 + g3 * Ratio(1, dof)) * Ratio(1, dof)) * Ratio(1, dof)).round(4)


# --- inputs ----------------------------------------------------------------------------------------------------------


class Input:
    """name, value (Ratio), variance (Ratio), dof (Ratio, None for infinitely many), shape (for Monte Carlo: of SHAPES,
    or "student" for repeated readings), group: what its uncertainty is of: "acquisition", "factor", "model" or ""."""

    __slots__ = ("name", "value", "variance", "dof", "shape", "group")

    def __init__(self, name, value, variance, dof=None, shape="normal", group=""):
        self.name, self.value, self.variance = name, value.ratio(), variance.ratio()
        self.dof, self.shape, self.group = dof, shape, group


def amount(text, value):
    """The Ratio of "0.5" (in the value's unit) or "2%" (of the value); AccountingError below 0."""
    text = str(text).strip()
    relative = text.endswith("%")
    number = Number(text[:-1].strip() if relative else text)
    if number < 0:
        raise AccountingError("an uncertainty of %s" % text, "it is a width, never below 0")
    return abs(value) * number * Ratio(1, 100) if relative else number.ratio()


_STATED = ("u", "U", "U95", "a", "class", "resolution", "readings")


def stated(fields, value):
    """(variance, dof, shape) of what is stated about a value, a dict with one of

        u             standard uncertainty                       U with k (2 if left out)   expanded, of a certificate
        U95           half of the 95 % interval (IPCC): k = 1.959964
        a with shape  half-width of limits: rectangular (if left out), triangular or arcsine; a meter's MPE
        class         accuracy class of a meter: limits of so many per cent of the value
        resolution    of a display: limits of half of it
        readings      repeated readings: s / √n of their mean, with n - 1 degrees of freedom (GUM 4.2)

    amounts as texts, absolute or in per cent of the value; dof: degrees of freedom, where they are known.
    """
    given = [name for name in _STATED if name in fields]
    for name in fields:
        if name not in _STATED + ("k", "shape", "dof", "group", "value", "unit", "note"):
            raise AccountingError("unknown field " + quoted(str(name)), "known: " + ", ".join(_STATED))
    if len(given) != 1:
        what = "an uncertainty is stated in one way, here in %d" % len(given)
        raise AccountingError(what, "one of " + ", ".join(_STATED))
    name = given[0]
    dof = None if fields.get("dof") is None else Number(str(fields["dof"])).ratio()
    if dof is not None and dof < 1:
        raise AccountingError("%s degrees of freedom" % fields["dof"], "at least 1; leave it out where it is not known")
    shape = fields.get("shape", "normal" if name in ("u", "U", "U95", "readings") else "rectangular")
    if shape not in SHAPES:
        raise AccountingError("unknown shape " + quoted(str(shape)), "one of " + ", ".join(SHAPES))
    if name == "readings":
        readings = [Number(str(reading)) for reading in fields[name]]
        _, variance = repeated(readings)
        return variance * Ratio(1, len(readings)), Ratio(len(readings) - 1), "student"
    width = amount(fields[name] if name != "class" else "%s%%" % fields[name], value)
    if name in ("u", "U", "U95"):
        k = Number("1") if name == "u" else Number("1.959964") if name == "U95" else Number(str(fields.get("k", "2")))
        if not k > 0:
            raise AccountingError("a coverage factor of %s" % k, "usually 2")
        return width * width / (k * k), dof, shape
    if shape == "normal":
        raise AccountingError("limits have no normal shape", "rectangular, triangular or arcsine; or state u or U")
    if name == "resolution":
        width = width * Ratio(1, 2)
    return width * width * Ratio(1, _SQUARES[shape]), dof, shape


def repeated(readings):
    """(mean, variance of one reading) of at least two repeated readings, as Ratios (GUM 4.2.2, divisor n - 1)."""
    n = len(readings)
    if n < 2:
        raise AccountingError("%d readings say nothing about repeatability" % n, "at least two")
    mean = added_up(readings) * Ratio(1, n)
    return mean, added_up([(reading - mean) * (reading - mean) for reading in readings]) * Ratio(1, n - 1)


def added_up(values):
    """The exact Ratio of a sum of Numbers, Ratios or integers."""
    total = Ratio(0)
    for value in values:
        total = total + value
    return total


# --- propagation -----------------------------------------------------------------------------------------------------


def gradient(steps, values):
    """(value, {name: derivative}) of a program of carbonterm.formula, all exact Ratios: products, quotients, powers.

    `values`: name → Number, Ratio or int. Where a maximum or minimum is taken, the derivative is that of its larger or
    smaller part.
    """
    stack = []
    for step in steps:
        if isinstance(step, str):
            if values.get(step) is None:
                raise AccountingError("%s has no value" % quoted(step), "the formula needs it")
            value = values[step]
            stack.append(((value if not isinstance(value, int) else Ratio(value)).ratio(), {step: Ratio(1)}))
        elif isinstance(step, (list, tuple)):
            if len(step) == 2:
                stack.append((Number(step[1], step[0]).ratio(), {}))
            else:
                stack.append(_power(stack.pop(), step[0]))
        elif step == formula.NEGATE:
            value, slopes = stack.pop()
            stack.append((-value, _scaled(slopes, Ratio(-1))))
        else:
            right, left = stack.pop(), stack.pop()
            stack.append(_joined(step, left, right))
    return stack[0]


def _joined(step, left, right):
    (a, da), (b, db) = left, right
    if step == formula.ADD:
        return a + b, _added(da, db)
    if step == formula.SUBTRACT:
        return a - b, _added(da, _scaled(db, Ratio(-1)))
    if step == formula.MULTIPLY:
        return a * b, _added(_scaled(da, b), _scaled(db, a))
    if step == formula.DIVIDE:
        return a / b, _added(_scaled(da, 1 / b), _scaled(db, -a / (b * b)))
    if step in (formula.MAX, formula.MIN):
        return left if (a > b) == (step == formula.MAX) else right
    raise AccountingError("step %s of a formula has no derivative" % step, "state the uncertainty of its result")


def _power(part, power):
    value, slopes = part
    result = Ratio(1)
    for _ in range(abs(power)):
        result = result * value
    if power < 0:
        result = 1 / result
    if not slopes or power == 0:
        return result, {}
    return result, _scaled(slopes, result * power / value if value != 0 else Ratio(1 if power == 1 else 0))


def _scaled(slopes, factor):
    found = {}
    for name in slopes:
        found[name] = slopes[name] * factor
    return found


def _added(a, b):
    found = dict(a)
    for name in b:
        found[name] = found[name] + b[name] if name in found else b[name]
    return found


class Budget:
    """value and variance (Ratios); dof, effective degrees of freedom by Welch-Satterthwaite (Ratio, None: infinitely
    many); rows, a list of (Input, sensitivity Ratio, its part of the variance Ratio); correlated, what the correlations
    add to the variance."""

    __slots__ = ("value", "variance", "dof", "rows", "correlated")

    def u(self, digits=DIGITS):
        """The combined standard uncertainty."""
        return root(self.variance, digits)

    def expanded(self, level=None, k=None, digits=DIGITS):
        """(U, k): of a stated k, or of the t of a coverage level and the effective degrees of freedom."""
        k = student(level, self.dof) if k is None else Number(str(k))
        if not k > 0:
            raise AccountingError("a coverage factor of %s" % k, "usually 2")
        return root(self.variance * k * k, digits), k

    def relative(self, digits=DIGITS):
        """The relative standard uncertainty in per cent; None where the value is 0."""
        return None if self.value == 0 else root(self.variance * 10000 / (self.value * self.value), digits)


def budget(value, slopes, inputs, correlations=()):
    """Budget of a result (GUM 5.1.2, 5.2.2, G.4.1). slopes: name → sensitivity coefficient; inputs: list of Input;
    correlations: [(name, name, r)], r from -1 to 1. A name without an Input is exact."""
    found, known = Budget(), {}
    found.value, found.rows, found.variance, found.correlated = value.ratio(), [], Ratio(0), Ratio(0)
    fourth = Ratio(0)
    for one in inputs:
        if one.name in known:
            raise AccountingError("the input %s is there twice" % quoted(one.name), "give it once: its parts add up")
        slope = slopes.get(one.name)
        known[one.name] = (one, slope)
        if slope is None:
            continue
        part = slope * slope * one.variance
        found.rows.append((one, slope, part))
        found.variance = found.variance + part
        if one.dof is not None:
            fourth = fourth + part * part / one.dof
    for a, b, r in correlations:
        found.correlated = found.correlated + _correlated(known, a, b, r)
    found.variance = found.variance + found.correlated
    if found.variance < 0:
        raise AccountingError("the correlations give a variance below 0", "they contradict each other")
    found.dof = found.variance * found.variance / fourth if fourth > 0 else None
    return found


def _correlated(known, a, b, r):
    r = Number(str(r))
    if a == b or a not in known or b not in known:
        raise AccountingError("a correlation of %s and %s" % (quoted(a), quoted(b)), "it is between two inputs")
    if r < -1 or r > 1:
        raise AccountingError("a correlation of %s" % r, "it is from -1 to 1")
    (one, slope), (other, slope2) = known[a], known[b]
    if slope is None or slope2 is None:
        return Ratio(0)
    return root(one.variance * other.variance, _INNER).ratio() * slope * slope2 * r * 2
