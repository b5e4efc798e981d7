"""An RP2040 that runs a real image of MicroPython, emulated by rp2040js; its USB serial is a pty.

    with Chip(parts(), folder) as chip:
        Remote(chip.port)

tools/rp2040 makes the parts. Nothing of MicroPython or of ours is simulated here.
"""

import os
import subprocess
import threading
import tty
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
BOARD = ROOT / "tests/runtime/chip/rp2040"
FLASH = 2 << 20
BY_HAND = "image supplied by hand: "  # how a reason to skip begins that tests/conftest.py lets pass
LIMIT = 300  # seconds for what may take long on a busy machine


class Missing(Exception):
    """The parts cannot be had on this machine, with the reason."""


@cache
def parts():
    """The folder of rp2040js, boot ROM and image; Missing, also where nobody asked for it: docs/testing.md."""
    if not os.environ.get("CARBONTERM_RP2_IMAGE"):
        raise Missing(BY_HAND + "CARBONTERM_RP2_IMAGE names none (docs/testing.md)")
    done = subprocess.run([ROOT / "tools/rp2040"], capture_output=True, text=True, timeout=2 * LIMIT)
    if done.returncode:
        raise Missing(f"{BY_HAND}{done.stderr.strip() or done.returncode}")
    return Path(done.stdout.strip())


class Chip:
    """The chip whose flash is `folder`/flash.bin, made empty where there is none. `port`: its USB serial."""

    def __init__(self, parts, folder):
        self.flash = Path(folder) / "flash.bin"
        if not self.flash.exists():
            self.flash.write_bytes(b"\xff" * FLASH)
        self._said, self._more = [], threading.Condition()
        master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        files = parts / "rp2040js", parts / "bootrom.bin", parts / "image.uf2", self.flash
        self._process = subprocess.Popen(
            ["node", ROOT / "tests/runtime/chip/rp2040.mjs", *files, str(master)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1,
            pass_fds=[master],
        )  # fmt: skip
        os.close(master)  # when the chip ends, so does its port
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait(LIMIT)
        self._reader.join(LIMIT)
        os.close(self._slave)

    def _read(self):
        for line in self._process.stdout:
            with self._more:
                self._said.append(line.strip())
                self._more.notify_all()

    def cut(self, number):
        """The power fails in the middle of the `number`th order to the flash from now: the chip ends, and its port."""
        self._process.stdin.write(f"cut {number}\n")

    def wait(self, line, times=1):
        """Waits until the chip has said `line` so often: "boot power-on", "boot watchdog", "cut"."""
        with self._more:
            assert self._more.wait_for(lambda: self._said.count(line) >= times, LIMIT), self._said

    def lies(self, partition):
        """What lies in a partition of the flash."""
        return self.flash.read_bytes()[partition.offset : partition.end]
