"""Starts the device's side of the soak on a runtime."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from carbonterm_host import site_yaml
from tools.soak import plant

ROOT = Path(__file__).parent.parent.parent


def run(folder, seed, hours, level, runtime="micropython", heap="256M", text=None):
    """Leaves site.bin, truth.jsonl and the log in `folder`; the device's counts, as a dict. level 0: nothing goes
    wrong; text: another site file."""
    sys.path.insert(0, str(ROOT / "tests/runtime"))
    import runtimes

    (folder / "site.bin").write_bytes(site_yaml.compile_text(text or plant.site_text()).canonical())
    shutil.rmtree(folder / "log", ignore_errors=True)
    paths = [ROOT, ROOT / "protocols", ROOT / "firmware", ROOT / "host"]
    command, env = runtimes.command(runtime, paths, heap)
    script = [str(ROOT / "tools/soak/device.py"), str(folder), str(seed), str(hours), str(level)]
    done = subprocess.run(command + script, env={**os.environ, **env}, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f"the device's side ended with {done.returncode}: {done.stdout[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])
