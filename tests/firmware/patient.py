"""Runs on MicroPython: the terminal, at whose start the centres have more time for their word than 3 s: on a busy
machine they need it, and a test that says "nothing is signed" is no test of speed."""

import sys

from carbonterm_device import app

sys.path.pop(0)  # this file's folder
app.WITNESS_S = 120
import carbonterm_device.__main__  # noqa: E402, F401
