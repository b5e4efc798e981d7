"""What a batch must pass before the platform signs for it.

Encoding, terminal, sequence, every fingerprint, the checkpoint's signature, and the tree: entries that are there
already must be the same bytes, and the tree that grows over them must have the checkpoint's root. Only then is the
batch committed, and only after the commit does the receipt leave. A refused batch changes nothing but `evidence`.
"""

import time

from sqlalchemy import select

from carbonterm import cbor
from carbonterm.errors import LedgerError, UplinkError
from carbonterm.gm import sm2, sm3
from carbonterm.ledger import checkpoint as notes
from carbonterm.ledger import entry as formats
from carbonterm.ledger.registry import names_next
from carbonterm.ledger.tree import leaf
from carbonterm.number import Number
from carbonterm.uplink.message import MAX_REASON, Batch, Receipt, Refusal
from carbonterm_host.platform import store as tables
from carbonterm_host.platform.data import versions
from carbonterm_host.platform.data.contexts import Describer
from carbonterm_host.platform.store import (
    add_evidence,
    end_log,
    find_end,
    find_log,
    newest_checkpoint,
    open_log,
    root_at,
    tree_of,
)

STATUS = {
    "malformed": 400, "unknown-terminal": 404, "gap": 409, "fork": 409, "too-large": 413, "fingerprint": 422,
    "checkpoint": 422, "revoked": 409,
}  # fmt: skip


class Refused(Exception):
    """A batch is not taken; `evidence` is what is kept of it, or None."""

    def __init__(self, code, reason, next_seq=None, evidence=None):
        super().__init__(reason)
        self.refusal = Refusal(code, reason[:MAX_REASON], next_seq)
        self.evidence = evidence


