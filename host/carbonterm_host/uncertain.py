"""How uncertain a total is: its formula or methods, inputs with what is stated of each, budget by the GUM (exact).

A `Model` is a sum of terms: steps of a formula, a scale (sign × GWP), and names that are those of its inputs. A factor
that several sources use is one input, so its parts add up before they are squared. Every input belongs to a group:
acquisition (what was measured), factor, or model (what the formula itself leaves out), as the park document's 7.4 asks.
"""

import re

import typer

from carbonterm import formula
from carbonterm.accounting.source import SIGN, parts
from carbonterm.accounting.uncertainty import DIGITS, Input, budget, gradient, root, stated
from carbonterm.errors import AccountingError, CarbonError, quoted
from carbonterm.number import Number, Ratio

GROUPS = ("acquisition", "factor", "model")
GROUPS_ZH = {"acquisition": "采集误差", "factor": "排放因子", "model": "模型误差"}
NORMAL_95 = Number("1.959964")
MODEL = "model"  # the input of value 1 that stands for the model's own error

# what is taken where nothing is stated, and said so: (kind of source, kind of parameter, its names, U95, source)
DEFAULTS = (
    ("combustion", "activity", None, "5%", "IPCC 2006 V2 Table 2.15, upper end of ±1 to ±5 (memory, medium)"),
    ("combustion", "factor", ("CC", "EF"), "5%", "IPCC 2006 V2 2.4, carbon content (memory, medium)"),
    ("process", "factor", ("Bo",), "30%", "IPCC 2006 V5 Table 6.10 (memory, medium)"),
)
OPTION = typer.Option(
    [], "--uncertainty", metavar="NAME=U,…", help="2% (k = 2), class:0.5, a:1%, u:…, U95:…; auto · 各参数不确定度"
)
_PERCENT = re.compile(r"±\s*([0-9]+(?:\.[0-9]+)?)\s*%")
_RANGE = re.compile(r"range\s+([0-9]+(?:\.[0-9]+)?)\s*-\s*([0-9]+(?:\.[0-9]+)?)")
_HOW = re.compile(r"(u|U|U95|a|class|resolution):(.+)")


class Model:
    """terms: list of (source, steps, scale Ratio); inputs: {name: Input}; stated: {name: where its uncertainty comes
    from}, without: names of inputs of which nothing is stated (taken as exact); correlations: [(name, name, r)]."""

    def __init__(self):
        self.terms = []
        self.inputs = {}
        self.stated = {}
        self.without = []
        self.correlations = []

    def take(self, name, value, fields, group, how):
        """One more input; fields: what is stated (None: nothing). The same name again is the same quantity; what is
        stated of it at one place (how "stated") holds at all of them."""
        try:
            variance, dof, shape = stated(fields, value) if fields else (Ratio(0), None, "normal")
        except CarbonError as error:
            raise AccountingError(f"{name}: {error.what}", error.hint) from error
        if name in self.inputs:
            before = self.inputs[name]
            if before.value != value:
                raise AccountingError(f"{name} has two values, {before.value} and {value}", "name them apart")
            if how != "stated":
                return
            if self.stated.get(name) == "stated" and before.variance != variance:
                raise AccountingError(f"{name} has two uncertainties", "it is one quantity: state one")
        self.inputs[name] = Input(name, value, variance, dof, shape, group)
        if fields:
            self.stated[name] = how
            self.without = [other for other in self.without if other != name]
        else:
            self.without.append(name)

    def values(self):
        return {name: one.value for name, one in self.inputs.items()}

    def sources(self):
        """{source: (value, slopes)} in the order of the terms."""
        found, values = {}, self.values()
        for source, steps, scale in self.terms:
            value, slopes = gradient(steps, values)
            before, total = found.get(source, (Ratio(0), {}))
            total = dict(total)
            for name, slope in slopes.items():
                total[name] = total.get(name, Ratio(0)) + slope * scale
            found[source] = (before + value * scale, total)
        return found

    def budgets(self):
        """(Budget of the total, {source: Budget})."""
        total, slopes, each = Ratio(0), {}, {}
        inputs = list(self.inputs.values())
        error = self.inputs.get(MODEL)
        for source, (value, own) in self.sources().items():
            total = total + value
            for name, slope in own.items():
                slopes[name] = slopes.get(name, Ratio(0)) + slope
            each[source] = budget(value, own, inputs, self.correlations)
        if error is not None:
            slopes[MODEL] = total
        return budget(total, slopes, inputs, self.correlations), each


def fields_of(text):
    """{kind: amount} of a short statement: 2% (expanded, k = 2), u:0.5, class:0.5, a:1%, U95:5%, resolution:0.01."""
    found = _HOW.fullmatch(text.strip())
    return {found[1]: found[2].strip()} if found else {"U": text.strip()}


def of_factor(text, value):
    """What a factor's note on its uncertainty states, as fields; None where it cannot be computed with."""
    if not text:
        return None
    found = _PERCENT.search(text)
    if found:
        return {"U95": found[1] + "%"}
    found = _RANGE.search(text)
    if found:
        width = max(abs(value - Number(found[1])), abs(Number(found[2]) - value), key=lambda n: n.ratio())
        return {"a": str(width), "shape": "rectangular"}
    return None


def options(texts, values):
    """{name: statement} of --uncertainty: NAME=STATEMENT or "auto", several with commas. values: what was given with
    the command, into which none may have strayed (--uncertainty A=2% B=5% makes B=5% a value)."""
    given = {}
    for text in ",".join(texts).split(","):
        name, equals, how = (part.strip() for part in text.partition("="))
        if not text.strip() or (not equals and name == "auto"):
            continue
        if not name or not how or name in given:
            raise AccountingError(f"--uncertainty {quoted(text)} is not NAME=2%", "each once; or auto")
        given[name] = how
    for value in values if texts else ():
        name = value.partition("=")[0]
        if value.endswith("%") and [one for one in values if one.partition("=")[0] == name and one != value]:
            raise AccountingError(f"{value} behind --uncertainty is read as a value", "write --uncertainty A=2%,B=5%")
    return given


