"""The HTTPS endpoint of the firmware on MicroPython: what it takes, refuses and answers, and what a crash leaves."""

import http.client
import json
import sys
import time

import pytest

import entrance
from carbonterm.clock import text
from carbonterm.gm import sm3
from carbonterm.ledger import entry as entries
from carbonterm_host import bundles, site_yaml
from carbonterm_host.firmware import Terminal

SITE = """\
terminal: CT-IN-1
name: 入站
zone: "+08:00"
buses:
  - {name: inbox, kind: https, host: 127.0.0.1, port: PORT, certificate: inbox.crt, key: inbox.key}
meters:
  - {name: scada, bus: inbox, source: scada-1, token: TOKEN}
  - {name: mes, bus: inbox, source: mes-1, token: OTHER}
points:
  - {name: E, meter: scada, key: E1, unit: kWh, kind: register, every: 24h}
  - {name: T, meter: scada, key: T, unit: °C, every: 24h, max: "100"}
  - {name: M, meter: mes, key: E1, unit: kWh, kind: register, every: 24h}
settings: {closings: [minute, hour, day], commit: 50ms}
"""


class Site:
    def __init__(self, folder, binary=None):
        self.port = entrance.free_port()
        document = SITE.replace("PORT", str(self.port)).replace("TOKEN", sm3.digest(entrance.TOKEN.encode()).hex())
        document = document.replace("OTHER", sm3.digest(b"another token").hex())
        self.folder = folder
        entrance.certificates(folder)
        self.terminal = Terminal(folder / "terminal", site_yaml.compile_text(document).canonical(), binary=binary)
        self.terminal.data.mkdir()
        for name, source in (("inbox.crt", "server.der"), ("inbox.key", "key.der")):
            (self.terminal.data / name).write_bytes((folder / source).read_bytes())
        self.terminal.start()
        self.terminal.wait(lambda status: status["inbound"])
        self.connection = None

    def connect(self):
        context = entrance.client_context(self.folder)

        def opened():
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=120)
            try:
                connection.connect()
            except ConnectionRefusedError:
                return None
            return connection

        self.connection = entrance.wait(opened)

    def post(self, body, token=entrance.TOKEN, method="POST", path="/v1/readings", **headers):
        """(status, answer)."""
        if self.connection is None:
            self.connect()
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self.connection.request(method, path, data, headers)
        response = self.connection.getresponse()
        answer = json.loads(response.read())
        if response.headers.get("Connection") == "close":
            self.connection.close()
            self.connection = None
        return response.status, answer

    def rows(self):
        return entrance.rows(self.terminal, self.folder / "log.bundle")


@pytest.fixture(params=[None, sys.executable], ids=["micropython", "cpython"])
def site(tmp_path, request):
    made = Site(tmp_path, request.param)
    yield made
    made.terminal.stop()


def message(number, moment, **values):
    return {"source": "scada-1", "id": f"m{number}", "time": text(moment), "values": values}


@pytest.mark.requirement("T-11.3-6", part="CPython's http.client is the other side")
@pytest.mark.requirement("T-6.3-2", part="values pushed over HTTPS are durable before they are acknowledged")
def test_messages_are_stored_once_and_exactly(site):
    begin = time.time_ns() // 1000000 - 600000
    first = message(1, begin, E1="1234.50", T=21.5, X="7")
    assert site.post(first) == (200, {"result": "stored"})
    assert site.post(first) == (200, {"result": "known"})
    assert site.post(message(2, begin + 60000, E1="1240.123456789012345", T=None)) == (200, {"result": "stored"})
    assert site.post(message(3, begin + 60000, E1="1240.123456789012345")) == (200, {"result": "known"})
    assert site.post(message(4, begin + 30000, E1="1237", T="abc")) == (200, {"result": "stored"})  # late
    assert site.post(message(5, begin + 90000, T="400")) == (200, {"result": "stored"})  # outside its range
    assert site.post(message(6, begin + 9000000, E1="1300")) == (200, {"result": "stored"})  # from the time to come
    site.terminal.stop()
    found = [row[:4] for row in site.rows()]
    assert found[:7] == [
        (0, begin, 0, "1234.50"), (1, begin, 0, "21.5"),
        (0, begin + 60000, 0, "1240.123456789012345"), (1, begin + 60000, 3, None),
        (0, begin + 30000, 2, "1237"), (1, begin + 30000, 3, None),
        (1, begin + 90000, 2, "400"),
    ]  # fmt: skip
    assert found[7][2:] == (2, "1300") and found[7][1] <= time.time_ns() // 1000000 and len(found) == 8


