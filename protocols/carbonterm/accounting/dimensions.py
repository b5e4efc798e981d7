"""Does a formula give what it says? Evaluates it over units instead of numbers.

A sum needs the same unit on both sides, a product multiplies units, a plain number has none. What a formula's own
numbers carry (44/12 is tCO2 per tC) is said once per source, as `carries`.
"""

from carbonterm import formula, units
from carbonterm.errors import AccountingError, UnitError, quoted
from carbonterm.number import Ratio


def unit_of(steps, unit_of_name):
    """The Unit of a program's value; `unit_of_name`: name → unit text. UnitError where a sum mixes units."""
    stack = []
    for step in steps:
        if isinstance(step, str):
            stack.append(units.parse(unit_of_name[step]))
        elif isinstance(step, (list, tuple)):
            if len(step) == 2:
                stack.append(units.parse("1"))
            else:
                base = stack.pop()
                stack.append(units.times(units.parse("1"), base, step[0]))
        elif step != formula.NEGATE:
            right, left = stack.pop(), stack.pop()
            if step == formula.MULTIPLY:
                stack.append(units.times(left, right))
            elif step == formula.DIVIDE:
                stack.append(units.times(left, right, -1))
            elif units.same(left, right):
                stack.append(left)
            else:
                raise UnitError(
                    "a sum of %s and %s" % (quoted(left.text), quoted(right.text)), "both must have the same unit"
                )
    return stack[0]


def check_source(source):
    """Refuses (AccountingError) a Source whose formula does not give tonnes of its gas in every choice of units."""
    target = units.parse("t" + source.gas)
    for k in range(max([1] + [len(p.units) for p in source.parameters])):
        chosen = {}
        for p in source.parameters:
            chosen[p.name] = p.units[k] if len(p.units) > 1 else p.units[0]
        try:
            found = units.times(unit_of(source.steps, chosen), units.parse(source.carries))
        except UnitError as error:
            raise AccountingError("source %s: %s" % (quoted(source.id), error.what), error.hint)
        if not units.same(found, target):
            size = found.ratio / target.ratio
            raise AccountingError(
                "source %s: %s gives %s, not %s" % (quoted(source.id), source.formula, quoted(found.text), target.text),
                "it is off by a factor of %s" % size
                if found.dimension == target.dimension and size != Ratio(1)
                else "correct a parameter's unit or what the formula's numbers carry",
            )
