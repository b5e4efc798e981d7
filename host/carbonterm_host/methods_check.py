"""Are the methods fit for use? Every formula's units, every reference, one evaluation of every source, every origin.

Nothing here says whether a number is the printed one: that is a person's work (`carbonterm factors confirm`), and what
waits for it is listed.
"""

from carbonterm import units
from carbonterm.accounting import library
from carbonterm.accounting.dimensions import check_source
from carbonterm.accounting.load import of_gas
from carbonterm.accounting.model import FUEL, GAS
from carbonterm.accounting.source import holds
from carbonterm.errors import CarbonError
from carbonterm.number import Number

ANNEX_A = 29  # items of Annex A of the terminal's standard
GENERAL = "gbt32150"  # the general rules, GB/T 32150, beside them


def report(methods, factors, at_ms):
    """{"annex_a": items that evaluate, "of", "general", "methods", "sources", "findings": [{method, source, what}],
    "unconfirmed": [{"set", "factor", "methods"}], "formulas": [{method, source, basis, confidence}]} on a day."""
    findings, sound, used, formulas = [], {}, {}, []
    for method in methods.values():
        before = len(findings)
        for source in method.sources:
            wrong = list(_source(method, source, factors, at_ms))
            findings += [{"method": method.id, "source": source.id, "what": what} for what in wrong]
            if library.doubtful(source.basis, source.confidence):
                formulas.append({"method": method.id, "source": source.id, "basis": source.basis,
                                 "confidence": source.confidence})  # fmt: skip
            for id in references(method, source, factors):
                used.setdefault(id, set()).add(method.id)
        sound[method.id] = len(findings) == before and bool(method.sources)
    items = {method.appendix_a for method in methods.values() if sound[method.id]}
    missing = [item for item in range(1, ANNEX_A + 1) if item not in items]
    for item in missing:
        findings.append({"method": None, "source": None, "what": f"item {item} of Annex A has no sound method"})
    general = any(name.startswith(GENERAL) and sound[name] for name in methods)
    if not general:
        findings.append({"method": None, "source": None, "what": "GB/T 32150 has no sound method"})
    return {
        "annex_a": ANNEX_A - len(missing), "of": ANNEX_A, "general": general, "methods": len(methods),
        "sources": sum(len(method.sources) for method in methods.values()), "factors": len(factors.by_id),
        "findings": findings,
        "unconfirmed": [{"set": name, "factor": id, "methods": sorted(used.get(id, ()))}
                        for name in factors.sets for id in factors.sets[name] if factors.by_id[id].unconfirmed],
        "formulas": formulas, "outdated": _outdated(methods, factors, at_ms),
    }  # fmt: skip


def _outdated(methods, factors, at_ms):
    """Default factors, "method/source PARAMETER", that are not valid on the day: the value must be given then."""
    found = []
    for method in methods.values():
        for source in method.sources:
            for p in source.parameters:
                known = None if p.default is None else factors.of_id(p.default)
                if known and not any(holds(one.start, one.end, at_ms) for one in known):
                    found.append(f"{method.id}/{source.id} {p.name}")
    return found


def references(method, source, factors):
    """Ids of the factors that a source takes by default or lets choose from, its GWPs among them; each once."""
    found = []
    for p in source.parameters:
        if p.default is not None:
            found += [of_gas(p.default, gas) for gas in (source.choices if GAS in p.default else [""])]
        if p.choose == FUEL:
            found += [f"{method.fuel_set}/{fuel}/{p.name}" for fuel in factors.fuels.get(method.fuel_set, ())]
        elif p.choose is not None:
            found += factors.of(p.choose)
    found += [f"gwp/{name}/{gas}" for name in method.gwp_sets for gas in source.gases if name is not None]
    return [id for id in dict.fromkeys(found) if id in factors.by_id]


def sample(method, source, factors, at_ms, gas=None):
    """Values with which a source can be evaluated: 1 for what has no default, a half for a share."""
    given = {} if gas is None else {"gas": gas}
    for _ in range(len(source.parameters) + 1):
        need = library.lacking(method, source, given, factors, at_ms)
        if not need:
            return given
        for p in need:
            given[p.name] = Number("0.5") if p.units[0] == "fraction" else 1
    return given


def _source(method, source, factors, at_ms):
    """What is wrong with a source, as texts."""
    try:
        check_source(source)
    except CarbonError as error:
        yield str(error)
    if not source.origin:
        yield "its formula names no source"
    for p in source.parameters:
        yield from _parameter(method, source, p, factors)
    for gas in source.choices or [None]:
        if gas not in (None, "CO2e") and f"gwp/{method.gwp_set}/{gas}" not in factors.by_id:
            continue  # its GWP is given by hand, and the error that says so is tested
        try:
            library.account(method, source, sample(method, source, factors, at_ms, gas), factors, at_ms)
        except CarbonError as error:
            yield f"it does not evaluate: {error}"


def _parameter(method, source, p, factors):
    targets = [of_gas(unit, "CO2") for unit in p.units]
    if p.default is not None:
        ids = [of_gas(p.default, gas) for gas in (source.choices if GAS in p.default else [""])]
        there = [id for id in ids if id in factors.by_id]
        if not there:
            yield f"{p.name}: no factor {p.default}"
        for id in there:
            yield from _fits(p, factors.by_id[id], source, targets)
    if p.choose == FUEL:
        if method.fuel_set not in factors.fuels:
            yield f"{p.name}: no fuel set {method.fuel_set}"
        for fuel in factors.fuels.get(method.fuel_set, ()):
            factor = factors.by_id.get(f"{method.fuel_set}/{fuel}/{p.name}")
            if factor is not None:
                yield from _fits(p, factor, source, targets)
    elif p.choose is not None:
        chosen = factors.of(p.choose)
        if not chosen:
            yield f"{p.name}: no factors in {p.choose}"
        for id in chosen:
            yield from _fits(p, factors.by_id[id], source, targets)


def _fits(p, factor, source, targets):
    gases = source.choices or ["CO2"]
    if not any(units.fits(factor.unit, of_gas(unit, gas)) for unit in p.units for gas in [*gases, ""]):
        yield f"{p.name}: {factor.id} is in {factor.unit}, not {' or '.join(targets)}"
