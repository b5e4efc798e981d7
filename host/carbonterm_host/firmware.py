"""The firmware as a child process: MicroPython's unix port (or CPython, for debugging) with a heap, a data folder and a
site document. Tests and the demo start, kill and stop terminals with it."""

import fcntl
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

from carbonterm_host import runtime


class Terminal:
    """A terminal in `folder` (data/, site.bin, status.json are in it). `heap`: MicroPython's -X heapsize.

    offset_ms: added to the machine's clock, for a simulated one. binary: the interpreter, default runtime.find().
    segment_size: of the log's files in bytes, default the terminal's. maintenance: with a socket for questions,
    maintenance.sock in `folder`.
    """

    def __init__(self, folder, document=None, heap="8M", offset_ms=0, binary=None, segment_size=None,
                 maintenance=False):  # fmt: skip
        self.folder = Path(folder)
        self.data = self.folder / "data"
        self.status_file = self.folder / "status.json"
        self.offset_ms = offset_ms
        self.options = ["--segment-size", str(segment_size)] if segment_size else []
        if maintenance:
            self.options += ["--maintenance", str(self.folder / "maintenance.sock")]
        binary = binary or runtime.find()
        if Path(binary) == Path(sys.executable):
            self.command = [binary, "-m", "carbonterm_device"]
            self.environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, runtime.packages()))}
        else:
            self.command = [binary, "-X", f"heapsize={heap}", "-m", "carbonterm_device"]
            self.environment = runtime.environment()
        self.process = None
        self.folder.mkdir(parents=True, exist_ok=True)
        if document is not None:
            self.configure(document)

    def configure(self, document):
        """Puts a canonical site document in place; it is taken at the next start."""
        (self.folder / "site.bin").write_bytes(document)

    def key(self):
        """(epoch, public key) of the terminal; the first call makes its key."""
        said = self.init()
        return said["epoch"], bytes.fromhex(said["public"])

    def init(self, **options):
        """What `--init` says, with options like terminal="T1", operator="op": epoch, public key, request (hex)."""
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        done = subprocess.run(
            [*self.command, "--data", self.data, "--init", "--entropy", "-", *words],
            input=secrets.token_hex(32) + "\n",
            env=self.environment, capture_output=True, text=True, timeout=60, umask=0o077,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"the terminal made no key:\n{done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def say(self, line):
        """A line to the terminal's console."""
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def rotate(self):
        """The console's "rotate": on with the next epoch and a new key."""
        self.say("rotate")

    def set_clock(self, offset_ms):
        """The console's "clock": the terminal's clock becomes the machine's and offset_ms, all at once."""
        self.say(f"clock {offset_ms}")

    def start(self):
        """Starts it; RuntimeError while another one runs in this folder: two writers of one log would fork it."""
        with open(self.folder / "lock", "ab") as lock, open(self.folder / "console.log", "ab") as log:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RuntimeError(f"another terminal runs in {self.folder}; stop it first") from None
            self.status_file.unlink(missing_ok=True)
            self.process = subprocess.Popen(
                [*self.command, "--data", self.data, "--site", self.folder / "site.bin", "--status", self.status_file,
                 "--console", "--clock-offset", str(self.offset_ms), *self.options],
                env=self.environment, stdin=subprocess.PIPE, stdout=log, stderr=log, umask=0o077,
                pass_fds=(lock.fileno(),),  # the lock is the child's, and ends with it
            )  # fmt: skip

    def status(self):
        """The last status the terminal wrote since its start; {} before the first."""
        try:
            return json.loads(self.status_file.read_text())
        except FileNotFoundError:
            return {}

    def wait(self, condition, seconds=120):
        """The first status for which condition(status) is true; RuntimeError if the terminal ends or time is up."""
        end = time.monotonic() + seconds
        while True:
            status = self.status()
            if status and condition(status):
                return status
            if self.process.poll() is not None:
                raise RuntimeError(f"the terminal ended with {self.process.returncode}:\n{self.console()[-3000:]}")
            if time.monotonic() > end:
                raise RuntimeError(f"not within {seconds} s; last status: {status}\n{self.console()[-3000:]}")
            time.sleep(0.02)

    def kill(self):
        """SIGKILL, as a power cut."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, seconds=120):
        """The console's "stop": last commit, delivery of what is left, exit. Returns the exit code."""
        if self.process.poll() is None:
            try:
                self.process.stdin.write(b"stop\n")
                self.process.stdin.close()
            except BrokenPipeError:
                return self.process.wait()
            try:
                return self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.returncode

    def console(self):
        """What the terminal printed, all starts together."""
        return (self.folder / "console.log").read_text(errors="replace")
