"""A terminal between two networks, the plant's and the office's: two interfaces with addresses of their own, in network
namespaces of this machine (10.2.1). Real firmware, real kernel, simulated meter; needs root."""

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from carbonterm_host import site_yaml
from carbonterm_host.firmware import Terminal
from carbonterm_host.platform import keys as platform_keys
from carbonterm_host.platform.store import Store

FIELD, OFFICE = "10.213.1", "10.213.2"  # .1 is the terminal's; nobody outside these namespaces has them
METER = """
import sys, time
from carbonterm.field import models
from carbonterm_host.simulate.meter import Meter
from carbonterm_host.simulate.site import Simulation
from carbonterm_host.simulate.tcp import TcpServer
with Simulation([TcpServer("lan", [Meter("m1", 1, models.load("eastron-sdm630"))], 5502, sys.argv[1])]):
    print("there", flush=True)
    sys.stdin.read()
"""
SITE = """
terminal: T1
name: between two networks
zone: "+08:00"
buses: [{{name: lan, kind: modbus-tcp, host: {field}.2, port: 5502, timeout: 500ms}}]
meters:
  - {{name: m1, bus: lan, unit: 1, model: eastron-sdm630}}
points:
  - {{name: E1, meter: m1, register: active_energy_import, every: 200ms}}
centres: [{{name: p, url: "https://{office}.2:8443", ca: ca.der, public: "{public}"}}]
settings: {{commit: 200ms}}
"""


def ip(*words):
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=True).stdout


@contextmanager
def networks():
    """Names of three namespaces: a terminal's, joined with a field's by `field` and with an office's by `office`."""
    if os.geteuid() or not shutil.which("ip"):
        pytest.skip("network namespaces want root and iproute2")
    here = [f"ct{os.getpid()}{name}" for name in ("terminal", "field", "office")]
    try:
        for one in here:
            ip("netns", "add", one)
            ip("-n", one, "link", "set", "lo", "up")
        for net, name, other in ((FIELD, "field", here[1]), (OFFICE, "office", here[2])):
            ip("link", "add", name, "netns", here[0], "type", "veth", "peer", "name", "eth0", "netns", other)
            for where, link, host in ((here[0], name, 1), (other, "eth0", 2)):
                ip("-n", where, "addr", "add", f"{net}.{host}/24", "dev", link)
                ip("-n", where, "link", "set", link, "up")
        yield here
    finally:
        for one in here:
            subprocess.run(["ip", "netns", "del", one], capture_output=True)


def within(where):
    return ["ip", "netns", "exec", where]


@contextmanager
def platform(folder, where):
    """The centre in the office; its (store, public key)."""
    made = platform_keys.make_certificates(folder, (f"{OFFICE}.2",))
    store = f"sqlite:///{folder}/platform.db"
    words = [sys.executable, "-m", "carbonterm_host", "platform", "serve", "--store", store, "--json", "--host",
             f"{OFFICE}.2", "--port", "8443"]  # fmt: skip
    words += ["--tls-cert", str(made["server.pem"]), "--tls-key", str(made["server.key"])]
    process = subprocess.Popen([*within(where), *words], stdout=subprocess.PIPE, text=True)
    try:
        yield store, json.loads(process.stdout.readline())["public_key"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


@contextmanager
def meter(where):
    words = [*within(where), sys.executable, "-c", METER, f"{FIELD}.2"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "there\n"
        yield
    finally:
        process.communicate("", timeout=60)


def reaches(where, host, port):
    code = f"import socket; socket.create_connection(({host!r}, {port}), 1)"
    return subprocess.run([*within(where), sys.executable, "-c", code], capture_output=True).returncode == 0


@pytest.mark.slow
@pytest.mark.requirement("T-10.2.1-2")
@pytest.mark.requirement("T-7.1-3", part="two Ethernet interfaces with addresses of their own, each pulled out in turn")
def test_meters_on_one_interface_and_the_centre_on_the_other(tmp_path):
    with networks() as (here, field, office), platform(tmp_path, office) as (store, public), meter(field):
        (tmp_path / "site.yaml").write_text(SITE.format(field=FIELD, office=OFFICE, public=public))
        terminal = Terminal(tmp_path / "T1", site_yaml.compile_file(tmp_path / "site.yaml").canonical())
        _, key = terminal.key()
        known = Store(store)
        known.register("T1", 0, key)
        known.close()
        terminal.command = [*within(here), *terminal.command]
        terminal.start()
        try:
            goes_through(terminal, here, field, office)
        finally:
            terminal.kill() if terminal.process.poll() is None else None


def held(count):
    """Condition for Terminal.wait: the centre has so many entries."""
    return lambda status: (status["centres"][0]["cursor"] or 0) >= count


def goes_through(terminal, here, field, office):
    terminal.wait(held(12))
    addresses = {row["ifname"]: row["addr_info"][0]["local"] for row in json.loads(ip("-n", here, "-j", "-4", "addr"))}
    assert addresses == {"lo": "127.0.0.1", "field": f"{FIELD}.1", "office": f"{OFFICE}.1"}
    assert reaches(here, f"{OFFICE}.2", 8443) and reaches(here, f"{FIELD}.2", 5502)
    assert not reaches(field, f"{OFFICE}.2", 8443) and not reaches(office, f"{FIELD}.2", 5502), "it is no way through"
    ip("-n", here, "link", "set", "office", "down")
    before = terminal.status()["readings"]
    away = terminal.wait(lambda status: status["readings"] > before + 20)
    ip("-n", here, "addr", "del", f"{OFFICE}.1/24", "dev", "office")
    ip("-n", here, "addr", "add", f"{OFFICE}.9/24", "dev", "office")  # the office gave it another one meanwhile
    ip("-n", here, "link", "set", "office", "up")
    terminal.wait(held(away["entries"]))
    ip("-n", here, "link", "set", "field", "down")
    cut = terminal.wait(lambda status: status["buses"][0]["timeouts"] > away["buses"][0]["timeouts"])
    terminal.wait(held(cut["entries"] + 1))  # rows without values go to the centre, too
    ip("-n", here, "link", "set", "field", "up")
    replies = terminal.status()["buses"][0]["replies"]
    terminal.wait(lambda status: status["buses"][0]["replies"] > replies + 10)
    assert terminal.stop() == 0
    assert terminal.status()["centres"][0]["backlog"] == 0
