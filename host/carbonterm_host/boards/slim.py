"""Makes the modules of a small board smaller before they are compiled: what nobody in the image asks for is left out,
and private names become short ones that the modules share: each name of a module costs flash, and memory once.

It goes by names alone and is careful: a function, class, constant or method stays if its name occurs anywhere in what
stays, as a name, an attribute, a text, or in what a computer says to the board; a parameter keeps its name where any
call or text names one so. Sources are not changed. `missing` says what would not be found.
"""

import ast
import builtins
import re
import string
from itertools import count, islice

# asked for by MicroPython itself: block devices, streams
ASKED = ("ioctl", "read", "readblocks", "readinto", "readline", "write", "writeblocks", "count")
# of Python, and what mpy-cross knows
BUILTINS = {*dir(builtins), "const", "ptr8", "ptr16", "ptr32", "uint", "__file__", "__name__"}
_LETTERS = string.ascii_lowercase + string.digits


def words(text):
    """All that could be a name in a text."""
    return set(re.findall(r"[A-Za-z_][A-Za-z_0-9]*", text))


def slim(sources, roots):
    """({module: text}, {module: {short name: name}}) of {module: text}; roots: names that outsiders ask for."""
    trees = {module: ast.parse(text) for module, text in sources.items()}
    _shake(trees, set(roots) | set(ASKED))
    names = _shorten(trees, set(roots))
    return {module: ast.unparse(tree) for module, tree in trees.items()}, names


# --- what is left out -----------------------------------------------------------------------------------------------


def _defines(node):
    """Names that a statement at a module's or class's top defines and does nothing else; None for other statements."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return None if node.decorator_list and not _plain(node) else {node.name}
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        found = [one for one in ast.walk(node.targets[0]) if not isinstance(one, (ast.Tuple, ast.expr_context))]
        if all(isinstance(one, ast.Name) for one in found):
            return {one.id for one in found}
    return None


def _plain(node):
    known = ("property", "staticmethod", "classmethod")
    return all(isinstance(one, ast.Name) and one.id in known for one in node.decorator_list)


def _asks(node, module, inside=True):
    """What code of a module asks for: (module, name) of names, (None, name) of attributes and texts, which may be any
    module's or object's. Of a class with inside=False only for its head and what it must have."""
    found, todo = set(), [node]
    while todo:
        one = todo.pop()
        if isinstance(one, ast.Name):
            found.add((module, one.id))
        elif isinstance(one, ast.Attribute):
            found.add((None, one.attr))
        elif isinstance(one, ast.Constant) and isinstance(one.value, str) and one.value.isidentifier():
            found.add((None, one.value))
        elif isinstance(one, ast.ImportFrom):
            found.update((one.module, alias.name) for alias in one.names)
        if not inside and one is node:
            todo += [*one.bases, *one.keywords, *(row for row in one.body if _optional(row) is None)]
        else:
            todo += ast.iter_child_nodes(one)
    return found


def _optional(row):
    """Names of a class's row that may be left out."""
    found = _defines(row)
    return None if found is None or any(one.startswith("__") for one in found) else found


def _imported(node):
    return isinstance(node, (ast.Import, ast.ImportFrom))


def _shake(trees, roots):
    """Leaves out what nobody asks for, and then what is imported for nothing."""
    wanted = {(None, name) for name in roots}
    waiting = []  # [names as wanted, node, module]
    for module, tree in trees.items():
        for node in tree.body:
            if isinstance(node, ast.ImportFrom):
                waiting += [({(module, one.asname or one.name)}, (node.module, one.name), None) for one in node.names]
            elif not isinstance(node, ast.Import):
                names = _defines(node)
                if names is None:
                    wanted |= _asks(node, module)
                else:
                    waiting.append(({(of, name) for name in names for of in (module, None)}, node, module))
    kept, more = set(), True
    while more:
        more, todo, waiting = False, waiting, []
        for names, node, module in todo:
            if not names & wanted:
                waiting.append((names, node, module))
                continue
            more = True
            if module is None:
                wanted.add(node)
            else:
                kept.add(id(node))
                wanted |= _asks(node, module, not isinstance(node, ast.ClassDef))
                for row in node.body if isinstance(node, ast.ClassDef) else ():
                    if _optional(row) is not None:
                        waiting.append(({(None, name) for name in _optional(row)}, row, module))
    for module, tree in trees.items():
        tree.body = [node for node in tree.body if _imported(node) or _defines(node) is None or id(node) in kept]
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                node.body = [row for row in node.body if _optional(row) is None or id(row) in kept] or [ast.Pass()]
        used = {name for node in tree.body if not _imported(node) for of, name in _asks(node, module) if of == module}
        for node in list(tree.body):
            if _imported(node):
                node.names = [one for one in node.names if (one.asname or one.name).split(".")[0] in used | {"*"}]
                if not node.names:
                    tree.body.remove(node)


