"""The shipped scenario of faults on lines in real time, green as it is, red with each defect it knows."""

import pytest

from scenarios import check


@pytest.mark.slow
@pytest.mark.requirement("T-11.3-1", "T-11.3-2", "T-11.3-3", part="with faults of the line in real time")
def test_line_faults(tmp_path):
    check("line-faults", tmp_path)
