"""The files of a terminal's data folder: segments, checkpoint files, key files (docs/formats.md, "Data folder").

Names, framing and the readers that recovery, delivery and the host's tools share. `carbonterm.ledger.segment` writes.

A storage is any object with
  names() -> list of file names        size(name) -> bytes        read(name, offset, size) -> bytes, short at the end
and, for the writer,
  append(name, data)   adds bytes at the end, makes the file if need be; all of it or an OSError
  sync(name)           returns when all appended bytes, and the name itself, would survive a power cut
  replace(name, data)  puts a whole file in place of the old one, durable and atomic          remove(name)
  erase(name)          remove, after the bytes were overwritten where they stand (for private keys)
  free() -> (bytes that can still be written, bytes of the whole storage)
"""

import binascii

from carbonterm.errors import LedgerError
from carbonterm.ledger import checkpoint, entry

WAY_OUT = "copy the folder away, pull what is whole, and begin the next epoch with a new key"
HEADER = 20  # bytes

_MAGIC = b"CTSEG1\r\n"
FRAME = 4 + 64 + 4  # bytes of a frame beside the entry
_MARK = 0x80000000  # in the length: first frame of a commit
_CHUNK = 2048


def segment_name(epoch, first):
    """File of the entries from seq `first` on."""
    return "%05d-%010d.seg" % (epoch, first)


def checkpoints_name(epoch, first):
    """File of the checkpoints that were signed while that segment was the last."""
    return "%05d-%010d.ckp" % (epoch, first)


def key_name(epoch):
    """File of the epoch's public key."""
    return "%05d.pub" % epoch


def end_name(epoch):
    """File of the proof of a dropped epoch's last entry."""
    return "%05d.end" % epoch


def segments(storage):
    """[(epoch, first seq, name)] of a storage's segments in order."""
    found = []
    for name in storage.names():
        epoch, first = name[:5], name[6:16]
        if name[16:] == ".seg" and name[5] == "-" and _digits(epoch) and _digits(first):
            found.append((int(epoch), int(first), name))
    return sorted(found)


def read_key(storage, epoch):
    """Public key (64 bytes) of an epoch from its key file, or None where there is no such file."""
    name = key_name(epoch)
    if name not in storage.names():
        return None
    text = storage.read(name, 0, 200)
    try:
        public = binascii.unhexlify(text[:-1])
    except ValueError:
        public = b""
    if len(public) != 64 or text != binascii.hexlify(public) + b"\n":
        raise LedgerError("%s is not a public key: 128 lower-case hex digits and a line feed" % name, "restore it")
    return public


def read_checkpoints(storage, epoch, first):
    """([text, …], whole bytes, size) of the checkpoint file beside a segment; nothing and zeros where there is none.

    What follows the whole bytes is a torn last record; LedgerError where whole records follow it.
    """
    name = checkpoints_name(epoch, first)
    texts, at = [], 0
    if name not in storage.names():
        return texts, 0, 0
    data = storage.read(name, 0, storage.size(name))
    while True:
        text = _record(data, at)
        if text is None:
            break
        texts.append(text.decode())
        at += len(text) + 8
    for later in range(at + 1, len(data) - 8):
        if _record(data, later) is not None:
            raise LedgerError("checkpoints in %s are damaged at offset %d" % (name, at), WAY_OUT)
    return texts, at, len(data)


def _record(data, at):
    size = int.from_bytes(data[at : at + 4], "big")
    end = at + 4 + size
    if not 0 < size <= checkpoint.MAX_TEXT or end + 4 > len(data):
        return None
    return data[at + 4 : end] if binascii.crc32(data[at:end]) == int.from_bytes(data[end : end + 4], "big") else None


def terminal_of(storage):
    """Terminal id of the log's first entry, or None where there is no entry yet."""
    for epoch, first, name in segments(storage):
        frame = Frames(storage, name, epoch, first).next()
        if frame:
            return entry.decode(frame[0]).terminal_id
    return None