class Intake:
    """One centre: its store, name and key (`signer`: `.public`, `.sign(message)`). Safe to call from many threads.

    verify(public, message, signature) -> bool and digest(data) -> 32 bytes may be a faster SM2 and SM3 than the core's.
    """

    def __init__(self, store, name, signer, verify=sm2.verify, digest=sm3.digest):
        self.store = store
        self.name = name
        self.signer = signer
        self._verify = verify
        self._digest = digest

    def tools(self):
        """Its SM2 and SM3, for others who check."""
        return {"verify": self._verify, "digest": self._digest}

    def post(self, terminal_id, body):
        """(status, answer bytes) to a batch sent to `terminal_id`."""
        try:
            return 200, self._post(terminal_id, body).encode()
        except Refused as refused:
            return STATUS[refused.refusal.code], refused.refusal.encode()

    def get(self, terminal_id, epoch, size=None):
        """(status, answer bytes): the receipt for what is there of an epoch, or for its first `size` entries."""
        with self.store.read() as connection:
            log = find_log(connection, terminal_id, epoch)
            if log is None:
                return 404, Refusal("unknown-terminal", "no key is registered for this terminal and epoch").encode()
            if size is None or size >= log.next_seq:
                size, root = log.next_seq, tree_of(log, self._digest).root()
                checkpoint = newest_checkpoint(connection, log)
            else:
                root, checkpoint = root_at(connection, log, size, self._digest), None
        return 200, self._receipt(log, size, root, checkpoint).encode()

    def _post(self, terminal_id, body):
        batch = _decoded(terminal_id, body)
        with self.store.read() as connection:
            log = find_log(connection, batch.terminal_id, batch.epoch)
            if log is None:
                raise Refused("unknown-terminal", "no key is registered for this terminal and epoch")
            held = _held(connection, log, batch)
        if batch.first > log.next_seq:
            raise Refused("gap", f"entry {log.next_seq} is wanted, not {batch.first}", log.next_seq)
        found = _entries(batch)
        try:
            self._check_fingerprints(log, batch, held)
            note = self._check_note(log, batch)
            return self._commit(log, batch, found, note)
        except Refused as refused:
            if refused.evidence is not None:
                with self.store.write() as connection:
                    add_evidence(connection, log, refused.refusal.code, _now(), refused.evidence, self._digest)
            raise

    def _check_fingerprints(self, log, batch, held):
        for seq, pair in enumerate(batch.pairs, batch.first):
            if held.get(seq) != pair and not self._verify(log.public, *pair):
                raise Refused(
                    "fingerprint", f"the fingerprint of entry {seq} is not by this terminal's key",
                    evidence=cbor.encode([seq, *pair]),
                )  # fmt: skip

    def _check_note(self, log, batch):
        """The batch's checkpoint, rightly signed by the terminal, or None."""
        if batch.checkpoint is None:
            return None
        try:
            note = notes.parse(batch.checkpoint)
        except LedgerError as error:
            raise Refused("checkpoint", error.what) from None
        if (note.terminal_id, note.epoch) != (batch.terminal_id, batch.epoch) or note.signatures[0][0] != note.name:
            raise Refused("checkpoint", "the checkpoint is of another log, or its terminal did not sign first")
        if not notes.verify(note, note.name, log.public, self._verify):
            raise Refused("checkpoint", "the checkpoint is not signed by this terminal's key")
        return note

    def _commit(self, log, batch, found, note):
        """One transaction: compare what is there, grow the tree, add the rest; returns the receipt."""
        leaves = [leaf(raw, self._digest) for raw, _ in batch.pairs]
        with self.store.write() as connection:
            log = find_log(connection, batch.terminal_id, batch.epoch)
            if batch.first > log.next_seq:
                raise Refused("gap", f"entry {log.next_seq} is wanted, not {batch.first}", log.next_seq)
            end = find_end(connection, log)
            held = _held(connection, log, batch)
            for seq, pair in enumerate(batch.pairs, batch.first):
                if seq in held and held[seq][0] != pair[0]:
                    raise Refused(
                        "fork", f"entry {seq} is here already with other bytes: two histories",
                        evidence=cbor.encode([seq, *pair]),
                    )  # fmt: skip
            if end is not None and batch.first + len(batch.pairs) > log.next_seq:
                raise Refused("revoked", f"epoch {log.epoch} takes nothing more: {end.why}", log.next_seq)
            tree = tree_of(log, self._digest)
            known = None
            if note is not None and note.size <= log.next_seq:
                known = tree.root() if note.size == log.next_seq else root_at(connection, log, note.size, self._digest)
            fresh = log.next_seq - batch.first
            for one in leaves[fresh:]:
                tree.append(one)
                if note is not None and note.size == tree.size:
                    known = tree.root()
            cosigned = None
            if known is not None:
                cosigned = self._cosigned(connection, log, batch, note, known)
            self._insert(connection, log, batch, found[fresh:], leaves[fresh:], tree)
            if found[fresh:]:
                self._succeed(connection, log, batch, found[-1])
            receipt = self._receipt(log, tree.size, tree.root(), cosigned)
            row = {"body": receipt.body, "signature": receipt.signature}
            _put(connection, tables.receipts, {"log": log.id, "next_seq": tree.size}, row)
        return receipt

    def _succeed(self, connection, log, batch, last):
        """The epoch's last entry names the next key, and both have signed: that key is known from now on."""
        try:
            public = names_next(last, log.public, self._verify)
        except LedgerError as error:
            raise Refused("malformed", error.what) from None
        if public is None:
            return
        follower = find_log(connection, batch.terminal_id, batch.epoch + 1)
        if follower is None:
            open_log(connection, batch.terminal_id, batch.epoch + 1, public)
        elif follower.public != public:
            raise Refused(
                "fork", f"epoch {batch.epoch + 1} is registered with another key than entry {last.seq} names",
                evidence=cbor.encode([last.seq, *batch.pairs[-1]]),
            )  # fmt: skip
        end_log(connection, find_log(connection, batch.terminal_id, batch.epoch), f"epoch {batch.epoch + 1} follows")

    def _cosigned(self, connection, log, batch, note, root):
        if note.root != root:
            raise Refused(
                "checkpoint", f"the checkpoint's root is not that of the first {note.size} entries",
                evidence=batch.checkpoint.encode(),
            )  # fmt: skip
        of_size = {"log": log.id, "size": note.size}
        text = connection.execute(select(tables.checkpoints.c.text).filter_by(**of_size)).scalar()
        if text is None:
            own = "\n".join(batch.checkpoint.split("\n")[:5]) + "\n"  # up to the terminal's signature
            text = notes.cosigned(own, self.name, self.signer.public, _now() // 1000, self.signer.sign)
            _put(connection, tables.checkpoints, of_size, {"root": root, "text": text})
        return text

    def _insert(self, connection, log, batch, found, leaves, tree):
        rows, numbers, contexts = [], [], []
        describer = Describer.resume(connection, log.id)
        for entry, hashed in zip(found, leaves, strict=True):
            rows.append({
                "log": log.id, "seq": entry.seq, "raw": entry.raw, "leaf": hashed, "kind": entry.kind,
                "fingerprint": batch.pairs[entry.seq - batch.first][1], "time_ms": entry.time_ms,
            })  # fmt: skip
            contexts.append(describer.hear(entry))
            for row in figures(entry):
                numbers.append({"log": log.id, "context": describer.of(entry.kind, row["subject"]), **row})
        if rows:
            connection.execute(tables.entries.insert(), rows)
        for made in contexts:
            if made:
                versions.put(connection, made)
        if numbers:
            connection.execute(tables.figures.insert(), numbers)
        connection.execute(
            tables.logs.update().where(tables.logs.c.id == log.id)
            .values(next_seq=tree.size, peaks=b"".join(tree.state()[1]), heard_ms=_now())
        )  # fmt: skip

    def _receipt(self, log, next_seq, root, checkpoint):
        return Receipt.make(
            self.name, log.terminal_id, log.epoch, next_seq, root, _now(), checkpoint, self.signer.sign
        )


def figures(entry):
    """Rows of the table `figures` (without the log) that a closing or emission entry gives."""
    if entry.kind == formats.CLOSING:
        period, start_ms, rows = entry.body
        version = 0
    elif entry.kind == formats.EMISSION:
        period, start_ms, version, rows = entry.body[:4]  # a later version has its reason behind them
    else:
        return
    for number, row in enumerate(rows):
        subject, quality, exponent, mantissa = row[:4]
        yield {
            "seq": entry.seq, "row": number, "kind": entry.kind, "period": period, "start_ms": start_ms,
            "version": version, "subject": subject, "quality": quality,
            "value": None if mantissa is None else str(Number(mantissa, exponent)),
        }  # fmt: skip


def _decoded(terminal_id, body):
    try:
        batch = Batch.decode(body)
    except UplinkError as error:
        raise Refused("malformed", error.what) from None
    if batch.terminal_id != terminal_id:
        raise Refused("malformed", "the batch is of another terminal than its address")
    return batch


def _entries(batch):
    """The decoded entries; each must be of this log and at its place."""
    found = []
    for seq, (raw, _) in enumerate(batch.pairs, batch.first):
        try:
            entry = formats.decode(raw)
        except LedgerError as error:
            raise Refused("malformed", f"entry {seq}: {error.what}") from None
        if (entry.terminal_id, entry.epoch, entry.seq) != (batch.terminal_id, batch.epoch, seq):
            raise Refused("malformed", f"entry {seq} says that it is entry {entry.seq} of another place in a log")
        found.append(entry)
    for entry in found[:-1]:
        if entry.kind == formats.KEY and entry.body[0] == "next":
            raise Refused("malformed", f"entry {entry.seq} ends its epoch, but others follow")
    return found


def _held(connection, log, batch):
    """{seq: (raw, fingerprint)} of the batch's seqs that the store has."""
    if batch.first >= log.next_seq:
        return {}
    columns = tables.entries.c
    rows = connection.execute(
        select(columns.seq, columns.raw, columns.fingerprint)
        .where(columns.log == log.id, columns.seq >= batch.first, columns.seq < batch.first + len(batch.pairs))
    )  # fmt: skip
    return {seq: (raw, fingerprint) for seq, raw, fingerprint in rows}


def _put(connection, table, key, values):
    """Inserts a row, or replaces its values where the key is there."""
    if connection.execute(table.update().filter_by(**key).values(**values)).rowcount == 0:
        connection.execute(table.insert().values(**key, **values))


def _now():
    return time.time_ns() // 1_000_000
