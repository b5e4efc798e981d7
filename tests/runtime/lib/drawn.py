"""Random inputs for any source of any method: which parameters are given, in how many lines, of which gas; values."""

from carbonterm import formula
from carbonterm.accounting import library
from carbonterm.errors import AccountingError
from carbonterm.number import Number


def shape(random, method, source, factors, at_ms):
    """{key: None or a word}: what will be given; None is a number to draw (`values`), a word a gas."""
    chosen = {}
    if source.choices is not None:
        chosen["gas"] = random.choice(source.choices)
        if chosen["gas"] == "CO2e" or "gwp/%s/%s" % (method.gwp_set, chosen["gas"]) not in factors.by_id:
            chosen["GWP"] = None
            if chosen["gas"] == "CO2e":
                del chosen["gas"]
    wanted = []
    for p in source.parameters:
        if p.program and random.below(2):  # what it is derived from
            wanted += [n for n in formula.names(p.program) if source.parameter(n).program is None]
        elif (p.program or p.default) and random.below(2):
            wanted.append(p.name)
    for names in (wanted, []):  # what is given beside its own derivation is refused: then only what is needed
        given = dict(chosen)
        for name in names:
            given[name] = None
        try:
            return lined(random, source, complete(method, source, given, factors, at_ms))
        except AccountingError:
            pass
    return lined(random, source, complete(method, source, chosen, factors, at_ms))


def complete(method, source, given, factors, at_ms):
    """`given` and what else is needed."""
    while True:
        need = library.lacking(method, source, sample(source, given), factors, at_ms)
        if not need:
            return given
        for p in need:
            given[p.name] = None


def sample(source, given):
    found = {}
    for key in given:
        found[key] = 1 if given[key] is None else given[key]
    return found


def lined(random, source, given):
    """Gives each sum its lines: 1 to 3 of them, some names once for all."""
    programs = [part.program for part in source.parts] + [p.program for p in source.parameters if p.program]
    inside, outside, group = [], [], None
    for program in programs:
        for step in program:
            if step == formula.SUM:
                group = []
                inside.append(group)
            elif step == formula.SUMMED:
                group = None
            elif isinstance(step, str):
                (outside if group is None else group).append(step)
    summed = [name for group in inside for name in group]
    groups = inside if inside else [outside]
    found = dict(given)
    for group in groups:
        count = random.between(1, 3)
        for name in group:
            shared = len([g for g in groups if name in g]) > 1 or (inside and name in outside)
            if name in given and name in found and not shared and count > 1 and random.below(4):
                del found[name]
                for line in range(1, count + 1):
                    found["%s.%d" % (name, line)] = None
    return found if summed or outside else given


def values(random, source, given):
    """The shape with numbers: shares from 0 to 1, all else positive, of up to nine digits."""
    names = [p.name for p in source.parameters]
    found = {}
    for key in sorted(given):
        if given[key] is not None:
            found[key] = given[key]
            continue
        name = key if key in names else key[: key.rfind(".")]
        unit = source.parameter(name).units[0] if name in names else ""
        if unit == "fraction":
            found[key] = Number(random.between(1, 9999), -4)
        else:
            found[key] = Number(random.between(1, 10**9), -random.below(7))
    return found
