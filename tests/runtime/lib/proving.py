"""A proof made by hand for tests, its signers, and whether one holds."""

from carbonterm.errors import LedgerError
from carbonterm.gm import sm2
from carbonterm.ledger import checkpoint, entry, proof, tree

SIGNER = sm2.Signer(bytes(31) + b"\x07")
CENTRE = sm2.Signer(bytes(31) + b"\x08")
OTHER = sm2.Signer(bytes(31) + b"\x09")


def made(seq=2, count=5, signer=SIGNER, centre="centre.example", terminal_id="T1", epoch=0):
    bodies = [["test", "entry", str(i)] for i in range(count)]
    rows = [entry.encode(terminal_id, epoch, i, 1750000000000 + i, 3, entry.AUDIT, bodies[i]) for i in range(count)]
    leaves = [tree.leaf(raw) for raw in rows]
    name = checkpoint.origin(terminal_id, epoch)
    text = checkpoint.signed(checkpoint.body(terminal_id, epoch, count, tree.root_of(leaves)), name, signer.public,
                             signer.sign)  # fmt: skip
    centres = []
    if centre:
        text = checkpoint.cosigned(text, centre, CENTRE.public, 1750000001, CENTRE.sign)
        centres = [(centre, CENTRE.public)]
    path = tree.inclusion(leaves, seq)
    fingerprint = signer.sign(rows[seq])
    return proof.Proof(terminal_id, epoch, seq, rows[seq], fingerprint, signer.public, count, path, text, centres)


def good(data, trusted=()):
    try:
        verdicts, _ = proof.check(proof.decode(data), trusted)
    except LedgerError:
        return False
    return all(verdicts[name] for name in proof.VERDICTS)
