"""Data loggers of HJ 212 push into the firmware on MicroPython: 2017, 2025 with SM4, split, make-up data, a crash."""

import socket
import sys
import time

import pytest

import entrance
from carbonterm.field.hj212 import HOUR, MINUTE, REALTIME, Decoder
from carbonterm.field.hj212_roles import ACKNOWLEDGED, Logger, moment
from carbonterm.gm.sm4 import Cipher
from carbonterm_host import site_yaml
from carbonterm_host.firmware import Terminal

SITE = """\
terminal: CT-HJ-1
name: 烟气
zone: "+08:00"
buses:
  - {name: stacks, kind: hj212, host: 127.0.0.1, port: PORT, stations: stations.txt, version: "VERSION"}
meters:
  - {name: cems, bus: stacks, mn: "010000A8900016F000169DC0", model: hj212-cems}
points:
  - {name: CO2, meter: cems, register: co2, every: 24h}
  - {name: O2, meter: cems, register: o2, every: 24h}
  - {name: FLOW, meter: cems, item: a00000-Cou, window: minute, unit: m3, quantity: gas volume, every: 10min}
  - {name: CO2M, meter: cems, item: a05001-Avg, window: minute, every: 10min}
settings: {closings: [minute, hour, day], commit: 50ms}
"""


