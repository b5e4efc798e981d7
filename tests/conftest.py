"""Three runtimes from the same files, and the record that `make conformance` reads.

Every test of tests/protocols runs under pytest on this CPython; beside it stand one item per test and runtime, named
test_x[micropython] and test_x[micropython32]: the wanted tests of a file are run once there by tests/runtime/run.py,
and both their results and all they printed must be what they are on CPython: under pytest if it ran them before, else
by run.py as well. A runtime that can't be had skips its items with the reason; with CARBONTERM_NO_SKIP=1 (CI) a skip
fails the run. docs/testing.md tells the rest.
"""

import difflib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "runtime"))
import runtimes

ROOT = Path(__file__).parent.parent
CORE = ROOT / "tests" / "protocols"
LIMIT = 540  # seconds for one file on one runtime; below pytest's own limit, so that we can say which test hung


def pytest_addoption(parser):
    what = "write each test's requirement ids, runtime and result to this JSON file; give it as --record=FILE"
    parser.addoption("--record", metavar="FILE", help=what)


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "requirement(*ids, part=text): the requirements that this test proves, or what part of them"
    )
    config.addinivalue_line("markers", "slow: not part of `make check`, which runs the 64-bit MicroPython only")


# --- the other runtimes ---------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _language_of_its_own(monkeypatch):
    """`--lang` sets CARBONTERM_LANG in the process; no test leaves it to the next."""
    monkeypatch.setenv("CARBONTERM_LANG", "")


@pytest.hookimpl
def pytest_pycollect_makemodule(module_path, parent):
    if CORE in module_path.parents:
        return CoreModule.from_parent(parent, path=module_path)


class CoreModule(pytest.Module):
    """A core test file: pytest's own items, and for each of its tests one item on each other runtime."""

    def collect(self):
        found = super().collect()
        yield from found
        functions = {getattr(f, "originalname", f.name): f for f in reversed(found)}
        for test, function in reversed(functions.items()):
            for runtime in runtimes.MICRO:
                item = RuntimeItem.from_parent(self, name=f"{test}[{runtime}]", test=test, runtime=runtime)
                for mark in function.own_markers:
                    if mark.name != "parametrize":
                        item.add_marker(getattr(pytest.mark, mark.name)(*mark.args, **mark.kwargs))
                yield item


class RuntimeItem(pytest.Item):
    def __init__(self, test, runtime, **kwargs):
        super().__init__(**kwargs)
        self.test = test
        self.runtime = runtime
        self.user_properties.append(("runtime", runtime))

    def runtest(self):
        wanted = self.session.stash[WANTED][self.path]
        try:
            result, output = results(self.path, self.runtime, wanted)[self.test]
        except runtimes.Unavailable as reason:
            pytest.skip(str(reason))
        if result.startswith("skipped"):
            pytest.skip(f"{self.runtime}: {result}")
        if result != "passed":
            pytest.fail(f"{result} on {self.runtime}:\n{output}", pytrace=False)
        expected, printed = under_pytest(self) or results(self.path, "cpython", wanted)[self.test]
        if expected != "passed":
            pytest.fail(f"passed on {self.runtime}, but on cpython: {expected}\n{printed}", pytrace=False)
        if output != printed:
            texts = (printed.split("\n"), output.split("\n"))
            lines = list(difflib.unified_diff(*texts, "cpython", self.runtime, lineterm="", n=1))
            pytest.fail("it printed something else than on cpython:\n" + "\n".join(lines[:60]), pytrace=False)

    def reportinfo(self):
        return self.path, None, self.name


WANTED = pytest.StashKey()  # {path of a core test file: names of the tests to run, after -k and -m}
CASES = pytest.StashKey()  # {(path, test): ids of its items under pytest, one per case, before -k and -m}
_printed = {}  # {id of an item that passed under pytest: what it printed}
_results = {}


def pytest_collection_finish(session):
    wanted = session.stash.setdefault(WANTED, {})
    for item in session.items:
        if isinstance(item, RuntimeItem):
            names = wanted.setdefault(item.path, [])
            if item.test not in names:
                names.append(item.test)


def under_pytest(item):
    """("passed", output) of the item's test if all its cases passed under pytest in this process, else None."""
    cases = item.session.stash[CASES].get((item.path, item.test), ())
    if cases and all(case in _printed for case in cases):
        return "passed", "".join(_printed[case] for case in cases)
    return None


