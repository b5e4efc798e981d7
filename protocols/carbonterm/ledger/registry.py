"""Who may sign for a terminal: registrations, revocations, and the succession of keys (docs/formats.md, "Keys").

A registration is the operator's word for a device's key, with the device's own signature as the proof that it has the
private half. A revocation takes an epoch's key back. A succession is the new key's word for the entry in which the old
key names it. Each is canonical bytes under a signature; decoders are strict, and a signature is a question of its own.
"""

from carbonterm import cbor
from carbonterm.errors import CborError, LedgerError, quoted
from carbonterm.gm import sm2
from carbonterm.ledger.checkpoint import is_name
from carbonterm.ledger.entry import KEY, MAX_EPOCH, MAX_SEQ, MAX_TEXT, MAX_TIME, is_terminal_id

MAX_BYTES = 2048  # of a registration or revocation with its signatures

_REGISTRATION = "carbonterm-registration-1"
_REVOCATION = "carbonterm-revocation-1"
_SUCCESSION = "carbonterm-succession-1"


class Registration:
    """A device's key for one epoch. `previous`: None, or (epoch, size, root) of the epoch that it follows.

    `operator_signature` is None in what a device prints: the request.
    """

    __slots__ = ("body", "device_signature", "epoch", "operator", "operator_signature", "previous", "public",
                 "terminal_id", "time_ms")  # fmt: skip

    def __init__(self, body, device_signature, operator_signature=None):
        fields = _fields(body, _REGISTRATION, 7, "a registration")
        self.terminal_id, self.epoch, self.public, self.time_ms, self.operator, previous = fields
        _check_owner(self.terminal_id, self.epoch, "a registration")
        _sized(self.public, 64, "the public key of a registration")
        _whole(self.time_ms, MAX_TIME, "the time of a registration")
        if not isinstance(self.operator, str) or not is_name(self.operator):
            raise LedgerError("the operator of a registration is no name", "use printable ASCII without blanks and +")
        if previous is not None:
            if not isinstance(previous, list) or len(previous) != 3:
                raise LedgerError("previous of a registration is not [epoch, size, root]")
            _whole(previous[0], MAX_EPOCH, "the previous epoch of a registration")
            _whole(previous[1], MAX_SEQ, "the previous size of a registration")
            _sized(previous[2], 32, "the previous root of a registration")
            previous = tuple(previous)
        if (previous is None) != (self.epoch == 0) or (previous and previous[0] + 1 != self.epoch):
            raise LedgerError("a registration of epoch %d does not name the epoch before" % self.epoch)
        _sized(device_signature, 64, "the device's signature")
        if operator_signature is not None:
            _sized(operator_signature, 64, "the operator's signature")
        self.previous = previous
        self.body = body
        self.device_signature = device_signature
        self.operator_signature = operator_signature

    @staticmethod
    def request(terminal_id, epoch, time_ms, operator, previous, signer, extra=b""):
        """The device's half: body and proof of possession; signer: `.public`, `.sign(message, extra)`."""
        values = (_REGISTRATION, terminal_id, epoch, signer.public, time_ms, operator, previous)
        body = cbor.encode(values)
        return Registration(body, signer.sign(body, extra))

    def authorised(self, sign):
        """The whole Registration: sign(message) -> the operator's r||s."""
        return Registration(self.body, self.device_signature, sign(self.body + self.device_signature))

    def possessed(self, verify=sm2.verify):
        """Whether the device that asks has the private half of the key."""
        return verify(self.public, self.body, self.device_signature)

    def signed_by(self, public, verify=sm2.verify):
        """Whether the operator with the key `public` signed body and proof."""
        if self.operator_signature is None:
            return False
        return verify(public, self.body + self.device_signature, self.operator_signature)

    def encode(self):
        return cbor.encode((self.body, self.device_signature, self.operator_signature))

    @staticmethod
    def decode(data):
        """The Registration of canonical bytes, no signature verified, or LedgerError."""
        values = _array(data, "a registration")
        if len(values) != 3:
            raise LedgerError("a registration is not [body, device signature, operator signature]")
        return Registration(values[0], values[1], values[2])


