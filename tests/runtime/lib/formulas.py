"""Random formulas for tests, as text and as a tree that an oracle can walk."""

from carbonterm.number import Number

NAMES = ("FC", "NCV", "x", "电量", "a_1", "b.c")


def tree(random, depth):
    """("name", n) | ("number", text) | (op, left, right) | ("neg", t) | ("pow", t, n)."""
    pick = random.below(10 if depth else 2)
    if pick == 0:
        return ("number", random.choice(("0", "1", "12", "44", "0.001", "1.5e-3", "389.31", "0.50", "7")))
    if pick == 1:
        return ("name", random.choice(NAMES))
    if pick == 2:
        return ("neg", tree(random, depth - 1))
    if pick == 3:
        return ("pow", tree(random, depth - 1), random.between(-3, 3))
    return (random.choice("+-*/"), tree(random, depth - 1), tree(random, depth - 1))


def text(node, random):
    """The formula of a tree, with more parentheses than needed now and then, and in the two ways to write powers."""
    kind = node[0]
    if kind in ("name", "number"):
        shown = node[1]
    elif kind == "neg":
        shown = "-(" + text(node[1], random) + ")"
    elif kind == "pow":
        shown = "(" + text(node[1], random) + ")" + random.choice(("^", "**", " ^ ")) + str(node[2])
    else:
        space = random.choice(("", " "))
        shown = "(" + text(node[1], random) + ")" + space + kind + space + "(" + text(node[2], random) + ")"
    return "(" + shown + ")" if random.below(5) == 0 else shown


def values(random):
    return {name: Number(random.between(-10**6, 10**6), random.between(-6, 2)) for name in NAMES}
