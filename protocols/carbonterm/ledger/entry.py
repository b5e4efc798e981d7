"""Entries: the facts of the log, one canonical array each (docs/formats.md, "Entry").

`encode` and `decode` hold the same rules, so that what one terminal writes every verifier reads. The body of a kind
whose shape is defined is what _shape says of it; the other kinds take any canonical value for now.
"""

from carbonterm import cbor
from carbonterm.errors import CborError, LedgerError, quoted
from carbonterm.gm import sm3

KINDS = (
    "start", "config", "clock", "readings", "manual", "closing", "emission", "fill", "meter", "audit", "upgrade",
    "key", "snapshot", "gap",
)  # fmt: skip
START, CONFIG, CLOCK, READINGS, MANUAL, CLOSING, EMISSION, FILL, METER, AUDIT, UPGRADE, KEY, SNAPSHOT, GAP = range(14)

CLOCK_UNSET, CLOCK_HOLDOVER, CLOCK_RTC, CLOCK_NETWORK, CLOCK_GNSS = range(5)

GOOD, ESTIMATED, SUSPECT, INVALID, SILENT, REFUSED = range(6)  # quality; from INVALID on there is no value

SECOND, MINUTE, HOUR, DAY, MONTH, YEAR = range(6)  # period

REPLACED, RESET = range(2)  # meter event

SYNC, STEP, REBASE = range(3)  # clock event

FILL_LINEAR, FILL_NEAREST, FILL_COUNTED = range(3)  # method of a fill, as carbonterm.series.gaps

MAX_ENTRY = 1 << 18  # bytes
MAX_EPOCH = 99999  # five digits of a segment's name
MAX_SEQ = 9999999999  # ten digits
MAX_TIME = 253402300799999  # 9999-12-31T23:59:59.999Z
MAX_ROWS = 4096
MAX_TEXT = 200  # characters
MAX_INDEX = 65535  # of a point, meter or source
MAX_EXPONENT = 400  # as carbonterm.number

_VERSION = 1


class Entry:
    """One decoded entry; `raw` are the bytes under the fingerprint, `body` has lists for arrays."""

    __slots__ = ("body", "clock_state", "epoch", "kind", "raw", "seq", "terminal_id", "time_ms")

    def __init__(self, terminal_id, epoch, seq, time_ms, clock_state, kind, body, raw):
        self.terminal_id = terminal_id
        self.epoch = epoch
        self.seq = seq
        self.time_ms = time_ms
        self.clock_state = clock_state
        self.kind = kind
        self.body = body
        self.raw = raw


def encode(terminal_id, epoch, seq, time_ms, clock_state, kind, body):
    """Canonical bytes of an entry, at most 256 KiB; LedgerError for a field or body that breaks the format."""
    return encode_after(prefix(terminal_id, epoch), seq, time_ms, clock_state, kind, body)


def encode_after(begin, seq, time_ms, clock_state, kind, body):
    """As `encode`, for a writer of many entries that keeps `prefix(terminal_id, epoch)`."""
    _check(seq, time_ms, clock_state, kind)
    check_body(kind, body)
    try:
        raw = begin + cbor.encode((seq, time_ms, clock_state, kind, body))[1:]  # without the head of this array
    except CborError as error:
        raise LedgerError("the body of a %s entry cannot be encoded: %s" % (KINDS[kind], error.what)) from None
    if len(raw) > MAX_ENTRY:
        raise LedgerError("the entry has %d bytes, more than %d" % (len(raw), MAX_ENTRY), "split it into several")
    return raw


def decode(data):
    """The Entry of `data` (bytes); LedgerError unless `encode` would have written exactly these bytes."""
    if len(data) > MAX_ENTRY:
        raise LedgerError("the entry has %d bytes, more than %d" % (len(data), MAX_ENTRY))
    data = bytes(data)
    try:
        fields = cbor.decode(data)
    except CborError as error:
        raise LedgerError("the entry is not canonical: %s" % error.what) from None
    if not isinstance(fields, list) or len(fields) != 8:
        raise LedgerError("an entry is an array of 8 fields, this is not")
    version, terminal_id, epoch, seq, time_ms, clock_state, kind, body = fields
    if type(version) is not int or version != _VERSION:
        raise LedgerError("the entry's version is not 1", "use a newer carbonterm")
    _check_owner(terminal_id, epoch)
    _check(seq, time_ms, clock_state, kind)
    check_body(kind, body)
    return Entry(terminal_id, epoch, seq, time_ms, clock_state, kind, body, data)


def is_terminal_id(text):
    """True for 1 to 32 of A-Z a-z 0-9 . - that begin with a letter or digit."""
    if not isinstance(text, str) or not 1 <= len(text) <= 32 or text[0] in ".-":
        return False
    return all("a" <= c <= "z" or "A" <= c <= "Z" or "0" <= c <= "9" or c in ".-" for c in text)


def prefix(terminal_id, epoch):
    """The bytes with which every entry of a terminal's epoch begins; the canonical seq follows them."""
    _check_owner(terminal_id, epoch)
    return b"\x88" + b"".join(cbor.encode(v) for v in (_VERSION, terminal_id, epoch))


