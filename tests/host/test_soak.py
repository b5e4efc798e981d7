"""The soak for a simulated hour, and that its comparison sees what is wrong."""

import json
import shutil

import pytest

from carbonterm_host.simulate import faults as table
from tools.soak.compare import compare
from tools.soak.host import run


@pytest.fixture(scope="module")
def hour(tmp_path_factory):
    """(folder, counts) of an hour on MicroPython, with more of everything than in the long soak."""
    folder = tmp_path_factory.mktemp("soak")
    return folder, run(folder, 7, 1, 0.008)


@pytest.mark.slow
@pytest.mark.requirement("T-6.3-1", part="30 meters of four protocols on 4 lines, with every fault")
@pytest.mark.requirement("T-11.3-1", "T-11.3-2", "T-11.3-3", part="faults: nothing wrong, nothing missing")
@pytest.mark.requirement("T-11.2-2", part="one minute")
def test_an_hour_without_a_difference(hour):
    folder, counts = hour
    result = compare(folder)
    assert result.differences == []
    assert set(counts["faults"]) == set(table.FAULTS) and counts["cuts"] == 4 and counts["collided"] > 50
    assert result.counts["totals"] == result.counts["equal totals"] == 33
    assert result.counts["right values"] == result.counts["values"] > 2000 < result.counts["readable answers"]


@pytest.mark.slow
@pytest.mark.parametrize("what, words", [("value", "wrong: "), ("silence", "missing: "), ("total", "totals: ")])
def test_a_difference_is_seen(hour, tmp_path, what, words):
    """A meter that said something else, or more often, or counted more than ground truth knows."""
    folder = tmp_path / "other"
    shutil.copytree(hour[0], folder)
    rows = [json.loads(line) for line in (folder / "truth.jsonl").read_text().splitlines()]
    of_one = [row for row in rows if row.get("meter") == "dts-1" and row.get("fault", "") is None]
    row = of_one[len(of_one) // 4]
    if what == "value":
        row["registers"]["active_energy_import"] += "1"
    elif what == "silence":
        rows.append({**row, "time_ms": row["time_ms"] + 20000})
    else:
        of_one[-1]["registers"]["active_energy_import"] += "1"
    rows.sort(key=lambda row: row["time_ms"])
    (folder / "truth.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert any(text.startswith(words) for text in compare(folder).differences)
