"""Three runtimes from the same files, and the record that `make conformance` reads.

Every test of tests/protocols runs under pytest on this CPython; beside it stand one item per test and runtime, named
test_x[micropython] and test_x[micropython32]: the file is run once there by tests/runtime/run.py, and both its results
and all it printed must be what run.py gives on CPython. A runtime that can't be had skips its items with the reason;
with CARBONTERM_NO_SKIP=1 (CI) a skip fails the run.
"""

import json
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "runtime"))
import runtimes

ROOT = Path(__file__).parent.parent
CORE = ROOT / "tests" / "protocols"


def pytest_addoption(parser):
    parser.addoption("--record", help="write each test's requirement ids and result to this JSON file")


def pytest_configure(config):
    config.addinivalue_line("markers", "requirement(*ids): the requirements of docs/requirements that this test proves")
    config.addinivalue_line("markers", "slow: not part of `make check`")


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path, parent):
    found = yield
    if file_path.suffix == ".py" and file_path.name.startswith("test_") and CORE in file_path.parents:
        found = [*(found or []), RuntimeFile.from_parent(parent, path=file_path, name=file_path.name + "@")]
    return found


class RuntimeFile(pytest.Collector):
    def __init__(self, path, **kwargs):
        super().__init__(path=path, **kwargs)

    def collect(self):
        # the names and marks come from the module that pytest collects on CPython
        module = pytest.Module.from_parent(self.parent, path=self.path)
        seen = set()
        for function in module.collect():
            name = getattr(function, "originalname", function.name)
            if name in seen:
                continue
            seen.add(name)
            for runtime in runtimes.MICRO:
                item = RuntimeItem.from_parent(self, name=f"{name}[{runtime}]", test=name, runtime=runtime)
                for mark in function.iter_markers():
                    if mark.name != "parametrize":
                        item.add_marker(getattr(pytest.mark, mark.name)(*mark.args, **mark.kwargs))
                yield item


class RuntimeItem(pytest.Item):
    def __init__(self, test, runtime, **kwargs):
        super().__init__(**kwargs)
        self.test = test
        self.runtime = runtime

    def runtest(self):
        try:
            here = results(self.path, "cpython")[self.test]
            there = results(self.path, self.runtime)[self.test]
        except runtimes.Unavailable as reason:
            pytest.skip(str(reason))
        except KeyError:
            pytest.fail(f"{self.test} did not run on {self.runtime}")
        result, output = there
        if result.startswith("skipped"):
            pytest.skip(f"{self.runtime}: {result}")
        if result != "passed":
            pytest.fail(f"on {self.runtime}:\n{output}", pytrace=False)
        if there != here:
            pytest.fail(f"on {self.runtime} it printed\n{output}\non cpython ({here[0]})\n{here[1]}", pytrace=False)

    def reportinfo(self):
        return self.path, None, self.name


@lru_cache(maxsize=None)
def results(path, runtime):
    """{test: (result, output)} of a core test file on a runtime."""
    command, env = runtimes.command(runtime, [ROOT / "tests/runtime/shim", *runtimes.SEARCH_PATH])
    done = subprocess.run(
        [*command, "tests/runtime/run.py", str(path.relative_to(ROOT))],
        cwd=ROOT, env=env, capture_output=True, text=True, timeout=900,
    )
    if done.returncode:
        raise AssertionError(f"{path.name} could not be loaded on {runtime}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    found = {}
    for part in done.stdout.split("\x1e")[1:]:
        if part.startswith("="):
            found[name] = (part[1:].strip(), output)
        else:
            name, _, output = part.partition("\n")
    return found


# --- what make conformance reads ------------------------------------------------------------------------------------

_outcomes = {}
_requirements = {}
_skipped = []


def pytest_runtest_logreport(report):
    if report.when == "call" or report.outcome != "passed":
        _outcomes[report.nodeid] = report.outcome
        for key, value in report.user_properties:
            if key == "requirement":
                _requirements.setdefault(report.nodeid, set()).add(value)
    if report.skipped:
        _skipped.append((report.nodeid, report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)))


def pytest_collection_modifyitems(items):
    for item in items:
        for mark in item.iter_markers("requirement"):
            for requirement in mark.args:
                item.user_properties.append(("requirement", requirement))


def pytest_sessionfinish(session, exitstatus):
    if hasattr(session.config, "workerinput"):
        return
    record = session.config.getoption("--record")
    if record:
        rows = [
            {"test": test, "result": result, "requirements": sorted(_requirements.get(test, ()))}
            for test, result in sorted(_outcomes.items())
        ]
        Path(record).parent.mkdir(parents=True, exist_ok=True)
        Path(record).write_text(json.dumps(rows, indent=0))
    if _skipped and os.environ.get("CARBONTERM_NO_SKIP") == "1" and exitstatus == 0:
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter):
    if _skipped and os.environ.get("CARBONTERM_NO_SKIP") == "1":
        terminalreporter.write_sep("=", "CARBONTERM_NO_SKIP=1: every test must run here, these did not")
        for test, reason in _skipped:
            terminalreporter.write_line(f"{test}: {reason}")
