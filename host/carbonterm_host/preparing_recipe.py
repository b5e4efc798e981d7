"""The recipe of a preprocessing: which series, and the parameters of every step. docs/preprocessing.md has an example.

`read(path)` gives a Recipe, or raises yaml_reader.Mistakes with all that is wrong at once, or OSError.
"""

from fractions import Fraction
from pathlib import Path

from carbonterm import clock, units
from carbonterm.errors import CarbonError
from carbonterm_host import preparing
from carbonterm_host.platform.quality import rules
from carbonterm_host.yaml_reader import Bad, Reader

VALUE, STATE = "value", "state"
HOURS = "h"
MOST_NEIGHBOURS = 1000
_OUTLIERS = ("neighbours", "limit", "least")
_COMPLETE = ("method", "longest")
_SOURCE = ("unit", "to", "kind", "correct", "range", "outliers", "complete")


class Recipe:
    """every_ms and zone (minutes east) of the grid, and its `sources`."""

    def __init__(self, every_ms, zone, sources):
        self.every_ms = every_ms
        self.zone = zone
        self.sources = sources


class Source:
    """One series: name, path, kind, unit as it is in the file and `wanted`, and the parameters of its steps:
    correction (factor, offset, certificate) or None, (low, high), (neighbours, limit, least) or None, method,
    longest_ms."""

    def __init__(self, name, path, kind, unit, wanted):
        self.name, self.path, self.kind, self.unit, self.wanted = name, path, kind, unit, wanted
        self.correction = self.outliers = None
        self.range = None, None
        self.method, self.longest_ms = preparing.NONE, 0

    def prepare(self, readings):
        """Runs the steps before the grid over its readings, in place."""
        if self.kind == STATE:
            return
        if self.correction:
            preparing.corrected(readings, *self.correction[:2])
        preparing.converted(readings, self.unit, self.wanted)
        preparing.bounded(readings, *self.range)
        if self.outliers:
            preparing.filtered(readings, *self.outliers)

    def on(self, grid, readings):
        """Its rows on a grid of times, as preparing.gridded has them."""
        if self.kind == STATE:
            return preparing.running(readings, grid, self.longest_ms)
        return preparing.gridded(readings, grid, self.method, self.longest_ms)


def read(path):
    """The Recipe of a file."""
    path = Path(path)
    way = "docs/preprocessing.md has an example"
    reader = _Recipe(path.read_text(encoding="utf-8"), str(path), path.parent, "recipe", way)
    return reader.recipe()


class _Recipe(Reader):
    def recipe(self):
        try:
            top = self.table(self.root, "a recipe", ("every", "sources"), ("unit", "zone", "outliers", "complete"))
            self.every_ms = self._span(top["every"])
            self.unit = self._unit(top["unit"]) if "unit" in top else None
            self.filter = self._outliers(top["outliers"]) if "outliers" in top else None
            self.completion = self._complete(top["complete"]) if "complete" in top else (preparing.NONE, 0)
            zone = 480
            if "zone" in top:
                try:
                    zone = clock.parse_zone(self.text(top["zone"]))
                except CarbonError as error:
                    raise self.bad(top["zone"], error.what, error.hint) from None
            sources, _ = self.each(top["sources"], "sources", self._source)
            if not sources:
                self.note(top["sources"], "there are no sources", "name at least one series")
        except Bad:
            pass
        self.refuse()
        return Recipe(self.every_ms, zone, sources)

    def _source(self, node):
        keys = self.table(node, "a source", ("name", "file"), _SOURCE)
        name = self.text(keys["name"])
        plain = name.isprintable() and not any(c in name for c in "/\\:")
        if not plain or len(name) > 64 or name[0] == "." or name.endswith(".readings"):
            raise self.bad(keys["name"], f"'{name}' cannot be the name of a file", "use letters, digits, _ and -")
        kind = self.choice(keys["kind"], (VALUE, STATE)) if "kind" in keys else VALUE
        path = self.folder / self.text(keys["file"])
        if not path.is_file():
            raise self.bad(keys["file"], f"there is no file {keys['file'].value}", "name it from where the recipe lies")
        if kind == STATE:
            return name, self._state(keys, name, path)
        if "unit" not in keys:
            raise self.bad(node, "a source lacks unit", "unit: the one that its file is in")
        unit = self._unit(keys["unit"])
        wanted = self._unit(keys["to"]) if "to" in keys else self.unit or unit
        try:
            units.factor(unit, wanted)
        except CarbonError as error:
            raise self.bad(keys.get("to", keys["unit"]), error.what, error.hint) from None
        source = Source(name, path, kind, unit, wanted)
        source.correction = self._correct(keys["correct"]) if "correct" in keys else None
        source.range = self._range(keys["range"]) if "range" in keys else (None, None)
        source.outliers = self._outliers(keys["outliers"]) if "outliers" in keys else self.filter
        source.method, source.longest_ms = self._complete(keys["complete"]) if "complete" in keys else self.completion
        return name, source

    def _state(self, keys, name, path):
        for key in ("unit", "to", "correct", "range", "outliers"):
            if key in keys:
                self.note(keys[key], f"a state has no '{key}'", "it becomes running hours; leave it out")
        if "complete" not in keys:
            raise self.bad(keys["kind"], "a state needs complete: {longest: …}", "how long a word of it holds: 5min")
        source = Source(name, path, STATE, "1", HOURS)
        source.longest_ms = self._complete(keys["complete"])[1]
        return source

    def _correct(self, node):
        keys = self.table(node, "a correction", ("certificate",), ("factor", "offset"))
        factor = self._fraction(keys["factor"]) if "factor" in keys else Fraction(1)
        if factor <= 0:
            raise self.bad(keys["factor"], "a correction's factor is above 0", "true = factor × shown + offset")
        offset = self._fraction(keys["offset"]) if "offset" in keys else Fraction(0)
        return factor, offset, self.text(keys["certificate"])

    def _range(self, node):
        ends = self.rows(node, "a range")
        if len(ends) != 2:
            raise self.bad(node, "a range is [lowest, highest]", 'like ["0", "500"]; none for an open end')
        low, high = (None if self.text(end) == preparing.NONE else self._fraction(end) for end in ends)
        if low is not None and high is not None and low > high:
            raise self.bad(node, "the lowest is above the highest")
        return low, high

    def _outliers(self, node):
        keys = self.table(node, "outliers", ("neighbours",), _OUTLIERS[1:])
        limit = self._fraction(keys["limit"]) if "limit" in keys else rules.FAR
        least = self._fraction(keys["least"]) if "least" in keys else Fraction(0)
        if limit <= 0 or least < 0:
            raise self.bad(node, "a limit is above 0, and least not below 0")
        return self.integer(keys["neighbours"], 3, MOST_NEIGHBOURS), limit, least

    def _complete(self, node):
        keys = self.table(node, "complete", ("longest",), _COMPLETE[:1])
        method = self.choice(keys["method"], preparing.METHODS) if "method" in keys else preparing.LINEAR
        return method, self._span(keys["longest"])

    def _span(self, node):
        value = self.duration(node)
        if not 1000 <= value <= 366 * 86400000:
            raise self.bad(node, f"'{node.value}' is not between 1s and 366 days")
        return value

    def _unit(self, node):
        try:
            return units.parse(self.text(node)).text
        except CarbonError as error:
            raise self.bad(node, error.what, error.hint) from None

    def _fraction(self, node):
        ratio = self.number(node).ratio()
        return Fraction(ratio.numerator, ratio.denominator)