# --- short names ------------------------------------------------------------------------------------------------------


def _fresh(prefix, taken):
    """Names that begin with prefix and are not taken, the shortest first."""
    for length in count(1):
        todo = [prefix]
        for _ in range(length):
            todo = [one + letter for one in todo for letter in _LETTERS]
        yield from (one for one in todo if one not in taken and one.isidentifier() and one[-1] != "_")


def _private(name):
    return name.startswith("_") and not name.startswith("__")


def _shorten(trees, roots):
    keywords, texts, where = set(roots), set(), {}
    for module, tree in trees.items():
        for one in ast.walk(tree):
            if isinstance(one, ast.keyword) and one.arg:
                keywords.add(one.arg)
            elif isinstance(one, ast.Constant) and isinstance(one.value, str):
                texts.add(one.value)
            elif isinstance(one, ast.Attribute):
                where.setdefault(one.attr, set()).add(module)
            elif isinstance(one, ast.ImportFrom):
                where.update((alias.name, {"", *where.get(alias.name, ())}) for alias in one.names)
    families = _families(trees)
    names = {module: {} for module in trees}
    _attributes(trees, families, where, texts | roots, names)
    taken = set().union(*[_identifiers(tree) for tree in trees.values()])
    for module, tree in trees.items():
        _globals(tree, set(where) | roots, taken, names[module])
        _parameters(tree, keywords | texts, taken)
    return names


def _identifiers(tree):
    found = set()
    for one in ast.walk(tree):
        for field in ("id", "attr", "arg", "name", "asname"):
            if isinstance(getattr(one, field, None), str):
                found.add(getattr(one, field))
    return found


def _families(trees):
    """{module: name of its family}: modules whose classes are one another's bases, and so share attributes."""
    family = {module: module for module in trees}
    defined = {}
    for module, tree in trees.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                defined.setdefault(node.name, set()).add(module)
    for module, tree in trees.items():
        for node in ast.walk(tree):
            for base in node.bases if isinstance(node, ast.ClassDef) else ():
                name = base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
                for other in sorted(defined.get(name, ())):
                    old, new = family[other], family[module]
                    family = {one: new if of == old else of for one, of in family.items()}
    return family


def _attributes(trees, families, where, texts, names):
    """Private attributes and methods that one family alone knows."""
    methods = {}
    for module, tree in trees.items():
        for node in ast.walk(tree):
            for row in node.body if isinstance(node, ast.ClassDef) else ():
                for one in _defines(row) or ():
                    methods.setdefault(one, set()).add(module)
    for family in sorted(set(families.values())):
        members = [module for module in trees if families[module] == family]
        own = set().union(*[_identifiers(trees[module]) for module in members])
        short, made = _fresh("_", own | set(where)), {}
        short = (one.upper() for one in short)
        for name in sorted(set(where) | set(methods)):
            seen = where.get(name, set()) | methods.get(name, set())
            if not _private(name) or not seen & set(members) or not seen <= set(members) or len(name) < 3:
                continue
            if name in texts and not all(_slots_only(trees[module], name) for module in members):
                continue
            made[name] = next(one for one in short if one not in own)
        for module in members:
            _Attributes(made).visit(trees[module])
            names[module].update((one, name) for name, one in made.items())


def _slots_only(tree, name):
    inside = [one for node in ast.walk(tree) if isinstance(node, ast.Assign) and _defines(node) == {"__slots__"}
              for one in ast.walk(node.value)]  # fmt: skip
    every = [one for one in ast.walk(tree) if isinstance(one, ast.Constant) and one.value == name]
    return all(any(one is other for other in inside) for one in every)


