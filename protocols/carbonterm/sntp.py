"""Asks a time server what time it is: the client's side of SNTPv4 (RFC 5905 section 14, checks of RFC 4330 section 5).

Sans-I/O: `request(cookie)` gives the packet, `read(data, cookie, took_ms)` the time, or a Refusal. The cookie is random
and stands where the client's time of sending would: it tells the answer to this question from one that somebody sends
unasked, and says nothing of a clock that is not set. Nothing here authenticates the server.
"""

from carbonterm.errors import ClockError

SIZE = 48
COOKIE = 8  # bytes
EPOCH_S = 2208988800  # from 1900 to 1970
ERA_S = 1 << 32
FAR_MS = 1000  # a root delay or dispersion from which a server has lost its own source (RFC 4330: "one second")
_CLIENT, _SERVER = 3, 4
_VERSION = 4
STOP = ("DENY", "RSTR")  # kisses after which a server is asked no more; RATE and others: less often


class Refusal(ClockError):
    """An answer that tells no time. kiss: four letters of a kiss-o'-death packet, or None."""

    def __init__(self, what, hint="name another time server", kiss=None):
        super().__init__(what, hint)
        self.kiss = kiss


def request(cookie):
    """The 48 bytes of a question; cookie: 8 random bytes."""
    return bytes([_VERSION << 3 | _CLIENT]) + bytes(39) + cookie


def read(data, cookie, took_ms):
    """(milliseconds since 1970 when the answer came, by how many it may be off) of an answer that came `took_ms` after
    its question was sent. Refusal where it is no answer to it, or the server does not know the time."""
    if len(data) < SIZE:
        raise Refusal("the time server's answer has %d bytes, not %d" % (len(data), SIZE))
    leap, version, mode, stratum = data[0] >> 6, data[0] >> 3 & 7, data[0] & 7, data[1]
    if mode != _SERVER or not 3 <= version <= _VERSION:
        raise Refusal("what came is no answer of a time server (mode %d, version %d)" % (mode, version))
    if data[24:32] != cookie:
        raise Refusal("the answer is to another question", "somebody may be forging answers; look at the network")
    known = leap != 3 and stratum < 16
    if stratum == 0 and (known or data[12:16] != bytes(4)):
        kiss = "".join([chr(c) if 65 <= c <= 90 else "?" for c in data[12:16]])
        raise Refusal("the time server refuses (%s)" % kiss, "ask its keeper, or name another time server", kiss)
    if not known:
        raise Refusal("the time server does not know the time itself")
    delay, dispersion = _short(data, 4), _short(data, 8)
    if delay > FAR_MS or dispersion > FAR_MS:
        raise Refusal("the time server has lost its own source (%d and %d ms)" % (delay, dispersion))
    came, sent = _stamp(data, 32), _stamp(data, 40)
    if came is None or sent is None:
        raise Refusal("the time server's answer has no time")
    way = took_ms - (sent - came)
    if sent < came or way < -1:  # both are whole milliseconds, so that one may seem to be missing
        raise Refusal("the time server's answer contradicts itself: it was longer there than on the way")
    way = max(way, 0)
    return sent + (way >> 1), (way >> 1) + (delay >> 1) + dispersion + 1


def _short(data, at):
    """Milliseconds of a 16.16 number of seconds, rounded up."""
    return (int.from_bytes(data[at : at + 4], "big") * 1000 + 65535) >> 16


def _stamp(data, at):
    """Milliseconds since 1970 of a timestamp from 1968 to 2104 (RFC 4330 section 3); None for 0, which is unknown."""
    seconds, part = int.from_bytes(data[at : at + 4], "big"), int.from_bytes(data[at + 4 : at + 8], "big")
    if seconds == 0 and part == 0:
        return None
    if seconds < 1 << 31:
        seconds += ERA_S
    return (seconds - EPOCH_S) * 1000 + (part * 1000 >> 32)
