"""Proofs made in one pass: the same as from all leaves, for every leaf of every size, and on a log that lost its
beginning."""

import pytest

from carbonterm.errors import LedgerError
from carbonterm.gm import sm2
from carbonterm.ledger import entry, proof, tree
from carbonterm.ledger.prover import Prover, prove
from carbonterm.ledger.segment import Log
from memory_storage import MemoryStorage

SIGNER = sm2.Signer(bytes(31) + b"\x07")
T0 = 1750000000000


def weak(data):
    """A digest for many trees: fast, and not to be used for anything else."""
    value = 5381
    for byte in data:
        value = (value * 33 ^ byte) & 0xFFFFFFFF
    return value.to_bytes(4, "big") * 8


LEAVES = [weak(b"leaf %d" % i) for i in range(40)]


def path_of(index, size, begin=0):
    prover = Prover(index, size, weak)
    if begin:
        first = tree.Tree(weak)
        for one in LEAVES[:begin]:
            first.append(one)
        prover.begin(*first.state())
    assert prover.at == begin
    for one in LEAVES[begin:size]:
        prover.append(one)
    return prover.path()


@pytest.mark.slow
def test_every_leaf_of_every_size():
    count = 0
    for size in range(1, 41):
        root = tree.root_of(LEAVES[:size], weak)
        for index in range(size):
            path = path_of(index, size)
            assert tree.check_inclusion(LEAVES[index], index, size, path, root, weak)
            count += 1
    leaves = [tree.leaf(b"%d" % i) for i in range(21)]
    for index in (0, 3, 15, 16, 20):
        prover = Prover(index, 21)
        for one in leaves:
            prover.append(one)
        assert prover.path() == tree.inclusion(leaves, index)
    print(count, path_of(37, 40)[0])


@pytest.mark.slow
def test_with_every_beginning():
    for size in (1, 2, 7, 8, 29, 40):
        for index in range(size):
            for begin in range(index + 1):
                assert path_of(index, size, begin) == path_of(index, size), (size, index, begin)


def test_refusals():
    prover = Prover(3, 5, weak)
    for act in (
        lambda: Prover(0, 0), lambda: Prover(5, 5), lambda: Prover(-1, 5), prover.path,
        lambda: prover.begin(4, LEAVES[:1]), lambda: prover.begin(3, LEAVES[:1]), lambda: prover.begin(-1, []),
        lambda: [prover.append(LEAVES[0]) for _ in range(6)],
    ):  # fmt: skip
        with pytest.raises(LedgerError) as caught:
            act()
        print(caught.value)


@pytest.mark.slow
def test_on_a_log():
    log = Log(MemoryStorage(), "T1", 0, SIGNER, segment_size=1500, state=lambda: [])
    for i in range(40):
        log.append(T0 + i, 3, entry.AUDIT, ["who", "what", str(i)])
        log.commit()
    with pytest.raises(LedgerError):
        prove(log, 39 + 1000)
    log.checkpoint()
    log.append(T0 + 99, 3, entry.AUDIT, ["who", "what", "later"])
    log.commit()
    sealed, kept = log.sealed, log.drop_before(20)
    again = Log(log.storage, "T1", 0, SIGNER, segment_size=1500, state=lambda: [])
    assert again.sealed == sealed and again.kept == kept > 0 and again.base > kept
    for one in (log, again):
        for seq in (kept, kept + 1, again.base - 1, again.base, again.base + 1, sealed - 1):
            made = prove(one, seq)
            verdicts, reasons = proof.check(proof.decode(proof.encode(made)), [SIGNER.public])
            assert reasons == {} and all(verdicts[name] for name in proof.VERDICTS)
            assert (made.seq, entry.decode(made.entry).seq, made.size) == (seq, seq, sealed)
            print(seq, len(made.path), made.path)
        for seq in (0, kept - 1, sealed, -1):
            with pytest.raises(LedgerError) as caught:
                prove(one, seq)
            print(caught.value)
