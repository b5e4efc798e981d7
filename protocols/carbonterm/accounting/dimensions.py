"""Does a formula give what it says? Evaluates it over units instead of numbers.

A sum needs the same unit on both sides, a product multiplies units, a plain number has none. What a formula's own
numbers carry (44/12 is tCO2 per tC) is said once per source, as `carries`.
"""

from carbonterm import formula, units
from carbonterm.accounting.load import of_gas
from carbonterm.errors import AccountingError, UnitError, quoted
from carbonterm.number import Ratio


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


def check_source(source):
    """Refuses (AccountingError) a Source whose formulas do not give tonnes of their gas in every choice of units.

    GAS stands for CO2 here. A derivation must give the unit of its parameter, in the first choice.
    """
    choices = max([1] + [len(p.units) for p in source.parameters])
    for k in range(choices):
        chosen = {}
        for p in source.parameters:
            chosen[p.name] = of_gas(p.units[k] if len(p.units) > 1 else p.units[0], "CO2")
        for part in source.parts:
            target = source.gives or "t" + (part.gas or "CO2")
            _check(source, part.formula, part.program, part.carries, target, chosen)
        if k == 0:
            for p in source.parameters:
                if p.program is not None and p.program != [[0, 0]]:
                    _check(source, p.name + " = " + p.derive, p.program, p.carries, chosen[p.name], chosen)


def _check(source, text, program, carries, target, chosen):
    target = units.parse(target)
    try:
        found = units.times(unit_of(program, chosen), units.parse(of_gas(carries, "CO2")))
    except UnitError as error:
        raise AccountingError("source %s: %s: %s" % (quoted(source.id), text, error.what), error.hint)
    if not units.same(found, target):
        size = found.ratio / target.ratio
        raise AccountingError(
            "source %s: %s gives %s, not %s" % (quoted(source.id), text, quoted(found.text), target.text),
            "it is off by a factor of %s" % size
            if found.dimension == target.dimension and size != Ratio(1)
            else "correct a parameter's unit or what the formula's numbers carry",
        )
