"""The file of `carbonterm uncertainty`: YAML or JSON, every number kept as it is written.

    title: …
    inputs: {FC: {value: 1000, class: 0.5}, NCV: {value: 20, U: 2%}, …}     what a formula's names are
    model: FC*NCV*CC*OF*44/12
    sources: {boiler: formula, steam: {method, source, at, values, uncertainty}}     in place of the model: several
    inventory: [{name, emission, activity: 5%, factor: 10%}]     rows of IPCC approach 1, Table 3.2; with base, of the
                                          year to compare with, the trend, too; activity_group, factor_group: shared
    correlations: [[NCV, CC, 0.5]]
    model_error: 3%                       of the total
    coverage: 0.95                        or k: 2
    monte_carlo: {seed: 1, trials: 200000}
    checks: {sources: […], repeated: […], history: {value: …, past: […]}}
"""

import json
from pathlib import Path

import yaml

from carbonterm import formula
from carbonterm.accounting import approach1
from carbonterm.accounting.agreement import against_history, several
from carbonterm.accounting.library import account, date
from carbonterm.accounting.uncertainty import LEVELS, repeated, root, stated
from carbonterm.errors import AccountingError, CarbonError, quoted
from carbonterm.number import Number, Ratio
from carbonterm_host import library, uncertain
from carbonterm_host.screen import USAGE, Failure

_FIELDS = ("title", "inputs", "model", "sources", "inventory", "correlations", "model_error", "coverage", "k",
           "monte_carlo", "checks")  # fmt: skip


