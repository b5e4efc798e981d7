"""What a person gives for a source, sorted by parameter and line: numbers, units, factors, a fuel, a gas.

A given value is one of
    Number, Ratio or int         in the parameter's unit
    (value, unit)                converted exactly; refused where the unit measures something else
    text                         the id of a factor
Names are parameters ("FC"), lines of parameters ("FC.1", "FC.2"; see carbonterm.accounting.lines), and
    fuel, fuel.1, …     a fuel's id or Chinese name: gives NCV, CC and OF from the method's fuel set
    gas                 one of the gases of a source that has a list of them
    GWP                 its global warming potential, by hand in tCO2e/t or the id of a factor
    gwp_set             another set than the method's, where the method allows it
"""

from carbonterm import units
from carbonterm.accounting.lines import by_name, split
from carbonterm.accounting.load import of_gas
from carbonterm.accounting.model import FUEL, GAS, Factor
from carbonterm.errors import AccountingError, UnitError, quoted
from carbonterm.nearest import hint
from carbonterm.number import Number, Ratio

CO2E = "CO2e"
_SAME_GAS = {"CHF3": "HFC-23", "CH2F2": "HFC-32", "CH3F": "HFC-41", "R134a": "HFC-134a", "R23": "HFC-23"}


class Given:
    """keys ({name: its keys in order of lines}), values ({key: (value, unit or None, Factor or None)}; value None where
    an input will come), gas (the chosen one, "" unnamed, None where the source has no choice), gwp
    ((value, Factor or None) by hand, or None), gwp_set, fuelled (keys that only a fuel gave)."""

    __slots__ = ("keys", "values", "gas", "gwp", "gwp_set", "fuelled")


def sort(method, source, given, factors, at_ms, inputs):
    """Given of what was given and of `inputs` (key → unit in which it will come)."""
    found = Given()
    names = [p.name for p in source.parameters]
    what = "source %s of %s" % (quoted(source.id), quoted(method.id))
    rest = _choices(method, source, given, names, found)
    found.gwp = _by_hand(source, found.gwp, factors, at_ms)
    rest, found.fuelled = _with_fuel(method, source, rest, factors, names)
    for key in inputs:
        if key in found.fuelled and key in rest:
            del rest[key]  # it is measured: the fuel's default gives way
    allowed = names + reserved(method, source, names)
    for key in list(rest) + list(inputs):
        if split(key, names)[0] not in names:
            raise AccountingError("%s has no parameter %s" % (what, quoted(key)), hint(key, allowed, "its parameters"))
    found.keys = by_name(list(rest) + [key for key in inputs if key not in rest], names, what)
    found.values = {}
    for key in rest:
        p = source.parameter(split(key, names)[0])
        found.values[key] = _value(p, source, rest[key], factors, at_ms)
    for key in inputs:
        if key not in rest:
            p = source.parameter(split(key, names)[0])
            found.values[key] = (None, _unit(p, source, inputs[key]), None)
    return found


def default(parameter, found, factors, at_ms):
    """(value, unit, Factor) of a parameter's default, or None where it has none for the chosen gas."""
    if parameter.default is None:
        return None
    id = of_gas(parameter.default, found.gas or "")
    if GAS in parameter.default and id not in factors.by_id:
        return None
    factor = factors.factor(id, at_ms)
    return factor.value, factor.unit, factor


def unit_texts(parameter, found):
    """The parameter's alternatives of units, with the chosen gas; those of an unnamed gas are plain masses."""
    return [of_gas(unit, found.gas or "") for unit in parameter.units]


def converted(parameter, source, value, own, unit):
    """`value` in `own` (None: already in `unit`) as a Ratio in `unit`; shares are held to 0…1."""
    try:
        value = (units.factor(own, unit) if own is not None else Ratio(1)) * value
    except UnitError as error:
        raise AccountingError("%s of %s: %s" % (parameter.name, source.id, error.what), error.hint)
    if unit == "fraction" and not (value >= 0 and value <= 1):
        shown = value.number() or value
        raise AccountingError(
            "%s of %s (%s) is a fraction from 0 to 1, not %s" % (parameter.name, source.id, parameter.name_zh, shown),
            "write 98 % as 0.98 or 98%",
        )
    return value


def gwp_of(method, found, gas, factors, at_ms):
    """(value, Factor or None) of a gas: by definition, by hand or from the set."""
    if found.gwp is not None:
        return found.gwp
    if gas == CO2E or found.gwp_set is None:
        return Number(1), _by_definition(gas)
    id = "gwp/%s/%s" % (found.gwp_set, gas)
    if id not in factors.by_id:
        what = "%s has no GWP of %s" % (found.gwp_set, gas)
        raise AccountingError(what, "give GWP=… by hand with gas=%s, or another gas" % gas)
    factor = factors.factor(id, at_ms)
    return factor.value, factor


