"""Methods and factors as data: what they are made of, and how their files are checked when they are loaded.

A *method* is a guide's way to account (《工业其他行业企业…核算方法与报告指南》); its *sources* have a formula over
*parameters*: activity data that is measured, and factors. A *factor* has a unit, a document, a validity and says how
sure its value is (basis found or memory; confidence high, medium, low). This module reads plain dicts, never files.
"""

from carbonterm import clock, formula, units
from carbonterm.accounting.source import ZONE, doubtful, in_force
from carbonterm.errors import AccountingError, CarbonError, quoted
from carbonterm.nearest import hint
from carbonterm.number import Number

FUEL = "fuel"  # the name that chooses all fuel parameters at once
_FUEL_UNITS = (("NCV", "GJ/"), ("CC", "tC/GJ"), ("OF", "fraction"))
_BASES = ("found", "memory", "definition", "confirmed", "unknown")
_CONFIDENCES = ("high", "medium", "low", "none")


class Parameter:
    """name, name_zh, name_en, units (alternatives, e.g. t or 10^4Nm3), kind "activity" or "factor", default (a factor's
    id or None), choose (the factor set to choose from, FUEL, or None)."""

    __slots__ = ("name", "name_zh", "name_en", "units", "kind", "default", "choose")


class Source:
    """id, name_zh, name_en, scope (1, 2, 3), gas, sign (1 or -1), formula (text), steps, carries (the unit that the
    formula's own numbers carry, as tCO2/tC for 44/12), parameters (list), origin, basis, confidence, note."""

    __slots__ = ("id", "name_zh", "name_en", "scope", "gas", "sign", "formula", "steps", "carries", "parameters",
                 "origin", "basis", "confidence", "note")  # fmt: skip

    def parameter(self, name):
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise AccountingError(
            "source %s has no parameter %s" % (quoted(self.id), quoted(name)),
            hint(name, [p.name for p in self.parameters], "its parameters"),
        )


class Method:
    """id, version, name_zh, name_en, document, start and end of validity in ms (or None), gwp_set, fuel_set, gases,
    sources (list of Source), total, basis, confidence, note."""

    __slots__ = ("id", "version", "name_zh", "name_en", "document", "start", "end", "gwp_set", "fuel_set", "gases",
                 "sources", "total", "basis", "confidence", "note")  # fmt: skip

    def source(self, name):
        for source in self.sources:
            if source.id == name:
                return source
        raise AccountingError(
            "method %s has no source %s" % (quoted(self.id), quoted(name)),
            hint(name, [s.id for s in self.sources], "its sources"),
        )


class Factor:
    """id, name_zh, value (Number), unit, document, source (where the value was read), basis, confidence, start and end
    of validity in ms (end exclusive; None: open), uncertainty (text or None), note."""

    __slots__ = ("id", "name_zh", "value", "unit", "document", "source", "basis", "confidence", "start", "end",
                 "uncertainty", "note")  # fmt: skip

    @property
    def unconfirmed(self):
        """From memory or of low confidence: every output that used it says so until a person has confirmed it."""
        return doubtful(self.basis, self.confidence)


class Factors:
    """All factors of a library by id."""

    def __init__(self):
        self.by_id = {}
        self.sets = {}  # set id -> ids of its factors, as in the file
        self.fuels = {}  # set id -> {fuel id: name_zh}

    def factor(self, id, at_ms):
        """The Factor of an id; AccountingError where it is unknown or not valid at that moment."""
        found = self.by_id.get(id)
        if found is None:
            raise AccountingError("unknown factor " + quoted(id), hint(id, list(self.by_id), "known factors"))
        in_force("factor " + quoted(id), found.start, found.end, at_ms)
        return found

    def fuel(self, set_id, name):
        """Id "set/fuel" of a fuel by its id or Chinese name in a set, or by "set/fuel"."""
        if "/" in name:
            set_id, name = name.split("/", 1)
        fuels = self.fuels.get(set_id)
        if fuels is None:
            set_id = str(set_id)
            raise AccountingError("unknown fuel set " + quoted(set_id), hint(set_id, list(self.fuels), "sets"))
        for id in fuels:
            if name == id or name == fuels[id]:
                return set_id + "/" + id
        known = list(fuels) if name < "\x7f" else list(fuels.values())
        raise AccountingError(
            "fuel set %s has no fuel %s" % (quoted(set_id), quoted(name)), hint(name, known, "its fuels")
        )

    def of(self, choose):
        """Ids of the factors of a set, or of those whose ids begin with `choose` and a slash."""
        return self.sets.get(choose) or sorted(id for id in self.by_id if id.startswith(choose + "/"))


