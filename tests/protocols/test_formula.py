"""Formulas: grammar, exact values, programs from outside, errors that say where, anything at all as text."""

import pytest

import formulas
from carbonterm import cbor, formula
from carbonterm.errors import FormulaError
from carbonterm.number import Number, Ratio
from seeded import Random


def value(text, **values):
    return str(formula.evaluate(formula.compile(text), values))


def test_the_fuel_formula_is_exact():
    steps = formula.compile("FC*NCV*CC*OF*44/12", ["FC", "NCV", "CC", "OF"])
    assert steps == ["FC", "NCV", 2, "CC", 2, "OF", 2, [0, 44], 2, [0, 12], 3]
    assert formula.names(steps) == ["FC", "NCV", "CC", "OF"]
    values = {"FC": 1000, "NCV": Number("20"), "CC": Number("0.02749"), "OF": Ratio(94, 100)}
    assert formula.evaluate(steps, values) == Ratio(1421233, 750)
    assert cbor.decode(cbor.encode(steps)) == steps


def test_grammar():
    for text, expected in (
        ("1+2*3", "7/1"), ("(1+2)*3", "9/1"), ("2-3-4", "-5/1"), ("24/4/3", "2/1"), ("2*-3", "-6/1"), ("--2", "2/1"),
        ("-2^2", "-4/1"), ("(-2)^2", "4/1"), ("2**3", "8/1"), ("10^-3", "1/1000"), ("2^0", "1/1"), ("2*3^2", "18/1"),
        ("+5", "5/1"), ("max(1,2)*3", "6/1"), ("min(2, 1/2, 3)", "1/2"), ("max(-1/3，1/-2)", "-1/3"),
        ("1-max(2*(1+1), 3)^2", "-15/1"), ("min(max(1,2),max(3,4))", "2/1"),
        ("1.50", "3/2"), ("1.5e-3", "3/2000"), ("2E2", "200/1"), ("3 × 4 ÷ 6 − 1", "1/1"),
        ("（1+2）·3", "9/1"), (" 1\t+\n2 ", "3/1"), ("1/3+1/3+1/3", "1/1"), ("-1-1", "-2/1"), ("6/-4", "-3/2"),
    ):  # fmt: skip
        assert value(text) == expected, text
    assert value("电量*a.b_1", **{"电量": 2, "a.b_1": Number("0.5")}) == "1/1"


@pytest.mark.parametrize(
    "text, character, what",
    (
        ("", 1, "must stand"), ("a+", 3, "ends where"), ("*a", 1, "not '\\*'"), ("a b", 3, "operator"),
        ("(a", 1, "never closed"),
        ("a)", 2, "has no"), ("()", 2, "must stand"), ("a+FX", 3, "unknown name 'FX'"), ("fx(a,b)", 1, "unknown name"),
        ("a(b)", 2, "not a function"), ("2^3^2", 3, "power"), ("2^x", 3, "power"), ("2^10", 3, "power"),
        ("2^1.5", 3, "power"),
        ("2^", 3, "power"), ("1.", 1, "decimal"), ("1..2", 1, "decimal"), ("1e", 1, "decimal"), (".5", 1, "must stand"),
        ("a;b", 2, "operator"), ("a=b", 2, "operator"), ("__import__('os')", 1, "unknown name"),
        ("a[0]", 2, "operator"),
        ("12345678901234567890123", 1, "19 digits"), ("1e999", 1, "outside"), ("１", 1, "must stand"),
        ("a+é", 3, "must stand"), ("a,b", 2, "no \\("), ("(a,b)", 3, "comma"), ("max(a)", 6, "two values"),
        ("max(a,)", 7, "must stand"), ("max()", 5, "must stand"), ("sum(a,b)", 6, "comma"),
        ("sum(a*sum(b))", 7, "within"), ("sum(a", 4, "never closed"), ("sum()", 5, "must stand"), ("sum", 1, "unknown"),
    ),
)  # fmt: skip
def test_mistakes_are_shown_with_their_place(text, character, what):
    with pytest.raises(FormulaError, match=what) as caught:
        formula.compile(text, ["a", "b", "FC"])
    assert ("character %d:" % character) in str(caught.value)
    print(str(caught.value))


def test_an_unknown_name_brings_the_near_or_the_known_ones():
    with pytest.raises(FormulaError, match="did you mean NCV"):
        formula.compile("FC*NVC", ["FC", "NCV"])
    with pytest.raises(FormulaError, match="known names: FC, NCV"):
        formula.compile("FC*xyzzy", ["FC", "NCV"])


