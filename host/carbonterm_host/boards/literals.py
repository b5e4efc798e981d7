"""Puts whole numbers and words where the names of constants stand, in all modules of an image: a name costs a board
flash, and RAM in every module that has it. What nobody names any more, slim.py leaves out.

A constant is a name at a module's top that is given a value there and nothing anywhere else: not in a function, not as
an argument, not as an attribute from outside. Where a name may mean two things it stays.
"""

import ast
from collections import Counter

from carbonterm_host.boards.named import binds

_PLAIN = (ast.Constant, ast.BinOp, ast.UnaryOp, ast.Add, ast.Sub, ast.Mult, ast.LShift, ast.RShift, ast.BitOr, ast.USub)
_SMALL = 1 << 29  # what every MicroPython keeps in one word
_WORD = 12  # longer texts are no names, and stand once


def put(trees, seen):
    """Changes {module: tree}. seen: named.Seen of them."""
    bound = {module: _bound(nodes) for module, nodes in seen.nodes.items()}
    written = {node.attr for nodes in seen.nodes.values() for node in nodes
               if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load)}  # fmt: skip
    known = {
        (module, name): value
        for module, tree in trees.items() for node in tree.body for name, value in _given(node)
        if _short(value) and bound[module][name] == 1 and name not in written
    }  # fmt: skip
    for module, tree in trees.items():
        _Put(known, module, seen.modules[module], _taken(seen.nodes[module], bound[module])).visit(tree)


def _bound(nodes):
    """How often each name is given something, in any place of a module."""
    found = Counter()
    for node in nodes:
        found.update(node.names * 2 if isinstance(node, (ast.Global, ast.Nonlocal)) else binds(node))
    return found


def _taken(nodes, bound):
    """{name: (module, name there)} of what a module imports, where the name means nothing else in it."""
    found = {}
    for node in nodes:
        for one in node.names if isinstance(node, ast.ImportFrom) else ():
            found.setdefault(one.asname or one.name, []).append((node.module, one.name))
    return {name: rows[0] for name, rows in found.items() if len({*rows}) == 1 and bound[name] == len(rows)}


def _given(node):
    """[(name, value)] of `A = 1`, `A, B = 1, "b"` and `A, B = range(2)`; value None where it is no such constant."""
    if not isinstance(node, ast.Assign) or len(node.targets) > 1:
        return []
    target, value = node.targets[0], node.value
    if isinstance(target, ast.Name):
        return [(target.id, _value(value))]
    if not isinstance(target, ast.Tuple) or not all(isinstance(one, ast.Name) for one in target.elts):
        return []
    numbers = [_value(one) for one in value.elts] if isinstance(value, ast.Tuple) else []
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "range":
        ends = [_value(one) for one in value.args]
        numbers = [] if None in ends else list(range(*ends))
    return list(zip([one.id for one in target.elts], numbers, strict=True)) if numbers else []


def _value(node):
    """What an expression of constants is; None."""
    plain = all(isinstance(one, _PLAIN) for one in ast.walk(node))
    return eval(compile(ast.Expression(node), "", "eval")) if plain else None


def _short(value):
    """Whether a constant is no larger than its name: a whole number, a word."""
    return -_SMALL < value < _SMALL if type(value) is int else isinstance(value, str) and len(value) <= _WORD


class _Put(ast.NodeTransformer):
    def __init__(self, known, module, modules, taken):
        self.known, self.module, self.modules, self.taken = known, module, modules, taken

    def visit_Name(self, node):
        key = self.taken.get(node.id, (self.module, node.id))
        return self._or(node, key)

    def visit_Attribute(self, node):
        of = self.modules.get(node.value.id, ()) if isinstance(node.value, ast.Name) else ()
        if len(of) == 1:
            return self._or(node, (*of, node.attr))
        return self.generic_visit(node)

    def _or(self, node, key):
        found = self.known.get(key) if isinstance(node.ctx, ast.Load) else None
        return node if found is None else ast.copy_location(ast.Constant(found), node)
