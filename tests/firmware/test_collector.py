"""A collector's heap: 16 meters, signed log, delivery over TLS, with the code where a board has it (board_image)."""

import json

import pytest

import board_image
import entrance
import runtimes
from carbonterm.field import models
from carbonterm_host import site_yaml
from carbonterm_host.firmware import Terminal
from carbonterm_host.platform import keys as platform_keys
from carbonterm_host.simulate.meter import Meter
from carbonterm_host.simulate.site import Simulation
from carbonterm_host.simulate.tcp import TcpServer
from serving import Platform
from shell import carbonterm

MODEL = "eastron-sdm630"
METERS = 16
HEAPS = {"micropython": 288 << 10, "micropython32": 192 << 10}


def _yaml(port, url, public):
    points = models.load(MODEL)["registers"][:2]
    lines = ["terminal: T1", "name: collector", 'zone: "+08:00"', "buses:"]
    lines.append(f"  - {{name: lan, kind: modbus-tcp, host: 127.0.0.1, port: {port}, timeout: 60s}}")
    lines.append("meters:")
    lines += [f"  - {{name: m{i}, bus: lan, unit: {i}, model: {MODEL}}}" for i in range(1, METERS + 1)]
    lines.append("points:")
    lines += [f"  - {{name: P{i}.{n}, meter: m{i}, register: {one['name']}, every: 1s}}"
              for i in range(1, METERS + 1) for n, one in enumerate(points)]  # fmt: skip
    lines.append("settings: {profile: collector, commit: 1s}")
    lines.append(f'centres: [{{name: p, url: "{url}", ca: ca.der, public: "{public.hex()}"}}]')
    return "\n".join(lines)


@pytest.mark.slow
@pytest.mark.requirement("T-4-5", part="a collector of 16 meters in the heap of a board")
@pytest.mark.parametrize("way", ["https", "mqtts"])
@pytest.mark.parametrize("runtime", HEAPS)
def test_sixteen_meters_and_a_centre_in_the_heap_of_a_board(tmp_path, runtime, way):
    """Who answers goes away and comes back, so that a connection is made in a heap that has been used for a while."""
    try:
        start, environment = runtimes.command(runtime, search_path=[])
    except runtimes.Unavailable as reason:
        pytest.skip(str(reason))
    image = tmp_path / "image"
    image.write_bytes(board_image.build(runtime))
    made = platform_keys.make_certificates(tmp_path)
    said = carbonterm("key", "operator", "op.example", "-o", tmp_path / "op.key", "--json")[1]
    operator = f"op.example:{json.loads(said)['public_key']}"
    keys = "--tls-cert", made["server.pem"], "--tls-key", made["server.key"]
    broker = entrance.Broker(tmp_path / "broker", tmp_path).start() if way == "mqtts" else None
    if broker:
        keys += "--mqtt", f"mqtts://127.0.0.1:{broker.port}", "--mqtt-ca", made["ca.pem"]
    platform = Platform(tmp_path, "--operator", operator, *keys).start()
    meters = [Meter(f"m{i}", i, models.load(MODEL)) for i in range(1, METERS + 1)]
    terminal = None
    try:
        with Simulation([TcpServer("lan", meters)]) as plant:
            url = f"mqtts://127.0.0.1:{broker.port}" if broker else platform.url
            (tmp_path / "site.yaml").write_text(_yaml(plant.buses[0].port, url, platform.public))
            terminal = Terminal(tmp_path / "t", site_yaml.compile_file(tmp_path / "site.yaml").canonical())
            terminal.init(terminal="T1", operator="op.example")
            file = terminal.data / "00000.reg"
            done = carbonterm("key", "register", file, "--operator-key", tmp_path / "op.key", "-o", file,
                              "--platform", platform.url, "--ca", made["ca.pem"])  # fmt: skip
            assert done[0] == 0, done
            start[-1] = f"heapsize={HEAPS[runtime] + image.stat().st_size}"
            terminal.command = [*start, "tests/firmware/board.py", str(image), "carbonterm_device.app"]
            terminal.environment = environment
            terminal.start()
            terminal.wait(lambda s: s.get("centres") and (s["centres"][0]["cursor"] or 0) >= 12)
            for one in (broker or platform,):
                one.kill()
                one.start()
            was = terminal.wait(lambda s: s["centres"][0]["connections"] >= 2 and not s["centres"][0]["error"])
            end = max(was["entries"], 25)
            status = terminal.wait(lambda s: s["buses"][0]["rounds"] >= 20 and s["centres"][0]["cursor"] >= end)
            assert terminal.stop() == 0
    finally:
        if terminal and terminal.process and terminal.process.poll() is None:
            terminal.kill()
        platform.stop()
        if broker:
            broker.stop()
    assert status["errors"] == [] and status["readings"] >= 20 * 2 * METERS
    assert "memory" not in status["centres"][0]["error"]
    assert status["buses"][0]["timeouts"] == 0
    print(runtime, way, "heap", HEAPS[runtime], "in use at most", status["heap_peak"] - image.stat().st_size)
