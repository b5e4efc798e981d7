"""Which modules of the firmware a board needs: everything that its roots import, directly or later."""

import ast

from carbonterm_host import runtime
from carbonterm_host.boards.board import FAMILIES

_PACKAGES = {
    name: next(folder / name for folder in runtime.packages() if (folder / name).is_dir())
    for name in ("carbonterm", "carbonterm_device")
}
# a microcontroller's main.py calls boot; on Linux the package is called
ROOTS = {
    "unix": ("carbonterm_device.__main__", "carbonterm_device.app", "carbonterm_device.provision"),
    "": ("carbonterm_device.boot", "carbonterm_device.provision", "carbonterm_device.upgrade"),
}
# what a terminal has and a collector does without: it polls, signs, stores and forwards. carbonterm.site refuses a
# collector's document that asks for any of it
TERMINAL_ONLY = (
    "carbonterm.accounting", "carbonterm.figures", "carbonterm.formula", "carbonterm.formula_steps",
    "carbonterm.pipeline", "carbonterm.series", "carbonterm.site_formed", "carbonterm.site_page",
    "carbonterm.site_series", "carbonterm.units", "carbonterm.nearest", "carbonterm.ledger.manual",
    "carbonterm.field.inbound", "carbonterm.field.channels", "carbonterm.field.analog", "carbonterm.gm.pbkdf2",
    "carbonterm_device.byhand", "carbonterm_device.channels", "carbonterm_device.faults", "carbonterm_device.health",
    "carbonterm_device.inbound", "carbonterm_device.maintenance", "carbonterm_device.monitor",
    "carbonterm_device.page", "carbonterm_device.ports.proc", "carbonterm_device.reconfigure",
    "carbonterm_device.search", "carbonterm_device.selfcheck", "carbonterm_device.standstill",
    "carbonterm_device.terminal",
)  # fmt: skip
# what only the host runs: the library of methods and factors, the text of meter models, the reader of bundles
HOST_ONLY = (
    "carbonterm.accounting.library", "carbonterm.accounting.load", "carbonterm.accounting.dimensions",
    "carbonterm.accounting.model", "carbonterm.field.models",
    "carbonterm.ledger.bundle",
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


def at_once(module):
    """Modules of ours that importing a module imports: those at its top, where they have to be there."""
    tree, found = ast.parse(path_of(module).read_text()), set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
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
