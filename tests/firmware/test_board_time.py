"""A virtual board that has lost the time gets it from its centre; its log tells of that, and of another firmware."""

import json

import pytest

from carbonterm.clock import NETWORK, UNSET
from carbonterm.field import models
from carbonterm.gm import sm2
from carbonterm.ledger import entry as entries
from carbonterm_host import bundles
from carbonterm_host.boards import board as boards
from carbonterm_host.boards import deploy, image, staged, virtual
from carbonterm_host.boards.remote import Remote
from carbonterm_host.boards.virtual import VirtualBoard
from carbonterm_host.platform import keys as platform_keys
from carbonterm_host.simulate.meter import Meter
from carbonterm_host.simulate.rtu import RtuLine
from carbonterm_host.simulate.site import Simulation
from on_boards import MAKER, MODEL, NAME, cursor, deployed, provision, signed, site
from serving import Platform
from shell import carbonterm

pytestmark = pytest.mark.slow


@pytest.fixture
def operator(tmp_path):
    path = tmp_path / "op.key"
    return path, json.loads(carbonterm("key", "operator", "op.example", "-o", path, "--json")[1])["public_key"]


@pytest.fixture
def plant():
    with Simulation([RtuLine("line", [Meter("m1", 1, models.load(MODEL))])]) as made:
        yield made


def ran(board):
    board.wait(lambda b: b"T1 runs" in b.said, 120)


@pytest.mark.requirement("T-10.6.4-1", part="an upgrade is an entry of the log; simulated")
def test_the_time_of_a_centre_and_an_upgrade(tmp_path, operator, plant):
    image.build(NAME, tmp_path / "old", MAKER, virtual.arch())
    newer = signed(tmp_path / "old", tmp_path / "new", MAKER)
    made = platform_keys.make_certificates(tmp_path)
    keys = "--tls-cert", made["server.pem"], "--tls-key", made["server.key"]
    platform = Platform(tmp_path, "--operator", f"op.example:{operator[1]}", *keys).start()
    centre = f'centres: [{{name: p, url: "{platform.url}", ca: ca.der, public: "{platform.public.hex()}"}}]\n'
    yaml = site(tmp_path, more=centre)
    try:
        with VirtualBoard(boards.load(NAME), tmp_path / "b", {"rs485-1": plant.buses[0].path}) as board:
            deployed(board, tmp_path / "old")
            done = provision(board, operator[0], yaml, "--platform", platform.url, "--ca", made["ca.pem"])
            assert done[0] == 0, done
            ran(board)
            board.wait(lambda b: cursor(tmp_path / "platform.db") > 3, 120)
            board.power_off()
            board.lose_clock()
            del board.said[:]
            before = cursor(tmp_path / "platform.db")
            board.power_on()
            ran(board)
            board.wait(lambda b: cursor(tmp_path / "platform.db") > before + 4, 120)
            deployed(board, newer)
            ran(board)
            code, out, err = carbonterm("pull", "--port", board.port, "-o", tmp_path / "x.bundle")
            assert code == 0, out + err
            with Remote(board.port) as remote:
                assert remote.value("__import__('carbonterm_device.ports.ds3231') and True")
    finally:
        platform.stop()
    code, out, err = carbonterm("verify", tmp_path / "x.bundle", "--operator", operator[1])
    assert code == 0, out + err
    found = [entries.decode(raw) for raw, _ in bundles.read(tmp_path / "x.bundle").entries]
    lost = [one for one in found if one.kind == entries.START and one.clock_state == UNSET]
    told = [one for one in found if one.kind == entries.CLOCK and one.body[0] == entries.REBASE]
    assert len(lost) == 1 and told and told[0].body[3:] == [UNSET, NETWORK, lost[0].seq]
    assert told[0].body[2] > max(one.time_ms for one in found if one.seq < lost[0].seq) - 2000
    assert all(one.clock_state != UNSET for one in found if one.seq > told[0].seq), "the clock chip has it, too"
    upgrades = [one.body for one in found if one.kind == entries.UPGRADE]
    old, new = staged.release(tmp_path / "old"), staged.release(newer)
    assert upgrades == [["", *old], [old[0], *new]]


def test_a_refused_upgrade_is_said_in_the_log(tmp_path, operator, plant):
    image.build(NAME, tmp_path / "old", MAKER, virtual.arch())
    other = signed(tmp_path / "old", tmp_path / "other", sm2.Signer(bytes(31) + b"\x07"))
    with VirtualBoard(boards.load(NAME), tmp_path / "b", {"rs485-1": plant.buses[0].path}) as board:
        deployed(board, tmp_path / "old")
        assert provision(board, operator[0], site(tmp_path))[0] == 0
        ran(board)
        with Remote(board.port, 30) as remote:
            data = staged.package(other, (other / image.ROMFS).read_bytes(), 4096, [0])
            remote.put(staged.onboard.STAGED, data)
            del board.said[:]
            remote.restart()
        ran(board)
        code, out, _ = carbonterm("board", "logs", "--port", board.port)
        assert code == 0 and "upgrade refused" in out and "another key" in out
        assert deploy.BOOT == "/boot.py"
