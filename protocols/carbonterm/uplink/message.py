"""Messages between a terminal and a centre: batch, question, receipt, refusal (docs/formats.md, "Uplink").

All are canonical bytes and decoded strictly: exact shape, bounded sizes, nothing after the end; whatever breaks a rule
is an UplinkError. Whether a receipt is signed by the right key is a question of its own: `Receipt.signed_by`.
"""

from carbonterm import cbor
from carbonterm.errors import CborError, UplinkError, quoted
from carbonterm.gm import sm2
from carbonterm.ledger.checkpoint import MAX_TEXT, is_name
from carbonterm.ledger.entry import MAX_ENTRY, MAX_EPOCH, MAX_SEQ, MAX_TIME, is_terminal_id

MAX_ENTRIES = 1000  # of one batch
MAX_BATCH = 2 << 20  # bytes of one batch
MAX_ANSWER = 16384  # bytes of a receipt or refusal: room for the longest checkpoint
MAX_QUESTION = 100  # bytes
MAX_REASON = 500  # characters

CODES = (
    "malformed", "unknown-terminal", "fingerprint", "gap", "fork", "checkpoint", "too-large", "revoked", "operator",
)  # fmt: skip

_BATCH = "carbonterm-batch-1"
_QUESTION = "carbonterm-question-1"
_RECEIPT = "carbonterm-receipt-1"
_REFUSAL = "carbonterm-refusal-1"


class Batch:
    """Entries first, first + 1, … of an epoch, as pairs (entry bytes, fingerprint), and a checkpoint text or None."""

    __slots__ = ("checkpoint", "epoch", "first", "pairs", "terminal_id")

    def __init__(self, terminal_id, epoch, first, pairs, checkpoint=None):
        self.terminal_id = terminal_id
        self.epoch = epoch
        self.first = first
        self.pairs = pairs
        self.checkpoint = checkpoint

    def encode(self):
        """Canonical bytes; UplinkError where a field breaks the protocol."""
        _check_batch(self)
        rows = [(entry, fingerprint) for entry, fingerprint in self.pairs]
        data = cbor.encode((_BATCH, self.terminal_id, self.epoch, self.first, rows, self.checkpoint))
        if len(data) > MAX_BATCH:
            raise UplinkError("a batch has %d bytes, the limit is %d" % (len(data), MAX_BATCH), "send fewer entries")
        return data

    @staticmethod
    def decode(data):
        """The Batch of canonical bytes, or UplinkError."""
        fields = _fields(data, MAX_BATCH, _BATCH, 6, "batch")
        rows = fields[4]
        if not isinstance(rows, list):
            raise UplinkError("a batch's entries are no array")
        pairs = []
        for row in rows:
            if not isinstance(row, list) or len(row) != 2:
                raise UplinkError("a batch's row %d is not [entry, fingerprint]" % len(pairs))
            pairs.append((row[0], row[1]))
        batch = Batch(fields[1], fields[2], fields[3], pairs, fields[5])
        _check_batch(batch)
        return batch


class Question:
    """What a centre holds of an epoch? Over a broker, where there is no GET."""

    __slots__ = ("epoch", "terminal_id")

    def __init__(self, terminal_id, epoch):
        _terminal_id(terminal_id)
        _integer(epoch, "a question's epoch", MAX_EPOCH)
        self.terminal_id = terminal_id
        self.epoch = epoch

    def encode(self):
        return cbor.encode((_QUESTION, self.terminal_id, self.epoch))

    @staticmethod
    def decode(data):
        """The Question of canonical bytes, or UplinkError."""
        return Question(*_fields(data, MAX_QUESTION, _QUESTION, 3, "question")[1:])


def is_receipt(data):
    """Whether bytes begin like a Receipt's: over a broker an answer has no status."""
    return data[:1] == b"\x82"


def is_question(data):
    """Whether bytes are as short as a Question's and begin like one's."""
    return len(data) <= MAX_QUESTION and data[:1] == b"\x83"


class Receipt:
    """A centre's signed word that it holds the entries 0 to next_seq - 1 of the epoch durably.

    root: of the Merkle tree of that size, 32 bytes; time_ms: the centre's clock; checkpoint: cosigned text or None;
    body: the signed bytes; signature: 64 bytes r||s.
    """

    __slots__ = ("body", "centre", "checkpoint", "epoch", "next_seq", "root", "signature", "terminal_id", "time_ms")

    def __init__(self, fields, body, signature):
        self.centre, self.terminal_id, self.epoch, self.next_seq, self.root, self.time_ms, self.checkpoint = fields
        self.body = body
        self.signature = signature
        _check_receipt(self)

    @staticmethod
    def make(centre, terminal_id, epoch, next_seq, root, time_ms, checkpoint, sign):
        """A Receipt signed by `sign(body) -> 64 bytes`."""
        fields = (centre, terminal_id, epoch, next_seq, root, time_ms, checkpoint)
        body = cbor.encode((_RECEIPT,) + fields)
        return Receipt(fields, body, sign(body))

    def encode(self):
        return cbor.encode((self.body, self.signature))

    @staticmethod
    def decode(data):
        """The Receipt of canonical bytes, its signature not yet verified, or UplinkError."""
        outer = _array(data, MAX_ANSWER, "receipt")
        if len(outer) != 2 or not isinstance(outer[0], bytes) or not isinstance(outer[1], bytes):
            raise UplinkError("a receipt is not [body, signature]")
        fields = _fields(outer[0], MAX_ANSWER, _RECEIPT, 8, "receipt")
        return Receipt(fields[1:], outer[0], outer[1])

    def signed_by(self, public, verify=sm2.verify):
        """Whether `public` (64 bytes) signed the body."""
        return verify(public, self.body, self.signature)


