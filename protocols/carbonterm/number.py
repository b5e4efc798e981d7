"""Exact numbers: decimals (integer mantissa, decimal exponent), rationals, rounding by GB/T 8170-2008.

No float is ever made. A `Number` is what a register, a setting or a recorded figure is: a decimal with its digits
kept ("1.20" stays "1.20"). A `Ratio` is what a formula gives: an exact quotient, rounded once, where it is recorded.
IEEE-754 registers are taken apart as integers and become the shortest decimal that rounds back to the same bits.
"""

from carbonterm.errors import NumberError, quoted

MAX_DIGITS = 1100  # of a text: more than the longest exact double (767 digits) and no room for a memory bomb
MAX_EXPONENT = 400
LARGEST = (1 << 64) - 1  # of an integer in an entry


def gcd(a, b):
    """Greatest common divisor of two integers, never negative."""
    while b:
        a, b = b, a % b
    return -a if a < 0 else a


def half_even(numerator, denominator):
    """Integer nearest to numerator/denominator, ties to even (GB/T 8170-2008 3.2); denominator > 0."""
    quotient, rest = divmod(numerator, denominator)
    rest *= 2
    if rest > denominator or (rest == denominator and quotient & 1):
        quotient += 1
    return quotient


def held_at(numbers, exponent):
    """The exponent, `exponent` or above, at which an entry holds these Numbers as integers of 64 bits; None where even
    the largest exponent is too small."""
    most = max([abs(number.at(exponent)) for number in numbers])
    while most >= LARGEST:  # one less than there is room for: rounding may add one
        most //= 10
        exponent += 1
    return exponent if exponent <= MAX_EXPONENT else None


class Number:
    """An exact decimal: mantissa × 10^exponent.

    `Number("-12.50")`, `Number(7)`, `Number(1250, -2)`. Texts take an optional sign, ASCII digits, one point and an
    optional exponent ("1.5e-6"); anything else (floats, "nan", "1_000", "1,5", full-width digits) is a NumberError.
    + - * and comparison are exact with Number, int and Ratio; division gives a Ratio. Equality is by value.
    """

    __slots__ = ("mantissa", "exponent")

    def __init__(self, value, exponent=None):
        if type(value) is type(exponent) is int and -MAX_EXPONENT <= exponent <= MAX_EXPONENT:
            self.mantissa, self.exponent = value, exponent
        elif isinstance(value, str) and exponent is None:
            self.mantissa, self.exponent = _parse(value)
        elif _is_int(value) and (exponent is None or _is_int(exponent)):
            self.mantissa = value
            self.exponent = exponent or 0
            if not -MAX_EXPONENT <= self.exponent <= MAX_EXPONENT:
                raise NumberError("exponent %d is outside ±%d" % (self.exponent, MAX_EXPONENT))
        else:
            what = "%s is not an exact number" % quoted(str(value))
            raise NumberError(what, "give a decimal text or an integer, never a float")

    def ratio(self):
        """The same value as a Ratio."""
        if self.exponent >= 0:
            return Ratio(self.mantissa * 10**self.exponent, 1)
        return Ratio(self.mantissa, 10**-self.exponent)

    def at(self, exponent):
        """Mantissa of this value at `exponent`, rounded half to even where digits are lost."""
        shift = self.exponent - exponent
        if shift >= 0:
            return self.mantissa * 10**shift
        return half_even(self.mantissa, 10**-shift)

    def round(self, places):
        """Rounded to `places` decimals, half to even (GB/T 8170); places may be negative (tens, hundreds)."""
        return Number(self.at(-places), -places)

    def normal(self):
        """The same value with no trailing zeros in the mantissa; zero is Number(0, 0)."""
        mantissa, exponent = self.mantissa, self.exponent
        if mantissa == 0:
            return Number(0)
        while mantissa % 10 == 0:
            mantissa //= 10
            exponent += 1
        return Number(mantissa, exponent)

    def is_integer(self):
        return self.exponent >= 0 or self.mantissa % 10**-self.exponent == 0

    def __str__(self):
        digits = str(abs(self.mantissa))
        if self.exponent >= 0:
            digits = digits + "0" * self.exponent if self.mantissa else "0"
        else:
            places = -self.exponent
            digits = "0" * (places + 1 - len(digits)) + digits
            digits = digits[:-places] + "." + digits[-places:]
        return "-" + digits if self.mantissa < 0 else digits

    def __repr__(self):
        return "Number('%s')" % self

    def __add__(self, other):
        other = _operand(other)
        if isinstance(other, Ratio):
            return self.ratio() + other
        exponent = min(self.exponent, other.exponent)
        return Number(self.at(exponent) + other.at(exponent), exponent)

    __radd__ = __add__

    def __neg__(self):
        return Number(-self.mantissa, self.exponent)

    def __abs__(self):
        return Number(abs(self.mantissa), self.exponent)

    def __sub__(self, other):
        return self + -_operand(other)

    def __rsub__(self, other):
        return -self + other

    def __mul__(self, other):
        if type(other) is not Number:
            other = _operand(other)
            if isinstance(other, Ratio):
                return self.ratio() * other
        return Number(self.mantissa * other.mantissa, self.exponent + other.exponent)

    __rmul__ = __mul__

    def __truediv__(self, other):
        return self.ratio() / other

    def __rtruediv__(self, other):
        return _operand(other).ratio() / self

    def __hash__(self):
        normal = self.normal()
        return hash((normal.mantissa, normal.exponent))

    def __eq__(self, other):
        return _comparable(other) and self.ratio()._compare(other) == 0

    def __ne__(self, other):
        return not self == other

    def __lt__(self, other):
        return self.ratio()._compare(other) < 0

    def __le__(self, other):
        return self.ratio()._compare(other) <= 0

    def __gt__(self, other):
        return self.ratio()._compare(other) > 0

    def __ge__(self, other):
        return self.ratio()._compare(other) >= 0


