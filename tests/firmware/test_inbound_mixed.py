"""Entrances beside a bus that is asked, on one terminal: silence, a clock that is not set, a new key, the maintenance
socket, a thousand messages over Ethernet's TCP; and `carbonterm verify` of what came of it."""

import http.client
import json
import subprocess
import sys
import time

import pytest

import entrance
from carbonterm.clock import text
from carbonterm.gm import sm3
from carbonterm.ledger import entry as entries
from carbonterm_host import bundles, desk, site_yaml
from carbonterm_host.firmware import Terminal
from carbonterm_host.screen import Failure

SITE = """\
terminal: CT-IN-2
name: 入站
zone: "+08:00"
buses:
  - {name: inbox, kind: https, host: 127.0.0.1, port: PORT, certificate: inbox.crt, key: inbox.key}
  - {name: lan, kind: modbus-tcp, host: 127.0.0.1, port: 1}
  - {name: broker, kind: mqtt, host: 127.0.0.1, port: 1}
meters:
  - {name: scada, bus: inbox, source: scada-1, token: TOKEN}
  - {name: far, bus: lan, unit: 1, model: generic-gas-modbus}
  - {name: hall, bus: broker, topic: plant/hall}
points:
  - {name: E, meter: scada, key: E1, unit: kWh, kind: register, every: 1s}
  - {name: T, meter: scada, key: T, unit: °C, every: 24h}
  - {name: X, meter: far, register: flow, every: 1h}
  - {name: H, meter: hall, pointer: "", unit: °C, every: 24h}
settings: {closings: [hour, day], commit: 50ms}
"""


class Site:
    def __init__(self, folder, document=SITE, **how):
        self.port = entrance.free_port()
        self.folder = folder
        document = document.replace("PORT", str(self.port)).replace("TOKEN", sm3.digest(entrance.TOKEN.encode()).hex())
        entrance.certificates(folder)
        self.terminal = Terminal(folder / "terminal", site_yaml.compile_text(document).canonical(), **how)
        self.terminal.data.mkdir()
        for name, source in (("inbox.crt", "server.der"), ("inbox.key", "key.der")):
            (self.terminal.data / name).write_bytes((folder / source).read_bytes())
        self.terminal.start()
        self.connection = None

    def opens(self):
        context = entrance.client_context(self.folder)
        self.connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=120)
        try:
            self.connection.connect()
        except ConnectionRefusedError:
            return False
        return True

    def post(self, number, moment, **values):
        body = {"source": "scada-1", "id": f"m{number}", "time": text(moment), "values": values}
        headers = {"Authorization": f"Bearer {entrance.TOKEN}"}
        self.connection.request("POST", "/v1/readings", json.dumps(body), headers)
        response = self.connection.getresponse()
        return response.status, json.loads(response.read())

    def entrance(self, condition):
        return self.terminal.wait(lambda status: condition(status["inbound"][0]))

    def rows(self):
        return entrance.rows(self.terminal, self.folder / "log.bundle")


def now():
    return time.time_ns() // 1000000


