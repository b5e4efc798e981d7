"""A whole small plant for tests on CPython: meters, a platform that knows one operator, and registered terminals that
run the firmware on MicroPython."""

import json
import ssl
from pathlib import Path

import httpx

from carbonterm_host import site_yaml
from carbonterm_host.commands import pull
from carbonterm_host.firmware import Terminal
from carbonterm_host.platform import keys as platform_keys
from carbonterm_host.simulate.site import six_meters
from serving import Platform, get
from shell import carbonterm

POINTS = (
    ("E1", "em-1", "active_energy_import"), ("E2", "em-2", "active_energy_import"), ("G1", "gas-1", "volume"),
    ("H1", "heat-1", "heat_float"),
)  # fmt: skip


class Station:
    """Context manager in an empty `folder`. `url`, `public` (of the platform), `ca` (PEM), `operator` (public, hex),
    `key` (file of the operator's key), `platform` (serving.Platform). every: how often the meters are read;
    meters=False: there are none."""

    def __init__(self, folder, every="200ms", meters=True):
        self.folder, self.every = folder, every
        self.plant = six_meters(7, speed=60, path=str(folder / "line.tty")) if meters else None
        self.terminals = []

    def __enter__(self):
        made = platform_keys.make_certificates(self.folder)
        self.key, self.ca = self.folder / "op.key", made["ca.pem"]
        said = carbonterm("key", "operator", "op.example", "-o", self.key, "--json")[1]
        self.operator = json.loads(said)["public_key"]
        options = ("--operator", f"op.example:{self.operator}")
        options += ("--tls-cert", made["server.pem"], "--tls-key", made["server.key"])
        self.platform = Platform(self.folder, *options).start()
        self.url, self.public = self.platform.url, self.platform.public
        if self.plant:
            self.plant.start()
        return self

    def __exit__(self, *_):
        for one in self.terminals:
            if one.process and one.process.poll() is None:
                one.kill()
        if self.plant:
            self.plant.stop()
        if self.platform.process.poll() is None:
            self.platform.kill()

    def terminal(self, name="T1", folder=None, offset_ms=0):
        """A Terminal in folder/<folder or name>, configured, not registered."""
        one = Terminal(self.folder / (folder or name), offset_ms=offset_ms)
        one.name = name
        file = self.folder / f"{folder or name}.yaml"
        file.write_text(self._yaml(name))
        one.configure(site_yaml.compile_file(file).canonical())
        self.terminals.append(one)
        return one

    def registered(self, *args, epoch=0, previous=None, **more):
        """As `terminal`, with a key that the operator signed for and the platform knows."""
        one = self.terminal(*args, **more)
        options = {"epoch": epoch, "previous": previous} if previous else {}
        one.init(terminal=one.name, operator="op.example", **options)
        file = one.data / f"{epoch:05}.reg"
        done = carbonterm("key", "register", file, "--operator-key", self.key, "--platform", self.url, "--ca", self.ca,
                          "-o", file)  # fmt: skip
        if done[0]:
            raise RuntimeError(done)
        return one

    def receipt(self, name="T1", epoch=0):
        """The platform's newest Receipt for an epoch."""
        with httpx.Client(verify=ssl.create_default_context(cafile=self.ca)) as client:
            return get(self.platform, name, epoch, client)[1]

    def pulled(self, terminal):
        """Path of the bundle of a terminal's folder."""
        file = terminal.folder / "log.bundle"
        pull.to_file(terminal.data, file)
        return file

    def verify(self, file, *more):
        """(exit code, report) of `carbonterm verify`."""
        code, out, err = carbonterm("verify", file, "--json", "--backend", "openssl", *more)
        return code, json.loads(out) if out else err

    def _yaml(self, name):
        lines = [f"terminal: {name}", "name: x", 'zone: "+08:00"']
        buses = [bus for bus in (self.plant.buses if self.plant else ()) if bus.describe()["kind"] == "modbus-tcp"]
        meters = [(bus.name, meter) for bus in buses for meter in bus.meters.values()]
        names = [meter.name for _, meter in meters]
        lines.append("buses:" if buses else "buses: []")
        for row in (bus.describe() for bus in buses):
            lines.append(f"  - {{name: {row['bus']}, kind: modbus-tcp, timeout: 10s, "
                         f"host: {row['address']}, port: {row['port']}}}")  # fmt: skip
        lines.append("meters:" if meters else "meters: []")
        lines += [f"  - {{name: {m.name}, bus: {bus}, unit: {m.unit}, model: {m.model['id']}}}" for bus, m in meters]
        lines.append("points:" if meters else "points: []")
        lines += [f"  - {{name: {p}, meter: {m}, register: {r}, every: {self.every}}}" for p, m, r in POINTS
                  if m in names]  # fmt: skip
        lines.append("settings: {closings: [minute, hour, day], commit: 50ms}")
        lines.append(f'centres: [{{name: platform, url: "{self.url}", ca: ca.der, public: "{self.public.hex()}"}}]')
        return "\n".join(lines)


def patient(one):
    """The Terminal `one`, which from now on waits two minutes at its start for the centres' word."""
    one.command[-2:] = [str(Path(__file__).parents[2] / "firmware/patient.py")]
    return one


def delivered(epoch, entries=1):
    """Condition for Terminal.wait: everything of the epoch, at least `entries`, is at every centre."""
    return lambda status: status["epoch"] == epoch and status["entries"] >= entries and all(
        row["epoch"] == epoch and row["backlog"] == 0 and row["cursor"] for row in status["centres"]
    )