class _Attributes(ast.NodeTransformer):
    def __init__(self, made):
        self.made = made

    def visit_Attribute(self, node):
        node.attr = self.made.get(node.attr, node.attr)
        return self.generic_visit(node)

    def visit_ClassDef(self, node):
        for row in node.body:
            if isinstance(row, (ast.FunctionDef, ast.AsyncFunctionDef)):
                row.name = self.made.get(row.name, row.name)
            elif isinstance(row, ast.Assign):
                for one in row.targets:
                    for name in ast.walk(one):
                        if isinstance(name, ast.Name):
                            name.id = self.made.get(name.id, name.id)
                if _defines(row) == {"__slots__"}:
                    for one in ast.walk(row.value):
                        if isinstance(one, ast.Constant):
                            one.value = self.made.get(one.value, one.value)
        return self.generic_visit(node)


def _globals(tree, known, taken, names):
    """Private functions, classes and constants of a module that no other names."""
    short, made = _fresh("_", taken), {}
    for node in tree.body:
        for name in sorted(_defines(node) or ()):
            if _private(name) and name not in known and len(name) > 2 and name not in made:
                made[name] = next(short)
    if made:
        _rename(tree, made)
        names.update((one, name) for name, one in made.items())


def _parameters(tree, keywords, taken):
    letters = list(islice(_fresh("", taken | {"if", "in", "is", "as", "or"}), 80))
    for node in _outermost(tree):
        found = []
        for one in ast.walk(node):
            if isinstance(one, ast.arguments):
                every = [*one.posonlyargs, *one.args, one.vararg, *one.kwonlyargs, one.kwarg]
                found += [row.arg for row in every if row and row.arg not in (*found, "self")]
            elif isinstance(one, (ast.Global, ast.Nonlocal)):
                keywords = keywords | set(one.names)
        found = [name for name in found if name not in keywords and len(name) > 1]
        _rename(node, dict(zip(found, letters, strict=False)))


def _outermost(tree):
    todo = list(ast.iter_child_nodes(tree))
    while todo:
        one = todo.pop()
        if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield one
        else:
            todo += ast.iter_child_nodes(one)


def _rename(tree, made):
    inside = [one for one in ast.walk(tree) if one is not tree]
    for one in inside:
        if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and one not in _top(tree):
            made.pop(one.name, None)
        elif isinstance(one, ast.alias):
            made.pop((one.asname or one.name).split(".")[0], None)
    for one in [*inside, tree]:
        if isinstance(one, ast.Name):
            one.id = made.get(one.id, one.id)
        elif isinstance(one, ast.arg):
            one.arg = made.get(one.arg, one.arg)
        elif isinstance(one, ast.ExceptHandler):
            one.name = made.get(one.name, one.name)
    for one in _top(tree):
        if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            one.name = made.get(one.name, one.name)


def _top(tree):
    return tree.body if isinstance(tree, ast.Module) else ()


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
    imports from these modules, and attributes of these modules. known: modules that are absent on purpose, which may be
    asked for in functions and tries only.
    """
    trees = {module: ast.parse(text) for module, text in sources.items()}
    tops = {module: _bound(tree) for module, tree in trees.items()}
    for module, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
                tops[module] |= tops.get(node.module, set())
    found = []
    for module, tree in trees.items():
        bound = {one for node in ast.walk(tree) for one in _binds(node)} | tops[module] | BUILTINS
        aliases = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id not in bound:
                found.append((module, node.id))
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    if inner in trees:
                        aliases[alias.asname or alias.name] = inner
                    elif alias.name not in {"*", *tops.get(node.module, (alias.name,))} and not _within(inner, known):
                        found.append((module, inner))
        for node in tree.body:
            if isinstance(node, ast.ImportFrom):
                inner = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
                found += [(module, one) for one in inner if _within(one, known)][:1]
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in aliases:
                of = aliases[node.value.id]
                if node.attr not in tops[of] and f"{of}.{node.attr}" not in trees:
                    found.append((module, f"{of}.{node.attr}"))
    return sorted(set(found))


def _within(module, packages):
    return any(module == one or module.startswith(one + ".") for one in packages)


def _bound(tree):
    """Names at a module's top, those in its ifs and tries too."""
    found = set()
    todo = list(tree.body)
    while todo:
        node = todo.pop()
        found.update(_binds(node))
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            todo += ast.iter_child_nodes(node)
    return found


def _binds(node):
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        return [node.id]
    if isinstance(node, ast.arg):
        return [node.arg]
    if isinstance(node, ast.alias):
        return [(node.asname or node.name).split(".")[0]]
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler)):
        return [node.name]
    return []