class Station:
    """A data logger in a socket of its own; `send` waits until everything is acknowledged."""

    def __init__(self, port, version="2017", key=None):
        self.port = port
        cipher = Cipher(bytes.fromhex(key)) if key else None
        self.logger = Logger(entrance.MN, "123456", "31", version, cipher=cipher)
        self.decoder = Decoder(cipher)
        self.socket = None

    def connect(self):
        def opened():
            s = socket.socket()
            if s.connect_ex(("127.0.0.1", self.port)):
                s.close()
                return None
            s.settimeout(120)
            return s

        self.socket = entrance.wait(opened)

    def now(self):
        return time.monotonic_ns() // 1000000

    def upload(self, command, when, *items, **how):
        """Queues data; items: (name, value, flag)."""
        rows = [[("DataTime", moment(when))]]
        rows += [[(name, value), (name.split("-")[0] + "-Flag", flag)] for name, value, flag in items]
        return self.logger.upload(command, rows, time.time_ns() // 1000000, **how)

    def send(self, patience=None):
        if self.socket is None:
            self.connect()
        acknowledged = 0
        while self.logger.waiting:
            for data in self.logger.poll(self.now()):
                for i in range(0, len(data), 100):  # in pieces, as the network likes
                    self.socket.sendall(data[i : i + 100])
            if patience is not None:
                self.socket.settimeout(patience)
            data = self.socket.recv(1000)
            assert data, "the terminal hung up"
            for packet in self.decoder.feed(data):
                if self.logger.receive(packet, self.now()) == ACKNOWLEDGED:
                    acknowledged += 1
        return acknowledged


def terminal(folder, port, version="2017", stations=f"{entrance.MN} 123456\n", binary=None):
    document = SITE.replace("PORT", str(port)).replace("VERSION", version)
    made = Terminal(folder / "terminal", site_yaml.compile_text(document).canonical(), binary=binary)
    made.data.mkdir()
    (made.data / "stations.txt").write_text("# 站点\n" + stations)
    return made


def day():
    """A round minute an hour ago, in the middle of whose hour nothing is late."""
    now = time.time_ns() // 1000000
    return now - now % 600000 - 3600000


@pytest.mark.slow
@pytest.mark.parametrize(
    "version,key,binary", [("2017", None, None), ("2025", entrance.KEY, None), ("2025", entrance.KEY, sys.executable)]
)
@pytest.mark.requirement("T-6.3-2", part="uploads of a CEMS by HJ 212 are durable before they are acknowledged")
def test_uploads_come_into_the_log_once(tmp_path, version, key, binary):
    port = entrance.free_port()
    made = terminal(tmp_path, port, version, f"{entrance.MN} 123456 {key or ''}\n", binary)
    made.start()
    begin = day()
    station = Station(port, version, key)
    try:
        co2 = [("a05001-Rtd", "200000.5", "N"), ("a19001-Rtd", "6.1", "D")]
        station.upload(REALTIME, begin, *co2)
        station.upload(MINUTE, begin, ("a00000-Cou", "120.25", "N"), ("a05001-Avg", "199000", "N"))
        station.upload(HOUR, begin, ("a05001-Avg", "1", "N"))  # no point wants it
        assert station.send() == 3
        station.upload(MINUTE, begin, ("a00000-Cou", "120.25", "N"), ("a05001-Avg", "199000", "N"), again=True)
        station.upload(MINUTE, begin, ("a00000-Cou", "999", "N"), again=True)  # another value for what is there
        station.upload(MINUTE, begin - 600000, ("a00000-Cou", "119", "N"), again=True)  # a hole is filled
        station.upload(REALTIME, begin + 30000, ("a05001-Rtd", "", "N"), ("a19001-Rtd", "-", "B"))
        assert station.send() == 4
        many = [(f"a{10000 + n}-Rtd", "12345.678", "N") for n in range(40)] + co2
        numbers = station.upload(REALTIME, begin + 60000, *many)
        assert len(numbers) > 1 and station.send() == len(numbers)
    finally:
        made.stop()
    found = [row[:4] for row in entrance.rows(made, tmp_path / "log.bundle")]
    assert found == [
        (0, begin, 0, "200000.5"), (1, begin, 2, "6.1"),
        (2, begin + 600000, 0, "120.25"), (3, begin + 600000, 0, "199000"),
        (2, begin + 600000, 2, "999"), (2, begin, 0, "119"),
        (0, begin + 30000, 3, None), (1, begin + 30000, 3, None),
        (0, begin + 60000, 0, "200000.5"), (1, begin + 60000, 2, "6.1"),
    ]  # fmt: skip


@pytest.mark.slow
def test_strangers_and_wrong_passwords_get_no_acknowledgement(tmp_path):
    port = entrance.free_port()
    made = terminal(tmp_path, port)
    made.start()
    try:
        for number, password in (("010000A8900016F000169DC1", "123456"), (entrance.MN, "654321")):
            station = Station(port)
            station.logger.mn, station.logger.pw = number, password
            station.upload(REALTIME, day(), ("a05001-Rtd", "1", "N"))
            with pytest.raises(TimeoutError):
                station.send(0.5)
        station.socket.sendall(b"\xff##0010" * 1000)
        status = made.wait(lambda status: status["inbound"][0]["refused"] >= 1)
        assert status["inbound"][0]["foreign"] == 1 and not status["errors"]
        good = Station(port)
        good.upload(REALTIME, day(), ("a05001-Rtd", "1", "N"))
        assert good.send() == 1
    finally:
        made.stop()
    assert len(entrance.rows(made, tmp_path / "log.bundle")) == 1


@pytest.mark.slow
def test_data_in_clear_from_a_station_with_a_key_are_refused(tmp_path):
    port = entrance.free_port()
    made = terminal(tmp_path, port, "2025", f"{entrance.MN} 123456 {entrance.KEY}\n")
    made.start()
    try:
        forged = Station(port, "2025")
        forged.upload(REALTIME, day(), ("a05001-Rtd", "1", "N"))
        with pytest.raises(TimeoutError):
            forged.send(0.5)
        made.wait(lambda status: status["inbound"][0]["refused"] == 1)
        good = Station(port, "2025", entrance.KEY)
        good.upload(REALTIME, day(), ("a05001-Rtd", "2", "N"))
        assert good.send() == 1
    finally:
        made.stop()
    assert [row[3] for row in entrance.rows(made, tmp_path / "log.bundle")] == ["2"]


@pytest.mark.slow
@pytest.mark.requirement("T-6.3-2", part="killed in the middle: what was acknowledged by HJ 212 is there once")
def test_killed_in_the_middle_nothing_acknowledged_is_lost(tmp_path):
    port = entrance.free_port()
    made = terminal(tmp_path, port)
    made.start()
    begin, sent = day(), 0
    station = Station(port)
    try:
        for turn in range(6):
            station.connect()
            for _ in range(5):
                station.upload(REALTIME, begin + 30000 * sent, ("a05001-Rtd", str(1000 + sent), "N"))
                sent += 1
            assert station.send() == (5 if turn == 0 else 6)
            station.upload(REALTIME, begin + 30000 * sent, ("a05001-Rtd", str(1000 + sent), "N"))
            sent += 1
            for data in station.logger.poll(station.now()):
                station.socket.sendall(data)
            time.sleep(0.003 * turn)
            made.kill()
            station.socket.close()
            station.logger._sent_ms = -1 << 40  # its time-out is over
            made.start()
        station.connect()
        assert station.send() == 1
    finally:
        made.stop()
    found = entrance.rows(made, tmp_path / "log.bundle")
    assert [(row[1] - begin, row[3]) for row in found] == [(30000 * n, str(1000 + n)) for n in range(sent)]
