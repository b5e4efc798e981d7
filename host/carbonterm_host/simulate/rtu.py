"""A Modbus RTU line of simulated meters behind a pty, with the time that bytes take on a real line.

The pty's slave end (`line.path`) is what the terminal opens. A pty moves bytes at once; the byte clock here makes each
byte last its 10 or 11 bits: a request is heard when its last byte would have come, the reply begins after the meter's
turnaround and is handed over in small pieces as its bytes end. Meters are ours, built on the core's codec in its METER
role, so that pymodbus is not the only peer: silent to other units, to broadcasts and to a wrong CRC. Bytes the master
sends while a meter speaks are lost, as is all it says at another speed than the line's.
"""

import asyncio
import os
import termios
import time
import tty

from carbonterm.field import modbus
from carbonterm_host.simulate.faults import LATE_MS

PIECE = 8  # bytes of a reply that are handed over together, as a UART's FIFO does


class RtuLine:
    """`name` of the bus, its meters; path: a link to the pty is made there (None: the pty's own name)."""

    kind = "modbus-rtu"

    def __init__(self, name, meters, baud=9600, parity="none", stop=1, path=None, turnaround_ms=(5, 20)):
        self.name = name
        self.meters = {meter.unit: meter for meter in meters}
        if len(self.meters) < len(meters):
            raise ValueError(f"two meters of {name} have the same unit")
        if not hasattr(termios, f"B{baud}"):
            raise ValueError(f"{name}: {baud} baud is no rate of a serial line")
        self.baud, self.parity, self.stop_bits = baud, parity, stop
        self.link = path
        self.path = path
        self.bits = 9 + stop + (parity != "none")
        self.turnaround_ms = turnaround_ms
        self.busy_bits = 0  # that have been on the line
        self.heard = 0  # requests to a meter of this line
        self.crc_errors = 0
        self.lost = 0  # bytes sent by the master while a meter spoke, or at a wrong speed
        self._master = self._slave = None
        self._task = None

    @property
    def busy_ms(self):
        """Time that something was on the line, in milliseconds, computed from the bytes."""
        return self.busy_bits * 1000 / self.baud

    async def start(self, faults):
        self.faults = faults
        self._master, self._slave = os.openpty()
        # raw from the start: no echo, no line editing; our own slave end stays open, so a master may come and go
        tty.setraw(self._slave)
        settings = termios.tcgetattr(self._slave)
        settings[4] = settings[5] = getattr(termios, f"B{self.baud}")
        termios.tcsetattr(self._slave, termios.TCSANOW, settings)
        os.set_blocking(self._master, False)
        real = os.ttyname(self._slave)
        if self.link is None:
            self.path = real
        else:
            temporary = f"{self.link}.{os.getpid()}"
            os.symlink(real, temporary)
            os.replace(temporary, self.link)
        self._readable = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._master, self._readable.set)
        self._task = asyncio.create_task(self._run())

    async def stop(self):
        """Pulls the adapter out: the device vanishes, whoever has it open gets EIO. start() plugs it in again."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        self._loop.remove_reader(self._master)
        os.close(self._master)
        os.close(self._slave)
        if self.link is not None and os.path.islink(self.link):
            os.unlink(self.link)

    def describe(self):
        return {
            "bus": self.name, "kind": self.kind, "address": self.path, "port": self.baud,
            "parity": self.parity, "stop": self.stop_bits,
        }  # fmt: skip

    def _byte_s(self, count):
        self.busy_bits += count * self.bits
        return count * self.bits / self.baud

    async def _run(self):
        decoder = modbus.RtuDecoder(modbus.METER)
        silence = max(0.02, 3.5 * self.bits / self.baud)
        late = []  # (when, reply)
        while True:
            limit = silence if decoder.pending else None
            if late:
                limit = max(late[0][0] - time.monotonic(), 0)
            frames = []
            try:
                await asyncio.wait_for(self._readable.wait(), limit)
                data = self._take()
                if data:
                    await asyncio.sleep(self._byte_s(len(data)))
                    frames = decoder.feed(data)
            except TimeoutError:
                if late and late[0][0] <= time.monotonic():
                    await self._speak(late.pop(0)[1])
                else:
                    frames = decoder.flush()
            self.crc_errors = decoder.errors
            for frame in frames:
                reply, delayed = self._answer(frame)
                if delayed:
                    late.append((time.monotonic() + LATE_MS / 1000, reply))
                elif reply:
                    low, high = self.turnaround_ms
                    await asyncio.sleep(self.faults.random.uniform(low, high) / 1000)
                    await self._speak(reply)

    def _take(self):
        """What the master has sent; nothing if it speaks at another speed."""
        try:
            data = os.read(self._master, 4096)
        except BlockingIOError:
            data = b""
        self._readable.clear()
        if data and termios.tcgetattr(self._master)[5] != getattr(termios, f"B{self.baud}"):
            self.lost += len(data)
            return b""
        return data

    async def _speak(self, reply):
        """Puts a reply on the line, piece by piece; what the master says meanwhile is lost."""
        due = time.monotonic()
        for at in range(0, len(reply), PIECE):
            piece = reply[at : at + PIECE]
            due += self._byte_s(len(piece))
            await asyncio.sleep(max(due - time.monotonic(), 0))
            if self._readable.is_set():
                self.lost += len(self._take())
            os.write(self._master, piece)

    def _answer(self, frame):
        """(bytes to send, whether late) for a request; b"" where a meter is silent."""
        meter = self.meters.get(frame.unit)
        if meter is None:
            return b"", False
        self.heard += 1
        fault = meter.fault()
        pdu = modbus.refusal(frame.pdu)
        if pdu is None:
            request = modbus.parse_request(frame.pdu)
            if request.function not in (modbus.HOLDING, modbus.INPUT_REGISTERS):
                pdu = modbus.exception(request.function, 1)
            else:
                data, code = meter.read(request.function, request.address, request.count, fault)
                if data is None:
                    pdu = modbus.exception(request.function, code)
                else:
                    pdu = modbus.read_response(request.function, data)
        reply = modbus.rtu(frame.unit, pdu)
        return self._spoil(fault, frame, reply), fault == "late"

    def _spoil(self, fault, request, reply):
        random = self.faults.random
        if fault == "silent":
            return b""
        if fault == "noise-before":
            return self.faults.noise() + reply
        if fault == "noise-after":
            return reply + self.faults.noise()
        if fault == "truncated":
            return reply[: random.randint(1, len(reply) - 1)]
        if fault == "crc":
            return reply[:-1] + bytes((reply[-1] ^ random.randint(1, 255),))
        if fault == "echo":
            return request.raw + reply
        if fault == "glued":
            return reply + reply
        if fault == "foreign":
            return modbus.rtu(request.unit % 247 + 1, reply[1:3] + bytes(b ^ 0x55 for b in reply[3:-2])) + reply
        return reply