def snapshot(storage, epoch, first):
    """The snapshot Entry with which the segment of entry `first` begins, or None."""
    frame = Frames(storage, segment_name(epoch, first), epoch, first).next() if first else None
    one = entry.decode(frame[0]) if frame else None
    return one if one and (one.kind, one.epoch, one.seq) == (entry.SNAPSHOT, epoch, first) else None


def tree_before(storage, epoch, firsts, seq):
    """(size, peaks) of the tree at the last snapshot that stands at or before entry `seq`; (0, []) where the log begins
    there, None where that part was dropped. firsts: first seq of each segment of the epoch."""
    for first in reversed(firsts):
        one = snapshot(storage, epoch, first) if first <= seq else None
        if one:
            return first, one.body[0]
    return (0, []) if not firsts or firsts[0] == 0 else None


class Frames:
    """Reads the whole frames of one segment: `next()` gives (entry bytes, fingerprint, first of a commit) or None.

    `end` is the offset behind the last frame given; after None, `torn` is the number of bytes that follow, 0 if none.
    """

    __slots__ = ("_at", "_chunk", "_limit", "_name", "_storage", "end", "torn")

    def __init__(self, storage, name, epoch, first, offset=HEADER):
        self._storage = storage
        self._name = name
        self._limit = storage.size(name)
        self._chunk = b""
        self._at = 0  # offset of _chunk in the file
        self.torn = 0
        self.end = offset if storage.read(name, 0, HEADER) == header(epoch, first) else 0

    def next(self):
        frame = self._frame(self.end) if self.end else None
        if frame:
            self.end += FRAME + len(frame[0])
        else:
            self.torn = self._limit - self.end
        return frame

    def skip(self):
        """Passes over one frame without looking into it; for frames that were checked before."""
        self.end += (int.from_bytes(self._bytes(self.end, 4), "big") & ~_MARK) + FRAME

    def resumed(self, prefix, seq):
        """True if behind the torn bytes stands the first frame of a commit with an entry later than `seq`.

        Then what is torn was durable once, and is damaged now.
        """
        at = self.end + 1
        while at < self._limit - FRAME:
            chunk = self._bytes(at, min(_CHUNK, self._limit - at))
            found = chunk.find(b"\x80")
            if found < 0:
                at += len(chunk)
                continue
            at += found
            frame = self._frame(at)
            if frame and frame[2] and frame[0][: len(prefix)] == prefix and entry.decode(frame[0]).seq > seq:
                return True
            at += 1
        return False

    def _frame(self, at):
        room = self._limit - at - FRAME
        if room <= 0:
            return None
        length = int.from_bytes(self._bytes(at, 4), "big")
        size = length & ~_MARK
        if size > room or size > entry.MAX_ENTRY:
            return None
        frame = self._bytes(at, size + FRAME)
        if binascii.crc32(memoryview(frame)[:-4]) != int.from_bytes(frame[-4:], "big"):
            return None
        return frame[4 : 4 + size], frame[4 + size : -4], length & _MARK != 0

    def _bytes(self, at, size):
        start = at - self._at
        if start < 0 or start + size > len(self._chunk):
            self._chunk = self._storage.read(self._name, at, max(size, min(_CHUNK, self._limit - at)))
            self._at = at
            start = 0
        if start == 0 and size == len(self._chunk):
            return self._chunk  # a long entry is not copied
        return self._chunk[start : start + size]


def header(epoch, first):
    """The 20 bytes with which a segment begins."""
    return _MAGIC + epoch.to_bytes(4, "big") + first.to_bytes(8, "big")


def frames_of(batch, begin=b""):
    """The bytes of one commit: frames of [(entry bytes, fingerprint), …], the first one marked, behind `begin`; a list
    of one, or of many parts where memory has no place for all of it at once."""
    parts, mark = [begin] if begin else [], _MARK
    for raw, fingerprint in batch:
        crc = 0
        for part in ((len(raw) | mark).to_bytes(4, "big"), raw, fingerprint):
            crc = binascii.crc32(part, crc)
            parts.append(part)
        parts.append(crc.to_bytes(4, "big"))
        mark = 0
    try:
        return [b"".join(parts)]
    except MemoryError:
        return parts


def _digits(text):
    for c in text:
        if not "0" <= c <= "9":
            return False
    return len(text) > 0
