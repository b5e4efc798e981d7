"""An MQTT 3.1.1 client that subscribes to the topics of its meters, QoS 0 or 1, over TCP or TLS.

The session is kept by the broker (clean session 0), so what is published while the terminal is away waits there. A
message of QoS 1 is acknowledged when it is durable. One marked as a copy (DUP) is looked for among the last messages by
its bytes, which the packet identifier is part of. A retained message is what somebody said once: without a time in it,
it is passed over. With a topic for its state the terminal leaves a will: "offline". A meter may have a filter with + or
# instead of a topic.
"""

from carbonterm.errors import CarbonError, FrameError, quoted
from carbonterm.field import mqtt, said
from carbonterm.field.names import is_filter, matched
from carbonterm_device.inbound.inbox import LOST, Inbox
from carbonterm_device.mqtt_session import Session
from carbonterm_device.wires import context, login


class Subscriber(Inbox):
    async def serve(self):
        """One connection, until it breaks."""
        client, file, ca, keep_alive, state = self.bus.inbound
        user, password = login(self.storage, file)
        self._lost = False
        session = Session(self.port, said.MAX_BODY, keep_alive)
        try:
            will = (state, b"offline", 1, True) if state else None
            hello = mqtt.connect(client, keep_alive, False, user, password, will)
            secure = None if ca is None else context(ca)
            timeout = max(1, self.bus.timeout_ms // 1000)
            packets = await session.open(self.bus.address, self.bus.port, secure, hello, timeout)
            topics = sorted([(topic, one.row.dialect[0]) for topic, one in self.senders.items()])
            session.put(mqtt.subscribe(1, topics))
            if state:
                session.put(mqtt.publish(state, b"online", retain=True))
            while True:
                for packet in packets:
                    self._packet(packet, session, topics)
                if self._lost:
                    # what is not acknowledged comes again with the next connection, and only then
                    raise CarbonError("a message was not stored", "the broker is asked for it again")
                packets = await session.packets()
        finally:
            await session.close()

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
