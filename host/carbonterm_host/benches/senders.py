"""What sends to a terminal on a bench, or shows it a current: simulated systems at its entrances, and ground truth.

Each is a thread beside the simulated meters. One value after the other, each with the time at which it was true; the
next one when this one is acknowledged, however long that takes (a terminal without power, a broker that passes it on),
so that ground truth has what must be in the log: [{"event": "sent", "meter", "point", "time_ms", "value", "by"}]. What
an OPC UA server and a database have is in benches.bridged.
"""

import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from decimal import Decimal

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from carbonterm import clock
from carbonterm.field import hj212, places
from carbonterm.field.hj212_roles import ACKNOWLEDGED, Logger, moment
from carbonterm_host.benches.entrances import HOST, LOOP, ODBC, OPC_UA, PASSWORD, TOKEN
from carbonterm_host.platform import keys

EVERY_S, AGAIN_S, ANSWER_S = 1.0, 0.2, 30
FULL, SPAN = 4000, "20"  # what a converter shows at 20 mA
CURRENTS = (800, 2400, 4000, 760, 720, 3210, 4100, 4200, 1601)  # 4, 12, 20, 3.8, 3.6, 16.05, 20.5, 21, 8.005 mA


class Sender(threading.Thread):
    """One meter of the site that sends. bench: benches.real.Real; bus, port: the site's bus and where it is. `stopping`
    is an event: after that it sends nothing new and ends when what it sent is acknowledged; `given_up`: at once."""

    by = None

    def __init__(self, bench, meter, bus, port, spoilt):
        super().__init__(daemon=True, name=meter.name)
        self.bench, self.meter, self.bus, self.port = bench, meter, bus, port
        site = bench.scenario.site
        self.points = [one for one in site.points if site.meters[one.meter].name == meter.name]
        self.folder = bench.folder / "senders" / meter.name
        self.folder.mkdir(parents=True)
        self.stopping, self.given_up = threading.Event(), threading.Event()
        self.spoilt = spoilt  # the row of a defect about this meter, or None
        self.count, self.first, self.last = 0, None, None
        self.failure = None

    def run(self):
        try:
            self.begin()
            while not self.given_up.is_set():
                self._next()  # once at least, however late it is
                if self.stopping.wait(EVERY_S):
                    self.finish()
                    return
        except Exception as error:  # told by who looks: the bench cannot go on without it
            self.failure = f"{self.meter.name}: {error}"
        finally:
            self.end()

    def _next(self):
        self.count += 1
        value = f"{1000 + self.count}.{self.count % 100:02d}"
        now = self.bench.now_ms() // 1000 * 1000 if self.by == places.HJ212 else self.bench.now_ms()
        does = self.spoilt and self.spoilt["does"]
        if not (does == "mute" and self.count % self.spoilt.get("every", 10) == 0):
            said = value[::-1] if does == "swap" else value
            self.send(now, [(one, said) for one in self.points])
        if self.given_up.is_set():
            return  # nobody knows whether it has come
        self.first = self.first or value
        self.last = value
        for one in self.points:
            self.bench.plant.truth.add({"event": "sent", "meter": self.meter.name, "point": one.name, "time_ms": now,
                                        "value": value, "by": self.by})  # fmt: skip

    def begin(self):
        """Before the first value."""

    def finish(self):
        """Until what was sent is with the terminal."""

    def end(self):
        """Lets go of everything."""

    def until(self, condition):
        """Until condition() is true; returns whether it is (it was given up otherwise)."""
        while not self.given_up.is_set():
            if condition():
                return True
            time.sleep(AGAIN_S)
        return False

    def persist(self, attempt):
        """Tries until attempt() does not raise OSError and is true."""

        def tried():
            try:
                return attempt()
            except (OSError, http.client.HTTPException):
                return False

        self.until(tried)


