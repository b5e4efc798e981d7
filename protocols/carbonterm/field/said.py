"""What a message of a sender says of the site's points (carbonterm.field.inbound has their places), no I/O.

A list of (index of the point, Number or None, quality, moment in ms or None for the arrival's): the value in the
point's unit; quality GOOD, or what the sender's own flag makes of it, INVALID where there is no value.
"""

from carbonterm import clock
from carbonterm.errors import CarbonError, FrameError, quoted
from carbonterm.field import hj212, json_text
from carbonterm.field.inbound import split_pointer
from carbonterm.field.json_text import at, decimal
from carbonterm.number import Number

GOOD, SUSPECT, INVALID = 0, 2, 3
MAX_BODY = 16384  # bytes of a message
_MOST = 1 << 63  # of a value's digits as one integer
_PLACES = 40  # of a value's exponent


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


def of_payload(payload, dialect, points, stands=None):
    """What the payload of a message of MQTT says. A payload that is no JSON, or without its time, makes every point of
    the topic INVALID; one without a point's place makes that point INVALID. stands: what + and # of the meter's filter
    stand for in this topic; it says only of the points whose pointer begins with that."""
    places = [(index, point, point.address) for index, point in points]
    if stands is not None:
        split = [(index, point, split_pointer(point.address)) for index, point in points]
        places = [(index, point, parts[1]) for index, point, parts in split if parts[0] == stands]
    time_ms = None
    try:
        document = json_text.parse(payload)
        if dialect[1] is not None:
            time_ms = moment(at(document, dialect[1])[1])
    except FrameError:
        return [(index, None, INVALID, None) for index, _, _ in places]
    return [_said(index, point, _plain(at(document, place)[1]), time_ms) for index, point, place in places]


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
