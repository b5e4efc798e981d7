"""Takes prose out of the modules of an image: what a board may have to say lies in a file of its flash, not in its RAM.

MicroPython keeps the texts of a module in RAM from its import on: 20 bytes and more each on 32 bits, all of it where
modules are files. Most are messages and hints of errors, which are seldom said. So where a function says a text with a
blank in it, `_t[at]` stands instead, and reads the line of the file SAID that begins at byte `at`. What is said does
not change.
"""

import ast
import re

_PACKAGE = "carbonterm"  # imported before anything is said
SAID = f"{_PACKAGE}/texts.txt"  # in the ROMFS or folder of modules, beside the package's __init__; one text a line
_NAME = "_t"
_LEAST = 4  # characters: of a shorter one a board keeps no more than its name
_FORMAT = re.compile("%[0-9.]*[a-zA-Z]")
_READER = f"""
import builtins
class _Said:
    def __getitem__(self, at):
        with open(__file__.rsplit('/', 1)[0] + '{SAID[len(_PACKAGE):]}') as file:
            file.seek(at)
            return file.readline()[:-1]
builtins.{_NAME} = _Said()
"""


def take(trees):
    """Changes {module: tree}; bytes of the file SAID."""
    found = []
    for tree in trees.values():
        _Take(found).visit(tree)
    data, places = _laid({one.value for one in found})
    for one in found:
        one.value = places[one.value]
    trees[_PACKAGE].body += ast.parse(_READER).body
    return data


def is_prose(value):
    """Whether a text is taken: it has a blank and letters, and fits on a line."""
    return len(value) >= _LEAST and " " in value and "\n" not in value and any(map(str.isalpha, _FORMAT.sub("", value)))


def _laid(texts):
    """(lines, {text: where it begins}): the short ones first, most have a small number then. A text that ends another
    is read from within that."""
    texts = sorted(texts, key=lambda one: (len(one.encode()), one))
    lines = [one for one in texts if not any(other.endswith(one) for other in texts if other is not one)]
    data = "".join(one + "\n" for one in lines).encode()
    return data, {one: data.index(one.encode() + b"\n") for one in texts}


class _Take(ast.NodeTransformer):
    """Puts `_t[text]` where a function says a text; collects the nodes of these texts in `found`."""

    def __init__(self, found):
        self.found, self.inside = found, False

    def visit_FunctionDef(self, node):
        was, self.inside = self.inside, True
        node.body = [self.visit(one) for one in node.body]  # not its decorators and defaults
        self.inside = was
        return node

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Constant(self, node):
        if not self.inside or not isinstance(node.value, str) or not is_prose(node.value):
            return node
        self.found.append(node)
        return ast.Subscript(ast.Name(_NAME, ast.Load()), node, ast.Load())

    def visit_Expr(self, node):  # a text that is a statement says what a function is for
        return node if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_Dict(self, node):
        node.values = [self.visit(one) for one in node.values]
        return node

    def _stays(self, node):
        return node

    visit_Compare = visit_Subscript = visit_JoinedStr = _stays