class Ratio:
    """An exact quotient of integers in lowest terms, denominator > 0. str() gives "n/d"."""

    __slots__ = ("numerator", "denominator")

    def __init__(self, numerator, denominator=1):
        if not (_is_int(numerator) and _is_int(denominator)):
            given = (quoted(str(numerator)), quoted(str(denominator)))
            raise NumberError("a ratio takes two integers, not %s and %s" % given)
        if denominator == 0:
            raise NumberError("division by zero", "check that the divisor (a production, a duration) is not 0")
        if denominator < 0:
            numerator, denominator = -numerator, -denominator
        common = gcd(numerator, denominator)
        self.numerator = numerator // common
        self.denominator = denominator // common

    def ratio(self):
        return self

    def round(self, places):
        """The Number with `places` decimals nearest to this value, half to even (GB/T 8170)."""
        if places >= 0:
            return Number(half_even(self.numerator * 10**places, self.denominator), -places)
        return Number(half_even(self.numerator, self.denominator * 10**-places), -places)

    def number(self):
        """The same value as a Number where it has a finite decimal, else None."""
        rest, places = self.denominator, 0
        while rest % 10 == 0:
            rest //= 10
            places += 1
        for factor in (2, 5):
            while rest % factor == 0:
                rest //= factor
                places += 1
        return self.round(places).normal() if rest == 1 else None

    def __str__(self):
        return "%d/%d" % (self.numerator, self.denominator)

    def __repr__(self):
        return "Ratio(%d, %d)" % (self.numerator, self.denominator)

    def __add__(self, other):
        other = _operand(other).ratio()
        return Ratio(
            self.numerator * other.denominator + other.numerator * self.denominator,
            self.denominator * other.denominator,
        )

    __radd__ = __add__

    def __neg__(self):
        return Ratio(-self.numerator, self.denominator)

    def __abs__(self):
        return Ratio(abs(self.numerator), self.denominator)

    def __sub__(self, other):
        return self + -_operand(other)

    def __rsub__(self, other):
        return -self + other

    def __mul__(self, other):
        other = _operand(other).ratio()
        return Ratio(self.numerator * other.numerator, self.denominator * other.denominator)

    __rmul__ = __mul__

    def __truediv__(self, other):
        other = _operand(other).ratio()
        return Ratio(self.numerator * other.denominator, self.denominator * other.numerator)

    def __rtruediv__(self, other):
        return _operand(other).ratio() / self

    def _compare(self, other):
        other = _operand(other).ratio()
        return self.numerator * other.denominator - other.numerator * self.denominator

    def __hash__(self):
        number = self.number()
        return hash((self.numerator, self.denominator)) if number is None else hash(number)

    def __eq__(self, other):
        return _comparable(other) and self._compare(other) == 0

    def __ne__(self, other):
        return not self == other

    def __lt__(self, other):
        return self._compare(other) < 0

    def __le__(self, other):
        return self._compare(other) <= 0

    def __gt__(self, other):
        return self._compare(other) > 0

    def __ge__(self, other):
        return self._compare(other) >= 0


def _is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _comparable(value):
    return isinstance(value, (Number, Ratio)) or _is_int(value)


def _operand(value):
    if isinstance(value, (Number, Ratio)):
        return value
    return Number(value)


