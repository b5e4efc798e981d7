"""What `carbonterm verify` finds out about a bundle: seven verdicts, kept apart (docs/formats.md, "Bundle").

The bundle is read once from front to back. A wrong thing is noted under its verdict and reading goes on, so that one
offence does not hide another; only where the file itself breaks does it stop, and what was not reached is null. There
is no way to ask about an entry without a checkpoint.
"""

from carbonterm import cbor
from carbonterm.errors import CarbonError, LedgerError
from carbonterm.gm import sm2, sm3
from carbonterm.ledger import bundle, checkpoint, entry, proof
from carbonterm.ledger.segment import SEAL_ENTRIES, SEAL_MS
from carbonterm.ledger.tree import Tree, leaf
from carbonterm.uplink.message import Receipt
from carbonterm_host.authority import Authority, Heads
from carbonterm_host.times import Times

VERDICTS = ("encoding", "fingerprints", "keys", "tree", "checkpoints", "sequence", "policy")


class Verifier:
    """Feed it a bundle with `read`, then ask `report`. `trusted`: public keys (64 bytes) the reader knows, or empty.

    operators, witnesses: public keys of operators and centres the reader trusts; heads: texts of checkpoints that came
    another way; at_ms: no time may be later, None: any may.
    verify(public, message, signature) -> bool, digest(data) and hasher() come from the back end to use.
    """

    def __init__(self, trusted=(), verify=sm2.verify, digest=sm3.digest, hasher=sm3.Hash, operators=(), witnesses=(),
                 heads=(), at_ms=None):  # fmt: skip
        self.times = Times(at_ms)
        self.authority = Authority(trusted, operators, witnesses, verify)
        self.heads = Heads(heads)
        self.sizes, self.roots = {}, {}  # epoch: entries, and the root over them
        self.verify = verify
        self.digest = digest
        self.hasher = hasher
        self.verdicts = dict.fromkeys(VERDICTS, True)
        self.reasons = {}
        self.first_offence = None
        self.terminal_id = self.creator = None
        self.keys = self.authority.keys  # epoch: public
        self.centres = {}  # name: public
        self._publics = set()  # so that many keys take no square of time
        self.entries = self.checkpoints = self.receipts = self.cosignatures = 0
        self.begins = None  # seq of the first entry, where those before it were dropped
        self._epoch = None
        self._before = None  # (epoch, size, root) of the epoch before the first entry's, whose entries were dropped
        self._tree = Tree(digest)
        self._sealed = 0
        self._unsealed_before = 0  # in the epochs before this one
        self._since_ms = None
        self._frame = self._offset = 0

    def read(self, file):
        """Reads a whole bundle from a binary file; bad content becomes verdicts, never an exception."""
        try:
            for offset, frame in bundle.read(file, self.hasher()):
                self.take(offset, frame)
        except LedgerError as error:
            self._offend("encoding", str(error))
            for name in VERDICTS:
                if self.verdicts[name]:
                    self.verdicts[name] = None
                    self.reasons[name] = "not reached: the bundle breaks off"
            return
        self.close()

    def take(self, offset, frame):
        """The next frame of a bundle, as bundle.read gives it. A verdict that is False stays so."""
        self._offset = offset
        getattr(self, "_" + frame[0])(*frame[1:])
        self._frame += 1

    def close(self):
        """What can be said only when all is read: keys, and checkpoints that came another way."""
        if not self.checkpoints:
            self._offend("checkpoints", "the bundle has no checkpoint; without one nothing shows that the log is whole")
        if self._epoch is not None:
            self.sizes[self._epoch], self.roots[self._epoch] = self._tree.size, self._tree.root()
        wrong, unsaid = self.heads.judge(self.terminal_id, self.keys, self.sizes, self.verify)
        for why in wrong:
            self._offend("checkpoints", why)
        if not wrong:
            for head in self.heads.heads:
                if (head.epoch, head.size) in self.heads.roots:
                    self._cosigned(head)
        for why in self.authority.ends(self.sizes):
            self._offend("keys", why)
        late = self.times.ends()
        if late:
            self._offend("policy", late)
        for why in unsaid:
            self._unsaid("checkpoints", why)

    def report(self):
        """The object that `carbonterm verify --json` prints."""
        for why in (self.authority.unchecked(), self.authority.unvouched()):
            if why:
                self._unsaid("keys", why)
        rows = self.authority.rows()
        return {
            "ok": all(self.verdicts[name] is True for name in VERDICTS),
            "verdicts": self.verdicts,
            "entries": self.entries,
            "begins": self.begins or 0,
            "unsealed": self._unsealed_before + self._tree.size - self._sealed,
            "checkpoints": self.checkpoints,
            "cosignatures": self.cosignatures,
            "receipts": self.receipts,
            "terminal": self.terminal_id,
            "keys": rows,
            "anchored": bool(rows) and all(row["known"] for row in rows),
            "unwitnessed": sum(max(0, size - self.authority.seen(epoch)) for epoch, size in self.sizes.items()),
            "notes": self.authority.notes + self.times.notes,
            "reasons": self.reasons,
            "first_offence": self.first_offence,
        }

    def _unsaid(self, verdict, why):
        if self.verdicts[verdict]:
            self.verdicts[verdict] = None
            self.reasons[verdict] = why

    def _offend(self, verdict, why):
        self.verdicts[verdict] = False
        self.reasons.setdefault(verdict, why)
        if self.first_offence is None:
            self.first_offence = {
                "verdict": verdict, "frame": self._frame, "offset": self._offset,
                "epoch": self._epoch, "seq": max(self._tree.size - 1, 0), "why": why,
            }  # fmt: skip

    # --- one method per frame type --------------------------------------------------------------------------------

    def _header(self, terminal_id, creator):
        self.terminal_id, self.creator = terminal_id, creator

    def _key(self, epoch, public):
        if epoch in self.keys:
            self._offend("keys", f"epoch {epoch} has a second key")
            return
        if public in self._publics:
            self._offend("keys", f"epoch {epoch} has the key of another epoch")
        if self._epoch is not None and epoch <= self._epoch:
            self._offend("keys", f"the key of epoch {epoch} comes after its entries")
        self.keys[epoch] = public
        self._publics.add(public)

    def _registration(self, body, device_signature, operator_signature):
        self._hear(self.authority.registration, body, device_signature, operator_signature)

    def _revocation(self, body, signature):
        self._hear(self.authority.revocation, body, signature)

    def _ended(self, data):
        """An epoch whose entries were dropped: its last one, with a proof, names the next key."""
        try:
            one = proof.decode(data)
        except LedgerError as error:
            self._offend("encoding", f"the end of an epoch: {error}")
            return
        what = f"the end of epoch {one.epoch}"
        right = one.terminal_id == self.terminal_id and one.public == self.keys.get(one.epoch)
        if self._epoch is not None or one.size != one.seq + 1 or one.links or not right:
            self._offend("keys", f"{what} is of another terminal or key, or stands behind entries, or is not its end")
            return
        if any(self.centres.get(name) != public for name, public in one.centres):
            self._offend("checkpoints", f"{what} is cosigned by a centre that the bundle does not name")
        verdicts, reasons = proof.check(one, (), self.verify, self.digest)
        for name, why in reasons.items():
            self._offend(name, f"{what}: {why}")
        if False not in verdicts.values():
            head = checkpoint.parse(one.checkpoint)
            for name, time_ms in self._cosigned(head):
                self.times.centre(name, time_ms)
            self._before = one.epoch, head.size, head.root
            self.heads.passed(one.epoch, head.size, lambda: head.root)
            for why in self.authority.ended(entry.decode(one.entry), head.size):
                self._offend("keys", why)

    def _hear(self, function, *values):
        try:
            wrong = function(self.terminal_id, *values)
        except LedgerError as error:
            self._offend("encoding", str(error))
            return
        for why in wrong:
            self._offend("keys", why)

    def _centre(self, name, public):
        if name in self.centres:
            self._offend("keys", f"the centre {name} has a second key")
        self.centres[name] = public

    def _entry(self, raw, fingerprint):
        self.entries += 1
        try:
            found = entry.decode(raw)
        except LedgerError as error:
            self._offend("encoding", f"entry {self._tree.size}: {error}")
            found = None
        else:
            self._follow(found)
        self._tree.append(leaf(raw, self.digest))
        self.heads.passed(self._epoch, self._tree.size, self._tree.root)
        public = self._public()
        if public is None or not self.verify(public, raw, fingerprint):
            self._offend("fingerprints", f"entry {self._tree.size - 1}: its fingerprint is not of this epoch's key")
        elif found and found.epoch == self._epoch:
            for why in self.authority.entry(found):
                self._offend("keys", why)
        if found:
            self.times.entry(found)
            self._count(found.time_ms)

    def _follow(self, found):
        """The entry must be the next one of this terminal."""
        if found.terminal_id != self.terminal_id:
            self._offend("sequence", f"entry {found.seq} is of {found.terminal_id}, the bundle of {self.terminal_id}")
        if self._epoch is None and found.kind == entry.SNAPSHOT and found.seq > 0:
            self._resume(found)
        elif found.kind == entry.SNAPSHOT and list(self._tree.state()[1]) != _peaks(found.body):
            self._offend("tree", f"entry {found.seq}: the snapshot's tree is not the one of the entries before it")
        if self._epoch is None:
            follows = found.epoch in self.authority.registrations or self._before is not None
            begins = found.epoch == 0 or (found.seq == 0 and follows)
        else:
            begins = found.epoch == self._epoch + 1 and found.seq == 0
        if begins:
            self._begin(found)
        elif found.epoch != self._epoch:
            self._offend("sequence", f"entry {found.seq} of epoch {found.epoch} stands in epoch {self._epoch}")
        if found.seq != self._tree.size:
            self._offend("sequence", f"entry {found.seq} stands where {self._tree.size} should")

    def _resume(self, found):
        """The log's beginning was dropped: its tree is that of the signed snapshot, confirmed by later checkpoints."""
        self._begin(found)
        try:
            self._tree.restore(found.seq, _peaks(found.body))
        except LedgerError as error:
            self._offend("tree", f"entry {found.seq}: its snapshot cannot be: {error.what}")
        else:
            self.begins = self._sealed = found.seq
            self.heads.passed(found.epoch, found.seq, self._tree.root)

    def _begin(self, found):
        before = self._before if self._epoch is None else (self._epoch, self._tree.size, self._tree.root())
        if self._epoch is not None:
            self.sizes[self._epoch], self.roots[self._epoch] = before[1:]
        unsealed = self._tree.size - self._sealed
        if unsealed:
            self._offend("policy", f"epoch {self._epoch} ends with {unsealed} entries under no checkpoint")
        self._unsealed_before += unsealed
        self._epoch = found.epoch
        self._tree = Tree(self.digest)
        self.heads.passed(self._epoch, 0, self._tree.root)
        self._sealed = 0
        self._since_ms = None
        for why in self.authority.begins(found.epoch, found, before):
            self._offend("keys", why)

    def _public(self):
        public = self.keys.get(self._epoch)
        if public is None:
            self._offend("keys", f"no key for epoch {self._epoch} stands before its first entry")
        return public

    def _count(self, time_ms):
        """The policy: a checkpoint at least every 60 entries and every 15 minutes."""
        if self._since_ms is None:
            self._since_ms = time_ms
        if self._tree.size - self._sealed > SEAL_ENTRIES:
            self._offend("policy", f"more than {SEAL_ENTRIES} entries from {self._sealed} on are under no checkpoint")
        if abs(time_ms - self._since_ms) > SEAL_MS:
            self._offend("policy", f"the entries from {self._sealed} on span more than 15 minutes without a checkpoint")

    def _checkpoint(self, text):
        self.checkpoints += 1
        try:
            head = checkpoint.parse(text)
        except LedgerError as error:
            self._offend("checkpoints", str(error))
            return
        epoch = self._epoch or 0
        if head.name != checkpoint.origin(self.terminal_id, epoch):
            self._offend("checkpoints", f"a checkpoint of {head.name} stands in epoch {epoch} of {self.terminal_id}")
            return
        public = self.keys.get(epoch)
        if public is None or not checkpoint.verify(head, head.name, public, self.verify):
            self._offend("checkpoints", f"the checkpoint over {head.size} entries is not signed with this epoch's key")
        for name, time_ms in self._cosigned(head):
            self.times.centre(name, time_ms)
        self._root(f"the checkpoint over {head.size} entries", head.size, head.root)
        self._sealed = self._tree.size
        self._since_ms = None

    def _cosigned(self, head):
        """[(centre, time_ms)] of the centres of the bundle that rightly signed a checkpoint."""
        right = []
        for name, _, time_s, _ in head.signatures:
            if name in self.centres:
                if checkpoint.verify(head, name, self.centres[name], self.verify):
                    self.cosignatures += 1
                    right.append((name, time_s * 1000))
                    self.authority.witnessed(head.epoch, head.size, time_s * 1000, self.centres[name])
                else:
                    self._offend("checkpoints", f"the cosignature of {name} over {head.size} entries is wrong")
        return right

    def _root(self, what, size, root):
        if size != self._tree.size:
            self._offend("tree", f"{what} stands behind {self._tree.size}")
        elif root != self._tree.root():
            self._offend("tree", f"{what} has another root than the entries: one was changed, taken out or put in")

    def _receipt(self, body, signature):
        self.receipts += 1
        try:
            receipt = Receipt.decode(cbor.encode((body, signature)))
        except CarbonError as error:
            self._offend("encoding", f"a receipt: {error}")
            return
        public = self.centres.get(receipt.centre)
        if public is None or not self.verify(public, body, signature):
            self._offend("checkpoints", f"the receipt over {receipt.next_seq} entries is not {receipt.centre}'s")
        elif (receipt.terminal_id, receipt.epoch) != (self.terminal_id, self._epoch or 0):
            self._offend("checkpoints", f"the receipt of {receipt.centre} is for another terminal or epoch")
        else:
            self.authority.witnessed(receipt.epoch, receipt.next_seq, receipt.time_ms, public)
            self.times.centre(receipt.centre, receipt.time_ms)
        self._root(f"the receipt over {receipt.next_seq} entries", receipt.next_seq, receipt.root)


def _peaks(body):
    """The tree of a snapshot, or an empty list where its body is no snapshot's."""
    return body[0] if isinstance(body, list) and len(body) == 2 and isinstance(body[0], list) else []
