"""A shipped scenario under test: green as it is, red with each defect that it knows."""

import copy
import shutil

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
