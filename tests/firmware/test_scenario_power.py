"""Shipped scenarios of power and a place, green as they are, red with each defect they know."""

import pytest

from carbonterm_host.boards import board as boards
from scenarios import check


@pytest.mark.slow
@pytest.mark.requirement("T-7.6-1", "T-7.6-2", part="power cuts and a network that is away meanwhile")
@pytest.mark.requirement("T-10.3-1")
def test_power_storm(tmp_path):
    check("power-storm", tmp_path)
    low, high = boards.load("linux-gateway").sheet["supply_v"]  # the range is declared; what is below it was simulated
    assert low <= 198 and high >= 242


@pytest.mark.slow
def test_commissioning(tmp_path):
    check("commissioning", tmp_path)
