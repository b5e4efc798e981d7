"""OPC UA (IEC 62541) as a source: nodes polled or subscribed, security policies with certificates, reconnecting.

Polled values carry the bridge's time of the answer, subscribed ones the time that their source gave. A value whose
status is not Good, or that is no number, is passed on as "no value": it is never taken for a reading.

A subscription gives changes only; a total that must be there at the end of each hour is better polled.
"""

import asyncio
import logging
import time

from asyncua import Client, ua
from asyncua.crypto import security_policies
from cryptography import x509

from carbonterm_host.bridge.config import SUBSCRIBE, BridgeError, Unreachable
from carbonterm_host.bridge.readings import decimal_text, messages, milliseconds

FIRST_WAIT, LONGEST_WAIT = 1, 60  # seconds between two tries to connect
WATCH = 5  # seconds between two looks whether a subscribed server is still there
KEPT_CHANGES = 100  # of one node between two publications
_STATE = ua.NodeId(ua.ObjectIds.Server_ServerStatus_State)


class Lost(Exception):
    """The server ended the subscription."""


class Source:
    """options: as config.read gives them; tell(state, why): "connected", "waiting" (why), "bad" (names of values)."""

    def __init__(self, options, queue, tell):
        self.options, self.queue, self.tell = options.opcua, queue, tell
        logging.getLogger("asyncua").setLevel(logging.CRITICAL)  # what matters is told here, once
        self.nodes = {}
        for name, text in self.options.values.items():
            try:
                self.nodes[name] = ua.NodeId.from_string(text)
            except ua.UaError as error:
                hint = "write it like ns=2;s=Name"
                raise BridgeError(f"values: {name}: '{text}' is no node: {error}", hint) from None
        self.secured = self.options.security and _certificate_uri(self.options.security.certificate)
        self._told = None
        self._bad = set()

    def run(self, stop, once=False):
        """Reads until the Event `stop` is set; once: one poll of all nodes, and the trouble as BridgeError."""
        asyncio.run(self._once() if once else self._run(stop))

    async def _once(self):
        try:
            async with await self._client() as client:
                await self._poll(client)
        except Exception as error:
            raise Unreachable(f"{self.options.endpoint}: {_reason(error)}") from None

    async def _run(self, stop):
        stopped = asyncio.create_task(asyncio.to_thread(stop.wait))
        wait = FIRST_WAIT
        while not stop.is_set():
            try:
                async with await self._client() as client:
                    self._state("connected", "")
                    wait = FIRST_WAIT
                    await (self._subscribe if self.options.read == SUBSCRIBE else self._polls)(client, stopped)
            except Exception as error:  # whatever asyncua makes of what a server sends, or the queue of a full disk
                self._state("waiting", f"{self.options.endpoint}: {_reason(error)}")
                await asyncio.wait([stopped], timeout=wait)
                wait = min(wait * 2, LONGEST_WAIT)

    async def _client(self):
        client = Client(self.options.endpoint, timeout=self.options.timeout)
        security = self.options.security
        if security:
            client.application_uri = self.secured
            await client.set_security(
                getattr(security_policies, "SecurityPolicy" + security.policy.replace("_", "")),
                str(security.certificate), str(security.key), server_certificate=str(security.server_certificate),
                mode=getattr(ua.MessageSecurityMode, security.mode),
            )  # fmt: skip
        if self.options.user:
            client.set_user(self.options.user)
            client.set_password(self.options.password)
        return client

    async def _polls(self, client, stopped):
        due = time.monotonic()
        while not stopped.done():
            await self._poll(client)
            due = max(due + self.options.every, time.monotonic())
            await asyncio.wait([stopped], timeout=due - time.monotonic())

    async def _poll(self, client):
        answers = await client.read_attributes([client.get_node(node) for node in self.nodes.values()])
        now = time.time_ns() // 1_000_000
        values = zip(self.nodes, answers, strict=True)
        await self._put([(now, name, self._value(name, answer)) for name, answer in values])

    async def _subscribe(self, client, stopped):
        changes = _Changes({node: name for name, node in self.nodes.items()})
        period = self.options.every * 1000
        subscription = await client.create_subscription(period, changes)
        made = await subscription.subscribe_data_change(
            [client.get_node(node) for node in self.nodes.values()], queuesize=KEPT_CHANGES, sampling_interval=period
        )
        for name, one in zip(self.nodes, made, strict=True):
            if isinstance(one, ua.StatusCode):
                self._note(name, one.name)
        while not stopped.done():
            look = asyncio.create_task(changes.some.wait())
            done, _ = await asyncio.wait([stopped, look], timeout=WATCH, return_when=asyncio.FIRST_COMPLETED)
            look.cancel()
            if not done:
                await client.read_attributes([client.get_node(_STATE)])
            await self._put([(_time(data), name, self._value(name, data)) for name, data in changes.take()])

    async def _put(self, readings):
        if readings:
            await asyncio.to_thread(self.queue.put, messages(readings))

    def _value(self, name, answer):
        """Decimal text of a DataValue, or None."""
        text, why = None, "no value"
        if answer.StatusCode is not None and not answer.StatusCode.is_good():
            why = answer.StatusCode.name
        elif answer.Value is not None and not answer.Value.is_array:
            text = decimal_text(answer.Value.Value, answer.Value.VariantType == ua.VariantType.Float)
            why = f"{answer.Value.VariantType.name} that is no number"
        if text is None:
            self._note(name, why)
        else:
            self._bad.discard(name)
        return text

    def _note(self, name, why):
        if name not in self._bad:
            self._bad.add(name)
            self.tell("bad", f"{name}: {why}")

    def _state(self, state, why):
        if (state, why) != self._told:
            self._told = state, why
            self.tell(state, why)


class _Changes:
    """What asyncua's subscription calls: keeps changes until they are taken."""

    def __init__(self, names):
        self.names = names
        self.some = asyncio.Event()
        self._held, self._ended = [], None

    def datachange_notification(self, node, value, data):
        self._held.append((self.names[node.nodeid], data.monitored_item.Value))
        self.some.set()

    def status_change_notification(self, status):
        self._ended = status.Status
        self.some.set()

    def take(self):
        """List of (name, DataValue) since the last time; Lost where the subscription ended."""
        if self._ended is not None:
            raise Lost(f"the server ended the subscription: {self._ended.name}")
        held, self._held = self._held, []
        self.some.clear()
        return held


def _time(data):
    given = milliseconds(data.SourceTimestamp or data.ServerTimestamp, zone=0)
    return time.time_ns() // 1_000_000 if given is None else given


def _certificate_uri(path):
    """The application URI that a client's certificate names, which the server compares."""
    data = path.read_bytes()
    try:
        pem = data.startswith(b"-----")
        found = x509.load_pem_x509_certificate(data) if pem else x509.load_der_x509_certificate(data)
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return names.get_values_for_type(x509.UniformResourceIdentifier)[0]
    except (ValueError, x509.ExtensionNotFound, IndexError):
        raise BridgeError(
            f"{path} is no certificate of an OPC UA application", "it needs a URI in its subjectAltName"
        ) from None


def _reason(error):
    return str(error) or type(error).__name__
