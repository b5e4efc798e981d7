"""The firmware of a Linux gateway: installed, upgraded, cut at every step, rolled back, removed; data untouched."""

import json
import os
import shutil
import stat
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

from carbonterm.gm import sm2
from carbonterm.ledger import entry as entries
from carbonterm_host import runtime
from carbonterm_host.boards import gateway, image
from carbonterm_host.commands import board_gateway
from carbonterm_host.screen import Failure
from on_boards import MAKER
from on_gateway import NAME, PROGRAM, Gateway, digest, version
from shell import carbonterm

OTHER = sm2.Signer(bytes(31) + b"\x06")
pytestmark = pytest.mark.slow
UPDATER, TERMINAL, GROUP = 64001, 64002, 64000


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    image.build(NAME, folder, MAKER)
    return folder


@pytest.mark.requirement("T-10.6.4-1", part="a Linux gateway: installed, upgraded, rolled back, removed; its log")
def test_install_upgrade_roll_back_uninstall(built, tmp_path):
    programs = tmp_path / "opt"
    words = "board", "install", "--folder", programs, "--json"
    code, out, err = carbonterm(*words, "--image", built, "--trust", MAKER.public.hex())
    assert code == 0 and json.loads(out)["slot"] == "a", out + err
    box = Gateway(tmp_path, programs)
    box.provision()
    box.ran()
    before = digest(box.data)
    code, out, _ = carbonterm(*words, "--image", version(built, tmp_path / "2", "9.0.0"))
    assert code == 0 and json.loads(out)["version"] == "9.0.0" and gateway.versions(programs)["starts_left"] == 3
    assert digest(box.data) == before
    with pytest.raises(Failure, match="has not shown yet"):
        gateway.install(programs, built)
    box.ran()
    assert gateway.versions(programs)["starts_left"] is None
    before = digest(box.data)
    bad = version(built, tmp_path / "3", "9.1.0", b"import sys\nsys.exit(3)\n")
    assert carbonterm(*words, "--image", bad)[0] == 0
    for left in (2, 1, 0):
        assert "back to" not in box.failed() and gateway.versions(programs)["starts_left"] == left
    assert digest(box.data) == before
    box.ran()
    code, out, _ = carbonterm("board", "installed", "--folder", programs, "--json")
    assert code == 0 and json.loads(out)["version"] == "9.0.0", "the one before"
    told = [one.body[:2] for one in box.entries(tmp_path) if one.kind == entries.UPGRADE]
    own = json.loads((built / image.MANIFEST).read_text())["carbonterm"]
    assert told == [["", own], [own, "9.0.0"]], "what never ran is no version of the log"
    before = digest(box.data)
    code, out, _ = carbonterm("board", "uninstall", "--folder", programs, "--json")
    assert code == 0 and sorted(path.name for path in programs.iterdir()) == ["lock"]
    assert digest(box.data) == before


@pytest.mark.requirement("T-10.6.4-1", part="a Linux gateway: a cut between any two steps of an upgrade")
def test_a_cut_at_every_step(built, tmp_path):
    second = version(built, tmp_path / "2", "9.0.0")
    first, seen = tmp_path / "first", []
    gateway.install(first, built, MAKER.public)
    for cut in range(1, 40):
        programs = tmp_path / f"opt{cut}"
        shutil.copytree(first, programs, symlinks=True)
        done = None
        going = gateway.steps(programs, second)
        for _ in range(cut):
            done = next(going, done)
        going.close()
        if cut % 2 and (programs / "b").exists() and gateway.current(programs) == "a":
            for path in list((programs / "b").rglob("*.mpy"))[::7]:
                path.write_bytes(path.read_bytes()[:-3])  # what was not flushed
        slot, said = gateway.choose(programs)
        seen.append(gateway.whole(programs, slot)["carbonterm"])
        assert said is None
        if gateway.trial(programs) is not None:
            gateway.confirm(programs)
        gateway.install(programs, second)
        assert gateway.versions(programs)["version"] == "9.0.0"
        if isinstance(done, dict):
            break
    print(seen)
    assert seen[0] != "9.0.0" and seen[-1] == "9.0.0" and len(seen) > 8


