"""Test vectors: tests/vectors/NAME.json, read from the project's root, where all runtimes are started."""

import json


def load(name):
    with open("tests/vectors/%s.json" % name) as f:
        return json.load(f)
