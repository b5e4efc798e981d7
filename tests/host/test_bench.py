"""The bench runner on benchmarks made for the test: a table, a failure that stops nothing, exit codes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

GOOD = """
from tools.bench import measure

def run():
    both = {name: lambda: measure.per_call("a = 2", "a ** 8", 100, name) for name in ("cpython", "micropython")}
    found = measure.rounds(both, count=3)
    ran = measure.snippet("import sys, json; print(json.dumps([sys.implementation.name]))", heap="256K")
    measured = {name: len(samples) == 3 and 0 < samples.best <= samples.median for name, samples in found.items()}
    return [
        measure.row("runs on", ran.json()[0], "", ok=True),
        measure.row("cpu", ran.cpu, "s", "wall", ran.wall, ran.cpu / ran.wall, "told", all(measured.values())),
        measure.row("memory", ran.peak > 1000000, "", target="over 1 MB"),
    ]
"""
MISSED = """
from tools.bench import measure

def run():
    return [measure.row("speed", 1, "m/s", target="2", ok=False)]
"""
BROKEN = "from tools.bench import measure\n\ndef run():\n    measure.snippet('1 / 0')\n"


@pytest.fixture
def bench(tmp_path):
    """Runs the bench runner of a house that holds these benchmarks."""
    (tmp_path / "tools/bench").mkdir(parents=True)
    for name in ("__init__", "__main__", "measure"):
        shutil.copy(ROOT / f"tools/bench/{name}.py", tmp_path / f"tools/bench/{name}.py")
    for name, text in (("good", GOOD), ("missed", MISSED), ("broken", BROKEN)):
        (tmp_path / f"tools/bench/{name}.py").write_text(text)

    def run(*arguments):
        env = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
        command = [sys.executable, "-m", "tools.bench", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)

    run.folder = tmp_path
    return run


@pytest.mark.slow
def test_what_was_measured_is_shown_and_written(bench):
    done = bench("good", "--json", "mine.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "runs on  micropython" in done.stdout and "over 1 MB" in done.stdout
    record = json.loads((bench.folder / "mine.json").read_text())
    assert record == json.loads((bench.folder / "build/bench.json").read_text())
    assert [(row["bench"], row["ok"]) for row in record["rows"]] == [("good", True), ("good", True), ("good", None)]
    assert {"cpu", "python", "micropython"} <= record["machine"].keys() and record["failures"] == []
    page = (bench.folder / "build/bench.md").read_text()
    assert "| runs on | micropython |" in page


@pytest.mark.slow
def test_a_failure_is_told_and_the_rest_goes_on(bench):
    done = bench()
    assert done.returncode == 1
    assert all(text in done.stdout for text in ("broken failed", "ZeroDivisionError", "runs on  micropython"))
    record = json.loads((bench.folder / "build/bench.json").read_text())
    assert [failure["bench"] for failure in record["failures"]] == ["broken"] and len(record["rows"]) == 4


def test_a_missed_target_is_no_success(bench):
    done = bench("missed")
    assert done.returncode == 1 and "NO" in done.stdout


def test_an_unknown_name_is_refused(bench):
    done = bench("fast")
    assert done.returncode == 2 and "there is no benchmark fast; there are: broken, good, missed" in done.stderr
