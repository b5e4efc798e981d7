"""A virtual board from its box to the centre: deployed, provisioned, measuring, delivering, pulled, verified; and every
way in which that can be cut."""

import contextlib
import json
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest

from carbonterm.field import models
from carbonterm.gm import sm2
from carbonterm.ledger import entry as entries
from carbonterm_host import bundles, site_yaml
from carbonterm_host.boards import board as boards
from carbonterm_host.boards import deploy, image, virtual
from carbonterm_host.boards import provision as provisioning
from carbonterm_host.boards.remote import Remote
from carbonterm_host.boards.virtual import VirtualBoard
from carbonterm_host.platform import keys as platform_keys
from carbonterm_host.screen import Failure
from carbonterm_host.simulate.line import MeterLine
from carbonterm_host.simulate.meter import Meter
from carbonterm_host.simulate.site import Simulation
from on_boards import MODEL, NAME, cursor, provision, site, vanish
from serving import Platform
from shell import carbonterm

pytestmark = pytest.mark.slow
@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    image.build(NAME, folder, None, virtual.arch())
    return folder


@pytest.fixture
def operator(tmp_path):
    path = tmp_path / "op.key"
    public = json.loads(carbonterm("key", "operator", "op.example", "-o", path, "--json")[1])["public_key"]
    return path, public


@pytest.fixture
def plant():
    with Simulation([MeterLine("line", [Meter("m1", 1, models.load(MODEL))])]) as made:
        yield made


@contextlib.contextmanager
def board_with_firmware(folder, built, uarts=None):
    with VirtualBoard(boards.load(NAME), folder, uarts) as made:
        with Remote(made.port, 30) as remote:
            deploy.deploy(remote, made.board, built)
        yield made


@pytest.mark.requirement("T-4-1", part="a collector between meters and centre; simulated chip")
@pytest.mark.requirement("T-7.1-1", part="some polls of an RS-485 line by a microcontroller's image; simulated")
def test_from_the_box_to_the_centre(tmp_path, built, operator, plant):
    made = platform_keys.make_certificates(tmp_path)
    keys = "--tls-cert", made["server.pem"], "--tls-key", made["server.key"]
    platform = Platform(tmp_path, "--operator", f"op.example:{operator[1]}", *keys).start()
    centre = f'centres: [{{name: p, url: "{platform.url}", ca: ca.der, public: "{platform.public.hex()}"}}]\n'
    yaml = site(tmp_path, more=centre)
    uarts = {"rs485-1": plant.buses[0].path}
    try:
        with board_with_firmware(tmp_path / "b", built, uarts) as board:
            measured_and_delivered(tmp_path, board, platform, operator, yaml, made)
    finally:
        platform.stop()


def measured_and_delivered(tmp_path, board, platform, operator, yaml, made):
    label, record = tmp_path / "label.svg", tmp_path / "record.jsonl"
    code, out, err = provision(board, operator[0], yaml, "--label", label, "--record", record, "--platform",
                               platform.url, "--ca", made["ca.pem"], "--json")  # fmt: skip
    assert code == 0, out + err
    said = json.loads(out.splitlines()[-1])
    assert said["simulated"] and said["terminal"] == "T1" and len(said["public_key"]) == 128
    assert label.read_text().startswith("<svg") and "T1" in label.read_text()
    line = json.loads(record.read_text())
    row = json.loads(line["record"])
    assert row["public_key"] == said["public_key"] and row["simulated"] and row["chip"]
    public, signature = bytes.fromhex(line["public_key"]), bytes.fromhex(line["signature"])
    assert sm2.verify(public, line["record"].encode(), signature) and line["public_key"] == operator[1]
    store = tmp_path / "platform.db"
    held = lambda: cursor(store)  # noqa: E731
    board.wait(lambda b: held() >= 8)
    board.power_off()
    board.power_on()  # the clock chip knows the time, the log goes on
    before = held()
    board.wait(lambda b: held() > before + 4)
    code, out, err = carbonterm("pull", "--port", board.port, "-o", tmp_path / "x.bundle", "--json")
    assert code == 0, out + err
    code, out, _ = carbonterm("verify", tmp_path / "x.bundle", "--operator", operator[1], "--json")
    assert code == 0 and json.loads(out)["ok"], out
    found = [entries.decode(raw) for raw, _ in bundles.read(tmp_path / "x.bundle").entries]
    readings = [one for one in found if one.kind == entries.READINGS]
    assert len(readings) > 3 and all(row[2] == 0 for one in readings for row in one.body[0])
    assert [one.body[2] for one in found if one.kind == entries.START][:2] == ["first", "restart"]
    causes = [one.body[2] for one in found if one.kind == entries.AUDIT and one.body[0] == "board"]
    assert "power-on" in causes[1] and NAME in causes[1]


