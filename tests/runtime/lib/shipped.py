"""The methods and factors that ship with the core, read by whatever runtime runs the test."""

import json
import os

from carbonterm.accounting.load import load_factors, load_method

FOLDER = "protocols/carbonterm/accounting/"


def files(kind, wanted=()):
    """[(name, dict)] of methods or factors, in the order of the names; all files, or those named without .json."""
    found = []
    for name in [part + ".json" for part in wanted] or sorted(os.listdir(FOLDER + kind)):
        with open(FOLDER + kind + "/" + name) as f:
            found.append((name, json.load(f)))
    return found


def methods(*names):
    return {data["id"]: load_method(data) for _, data in files("methods", names)}


_kept = {}  # factors are not changed by those who use them: a process that runs many files loads them once


def factors(*names):
    if names not in _kept:
        _kept[names] = load_factors(*[data for _, data in files("factors", names)])
    return _kept[names]
