"""Does a formula give what it says? What its own numbers carry (44/12 is tCO2 per tC) is said once per source, as
`carries`.
"""

from carbonterm import units
from carbonterm.accounting.load import of_gas
from carbonterm.accounting.of_units import unit_of
from carbonterm.errors import AccountingError, UnitError, quoted
from carbonterm.number import Ratio


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
