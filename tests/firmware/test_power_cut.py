"""Power cuts on littlefs, a sample of the sweep that `make torture` runs whole."""

import pytest

from tools.torture import littlefs


@pytest.mark.slow
@pytest.mark.requirement("T-12.4-2", part="power cuts on littlefs")
def test_no_acknowledged_entry_is_lost():
    (row,) = littlefs.run(20260101, every=7)
    print(row["cases"], row["note"])
    assert row["cases"] > 50 and row["violations"] == 0, row["failing"]
