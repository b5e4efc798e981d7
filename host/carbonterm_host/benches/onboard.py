"""A board on a bench, virtual or real: deployed, provisioned and read over its port, as an integrator does it.

Its lines are UARTs of board.toml. Behind a virtual board's are ptys of the simulated meters; of a real one the scenario
names the serial device of this computer that is on the same line, and the command that switches its power.
"""

import subprocess
import tempfile
from pathlib import Path

from carbonterm_host.benches import compare, process
from carbonterm_host.benches.console import Console
from carbonterm_host.benches.events import OPERATOR
from carbonterm_host.boards import board as boards
from carbonterm_host.boards import deploy, image, virtual
from carbonterm_host.boards import provision as provisioning
from carbonterm_host.boards.remote import Remote
from carbonterm_host.commands import pull
from carbonterm_host.screen import FINDING, UNREACHABLE, Failure

NAME = "bench"  # the operator who registers what stands on a bench
CLOCKS_MS = 1500  # a clock chip has whole seconds, and the word that sets it takes its way
STOP_S = 120
TORN_S = 30  # the next write has to come in this time


class Board:
    """What virtual and real boards share. `port()` names the serial port now."""

    clocks_ms = compare.CLOCKS_MS + CLOCKS_MS
    host = process.HOST
    watchdog = 0  # seconds of one that may bite while the prompt is used
    arch = None  # of the image's machine code, None: board.toml's
    _beside = 0  # bytes of the heap that are the simulation's

    def __init__(self, scenario, row, folder, offset_ms):
        self.board = boards.load(row["board"])
        self.row, self.folder = row, folder
        self.terminal_id = scenario.site.terminal_id
        self.offset_ms = self._set_ms = offset_ms
        self.about = {"name": row["name"], "kind": row["kind"], "board": self.board.name,
                      "simulated": row["kind"] == "virtual"}  # fmt: skip
        self.console = Console(self.port)

    # --- before it runs ----------------------------------------------------------------------------------------------

    def prepare(self):
        """(epoch, public key): an earlier bench's log goes, the image is deployed, the key made and registered."""
        made = self.row.get("image")
        if made is None:
            made = self.folder / "image"
            image.build(self.board.name, made, None, self.arch)
        with self._remote() as remote:
            self._empty(remote)
        with self._remote() as remote:
            deploy.deploy(remote, self.board, Path(made))
        with self._remote() as remote:
            provisioning.begin(remote)
            provisioning.set_time(remote, self.offset_ms)
            registration = provisioning.identify(remote, self.terminal_id, OPERATOR, NAME)
            self.about["simulated"] = self.about["simulated"] or remote.about["simulated"]
            self.about["runtime"] = f"MicroPython {remote.about['version']} {remote.about['arch']}"
        return provisioning.EPOCH, registration.public

    def _remote(self):
        return Remote(self.port(), self.watchdog)

    def _empty(self, remote):
        """Only what a bench has put onto a board is taken from it."""
        if remote.about["board"] is None:
            return
        provisioning.begin(remote)
        found = provisioning.state(remote)
        if found["terminal"] not in (None, self.terminal_id):
            raise Failure(
                FINDING, f"the board at {self.port()} is {found['terminal']}, which may be in service",
                "carbonterm board backup, then carbonterm board factory-reset; or name another port",
            )  # fmt: skip
        if found["key"]:
            provisioning.erase(remote)
        remote.restart()

    def place(self, bus):
        return self.row["lines"][bus.name]

    def device(self, name):
        return None

    def configure(self, document):
        with self._remote() as remote:
            provisioning.begin(remote)
            provisioning.set_time(remote, self.offset_ms)
            provisioning.configure(remote, document)

    # --- while it runs -----------------------------------------------------------------------------------------------

    def status(self):
        found = self.console.look()
        return {**found, "heap_peak": max(0, found["heap_peak"] - self._beside)} if found else {}

    def say(self, line):
        self.console.say(line)

    def set_clock(self, offset_ms):
        """The board's own clock stands at the bench's beginning; the word is of what is to be added."""
        self.say(f"clock {offset_ms - self._set_ms}")

    def crashes(self):
        return self.console.crashes()

    def said(self):
        return self.console.said[-3000:].decode(errors="replace")

    def stop(self, wait):
        self.say("stop")
        wait(lambda: self.console.look() is not None and self.console.ended, STOP_S)

    def pull(self, path):
        self.console.close()
        if not self.running:
            self.on()
        with tempfile.TemporaryDirectory() as folder, self._remote() as remote:
            provisioning.begin(remote)
            provisioning.fetch(remote, Path(folder))
            pull.to_file(Path(folder), path)

    def close(self):
        self.console.close()


class Virtual(Board):
    """carbonterm_host.boards.virtual, in the folder "board"; heap: bytes in the place of board.toml's while it runs."""

    def __init__(self, scenario, row, folder, offset_ms, heap=None):
        super().__init__(scenario, row, folder, offset_ms)
        self.chip = virtual.VirtualBoard(self.board, folder / "board", binary=row.get("micropython"))
        self._heap = heap
        self.arch = virtual.arch(self.chip.binary)
        self._beside = self.chip.beside
        self._entered = False

    def port(self):
        return self.chip.port

    def prepare(self):
        self.chip.__enter__()
        self._entered = True
        return super().prepare()

    def connect(self, lines):
        """{bus: pty} of the simulated meters; the UARTs are on them from the next start on."""
        for name, path in lines.items():
            self.chip.connect(self.row["lines"][name], path)

    def start(self):
        self.console.starts()
        self.chip.room = self._heap
        self.chip.reset()

    @property
    def running(self):
        return self._entered and self.chip.powered

    def on(self):
        self.console.starts()
        self.chip.power_on()

    def cut(self, torn=False):
        if torn:
            self.chip.cut(0, 1)  # half of the next write or erase
            try:
                self.chip.wait(lambda chip: not chip.powered, TORN_S)
            except RuntimeError as error:
                raise RuntimeError(f"the board wrote nothing: {error}") from None
        self.chip.power_off()
        self.console.close()

    def pull(self, path):
        self.chip.room = None
        super().pull(path)

    def close(self):
        super().close()
        if self._entered:
            self.chip.__exit__()
            self._entered = False


class Connected(Board):
    """A board at a serial port."""

    def __init__(self, scenario, row, folder, offset_ms):
        super().__init__(scenario, row, folder, offset_ms)
        self.watchdog = self.board.watchdog["seconds"]
        self.host = row.get("host", process.HOST)
        self.running = True

    def port(self):
        return self.row["port"]

    def connect(self, lines):
        """The lines are connected by hand."""

    def device(self, name):
        return self.row["devices"][name]

    def start(self):
        self.console.starts()
        with self._remote() as remote:
            remote.restart()

    def on(self):
        self.console.starts()
        self._switch("on")
        self.running = True

    def cut(self, torn=False):
        self.running = False
        self._switch("off")
        self.console.close()

    def _switch(self, to):
        words = [word.replace("{to}", to) for word in self.row["power"]]
        try:
            subprocess.run(words, check=True, capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.SubprocessError) as error:
            raise Failure(UNREACHABLE, f"the power of {self.row['name']} was not switched {to}: {error}",
                          "run the command of 'power' by hand") from None  # fmt: skip
