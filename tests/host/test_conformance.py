"""tools/conformance.py as it is run: a record and requirement lists in, a page or a reason out."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

LISTS = {
    "terminal": 'T-1,4,shall,"Reads | meters, all of them",seen\nT-2,5,should,Keeps time,seen\nT-3,6,may,Rings,heard\n',
    "park": f"P-1,1,shall,{'a long word ' * 30},seen\nP-2,1,shall,Counts,seen\n",
}


def row(test, result="passed", runtime="cpython", *requirements, part=None):
    parts = dict.fromkeys(requirements, part) if part else {}
    return {"test": test, "result": result, "runtime": runtime, "requirements": list(requirements), "parts": parts}


RECORD = [
    row("tests/protocols/test_a.py::test_one[1]", "passed", "cpython", "T-1"),
    row("tests/protocols/test_a.py::test_one[2]", "passed", "cpython", "T-1"),
    row("tests/protocols/test_a.py::test_one[micropython]", "passed", "micropython", "T-1"),
    row("tests/protocols/test_a.py::test_one[micropython32]", "skipped", "micropython32", "T-1"),
    row("tests/host/test_b.py::test_two", "passed", "cpython", "T-2", "P-2"),
    row("tests/host/test_b.py::test_three", "failed", "cpython", "T-2"),
    row("tests/host/test_b.py::test_four", "skipped", "cpython", "T-3"),
    row("tests/host/test_b.py::test_five"),
    row("tests/host/test_b.py::test_six", "passed", "cpython", "P-1", part="the long half"),
]


def run(tmp_path, record, lists=LISTS, *options):
    folder = tmp_path / "requirements"
    folder.mkdir(exist_ok=True)
    for name, rows in lists.items():
        text = "id,clause,level,requirement,acceptance_criterion\n" + rows
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    file = tmp_path / "tests.json"
    file.write_text(record if isinstance(record, str) else json.dumps(record), encoding="utf-8")
    command = [sys.executable, ROOT / "tools/conformance.py", file, "--requirements", folder, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    return done.returncode, done.stdout, done.stderr


def test_the_page_says_what_is_proven_by_what(tmp_path):
    code, out, err = run(tmp_path, RECORD)
    assert (code, err) == (0, "")
    lines = out.split("\n")
    assert "| [terminal](#terminal) | 3 | 1 | 0 | 1 | 1 |" in lines
    assert "| [park](#park) | 2 | 1 | 1 | 0 | 0 |" in lines
    assert "| **all** | **5** | **2** | **1** | **1** | **1** |" in lines
    one = "`protocols/test_a.py::test_one` (cpython, micropython, micropython32 **skipped**)"
    assert f"| T-1 | 4 | shall | Reads \\| meters, all of them | {one} | proven |" in lines
    two = "`host/test_b.py::test_three` (cpython **failed**)<br>`host/test_b.py::test_two` (cpython)"
    assert f"| T-2 | 5 | should | Keeps time | {two} | failed |" in lines
    assert "| T-3 | 6 | may | Rings | `host/test_b.py::test_four` (cpython **skipped**) | not yet |" in lines
    long = next(line for line in lines if line.startswith("| P-1 "))
    six = "`host/test_b.py::test_six` (cpython): the long half"
    assert long.endswith(f"word a long … | {six} | in part |") and len(long) < 250


def test_a_page_is_written_where_asked(tmp_path):
    code, out, _ = run(tmp_path, RECORD, LISTS, "-o", tmp_path / "page.md")
    assert (code, out) == (0, "")
    assert (tmp_path / "page.md").read_text(encoding="utf-8").startswith("# Conformance\n")


@pytest.mark.parametrize(
    "record, lists, said",
    [
        ([*RECORD, row("tests/x.py::test_x", "passed", "cpython", "T-99")], LISTS, "T-99 in tests/x.py::test_x"),
        (RECORD, {**LISTS, "pilot": "T-1,1,shall,again,seen\n"}, "these ids twice: T-1"),
        (RECORD, {}, "holds no requirement list"),
        ("no json", LISTS, "is no test record"),
    ],
)
def test_what_is_wrong_is_refused_with_the_way_out(tmp_path, record, lists, said):
    page = tmp_path / "page.md"
    code, out, err = run(tmp_path, record, lists, "-o", page)
    assert code == 1 and said in err and out == "" and not page.exists()


def test_the_projects_own_lists_are_whole():
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        import conformance
    finally:
        sys.path.pop(0)
    found = conformance.documents(ROOT / "docs/requirements")
    assert {name: len(rows) for name, rows in found} == {"terminal": 244, "calibration": 63, "park": 156, "pilot": 34}
    assert found[0][0] == "terminal" and conformance.TITLES.keys() == dict(found).keys()
    for _, rows in found:
        assert all(row["id"] and row["requirement"] and row["acceptance_criterion"] for row in rows)
