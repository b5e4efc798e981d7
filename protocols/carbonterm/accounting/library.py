"""Accounting by a method: values and factors to tCO2e, exactly; and the compiled form for a site document.

A given value is one of
    Number, Ratio or int         in the parameter's unit
    (value, unit)                converted exactly; refused where the unit measures something else
    text                         the id of a factor
and the name "fuel" (a fuel's id or Chinese name) gives all fuel parameters at once from the method's fuel set.

`account` compiles the source and evaluates the compiled form, so that the command line and the terminal go one way.
"""

from carbonterm import units
from carbonterm.accounting.load import FUEL, Factor, Factors, Method, Parameter, Source, date, load_factors, load_method
from carbonterm.accounting.source import (
    FORM,
    canonical,
    check,
    doubtful,
    evaluate_compiled,
    expired,
    in_force,
    mass,
    unconfirmed,
)
from carbonterm.errors import AccountingError, UnitError, quoted
from carbonterm.nearest import hint
from carbonterm.number import Ratio

__all__ = [
    "FUEL", "PLACES", "Factor", "Factors", "Method", "Parameter", "Result", "Source", "account", "canonical", "check",
    "compile_source", "date", "doubtful", "evaluate_compiled", "expired", "load_factors", "load_method", "mass",
    "unconfirmed",
]  # fmt: skip

PLACES = 6  # decimals of a recorded tCO2e: 1 g


class Result:
    """ratio (exact tCO2e, sign included), tco2e (Number, 6 decimals, half to even), gases (list of (gas, exact t)),
    rows (list of (Parameter, unit, Ratio, Factor or None)), factors (list of Factor, the GWP last), compiled."""

    __slots__ = ("ratio", "tco2e", "gases", "rows", "factors", "compiled")


def account(method, source, values, factors, at_ms):
    """Result of a source (Source or its id) of a Method at a moment.

    `values`: parameter name → given value. What is not given must have a default factor; AccountingError lists all
    that is missing, with unit and Chinese name.
    """
    rows = _settled(method, source, values, factors, at_ms, {})
    source = _source(method, source)
    missing = [row for row in rows if row[2] is None]
    if missing:
        parts = ["%s (%s, %s)" % (p.name, p.name_zh, unit or " or ".join(p.units)) for p, unit, _, _ in missing]
        what = "%s of %s lacks %s" % (source.id, method.id, ", ".join(parts))
        raise AccountingError(what, _ways(method, missing, factors))
    result = Result()
    result.compiled = _compiled(method, source, rows, factors, at_ms, False)
    numbers = {}
    for p, _, value, factor in rows:
        if factor is None:
            numbers[p.name] = value
    gas = mass(result.compiled, numbers) * source.sign
    result.ratio = evaluate_compiled(result.compiled, numbers)
    result.tco2e = result.ratio.round(PLACES)
    result.gases = [(source.gas, gas)]
    result.rows = rows
    result.factors = [factor for _, _, _, factor in rows if factor is not None] + [_gwp(method, source, factors, at_ms)]
    return result


def compile_source(method, source, given, factors, at_ms, inputs=None):
    """The plain list that a site document embeds (see carbonterm.accounting.source).

    `given`: the constants, as for `account`; every other parameter without a default becomes an input. `inputs`: name →
    unit text in which an input will come, which settles a choice like t or 10^4Nm3; the compiled input names the
    method's own unit, and the caller converts with `units.factor`.
    """
    source = _source(method, source)
    rows = _settled(method, source, given, factors, at_ms, inputs or {})
    for parameter, unit, _, _ in rows:
        if unit is None:
            raise AccountingError(
                "%s of %s may be in %s" % (parameter.name, source.id, " or ".join(parameter.units)),
                "choose a fuel, or say the unit of its point",
            )
    return _compiled(method, source, rows, factors, at_ms, True)


def _source(method, source):
    return source if isinstance(source, Source) else method.source(source)


