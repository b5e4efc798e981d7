"""Proofs out of a bundle in memory: which checkpoint covers an entry, and the path from the entry to its root.

`Book(bundle)` hashes every entry once and every full subtree at most once, so that walking all figures of a log costs a
few hashes each.
"""

from carbonterm.errors import LedgerError
from carbonterm.ledger import chain, checkpoint, entry, proof, registry, tree
from carbonterm_host import gm_backends


class Book:
    """`entries`: [Entry] in the bundle's order; backend: whose SM2 and SM3. LedgerError for a malformed entry."""

    def __init__(self, bundle, backend=None):
        self.bundle = bundle
        self.backend = backend or gm_backends.best()
        self.entries = [entry.decode(raw) for raw, _ in bundle.entries]
        self._at = {(one.epoch, one.seq): i for i, one in enumerate(self.entries)}
        self._roots = {}  # (epoch, low, high): root of a subtree
        self._sizes = {}  # epoch: entries
        for one in self.entries:
            if one.epoch not in self._sizes and one.seq > 0:
                self._begun(one)
            self._sizes[one.epoch] = one.seq + 1
            self._roots[one.epoch, one.seq, one.seq + 1] = tree.leaf(one.raw, self.digest)
        self._heads = {}  # epoch: [(size, text, Checkpoint)] in order of size
        for text in bundle.checkpoints:
            head = checkpoint.parse(text)
            self._heads.setdefault(head.epoch, []).append((head.size, text, head))
        self._checked = {}  # (epoch, seq): the proof's report

    def _begun(self, one):
        """The log's beginning was dropped: the full subtrees before its first entry stand in the snapshot there."""
        if one.kind != entry.SNAPSHOT:
            raise LedgerError(f"the bundle begins with entry {one.seq}, which is no snapshot", "see carbonterm verify")
        beginning = tree.Tree(self.digest)
        hashes = list(one.body[0])
        beginning.restore(one.seq, hashes)
        low = 0
        for bit in range(one.seq.bit_length() - 1, -1, -1):
            if one.seq >> bit & 1:
                self._roots[one.epoch, low, low + (1 << bit)] = hashes.pop(0)
                low += 1 << bit

    def digest(self, data):
        return gm_backends.digest(data, self.backend)

    def verify(self, public, message, signature):
        return gm_backends.verify(public, message, signature, self.backend)

    def find(self, seq, epoch=None):
        """Index in `entries` of an entry, without an epoch of the last that has it; LedgerError where none has."""
        for number in [epoch] if epoch is not None else sorted(self._sizes, reverse=True):
            if (number, seq) in self._at:
                return self._at[number, seq]
        where = "the bundle" if epoch is None else f"epoch {epoch}"
        raise LedgerError(f"{where} has no entry {seq}", f"it has {len(self.entries)} entries; see carbonterm verify")

    def head(self, epoch, seq):
        """(size, text, Checkpoint) of the first checkpoint over an entry, rather a cosigned one, or None."""
        over = [row for row in self._heads.get(epoch, ()) if seq < row[0] <= self._sizes[epoch]]
        cosigned = [row for row in over if any(name in self.bundle.centres for name, *_ in row[2].signatures)]
        return min(cosigned or over, key=lambda row: row[0], default=None)

    def path(self, epoch, seq, size):
        """Inclusion proof of an entry in the tree of `size` entries (RFC 9162 2.1.3.1)."""
        low, high, path = 0, size, []
        while high - low > 1:
            middle = low + _half(high - low)
            if seq < middle:
                path.append(self._root(epoch, middle, high))
                high = middle
            else:
                path.append(self._root(epoch, low, middle))
                low = middle
        return path[::-1]

    def prove(self, index):
        """The Proof of entries[index]; LedgerError where no checkpoint of the bundle covers it."""
        one = self.entries[index]
        found = self.head(one.epoch, one.seq)
        if found is None:
            why = f"entry {one.seq} of epoch {one.epoch} is under no checkpoint yet"
            raise LedgerError(why, "pull the log again when the terminal has signed the next checkpoint")
        size, text, head = found
        centres = [(name, self.bundle.centres[name]) for name, *_ in head.signatures if name in self.bundle.centres]
        text = proof.without_strangers(text, [head.name, *(name for name, _ in centres)])
        fingerprint = self.bundle.entries[index][1]
        public = self.bundle.keys.get(one.epoch)
        if public is None:
            raise LedgerError(f"the bundle has no key for epoch {one.epoch}", "pull it again")
        path = self.path(one.epoch, one.seq, size)
        return proof.Proof(one.terminal_id, one.epoch, one.seq, one.raw, fingerprint, public, size, path, text, centres,
                           self.links(one.epoch))  # fmt: skip

    def links(self, epoch):
        """The links from an operator to the epoch's key (carbonterm.ledger.chain), [] where the bundle has none."""
        registered = {registry.Registration(*row).epoch: row for row in self.bundle.registrations}
        found, first = [], epoch
        while first not in registered:
            first -= 1
            if first in self.bundle.ended:
                found.insert(0, ["next", self.bundle.ended[first].entry, self.bundle.ended[first].fingerprint])
                continue
            last = self._at.get((first, self._sizes.get(first, 0) - 1))
            if last is None or self.entries[last].kind != entry.KEY or self.entries[last].body[0] != "next":
                return []
            found.insert(0, ["next", *self.bundle.entries[last]])
        revoked = [row for row in self.bundle.revocations if first <= registry.Revocation(*row).epoch <= epoch]
        return [["registration", *registered[first]], *found, *(["revocation", *row] for row in revoked)][
            : chain.MAX_LINKS
        ]

    def check(self, proof_):
        """As proof.check with this book's back end, and without operators: "keys" may be None, unsaid."""
        return proof.check(proof_, (), self.verify, self.digest)

    def report(self, index):
        """What a trace shows of an entry's proof: an object with `ok`, and `why` where it is not."""
        one = self.entries[index]
        key = one.epoch, one.seq
        if key not in self._checked:
            try:
                made = self.prove(index)
            except LedgerError as error:
                self._checked[key] = {"ok": False, "why": error.what}
            else:
                verdicts, reasons = self.check(made)
                self._checked[key] = {
                    "ok": False not in verdicts.values(), "checkpoint": made.size,
                    "path": [one.hex() for one in made.path],
                    **({"why": next(iter(reasons.values()))} if reasons else {}),
                }  # fmt: skip
        return self._checked[key]

    def _root(self, epoch, low, high):
        key = epoch, low, high
        if key not in self._roots:
            if high - low == 1:
                raise LedgerError(f"entry {low} of epoch {epoch} is not in the bundle", "pull the log again")
            middle = low + _half(high - low)
            left, right = self._root(epoch, low, middle), self._root(epoch, middle, high)
            self._roots[key] = tree.node(left, right, self.digest)
        return self._roots[key]


def _half(count):
    """The largest power of two smaller than count (count > 1)."""
    return 1 << (count - 1).bit_length() - 1
