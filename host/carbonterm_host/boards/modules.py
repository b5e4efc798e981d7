"""Which modules of the firmware a board needs: everything that its roots import, directly or later."""

import ast
import re
from pathlib import Path

from carbonterm.field.places import CJT188, DLT645
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
    "carbonterm.site_series", "carbonterm.users", "carbonterm.ledger.manual",
    "carbonterm.field.inbound", "carbonterm.field.channels", "carbonterm.field.analog", "carbonterm.gm.pbkdf2",
    "carbonterm_device.byhand", "carbonterm_device.channels", "carbonterm_device.faults", "carbonterm_device.health",
    "carbonterm_device.inbound", "carbonterm_device.maintenance", "carbonterm_device.monitor",
    "carbonterm_device.page", "carbonterm_device.reconfigure",
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
_SAID = re.compile(r"\.([A-Za-z_]\w*)|\bimport ([\w, ]+)")
_NAME = re.compile(r"[A-Za-z_]\w*")
_KEYWORD = re.compile(r"([A-Za-z_]\w*) ?=")
# what a collector needs for some site documents only, by the word that its image says it lacks
PARTS = {
    "dlt645": ("carbonterm.field.dlt645", "carbonterm.field.dlt645_items", "carbonterm.field.requests_dlt645"),
    "cjt188": ("carbonterm.field.cjt188", "carbonterm.field.requests_cjt188", "carbonterm.units", "carbonterm.nearest"),
    "https": ("carbonterm_device.https",),
    "mqtts": ("carbonterm_device.mqtt_link", "carbonterm_device.mqtt_session", "carbonterm.field.mqtt",
              "carbonterm.field.names", "carbonterm.field.utf8", "carbonterm.uplink.topics"),
    "sntp": ("carbonterm.sntp", "carbonterm_device.timeserver"),
    "serial": ("carbonterm_device.line",),
    "tcp": ("carbonterm_device.network",),
    "identity": ("carbonterm.field.identity",),
    "certificate": ("carbonterm.site_certificate",),
    "identifier": ("carbonterm.field.identifier",),
}  # fmt: skip


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


def roots(port):
    """What an image begins with; port as "esp32"."""
    return [*ROOTS.get(port, ROOTS[""]), f"{PORTS}.{port}"]


def left_out(profile, port, without=()):
    """Modules and packages that an image does not hold; without: words of PARTS."""
    others = tuple(f"{PORTS}.{other}" for other in FAMILIES if other != port)
    others += (f"{PORTS}.proc",) if port != "unix" else ()  # of Linux
    parts = sum((PARTS[part] for part in without), ())
    return HOST_ONLY + (TERMINAL_ONLY if profile == "collector" else ()) + others + parts


def unused(site):
    """The words of PARTS that a collector under this Site does without."""
    words = {DLT645[0]: "dlt645", DLT645[1]: "dlt645", CJT188: "cjt188"}
    used = {words.get(meter.protocol) for meter in site.meters}
    used |= {"https" if centre.mqtt is None else "mqtts" for centre in site.centres}
    used |= {"tcp" if bus.kind == "modbus-tcp" else "serial" for bus in site.buses}
    used |= set() if "https" in used else {"sntp"}  # whoever sends by HTTPS is told the time by the centre
    for field in ("identity", "certificate", "identifier"):
        used |= {field for meter in site.meters if getattr(meter, field)}
    return [part for part in PARTS if part not in used]


def lacking(without, site):
    """The first of the words `without` that an image of them would need under this Site; None."""
    return next((part for part in without if part not in unused(site)), None)


def asked():
    """Names that a computer asks a board for: in the texts that it sends what follows a dot or "import", and in code
    that runs beside the image's every attribute and import."""
    found = set()
    for node, beside in _outside():
        if isinstance(node, ast.Constant):
            for name, names in _SAID.findall(str(node.value)):
                found |= {name, *_NAME.findall(names)}
        elif beside and isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif beside and isinstance(node, ast.ImportFrom):
            found.update(alias.name for alias in node.names)
    return found


def keywords():
    """Names of arguments that a computer may say to a board, in the texts that it sends and in code beside the
    image's."""
    found = set()
    for node, _ in _outside():
        if isinstance(node, ast.Constant):
            found |= {*_KEYWORD.findall(str(node.value))}
        elif isinstance(node, ast.keyword):
            found.add(node.arg)
    return found - {None}


def _outside():
    """(node, whether it runs beside the image's code) of texts, bytes, and names in this folder."""
    here = Path(__file__).parent
    for path in sorted({*here.rglob("*.py")} - {Path(__file__), here / "texts.py"}):
        beside = path.name == "onboard.py" or path.parent.name == "simulated"
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Constant) or isinstance(node.value, (str, bytes)):
                yield node, beside


def needed(profile, port, without=()):
    """{module name: path} of a board's image, packages included; profile "terminal" or "collector", port as "esp32"."""
    absent = left_out(profile, port, without)
    todo, found = roots(port), {}
    while todo:
        module = todo.pop()
        if module in found or any(module == one or module.startswith(one + ".") for one in absent):
            continue
        found[module] = path_of(module)
        todo += imports(module)
        todo += [module.rsplit(".", 1)[0]] if "." in module else []
    return dict(sorted(found.items()))
