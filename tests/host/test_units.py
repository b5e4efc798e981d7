"""The unit files for systemd that the docs name: systemd finds nothing wrong, and what they start is there."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from shell import carbonterm

ROOT = Path(__file__).parent.parent.parent
UNITS = sorted((ROOT / "boards").rglob("*.service")) + sorted((ROOT / "docs").rglob("*.service"))


@pytest.fixture(params=UNITS, ids=lambda path: path.name)
def unit(request):
    return request.param


def test_systemd_finds_nothing(unit):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=120)
    said = [line for line in done.stderr.splitlines() if unit.name in line]  # not what else is on this machine
    assert [line for line in said if "/usr/local/bin/carbonterm is not executable" not in line] == []


def test_what_it_starts_is_there(unit):
    (line,) = re.findall(r"^ExecStart=(.*)$", unit.read_text(), re.MULTILINE)
    words, _, firmware = line.partition(" -- ")
    program, *words = shlex.split(words)
    options = [word for word in words if word.startswith("--")]
    names = words[: words.index(options[0])]
    code, out, _ = carbonterm(*names, "--help")
    assert program == "/usr/local/bin/carbonterm" and code == 0
    assert [option for option in options if option not in out] == []
    usage = (ROOT / "firmware/carbonterm_device/app.py").read_text()
    assert [word for word in shlex.split(firmware) if word.startswith("--") and word not in usage] == []


def test_the_docs_name_it(unit):
    assert any(unit.name in page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md"))
