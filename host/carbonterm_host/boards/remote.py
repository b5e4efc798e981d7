"""A board at a serial port, by mpremote's transport: MicroPython's raw prompt. Errors are Failures with a way out.

    with Remote("/dev/ttyACM0") as board:
        board.run("import os")
        board.value("os.listdir('/')")
"""

import ast
import binascii
import contextlib
import errno
import hashlib
import os
import struct
import time

import serial
from mpremote import transport_serial
from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from carbonterm_host.screen import FINDING, UNREACHABLE, Failure

transport_serial.print = lambda *words, **options: None  # it prints what it read before it raises
_SILENCE_S = 5  # without a byte, while one is awaited
_BUSY = 5  # tries to open a port
_PROMPT_S = 2, 2, 3, 3, 4, 6, 8, 10  # per try: one may fall into a reset, and a slow board wants its time
ARCHITECTURES = ("", "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp", "xtensa",
                 "xtensawin", "rv32imc")  # fmt: skip
_PROBE = """
import sys
i = sys.implementation
d = {'version': '.'.join([str(n) for n in i[1][:3]]), 'mpy': getattr(i, '_mpy', 0), 'platform': sys.platform,
     'machine': getattr(i, '_machine', ''), 'stamp': '', 'simulated': False}
for n in ('/rom/carbonterm.txt', '/lib/carbonterm.txt'):
    try:
        with open(n) as f:
            d['stamp'] = f.read()
        break
    except OSError:
        pass
try:
    import simulated_chip as c
    d['simulated'] = True
    d['machine'] = 'simulated ' + c.about['chip']
except ImportError:
    pass
print(d)
"""