def read(path):
    """The document with all numbers as texts; Failure where it cannot be read or has an unknown field."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        if str(path).endswith(".json"):
            found = json.loads(text, parse_float=str, parse_int=str)
        else:
            found = yaml.load(text, Loader=yaml.BaseLoader)
    except (OSError, UnicodeDecodeError, ValueError, yaml.YAMLError) as error:
        raise Failure(USAGE, f"{path}: {error}", "a YAML or JSON file as docs/uncertainty.md says") from None
    _table(found, "the file", _FIELDS)
    if not {"checks", "inventory"} & set(found) and ("model" in found) == ("sources" in found):
        raise AccountingError("the file has neither a model nor sources, or both", "give one: a formula, or sources")
    level = found.get("coverage")
    if level is not None and level not in LEVELS:
        raise AccountingError(f"no coverage of {quoted(str(level))}", "one of " + ", ".join(LEVELS))
    return found


def _table(value, what, known):
    if not isinstance(value, dict):
        raise AccountingError(f"{what} is not a table of names and values", "see docs/uncertainty.md")
    for name in value:
        if name not in known:
            raise AccountingError(f"{what} knows no {quoted(str(name))}", "known: " + ", ".join(known))
    return value


def _texts(row):
    for name, value in row.items():
        if not isinstance(value, str):
            raise AccountingError(f"{name} is not one value", "write it like name: boiler, factor: 10%")


def _list(value, what):
    if not isinstance(value, list):
        raise AccountingError(f"{what} is not a list", "see docs/uncertainty.md")
    return value


def model(document):
    """The uncertain.Model of a document."""
    found = uncertain.Model()
    inputs = document.get("inputs", {})
    if not isinstance(inputs, dict):
        raise AccountingError("inputs is not a table", "write NAME: {value: 1000, U: 2%}")
    used = set()
    sources = {"total": document["model"]} if "model" in document else document["sources"]
    if not isinstance(sources, dict) or not sources:
        raise AccountingError("sources is not a table of names", "write NAME: formula")
    for name, what in sources.items():
        if isinstance(what, str):
            steps = formula.compile(what, list(inputs))
            used |= set(formula.names(steps))
            found.terms.append((name, steps, Ratio(1)))
        else:
            _accounted(found, name, what)
    for name, fields in inputs.items():
        if name not in used:
            raise AccountingError(f"no formula uses the input {quoted(name)}", "leave it out, or correct its name")
        _input(found, name, fields)
    if "model_error" in document:
        uncertain.model_error(found, str(document["model_error"]))
    for row in _list(document.get("correlations", []), "correlations"):
        if not isinstance(row, list) or len(row) != 3 or not all(isinstance(one, str) for one in row):
            raise AccountingError("a correlation is [name, name, r]", "like [NCV, CC, 0.5]")
        found.correlations.append(tuple(row))
    return found


def _input(found, name, fields):
    if not isinstance(fields, dict) or "value" not in fields:
        raise AccountingError(f"{name} has no value", "write it like {value: 1000, U: 2%}")
    group = fields.get("group", "acquisition")
    if group not in uncertain.GROUPS:
        raise AccountingError(f"{name}: unknown group {quoted(str(group))}", "one of " + ", ".join(uncertain.GROUPS))
    rest = {key: value for key, value in fields.items() if key not in ("value", "group", "unit", "note")}
    if name == uncertain.MODEL:
        raise AccountingError("an input cannot be called model", "the model's own error is model_error")
    found.take(name, Number(str(fields["value"])).ratio(), rest or None, group, "stated")


def _accounted(found, name, what):
    _table(what, f"source {name}", ("method", "source", "values", "at", "uncertainty"))
    for needed in ("method", "source", "at"):
        if needed not in what:
            raise AccountingError(f"source {name} lacks {needed}", "method, source, at (a day), values, uncertainty")
    from carbonterm_host.commands.account import all_given  # values as on the command line

    method = library.method(what["method"])
    values = all_given([f"{key}={value}" for key, value in what.get("values", {}).items()])
    result = account(method, what["source"], values, library.factors(), date(what["at"], "at"))
    uncertain.add_result(found, name, method.source(what["source"]), result, what.get("uncertainty", {}))


# --- IPCC approach 1 -------------------------------------------------------------------------------------------------


def inventory(document):
    """Table 3.2 of the rows of `inventory`, with the trend where every row has its base; None without any."""
    if "inventory" not in document:
        return None
    known = ("name", "emission", "activity", "factor", "base", "activity_group", "factor_group")
    rows = [_table(row, "a row of the inventory", known) for row in _list(document["inventory"], "inventory")]
    for row in rows:
        _texts(row)
    if not rows or any("name" not in row or "emission" not in row for row in rows):
        what = "a row of the inventory lacks its name or emission"
        raise AccountingError(what, "write {name: …, emission: …, factor: 10%}")
    percents = [[_percent(row, name) for name in ("activity", "factor")] for row in rows]
    found = approach1.approach1(
        [(row["name"], str(row["emission"]), *percents[i], row.get("activity_group"), row.get("factor_group"))
         for i, row in enumerate(rows)]
    )  # fmt: skip
    view = {
        "total": str(found.total.round(6)), "percent": str(found.percent),
        "rows": [{"name": name, "emission": str(emission.round(6)), "percent": str(percent),
                  "share_percent": str(share)} for name, emission, percent, share in found.rows],
    }  # fmt: skip
    if all("base" in row for row in rows):
        change = approach1.trend([(row["name"], str(row["base"]), str(row["emission"]), *percents[i])
                                  for i, row in enumerate(rows)])  # fmt: skip
        view["trend"] = {"change_percent": str(change.change.round(4)), "percentage_points": str(change.percent)}
        for row, (_, a, b, factor, activity, both) in zip(view["rows"], change.rows, strict=True):
            row |= {"A": str(a.round(4)), "B": str(b.round(4)), "trend_by_factor": str(factor),
                    "trend_by_activity": str(activity), "trend_by_both": str(both)}  # fmt: skip
    return view


def _percent(row, name):
    text = str(row.get(name, "0")).strip().removesuffix("%").strip()
    try:
        if Number(text) < 0:
            raise AccountingError(f"an uncertainty of {text} %", "it is a width, never below 0")
    except CarbonError as error:
        raise AccountingError(f"{row['name']}, {name}: {error.what}", error.hint) from error
    return text


# --- checks ----------------------------------------------------------------------------------------------------------


def checks(document):
    """Results of the three checks of the park document's 7.4 that the file asks for."""
    wanted = _table(document.get("checks", {}), "checks", ("sources", "repeated", "history"))
    found = {}
    if "sources" in wanted:
        found["sources"] = _sources(wanted["sources"])
    if "repeated" in wanted:
        readings = [Number(str(one)) for one in _list(wanted["repeated"], "repeated")]
        mean, variance = repeated(readings)
        found["repeated"] = {
            "n": len(readings), "mean": str(mean.round(6)), "s": str(root(variance)),
            "s_percent": None if mean == 0 else str(root(variance * 10000 / (mean * mean), 4)),
            "u_mean": str(root(variance / len(readings))), "dof": len(readings) - 1,
        }  # fmt: skip
    if "history" in wanted:
        table = _table(wanted["history"], "history", ("value", "past", "coverage"))
        value, level = Number(str(table.get("value"))), table.get("coverage", "0.95")
        past = [Number(str(one)) for one in _list(table.get("past"), "past")]
        mean, width, inside = against_history(value, past, level)
        found["history"] = {"value": str(value), "mean": str(mean.round(6)), "half_width": str(width), "n": len(past),
                            "coverage": level, "inside": bool(inside)}  # fmt: skip
    return found


def _sources(rows):
    sources = []
    for row in _list(rows, "sources to compare"):
        if not isinstance(row, dict) or not isinstance(row.get("name"), str) or "value" not in row:
            raise AccountingError("a source to compare lacks its name or value", "write {name: …, value: …, U: 2%}")
        value = Number(str(row["value"]))
        fields = {key: one for key, one in row.items() if key not in ("name", "value")}
        try:
            variance, _, _ = stated(fields, value)
        except CarbonError as error:
            raise AccountingError(f"{row['name']}: {error.what}", error.hint) from error
        sources.append((row["name"], value, root(variance, 12)))
    mean, u, birge, errors = several(sources)
    return {
        "mean": str(mean.round(6)), "u": str(u), "birge": str(birge),
        "En": {name: str(error.round(3)) for name, error in errors},
        "agree": all(abs(error) <= 1 for _, error in errors),
    }  # fmt: skip
