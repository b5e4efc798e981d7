"""Which requirement is proven by which test: docs/conformance.md from a test record and docs/requirements/*.csv.

usage: python tools/conformance.py build/tests.json [-o docs/conformance.md] [--requirements docs/requirements]

The record is what `pytest --record=FILE` writes: per test its node id, runtime, result and requirement ids. A
requirement is proven if every test that names it passed on every runtime it ran on, in part if all of them say that
they prove only a part of it, failed if one of them failed, and not yet if there is none or none of them ran. A test
that names an unknown id is an error (exit code 1).
"""

import argparse
import csv
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TITLES = {
    "terminal": "T/CSMT 《重点行业企业碳排放计量数据管理终端系统技术规范》 (draft): the terminal and its platform",
    "calibration": "Drafts on calibrating gridded micro stations online (A) and fugitive emission monitors (F)",
    "park": "Draft 《工业园区碳排放动态监测与认证实施指南》: dynamic monitoring and certification of a park",
    "pilot": "Experience of the greenhouse gas monitoring pilots",
}
PROVEN, PARTLY, FAILED, NOT_YET = "proven", "in part", "failed", "not yet"
RUNTIMES = ("cpython", "micropython", "micropython32")


def documents(folder):
    """[(name, rows)] of the requirement lists, terminal first, then by name; rows are dicts of the CSV."""
    found = []
    for file in sorted(Path(folder).glob("*.csv"), key=lambda f: (f.stem != "terminal", f.stem)):
        with file.open(encoding="utf-8", newline="") as lines:
            found.append((file.stem, list(csv.DictReader(lines))))
    return found


def proofs(record):
    """{requirement id: {test: {runtime: [results]}}}; a test is (name without runtime and parameters, part or None)."""
    found = {}
    for row in record:
        name = re.sub(r"\[.*\]$", "", row["test"])
        for requirement in row["requirements"]:
            test = name, row["parts"].get(requirement)
            runtimes = found.setdefault(requirement, {}).setdefault(test, {})
            runtimes.setdefault(row["runtime"], []).append(row["result"])
    return found


def verdict(tests):
    """proven, in part, failed or not yet, of {test: {runtime: [results]}}."""
    results = {result for runtimes in tests.values() for found in runtimes.values() for result in found}
    if "failed" in results:
        return FAILED
    if "passed" not in results:
        return NOT_YET
    return PROVEN if any(part is None for _, part in tests) else PARTLY


def told(test, runtimes):
    """A test and where it passed: `tests/…::test_x` (cpython, micropython): part; what did not pass is said."""
    name, part = test
    parts = []
    for runtime in (r for r in RUNTIMES if r in runtimes):
        bad = sorted(set(runtimes[runtime]) - {"passed"})
        parts.append(runtime + (f" **{', '.join(bad)}**" if bad else ""))
    return f"`{name.removeprefix('tests/')}` ({', '.join(parts)})" + (f": {cell(part)}" if part else "")


def cell(text):
    return " ".join(text.split()).replace("|", "\\|")


def brief(text, limit=140):
    """The requirement's first words; the CSV has all of them."""
    text = cell(text)
    return text if len(text) <= limit else text[: limit - 1].rsplit(" ", 1)[0] + " …"


def page(found, proven):
    """The text of docs/conformance.md."""
    lines = [
        "# Conformance",
        "",
        "Written by `make conformance` from the tests' own record; not edited by hand. A requirement is *proven* if",
        "all tests that name it passed wherever they ran, *in part* if each of them says that it shows a part only,",
        "*failed* if one did not pass, *not yet* if none has run. The full texts and their acceptance criteria are in",
        "[requirements/](requirements).",
        "",
        "| document | requirements | proven | in part | failed | not yet |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    sums = {}
    for name, rows in found:
        verdicts = [verdict(proven.get(row["id"], {})) for row in rows]
        counts = [len(rows)] + [verdicts.count(v) for v in (PROVEN, PARTLY, FAILED, NOT_YET)]
        sums = [a + b for a, b in zip(sums or [0] * 5, counts, strict=True)]
        lines.append(f"| [{name}](#{name}) | {' | '.join(map(str, counts))} |")
    lines.append(f"| **all** | {' | '.join(f'**{count}**' for count in sums)} |")
    for name, rows in found:
        lines += ["", f"## {name}", ""]
        lines += [TITLES[name] + ".", ""] if name in TITLES else []
        lines += ["| id | clause | level | requirement | proven by | result |", "|---|---|---|---|---|---|"]
        for row in rows:
            tests = proven.get(row["id"], {})
            by = "<br>".join(told(test, tests[test]) for test in sorted(tests, key=str))
            texts = [row["id"], cell(row["clause"]), cell(row["level"]), brief(row["requirement"]), by, verdict(tests)]
            lines.append("| " + " | ".join(texts) + " |")
    return "\n".join(lines) + "\n"


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Writes docs/conformance.md from a test record.")
    parser.add_argument("record", type=Path, help="what pytest --record=FILE wrote")
    parser.add_argument("-o", "--output", type=Path, help="the page to write; stdout if not given")
    parser.add_argument("--requirements", type=Path, default=ROOT / "docs" / "requirements", help="folder of the CSVs")
    options = parser.parse_args(arguments)
    try:
        record = json.loads(options.record.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return fail(f"{options.record} is no test record ({error}): write it with pytest --record={options.record}")
    found = documents(options.requirements)
    if not found:
        return fail(f"{options.requirements} holds no requirement list (*.csv)")
    known = [row["id"] for _, rows in found for row in rows]
    twice = sorted({i for i in known if known.count(i) > 1})
    if twice:
        return fail(f"the requirement lists give these ids twice: {', '.join(twice)}")
    proven = proofs(record)
    unknown = {i: sorted({name for name, _ in tests}) for i, tests in proven.items() if i not in known}
    if unknown:
        lines = [f"  {i} in {test}" for i, tests in sorted(unknown.items()) for test in tests]
        return fail("tests name requirements that no list has; correct the id:\n" + "\n".join(lines))
    text = page(found, proven)
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    return 0


def fail(what):
    print(f"conformance: {what}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
