"""The same questions on CPython and on MicroPython, 64 and 32 bit: the same answers from the same line.

Who listens for meters that may not be there has to stop listening at some time, and on a busy machine a meter's answer
can come later: then the questions are put again.
"""

import json
import subprocess

import pytest

import runtimes
from ptyline import PtyLine, cjt188_meter, dlt645_meter, modbus_meter

HEAT = bytes.fromhex("05192853000519285300170000000035000000002C42331800031900101900612700265723310315200301")
LINE = [[19200, "even", 1]]
QUESTIONS = (
    {"do": "probe", "unit": 3, "address": 4, "expect": "230", "settings": LINE},
    {"do": "probe", "unit": 3, "address": 900, "settings": LINE},
    {"do": "probe", "unit": 4, "settings": LINE, "timeout_ms": 50},
    {"do": "probe", "protocol": "dlt645-2007", "unit": "201000000012", "expect": "1234.56", "settings": LINE},
    {"do": "probe", "protocol": "dlt645-1997", "unit": "201000000012", "settings": LINE},
    {"do": "probe", "protocol": "cjt188", "unit": "42590008210438", "expect": "1833.42", "settings": LINE},
    {"do": "scan", "to": 4, "timeout_ms": 500, "wildcard_ms": 500, "settings": LINE},
    {"do": "scan", "protocols": ["dlt645-2007"], "wildcard_ms": 30, "settings": LINE, "thorough": True},
    {"do": "watch"},
    {"do": "scan", "device": "/dev/nothing"},
    {"do": "scan", "device": "/dev/null"},
    {"do": ["watch"]},
)
UNITS = ["201000000012", "201000000012", "42590008210438", 3, "201000000012"]  # that the scans find
TRIES = 8


def answers(name, path):
    command, environment = runtimes.command(name, heap="4M")
    lines = [json.dumps({"device": path} | question) for question in QUESTIONS]
    done = subprocess.run(
        [*command, "-m", "carbonterm_device", "--desk"], input="\n".join(lines) + "\n",
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0 and not done.stderr, done.stderr
    return [event for event in map(json.loads, done.stdout.splitlines()) if event["event"] != "progress"]


def heard(name, path, wanted=None):
    """The answers in which no meter was missed, and which are `wanted`; what was heard last where there are none."""
    for _ in range(TRIES):
        said = answers(name, path)
        if units(said) == UNITS and wanted in (None, said):
            break
    return said


def units(said):
    return [event["unit"] for event in said if event["event"] == "found"]


@pytest.mark.slow
def test_the_same_answers_on_every_runtime():
    meters = [
        dlt645_meter("201000000012", 19200),
        cjt188_meter("42590008210438", HEAT, baud=19200),
        modbus_meter(3, {(3, 4): ("230.1", "float32", "ABCD")}, 19200),
    ]
    with PtyLine(meters) as line:
        first = heard("cpython", line.path)
        others = [heard(name, line.path, first) for name in runtimes.MICRO]
    ends = [event for event in first if event["event"] in ("done", "error")]
    assert len(ends) == len(QUESTIONS)
    assert [end.get("kind") for end in ends] == [
        None, "refused", "silent", None, None, None, None, None, "usage", "unreachable", "unreachable", "usage",
    ]  # fmt: skip
    assert units(first) == UNITS
    for other in others:
        assert other == first
