"""The rules of the house, as tests: what the core may not do, which way imports point, what may lie where.

Each rule is a function of a file's path and text that yields findings; the last tests show that each rule finds.
"""

import ast
import gc
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

import runtimes
from carbonterm_host.runtime import microdot

ROOT = Path(__file__).parent.parent.parent

TOP = {
    "firmware", "host", "protocols", "boards", "tools", "tests", "docs", ".ci", "pyproject.toml", "Makefile",
    "README.md", "README.zh-CN.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", ".gitignore",
}  # fmt: skip

# a part of the core imports from the floors below it, never from its own or a higher one
FLOORS = (
    ("errors",),
    ("number", "cbor", "clock", "sntp", "nearest"),
    ("units", "gm", "formula_steps"),
    ("formula_text", "users"),
    ("formula", "field", "ledger"),
    ("series", "uplink"),
    ("accounting",),
    ("site_rows",),
    ("site_certificate", "site_formed", "site_page", "site_series"),
    ("site",),
    ("figures", "fold", "site_changes"),
    ("pipeline",),
)
FLOOR = {part: floor for floor, parts in enumerate(FLOORS) for part in parts}
# what the core may use of a runtime: nothing that tells the time, waits, talks or throws dice
PLAIN = {"array", "binascii", "json", "micropython", "os", "struct", "sys"}
# here "/" divides exact Ratios, not integers
EXACT_DIVISION = {"number.py", "units.py"} | {
    f"accounting/{name}.py" for name in ("agreement", "approach1", "cems", "dimensions", "uncertainty")
}
PACKAGES = {"protocols": "carbonterm", "firmware": "carbonterm_device", "host": "carbonterm_host"}
LONGEST = 600


def files(*suffixes):
    """Paths from the root, as git sees the tree: what is committed and what is new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    return sorted(p for p in set(listed) if p.endswith(suffixes) and (ROOT / p).is_file())


def imports(tree):
    """(line, dotted name) of every import; `from a import b` gives a.b, which may be a module or a name in one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{'.' * node.level}{node.module or ''}.{alias.name}") for alias in node.names)


def exact(path, tree):
    """No floats in the core (docs/architecture.md)."""
    if not path.startswith("protocols/"):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            yield node.lineno, f"a float, {node.value}: use carbonterm.number"
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "float":
            yield node.lineno, "float(): use carbonterm.number"
        divides = isinstance(getattr(node, "op", None), ast.Div)
        if divides and path.removeprefix("protocols/carbonterm/") not in EXACT_DIVISION:
            yield node.lineno, "true division: integers take //, divmod or half_even, or Ratio(a, b)"


# scripts that lie on the host and run on MicroPython, the firmware with a simulated world around it
DEVICE = "host/carbonterm_host/benches/simulated/", "host/carbonterm_host/boards/simulated/"
# what loads only where carbonterm_board and a chip are: tests/firmware/test_virtual_board.py runs it
OF_BOARDS = "boot", "ports.microcontroller", "ports.esp32", "ports.rp2", "ports.stm32"


def downwards(path, tree):
    """Arrows point down: host and firmware import the core, never each other; inside the core, floor by floor."""
    side = "device" if path.startswith(DEVICE) else path.split("/")[0]
    if side not in PACKAGES:
        return
    for line, name in imports(tree):
        head = name.split(".")[0]
        if head in set(PACKAGES.values()) - {PACKAGES[side], "carbonterm"}:
            yield line, f"{side} imports {head}"
        if side == "protocols" and head == "":
            yield line, f"a relative import of {name}: write it out, carbonterm.…"
        elif side == "protocols" and head != "carbonterm" and head not in PLAIN:
            yield line, f"the core imports {head}: time, chance and I/O are handed in from outside"
        elif side == "protocols" and head == "carbonterm":
            here, there = path.split("/")[2].removesuffix(".py"), name.split(".")[1]
            for part in {here, there} - FLOOR.keys() - {"__init__"}:
                yield line, f"{part} has no floor yet: give it one in tests/host/test_house.py"
            if here != there and FLOOR.get(here, 99) <= FLOOR.get(there, -1):
                yield line, f"{here} imports {there}, which does not lie below it"


def told(path, tree):
    """Every module says what it is for, every public function and class of the core what it does."""
    if not path.startswith(("protocols/", "firmware/", "host/", "tools/", "tests/")):
        return
    if not ast.get_docstring(tree):
        yield 1, "no module docstring"
    if path.startswith("protocols/"):
        for node in [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)]:
            if not node.name.startswith("_") and not ast.get_docstring(node):
                yield node.lineno, f"{node.name} has no docstring"


def short(path, tree):
    """A file is read over a coffee."""
    lines = max((getattr(node, "end_lineno", 0) or 0 for node in tree.body), default=0)
    if lines > LONGEST and not path.startswith("tests/"):
        yield lines, f"{lines} lines: what two rooms are in it?"


UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|NotImplemented" r"Error)\b")
PLACES = re.compile(r"(?<![\w.$}~-])/(?:root|work|home/\w+|Users/\w+)/|\bdeb\.debian\.or" r"g|\bpypi\.or" r"g/simple")


def finished(path, text):
    """Nothing is left to be done later, and nothing names the machine or registry it was written on."""
    if not UNFINISHED.search(text) and not PLACES.search(text):
        return
    for number, line in enumerate(text.split("\n"), 1):
        if UNFINISHED.search(line):
            yield number, f"unfinished: {line.strip()[:80]}"
        if PLACES.search(line):
            yield number, f"a place on one machine: {line.strip()[:80]}"


LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)[^)]*\)")