def test_provisioning_cut_at_any_write(tmp_path, built, operator):
    yaml = site(tmp_path)
    signer = sm2.Signer(bytes(31) + b"\x09")
    document = site_yaml.compile_file(yaml)
    publics, cuts = set(), 0
    with board_with_firmware(tmp_path / "b", built) as board:
        for after in range(0, 40, 3):
            with Remote(board.port) as remote:
                provisioning.begin(remote)
                provisioning.erase(remote)
                remote.restart()
            board.cut(after, after % 3)
            done = []
            ends = threading.Thread(target=vanish, args=(board, done))
            ends.start()
            try:
                publics.add(everything(board, signer, document))
                done.append(True)
            except Failure:
                cuts += 1
            ends.join()
            board.plug()
            board.power_on()
            (board.folder / "cut").unlink(missing_ok=True)
            first = everything(board, signer, document)
            assert everything(board, signer, document) == first, "again is no harm"
            if done:
                break
        assert cuts > 3


def everything(board, signer, document):
    """All steps of a provisioning; the public key."""
    with Remote(board.port) as remote:
        provisioning.begin(remote)
        provisioning.set_time(remote)
        registration = provisioning.identify(remote, "T1", signer, "op.example")
        provisioning.configure(remote, document.canonical())
        assert registration.signed_by(signer.public)
        return registration.public


def test_what_is_refused(tmp_path, built, operator):
    yaml = site(tmp_path)
    with VirtualBoard(boards.load(NAME), tmp_path / "bare") as bare:
        code, _, err = provision(bare, operator[0], yaml)
        assert code == 1 and "no carbonterm firmware" in err and "deploy" in err
    with board_with_firmware(tmp_path / "b", built) as board:
        assert provision(board, operator[0], yaml)[0] == 0
        code, _, err = provision(board, operator[0], yaml, terminal="T2")
        assert code == 2 and "for T1, not for T2" in err
        yaml.write_text(yaml.read_text().replace("terminal: T1", "terminal: T2"))
        code, _, err = provision(board, operator[0], yaml, terminal="T2")
        assert code == 1 and "the board is T1" in err and "factory-reset" in err
        code, _, err = provision(board, operator[0], site(tmp_path, device="/dev/ttyS0"))
        assert code == 2 and "rs485-1, rs485-2" in err
        carbonterm("key", "operator", "op.example", "-o", tmp_path / "other.key")
        code, _, err = provision(board, tmp_path / "other.key", site(tmp_path))
        assert code == 4 and "another key" in err
        assert provision(board, operator[0], site(tmp_path))[0] == 0


