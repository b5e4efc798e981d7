"""What a person gives by hand (T/CSMT clauses 6.2, 11.3 d; docs/formats.md, "Manual data").

A record is canonical bytes under the operator's signature, or, without one, what a user of the terminal's page said
there: then the terminal's log alone answers for it, and `basis` tells it from the other. It is an amount of a period
with its evidence, the review of one, or the order to compute figures again. A correction is a record that names the
one it replaces; nothing is overwritten. What a record means for the figures is carbonterm.series.manual's.
"""

from carbonterm import cbor
from carbonterm.errors import CborError, LedgerError
from carbonterm.gm import sm2, sm3
from carbonterm.ledger.entry import MAX_EXPONENT, MAX_TEXT, MAX_TIME, is_terminal_id

FORM = "carbonterm-manual-1"
ENTER, REVIEW, RECALCULATE = "enter", "review", "recalculate"
KEY, PAGE = "key", "page"  # basis: the operator's key, or a log-in at the terminal's page
REVIEWED, REJECTED = "reviewed", "rejected"
MAX_RECORD = 1600  # bytes, without the signature
MAX_EVIDENCE = 8  # files
MAX_NAME = 64


class Record:
    """A record of canonical bytes `body`; LedgerError for what is none. signature: r||s of the operator, None of what
    was said on the page. `what` says which of these it has:

    enter: name (of the point), start_ms, end_ms (the civil days [start, end)), value as exponent and mantissa, unit,
    evidence (list of [file name, SM3 of the file]), note, of (digest of the record that it corrects, or None);
    review: of (digest), verdict, note;   recalculate: name (of the source), start_ms, end_ms, note (the reason).
    """

    __slots__ = ("body", "digest", "end_ms", "evidence", "exponent", "mantissa", "name", "note", "of", "operator",
                 "signature", "start_ms", "terminal_id", "time_ms", "unit", "verdict", "what")  # fmt: skip

    def __init__(self, body, signature):
        if not isinstance(body, bytes) or len(body) > MAX_RECORD:
            raise LedgerError("a manual record has more than %d bytes, or is none" % MAX_RECORD)
        if signature is not None and (not isinstance(signature, bytes) or len(signature) != 64):
            raise LedgerError("the signature of a manual record is not 64 bytes")
        try:
            fields = cbor.decode(body)
        except CborError as error:
            raise LedgerError("a manual record is not canonical: %s" % error.what)
        if not isinstance(fields, list) or len(fields) < 5 or fields[0] != FORM:
            raise LedgerError("these bytes are no manual record", "make one with 'carbonterm enter'")
        _, self.terminal_id, self.operator, self.time_ms, self.what = fields[:5]
        shape = _SHAPES.get(self.what) if isinstance(self.what, str) else None
        if shape is None or len(fields) != 5 + len(shape):
            raise LedgerError("a manual record is not of a kind that is known", "use a newer carbonterm")
        if not (is_terminal_id(self.terminal_id) and _name(self.operator) and _time(self.time_ms)):
            raise LedgerError("a manual record does not say its terminal, operator and time")
        for (name, right), value in zip(shape, fields[5:]):
            if not right(value):
                raise LedgerError("%s of a manual record is out of its range or of another type" % name)
            setattr(self, name, value)
        if self.what != REVIEW and self.start_ms >= self.end_ms:
            raise LedgerError("the period of a manual record ends before it begins")
        self.body, self.signature, self.digest = body, signature, sm3.digest(body)

    @staticmethod
    def decode(data):
        """The Record of the bytes of a file or message: canonical [body, signature]; from there it has to be signed."""
        try:
            values = cbor.decode(data)
        except CborError as error:
            raise LedgerError("this is no manual record: %s" % error.what, "make one with 'carbonterm enter'")
        if not isinstance(values, list) or len(values) != 2:
            raise LedgerError("a manual record is [body, signature]", "make one with 'carbonterm enter'")
        if values[1] is None:
            raise LedgerError("this record is not signed", "log in at the terminal's page and enter it there")
        return Record(values[0], values[1])

    def encode(self):
        return cbor.encode([self.body, self.signature])

    @property
    def basis(self):
        """KEY or PAGE: what stands for the operator's name."""
        return PAGE if self.signature is None else KEY

    def signed_by(self, public, verify=sm2.verify):
        return verify(public, self.body, self.signature)


def make(terminal_id, operator, time_ms, what, fields, sign):
    """A Record of fields as its kind has them in docs/formats.md; sign(body) -> r||s, or None for one of the page.
    LedgerError for wrong ones."""
    body = cbor.encode([FORM, terminal_id, operator, time_ms, what] + list(fields))
    return Record(body, sign(body))


def _name(value):
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME


def _text(value):
    return isinstance(value, str) and len(value) <= MAX_TEXT


def _reason(value):
    return _text(value) and len(value.strip()) > 0


def _time(value):
    return type(value) is int and 0 <= value <= MAX_TIME


def _digest(value):
    return isinstance(value, bytes) and len(value) == 32


def _evidence(value):
    if not isinstance(value, list) or len(value) > MAX_EVIDENCE:
        return False
    return all([isinstance(one, list) and len(one) == 2 and _name(one[0]) and _digest(one[1]) for one in value])


_PERIOD = (("start_ms", _time), ("end_ms", _time))
_SHAPES = {
    ENTER: (("name", _name),) + _PERIOD + (
        ("exponent", lambda v: type(v) is int and -MAX_EXPONENT <= v <= MAX_EXPONENT),
        ("mantissa", lambda v: type(v) is int), ("unit", _name), ("evidence", _evidence), ("note", _text),
        ("of", lambda v: v is None or _digest(v)),
    ),
    REVIEW: (
        ("of", _digest), ("verdict", lambda v: isinstance(v, str) and v in (REVIEWED, REJECTED)), ("note", _text),
    ),
    RECALCULATE: (("name", _name),) + _PERIOD + (("note", _reason),),
}  # fmt: skip