class Revocation:
    """An operator's word that the key of an epoch is not to be believed from `seq` on, nor anything that no centre
    cosigned before `time_ms`."""

    __slots__ = ("body", "epoch", "reason", "seq", "signature", "terminal_id", "time_ms")

    def __init__(self, body, signature):
        fields = _fields(body, _REVOCATION, 6, "a revocation")
        self.terminal_id, self.epoch, self.seq, self.time_ms, self.reason = fields
        _check_owner(self.terminal_id, self.epoch, "a revocation")
        _whole(self.seq, MAX_SEQ, "the seq of a revocation")
        _whole(self.time_ms, MAX_TIME, "the time of a revocation")
        if not isinstance(self.reason, str) or not 1 <= len(self.reason) <= MAX_TEXT:
            raise LedgerError("the reason of a revocation is no text of 1 to %d characters" % MAX_TEXT)
        _sized(signature, 64, "the signature of a revocation")
        self.body = body
        self.signature = signature

    @staticmethod
    def make(terminal_id, epoch, seq, time_ms, reason, sign):
        """A Revocation signed by sign(body) -> the operator's r||s."""
        body = cbor.encode((_REVOCATION, terminal_id, epoch, seq, time_ms, reason))
        return Revocation(body, sign(body))

    def signed_by(self, public, verify=sm2.verify):
        return verify(public, self.body, self.signature)

    def encode(self):
        return cbor.encode((self.body, self.signature))

    @staticmethod
    def decode(data):
        """The Revocation of canonical bytes, its signature not verified, or LedgerError."""
        values = _array(data, "a revocation")
        if len(values) != 2:
            raise LedgerError("a revocation is not [body, signature]")
        return Revocation(values[0], values[1])

    def believed(self, cosigned):
        """How many entries of the epoch stay valid, where a centre cosigned the first `cosigned` before time_ms."""
        return min(self.seq, cosigned)


def succession(terminal_id, epoch, seq, public, next_public):
    """What the new key signs: entry `seq` of `epoch` (key `public`) names `next_public` as the key of epoch + 1."""
    return cbor.encode((_SUCCESSION, terminal_id, epoch, seq, public, next_public))


def names_next(entry, public, verify=sm2.verify):
    """The next epoch's key where `entry`, of the epoch of `public`, is its last: a `key` entry that names it.

    None for any other entry; LedgerError where it names another epoch than the next, or the new key did not sign.
    The old key's word is the entry's fingerprint, which is the caller's to check.
    """
    if entry.kind != KEY or entry.body[0] != "next":
        return None
    _, epoch, next_public, signature = entry.body
    if epoch != entry.epoch + 1:
        raise LedgerError("entry %d names epoch %d as the next one of %d" % (entry.seq, epoch, entry.epoch))
    message = succession(entry.terminal_id, entry.epoch, entry.seq, public, next_public)
    if not verify(next_public, message, signature):
        raise LedgerError("entry %d names a key that did not sign for it" % entry.seq)
    return next_public


def _check_owner(terminal_id, epoch, what):
    if not is_terminal_id(terminal_id):
        shown = quoted(terminal_id) if isinstance(terminal_id, str) else "a field that is no text"
        raise LedgerError("%s is for %s, which is no terminal id" % (what, shown), "use 1 to 32 of A-Z a-z 0-9 . -")
    _whole(epoch, MAX_EPOCH, "the epoch of " + what[2:])


def _whole(value, limit, what):
    if type(value) is not int or not 0 <= value <= limit:
        raise LedgerError("%s is no integer from 0 to %d" % (what, limit))


def _sized(value, size, what):
    if not isinstance(value, bytes) or len(value) != size:
        raise LedgerError("%s has not %d bytes" % (what, size))


def _fields(body, kind, count, what):
    if not isinstance(body, bytes):
        raise LedgerError("the body of %s is no byte string" % what)
    fields = _array(body, what)
    if len(fields) != count or not isinstance(fields[0], str) or fields[0] != kind:
        raise LedgerError("%s is not an array of %d that begins with %s" % (what, count, quoted(kind)))
    return fields[1:]


def _array(data, what):
    if len(data) > MAX_BYTES:
        raise LedgerError("%s has %d bytes, the limit is %d" % (what, len(data), MAX_BYTES))
    try:
        value = cbor.decode(data)
    except CborError as error:
        raise LedgerError("%s is not canonical: %s" % (what, error.what)) from None
    if not isinstance(value, list):
        raise LedgerError("%s is no array" % what)
    return value
