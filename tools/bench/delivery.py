"""Delivery of entries from a terminal on MicroPython to the real platform: by MQTT over TLS through a real mosquitto
beside HTTPS, in one run; 1000 that have waited, in batches, and 100 that go one by one. Bytes are
those that a relay between terminal and server counts, of TCP's payload in both directions; time is from the first step
of delivery to the centre's last receipt, handshake and all.

The platform stores and signs the same in both; its start and the broker's are not counted.
"""

import contextlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from carbonterm.gm import sm2
from carbonterm.ledger import entry
from carbonterm.ledger.segment import Log
from carbonterm_device.storage import Folder
from tools.bench.measure import ROOT, Unavailable, child, command, rounds, row

POINTS, ROUNDS = 3, 3
SIGNER = sm2.Signer(bytes(31) + b"\x01")


def run():
    if not (shutil.which("mosquitto") or os.path.exists("/usr/sbin/mosquitto")):
        raise Unavailable("mosquitto is not installed: there is no broker to deliver over")
    sys.path[:0] = [str(ROOT / "tests/runtime/lib")]
    import entrance

    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        entrance.certificates(folder / "tls")
        broker = entrance.Broker(folder / "broker", folder / "tls").start()
        stack.callback(broker.stop)
        numbers = iter(range(1000))
        rows = []
        for what, entries, most in (("in batches", 1000, 0), ("one by one", 100, 1)):
            size = _log(folder / what, entries)
            seen = {"HTTPS": [], "MQTT": []}

            def over(way, seen=seen, log=folder / what, most=most):
                done = _delivered(folder, log, folder / str(next(numbers)), broker.port, way, most)
                seen[way].append(done)
                return done["ms"] / 1000

            found = rounds({way: lambda way=way, over=over: over(way) for way in seen}, ROUNDS, warm=0)
            least = {way: min(each, key=lambda one: one["bytes"]) for way, each in seen.items()}
            rows += _rows(f"{entries} entries of {POINTS} values {what}", found, least, size)
    return rows


def _rows(what, found, least, size):
    ours, theirs = found["MQTT"], found["HTTPS"]
    rows = [row(what + " by MQTT over TLS", ours.best, "s", "by HTTPS", theirs.best,
                ours.best / theirs.best)]  # fmt: skip
    for part, key, unit, scale in (
        ("bytes on the wire", "bytes", "KB", 1000), ("of them by the terminal", "sent", "KB", 1000),
        ("bytes on the wire for one in the log", "bytes", "", size), ("the terminal's CPU", "cpu", "s", 1),
        ("requests", "requests", "", 1),
    ):  # fmt: skip
        mine, other = least["MQTT"][key] / scale, least["HTTPS"][key] / scale
        rows.append(row(f"  {part}", mine, unit, "by HTTPS", other, mine / other))
    return rows


def _log(folder, entries):
    """A log of so many entries in `folder`; bytes of entries and fingerprints."""
    log = Log(Folder(str(folder)), "T1", 0, SIGNER)
    for n in range(entries):
        values = [[point, 0, 0, -2, 12345678 + 1000 * point + n] for point in range(POINTS)]
        log.append(1750000000000 + 60000 * n, 3, entry.READINGS, [values, bytes(32)])
    log.commit()
    log.checkpoint()
    size = sum(len(raw) + len(fingerprint) for raw, fingerprint in log.entries())
    log.storage.close()
    return size


def _delivered(folder, log, own, broker, way, most):
    """What the device says of one delivery to a new platform, with "bytes", "sent" and "cpu"; most: entries of a batch,
    0: as many as it takes."""
    from relay import Relay
    from serving import Platform

    shutil.copytree(log, own / "log")
    tls = folder / "tls"
    options = ("--register", f"T1:0:{SIGNER.public.hex()}", "--tls-cert", tls / "server.pem", "--tls-key",
               tls / "server.key", "--mqtt", f"mqtts://127.0.0.1:{broker}", "--mqtt-ca", tls / "ca.pem")  # fmt: skip
    with Platform(own, *options) as platform, Relay(broker if way == "MQTT" else platform.port) as relay:
        _heard(own / "platform.log")
        mqtt = ["carbonterm", None, None, None, 60] if way == "MQTT" else None
        start, env = command("micropython", "4M")
        arguments = (own / "log", relay.port, tls / "ca.der", platform.public.hex(), json.dumps(mqtt), most)
        done = child([*start, "tools/bench/device/deliver.py", *arguments], env=env)
        said = done.json()
    sent = sum(len(one) for one in relay.sent)
    if said["retries"]:
        raise RuntimeError(f"a request got no answer by {way}")
    return {**said, "cpu": done.cpu, "sent": sent, "bytes": sent + sum(len(one) for one in relay.answered)}


def _heard(log):
    """Waits until the platform listens on the broker's topics."""
    import entrance

    entrance.wait(lambda: "listening on" in log.read_text())


if __name__ == "__main__":
    for line in run():
        print(line)