class Refusal:
    """Why a centre took nothing of a batch: code (one of CODES), a text for people, and the seq it wants or None."""

    __slots__ = ("code", "next_seq", "reason")

    def __init__(self, code, reason, next_seq=None):
        self.code = code
        self.reason = reason
        self.next_seq = next_seq
        if not isinstance(code, str) or code not in CODES:
            raise UplinkError("a refusal has no known code", "known are " + ", ".join(CODES))
        if not isinstance(reason, str) or len(reason) > MAX_REASON:
            raise UplinkError("a refusal's reason is no text of at most %d characters" % MAX_REASON)
        if next_seq is not None:
            _integer(next_seq, "a refusal's next seq")

    def encode(self):
        return cbor.encode((_REFUSAL, self.code, self.reason, self.next_seq))

    @staticmethod
    def decode(data):
        """The Refusal of canonical bytes, or UplinkError."""
        fields = _fields(data, MAX_ANSWER, _REFUSAL, 4, "refusal")
        return Refusal(fields[1], fields[2], fields[3])


def _check_batch(batch):
    _terminal_id(batch.terminal_id)
    _integer(batch.epoch, "a batch's epoch", MAX_EPOCH)
    _integer(batch.first, "a batch's first seq")
    if len(batch.pairs) > MAX_ENTRIES:
        raise UplinkError("a batch has %d entries, the limit is %d" % (len(batch.pairs), MAX_ENTRIES), "send fewer")
    at = 0
    for entry, fingerprint in batch.pairs:
        if not isinstance(entry, bytes) or not 1 <= len(entry) <= MAX_ENTRY:
            raise UplinkError("entry %d of a batch is no byte string of 1 to %d bytes" % (at, MAX_ENTRY))
        if not isinstance(fingerprint, bytes) or len(fingerprint) != 64:
            raise UplinkError("fingerprint %d of a batch has not 64 bytes" % at)
        at += 1
    _checkpoint(batch.checkpoint, "a batch")
    if not batch.pairs and batch.checkpoint is None:
        raise UplinkError("a batch has neither an entry nor a checkpoint")


def _check_receipt(receipt):
    if not isinstance(receipt.centre, str) or not is_name(receipt.centre):
        raise UplinkError("a receipt's centre is no name of a key")
    _terminal_id(receipt.terminal_id)
    _integer(receipt.epoch, "a receipt's epoch", MAX_EPOCH)
    _integer(receipt.next_seq, "a receipt's next seq")
    if not isinstance(receipt.root, bytes) or len(receipt.root) != 32:
        raise UplinkError("a receipt's root has not 32 bytes")
    _integer(receipt.time_ms, "a receipt's time", MAX_TIME)
    _checkpoint(receipt.checkpoint, "a receipt")
    if not isinstance(receipt.signature, bytes) or len(receipt.signature) != 64:
        raise UplinkError("a receipt's signature has not 64 bytes")


def _terminal_id(text):
    if not is_terminal_id(text):
        shown = quoted(text) if isinstance(text, str) else "a field that is no text"
        raise UplinkError("%s is not a terminal id" % shown, "use 1 to 32 of A-Z a-z 0-9 . -")


def _checkpoint(text, whose):
    if text is not None and (not isinstance(text, str) or not 1 <= len(text) <= MAX_TEXT):
        raise UplinkError("the checkpoint of %s is no text of 1 to %d characters" % (whose, MAX_TEXT))


def _integer(value, what, most=MAX_SEQ):
    if not isinstance(value, int) or value is True or value is False or not 0 <= value <= most:
        raise UplinkError("%s is no integer from 0 to %d" % (what, most))


def _fields(data, limit, kind, count, what):
    fields = _array(data, limit, what)
    if len(fields) != count or not isinstance(fields[0], str) or fields[0] != kind:
        raise UplinkError("a %s is not an array of %d that begins with %s" % (what, count, quoted(kind)))
    return fields


def _array(data, limit, what):
    if len(data) > limit:
        raise UplinkError("a %s has %d bytes, the limit is %d" % (what, len(data), limit))
    try:
        value = cbor.decode(data)
    except CborError as error:
        raise UplinkError("a %s is not canonical: %s" % (what, error.what)) from None
    if not isinstance(value, list):
        raise UplinkError("a %s is no array" % what)
    return value
