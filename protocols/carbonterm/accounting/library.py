"""Accounting by a method: values and factors to tCO2e, exactly; and the compiled form for a site document.

What may be given is said in carbonterm.accounting.given. `account` compiles the source and evaluates the compiled form,
so that the command line and the terminal go one way.
"""

from carbonterm import formula, units
from carbonterm.accounting import given as of_given
from carbonterm.accounting.lines import Unroller, split
from carbonterm.accounting.load import date, load_factors, load_method
from carbonterm.accounting.model import FUEL, Factor, Factors, Method, Parameter, Source
from carbonterm.accounting.source import (
    FORM,
    ZONE,
    by_gas,
    canonical,
    check,
    doubtful,
    evaluate_compiled,
    expired,
    in_force,
    unconfirmed,
)
from carbonterm.clock import text as clock_text
from carbonterm.errors import AccountingError, quoted
from carbonterm.number import Ratio

__all__ = [
    "FUEL", "PLACES", "Factor", "Factors", "Method", "Parameter", "Result", "Row", "Source", "account", "by_gas",
    "canonical", "check", "compile_source", "date", "doubtful", "evaluate_compiled", "expired", "lacking",
    "load_factors", "load_method", "unconfirmed", "warnings",
]  # fmt: skip

PLACES = 6  # decimals of a recorded tCO2e: 1 g


class Row:
    """One value of a formula: key (the parameter's name, with its line), parameter, unit (None: still open), value
    (Ratio, or None: an input or missing), factor (Factor or None)."""

    __slots__ = ("key", "parameter", "unit", "value", "factor")


class Result:
    """ratio (exact tCO2e, sign included; of an auxiliary source its value), tco2e (Number, 6 decimals, half to even;
    None of an auxiliary source), gases (list of (gas, exact t, sign included); "" is a gas without name), rows (list of
    Row), derived (list of (parameter, formula)), gwps (list of (gas, value, Factor or None)), factors (list of Factor,
    the GWPs last), gwp_set, warnings (texts), compiled (None of an auxiliary source)."""

    __slots__ = ("ratio", "tco2e", "gases", "rows", "derived", "gwps", "factors", "gwp_set", "warnings", "compiled")


def account(method, source, values, factors, at_ms):
    """Result of a source (Source or its id) of a Method at a moment.

    `values`: name → given value. What is not given must have a default factor or a derivation; AccountingError lists
    all that is missing, with unit and Chinese name.
    """
    source = source if isinstance(source, Source) else method.source(source)
    settled = _Settled(method, source, values, factors, at_ms, {})
    if settled.lacking:
        raise settled.missing()
    result = Result()
    result.rows, result.warnings = settled.rows, warnings(method, at_ms)
    result.derived, result.gwps, result.gwp_set = settled.derived, settled.gwps, settled.given.gwp_set
    result.factors = []
    for factor in [row.factor for row in settled.rows] + [gwp[2] for gwp in settled.gwps]:
        if factor is not None and factor not in result.factors:
            result.factors.append(factor)
    numbers = {}
    for row in settled.rows:
        numbers[row.key] = row.value
    if source.gives is not None:
        result.ratio = formula.evaluate(settled.parts[0], numbers) * source.sign
        result.tco2e, result.gases, result.compiled = None, [], None
        return result
    result.compiled = settled.compiled(False)
    result.ratio = evaluate_compiled(result.compiled, numbers)
    result.tco2e = result.ratio.round(PLACES)
    result.gases = [(gas, mass) for gas, mass, _ in by_gas(result.compiled, numbers)]
    return result


def compile_source(method, source, given, factors, at_ms, inputs=None):
    """The plain list that a site document embeds (see carbonterm.accounting.source).

    `given`: the constants, as for `account`; every other parameter without a default becomes an input. `inputs`: name →
    unit text in which an input will come, which settles a choice like t or 10^4Nm3; the compiled input names the
    method's own unit, and the caller converts with `units.factor`.
    """
    source = source if isinstance(source, Source) else method.source(source)
    if source.gives is not None:
        what = "source %s of %s gives %s, no emission" % (quoted(source.id), method.id, source.gives)
        raise AccountingError(what, "use it with carbonterm account for a value of another source")
    settled = _Settled(method, source, given, factors, at_ms, inputs or {})
    for row in settled.rows:
        if row.unit is None:
            raise AccountingError(
                "%s of %s may be in %s" % (row.key, source.id, " or ".join(row.parameter.units)),
                "choose a fuel, or say the unit of its point",
            )
    return settled.compiled(True)


