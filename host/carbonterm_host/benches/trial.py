"""A bench on trial: a scenario as it is, which has to be green, and with each defect it knows, which has to be red.

What a defect does to what was left is judged on a copy of the one run; one that has to be there while the scenario runs
has a run of its own.
"""

import copy
import shutil
import time

from carbonterm_host.benches import bench
from carbonterm_host.benches.events import LIVE
from carbonterm_host.benches.scenario import AS_IT_IS


def trial(scenario, folder, tell=lambda what, text: None, live=True):
    """Yields (defect or None, result of carbonterm_host.benches.bench), each in a folder of its own in `folder`. live:
    with defects that need a run too."""
    folder = folder.absolute()
    bench.empty(folder)
    began = time.monotonic()
    first = folder / AS_IT_IS
    first.mkdir()
    saw = bench.observe(scenario, first, None, tell)
    took_s = time.monotonic() - began
    left = [name for name, row in scenario.defects.items() if row["does"] not in LIVE]
    for name in left:
        shutil.copytree(first, folder / name, symlinks=True, ignore=shutil.ignore_patterns("wire"))
    yield None, bench.conclude(scenario, first, copy.deepcopy(saw), None, took_s)
    for name in left:
        yield name, bench.conclude(scenario, folder / name, copy.deepcopy(saw), name, 0)
    for name in scenario.defects if live else ():
        if name not in left:
            yield name, bench.run(scenario, folder / name, name, tell)


def right(defect, result):
    """Whether a result is what a bench of any worth says."""
    return result["green"] == (defect is None)


def reds(result):
    """Names of the expectations that are not met."""
    return [row["expect"] for row in result["verdicts"] if not row["ok"]]
