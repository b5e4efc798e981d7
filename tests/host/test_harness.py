"""The harness itself: a runtime that differs fails, a skip is told and fails under CARBONTERM_NO_SKIP=1.

Each test runs pytest in a copy of the house that holds only the harness and a few test files made for it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def house(tmp_path):
    """A house with the real harness, core and runtimes, and no test in it."""
    for name in ("tests/conftest.py", "pyproject.toml", "tools/micropython32"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "tests/runtime", tmp_path / "tests/runtime")
    for name in ("protocols", "firmware", "host"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "tests/protocols").mkdir()
    return tmp_path


def run(house, files, *options, **environment):
    """(exit code, output, {test: result}) of pytest over these core test files, given as {name: text}."""
    for name, text in files.items():
        (house / "tests/protocols" / name).write_text("import sys\n\nimport pytest\n\n" + text)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "CARBONTERM_NO_SKIP"))} | environment
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--record=record.json", *options]
    done = subprocess.run(command, cwd=house, env=env, capture_output=True, text=True, timeout=300)
    rows = json.loads((house / "record.json").read_text())
    return done.returncode, done.stdout + done.stderr, {row["test"].split("::")[-1]: row for row in rows}


def outcomes(rows):
    return {test: row["result"] for test, row in rows.items()}


def everywhere(test, cpython, other=None):
    other = other or cpython
    return {test: cpython, f"{test}[micropython]": other, f"{test}[micropython32]": other}


@pytest.mark.slow
def test_what_differs_between_runtimes_fails(house):
    text = """
def test_same():
    print(10**30, b"\\x00".hex(), "碳")

@pytest.mark.requirement("T-4-1", "T-4-2")
def test_prints_something_else():
    print("the same line")
    print(sys.implementation.name)

def test_fails_there():
    assert sys.implementation.name == "cpython", "the reason"

def test_fails_here():
    assert sys.implementation.name != "cpython"

def test_not_wanted():
    print(sys.implementation.name)
"""
    code, out, rows = run(house, {"test_differ.py": text}, "-k", "not not_wanted")
    assert code == 1, out
    assert outcomes(rows) == {
        **everywhere("test_same", "passed"),
        **everywhere("test_prints_something_else", "passed", "failed"),
        **everywhere("test_fails_there", "passed", "failed"),
        **everywhere("test_fails_here", "failed"),
    }
    assert "-cpython\n+micropython\n" in out and "it printed something else" in out
    assert "AssertionError: the reason" in out
    row = rows["test_prints_something_else[micropython]"]
    assert (row["runtime"], sorted(row["requirements"])) == ("micropython", ["T-4-1", "T-4-2"])
    assert rows["test_same"]["runtime"] == "cpython"


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_skip_is_told_and_fails_where_none_may_be(house, workers):
    files = {
        "test_there.py": """
def test_skips_there():
    if sys.implementation.name != "cpython":
        pytest.skip("no such thing here")
""",
        "test_nothing.py": 'pytest.skip("the whole file", allow_module_level=True)\n' if workers == "2" else "",
    }
    code, out, rows = run(house, files, "-n", workers)
    assert code == 0, out
    assert outcomes(rows) == everywhere("test_skips_there", "passed", "skipped")
    assert "no such thing here" in out
    code, out, _ = run(house, files, "-n", workers, CARBONTERM_NO_SKIP="1")
    assert code == 1, out
    told = out.partition("every test must run here, these did not")[2]
    assert len(re.findall(r"test_skips_there\[micropython(?:32)?\]: .*no such thing here", told)) == 2
    assert ("the whole file" in told) == (workers == "2")


@pytest.mark.slow
@pytest.mark.parametrize("other", [False, True])
def test_only_an_image_supplied_by_hand_may_lack(house, other):
    files = {"test_there.py": """
def test_skips_there():
    if sys.implementation.name != "cpython":
        pytest.skip("image supplied by hand: none")
