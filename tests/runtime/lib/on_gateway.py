"""What tests of a Linux gateway share: images of other versions, and a terminal that is started as systemd would."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from carbonterm.ledger import entry as entries
from carbonterm_host import bundles, site_yaml
from carbonterm_host.boards import gateway, image
from on_boards import MAKER
from shell import carbonterm

NAME = "linux-gateway"
PROGRAM = Path(sys.executable).parent / "carbonterm"
LONG_S = 120
SITE = """
terminal: G1
name: a gateway
zone: "+08:00"
buses: [{name: net, kind: modbus-tcp, host: 127.0.0.1, port: 9}]
meters: [{name: m1, bus: net, unit: 1, model: eastron-sdm630}]
points: [{name: P1, meter: m1, register: active_energy_import, every: 1s}]
settings: {closings: [hour], commit: 1s}
"""


def version(built, folder, number, text=None, signer=MAKER, path="carbonterm_device/__main__.mpy"):
    """A copy of the image that says it is version `number`; text: bytes of the module `path` instead of its own."""
    shutil.copytree(built, folder)
    manifest = json.loads((folder / image.MANIFEST).read_text())
    manifest["carbonterm"] = number
    if text is not None:
        files = image.unpacked((built / image.ROMFS).read_bytes())
        del files[path]
        files[path.replace(".mpy", ".py")] = text
        files = dict(sorted(files.items(), key=lambda row: row[0].split("/")))
        data = image.romfs([image.Module(*row) for row in files.items()])
        (folder / image.ROMFS).write_bytes(data)
        manifest["modules"] = [{"name": n, "size": len(d), "sm3": image.digest(d)} for n, d in files.items()]
        for row in manifest["files"]:
            if row["name"] == image.ROMFS:
                row.update(size=len(data), sm3=image.digest(data))
    raw = image.canonical(manifest)
    (folder / image.MANIFEST).write_bytes(raw)
    (folder / image.SIGNATURE).unlink()
    if signer:
        (folder / image.SIGNATURE).write_text(signer.public.hex() + "\n" + signer.sign(raw).hex() + "\n")
    return folder


class Gateway:
    """A terminal's data, and its firmware started as systemd would."""

    def __init__(self, folder, programs):
        self.data, self.site, self.status = folder / "data", folder / "site.bin", folder / "status"
        self.programs, self.process = programs, None
        yaml = folder / "site.yaml"
        yaml.write_text(SITE)
        self.site.write_bytes(site_yaml.compile_file(yaml).canonical())

    def arguments(self):
        return ["--data", str(self.data), "--site", str(self.site), "--status", str(self.status), "--console"]

    def provision(self):
        words, environment = gateway.command(self.programs, gateway.current(self.programs), [
            "--data", str(self.data), "--init", "--terminal", "G1", "--operator", "op.example"])  # fmt: skip
        subprocess.run(words, env=environment, check=True, capture_output=True, timeout=LONG_S)

    def start(self):
        self.status.unlink(missing_ok=True)
        words = [PROGRAM, "board", "start", "--folder", self.programs, "--", *self.arguments()]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.PIPE)

    def wait(self, condition):
        end = time.monotonic() + LONG_S
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.05)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=LONG_S)

    def ran(self):
        """One start that comes up, is believed, and ends well by SIGTERM, as systemd stops it."""
        self.start()
        self.wait(lambda: self.status.exists() and gateway.trial(self.programs) is None)
        self.stop()
        assert self.process.returncode == 0

    def failed(self):
        """One start that ends by itself; what it said."""
        self.start()
        return self.process.communicate(timeout=LONG_S)[1].decode()

    def entries(self, folder):
        assert carbonterm("pull", self.data, "-o", folder / "g.bundle")[0] == 0
        return [entries.decode(raw) for raw, _ in bundles.read(folder / "g.bundle").entries]


def digest(folder):
    """SHA-256 over names and bytes of all files of a folder."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        found.update(str(path.relative_to(folder)).encode() + b"\0" + (path.read_bytes() if path.is_file() else b""))
    return found.hexdigest()
