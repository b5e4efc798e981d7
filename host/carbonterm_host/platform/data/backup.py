"""Backups of the platform's store: one file, made while it serves, restored only whole and only into an empty place.

    "carbonterm backup 1\\n" | length (4 bytes) | body (canonical) | signature (64 bytes) | the SQLite file, zlib
    body = ["carbonterm-backup-1", centre name, its public key, time_ms, schema version, bytes of the SQLite file,
            SM3 of it, [[terminal_id, epoch, size, root], …]]

The centre's key signs the body. The key itself is in no backup: keep a copy of it elsewhere (docs/platform_data.md).
"""

import hashlib
import os
import sqlite3
import time
import zlib
from contextlib import closing
from pathlib import Path

from carbonterm import cbor
from carbonterm.errors import CborError, GmError, StoreError, UplinkError
from carbonterm.gm import sm2, sm3
from carbonterm.ledger.tree import Tree
from carbonterm_host import durable
from carbonterm_host.platform import store as stored
from carbonterm_host.platform.data import integrity, versions

MAGIC = b"carbonterm backup 1\n"
FORM = "carbonterm-backup-1"
MAX_BODY = 1 << 26  # bytes: a million logs
_PIECE = 1 << 20
_EMPTY = "restore into a place where nothing is"


class Head:
    """What a backup says of itself; `logs` rows (terminal_id, epoch, size, root)."""

    __slots__ = ("body", "centre", "digest", "logs", "public", "signature", "size", "time_ms", "version")

    def __init__(self, body, signature):
        self.body, self.signature = body, signature
        try:
            form, *fields = cbor.decode(body)
            self.centre, self.public, self.time_ms, self.version, self.size, self.digest, rows = fields
            self.logs = [(terminal_id, epoch, size, root) for terminal_id, epoch, size, root in rows]
            good = form == FORM and all(
                isinstance(value, kind) and not isinstance(value, bool) for value, kind in (
                    (self.centre, str), (self.public, bytes), (self.time_ms, int), (self.version, int),
                    (self.size, int), (self.digest, bytes))
            )  # fmt: skip
        except (CborError, TypeError, ValueError):
            good = False
        if not good or self.size < 0 or len(self.digest) != 32:
            raise StoreError("this backup's head cannot be read", "take another copy of it")

    def report(self):
        return {
            "centre": self.centre, "public_key": self.public.hex(), "time_ms": self.time_ms, "version": self.version,
            "bytes": self.size,
            "logs": [
                {"terminal": terminal_id, "epoch": epoch, "entries": size, "root": root.hex()}
                for terminal_id, epoch, size, root in self.logs
            ],
        }  # fmt: skip


def write(store, path, name, signer, digest=sm3.digest):
    """Writes a backup of an open Store, which may be in use, to the new file `path`. Returns its Head.

    name, signer: of the centre. StoreError where the file is there already or cannot be written.
    """
    path = Path(path)
    copy, draft = _beside(path, "copy"), _beside(path, "new")
    try:
        _snapshot(store.path, copy)
        head = _head(copy, name, signer, digest)
        with open(_made(draft), "wb") as file, open(copy, "rb") as source:
            file.write(MAGIC + len(head.body).to_bytes(4, "big") + head.body + head.signature)
            packer = zlib.compressobj(1)
            while piece := source.read(_PIECE):
                file.write(packer.compress(piece))
            file.write(packer.flush())
            file.flush()
            os.fsync(file.fileno())
        _place(draft, path)
    except OSError as error:
        raise StoreError(f"the backup {path} cannot be written: {error.strerror}", "choose another place") from None
    except sqlite3.Error as error:
        raise StoreError(f"the store {store.path} cannot be copied: {error}", "check the room on the disk") from None
    finally:
        copy.unlink(missing_ok=True)
        draft.unlink(missing_ok=True)
    return head


def restore(path, target, public=None, verify=sm2.verify, digest=sm3.digest):
    """Makes the SQLite file `target` from a backup, after everything in it was checked. Returns its Head.

    public: the centre's key that must have signed, or None for the one the backup names. StoreError for a backup that
    is not whole and as it was signed, and for a place where something is; then nothing is there that was not before.
    """
    target = Path(target)
    for one in (target, *(target.with_name(target.name + end) for end in ("-wal", "-shm", "-journal"))):
        if os.path.lexists(one):
            raise StoreError(f"{one} is there already", _EMPTY)
    draft = _beside(target, "restored")
    try:
        with open(path, "rb") as file:
            head = read_head(file, public, verify)
            with open(_made(draft), "wb") as made:
                _unpack(file, made, head)
                made.flush()
                os.fsync(made.fileno())
        _compare(draft, head, digest)
        _place(draft, target)
    except OSError as error:
        raise StoreError(f"{error.filename or path}: {error.strerror}", _EMPTY) from None
    finally:
        for one in (draft, *(draft.with_name(draft.name + end) for end in ("-wal", "-shm", "-journal"))):
            one.unlink(missing_ok=True)
    return head


