"""Delivery over Debian's mosquitto with TLS: the device on each runtime, the real platform behind the broker."""

import json
import subprocess

import pytest

import entrance
import runtimes
from carbonterm.gm import sm2
from carbonterm.ledger.segment import Log
from carbonterm_device.storage import Folder
from carbonterm_host.platform.store import Store
from serving import Platform

SIGNER = sm2.Signer(bytes(31) + b"\x01")
REGISTER = ("--register", f"T1:0:{SIGNER.public.hex()}")
EVERY = ("micropython", "micropython32", "cpython")


class Device:
    """tests/firmware/deliver.py as a process, over a broker: its log in `folder`, which also has the files of `way`."""

    def __init__(self, runtime, folder, port, ca, public, total=0, way=None, host="127.0.0.1", seed=1):
        try:
            command, environment = runtimes.command(runtime, heap="4M")
        except runtimes.Unavailable as reason:
            pytest.skip(str(reason))
        way = json.dumps(way or ["carbonterm", None, None, None, 5])
        arguments = (folder, host, port, ca, public.hex(), seed, total, way)
        self.folder, self.lines = folder, []
        self.process = subprocess.Popen(
            [*command, "tests/firmware/deliver.py", *map(str, arguments)],
            cwd=runtimes.ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1,
        )  # fmt: skip

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
        assert self.process.wait(60) == 0
        return status

    def kill(self):
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