@pytest.mark.slow
def test_silence_is_logged_and_a_person_can_watch(tmp_path):
    site = Site(tmp_path, maintenance=True)
    try:
        entrance.wait(site.opens)
        moment = now()
        assert site.post(1, moment, E1="100", T="20.5")[0] == 200
        status = site.terminal.wait(lambda status: status["readings"] >= 4 and status["inbound"][1]["reason"])
        assert [bus["bus"] for bus in status["buses"]] == ["lan"] and not status["errors"]
        assert [(one["bus"], one["connected"]) for one in status["inbound"]] == [("inbox", True), ("broker", False)]
        assert status["inbound"][1]["reason"] == "connection refused"
        with desk.Desk.at(site.terminal.folder / desk.SOCKET, "Li Lei", None, None) as asked:
            seen = {event["point"]: event["value"] for event in asked.ask({"do": "watch", "bus": "inbox"})}
            assert seen == {"E": "100", "T": "20.5"}
            (event,) = asked.ask({"do": "explain", "point": "T"})
            assert event["value"] == "20.5" and b"scada-1" in bytes.fromhex(event["raw"])
            with pytest.raises(Failure, match="nobody can be asked on bus 'inbox'"):
                list(asked.ask({"do": "scan", "bus": "inbox"}))
    finally:
        site.terminal.stop()
    rows = [row[:4] for row in site.rows()]
    assert [row for row in rows if row[3]] == [(0, moment, 0, "100"), (1, moment, 0, "20.5")]
    silent = [row for row in rows if row[0] == 0 and not row[3]]
    assert silent and {row[2:] for row in silent} == {(4, None)} and all(row[1] % 1000 == 0 for row in silent)
    done = subprocess.run(
        [sys.executable, "-m", "carbonterm_host", "verify", tmp_path / "log.bundle"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_nothing_is_taken_before_the_clock_is_set(tmp_path):
    site = Site(tmp_path, offset_ms=-now())
    try:
        site.terminal.wait(lambda status: status["clock"]["state"] == 0 and status["entries"] >= 3)
        assert not site.opens()
        site.terminal.set_clock(0)
        entrance.wait(site.opens)
        assert site.post(1, now(), E1="100")[0] == 200
    finally:
        site.terminal.stop()
    assert [row[2:4] for row in site.rows() if row[0] == 0 and row[3]] == [(0, "100")]


@pytest.mark.slow
def test_messages_of_the_epoch_before_are_known(tmp_path):
    site = Site(tmp_path)
    try:
        entrance.wait(site.opens)
        begin = now()
        assert site.post(1, begin, T="20") == (200, {"result": "stored"})
        site.terminal.rotate()
        site.terminal.wait(lambda status: status["epoch"] == 1)
        assert site.post(2, begin + 1, T="21") == (200, {"result": "stored"})
        site.terminal.kill()
        site.terminal.start()
        entrance.wait(site.opens)
        assert site.post(1, begin, T="20") == (200, {"result": "known"})
        assert site.post(2, begin + 1, T="21") == (200, {"result": "known"})
    finally:
        site.terminal.stop()
    assert [row[3] for row in site.rows() if row[0] == 1 and row[3]] == ["20", "21"]


@pytest.mark.slow
@pytest.mark.requirement("T-7.1-3", part="1000 messages over Ethernet's TCP and TLS, each stored once")
def test_a_thousand_messages(tmp_path):
    site = Site(tmp_path)
    try:
        entrance.wait(site.opens)
        begin = now() - 3600000
        for n in range(1000):
            assert site.post(n, begin + 1000 * n, T=f"{n}.25") == (200, {"result": "stored"})
        counters = site.entrance(lambda one: one["messages"] == 1000)["inbound"][0]
        assert [counters[name] for name in ("again", "foreign", "refused", "lost")] == [0, 0, 0, 0]
    finally:
        site.terminal.stop()
    values = [row for row in site.rows() if row[0] == 1 and row[3]]
    assert [row[1:4] for row in values] == [(begin + 1000 * n, 0, f"{n}.25") for n in range(1000)]


SOURCE = """\
sources:
  - name: electricity
    method: cn-2015-other-industry
    source: purchased_electricity
    parameters:
      AD: [E]
      EF: {value: "0.5", unit: tCO2/MWh, source: "test"}
settings:"""


@pytest.mark.slow
@pytest.mark.requirement("T-6.3-2", "T-11.3-12")
def test_from_messages_to_tonnes_and_back(tmp_path):
    accounted = SITE.replace("settings:", SOURCE).replace("kind: register, every: 1s", "kind: register, every: 10min")
    site = Site(tmp_path, accounted)
    sent = []
    try:
        entrance.wait(site.opens)
        hour = now() // 3600000 * 3600000
        moments = [hour - 3 * 3600000 + 600000 * n for n in range(19)]
        order = [0, 1, 2, 4, 3, 4, 5, 2, *range(6, 19), 0]  # 3 comes after 4: it is late
        for number, n in enumerate(order):
            status, answer = site.post(number, moments[n], E1=str(1000 + 10 * n))
            assert status == 200 and answer["result"] == ("known" if n in sent else "stored")
            sent.append(n)
        assert site.post(99, now(), E1="1180")[0] == 200
        status = site.terminal.wait(lambda status: status["points"] == [["E", "kWh", "180"]])
    finally:
        site.terminal.stop()
    assert status["sources"] == [["electricity", 2, "0.090000"]]
    rows = [row for row in site.rows() if row[0] == 0 and row[3]]  # no silence, should an interval end meanwhile
    late = [row for row in rows if row[2] == 2]
    assert len(rows) == 20 and [row[1] for row in late] == [moments[3]]
    bundle = tmp_path / "log.bundle"
    found = bundles.read(bundle)
    readings = [e for e in (entries.decode(raw) for raw, _ in found.entries) if e.kind == entries.READINGS]
    last = next(e for e in reversed(readings) if e.body[0][0][4] == 1180 and e.body[0][0][1] > -600000)
    assert -600000 < last.body[0][0][1] <= 0  # the time from its moment to its entry: within its interval
    start = moments[0] // 3600000 * 3600000
    done = subprocess.run(
        [sys.executable, "-m", "carbonterm_host", "trace", bundle, "--list", "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "electricity" in done.stdout
    seqs = [e.seq for e in (entries.decode(raw) for raw, _ in found.entries)
            if e.kind == entries.EMISSION and e.body[0] == 2 and e.body[1] == start]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "carbonterm_host", "trace", bundle, str(seqs[0]), "--all", "--json"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["ok"] and "scada-1" in done.stdout
    digest = sm3.digest(json.dumps(
        {"source": "scada-1", "id": "m1", "time": text(moments[1]), "values": {"E1": "1010"}}
    ).encode())  # fmt: skip
    assert digest.hex() in done.stdout
