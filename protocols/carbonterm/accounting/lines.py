"""From a method's formula to plain steps: sums get their lines, derived parameters their formulas.

A parameter may be given once (its key is its name) or by lines (keys name.1, name.2, …: one fuel, one raw material
each). `sum(…)` runs over the lines of the names in it; a name given once holds for every line. A formula without sum()
is summed as a whole. A parameter that is not given is replaced by the formula it is derived from, where that can be
evaluated. What comes out has no marks of sums: a terminal evaluates it as it is.
"""

from carbonterm import formula
from carbonterm.errors import AccountingError, quoted

MAX_LINES = 50


def split(key, names):
    """(name, line) of a key: ("M", 2) of "M.2", ("M", 0) of "M"; a name that is no parameter comes back whole."""
    if key not in names and "." in key:
        at = key.rfind(".")
        tail = key[at + 1 :]
        if key[:at] in names and 0 < len(tail) < 4 and tail[0] != "0" and formula.digits_end(tail, 0) == len(tail):
            return key[:at], int(tail)
    return key, 0


def by_name(keys, names, what):
    """{name: its keys in the order of the lines}; AccountingError where a line is missing or a name comes both ways."""
    lines = {}
    for key in keys:
        name, line = split(key, names)
        lines.setdefault(name, []).append(line)
    found = {}
    for name in lines:
        got = sorted(lines[name])
        if got == [0]:
            found[name] = [name]
        elif len(got) > MAX_LINES or got != list(range(1, len(got) + 1)):
            raise AccountingError(
                "%s: the lines of %s are %s" % (what, name, ", ".join([str(line) for line in got])),
                "lines are %s.1, %s.2, … without a gap, at most %d" % (name, name, MAX_LINES),
            )
        else:
            found[name] = ["%s.%d" % (name, line) for line in got]
    return found


class Unroller:
    """Steps of a source's parts for the keys that are given.

    `keys`: {name: keys}, as of `by_name`; `defaults`: names that have a value of their own. After `parts()`:
    `lacking`: names without which it cannot be evaluated, `derived`: {key: formula} of what was derived, `ties`: lists
    [keys, derived] whose alternatives of units belong together.
    """

    def __init__(self, source, keys, defaults):
        self.source, self.keys, self.defaults = source, keys, defaults
        self.lacking, self.derived, self.ties = [], {}, []
        self._tie = None
        self._known = {}

    def parts(self):
        """[steps of each part]."""
        whole = []
        for part in self.source.parts:
            if formula.SUM not in part.program:
                whole += part.program
        count = self._count(self._reached(whole)) if whole else 0
        found = []
        for part in self.source.parts:
            if formula.SUM in part.program:
                self._new_tie()
                found.append(self._expanded(part.program, ""))
            else:
                found.append(self._lines(part.program, count))
        return found

    def derives(self, name):
        """Whether a parameter that is not given is taken from its derivation."""
        if name not in self._known:
            p = self.source.parameter(name)
            self._known[name] = p.program is not None and not self.keys.get(name) and self._evaluable(p)
        return self._known[name]

    def _evaluable(self, p):
        some = False
        for name in self._needed(p.program):
            if self.keys.get(name) or (self.derives(name) and self._given_within(name)):
                some = True
            elif name not in self.defaults and not self.derives(name):
                return False
        return some or p.name not in self.defaults

    def _given_within(self, name):
        program = self.source.parameter(name).program
        return any(self.keys.get(n) or (self.derives(n) and self._given_within(n)) for n in formula.names(program))

    def _needed(self, program):
        """Names of a program without those of sums that have no line."""
        found, inside = [], None
        for step in program:
            if step == formula.SUM:
                inside = []
            elif step == formula.SUMMED:
                found, inside = found + ([] if self._empty(inside) else inside), None
            elif isinstance(step, str):
                (found if inside is None else inside).append(step)
        return found

    def _empty(self, names):
        """Whether a sum has no line: its parameters are optional, and none is given."""
        return all(self.source.parameter(name).optional and not self.keys.get(name) for name in names)

    def _reached(self, program):
        """Keys' names that a program uses outside its sums, through derivations."""
        found, outside = [], True
        for step in program:
            if step in (formula.SUM, formula.SUMMED):
                outside = step == formula.SUMMED
            elif outside and isinstance(step, str):
                found += self._reached(self.source.parameter(step).program) if self.derives(step) else [step]
        return found

    def _count(self, names):
        """Lines of the names; 0 where each is given once at most."""
        count, which = 0, None
        for name in names:
            keys = self.keys.get(name) or [name]
            if keys == [name]:
                continue
            if which is not None and len(keys) != count:
                raise AccountingError(
                    "%s of %s has %d lines, %s %d" % (name, self.source.id, len(keys), which, count),
                    "give each as often as the other, or once for all lines",
                )
            count, which = len(keys), name
        return count

    def _lines(self, program, count):
        if count == 0:
            self._new_tie()
            return self._expanded(program, "")
        out = []
        for line in range(1, count + 1):
            self._new_tie()
            out += self._expanded(program, ".%d" % line)
            if line > 1:
                out.append(formula.ADD)
        return out

    def _sum(self, program):
        names = formula.names(program)
        if names and self._empty(names):
            return [[0, 0]]
        tie = self._tie
        out = self._lines(program, self._count(self._reached(program)))
        self._tie = tie
        return out

    def _expanded(self, program, line):
        out, at = [], 0
        while at < len(program):
            step = program[at]
            if step == formula.SUM:
                stop = at
                while program[stop] != formula.SUMMED:
                    stop += 1
                out += self._sum(program[at + 1 : stop])
                at = stop
            elif isinstance(step, str):
                out += self._name(step, line)
            else:
                out.append(step)
            at += 1
        return out

    def _name(self, name, line):
        keys = self.keys.get(name)
        if keys and keys != [name]:
            if not line:
                raise AccountingError(
                    "%s of %s has %d lines, but its formula takes it once" % (name, self.source.id, len(keys)),
                    "give it once; the lines belong to what stands in sum(…): " + quoted(self.source.formula, 200),
                )
            name = name + line
        elif self.derives(name):
            p = self.source.parameter(name)
            self._tie[1] = True
            self.derived[name] = p.derive
            return self._expanded(p.program, line)
        elif not keys and name not in self.defaults and name not in self.lacking:
            self.lacking.append(name)
        if name not in self._tie[0]:
            self._tie[0].append(name)
        return [name]

    def _new_tie(self):
        self._tie = [[], False]
        self.ties.append(self._tie)
