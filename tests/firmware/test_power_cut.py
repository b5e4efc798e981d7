"""Power cuts and failing flash under a terminal's log, a sample of the sweeps that `make torture` runs whole."""

import pytest

from tools.torture import littlefs, ring


@pytest.mark.slow
@pytest.mark.requirement("T-12.4-2", part="power cuts on littlefs and on the raw ring")
@pytest.mark.parametrize("sweep, every", [(littlefs, 41), (ring, 29)], ids=["littlefs", "ring"])
def test_no_acknowledged_entry_is_lost(sweep, every):
    cuts, fails = sweep.run(20260101, every, 8000)
    for row in (cuts, fails):
        print(row["what"], row["cases"], row["note"])
        assert row["cases"] > 40 and row["violations"] == 0, row["failing"]