def _check_owner(terminal_id, epoch):
    if not is_terminal_id(terminal_id):
        raise LedgerError(
            "%s is not a terminal id" % quoted(str(terminal_id)),
            "use 1 to 32 of A-Z a-z 0-9 . - and begin with a letter or digit",
        )
    _check_whole("epoch", epoch, MAX_EPOCH)


def _check(seq, time_ms, clock_state, kind):
    _check_whole("seq", seq, MAX_SEQ)
    _check_whole("time_ms", time_ms, MAX_TIME)
    _check_whole("clock_state", clock_state, CLOCK_GNSS)
    _check_whole("kind", kind, GAP)


def _check_whole(name, value, limit):
    if type(value) is not int or not 0 <= value <= limit:
        raise LedgerError("%s of an entry must be an integer from 0 to %d" % (name, limit))


# --- bodies ---------------------------------------------------------------------------------------------------------


def check_body(kind, body):
    """LedgerError, naming the field, unless `body` (list or tuple) has the shape of its kind in docs/formats.md."""
    if kind not in _shapes:
        _shapes[kind] = _shape(kind)
    shape = _shapes[kind]
    if shape is None:
        return
    fields, rule = shape
    what = KINDS[kind]
    if kind == EMISSION and isinstance(body, (list, tuple)) and len(body) == 5:
        fields = fields + _REASON  # of a later version
    _check_fields(what, fields, body)
    if rule:
        why = rule(body)
        if why:
            raise LedgerError("a %s entry %s" % (what, why))


def _check_fields(what, fields, values):
    if not isinstance(values, (list, tuple)) or len(values) != len(fields):
        names = ", ".join(name for name, _ in fields)
        raise LedgerError("%s must be an array of %d: %s" % (what, len(fields), names))
    at = 0
    for name, right in fields:
        if not right(values[at]):
            raise LedgerError("%s of %s is out of its range or of another type" % (name, what))
        at += 1


def _whole(low, high):
    return lambda value: type(value) is int and low <= value <= high


def _or_null(right):
    return lambda value: value is None or right(value)


def _text(value):
    return isinstance(value, str) and len(value) <= MAX_TEXT


def _bytes(value):
    return isinstance(value, bytes)


def _digest(value):
    return isinstance(value, bytes) and len(value) == 32


def _integer(value):
    return type(value) is int


def _array(value):
    return isinstance(value, (list, tuple)) and len(value) <= MAX_ROWS


def _rows(what, fields, at, first_value):
    """Rule for the rows in body[at]: their fields, and no value where the quality says that there is none."""
    quality_at = [name for name, _ in fields].index("quality")

    def rule(body):
        for row in body[at]:
            _check_fields(what, fields, row)
            exponent, value = row[quality_at + 1], row[first_value]
            if row[quality_at] < INVALID:
                if value is None:
                    return "has a row of quality 0 to 2 without a value"
            elif exponent != 0 or value is not None:
                return "has a row of quality 3 to 5 with a value"
        return None

    return rule


def _readings(slow):
    """As `slow`, the rule of readings rows; the rows that a terminal writes by the thousand pass without it."""

    def rule(body):
        for row in body[0]:
            if isinstance(row, (list, tuple)) and len(row) == 5:
                point, offset, quality, exponent, value = row
                if (
                    type(point) is type(offset) is type(quality) is type(exponent) is int
                    and 0 <= point <= MAX_INDEX
                    and -0x80000000 <= offset <= 0x7FFFFFFF
                    and -MAX_EXPONENT <= exponent <= MAX_EXPONENT
                    and (0 <= quality < INVALID if type(value) is int else INVALID <= quality <= REFUSED)
                    and (value is None) == (quality >= INVALID)
                    and (value is not None or exponent == 0)
                ):
                    continue
            return slow(body)
        return None

    return rule


def _peaks(value):
    return isinstance(value, (list, tuple)) and len(value) <= 64 and all([_digest(peak) for peak in value])


def _closing_rule(rows):
    """The rule of a closing; rows: that of its rows."""

    def rule(body):
        why = rows(body)
        for row in body[2]:
            if row[1] >= INVALID and (row[4] is not None or row[5] is not None):
                why = why or "has a row of quality 3 to 5 with a maximum or minimum"
        return why

    return rule


def _clock_rule(body):
    event, _, _, before, after, first = body
    if (event == REBASE) != (first is not None):
        return "has a seq where it re-bases nothing, or none where it does"
    if event == REBASE and (before != CLOCK_UNSET or after == CLOCK_UNSET):
        return "re-bases, but not from an unset clock to one that is set"
    if event != REBASE and (before == CLOCK_UNSET) != (after == CLOCK_UNSET):
        return "sets or loses the time without re-basing"
    return None


def _key_rule(body):
    size = 64 if body[0] == "next" else 32
    number, third, last = body[1:]
    if body[0] == "next":
        right = number > 0 and isinstance(third, bytes) and len(third) == 64
    else:
        right = type(third) is int and 0 <= third <= MAX_SEQ
    if right and len(last) == size:
        return None
    return "names no key with its signature, and no epoch with its size and root"