def test_bounds():
    for text in ("1" + "+1" * 1000, "+".join(["1"] * 400), "(" * 40 + "1" + "+1)" * 40, "x" * 2001):
        try:
            steps = formula.compile(text)
            assert len(text) <= formula.MAX_TEXT
            assert len(steps) <= formula.MAX_STEPS
        except FormulaError as error:
            print(error.what[:70])
    deep = "1+(" * 40 + "1" + ")" * 40
    with pytest.raises(FormulaError, match="nested deeper"):
        formula.compile(deep)
    with pytest.raises(FormulaError, match="4900 digits"):
        value("((((x^9)^9)^9)^9)^9", x=Number("123456789.123456789"))
    for text in (None, 12, b"1+1"):
        with pytest.raises(FormulaError, match="is a text"):
            formula.compile(text)


def test_missing_values_and_division_by_zero_are_named():
    steps = formula.compile("E/P*1000")
    with pytest.raises(FormulaError, match="'P' has no value"):
        formula.evaluate(steps, {"E": 1})
    with pytest.raises(FormulaError, match="'E' has no value"):
        formula.evaluate(steps, {"E": None, "P": 2})
    with pytest.raises(FormulaError, match="division by zero in 'E/P\\*1000'"):
        formula.evaluate(steps, {"E": 1, "P": Number("0.00")})
    with pytest.raises(FormulaError, match="division by zero"):
        value("x^-2", x=0)
    for bad in (1.5, "1", True, [1]):
        with pytest.raises(FormulaError, match="not an exact number"):
            formula.evaluate(steps, {"E": bad, "P": 2})


@pytest.mark.parametrize(
    "steps",
    (
        None, [], "a", {"a": 1},
        [2], ["a", 2], ["a", "b"], ["a", "b", 2, 3], ["a", 5], ["a", "b", 6, 5], [7, "a", 8], ["a", 9], ["a", -1],
        ["a", None], ["a", 1.5],
        ["a b"], [""], ["1a"], [[0, -1]], [[0, 1 << 64]], [[401, 1]], [[-401, 1]], [["a",
        1]], [[1, 2, 3]], [[]], ["a", [10]],
        ["a", [-10]], [[2]], [True], ["a", [True]], [b"a"], ["a"] * 601, ["a"] * 40 + [0] * 39, [4], ["a", [[1]]],
    ),
)  # fmt: skip
def test_foreign_programs_are_checked(steps):
    with pytest.raises(FormulaError) as caught:
        formula.check(steps)
    print(str(caught.value))


def test_text_gives_the_same_program_back():
    random = Random(5)
    for text in ("a-(b-c)", "a/(b*c)", "-(a*b)^2", "-a*b", "(-a)^2", "a+(b+c)", "-(-a)", "1-(1-a)*b", "(a^2)^3",
    "2^-3", "max(a,b,a-b)", "-min(a,-b)^2*3"):
        steps = formula.compile(text)
        assert formula.compile(formula.text(steps)) == steps, text
        print(formula.text(steps))
    for _ in range(200):
        steps = formula.compile(formulas.text(formulas.tree(random, 4), random))
        again = formula.compile(formula.text(steps))
        values = formulas.values(random)
        assert outcome(steps, values) == outcome(again, values)


def outcome(steps, values):
    try:
        return str(formula.evaluate(steps, values))
    except FormulaError as error:
        return error.what[:16]


@pytest.mark.slow
def test_random_formulas_give_the_same_digits_everywhere():
    random = Random(9)
    for _ in range(400):
        steps = formula.compile(formulas.text(formulas.tree(random, 5), random), formulas.NAMES)
        assert cbor.decode(cbor.encode(steps)) == steps
        formula.check(steps)
        print(outcome(steps, formulas.values(random)))


def test_any_text_compiles_or_is_refused():
    random = Random(77)
    alphabet = "ab1209.eE+-*/^()（）×÷−· \t_,;[]{}'\"\\\x00é碳\u3000%="
    good = 0
    for _ in range(4000):
        text = "".join(random.choice(alphabet) for _ in range(random.below(14)))
        try:
            formula.check(formula.compile(text))
            good += 1
        except FormulaError as error:
            assert error.what
    print(good)
    assert good > 50


def test_any_program_is_checked_or_evaluates():
    random = Random(78)
    parts = ("a", "b", [0, 1], [-2, 5], [2], [-1], 0, 1, 2, 3, 4, 5, 6, [0, 0])
    good = 0
    for _ in range(4000):
        steps = [random.choice(parts) for _ in range(random.between(1, 7))]
        try:
            formula.check(steps)
        except FormulaError:
            continue
        good += 1
        outcome(steps, {"a": 3, "b": Ratio(-1, 7)})
        formula.check(formula.compile(formula.text(steps)))
    print(good)
    assert good > 50
