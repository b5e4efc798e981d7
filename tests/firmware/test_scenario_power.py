"""Shipped scenarios of power and a place, green as they are, red with each defect they know."""

import pytest

from scenarios import check


@pytest.mark.slow
@pytest.mark.requirement("T-7.6-1", "T-7.6-2", part="power cuts and a network that is away meanwhile")
def test_power_storm(tmp_path):
    check("power-storm", tmp_path)


@pytest.mark.slow
def test_commissioning(tmp_path):
    check("commissioning", tmp_path)
