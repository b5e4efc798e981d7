"""A virtual board: the real MicroPython (unix port) on a pty, with a chip around it that is simulated.

MicroPython, its raw REPL, asyncio, littlefs and ROMFS are the real ones, and so is the mpremote that talks to the port;
simulated are the flash (a file of board.toml's geometry, with the rules of NOR), UARTs (devices that the caller names),
clocks, network interfaces, watchdog, reset and power. What the chip's modules do is in boards/simulated.

    with VirtualBoard(boards.load("esp32-s3-n8r2"), folder) as board:
        … board.port is the device for mpremote …

The folder keeps flash.bin and chip.json (identifier, clock chip) from one start to the next, as a board does.
"""

import contextlib
import fcntl
import json
import os
import re
import secrets
import select
import signal
import subprocess
import termios
import threading
import time
import tty
from pathlib import Path

from carbonterm_host import runtime
from carbonterm_host.boards.remote import ARCHITECTURES
from carbonterm_host.screen import USAGE, Failure

START = Path(__file__).parent / "simulated" / "start.py"
EPOCH_2000 = 946684800
POWER_ON, PIN, WATCHDOG, SOFTWARE = 1, 2, 3, 5  # reset causes, as machine has them
_MODULES = 40 << 10  # bytes that the simulated chip takes: 36 KB when it is up, the rest as it is used
_STATUS = re.compile(rb"status (\{.*\})\r?\n")
_AGAIN_S = 5
_WAIT_S = 1.0  # so long output waits for who reads the port; then nobody does
_RAW, _FRIENDLY = b"raw REPL; CTRL-B to exit\r\n", b'Type "help()"'
_LFLAG, _CC = 3, 6


def arch(binary=None):
    """The architecture of machine code that the interpreter takes: what an image for a virtual board is built for."""
    code = "import sys; print(sys.implementation._mpy >> 10)"
    said = subprocess.run([binary or runtime.find(), "-c", code], capture_output=True, text=True, timeout=30)
    return ARCHITECTURES[int(said.stdout)]