def _parse(text):
    if len(text) > MAX_DIGITS:
        raise NumberError("a number of %d characters is too long (at most %d)" % (len(text), MAX_DIGITS))
    body, exponent = text, 0
    cut = max(text.find("e"), text.find("E"))
    if cut >= 0:
        body, tail = text[:cut], text[cut + 1 :]
        digits = tail[1:] if tail[:1] in ("+", "-") else tail
        if len(digits) > 4 or not _ascii_digits(digits):
            raise _not_a_number(text)
        exponent = -int(digits) if tail[0] == "-" else int(digits)
    negative = body[:1] == "-"
    if body[:1] in ("+", "-"):
        body = body[1:]
    point = body.find(".")
    whole, fraction = (body, "") if point < 0 else (body[:point], body[point + 1 :])
    if not _ascii_digits(whole) or (point >= 0 and not _ascii_digits(fraction)):
        raise _not_a_number(text)
    exponent -= len(fraction)
    if not -MAX_EXPONENT <= exponent <= MAX_EXPONENT:
        raise NumberError("the exponent of %s is outside ±%d" % (quoted(text), MAX_EXPONENT))
    mantissa = int(whole + fraction)
    return -mantissa if negative else mantissa, exponent


def _ascii_digits(text):
    for c in text:
        if not "0" <= c <= "9":
            return False
    return len(text) > 0


def _not_a_number(text):
    return NumberError("%s is not a decimal number" % quoted(text), "write it like 12.5, -3 or 1.5e-6")


# --- registers -----------------------------------------------------------------------------------------------------


def unsigned(data):
    """Integer of big-endian bytes, any width."""
    return int.from_bytes(bytes(data), "big")


def signed(data):
    """Integer of big-endian two's complement bytes, any width."""
    value = unsigned(data)
    return value - (1 << 8 * len(data)) if len(data) and data[0] & 0x80 else value


def bcd(data):
    """Integer of packed decimal digits, most significant first; None where a nibble is not a digit."""
    value = 0
    for byte in data:
        high, low = byte >> 4, byte & 15
        if high > 9 or low > 9:
            return None
        value = value * 100 + high * 10 + low
    return value


def float32(data):
    """Number of 4 big-endian bytes of IEEE-754 binary32, the shortest decimal that rounds back; None for NaN, ±inf.

    Example: bytes 43 2C D8 10 give Number("172.844").
    """
    return _ieee754(unsigned(data), 8, 23)


def float64(data):
    """Number of 8 big-endian bytes of IEEE-754 binary64, the shortest decimal that rounds back; None for NaN, ±inf."""
    return _ieee754(unsigned(data), 11, 52)


def _ieee754(bits, exponent_bits, fraction_bits):
    fraction = bits & ((1 << fraction_bits) - 1)
    biased = (bits >> fraction_bits) & ((1 << exponent_bits) - 1)
    if biased == (1 << exponent_bits) - 1:
        return None
    if biased == 0 and fraction == 0:
        return Number(0)
    mantissa = fraction if biased == 0 else fraction | (1 << fraction_bits)
    power = max(biased, 1) - ((1 << (exponent_bits - 1)) - 1) - fraction_bits
    mantissa, exponent = _shortest(mantissa, power, fraction == 0 and biased > 1)
    negative = bits >> (exponent_bits + fraction_bits)
    return Number(-mantissa if negative else mantissa, exponent)


def _shortest(mantissa, power, uneven):
    """(digits, exponent) of the shortest decimal that rounds to mantissa × 2^power, and of several the nearest to it.

    `uneven`: the step below is half the step above (the mantissa is a power of two). The interval's width lies between
    two powers of ten, 10^p <= width < 10^(p+1): so at most one multiple of 10^(p+1) is in it, and one of 10^p for sure.
    """
    value = mantissa << 2
    low, high = value - (1 if uneven else 2), value + 2
    exponent = power * 30103 // 100000 + 1  # p + 1, or one more
    power -= 2
    unit = 1
    if power < 0:
        unit <<= -power
    else:
        value, low, high = value << power, low << power, high << power
    if exponent < 0:
        scale = 10**-exponent
        value, low, high = value * scale, low * scale, high * scale
    else:
        unit *= 10**exponent
    if (high - low) * 10 < unit:
        value, low, high, exponent = value * 10, low * 10, high * 10, exponent - 1
    closed = not mantissa & 1  # ties round to even, so an even mantissa owns both ends of its interval
    digits = high // unit
    rest = high - digits * unit
    if (rest or closed) and (rest < high - low or (closed and rest == high - low)):
        while digits % 10 == 0:
            digits //= 10
            exponent += 1
        return digits, exponent
    digits = half_even(value * 10, unit)
    if digits * unit < low * 10 or (digits * unit == low * 10 and not closed):
        digits += 1
    return digits, exponent - 1


def in_range(value, minimum, maximum):
    """8.1.1: whether a Number lies within [minimum, maximum], both ends valid, either None: open."""
    return (minimum is None or value >= minimum) and (maximum is None or value <= maximum)
