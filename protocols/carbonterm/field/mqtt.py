"""MQTT 3.1.1 (OASIS Standard, 29 October 2014): control packets of both roles, no I/O. QoS 0 and 1.

Theory of operation
-------------------
A packet is a byte of kind and flags, the length of the rest in 1 to 4 bytes of 7 bits, the rest. TCP brings the bytes
in order and whole, so a packet that breaks a rule means that the other end is no MQTT, or out of step: the `Decoder`
raises FrameError, from then on always, and the connection must be closed (4.8). What is bounded is what is held: a
PUBLISH that is longer than `limit` is passed over while it comes and given without its payload, so that it can be
acknowledged and does not come again for ever; any other packet of that length is an error.

QoS 2 is not spoken: a subscriber that asks for at most 1 never gets it (3.8.4).
"""

from carbonterm.errors import FrameError, quoted
from carbonterm.field.names import check_filter, check_topic
from carbonterm.field.utf8 import utf8

CONNECT, CONNACK, PUBLISH, PUBACK = 1, 2, 3, 4
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK = 8, 9, 10, 11
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14
NAMES = {
    1: "CONNECT", 2: "CONNACK", 3: "PUBLISH", 4: "PUBACK", 5: "PUBREC", 6: "PUBREL", 7: "PUBCOMP", 8: "SUBSCRIBE",
    9: "SUBACK", 10: "UNSUBSCRIBE", 11: "UNSUBACK", 12: "PINGREQ", 13: "PINGRESP", 14: "DISCONNECT",
}  # fmt: skip
# return code of CONNACK: what it means, what to do
REFUSALS = {
    1: ("the broker does not speak MQTT 3.1.1", "use a broker that does"),
    2: ("the broker does not take this client id", "set another one: client"),
    3: ("the broker is not available", "it is tried again"),
    4: ("user or password is wrong", "correct the file with the login"),
    5: ("the broker does not let this client in", "correct the login, or let the broker's administrator allow it"),
}
FAILED = 0x80  # return code of SUBACK
MAX_LENGTH = 0x0FFFFFFF
_LEVEL = b"\x00\x04MQTT\x04"
_FIXED = {PUBACK: 2, UNSUBACK: 2, CONNACK: 2, PINGREQ: 0, PINGRESP: 0, DISCONNECT: 0}  # length of the rest


class Packet:
    """kind; size: length of the rest; raw: all bytes, None where they were not held; then what the kind has, else None:
    id (packet identifier); topic, payload (None: longer than the limit), qos, dup, retain of PUBLISH; code, present
    (the session was there) of CONNACK; codes of SUBACK; topics of SUBSCRIBE, list of (filter, qos), and of UNSUBSCRIBE,
    of (filter, None); client, clean, keep_alive, user, password, will (topic, payload, qos, retain) of CONNECT."""

    __slots__ = ("clean", "client", "code", "codes", "dup", "id", "keep_alive", "kind", "password", "payload",
                 "present", "qos", "raw", "retain", "size", "topic", "topics", "user", "will")  # fmt: skip

    def __init__(self, kind, raw=None):
        self.kind = kind
        self.raw = raw
        self.size = 0
        self.id = self.topic = self.payload = self.qos = self.dup = self.retain = None
        self.code = self.present = self.codes = self.topics = None
        self.client = self.clean = self.keep_alive = self.user = self.password = self.will = None

    @property
    def same(self):
        """The bytes of a PUBLISH as they were sent for the first time: those of its copies are equal."""
        return bytes((self.raw[0] & 0xF7,)) + self.raw[1:]


# --- writing -------------------------------------------------------------------------------------------------------