def results(path, runtime, wanted):
    """{test: (result, output)} of a core test file on a runtime, every wanted test in it; runs it once."""
    key = (path, runtime)
    if key not in _results:
        _results[key] = _run(path, runtime, wanted)
    return _results[key]


def _run(path, runtime, wanted):
    command, env = runtimes.command(runtime, [ROOT / "tests/runtime/shim", *runtimes.SEARCH_PATH])
    process = subprocess.Popen(
        [*command, "tests/runtime/run.py", str(path.relative_to(ROOT)), *wanted],
        cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        out, _ = process.communicate(timeout=LIMIT)
        end = f"the runtime ended with {process.returncode}"
    except subprocess.TimeoutExpired:
        process.kill()
        out, _ = process.communicate()
        end = f"it was stopped after {LIMIT} s"
    text = out.decode("utf-8", "replace").replace("\r\n", "\n")
    return parse(text, wanted, end)


def parse(text, wanted, end):
    """{test: (result, output)} from what run.py printed; tests it did not come to the end of say how it ended."""
    before, *parts = text.split("\x1e")
    found, name, output = {}, None, ""
    for part in parts:
        if part.startswith("="):
            found[name] = (part[1:].strip(), output)
            name = None
        else:
            name, _, output = part.partition("\n")
    if name is not None:
        found[name] = (f"{end} in the middle of it", output[-4000:])
    for test in wanted:
        if test not in found:
            found[test] = (f"{end} before this test", before[-4000:])
    return found


# --- skips and what make conformance reads --------------------------------------------------------------------------

NO_SKIP = os.environ.get("CARBONTERM_NO_SKIP") == "1"
BY_HAND = "image supplied by hand: "  # of an emulated chip: what it is made of may be out of a machine's reach
_rows = {}
_skipped = {}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session, items):
    cases = session.stash.setdefault(CASES, {})
    for item in items:
        if "micropython32" in item.name:  # `make check` is content with one MicroPython
            item.add_marker(pytest.mark.slow)
        if isinstance(item, pytest.Function) and CORE in item.path.parents:
            cases.setdefault((item.path, item.originalname), []).append(item.nodeid)
        for mark in item.iter_markers("requirement"):
            for requirement in mark.args:
                item.user_properties.append(("requirement", [requirement, mark.kwargs.get("part")]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call" and report.passed and item.config.getoption("capture") != "no":
        _printed[item.nodeid] = report.capstdout
    return report


def pytest_runtest_logreport(report):
    if report.when == "call" or report.outcome != "passed":
        row = {"test": report.nodeid, "result": report.outcome, "runtime": "cpython", "requirements": [], "parts": {}}
        for key, value in report.user_properties:
            if key == "runtime":
                row["runtime"] = value
            elif key == "requirement" and value[0] not in row["requirements"]:
                row["requirements"].append(value[0])
                if value[1]:
                    row["parts"][value[0]] = value[1]
        if report.nodeid not in _rows or report.failed:  # what failed once stays failed
            _rows[report.nodeid] = row
    if report.skipped:
        _skipped[report.nodeid] = _reason(report)


def pytest_collectreport(report):
    if report.skipped:
        _skipped[report.nodeid] = _reason(report)


def _reason(report):
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)


def _refused():
    """The skips that CARBONTERM_NO_SKIP=1 lets fail: all but those of one reason."""
    return {test: reason for test, reason in _skipped.items() if BY_HAND not in reason}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    _skipped.update(getattr(node, "workeroutput", {}).get("skipped", {}))


def pytest_sessionfinish(session, exitstatus):
    worker = getattr(session.config, "workeroutput", None)
    if worker is not None:
        worker["skipped"] = _skipped  # a file that is skipped as a whole is known to the worker only
        return
    record = session.config.getoption("--record")
    if record:
        Path(record).parent.mkdir(parents=True, exist_ok=True)
        Path(record).write_text(json.dumps([_rows[test] for test in sorted(_rows)], indent=0) + "\n")
    if _refused() and NO_SKIP and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    if _skipped and NO_SKIP:
        refused = _refused()
        if refused:
            terminalreporter.write_sep("=", "CARBONTERM_NO_SKIP=1: every test must run here, these did not", red=True)
        for test, reason in sorted(refused.items()):
            terminalreporter.write_line(f"{test}: {reason}")
        for test in sorted(set(_skipped) - set(refused)):
            terminalreporter.write_line(f"did not run, which is let pass: {test}: {_skipped[test]}")
