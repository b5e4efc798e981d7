"""Delivery over Debian's mosquitto with TLS: the device on each runtime, the real platform behind the broker."""

import asyncio
import json
import random
import subprocess
import threading
from datetime import UTC, datetime, timedelta

import paho.mqtt.client as paho
import pytest

import entrance
import runtimes
from carbonterm.field import mqtt
from carbonterm.gm import sm2
from carbonterm.ledger import entry
from carbonterm.ledger.segment import Log
from carbonterm.uplink import topics
from carbonterm.uplink.message import Receipt, Refusal
from carbonterm_device.storage import Folder
from carbonterm_host.platform.broker import answer_to
from carbonterm_host.platform.intake import Intake
from carbonterm_host.platform.keys import make_certificates
from carbonterm_host.platform.store import Store
from loop import Loop, server_context
from serving import Platform

SIGNER = sm2.Signer(bytes(31) + b"\x01")
REGISTER = ("--register", f"T1:0:{SIGNER.public.hex()}")
EVERY = ("micropython", "micropython32", "cpython")


class Device:
    """tests/firmware/deliver.py as a process, over a broker: its log in `folder`, which also has the files of `way`.
    patience: seconds that it waits for an answer; few only where answers are lost on purpose."""

    def __init__(self, runtime, folder, port, ca, public, total=0, way=None, patience=60):
        try:
            command, environment = runtimes.command(runtime, heap="4M")
        except runtimes.Unavailable as reason:
            pytest.skip(str(reason))
        way = json.dumps(way or ["carbonterm", None, None, None, 5])
        arguments = (folder, "127.0.0.1", port, ca, public.hex(), 1, total, way, patience)
        self.folder, self.lines = folder, []
        self.process = subprocess.Popen(
            [*command, "tests/firmware/deliver.py", *map(str, arguments)],
            cwd=runtimes.ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1,
        )  # fmt: skip
        self._limit = threading.Timer(400, self.process.kill)  # ends a test that would wait for ever
        self._limit.daemon = True
        self._limit.start()

    def until(self, begin):
        """Reads on to the next line that begins so; gives it."""
        for line in self.process.stdout:
            self.lines.append(line.strip())
            if line.startswith(begin):
                return line.strip()
        raise AssertionError("\n".join(self.lines[-20:]))

    def acked(self, count):
        """Waits until the centre has signed for so many entries."""
        while True:
            found = self.until("acked ").split()[1]
            if found != "None" and int(found) >= count:
                return

    def ended(self):
        """Its status, when it is done."""
        status = json.loads(self.until("status ")[7:])
        assert self.process.wait(120) == 0
        self._limit.cancel()
        return status

    def kill(self):
        self._limit.cancel()
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


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


def of_both_kinds(folder):
    """A broker with a second listener, for TLS, on its port `secure`."""
    secure, tls = entrance.free_port(), folder / "tls"
    entrance.certificates(tls)
    lines = f"listener {secure} 127.0.0.1", f"certfile {tls}/server.pem", f"keyfile {tls}/server.key"
    broker = entrance.Broker(folder / "broker", more=lines).start()
    broker.secure = secure
    return broker


def client_certificate(tls):
    """client.pem, client.key and both in DER, of the folder's CA; the commands of docs/platform.md."""
    for line in (
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=T1 -keyout client.key"
        " -out client.csr",
        "x509 -req -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -out client.pem",
        "x509 -in client.pem -outform DER -out client.der",
        "ec -in client.key -outform DER -out client.key.der",
    ):
        subprocess.run(["openssl", *line.split()], cwd=tls, check=True, capture_output=True)


def platform_on(broker, folder, *options):
    """A platform that listens on the broker's topics."""
    (folder / "platform.login").write_text("platform\nsecret of it\n")
    login = ("--mqtt-login", folder / "platform.login") if broker.login else ()
    return Platform(folder, *REGISTER, "--mqtt", f"mqtts://127.0.0.1:{broker.port}",
                    "--mqtt-ca", folder / "tls" / "ca.pem", *login, *options)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("runtime", EVERY)