class Poster(Sender):
    """Posts to the terminal's HTTPS endpoint (docs/inbound.md)."""

    by = places.HTTPS

    def begin(self):
        self.context = ssl.create_default_context(cafile=str(self.bench.folder / "inbox" / "ca.pem"))
        self.connection = None

    def send(self, now_ms, rows):
        self.body = json.dumps({
            "source": self.meter.unit, "id": f"{self.meter.name}-{self.count}", "time": clock.text(now_ms, 480),
            "values": {point.address: value for point, value in rows},
        })  # fmt: skip
        self.persist(self._posted)

    def _posted(self):
        try:
            if self.connection is None:
                self.connection = http.client.HTTPSConnection(HOST, self.port, context=self.context, timeout=ANSWER_S)
            self.connection.request("POST", "/v1/readings", self.body, {"Authorization": f"Bearer {TOKEN}"})
            answer = self.connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException):
            self.end()
            raise
        if answer.status not in (200, 503):
            raise RuntimeError(f"the terminal answered {answer.status}: {said[:200]!r}")
        return answer.status == 200

    def end(self):
        if getattr(self, "connection", None):
            self.connection.close()
            self.connection = None


class Publisher(Sender):
    """Publishes with QoS 1 to a mosquitto of its own, to which the terminal subscribes."""

    by = places.MQTT

    def begin(self):
        import paho.mqtt.client as paho  # only who needs it pays for it

        binary = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
        if binary is None:
            raise RuntimeError("there is no broker: apt-get install mosquitto")
        (self.folder / "mosquitto.conf").write_text(f"listener {self.port} {HOST}\nallow_anonymous true\n")
        with open(self.folder / "mosquitto.log", "ab") as log:
            self.broker = subprocess.Popen([binary, "-c", self.folder / "mosquitto.conf"], stdout=log, stderr=log)
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=self.meter.name)
        self.persist(lambda: self.client.connect(HOST, self.port) == 0)
        self.client.loop_start()
        self.until(self._subscribed)  # from here on the broker keeps what the terminal has not got

    def _subscribed(self):
        rows = self.bench.status.get("inbound", ())
        return any(row["bus"] == self.bus.name and row["connected"] for row in rows)

    def send(self, now_ms, rows):
        document = {point.address.strip("/"): value for point, value in rows}
        told = self.client.publish(self.meter.unit, json.dumps({"ts": now_ms, **document}), qos=1)
        self.until(told.is_published)

    def finish(self):
        """The broker has it; the terminal has what its totals say."""
        totals = {one.name: str(Decimal(self.last) - Decimal(self.first)) for one in self.points} if self.last else {}
        if self.spoilt is None:
            self.until(lambda: totals.items() <= self._counted().items())

    def _counted(self):
        """{point: total} that the terminal says."""
        return {row[0]: row[2] for row in self.bench.status.get("points", ())}

    def end(self):
        if hasattr(self, "client"):
            self.client.disconnect()
            self.client.loop_stop()
        if hasattr(self, "broker"):
            self.broker.terminate()
            self.broker.wait(30)


