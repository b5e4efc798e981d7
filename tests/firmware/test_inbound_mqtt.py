"""Debian's mosquitto, the firmware on MicroPython, its log: QoS 0 and 1, login, TLS, the will, a broker and a terminal
that are killed."""

import json
import socket
import subprocess
import sys
import threading
import time

import pytest

import disks
import entrance
from carbonterm.field import mqtt
from carbonterm.ledger import room
from carbonterm_host import site_yaml
from carbonterm_host.firmware import Terminal

SITE = """\
terminal: CT-MQ-1
name: 入站
zone: "+08:00"
buses:
  - {name: broker, kind: mqtt, host: 127.0.0.1, port: PORT, keep_alive: 60s, state: plant/CT-MQ-1/state,
     client: CT-MQ-1MORE}
meters:
  - {name: hall, bus: broker, topic: plant/hall, time: /ts}
  - {name: plain, bus: broker, topic: plant/t}
  - {name: fast, bus: broker, topic: plant/fast, qos: 0}
points:
  - {name: E, meter: hall, pointer: /energy/total, unit: kWh, kind: register, every: 24h}
  - {name: P, meter: hall, pointer: /power/0, unit: kW, every: 24h}
  - {name: T, meter: plain, pointer: "", unit: °C, every: 24h}
  - {name: F, meter: fast, pointer: /v, unit: °C, every: 24h}
settings: {closings: [minute, hour, day], commit: 50ms}
"""


def terminal(folder, broker, more="", binary=None):
    document = SITE.replace("PORT", str(broker.port)).replace("MORE", more)
    return Terminal(folder / "terminal", site_yaml.compile_text(document, folder=folder).canonical(), binary=binary)


def listening(made):
    made.wait(lambda status: [one for one in status["inbound"] if one["connected"]])


def counted(made, **wanted):
    """Waits until the entrance's counters are so."""
    made.wait(lambda status: [one for one in status["inbound"] if all(one[k] >= n for k, n in wanted.items())])


@pytest.fixture
def broker(tmp_path):
    made = entrance.Broker(tmp_path / "broker").start()
    yield made
    made.stop()


def hall(moment, energy, power="[1.5]"):
    return f'{{"ts": {moment}, "energy": {{"total": {energy}}}, "power": {power}}}'


@pytest.mark.requirement("T-11.3-5")
@pytest.mark.slow
@pytest.mark.requirement("T-11.3-11", "P-6.2-2")
@pytest.mark.requirement("T-4-7", part="MQTT 3.1.1, from Debian's mosquitto")
@pytest.mark.requirement("T-6.3-2", part="values that a broker passes on are in the log")
@pytest.mark.parametrize("binary", [None, sys.executable], ids=["micropython", "cpython"])
def test_messages_of_a_broker_come_into_the_log(tmp_path, broker, binary):
    made = terminal(tmp_path, broker, binary=binary)
    broker.publish("plant/hall", hall(1, 1), "-r")  # retained, of 1970: suspect, and only once
    made.start()
    try:
        listening(made)
        entrance.wait(lambda: broker.hear("plant/CT-MQ-1/state") == "online")
        begin = time.time_ns() // 1000000 - 60000
        broker.publish("plant/hall", hall(begin, "1000.10"))
        broker.publish("plant/hall", hall(begin + 1000, '"1000.20"', "[null]"))
        broker.publish("plant/t", "21.50")
        broker.publish("plant/t", "no number")
        broker.publish("plant/t", "1" + " " * 20000)  # longer than is taken
        broker.publish("plant/t", "22")
        broker.publish("plant/hall", "{")
        broker.publish("plant/fast", json.dumps({"v": 3}), "-q", "0")
        counted(made, messages=8, refused=1)
        made.kill()
        entrance.wait(lambda: broker.hear("plant/CT-MQ-1/state") == "offline")
    finally:
        made.stop()
    found = entrance.rows(made, tmp_path / "log.bundle")
    assert [(row[0], *row[2:4]) for row in found] == [
        (0, 2, "1"), (1, 2, "1.5"), (0, 0, "1000.10"), (1, 0, "1.5"), (0, 0, "1000.20"), (1, 3, None), (2, 0, "21.50"),
        (2, 3, None), (2, 0, "22"), (0, 3, None), (1, 3, None), (3, 0, "3"),
    ]  # fmt: skip
    assert found[2][1] == begin and found[4][1] == begin + 1000


@pytest.mark.slow
def test_a_filter_takes_many_topics_for_one_meter(tmp_path, broker):
    text = SITE.replace("PORT", str(broker.port)).replace("MORE", "")
    text = text.replace("topic: plant/fast, qos: 0", 'topic: "gateway/+/+"').replace("/v, unit", "/boiler~1t/v, unit")
    more = "  - {name: G, meter: fast, pointer: /kiln~1power, unit: kW, every: 24h}"
    text = text.replace("settings:", f"{more}\nsettings:")
    made = Terminal(tmp_path / "terminal", site_yaml.compile_text(text, folder=tmp_path).canonical())
    made.start()
    try:
        listening(made)
        broker.publish("gateway/boiler/t", '{"v": 71.5}')
        broker.publish("gateway/kiln/power", "12")
        broker.publish("gateway/kiln/else", "13")
        broker.publish("gateway/kiln", "14")
        broker.publish("plant/t", "3")
        counted(made, messages=3, foreign=1)
    finally:
        made.stop()
    found = entrance.rows(made, tmp_path / "log.bundle")
    assert [(row[0], *row[2:4]) for row in found] == [(3, 0, "71.5"), (4, 0, "12"), (2, 0, "3")]


