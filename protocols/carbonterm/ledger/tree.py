"""The Merkle tree of the log (RFC 9162 section 2.1, with SM3): compact range, roots, inclusion and consistency proofs.

A terminal keeps only the compact range, the roots of the full subtrees from the left: at most 34 hashes. Proofs are
lists of 32-byte hashes in the order of RFC 9162. `digest` is SM3; a verifier may hand in another implementation.
"""

from carbonterm.errors import LedgerError
from carbonterm.gm import sm3


def leaf(entry, digest=sm3.digest):
    """Hash of an entry's bytes as a leaf: SM3(0x00 || entry)."""
    return digest(b"\x00" + entry)


def node(left, right, digest=sm3.digest):
    """Hash over two subtrees: SM3(0x01 || left || right)."""
    return digest(b"\x01" + left + right)


class Tree:
    """A growing tree as a compact range: `append` leaf hashes, ask for `root()` at any time."""

    __slots__ = ("_digest", "_peaks", "size")

    def __init__(self, digest=sm3.digest):
        self.size = 0
        self._peaks = []  # roots of the full subtrees, the largest first
        self._digest = digest

    def append(self, leaf_hash):
        """Adds one leaf hash (32 bytes); log2(size) hashes at worst, one on average. MemoryError: nothing was added."""
        bits, left = self.size, len(self._peaks)
        while bits & 1:
            left -= 1
            leaf_hash = self._digest(b"\x01" + self._peaks[left] + leaf_hash)
            bits >>= 1
        if left == len(self._peaks):
            self._peaks.append(leaf_hash)
        else:
            self._peaks[left] = leaf_hash
            while len(self._peaks) > left + 1:
                self._peaks.pop()
        self.size += 1

    def root(self):
        """Root over all leaves so far, 32 bytes; of the empty tree SM3("")."""
        if not self._peaks:
            return self._digest(b"")
        root = self._peaks[-1]
        for i in range(len(self._peaks) - 2, -1, -1):
            root = self._digest(b"\x01" + self._peaks[i] + root)
        return root

    def state(self):
        """(size, hashes): all that `restore` needs."""
        return self.size, tuple(self._peaks)

    def restore(self, size, hashes):
        """Takes over what `state` gave; LedgerError unless there is one 32-byte hash per bit set in size."""
        bits, count = size, 0
        while bits > 0:
            count += bits & 1
            bits >>= 1
        if size < 0 or len(hashes) != count or not _are_hashes(hashes):
            raise LedgerError("a tree of %d leaves has %d full subtrees, not these" % (size, count))
        self.size = size
        self._peaks = list(hashes)


def root_of(leaves, digest=sm3.digest):
    """Root over a list of leaf hashes."""
    tree = Tree(digest)
    for one in leaves:
        tree.append(one)
    return tree.root()


def inclusion(leaves, index):
    """Proof that leaves[index] is in the tree over `leaves` (RFC 9162 2.1.3.1)."""
    if not 0 <= index < len(leaves):
        raise LedgerError("there is no leaf %d in a tree of %d" % (index, len(leaves)))
    low, high, proof = 0, len(leaves), []
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            proof.append(root_of(leaves[middle:high]))
            high = middle
        else:
            proof.append(root_of(leaves[low:middle]))
            low = middle
    return _turned(proof)


def consistency(leaves, old_size):
    """Proof that the tree over leaves[:old_size] is the beginning of the tree over `leaves` (RFC 9162 2.1.4.1).

    Empty where there is nothing to prove: old_size 0 or all.
    """
    if not 0 <= old_size <= len(leaves):
        raise LedgerError("a tree of %d leaves has no beginning of %d" % (len(leaves), old_size))
    low, high, proof = 0, len(leaves), []
    if old_size == 0:
        return proof
    while high != old_size:
        middle = low + _split(high - low)
        if old_size <= middle:
            proof.append(root_of(leaves[middle:high]))
            high = middle
        else:
            proof.append(root_of(leaves[low:middle]))
            low = middle
    if low > 0:  # else the subtree reached is the old tree itself, whose root the checker has
        proof.append(root_of(leaves[low:high]))
    return _turned(proof)


def check_inclusion(leaf_hash, index, size, proof, root, digest=sm3.digest):
    """True if `proof` shows leaf_hash at `index` of the tree of `size` leaves with `root` (RFC 9162 2.1.3.2)."""
    if not 0 <= index < size or not _are_hashes(proof) or not _are_hashes((leaf_hash, root)):
        return False
    here, last, value = index, size - 1, leaf_hash
    for other in proof:
        if last == 0:
            return False
        if here & 1 or here == last:
            value = node(other, value, digest)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            value = node(value, other, digest)
        here, last = here >> 1, last >> 1
    return last == 0 and value == root


def check_consistency(old_size, old_root, size, root, proof, digest=sm3.digest):
    """True if `proof` shows the tree (old_size, old_root) as the beginning of (size, root) (RFC 9162 2.1.4.2)."""
    if not 0 <= old_size <= size or not _are_hashes(proof) or not _are_hashes((old_root, root)):
        return False
    if old_size == size:
        return not proof and old_root == root
    if old_size == 0:
        return not proof and old_root == digest(b"")
    proof = list(proof)
    if old_size & (old_size - 1) == 0:
        proof = [old_root] + proof
    if not proof:
        return False
    here, last = old_size - 1, size - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    old_value = value = proof[0]
    for i in range(1, len(proof)):
        other = proof[i]
        if last == 0:
            return False
        if here & 1 or here == last:
            old_value = node(other, old_value, digest)
            value = node(other, value, digest)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            value = node(value, other, digest)
        here, last = here >> 1, last >> 1
    return last == 0 and old_value == old_root and value == root


def _split(count):
    """The largest power of two smaller than count (count > 1)."""
    half = 1
    while half * 2 < count:
        half *= 2
    return half


def _turned(proof):
    return [proof[i] for i in range(len(proof) - 1, -1, -1)]


def _are_hashes(values):
    return all(isinstance(value, bytes) and len(value) == 32 for value in values)