def connect(client, keep_alive=60, clean=True, user=None, password=None, will=None):
    """CONNECT. keep_alive: seconds, 0 for none; will: (topic, payload bytes, qos, retain) or None."""
    _within("keep-alive", keep_alive, 0xFFFF)
    flags = 2 if clean else 0
    rest = _text(client)
    if will is not None:
        topic, payload, qos, retain = will
        check_topic(topic)
        _within("QoS", qos, 1)
        flags |= 4 | qos << 3 | (32 if retain else 0)
        rest += _text(topic) + _binary(payload)
    if user is not None:
        flags |= 128
        rest += _text(user)
    if password is not None:
        if user is None:
            raise FrameError("a password without a user", "give both or none (3.1.2.9)")
        flags |= 64
        rest += _binary(password)
    return _packet(CONNECT << 4, _LEVEL + bytes((flags, keep_alive >> 8, keep_alive & 255)) + rest)


def connack(present=False, code=0):
    """CONNACK. present: the broker has kept the client's session; code: 0, or one of REFUSALS."""
    return _packet(CONNACK << 4, bytes((1 if present and not code else 0, code)))


def publish(topic, payload, qos=0, id=None, retain=False, dup=False):
    """PUBLISH in one buffer. payload: bytes; id: packet identifier, for QoS 1."""
    return publish_head(topic, len(payload), qos, id, retain, dup) + bytes(payload)


def publish_head(topic, size, qos=0, id=None, retain=False, dup=False):
    """What comes before the `size` bytes of a PUBLISH's payload, which need not be copied."""
    check_topic(topic)
    _within("QoS", qos, 1)
    if (id is None) != (qos == 0) or (dup and not qos):
        raise FrameError("QoS 1 has a packet identifier, QoS 0 has none and no copies")
    rest = _text(topic) + (_identifier(id) if qos else b"")
    return _packet(PUBLISH << 4 | (8 if dup else 0) | qos << 1 | (1 if retain else 0), rest, size)


def puback(id):
    """PUBACK of a PUBLISH of QoS 1."""
    return _packet(PUBACK << 4, _identifier(id))


def subscribe(id, topics):
    """SUBSCRIBE. topics: list of (filter, QoS)."""
    rest = b""
    for text, qos in topics:
        check_filter(text)
        _within("QoS", qos, 1)
        rest += _text(text) + bytes((qos,))
    return _packet(SUBSCRIBE << 4 | 2, _identifier(id) + rest)


def suback(id, codes):
    """SUBACK. codes: for each topic the QoS that was granted, or FAILED."""
    return _packet(SUBACK << 4, _identifier(id) + bytes(codes))


def pingreq():
    """PINGREQ."""
    return _packet(PINGREQ << 4, b"")


def pingresp():
    """PINGRESP."""
    return _packet(PINGRESP << 4, b"")


def disconnect():
    """DISCONNECT: the broker does not publish the will."""
    return _packet(DISCONNECT << 4, b"")


def _within(name, value, high):
    if not isinstance(value, int) or not 0 <= value <= high:
        raise FrameError("%s %s is outside 0 to %d" % (name, value, high))


def _identifier(id):
    _within("packet identifier", id, 0xFFFF)
    if not id:
        raise FrameError("packet identifier 0 is none")
    return bytes((id >> 8, id & 255))


def _text(text):
    if "\x00" in text:
        raise FrameError("%s holds a NUL" % quoted(text))
    return _binary(text.encode())


def _binary(data):
    _within("length", len(data), 0xFFFF)
    return bytes((len(data) >> 8, len(data) & 255)) + bytes(data)


def _packet(first, rest, more=0):
    """A packet but for the last `more` bytes of its rest."""
    length = len(rest) + more
    _within("length", length, MAX_LENGTH)
    head = [first]
    while True:
        head.append(length & 127 | (128 if length > 127 else 0))
        length >>= 7
        if not length:
            return bytes(head) + rest


# --- reading -------------------------------------------------------------------------------------------------------