def of_result(source, result, given):
    """budget_view (k = 2) of an accounted source; given: {name: statement}, as of `options`."""
    model, given = Model(), dict(given)
    if MODEL in given:
        model_error(model, given.pop(MODEL))
    add_result(model, "", source, result, given)
    return budget_view(model, model.budgets()[0])


def _renamed(steps, names):
    return [names[step] if isinstance(step, str) else step for step in steps]


def add_result(model, label, source, result, given):
    """The terms of an accounted source (carbonterm.accounting.library.Result). given: {name or key: fields or text}."""
    if result.compiled is None:
        raise AccountingError(f"{source.id} is no emission", "state the uncertainty of what it is used for")
    names, left = {}, dict(given)
    for row in result.rows:
        p, factor = row.parameter, row.factor
        name = factor.id if factor else f"{label}.{row.key}" if label else row.key
        names[row.key] = name
        fields, how = left.pop(row.key, None) or given.get(p.name), "stated"
        left.pop(p.name, None)
        if isinstance(fields, str):
            fields = fields_of(fields)
        if fields is None and factor is not None:
            fields, how = of_factor(factor.uncertainty, factor.value), f"factor {factor.id}: {factor.uncertainty}"
        if fields is None:
            fields, how = _default(source, p)
        group = (fields or {}).get("group") or ("acquisition" if p.kind == "activity" else "factor")
        model.take(name, row.value.ratio(), fields, group, how)
    _add_gwps(model, result, left)
    for name in left:
        known = [row.key for row in result.rows]
        raise AccountingError(f"{quoted(name)} is no parameter of {source.id}", "known: " + ", ".join(known))
    for gas, steps, gwp in parts(result.compiled):
        scale = Number(gwp[3], gwp[2]) * result.compiled[SIGN]
        known = dict(names)
        if f"GWP {gas}" in model.inputs:
            known["GWP"] = f"GWP {gas}"
            steps, scale = [*steps, "GWP", formula.MULTIPLY], Number(result.compiled[SIGN])
        model.terms.append((label or source.id, _renamed(steps, known), scale.ratio()))


def _add_gwps(model, result, left):
    """A GWP is an input where something is stated of it: GWP=… for one gas, "GWP CH4"=… among several."""
    for gas, value, _ in result.gwps:
        for key in (f"GWP {gas}", "GWP"):
            if key in left:
                fields = left.pop(key)
                fields = fields_of(fields) if isinstance(fields, str) else fields
                model.take(f"GWP {gas}", value.ratio(), fields, "factor", "stated")


def _default(source, parameter):
    for kind, what, names, percent, document in DEFAULTS:
        if source.kind == kind and parameter.kind == what and (names is None or parameter.name in names):
            return {"U95": percent}, "assumed: " + document
    return None, ""


def model_error(model, text):
    """The model's own error, as a short statement relative to the total."""
    model.take(MODEL, Ratio(1), fields_of(text), "model", "stated")


# --- what is shown ---------------------------------------------------------------------------------------------------


def _row_view(one, slope, part, total):
    value = one.value.number()
    share = part * 100 / total if total > 0 else Ratio(0)
    relative = None if one.value == 0 else root(one.variance * 10000 / (one.value * one.value), 4)
    return {
        "name": one.name, "value": str(one.value.round(12).normal() if value is None else value),
        "u": str(root(one.variance, DIGITS)), "u_percent": None if relative is None else str(relative),
        "dof": None if one.dof is None else str(one.dof.round(2).normal()), "shape": one.shape, "group": one.group,
        "sensitivity": _significant(slope), "contribution_percent": str(share.round(2)),
    }  # fmt: skip


def _significant(ratio, digits=6):
    size = root(ratio * ratio, digits)
    return str(-size if ratio < 0 else size)


def _relative(found, k):
    """k × u in per cent of the value; None where that is 0."""
    return None if found.value == 0 else root(found.variance * k * k * 10000 / found.value / found.value, 4)


def budget_view(model, found, level=None, k="2"):
    """The budget of a total as plain data: value, u, U with k, coverage, degrees of freedom, rows, shares of groups."""
    expanded, factor = found.expanded(level, None if level else k)
    relative, approach1 = (_relative(found, one) for one in (factor, NORMAL_95))
    rows = [_row_view(one, slope, part, found.variance) for one, slope, part in found.rows if one.variance > 0]
    groups = {}
    for one, _, part in found.rows:
        groups[one.group] = groups.get(one.group, Ratio(0)) + part
    shares = {g: str((groups[g] * 100 / found.variance).round(2)) for g in GROUPS if g in groups and found.variance > 0}
    return {
        "value": str(found.value.round(6)), "u": str(found.u()), "U": str(expanded), "k": str(factor),
        "coverage": level or ("about 0.95" if k == "2" else None),
        "percent": None if relative is None else str(relative),
        "dof": None if found.dof is None else str(found.dof.round(1)),
        "ipcc_approach1_percent": None if approach1 is None else str(approach1), "groups_percent": shares,
        "correlated_percent": str((found.correlated * 100 / found.variance).round(2)) if found.variance > 0 else "0",
        "rows": sorted(rows, key=lambda row: -Number(row["contribution_percent"]).at(-2)),
        "stated": dict(model.stated), "without": list(model.without),
    }  # fmt: skip
