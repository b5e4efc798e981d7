"""Methods and factors as data: how their files are checked when they are loaded. This module reads dicts, never files.

The shapes are described in docs/accounting.md. Numbers are texts. What is wrong is said with method, source, parameter.
"""

from carbonterm import clock, formula, units
from carbonterm.accounting.model import FUEL, GAS, Factor, Factors, Method, Parameter, Part, Source
from carbonterm.accounting.source import ZONE
from carbonterm.errors import AccountingError, CarbonError, quoted
from carbonterm.nearest import hint
from carbonterm.number import Number

__all__ = ["FUEL", "GAS", "KINDS", "Factor", "Factors", "Method", "Parameter", "Part", "Source", "date",
           "load_factors", "load_method"]  # fmt: skip

KINDS = ("combustion", "feedstock", "carbonate", "recovery", "process", "fugitive", "electricity", "heat", "transport",
         "other", "sink", "auxiliary")  # fmt: skip
_FUEL_UNITS = (("NCV", "GJ/"), ("CC", "tC/GJ"), ("OF", "fraction"))
_BASES = ("found", "memory", "definition", "confirmed", "unknown")
_CONFIDENCES = ("high", "medium", "low", "none")


# --- loading --------------------------------------------------------------------------------------------------------


def load_method(data):
    """Method of a dict (accounting/methods/*.json); AccountingError names method, source and parameter of a mistake."""
    where = "method " + quoted(str(data.get("id") if isinstance(data, dict) else data))
    f = _Fields(data, where)
    method = Method()
    method.id, method.version = f.text("id"), f.integer("version", 1, 10**6)
    method.appendix_a = f.integer("appendix_a", 1, 99, None)
    method.name_zh, method.name_en = f.text("name_zh"), f.text("name_en")
    method.document, method.total = f.text("document"), f.text("total", "")
    method.start, method.end = f.validity()
    method.superseded = _superseded(f)
    method.gwp_set, method.fuel_set = f.text("gwp_set", None), f.text("fuel_set", None)
    method.gwp_sets = f.texts("gwp_sets", [method.gwp_set])
    method.gases, method.rules = f.texts("gases"), f.texts("rules", [])
    method.basis, method.confidence = f.choice("basis", _BASES), f.choice("confidence", _CONFIDENCES)
    method.note = f.text("note", "")
    method.sources = [_load_source(row, where) for row in f.list("sources")]
    f.done()
    _unique([source.id for source in method.sources], where + ": source")
    if method.gwp_set not in method.gwp_sets:
        raise AccountingError(where + ": gwp_set is not among its gwp_sets")
    for source in method.sources:
        for gas in source.gases:
            if gas not in method.gases:
                what = "%s: gas %s of source %s is not among its gases" % (where, quoted(gas), quoted(source.id))
                raise AccountingError(what, "write it into gases of the method")
            if method.gwp_set is None and gas not in ("CO2", "CO2e"):
                raise AccountingError("%s: gas %s needs a gwp_set" % (where, quoted(gas)), "SAR, AR4, AR5 or AR6")
    return method


def _superseded(f):
    """None or (by, from ms or None) of {"by": …, "from": …}."""
    value = f.object("superseded")
    if value is None:
        return None
    g = _Fields(value, f.where + ", superseded")
    by, since = g.text("by"), g.text("from", None)
    g.done()
    return by, None if since is None else date(since, g.where)


def _load_source(data, where):
    where += ", source " + quoted(str(data.get("id") if isinstance(data, dict) else data))
    f = _Fields(data, where)
    source = Source()
    source.id, source.name_zh, source.name_en = f.text("id"), f.text("name_zh"), f.text("name_en")
    source.scope, source.sign = f.integer("scope", 1, 3), f.integer("sign", -1, 1)
    source.category = f.integer("category", 1, 6, source.scope)
    source.kind = f.choice("kind", KINDS, "other")
    source.origin, source.note = f.text("source"), f.text("note", "")
    source.basis, source.confidence = f.choice("basis", _BASES), f.choice("confidence", _CONFIDENCES)
    source.gives = f.text("gives", None)
    if source.sign == 0:
        raise AccountingError(where + ": sign is 1 for an emission, -1 for a deduction")
    source.parameters = [_load_parameter(row, where) for row in f.list("parameters")]
    names = [p.name for p in source.parameters]
    _unique(names, where + ": parameter")
    rows = f.list("parts", None)
    source.choices, source.parts = None, []
    if rows is None:
        gas = f.either("gas") if source.gives is None else f.either("gas", "")
        if isinstance(gas, list):
            source.choices = gas
        source.parts.append(_load_part(f, None if source.gives or source.choices else gas, where, names))
    else:
        if not rows:
            raise AccountingError(where + ": parts are empty", "one for each gas")
        for row in rows:
            g = _Fields(row, where + ", part")
            source.parts.append(_load_part(g, g.text("gas"), where, names))
            g.done()
    f.done()
    _check_parameters(source, where, names)
    return source


