"""A virtual board that has lost the time gets it from its centre; its log tells of that, and of another firmware."""

import json
import socket
import threading
import time

import pytest

from carbonterm import sntp
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
from carbonterm_host.simulate.line import MeterLine
from carbonterm_host.simulate.meter import Meter
from carbonterm_host.simulate.site import Simulation
from chrony import Chrony
from on_boards import MAKER, MODEL, NAME, cursor, deployed, provision, signed, site
from serving import Platform
from shell import carbonterm

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    image.build(NAME, folder, MAKER, virtual.arch())
    return folder


@pytest.fixture
def operator(tmp_path):
    path = tmp_path / "op.key"
    return path, json.loads(carbonterm("key", "operator", "op.example", "-o", path, "--json")[1])["public_key"]


@pytest.fixture
def plant():
    with Simulation([MeterLine("line", [Meter("m1", 1, models.load(MODEL))])]) as made:
        yield made


def ran(board):
    board.wait(lambda b: b"T1 runs" in b.said, 120)


@pytest.mark.requirement("T-10.6.4-1", part="an upgrade is an entry of the log; simulated")
def test_the_time_of_a_centre_and_an_upgrade(tmp_path, built, operator, plant):
    newer = signed(built, tmp_path / "new", MAKER)
    made = platform_keys.make_certificates(tmp_path)
    keys = "--tls-cert", made["server.pem"], "--tls-key", made["server.key"]
    platform = Platform(tmp_path, "--operator", f"op.example:{operator[1]}", *keys).start()
    centre = f'centres: [{{name: p, url: "{platform.url}", ca: ca.der, public: "{platform.public.hex()}"}}]\n'
    yaml = site(tmp_path, more=centre)
    try:
        with VirtualBoard(boards.load(NAME), tmp_path / "b", {"rs485-1": plant.buses[0].path}) as board:
            deployed(board, built)
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
    old, new = staged.release(built), staged.release(newer)
    assert upgrades == [["", *old], [old[0], *new]]


def test_a_refused_upgrade_is_said_in_the_log(tmp_path, built, operator, plant):
    other = signed(built, tmp_path / "other", sm2.Signer(bytes(31) + b"\x07"))
    with VirtualBoard(boards.load(NAME), tmp_path / "b", {"rs485-1": plant.buses[0].path}) as board:
        deployed(board, built)
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


class TimeServer:
    """Answers by SNTP with this machine's time; first with what somebody forges: another's answer, and noise."""

    def __enter__(self):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def _run(self):
        while True:
            data, who = self._socket.recvfrom(256)
            if data == b"end":
                return
            seconds, rest = divmod(time.time_ns(), 10**9)
            stamp = (seconds + sntp.EPOCH_S).to_bytes(4, "big") + ((rest << 32) // 10**9).to_bytes(4, "big")
            head = bytes([0x24, 1, 6, 0xEC]) + bytes(20)
            forged = bytes(8) + (1 << 63).to_bytes(8, "big") * 2
            for answer in (b"noise", head + forged, head + data[40:] + stamp + stamp):
                self._socket.sendto(answer, who)

    def __exit__(self, *_):
        host, _, port = self.place.partition(":")
        self._socket.sendto(b"end", (host, int(port)))
        self._thread.join()
        self._socket.close()


@pytest.mark.parametrize("made", [lambda folder: TimeServer(), Chrony], ids=["forged", "chrony"])
def test_the_time_of_a_time_server(tmp_path, built, operator, plant, made):
    uarts = {"rs485-1": plant.buses[0].path}
    with made(tmp_path / "server") as server, VirtualBoard(boards.load(NAME), tmp_path / "b", uarts) as board:
        deployed(board, built)
        done = provision(board, operator[0], site(tmp_path), "--time-server", server.place)
        assert done[0] == 0, done
        ran(board)
        board.power_off()
        board.lose_clock()
        del board.said[:]
        board.power_on()
        ran(board)
        board.wait(lambda b: b.status()["clock"]["state"] == NETWORK)
        code, out, err = carbonterm("pull", "--port", board.port, "-o", tmp_path / "x.bundle")
        assert code == 0, out + err
    found = [entries.decode(raw) for raw, _ in bundles.read(tmp_path / "x.bundle").entries]
    lost = [one for one in found if one.kind == entries.START and one.clock_state == UNSET]
    (told,) = [one for one in found if one.kind == entries.CLOCK and one.body[0] == entries.REBASE]
    assert told.body[3:] == [UNSET, NETWORK, lost[0].seq]
    assert abs(told.body[2] - told.body[1]) > 10**12 and told.time_ms <= time.time_ns() // 10**6
    (audit,) = [one.body for one in found if one.kind == entries.AUDIT and one.body[1] == "time server"]
    print(audit)
    assert audit[0] == "clock" and audit[2].startswith(server.place + ", within ")
