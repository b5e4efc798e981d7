"""The Containerfile of the gateway, without a container: what it copies is all that its entry command needs, and the
command runs a terminal until TERM, which ends it well. test_container.py builds it."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from carbonterm_host import runtime, site_yaml
from on_gateway import LONG_S, NAME, SITE
from shell import carbonterm

FILE = Path(__file__).parent.parent.parent / "boards/linux-gateway/Containerfile"
pytestmark = pytest.mark.slow


def instructions():
    """{word: rest}, comments and continued lines undone."""
    lines = [line for line in FILE.read_text().replace("\\\n", " ").split("\n") if line and not line.startswith("#")]
    return dict(line.split(None, 1) for line in lines)


@pytest.mark.requirement("T-10.1b-3", part="what the container image holds and starts, run without a container")
def test_what_it_copies_runs(tmp_path):
    found = instructions()
    source, target = found["COPY"].split()
    assert (source, target) == (".", "/opt/carbonterm")
    key, folder = tmp_path / "maker.key", tmp_path / "image"
    public = json.loads(carbonterm("key", "operator", "maker", "-o", key, "--json")[1])["public_key"]
    assert carbonterm("board", "build", NAME, "-o", folder, "--key", key)[0] == 0
    words = "--image", folder, "--folder", tmp_path / target.lstrip("/"), "--trust", public
    code, out, err = carbonterm("board", "install", *words)
    assert code == 0, out + err
    (tmp_path / "bin").mkdir()
    os.symlink(runtime.find(), tmp_path / "bin" / "micropython")
    name, _, value = found["ENV"].partition("=")
    environment = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", name: value.replace("/opt", f"{tmp_path}/opt")}
    entry = [word.replace("/opt", f"{tmp_path}/opt") for word in json.loads(found["ENTRYPOINT"])]
    default = json.loads(found["CMD"])
    for one in ("/data", "/site", "/run/carbon"):
        (tmp_path / one.lstrip("/")).mkdir(parents=True)
    words = [str(tmp_path) + word if word.startswith("/") else word for word in default]
    (tmp_path / "site.yaml").write_text(SITE)
    (tmp_path / "site/site.bin").write_bytes(site_yaml.compile_file(tmp_path / "site.yaml").canonical())
    made = ["--data", str(tmp_path / "data"), "--init", "--terminal", "G1", "--operator", "op.example"]
    done = subprocess.run([*entry, *made], env=environment, capture_output=True, timeout=LONG_S)
    assert done.returncode == 0 and json.loads(done.stdout)["epoch"] == 0, done.stderr
    process = subprocess.Popen([*entry, *words], env=environment, stderr=subprocess.PIPE)
    try:
        status, end = tmp_path / "run/carbon/status.json", time.monotonic() + LONG_S
        while not status.exists() or "entries" not in json.loads(status.read_text() or "{}"):
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.05)
        assert (tmp_path / "run/carbon/maintenance.sock").is_socket()
        assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "data").iterdir())
    finally:
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=LONG_S)[1]
    children = subprocess.run(["pgrep", "-f", str(tmp_path / "data")], capture_output=True, text=True).stdout
    assert process.returncode == 0 and children == "", (said, children)
