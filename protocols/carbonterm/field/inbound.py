"""What others send to the terminal: entrances in the site document, and what a message says of the points, no I/O.

    kind of bus,     unit of a meter    dialect                  address of a point
    protocol
    mqtt             topic              [QoS, pointer of time]   JSON pointer into the payload, "" is all of it
    https            name of a source   SM3 of its token         key in `values`
    hj212            MN                 None                     2011/a05001-Rtd: command, factor, kind

Points have function 0, type "decimal" and order "ABCD". What secret there is lies in the data folder, and the site
document, which is logged, has the names of the files. docs/inbound.md tells the messages.

What a message says is a list of (index of the point, Number or None, quality, moment in ms or None for the arrival's):
quality GOOD, or what the sender's own flag makes of it; a value is in the point's unit.
"""

from carbonterm import clock
from carbonterm.errors import CarbonError, FrameError, quoted
from carbonterm.field import hj212, json_text, mqtt
from carbonterm.field.json_text import at, decimal
from carbonterm.number import Number

MQTT, HTTPS, HJ212 = "mqtt", "https", "hj212"
KINDS = (MQTT, HTTPS, HJ212)
TYPE = "decimal"
GOOD, SUSPECT, INVALID = 0, 2, 3
COMMANDS = (hj212.REALTIME, hj212.DAY, hj212.RUNTIME, hj212.MINUTE, hj212.HOUR)
MAX_BODY = 16384  # bytes of a message
_MOST = 1 << 63  # of a value's digits as one integer
_PLACES = 40  # of a value's exponent
_FILE = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
_CODE = _FILE[:62]


# --- the site document ---------------------------------------------------------------------------------------------


def check_bus(kind, options):
    """Options of a bus: mqtt [client id, file of the login or None, DER of the CA or None, keep-alive in s, topic for
    the state or None]; https [file of the certificate, file of its key]; hj212 [file of the stations, version];
    None for a bus that is asked."""
    if kind not in KINDS:
        if options is not None:
            raise FrameError("a %s bus has no inbound options" % kind)
        return
    size = {MQTT: 5, HTTPS: 2, HJ212: 2}[kind]
    if not isinstance(options, (list, tuple)) or len(options) != size:
        raise FrameError("a %s bus has %d inbound options" % (kind, size))
    if kind == HTTPS:
        check_file(options[0])
        check_file(options[1])
    elif kind == HJ212:
        check_file(options[0])
        hj212.flag(options[1])
    else:
        client, login, ca, keep_alive, state = options
        if not isinstance(client, str) or not 1 <= len(client) <= 64:
            raise FrameError("a client id has 1 to 64 characters")
        if login is not None:
            check_file(login)
        if ca is not None and not (isinstance(ca, bytes) and 1 <= len(ca) <= 8192):
            raise FrameError("a CA certificate has 1 to 8192 bytes")
        if not isinstance(keep_alive, int) or not 5 <= keep_alive <= 3600:
            raise FrameError("keep-alive must be 5 to 3600 s")
        if state is not None:
            mqtt.check_topic(state)


def check_file(name):
    """FrameError unless it can be the name of a file beside the log's, whose names begin with digits."""
    good = isinstance(name, str) and 1 <= len(name) <= 64 and all([c in _FILE for c in name])
    if not good or name[0] in "0123456789.-_" or name == "pull.note":
        raise FrameError("%s is no name of a file in the data folder" % quoted(str(name)),
                         "begin with a letter; use letters, digits, . - _")  # fmt: skip


def check_unit(protocol, unit):
    """What a sender is known by."""
    if not isinstance(unit, str) or not 1 <= len(unit) <= (128 if protocol == MQTT else 64):
        raise FrameError("%s is no name of a sender" % quoted(str(unit)), "give 1 to 64 characters (a topic: 128)")
    if protocol == MQTT:
        mqtt.check_topic(unit)
    elif protocol == HJ212 and not all([c in _CODE for c in unit]):
        raise FrameError("%s is no MN" % quoted(unit), "it has letters and digits only")


def check_dialect(protocol, dialect):
    """See the table at the top."""
    if protocol == MQTT:
        if not isinstance(dialect, (list, tuple)) or len(dialect) != 2 or dialect[0] not in (0, 1):
            raise FrameError("the dialect of an mqtt meter is [QoS 0 or 1, JSON pointer of the time or none]")
        if dialect[1] is not None:
            json_text.check_pointer(dialect[1])
    elif protocol == HTTPS:
        if not isinstance(dialect, bytes) or len(dialect) != 32:
            raise FrameError("the dialect of an https source is the SM3 of its token, 32 bytes")
    elif dialect is not None:
        raise FrameError("a %s meter has no dialect" % protocol, "leave it out")


