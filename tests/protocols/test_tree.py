"""The tree against RFC 9162 section 2.1 written down a second time, recursively, over all sizes to 70."""

import pytest

from carbonterm.errors import LedgerError
from carbonterm.gm import sm3
from carbonterm.ledger import tree
from seeded import Random

SIZES = range(71)
LEAVES = [tree.leaf(b"entry %d" % i) for i in range(70)]
_known = {}


def split(n):
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def mth(low, high):
    """RFC 9162 2.1.1, over LEAVES[low:high]."""
    if high == low:
        return sm3.digest(b"")
    if high == low + 1:
        return LEAVES[low]
    if (low, high) not in _known:
        k = split(high - low)
        _known[low, high] = sm3.digest(b"\x01" + mth(low, low + k) + mth(low + k, high))
    return _known[low, high]


def path(m, low, high):
    """RFC 9162 2.1.3.1."""
    n = high - low
    if n == 1:
        return []
    k = split(n)
    if m < k:
        return path(m, low, low + k) + [mth(low + k, high)]
    return path(m - k, low + k, high) + [mth(low, low + k)]


def subproof(m, low, high, b):
    """RFC 9162 2.1.4.1."""
    n = high - low
    if m == n:
        return [] if b else [mth(low, high)]
    k = split(n)
    if m <= k:
        return subproof(m, low, low + k, b) + [mth(low + k, high)]
    return subproof(m - k, low + k, high, False) + [mth(low, low + k)]


@pytest.mark.slow
def test_roots():
    grown = tree.Tree()
    for size in SIZES:
        assert grown.size == size
        assert grown.root() == tree.root_of(LEAVES[:size]) == mth(0, size)
        if size < 70:
            grown.append(LEAVES[size])
    assert tree.Tree().root() == sm3.digest(b"")
    assert tree.leaf(b"x") == sm3.digest(b"\x00x") and tree.node(b"l", b"r") == sm3.digest(b"\x01lr")
    print(mth(0, 70).hex())


@pytest.mark.slow
def test_state():
    for size in SIZES:
        grown = tree.Tree()
        for one in LEAVES[:size]:
            grown.append(one)
        again = tree.Tree()
        again.restore(*grown.state())
        assert again.root() == mth(0, size)
        if size < 70:
            again.append(LEAVES[size])
            assert again.root() == mth(0, size + 1)
    for size, hashes in ((1, ()), (0, (LEAVES[0],)), (3, LEAVES[:1]), (2, (b"short",)), (-1, ()), (1, (None,))):
        with pytest.raises(LedgerError):
            tree.Tree().restore(size, hashes)


@pytest.mark.slow
def test_inclusion():
    checked = 0
    for size in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 70):
        root = mth(0, size)
        for index in range(size):
            proof = tree.inclusion(LEAVES[:size], index)
            assert proof == path(index, 0, size)
            assert tree.check_inclusion(LEAVES[index], index, size, proof, root)
            checked += 1
    print(checked)
    for size, index in ((0, 0), (3, 3), (3, -1)):
        with pytest.raises(LedgerError):
            tree.inclusion(LEAVES[:size], index)


@pytest.mark.slow
def test_consistency():
    checked = 0
    for size in (1, 2, 3, 5, 7, 8, 9, 16, 17, 33, 64, 70):
        for old in range(1, size + 1):
            proof = tree.consistency(LEAVES[:size], old)
            assert proof == subproof(old, 0, size, True)
            assert tree.check_consistency(old, mth(0, old), size, mth(0, size), proof)
            checked += 1
        assert tree.check_consistency(0, mth(0, 0), size, mth(0, size), tree.consistency(LEAVES[:size], 0))
    print(checked)
    for size, old in ((3, 4), (3, -1)):
        with pytest.raises(LedgerError):
            tree.consistency(LEAVES[:size], old)


def test_inclusion_is_refused():
    random, refused = Random(9162), 0
    for size in (1, 2, 3, 6, 7, 8, 13, 32, 70):
        root = mth(0, size)
        for index in (0, size // 2, size - 1):
            proof = tree.inclusion(LEAVES[:size], index)
            good = (LEAVES[index], index, size, proof, root)
            assert tree.check_inclusion(*good)
            cases = [
                (tree.leaf(b"other"), index, size, proof, root), (LEAVES[index], index, size, proof + [root], root),
                (LEAVES[index], index, size, proof, mth(0, size - 1)), (LEAVES[index], size, size, proof, root),
                (LEAVES[index], -1, size, proof, root), (LEAVES[index], index, 0, proof, root),
                (LEAVES[index], index, size, [b"short"] + proof, root), (LEAVES[index][:31], index, size, proof, root),
                (LEAVES[index], index, size, proof, None),
            ]  # fmt: skip
            if proof:
                at = random.below(len(proof))
                flipped = bytearray(proof[at])
                flipped[random.below(32)] ^= 1 << random.below(8)
                cases.append((LEAVES[index], index, size, proof[:at] + [bytes(flipped)] + proof[at + 1 :], root))
                cases.append((LEAVES[index], index, size, proof[:-1], root))
                cases.append((LEAVES[index], index ^ 1, size, proof, root))
                cases.append((LEAVES[index], index, 2 * size + 1, proof, root))
            for case in cases:
                assert not tree.check_inclusion(*case)
                refused += 1
    print(refused)


def test_a_node_is_not_a_leaf():
    # the second preimage the two prefixes are for: an inner node passed off as an entry of a smaller tree
    inner = LEAVES[0] + LEAVES[1]
    root = mth(0, 4)
    assert not tree.check_inclusion(tree.leaf(inner), 0, 2, [mth(2, 4)], root)
    assert tree.check_inclusion(mth(0, 2), 0, 2, [mth(2, 4)], root)  # hence the caller hashes the entry itself


def test_consistency_is_refused():
    refused = 0
    for old, size in ((1, 2), (1, 70), (2, 3), (3, 7), (4, 8), (6, 8), (8, 13), (33, 70), (64, 70), (69, 70)):
        proof = tree.consistency(LEAVES[:size], old)
        old_root, root = mth(0, old), mth(0, size)
        assert tree.check_consistency(old, old_root, size, root, proof)
        other = tree.leaf(b"other")
        cases = [
            (old, other, size, root, proof), (old, old_root, size, other, proof),
            (old, old_root, size, root, proof[:-1]),
            (old, old_root, size, root, proof + [other]), (size, old_root, old, root, proof),
            (old, root, size, old_root, proof), (-1, old_root, size, root, proof), (0, old_root, size, root, proof),
            (old, old_root, size, root, [other] + proof[1:]), (old, old_root, size, root, [b""] + proof),
            (size, old_root, size, root, []), (size, root, size, root, [other]), (0, other, size, root, []),
        ]  # fmt: skip
        for case in cases:
            assert not tree.check_consistency(*case), case[0]
            refused += 1
    print(refused)