def parse(raw):
    """Packet of exactly these bytes; FrameError says which rule they break."""
    head, length = _head(raw, 0)
    if not head or len(raw) != head + length:
        raise FrameError("%d bytes are no packet of %d" % (len(raw), head + length))
    kind, flags = raw[0] >> 4, raw[0] & 15
    _check_first(kind, flags, length)
    packet = Packet(kind, bytes(raw))
    packet.size = length
    if kind == PUBLISH:
        place = _publish(packet, flags, raw, head, len(raw))
        packet.payload = bytes(raw[place:])
        return packet
    if kind in (PUBACK, UNSUBACK, SUBACK, SUBSCRIBE, UNSUBSCRIBE):
        packet.id = _id(raw, head, len(raw))
    if kind == CONNACK:
        if raw[head] > 1 or raw[head + 1] > 5 or (raw[head] and raw[head + 1]):
            raise FrameError("CONNACK with flags %d and code %d" % (raw[head], raw[head + 1]))
        packet.present, packet.code = raw[head] == 1, raw[head + 1]
    elif kind == SUBACK:
        packet.codes = list(raw[head + 2 :])
        if not packet.codes or not all([code in (0, 1, 2, FAILED) for code in packet.codes]):
            raise FrameError("SUBACK with no or unknown return codes")
    elif kind in (SUBSCRIBE, UNSUBSCRIBE):
        _filters(packet, raw, head + 2)
    elif kind == CONNECT:
        _connect(packet, raw, head)
    return packet


def _check_first(kind, flags, length):
    if kind not in NAMES:
        raise FrameError("no packet has the kind %d" % kind)
    if 5 <= kind <= 7:
        raise FrameError("%s belongs to QoS 2, which is not spoken here" % NAMES[kind], "subscribe with QoS 0 or 1")
    if kind != PUBLISH and flags != (2 if kind in (SUBSCRIBE, UNSUBSCRIBE) else 0):
        raise FrameError("%s with the flags %d" % (NAMES[kind], flags))
    if kind in _FIXED and length != _FIXED[kind]:
        raise FrameError("%s of length %d" % (NAMES[kind], length))
    if kind == PUBLISH:
        qos = flags >> 1 & 3
        if qos > 1 or (flags & 8 and not qos):
            raise FrameError("PUBLISH with the flags %d" % flags, "QoS 0 and 1 are spoken here; QoS 0 has no copies")


def _publish(packet, flags, raw, at, end):
    """Reads topic and identifier; the place where the payload begins. FrameError where they don't fit before `end`."""
    packet.qos, packet.dup, packet.retain = flags >> 1 & 3, flags & 8 > 0, flags & 1 > 0
    packet.topic, at = _string(raw, at, end)
    check_topic(packet.topic)
    if packet.qos:
        packet.id = _id(raw, at, end)
        at += 2
    return at


def _filters(packet, raw, at):
    packet.topics = []
    while at < len(raw):
        text, at = _string(raw, at, len(raw))
        check_filter(text)
        qos = None
        if packet.kind == SUBSCRIBE:
            if at >= len(raw) or raw[at] > 2:
                raise FrameError("SUBSCRIBE without a QoS of 0 to 2")
            qos = raw[at]
            at += 1
        packet.topics.append((text, qos))
    if not packet.topics:
        raise FrameError("%s without a topic" % NAMES[packet.kind])


def _connect(packet, raw, at):
    end = len(raw)
    if raw[at : at + 7] != _LEVEL or end < at + 10:
        raise FrameError("CONNECT of another protocol than MQTT 3.1.1")
    flags = raw[at + 7]
    willed, qos = flags & 4, flags >> 3 & 3
    if flags & 1 or qos > 1 or (not willed and flags & 0x38) or (flags & 0x40 and not flags & 0x80):
        raise FrameError("CONNECT with the flags %02XH" % flags)
    packet.clean, packet.keep_alive = flags & 2 > 0, raw[at + 8] << 8 | raw[at + 9]
    packet.client, at = _string(raw, at + 10, end)
    if willed:
        topic, at = _string(raw, at, end)
        check_topic(topic)
        payload, at = _bytes(raw, at, end)
        packet.will = topic, payload, qos, flags & 32 > 0
    if flags & 0x80:
        packet.user, at = _string(raw, at, end)
    if flags & 0x40:
        packet.password, at = _bytes(raw, at, end)
    if at != end:
        raise FrameError("%d bytes follow the last field of CONNECT" % (end - at))