@pytest.mark.slow
@pytest.mark.requirement("T-6.3-2", part="MQTT over TLS with a login")
def test_over_tls_with_a_login(tmp_path):
    entrance.certificates(tmp_path / "tls")
    broker = entrance.Broker(tmp_path / "broker", tmp_path / "tls", "ct", "a secret").start()
    made = terminal(tmp_path, broker, ", ca: tls/ca.der, login: broker.login")
    made.start()
    try:
        made.wait(lambda status: "put it there" in status["inbound"][0]["reason"])
        (made.data / "broker.login").write_text("ct\nwrong\n")
        made.wait(lambda status: "correct the login" in status["inbound"][0]["reason"])
        (made.data / "broker.login").write_text("ct\na secret\n")
        listening(made)
        broker.publish("plant/t", "21.50")
        counted(made, messages=1)
    finally:
        made.stop()
        broker.stop()
    assert [row[2:4] for row in entrance.rows(made, tmp_path / "log.bundle")] == [(0, "21.50")]


@pytest.mark.slow
@pytest.mark.requirement("T-6.3-2", part="the broker or the terminal killed: each message of QoS 1 is there once")
def test_whoever_is_killed_each_message_is_there_once(tmp_path, broker):
    made = terminal(tmp_path, broker)
    made.start()
    sent = []

    def publish(count):
        for _ in range(count):
            sent.append(str(1000 + len(sent)))
            broker.publish("plant/hall", hall(begin + 1000 * len(sent), sent[-1]))

    begin = time.time_ns() // 1000000 - 3600000
    try:
        listening(made)
        for turn in range(6):
            publish(4)
            if turn % 3 == 2:
                broker.stop()
                made.wait(lambda status: not status["inbound"][0]["connected"])
                broker.start()
            else:
                made.kill()
                publish(3)  # they wait in the broker
                made.start()
            listening(made)
        wanted = len(sent)
        made.wait(lambda status: status["readings"] >= 2 * wanted)
    finally:
        made.stop()
    found = entrance.rows(made, tmp_path / "log.bundle")
    assert [row[3] for row in found if row[0] == 0] == sent and {row[2] for row in found} == {0}


class Liar(threading.Thread):
    """A listener that answers each connection with the next of `answers`: bytes behind CONNECT, then it waits for the
    other end to hang up, or hangs up itself where the bytes are empty."""

    def __init__(self, answers):
        super().__init__(daemon=True)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.answers = list(answers)
        self.heard = []

    def run(self):
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            with connection:
                self.heard.append(connection.recv(1000)[:1])
                answer = self.answers.pop(0) if self.answers else b""
                if answer:
                    try:
                        connection.sendall(answer)
                        while connection.recv(1000):
                            pass
                    except OSError:
                        pass


ACCEPTED = mqtt.connack() + mqtt.suback(1, [0, 1, 1])
NONSENSE = (
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", mqtt.pingresp()],
    [mqtt.connack(code=2), ACCEPTED + b"\xff" * 50, ACCEPTED + mqtt.connack()],
)


@pytest.mark.slow
@pytest.mark.parametrize("answers", NONSENSE)
def test_a_broker_that_speaks_nonsense_is_left_and_tried_again(tmp_path, answers):
    liar = Liar([*answers, mqtt.connack() + mqtt.suback(1, [0x80, 1, 1])])
    liar.start()
    made = terminal(tmp_path, liar)
    made.start()
    try:
        status = made.wait(lambda status: "refuses the topic" in status["inbound"][0]["reason"])
        assert status["inbound"][0]["connected"] and not status["errors"]
        assert liar.heard == [b"\x10"] * 4
    finally:
        made.stop()
        liar.server.close()


def test_a_broker_that_is_not_there_is_an_alarm(tmp_path):
    liar = Liar([])
    liar.server.close()
    made = terminal(tmp_path, liar)
    made.start()
    try:
        made.wait(lambda status: any(text == "broker: connection refused" for text in status["alarms"]))
    finally:
        made.stop()


@pytest.mark.slow
@pytest.mark.requirement("T-6.3-2", part="messages that a full storage did not take come again from the broker")
def test_a_storage_that_is_full_for_a_while(tmp_path, broker):
    made = terminal(tmp_path, broker)
    made.data.mkdir()
    tmpfs = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", made.data]
    done = subprocess.run(tmpfs, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    begin, sent = time.time_ns() // 1000000 - 3600000, []

    def publish(count):
        for _ in range(count):
            sent.append(str(1000 + len(sent)))
            broker.publish("plant/hall", hall(begin + 1000 * len(sent), sent[-1]))

    try:
        made.start()
        listening(made)
        publish(3)
        counted(made, messages=3)
        disks.fill(made.data / "ballast")
        publish(25)  # more than the broker sends without an answer
        made.wait(lambda status: status["inbound"][0]["lost"])
        storage = made.status()["storage"]  # a look at it may have come before the write that fails
        assert storage["failed"] or storage["step"] == room.CLOSED
        (made.data / "ballast").unlink()
        made.wait(lambda status: status["readings"] >= 2 * len(sent))
        made.stop()
        found = entrance.rows(made, tmp_path / "log.bundle")
    finally:
        made.stop()
        subprocess.run(["umount", "-l", made.data], check=True)
    assert [row[3] for row in found if row[0] == 0] == sent
