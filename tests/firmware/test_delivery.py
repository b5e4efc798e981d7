"""Delivery as the terminal does it: real MicroPython over TLS to the real platform, on good lines and bad ones."""

import asyncio
import contextlib
import json
import os
import random
import ssl
import subprocess
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

import runtimes
from carbonterm.gm import sm2
from carbonterm.ledger import checkpoint as notes
from carbonterm.ledger.segment import Log
from carbonterm.uplink.message import Batch, Receipt, Refusal
from carbonterm_device.storage import Folder
from carbonterm_host.platform.keys import make_certificates
from carbonterm_host.platform.store import Store
from loop import Loop, server_context
from serving import Platform, get

SIGNER = sm2.Signer(bytes(31) + b"\x01")
REGISTER = ("--register", f"T1:0:{SIGNER.public.hex()}")
EVERY = ("micropython", "micropython32", "cpython")


def device(runtime, folder, host, port, ca, public, seed=1, total=0, patience=60):
    try:
        command, environment = runtimes.command(runtime, heap="4M")
    except runtimes.Unavailable as reason:
        pytest.skip(str(reason))
    arguments = (folder, host, port, ca, public.hex(), seed, total, "null", patience)
    return subprocess.Popen(
        [*command, "tests/firmware/deliver.py", *map(str, arguments)],
        cwd=runtimes.ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1,
    )  # fmt: skip


def ended(process, seconds=500):
    """(status, lines) of a device that ends by itself."""
    out, _ = process.communicate(timeout=seconds)
    lines = out.splitlines()
    assert process.returncode == 0 and lines[-1].startswith("status "), out[-2000:]
    return json.loads(lines[-1][7:]), lines


def held(platform):
    """[(entry, fingerprint)] of T1 in the platform's store."""
    store = Store(platform.store)
    with store.read() as connection:
        rows = connection.exec_driver_sql("select raw, fingerprint from entries order by seq").all()
    store.close()
    return [tuple(row) for row in rows]


def logged(folder):
    log = Log(Folder(str(folder)), "T1", 0, SIGNER)
    pairs = list(log.entries())
    log.storage.close()
    return pairs


# --- a good line ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.requirement("T-4-6")
@pytest.mark.parametrize("runtime", EVERY)
def test_a_log_arrives_over_tls_on_one_connection(tmp_path, runtime):
    made = make_certificates(tmp_path)
    with Platform(tmp_path, *REGISTER, "--tls-cert", made["server.pem"], "--tls-key", made["server.key"]) as platform:
        for host in ("127.0.0.1", "localhost"):
            total = 70 if host == "127.0.0.1" else 130
            status, _ = ended(
                device(runtime, tmp_path / "data", host, platform.port, made["ca.der"], platform.public, total=total)
            )
            assert (status["backlog"], status["retries"], status["connections"], status["error"]) == (0, 0, 1, "")
        pairs = logged(tmp_path / "data")
        assert held(platform) == pairs and len(pairs) >= 130
        with httpx.Client(verify=ssl.create_default_context(cafile=made["ca.pem"])) as client:
            receipt = get(platform, "T1", client=client)[1]
        note = notes.parse(receipt.checkpoint)
        assert note.size == len(pairs) and notes.verify(note, "platform", platform.public)
        assert platform.stop() == 0


