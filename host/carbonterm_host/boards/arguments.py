"""Gives arguments of functions names that their module has anyway: a name costs a board flash and RAM, and that of an
argument which nobody says in a call is never seen. Names of functions, methods, classes and modules are not touched.
"""

import ast

from carbonterm_host.boards.named import binds

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef,
           ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)  # fmt: skip
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def rename(trees, said):
    """Changes {module: tree}. said: names that outsiders say in calls."""
    nodes = {module: list(ast.walk(tree)) for module, tree in trees.items()}
    said = {*said, *(node.arg for found in nodes.values() for node in found if isinstance(node, ast.keyword))}
    if None in said:  # by **: any text may be a name
        said |= {node.value for found in nodes.values() for node in found
                 if isinstance(node, ast.Constant) and isinstance(node.value, str)}  # fmt: skip
    for module, found in nodes.items():
        has = _has(trees[module], found)
        for node in found:  # outer functions come before those in them
            if isinstance(node, _FUNCTIONS):
                _rename(node, has, said)


def _has(tree, nodes):
    """Names that a module has besides those of arguments and local variables, short ones first."""
    found = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    found |= {one for node in tree.body for one in binds(node)}
    return sorted((one for one in found if not one.startswith("__")), key=lambda one: (len(one), one))


def _rename(function, has, said):
    body = function.body if isinstance(function.body, list) else [function.body]
    nodes = [node for part in body for node in ast.walk(part)]
    otherwise = {one for node in nodes for one in _otherwise(node)}
    used = {node.id for node in nodes if isinstance(node, ast.Name)} | otherwise
    inner = {name for node in nodes if isinstance(node, _SCOPES) for name in _bound(node)}
    every = [*function.args.posonlyargs, *function.args.args]
    taken = used | {one.arg for one in ast.walk(function.args) if isinstance(one, ast.arg)}
    free = (one for one in has if one not in taken)
    kept = inner | said | {"self", *has} | otherwise
    new = {one.arg: next(free, one.arg) for one in every if one.arg not in kept}
    for one in every:
        one.arg = new.get(one.arg, one.arg)
    for node in nodes:
        if isinstance(node, ast.Name):
            node.id = new.get(node.id, node.id)


def _bound(scope):
    """Names that are given something in a scope or one in it."""
    return {one for node in ast.walk(scope) for one in binds(node)}


def _otherwise(node):
    """Names that a statement gives something to, or says, other than as a plain name."""
    if isinstance(node, (ast.Global, ast.Nonlocal)):
        return node.names
    return [] if isinstance(node, ast.Name) else binds(node)
