"""The methods and factors that ship with the core, read by whatever runtime runs the test."""

import json
import os

from carbonterm.accounting.load import load_factors, load_method

FOLDER = "protocols/carbonterm/accounting/"


def files(kind):
    """[(name, dict)] of methods or factors, in the order of the names."""
    found = []
    for name in sorted(os.listdir(FOLDER + kind)):
        with open(FOLDER + kind + "/" + name) as f:
            found.append((name, json.load(f)))
    return found


def methods():
    return {data["id"]: load_method(data) for _, data in files("methods")}


def factors():
    return load_factors(*[data for _, data in files("factors")])
