"""YAML files that people write: every mistake at once, each with file:line:column and the way out."""

import difflib

import yaml

from carbonterm.errors import CarbonError
from carbonterm.number import Number

_TIME_UNITS = {"ms": 1, "s": 1000, "min": 60000, "h": 3600000}


class Mistakes(CarbonError):
    """All mistakes of a file; `rows` is a list of (file, line, column, what, hint), `name` what kind of file it is."""

    def __init__(self, rows, name="site file"):
        self.rows = sorted(rows, key=lambda row: row[1:3])
        lines = [
            f"{f}:{line}:{column}: {what}" + (f"\n    → {hint}" if hint else "")
            for f, line, column, what, hint in self.rows
        ]
        count = "1 mistake" if len(rows) == 1 else f"{len(rows)} mistakes"
        super().__init__(f"{count} in the {name}\n" + "\n".join(lines))


class Bad(Exception):
    """A value that cannot be used; what was wrong has been noted."""


class Reader:
    """What is in a YAML text; mistakes are collected in `mistakes`, rows as in `Mistakes`. name: what kind of file it
    is, way: what to do where it is empty."""

    def __init__(self, text, file, folder, name="site file", way=""):
        self.file = file
        self.folder = folder
        self.name = name
        self.mistakes = []
        try:
            self.root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = file, mark.line + 1, mark.column + 1
            raise Mistakes([(*where, f"this is no YAML: {error.problem}", "")], name) from None
        except yaml.YAMLError as error:
            raise Mistakes([(file, 1, 1, f"this is no YAML: {str(error).splitlines()[0]}", "")], name) from None
        if self.root is None:
            raise Mistakes([(file, 1, 1, "the file is empty", way)], name)

    def refuse(self):
        """Mistakes, if there are any."""
        if self.mistakes:
            raise Mistakes(self.mistakes, self.name)

    def note(self, node, what, hint=""):
        mark = node.start_mark
        self.mistakes.append((self.file, mark.line + 1, mark.column + 1, what, hint))

    def bad(self, node, what, hint=""):
        self.note(node, what, hint)
        return Bad()

    @staticmethod
    def given_up():
        """What to raise where a mistake is noted already."""
        return Bad()

    def table(self, node, name, required, optional=()):
        """{key: node} of a mapping; notes unknown, repeated and missing keys."""
        if not isinstance(node, yaml.MappingNode):
            raise self.bad(node, f"{name} must be a table of keys and values")
        found = {}
        for key, value in node.value:
            text = key.value if isinstance(key, yaml.ScalarNode) else "?"
            if text not in (*required, *optional):
                self.note(key, f"{name} knows no key '{text}'", nearest(text, [*required, *optional]))
            elif text in found:
                self.note(key, f"{name} has '{text}' twice", "leave one of them out")
            else:
                found[text] = value
        missing = [key for key in required if key not in found]
        if missing:
            raise self.bad(node, f"{name} lacks {', '.join(missing)}")
        return found

    def rows(self, node, name):
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode):
            self.note(node, f"{name} must be a list, each item beginning with '- '")
            return []
        return node.value

    def text(self, node):
        if not isinstance(node, yaml.ScalarNode) or not node.value:
            raise self.bad(node, "a text is wanted here")
        return node.value

    def integer(self, node, low, high):
        try:
            value = int(node.value)
            if low <= value <= high:
                return value
        except (TypeError, ValueError):
            value = None
        given = f"'{node.value}'" if isinstance(node, yaml.ScalarNode) else "a list or table"
        raise self.bad(node, f"an integer from {low} to {high} is wanted here, not {given}")

    def number(self, node):
        try:
            return Number(self.text(node))
        except CarbonError as error:
            raise self.bad(node, error.what, error.hint) from None

    def choice(self, node, allowed):
        value = self.text(node)
        if value not in allowed:
            raise self.bad(node, f"'{value}' is not one of {', '.join(allowed)}", nearest(value, allowed))
        return value

    def duration(self, node):
        value = self.text(node)
        for unit in ("ms", "min", "s", "h"):
            digits = value[: -len(unit)].strip()
            if value.endswith(unit) and digits.isdecimal() and len(digits) < 12:
                return int(digits) * _TIME_UNITS[unit]
        raise self.bad(node, f"'{value}' is no duration", "write it like 500ms, 10s, 15min or 1h")

    def each(self, node, name, read):
        """The results of read(node, index) over a list, and {name: index}; a bad item is noted and left out."""
        found, index = [], {}
        for item in self.rows(node, name):
            try:
                row_name, row = read(item)
            except Bad:
                # its name still counts, so that one mistake is not reported again wherever the name is used
                row_name, row = self._name_of(item), None
            if row_name in index:
                self.note(item, f"{name}: '{row_name}' is there twice", "give each a name of its own")
            elif row_name is not None:
                index[row_name] = len(found)
            found.append(row)
        return found, index

    @staticmethod
    def _name_of(node):
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == "name" and isinstance(value, yaml.ScalarNode):
                    return value.value
        return None

    def reference(self, node, index, name):
        value = self.text(node)
        if value not in index:
            raise self.bad(node, f"there is no {name} '{value}'", nearest(value, list(index)))
        return index[value]


def nearest(name, known):
    close = difflib.get_close_matches(name, known, 3)
    if close:
        return "did you mean " + " or ".join(f"'{c}'" for c in close) + "?"
    return "known: " + ", ".join(known[:12]) + (" …" if len(known) > 12 else "") if known else ""
