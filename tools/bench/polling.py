"""Modbus TCP polling: CPU per poll of the firmware on MicroPython, of pymodbus' asynchronous client, of bare asyncio.

8 connections, 50 registers a read, loopback, all against one server process of a few lines that answers at once. Each
contender is a process of its own; its CPU time (user and system) without its start-up is taken from the difference of
a long and a short run. The floor writes 12 bytes and reads the reply with StreamReader, and looks at nothing.
Target: at most half of pymodbus' client (pymodbus runs on CPython).
"""

import subprocess
import sys

from tools.bench.measure import child, command, rounds, row

CONNECTIONS = 8
REGISTERS = 50
POLLS = 2000  # per connection
SHORT = 200

_SERVER = """
import asyncio
class Server(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        size = 2 * data[11]
        self.transport.write(data[:4] + bytes((0, 3 + size)) + data[6:8] + bytes((size,)) + bytes(size))
async def main():
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""

_HEAD = """
import asyncio, sys
port, polls = int(sys.argv[1]), int(sys.argv[2])
"""
_TAIL = f"""
async def main():
    await asyncio.gather(*[one() for _ in range({CONNECTIONS})])
asyncio.run(main())
"""

_OURS = f"""
from carbonterm_device.network import TcpBus
async def one():
    bus = TcpBus("127.0.0.1", port)
    for _ in range(polls):
        data, raw = await bus.read(1, 3, 0, {REGISTERS}, 1000)
        assert len(data) == {2 * REGISTERS}
    bus.close()
"""

_FLOOR = f"""
request = b"\\x00\\x01\\x00\\x00\\x00\\x06\\x01\\x03\\x00\\x00\\x00" + bytes(({REGISTERS},))
async def one():
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(polls):
        writer.write(request)
        await writer.drain()
        assert len(await reader.read(260)) == {9 + 2 * REGISTERS}
    writer.close()
"""

_PYMODBUS = f"""
from pymodbus.client import AsyncModbusTcpClient
async def one():
    client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=1)
    await client.connect()
    for _ in range(polls):
        reply = await client.read_holding_registers(0, count={REGISTERS}, device_id=1)
        assert len(reply.registers) == {REGISTERS}
    client.close()
"""

_CONTENDERS = {"ours": ("micropython", _OURS), "floor": ("micropython", _FLOOR), "pymodbus": ("cpython", _PYMODBUS)}


def run():
    """Rows of the table; see tools.bench.measure."""
    server = subprocess.Popen([sys.executable, "-c", _SERVER], stdout=subprocess.PIPE, text=True)
    try:
        port = server.stdout.readline().strip()

        def contender(name):
            runtime, code = _CONTENDERS[name]
            start, env = command(runtime, heap="2M")

            def cpu(polls):
                return child([*start, "-c", _HEAD + code + _TAIL, port, polls], env=env).cpu

            return lambda: (cpu(POLLS) - cpu(SHORT)) / ((POLLS - SHORT) * CONNECTIONS) * 1e6

        found = rounds({name: contender(name) for name in _CONTENDERS}, count=5)
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
    ours, floor, peer = (found[name].median for name in ("ours", "floor", "pymodbus"))
    what = f"Modbus TCP poll, {CONNECTIONS} connections × {REGISTERS} registers, CPU"
    return [
        row(what, ours, "µs", "pymodbus async client", peer, ours / peer, "≤ 0.5", ours <= 0.5 * peer),
        row(what, ours, "µs", "bare asyncio on MicroPython", floor, ours / floor),
    ]


if __name__ == "__main__":
    for line in run():
        print(line)