# --- servers that must not be talked to -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.requirement("T-7.4-3", part="nothing is sent to a server with a certificate of another CA, host or time")
@pytest.mark.parametrize("runtime", EVERY)
def test_a_wrong_certificate_is_never_talked_to(tmp_path, runtime):
    said = []

    async def listen(reader, writer):
        said.append(await reader.read(1))

    ours = make_certificates(tmp_path / "ours")
    stranger = make_certificates(tmp_path / "stranger")
    old = datetime.now(UTC) - timedelta(days=900)
    for name, ca, served, host in (
        ("another CA", ours, stranger, "127.0.0.1"),
        ("another host", *[make_certificates(tmp_path / "host", ("centre.example", "10.0.0.7"))] * 2, "127.0.0.1"),
        ("another name", *[make_certificates(tmp_path / "name", ("127.0.0.1",))] * 2, "localhost"),
        ("expired", *[make_certificates(tmp_path / "old", now=old)] * 2, "127.0.0.1"),
    ):
        with Loop(listen, server_context(served)) as server:
            process = device(runtime, tmp_path / "data", host, server.port, ca["ca.der"], SIGNER.public)
            line = process.stdout.readline()
            while line and not line.startswith("error "):
                line = process.stdout.readline()
            assert "certificate is refused" in line, f"{name}: {line}"
            process.kill()
            process.communicate()
            print(name, line.strip())
        assert b"".join(said) == b"", name


def test_a_server_without_tls_gets_no_entry(tmp_path):
    said = []

    async def listen(reader, writer):
        said.append(await reader.read(5000))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    made = make_certificates(tmp_path)
    with Loop(listen) as server:
        process = device("micropython", tmp_path / "data", "127.0.0.1", server.port, made["ca.der"], SIGNER.public)
        while not process.stdout.readline().startswith("error "):
            pass
        process.kill()
        process.communicate()
    assert said and all(data[:1] in (b"\x16", b"") for data in said)  # a TLS handshake and no more


# --- a server that misbehaves -----------------------------------------------------------------------------------------


class Faulty:
    """An HTTPS front of the platform that forwards requests and spoils answers, each request with the next fault."""

    def __init__(self, platform, faults):
        self.platform = platform
        self.faults = list(faults)
        self.met = []
        self.old = None
        self._client = httpx.AsyncClient()

    async def handle(self, reader, writer):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *fields = head.split("\r\n")
            method, path, _ = first.split(" ")
            sizes = [int(field[15:]) for field in fields if field.startswith("Content-Length:")]
            body = await reader.readexactly(sizes[0]) if sizes else b""
            fault = self.faults.pop(0) if self.faults else "none"
            self.met.append((fault, method))
            if fault == "lost request":
                return
            answer = await self._client.request(method, self.platform.url + path, content=body or None)
            if not await self._answer(writer, fault, answer.status_code, answer.content, method):
                return

    async def _answer(self, writer, fault, status, content, method):
        """Writes the answer, spoilt; whether the connection goes on."""
        good = b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n" % (status, len(content)) + content
        if fault == "lost answer":
            return False
        if fault == "drip":
            for byte in good:
                writer.write(bytes((byte,)))
                await writer.drain()
                await asyncio.sleep(0.05)
        old, self.old = self.old, content if self.old is None else self.old
        writer.write({
            "none": good,
            "500": b"HTTP/1.1 500 X\r\nContent-Length: 5\r\n\r\nerror",
            "half a receipt": good[: -len(content) // 2],
            "half a receipt that looks whole":
                b"HTTP/1.1 200 X\r\nContent-Length: %d\r\n\r\n" % (len(content) // 2) + content[: len(content) // 2],
            "half a head": good[:20],
            "two answers": good + good,
            "garbage": bytes(range(256)),
            "endless head": b"HTTP/1.1 200 X\r\n" + b"X: y\r\n" * 5000,
            "chunked": b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nerror\r\n0\r\n\r\n",
            "no length": b"HTTP/1.1 200 X\r\n\r\n" + content,
            "two lengths": b"HTTP/1.1 200 X\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n" + content,
            "too long": b"HTTP/1.1 200 X\r\nContent-Length: 999999999\r\n\r\n",
            "a page": b"HTTP/1.1 200 X\r\nContent-Length: 6\r\n\r\n<html>",
            "moved": b"HTTP/1.1 302 X\r\nLocation: https://example.com/\r\nContent-Length: 0\r\n\r\n",
            "continue": b"HTTP/1.1 100 X\r\n\r\n" + good,
            "changed": good[:-1] + bytes((good[-1] ^ 1,)),
            "old receipt": b"HTTP/1.1 200 X\r\nContent-Length: %d\r\n\r\n" % len(old or b"") + (old or b""),
            "page of a proxy": b"HTTP/1.1 403 X\r\nContent-Length: 6\r\n\r\n<html>",
            "refused": _answered(400, Refusal("malformed", "not today")),
            "gap": _answered(409, Refusal("gap", "from the start", 0)),
            "too large": _answered(413, Refusal("too-large", "less")),
            "another terminal": _answered(200, Receipt.make("c", "T2", 0, 9, bytes(32), 5, None, SIGNER.sign)),
            "another key": _answered(200, Receipt.make("c", "T1", 0, 9, bytes(32), 5, None, SIGNER.sign)),
            "close after it": good.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1),
            "drip": b"",
            "silence": b"",
        }[fault])  # fmt: skip
        await writer.drain()
        if fault == "silence":
            await asyncio.sleep(30)
        return fault in ("none", "500", "changed", "old receipt", "refused", "gap", "too large", "moved")


FAULTS = (
    "500", "half a receipt", "half a receipt that looks whole", "half a head", "two answers", "garbage", "endless head",
    "chunked", "no length", "two lengths", "too long", "a page", "moved", "continue", "changed", "old receipt",
    "page of a proxy", "refused", "gap", "too large", "another terminal", "another key", "close after it",
    "lost request", "lost answer", "drip", "silence",
)  # fmt: skip


def _answered(status, message):
    content = message.encode()
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(content)) + content