def _by_definition(gas):
    factor = Factor()
    factor.id, factor.name_zh = "gwp/" + gas, gas + " 全球变暖潜势"
    factor.value, factor.unit = Number(1), "tCO2e/t" + gas
    factor.document, factor.source = "by definition", "1 by definition"
    factor.basis, factor.confidence = "definition", "high"
    factor.start = factor.end = factor.uncertainty = factor.evidence = factor.confirmation = None
    factor.note = ""
    return factor


def reserved(method, source, names):
    """Words besides the parameters that this source takes."""
    words = [FUEL] if [p for p in source.parameters if p.choose == FUEL] else []
    if source.choices is not None:
        words += [word for word in ("gas", "GWP") if word not in names]
    if len(method.gwp_sets) > 1:
        words.append("gwp_set")
    return words


def _choices(method, source, given, names, found):
    """Takes gas, GWP and gwp_set out of what was given; the rest is for the parameters."""
    words = [word for word in reserved(method, source, names) if word != FUEL]
    rest = {}
    for key in given:
        if key not in words:
            rest[key] = given[key]
    found.gwp_set = given.get("gwp_set", method.gwp_set) if "gwp_set" in words else method.gwp_set
    if found.gwp_set not in method.gwp_sets:
        raise AccountingError(
            "%s has no GWP set %s" % (method.id, quoted(str(found.gwp_set))), "one of " + ", ".join(method.gwp_sets)
        )
    found.gas = found.gwp = None
    if source.choices is None:
        return rest
    gas, gwp = given.get("gas") if "gas" in words else None, given.get("GWP") if "GWP" in words else None
    found.gwp = gwp
    if gas is None and gwp is None and source.choices[0] != CO2E:
        what = "%s of %s lacks its gas" % (source.id, method.id)
        raise AccountingError(what, "give gas=%s, or GWP=… by hand" % ", ".join(source.choices))
    if gas is not None:
        gas = _SAME_GAS.get(gas, gas) if isinstance(gas, str) else str(gas)
        if gas not in source.choices and gwp is None:
            way = hint(gas, source.choices, "its gases") + "; of a mixture (R-410A) give GWP=… by hand"
            raise AccountingError("%s has no gas %s" % (source.id, quoted(gas)), way)
    found.gas = gas if gas is not None else CO2E if gwp is None else ""
    return rest


def _by_hand(source, gwp, factors, at_ms):
    """(value, Factor or None) of a GWP that was given as a number or as the id of a factor."""
    if gwp is None:
        return None
    if isinstance(gwp, str):
        factor = factors.factor(gwp, at_ms)
        return factor.value, factor
    value, unit = gwp if isinstance(gwp, (tuple, list)) else (gwp, None)
    if unit is not None and not units.same(unit, "tCO2e/t"):
        raise AccountingError("GWP of %s is in tCO2e/t, not %s" % (source.id, quoted(unit)), "write it like GWP=6630")
    return value, None


def _with_fuel(method, source, given, factors, names):
    """(given with the parameters of its fuels, keys that a fuel gave)."""
    fuelled = [p.name for p in source.parameters if p.choose == FUEL]
    filled, keys = {}, []
    for key in given:
        if key in names or split(key, [FUEL])[0] != FUEL or not fuelled or given[key] is None:
            continue
        if not isinstance(given[key], str):
            raise AccountingError("fuel is the id or name of a fuel", "write fuel=natural_gas")
        fuel = factors.fuel(method.fuel_set, given[key])
        for name in fuelled:
            full = name + key[len(FUEL) :]
            by_hand = [k for k in given if given[k] is not None and split(k, [name])[0] == name]
            if key != FUEL:
                by_hand = [k for k in by_hand if k in (full, name)]  # the other lines are other fuels'
            if fuel + "/" + name in factors.by_id and not by_hand:
                filled[full] = fuel + "/" + name
                keys.append(full)
    for key in given:
        if given[key] is not None and (key in names or split(key, [FUEL])[0] != FUEL or not fuelled):
            filled[key] = given[key]
    return filled, keys


def _value(parameter, source, value, factors, at_ms):
    if isinstance(value, str):
        factor = factors.factor(value, at_ms)
        return factor.value, factor.unit, factor
    if isinstance(value, (tuple, list)):
        return value[0], _unit(parameter, source, value[1]), None
    return value, None, None


def _unit(parameter, source, text):
    try:
        return units.parse(text)
    except UnitError as error:
        raise AccountingError("%s of %s: %s" % (parameter.name, source.id, error.what), error.hint)
