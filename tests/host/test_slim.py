"""What a small board's modules lose before they are compiled: only what nobody asks for, and only names nobody says."""

import os
import subprocess
import sys

import pytest

from carbonterm_host.boards import modules, slim

SOURCES = {
    "p": "",
    "p.base": '''
from p.table import WORDS as _WORDS, unused

_LIMIT = 7
_OTHER = 8
SPOKEN = "spoken"

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

    def ioctl(self, what, value):
        return what

def run(first, second=2):
    try:
        return Base(first, openness=second)._step(second)
    except ValueError as first_error:
        return _WORDS[first_error.args[0]]

def by_text(alpha, **limits):
    limits.setdefault("later", 1)
    return other(alpha, **limits)

def other(alpha, later):
    return alpha + later

def _forgotten(x):
    return x
''',
    "p.table": "WORDS = {1: 'one'}\nunused = 3\ndef gone():\n    return WORDS\n",
    "p.child": '''
from p import base

class Child(base.Base):
    def _own(self):
        return self._hidden * 2

def made(value):
    return Child(value)._own() + Child(value, openness=1)._step(1) + base.run(1)
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
    out, names = slim.slim(SOURCES, ["made", "run", "by_text", "second"])
    before, after = loaded(SOURCES), loaded(out)
    for value in range(5):
        assert after["p.child"]["made"](value) == before["p.child"]["made"](value)
        assert after["p.base"]["by_text"](value) == before["p.base"]["by_text"](value) == value + 1
    assert after["p.base"]["run"](3, second=4) == 14 and after["p.base"]["Base"](1).ioctl(5, 6) == 5
    text = "\n".join(out.values())
    for gone in ("_forgotten", "never", "_OTHER", "gone", "unused", "_hidden", "_LIMIT", "amount"):
        assert gone not in text, gone
    for kept in ("openness", "later", "ioctl", "second"):
        assert kept in text, kept
    assert set(names["p.base"].values()) >= {"_hidden", "_LIMIT", "_step"}
    assert slim.missing(out) == [] and slim.reached(out, ["p.child"]) == {"p", "p.base", "p.child", "p.table"}


def test_a_name_that_is_said_from_outside_keeps_itself():
    out, _ = slim.slim(SOURCES, ["made", "never", "_LIMIT", "amount", "gone"])
    text = "\n".join(out.values())
    assert "def never" in text and "_LIMIT" in text and "amount" in text and "def gone" in text


@pytest.mark.parametrize("text, lacks", [
    ("def f():\n    return g()\n", ("m", "g")),
    ("from p.table import nothing\n", ("m", "p.table.nothing")),
    ("from p import table\nx = table.nothing\n", ("m", "p.table.nothing")),
    ("from q.absent import x\n", ("m", "q.absent")),
])  # fmt: skip
def test_what_is_missing_is_found(text, lacks):
    assert slim.missing({**SOURCES, "m": text}, ["q.absent"]) == [lacks]


def test_what_is_absent_on_purpose_may_be_asked_for_later():
    text = "def f():\n    from q.absent import x\n    return x\n"
    text += "try:\n    from q import absent\nexcept ImportError:\n    pass\n"
    assert slim.missing({**SOURCES, "m": text}, ["q"]) == []


@pytest.mark.parametrize("port", ["esp32", "unix"])
def test_a_collectors_modules_find_all_they_ask_for(port):
    sources = {name: path.read_text() for name, path in modules.needed("collector", port).items()}
    out, _ = slim.slim(sources, modules.asked())
    assert slim.missing(out, modules.left_out("collector", port)) == []
    assert sum(map(len, out.values())) < sum(map(len, sources.values()))


def test_the_same_sources_become_the_same_whatever_a_sets_order():
    program = ("from carbonterm_host.boards import modules, slim; import hashlib; "
               "s = {n: p.read_text() for n, p in modules.needed('collector', 'esp32').items()}; "
               "print(hashlib.sha256(repr(slim.slim(s, modules.asked())).encode()).hexdigest())")  # fmt: skip
    said = {
        subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed},
                       capture_output=True, text=True, check=True).stdout for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(said) == 1
