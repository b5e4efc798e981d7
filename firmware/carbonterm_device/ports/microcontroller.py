"""What the ports of microcontrollers share: UARTs with a driver-enable pin, the clock, randomness, the heap.

`carbonterm_board` is made by `carbonterm board build` of the board's board.toml. esp32.py, rp2.py and stm32.py add what
their chips have: flash, network, reset cause.
"""

import asyncio
import gc
import json
import os
import select
import sys
import time

import carbonterm_board as about
import machine
import tls

from carbonterm.clock import HOLDOVER, UNSET, from_port
from carbonterm_device.ports import ds3231
from carbonterm_device.ports.streams import (  # noqa: F401 - a port's interface
    CANCELS_LATE,
    console_lines,
    open_tcp,
    open_tls,
    sleep_ms,
    ticks_add,
    ticks_diff,
    ticks_ms,
    uncancel,
    wait_ms,
)

RUNTIME = sys.implementation.name + " " + ".".join([str(n) for n in sys.implementation.version[:3]])
BAUDS = (300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400)
_PARITY = {"none": None, "even": 0, "odd": 1}
_EIO, _ENODEV = 5, 19
_EPOCH_MS = from_port(0, time.gmtime(0)[0])
_set = [False]  # whether something that knows the time has set the clock since the start


def now_ms():
    """Milliseconds since 1970-01-01T00:00:00Z by the board's clock, which may jump; some boards count from 2000."""
    return time.time_ns() // 1000000 + _EPOCH_MS


def set_clock(ms):
    """Sets the board's clock, and its clock chip if it has one: the provisioning tool's word."""
    _set_own(ms)
    bus = _clock_bus()
    if bus is not None:
        ds3231.write_ms(bus, ms)


def presume_clock(ms):
    """Lets the board's clock go on from the last time that is known of: certificates are judged by it until somebody
    knows the time. `clock_state` stays UNSET."""
    _set_own(ms)
    _set[0] = False


def wake_clock():
    """Sets the board's clock by its clock chip. True where that knows the time; OSError where it does not answer."""
    bus = _clock_bus()
    first = found = None if bus is None else ds3231.read_ms(bus)
    if found is None:
        return False
    since = ticks_ms()
    while found == first and ticks_diff(ticks_ms(), since) < 1100:  # where its second begins, as it has no less
        time.sleep_ms(5)
        found = ds3231.read_ms(bus)
    _set_own(found)
    return True


def _clock_bus():
    chip = dict(about.RTC)
    if chip["kind"] != "ds3231":
        return None
    return machine.SoftI2C(scl=machine.Pin(chip["scl"]), sda=machine.Pin(chip["sda"]), freq=100000)


def _set_own(ms):
    days, rest = (ms - _EPOCH_MS) // 86400000, (ms - _EPOCH_MS) % 86400000
    seconds = days * 86400 + rest // 1000
    year, month, day, hour, minute, second, weekday = time.gmtime(seconds)[:7]
    machine.RTC().datetime((year, month, day, weekday, hour, minute, second, 0))
    _set[0] = True


def clock_state():
    """How far `now_ms` is to be trusted: HOLDOVER once it was set, UNSET before."""
    return HOLDOVER if _set[0] else UNSET


def fine_ticks():
    """A fast counter (us), for the jitter between two looks at it; it wraps."""
    return time.ticks_us()


def random(n):
    """n bytes from the chip's random number generator; what signs mixes it with more (carbonterm_device.keys)."""
    return os.urandom(n)


def heap_used():
    """Bytes of the heap in use, garbage included."""
    return gc.mem_alloc()


