"""Entrances for what others send, in the site document: what there is, and the checks of it.

    kind of bus,     unit of a meter    dialect                  address of a point
    protocol
    mqtt             topic or filter    [QoS, pointer of time]   JSON pointer into the payload, "" is all of it; behind
                                                                 what + and # of a filter stand for
    https            name of a source   SM3 of its token         key in `values`
    hj212            MN                 None                     2011/a05001-Rtd: command, factor, kind

Points have function 0, type "decimal" and order "ABCD". What secret there is lies in the data folder, and the site
document, which is logged, has the names of the files. docs/inbound.md tells the messages, carbonterm.field.said what
they mean.
"""

from carbonterm.errors import FrameError, quoted
from carbonterm.field.names import CODE, check_file, check_filter, check_topic
from carbonterm.field.places import HJ212, HTTPS, MQTT, SENDERS

KINDS = SENDERS
TYPE = "decimal"
REALTIME = "2011"
COMMANDS = (REALTIME, "2031", "2041", "2051", "2061")
VERSIONS = ("2017", "2025")
_NUMERIC = ("Rtd", "Min", "Avg", "Max", "Cou", "ZsRtd", "ZsMin", "ZsAvg", "ZsMax")


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
        if options[1] not in VERSIONS:
            raise FrameError("version %s" % quoted(str(options[1])), "it is 2017 or 2025")
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
            check_topic(state)


def check_unit(protocol, unit):
    """What a sender is known by."""
    if not isinstance(unit, str) or not 1 <= len(unit) <= (128 if protocol == MQTT else 64):
        raise FrameError("%s is no name of a sender" % quoted(str(unit)), "give 1 to 64 characters (a topic: 128)")
    if protocol == MQTT:
        check_filter(unit)
    elif protocol == HJ212 and not all([c in CODE for c in unit]):
        raise FrameError("%s is no MN" % quoted(unit), "it has letters and digits only")


def check_dialect(protocol, dialect):
    """See the table at the top."""
    if protocol == MQTT:
        if not isinstance(dialect, (list, tuple)) or len(dialect) != 2 or dialect[0] not in (0, 1):
            raise FrameError("the dialect of an mqtt meter is [QoS 0 or 1, JSON pointer of the time or none]")
        if dialect[1] is not None:
            check_pointer(dialect[1])
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
        check_pointer(address)
    elif protocol == HTTPS:
        if not isinstance(address, str) or not 1 <= len(address) <= 64:
            raise FrameError("a key has 1 to 64 characters")
    else:
        command, _, item = address.partition("/") if isinstance(address, str) else ("", "", "")
        code, _, kind = item.partition("-")
        if command not in COMMANDS or kind not in _NUMERIC or not 1 <= len(code) <= 24:
            raise FrameError("%s is no place in an HJ 212 packet" % quoted(str(address)),
                             "it is like 2011/a05001-Rtd: command 2011 2031 2041 2051 2061, factor, kind")  # fmt: skip
        if not all([c in CODE for c in code]) or (kind[-3:] == "Rtd") != (command == REALTIME):
            raise FrameError("%s is no place in an HJ 212 packet" % quoted(address),
                             "2011 has -Rtd, the others -Min -Avg -Max -Cou")  # fmt: skip


def split_pointer(pointer):
    """(first token, the rest) of a JSON pointer; (None, "") of the empty one."""
    if not pointer:
        return None, ""
    token, _, rest = pointer[1:].partition("/")
    return token.replace("~1", "/").replace("~0", "~"), "/" + rest if len(pointer) > len(token) + 1 else ""


def check_pointer(text):
    """FrameError unless `text` is a JSON pointer (RFC 6901) of at most 128 characters; "" is the whole document."""
    if not isinstance(text, str) or len(text) > 128 or (text and text[0] != "/"):
        raise FrameError("%s is no JSON pointer" % quoted(str(text)), 'write it like /data/0/energy, "" is all of it')
    for part in text.split("~")[1:]:
        if part[:1] not in ("0", "1"):
            raise FrameError("%s has a ~ that is not ~0 or ~1" % quoted(text), "~0 stands for ~, ~1 for /")
