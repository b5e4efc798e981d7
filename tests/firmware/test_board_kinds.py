"""A collector's image, from which all was taken that its site document does not need, on a virtual board with every
kind of meter and centre that a collector can have: what the image lacks, nobody asks for."""

import json
import sqlite3

import pytest

import entrance
from carbonterm.ledger import entry as entries
from carbonterm_host import site_yaml
from carbonterm_host.boards import board as boards
from carbonterm_host.boards import deploy, image, virtual
from carbonterm_host.boards.provision import TIMESERVER
from carbonterm_host.boards.remote import Remote
from carbonterm_host.boards.virtual import VirtualBoard
from carbonterm_host.platform import keys as platform_keys
from carbonterm_host.screen import Failure
from carbonterm_host.simulate.line import MeterLine
from carbonterm_host.simulate.plant import meters_of
from carbonterm_host.simulate.site import Simulation
from carbonterm_host.simulate.tcp import TcpServer
from on_boards import NAME, provision
from serving import Platform
from shell import carbonterm

pytestmark = pytest.mark.slow
SITE = """
terminal: T1
name: every kind
zone: "+08:00"
buses:
  - {{name: line, kind: serial, device: rs485-1, baud: 9600, timeout: 10s}}
  - {{name: yard, kind: serial, device: rs485-2, baud: 9600, parity: even, timeout: 10s}}
  - {{name: lan, kind: modbus-tcp, host: 127.0.0.1, port: {port}, timeout: 10s}}
meters:
  - {{name: e1, bus: line, unit: 1, model: eastron-sdm630}}
  - {{name: e2, bus: yard, address: "201000000012", model: dlt645-2007-three-phase}}
  - {{name: e3, bus: yard, address: "000000000007", model: dlt645-1997}}
  - {{name: heat, bus: yard, address: "42590008210438", model: cjt188-heat}}
  - {{name: e4, bus: lan, unit: 1, model: schneider-iem3155}}
points:
  - {{name: E1, meter: e1, register: active_energy_import, every: 1s}}
  - {{name: E2, meter: e2, register: active_energy_import, every: 1s}}
  - {{name: E3, meter: e3, register: active_energy_import, every: 1s}}
  - {{name: H, meter: heat, register: heat, every: 1s}}
  - {{name: E4, meter: e4, register: active_energy_import, every: 1s}}
settings: {{profile: collector, commit: 1s}}
centres: [{{name: p, url: "{url}", ca: ca.der, public: "{public}"}}]
"""


def document(folder, port, url, platform):
    path = folder / (url.split(":")[0] + ".yaml")
    path.write_text(SITE.format(port=port, url=url, public=platform.public.hex()))
    return path, site_yaml.compile_file(path)


def way_of(site):
    return "mqtts" if site.centres[0].mqtt else "https"


def good(folder):
    """Names of the points of which the centre has a value, by their places in the site document."""
    with sqlite3.connect(f"file:{folder / 'platform.db'}?mode=ro", uri=True) as base:
        found = [entries.decode(raw) for (raw,) in base.execute("select raw from entries")]
    return {row[0] for one in found if one.kind == entries.READINGS for row in one.body[0] if row[2] == entries.GOOD}


@pytest.mark.requirement("T-4-1", part="a collector's image of the smallest size reads and delivers; simulated chip")
@pytest.mark.parametrize("way", ["https", "mqtts"])
def test_an_image_has_all_that_its_site_needs(tmp_path, way):
    made = platform_keys.make_certificates(tmp_path)
    operator = json.loads(carbonterm("key", "operator", "op", "-o", tmp_path / "op.key", "--json")[1])["public_key"]
    broker = entrance.Broker(tmp_path / "broker", tmp_path).start()
    keys = "--tls-cert", made["server.pem"], "--tls-key", made["server.key"], "--operator", f"op:{operator}"
    mqtt = "--mqtt", f"mqtts://127.0.0.1:{broker.port}", "--mqtt-ca", made["ca.pem"]
    platform = Platform(tmp_path, *keys, *mqtt).start()
    urls = {"https": platform.url, "mqtts": f"mqtts://127.0.0.1:{broker.port}"}
    lan = TcpServer("lan", meters_of(document(tmp_path, 1, urls[way], platform)[1], 2))
    try:
        with Simulation([lan]) as net:
            path, site = document(tmp_path, net.buses[0].port, urls.pop(way), platform)
            other, there = document(tmp_path, net.buses[0].port, urls.popitem()[1], platform)
            image.build(NAME, tmp_path / "image", None, virtual.arch(), site)
            lines = [MeterLine(f"l{i}", meters_of(site, i), parity=site.buses[i].parity, kind="serial") for i in (0, 1)]
            with Simulation(lines) as plant:
                uarts = {f"rs485-{i + 1}": bus.path for i, bus in enumerate(plant.buses)}
                with VirtualBoard(boards.load(NAME), tmp_path / "board", uarts) as board:
                    with Remote(board.port, 30) as remote:
                        deploy.deploy(remote, board.board, tmp_path / "image")
                    code, _, error = provision(board, tmp_path / "op.key", other)
                    assert code == 1 and f"lacks {way_of(there)}," in error and "--site" in error
                    if way == "https":  # its centre tells the time
                        code, _, error = provision(board, tmp_path / "op.key", path, "--time-server", "127.0.0.1:9")
                        assert code == 1 and "cannot ask a time server" in error and "leave out" in error
                    where = "--platform", platform.url, "--ca", made["ca.pem"]
                    done = provision(board, tmp_path / "op.key", path, *where)
                    assert done[0] == 0, done
                    board.wait(lambda b: len(good(tmp_path)) == len(site.points))
                    assert b"Error" not in board.said and board.said.count(b"T1 runs") == 1, board.said
                    if way == "https":
                        with Remote(board.port, 30) as remote, pytest.raises(Failure, match="ask the time server"):
                            remote.put(TIMESERVER, b"127.0.0.1:9")
                            deploy.deploy(remote, board.board, tmp_path / "image")
                    image.build(NAME, tmp_path / "image", None, virtual.arch(), there)
                    with Remote(board.port, 30) as remote, pytest.raises(Failure, match=f"lacks {way}, which"):
                        deploy.deploy(remote, board.board, tmp_path / "image")
    finally:
        platform.stop()
        broker.stop()
