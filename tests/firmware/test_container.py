"""The gateway's container image for real: built by buildah, run by podman, where both and debootstrap are and root runs
the tests. Elsewhere there is no such test (docs/testing.md); test_containerfile.py is what every machine can do.

No registry is asked: the base image is a Debian 13 of debootstrap, kept in build/.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from carbonterm.ledger import entry as entries
from carbonterm_host import bundles, site_yaml
from carbonterm_host.boards import gateway, image
from on_boards import MAKER
from on_gateway import NAME, SITE
from shell import carbonterm

ROOT = Path(__file__).parent.parent.parent
FILE = ROOT / "boards/linux-gateway/Containerfile"
BASE = "docker.io/library/debian:trixie-slim"
KEPT = ROOT / "build" / "trixie.tar"
LONG_S = 900
TOOLS = "buildah", "podman", "crun", "debootstrap", "unshare"
MOUNTS = "unshare -m mount -t tmpfs none /mnt 2>&-"  # which fails in a container itself
HERE = os.getuid() == 0 and all(map(shutil.which, TOOLS)) and os.system(MOUNTS) == 0
# crun wants the one hierarchy of control groups, podman more descriptors than some machines allow
UNIFIED = 'test "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs || mount -t cgroup2 none /sys/fs/cgroup; exec "$@"'
LIMITS = "--cgroups=disabled", "--network=host", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * LONG_S)]


def ran(*words):
    """What a program that has to succeed says."""
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=LONG_S)
    assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout.strip()


def base(folder):
    """The tar file of a Debian 13."""
    if not KEPT.exists():
        ran("debootstrap", "--variant=minbase", "trixie", folder / "debian")
        ran("tar", "-C", folder / "debian", "-cf", folder / "debian.tar", ".")
        KEPT.parent.mkdir(exist_ok=True)
        shutil.move(folder / "debian.tar", KEPT)
    return KEPT


class Store:
    """Images in a folder of the test's own, running containers in `run`, whose name podman wants short."""

    def __init__(self, folder, run):
        self._words = ["--root", folder / "store", "--runroot", run, "--storage-driver", "vfs"]

    def buildah(self, *words):
        return ran("buildah", *self._words, *words)

    def podman(self, *words):
        return ran("unshare", "-m", "sh", "-c", UNIFIED, "sh", "podman", *self._words, "--cgroup-manager", "cgroupfs",
                   "--runtime", "crun", *words)  # fmt: skip


def built(store, folder):
    """Builds the image as the Containerfile says at its top, on a base of the name that it asks for."""
    made = store.buildah("from", "scratch")
    store.buildah("add", made, base(folder), "/")
    store.buildah("commit", "--rm", made, BASE)
    image.build(NAME, folder / "image", MAKER)
    gateway.install(folder / "container", folder / "image", MAKER.public)
    store.buildah("build", "--isolation", "chroot", "--network", "host", "--pull-never", "-f", FILE, "-t", "carbonterm",
                  folder / "container")  # fmt: skip
    store.buildah("push", "localhost/carbonterm", f"oci:{folder}/oci:carbonterm")
    return json.loads((folder / "oci/index.json").read_text())


def terminal(store, folder):
    """The name of a container with the volumes of the Containerfile's top, and a key; it is not started."""
    volumes = [f"-v={folder}/{name}:{place}" for name, place in
               (("data", "/data"), ("site", "/site"), ("status", "/run/carbon"))]  # fmt: skip
    for name in ("data", "site", "status"):
        (folder / name).mkdir(mode=0o700)
    (folder / "site.yaml").write_text(SITE)
    (folder / "site/site.bin").write_bytes(site_yaml.compile_file(folder / "site.yaml").canonical())
    for path in (folder / "data", folder / "site", folder / "site/site.bin", folder / "status"):
        os.chown(path, 900, 900)
    said = store.podman("run", "--rm", *LIMITS, *volumes, "carbonterm", "--data", "/data", "--init", "--terminal", "G1",
                        "--operator", "op.example")  # fmt: skip
    assert json.loads(said)["epoch"] == 0
    return store.podman("create", *LIMITS, "--stop-timeout=120", *volumes, "carbonterm")


def records(store, folder, name):
    """Starts the container, and returns when its terminal has written readings down that were not there before."""
    status, end = folder / "status/status.json", time.monotonic() + LONG_S
    status.unlink(missing_ok=True)
    store.podman("start", name)
    while not status.exists() or not json.loads(status.read_text() or "{}").get("readings"):
        assert time.monotonic() < end, store.podman("logs", name)
        time.sleep(0.1)


def state(store, name):
    found = json.loads(store.podman("inspect", name))[0]["State"]
    return found["Status"], found["ExitCode"]


if HERE:

    @pytest.mark.requirement("T-10.1b-3")
    def test_an_image_that_runs(tmp_path):
        with tempfile.TemporaryDirectory(prefix="ct") as run:
            recorded(Store(tmp_path, run), tmp_path)

    def recorded(store, tmp_path):
        (found,) = built(store, tmp_path)["manifests"]
        assert found["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
        name = terminal(store, tmp_path)
        try:
            records(store, tmp_path, name)
            assert (tmp_path / "status/maintenance.sock").is_socket()
            store.podman("stop", name)
            assert state(store, name) == ("exited", 0), "TERM to the first process"
            records(store, tmp_path, name)
            store.podman("kill", "--signal=KILL", name)
            records(store, tmp_path, name)
            store.podman("stop", name)
            assert state(store, name) == ("exited", 0)
        finally:
            store.podman("rm", "--force", "--time=0", name)
        assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "data").iterdir())
        assert carbonterm("pull", tmp_path / "data", "-o", tmp_path / "x.bundle")[0] == 0
        code, out, err = carbonterm("verify", tmp_path / "x.bundle")
        assert code == 0, out + err
        found = [entries.decode(raw).kind for raw, _ in bundles.read(tmp_path / "x.bundle").entries]
        assert found.count(entries.START) == 3 and found.count(entries.READINGS) >= 3 and entries.UPGRADE in found