def _bytes(raw, at, end):
    begin = at + 2
    if begin > end or begin + (raw[at] << 8 | raw[at + 1]) > end:
        raise FrameError("a field is longer than its packet")
    after = begin + (raw[at] << 8 | raw[at + 1])
    return bytes(raw[begin:after]), after


def _string(raw, at, end):
    data, after = _bytes(raw, at, end)
    if b"\x00" in data:
        raise FrameError("a text holds a NUL")
    return utf8(data), after


def _id(raw, at, end):
    if at + 2 > end or not (raw[at] or raw[at + 1]):
        raise FrameError("a packet without its identifier")
    return raw[at] << 8 | raw[at + 1]


def _head(data, start):
    """(bytes before the rest, length of the rest) of the packet that begins there; (0, 0): more bytes are needed."""
    length, shift = 0, 0
    for at in range(start + 1, min(start + 5, len(data))):
        length |= (data[at] & 127) << shift
        if data[at] < 128:
            if not data[at] and shift:
                raise FrameError("a length that is written longer than it needs to be")
            return at + 1 - start, length
        shift += 7
    if len(data) >= start + 5:
        raise FrameError("a length of more than 4 bytes")
    return 0, 0


class Decoder:
    """Packets out of a stream's bytes. limit: the longest rest of a packet that is held; dropped: bytes passed over.

    feed raises FrameError at the first packet that breaks a rule, and again whenever it is fed after that.
    """

    def __init__(self, limit=16384):
        self.limit = limit
        self.dropped = 0
        self._held = b""
        self._skip = 0  # bytes still to come of a PUBLISH that is passed over
        self._broken = None

    def feed(self, data):
        """List of the Packets that `data` completes, in order. Those before a broken one are given by `.found`."""
        if self._broken:
            raise self._broken
        self.found = []
        try:
            self._read(bytes(data))
        except FrameError as error:
            self._broken, self._held = error, b""
            raise
        return self.found

    def _read(self, data):
        if self._skip:
            passed = min(self._skip, len(data))
            self._skip -= passed
            self.dropped += passed
            data = data[passed:]
        held, start = self._held + data, 0
        while start < len(held):
            head, length = _head(held, start)
            if not head:
                _check_kind(held[start])
                break
            end = start + head + length
            if length > self.limit:
                _check_first(held[start] >> 4, held[start] & 15, length)
                if held[start] >> 4 != PUBLISH:
                    what = "%s of %d bytes" % (NAMES[held[start] >> 4], length)
                    raise FrameError(what, "the limit is %d" % self.limit)
                if not self._pass_over(held, start, head, length):
                    break
                start = min(end, len(held))
                continue
            if end > len(held):
                _check_first(held[start] >> 4, held[start] & 15, length)
                break
            self.found.append(parse(held[start:end]))
            start = end
        self._held = held[start:]

    def _pass_over(self, held, start, head, length):
        """Gives a PUBLISH that is too long without its payload once its topic is there; False: it is not there yet."""
        begin, end = start + head, len(held)
        size = held[begin] << 8 | held[begin + 1] if end >= begin + 2 else self.limit
        wanted = begin + 2 + size + (2 if held[start] & 6 else 0)
        if end >= begin + 2 and size > self.limit - 4:
            raise FrameError("a topic of %d bytes" % size, "the limit is %d" % self.limit)
        if end < wanted:
            return False
        packet = Packet(PUBLISH)
        packet.size = length
        _publish(packet, held[start] & 15, held, begin, min(wanted, end))
        self.found.append(packet)
        here = min(end, start + head + length)
        self._skip = start + head + length - here
        self.dropped += here - start
        return True


def _check_kind(first):
    if first >> 4 not in NAMES:
        raise FrameError("no packet has the kind %d" % (first >> 4))