# --- loading --------------------------------------------------------------------------------------------------------


def load_method(data):
    """Method of a dict (accounting/methods/*.json); AccountingError names method, source and parameter of a mistake."""
    where = "method " + quoted(str(data.get("id") if isinstance(data, dict) else data))
    f = _Fields(data, where)
    method = Method()
    method.id, method.version = f.text("id"), f.integer("version", 1, 10**6)
    method.name_zh, method.name_en = f.text("name_zh"), f.text("name_en")
    method.document, method.total = f.text("document"), f.text("total", "")
    method.start, method.end = f.validity()
    method.gwp_set, method.fuel_set = f.text("gwp_set"), f.text("fuel_set", None)
    method.gases = f.list("gases")
    method.basis, method.confidence = f.choice("basis", _BASES), f.choice("confidence", _CONFIDENCES)
    method.note = f.text("note", "")
    method.sources = [_load_source(row, where) for row in f.list("sources")]
    f.done()
    _unique([source.id for source in method.sources], where + ": source")
    for source in method.sources:
        if source.gas not in method.gases:
            raise AccountingError("%s: the gas of source %s is not among its gases" % (where, quoted(source.id)))
    return method


def _load_source(data, where):
    where += ", source " + quoted(str(data.get("id") if isinstance(data, dict) else data))
    f = _Fields(data, where)
    source = Source()
    source.id, source.name_zh, source.name_en = f.text("id"), f.text("name_zh"), f.text("name_en")
    source.scope, source.sign = f.integer("scope", 1, 3), f.integer("sign", -1, 1)
    source.gas, source.formula, source.carries = f.text("gas"), f.text("formula"), f.text("carries", "1")
    source.origin, source.note = f.text("source"), f.text("note", "")
    source.basis, source.confidence = f.choice("basis", _BASES), f.choice("confidence", _CONFIDENCES)
    source.parameters = [_load_parameter(row, where) for row in f.list("parameters")]
    f.done()
    names = [p.name for p in source.parameters]
    _unique(names, where + ": parameter")
    try:
        source.steps = formula.compile(source.formula, names)
        units.parse("t" + source.gas)
        units.parse(source.carries)
    except CarbonError as error:
        raise AccountingError("%s: %s" % (where, error.what), error.hint)
    if source.sign == 0:
        raise AccountingError(where + ": sign is 1 for an emission, -1 for a deduction")
    used = formula.names(source.steps)
    choices = max([1] + [len(p.units) for p in source.parameters])
    for p in source.parameters:
        if p.name not in used:
            raise AccountingError("%s: the formula does not use parameter %s" % (where, quoted(p.name)))
        if len(p.units) not in (1, choices):
            raise AccountingError("%s: parameter %s needs as many units as the others" % (where, quoted(p.name)))
    return source


def _load_parameter(data, where):
    where += ", parameter " + quoted(str(data.get("name") if isinstance(data, dict) else data))
    f = _Fields(data, where)
    parameter = Parameter()
    parameter.name, parameter.name_zh, parameter.name_en = f.text("name"), f.text("name_zh"), f.text("name_en")
    parameter.units = [part.strip() for part in f.text("unit").split("|")]
    parameter.kind = f.choice("kind", ("activity", "factor"))
    parameter.default, parameter.choose = f.text("default", None), f.text("choose", None)
    f.done()
    for unit in parameter.units:
        _unit(unit, where)
    return parameter


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
    factors.by_id[factor.id] = factor
    factors.sets.setdefault(set_id, []).append(factor.id)


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

    def integer(self, key, low, high):
        value = self._take(key, _REQUIRED)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise AccountingError("%s: %s is not an integer from %d to %d" % (self.where, quoted(key), low, high))
        return value

    def list(self, key, *default):
        value = self._take(key, default[0] if default else _REQUIRED)
        if not isinstance(value, list):
            raise AccountingError("%s: %s is not a list" % (self.where, quoted(key)))
        return value

    def choice(self, key, allowed):
        value = self.text(key)
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
        for key in self.data:
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
