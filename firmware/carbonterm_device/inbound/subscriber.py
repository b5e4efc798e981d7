"""An MQTT 3.1.1 client that subscribes to the topics of its meters, QoS 0 or 1, over TCP or TLS.

The session is kept by the broker (clean session 0), so what is published while the terminal is away waits there. A
message of QoS 1 is acknowledged when it is durable. One marked as a copy (DUP) is looked for among the last messages by
its bytes, which the packet identifier is part of. A retained message is what somebody said once: without a time in it,
it is passed over. With a topic for its state the terminal leaves a will: "offline". A meter may have a filter with + or
# instead of a topic.
"""

import asyncio

from carbonterm.errors import CarbonError, FrameError, quoted
from carbonterm.field import mqtt, said
from carbonterm.field.names import is_filter, matched
from carbonterm_device.https import context as tls_context
from carbonterm_device.inbound.inbox import LOST, Inbox, Outlet


class Subscriber(Inbox):
    async def serve(self):
        """One connection, until it breaks."""
        client, login, ca, keep_alive, state = self.bus.inbound
        user, password = self._login(login)
        timeout = max(1, self.bus.timeout_ms // 1000)
        wire = await asyncio.wait_for(self._open(ca), timeout)
        self._lost = False
        outlet, decoder = Outlet(self.port), mqtt.Decoder(said.MAX_BODY)
        sender = None
        try:
            will = (state, b"offline", 1, True) if state else None
            await wire.write(mqtt.connect(client, keep_alive, False, user, password, will))
            early = await asyncio.wait_for(self._greeting(wire, decoder), timeout)
            topics = sorted([(topic, one.row.dialect[0]) for topic, one in self.senders.items()])
            await wire.write(mqtt.subscribe(1, topics))
            if state:
                outlet.put(mqtt.publish(state, b"online", retain=True))
            sender = asyncio.create_task(self._send(wire, outlet, keep_alive * 500))
            for packet in early:
                self._packet(packet, outlet, topics)
            while True:
                data = await asyncio.wait_for(wire.read(1024), keep_alive + keep_alive // 2)
                if not data:
                    raise EOFError
                for packet in decoder.feed(data):
                    self._packet(packet, outlet, topics)
                if self._lost:
                    # what is not acknowledged comes again with the next connection, and only then
                    raise CarbonError("a message was not stored", "the broker is asked for it again")
        finally:
            if sender is not None:
                sender.cancel()
            await wire.close()

    async def _open(self, ca):
        if ca is None:
            return _Plain(await self.port.open_tcp(self.bus.address, self.bus.port))
        return _Secure(*await self.port.open_tls(self.bus.address, self.bus.port, tls_context(ca)))

    def _login(self, name):
        """(user, password) of the file's two lines."""
        if name is None:
            return None, None
        lines = self.secret(name).decode().split("\n")
        if len(lines) < 2 or not lines[0].strip():
            raise CarbonError("%s has no two lines" % name, "write the user on the first, the password on the second")
        return lines[0].strip(), lines[1].strip().encode()

    async def _greeting(self, wire, decoder):
        """Packets that came behind CONNACK; CarbonError where the broker refuses."""
        while True:
            data = await wire.read(1024)
            if not data:
                raise EOFError
            packets = decoder.feed(data)
            if packets:
                if packets[0].kind != mqtt.CONNACK:
                    raise FrameError("the broker does not begin with CONNACK", "check the port")
                if packets[0].code:
                    what, hint = mqtt.REFUSALS[packets[0].code]
                    raise CarbonError(what, hint)
                return packets[1:]

    async def _send(self, wire, outlet, ping_ms):
        while True:
            data = await outlet.take(ping_ms)
            await wire.write(data or mqtt.pingreq())

    def _packet(self, packet, outlet, topics):
        if packet.kind == mqtt.PUBLISH:
            self._message(packet, outlet)
        elif packet.kind == mqtt.SUBACK:
            refused = [topics[i][0] for i, code in enumerate(packet.codes) if code == mqtt.FAILED and i < len(topics)]
            self.reason = "" if not refused else "the broker refuses the topic %s" % quoted(refused[0])
            self.connected = True
        elif packet.kind not in (mqtt.PINGRESP, mqtt.PUBACK, mqtt.UNSUBACK):
            raise FrameError("a broker sends no %s now" % mqtt.NAMES[packet.kind])

    def _message(self, packet, outlet):
        sender, stands = self._sender(packet.topic)
        answer = mqtt.puback(packet.id) if packet.qos else b""
        if sender is None or packet.payload is None or (packet.retain and sender.row.dialect[1] is None):
            if sender is None:
                self.counters.foreign += 1
            elif packet.payload is None:
                self.counters.refused += 1
                self.warn("message too long", "topic %s" % packet.topic)
            if answer:
                outlet.put(answer)
            return
        told = said.of_payload(packet.payload, sender.row.dialect, sender.points, stands)
        if not told:  # a filter takes more than the site document wants
            self.counters.foreign += 1
            if answer:
                outlet.put(answer)
            return

        def done(word):
            if word == LOST:
                self._lost = answer != b""
            elif answer:
                outlet.put(answer)

        self.take(sender, packet.same, told, done, not packet.dup, packet.qos > 0)


    def _sender(self, topic):
        """(Sender, None) of a topic, (Sender, what its wildcards stand for) where it has a filter, or (None, None)."""
        if topic in self.senders:
            return self.senders[topic], None
        for pattern in self.senders:
            stands = matched(pattern, topic) if is_filter(pattern) else None
            if stands is not None:
                return self.senders[pattern], stands
        return None, None


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


async def hang_up(writer):
    """Closes a stream at once, on both runtimes."""
    if hasattr(writer, "transport"):
        writer.transport.abort()
        return
    try:
        await writer.wait_closed()  # closes the socket; close() alone does nothing
    except OSError:
        pass  # the peer is gone: closed is closed
