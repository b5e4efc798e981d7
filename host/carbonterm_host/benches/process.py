"""What stands on a bench, as the runner (carbonterm_host.benches.real) sees it; here: the firmware as a process.

The interface, which benches.onboard has for boards: `prepare()` gives epoch and public key; `device(name)` of a bus
where this machine is on its line, None for a pty; `connect({bus: pty})`; `place(bus)` what the site document calls a
line; `configure(document)`; `start()`; `cut(torn)` and `on()` of its power; `running`; `status()`; `say(line)`;
`set_clock(offset)`; `stop(wait)`, where wait(condition, seconds) waits; `pull(path)`; `close()`; `said()` its last
words; `crashes()` why it restarted or ended of itself, texts. `about` says what board it is,
None: none; `clocks_ms` how far its clock may be from the bench's; `host` where it finds the bench.
"""

from carbonterm_host.benches import compare
from carbonterm_host.commands import pull
from carbonterm_host.firmware import Terminal

HEAP = "8M"
HOST = "127.0.0.1"


class Process:
    """A terminal as a process of this machine, in `folder`; offset_ms: of its clock to the machine's; heap: bytes."""

    clocks_ms = compare.CLOCKS_MS
    host = HOST

    def __init__(self, scenario, folder, offset_ms, heap=None):
        self.terminal = Terminal(
            folder / "terminal", heap=heap or scenario.board.get("heap", HEAP), offset_ms=offset_ms,
            segment_size=scenario.board.get("segment_size"),
        )  # fmt: skip
        self.about = None

    def prepare(self):
        return self.terminal.key()

    def place(self, bus):
        return bus.path

    def device(self, name):
        return None

    def connect(self, lines):
        """A process opens the ptys themselves."""

    def configure(self, document):
        self.terminal.configure(document)

    def put(self, name, data):
        """A secret into the terminal's data folder, for its entrances."""
        path = self.terminal.data / name
        path.touch(0o600)
        path.write_bytes(data)

    def start(self):
        self.terminal.start()

    on = start

    def cut(self, torn=False):
        self.terminal.kill()

    def stop(self, wait):
        self.terminal.stop()

    @property
    def running(self):
        return self.terminal.process is not None and self.terminal.process.poll() is None

    def status(self):
        return self.terminal.status()

    def say(self, line):
        self.terminal.say(line)

    def set_clock(self, offset_ms):
        self.terminal.set_clock(offset_ms)

    def crashes(self):
        """The process is not started again: who looks sees that it does not run."""
        return []

    def said(self):
        return self.terminal.console()[-3000:]

    def pull(self, path):
        pull.to_file(self.terminal.data, path)

    def close(self):
        if self.running:
            self.terminal.kill()
