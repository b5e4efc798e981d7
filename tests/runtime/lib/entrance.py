"""What the tests of inbound data share: a real mosquitto, certificates, the waiting, the log as rows."""

import os
import shutil
import socket
import ssl
import subprocess
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from carbonterm.ledger import entry as entries
from carbonterm.number import Number
from carbonterm_host import bundles
from carbonterm_host.commands import pull
from carbonterm_host.commands.replay import replay
from carbonterm_host.platform.keys import make_certificates
from loopback import free_port

TOKEN = "a-token-that-is-long-enough-for-a-test"
MN = "010000A8900016F000169DC0"
KEY = "0123456789abcdeffedcba9876543210"


def wait(condition, seconds=120):
    """The first true value of condition()."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s")


def certificates(folder):
    """{name: path} of make_certificates, with server.der, key.der and ca.der beside."""
    paths = make_certificates(folder)
    der = serialization.Encoding.DER
    certificate = x509.load_pem_x509_certificate((folder / "server.pem").read_bytes())
    key = serialization.load_pem_private_key((folder / "server.key").read_bytes(), None)
    (folder / "server.der").write_bytes(certificate.public_bytes(der))
    form = serialization.PrivateFormat.TraditionalOpenSSL
    (folder / "key.der").write_bytes(key.private_bytes(der, form, serialization.NoEncryption()))
    return paths


def client_context(folder):
    return ssl.create_default_context(cafile=str(folder / "ca.pem"))


class Broker:
    """Debian's mosquitto on a free port of the loopback; persistent, so that it can be killed. tls: folder of
    certificates; user, password: nobody else may in; more: lines of its configuration."""

    def __init__(self, folder, tls=None, user=None, password=None, more=()):
        self.binary = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        if not os.path.exists(self.binary) or shutil.which("mosquitto_pub") is None:
            pytest.skip("mosquitto is not installed: apt-get install mosquitto mosquitto-clients")
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.process = None
        self.login = ["-u", user, "-P", password] if user else []
        self.tls = ["--cafile", str(tls / "ca.pem")] if tls else []
        lines = [f"listener {self.port} 127.0.0.1", "persistence true", f"persistence_location {folder}/",
                 "max_inflight_messages 20", "user root", *more]  # fmt: skip
        if tls:
            lines += [f"certfile {tls}/server.pem", f"keyfile {tls}/server.key"]
        if user:
            subprocess.run(["mosquitto_passwd", "-b", "-c", folder / "users", user, password], check=True)
            lines += ["allow_anonymous false", f"password_file {folder}/users"]
        else:
            lines.append("allow_anonymous true")
        (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")

    def start(self):
        with open(self.folder / "mosquitto.log", "ab") as log:
            self.process = subprocess.Popen([self.binary, "-c", self.folder / "mosquitto.conf"], stdout=log, stderr=log)
        wait(self._listens)
        return self

    def _listens(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def publish(self, topic, payload, *options):
        """Publishes with mosquitto_pub, QoS 1; returns when the broker has it."""
        subprocess.run(
            ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.port), "-q", "1", "-t", topic, "-s", *self.login,
             *self.tls, *options],
            input=payload.encode(), check=True, timeout=120,
        )  # fmt: skip

    def hear(self, topic, *options):
        """The first message of a topic, retained or not."""
        done = subprocess.run(
            ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.port), "-t", topic, "-C", "1", "-W", "100", *self.login,
             *self.tls, *options],
            capture_output=True, check=True, timeout=120,
        )  # fmt: skip
        return done.stdout.decode().strip()


def rows(terminal, path):
    """[(point, moment, quality, value text or None, digest)] of a terminal's log, in order; the log verifies: replay
    finds nothing."""
    pull.to_file(terminal.data, path)
    found = bundles.read(path)
    assert replay(found.entries)[1] == []
    said = []
    for raw, _ in found.entries:
        one = entries.decode(raw)
        if one.kind == entries.READINGS:
            for point, offset, quality, exponent, mantissa in one.body[0]:
                value = None if mantissa is None else str(Number(mantissa, exponent))
                said.append((point, one.time_ms + offset, quality, value, one.body[1]))
    return said