def check_point(protocol, function, address, type, order):
    """A value's place in the message."""
    if function != 0 or type != TYPE or order != "ABCD":
        raise FrameError("a point of a %s meter has function 0, type decimal and order ABCD" % protocol)
    if protocol == MQTT:
        json_text.check_pointer(address)
    elif protocol == HTTPS:
        if not isinstance(address, str) or not 1 <= len(address) <= 64:
            raise FrameError("a key has 1 to 64 characters")
    else:
        command, _, item = address.partition("/") if isinstance(address, str) else ("", "", "")
        code, _, kind = item.partition("-")
        if command not in COMMANDS or kind not in hj212.NUMERIC or not 1 <= len(code) <= 24:
            raise FrameError("%s is no place in an HJ 212 packet" % quoted(str(address)),
                             "it is like 2011/a05001-Rtd: command 2011 2031 2041 2051 2061, factor, kind")  # fmt: skip
        if not all([c in _CODE for c in code]) or (kind[-3:] == "Rtd") != (command == hj212.REALTIME):
            raise FrameError("%s is no place in an HJ 212 packet" % quoted(address),
                             "2011 has -Rtd, the others -Min -Avg -Max -Cou")  # fmt: skip


# --- messages ------------------------------------------------------------------------------------------------------


class Post:
    """What a body sent to the HTTPS endpoint says: source, id, time_ms, values (key: parsed JSON)."""

    __slots__ = ("id", "source", "time_ms", "values")

    def __init__(self, data):
        document = json_text.parse(data)
        if not isinstance(document, dict) or sorted(document) != ["id", "source", "time", "values"]:
            raise FrameError("a message is an object of source, id, time and values, and nothing more")
        self.source, self.id, self.values = document["source"], document["id"], document["values"]
        for name, text in (("source", self.source), ("id", self.id)):
            if not isinstance(text, str) or not 1 <= len(text) <= 64 or not all([" " <= c != "\x7f" for c in text]):
                raise FrameError("%s must be a text of 1 to 64 characters" % name)
        self.time_ms = moment(document["time"])
        if not isinstance(self.values, dict):
            raise FrameError("values must be an object of key: value")


def moment(value):
    """Milliseconds of a time in a message: ISO 8601 with offset, or a whole number since 1970, of milliseconds from
    10^11 on (1973-03-03), below that of seconds."""
    if isinstance(value, Number):
        if value.exponent < -3 or value.exponent > 15 or value < 0 or value > 253402300799999:
            raise FrameError("%s is no time" % value, "give ISO 8601 with offset, or milliseconds since 1970")
        return value.at(0) if value >= 100000000000 else value.at(-3)
    if not isinstance(value, str):
        raise FrameError("the time is no text and no number", "give ISO 8601 with offset, or milliseconds since 1970")
    try:
        return clock.parse(value)
    except CarbonError as error:
        raise FrameError("time: " + error.what, error.hint) from None


def of_post(post, points):
    """What a Post says. points: list of (index, Point) of its source."""
    said = []
    for index, point in points:
        if point.address in post.values:
            said.append(_said(index, point, _plain(post.values[point.address]), post.time_ms))
    return said


def of_payload(payload, dialect, points):
    """What the payload of a message of MQTT says. A payload that is no JSON, or without its time, makes every point of
    the topic INVALID; one without a point's place makes that point INVALID."""
    time_ms = None
    try:
        document = json_text.parse(payload)
        if dialect[1] is not None:
            time_ms = moment(at(document, dialect[1])[1])
    except FrameError:
        return [(index, None, INVALID, None) for index, _ in points]
    return [_said(index, point, _plain(at(document, point.address)[1]), time_ms) for index, point in points]


def of_packet(command, items, zone, points):
    """What the data of an HJ 212 packet, or of several joined, say. DataTime is the zone's civil time: the moment of
    2011, of the others the start of a window as long as the point's interval, and the value is true at its end. A flag
    other than N makes it SUSPECT."""
    packet = hj212.Packet([], items)
    when = packet.get("DataTime")
    if when is None:
        raise FrameError("the data have no DataTime")
    start = _civil(when, zone)
    found = {}
    for reading in hj212.readings(packet):
        found["%s/%s-%s" % (command, reading.code, reading.kind)] = reading
    said = []
    for index, point in points:
        reading = found.get(point.address)
        if reading is not None:
            true_at = start if command == hj212.REALTIME else start + point.interval_ms
            quality = GOOD if reading.flag in ("N", None) else SUSPECT
            said.append(_said(index, point, reading.value, true_at, quality))
    return said


def _civil(when, zone):
    parts = [int(when[a:b]) for a, b in ((0, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 14))]
    try:
        return clock.stamp(parts[0], parts[1], parts[2], parts[3], parts[4], parts[5], int(when[14:] or "0"), zone)
    except CarbonError as error:
        raise FrameError("DataTime %s: %s" % (quoted(when), error.what), error.hint) from None


def _plain(value):
    """Number of a JSON value that is one, or a text of one; else None."""
    if isinstance(value, str):
        return decimal(value)
    return value if isinstance(value, Number) else None


def _said(index, point, value, time_ms, quality=GOOD):
    if value is not None:
        value = value * point.scale
        if not -_MOST < value.mantissa < _MOST or not -_PLACES <= value.exponent <= _PLACES:
            value = None
    return index, value, quality if value is not None else INVALID, time_ms
