"""Runs the soak on a runtime of the tests."""

import sys
from pathlib import Path

from carbonterm_host import site_yaml
from carbonterm_host.benches import planned
from tools.soak import plant

ROOT = Path(__file__).parent.parent.parent


def run(folder, seed, hours, level, runtime="micropython", heap="256M", text=None):
    """Leaves site.bin, truth.jsonl and the log in `folder`; the device's counts, as a dict. level 0: nothing goes
    wrong; text: another site file."""
    sys.path.insert(0, str(ROOT / "tests/runtime"))
    import runtimes

    site = site_yaml.compile_text(text or plant.site_text())
    command, _ = runtimes.command(runtime, [], heap)
    return planned.run(folder, site, plant.plan_of(seed, hours, level), command)