def lacking(method, source, values, factors, at_ms):
    """Parameters that `account` would still need beside `values`."""
    source = source if isinstance(source, Source) else method.source(source)
    settled = _Settled(method, source, values, factors, at_ms, {})
    return [source.parameter(split(key, [p.name for p in source.parameters])[0]) for key in settled.lacking]


def warnings(method, at_ms):
    """What to know of a method: that a newer one has taken its place."""
    if method.superseded is None:
        return []
    by, since = method.superseded
    if since is not None and at_ms < since:
        return []
    day = "" if since is None else " from " + clock_text(since, ZONE)[:10]
    return ["method %s is superseded by %s%s" % (method.id, by, day)]


class _Settled:
    """A source with all that was given: rows, steps of its parts, what is lacking."""

    def __init__(self, method, source, values, factors, at_ms, inputs):
        in_force("method " + quoted(method.id), method.start, method.end, at_ms)
        self.method, self.source, self.factors = method, source, factors
        self.given = of_given.sort(method, source, values, factors, at_ms, inputs)
        names = [p.name for p in source.parameters]
        defaults, self.outdated = {}, {}
        for p in source.parameters:
            if p.name not in self.given.keys:
                try:
                    value = of_given.default(p, self.given, factors, at_ms)
                except AccountingError as error:
                    self.outdated[p.name] = error
                    continue
                if value is not None:
                    defaults[p.name] = value
        unroller = Unroller(source, self.given.keys, list(defaults))
        self.parts = unroller.parts()
        self.lacking, self.derived = unroller.lacking, [(name, unroller.derived[name]) for name in names
                                                        if name in unroller.derived]  # fmt: skip
        used = []
        for steps in self.parts:
            used += [name for name in formula.names(steps) if name not in used]
        self._refuse_unused(used)
        self.values = dict(self.given.values)
        for name in defaults:
            self.values[name] = defaults[name]
        units_of = self._units(unroller.ties)
        self.rows = []
        for p in source.parameters:
            for key in used:
                if split(key, names)[0] == p.name:
                    self.rows.append(self._row(p, key, units_of.get(key, (0, True))))
        self.rows = _by_line(self.rows, names)
        self.gwps = []
        if source.gives is None:
            for part in source.parts:
                gas = part.gas if source.choices is None else self.given.gas
                value, factor = of_given.gwp_of(method, self.given, gas, factors, at_ms)
                self.gwps.append((gas, value, factor))

    def _refuse_unused(self, used):
        for key in self.given.values:
            if key not in used and key not in self.given.fuelled:
                if self._leads_to(self.lacking, self._parameter(key).name):
                    raise self.missing()  # a derivation that is given in part
                raise AccountingError(
                    "%s of %s is not needed: what it would give is given itself" % (key, self.source.id),
                    "leave it out, or leave out the other",
                )

    def _leads_to(self, names, name):
        """Whether one of the parameters `names` may be derived from `name`."""
        for lacking in names:
            within = formula.names(self._parameter(lacking).program or ())
            if name in within or self._leads_to(within, name):
                return True
        return False

    def _units(self, ties):
        """{key: (which alternative, whether something decides it)}: keys of one tie have the same."""
        groups = []
        for keys, forced in ties:
            keys, rest = list(keys), []
            for group in groups:
                if [key for key in group[0] if key in keys and self._choosy(key)]:
                    keys, forced = keys + group[0], forced or group[1]
                else:
                    rest.append(group)
            groups = rest + [(keys, forced)]
        found = {}
        for keys, forced in groups:
            which = 0 if forced else self._alternative([key for key in keys if self._choosy(key)])
            for key in keys:
                found[key] = (which or 0, which is not None)
        return found

    def _parameter(self, key):
        return self.source.parameter(split(key, [p.name for p in self.source.parameters])[0])

    def _choosy(self, key):
        return len(self._parameter(key).units) > 1

    def _alternative(self, keys):
        """Which of the units "t | 10^4Nm3" fits all that came with a unit; None where nothing decides it.

        Of several that fit ("MWh | GJ") it is the one that was written; a plain number beside another unit is refused.
        """
        if not keys:
            return 0
        left, decided, plain = None, False, None
        written = [0] * len(self._parameter(keys[0]).units)
        for key in keys:
            p = self._parameter(key)
            texts = of_given.unit_texts(p, self.given)
            left = list(range(len(texts))) if left is None else left
            value, own, _ = self.values.get(key, (None, None, None))
            if own is None:
                plain = key if value is not None else plain
                continue
            decided = True
            for k in left:
                written[k] += units.same(own, texts[k])
            fitting = [k for k in left if units.fits(own, texts[k])]
            if not fitting:
                of_given.converted(p, self.source, 0, own, texts[left[-1]])  # says what does not fit, and why
            left = fitting
        if not decided:
            return None
        most = max([written[k] for k in left])
        best = [k for k in left if written[k] == most]
        if len(best) > 1 and plain is not None:
            texts = of_given.unit_texts(self._parameter(plain), self.given)
            raise AccountingError(
                "%s of %s may be in %s" % (plain, self.source.id, " or ".join([texts[k] for k in best])),
                "say its unit, like %s=1%s" % (plain, texts[best[0]]),
            )
        return best[0]

    def _row(self, parameter, key, chosen):
        which, decided = chosen
        texts = of_given.unit_texts(parameter, self.given)
        row = Row()
        row.key, row.parameter = key, parameter
        unit = texts[which] if len(texts) > 1 else texts[0]
        value, own, row.factor = self.values.get(key, (None, None, None))
        checked = of_given.converted(parameter, self.source, 0 if value is None else value, own, unit)
        row.value = None if value is None else checked
        row.unit = None if len(texts) > 1 and not decided and own is None else unit
        return row

    def missing(self):
        """The error that lists what is lacking, and what can be given for it."""
        parts, ways = [], ["give NAME=VALUE"]
        for name in self.lacking:
            p = self._parameter(name)
            text = "%s (%s, %s)" % (p.name, p.name_zh, " or ".join(of_given.unit_texts(p, self.given)))
            if p.name in self.outdated:
                text += ", whose default " + self.outdated[p.name].what
                ways.append("or " + self.outdated[p.name].hint)
            if p.program is not None:
                text += " or " + " and ".join(formula.names(p.program))
            parts.append(text)
            if p.choose == FUEL and "fuel=" not in ways[-1]:
                ways.append("or fuel=FUEL of %s for NCV, CC and OF" % self.method.fuel_set)
            elif p.choose and p.choose != FUEL:
                ids = self.factors.of(p.choose)
                ways.append("or %s=FACTOR, %d are in %s, e.g. %s" % (p.name, len(ids), p.choose, ids[-1]))
        what = "%s of %s lacks %s" % (self.source.id, self.method.id, ", ".join(parts))
        return AccountingError(what, ", ".join(ways))

    def compiled(self, all_constant):
        """The plain list; what has no factor is an input, or (`all_constant`) what has no value."""
        inputs, constants = [], []
        for row in self.rows:
            unit = row.parameter.units[0] if row.unit is None else row.unit
            if row.value is None or (row.factor is None and not all_constant):
                inputs.append([row.key, unit])
            else:
                constants.append(_constant(row.key, unit, row.value, row.factor))
        parts = []
        for at in range(len(self.parts)):
            gas, value, factor = self.gwps[at]
            unit = "tCO2e/t" + gas if factor is None else factor.unit
            parts.append([gas, self.parts[at], _constant("GWP", unit, value, factor)])
        source, method = self.source, self.method
        return [FORM, [method.id, method.version], source.id, source.scope, source.category, source.sign, parts, inputs,
                constants, source.kind]  # fmt: skip


def _by_line(rows, names):
    """Parameters in the order of the source, their lines counted up."""
    found = []
    for name in names:
        mine = [row for row in rows if row.parameter.name == name]
        found += sorted(mine, key=lambda row: split(row.key, names)[1])
    return found


def _constant(name, unit, value, factor):
    number = (Ratio(1) * value).number()
    if number is None or not -(1 << 63) < number.mantissa < 1 << 63:
        raise AccountingError(
            "the value of %s has no short decimal in %s" % (quoted(name), quoted(unit)), "give it in " + (unit or "1")
        )
    origin = None
    if factor is not None:
        origin = [factor.id, factor.document, factor.basis, factor.confidence, factor.start, factor.end]
    return [name, unit, number.exponent, number.mantissa, origin]
