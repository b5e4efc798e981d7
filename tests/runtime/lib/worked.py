"""Hand-worked cases of methods: one text of what is given, one of the working, both evaluated exactly."""

import pytest

from carbonterm import formula
from carbonterm.accounting import library
from carbonterm.errors import CarbonError
from carbonterm.number import Number


def given(text):
    """{key: value} of "FC=1000t fuel=diesel M=2 M=3": a name that comes again makes lines, as on the command line."""
    pairs = [part.split("=", 1) for part in text.split()]
    names, found = [name for name, _ in pairs], {}
    for at in range(len(pairs)):
        name, value = pairs[at]
        if names.count(name) > 1:
            name = "%s.%d" % (name, names[: at + 1].count(name))
        found[name] = _value(value)
    return found


def _value(text):
    stop = 1 if text[0] == "-" else 0
    while stop < len(text) and text[stop] in "0123456789.":
        stop += 1
    if stop == 0:
        return text
    return (Number(text[:stop]), text[stop:]) if stop < len(text) else Number(text)


def prove(methods, factors, at_ms, rows):
    """Accounts each row (method, source, given, exact "n/d", working), holds it against both and prints it."""
    for method, source, text, exact, working in rows:
        result = library.account(methods[method], source, given(text), factors, at_ms)
        what = "%s %s %s" % (method, source, text)
        assert str(result.ratio) == exact, (what, str(result.ratio))
        assert str(formula.evaluate(formula.compile(working), {})) == exact, (what, working)
        shown = result.ratio if result.tco2e is None else result.tco2e
        print(method, source, shown, exact, [(gas, str(mass)) for gas, mass in result.gases])


class Book:
    """Methods ({id: Method}) with the factors of a day."""

    def __init__(self, methods, factors, at_ms):
        self.methods = methods
        self.factors = factors
        self.at_ms = at_ms

    def prove(self, method, rows):
        """Works the rows (source, given, exact, working), and sees that no source of the method is left out."""
        prove(self.methods, self.factors, self.at_ms, [(method,) + row for row in rows])
        shown = [row[0] for row in rows]
        assert not [source.id for source in self.methods[method].sources if source.id not in shown]

    def refuse(self, method, source, text, why):
        """What is given is refused, with the reason and a way out."""
        with pytest.raises(CarbonError, match=why) as caught:
            library.account(self.methods[method], source, given(text), self.factors, self.at_ms)
        assert caught.value.hint
        print(str(caught.value), caught.value.hint)