def test_a_log_arrives_over_a_broker(tmp_path, runtime):
    entrance.certificates(tmp_path / "tls")
    broker = entrance.Broker(tmp_path / "broker", tmp_path / "tls", "platform", "secret of it").start()
    data = tmp_path / "data"
    data.mkdir()
    (data / "broker.login").write_text("platform\nsecret of it\n")
    way = ["carbonterm", "broker.login", None, None, 30]
    with platform_on(broker, tmp_path) as platform:
        device = Device(runtime, data, broker.port, tmp_path / "tls" / "ca.der", platform.public, 70, way)
        status = device.ended()
        assert (status["backlog"], status["connections"], status["error"], status["stopped"]) == (0, 1, "", False)
        assert broker.hear("carbonterm/T1/state") == "offline"
        assert held(platform) == logged(data)
        assert platform.stop() == 0
    broker.stop()


@pytest.mark.slow
@pytest.mark.requirement("T-7.6-1", "T-7.6-2", part="over a broker that is killed, to a platform that is killed")
@pytest.mark.parametrize("runtime", EVERY)
def test_whoever_is_killed_every_entry_arrives_once(tmp_path, runtime):
    entrance.certificates(tmp_path / "tls")
    broker = entrance.Broker(tmp_path / "broker", tmp_path / "tls").start()
    with platform_on(broker, tmp_path) as platform:
        address = (tmp_path / "data", broker.port, tmp_path / "tls" / "ca.der", platform.public)
        device, count = Device(runtime, *address, patience=5), 0
        for victim in ("broker", "platform", "device"):
            count += 25
            device.acked(count)
            if victim == "broker":
                broker.kill()
                broker.start()
            elif victim == "platform":
                platform.kill()
                platform.start()
            else:
                device.kill()
                device = Device(runtime, *address, patience=5)
        device.acked(count + 25)
        device.kill()
        device = Device(runtime, *address, len(logged(tmp_path / "data")) + 10)
        status = device.ended()
        assert (status["backlog"], status["error"], status["stopped"]) == (0, "", False)
        assert held(platform) == logged(tmp_path / "data")
    broker.stop()


# --- those who must not be talked to, or not be believed --------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.requirement("T-7.4-3", part="nothing is sent to a broker with a certificate of another CA, host or time")
@pytest.mark.parametrize("runtime", EVERY)
def test_a_broker_with_a_wrong_certificate_is_never_talked_to(tmp_path, runtime):
    said = []

    async def listen(reader, writer):
        said.append(await reader.read(1))

    ours = make_certificates(tmp_path / "ours")
    old = datetime.now(UTC) - timedelta(days=900)
    for name, ca, served in (
        ("another CA", ours, make_certificates(tmp_path / "stranger")),
        ("another host", *[make_certificates(tmp_path / "host", ("broker.example", "10.0.0.7"))] * 2),
        ("expired", *[make_certificates(tmp_path / "old", now=old)] * 2),
    ):
        with Loop(listen, server_context(served)) as server:
            device = Device(runtime, tmp_path / "data", server.port, ca["ca.der"], SIGNER.public)
            line = device.until("error ")
            device.kill()
        assert "the broker's certificate is refused" in line, f"{name}: {line}"
        print(name, line)
        assert b"".join(said) == b"", name


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ("micropython", "cpython"))
def test_a_broker_that_wants_a_certificate_gets_it(tmp_path, runtime):
    paths = entrance.certificates(tmp_path / "tls")
    needs = (f"cafile {paths['ca.pem']}", "require_certificate true")
    broker = entrance.Broker(tmp_path / "broker", tmp_path / "tls", more=needs).start()
    data = tmp_path / "data"
    data.mkdir()
    client_certificate(tmp_path / "tls")
    own = "--mqtt-cert", tmp_path / "tls" / "client.pem", "--mqtt-key", tmp_path / "tls" / "client.key"
    way = ["plant/co2", None, "own.der", "own.key", 30]
    (data / "own.der").write_bytes((tmp_path / "tls" / "client.der").read_bytes())
    with Platform(tmp_path, *REGISTER, "--mqtt", f"mqtts://127.0.0.1:{broker.port}/plant/co2",
                  "--mqtt-ca", paths["ca.pem"], *own) as platform:  # fmt: skip
        device = Device(runtime, data, broker.port, paths["ca.der"], platform.public, 30, way)
        assert "own.key is not in the data folder" in device.until("error ")
        (data / "own.key").write_bytes((tmp_path / "tls" / "client.key.der").read_bytes())
        assert device.ended()["backlog"] == 0
        assert held(platform) == logged(data)
    broker.stop()