@pytest.mark.slow
@pytest.mark.requirement("T-7.6-1", part="whatever a server answers, or does not")
@pytest.mark.requirement("T-7.6-2")
@pytest.mark.parametrize("runtime", EVERY)
def test_whatever_a_server_answers_every_entry_arrives_once(tmp_path, runtime):
    made = make_certificates(tmp_path)
    faults = [fault for each in FAULTS for fault in (each, "none")]
    random.Random(7).shuffle(faults)
    faults = ["500", "half a receipt", "none", *faults]
    with Platform(tmp_path, *REGISTER) as platform:
        front = Faulty(platform, faults)
        with Loop(front.handle, server_context(made)) as server:
            process = device(
                runtime, tmp_path / "data", "127.0.0.1", server.port, made["ca.der"], platform.public, total=900,
                patience=4,
            )
            status, lines = ended(process)
        assert not front.faults, f"not met: {front.faults}"
        assert {"GET", "POST"} == {method for _, method in front.met}
        pairs = logged(tmp_path / "data")
        assert held(platform) == pairs
        assert (status["backlog"], status["error"], status["stopped"]) == (0, "", False)
        assert status["retries"] >= len(FAULTS) - 5  # a lost kept connection is tried again at once
        acked = [int(line.split()[1]) for line in lines if line.startswith("acked ")]
        assert acked == sorted(acked)
        print("\n".join(sorted({line for line in lines if line.startswith("error ")})))


@pytest.mark.slow
def test_a_fork_stops_delivery_and_says_so(tmp_path):
    made = make_certificates(tmp_path)
    with Platform(tmp_path, *REGISTER, "--tls-cert", made["server.pem"], "--tls-key", made["server.key"]) as platform:
        other = Log(Folder(str(tmp_path / "other")), "T1", 0, SIGNER)
        for n in range(5):
            other.append(5 + n, 0, 3, [[], None])
        other.commit()
        with httpx.Client(verify=ssl.create_default_context(cafile=made["ca.pem"])) as client:
            body = Batch("T1", 0, 0, list(other.entries())).encode()
            assert client.post(f"{platform.url}/v1/terminals/T1/entries", content=body).status_code == 200
        address = ("127.0.0.1", platform.port, made["ca.der"], platform.public)
        status, _ = ended(device("micropython", tmp_path / "data", *address, total=50))
        assert status["stopped"] and "two histories" in status["error"] and status["cursor"] is None
        assert held(platform) == list(other.entries())


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ("micropython", "micropython32"))
def test_attempts_that_fail_leave_no_socket_open(tmp_path, runtime):
    """The line is down for weeks: nothing may pile up. Refused connections, and handshakes that never come."""
    made = make_certificates(tmp_path)

    async def mute(reader, writer):
        await reader.read(100)

    with Loop(mute) as server:
        process = device(runtime, tmp_path / "data", "127.0.0.1", server.port, made["ca.der"], SIGNER.public,
                         patience=1)  # fmt: skip
        while server.connections < 12 and process.poll() is None:
            time.sleep(0.01)
        few = _open_files(process.pid)
        while server.connections < 40 and process.poll() is None:
            time.sleep(0.01)
        many = _open_files(process.pid)
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)  # now every attempt is refused
    refused = _open_files(process.pid)
    process.kill()
    out, _ = process.communicate()
    assert max(many, refused) <= few + 3, (few, many, refused, out[-500:])


