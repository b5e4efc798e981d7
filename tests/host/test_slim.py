"""What a small board's modules lose before they are compiled: only what nobody in the image asks for."""

import pytest

from carbonterm_host import site_yaml
from carbonterm_host.boards import image, modules, slim

SOURCES = {
    "p": "",
    "p.base": '''
from p.table import WORDS as _WORDS, unused

_LIMIT = 7
_OTHER = 8

class Base:
    __slots__ = ("_hidden", "open")
    KIND = 1

    def __init__(self, hidden, openness=3):
        self._hidden = hidden
        self.open = openness

    def _step(self, amount):
        return self._hidden + amount + _LIMIT

    def never(self):
        return _OTHER

    def by_text(self):
        return 11

    def ioctl(self, what, value):
        return what

def run(first, second=2):
    try:
        return Base(first, openness=second)._step(second)
    except ValueError as error:
        return _WORDS[error.args[0]]

def _forgotten(x):
    return x
''',
    "p.table": "WORDS = {1: 'one'}\nunused = 3\ndef decode():\n    return WORDS\n",
    "p.part": "def decode():\n    return 5\n",
    "p.streams": "def open_tls():\n    return 'tls'\ndef close():\n    return 'closed'\n",
    "p.common": "from p.streams import open_tls, close\nNAME = 'common'\n",
    "p.chip": "from p.common import *\ndef reset():\n    return 'reset'\n",
    "p.ports": "from p import chip as port\n",
    "p.child": '''
from p import base, part
from p.ports import port

class Child(base.Base):
    def _own(self):
        return self._hidden * 2

def made(value):
    own = getattr(Child(value), "by_text")() + part.decode()
    return Child(value)._own() + Child(value, openness=1)._step(1) + base.run(1) + own

def link(port=port):
    return port.open_tls(), port.NAME
''',
}  # fmt: skip


def loaded(sources):
    """{module: namespace} of sources that import one another."""
    made = {}

    class Found:
        def __init__(self, **names):
            self.__dict__.update(names)

    def fetch(name, globals=None, locals=None, fromlist=(), level=0):
        for part in fromlist or ():
            inner = f"{name}.{part}"
            if inner in sources and inner not in made:
                execute(inner)
        if name not in made:
            execute(name)
        space = dict(made[name])
        space.update({part: Found(**made[f"{name}.{part}"]) for part in fromlist if f"{name}.{part}" in made})
        return Found(**space)

    def execute(name):
        made[name] = space = {"__builtins__": {**vars(__import__("builtins")), "__import__": fetch}, "__name__": name}
        exec(sources[name], space)

    for name in sources:
        if name not in made:
            execute(name)
    return made


def test_what_is_asked_for_stays_and_works_as_before():
    out = slim.slim(SOURCES, ["child", "made", "link", "second"])
    before, after = loaded(SOURCES), loaded(out)
    for value in range(5):
        assert after["p.child"]["made"](value) == before["p.child"]["made"](value)
    assert after["p.base"]["run"](3, second=4) == 14 and after["p.base"]["Base"](1).ioctl(5, 6) == 5
    assert after["p.child"]["link"]() == ("tls", "common"), "through an import of all, and through an argument"
    text = "\n".join(out.values())
    for gone in ("_forgotten", "never", "_OTHER", "unused", "close", "reset", "KIND"):
        assert gone not in text, gone
    assert "decode" in out["p.part"] and "decode" not in out["p.table"], "a function is asked of its own module"
    assert slim.missing(out) == [] and slim.reached(out, ["p.child"]) == set(SOURCES)


def test_a_name_that_is_said_from_outside_keeps_itself():
    out = slim.slim(SOURCES, ["child", "made", "never", "table", "decode", "ports", "reset"])
    assert "def never" in out["p.base"] and "return 8" in out["p.base"]
    assert "def decode" in out["p.table"] and "def reset" in out["p.chip"]


def test_a_module_inside_a_package_is_asked_by_its_path():
    sources = {"p": "", "p.q": "", "p.q.r": "def f():\n    return 1\ndef g():\n    return 2\n",
               "p.m": "from p import q\ndef run():\n    return q.r.f()\n"}  # fmt: skip
    assert "def f" in slim.slim(sources, ["m", "run"])["p.q.r"]


NUMBERS = {
    "p": "",
    "p.kinds": "ONE, TWO = range(1, 3)\n_MS = 60 * 1000\nSET = 5\nBIG = 1 << 40\nHUGE, FLAG = 1 << 50, True\n"
               "TEXT = 'a text of many words'\nWORD = 'word'\nLONG = 'one_that_is_no_prose'\n"
               "ROWS = ((1, b'x'), (2, b'y'))\nSAID = {1: 'the first of all', 2: ('no', 5)}\nPLAIN = {1: 'one'}\n"
               "TWICE = 1\ndef pause(TWICE=_MS):\n"
               "    return TWICE, _MS, BIG, HUGE, HUGE, FLAG, TEXT, TEXT, WORD, LONG, LONG\n"
               "def table(i):\n    return ROWS[1], SAID[2][i], PLAIN[1]\n"
               "def count():\n    global HELD\n    HELD = HELD + 1\n    return HELD\nHELD = 0\n",
    "p.other": "from p import kinds\nfrom p.kinds import ONE, TWO as _TWO\nkinds.SET = 6\n"
               "class A:\n    ONE = ONE\n    _K = kinds.TWO\n    def f(self, kind=_TWO):\n"
               "        return kind, self._K, kinds.SET, kinds.TWICE\n"
               "def g(kinds):\n    return kinds.ONE\n"
               "def made():\n    count = kinds.count(), kinds.count()\n"
               "    return A().f(), A.ONE, kinds.pause(), count, g(A), kinds.table(1)\n",
}  # fmt: skip


