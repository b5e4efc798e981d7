"""The ThingsBoard IoT gateway from PyPI in a virtual environment of its own, polling Modbus TCP devices into SQLite.

Each device is one range of registers that it reads in requests of 100, the fewest it can: with one tag for each value
it would send one request for each. It stores nothing before an MQTT server has greeted it, so mosquitto does, and is
ended then: what is read stays in the SQLite store.
"""

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from tools.bench.measure import ROOT, Unavailable

# the gateway wants exactly this pymodbus, and would install it at its first start
WANTED = ("thingsboard-gateway==3.8.5", "pymodbus==3.9.2", "pyserial==3.5", "pyserial-asyncio==0.6")
SETTINGS = {
    "thingsboard": {
        "host": "127.0.0.1", "port": None, "remoteShell": False, "remoteConfiguration": False,
        "statistics": {"enable": False}, "deviceFiltering": {"enable": False}, "handleDeviceRenaming": True,
        "checkingDeviceActivity": {"checkDeviceInactivity": False}, "qos": 1,
        "security": {"type": "accessToken", "accessToken": "bench"}, "reportStrategy": {"type": "ON_RECEIVED"},
    },
    "storage": {"type": "sqlite", "data_file_path": "./data/"},
    "grpc": {"enabled": False},
    "connectors": [{"type": "modbus", "name": "modbus", "configuration": "modbus.json"}],
}  # fmt: skip
LOGS = {"version": 1, "disable_existing_loggers": False, "root": {"level": "WARNING", "handlers": []}, "loggers": {}}


def environment():
    """Folder of the virtual environment, made where it is not there; Unavailable with what pip said."""
    folder = ROOT / "build" / "thingsboard"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        done = subprocess.run([folder / "bin/pip", "install", "-q", *WANTED], capture_output=True, text=True)
        if done.returncode:
            raise Unavailable("pip can't install the ThingsBoard gateway: " + done.stderr.strip()[-300:])
        (folder / "ready").touch()
    return folder


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Gateway:
    """The gateway as a process in `folder`; units: of the devices at (127.0.0.1, port), values: 32 bit each."""

    def __init__(self, folder, port, units, values, period_ms):
        python = environment() / "bin/python"
        broker = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        if broker is None:
            raise Unavailable("the ThingsBoard gateway waits for an MQTT server: apt-get install mosquitto")
        self.folder = Path(folder)
        config = self.folder / "config"
        config.mkdir(parents=True)
        slaves = [
            {
                "host": "127.0.0.1", "port": port, "type": "tcp", "method": "socket", "unitId": unit,
                "deviceName": f"M{unit}", "timeout": 5, "byteOrder": "BIG", "wordOrder": "BIG", "retries": 1,
                "pollPeriod": period_ms, "attributes": [], "attributeUpdates": [], "rpc": [],
                "timeseries": [{
                    "tag": "P${address}", "type": "32uint", "functionCode": 3, "objectsCount": 2, "divider": 10,
                    "address": f"0-{2 * values - 1}", "maxRegistersPerRequest": 100,
                }],
            }
            for unit in units
        ]  # fmt: skip
        mqtt = free_port()
        settings = {**SETTINGS, "thingsboard": {**SETTINGS["thingsboard"], "port": mqtt}}
        for name, content in (("tb_gateway", settings), ("modbus", {"master": {"slaves": slaves}}), ("logs", LOGS)):
            (config / f"{name}.json").write_text(json.dumps(content))
        (config / "mosquitto.conf").write_text(f"listener {mqtt} 127.0.0.1\nallow_anonymous true\n")
        with open(self.folder / "said", "wb") as said:
            server = subprocess.Popen([broker, "-c", config / "mosquitto.conf"], stdout=said, stderr=said)
            self.process = subprocess.Popen(
                [python, "-c", "from thingsboard_gateway.tb_gateway import daemon; daemon()"], cwd=self.folder,
                env={**os.environ, "TB_GW_CONFIG_DIR": str(config)}, stdout=said, stderr=said,
            )  # fmt: skip
        try:
            self._wait(lambda: self.stored() > 0)
        finally:
            server.terminate()
            server.wait()

    def _wait(self, condition, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end or self.process.poll() is not None:
                self.stop()
                said = (self.folder / "said").read_text()[-2000:]
                raise RuntimeError("the ThingsBoard gateway stores nothing:\n" + said)
            time.sleep(0.2)

    def stored(self):
        """Values in its store."""
        count = 0
        for file in (self.folder / "data").glob("*.db"):
            database = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
            for (message,) in database.execute("SELECT message FROM messages"):
                count += sum(len(row["values"]) for row in json.loads(message)["telemetry"])
            database.close()
        return count

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
