"""What a small board says lies in a file of its flash, and arguments have names that are there anyway: MicroPython runs
modules before and after, and the image of a collector says every text that its sources say."""

import ast
import subprocess

import pytest

import board_image
import runtimes
from carbonterm_host.boards import arguments, image, modules, slim, texts
from carbonterm_host.boards import board as boards

SOURCES = {
    "carbonterm": "NAME = 'carbonterm'\n",
    "carbonterm.errors": '''
class Wrong(ValueError):
    def __init__(self, what, hint=""):
        super().__init__(what + "; " + hint if hint else what)
        self.what = what
        self.hint = hint
''',
    "carbonterm.work": '''
from carbonterm.errors import Wrong
TABLE = {"first key": "first value", "second key": "second value"}

def shout(level, words="of no words at all"):
    """Says it: what a function is for is not said."""
    if words == "not a word":
        return {"a key here": "the value of the key", "other": TABLE["first key"]}["a key here"]
    return "level %d: " % level + words + " · 说了" + ", and\\n another line"

def refuse(value, hint=None):
    try:
        hint = "write a smaller one" if value < 9 else "is too large · 太大"
        raise Wrong("the value %d is too large · 太大" % value, hint)
    except Wrong as error:
        return str(error), error.what, error.hint

class Box:
    what = "a text of the class"
    def __init__(self, content, label="no label on it"):
        self.content = content
        self.label = label
    def told(self, prefix, *rest, suffix="and no more"):
        def inner(value, content):
            return value + content + prefix
        total = [inner(value, "a text within a list") for value in rest]
        return prefix, total, suffix, (lambda content: content + prefix)("it says: "), self.label

def swapped(hint, what):
    what, hint = hint, what
    def deeper(amount):
        nonlocal hint
        hint = hint + amount
        return hint
    return deeper(what), what, [hint for hint in (1, 2)], hint

def run():
    limits = {"suffix": "given by the caller"}
    box = Box(3, label="labelled by the caller")
    print(shout(3), shout(4, words="not a" + " word"), shout(5, "of some words"))
    print(refuse(7), refuse(11), swapped(2, 5))
    print(box.told("before all: ", "x", "y"), box.told("p", **limits), Box.what)
''',
}
SAID = (
    "no label on it", "of no words at all", "first key", "a key here", "what a function is for",
    "a text of the class", "not a word", ", and\\n another line",
)  # fmt: skip


def _run(folder, sources, runtime, said=None):
    for module, text in sources.items():
        path = folder / (module.replace(".", "/") + ("/__init__.py" if module == "carbonterm" else ".py"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if said is not None:
        (folder / texts.SAID).write_bytes(said)
    try:
        command, environment = runtimes.command(runtime, [folder])
    except runtimes.Unavailable as reason:
        pytest.skip(str(reason))
    (folder / "run.py").write_text("from carbonterm import work\nwork.run()\n")
    done = subprocess.run([*command, folder / "run.py"], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _changed():
    trees = {module: ast.parse(text) for module, text in SOURCES.items()}
    arguments.rename(trees, {"amount"})
    said = texts.take(trees)
    return {module: ast.unparse(tree) for module, tree in trees.items()}, said


@pytest.mark.parametrize("runtime", ["cpython", *runtimes.MICRO])
def test_the_same_is_said_and_done(tmp_path, runtime):
    sources, said = _changed()
    before = _run(tmp_path / "a", SOURCES, runtime)
    assert _run(tmp_path / "b", sources, runtime, said) == before and " · 说了" in before


def test_what_is_seldom_said_is_in_the_file_once():
    sources, said = _changed()
    lines, work = said.decode().split("\n"), sources["carbonterm.work"]
    assert "write a smaller one" in lines and "write a smaller one" not in work
    assert "the value %d is too large · 太大" in lines and "is too large · 太大" not in lines, "the end of another"
    for stays in SAID:  # defaults, keys, what is compared, what is no line, what stands in no function
        assert stays in work and not any(stays in line for line in lines), stays
    assert sorted(lines[:-1], key=lambda line: len(line.encode())) == lines[:-1]


def test_an_argument_that_nobody_names_has_another_name():
    work = _changed()[0]["carbonterm.work"]
    assert "label='no label on it'" in work and "words=" in work and "suffix=" in work, "said in calls"
    assert "def deeper(amount)" in work, "an outsider says it"
    assert "def shout(level" not in work and "def refuse(value" not in work
    assert "def __init__(self, content," in work, "a name of the module anyway"


@pytest.mark.slow
def test_the_image_of_a_collector_says_every_text_of_its_sources():
    """Every text of every module, put back where it is asked for, gives the sources again."""
    board = boards.load("esp32-s3-n8r2")
    paths = modules.needed(board.profile, board.family)
    absent = modules.left_out(board.profile, board.family)
    sources = slim.slim({name: path.read_text() for name, path in paths.items()}, modules.asked(), absent)
    trees = {name: ast.parse(text) for name, text in sources.items()}
    said = texts.take(trees)
    found = image.unpacked(image.romfs(image.compiled(board)))[texts.SAID]
    count = 0

    class Back(ast.NodeTransformer):
        def visit_Subscript(self, node):
            nonlocal count
            if getattr(node.value, "id", None) == "_t":
                count += 1
                at = node.slice.value
                return ast.Constant(said[at : said.index(b"\n", at)].decode())
            return self.generic_visit(node)

    for name, text in sources.items():
        was = ast.parse(text)
        del trees[name].body[len(was.body) :]  # the reader
        assert ast.dump(Back().visit(trees[name])) == ast.dump(was), name
    assert {*found.split(b"\n")} <= {*said.split(b"\n")} and count > 300
    print(count, "texts,", len(found), "bytes")


SCRIPT = """
from carbonterm import cbor, clock, number, site
from carbonterm.ledger import entry
for call, value in ((cbor.decode, b"\\xff"), (cbor.decode, b""), (clock.parse, "no time"), (number.Number, "1,5"),
                    (site.decode, b"\\x80"), (entry.decode, b"\\x88")):
    try:
        call(value)
    except ValueError as error:
        print(type(error).__name__, error)
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["romfs", "files"])
@pytest.mark.parametrize("runtime", runtimes.MICRO)
def test_a_board_says_what_a_computer_says(tmp_path, runtime, way):
    """The image of a collector read in place, and its modules as files."""
    (tmp_path / "romfs.img").write_bytes(board_image.build(runtime))
    for path, data in image.unpacked((tmp_path / "romfs.img").read_bytes()).items():
        (tmp_path / "lib" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "lib" / path).write_bytes(data)
    begin = f"import sys, vfs\nsys.path[:] = [{str(tmp_path / 'lib')!r}]\n"
    if way == "romfs":
        begin += f"vfs.mount(vfs.VfsRom(open({str(tmp_path / 'romfs.img')!r}, 'rb').read()), '/rom')\n"
        begin += "sys.path[:] = ['/rom']\n"
    (tmp_path / "run.py").write_text(begin + SCRIPT)
    (tmp_path / "here.py").write_text(SCRIPT)
    try:
        command, environment = runtimes.command(runtime, [])
    except runtimes.Unavailable as reason:
        pytest.skip(str(reason))
    known, seen = runtimes.command("cpython"), []
    for start, surroundings, name in ((*known, "here.py"), (command, environment, "run.py")):
        done = subprocess.run([*start, tmp_path / name], env=surroundings, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        seen.append(done.stdout)
    assert seen[0] == seen[1] and seen[0].count("\n") == 6
    print(seen[0])
