"""Bundles: a log with its keys, checkpoints and receipts in one file (docs/formats.md, "Bundle").

`Writer` streams frames out, `read` streams them in; both hold one frame at a time. The reader refuses whatever the
writer would not have written, and checks the digest over the file at its end. What the frames say is the verifier's.
A file is any object with write(bytes) or read(count) -> bytes, b"" at the end.
"""

from carbonterm import cbor
from carbonterm.errors import CborError, LedgerError, quoted
from carbonterm.gm import sm3
from carbonterm.ledger import checkpoint, entry

MAGIC = b"carbonterm bundle 1\n"
_ANY = b"carbonterm bundle "  # of whatever version
MAX_FRAME = entry.MAX_ENTRY + 1024
MAX_ENDED = 16384  # bytes of the proof of an epoch's last entry


class Writer:
    """Writes a bundle of one terminal to `file`: the frames in the order the format asks for, then `end`."""

    __slots__ = ("_file", "_hash", "frames")

    def __init__(self, file, terminal_id, creator, hasher=None):
        """`hasher`: a fresh SM3 with update and digest, where the platform has a faster one."""
        self._file = file
        self._hash = hasher or sm3.Hash()
        self.frames = 0
        self._write(MAGIC)
        self._frame("header", terminal_id, creator)

    def key(self, epoch, public):
        self._frame("key", epoch, public)

    def registration(self, body, device_signature, operator_signature):
        self._frame("registration", body, device_signature, operator_signature)

    def revocation(self, body, signature):
        self._frame("revocation", body, signature)

    def ended(self, proof):
        """An epoch whose entries were dropped: the bytes of the proof of its last one."""
        self._frame("ended", proof)

    def centre(self, name, public):
        self._frame("centre", name, public)

    def entry(self, raw, fingerprint):
        self._frame("entry", raw, fingerprint)

    def checkpoint(self, text):
        self._frame("checkpoint", text)

    def receipt(self, body, signature):
        self._frame("receipt", body, signature)

    def end(self):
        """Writes the last frame; the file stays open."""
        self._frame("end", self.frames, self._hash.digest())

    def _frame(self, *values):
        _check(values, "a bundle")
        data = cbor.encode(values)
        if len(data) > MAX_FRAME:
            raise LedgerError("the %s has %d bytes, more than a bundle takes" % (values[0], len(data)))
        self._write(len(data).to_bytes(4, "big") + data)
        self.frames += 1

    def _write(self, data):
        self._hash.update(data)
        self._file.write(data)


def read(file, hasher=None):
    """Iterates (offset, frame) over all frames but the end; a frame is a list whose first item is its type.

    LedgerError, naming the offset, where the file is no bundle, is cut, or its digest is wrong: what came before is
    then as untrusted as the rest.
    """
    hasher = hasher or sm3.Hash()
    begin = _take(file, len(MAGIC))
    if begin != MAGIC:
        raise _stranger(begin)
    hasher.update(MAGIC)
    return resume(file, hasher, len(MAGIC), 0)


def resume(file, hasher, offset, count):
    """As `read`, from a border of frames on: `file` stands at `offset`, `hasher` has all bytes before, which are
    `count` frames."""
    while True:
        head = _take(file, 4)
        size = int.from_bytes(head, "big")
        if len(head) < 4 or size > MAX_FRAME:
            raise _broken(offset, "is cut" if len(head) < 4 else "claims %d bytes" % size)
        data = _take(file, size)
        if len(data) < size:
            raise _broken(offset, "is cut")
        try:
            frame = cbor.decode(data)
        except CborError as error:
            raise _broken(offset, "is not canonical: " + error.what) from None
        if not isinstance(frame, list) or not frame or not isinstance(frame[0], str):
            raise _broken(offset, "has no type")
        _check(frame, "the bundle at byte %d" % offset)
        if (frame[0] == "header") != (count == 0):
            raise _broken(offset, "must be the header" if count == 0 else "is a second header")
        if frame[0] == "end":
            if frame[1] != count or frame[2] != hasher.digest():
                raise _broken(offset, "does not fit: the count or digest of what came before is another")
            if _take(file, 1):
                raise LedgerError("bytes follow the end of the bundle at byte %d" % (offset + 4 + size))
            return
        yield offset, frame
        hasher.update(head + data)
        offset += 4 + size
        count += 1


def _stranger(begin):
    if begin[: len(_ANY)] == _ANY:
        return LedgerError("this bundle is of another version of the format than 1", "use a newer carbonterm")
    return LedgerError("this is no bundle: it does not begin 'carbonterm bundle 1'", "make one with carbonterm pull")


def _take(file, size):
    data = file.read(size)
    while 0 < len(data) < size:
        more = file.read(size - len(data))
        if not more:
            break
        data += more
    return data


def _broken(offset, why):
    return LedgerError("the frame at byte %d of the bundle %s" % (offset, why), "get the bundle again")


def _sized(count):
    return lambda value: isinstance(value, bytes) and len(value) == count


def _text(limit):
    return lambda value: isinstance(value, str) and len(value) <= limit


def _whole(limit):
    return lambda value: type(value) is int and 0 <= value <= limit


def _is_bytes(value):
    return isinstance(value, bytes)


# type: tests of the values after it
_TYPES = {
    "header": (entry.is_terminal_id, _text(entry.MAX_TEXT)),
    "key": (_whole(entry.MAX_EPOCH), _sized(64)),
    "registration": (_is_bytes, _sized(64), _sized(64)),
    "revocation": (_is_bytes, _sized(64)),
    "ended": (lambda value: isinstance(value, bytes) and len(value) <= MAX_ENDED,),
    "centre": (lambda value: isinstance(value, str) and checkpoint.is_name(value), _sized(64)),
    "entry": (_is_bytes, _sized(64)),
    "checkpoint": (_text(checkpoint.MAX_TEXT),),
    "receipt": (_is_bytes, _sized(64)),
    "end": (_whole(1 << 40), _sized(32)),
}


def _check(values, where):
    tests = _TYPES.get(values[0])
    if tests is None:
        raise LedgerError("%s has a frame of unknown type %s" % (where, quoted(values[0])), "use a newer carbonterm")
    if len(values) != len(tests) + 1 or not all(tests[i](values[i + 1]) for i in range(len(tests))):
        raise LedgerError("%s has a %s that is not of the format" % (where, values[0]))
