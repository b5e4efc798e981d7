"""JSON (RFC 8259) whose numbers stay the decimals that stood there: no float is ever made. UTF-8 checked strictly.

`parse(data)` gives dicts, lists, texts, Numbers, True, False, None. Refused are names that stand twice in an object,
more than DEPTH levels, numbers of more than DIGITS characters or beyond 10^±EXPONENT, half surrogates, and what RFC
3629 does not allow in UTF-8 (MicroPython's own decoder takes some of it).
"""

from carbonterm.errors import FrameError, quoted
from carbonterm.field.utf8 import utf8
from carbonterm.number import Number

DEPTH = 16
DIGITS = 40
EXPONENT = 40
_SPACE = " \t\n\r"
_DIGITS = "0123456789"
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS = (("true", True), ("false", False), ("null", None))


def parse(data):
    """The value of a JSON document (bytes); FrameError says what is wrong and at which character."""
    reader = _Reader(utf8(data))
    value = reader.value(0)
    reader.space()
    if reader.at < reader.end:
        raise reader.wrong("something follows the document")
    return value


def decimal(text):
    """Number of a text that is one as JSON writes it, else None."""
    reader = _Reader(text)
    try:
        found = reader.number()
    except FrameError:
        return None
    return found if reader.at == reader.end else None


def at(document, pointer):
    """(True, value) where a pointer leads in a parsed document, (False, None) where there is nothing."""
    value = document
    for name in pointer.split("/")[1:]:
        name = name.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and _index(name) < len(value):
            value = value[_index(name)]
        else:
            return False, None
    return True, value


def _index(name):
    plain = 0 < len(name) < 6 and all([c in _DIGITS for c in name]) and (name == "0" or name[0] != "0")
    return int(name) if plain else 1 << 30


class _Reader:
    def __init__(self, text):
        self.text = text
        self.at = 0
        self.end = len(text)

    def wrong(self, what):
        return FrameError("%s at character %d" % (what, self.at))

    def space(self):
        while self.at < self.end and self.text[self.at] in _SPACE:
            self.at += 1

    def value(self, depth):
        self.space()
        if self.at >= self.end:
            raise self.wrong("the document breaks off")
        first = self.text[self.at]
        if first in "{[":
            if depth == DEPTH:
                raise self.wrong("more than %d levels" % DEPTH)
            return self.object(depth + 1) if first == "{" else self.array(depth + 1)
        if first == '"':
            return self.string()
        for word, meaning in _WORDS:
            if self.text[self.at : self.at + len(word)] == word:
                self.at += len(word)
                return meaning
        return self.number()

    def take(self, wanted):
        """Whether the next character after blanks is `wanted`, which is then passed."""
        self.space()
        found = self.at < self.end and self.text[self.at] == wanted
        if found:
            self.at += 1
        return found

    def array(self, depth):
        self.at += 1
        items = []
        if self.take("]"):
            return items
        while True:
            items.append(self.value(depth))
            if self.take("]"):
                return items
            if not self.take(","):
                raise self.wrong("a , or ] is missing")

    def object(self, depth):
        self.at += 1
        found = {}
        if self.take("}"):
            return found
        while True:
            self.space()
            if self.text[self.at : self.at + 1] != '"':
                raise self.wrong("a name in quotes is missing")
            name = self.string()
            if name in found:
                raise self.wrong("the name %s stands twice" % quoted(name))
            if not self.take(":"):
                raise self.wrong("a : is missing")
            found[name] = self.value(depth)
            if self.take("}"):
                return found
            if not self.take(","):
                raise self.wrong("a , or } is missing")

    def string(self):
        parts = []
        self.at += 1
        start = self.at
        while self.at < self.end:
            c = self.text[self.at]
            if c == '"':
                parts.append(self.text[start : self.at])
                self.at += 1
                return "".join(parts)
            if c < " ":
                raise self.wrong("a control character in a text")
            if c == "\\":
                parts.append(self.text[start : self.at])
                self.at += 1
                parts.append(self.escape())
                start = self.at
            else:
                self.at += 1
        raise self.wrong("a text without an end")

    def escape(self):
        c = self.text[self.at : self.at + 1]
        self.at += 1
        if c in _ESCAPES:
            return _ESCAPES[c]
        if c != "u":
            raise self.wrong("no escape begins so")
        code = self.hex4()
        if 0xD800 <= code < 0xDC00 and self.text[self.at : self.at + 2] == "\\u":
            self.at += 2
            low = self.hex4()
            if 0xDC00 <= low < 0xE000:
                return chr(0x10000 + (code - 0xD800 << 10) + low - 0xDC00)
        if 0xD800 <= code < 0xE000:
            raise self.wrong("half a surrogate pair")
        return chr(code)

    def hex4(self):
        digits = self.text[self.at : self.at + 4]
        if len(digits) < 4 or not all([c in "0123456789abcdefABCDEF" for c in digits]):
            raise self.wrong("\\u without four hex digits")
        self.at += 4
        return int(digits, 16)

    def digits(self):
        start = self.at
        while self.at < self.end and self.text[self.at] in _DIGITS:
            self.at += 1
        if self.at == start:
            raise self.wrong("no value begins so" if start == 0 or self.text[start - 1] not in "-.eE+" else "no digit")
        return self.text[start : self.at]

    def number(self):
        start = self.at
        if self.text[self.at : self.at + 1] == "-":
            self.at += 1
        whole = self.digits()
        if len(whole) > 1 and whole[0] == "0":
            raise self.wrong("a number with a leading 0")
        power = "0"
        if self.text[self.at : self.at + 1] == ".":
            self.at += 1
            self.digits()
        if self.text[self.at : self.at + 1] in ("e", "E"):
            self.at += 1
            if self.text[self.at : self.at + 1] in ("+", "-"):
                self.at += 1
            power = self.digits()
        text = self.text[start : self.at]
        if len(text) > DIGITS or int(power) > EXPONENT:
            raise self.wrong("a number beyond %d characters or 10^%d" % (DIGITS, EXPONENT))
        return Number(text)