def test_doctor_logs_backup_and_the_way_back_to_the_factory(tmp_path, built, operator, plant):
    assert carbonterm("board", "doctor")[0] in (0, 1)
    code, out, _ = carbonterm("board", "doctor", "--port", "/dev/nowhere")
    assert code == 1 and "is not there" in out
    with board_with_firmware(tmp_path / "b", built, {"rs485-1": plant.buses[0].path}) as board:
        at = "--port", board.port
        code, out, _ = carbonterm("board", "doctor", *at)
        assert code == 1 and "carbonterm board provision" in out
        assert provision(board, operator[0], site(tmp_path))[0] == 0
        board.wait(lambda b: b"T1 runs" in b.said)
        code, out, _ = carbonterm("board", "doctor", *at, "--json")
        rows = {row["what"]: row for row in map(json.loads, out.splitlines())}
        assert code == 0 and rows["registration"]["says"] == "T1" and rows["clock"]["ok"], out
        code, out, _ = carbonterm("board", "logs", *at, "--json")
        assert code == 0 and any("esp32-s3-n8r2" in str(json.loads(line)["says"]) for line in out.splitlines()), out
        code, out, _ = carbonterm("board", "backup", *at, "-o", tmp_path / "b.tar")
        with tarfile.open(tmp_path / "b.tar") as tar:
            names = tar.getnames()
        assert "site.bin" in names and "data/00000.reg" in names and not any(name.endswith(".key") for name in names)
        with Remote(board.port) as remote:
            provisioning.begin(remote)
            (tmp_path / "log").mkdir()
            for trick, what in (("_s.names = lambda: ['../x']", "no file of a log"),
                                ("_s.names = lambda: ['x']\n_s.size = lambda name: 9\n_s.read = lambda *w: b''",
                                 "the board gave 0")):  # fmt: skip
                remote.run(trick)  # by a board that is not what it seems
                with pytest.raises(Failure, match=what):
                    provisioning.fetch(remote, tmp_path / "log")
            assert not (tmp_path / "x").exists()
        code, _, err = carbonterm("board", "factory-reset", *at)
        assert code == 2 and "nothing was erased" in err
        private = key_of(board)
        assert private in (board.folder / "flash.bin").read_bytes()
        assert carbonterm("board", "factory-reset", *at, "--yes")[0] == 0
        assert private not in (board.folder / "flash.bin").read_bytes()
        code, out, _ = carbonterm("board", "doctor", *at)
        assert code == 1 and "none" in out


def key_of(board):
    """The private key, as only a test may read it."""
    with Remote(board.port) as remote:
        return remote.get("/data/00000.key")


def test_a_crash_is_told(tmp_path, built, operator, plant):
    with board_with_firmware(tmp_path / "b", built, {"rs485-1": plant.buses[0].path}) as board:
        assert provision(board, operator[0], site(tmp_path))[0] == 0
        board.wait(lambda b: b"T1 runs" in b.said)
        del board.said[:]
        with Remote(board.port) as remote:
            good = remote.get("/site.bin")
            remote.put("/site.bin", b"\x00")
            remote.restart()
        board.wait(lambda b: b.said.count(b"Traceback") >= 2)  # it tried, wrote it down, and tried again
        with Remote(board.port) as remote:
            assert b"Error" in remote.get("/crash.txt")
            remote.put("/crash.txt", b"Traceback\nSiteError: broken")
            remote.put("/site.bin", good)
            remote.restart()
        board.wait(lambda b: b"T1 runs" in b.said)  # which it says when its first entries are durable
        code, out, err = carbonterm("board", "logs", "--port", board.port)
        assert code == 0 and "SiteError: broken" in out, (out, err, board.said)
        del board.said[:]
        with Remote(board.port) as remote:
            remote.put("/crash.txt", b"\xff\xfe")  # whatever a flash gives back: it starts
            remote.restart()
        board.wait(lambda b: b"T1 runs" in b.said)


def test_the_command_virtual_and_its_orders(tmp_path):
    program = Path(sys.executable).parent / "carbonterm"
    port_file = tmp_path / "port"
    words = program, "board", "virtual", NAME, "--folder", tmp_path / "v", "--port-file", port_file
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert "simulated" in process.stdout.readline()
        with Remote(port_file.read_text().strip()) as remote:
            assert remote.about["simulated"]
        process.stdin.write("power off\npower on\nreset\nnetwork down\nclock lost\n")
        process.stdin.flush()
        with Remote(port_file.read_text().strip()) as remote:
            assert remote.value("1 + 1") == 2
        process.stdin.close()
        assert process.wait(120) == 0
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
