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
from carbonterm.formula_steps import (
    ADD,
    DIVIDE,
    MAX,
    MAX_STEPS,
    MAX_TEXT,
    MIN,
    MULTIPLY,
    NEGATE,
    SUBTRACT,
    SUM,
    SUMMED,
    check,
    digits_end,
    is_int,
    names,
)
from carbonterm.number import Number, Ratio

__all__ = ["MAX_STEPS", "MAX_TEXT", "SUM", "SUMMED", "check", "compile", "digits_end", "evaluate", "names", "text"]

MAX_VALUE = 1 << 16384  # no numerator or denominator on the way may be larger: bounds time and memory


def compile(text, names=None):
    """The program of a formula. `names`: the names it may use (any where None); FormulaError says where it is wrong.

    Example: compile("FC*44/12") is ["FC", [0, 44], 2, [0, 12], 3].
    """
    from carbonterm.formula_text import Parser  # only who writes formulas needs it

    return Parser(text, names).program()


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
    if is_int(value):
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
