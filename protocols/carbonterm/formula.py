"""Formulas: a text becomes a small postfix program, the program gives an exact Ratio. No eval, no float, no recursion.

Grammar: decimal numbers, names, + - * / and parentheses; a power is written x^2, x**2 or 10^-3 and its exponent is an
integer from -9 to 9. The signs × ÷ − · （ ） of printed standards are read as * / - * ( ). The functions are
max(a, b, …), min(a, b, …) and, in a method's formula, sum(…) over lines (one fuel, one raw material each).

The program is a list that canonical CBOR can carry; each step is one of
    text        push the value of that name            [exponent, mantissa]   push the number mantissa × 10^exponent
    0 1 2 3 4   add, subtract, multiply, divide, negate            [power]    raise to that integer power
    5 6         the larger, the smaller of two
    7 8         around what a sum runs over: only in methods, never in what is evaluated (accounting.lines unrolls it)
"""

from carbonterm.errors import FormulaError, quoted
from carbonterm.number import MAX_EXPONENT, Number, Ratio

MAX_TEXT = 2000  # characters of a formula
MAX_STEPS = 600
MAX_STACK = 32  # values that wait for their operator
MAX_POWER = 9
MAX_VALUE = 1 << 16384  # no numerator or denominator on the way may be larger: bounds time and memory

ADD, SUBTRACT, MULTIPLY, DIVIDE, NEGATE, MAX, MIN, SUM, SUMMED = range(9)


def compile(text, names=None):
    """The program of a formula. `names`: the names it may use (any where None); FormulaError says where it is wrong.

    Example: compile("FC*44/12") is ["FC", [0, 44], 2, [0, 12], 3].
    """
    from carbonterm.formula_text import Parser  # only who writes formulas needs it

    return Parser(text, names).program()


def check(steps, sums=False):
    """Refuses (FormulaError) what is not a program of `compile`: for programs that come from outside.

    `sums`: whether the marks of sums may be in it; what is evaluated has none.
    """
    if not isinstance(steps, (list, tuple)) or not 0 < len(steps) <= MAX_STEPS:
        raise FormulaError("a program is a list of 1 to %d steps" % MAX_STEPS, "shorten the formula or split it")
    depth = 0
    for at in range(len(steps)):
        step = steps[at]
        if isinstance(step, str):
            if not step or not letter(step[0]) or name_end(step, 0) != len(step):
                raise _bad_step(at, quoted(step) + " is no name")
            depth += 1
        elif isinstance(step, (list, tuple)):
            if len(step) == 2 and _is_int(step[0]) and _is_int(step[1]):
                if not (-MAX_EXPONENT <= step[0] <= MAX_EXPONENT and 0 <= step[1] < 1 << 64):
                    raise _bad_step(at, "the number is too long or too large")
                depth += 1
            elif len(step) != 1 or not _is_int(step[0]) or not -MAX_POWER <= step[0] <= MAX_POWER:
                raise _bad_step(at, "it is neither a number nor a power from -%d to %d" % (MAX_POWER, MAX_POWER))
            elif depth < 1:
                raise _bad_step(at, "there is no value to raise")
        elif _is_int(step) and ADD <= step <= MIN:
            needs = 1 if step == NEGATE else 2
            if depth < needs:
                raise _bad_step(at, "the operator lacks a value")
            depth -= needs - 1
        elif sums and _is_int(step) and SUM <= step <= SUMMED:
            pass
        else:
            raise _bad_step(at, "unknown step")
        if depth > MAX_STACK:
            raise FormulaError("the formula is nested deeper than %d values" % MAX_STACK, "split it")
    if depth != 1:
        raise FormulaError("a program leaves one value, this one leaves %d" % depth, "compile the formula again")


def names(steps):
    """The names a program uses, in the order of their first use."""
    found = []
    for step in steps:
        if isinstance(step, str) and step not in found:
            found.append(step)
    return found


