"""Runs tests of one core test file on whatever interpreter runs this script, without pytest.

usage: INTERPRETER tests/runtime/run.py FILE [TEST …]; all of the file's tests if none is named. The search path must
hold tests/runtime/shim, tests/runtime/lib and protocols. Prints, per test in the order of the file, a line
0x1E + name, what the test printed, and a line 0x1E "=" and its result: "passed", "skipped: why" or "failed".
Exit code 0 if the file could be loaded.
"""

import gc
import sys

import pytest  # the shim


def names(path):
    found = []
    with open(path) as f:
        for line in f:
            if line.startswith("def test_"):
                found.append(line[4 : line.index("(")])
    return found


def show(error):
    if hasattr(sys, "print_exception"):
        sys.print_exception(error, sys.stdout)
    else:
        import traceback

        traceback.print_exception(error, file=sys.stdout)


def main(module, path, wanted):
    for test in names(path):
        if wanted and test not in wanted:
            continue
        print("\x1e" + test)
        gc.collect()
        try:
            getattr(module, test)()
            result = "passed"
        except pytest.Skipped as reason:
            result = "skipped: %s" % reason
        except BaseException as error:
            show(error)
            result = "failed"
        print("\x1e=" + result)


path = sys.argv[1]
name = path.split("/")[-1][:-3]
sys.path.insert(0, path[: -len(name) - 4] or ".")
# not in a function: compiling modules that import modules takes most of the stack of 32 bits
main(__import__(name), path, sys.argv[2:])