def test_everything_else_is_refused_and_said_why(site):
    now = time.time_ns() // 1000000
    good = message(1, now, E1="1")
    assert site.post(good, token=None)[0] == 401
    assert site.post(good, token="wrong")[0] == 401
    assert site.post(good, token="another token")[0] == 401  # of the other source
    assert site.post(good, token="wrong as well")[0] == 401
    assert site.post(good, method="PUT")[0] == 405
    assert site.post(good, path="/")[0] == 404
    assert site.post(b"x" * 20000)[0] == 413
    assert site.post(b"{")[0] == 400
    assert site.post(good | {"values": {"nobody": "1"}})[0] == 422
    assert site.post(good | {"time": "yesterday"})[0] == 400
    assert site.post(good | {"more": 1})[0] == 400
    assert site.post(good)[0] == 200
    status, answer = site.post(good | {"values": {"E1": "2"}})
    assert status == 409 and "other content" in answer["error"]
    assert site.post(message(2, now, E1="1"), token="another token")[0] == 401
    assert site.post({**message(2, now, E1="5"), "source": "mes-1"}, token="another token")[0] == 200
    site.terminal.stop()
    assert [row[:4] for row in site.rows()] == [(0, now, 0, "1"), (2, now, 0, "5")]
    said = [entries.decode(raw) for raw, _ in bundles.read(site.folder / "log.bundle").entries]
    assert [one.body[2] for one in said if one.kind == entries.AUDIT and one.body[1] == "inbound refused"] == [
        "inbox: this token is not known here", "inbox: the token is not this source's",
    ]  # fmt: skip


def test_a_client_that_waits_before_its_body(site):
    site.connect()
    body = json.dumps(message(1, time.time_ns() // 1000000, E1="1")).encode()
    head = f"POST /v1/readings HTTP/1.1\r\nAuthorization: Bearer {entrance.TOKEN}\r\nExpect: 100-continue\r\n"
    site.connection.sock.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
    assert site.connection.sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
    site.connection.sock.sendall(body)
    assert site.connection.sock.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


def test_bytes_that_are_no_request_end_their_connection_only(site):
    site.connect()
    for raw in (
        b"\x00\xff" * 100,
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 2000,
        b"POST /v1/readings HTTP/1.1\r\nA\r\n\r\n",
        b"POST /v1/readings HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    ):
        site.connect()
        try:
            site.connection.sock.sendall(raw)
            site.connection.sock.shutdown(1)
            while site.connection.sock.recv(1000):
                pass
        except OSError:
            pass
        site.connection.close()
    site.connection = None
    assert site.post(message(1, time.time_ns() // 1000000, E1="1"))[0] == 200


@pytest.mark.slow
@pytest.mark.requirement("T-6.3-2", part="killed between messages: what was acknowledged is there once")
def test_killed_in_the_middle_everything_acknowledged_is_there_once(site):
    begin = time.time_ns() // 1000000 - 3600000
    acknowledged, number = [], 0
    for _ in range(6):
        site.connection = None
        for _ in range(7):
            number += 1
            body = message(number, begin + 1000 * number, E1=str(1000 + number))
            assert site.post(body)[0] == 200
            acknowledged.append(number)
        number += 1  # one whose answer never comes
        body = message(number, begin + 1000 * number, E1=str(1000 + number))
        data = json.dumps(body).encode()
        site.connection.request("POST", "/v1/readings", data, {"Authorization": f"Bearer {entrance.TOKEN}"})
        time.sleep(0.002 * (number % 9))
        site.terminal.kill()
        site.connection.close()
        site.connection = None
        site.terminal.start()
        site.connect()
        assert site.post(body)[0] == 200
        acknowledged.append(number)
        assert site.post(message(3, begin + 3000, E1="1003"))[1] == {"result": "known"}  # from before the crash
    site.terminal.stop()
    found = site.rows()
    assert [row[1] - begin for row in found] == [1000 * n for n in acknowledged]
    assert [row[3] for row in found] == [str(1000 + n) for n in acknowledged] and {row[2] for row in found} == {0}
    digests = [row[4] for row in found]
    assert len(set(digests)) == len(digests)
