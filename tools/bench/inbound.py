"""What comes in: messages of one value a second that a terminal on MicroPython takes from others, each signed, durable
and then acknowledged, by each of its entrances, and the CPU time of the terminal that one costs.

HTTPS: one kept connection, the next message after the answer to the one before. MQTT: a real mosquitto, which has up to
20 messages under way. HJ 212: one logger, which waits for each acknowledgement. No peer: nothing else signs them.
"""

import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from carbonterm.clock import text
from carbonterm.field.hj212 import REALTIME, Decoder
from carbonterm.field.hj212_roles import Logger, moment
from carbonterm.gm import sm3
from carbonterm_host import site_yaml
from carbonterm_host.firmware import Terminal
from carbonterm_host.platform.keys import make_certificates
from tools.bench.measure import row

MESSAGES = 500
TOKEN = "a-token-that-is-long-enough-for-a-bench"
MN = "010000A8900016F000169DC0"
SITE = """\
terminal: CT-BENCH-1
name: bench
zone: "+08:00"
buses:
  - {{name: inbox, kind: https, host: 127.0.0.1, port: {ports[0]}, certificate: inbox.crt, key: inbox.key}}
  - {{name: broker, kind: mqtt, host: 127.0.0.1, port: {ports[1]}}}
  - {{name: stacks, kind: hj212, host: 127.0.0.1, port: {ports[2]}, stations: stations.txt}}
meters:
  - {{name: A, bus: inbox, source: a, token: {token}}}
  - {{name: B, bus: broker, topic: b, time: /t}}
  - {{name: C, bus: stacks, mn: "{mn}", model: hj212-cems}}
points:
  - {{name: A, meter: A, key: E, unit: kWh, kind: register, every: 24h}}
  - {{name: B, meter: B, pointer: /e, unit: kWh, kind: register, every: 24h}}
  - {{name: C, meter: C, register: co2, every: 24h}}
  - {{name: F, meter: C, register: flow, every: 24h}}
settings: {{closings: [hour, day], commit: 50ms}}
"""


def run():
    """Rows of the three entrances."""
    with tempfile.TemporaryDirectory() as folder:
        return _run(Path(folder))


def _run(folder):
    ports = _free_ports(3)
    broker = _broker(folder, ports[1])
    digest = sm3.digest(TOKEN.encode()).hex()
    document = site_yaml.compile_text(SITE.format(ports=ports, token=digest, mn=MN))
    terminal = Terminal(folder / "terminal", document.canonical())
    terminal.data.mkdir()
    _certificates(folder, terminal.data)
    (terminal.data / "stations.txt").write_text(f"{MN} 123456\n")
    terminal.start()
    try:
        wanted = 3 if broker else 2
        terminal.wait(lambda status: sum(one["connected"] for one in status["inbound"]) >= wanted)
        rows = []
        for name, entrance, send in (
            ("HTTPS, one connection", 0, lambda: _https(folder, ports[0])),
            ("MQTT QoS 1, mosquitto", 1, (lambda: _mqtt(ports[1])) if broker else None),
            ("HJ 212, one logger", 2, lambda: _hj212(ports[2])),
        ):
            if send is None:
                rows.append(row(name, None, "messages/s", "mosquitto is not installed: not run"))
                continue
            before, began = _cpu(terminal), time.perf_counter()
            send()
            terminal.wait(lambda status, at=entrance: status["inbound"][at]["messages"] >= MESSAGES, 120)
            seconds, cpu = time.perf_counter() - began, _cpu(terminal) - before
            rows.append(row(name, round(MESSAGES / seconds), "messages/s"))
            rows.append(row(name + ", the terminal's CPU", round(1000 * cpu / MESSAGES, 2), "ms/message"))
        return rows
    finally:
        terminal.stop()
        if broker:
            broker.terminate()
            broker.wait()


def _https(folder, port):
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=30)
    begin = time.time_ns() // 1000000 - 3600000
    for n in range(MESSAGES):
        body = {"source": "a", "id": str(n), "time": text(begin + 1000 * n), "values": {"E": f"{n}.25"}}
        connection.request("POST", "/v1/readings", json.dumps(body), {"Authorization": f"Bearer {TOKEN}"})
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(response.read().decode())
        response.read()
    connection.close()


def _mqtt(port):
    begin = time.time_ns() // 1000000 - 3600000
    lines = "".join(f'{{"t": {begin + 1000 * n}, "e": {n}.25}}\n' for n in range(MESSAGES))
    command = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(port), "-q", "1", "-t", "b", "-l"]
    subprocess.run(command, input=lines.encode(), check=True, timeout=120)


def _hj212(port):
    logger, decoder = Logger(MN, "123456", "31"), Decoder()
    begin = time.time_ns() // 1000000 - 3600000
    with socket.create_connection(("127.0.0.1", port), 30) as s:
        for n in range(MESSAGES):
            items = [[("DataTime", moment(begin + 1000 * n))], [("a05001-Rtd", f"{n}.25"), ("a05001-Flag", "N")]]
            logger.upload(REALTIME, items, begin + n)
            (data,) = logger.poll(0)
            s.sendall(data)
            while logger.waiting:
                for packet in decoder.feed(s.recv(1000)):
                    logger.receive(packet, 0)


def _broker(folder, port):
    binary = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    if not os.path.exists(binary) or not shutil.which("mosquitto_pub"):
        return None
    (folder / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
    quiet = subprocess.DEVNULL
    return subprocess.Popen([binary, "-c", folder / "mosquitto.conf"], stdout=quiet, stderr=quiet)


def _certificates(folder, data):
    make_certificates(folder)
    der = serialization.Encoding.DER
    certificate = x509.load_pem_x509_certificate((folder / "server.pem").read_bytes())
    key = serialization.load_pem_private_key((folder / "server.key").read_bytes(), None)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    (data / "inbox.crt").write_bytes(certificate.public_bytes(der))
    (data / "inbox.key").write_bytes(key.private_bytes(der, form, serialization.NoEncryption()))


def _free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def _cpu(terminal):
    """Seconds of CPU that the terminal has used, user and system."""
    fields = Path(f"/proc/{terminal.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    for one in run():
        print(one)
