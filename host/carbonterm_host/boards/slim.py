"""Makes the image of a small board smaller before it is compiled: functions, classes, methods, constants and imports
that nothing in it asks for are left out (tree shaking). What stays is not changed, but for short constants
(literals.py).

It goes by names and errs on the side of keeping. A module's function stays if what stays names it: in its own module,
by an import, or as an attribute of its module. A method stays if its name is an attribute anywhere in what stays, a
text there, or what a computer says to a board; so does a function of a module that somebody hands on or a computer
names. `missing` says what would not be found.
"""

import ast
import builtins

from carbonterm_host.boards import dead, literals
from carbonterm_host.boards.named import Seen, binds

# asked for by MicroPython itself: block devices, streams
ASKED = ("ioctl", "read", "readblocks", "readinto", "readline", "write", "writeblocks", "count")
# of Python, and what mpy-cross knows
BUILTINS = {*dir(builtins), "const", "ptr8", "ptr16", "ptr32", "uint", "__file__", "__name__"}


def slim(sources, roots, absent=()):
    """{module: text} of {module: text} without what neither they nor `roots`, names that outsiders say, ask for.
    absent: modules and packages that are not there, on purpose."""
    trees = {module: ast.parse(text) for module, text in sources.items()}
    for tree in trees.values():
        dead.drop(tree, absent)
    roots = {*roots, *ASKED}
    seen = Seen(trees, roots)
    literals.put(trees, seen)
    _shake(trees, roots, seen)  # keys: (module, name), or (None, name) of whatever object
    return {module: ast.unparse(tree) for module, tree in trees.items()}


class _Piece:
    """What may be left out, a definition or one name of an import: `keys` that keep it, what it `asks` for, and the
    `rows` of a class, pieces themselves."""

    def __init__(self, node, keys, asks, rows=()):
        self.node, self.keys, self.asks, self.rows = node, keys, asks, rows
        self.kept = False


def _shake(trees, roots, seen):
    wanted = {(None, name) for name in roots}
    pieces, waiting = {}, []
    for module, tree in trees.items():
        pieces[module] = [_piece(seen, module, node) for node in tree.body]
        waiting += [piece for _, parts in pieces[module] for piece in parts]
        for node, parts in pieces[module]:
            wanted |= set() if parts else seen.asks(node, module)
    more = True
    while more:
        more, todo, waiting = False, waiting, []
        for piece in todo:
            if piece.keys & wanted:
                more = piece.kept = True
                wanted |= piece.asks
                waiting += piece.rows
            else:
                waiting.append(piece)
    for module, tree in trees.items():
        tree.body = [node for node, parts in pieces[module] if _left(node, parts)] or [ast.Pass()]


def _piece(seen, module, node):
    """(statement at a module's top, its pieces); none: it stays."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return node, [
            _Piece(one, seen.keys(module, one.asname or one.name.split(".")[0]),
                   {(node.module, one.name)} if isinstance(node, ast.ImportFrom) else set())
            for one in node.names if one.name != "*"
        ]  # fmt: skip
    names = _defines(node)
    if names is None:
        return node, []
    keys, rows = set().union(*[seen.keys(module, name) for name in names]), []
    asked = node
    if isinstance(node, ast.ClassDef):
        rows = [_Piece(row, {(None, name) for name in _optional(row)}, seen.asks(row, module))
                for row in node.body if _optional(row)]  # fmt: skip
        must = [row for row in node.body if not _optional(row)]
        asked = ast.Module([ast.Expr(one) for one in node.bases] + must, [])
    return node, [_Piece(node, keys, seen.asks(asked, module), rows)]


def _left(node, pieces):
    """Whether a statement stays; takes out of it what does not."""
    kept = [one for one in pieces if one.kept]
    if pieces and not kept:
        return False
    if isinstance(node, (ast.Import, ast.ImportFrom)) and pieces:
        node.names = [one.node for one in kept]
    elif isinstance(node, ast.ClassDef) and pieces:
        gone = {id(row.node) for row in kept[0].rows if not row.kept}
        node.body = [row for row in node.body if id(row) not in gone] or [ast.Pass()]
    return True


def _defines(node):
    """Names that a statement at a module's or class's top defines and does nothing else; None for other statements."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        known = ("property", "staticmethod", "classmethod")
        plain = all(isinstance(one, ast.Name) and one.id in known for one in node.decorator_list)
        return {node.name} if plain else None
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        found = [one for one in ast.walk(node.targets[0]) if not isinstance(one, (ast.Tuple, ast.expr_context))]
        if all(isinstance(one, ast.Name) for one in found):
            return {one.id for one in found}
    return None


def _optional(row):
    """Names of a class's row that may be left out; none: it stays."""
    return set() if any(one.startswith("__") for one in _defines(row) or ()) else _defines(row)


# --- what is left -----------------------------------------------------------------------------------------------------


def reached(sources, begin):
    """The modules of {module: text} that `begin`, names of modules, import in any place, with their packages."""
    todo, found = list(begin), set()
    while todo:
        one = todo.pop()
        if one in found or one not in sources:
            continue
        found.add(one)
        todo += [one.rsplit(".", 1)[0]] if "." in one else []
        for node in ast.walk(ast.parse(sources[one])):
            if isinstance(node, ast.Import):
                todo += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                todo += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


def missing(sources, known=()):
    """[(module, name)] of names that code of {module: text} asks for and nothing defines: its own ones, those that it
    imports from these modules, attributes of these modules, and attributes by a text that is put together, which nobody
    can follow. known: modules that are absent on purpose, which may be asked for in functions and tries only.
    """
    trees = {module: ast.parse(text) for module, text in sources.items()}
    tops = {module: _bound(tree) for module, tree in trees.items()}
    nodes = {module: list(ast.walk(tree)) for module, tree in trees.items()}
    for module in trees:
        for node in nodes[module]:
            if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
                tops[module] |= tops.get(node.module, set())
    found = []
    for module, tree in trees.items():
        bound = {one for node in nodes[module] for one in binds(node)} | tops[module] | BUILTINS
        aliases = {}
        for node in nodes[module]:
            if isinstance(node, ast.Name) and node.id not in bound:
                found.append((module, node.id))
            elif isinstance(node, ast.Call) and getattr(node.func, "id", None) in ("getattr", "hasattr", "setattr"):
                if not isinstance(node.args[1], (ast.Constant, ast.Name)):
                    found.append((module, ast.unparse(node.args[1])))
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    if inner in trees:
                        aliases[alias.asname or alias.name] = inner
                    elif alias.name not in {"*", *tops.get(node.module, (alias.name,))}:
                        found += [] if dead.within(inner, known) else [(module, inner)]
        for node in tree.body:
            if isinstance(node, ast.ImportFrom):
                inner = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
                found += [(module, one) for one in inner if dead.within(one, known)][:1]
        for node in nodes[module]:
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in aliases:
                of = aliases[node.value.id]
                if node.attr not in tops[of] and f"{of}.{node.attr}" not in trees:
                    found.append((module, f"{of}.{node.attr}"))
    return sorted(set(found))


def _bound(tree):
    """Names at a module's top, those in its ifs and tries too."""
    found = set()
    todo = list(tree.body)
    while todo:
        node = todo.pop()
        found.update(binds(node))
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            todo += ast.iter_child_nodes(node)
    return found
