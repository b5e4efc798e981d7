"""`carbonterm bridge opcua` against an asyncua server: polled, subscribed, signed and encrypted, cut off, refused."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest
from asyncua import ua

from inbox import TOKEN, Inbox, certificate
from opcua_plant import Plant
from serving import run

CLIENT_URI = "urn:carbonterm:bridge"
CONFIG = """\
source: scada
terminal: {{url: {url}, token_file: token, ca: terminal.pem}}
opcua:
  endpoint: opc.tcp://127.0.0.1:{port}/plant
  security: {security}
  read: {read}
  every: 200ms
  timeout: {timeout}
  {more}
  values:
    E: ns=2;s=energy
    F: ns=2;s=flow
    N: ns=2;s=count
    S: ns=2;s=text
    bad: ns=2;s=none
"""
SECURED = (
    "{{policy: Basic256Sha256, mode: {}, certificate: client.pem, key: client.key.pem, server_certificate: server.pem}}"
)


class Setup:
    def __init__(self, folder, inbox):
        self.folder, self.inbox = folder, inbox
        certificate(folder, "client", CLIENT_URI)
        certificate(folder, "server", "urn:plant:server")
        for name, text in (("token", TOKEN), ("password", "p}=;w")):
            (folder / name).touch(0o600)
            (folder / name).write_text(text)
        self.plants = []

    def plant(self, secured=False):
        self.plants.append(Plant(self.folder, secured))
        return self.plants[-1]

    def configure(self, plant, mode=None, read="poll", more="", timeout="20s"):
        security = SECURED.format(mode) if mode else "none"
        given = {"url": self.inbox.url, "port": plant.port, "timeout": timeout}
        (self.folder / "scada.yaml").write_text(CONFIG.format(security=security, read=read, more=more, **given))

    def once(self):
        done = run("bridge", "opcua", "--config", self.folder / "scada.yaml", "--once", "--json")
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    def start(self):
        return subprocess.Popen(
            [sys.executable, "-m", "carbonterm_host", "bridge", "opcua", "--config", str(self.folder / "scada.yaml"),
             "--json"], stdout=subprocess.PIPE, text=True, env={**os.environ, "CARBONTERM_LANG": "en"},
        )  # fmt: skip

    @staticmethod
    def end(service):
        service.send_signal(signal.SIGTERM)
        said = [json.loads(line) for line in service.communicate(timeout=180)[0].splitlines()]
        assert service.returncode == 0
        return said


@pytest.fixture
def setup(tmp_path):
    with Inbox(tmp_path) as inbox:
        made = Setup(tmp_path, inbox)
        yield made
        for plant in made.plants:
            try:
                plant.stop()
            finally:
                plant.end()


@pytest.mark.slow
@pytest.mark.requirement("T-4-7", part="OPC UA, through the bridge, against an asyncua server")
def test_values_are_polled_with_exact_digits(setup):
    plant = setup.plant()
    setup.configure(plant)
    code, said = setup.once()
    assert code == 0 and said[-1]["sent"] == 1, said
    (message,) = setup.inbox.taken
    assert message["values"] == {"E": "123456.7", "F": "0.1", "N": "18446744073709551615", "S": "12.50", "bad": None}
    assert [row["why"] for row in said if row.get("state") == "bad"] == ["bad: BadNodeIdUnknown"]
    plant.set("energy", 5.0, StatusCode=ua.StatusCode(ua.StatusCodes.BadSensorFailure))
    plant.set("flow", float("nan"), ua.VariantType.Float)
    plant.set("text", "open", ua.VariantType.String)
    code, said = setup.once()
    assert setup.inbox.taken[1]["values"] == {"E": None, "F": None, "N": "18446744073709551615", "S": None, "bad": None}
    assert {row["why"] for row in said if row.get("state") == "bad"} == {
        "E: BadSensorFailure", "F: Float that is no number", "S: String that is no number", "bad: BadNodeIdUnknown",
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.requirement("T-4-7", part="OPC UA, signed and encrypted, subscribed, cut off in between")
@pytest.mark.requirement("T-6.3-2", part="an OPC UA server's changes reach the terminal's endpoint")
@pytest.mark.parametrize("mode", ["sign", "encrypt"])
def test_changes_are_subscribed_over_a_secured_link_and_a_restart(setup, mode):
    plant = setup.plant(secured=True)
    setup.configure(plant, mode, "subscribe", "user: reader\n  password_file: password")
    service = setup.start()
    try:
        setup.inbox.wait(lambda inbox: inbox.values("E") == ["123456.7"])
        for i in range(3):
            plant.set("energy", 200000.25 + i)
            setup.inbox.wait(lambda inbox, i=i: inbox.values("E")[-1] == f"{200000.25 + i}")
        plant.stop()
        plant.start()
        plant.set("energy", 300000.5)
        setup.inbox.wait(lambda inbox: inbox.values("E")[-1] == "300000.5")
    finally:
        said = setup.end(service)
    told = [row["state"] for row in said if row.get("part") == "source" and row["state"] != "bad"]
    assert told[0] == told[-1] == "connected" and "waiting" in told
    assert said[-1]["refused"] == said[-1]["lost"] == 0


@pytest.mark.slow
def test_a_server_or_user_that_is_not_the_right_one_gives_nothing(setup):
    plant = setup.plant(secured=True)
    setup.configure(plant)  # an open link to a server that wants a secured one
    code, said = setup.once()
    assert code == 3 and said[-1]["error"].startswith("opc.tcp://127.0.0.1"), said
    setup.configure(plant, "encrypt", more="user: reader\n  password_file: token")
    assert setup.once()[0] == 3
    certificate(setup.folder, "server", "urn:plant:server")  # the server has another key than this file says
    setup.configure(plant, "encrypt", timeout="2s")
    assert setup.once()[0] == 3
    assert setup.inbox.taken == []


@pytest.mark.slow
def test_what_is_no_opcua_server_is_told_and_waited_for(setup):
    """A port that says something else, then cuts; a service there goes on trying."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        seen = threading.Semaphore(0)

        def talk():
            while True:
                try:
                    link, _ = listener.accept()
                except OSError:
                    return
                with link:
                    link.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 9)
                seen.release()

        threading.Thread(target=talk, daemon=True).start()
        setup.configure(SimpleNamespace(port=listener.getsockname()[1]), timeout="2s")
        code, said = setup.once()
        assert code == 3 and said[-1]["error"].startswith("opc.tcp://127.0.0.1"), said
        service = setup.start()
        try:
            for _ in range(3):
                assert seen.acquire(timeout=60)
        finally:
            said = setup.end(service)
        listener.shutdown(socket.SHUT_RDWR)
    assert {row["state"] for row in said[:-1]} == {"waiting"} and said[-1]["sent"] == 0