class Remote:
    """The board at `port`, its program stopped, at the raw prompt of a fresh interpreter. `about`: dict of version,
    mpy ("6.3"), arch, platform, machine, board and carbonterm (both None without our firmware), without (modules.PARTS
    that its image lacks), simulated.

    watchdog: seconds of a watchdog that may run, which is then fed with each `run`; tries: how often a prompt is asked
    for, 8 times in 38 s. Leaving it closes the port; `restart()` lets the board begin.
    """

    def __init__(self, port, watchdog=0, tries=8):
        self.port = port
        self.watchdog = watchdog
        self._waits = _PROMPT_S[:tries]
        self._transport = None
        self._filed = False

    def __enter__(self):
        self._open()
        try:
            self.fresh()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _open(self):
        """Opens the port. Who looks at new ports (a modem manager) has it for a moment; a child of ours that is being
        started, too."""
        for left in reversed(range(_BUSY)):
            try:
                reachable(self.port)
                with self._said("to reach its prompt"):
                    self._transport = SerialTransport(self.port, timeout=_SILENCE_S)
                return
            except Failure:
                if not left or not os.path.exists(self.port):
                    raise
            time.sleep(0.5)

    def __exit__(self, *_):
        with contextlib.suppress(OSError, TransportError):
            self._transport.close()

    def fresh(self):
        """A fresh interpreter, in which boot.py has run and main.py has not."""
        self._prompt()
        self._filed = False
        if self.watchdog:
            self.run(f"import machine\n_w = machine.WDT(timeout={int(self.watchdog * 1000)})\n_w.feed()")
        self.about = self._probe()

    def _prompt(self):
        """Stops what runs, by Ctrl-C, and begins a fresh interpreter without main.py."""
        for number, seconds in enumerate(self._waits, 1):
            try:
                self._transport.enter_raw_repl(soft_reset=True, timeout_overall=seconds)
                return
            except (TransportError, OSError, serial.SerialException) as error:
                if isinstance(error, OSError) or number == len(self._waits):
                    raise Failure(
                        UNREACHABLE, f"{self.port}: MicroPython's prompt does not answer",
                        "is it the right port? Reset the board, or flash it: carbonterm board flash",
                    ) from error  # fmt: skip
            time.sleep(0.3)

    def _probe(self):
        found = self.value(None, _PROBE)
        number, stamp = found["mpy"], found.pop("stamp").split()
        name, found["without"] = [*stamp, None, None][:2], stamp[2:]
        arch = number >> 10
        found.update(mpy=f"{number & 255}.{number >> 8 & 3}", board=name[0], carbonterm=name[1])
        found["arch"] = ARCHITECTURES[arch] if arch < len(ARCHITECTURES) else f"number {arch}"
        return found

    @contextlib.contextmanager
    def _said(self, doing):
        try:
            yield
        except TransportExecError as error:
            lines = error.error_output.strip().splitlines() or ["no reason"]
            raise Failure(FINDING, f"the board refused {doing}: {lines[-1]}", self._way_out(lines[-1])) from error
        except (TransportError, OSError, serial.SerialException, struct.error, UnicodeDecodeError) as error:
            raise Failure(
                UNREACHABLE, f"{self.port} stopped answering while it was asked {doing}",
                "check cable and supply and run the command again: it goes on where it was",
            ) from error  # fmt: skip

    def _way_out(self, line):
        if "ENOSPC" in line or line in ("OSError: 28", "OSError: [Errno 28]"):
            return "its file system is full: carbonterm board backup, then factory-reset, or mpremote fs rm"
        if "MemoryError" in line:
            return "reset it, and run the command again"
        return "carbonterm board doctor --port says more"

    def run(self, code, doing="a step"):
        """Text that `code` prints on the board. Failure where it raises, or the board does not answer."""
        if self.watchdog and "_w = " not in code:
            code = "_w.feed()\n" + code
        with self._said(doing):
            return self._transport.exec(code).decode(errors="replace")

    def value(self, expression, code=None, doing="a step"):
        """The value of an expression on the board, or of what `code` prints: texts, numbers, lists, bytes."""
        said = self.run(code if code is not None else f"print(repr({expression}))", doing)
        try:
            return ast.literal_eval(said.strip())
        except (ValueError, SyntaxError) as error:
            what = f"the board answered {doing} with {said.strip()[:80]!r}"
            raise Failure(FINDING, what, "reset it, then again") from error

    def files(self):
        """Gives the board _sha(name) and _size(name), the modules os and hashlib, a2b_base64 and b2a_base64."""
        if not self._filed:
            self.run(_FILES, "for its files")
            self._filed = True

    def put(self, path, data, step=lambda done: None):
        """Writes a file whole or not at all: beside it first, compared, then renamed."""
        self.files()
        self.run(f"_f = open({path + '.new'!r}, 'wb')", f"to write {path}")
        for at in range(0, len(data), 2048):
            self.run(f"_f.write(a2b_base64({encoded(data[at : at + 2048])}))", f"to write {path}")
            step(min(len(data), at + 2048))
        self.run("_f.close()", f"to write {path}")
        if self.value(f"_sha({path + '.new'!r})", doing=f"to read {path}") != hashlib.sha256(data).hexdigest():
            raise Failure(FINDING, f"{path} came out differently on the board", "run it again; is the line disturbed?")
        self.run(f"os.rename({path + '.new'!r}, {path!r})", f"to write {path}")

    def get(self, path):
        """The bytes of a file; None where there is none."""
        self.files()
        size = self.value(f"_size({path!r})")
        if size is None:
            return None
        data = b""
        with_file = f"_f = open({path!r}, 'rb')"
        self.run(with_file, f"to read {path}")
        while len(data) < size:
            part = binascii.a2b_base64(self.run("print(b2a_base64(_f.read(3072)).decode())", f"to read {path}"))
            if not part:
                raise Failure(FINDING, f"{path} has {size} bytes, the board gave {len(data)}", "run it again")
            data += part
        self.run("_f.close()")
        return data

    def restart(self):
        """Resets the board: it begins with main.py."""
        with contextlib.suppress(TransportError, OSError, serial.SerialException), self._said("to reset"):
            self._transport.exec_raw_no_follow("import time, machine\ntime.sleep_ms(50)\nmachine.reset()")
            time.sleep(0.1)


_FILES = """
import os, hashlib
from binascii import a2b_base64, b2a_base64, hexlify
def _sha(n):
    h = hashlib.sha256()
    b = bytearray(1024)
    with open(n, 'rb') as f:
        while True:
            k = f.readinto(b)
            if not k:
                return hexlify(h.digest()).decode()
            h.update(memoryview(b)[:k])
def _size(n):
    try:
        return os.stat(n)[6]
    except OSError:
        return None
"""


def encoded(data):
    """A literal of base64 for the board."""
    return repr(binascii.b2a_base64(data).strip())


def reachable(port):
    """Failure that says why a serial port cannot be opened: not there, no permission, busy."""
    try:
        serial.Serial(port, exclusive=True).close()
    except (OSError, ValueError) as error:
        number = getattr(error, "errno", None)
        text = str(error)
        if number == errno.EACCES or "Permission denied" in text:
            what, hint = "may not be opened", f"sudo usermod -aG dialout {os.environ.get('USER', '$USER')}, log in anew"
        elif number in (errno.EBUSY, errno.EAGAIN) or "lock" in text:
            what, hint = "is in use by another program", "close the other console, monitor or carbonterm"
        elif number in (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EIO) or "No such file" in text:
            what = "is not there"
            hint = "carbonterm board list shows the ports; if there is none, the cable may have no data wires"
        else:
            what, hint = f"cannot be opened: {text}", "carbonterm board doctor"
        raise Failure(UNREACHABLE, f"{port} {what}", hint) from error