""", "test_nothing.py": 'pytest.skip("another reason", allow_module_level=True)\n' if other else ""}  # fmt: skip
    code, out, _ = run(house, files, CARBONTERM_NO_SKIP="1")
    assert code == (1 if other else 0), out
    assert len(re.findall(r"let pass: .*test_skips_there\[micropython(?:32)?\]: .*by hand: none", out)) == 2
    assert ("every test must run here" in out) == other


@pytest.mark.slow
def test_a_missing_runtime_skips_with_the_way_out(house):
    files = {"test_one.py": "def test_one():\n    print(1)\n"}
    missing = {"CARBONTERM_MICROPYTHON": "/nonexistent/micropython", "CARBONTERM_MICROPYTHON32": "/bin/true"}
    code, out, rows = run(house, files, **missing)
    assert code == 0 and outcomes(rows) == everywhere("test_one", "passed", "skipped")
    assert "CARBONTERM_MICROPYTHON=/nonexistent/micropython is not an executable file" in out
    assert "CARBONTERM_MICROPYTHON32=/bin/true is no 32-bit MicroPython" in out


@pytest.mark.slow
def test_a_runtime_that_dies_fails_what_it_did_not_do(house):
    dying = house / "dying"
    dying.write_text("#!/bin/sh\nprintf '\\036test_one\\n\\036=passed\\n\\036test_two\\nlast words\\n'\nexit 7\n")
    dying.chmod(0o755)
    text = "".join(f"def test_{name}():\n    pass\n\n" for name in ("one", "two", "three"))
    named = {"CARBONTERM_MICROPYTHON": str(dying)}
    code, out, rows = run(house, {"test_dies.py": text}, "-k", "micropython and not 32", **named)
    assert code == 1
    assert outcomes(rows) == {
        "test_one[micropython]": "passed", "test_two[micropython]": "failed", "test_three[micropython]": "failed"
    }  # fmt: skip
    assert "the runtime ended with 7 in the middle of it on micropython:\nlast words" in out
    assert "the runtime ended with 7 before this test" in out


@pytest.mark.slow
def test_a_file_the_runtime_cannot_read_fails(house):
    text = "def test_match():\n    match 1:\n        case 1:\n            pass\n"
    code, out, rows = run(house, {"test_match.py": text})
    assert code == 1 and outcomes(rows) == everywhere("test_match", "passed", "failed")
    assert "SyntaxError" in out


@pytest.mark.slow
def test_what_the_shim_offers(house):
    text = """
@pytest.mark.parametrize("a", (1, pytest.param(2, id="two")))
@pytest.mark.parametrize("b, c", [(10, 20), pytest.param(30, 40)])
def test_rows(c, a, b):
    print(a, b, c)
    assert (b, c) in ((10, 20), (30, 40)) and a in (1, 2)

@pytest.mark.parametrize(["a"], [((1, 2),)])
def test_listed_name(a):
    assert a == (1, 2)

def test_raises():
    with pytest.raises(ValueError, match="of it") as caught:
        raise ValueError("the text of it")
    assert str(caught.value) == "the text of it"
    with pytest.raises((KeyError, ValueError)):
        raise KeyError(1)

def test_raises_nothing():
    with pytest.raises(ValueError):
        pass

def test_raises_another():
    with pytest.raises(ValueError):
        raise KeyError(1)

def test_raises_without_the_text():
    with pytest.raises(ValueError, match="this"):
        raise ValueError("that")

def test_fail():
    pytest.fail("so it is")
"""
    code, out, rows = run(house, {"test_shim.py": text})
    got = outcomes(rows)
    for test in ("test_rows", "test_listed_name", "test_raises"):
        assert all(got[f"{test}[{runtime}]"] == "passed" for runtime in ("micropython", "micropython32")), out
    for test in ("test_raises_nothing", "test_raises_another", "test_raises_without_the_text", "test_fail"):
        assert all(got[name] == "failed" for name in everywhere(test, "failed")), out
    assert code == 1