class VirtualBoard:
    """`board`: a Board that is no Linux one. uarts: {name of board.toml: device}, of lines that something is on.

    binary: the interpreter, default runtime.find(). On 64 bits the heap is half as large again as board.toml's, since
    pointers are twice as wide; `beside` comes on top: the copy of the ROMFS, which a chip has in its address space, and
    the modules that stand for the chip.
    """

    def __init__(self, board, folder, uarts=None, binary=None):
        if board.family == "unix":
            raise Failure(USAGE, f"{board.name} is a computer, not a microcontroller", "carbonterm demo")
        self.board = board
        self.folder = Path(folder).resolve()
        self.binary = binary or runtime.find()
        self.port = None
        self.starts = 0  # of MicroPython
        self.resets = []  # causes of the hard ones
        self.room = None  # bytes of the heap from the next start on, None: by board.toml
        self.said = bytearray()  # the last of what it has said, for tests and people
        self._uarts = dict(uarts or {})
        self._lock = threading.RLock()
        self._process = None
        self._inner = self._inner_slave = self._master = self._slave = None
        self._raw = False
        self._held = bytearray()
        self._clock_ns = None
        self._thread = None
        self._ended = False
        self._watch = self._due = None
        unknown = set(self._uarts) - {row["name"] for row in board.uarts}
        if unknown:
            raise Failure(USAGE, f"{board.name} has no UART {sorted(unknown)[0]}", "board.toml names those there are")

    # --- the board as a thing -------------------------------------------------------------------------------------

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self._file = open(self.folder / "lock", "ab")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise Failure(USAGE, f"another virtual board runs in {self.folder}", "stop it, or name another") from None
        flash = self.folder / "flash.bin"
        if not flash.exists():
            flash.write_bytes(b"\xff" * self.board.memory["flash"])
        if flash.stat().st_size != self.board.memory["flash"]:
            raise Failure(USAGE, f"{flash} is the flash of another board", "name another folder")
        if not (self.folder / "chip.json").exists():
            self._keep({"id": secrets.token_hex(6), "ds3231_ns": None})
        for name in ("wire", "cut"):
            (self.folder / name).unlink(missing_ok=True)
        os.mkfifo(self.folder / "wire")
        self._wire = os.open(self.folder / "wire", os.O_RDWR | os.O_NONBLOCK)
        self._wired = b""
        self._wake = os.pipe()
        self.plug()
        self.power_on()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended = True
        os.write(self._wake[1], b"x")
        self._thread.join(10)
        self.power_off()
        self.unplug()
        for number in (self._wire, *self._wake):
            os.close(number)
        self._file.close()

    def plug(self):
        """Connects the cable: `port` is a device again, a new one."""
        with self._lock:
            self._master, self._slave = os.openpty()
            tty.setraw(self._slave)
            os.set_blocking(self._master, False)
            self.port = os.ttyname(self._slave)
        self._stir()

    def unplug(self):
        """Pulls the cable out: the device vanishes, who has it open gets EIO. The board goes on."""
        with self._lock:
            if self._master is not None:
                os.close(self._master)
                os.close(self._slave)
                self._master = self._slave = self.port = None
                self._held.clear()
        self._stir()

    def power_on(self):
        with self._lock:
            if self._process is None:
                self._clock_ns = None
                self._raw = False
                self._start(POWER_ON)

    def power_off(self):
        """Takes the power away, in the middle of whatever the board does. Its own clock is lost."""
        with self._lock:
            self._kill()
            self._held.clear()
            self._clock_ns = None

    def reset(self, cause=PIN):
        """The reset pin."""
        with self._lock:
            self._kill()
            self._raw = False
            self._start(cause)

    def hang(self):
        """The program goes no further, interrupts and all, until the watchdog bites or somebody resets the board."""
        with self._lock:
            self._process.send_signal(signal.SIGSTOP)

    def cut(self, after, part=0):
        """The power fails in the write or erase number `after` from now on (0: the next one), when `part` halves of it
        are done: 0, 1, 2. power_on() ends that."""
        draft = self.folder / "cut.new"
        draft.write_text(f"{after} {part}")
        os.replace(draft, self.folder / "cut")

    def lose_clock(self, chip_too=True):
        """The clock's battery is empty: both clocks are lost at the next start."""
        with self._lock:
            self._clock_ns = None
            if chip_too:
                self._keep({**self._kept(), "ds3231_ns": None})

    def network(self, up):
        """The network's cable, or its access point."""
        path = self.folder / "network-down"
        path.unlink(missing_ok=True) if up else path.touch()

    def connect(self, name, device):
        """What is on the line of the UART `name` from the next start on: a device, or None."""
        self._uarts[name] = device

    @property
    def powered(self):
        with self._lock:
            return self._process is not None

    def wait(self, condition, seconds=120):
        """Until condition(self) is true; RuntimeError with what it said last where that takes too long."""
        end = time.monotonic() + seconds
        while not condition(self):
            if time.monotonic() > end:
                said = bytes(self.said[-2000:]).decode(errors="replace")
                raise RuntimeError(f"not within {seconds} s; it said: {said}")
            time.sleep(0.02)

    def status(self):
        """The status of the firmware that runs, asked for at the port, which nobody else may have open."""
        del self.said[:]
        number = os.open(self.port, os.O_RDWR | os.O_NOCTTY)
        asked = [0]

        def answered(board):
            if time.monotonic() > asked[-1] + _AGAIN_S:  # a start hears nothing
                asked.append(time.monotonic())
                os.write(number, b"status\n")
            return _STATUS.search(board.said)

        try:
            self.wait(answered)
        finally:
            os.close(number)
        return json.loads(_STATUS.search(self.said)[1])

    # --- what is in it --------------------------------------------------------------------------------------------

    def _kept(self):
        return json.loads((self.folder / "chip.json").read_text())

    def _keep(self, row):
        draft = self.folder / "chip.json.new"
        draft.write_text(json.dumps(row))
        os.replace(draft, self.folder / "chip.json")

    def heap(self):
        """Bytes for -X heapsize."""
        return (self.room or self.board.memory["heap"] * (3 if self._wide() else 2) // 2) + self.beside

    @property
    def beside(self):
        """Bytes of the heap that a chip does not spend."""
        room = self.board.partition("romfs")
        return _MODULES + (room.size if room else 0)

    def _wide(self):
        if not hasattr(self, "_is_wide"):
            said = subprocess.run([self.binary, "-c", "import sys; print(sys.maxsize > 1 << 32)"],
                                  capture_output=True, text=True, timeout=30)  # fmt: skip
            self._is_wide = "True" in said.stdout
        return self._is_wide

    def _start(self, cause):
        board, kept = self.board, self._kept()
        if board.family == "rp2":  # it resets itself by its watchdog, and does not tell its pin from its power
            cause = {SOFTWARE: WATCHDOG, PIN: POWER_ON}.get(cause, cause)
        if self._clock_ns is None:
            zero = EPOCH_2000 + (0 if board.family != "rp2" else 21 * 365 * 86400 + 6 * 86400)
            self._clock_ns = zero * 10**9 - time.time_ns()
        numbers = {row["name"]: row["id"] for row in board.uarts}
        types = {"app": 0, "data": 1}
        state = {
            "name": board.name, "folder": str(self.folder), "family": board.family, "chip": board.chip,
            "block": board.flash["block"], "size": board.memory["flash"],
            "partitions": [[one.name, one.offset, one.size, types.get(one.type, 1)] for one in board.partitions],
            "uarts": {str(numbers[name]): device for name, device in self._uarts.items() if device},
            "id": kept["id"], "cause": cause, "clock_ns": self._clock_ns, "ds3231_ns": kept["ds3231_ns"],
            "ds3231": board.rtc["kind"] == "ds3231", "epoch": 0 if board.family == "rp2" else EPOCH_2000,
            "raw": self._raw,
        }  # fmt: skip
        (self.folder / "state.json").write_text(json.dumps(state))
        self._inner, self._inner_slave = os.openpty()
        tty.setraw(self._inner_slave)
        row = termios.tcgetattr(self._inner_slave)
        row[_LFLAG] |= termios.ISIG
        for key in (termios.VQUIT, termios.VSUSP):
            row[_CC][key] = b"\0"
        termios.tcsetattr(self._inner_slave, termios.TCSANOW, row)
        os.set_blocking(self._inner, False)
        device = self._inner_slave
        self._process = subprocess.Popen(
            [self.binary, "-X", f"heapsize={self.heap()}", "-i", str(START), str(self.folder / "state.json")],
            stdin=device, stdout=device, stderr=device, start_new_session=True, umask=0o077,
            env={**os.environ, "MICROPYPATH": ".frozen"}, cwd="/",
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        self.starts += 1
        self._interrupted = None
        self._prompted = not self._raw
        self._tail = b""
        self._ready = False
        self._watch = self._due = None

    def _kill(self):
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process = None
        os.close(self._inner)
        os.close(self._inner_slave)
        self._inner = self._inner_slave = None

    # --- bytes to and fro -----------------------------------------------------------------------------------------

    def _stir(self):
        if self._thread is not None:
            os.write(self._wake[1], b".")

    def _run(self):
        while not self._ended:
            with self._lock:
                ends = [one for one in (self._master, self._inner, self._wire, self._wake[0]) if one is not None]
                if len(self._held) > 4096 and self._master is not None:
                    ends.remove(self._master)
            try:
                ready = select.select(ends, [], [], 0.005 if self._held else 0.05)[0]
            except (OSError, ValueError):
                continue  # one of them was closed meanwhile
            with self._lock:
                self._turn(ready)

    def _turn(self, ready):
        if self._wake[0] in ready:
            os.read(self._wake[0], 64)
        if self._master is not None and self._master in ready:
            with contextlib.suppress(OSError):
                self._held += os.read(self._master, 4096)
        if self._inner is not None and self._inner in ready:
            self._output()
        if self._wire in ready:
            self._obey()
        if self._process is not None and self._process.poll() is not None:
            self._output()
            self._soft_reset()
        if self._due is not None and time.monotonic() > self._due:
            self.resets.append(WATCHDOG)
            self._say(b"\r\nsimulated: the watchdog bites\r\n")
            self.reset(WATCHDOG)
        if self._held and self._inner is not None:
            self._input()

    def _at_prompt(self):
        """MicroPython has its terminal raw while it waits at the prompt, and takes signals while it runs."""
        return not termios.tcgetattr(self._inner_slave)[_LFLAG] & termios.ISIG

    def _input(self):
        """Hands on what was typed. Behind a Ctrl-C to a running program nothing goes on before the prompt is there: the
        terminal would throw it away."""
        if not (self._ready and self._prompted):
            return  # what comes before boot.py hears nobody, and a soft reset leads to the raw prompt first
        if not self._at_prompt():
            if self._interrupted is not None and time.monotonic() < self._interrupted:
                return
            at = self._held.find(3)
            if at >= 0:
                self._interrupted = time.monotonic() + 10
                os.write(self._inner, bytes(self._held[: at + 1]))
                del self._held[: at + 1]
                return
        else:
            self._interrupted = None
        with contextlib.suppress(BlockingIOError):
            del self._held[: os.write(self._inner, bytes(self._held[:256]))]

    def _output(self):
        try:
            data = os.read(self._inner, 4096)
        except OSError:
            return
        self.said += data
        del self.said[:-20000]
        self._tail = tail = self._tail[-64:] + data
        raw, friendly = tail.rfind(_RAW), tail.rfind(_FRIENDLY)
        if max(raw, friendly) >= 0:
            self._raw = raw > friendly if self._prompted else True
        if not self._prompted:
            if raw >= 0:
                self._prompted = True
            elif tail.endswith(b">>> ") and self._at_prompt():
                os.write(self._inner, b"\x01")
        self._say(data)

    def _say(self, data):
        """To who reads the port; what nobody takes for a second is lost, as behind a cable that is not there."""
        end = time.monotonic() + _WAIT_S
        while data and self._master is not None and time.monotonic() < end:
            try:
                data = data[os.write(self._master, data) :]
            except BlockingIOError:
                select.select([], [self._master], [], 0.05)
            except OSError:
                return

    def _soft_reset(self):
        """MicroPython has ended: Ctrl-D, sys.exit(), machine.soft_reset()."""
        self._kill()
        self._say(b"\r\nMPY: soft reboot\r\n")
        self._start(SOFTWARE if self.board.family != "rp2" else POWER_ON)

    def _obey(self):
        """What the chip does to the world."""
        with contextlib.suppress(BlockingIOError):
            self._wired += os.read(self._wire, 4096)
        *lines, self._wired = self._wired.split(b"\n")
        for line in lines:
            word, *rest = line.decode().split()
            if word == "ready":
                self._ready = True
            elif word == "reset":
                self._output()
                self.resets.append(SOFTWARE)
                self.reset(SOFTWARE)
            elif word == "off":
                (self.folder / "cut").unlink(missing_ok=True)
                self.power_off()
            elif word == "clock":
                self._clock_ns = int(rest[0])
            elif word == "ds3231":
                self._keep({**self._kept(), "ds3231_ns": int(rest[0])})
            elif word == "watchdog":
                self._watch = int(rest[0]) / 1000
                self._due = time.monotonic() + self._watch
            elif word == "feed" and self._watch:
                self._due = time.monotonic() + self._watch
