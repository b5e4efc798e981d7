"""What the modules of an image know of one another, by names: who has which name for whom, and what code asks for."""

import ast


class Seen:
    """What the modules know of one another: the names that they have for others, which of them are handed on or said by
    outsiders (`open`: any attribute anywhere may be theirs), and which take in all of another (`from … import *`)."""

    def __init__(self, trees, roots):
        self.trees, self.takers = trees, {}
        self.nodes = {module: list(ast.walk(tree)) for module, tree in trees.items()}  # as they were
        self.open = {module for module in trees if module.split(".")[-1] in roots}
        self.modules = {module: self._aliases(module) for module in trees}
        for module in trees:
            self._values(module)

    def _aliases(self, module):
        """{name: modules that it may mean}, None among them where it may be something else."""
        found = {}
        for node in self.nodes[module]:
            if isinstance(node, ast.ImportFrom):
                for one in node.names:
                    if one.name == "*":
                        self.takers.setdefault(node.module, set()).add(module)
                        self.open |= {module, node.module}
                    inner = f"{node.module}.{one.name}"
                    found.setdefault(one.asname or one.name, set()).add(inner if inner in self.trees else None)
            elif not isinstance(node, ast.alias):
                for name in binds(node):
                    found.setdefault(name, set()).add(None)
        return found

    def _values(self, module):
        """Modules that are handed on, and those that are attributes of others."""
        heads = {id(node.value) for node in self.nodes[module] if isinstance(node, ast.Attribute)}
        for node in self.nodes[module]:
            if isinstance(node, ast.Name) and id(node) not in heads:
                self.open |= self.modules[module].get(node.id, set()) - {None}
            elif isinstance(node, ast.Import):
                self.open |= {one.name for one in node.names}
            elif isinstance(node, ast.ImportFrom):
                for one in node.names:
                    self.open |= self.modules.get(node.module, {}).get(one.name, set()) - {None}
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                inner = {f"{one}.{node.attr}" for one in self.modules[module].get(node.value.id, ())}
                self.open |= inner & set(self.trees)

    def keys(self, module, name):
        """What keeps a name of a module's top."""
        found = {(of, name) for of in (module, *self.takers.get(module, ()))}
        return found | {(None, name)} if module in self.open else found

    def asks(self, node, module):
        """Keys of all that code of a module asks for."""
        found = set()
        for one in ast.walk(node):
            if isinstance(one, ast.Name):
                found.add((module, one.id))
            elif isinstance(one, ast.Attribute):
                of = self.modules[module].get(one.value.id, {None}) if isinstance(one.value, ast.Name) else {None}
                found |= {(each, one.attr) for each in of}
            elif isinstance(one, ast.Constant) and isinstance(one.value, str) and one.value.isidentifier():
                found.add((None, one.value))
            elif isinstance(one, ast.ImportFrom):
                found |= {(one.module, alias.name) for alias in one.names}
        return found


def binds(node):
    """Names that a node of a tree gives something to."""
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        return [node.id]
    if isinstance(node, ast.arg):
        return [node.arg]
    if isinstance(node, ast.alias):
        return [(node.asname or node.name).split(".")[0]]
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler)):
        return [node.name]
    return []
