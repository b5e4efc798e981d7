"""Single-point accounting: which point feeds which parameter of which source, and what a new link could be.

The way of the standard's 9.2: choose terminal, instrument and point; then sector (method), kind and source; what the
source's formula takes is matched with the point, factors and defaults, each with its unit.
"""

from carbonterm import formula, units
from carbonterm.accounting import library
from carbonterm.accounting import source as accounting
from carbonterm.accounting.lines import split
from carbonterm.errors import AccountingError, CarbonError, quoted
from carbonterm.nearest import hint
from carbonterm_host import library as files


def by_instrument(site):
    """[{terminal, instrument, model, serial, points: [{point, quantity, unit, links}]}].

    What no instrument measures (manual and virtual points) stands last, under instrument None. A link says source,
    parameter, method and formula.
    """
    feeds = {}
    for source in site.sources:
        for feed in source.inputs:
            for point, above, below in feed.points:
                feeds.setdefault(point, []).append(_link(source, feed.parameter, above, below))
    found = [_group(site, meter.name, meter.model, meter.serial) for meter in site.meters]
    rest = _group(site, None, None, None)
    for index, point in enumerate(site.all_points):
        group = found[point.meter] if index < len(site.points) else rest
        group["points"].append({
            "point": point.name, "quantity": point.quantity, "unit": site.unit(index),
            "kind": point.kind, "links": feeds.get(index, []),
        })  # fmt: skip
    return found + ([rest] if rest["points"] else [])


def _group(site, name, model, serial):
    return {"terminal": site.terminal_id, "instrument": name, "model": model, "serial": serial, "points": []}


def _link(source, parameter, above, below):
    compiled = source.compiled
    gases = accounting.parts(compiled)
    inputs, constants = compiled[accounting.INPUTS], compiled[accounting.CONSTANTS]
    return {
        "source": source.name, "parameter": parameter, "ratio": f"{above}/{below}", "method": compiled[1][0],
        "version": compiled[1][1], "of": compiled[2], "scope": compiled[3], "category": accounting.category(compiled),
        "kind": accounting.kind(compiled), "gases": [gas for gas, _, _ in gases],
        "formula": "; ".join(formula.text(steps) for _, steps, _ in gases),
        "gwps": [gwp[4][0] if gwp[4] else "given" for _, _, gwp in gases],
        "matched": [{"parameter": name, "unit": unit, "from": "points"} for name, unit in inputs]
        + [{"parameter": row[0], "unit": row[1], "from": row[4][0] if row[4] else "given"} for row in constants],
    }  # fmt: skip


def warnings(site, at_ms):
    """What a person should know of the sources: superseded methods, factors that nobody compared with the print."""
    known, found = files.methods(), []
    for source in site.sources:
        method = known.get(source.compiled[accounting.METHOD][0])
        if method is not None:
            found += [f"source '{source.name}': {text}" for text in library.warnings(method, at_ms)]
        doubts = accounting.unconfirmed(source.compiled)
        if doubts:
            found.append(f"source '{source.name}': not confirmed against the printed text: {', '.join(doubts)} "
                         "(carbonterm factors confirm)")  # fmt: skip
    return found


# --- a new link ------------------------------------------------------------------------------------------------------


def point_of(site, meter, name):
    """(index, unit) of a point of an instrument; AccountingError names what there is."""
    index = _index([one.name for one in site.meters], meter, "instrument")
    mine = {point.name: at for at, point in enumerate(site.points) if point.meter == index}
    if name not in mine:
        raise AccountingError(f"{meter} has no point {quoted(name)}", hint(name, list(mine), "its points"))
    at = mine[name]
    if not site.is_amount(at):
        raise AccountingError(f"{name} is a value of the moment", "link the meter's running total, or integrate it")
    return at, site.unit(at)


def _index(names, name, what):
    if name not in names:
        raise AccountingError(f"there is no {what} {quoted(name)}", hint(name, names, what + "s"))
    return names.index(name)


def candidates(unit, method=None):
    """[{method, source, kind, scope, category, parameter, gases}] of sources that take activity in a unit like this."""
    found = []
    for one in files.methods().values() if method is None else [method]:
        for source in one.sources:
            for p in source.parameters if source.gives is None else ():
                if p.kind == "activity" and any(_fits(unit, text) for text in p.units):
                    found.append({"method": one.id, "source": source.id, "name_zh": source.name_zh,
                                  "name_en": source.name_en, "kind": source.kind, "scope": source.scope,
                                  "category": source.category, "parameter": p.name, "gases": source.gases})  # fmt: skip
    return found


def _fits(unit, text):
    return "GAS" not in text and units.fits(unit, text)


def match(site, meter, name, method, source, given, parameter=None):
    """What a link would be: {preset, method, source, gas, formula, gwp_set, matched, yaml}; AccountingError where a
    parameter is not matched, or measures something else. `given`: parameter → factor id or word, as in site.yaml."""
    _, unit = point_of(site, meter, name)
    fitting = [row["parameter"] for row in candidates(unit, method) if row["source"] == source.id]
    parameter = parameter or (fitting[0] if fitting else None)
    if parameter is None:
        takes = ", ".join(f"{p.name} ({' or '.join(p.units)})" for p in source.parameters if p.kind == "activity")
        raise AccountingError(f"{source.id} takes nothing in {unit}", f"it takes {takes}")
    compiled = library.compile_source(method, source, given, files.factors(), files.moment(None), {parameter: unit})
    names = [p.name for p in source.parameters]
    missing = [name for name, _ in compiled[accounting.INPUTS] if name != parameter]
    if missing:
        words = ", ".join(f"{name} ({source.parameter(split(name, names)[0]).name_zh})" for name in missing)
        raise AccountingError(f"not matched: {words}", "give --with NAME=FACTOR, or feed them from points in site.yaml")
    gases = accounting.parts(compiled)
    rows = [[parameter, f"[{name}]"], *([key, value] for key, value in given.items())]
    return {
        "preset": {"terminal": site.terminal_id, "instrument": meter, "point": name, "unit": unit},
        "method": method.id, "source": source.id, "kind": source.kind, "scope": source.scope,
        "category": source.category, "gases": [gas for gas, _, _ in gases], "formula": source.formula,
        "gwp_set": given.get("gwp_set", method.gwp_set),
        "matched": [{"parameter": parameter, "unit": compiled[accounting.INPUTS][0][1], "from": name,
                     "ratio": str(units.convert(1, unit, compiled[accounting.INPUTS][0][1]))}]
        + [{"parameter": row[0], "unit": row[1], "from": row[4][0] if row[4] else "given"}
           for row in compiled[accounting.CONSTANTS]],
        "yaml": f"  - {{name: {name}-{source.id}, method: {method.id}, source: {source.id}, "
                f"parameters: {{{', '.join(f'{key}: {value}' for key, value in rows)}}}}}",
    }  # fmt: skip


def given_of(texts):
    """{name: word} of NAME=WORD texts."""
    found = {}
    for text in texts:
        name, equals, word = text.partition("=")
        if not equals or not name or not word:
            raise CarbonError(f"{quoted(text)} is not NAME=FACTOR", "write it like EF=cn-nat-2022 or fuel=天然气")
        found[name] = word
    return found
