"""The way to a centre over a broker: the messages of HTTPS as they are, on topics of the terminal (docs/formats.md,
"Uplink by MQTT"). One connection, which stays; one request at a time; its answer is told from late ones by its topic.

Nobody is trusted here: the broker's word that it has a message (PUBACK) says nothing of the centre, and what comes on
the topic of the answer is looked at by carbonterm.uplink.outbox like any other answer.
"""

import asyncio

from carbonterm.errors import FrameError, UplinkError, quoted
from carbonterm.field import mqtt
from carbonterm.uplink import topics
from carbonterm.uplink.message import MAX_ANSWER, Question, is_receipt
from carbonterm_device.mqtt_session import Session
from carbonterm_device.wires import context, login, secret

_ROOM = 512  # of a packet beside its payload


class MqttLink:
    """As https.HttpsLink, of a Centre with `mqtt`. `strays`: messages that were no answer to what was asked last."""

    peer = "broker"
    passed_on = True

    def __init__(self, centre, terminal_id, port, storage, timeout_s):
        self._centre = centre
        self._prefix, self._login, self._certificate, self._key, self._keep_alive = centre.mqtt
        self._terminal_id = terminal_id
        self._port = port
        self._storage = storage
        self._timeout_s = timeout_s
        self._context = self._session = self._reader = self._trouble = None
        self._number = int.from_bytes(port.random(4), "big")
        self._awaited = self._answer = None  # topic, payload
        self._event = asyncio.Event()
        self._taken = False  # the broker has the request
        self.connections = self.strays = 0

    @property
    def open(self):
        """As https.HttpsLink."""
        return self._session is not None

    async def ask(self, epoch):
        """(status, answer): the receipt for what the centre holds of an epoch."""
        return await self._request(Question(self._terminal_id, epoch).encode())

    async def send(self, batch):
        """(status, answer) to a batch."""
        return await self._request(batch)

    async def close(self):
        """Closes the connection at once, if there is one."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.cancel()
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _request(self, body):
        kept = self._session is not None
        try:
            return await self._once(body)
        except asyncio.TimeoutError:
            raise
        except (OSError, EOFError):
            if not kept:
                raise
        # a kept connection may have ended while it was idle: that says nothing about the broker
        return await self._once(body)

    async def _once(self, body):
        try:
            if self._session is None:
                await self._open()
            self._number = self._number + 1 & 0xFFFFFFFF
            request = "%08x" % self._number
            self._awaited, self._answer = topics.down(self._prefix, self._terminal_id, request), None
            self._trouble, self._taken = None, False
            self._event.clear()
            topic = topics.up(self._prefix, self._terminal_id, request)
            await asyncio.wait_for(self._session.publish(topic, body, self._id()), self._timeout_s)
        except BaseException:
            await self.close()
            raise
        try:
            await asyncio.wait_for(self._event.wait(), self._timeout_s)
        except asyncio.TimeoutError:
            if not self._taken:
                await self.close()
                raise
            raise UplinkError(
                "the broker has a message of %d bytes, but no answer came from the centre" % len(body),
                "is its platform connected to the broker, with the prefix %s? does the broker pass on as many bytes?"
                % quoted(self._prefix),
            )
        finally:
            self._awaited = None
        if self._trouble is not None:
            raise self._trouble
        answer, self._answer = self._answer, None
        if answer is None:
            raise UplinkError("an answer has more than %d bytes" % MAX_ANSWER)
        return (200 if is_receipt(answer) else 400), answer

    def _id(self):
        return self._number & 0xFFFF or 1

    async def _open(self):
        """Connects, and hears answers from then on."""
        if self._context is None:
            made = context(self._centre.ca)
            if self._certificate is not None:
                self._port.load_chain(made, *[secret(self._storage, name) for name in (self._certificate, self._key)])
            self._context = made
        user, password = login(self._storage, self._login)
        state = topics.state(self._prefix, self._terminal_id)
        client = "%s-%s" % (self._prefix.replace("/", "-"), self._terminal_id)
        hello = mqtt.connect(client, self._keep_alive, True, user, password, (state, topics.OFFLINE, 1, True))
        session = Session(self._port, MAX_ANSWER + _ROOM, self._keep_alive)
        try:
            early = await session.open(self._centre.host, self._centre.port, self._context, hello, self._timeout_s)
            self.connections += 1
            session.put(mqtt.subscribe(1, [(topics.down(self._prefix, self._terminal_id), 1)]))
            await asyncio.wait_for(self._subscribed(session, early), self._timeout_s)
        except FrameError as error:
            await session.close()
            raise UplinkError("the broker speaks no MQTT: %s" % error.what, error.hint)
        except BaseException:
            await session.close()
            raise
        session.put(mqtt.publish(state, topics.ONLINE, retain=True))
        self._session = session
        self._reader = asyncio.create_task(self._listen(session))

    async def _subscribed(self, session, packets):
        while True:
            for packet in packets:
                if packet.kind == mqtt.SUBACK:
                    if mqtt.FAILED in packet.codes:
                        raise UplinkError("the broker lets this terminal hear no answers",
                                          "let its administrator allow the topic %s"
                                          % topics.down(self._prefix, self._terminal_id))  # fmt: skip
                    return
                self._packet(session, packet)
            packets = await session.packets()

    async def _listen(self, session):
        """Hears the broker until the connection ends; whatever ends it is what a request that waits comes to know."""
        try:
            while True:
                for packet in await session.packets():
                    self._packet(session, packet)
        except asyncio.TimeoutError:
            trouble = EOFError("no word from it for %d s" % (self._keep_alive + self._keep_alive // 2))
        except FrameError as error:
            trouble = UplinkError("the broker speaks no MQTT: %s" % error.what, error.hint)
        except Exception as error:
            trouble = error
        if self._session is session:
            self._session = self._reader = None
            self._trouble = trouble
            self._event.set()
        await session.close()

    def _packet(self, session, packet):
        if packet.kind == mqtt.PUBLISH:
            if packet.qos:
                session.put(mqtt.puback(packet.id))
            if packet.topic == self._awaited and not self._event.is_set():
                self._answer = packet.payload
                self._event.set()
            else:
                self.strays += 1
        elif packet.kind == mqtt.PUBACK:
            self._taken = self._taken or packet.id == self._id()
        elif packet.kind != mqtt.PINGRESP:
            raise FrameError("a broker sends no %s now" % mqtt.NAMES[packet.kind])
