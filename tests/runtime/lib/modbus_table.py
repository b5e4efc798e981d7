"""A Modbus meter made of our codec's meter role, over TCP and on a pty, for masters of others (CPython only).

`Table()` holds coils, inputs and registers of 256 addresses each; `answer(pdu)` is what it says. `TcpMeter(table)` and
`RtuMeter(table, unit)` serve it from a thread, as context managers; `requests` counts what they answered.
"""

import os
import select
import socket
import threading
import tty

from carbonterm.field import modbus

SIZE = 256


class Table:
    def __init__(self):
        self.coils, self.inputs = [i % 3 == 0 for i in range(SIZE)], [i % 5 == 0 for i in range(SIZE)]
        self.holding = [(i * 257 + 3) & 0xFFFF for i in range(SIZE)]
        self.registers = [(0xFFFF - i * 129) & 0xFFFF for i in range(SIZE)]

    def answer(self, pdu):
        refused = modbus.refusal(pdu)
        if refused:
            return refused
        asked = modbus.parse_request(pdu)
        at, end = asked.address, asked.address + asked.count
        if end > SIZE:
            return modbus.exception(asked.function, 2)
        if asked.function in (modbus.COILS, modbus.INPUTS):
            held = self.coils if asked.function == modbus.COILS else self.inputs
            return modbus.read_response(asked.function, modbus.bits(held[at:end]))
        if asked.function in (modbus.HOLDING, modbus.INPUT_REGISTERS):
            held = self.holding if asked.function == modbus.HOLDING else self.registers
            return modbus.read_response(asked.function, b"".join(word.to_bytes(2, "big") for word in held[at:end]))
        if asked.function == modbus.WRITE_COIL:
            self.coils[at] = asked.data[0] == 0xFF
        elif asked.function == modbus.WRITE_COILS:
            self.coils[at:end] = [bool(bit) for bit in modbus.unpack_bits(asked.data, asked.count)]
        else:
            words = [int.from_bytes(asked.data[i : i + 2], "big") for i in range(0, len(asked.data), 2)]
            self.holding[at:end] = words
        return modbus.write_response(pdu)


class _Served:
    def __init__(self, table):
        self.table, self.requests = table, 0
        self._wake = os.pipe()

    def __enter__(self):
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        os.write(self._wake[1], b"x")
        self._thread.join(30)
        self._close()
        for one in self._wake:
            os.close(one)

    def _ready(self, file, timeout=None):
        """Whether there is something to read; None: the end was asked for."""
        found = select.select([file, self._wake[0]], [], [], timeout)[0]
        return None if self._wake[0] in found else bool(found)


class TcpMeter(_Served):
    def __init__(self, table):
        super().__init__(table)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def _serve(self):
        while self._ready(self._listener):
            link, _ = self._listener.accept()
            with link:
                decoder = modbus.TcpDecoder(modbus.METER)
                while self._ready(link):
                    data = link.recv(4096)
                    if not data:
                        break
                    for frame in decoder.feed(data):
                        self.requests += 1
                        link.sendall(modbus.tcp(frame.transaction, frame.unit, self.table.answer(frame.pdu)))

    def _close(self):
        self._listener.close()


class RtuMeter(_Served):
    SILENCE = 0.02

    def __init__(self, table, unit):
        super().__init__(table)
        self.unit = unit
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)

    def _serve(self):
        decoder = modbus.RtuDecoder(modbus.METER)
        while True:
            ready = self._ready(self._master, self.SILENCE if decoder.pending else None)
            if ready is None:
                return
            frames = decoder.feed(os.read(self._master, 4096)) if ready else decoder.flush()
            for frame in frames:
                if frame.unit in (0, self.unit):
                    self.requests += 1
                    said = self.table.answer(frame.pdu)
                    if frame.unit:
                        os.write(self._master, modbus.rtu(self.unit, said))

    def _close(self):
        os.close(self._master)
        os.close(self._slave)
