"""The firmware of a Linux gateway over the network: a real sshd, whose one key may bring upgrades and nothing else."""

import contextlib
import getpass
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from carbonterm.gm import sm2
from carbonterm.ledger import entry as entries
from carbonterm_device import release
from carbonterm_host.boards import gateway, image
from loopback import free_port
from on_boards import MAKER
from on_gateway import LONG_S, NAME, PROGRAM, Gateway, digest, version
from shell import carbonterm

OTHER = sm2.Signer(bytes(31) + b"\x06")
SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
pytestmark = pytest.mark.slow
CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin forced-commands-only
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    image.build(NAME, folder, MAKER)
    return folder


@pytest.fixture
def ssh(tmp_path):
    """The words of an ssh to this machine, whose sshd takes one key for upgrades of tmp_path/opt, by MAKER."""
    if not Path(SSHD).exists() or not shutil.which("ssh"):
        pytest.skip("no sshd here: apt-get install openssh-server")
    folder = tmp_path / "ssh"
    folder.mkdir()
    for name in ("host", "own"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    public, port = (folder / "own.pub").read_text(), free_port()
    forced = f"{PROGRAM} board updates --folder {tmp_path}/opt --trust {MAKER.public.hex()}"
    (folder / "authorized").write_text(f'restrict,command="{forced}" {public}')
    (folder / "config").write_text(CONFIG.format(port=port, folder=folder))
    if not os.getuid():
        Path("/run/sshd").mkdir(exist_ok=True)
    with open(folder / "said", "wb") as said:
        process = subprocess.Popen([SSHD, "-D", "-e", "-f", folder / "config"], stderr=said)
    words = ["ssh", "-F", "none", "-p", str(port), "-i", str(folder / "own"), "-o", "BatchMode=yes"]
    words += ["-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={folder}/known", "-o", "LogLevel=ERROR"]
    try:
        end = time.monotonic() + LONG_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            assert time.monotonic() < end and process.poll() is None, (folder / "said").read_text()
            time.sleep(0.05)
        yield [*words, f"{getpass.getuser()}@127.0.0.1"]
    finally:
        process.terminate()
        process.wait(LONG_S)


class Service:
    """A terminal that is started again whenever it ends, as by systemd with Restart=always."""

    def __init__(self, box):
        self.box, self.ends, self.over = box, 0, False
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def _run(self):
        while not self.over:
            self.box.start()
            self.box.process.stderr.read()  # its stdin stays open, whose end would mean stop
            self.box.process.communicate()
            self.ends += 1

    def __exit__(self, *_):
        self.over = True
        while self.thread.is_alive():
            with contextlib.suppress(OSError):
                self.box.process.send_signal(signal.SIGTERM)
            self.thread.join(0.5)


def runs(box, number):
    """Whether the version `number` is the current one, has shown that it runs, and has written a status."""
    raw = (box.programs / gateway.current(box.programs) / image.MANIFEST).read_text()
    return gateway.trial(box.programs) is None and box.status.exists() and json.loads(raw)["carbonterm"] == number


def at_the_other_end(programs):
    """Process numbers of what sshd has started for upgrades of a folder."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if b"updates" in words and str(programs).encode() in words and words[0] != b"sh":
                yield int(path.parent.name)


def killed(client, programs, slot, files):
    """Kills what installs into a slot once that has so many files, as a power cut would, or waits for its end."""
    while client.poll() is None:
        if sum(1 for path in (programs / slot).rglob("*") if path.is_file()) >= files:
            for number in at_the_other_end(programs):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
            break
        time.sleep(0.005)
    client.communicate(timeout=LONG_S)


@pytest.mark.requirement("T-10.6.4-1")
def test_over_the_network(built, tmp_path, ssh):
    programs = tmp_path / "opt"
    programs.mkdir()
    box = Gateway(tmp_path, programs)
    via = "--via", " ".join([*ssh, "carbonterm"]), "--folder", programs

    def bring(folder):
        return carbonterm("board", "install", "--image", folder, *via, "--json")

    # installed, by the maker's signature only
    own = json.loads((built / image.MANIFEST).read_text())["carbonterm"]
    code, out, err = bring(built)
    assert code == 0 and json.loads(out)["version"] == own, out + err
    code, out, err = bring(version(built, tmp_path / "foreign", "8.0.0", signer=OTHER))
    assert code == 1 and "not by the key" in err and gateway.versions(programs)["version"] == own, out + err
    box.provision()
    with Service(box) as service:
        box.wait(lambda: runs(box, own))
        # upgraded: the terminal ends itself and is started again with the new version
        code, out, err = bring(version(built, tmp_path / "9", "9.0.0"))
        assert code == 0, out + err
        box.wait(lambda: runs(box, "9.0.0"))
        assert service.ends == 1
        # one that does not run gives way to the one before
        bad = version(built, tmp_path / "10", "10.0.0", b"import sys\nsys.exit(3)\n")
        assert bring(bad)[0] == 0
        box.wait(lambda: runs(box, "9.0.0"))
        code, out, err = carbonterm("board", "installed", *via, "--json")
        assert code == 0 and json.loads(out)["version"] == "9.0.0", out + err
    # the power fails in the middle: the old version or the new one is there, whole, and runs
    newer, chance = version(built, tmp_path / "11", "11.0.0"), random.Random(11)
    words = [PROGRAM, "board", "install", "--image", newer, *via]
    for _ in range(2):
        slot = "a" if gateway.current(programs) == "b" else "b"
        shutil.rmtree(programs / slot)
        client = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        killed(client, programs, slot, chance.randrange(1, 150))
        box.ran()
        assert gateway.versions(programs)["version"] in ("9.0.0", "11.0.0")
    assert bring(newer)[0] == 0
    box.ran()
    assert gateway.versions(programs)["version"] == "11.0.0"
    told = [one.body[:2] for one in box.entries(tmp_path) if one.kind == entries.UPGRADE]
    assert told == [["", own], [own, "9.0.0"], ["9.0.0", "11.0.0"]], "what never ran is no version of the log"
    # and taken away: the terminal ends, its data stay
    box.start()
    box.wait(box.status.exists)
    code, out, err = carbonterm("board", "uninstall", *via, "--json")
    assert code == 0 and set(json.loads(out)["removed"]) == {"a", "b", "current", "maker.pub"}, out + err
    box.process.wait(LONG_S)
    box.process.communicate()
    before = digest(box.data)
    assert sorted(path.name for path in programs.iterdir()) == ["lock"]
    assert carbonterm("verify", tmp_path / "g.bundle")[0] == 0 and digest(box.data) == before


def test_what_the_key_may_not(tmp_path, ssh):
    """Another command, another folder, another maker, a way on to another machine, a shell."""
    other, folder = OTHER.public.hex(), f"--folder {tmp_path}/opt"
    orders = ["", f"carbonterm board start {folder} -- --init", "carbonterm board installed --folder /",
              f"carbonterm board installed {folder} --via 'touch {tmp_path}/x'",
              f"carbonterm board install {folder} --trust {other} --image - --json",
              f"carbonterm board installed {folder} --json; touch {tmp_path}/x"]  # fmt: skip
    for order in orders:
        done = subprocess.run([*ssh, order] if order else ssh, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 2 and "takes upgrades and nothing else" in done.stderr, (order, done.stderr)
    assert not (tmp_path / "x").exists()
    assert subprocess.run([*ssh, f"carbonterm board installed {folder} --json"], capture_output=True).returncode == 1


def test_what_was_installed_meanwhile(tmp_path):
    for slot in "ab":
        (tmp_path / slot).mkdir()
        (tmp_path / slot / "release").write_bytes(b"same")
    path = str(tmp_path / "a" / "release")
    own = release.mark(path)
    assert not release.ousted(path, own), "files elsewhere have no slots"
    gateway.switch(tmp_path, "a")
    assert not release.ousted(path, own)
    gateway.switch(tmp_path, "b")
    assert release.ousted(path, own)
    shutil.rmtree(tmp_path / "a")
    (tmp_path / "current").unlink()
    assert release.ousted(path, own)
    assert release.mark(path) is None and not release.ousted(path, None), "a release that was never there"
