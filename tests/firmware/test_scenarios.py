"""The scenarios that are shipped: green as they are, red with each defect they know."""

import copy
import shutil

import pytest

from carbonterm_host.benches import bench, scenario
from carbonterm_host.benches.defective import KINDS

LIVE = (*KINDS, "off")  # defects that have to be there while the scenario runs


def judged(name, tmp_path):
    """(result as it is, {defect: result}) of a shipped scenario that runs once, with defects of what it left."""
    found = scenario.load(name)
    folder = tmp_path / "run"
    folder.mkdir()
    saw = bench.observe(found, folder, None, lambda what, text: None)
    red = {}
    for defect, row in found.defects.items():
        if row["does"] not in LIVE:
            shutil.copytree(folder, tmp_path / defect, symlinks=True)
            red[defect] = bench.conclude(found, tmp_path / defect, copy.deepcopy(saw), defect, 0)
    return bench.conclude(found, folder, saw, None, 0), red


def check(name, tmp_path):
    green, red = judged(name, tmp_path)
    wrong = [f"{row['expect']}: found {row['found']}" for row in green["verdicts"] if not row["ok"]]
    assert not wrong, wrong
    assert red and not any(one["green"] for one in red.values()), red
    print(name, len(green["verdicts"]), "expectations met;", ", ".join(red), "turn it red")


@pytest.mark.slow
@pytest.mark.requirement("T-6.1-1", part="a manual point beside measured ones")
@pytest.mark.requirement("T-6.3-1")
@pytest.mark.requirement("T-7.3-1", part="a platform and two centres at once, all of them reachable")
@pytest.mark.requirement("T-8.2.1-1", "T-8.2.2-1", part="through its interfaces, against ground truth; no exchange")
@pytest.mark.requirement("T-7.1-1", "T-7.1-3", part="simulated lines: 1000 polls of the one, 80 of the other, no error")
@pytest.mark.requirement("T-7.4-2", part="flipped bits of a log that was delivered")
@pytest.mark.requirement("T-8.1.1-1", part="values outside their range are kept and marked")
@pytest.mark.requirement("T-8.2.1-2", "T-8.2.1-4", part="minutes, hours and a day at midnight add up")
@pytest.mark.requirement("T-8.3.2-1", "T-8.3.2-3", "T-8.3.2-4", "T-8.3.2-6", part="a sum, a difference, shares")
@pytest.mark.requirement("T-11.3-1", "T-11.3-2", "T-11.3-3", "T-11.3-4", part="simulated meters, pymodbus for TCP")
def test_type_test(tmp_path):
    check("type-test", tmp_path)


@pytest.mark.slow
@pytest.mark.requirement("T-7.6-1", "T-7.6-2", part="ten power cuts and a network that is away for 12 s")
def test_power_storm(tmp_path):
    check("power-storm", tmp_path)


@pytest.mark.slow
@pytest.mark.requirement("T-11.3-1", "T-11.3-2", "T-11.3-3", part="with faults of the line in real time")
def test_line_faults(tmp_path):
    check("line-faults", tmp_path)


@pytest.mark.slow
def test_commissioning(tmp_path):
    check("commissioning", tmp_path)


@pytest.mark.slow
@pytest.mark.requirement("T-8.2.2-1", part="rollovers and an exchange in a simulated week with power cuts")
def test_week(tmp_path):
    check("week", tmp_path)


@pytest.mark.slow
def test_endurance_of_flash(tmp_path):
    check("flash-endurance", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name, defect, red", [
    ("line-faults", "swapped-words", "totals_equal"), ("line-faults", "dropped-reading", "lost"),
    ("power-storm", "stays-off", "restart_s"),
])  # fmt: skip
def test_a_defect_of_the_terminal_turns_it_red(tmp_path, name, defect, red):
    found = scenario.load(name)
    found.ms, found.faults, found.events = 15000, [], [event for event in found.events if event.at_ms < 10000]
    result = bench.run(found, tmp_path / "out", defect)
    assert not next(row for row in result["verdicts"] if row["expect"] == red)["ok"], result["verdicts"]
