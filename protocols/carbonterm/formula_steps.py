"""Programs of formulas: their steps, their bounds, and what is none. See carbonterm.formula."""

from carbonterm.errors import FormulaError, quoted
from carbonterm.number import MAX_EXPONENT

MAX_TEXT = 2000  # characters of a formula
MAX_STEPS = 600
MAX_STACK = 32  # values that wait for their operator
MAX_POWER = 9

ADD, SUBTRACT, MULTIPLY, DIVIDE, NEGATE, MAX, MIN, SUM, SUMMED = range(9)


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
            if len(step) == 2 and is_int(step[0]) and is_int(step[1]):
                if not (-MAX_EXPONENT <= step[0] <= MAX_EXPONENT and 0 <= step[1] < 1 << 64):
                    raise _bad_step(at, "the number is too long or too large")
                depth += 1
            elif len(step) != 1 or not is_int(step[0]) or not -MAX_POWER <= step[0] <= MAX_POWER:
                raise _bad_step(at, "it is neither a number nor a power from -%d to %d" % (MAX_POWER, MAX_POWER))
            elif depth < 1:
                raise _bad_step(at, "there is no value to raise")
        elif is_int(step) and ADD <= step <= MIN:
            needs = 1 if step == NEGATE else 2
            if depth < needs:
                raise _bad_step(at, "the operator lacks a value")
            depth -= needs - 1
        elif sums and is_int(step) and SUM <= step <= SUMMED:
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


# --- the parts ----------------------------------------------------------------------------------------------------


def digits_end(text, at):
    """Where the digits that begin at `at` end."""
    while at < len(text) and digit(text[at]):
        at += 1
    return at


def name_end(text, at):
    """Where the name that begins at `at` ends."""
    while at < len(text) and (letter(text[at]) or digit(text[at]) or text[at] == "."):
        at += 1
    return at


def digit(c):
    """Whether a character is an ASCII digit; "" is none."""
    return "0" <= c <= "9"


def letter(c):
    """Letters of names: ASCII, _, Greek and Chinese."""
    return "a" <= c <= "z" or "A" <= c <= "Z" or c == "_" or "\u0370" <= c <= "\u03ff" or "\u4e00" <= c <= "\u9fff"


def is_int(value):
    """Whether a value is an integer and no bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def _bad_step(at, why):
    return FormulaError("step %d of a formula's program: %s" % (at, why), "compile the formula again")
