"""Leaves out of an image's modules what never does anything on a board: `__slots__`, which MicroPython does not know,
and what follows the import of a module that the image does not hold; the import raises the ImportError that it would.
"""

import ast

from carbonterm_host.boards.named import binds


def drop(tree, absent):
    """Changes a module's tree. absent: modules and packages that the image does not hold."""
    nodes = list(ast.walk(tree))
    asks = any(within(one, absent) for node in nodes for one in _imports(node))
    for node in nodes:
        if isinstance(node, ast.ClassDef):
            node.body = [row for row in node.body if not _slots(row)] or [ast.Pass()]
        elif asks and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for block in [block for part in ast.walk(node) for block in _blocks(part)]:
                _cut(node, block, absent)


def within(module, packages):
    """Whether a module is one of these or in one of them."""
    return any(module == one or module.startswith(one + ".") for one in packages)


def _slots(row):
    return isinstance(row, ast.Assign) and [getattr(one, "id", None) for one in row.targets] == ["__slots__"]


def _blocks(node):
    found = [getattr(node, field, None) for field in ("body", "orelse", "finalbody")]
    return [one for one in found if isinstance(one, list)]


def _cut(function, block, absent):
    """Ends a block of a function with the first statement that cannot but fail, unless the function means something
    else without the rest."""
    for at, node in enumerate(block):
        gone = [one for one in _imports(node) if within(one, absent)]
        if gone:
            rest = [one for each in block[at:] for one in ast.walk(each)]
            if not any(isinstance(one, (ast.Yield, ast.YieldFrom)) for one in rest):
                was, block[at:] = block[at:], ast.parse(f"raise ImportError(\"no module named '{gone[0]}'\")").body
                left = list(ast.walk(function))
                lost = {name for one in rest for name in binds(one)} - {name for one in left for name in binds(one)}
                if any(isinstance(one, ast.Name) and one.id in lost for one in left):
                    block[at:] = was
            return


def _imports(node):
    if isinstance(node, ast.Import):
        return [one.name for one in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module, *(f"{node.module}.{one.name}" for one in node.names)]
    return []