def _open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


# --- kills ------------------------------------------------------------------------------------------------------------


class Relay:
    """Passes bytes on to a port of loopback, until the line is cut."""

    def __init__(self):
        self.target = None

    async def handle(self, reader, writer):
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        try:
            await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))
        finally:
            far_writer.transport.abort()

    async def _pass(self, reader, writer):
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()
        raise EOFError


@pytest.mark.slow
@pytest.mark.requirement("T-7.6-1")
def test_killed_at_random_moments_every_entry_arrives_once(tmp_path):
    """100 blows while a terminal appends and delivers: kill -9 of the terminal, of the platform, of both, cut lines.

    What the terminal saw acknowledged the platform has after each; in the end it has each entry once, and no other.
    """
    seed, trials = 761, 100
    dice = random.Random(seed)
    made = make_certificates(tmp_path)
    platform = Platform(tmp_path, *REGISTER, "--tls-cert", made["server.pem"], "--tls-key", made["server.key"]).start()
    relay = Relay()
    relay.target = platform.port
    acknowledged = 0
    blows = {"terminal": 0, "platform": 0, "both": 0, "line": 0}

    with Loop(relay.handle) as line, contextlib.ExitStack() as stack:
        stack.callback(lambda: platform.process.poll() is None and platform.kill())

        def begin(trial, total=0):
            process = device(
                "micropython", tmp_path / "data", "127.0.0.1", line.port, made["ca.der"], platform.public, trial, total,
                patience=5,
            )
            return process, process.stdout.readline()

        def seen(text):
            return int(text.split()[1]) if text.startswith("acked ") and "None" not in text else 0

        process, said = begin(0)
        for trial in range(trials):
            assert said.startswith("found "), f"trial {trial} of seed {seed}: {said}"
            time.sleep(dice.uniform(0.05, 0.5))  # when the blow falls is the test's random input
            blow = dice.choice(("terminal", "terminal", "terminal", "platform", "both", "line", "line"))
            blows[blow] += 1
            while trial % 10 == 5 and (text := process.stdout.readline()):  # now and then a blow after an answer
                acknowledged = max(acknowledged, seen(text))
                if seen(text):
                    break
            if blow in ("platform", "both"):
                platform.kill()
            if blow in ("terminal", "both"):
                process.kill()
                for text in process.communicate()[0].splitlines():
                    acknowledged = max(acknowledged, seen(text))
            if blow == "line":
                line.cut()
            if blow in ("platform", "both"):
                platform.start()
                relay.target = platform.port
            if blow in ("terminal", "both"):
                assert len(held(platform)) >= acknowledged, f"trial {trial} of seed {seed}"
                process, said = begin(trial)
        process.kill()
        process.communicate()
        size = len(logged(tmp_path / "data"))
        process, said = begin(trials, size + 20)
        status, _ = ended(process)
        assert (status["backlog"], status["stopped"]) == (0, False)
        pairs = logged(tmp_path / "data")
        assert held(platform) == pairs and len(pairs) >= size + 20
        assert platform.stop() == 0
    print(f"{blows}, {len(pairs)} entries, each once; {acknowledged} seen acknowledged before the last kill")
    assert acknowledged > 0