def _settled(method, source, given, factors, at_ms, inputs):
    """Rows (Parameter, unit, Ratio or None, Factor or None) in the units of one alternative; unit None: still open."""
    source = _source(method, source)
    in_force("method " + quoted(method.id), method.start, method.end, at_ms)
    given = _with_fuel(method, source, given, factors)
    found = {}  # name: (Number, Ratio or int, unit or None, Factor or None)
    for p in source.parameters:
        value = given.get(p.name, p.default)
        if isinstance(value, str):
            factor = factors.factor(value, at_ms)
            found[p.name] = (factor.value, factor.unit, factor)
        elif isinstance(value, (tuple, list)):
            found[p.name] = (value[0], _unit(p, source, value[1]), None)
        elif value is not None:
            found[p.name] = (value, None, None)
        elif p.name in inputs:
            found[p.name] = (None, _unit(p, source, inputs[p.name]), None)
    which = _alternative(source, found)
    rows = []
    for p in source.parameters:
        unit = p.units[which or 0] if len(p.units) > 1 else p.units[0]
        value, own, factor = found.get(p.name, (None, None, None))
        if value is not None:
            value = (_size(p, source, own, unit) if own is not None else Ratio(1)) * value
        elif own is not None:
            _size(p, source, own, unit)
        rows.append((p, None if which is None and len(p.units) > 1 and own is None else unit, value, factor))
    return rows


def _unit(parameter, source, text):
    try:
        return units.parse(text)
    except UnitError as error:
        raise AccountingError("%s of %s: %s" % (parameter.name, source.id, error.what), error.hint)


def _size(parameter, source, own, unit):
    try:
        return units.factor(own, unit)
    except UnitError as error:
        raise AccountingError("%s of %s: %s" % (parameter.name, source.id, error.what), error.hint)


def _with_fuel(method, source, given, factors):
    names = [p.name for p in source.parameters]
    fuelled = [p.name for p in source.parameters if p.choose == FUEL]
    for name in given:
        if name not in names and not (name == FUEL and fuelled):
            raise AccountingError(
                "source %s of %s has no parameter %s" % (quoted(source.id), quoted(method.id), quoted(name)),
                hint(name, names + ([FUEL] if fuelled else []), "its parameters"),
            )
    if given.get(FUEL) is None:
        return given
    if not isinstance(given[FUEL], str):
        raise AccountingError("fuel is the id or name of a fuel", "write fuel=natural_gas")
    fuel = factors.fuel(method.fuel_set, given[FUEL])
    filled = {}
    for name in fuelled:
        if fuel + "/" + name in factors.by_id:
            filled[name] = fuel + "/" + name
    for name in given:
        if name != FUEL:
            filled[name] = given[name]
    return filled


def _alternative(source, found):
    """Which of the units "t | 10^4Nm3" fits all that came with a unit; None where nothing decides it."""
    count = max([1] + [len(p.units) for p in source.parameters])
    if count == 1:
        return 0
    left, decided = list(range(count)), False
    for p in source.parameters:
        own = found.get(p.name, (None, None, None))[1]
        if own is None or len(p.units) == 1:
            continue
        decided = True
        fitting = [k for k in left if units.fits(own, p.units[k])]
        if not fitting:
            _size(p, source, own, p.units[left[-1]])  # says what does not fit, and why
        left = fitting
    return left[0] if decided else None


def _compiled(method, source, rows, factors, at_ms, all_constant):
    inputs, constants = [], []
    for p, unit, value, factor in rows:
        unit = p.units[0] if unit is None else unit
        if value is None or (factor is None and not all_constant):
            inputs.append([p.name, unit])
        else:
            constants.append(_constant(p.name, unit, value, factor))
    gwp = _gwp(method, source, factors, at_ms)
    return [FORM, [method.id, method.version], source.id, source.scope, source.gas, source.sign, source.steps, inputs,
            constants, _constant("GWP", gwp.unit, gwp.value, gwp)]  # fmt: skip


def _constant(name, unit, value, factor):
    number = value.ratio().number()
    if number is None or not -(1 << 63) < number.mantissa < 1 << 63:
        raise AccountingError(
            "the value of %s has no short decimal in %s" % (quoted(name), quoted(unit)), "give it in " + (unit or "1")
        )
    origin = None
    if factor is not None:
        origin = [factor.id, factor.document, factor.basis, factor.confidence, factor.start, factor.end]
    return [name, unit, number.exponent, number.mantissa, origin]


def _gwp(method, source, factors, at_ms):
    return factors.factor("gwp/%s/%s" % (method.gwp_set, source.gas), at_ms)


def _ways(method, missing, factors):
    """What can be given for what is missing."""
    ways = ["give NAME=VALUE"]
    for p, _, _, _ in missing:
        if p.choose == FUEL and "fuel=" not in ways[-1]:
            ways.append("or fuel=FUEL of %s for NCV, CC and OF" % method.fuel_set)
        elif p.choose and p.choose != FUEL:
            ids = factors.of(p.choose)
            ways.append("or %s=FACTOR, %d are in %s, e.g. %s" % (p.name, len(ids), p.choose, ids[-1]))
    return ", ".join(ways)
