"""The type test in its short form, green as it is, red with each defect of its log, its centres."""

import pytest

from scenarios import check


@pytest.mark.slow
@pytest.mark.requirement("T-6.1-1", part="a manual point beside measured ones")
@pytest.mark.requirement("T-6.3-1")
@pytest.mark.requirement("T-7.3-1", part="a platform and two centres at once, all of them reachable")
@pytest.mark.requirement("T-8.2.1-1", "T-8.2.2-1", part="through its interfaces, against ground truth; no exchange")
@pytest.mark.requirement("T-8.1.2-1", part="an amount entered by hand: twice the largest month passes, more is refused")
@pytest.mark.requirement("T-7.1-1", "T-7.1-2", "T-7.1-3", "T-7.1-4", part="simulated: no error in the polls of a run")
@pytest.mark.requirement("T-7.4-2", part="flipped bits of a log that was delivered")
@pytest.mark.requirement("T-8.1.1-1", part="values outside their range are kept and marked")
@pytest.mark.requirement("T-8.2.1-2", "T-8.2.1-4", part="minutes, hours and a day at midnight add up")
@pytest.mark.requirement("T-8.3.2-1", "T-8.3.2-3", "T-8.3.2-4", "T-8.3.2-6", part="a sum, a difference, shares")
@pytest.mark.requirement("T-11.3-1", "T-11.3-2", "T-11.3-3", "T-11.3-4", part="simulated meters, pymodbus for TCP")
@pytest.mark.requirement("T-11.3-5", "T-11.3-6", "T-11.3-7", "T-11.3-9", "T-11.3-10", part="all at once, in one log")
@pytest.mark.requirement("T-6.3-2", part="six systems at once: what was acknowledged is in the log, once, at its time")
def test_type_test(tmp_path):
    check("type-test", tmp_path)