def _load_part(f, gas, where, names):
    part = Part()
    part.gas, part.formula, part.carries = gas, f.text("formula"), f.text("carries", "1")
    part.program = _program(part.formula, names, where)
    _unit("t" + (gas or "CO2"), where)
    _unit(of_gas(part.carries, "CO2"), where)
    return part


def _program(text, names, where):
    try:
        return formula.compile(text, names)
    except CarbonError as error:
        raise AccountingError("%s: %s" % (where, error.what), error.hint)


def _check_parameters(source, where, names):
    """Derivations compile and end, and every parameter is used."""
    used = []
    for part in source.parts:
        used += formula.names(part.program)
    for p in source.parameters:
        if p.derive is not None:
            p.program = _program(p.derive, names, where + ", parameter " + quoted(p.name))
            used += formula.names(p.program)
    choices = max([1] + [len(p.units) for p in source.parameters])
    for p in source.parameters:
        if p.name not in used:
            raise AccountingError("%s: the formula does not use parameter %s" % (where, quoted(p.name)))
        if len(p.units) not in (1, choices):
            raise AccountingError("%s: parameter %s needs as many units as the others" % (where, quoted(p.name)))
        reached, more = [], [p.name]
        while more:
            program = source.parameter(more.pop()).program
            for name in formula.names(program or ()):
                if name == p.name:
                    raise AccountingError("%s: parameter %s is derived from itself" % (where, quoted(p.name)))
                if name not in reached:
                    reached.append(name)
                    more.append(name)


def _load_parameter(data, where):
    where += ", parameter " + quoted(str(data.get("name") if isinstance(data, dict) else data))
    f = _Fields(data, where)
    parameter = Parameter()
    parameter.name, parameter.name_zh, parameter.name_en = f.text("name"), f.text("name_zh"), f.text("name_en")
    parameter.units = [part.strip() for part in f.text("unit").split("|")]
    parameter.kind = f.choice("kind", ("activity", "factor", "constant"))
    parameter.default, parameter.choose = f.text("default", None), f.text("choose", None)
    parameter.derive, parameter.carries = f.text("derive", None), f.text("carries", "1")
    parameter.program, parameter.note = None, f.text("note", "")
    parameter.optional = f.flag("optional")
    f.done()
    for unit in parameter.units + [parameter.carries]:
        _unit(of_gas(unit, "CO2"), where)
    return parameter


def of_gas(text, gas):
    """A unit, carries or factor id with the chosen gas in the place of GAS; "" makes plain masses of unnamed gases."""
    return text.replace(GAS, gas)


def load_factors(*files):
    """Factors of dicts (accounting/factors/*.json). What a file says at its top holds for its rows."""
    factors = Factors()
    for data in files:
        where = "factor set " + quoted(str(data.get("id") if isinstance(data, dict) else data))
        f = _Fields(data, where)
        set_id = f.text("id")
        f.text("name_zh"), f.text("name_en"), f.text("note", "")
        rows, fuels = f.list("factors", []), f.list("fuels", [])
        shared = f.rest(("unit", "document", "source", "basis", "confidence", "valid_from", "valid_to", "uncertainty"))
        f.done()
        for row in rows:
            factor = _load_factor(row, shared, where)
            _add(factors, set_id, factor, where)
        for row in fuels:
            _load_fuel(factors, set_id, row, shared, where)
    return factors


def _load_factor(row, shared, where):
    where += ", factor " + quoted(str(row.get("id") if isinstance(row, dict) else row))
    f = _Fields(row, where, shared)
    factor = Factor()
    factor.id, factor.name_zh, factor.unit = f.text("id"), f.text("name_zh"), f.text("unit")
    factor.document, factor.source = f.text("document"), f.text("source")
    factor.basis, factor.confidence = f.choice("basis", _BASES), f.choice("confidence", _CONFIDENCES)
    factor.start, factor.end = f.validity()
    factor.uncertainty, factor.note = f.text("uncertainty", None), f.text("note", "")
    factor.evidence, factor.confirmation = f.text("evidence", None), f.text("confirmation", None)
    value = f.text("value")
    f.done()
    try:
        factor.value = Number(value)
    except CarbonError as error:
        raise AccountingError("%s: %s" % (where, error.what), error.hint)
    if not -(1 << 63) < factor.value.mantissa < 1 << 63:
        raise AccountingError(where + ": the value has more than 18 digits")
    _unit(factor.unit, where)
    return factor


