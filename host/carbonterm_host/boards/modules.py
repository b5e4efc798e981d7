"""Which modules of the firmware a board needs: everything that its roots import, directly or later."""

import ast
from pathlib import Path

import carbonterm
import carbonterm_device
from carbonterm_host.boards.board import FAMILIES

CORE, DEVICE = Path(carbonterm.__file__).parent, Path(carbonterm_device.__file__).parent
_PACKAGES = {"carbonterm": CORE, "carbonterm_device": DEVICE}
# a microcontroller's main.py calls boot; on Linux the package is called
ROOTS = {
    "unix": ("carbonterm_device.__main__", "carbonterm_device.app", "carbonterm_device.provision"),
    "": ("carbonterm_device.boot", "carbonterm_device.provision"),
}
# what a terminal has and a collector does without: it polls, signs, stores and forwards
TERMINAL_ONLY = (
    "carbonterm.accounting.boundary", "carbonterm_device.inbound", "carbonterm_device.maintenance",
    "carbonterm_device.search",
)  # fmt: skip
# what only the host runs: the library of methods and factors, the text of meter models, the reader of bundles
HOST_ONLY = (
    "carbonterm.accounting.library", "carbonterm.accounting.load", "carbonterm.accounting.dimensions",
    "carbonterm.accounting.model", "carbonterm.field.models",
    "carbonterm.nearest", "carbonterm.units", "carbonterm.ledger.bundle",
)  # fmt: skip
PORTS = "carbonterm_device.ports"


def path_of(module):
    """The file of a module of ours, None where there is none."""
    package, *rest = module.split(".")
    if package not in _PACKAGES:
        return None
    base = _PACKAGES[package].joinpath(*rest)
    for path in (base.with_suffix(".py") if rest else base / "__init__.py", base / "__init__.py"):
        if path.is_file():
            return path
    return None


def imports(module):
    """Modules of ours that a module imports, at its top or in a function."""
    path, found = path_of(module), set()
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return sorted(name for name in found if path_of(name))


def needed(profile, port):
    """{module name: path} of a board's image, packages included; profile "terminal" or "collector", port as "esp32"."""
    left_out = HOST_ONLY + (TERMINAL_ONLY if profile == "collector" else ())
    todo, found = [*ROOTS.get(port, ROOTS[""]), f"{PORTS}.{port}"], {}
    while todo:
        module = todo.pop()
        if module in found or any(module == one or module.startswith(one + ".") for one in left_out):
            continue
        if module in [f"{PORTS}.{other}" for other in FAMILIES if other != port]:
            continue
        found[module] = path_of(module)
        todo += imports(module)
        todo += [module.rsplit(".", 1)[0]] if "." in module else []
    return dict(sorted(found.items()))
