"""One connection to a broker of MQTT 3.1.1, over TCP or TLS, for who subscribes (inbound.subscriber) and who delivers
(mqtt_link). What it means is theirs; here are the greeting, pings, and writing that several tasks may do.
"""

import asyncio
import gc

from carbonterm.errors import CarbonError, FrameError
from carbonterm.field import mqtt
from carbonterm_device.wires import Outlet, hang_up

_PIECE = 2048  # of a payload that are written at once


class Session:
    """port: the board's; limit: bytes of a packet from the broker that are held; keep_alive: seconds. After `open` call
    `packets` again and again, and `close` at the end, whatever comes.

    OSError, EOFError, asyncio.TimeoutError: the connection is no more; FrameError: the other end is no broker;
    ValueError: it did not prove who it is; CarbonError: it lets nobody in, and why.
    """

    def __init__(self, port, limit, keep_alive):
        self._port = port
        self._keep_alive = keep_alive
        self._decoder = mqtt.Decoder(limit)
        self._outlet = Outlet(port)
        self._lock = asyncio.Lock()
        self._wire = self._sender = None
        self.put = self._outlet.put  # put(data): a packet to be sent soon

    async def open(self, host, number, context, connect, timeout_s):
        """Connects, with a TLS context or None, and says `connect`, the bytes of a CONNECT. Gives the packets behind
        CONNACK."""
        early = await asyncio.wait_for(self._greet(host, number, context, connect), timeout_s)
        self._sender = asyncio.create_task(self._send())
        return early

    async def packets(self):
        """The next ones from the broker, which has to say something within 1.5 of its keep-alive."""
        data = await asyncio.wait_for(self._wire.read(1024), self._keep_alive + self._keep_alive // 2)
        if not data:
            raise EOFError
        return self._decoder.feed(data)

    async def publish(self, topic, payload, id):
        """Writes a PUBLISH of QoS 1 whose payload is not copied."""
        view = memoryview(payload)
        async with self._lock:
            await self._wire.write(mqtt.publish_head(topic, len(view), 1, id))
            for at in range(0, len(view), _PIECE):
                await self._wire.write(view[at : at + _PIECE])

    async def close(self):
        """At once, without a word: the broker publishes the will."""
        if self._sender is not None:
            self._sender.cancel()
            self._sender = None
        wire, self._wire = self._wire, None
        if wire is not None:
            await wire.close()

    async def _greet(self, host, number, context, connect):
        if context is None:
            self._wire = _Plain(await self._port.open_tcp(host, number))
        else:
            gc.collect()  # a handshake needs room in one piece
            self._wire = _Secure(*await self._port.open_tls(host, number, context))
        await self._wire.write(connect)
        while True:
            packets = await self.packets()
            if packets:
                break
        if packets[0].kind != mqtt.CONNACK:
            raise FrameError("the broker does not begin with CONNACK", "check the port")
        if packets[0].code:
            what, hint = mqtt.REFUSALS[packets[0].code]
            raise CarbonError(what, hint)
        return packets[1:]

    async def _send(self):
        try:
            while True:
                data = await self._outlet.take(self._keep_alive * 500)
                async with self._lock:
                    await self._wire.write(data or mqtt.pingreq())
        except OSError:
            pass  # who reads notices as well


class _Plain:
    def __init__(self, link):
        self.read = link.read
        self._link = link

    async def write(self, data):
        self._link.send(data)

    async def close(self):
        self._link.close()


class _Secure:
    def __init__(self, reader, writer):
        self.read = reader.read
        self._writer = writer

    async def write(self, data):
        self._writer.write(data)
        await self._writer.drain()

    async def close(self):
        await hang_up(self._writer)
