"""Sudden resets of a running collector, a sample of the sweep that `make torture` runs longer."""

import pytest

from carbonterm_host.boards import board as boards
from tools.torture import resets


@pytest.mark.slow
@pytest.mark.requirement("T-11.13-3")
def test_storage_and_watchdog_recover_from_sudden_resets():
    """Power that fails in a write and at any moment, a reset, a hang that the watchdog ends; the log is whole behind
    each. The chip is simulated; what shocks do to the hardware is the maker's declaration, which every terminal has."""
    assert "vibration" in boards.SHEET and boards.load("linux-gateway").sheet["vibration"]
    (row,) = resets.run(20260102, len(resets.KINDS))
    print(row["what"], row["cases"], row["note"])
    assert row["cases"] == len(resets.KINDS) and row["violations"] == 0, row["failing"]
