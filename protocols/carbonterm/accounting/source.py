"""A source as the site document embeds it: a plain list that needs no library to be evaluated, dated and traced.

    [FORM, [method id, version], source id, scope, category, sign, parts, inputs, constants, kind]
    parts     = [[gas, steps, gwp], …]                     one for each gas
    inputs    = [[name, unit], …]                          what must be given: activity data
    constants = [[name, unit, exponent, mantissa, origin], …]   factors; the value holds in `unit`
    gwp       = one constant, in tCO2e per t of the gas
    origin    = [factor id, document, basis, confidence, start ms or null, end ms or null], or null for a value given
                by hand

    mass of a gas in t = its steps over inputs and constants;   tCO2e = sign × Σ mass × gwp

Site documents of before have FORMER, which holds one gas: [FORMER, [method id, version], source id, scope, gas, sign,
steps, inputs, constants, gwp].
"""

from carbonterm import cbor, clock
from carbonterm.errors import AccountingError, FormulaError, quoted
from carbonterm.number import MAX_EXPONENT, Number

FORMER, FORM = "carbonterm-source-1", "carbonterm-source-2"
MAX_PARTS = 12
ZONE = 480  # validity dates are civil dates in China, minutes east
METHOD, SOURCE, SCOPE, CATEGORY, SIGN, PARTS, INPUTS, CONSTANTS, KIND = range(1, 10)


def canonical(compiled):
    """Canonical bytes of a compiled source; their SM3 digest names it in emission entries."""
    return cbor.encode(compiled)


def parts(compiled):
    """[[gas, steps, gwp], …] of either form."""
    return compiled[PARTS] if compiled[0] == FORM else [[compiled[4], compiled[6], compiled[9]]]


def category(compiled):
    """Category of ISO 14064-1, 1 to 6; the former form does not say it: that of its scope."""
    return compiled[CATEGORY] if compiled[0] == FORM else compiled[SCOPE]


def kind(compiled):
    """Kind of the source ("combustion", "electricity", …); "other" in the former form."""
    return compiled[KIND] if compiled[0] == FORM else "other"


def evaluate_compiled(compiled, values):
    """Exact tCO2e (Ratio, sign included). `values`: input name → Number, Ratio or int, in the input's unit.

    FormulaError names a missing value or a division by zero.
    """
    from carbonterm import formula  # a site without sources needs none

    known, total = _known(compiled, values), None
    for _, steps, gwp in parts(compiled):
        tonnes = _weighed(formula.evaluate(steps, known), gwp)
        total = tonnes if total is None else total + tonnes
    return total if compiled[SIGN] == 1 else -total


def by_gas(compiled, values):
    """[(gas, exact tonnes of it, exact tCO2e), …], both Ratios with the source's sign; each gas once."""
    from carbonterm import formula

    known, found = _known(compiled, values), []
    for gas, steps, gwp in parts(compiled):
        mass = formula.evaluate(steps, known) * compiled[SIGN]
        tonnes = _weighed(mass, gwp)
        for at in range(len(found)):
            if found[at][0] == gas:
                found[at] = (gas, found[at][1] + mass, found[at][2] + tonnes)
                break
        else:
            found.append((gas, mass, tonnes))
    return found


def _weighed(mass, gwp):
    """tCO2e of a mass."""
    return mass if gwp[2] == 0 and gwp[3] == 1 else mass * Number(gwp[3], gwp[2])


def _known(compiled, values):
    """{name: value} of the constants and the inputs."""
    known = {}
    for name, _, exponent, mantissa, _ in compiled[CONSTANTS]:
        known[name] = Number(mantissa, exponent)
    for name, unit in compiled[INPUTS]:
        value = values.get(name)
        if value is None:
            raise FormulaError("input %s has no value" % quoted(name), "it is needed in " + (unit or "1"))
        known[name] = value
    return known


def origins(compiled):
    """The origins of its constants and its GWPs, each once."""
    found = []
    for row in compiled[CONSTANTS] + [part[2] for part in parts(compiled)]:
        if row[4] is not None and row[4] not in found:
            found.append(row[4])
    return found


