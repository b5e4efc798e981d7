"""How a source is accounted, in a form: its formulas, factors and what feeds it (10.6.3; docs/accounting.md).

A formula may use the source's own names and no others; a name that it uses no more goes. It has to give what the one
before gives, unit for unit: so a formula of a method, which was checked there, stays one of tonnes. Who changes a
formula makes it another one than the method's: the source then says so in place of the method. A factor that is changed
gets the origin that is given with it.
"""

from carbonterm import formula, units
from carbonterm.accounting import source as accounting
from carbonterm.accounting.of_units import unit_of
from carbonterm.errors import AccountingError, CarbonError, SiteError, quoted
from carbonterm.number import Number
from carbonterm_device.page.fields import NUMBER, TEXT, Kind

OWN = "site:"  # before the name of the method whose formula was changed
_LINES = Kind("\n".join, lambda text: [one.strip() for one in text.split("\n") if one.strip()], None, True)
_FORMULA = Kind(lambda value: formula.text(value), lambda text: text, None, True)


def inputs(draft, row):
    """As carbonterm_device.page.fields.of."""
    found = [("name", "名称", "name", TEXT, "name", None)]
    compiled = row["compiled"]
    for at, (gas, _, _) in enumerate(accounting.parts(compiled)):
        found.append(("formula.%d" % at, "公式 (%s, t)" % gas, "formula of its mass", _FORMULA, "formula", at))
    for at, (name, unit, _, _, origin) in enumerate(compiled[accounting.CONSTANTS]):
        found.append(("factor.%d" % at, "因子 %s, %s" % (name, unit or "1"), "factor", NUMBER, "factor", at))
        found.append(("origin.%d" % at, "%s 的来源" % name, "its source" + _basis(origin), TEXT, "origin", at))
    for at, (name, _) in enumerate(row["inputs"]):
        unit = dict(compiled[accounting.INPUTS]).get(name)
        found.append(("feed.%d" % at, "参数 %s, %s" % (name, unit or "1"), "points, one a line", _LINES, "feed", at))
    return found


def _basis(origin):
    return ", " + origin[2] if origin else ""


def view(row):
    """The row as its form shows it: {field: value or values of its places}."""
    compiled = row["compiled"]
    return {
        "name": row["name"], "formula": [part[1] for part in accounting.parts(compiled)],
        "factor": [[one[3], one[2]] for one in compiled[accounting.CONSTANTS]],
        "origin": [one[4][1] if one[4] else None for one in compiled[accounting.CONSTANTS]],
        "feed": [[point for point, _, _ in points] for _, points in row["inputs"]],
    }  # fmt: skip


def read(draft, before, words):
    """(row, {}) or (None, {input: what is wrong})."""
    wrong, compiled = {}, list(before["compiled"])
    if compiled[0] != accounting.FORM:
        return None, {"": "this source has the former form; compile the site document again with carbonterm site check"}
    constants = _factors(compiled[accounting.CONSTANTS], words, wrong)
    known = [name for name, _ in compiled[accounting.INPUTS]] + [one[0] for one in constants]
    used, parts = [], []
    for at, (gas, steps, gwp) in enumerate(compiled[accounting.PARTS]):
        name = "formula.%d" % at
        try:
            made = formula.compile(words.get(name, formula.text(steps)), known)
            if formula.text(made) == formula.text(steps):
                made = steps
            else:
                _measures_the_same(compiled, steps, made)
        except CarbonError as error:
            wrong[name] = str(error)
            continue
        if made is not steps and not compiled[accounting.METHOD][0].startswith(OWN):
            compiled[accounting.METHOD] = [OWN + compiled[accounting.METHOD][0], compiled[accounting.METHOD][1]]
        parts.append([gas, made, gwp])
        used += formula.names(made)
    feeds = _feeds(draft, before, compiled, words, used, wrong)
    if wrong:
        return None, wrong
    compiled[accounting.PARTS] = parts
    compiled[accounting.CONSTANTS] = [one for one in constants if one[0] in used]
    compiled[accounting.INPUTS] = [one for one in compiled[accounting.INPUTS] if one[0] in used]
    try:
        accounting.check(compiled)
    except CarbonError as error:
        return None, {"formula.0": str(error)}
    return {"name": words.get("name", before["name"]).strip(), "compiled": compiled, "inputs": feeds}, {}


def _measures_the_same(compiled, steps, made):
    """AccountingError or UnitError unless a changed formula adds like to like and gives the unit of the one before."""
    named = {row[0]: row[1] or "1" for row in compiled[accounting.INPUTS] + compiled[accounting.CONSTANTS]}
    found, wanted = unit_of(made, named), unit_of(steps, named)
    if not units.same(found, wanted):
        both = found.text or "1", wanted.text or "1"
        raise AccountingError("it gives %s, and the formula before gives %s" % both,
                              "multiply by what is missing, or make a method of it · 单位不一致")  # fmt: skip


def _factors(rows, words, wrong):
    found = []
    for at, (name, unit, exponent, mantissa, origin) in enumerate(rows):
        key, source = "factor.%d" % at, words.get("origin.%d" % at, "").strip()
        try:
            number = Number(words[key].strip()) if key in words else Number(mantissa, exponent)
        except CarbonError as error:
            wrong[key] = str(error)
            continue
        if number == Number(mantissa, exponent) and source == (origin[1] if origin else ""):
            found.append([name, unit, exponent, mantissa, origin])
        elif not source:
            wrong["origin.%d" % at] = "a factor has a source: name the document · 请填写因子来源"
        else:
            found.append([name, unit, number.exponent, number.mantissa,
                          ["site/" + name, source, "confirmed", "high", None, None]])  # fmt: skip
    return found


def _feeds(draft, before, compiled, words, used, wrong):
    found, wanted = [], dict(compiled[accounting.INPUTS])
    for at, (name, points) in enumerate(before["inputs"]):
        if name not in used:
            continue
        key = "feed.%d" % at
        try:
            chosen = _LINES.read(words[key]) if key in words else [point for point, _, _ in points]
            if not chosen:
                raise SiteError("nothing feeds it", "name a point on each line · 每行一个数据点")
            kept = {point: [point, above, below] for point, above, below in points}
            found.append([name, [kept.get(point) or _ratio(draft, point, wanted[name]) for point in chosen]])
        except CarbonError as error:
            wrong[key] = str(error)
    return found


def _ratio(draft, point, unit):
    """[point, numerator, denominator] that converts its unit."""
    for row in draft.parts["series"]:
        if row["point"] == point and row["unit"] is not None:
            ratio = units.convert(1, row["unit"], unit)
            return [point, ratio.numerator, ratio.denominator]
    for part in ("points", "manual", "virtual"):
        for row in draft.parts[part]:
            if row["name"] == point:
                ratio = units.convert(1, row["unit"], unit)
                return [point, ratio.numerator, ratio.denominator]
    raise SiteError("there is no point %s" % quoted(point), "the points are on their own page · 见数据点页")
