"""Inclusion proofs made on a device: one pass over the entries, a few hashes of memory (RFC 9162 section 2.1.3.1).

`tree.inclusion` wants all leaves; `Prover` takes them one by one, in order, and keeps one compact range at a time: the
siblings on an entry's path cover all other leaves, each is a run of leaves, and the runs do not overlap.
"""

from carbonterm.errors import LedgerError, quoted
from carbonterm.gm import sm3
from carbonterm.ledger import checkpoint, entry, proof
from carbonterm.ledger.tree import Tree, leaf


class Prover:
    """Path of leaf `index` in the tree of `size` leaves: `begin` where the first leaves are gone, `append` every leaf,
    then `path`. `at`: the leaf that comes next. LedgerError where there is no such leaf."""

    __slots__ = ("_digest", "_index", "_roots", "_run", "_runs", "_size", "_tree", "at")

    def __init__(self, index, size, digest=sm3.digest):
        if not 0 <= index < size:
            raise LedgerError("there is no leaf %d in a tree of %d" % (index, size))
        self._digest = digest
        self._index, self._size = index, size
        self._runs = []  # (first leaf, leaf behind the last) of every sibling, from the root down
        low, high = 0, size
        while high - low > 1:
            half = 1
            while half * 2 < high - low:
                half *= 2
            if index < low + half:
                self._runs.append((low + half, high))
                high = low + half
            else:
                self._runs.append((low, low + half))
                low += half
        self._roots = [None] * len(self._runs)
        self.at = 0
        self._turn()

    def begin(self, size, peaks):
        """Takes over the tree of the first `size` leaves (tree.Tree.state), of which `index` is none."""
        if not 0 <= size <= self._index:
            raise LedgerError("leaf %d is among the %d that are gone" % (self._index, size), "prove it elsewhere")
        known = Tree(self._digest)
        known.restore(size, peaks)  # refuses what is no tree of that size
        at, left = 0, list(peaks)
        while at < size:
            run, end, taken = self._run, min(self._runs[self._run][1], size), []
            while at < end:
                half = 1
                while half * 2 <= size - at:
                    half *= 2
                taken.append(left.pop(0))
                at += half
            self._tree.restore(at - self._runs[run][0], taken)
            self.at = at
            self._ended()

    def append(self, leaf_hash):
        """The next leaf's hash, 32 bytes."""
        if self.at >= self._size:
            raise LedgerError("the tree has %d leaves, not more" % self._size)
        self.at += 1
        if self.at - 1 == self._index:
            self._turn()
        else:
            self._tree.append(leaf_hash)
            self._ended()

    def path(self):
        """The proof, from the leaf up; LedgerError where leaves are missing."""
        if self.at != self._size:
            raise LedgerError("%d of %d leaves are there" % (self.at, self._size))
        return [self._roots[i] for i in range(len(self._roots) - 1, -1, -1)]

    def _ended(self):
        if self.at == self._runs[self._run][1]:
            self._roots[self._run] = self._tree.root()
            self._turn()

    def _turn(self):
        """To the run that begins at the next leaf; there is none where that is the one to prove, or the end."""
        self._tree, self._run = Tree(self._digest), None
        for i in range(len(self._runs)):
            if self._runs[i][0] == self.at:
                self._run = i


def prove(log, seq):
    """The Proof of a Log's entry `seq` under its last checkpoint, read from the log once, from a snapshot on where one
    stands before it. LedgerError where no checkpoint covers the entry, or where it was dropped."""
    if not 0 <= seq < log.sealed:
        raise LedgerError("entry %d is under no checkpoint yet" % seq, "ask again after the next one")
    begin = log.base if log.kept <= log.base <= seq else log.kept
    prover = Prover(seq, log.sealed)
    found = None
    for raw, fingerprint in log.entries(min(begin, seq), log.sealed):
        if prover.at == 0 and begin:
            one = entry.decode(raw)
            if one.kind != entry.SNAPSHOT:
                raise LedgerError("entry %d of %s is no snapshot" % (begin, quoted(log.terminal_id)))
            prover.begin(begin, one.body[0])
        if prover.at == seq:
            found = raw, fingerprint
        prover.append(leaf(raw))
    name = checkpoint.origin(log.terminal_id, log.epoch)
    text = proof.without_strangers(log.last_checkpoint, [name])
    return proof.Proof(
        log.terminal_id, log.epoch, seq, found[0], found[1], log.signer.public, log.sealed, prover.path(), text
    )
