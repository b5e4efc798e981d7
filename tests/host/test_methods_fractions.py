"""Every source of every method on 10^5 random inputs, against an evaluation by Python's own parser and fractions.

The oracle shares nothing with the core: it reads the JSON files, lets `ast` parse the formulas, and walks the trees.
"""

import ast
import json
import operator
from fractions import Fraction
from pathlib import Path

import pytest

import carbonterm
import drawn
from carbonterm import clock
from carbonterm.accounting import library
from carbonterm.errors import FormulaError
from carbonterm_host import library as files
from seeded import Random

FOLDER = Path(carbonterm.__file__).parent / "accounting"
AT = clock.stamp(2024, 6, 1)
INPUTS = 100_000


class Oracle:
    """Values of a source's formulas for what is given; lines count from 1, 0 is no line."""

    def __init__(self, row, given, defaults, gas):
        self.rows = {p["name"]: p for p in row["parameters"]}
        self.given, self.defaults, self.gas = given, defaults, gas

    def keys(self, name):
        return [key for key in self.given if key == name or key.rpartition(".")[0] == name]

    def lines(self, tree):
        """Most lines of the names that a tree uses outside its sums, through derivations."""
        if isinstance(tree, ast.Name):
            keys = self.keys(tree.id)
            if keys:
                return 0 if keys == [tree.id] else len(keys)
            return self.lines(self.derivation(tree.id)) if self.derived(tree.id) else 0
        if isinstance(tree, ast.Call) and tree.func.id == "sum":
            return 0
        inner = tree.args if isinstance(tree, ast.Call) else list(ast.iter_child_nodes(tree))
        return max([0] + [self.lines(part) for part in inner])

    def derivation(self, name):
        return parse(self.rows[name]["derive"])

    def derived(self, name):
        """Not given, has a derivation, and that is either the only way or can be followed from something given."""
        row = self.rows[name]
        if self.keys(name) or not row.get("derive"):
            return False
        return name not in self.defaults or self.reaches(self.derivation(name))

    def reaches(self, tree):
        names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in self.rows]
        there = [bool(self.keys(n)) or n in self.defaults or bool(self.rows[n].get("derive")) for n in names]
        given = [bool(self.keys(n)) or (self.derived(n) and self.reaches(self.derivation(n))) for n in names]
        return all(there) and any(given)

    def whole(self, text, count=None):
        """The value of a formula; one without sum() is summed over its lines."""
        tree = parse(text)
        if any(isinstance(node, ast.Call) and node.func.id == "sum" for node in ast.walk(tree)):
            return self.value(tree, 0)
        return self.over(tree, self.lines(tree) if count is None else count)

    def over(self, tree, count):
        lines = range(1, count + 1) if count else (0,)
        return sum((self.value(tree, line) for line in lines), Fraction(0))

    def value(self, tree, line):
        if isinstance(tree, ast.Constant):
            return Fraction(str(tree.value))
        if isinstance(tree, ast.Name):
            return self.name(tree.id, line)
        if isinstance(tree, ast.UnaryOp):
            return -self.value(tree.operand, line)
        if isinstance(tree, ast.BinOp):
            left, right = self.value(tree.left, line), self.value(tree.right, line)
            return OPERATORS[type(tree.op)](left, right)
        if tree.func.id == "sum":
            names = [node.id for node in ast.walk(tree.args[0]) if isinstance(node, ast.Name)]
            if not any(self.keys(name) for name in names) and all(self.rows[n].get("optional") for n in names):
                return Fraction(0)
            return self.over(tree.args[0], self.lines(tree.args[0]))
        return (max if tree.func.id == "max" else min)(self.value(part, line) for part in tree.args)

    def name(self, name, line):
        keys = self.keys(name)
        if keys:
            return self.given[name if keys == [name] else f"{name}.{line}"]
        return self.value(self.derivation(name), line) if self.derived(name) else self.defaults[name]


OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
TREES = {}


def parse(text):
    if text not in TREES:
        tree = ast.parse(text.replace("^", "**"), mode="eval").body
        for node in ast.walk(tree):  # the digits as they stand, not as a float
            if isinstance(node, ast.Constant):
                node.value = ast.get_source_segment(text.replace("^", "**"), node)
        TREES[text] = tree
    return TREES[text]


def raw_factors():
    """{id: value} straight from the files."""
    found = {}
    for path in FOLDER.glob("factors/*.json"):
        data = json.loads(path.read_text(encoding="utf-8"))
        for row in data.get("factors", ()):
            found[row["id"]] = row["value"]
        for row in data.get("fuels", ()):
            for name in ("NCV", "CC", "OF"):
                if row.get(name) is not None:
                    found[f"{data['id']}/{row['id']}/{name}"] = row[name]
    return found


def expected(row, method, given, raw):
    """Exact tCO2e of a source (JSON) for keys and Fractions."""
    gas, gwp = given.pop("gas", None), given.pop("GWP", None)
    defaults = {}
    for p in row["parameters"]:
        id = (p.get("default") or "").replace("GAS", gas or "")
        if id in raw:
            defaults[p["name"]] = Fraction(raw[id])
    oracle = Oracle(row, given, defaults, gas)
    parts = row.get("parts") or [row]
    plain = [part for part in parts if "sum(" not in part["formula"]]
    count = max([oracle.lines(parse(part["formula"])) for part in plain], default=0)
    total = Fraction(0)
    for part in parts:
        one = part.get("gas") if isinstance(part.get("gas"), str) else gas or "CO2e"
        if gwp is not None and not isinstance(part.get("gas"), str):
            weight = gwp
        elif row.get("gives") or one in ("CO2", "CO2e"):
            weight = 1
        else:
            weight = Fraction(raw[f"gwp/{method['gwp_set']}/{one}"])
        total += oracle.whole(part["formula"], count if part in plain else None) * weight
    return total * row["sign"]


def rounded(value):
    """Six places, half to even."""
    scaled = value * 10**6
    whole, rest = divmod(scaled.numerator, scaled.denominator)
    if 2 * rest > scaled.denominator or (2 * rest == scaled.denominator and whole % 2):
        whole += 1
    return Fraction(whole, 10**6)


def run(inputs, shapes=25):
    """Compares that many random inputs; returns how many gave a figure."""
    methods = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("methods/*.json"))]
    raw, factors, random = raw_factors(), files.shipped_factors(), Random(2026)
    pairs = [(method, row) for method in methods for row in method["sources"]]
    rounds, good = -(-inputs // (len(pairs) * shapes)), 0
    for method, row in pairs:
        ours = files.method(method["id"])
        source = ours.source(row["id"])
        for _ in range(shapes):
            shape = drawn.shape(random, ours, source, factors, AT)
            for _ in range(rounds):
                values = drawn.values(random, source, shape)
                plain = {key: v if isinstance(v, str) else Fraction(v.ratio().numerator, v.ratio().denominator)
                         for key, v in values.items()}  # fmt: skip
                try:
                    result = library.account(ours, source, values, factors, AT)
                except FormulaError:
                    with pytest.raises(ZeroDivisionError):
                        expected(row, method, plain, raw)
                    continue
                should = expected(row, method, dict(plain), raw)
                found = Fraction(result.ratio.numerator, result.ratio.denominator)
                assert found == should, (method["id"], row["id"], values)
                if result.tco2e is not None:
                    assert Fraction(str(result.tco2e)) == rounded(should)
                good += 1
    return good


@pytest.mark.slow
def test_a_part_of_them():
    assert run(1000, 5) > 900


@pytest.mark.requirement("T-9.1-1")
@pytest.mark.slow
def test_all_sources_on_random_inputs_equal_fractions():
    assert run(INPUTS) >= INPUTS
