"""Topics of delivery by MQTT (docs/formats.md, "Uplink by MQTT"): the terminal asks on `up`, the centre answers `down`.

    <prefix>/<terminal id>/up/<request>      a batch, or a question
    <prefix>/<terminal id>/down/<request>    the receipt or refusal to it
    <prefix>/<terminal id>/state             "online" or, as the terminal's will, "offline"; retained

A request is a name of the terminal's choice, which tells its answer from one that comes late. Terminal ids have no
character that means anything in a topic.
"""

from carbonterm.errors import UplinkError, quoted
from carbonterm.field.names import check_file, check_topic
from carbonterm.ledger.entry import is_terminal_id

PREFIX = "carbonterm"
MAX_PREFIX = 64
MAX_REQUEST = 32  # characters
ONLINE, OFFLINE = b"online", b"offline"


def up(prefix, terminal_id, request="+"):
    """Where a terminal asks; of all its requests the filter."""
    return "%s/%s/up/%s" % (prefix, terminal_id, request)


def down(prefix, terminal_id, request="+"):
    """Where the centre answers it."""
    return "%s/%s/down/%s" % (prefix, terminal_id, request)


def state(prefix, terminal_id):
    """Where it is said whether the terminal is there."""
    return "%s/%s/state" % (prefix, terminal_id)


def asked(prefix, topic):
    """(terminal id, request) of a topic `up`; None for any other."""
    begin = prefix + "/"
    if not topic.startswith(begin):
        return None
    levels = topic[len(begin) :].split("/")
    if len(levels) != 3 or levels[1] != "up" or not is_terminal_id(levels[0]):
        return None
    return (levels[0], levels[2]) if 1 <= len(levels[2]) <= MAX_REQUEST else None


def check_prefix(text):
    """UplinkError unless `text` can stand before all topics of a centre."""
    check_topic(text)
    if len(text) > MAX_PREFIX or text[0] in "/$" or text[-1] == "/":
        raise UplinkError("%s cannot begin a topic" % quoted(text), "use 1 to %d characters, no / at its ends"
                          % MAX_PREFIX)  # fmt: skip


def check_options(value):
    """What the site document says of the way over a broker: [prefix of the topics, file of the login or None, files of
    certificate and key (DER) or None and None, keep-alive in s]; CarbonError where it cannot be."""
    if not isinstance(value, list) or len(value) != 5:
        raise UplinkError("a way over a broker has 5 fields")
    prefix, login, certificate, key, keep_alive = value
    check_prefix(prefix)
    for name in (login, certificate, key):
        if name is not None:
            check_file(name)
    if (certificate is None) != (key is None):
        raise UplinkError("certificate and key go together", "give both or none")
    if not isinstance(keep_alive, int) or not 5 <= keep_alive <= 3600:
        raise UplinkError("keep-alive must be 5 to 3600 s")
    return value