def evaluate(steps, values):
    """The exact Ratio of a program. `values`: name → Number, Ratio or int; None counts as missing.

    FormulaError for a missing value and for a division by zero; it names the step.
    """
    stack = []  # of (numerator, denominator), not reduced until the end: one gcd instead of one per step
    for step in steps:
        if isinstance(step, str):
            stack.append(_value(step, values))
        elif isinstance(step, (list, tuple)):
            if len(step) == 2:
                exponent, mantissa = step
                stack.append((mantissa * 10**exponent, 1) if exponent >= 0 else (mantissa, 10**-exponent))
            else:
                stack.append(_raised(stack.pop(), step[0]))
        elif step == NEGATE:
            n, d = stack.pop()
            stack.append((-n, d))
        else:
            q, s = stack.pop()
            n, d = stack.pop()
            if step == MULTIPLY:
                n, d = n * q, d * s
            elif step == DIVIDE:
                if q == 0:
                    raise _by_zero(steps)
                n, d = n * s, d * q
            elif step in (MAX, MIN):
                larger = (n * s - q * d) * (1 if (d > 0) == (s > 0) else -1) >= 0
                if larger != (step == MAX):
                    n, d = q, s
            elif d == s:
                n = n + q if step == ADD else n - q
            else:
                n, d = (n * s + q * d if step == ADD else n * s - q * d), d * s
            stack.append((n, d))
        n, d = stack[-1]
        if not (-MAX_VALUE < n < MAX_VALUE and -MAX_VALUE < d < MAX_VALUE):
            raise FormulaError("the formula gives numbers of more than 4900 digits", "check powers and inputs")
    return Ratio(stack[0][0], stack[0][1])


def text(steps):
    """The formula of a program, with the parentheses that keep its order: what a report prints beside a figure."""
    stack = []  # of (text, how tightly it binds: 1 sum or sign, 2 product, 3 power, 4 name or number)
    for step in steps:
        if isinstance(step, str):
            stack.append((step, 4))
        elif isinstance(step, (list, tuple)):
            if len(step) == 2:
                stack.append((str(Number(step[1], step[0])), 4))
            else:
                stack.append((_bound(stack.pop(), 4) + "^%d" % step[0], 3))
        elif step == NEGATE:
            stack.append(("-" + _bound(stack.pop(), 3), 1))
        elif step in (MAX, MIN):
            right, left = stack.pop()[0], stack.pop()[0]
            stack.append((("max(" if step == MAX else "min(") + left + "," + right + ")", 4))
        else:
            right, left = stack.pop(), stack.pop()
            bind = 1 if step <= SUBTRACT else 2
            stack.append((_bound(left, bind) + "+-*/"[step] + _bound(right, bind + 1), bind))
    return stack[0][0]


# --- the parts ----------------------------------------------------------------------------------------------------


def _bound(part, least):
    return part[0] if part[1] >= least else "(" + part[0] + ")"


def _value(name, values):
    try:
        value = values[name]
    except KeyError:
        value = None
    if value is None:
        raise FormulaError("%s has no value" % quoted(name), "the formula needs it: give it, or a factor for it")
    if isinstance(value, Number):  # not as a Ratio: the one gcd comes at the end
        exponent = value.exponent
        return (value.mantissa * 10**exponent, 1) if exponent >= 0 else (value.mantissa, 10**-exponent)
    if isinstance(value, Ratio):
        return value.numerator, value.denominator
    if _is_int(value):
        return value, 1
    raise FormulaError("the value of %s is not an exact number" % quoted(name), "give a Number, a Ratio or an int")


def _raised(pair, power):
    n, d = pair
    if power >= 0:
        return n**power, d**power
    if n == 0:
        raise FormulaError("0 is raised to the power %d: division by zero" % power, "check the inputs of the formula")
    return d**-power, n**-power


def _by_zero(steps):
    return FormulaError(
        "division by zero in " + quoted(text(steps), 200), "check that the divisor (a production, a duration) is not 0"
    )


def digits_end(text, at):
    while at < len(text) and digit(text[at]):
        at += 1
    return at


def name_end(text, at):
    while at < len(text) and (letter(text[at]) or digit(text[at]) or text[at] == "."):
        at += 1
    return at


def digit(c):
    return "0" <= c <= "9"


def letter(c):
    """Letters of names: ASCII, _, Greek and Chinese."""
    return "a" <= c <= "z" or "A" <= c <= "Z" or c == "_" or "\u0370" <= c <= "\u03ff" or "\u4e00" <= c <= "\u9fff"


def _is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _bad_step(at, why):
    return FormulaError("step %d of a formula's program: %s" % (at, why), "compile the formula again")
