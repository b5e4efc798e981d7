"""Electricity, gas and heat meters on Modbus TCP, served by pymodbus: a peer that shares no code with our codec.

pymodbus takes the connection, the frames and the exceptions; before each read its registers are refreshed from the
meters' profiles, and the reply's bytes pass through the faults. One server has one meter or several (unit ids).
"""

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from carbonterm_host.simulate import faults

HOST = "127.0.0.1"


class TcpServer:
    """`name` of the bus, its meters (Meter), the port (0: a free one, known after start), the host it listens on."""

    kind = "modbus-tcp"

    def __init__(self, name, meters, port=0, host=HOST):
        self.name = name
        self.meters = {meter.unit: meter for meter in meters}
        if len(self.meters) < len(meters):
            raise ValueError(f"two meters of {name} have the same unit")
        self.host = self.address = host
        self.port = port
        self.faults = None
        self._server = None
        self._fault = None  # of the reply that is being made
        self._request = b""
        self._late = {}  # unit: reply held back

    async def start(self, faults):
        self.faults = faults
        nobody = SimDevice(0, [SimData(0, count=65535, datatype=DataType.REGISTERS)], action=_nobody)
        devices = [
            SimDevice(meter.unit, _blocks(meter.state.blocks()), action=self._action(meter))
            for meter in self.meters.values()
        ]
        self._server = ModbusTcpServer([nobody, *devices], address=(self.host, self.port), trace_packet=self._packet)
        if not await self._server.listen():
            raise OSError(f"{self.name}: {self.host}:{self.port} cannot be listened on; is another server there?")
        self.port = self._server.transport.sockets[0].getsockname()[1]

    async def stop(self):
        """Stops listening and closes all connections; start() listens on the same port again."""
        if self._server is not None:
            await self._server.shutdown()
            self._server = None

    def describe(self):
        return {"bus": self.name, "kind": self.kind, "address": self.host, "port": self.port}

    def _action(self, meter):
        async def answer(function, start, address, count, held, values):
            if values is not None:
                return ExcCodes.ILLEGAL_FUNCTION
            self._fault = meter.fault(_ABLE)
            data, code = meter.read(function, address, count, self._fault)
            if data is None:
                return ExcCodes(code)
            for i in range(count):
                held[address - start + i] = data[2 * i] << 8 | data[2 * i + 1]
            return None

        return answer

    def _packet(self, sending, data):
        if not sending:
            self._request = data
            return data
        fault, self._fault = self._fault, None
        if data[6] not in self.meters:
            return b""  # nobody has this unit
        waiting = self._late.pop(data[6], b"")
        if fault == "late":
            self._late[data[6]] = data
            return waiting
        return waiting + self._spoil(fault, data)

    def _spoil(self, fault, data):
        random = self.faults.random
        if fault == "silent":
            return b""
        if fault == "noise-before":
            return self.faults.noise() + data
        if fault == "noise-after":
            return data + self.faults.noise()
        if fault == "truncated":
            return data[: random.randint(1, len(data) - 1)]
        if fault == "crc":
            return data[:2] + random.randint(1, 0xFFFF).to_bytes(2, "big") + data[4:]
        if fault == "echo":
            return self._request + data
        if fault == "glued":
            return data + data
        if fault == "foreign":
            return data[:6] + bytes((data[6] % 247 + 1,)) + data[7:9] + bytes(b ^ 0x55 for b in data[9:]) + data
        return data


_ABLE = [*faults.names(faults.COMMON, faults.CONTENT, faults.STATE), "busy"]  # there is no line that could be bad


async def _nobody(function, start, address, count, held, values):
    return ExcCodes.GATEWAY_NO_RESPONSE


def _blocks(blocks):
    """SimData over all addresses the meter has, whatever function reads them."""
    spans = []
    for first, end in sorted(span for found in blocks.values() for span in found):
        if spans and first <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((first, end))
    return [SimData(first, count=end - first, datatype=DataType.REGISTERS) for first, end in spans]
