"""What methods and factors are made of, and how they are looked up.

A *method* is a guide's way to account; its *sources* have formulas over *parameters*: activity data that is measured,
factors, and constants of the formula. A *factor* has a unit, a document, a validity and says how sure its value is.
"""

from carbonterm.accounting.source import doubtful, holds, in_force
from carbonterm.errors import AccountingError, quoted
from carbonterm.nearest import hint

FUEL = "fuel"  # the name that chooses all fuel parameters at once
GAS = "GAS"  # stands for the chosen gas in units, carries and default factors of a source with a list of gases


class Parameter:
    """name, name_zh, name_en, units (alternatives, e.g. t or 10^4Nm3), kind "activity", "factor" or "constant", default
    (a factor's id or None), choose (the factor set to choose from, FUEL, or None), derive (a formula that gives it
    where it is not given, or None), program and carries of that formula, optional (a sum of nothing but optional
    parameters may have no line), note."""

    __slots__ = ("name", "name_zh", "name_en", "units", "kind", "default", "choose", "derive", "program", "carries",
                 "optional", "note")  # fmt: skip


class Part:
    """One gas of a source: gas (None where the user chooses it or where the source gives no gas), formula (text),
    program (steps, with the marks of sums), carries (the unit that the formula's own numbers carry, as tCO2/tC)."""

    __slots__ = ("gas", "formula", "program", "carries")


class Source:
    """id, name_zh, name_en, scope (1, 2, 3), category (1 to 6, ISO 14064-1), kind (one of load.KINDS), sign (1 or -1),
    parts (list of Part), choices (gases to choose from, or None), gives (unit text of an auxiliary source that gives no
    emission, else None), parameters (list), origin, basis, confidence, note."""

    __slots__ = ("id", "name_zh", "name_en", "scope", "category", "kind", "sign", "parts", "choices", "gives",
                 "parameters", "origin", "basis", "confidence", "note")  # fmt: skip

    @property
    def formula(self):
        """The formula; of several gases "CF4: …; C2F6: …"."""
        if len(self.parts) == 1:
            return self.parts[0].formula
        return "; ".join(part.gas + ": " + part.formula for part in self.parts)

    @property
    def gases(self):
        """Gases it may give, in the order of its file."""
        if self.choices is not None:
            return self.choices
        found = []
        for part in self.parts:
            if part.gas is not None and part.gas not in found:
                found.append(part.gas)
        return found

    def parameter(self, name):
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise AccountingError(
            "source %s has no parameter %s" % (quoted(self.id), quoted(name)),
            hint(name, [p.name for p in self.parameters], "its parameters"),
        )


class Method:
    """id, version, appendix_a (item of Annex A of the terminal's standard, or None), name_zh, name_en, document, start
    and end of validity in ms (or None), superseded (None or (by, from ms or None)), gwp_set (None: CO2 only), gwp_sets
    (sets to choose from), fuel_set, gases, sources (list of Source), total, rules (texts), basis, confidence, note."""

    __slots__ = ("id", "version", "appendix_a", "name_zh", "name_en", "document", "start", "end", "superseded",
                 "gwp_set", "gwp_sets", "fuel_set", "gases", "sources", "total", "rules", "basis", "confidence",
                 "note")  # fmt: skip

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
    of validity in ms (end exclusive; None: open), uncertainty (text or None), note, evidence (SM3 of the file that
    proves a factor of one's own, hex, or None), confirmation (who confirmed it against which print, or None)."""

    __slots__ = ("id", "name_zh", "value", "unit", "document", "source", "basis", "confidence", "start", "end",
                 "uncertainty", "note", "evidence", "confirmation")  # fmt: skip

    @property
    def unconfirmed(self):
        """From memory or of low confidence: every output that used it says so until a person has confirmed it."""
        return doubtful(self.basis, self.confidence)


class Factors:
    """All factors of a library by id. An id may have versions: a new one stands beside the old, never in its place."""

    def __init__(self):
        self.by_id = {}  # the newest version of each
        self.versions = {}  # id -> [Factor, …], oldest first; only of ids that have several
        self.sets = {}  # set id -> ids of its factors, as in the file
        self.fuels = {}  # set id -> {fuel id: name_zh}

    def factor(self, id, at_ms):
        """The Factor of an id at a moment: the newest version that is valid then; "id@2" is the second version.

        AccountingError where it is unknown or not valid at that moment.
        """
        found = self.of_id(id)
        if found is None:
            raise AccountingError("unknown factor " + quoted(id), hint(id, list(self.by_id), "known factors"))
        for at in range(len(found) - 1, -1, -1):
            if holds(found[at].start, found[at].end, at_ms):
                return found[at]
        in_force("factor " + quoted(id), found[-1].start, found[-1].end, at_ms)

    def of_id(self, id):
        """Versions of an id, oldest first; the one of "id@2"; None where there is none."""
        if id in self.by_id:
            return self.versions.get(id) or [self.by_id[id]]
        cut = id.rfind("@")
        if cut < 0 or id[:cut] not in self.by_id:
            return None
        return [f for at, f in enumerate(self.of_id(id[:cut]), 1) if id[cut + 1 :] == str(at)] or None

    def add(self, set_id, factor):
        """One more factor, or one more version of one that is there; the same again is no version."""
        if factor.id in self.by_id:
            for one in self.of_id(factor.id):
                if _same(one, factor):
                    return
            self.versions[factor.id] = self.of_id(factor.id) + [factor]
        elif factor.id not in self.sets.setdefault(set_id, []):
            self.sets[set_id].append(factor.id)
        self.by_id[factor.id] = factor

    def joined(self, other):
        """These Factors and the other ones, which are newer, as a new Factors."""
        found = Factors()
        for one in (self, other):
            for set_id in one.sets:
                for id in one.sets[set_id]:
                    for factor in one.of_id(id):
                        found.add(set_id, factor)
            for set_id in one.fuels:
                found.fuels.setdefault(set_id, {}).update(one.fuels[set_id])
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


def _same(a, b):
    """Whether two versions say the same: value with its digits, unit, validity, document, evidence."""
    return _said(a) == _said(b)


def _said(f):
    return [str(f.value), f.unit, f.start, f.end, f.document, f.evidence]
