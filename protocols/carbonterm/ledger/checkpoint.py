"""Checkpoints: signed tree heads in C2SP signed-note text (docs/formats.md, "Checkpoint").

The text carries origin, size and root, then signatures: the terminal's own over the body, and any number of centres'
cosignatures, which add a time. A line of an unknown signer is allowed and says nothing; `verify` looks for one name
with one key.
"""

import binascii

from carbonterm.errors import LedgerError, quoted
from carbonterm.gm import sm2, sm3
from carbonterm.ledger.entry import MAX_EPOCH, MAX_SEQ, is_terminal_id

MAX_TEXT = 8192  # characters
MAX_SIGNATURES = 16
MAX_TIME_S = 253402300799

_DASH = "\u2014 "
_TERMINAL = b"sm2-sm3"
_CENTRE = b"sm2-sm3-cosignature"


class Checkpoint:
    """One parsed checkpoint. `signatures` are tuples (name, key hash, seconds or None, r||s); `body` is the text that
    the terminal signed, `name` its origin line."""

    __slots__ = ("body", "epoch", "name", "root", "signatures", "size", "terminal_id")

    def __init__(self, terminal_id, epoch, size, root, signatures, body):
        self.terminal_id = terminal_id
        self.epoch = epoch
        self.size = size
        self.root = root
        self.signatures = signatures
        self.body = body
        self.name = origin(terminal_id, epoch)


def origin(terminal_id, epoch):
    """The origin line, which is also the name of the terminal's key: carbonterm/<terminal_id>/<epoch>."""
    return "carbonterm/%s/%d" % (terminal_id, epoch)


def body(terminal_id, epoch, size, root):
    """The signed text of the tree head (root: 32 bytes), with its last line feed."""
    if not is_terminal_id(terminal_id) or not 0 <= epoch <= MAX_EPOCH or not 0 <= size <= MAX_SEQ or len(root) != 32:
        raise LedgerError("a checkpoint needs a terminal id, epoch, size and a root of 32 bytes")
    return "%s\n%d\n%s\n" % (origin(terminal_id, epoch), size, _base64(root))


def signed(body, name, public, sign):
    """Checkpoint text: `body` and the terminal's signature; sign(message) -> r||s of `public` (64 bytes each)."""
    signature = key_hash(name, public, _TERMINAL) + sign(body.encode())
    return body + "\n" + _line(name, signature)


def cosigned(text, name, public, time_s, sign):
    """`text` with one more line: the cosignature of the centre `name` at `time_s` (seconds since 1970)."""
    if not is_name(name):
        raise LedgerError("%s cannot name a key" % quoted(name), "use printable ASCII without blanks and +")
    checkpoint = parse(text)
    signature = key_hash(name, public, _CENTRE) + time_s.to_bytes(8, "big")
    return text + _line(name, signature + sign(cosigned_message(checkpoint.body, time_s)))


def cosigned_message(body, time_s):
    """The bytes a centre signs."""
    return ("cosignature/v1\ntime %d\n" % time_s + body).encode()


def parse(text):
    """The Checkpoint of a text of at most 8192 characters; LedgerError unless it is exactly of the format."""
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        raise LedgerError("a checkpoint is a text of at most %d characters" % MAX_TEXT)
    lines = text.split("\n")
    if len(lines) < 6 or lines[-1] or lines[3]:
        raise LedgerError("a checkpoint is three lines, an empty one, then signatures, each with a line feed")
    if len(lines) - 5 > MAX_SIGNATURES:
        raise LedgerError("the checkpoint has more than %d signatures" % MAX_SIGNATURES)
    parts = lines[0].split("/")
    if len(parts) != 3 or parts[0] != "carbonterm" or not is_terminal_id(parts[1]):
        raise LedgerError("%s is not the origin of a terminal" % quoted(lines[0]))
    epoch = _decimal(parts[2], MAX_EPOCH)
    size = _decimal(lines[1], MAX_SEQ)
    root = _unbase64(lines[2])
    if len(root) != 32:
        raise LedgerError("the root has %d bytes, not 32" % len(root))
    signatures = []
    for line in lines[4:-1]:
        signature = _signature(line)
        for other in signatures:
            if other[:2] == signature[:2]:
                raise LedgerError("two signatures of %s with one key" % quoted(signature[0]))
        signatures.append(signature)
    return Checkpoint(parts[1], epoch, size, root, signatures, "\n".join(lines[:3]) + "\n")


def verify(checkpoint, name, public, verify=sm2.verify):
    """True if `checkpoint` has a right signature of `name` with the key `public`.

    The terminal's own name (the origin) signs the body, any other name cosigns it.
    """
    own = name == checkpoint.name
    wanted = key_hash(name, public, _TERMINAL if own else _CENTRE)
    for signer, hashed, time_s, signature in checkpoint.signatures:
        if signer == name and hashed == wanted and (time_s is None) == own:
            message = checkpoint.body.encode() if own else cosigned_message(checkpoint.body, time_s)
            return verify(public, message, signature)
    return False


def key_hash(name, public, algorithm):
    """First 4 bytes of SM3(name || LF || 0xFF || algorithm || public key)."""
    return sm3.digest(name.encode() + b"\n\xff" + algorithm + public)[:4]


def is_name(text):
    """True for 1 to 100 printable ASCII characters without blanks and plus signs (C2SP signed-note)."""
    return 1 <= len(text) <= 100 and all("!" <= c <= "~" and c != "+" for c in text)


def _line(name, signature):
    return _DASH + name + " " + _base64(signature) + "\n"


def _signature(line):
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] + " " != _DASH or not is_name(parts[1]):
        raise LedgerError("%s is not a signature line" % quoted(line))
    data = _unbase64(parts[2])
    if len(data) == 68:
        return parts[1], data[:4], None, data[4:]
    if len(data) == 76:
        time_s = int.from_bytes(data[4:12], "big")
        if time_s <= MAX_TIME_S:
            return parts[1], data[:4], time_s, data[12:]
    raise LedgerError("the signature of %s has no length or time that a checkpoint knows" % quoted(parts[1]))


def _decimal(text, limit):
    if 1 <= len(text) <= 10 and (text == "0" or text[0] != "0"):
        value = 0
        for c in text:
            if not "0" <= c <= "9":
                break
            value = value * 10 + ord(c) - 48
        else:
            if value <= limit:
                return value
    raise LedgerError("%s is not a decimal from 0 to %d without leading zeros" % (quoted(text), limit))


def _base64(data):
    return binascii.b2a_base64(data)[:-1].decode()


def _unbase64(text):
    """Bytes of canonical base64 only: the decoders at hand skip garbage and spare bits, so the way back must agree."""
    try:
        data = binascii.a2b_base64(text.encode())
    except ValueError:
        data = None
    if data is None or _base64(data) != text:
        raise LedgerError("%s is not canonical base64" % quoted(text))
    return data