def linked(path, text):
    """A link in a page leads somewhere."""
    for number, line in enumerate(text.split("\n"), 1):
        for target in LINK.findall(line):
            if not (ROOT / path).parent.joinpath(target).exists():
                yield number, f"a link to {target}, which is not there"


CODE = (exact, downwards, told, short)


@cache
def found_in_code():
    """{rule: findings}; a file's tree is made once, shown to every rule and let go: all of them together cost more."""
    found = {rule: [] for rule in CODE}
    gc.disable()  # a tree has no cycles, and each one's nodes would make it look through all that pytest has collected
    try:
        for path in files(".py"):
            tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
            for rule in CODE:
                found[rule] += [f"{path}:{line}: {what}" for line, what in rule(path, tree)]
    finally:
        gc.enable()
    return found


def findings(rule, suffixes):
    found = []
    for path in files(*suffixes):
        found += [f"{path}:{line}: {what}" for line, what in rule(path, (ROOT / path).read_text(encoding="utf-8"))]
    return found


@pytest.mark.parametrize("rule", CODE)
def test_code(rule):
    assert not (found := found_in_code()[rule]), rule.__doc__ + "\n" + "\n".join(found)


@pytest.mark.parametrize("rule", [finished])
def test_texts(rule):
    suffixes = (".py", ".md", ".toml", ".json", ".yaml", ".sh", ".html", ".js", ".css", ".sql", "Makefile", ".ci/run")
    assert not (found := findings(rule, suffixes)), rule.__doc__ + "\n" + "\n".join(found)


def test_links():
    assert not (found := findings(linked, (".md",))), linked.__doc__ + "\n" + "\n".join(found)


def test_every_page_is_on_the_map():
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    pages = [path.removeprefix("docs/") for path in files(".md") if re.fullmatch(r"docs/(?!index)[^/]+\.md", path)]
    assert [page for page in pages if f"({page})" not in index] == []


def test_top_level_holds_only_what_belongs_there():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert {path.split("/")[0] for path in listed} <= TOP


LOAD = """
import gc, sys
bad = 0
for name in sys.argv[1:]:
    gc.collect()
    try:
        __import__(name)
    except BaseException as error:
        bad += 1
        print(name)
        sys.print_exception(error)
sys.exit(1 if bad else 0)
"""


@pytest.mark.parametrize("runtime", runtimes.MICRO)
def test_every_module_loads_there(runtime, tmp_path):
    try:
        command, env = runtimes.command(runtime)
    except runtimes.Unavailable as reason:
        pytest.skip(str(reason))
    env["MICROPYPATH"] += f":{microdot().parent}"  # the page's, the one foreign module of a terminal
    names = []
    for path in files(".py"):
        if path.startswith(("protocols/", "firmware/")) and not path.endswith("__main__.py"):
            names.append(path.split("/", 1)[1].removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    names = [name for name in names if name.removeprefix("carbonterm_device.") not in OF_BOARDS]
    assert "carbonterm.number" in names and "carbonterm_device" in names
    (tmp_path / "load.py").write_text(LOAD)
    command += [str(tmp_path / "load.py"), *names]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# --- the rules find -------------------------------------------------------------------------------------------------

CORE = "protocols/carbonterm/field/new.py"


@pytest.mark.parametrize(
    "rule, path, text, found",
    [
        (exact, CORE, "a = 1.5", "a float, 1.5"),
        (exact, CORE, "a = float('1')", "float()"),
        (exact, CORE, "a = 1\na /= 2", "true division"),
        (exact, "protocols/carbonterm/units.py", "a = b / c", None),
        (exact, "host/carbonterm_host/x.py", "a = 1.5 / 2", None),
        (downwards, CORE, "import carbonterm_device", "protocols imports carbonterm_device"),
        (downwards, CORE, "from carbonterm_host.screen import put", "protocols imports carbonterm_host"),
        (downwards, CORE, "def f():\n    import time", "the core imports time"),
        (downwards, CORE, "from . import modbus", "relative"),
        (downwards, CORE, "from carbonterm import site", "does not lie below"),
        (downwards, CORE, "from carbonterm.ledger.tree import leaf", "does not lie below"),
        (downwards, CORE, "from carbonterm.attic import a", "attic has no floor"),
        (downwards, CORE, "from carbonterm import number\nfrom carbonterm.field.modbus import crc", None),
        (downwards, "firmware/carbonterm_device/x.py", "import carbonterm_host", "firmware imports"),
        (downwards, "firmware/carbonterm_device/x.py", "import asyncio, carbonterm.site", None),
        (downwards, "host/carbonterm_host/x.py", "from carbonterm_device import app", "host imports"),
        (told, CORE, "a = 1", "no module docstring"),
        (told, CORE, '"""New."""\ndef f():\n    return 1', "f has no docstring"),
        (told, CORE, '"""New."""\ndef _f():\n    return 1', None),
        (short, CORE, "a = 1\n" * (LONGEST + 1), "601 lines"),
        (finished, "x.py", "# TO" "DO: later", "unfinished"),
        (finished, "x.py", "open('/ho" "me/someone/x')", "a place on one machine"),
        (finished, "x.md", "see https://example.org/home/page and ~/work/x", None),
        (linked, "docs/x.md", "[a](nowhere.md)", "a link to nowhere.md"),
        (linked, "docs/x.md", "[a](formats.md#entry) [b](https://example.org) [c](#here)", None),
    ],
)
def test_the_rules_find(rule, path, text, found):
    given = ast.parse(text) if rule in CODE else text
    what = [what for _, what in rule(path, given)]
    assert (found in what[0]) if found else what == []