def _load_fuel(factors, set_id, row, shared, where):
    """A fuel is one row and three factors: set/fuel/NCV, /CC and /OF."""
    where += ", fuel " + quoted(str(row.get("id") if isinstance(row, dict) else row))
    f = _Fields(row, where, shared)
    fuel, name, per = f.text("id"), f.text("name_zh"), f.text("per")
    values = [f.text(key, None) for key, _ in _FUEL_UNITS]
    own = f.rest(("document", "source", "basis", "confidence", "valid_from", "valid_to", "uncertainty", "note"))
    f.done()
    for i in range(3):
        key, unit = _FUEL_UNITS[i]
        if values[i] is not None:
            cell = {"id": "/".join((set_id, fuel, key)), "name_zh": name, "value": values[i]}
            cell["unit"] = unit + per if i == 0 else unit
            for k in own:
                cell[k] = own[k]
            _add(factors, set_id, _load_factor(cell, shared, where), where)
    factors.fuels.setdefault(set_id, {})[fuel] = name


def _add(factors, set_id, factor, where):
    if factor.id in factors.by_id:
        raise AccountingError("%s: factor %s is there twice" % (where, quoted(factor.id)))
    factors.add(set_id, factor)


class _Fields:
    """Takes the fields of a dict one by one and says where one is missing, wrong or not known."""

    def __init__(self, data, where, shared=None):
        if not isinstance(data, dict):
            raise AccountingError(where + " is not an object")
        self.data = dict(shared or {})
        for key in data:
            self.data[key] = data[key]
        self.where = where
        self.taken = list(shared or ())

    def _take(self, key, default):
        self.taken.append(key)
        value = self.data.get(key)
        if value is None:
            if default is _REQUIRED:
                raise AccountingError("%s lacks %s" % (self.where, quoted(key)), "every method and factor needs it")
            return default
        return value

    def text(self, key, *default):
        value = self._take(key, default[0] if default else _REQUIRED)
        if value is not None and not isinstance(value, str):
            raise AccountingError("%s: %s is not a text" % (self.where, quoted(key)), "write numbers as texts, too")
        return value

    def integer(self, key, low, high, *default):
        value = self._take(key, default[0] if default else _REQUIRED)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise AccountingError("%s: %s is not an integer from %d to %d" % (self.where, quoted(key), low, high))
        return value

    def list(self, key, *default):
        value = self._take(key, default[0] if default else _REQUIRED)
        if not isinstance(value, list) and (value is not None or not default):
            raise AccountingError("%s: %s is not a list" % (self.where, quoted(key)))
        return value

    def texts(self, key, *default):
        """A list of texts."""
        value = self.list(key, *default)
        for one in value:
            if one is not None and not isinstance(one, str):
                raise AccountingError("%s: %s is a list of texts" % (self.where, quoted(key)))
        return value

    def either(self, key, *default):
        """A text or a list of texts."""
        value = self.data.get(key)
        return self.texts(key) if isinstance(value, list) and value else self.text(key, *default)

    def flag(self, key):
        value = self._take(key, False)
        if not isinstance(value, bool):
            raise AccountingError("%s: %s is true or false" % (self.where, quoted(key)))
        return value

    def object(self, key):
        value = self._take(key, None)
        if value is not None and not isinstance(value, dict):
            raise AccountingError("%s: %s is an object" % (self.where, quoted(key)))
        return value

    def choice(self, key, allowed, *default):
        value = self.text(key, *default)
        if value not in allowed:
            what = "%s: %s is %s" % (self.where, quoted(key), quoted(value))
            raise AccountingError(what, "one of " + ", ".join(allowed))
        return value

    def validity(self):
        """(start, end) in ms of valid_from and valid_to; valid_to is the last day; None where the date is null."""
        start, end = self.text("valid_from", None), self.text("valid_to", None)
        start = None if start is None else date(start, self.where)
        end = None if end is None else date(end, self.where) + 86400000
        if start is not None and end is not None and start >= end:
            raise AccountingError(self.where + ": its validity ends before it begins")
        return start, end

    def rest(self, keys):
        """A dict of those of the keys that are there."""
        self.taken.extend(keys)
        return {key: self.data[key] for key in keys if key in self.data}

    def done(self):
        for key in sorted(self.data):
            if key not in self.taken:
                what = "%s: unknown field %s" % (self.where, quoted(str(key)))
                raise AccountingError(what, hint(str(key), self.taken))


_REQUIRED = object()


def date(text, where="date"):
    """Milliseconds of the start of a day "2024-05-01" in China."""
    parts = text.split("-")
    if len(text) == 10 and [len(part) for part in parts] == [4, 2, 2]:
        try:
            return clock.stamp(*[Number(part).mantissa for part in parts], zone=ZONE)
        except CarbonError as error:
            raise AccountingError("%s: %s" % (where, error.what), error.hint)
    raise AccountingError("%s: %s is not a date" % (where, quoted(text)), "write it like 2024-05-01")


def _unit(text, where):
    try:
        return units.parse(text)
    except CarbonError as error:
        raise AccountingError("%s: %s" % (where, error.what), error.hint)


def _unique(names, what):
    for i in range(len(names)):
        if names[i] in names[:i]:
            raise AccountingError("%s %s is there twice" % (what, quoted(names[i])))
