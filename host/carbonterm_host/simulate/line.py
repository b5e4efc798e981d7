"""A serial line of simulated meters behind a pty, with the time that bytes take on a real line.

The pty's slave end (`line.path`) is what the terminal opens. A pty moves bytes at once; the byte clock of
carbonterm_host.simulate.wire makes each byte last its 10 or 11 bits: a request is heard when its last byte would have
come, the reply begins after the meter's turnaround and is handed over in small pieces as its bytes end. Meters are
ours, built on the codecs in their METER role, so that pymodbus is not the only peer: silent to other addresses, to
broadcasts and to a wrong checksum. Bytes the master sends while a meter speaks are lost, as is all it says at a speed
that no meter of the line has. A pty knows the speed, but no parity.
"""

import asyncio
import os
import termios
import time
import tty

import serial

from carbonterm_host.simulate.wire import Wire, bits, settings_of


class MeterLine:
    """`name` of the bus, its meters of any protocol; path: a link to the pty is made there (None: the pty's own
    name). kind: "modbus-rtu" or "serial", which says what it is in the site document and changes nothing here."""

    def __init__(self, name, meters, baud=9600, parity="none", stop=1, path=None, turnaround_ms=(5, 20),
                 kind="modbus-rtu"):  # fmt: skip
        self.name = name
        self.kind = kind
        self.meters = {meter.unit: meter for meter in meters}
        if len(self.meters) < len(meters):
            raise ValueError(f"two meters of {name} have the same unit")
        self.baud, self.parity, self.stop_bits = baud, parity, stop
        for rate in {settings_of(meter, (baud, parity, stop))[0] for meter in meters} | {baud}:
            if not hasattr(termios, f"B{rate}"):
                raise ValueError(f"{name}: {rate} baud is no rate of a serial line")
        self.link = path
        self.path = path
        self.bits = bits((baud, parity, stop))
        self.turnaround_ms = turnaround_ms
        self.wire = None
        self._master = self._slave = None
        self._task = None

    @property
    def busy_bits(self):
        """Bits that have been on the line."""
        return sum(self.wire.busy.values()) if self.wire else 0

    @property
    def busy_ms(self):
        """Time that something was on the line, in milliseconds, computed from the bytes."""
        return sum(count * 1000 / baud for baud, count in self.wire.busy.items()) if self.wire else 0

    @property
    def heard(self):
        """Requests to a meter of this line."""
        return self.wire.heard

    @property
    def crc_errors(self):
        return self.wire.errors

    @property
    def lost(self):
        """Bytes sent by the master while a meter spoke, or at a speed that no meter has."""
        return self.wire.lost

    async def start(self, faults):
        settings = self.baud, self.parity, self.stop_bits
        self.wire = self.wire or Wire(self.meters.values(), settings, faults, self.turnaround_ms)
        self._open()
        os.set_blocking(self._master, False)
        self._readable = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._master, self._readable.set)
        self._task = asyncio.create_task(self._run())

    def _open(self):
        self._master, self._slave = os.openpty()
        # raw from the start: no echo, no line editing; our own slave end stays open, so a master may come and go
        tty.setraw(self._slave)
        attributes = termios.tcgetattr(self._slave)
        attributes[4] = attributes[5] = getattr(termios, f"B{self.baud}")
        termios.tcsetattr(self._slave, termios.TCSANOW, attributes)
        real = os.ttyname(self._slave)
        if self.link is None:
            self.path = real
        else:
            temporary = f"{self.link}.{os.getpid()}"
            os.symlink(real, temporary)
            os.replace(temporary, self.link)

    async def stop(self):
        """Pulls the adapter out: the device vanishes, whoever has it open gets EIO. start() plugs it in again."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        self._loop.remove_reader(self._master)
        self._close()

    def _close(self):
        os.close(self._master)
        os.close(self._slave)
        if self.link is not None and os.path.islink(self.link):
            os.unlink(self.link)

    def describe(self):
        return {
            "bus": self.name, "kind": self.kind, "address": self.path, "port": self.baud,
            "parity": self.parity, "stop": self.stop_bits,
        }  # fmt: skip

    async def _run(self):
        while True:
            due = self.wire.next_us()
            limit = None if due is None else max(due - _now_us(), 0) / 1000000
            try:
                await asyncio.wait_for(self._readable.wait(), limit)
            except TimeoutError:
                os.write(self._master, self.wire.take(_now_us()))
                continue
            began = _now_us()
            speaks = self.wire.speaking(began)
            data, baud = self._take()
            burst = b""
            while data:
                burst += data
                if speaks:
                    break
                await asyncio.sleep(max(began - _now_us() + self._byte_us(baud) * len(burst), 0) / 1000000)
                data, _ = self._take()
            if speaks:
                self.wire.lost += len(burst)
            elif burst:
                self.wire.send(began, burst, (baud, None, None))

    def _byte_us(self, baud):
        return self.bits * 1000000 // (baud or self.baud)

    def _take(self):
        """(bytes, baud rate) that the master has sent; a rate of 0 is none that a meter could have."""
        try:
            data = os.read(self._master, 4096)
        except BlockingIOError:
            data = b""
        self._readable.clear()
        speed = termios.tcgetattr(self._master)[5] if data else None
        return data, next((rate for rate in _RATES if getattr(termios, f"B{rate}") == speed), 0)


class DeviceLine(MeterLine):
    """As MeterLine, at a serial device of this machine: what is asked comes from another one's line, a board's. The
    master is believed to have the line's speed; bytes take their time on the real line as well."""

    def _open(self):
        self._port = serial.Serial(
            self.link, self.baud, parity=self.parity[0].upper(), stopbits=self.stop_bits, timeout=0, exclusive=True
        )
        self._master = self._port.fileno()
        self.path = self.link

    def _close(self):
        self._port.close()


_RATES = [int(name[1:]) for name in dir(termios) if name[0] == "B" and name[1:].isdigit() and name != "B0"]


def _now_us():
    return time.monotonic_ns() // 1000
