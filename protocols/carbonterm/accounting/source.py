"""A source as the site document embeds it: a plain list that needs no library to be evaluated, dated and traced.

    [FORM, [method id, version], source id, scope, gas, sign, steps, inputs, constants, gwp]
    inputs    = [[name, unit], …]                          what must be given: activity data
    constants = [[name, unit, exponent, mantissa, origin], …]   factors; the value holds in `unit`
    gwp       = one constant, in tCO2e per t of the gas
    origin    = [factor id, document, basis, confidence, start ms or null, end ms or null], or null for a value given
                by hand

    gas mass in t = steps over inputs and constants;   tCO2e = sign × gas mass × gwp
"""

from carbonterm import cbor, clock
from carbonterm.errors import AccountingError, FormulaError, quoted
from carbonterm.number import MAX_EXPONENT, Number

FORM = "carbonterm-source-1"
ZONE = 480  # validity dates are civil dates in China, minutes east
METHOD, SOURCE, SCOPE, GAS, SIGN, STEPS, INPUTS, CONSTANTS, GWP = range(1, 10)


def canonical(compiled):
    """Canonical bytes of a compiled source; their SM3 digest names it in emission entries."""
    return cbor.encode(compiled)


def evaluate_compiled(compiled, values):
    """Exact tCO2e (Ratio, sign included). `values`: input name → Number, Ratio or int, in the input's unit.

    FormulaError names a missing value or a division by zero.
    """
    gwp = compiled[GWP]
    return mass(compiled, values) * Number(gwp[3], gwp[2]) * compiled[SIGN]


def mass(compiled, values):
    """Exact tonnes of the gas (Ratio) before sign and GWP."""
    known = {}
    for name, _, exponent, mantissa, _ in compiled[CONSTANTS]:
        known[name] = Number(mantissa, exponent)
    for name, unit in compiled[INPUTS]:
        value = values.get(name)
        if value is None:
            raise FormulaError("input %s has no value" % quoted(name), "it is needed in " + (unit or "1"))
        known[name] = value
    from carbonterm import formula  # a site without sources needs none

    return formula.evaluate(compiled[STEPS], known)


def origins(compiled):
    """The origins of its constants and its GWP, each once."""
    return [row[4] for row in compiled[CONSTANTS] + [compiled[GWP]] if row[4] is not None]


def unconfirmed(compiled):
    """Ids of the factors that are from memory or of low confidence: every output names them."""
    return [origin[0] for origin in origins(compiled) if doubtful(origin[2], origin[3])]


def doubtful(basis, confidence):
    """True for a figure from memory, of unknown basis or of low confidence."""
    return basis in ("memory", "unknown") or confidence in ("low", "none")


def expired(compiled, at_ms):
    """Ids of the factors that are not valid at a moment."""
    return [origin[0] for origin in origins(compiled) if not _holds(origin[4], origin[5], at_ms)]


def in_force(what, start, end, at_ms):
    """Refuses (AccountingError) a moment outside start <= at_ms < end; None is open."""
    if not _holds(start, end, at_ms):
        first = "the beginning" if start is None else clock.text(start, ZONE)[:10]
        last = "now on" if end is None else clock.text(end - 1, ZONE)[:10]
        raise AccountingError(
            "%s is not valid on %s: it holds from %s to %s" % (what, clock.text(at_ms, ZONE)[:10], first, last),
            "choose one that is valid then, or the right date",
        )


def _holds(start, end, at_ms):
    return (start is None or at_ms >= start) and (end is None or at_ms < end)


def check(compiled):
    """Refuses (AccountingError, FormulaError) what is no compiled source: for site documents that come from outside."""
    if not isinstance(compiled, list) or len(compiled) != 10 or not _text(compiled[0]) or compiled[0] != FORM:
        raise _bad("it is not [%s, …] with 10 items" % quoted(FORM))
    method = compiled[METHOD]
    if not (isinstance(method, list) and len(method) == 2 and _text(method[0]) and _int(method[1])):
        raise _bad("method is [id, version]")
    if not (_text(compiled[SOURCE]) and _text(compiled[GAS])):
        raise _bad("source and gas are texts")
    if not (_int(compiled[SCOPE]) and 1 <= compiled[SCOPE] <= 3):
        raise _bad("scope is 1, 2 or 3")
    if not (_int(compiled[SIGN]) and compiled[SIGN] in (1, -1)):
        raise _bad("sign is 1 or -1")
    from carbonterm import formula

    formula.check(compiled[STEPS])
    inputs, constants = compiled[INPUTS], compiled[CONSTANTS]
    if not isinstance(inputs, list) or not isinstance(constants, list):
        raise _bad("inputs and constants are lists")
    for row in inputs:
        if not (isinstance(row, list) and len(row) == 2 and _text(row[0]) and _text(row[1])):
            raise _bad("an input is [name, unit]")
    for row in constants + [compiled[GWP]]:
        if not _constant(row):
            raise _bad("a constant is [name, unit, exponent, mantissa, origin]")
    names = [row[0] for row in inputs] + [row[0] for row in constants]
    if sorted(names) != sorted(formula.names(compiled[STEPS])):
        raise _bad("inputs and constants are not the names of its formula, each once")


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