@pytest.mark.requirement("T-10.6.4-1", part="a Linux gateway: wrong signatures are refused")
def test_what_is_refused(built, tmp_path):
    programs = tmp_path / "opt"
    with pytest.raises(Failure, match="nobody said whose"):
        gateway.install(programs, built)
    with pytest.raises(Failure, match="not by the key"):
        gateway.install(programs, built, OTHER.public)
    with pytest.raises(Failure, match="not signed"):
        gateway.install(programs, version(built, tmp_path / "n", "2", signer=None), MAKER.public)
    gateway.install(programs, built, MAKER.public)
    before = digest(programs)
    with pytest.raises(Failure, match="not by the key"):
        gateway.install(programs, version(built, tmp_path / "o", "2", signer=OTHER))
    with pytest.raises(Failure, match="takes images of"):
        gateway.install(programs, built, OTHER.public)
    broken = version(built, tmp_path / "b", "2")
    data = bytearray((broken / image.ROMFS).read_bytes())
    data[9000] ^= 1
    (broken / image.ROMFS).write_bytes(data)
    with pytest.raises(Failure, match="digest differs"):
        gateway.install(programs, broken)
    manifest = json.loads((built / image.MANIFEST).read_text())
    strange, foreign = {"version": "7.0", "arch": ""}, {"version": "6.3", "arch": "armv7m"}
    for key, value, what in (("micropython", "99.0", "wants 99.0"), ("mpy", strange, "mpy version"),
                             ("mpy", foreign, "machine code"), ("family", "rp2", "no computer")):  # fmt: skip
        with pytest.raises(Failure, match=what):
            gateway.runs_here({**manifest, key: value})
    with pytest.raises(Failure, match="no MicroPython"):
        gateway.runs_here(manifest, "/bin/true")
    assert digest(programs) == before
    with pytest.raises(Failure, match="nothing is installed"):
        gateway.choose(tmp_path / "empty")
    assert carbonterm("board", "installed", "--folder", tmp_path / "empty")[0] == 1
    assert carbonterm("board", "deploy", NAME, "--image", built, "--port", "x")[0] == 2


def test_a_slot_that_was_changed_is_not_started(built, tmp_path):
    programs = tmp_path / "opt"
    gateway.install(programs, built, MAKER.public)
    gateway.install(programs, version(built, tmp_path / "2", "9.0.0"))
    gateway.confirm(programs)
    module = programs / "b" / "lib" / "carbonterm_device" / "app.mpy"
    module.write_bytes(module.read_bytes() + b"\0")
    slot, said = gateway.choose(programs)
    assert slot == "a" and "not what was signed" in said and gateway.current(programs) == "a"
    module = programs / "a" / "lib" / "carbonterm_device" / "app.mpy"
    module.write_bytes(module.read_bytes() + b"\0")
    with pytest.raises(Failure, match="not what was signed"):
        gateway.choose(programs)
    gateway.install(programs, built)
    assert gateway.choose(programs)[0] == "b"
    (programs / "b" / "lib" / "carbonterm_device" / "app.py").write_text("import sys")  # it would come first
    with pytest.raises(Failure, match="nobody signed carbonterm_device/app"):
        gateway.choose(programs)