def read_head(file, public=None, verify=sm2.verify):
    """The Head of an open backup, its signature right, and the file behind it."""
    if file.read(len(MAGIC)) != MAGIC:
        raise StoreError("this is no backup of a platform", "make one with: carbonterm platform backup FILE")
    length = int.from_bytes(file.read(4), "big")
    if not 0 < length <= MAX_BODY:
        raise StoreError(f"the backup's head says {length} bytes", "take another copy of it")
    body, signature = file.read(length), file.read(64)
    head = Head(body, signature)
    if public is not None and head.public != public:
        raise StoreError("the backup was signed with another platform's key", "compare the keys; --public names it")
    try:
        good = len(head.public) == 64 and len(signature) == 64 and verify(head.public, body, signature)
    except GmError:
        good = False
    if not good:
        raise StoreError("the backup's signature is wrong: it was changed", "take another copy of it")
    if head.version > versions.VERSION:
        raise StoreError(f"the backup is of store version {head.version}, this program reads up to {versions.VERSION}",
                         "use a newer carbonterm")  # fmt: skip
    return head


def _snapshot(source, copy):
    copy.unlink(missing_ok=True)
    os.close(_made(copy))
    with closing(sqlite3.connect(source, timeout=60)) as connection:
        connection.execute("vacuum into ?", (str(copy),))  # one moment; nobody has to wait for it


def _head(copy, name, signer, digest):
    with closing(sqlite3.connect(copy)) as connection:
        version = connection.execute("select version from schema").fetchone()[0]
        rows = []
        for terminal_id, epoch, size, peaks in connection.execute(
            "select terminal_id, epoch, next_seq, peaks from logs order by terminal_id, epoch"
        ):
            tree = Tree(digest)
            tree.restore(size, [peaks[i : i + 32] for i in range(0, len(peaks), 32)])
            rows.append([terminal_id, epoch, size, tree.root()])
    hashed, size = _hashed(copy)
    body = cbor.encode([FORM, name, signer.public, time.time_ns() // 1_000_000, version, size, hashed, rows])
    return Head(body, signer.sign(body))


def _hashed(path):
    found, size = hasher(), 0
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            found.update(piece)
            size += len(piece)
    return found.digest(), size


def hasher():
    """A fresh SM3; the digest over a file is no secret, so OpenSSL's own where Python has it."""
    return hashlib.new("sm3") if "sm3" in hashlib.algorithms_available else sm3.Hash()


def _unpack(file, made, head):
    """Unpacks what follows the head; never more than it says."""
    unpacker, hashed, size = zlib.decompressobj(), hasher(), 0
    try:
        while not unpacker.eof:
            packed = unpacker.unconsumed_tail or file.read(_PIECE)
            if not packed:
                raise StoreError("the backup breaks off", "take another copy of it")
            piece = unpacker.decompress(packed, _PIECE)
            size += len(piece)
            if size > head.size:
                raise StoreError(f"the backup holds more than the {head.size} bytes it says", "take another copy of it")
            hashed.update(piece)
            made.write(piece)
    except zlib.error:
        raise StoreError("the backup cannot be unpacked", "take another copy of it") from None
    if unpacker.unused_data or file.read(1):
        raise StoreError("something follows the backup's end", "take another copy of it")
    if size != head.size or hashed.digest() != head.digest:
        raise StoreError("the backup does not hold the bytes that were signed", "take another copy of it")


def _compare(path, head, digest):
    """Opens what was restored and computes every log again."""
    try:
        opened = stored.Store(f"sqlite:///{path}")
    except UplinkError as error:
        raise StoreError(f"what was restored is no store: {error.what}", "take another copy of it") from None
    try:
        report = integrity.check(opened, digest)
    finally:
        opened.close()
    rows = [(row["terminal"], row["epoch"], row["entries"], bytes.fromhex(row["root"])) for row in report["logs"]]
    if sorted(rows) != sorted(head.logs):
        raise StoreError("the restored logs have other digests than the backup says", "take another copy of it")
    broken = report["file"] + [text for row in report["logs"] for text in row["findings"]]
    if broken:
        raise StoreError(f"the restored store has a finding: {broken[0]}", "take an older backup")


def _made(path):
    """A new file, for nobody else, open for writing."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


def _beside(path, what):
    return path.with_name(f"{path.name}.{os.getpid()}.{what}")


def _place(draft, path):
    os.link(draft, path)  # never over something that is there
    durable.flush(path.parent)