class Station(Sender):
    """An HJ 212-2017 data logger: values of the moment (2011), each acknowledged."""

    by = places.HJ212
    socket = None

    def begin(self):
        self.logger = Logger(self.meter.unit, PASSWORD, "31", timeout_ms=ANSWER_S * 1000, resends=1000)
        self.decoder = hj212.Decoder()

    def send(self, now_ms, rows):
        items = [(point.address.partition("/")[2], value) for point, value in rows]
        self.logger.upload("2011", [[("DataTime", moment(now_ms))], *[
            [(name, value), (name.split("-")[0] + "-Flag", "N")] for name, value in items]], now_ms)  # fmt: skip
        self.persist(self._uploaded)

    def _uploaded(self):
        try:
            if self.socket is None:
                self.socket = socket.create_connection((HOST, self.port), ANSWER_S)
                self.logger._sent_ms = None  # a new connection: it is sent again at once
            for data in self.logger.poll(self.bench.now_ms()):
                self.socket.sendall(data)
            data = self.socket.recv(4096)
            if not data:
                raise ConnectionError("the terminal hung up")
        except OSError:
            self.end()
            raise
        return any([self.logger.receive(one, self.bench.now_ms()) == ACKNOWLEDGED for one in self.decoder.feed(data)])

    def end(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None


class Transmitter(Sender):
    """A converter's file with what a 4-20 mA loop shows, CURRENTS one after the other, each until it was read twice.
    Ground truth: {"event": "shown", "point", "time_ms", "value": quantity or None (NAMUR NE 43)}."""

    by = LOOP

    def __init__(self, *given):
        super().__init__(*given)
        source = self.bench.scenario.source
        self.rows = [row for row in source["points"] if row["meter"] == self.meter.name]
        self.path = self.bench.folder / "inputs" / self.meter.unit
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._show()  # a transmitter is there before the terminal

    def _show(self):
        number, now = CURRENTS[self.count % len(CURRENTS)], self.bench.now_ms()
        self.count += 1
        beside = self.path.with_name("beside")
        beside.write_text(f"{number + 7 if self.spoilt else number}\n")
        beside.replace(self.path)
        for row in self.rows:
            value = quantity(number, row["low"], row["high"])
            self.bench.plant.truth.add({"event": "shown", "meter": self.meter.name, "point": row["name"],
                                        "time_ms": now, "value": value, "by": self.by})  # fmt: skip

    def _next(self):
        self._show()
        shown_ms, seen = self.bench.now_ms(), []

        def read():
            """Whether rounds of reading ended of which the last began after this current was there."""
            status = self.bench.status
            rounds = [row["rounds"] for row in status.get("buses", ()) if row["bus"] == self.bus.name]
            if rounds and status["time_ms"] > shown_ms and (not seen or rounds[0] < seen[0]):
                seen[:] = rounds  # the first that is told, or the terminal has started again
            return seen and rounds and rounds[0] >= seen[0] + 2

        self.until(lambda: read() or self.stopping.is_set())


def quantity(number, low, high):
    """The text of what a current says, None where it is none: exact, by the straight line."""
    current = Decimal(number) * Decimal(SPAN) / FULL
    if not Decimal("3.8") <= current <= Decimal("20.5"):
        return None
    return str(((current - 4) / 16 * (Decimal(high) - Decimal(low)) + Decimal(low)).quantize(Decimal("1e-6")))


def certificates(folder):
    """The endpoint's, of a CA of its own in `folder`: {name in the terminal's data folder: bytes}."""
    paths = keys.make_certificates(folder)
    der = serialization.Encoding.DER
    key = serialization.load_pem_private_key(paths["server.key"].read_bytes(), None)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return {
        "inbox.crt": x509.load_pem_x509_certificate(paths["server.pem"].read_bytes()).public_bytes(der),
        "inbox.key": key.private_bytes(der, form, serialization.NoEncryption()),
    }


def make(bench, found, defect):
    """The Senders of a site; found: {bus: its place}. What the terminal needs of secrets is put into its folder."""
    from carbonterm_host.benches import bridged

    site, kinds = bench.scenario.site, {
        places.HTTPS: Poster, places.MQTT: Publisher, places.HJ212: Station, places.INPUTS: Transmitter,
        OPC_UA: bridged.Plant, ODBC: bridged.Database,
    }  # fmt: skip
    senders, stations = [], []
    for meter in site.meters:
        bus = site.buses[meter.bus]
        if bus.name in found:
            spoilt = defect if defect and defect.get("meter") == meter.name else None
            kind = kinds[bench.scenario.vias.get(meter.name, bus.kind)]
            senders.append(kind(bench, meter, bus, found[bus.name].get("port"), spoilt))
            stations += [f"{meter.unit} {PASSWORD}"] if bus.kind == places.HJ212 else []
    files = certificates(bench.folder / "inbox") if any(bus.kind == places.HTTPS for bus in site.buses) else {}
    if stations:
        files["stations.txt"] = "\n".join(stations).encode() + b"\n"
    for name, data in files.items():
        bench.subject.put(name, data)
    return senders
