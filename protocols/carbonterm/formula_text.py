"""From a formula's text to its program (see carbonterm.formula): operators by precedence, mistakes with their place.

Two stacks, no recursion (Dijkstra's shunting yard): `steps` is the program so far, `waiting` the operators and open
parentheses. max and min become one step between each two of their arguments; sum(…) becomes two marks around what it
sums, which `carbonterm.accounting.lines` unrolls when the number of lines is known.
"""

from carbonterm import formula_steps
from carbonterm.errors import FormulaError, NumberError, quoted
from carbonterm.formula_steps import digit, digits_end, letter, name_end
from carbonterm.number import Number

_PRINTED = {"×": "*", "·": "*", "÷": "/", "−": "-", "－": "-", "＋": "+", "（": "(", "）": ")", "，": ","}
_OPERATORS = {
    "+": (formula_steps.ADD, 1), "-": (formula_steps.SUBTRACT, 1), "*": (formula_steps.MULTIPLY, 2),
    "/": (formula_steps.DIVIDE, 2),
}  # fmt: skip
_NEGATE = (formula_steps.NEGATE, 2)
_FUNCTIONS = {"max": formula_steps.MAX, "min": formula_steps.MIN, "sum": formula_steps.SUM}


class _Open:
    """An open parenthesis: where, of which function (None: of none), after how many commas."""

    __slots__ = ("at", "function", "commas")

    def __init__(self, at, function=None):
        self.at, self.function, self.commas = at, function, 0


class Parser:
    """One use: Parser(text, names).program()."""

    def __init__(self, text, names):
        if not isinstance(text, str):
            raise FormulaError("a formula is a text", "write it like FC*NCV*CC*OF*44/12")
        if len(text) > formula_steps.MAX_TEXT:
            what = "a formula of %d characters is too long (at most %d)" % (len(text), formula_steps.MAX_TEXT)
            raise FormulaError(what)
        self.text, self.names = text, names
        self.steps, self.waiting = [], []
        self.wanted = True  # a value must come next

    def program(self):
        at, end = _blank(self.text, 0), len(self.text)
        while at < end:
            c = _PRINTED.get(self.text[at], self.text[at])
            at = _blank(self.text, self._value(c, at) if self.wanted else self._operator(c, at))
        if self.wanted:
            raise self._wrong(end, "the formula ends where a number or a name must stand")
        self._unwind(0)
        if self.waiting:
            raise self._wrong(self.waiting[-1].at, "this ( is never closed")
        formula_steps.check(self.steps, True)
        return self.steps

    def _value(self, c, at):
        """Reads a name, a number, a sign or ( at `at`; returns where to go on."""
        if letter(c):
            return self._name(at)
        if digit(c):
            number, stop = _number(self.text, at)
            self.steps.append([number.exponent, number.mantissa])
            self.wanted = False
            return stop
        if c == "(":
            self.waiting.append(_Open(at))
        elif c == "-":
            self.waiting.append(_NEGATE)
        elif c != "+":
            raise self._wrong(at, "a number, a name or ( must stand here, not " + quoted(c))
        return at + 1

    def _name(self, at):
        stop = name_end(self.text, at)
        name, after = self.text[at:stop], _blank(self.text, stop)
        if name in _FUNCTIONS and self.text[after : after + 1] in ("(", "（"):
            function = _FUNCTIONS[name]
            if function == formula_steps.SUM:
                if [one for one in self.waiting if isinstance(one, _Open) and one.function == formula_steps.SUM]:
                    raise self._wrong(at, "a sum() within a sum()", "one sum runs over the lines")
                self.steps.append(formula_steps.SUM)
            self.waiting.append(_Open(after, function))
            return after + 1
        if self.names is not None and name not in self.names:
            from carbonterm.nearest import hint

            raise self._wrong(at, "unknown name " + quoted(name), hint(name, self.names, "known names"))
        self.steps.append(name)
        self.wanted = False
        return stop

    def _operator(self, c, at):
        """Reads what may follow a value at `at`; returns where to go on."""
        if c == ")" or c == ",":
            return self._inner_end(c, at)
        if c == "^" or self.text[at : at + 2] == "**":
            power, stop = _power(self.text, at + (1 if c == "^" else 2))
            self.steps.append([power])
            return stop
        if c in _OPERATORS:
            operator = _OPERATORS[c]
            self._unwind(operator[1])
            self.waiting.append(operator)
            self.wanted = True
            return at + 1
        if c == "(" and isinstance(self.steps[-1], str):
            what = "%s is not a function" % quoted(self.steps[-1])
            raise self._wrong(at, what, "there are sum(…), max(…, …) and min(…, …)")
        raise self._wrong(at, "an operator + - * / ^ must stand here, not " + quoted(c))

    def _inner_end(self, c, at):
        """A comma between two arguments, or the ) that closes them."""
        self._unwind(0)
        if not self.waiting:
            raise self._wrong(at, "this %s has no (" % c)
        opened = self.waiting[-1]
        chosen = opened.function in (formula_steps.MAX, formula_steps.MIN)
        if chosen and opened.commas:
            self.steps.append(opened.function)
        if c == ",":
            if not chosen:
                raise self._wrong(at, "a comma stands between the values of max and min only", "write 0.5, not 0,5")
            opened.commas += 1
            self.wanted = True
            return at + 1
        if chosen and not opened.commas:
            raise self._wrong(at, "max and min take two values or more")
        if opened.function == formula_steps.SUM:
            self.steps.append(formula_steps.SUMMED)
        self.waiting.pop()
        return at + 1

    def _unwind(self, least):
        """Operators that bind at least so tightly go to the program."""
        while self.waiting and not isinstance(self.waiting[-1], _Open) and self.waiting[-1][1] >= least:
            self.steps.append(self.waiting.pop()[0])

    def _wrong(self, at, what, hint=""):
        return _wrong(self.text, at, what, hint)


def _number(text, at):
    stop = digits_end(text, at)
    if text[stop : stop + 1] == ".":
        stop = digits_end(text, stop + 1)
    if text[stop : stop + 1] in ("e", "E"):
        digits = stop + 2 if text[stop + 1 : stop + 2] in ("+", "-") else stop + 1
        stop = max(digits_end(text, digits), digits)
    try:
        number = Number(text[at:stop])
    except NumberError as error:
        raise _wrong(text, at, error.what, error.hint)
    if number.mantissa >= 1 << 64:
        raise _wrong(text, at, "a number of more than 19 digits", "give it as a named value")
    return number, stop


def _power(text, at):
    at = start = _blank(text, at)
    sign = _PRINTED.get(text[at : at + 1], text[at : at + 1])
    if sign == "-" or sign == "+":
        at += 1
    stop = digits_end(text, at)
    after = text[_blank(text, stop) :]
    if stop == at or stop - at > 1 or after[:1] in ("^", ".") or after[:2] == "**" or letter(after[:1]):
        why = "a power is an integer from -%d to %d" % (formula_steps.MAX_POWER, formula_steps.MAX_POWER)
        raise _wrong(text, start, why, "write (a^b)^c in full")
    power = int(text[at:stop])
    return -power if sign == "-" else power, stop


def _blank(text, at):
    while at < len(text) and text[at] in " \t\r\n\u3000":
        at += 1
    return at


def _wrong(text, at, what, hint=""):
    return FormulaError("formula %s, character %d: %s" % (quoted(text, 200), at + 1, what), hint)