def test_a_folder_by_another_name(built, tmp_path, monkeypatch):
    """A relative one, and one behind a symbolic link, are folders like others."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "opt").symlink_to("disk")
    gateway.install(tmp_path / "opt", built, MAKER.public)
    monkeypatch.chdir(tmp_path)
    gateway.install("programs", built, MAKER.public)
    assert gateway.choose("opt") == gateway.choose("programs") == ("a", None)


def test_a_start_that_makes_a_key_is_none_of_a_trial(built, tmp_path):
    programs, words = tmp_path / "opt", ("--data", tmp_path / "data", "--init")
    gateway.install(programs, built, MAKER.public)
    gateway.install(programs, version(built, tmp_path / "2", "9.0.0"))
    start = "board", "start", "--folder", programs, "--"
    done = subprocess.run([PROGRAM, *start, *words], capture_output=True, text=True)
    assert done.returncode == 0 and "public" in done.stdout, done.stderr
    assert gateway.versions(programs)["starts_left"] == gateway.STARTS
    done = subprocess.run([PROGRAM, *start, "--data", tmp_path / "data", "--site", "x"], capture_output=True, text=True)
    assert done.returncode == 2 and "give it --status" in done.stdout + done.stderr
    assert gateway.versions(programs)["starts_left"] == gateway.STARTS


def test_what_does_not_run_has_nothing_to_go_back_to(built, tmp_path):
    """Its starts are over and the version before is broken: it is started again, rather than nothing."""
    programs = tmp_path / "opt"
    gateway.install(programs, built, MAKER.public)
    gateway.install(programs, version(built, tmp_path / "2", "9.0.0"))
    for _ in range(gateway.STARTS):
        assert gateway.choose(programs) == ("b", None)
    (programs / "a" / "lib" / "carbonterm_device" / "app.mpy").unlink()
    for _ in range(2):
        slot, said = gateway.choose(programs)
        assert slot == "b" and "once more" in said


def test_a_trial_that_is_over_counts_no_more(built, tmp_path):
    """A cut on the way back leaves its file; the next version in that slot is not judged by it."""
    programs = tmp_path / "opt"
    gateway.install(programs, built, MAKER.public)
    (programs / gateway.TRIAL).write_bytes(gateway.Trial("b", "a", 0).bytes())
    (programs / "a" / "lib" / "carbonterm_device" / "app.mpy").unlink()
    gateway.install(programs, version(built, tmp_path / "2", "9.0.0"))
    assert gateway.choose(programs) == ("b", None)


def test_a_clock_that_was_ahead(built, tmp_path):
    """A version shows that it runs by what it writes, whatever time its files have."""
    status = tmp_path / "status"
    assert board_gateway._beat(str(status), None) is None
    status.write_text('{"entries": 3, "time_ms": 5}')
    former = board_gateway._written(str(status))
    assert board_gateway._beat(str(status), former) is None and board_gateway._beat(None, None) is None
    os.utime(status, (1, 1))
    assert board_gateway._beat(str(status), former) == 5


def test_by_way_of_another_machine(built, tmp_path):
    """--via: the package goes as a tar over stdin to the command at the other end; here that is this machine."""
    programs = tmp_path / "opt"
    via = "--via", f"{PROGRAM}", "--folder", programs, "--json"
    code, out, err = carbonterm("board", "install", "--image", built, "--trust", MAKER.public.hex(), *via)
    assert code == 0, out + err
    assert gateway.versions(programs)["current"] == "a"
    assert carbonterm("board", "installed", *via)[0] == 0
    other = version(built, tmp_path / "o", "2", signer=OTHER)
    assert carbonterm("board", "install", "--image", other, *via)[0] == 1
    assert carbonterm("board", "uninstall", *via)[0] == 0 and gateway.current(programs) is None
    assert carbonterm("board", "install", "--image", built, "--folder", "a b", "--via", "x")[0] == 2
    assert carbonterm("board", "install", "--image", built, "--folder", "ab", "--via", "/no/where")[0] == 3
    words = [PROGRAM, "board", "install", "--image", "-", "--folder", programs, "--trust", MAKER.public.hex()]
    done = subprocess.run(words, input=b"no tar", capture_output=True)
    assert done.returncode == 2 and b"no image" in done.stderr + done.stdout
    with tarfile.open(tmp_path / "trick.tar", "w") as tar:
        tar.add(built / image.MANIFEST, "../manifest.json")
    done = subprocess.run(words, input=(tmp_path / "trick.tar").read_bytes(), capture_output=True)
    assert done.returncode == 2 and not (programs / "a").exists()


def as_user(number, group, run):
    """What `run()` returns in a child that is another user without more groups; texts, numbers and lists."""
    ends = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(group)
            os.setuid(number)
            os.umask(0o002)
            said = json.dumps(run())
        except BaseException as error:
            said = json.dumps(repr(error))
        os.write(ends[1], said.encode())
        os._exit(0)
    os.close(ends[1])
    with os.fdopen(ends[0], "rb") as file:
        said = file.read()
    os.waitpid(child, 0)
    return json.loads(said)


def denied(folder, names):
    """What the user of this process gets when it lists, reads, writes or removes in a folder."""
    found, first = [], folder / names[0]
    for what in (lambda: os.listdir(folder), *(lambda name=name: (folder / name).read_bytes() for name in names),
                 lambda: first.open("ab").close(), lambda: (folder / "new").write_bytes(b""),
                 first.unlink, lambda: shutil.copyfile(first, "/tmp/none")):  # fmt: skip
        try:
            what()
            found.append("allowed")
        except PermissionError:
            found.append("denied")
    return found


@pytest.mark.requirement("T-10.6.4-2")
def test_the_updater_may_not_see_the_data(built, tmp_path):
    if os.getuid():
        pytest.skip("users are changed by root only")
    binary = runtime.find()
    open_to_all = Path(tempfile.mkdtemp(prefix="gateway"))
    try:
        open_to_all.chmod(0o755)
        programs, image_copy = open_to_all / "opt", open_to_all / "image"
        shutil.copytree(built, image_copy)
        second = version(built, open_to_all / "second", "9.0.0")
        second.chmod(0o755)  # pytest's own folders are root's alone
        programs.mkdir()
        os.chown(programs, UPDATER, GROUP)
        programs.chmod(0o2775)
        box = Gateway(open_to_all, programs)
        gateway.install(programs, image_copy, MAKER.public)  # so that there is something to provision with
        box.provision()
        box.ran()
        for path in [box.data, *box.data.iterdir()]:
            os.chown(path, TERMINAL, GROUP)
            path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o700)
        for path in [programs, *programs.rglob("*")]:
            os.chown(path, UPDATER, GROUP, follow_symlinks=False)
        before, names = digest(box.data), sorted(os.listdir(box.data))
        private = next(name for name in names if name.endswith(".key"))
        log = next(name for name in names if name.endswith(".seg"))
        assert set(as_user(UPDATER, GROUP, lambda: denied(box.data, [log, private]))) == {"denied"}

        def upgrade():
            gateway.runs_here = lambda manifest, binary=None: None  # its interpreter may lie where this user may not go
            return gateway.install(programs, second, None, binary)

        done = as_user(UPDATER, GROUP, upgrade)
        assert isinstance(done, dict) and done["version"] == "9.0.0" and done["before"], done
        assert digest(box.data) == before, "neither changed nor copied"
        assert as_user(TERMINAL, GROUP, lambda: gateway.choose(programs)) == ["b", None], "the terminal's own user"
        assert as_user(TERMINAL, GROUP, lambda: gateway.confirm(programs)) is None
        assert set(as_user(UPDATER, GROUP, lambda: denied(box.data, [log, private]))) == {"denied"}
        gone = as_user(UPDATER, GROUP, lambda: gateway.uninstall(programs))
        assert sorted(gone) == ["a", "b", "current", "maker.pub"]
        assert digest(box.data) == before
    finally:
        shutil.rmtree(open_to_all)
