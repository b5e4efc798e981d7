"""Shipped scenarios in simulated time, green as they are, red with each defect they know."""

import pytest

from scenarios import check


@pytest.mark.slow
@pytest.mark.requirement("T-8.2.2-1", part="rollovers and an exchange in a simulated day with power cuts")
def test_week(tmp_path):
    check("week", tmp_path)


@pytest.mark.slow
def test_endurance_of_flash(tmp_path):
    check("flash-endurance", tmp_path)
