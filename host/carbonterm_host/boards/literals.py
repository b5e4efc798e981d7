"""Puts constants where their names stand, in all modules of an image: whole numbers, words, prose (which texts.py takes
from there), and what is named once only. A name costs a board flash, and RAM in every module that has it. What nobody
names any more, slim.py leaves out.

A constant is a name at a module's top that is given a value there and nothing anywhere else: not in a function, not as
an argument, not as an attribute from outside. Where a name may mean two things it stays.
"""

import ast
import copy
from collections import Counter

from carbonterm_host.boards.named import binds
from carbonterm_host.boards.texts import is_prose

_PLAIN = (ast.Constant, ast.BinOp, ast.UnaryOp, ast.Add, ast.Sub, ast.Mult, ast.LShift, ast.RShift, ast.BitOr, ast.USub)
_SMALL = 1 << 29  # what every MicroPython keeps in one word
_WORD = 12  # longer texts are no names, and stand once


def put(trees, seen):
    """Changes {module: tree}. seen: named.Seen of them."""
    bound = {module: _bound(nodes) for module, nodes in seen.nodes.items()}
    written = {node.attr for nodes in seen.nodes.values() for node in nodes
               if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load)}  # fmt: skip
    puts = {module: _Put(module, seen.modules[module], _taken(seen.nodes[module], bound[module])) for module in trees}
    uses = Counter(one.key(node) for module, one in puts.items() for node in seen.nodes[module])
    known = {
        (module, name): value
        for module, tree in trees.items() for node in tree.body for name, value in _given(node)
        if bound[module][name] == 1 and name not in written and (_short(value) or uses[module, name] == 1)
    }  # fmt: skip
    for module, tree in trees.items():
        puts[module].known = known
        puts[module].visit(tree)
        tree.body = [one for node in tree.body for one in _each(node)]


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
    """[(name, expression)] of `A = 1`, `A, B = 1, "b"` and `A, B = range(2)`, where all is constant."""
    if not isinstance(node, ast.Assign) or len(node.targets) > 1:
        return []
    target, value = node.targets[0], node.value
    if isinstance(target, ast.Name):
        pairs = [(target, value)]
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        pairs = zip(target.elts, value.elts, strict=True)
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Call) and getattr(value.func, "id", None) == "range":
        ends = [_constant(one) for one in value.args]
        numbers = [] if None in ends else range(*[one.value for one in ends])
        pairs = zip(target.elts, [ast.Constant(one) for one in numbers], strict=True) if numbers else []
    else:
        pairs = []
    found = [(one.id, _constant(value)) for one, value in pairs if isinstance(one, ast.Name)]
    return [(name, value) for name, value in found if value is not None]


def _each(node):
    """`A, B = range(2)` as a statement for each, so that one may go."""
    given = _given(node)
    if len(given) < 2 or len(given) < len(node.targets[0].elts):
        return [node]
    return [ast.Assign([ast.Name(name, ast.Store())], value, lineno=0) for name, value in given]


def _constant(node):
    """An expression of constants, worked out where it is a single one; None where it is none."""
    nodes = list(ast.walk(node))
    if all(isinstance(one, _PLAIN) for one in nodes):
        expression = ast.fix_missing_locations(ast.Expression(copy.deepcopy(node)))
        return ast.Constant(eval(compile(expression, "", "eval")))
    texts = [one.value for one in nodes if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    rows = all(isinstance(one, (*_PLAIN, ast.Tuple, ast.Load)) for one in nodes)
    return node if rows and not any(map(is_prose, texts)) else None  # with prose it would be read at each use


def _short(node):
    """Whether a constant is no larger than its name: a whole number, a word, a text that stands elsewhere."""
    value = getattr(node, "value", None)
    if type(value) is int:
        return -_SMALL < value < _SMALL
    return isinstance(value, str) and (len(value) <= _WORD or is_prose(value))


class _Put(ast.NodeTransformer):
    """Puts what is `known` into a module's tree."""

    def __init__(self, module, modules, taken):
        self.module, self.modules, self.taken, self.known = module, modules, taken, {}

    def key(self, node):
        """(module, name) of the constant that a node may mean."""
        if not isinstance(getattr(node, "ctx", None), ast.Load):
            return None
        if isinstance(node, ast.Name):
            return self.taken.get(node.id, (self.module, node.id))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            of = self.modules.get(node.value.id, ())
            return (*of, node.attr) if len(of) == 1 else None
        return None

    def visit_Name(self, node):
        found = self.known.get(self.key(node))
        return node if found is None else self.visit(copy.deepcopy(found))

    def visit_Attribute(self, node):
        found = self.known.get(self.key(node))
        return self.generic_visit(node) if found is None else self.visit(copy.deepcopy(found))
