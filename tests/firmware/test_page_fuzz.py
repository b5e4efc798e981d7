"""Whatever is sent to the terminal's page: it answers or hangs up, goes on reading its meters, and tells nothing."""

import re
import socket
import time

import pytest

import entrance
from paged import Plant, meters, port
from seeded import Random

GOOD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HEADS = (
    b"", b"\r\n\r\n", b"\x00" * 50, b"\xff\xfe\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
    b"GET  /  HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"GET / HTTP/1.1\r\n: x\r\n\r\n", b"GET / HTTP/1.1\r\nA : x\r\n\r\n",
    b"GET / HTTP/1.1\r\nCookie: a\r\nCookie: b\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /login HTTP/1.1\r\n\r\n", b"POST /login HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /login HTTP/1.1\r\nContent-Length: 99999\r\n\r\n",
    b"POST /login HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /login HTTP/1.1\r\nContent-Length: 3\r\n\r\n%zz", b"POST /login HTTP/1.1\r\nContent-Length: 9\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\nname=%ff%",
    b"POST /login HTTP/1.1\r\nContent-Length: 4\r\nContent-Type: multipart/form-data; boundary=\r\n\r\nabcd",
    b"POST /upload HTTP/1.1\r\nContent-Length: 200000\r\n\r\n", b"PUT / HTTP/1.1\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n\r\n", b"GET http://x/ HTTP/1.1\r\n\r\n", b"GET /../../etc/passwd HTTP/1.1\r\n\r\n",
    b"GET /%2e%2e/page.key HTTP/1.1\r\n\r\n", b"GET /page.key HTTP/1.1\r\n\r\n", b"GET /?a=%zz HTTP/1.1\r\n\r\n",
    b"GET /configuration/../page.users HTTP/1.1\r\n\r\n", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(2000)) + b"\r\n",
    b"GET / HTTP/1.1\r\nCookie: __Host-carbonterm=" + b"0" * 48 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nCookie: __Host-carbonterm=\r\n\r\n", b"GET / HTTP/1.1\r\nCookie: ;;;=;a\r\n\r\n",
    b"GET /api/status HTTP/1.1\r\nAuthorization: Bearer \r\n\r\n", b"GET /api/../status HTTP/1.1\r\n\r\n",
)  # fmt: skip
REFUSED = re.compile(rb"^HTTP/1.0 4.. .*text/plain\r\n\r\n.*\n$", re.DOTALL)  # all of an answer that is no page
SECRET = b"BEGIN", b"page.key", b"a secret of", b"Traceback", b"/data", b"pbkdf2"


def sent(plant, context, data):
    """What comes back until the other end hangs up."""
    plain = socket.create_connection(("127.0.0.1", plant.page), timeout=120)
    with context.wrap_socket(plain, server_hostname="127.0.0.1") as wire:
        found = b""
        try:
            wire.sendall(data)
            while True:
                more = wire.recv(4096)
                if not more or REFUSED.search(found + more):
                    return found + more
                found += more
        except (ConnectionError, OSError):
            return found


@pytest.mark.slow
def test_what_nobody_should_send(tmp_path):
    random = Random(11)
    with meters() as simulated, Plant(tmp_path, [port(bus) for bus in simulated.buses], heap="4M") as plant:
        client = plant.client("zhang")
        context = entrance.client_context(tmp_path)
        cookie = client.cookie.encode()
        rows = [head for head in HEADS if b"\r\n\r\n" in head]
        for _ in range(30):
            data = bytearray(GOOD.replace(b"Host: x", b"Cookie: " + cookie))
            for _ in range(1 + random.below(4)):
                data[random.below(len(data) - 4)] = random.below(256)
            rows.append(bytes(data))
        for data in rows:
            answer = sent(plant, context, data)
            status = answer[9:12]
            assert answer == b"" or status in (b"200", b"303", b"400", b"401", b"403", b"404", b"405", b"411", b"413",
                                               b"501"), (data[:80], answer[:200])  # fmt: skip
            if cookie not in data:
                assert not [word for word in SECRET if word in answer], (data[:80], answer)
                assert status != b"200" or b"/login" not in data
        held = []  # who says nothing, or half a word, for as long as he may
        for data in (b"", GOOD[:9], b"\x16\x03\x01"):
            plain = socket.create_connection(("127.0.0.1", plant.page), timeout=120)
            plain.sendall(data)
            held.append(plain)
        seen = plant.terminal.status()["readings"]
        plant.terminal.wait(lambda status: status["readings"] > seen + 8)
        for plain in held:
            plain.close()
        assert "CT-PAGE-1" in client.get("/")
        many = [socket.create_connection(("127.0.0.1", plant.page), timeout=120) for _ in range(30)]
        seen = plant.terminal.status()["readings"]
        plant.terminal.wait(lambda status: status["readings"] > seen + 8)
        for plain in many:
            plain.close()
        end = time.monotonic() + 120
        while True:  # places are free again
            try:
                assert "CT-PAGE-1" in client.get("/")
                break
            except (ConnectionError, OSError):
                assert time.monotonic() < end
        assert "Traceback" not in plant.terminal.console(), plant.terminal.console()[-3000:]
        assert [text for text in plant.terminal.status()["errors"] if "page" in text] == []
        plant.terminal.stop()
        plant.log()