def unconfirmed(compiled):
    """Ids of the factors that are from memory or of low confidence: every output names them."""
    return [origin[0] for origin in origins(compiled) if doubtful(origin[2], origin[3])]


def doubtful(basis, confidence):
    """True for a figure from memory, of unknown basis or of low confidence."""
    return basis in ("memory", "unknown") or confidence in ("low", "none")


def expired(compiled, at_ms):
    """Ids of the factors that are not valid at a moment."""
    return [origin[0] for origin in origins(compiled) if not holds(origin[4], origin[5], at_ms)]


def in_force(what, start, end, at_ms):
    """Refuses (AccountingError) a moment outside start <= at_ms < end; None is open."""
    if not holds(start, end, at_ms):
        first = "the beginning" if start is None else clock.text(start, ZONE)[:10]
        last = "now on" if end is None else clock.text(end - 1, ZONE)[:10]
        raise AccountingError(
            "%s is not valid on %s: it holds from %s to %s" % (what, clock.text(at_ms, ZONE)[:10], first, last),
            "choose one that is valid then, or the right date",
        )


def holds(start, end, at_ms):
    """Whether start <= at_ms < end; None is open."""
    return (start is None or at_ms >= start) and (end is None or at_ms < end)


def check(compiled):
    """Refuses (AccountingError, FormulaError) what is no compiled source: for site documents that come from outside."""
    if not (isinstance(compiled, list) and len(compiled) == 10 and _text(compiled[0])) or (
        compiled[0] not in (FORMER, FORM)
    ):
        raise _bad("it is not [%s, …] with 10 items" % quoted(FORM))
    method = compiled[METHOD]
    if not (isinstance(method, list) and len(method) == 2 and _text(method[0]) and _int(method[1])):
        raise _bad("method is [id, version]")
    if not _text(compiled[SOURCE]):
        raise _bad("source is a text")
    if not (_int(compiled[SCOPE]) and 1 <= compiled[SCOPE] <= 3):
        raise _bad("scope is 1, 2 or 3")
    if not (_int(compiled[SIGN]) and compiled[SIGN] in (1, -1)):
        raise _bad("sign is 1 or -1")
    if not (_text(kind(compiled)) and _int(category(compiled)) and 1 <= category(compiled) <= 6):
        raise _bad("category is 1 to 6, kind a text")
    names = _check_parts(compiled)
    inputs, constants = compiled[INPUTS], compiled[CONSTANTS]
    if not isinstance(inputs, list) or not isinstance(constants, list):
        raise _bad("inputs and constants are lists")
    for row in inputs:
        if not (isinstance(row, list) and len(row) == 2 and _text(row[0]) and _text(row[1])):
            raise _bad("an input is [name, unit]")
    for row in constants:
        if not _constant(row):
            raise _bad("a constant is [name, unit, exponent, mantissa, origin]")
    if sorted([row[0] for row in inputs] + [row[0] for row in constants]) != sorted(names):
        raise _bad("inputs and constants are not the names of its formula, each once")


def _check_parts(compiled):
    """Names that its formulas use."""
    from carbonterm import formula

    rows, names = parts(compiled), []
    if not isinstance(rows, list) or not 0 < len(rows) <= MAX_PARTS:
        raise _bad("parts are 1 to %d" % MAX_PARTS)
    for row in rows:
        if not (isinstance(row, list) and len(row) == 3 and _text(row[0]) and _constant(row[2])):
            raise _bad("a part is [gas, steps, gwp], a gwp a constant [name, unit, exponent, mantissa, origin]")
        formula.check(row[1])
        names += [name for name in formula.names(row[1]) if name not in names]
    return names


def _constant(row):
    if not (isinstance(row, list) and len(row) == 5 and _text(row[0]) and _text(row[1])):
        return False
    if not (_int(row[2]) and _int(row[3])) or not -MAX_EXPONENT <= row[2] <= MAX_EXPONENT:
        return False
    origin = row[4]
    if origin is None:
        return True
    if not (isinstance(origin, list) and len(origin) == 6):
        return False
    return all(_text(part) for part in origin[:4]) and all(part is None or _int(part) for part in origin[4:])


def _text(value):
    return isinstance(value, str)


def _int(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _bad(why):
    return AccountingError("not a compiled source: " + why, "compile the site document again")