class Liar:
    """A centre behind the broker that has a real intake and spoils its answers, each with the next of `faults`."""

    def __init__(self, broker, store, faults):
        self.intake = Intake(store, "platform", SIGNER)
        self.faults, self.met, self.old = list(faults), [], b""
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self.client.on_connect = lambda client, *_: client.subscribe("carbonterm/+/up/+", 1)
        self.client.on_message = self._message
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()

    def stop(self):
        self.client.disconnect()
        self.client.loop_stop()

    def _message(self, client, userdata, message):
        terminal_id, request = topics.asked("carbonterm", message.topic)
        fault = self.faults.pop(0) if self.faults else "none"
        self.met.append(fault)
        if fault == "lost request":
            return
        good = answer_to(self.intake, terminal_id, message.payload)
        old, self.old = self.old or good, good
        where = topics.down("carbonterm", terminal_id, request)
        for topic, answer in {
            "none": [(where, good)],
            "lost answer": [],
            "empty": [(where, b"")],
            "garbage": [(where, bytes(range(256)))],
            "half a receipt": [(where, good[: len(good) // 2])],
            "too long": [(where, good + bytes(40000))],
            "changed": [(where, good[:-1] + bytes((good[-1] ^ 1,)))],
            "old receipt": [(where, old)],
            "another terminal": [(where, Receipt.make("c", "T2", 0, 9, bytes(32), 5, None, SIGNER.sign).encode())],
            "forged": [(where, Receipt.make("c", "T1", 0, 9, bytes(32), 5, None, STRANGER.sign).encode())],
            "refused": [(where, Refusal("malformed", "not today").encode())],
            "gap": [(where, Refusal("gap", "from the start", 0).encode())],
            "too large": [(where, Refusal("too-large", "less").encode())],
            "twice": [(where, good), (where, good)],
            "another request's": [(where + "0", old), (where[:-1] + "x", b"\xff" * 99), (where, good)],
        }[fault]:
            client.publish(topic, answer, 1)


STRANGER = sm2.Signer(bytes(31) + b"\x02")
FAULTS = (
    "empty", "garbage", "half a receipt", "too long", "changed", "old receipt", "another terminal", "forged",
    "refused", "gap", "too large", "twice", "another request's", "lost request", "lost answer",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.requirement("T-7.6-1", part="whatever comes over a broker as an answer")
@pytest.mark.parametrize("runtime", EVERY)
def test_whatever_is_answered_every_entry_arrives_once(tmp_path, runtime):
    broker = of_both_kinds(tmp_path)
    store = Store(f"sqlite:///{tmp_path}/platform.db")
    store.register("T1", 0, SIGNER.public)
    faults = [fault for each in FAULTS for fault in (each, "none")]
    random.Random(11).shuffle(faults)
    liar = Liar(broker, store, ["forged", *faults])
    device = Device(runtime, tmp_path / "data", broker.secure, tmp_path / "tls" / "ca.der", SIGNER.public, 700,
                    patience=3)  # fmt: skip
    try:
        status = device.ended()
    finally:
        device.kill()
        liar.stop()
        broker.stop()
    assert not liar.faults, f"not met: {liar.faults}"
    with store.read() as connection:
        rows = connection.exec_driver_sql("select raw, fingerprint from entries order by seq").all()
    store.close()
    assert [tuple(row) for row in rows] == logged(tmp_path / "data")
    assert (status["backlog"], status["error"], status["stopped"]) == (0, "", False)
    acked = [int(line.split()[1]) for line in device.lines if line.startswith("acked ") and "None" not in line]
    assert acked == sorted(acked)
    print("\n".join(sorted({line for line in device.lines if line.startswith("error ")})))


# --- a broker that misbehaves -----------------------------------------------------------------------------------------


def nonsense(seed):
    """What a broker may say instead of what is right: (where it begins, bytes)."""
    rng = random.Random(seed)
    up = mqtt.connack() + mqtt.suback(1, [1])
    yield from (("CONNECT", rng.randbytes(n)) for n in (1, 40, 3000))
    yield from (("CONNECT", mqtt.connack() + rng.randbytes(n)) for n in (3, 200))
    yield "CONNECT", mqtt.connack(code=5)
    yield "CONNECT", b"HTTP/1.1 400 Bad Request\r\n\r\n"
    yield "CONNECT", mqtt.connack() + mqtt.suback(1, [0x80])
    yield "PUBLISH", up + b"\x34\x05\x00\x01a\x00\x07"  # QoS 2
    yield "PUBLISH", up + b"\x30\xff\xff\xff\xff\xff"
    yield "PUBLISH", up + mqtt.connack()
    yield "PUBLISH", up + rng.randbytes(500)
    yield "PUBLISH", up + mqtt.publish("carbonterm/T1/down/x", rng.randbytes(60000), 1, 9) + mqtt.pingresp() * 50 + b"0"
    yield "PUBLISH", up


class Front:
    """A TLS front of the broker that says the next of `lies` and hangs up, or passes everything on."""

    def __init__(self, port, lies):
        self.port, self.lies, self.met = port, list(lies), []

    async def handle(self, reader, writer):
        if self.lies:
            begin, lie = self.lies.pop(0)
            self.met.append(lie)
            await reader.read(1000)  # CONNECT
            if begin == "PUBLISH":
                writer.write(lie[:9])
                await reader.read(1000)
                lie = lie[9:]
            writer.write(lie)
            await writer.drain()
            await reader.read(1000)
            return
        there = await asyncio.open_connection("127.0.0.1", self.port)
        await asyncio.wait([asyncio.create_task(one) for one in (pump(reader, there[1]), pump(there[0], writer))],
                           return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
        there[1].close()


async def pump(reader, writer):
    while data := await reader.read(4096):
        writer.write(data)
        await writer.drain()


@pytest.mark.slow
@pytest.mark.parametrize("runtime", EVERY)
def test_a_broker_that_speaks_nonsense_is_left_and_tried_again(tmp_path, runtime):
    made = make_certificates(tmp_path / "tls")
    broker = entrance.Broker(tmp_path / "broker").start()
    with Platform(tmp_path, *REGISTER, "--mqtt", f"mqtt://127.0.0.1:{broker.port}") as platform:
        front = Front(broker.port, nonsense(5))
        with Loop(front.handle, server_context(made)) as server:
            device = Device(runtime, tmp_path / "data", server.port, made["ca.der"], platform.public, 40,
                            patience=3)  # fmt: skip
            try:
                status = device.ended()
            finally:
                device.kill()
        assert not front.lies
        assert (status["backlog"], status["error"], status["stopped"]) == (0, "", False)
        assert held(platform) == logged(tmp_path / "data")
    broker.stop()
    print("\n".join(sorted({line for line in device.lines if line.startswith("error ")})))


@pytest.mark.slow
def test_a_broker_that_keeps_long_messages_gets_shorter_ones(tmp_path):
    entrance.certificates(tmp_path / "tls")
    broker = entrance.Broker(tmp_path / "broker", tmp_path / "tls", more=("message_size_limit 1000",)).start()
    with platform_on(broker, tmp_path) as platform:
        log = Log(Folder(str(tmp_path / "data")), "T1", 0, SIGNER)
        for n in range(60):
            log.append(1750000000000 + n, 3, entry.READINGS, [[[0, 0, 0, -2, n]], None])
        log.commit()
        log.storage.close()
        address = (tmp_path / "data", broker.port, tmp_path / "tls" / "ca.der", platform.public)
        device = Device("micropython", *address, 61, patience=3)
        status = device.ended()
        assert (status["backlog"], status["stopped"]) == (0, False)
        assert [line for line in device.lines if "but no answer came from the centre" in line]
        assert held(platform) == logged(tmp_path / "data")
    broker.stop()
