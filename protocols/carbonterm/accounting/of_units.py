"""A formula evaluated over units instead of numbers: what it gives, and whether its sums add like to like.

A sum needs the same unit on both sides, a product multiplies units, a plain number has none. A terminal asks it of a
formula that is changed on its page.
"""

from carbonterm import formula, units
from carbonterm.errors import UnitError, quoted


def unit_of(steps, unit_of_name):
    """The Unit of a program's value; `unit_of_name`: name → unit text. UnitError where a sum mixes units.

    A written 0 goes with every unit, as in max(0, a-b); a difference of two °C is in K.
    """
    stack, zero = [], units.parse("1")
    for step in steps:
        if isinstance(step, str):
            stack.append(units.parse(unit_of_name[step]))
        elif isinstance(step, (list, tuple)):
            if len(step) == 2:
                stack.append(units.parse("1") if step[1] else zero)
            else:
                base = stack.pop()
                stack.append(units.times(units.parse("1"), base, step[0]))
        elif step in (formula.NEGATE, formula.SUM, formula.SUMMED):
            continue
        else:
            right, left = stack.pop(), stack.pop()
            if step == formula.MULTIPLY:
                stack.append(units.times(left, right))
            elif step == formula.DIVIDE:
                stack.append(units.times(left, right, -1))
            elif left is zero or right is zero:
                stack.append(right if left is zero else left)
            elif units.same(left, right):
                degrees = step == formula.SUBTRACT and units.same(left, "°C")
                stack.append(units.parse("K") if degrees else left)
            else:
                raise UnitError(
                    "a sum of %s and %s" % (quoted(left.text), quoted(right.text)), "both must have the same unit"
                )
    return stack[0]
