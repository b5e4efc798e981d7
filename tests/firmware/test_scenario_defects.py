"""Defects that have to be there while a shipped scenario runs turn it red."""

import pytest

from carbonterm_host.benches import bench, scenario


@pytest.mark.slow
@pytest.mark.parametrize("name, defect, red", [
    ("line-faults", "swapped-words", "totals_equal"), ("line-faults", "dropped-reading", "lost"),
    ("power-storm", "stays-off", "restart_s"), ("board-commissioning", "little-heap", "crashes"),
])  # fmt: skip
def test_a_defect_of_the_terminal_turns_it_red(tmp_path, name, defect, red):
    found = scenario.load(name, True)
    found.faults = []
    result = bench.run(found, tmp_path / "out", defect)
    assert not next(row for row in result["verdicts"] if row["expect"] == red)["ok"], result["verdicts"]