def tend_heap(share):
    """As the unix port's."""
    gc.collect()
    gc.threshold(gc.mem_free() // share)


def print_exception(error):
    sys.print_exception(error)


def reserve_polls(count):
    """Nothing to do: UARTs and sockets of boards have no descriptors, so the poll set holds no array of them."""


status = {}  # the last one, for the console: a flash is not worn for it


def write_volatile(path, found):
    """Keeps the status in RAM; `path` is the unix port's affair."""
    status.clear()
    for name in found:
        status[name] = found[name]


def status_text():
    return json.dumps(status)


def server_context(certificate, key):
    """A TLS context for a server from its certificate and private key (DER); ValueError for what is none."""
    made = tls.SSLContext(tls.PROTOCOL_TLS_SERVER)
    load_chain(made, certificate, key)
    return made


def load_chain(context, certificate, key):
    """Gives a TLS context a certificate and its private key (DER), to prove with; ValueError for what is none."""
    context.load_cert_chain(certificate, key)


async def listen_local(path, serve):
    """A board has no sockets in its file system; questions come over the console."""
    raise OSError(_ENODEV)


class _SerialLink:
    """A UART whose transceiver is told to send and to listen. `read` waits for bytes, as the unix port's link."""

    def __init__(self, row, baud, parity, stop):
        self._row = row
        self._direction = None if row[4] is None else machine.Pin(row[4], machine.Pin.OUT, value=0)
        self._uart = machine.UART(row[1])
        self.configure(baud, parity, stop)
        self.read = asyncio.StreamReader(self._uart).read

    def configure(self, baud, parity, stop):
        _, _, tx, rx, _, _ = self._row
        self._uart.init(
            baudrate=baud, bits=8, parity=_PARITY[parity], stop=stop, tx=machine.Pin(tx), rx=machine.Pin(rx),
            timeout=0, timeout_char=0, rxbuf=512, txbuf=512,
        )  # fmt: skip
        self._wire_us = 11000000 // baud

    def send(self, data):
        """Hands all of `data` to the UART, and lets go of the line when the last bit has left."""
        if self._direction is None:
            if self._uart.write(data) != len(data):
                raise OSError(_EIO)
            return
        self._direction(1)
        try:
            if self._uart.write(data) != len(data):
                raise OSError(_EIO)
            # a request of 8 bytes at 9600 baud takes 9 ms: shorter than a task switch is worth, and the answer may
            # begin 2 ms after it, so nothing else may run between
            self._uart.flush()
            time.sleep_us(self._wire_us)
        finally:
            self._direction(0)

    def discard(self):
        count = 0
        while self._uart.any():
            count += len(self._uart.read() or b"")
        return count

    def close(self):
        self._uart.deinit()


def open_serial(path, baud, parity="none", stop=1):
    """A link over the UART that board.toml calls `path`. OSError where there is none, ValueError for a wrong rate."""
    if baud not in BAUDS:
        raise ValueError("%s: no UART here runs at %d baud" % (path, baud))
    for row in about.UARTS:
        if row[0] == path:
            return _SerialLink(row, baud, parity, stop)
    raise OSError(_ENODEV)


def unique_id():
    """The chip's own number, hex."""
    return "".join(["%02x" % one for one in machine.unique_id()])


def reset():
    """Starts the board anew."""
    machine.reset()


def watchdog():
    """A watchdog that bites after the seconds of board.toml; `feed()` it. It cannot be stopped."""
    for key, value in about.WATCHDOG:
        if key == "seconds":
            return machine.WDT(timeout=value * 1000)


class Region:
    """A part of the flash as a block device for littlefs and the ring: (block, offset) reads and writes, erases by
    ioctl 6, counts by 4 and 5. `device` has readblocks, writeblocks and ioctl for the whole flash."""

    def __init__(self, device, offset, size, block):
        self._device = device
        self._first = offset // block
        self._count = size // block
        self._block = block

    def readblocks(self, number, buffer, offset=0):
        return self._device.readblocks(self._first + number, buffer, offset)

    def writeblocks(self, number, data, offset=0):
        return self._device.writeblocks(self._first + number, data, offset)

    def ioctl(self, what, argument):
        if what == 4:
            return self._count
        if what == 5:
            return self._block
        if what == 6:
            return self._device.ioctl(6, self._first + argument)
        return 0


def readable(stream):
    """Whether a stream has something to read now."""
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    return len(poll.poll(0)) > 0
