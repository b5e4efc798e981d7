"""The machinery enterprise's published report (tests/vectors/worked_examples.json) through the real firmware."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from vectors import load

TUTORIAL = Path(__file__).parents[2] / "docs/tutorial"


def tutorial():
    spec = importlib.util.spec_from_file_location("machinery", TUTORIAL / "machinery.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.requirement("T-9.1-1", "T-8.2.1-3")
def test_the_year_comes_out_as_published(tmp_path):
    case = next(row for row in load("worked_examples")["examples"] if row["id"] == "we-machinery-2022")
    figures = tutorial().run(tmp_path)
    whole = {name: figure.mantissa // 10**-figure.exponent for name, figure in figures.items()}
    expected = case["expected"]
    assert whole == {
        "天然气燃烧": int(expected["fuel_tCO2"]),
        "净购入电力": int(expected["electricity_tCO2"]),
        "CO2气体保护焊": int(expected["process_tCO2"]),
    }
    assert sum(whole.values()) == int(expected["total_tCO2e"])
    for command in ("verify", "replay"):
        done = subprocess.run([sys.executable, "-m", "carbonterm_host", command, str(tmp_path / "machinery.bundle")])
        assert done.returncode == 0