def _config_rule(body):
    return None if sm3.digest(body[1]) == body[0] else "has a digest that is not the SM3 of its document"


def _emission_rule(rows):
    """The rule of an emission; rows: that of its rows."""

    def rule(body):
        if (body[2] > 1) != (len(body) == 5):
            return "of a later version has no reason, or the first one has one"
        return rows(body)

    return rule


def _days(value):
    return isinstance(value, (list, tuple)) and len(value) in (0, 4) and all([_whole(0, 86400000)(n) for n in value])


def _fill_rule(body):
    counted, from_ms, to_ms, days, after = body[1] == FILL_COUNTED, body[2], body[3], body[4], body[10]
    if not from_ms < to_ms:
        return "ends where it begins or before"
    if counted != (len(days) == 0) or (counted and after is None):
        return "has the days of another method, or a total of none"
    return None


_INDEX = _whole(0, MAX_INDEX)
_QUALITY = _whole(GOOD, REFUSED)
_EXPONENT = _whole(-MAX_EXPONENT, MAX_EXPONENT)
_PERIOD = _whole(SECOND, YEAR)
_TIME = _whole(0, MAX_TIME)
_VALUE = _or_null(_integer)
_REASON = (("reason", _text),)


def _one_of(*texts):
    return lambda value: isinstance(value, str) and value in texts


def _signature(value):
    return value is None or (isinstance(value, bytes) and len(value) == 64)


def _shape(kind):
    """((name, test of the field), …) and the rule of the whole body or None; None: any canonical value."""
    if kind == READINGS:
        slow = _rows(
            "a readings row",
            (("point", _INDEX), ("offset_ms", _whole(-(1 << 31), (1 << 31) - 1)), ("quality", _QUALITY),
             ("exponent", _EXPONENT), ("mantissa", _VALUE)),
            0, 4,
        )  # fmt: skip
        return (("rows", _array), ("frames", _or_null(_digest))), _readings(slow)
    if kind == START:
        return (("firmware version", _text), ("runtime", _text), ("cause", _one_of("first", "restart")),
                ("previous size", _whole(0, MAX_SEQ))), None  # fmt: skip
    if kind == CONFIG:
        return (("digest", _digest), ("document", _bytes)), _config_rule
    if kind == CLOCK:
        state = _whole(CLOCK_UNSET, CLOCK_GNSS)
        return (("event", _whole(SYNC, REBASE)), ("before_ms", _TIME), ("after_ms", _TIME), ("state before", state),
                ("state after", state), ("seq", _or_null(_whole(0, MAX_SEQ)))), _clock_rule  # fmt: skip
    if kind == AUDIT:
        return (("who", _text), ("what", _text), ("detail", _text)), None
    if kind == KEY:
        return (("role", _one_of("next", "previous")), ("epoch", _whole(0, MAX_EPOCH)),
                ("key or size", lambda v: True), ("signature or root", _bytes)), _key_rule  # fmt: skip
    if kind == SNAPSHOT:
        return (("peaks", _peaks), ("state", _array)), None
    if kind == GAP:
        return (("cause", _text), ("segment name", _text), ("offset", _TIME), ("bytes", _TIME)), None
    if kind == METER:
        return (("point", _INDEX), ("event", _whole(REPLACED, RESET)), ("time_ms", _TIME), ("exponent", _EXPONENT),
                ("last", _integer), ("first", _integer)), None  # fmt: skip
    if kind == MANUAL:
        return (("record", _bytes), ("signature", _signature)), None
    return _derived_shape(kind)


def _derived_shape(kind):
    """As _shape, of the kinds that follow from others."""
    if kind == CLOSING:
        rows = _rows(
            "a closing row",
            (("point", _INDEX), ("quality", _QUALITY), ("exponent", _EXPONENT), ("increment", _VALUE),
             ("max", _VALUE), ("min", _VALUE)),
            2, 3,
        )  # fmt: skip
        return (("period", _PERIOD), ("start_ms", _TIME), ("rows", _array)), _closing_rule(rows)
    if kind == EMISSION:
        rows = _rows(
            "an emission row",
            (("source", _INDEX), ("quality", _QUALITY), ("exponent", _EXPONENT), ("mantissa", _VALUE),
             ("digest", _digest)),
            3, 3,
        )  # fmt: skip
        fields = ("period", _PERIOD), ("start_ms", _TIME), ("version", _whole(0, 1 << 32)), ("rows", _array)
        return fields, _emission_rule(rows)
    if kind == FILL:
        return (("point", _INDEX), ("method", _whole(FILL_LINEAR, FILL_COUNTED)), ("from_ms", _TIME),
                ("to_ms", _TIME), ("days", _days), ("exponent", _EXPONENT), ("first", _integer), ("last", _integer),
                ("total exponent", _EXPONENT), ("before", _integer), ("after", _VALUE)), _fill_rule  # fmt: skip
    return None


_shapes = {}  # by kind, as they are asked for: all of them are kilobytes of a small heap, and many meet few kinds