def test_constants_stand_where_they_are_used():
    out = slim.slim(NUMBERS, ["other", "made"])
    assert loaded(out)["p.other"]["made"]() == loaded(NUMBERS)["p.other"]["made"]()
    for gone in ("_MS", "WORD", "BIG", "TEXT", "ROWS", "FLAG"):
        assert gone not in out["p.kinds"], gone
    assert "60000" in out["p.kinds"] and "'word'" in out["p.kinds"] and "kind=2" in out["p.other"]
    for kept in ("SET", "TWICE", "HELD", "ONE"):  # set elsewhere, two meanings
        assert kept in out["p.kinds"], kept
    for kept in ("HUGE", "LONG", "PLAIN", "SAID"):  # large and named twice, tables that are made once
        assert kept + " = " in out["p.kinds"], kept
    assert slim.missing(out) == []


@pytest.mark.parametrize("text, lacks", [
    ("def f():\n    return g()\n", ("m", "g")),
    ("from p.table import nothing\n", ("m", "p.table.nothing")),
    ("from p import table\nx = table.nothing\n", ("m", "p.table.nothing")),
    ("from q.absent import x\n", ("m", "q.absent")),
    ("def f(x, y):\n    return getattr(x, '_' + y)\n", ("m", "'_' + y")),
])  # fmt: skip
def test_what_is_missing_is_found(text, lacks):
    assert slim.missing({**SOURCES, "m": text}, ["q.absent"]) == [lacks]


def test_what_is_absent_on_purpose_may_be_asked_for_later():
    text = "def f():\n    from q.absent import x\n    return x\n"
    text += "try:\n    from q import absent\nexcept ImportError:\n    pass\n"
    assert slim.missing({**SOURCES, "m": text}, ["q"]) == []


@pytest.mark.slow
@pytest.mark.parametrize("port", ["esp32", "unix"])
def test_a_collectors_modules_find_all_they_ask_for(port):
    sources = {name: path.read_text() for name, path in modules.needed("collector", port).items()}
    out = slim.slim(sources, modules.asked())
    assert slim.missing(out, modules.left_out("collector", port)) == []
    assert sum(map(len, out.values())) < sum(map(len, sources.values()))


SITE = """
terminal: C1
name: c
zone: "+08:00"
buses: [{name: line, kind: serial, device: rs485-1, baud: 9600}]
meters: [{name: m, bus: line, unit: 1, model: eastron-sdm630}]
points: [{name: P, meter: m, register: active_energy_import, every: 1min}]
settings: {profile: collector}
centres: [{name: p, url: "https://centre.example:8443", ca: ca.der, public: "%s"}]
""" % ("01" * 64)


@pytest.mark.slow
def test_an_image_for_one_site_holds_what_it_needs(tmp_path):
    """Modbus meters on lines, a centre by HTTPS: the target of 160 KiB; what else it can do is left out and said."""
    (tmp_path / "ca.der").write_bytes(b"\x30\x00")
    site = site_yaml.compile_text(SITE, folder=tmp_path)
    without = modules.unused(site)
    assert without == ["dlt645", "cjt188", "mqtts", "sntp", "tcp", "certificate", "identifier"]
    manifest = image.build("esp32-s3-n8r2", tmp_path, site=site)
    assert manifest["without"] == without
    names = [row["name"] for row in manifest["modules"]]
    assert "carbonterm/field/modbus.mpy" in names and "carbonterm/field/cjt188.mpy" not in names
    assert next(row["size"] for row in manifest["files"] if row["name"] == image.ROMFS) <= 160 << 10
    stamp = image.unpacked((tmp_path / image.ROMFS).read_bytes())[image.STAMP].decode().split()
    assert stamp[0] == "esp32-s3-n8r2" and stamp[2:] == without
    image.load(tmp_path)


def test_code_behind_an_import_of_what_is_absent_is_its_error():
    """And `__slots__` are gone; where a name would mean something else without the rest, all of it stays."""
    text = (
        "class A:\n    __slots__ = ('x',)\n"
        "def f(deep):\n    if deep:\n        from q.absent import x\n        return unasked(x)\n    return 5\n"
        "def g():\n    from q import absent\n    absent.begin()\n    yield 1\n"
        "def h(deep):\n    if deep:\n        from q import absent\n    return absent\n"
        "def unasked(x):\n    return x\n"
    )
    out = slim.slim({"m": text}, ["m", "A", "f", "g", "h"], ["q.absent"])["m"]
    assert "slots" not in out and "unasked" not in out and out.count("from q") == 2
    made = loaded({"m": out})["m"]
    assert made["f"](False) == 5
    with pytest.raises(ImportError, match=r"no module named 'q\.absent'"):
        made["f"](True)
    assert slim.missing({"m": out}, ["q.absent"]) == []
