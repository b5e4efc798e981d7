"""`machine` of a board, simulated: pins that remember, UARTs on ptys, I2C with a DS3231, clock, watchdog, resets."""

import binascii
import io
import sys
import termios
import time

import simulated_chip as chip
import utime
from umachine import *  # noqa: F403

PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5
_SPEEDS = {300: 7, 600: 8, 1200: 9, 1800: 10, 2400: 11, 4800: 12, 9600: 13, 19200: 14, 38400: 15, 57600: 0o10001,
           115200: 0o10002, 230400: 0o10003}  # fmt: skip
_CS8, _CSTOPB, _CREAD, _PARENB, _PARODD, _CLOCAL = 0o60, 0o100, 0o200, 0o400, 0o1000, 0o4000
_VTIME, _VMIN, _GET_FILENO, _POLL, _CLOSE = 5, 6, 10, 3, 4
_DS3231 = 0x68


def reset():
    """As the reset pin."""
    chip.end("reset")


def soft_reset():
    sys.exit()


def reset_cause():
    return chip.about["cause"]


def unique_id():
    return binascii.unhexlify(chip.about["id"])


def bootloader(timeout=0):
    chip.end("off")


_levels = {}


class Pin:
    """A pin that keeps its level; the first one of a number makes it."""

    IN, OUT, OPEN_DRAIN, PULL_UP, PULL_DOWN = 0, 1, 2, 1, 2

    def __init__(self, number, mode=-1, pull=-1, value=None):
        self.number = number
        if value is not None:
            self(value)

    def __call__(self, value=None):
        if value is None:
            return _levels.get(self.number, 0)
        _levels[self.number] = 1 if value else 0

    value = __call__

    def on(self):
        self(1)

    def off(self):
        self(0)

    def init(self, mode=-1, pull=-1, value=None):
        if value is not None:
            self(value)


class UART(io.IOBase):
    """A UART whose other end is the device that the supervisor names for its number; silent where it names none."""

    def __init__(self, number, baudrate=9600, **options):
        self._path = chip.about["uarts"].get(str(number))
        self._open()
        self.init(baudrate, **options)

    def _open(self):
        """Nothing may be connected: a UART does not know."""
        self._file = None
        if self._path:
            try:
                self._file = chip.files.open(self._path, "r+b")
            except OSError:
                self._file = None
        self._real = self._file is not None
        if not self._real:
            self._file = chip.files.open("/dev/null", "r+b")

    def init(self, baudrate=9600, bits=8, parity=None, stop=1, **options):
        self._settings = baudrate, bits, parity, stop
        if not self._real:
            return
        if baudrate not in _SPEEDS:
            raise ValueError("baudrate")
        fd, speed = self._file.fileno(), _SPEEDS[baudrate]
        row = termios.tcgetattr(fd)
        row[0] = row[1] = row[3] = 0
        row[2] = speed | _CS8 | _CREAD | _CLOCAL | (_CSTOPB if stop == 2 else 0)
        if parity is not None:
            row[2] |= _PARENB | (_PARODD if parity else 0)
        row[4] = row[5] = speed
        row[6][_VMIN] = row[6][_VTIME] = 0
        try:
            termios.tcsetattr(fd, termios.TCSANOW, row)
        except OSError as error:
            if error.errno != 22:  # of a parity that a pty hasn't got
                raise

    def readinto(self, buffer):
        if not self._real:
            return None
        data = self.read(len(buffer))
        if data:
            buffer[: len(data)] = data
        return len(data) if data else None

    def read(self, count=256):
        if not self._real:
            return None
        try:
            data = self._file.read(count) if self.any() else None
        except OSError:
            self._real = False
            return None
        return data or None

    def write(self, data):
        if not self._real and self._path:
            self._file.close()
            self._open()  # the line may have been plugged in again
            self.init(*self._settings)
        if self._real:
            try:
                self._file.write(data)
            except OSError:
                self._real = False
        return len(data)

    def any(self):
        import select

        if not self._real:
            return 0
        poll = select.poll()
        poll.register(self._file, select.POLLIN)
        found = poll.poll(0)
        if found and found[0][1] & (select.POLLHUP | select.POLLERR):
            self._real = False  # the line was pulled out
        return 1 if found and self._real else 0

    def flush(self):
        """What was written left at once."""

    def txdone(self):
        return True

    def ioctl(self, what, argument):
        if what == _GET_FILENO and self._real:
            return self._file.fileno()
        if what == _POLL:
            return argument & 4 if not self._real else argument
        if what == _CLOSE:
            self.deinit()
            return 0
        return -1

    def deinit(self):
        if self._file:
            self._file.close()
            self._real = False


class I2C:
    """A bus with a DS3231 on it, if the board has one: time in seven BCD registers, the stop flag in register 15."""

    def __init__(self, number=0, scl=None, sda=None, freq=400000):
        self._there = chip.about["ds3231"]

    def scan(self):
        return [_DS3231] if self._there else []

    def _at(self, address):
        if address != _DS3231 or not self._there:
            raise OSError(19)

    def readfrom_mem(self, address, register, count):
        self._at(address)
        lost = chip.about["ds3231_ns"] is None
        seconds = (utime.time_ns() + (chip.about["ds3231_ns"] or 0)) // 1000000000
        fields = (2000, 1, 1, 0, 0, 0, 5) if lost else utime.gmtime(seconds)
        year, month, day, hour, minute, second, weekday = fields[:7]
        image = bytearray(19)
        for i, value in enumerate((second, minute, hour, weekday + 1, day, month, year - 2000)):
            image[i] = value // 10 << 4 | value % 10
        image[15] = 0x80 if lost else 0
        return bytes(image[register : register + count])

    def writeto_mem(self, address, register, data):
        self._at(address)
        if register == 0 and len(data) == 7:
            second, minute, hour, _, day, month, year = [(one >> 4) * 10 + (one & 15) for one in data]
            seconds = time.seconds_of(2000 + year, month, day, hour, minute, second)
            chip.about["ds3231_ns"] = seconds * 1000000000 - utime.time_ns()
            chip.tell("ds3231", chip.about["ds3231_ns"])


SoftI2C = I2C


class SPI:
    """A bus whose other end answers nothing."""

    def __init__(self, number, baudrate=1000000, **pins):
        pass


class RTC:
    """The chip's own clock: it goes on over resets, and is lost with the power."""

    def datetime(self, fields=None):
        if fields is None:
            year, month, day, hour, minute, second, weekday = time.gmtime()[:7]
            return year, month, day, weekday, hour, minute, second, 0
        year, month, day, _, hour, minute, second = fields[:7]
        chip.about["clock_ns"] = time.seconds_of(year, month, day, hour, minute, second) * 1000000000 - utime.time_ns()
        chip.tell("clock", chip.about["clock_ns"])


class WDT:
    """Bites through the supervisor: a chip that hangs does not feed it."""

    def __init__(self, id=0, timeout=5000):
        self.timeout_ms(timeout)

    def timeout_ms(self, timeout):
        chip.tell("watchdog", timeout)

    def feed(self):
        chip.tell("feed")
