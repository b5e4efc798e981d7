"""Random formulas against Python's fractions."""

from fractions import Fraction

import pytest

import formulas
from carbonterm import formula
from carbonterm.errors import FormulaError
from seeded import Random


def fraction(node, values):
    kind = node[0]
    if kind == "name":
        return values[node[1]]
    if kind == "number":
        return Fraction(node[1])
    if kind == "neg":
        return -fraction(node[1], values)
    if kind == "pow":
        return fraction(node[1], values) ** node[2]
    left, right = fraction(node[1], values), fraction(node[2], values)
    return {"+": left.__add__, "-": left.__sub__, "*": left.__mul__, "/": left.__truediv__}[kind](right)


@pytest.mark.slow
def test_formulas_equal_fractions():
    random, zero = Random(2026), 0
    for _ in range(20000):
        tree = formulas.tree(random, 5)
        steps = formula.compile(formulas.text(tree, random), formulas.NAMES)
        values = formulas.values(random)
        exact = {name: Fraction(str(value)) for name, value in values.items()}
        try:
            expected = fraction(tree, exact)
        except ZeroDivisionError:
            expected = None
        try:
            found = formula.evaluate(steps, values)
            assert expected == Fraction(found.numerator, found.denominator)
        except FormulaError as error:
            if "4900 digits" in error.what:
                continue
            assert expected is None
            assert "division by zero" in error.what
            zero += 1
    assert zero > 100
