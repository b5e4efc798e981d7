"""Writes tests/vectors/log.json: a tiny log in every form that docs/formats.md describes, for other implementations.

`python tools/log_vectors.py [FILE]`. The keys are fixed and published here, so they sign nothing else; signatures are
deterministic (no extra entropy), so the file comes out the same each time. tests/protocols/test_log_vectors.py checks.
"""

import io
import json
import sys
from pathlib import Path

from carbonterm import cbor
from carbonterm.gm import sm2, sm3
from carbonterm.ledger import bundle, checkpoint, entry, manual, proof, tree
from carbonterm.uplink.message import Batch, Receipt

FILE = Path(__file__).parent.parent / "tests/vectors/log.json"
TERMINAL, CENTRE, T0 = "CT-VECTOR-1", "centre.example", 1750000000000
OPERATOR = sm2.Signer(bytes(31) + b"\x09")
MANUAL = manual.make(TERMINAL, "zhang", T0, manual.ENTER, [
    "coal", 1746028800000, 1748707200000, -1, 930, "t", [["weighed.pdf", sm3.digest(b"weighed")]], "", None,
], OPERATOR.sign)  # fmt: skip
BODIES = (
    (entry.START, ["1.0", "MicroPython", "first", 0]),
    (entry.CONFIG, [sm3.digest(b"document"), b"document"]),
    (entry.READINGS, [[[0, 0, 0, -2, 123456], [1, -250, 4, 0, None]], sm3.digest(b"frames")]),
    (entry.READINGS, [[[0, 1000, 1, -2, 123500]], None]),
    (entry.CLOSING, [2, 1749996000000, [[0, 1, -2, 44, 44, 44]]]),
    (entry.EMISSION, [2, 1749996000000, 1, [[0, 1, -6, 233, sm3.digest(b"source")]]]),
    (entry.METER, [0, entry.REPLACED, 1750000005000, -2, 123510, 0]),
    (entry.FILL, [0, entry.FILL_COUNTED, 1750000000000, 1750000900000, [], -2, 123456, 123500, -2, 0, 44]),
    (entry.FILL, [1, entry.FILL_LINEAR, 1749900000000, 1749907200000, [86400000] * 4, -1, 100, 220, -6, 0, 32000000]),
    (entry.MANUAL, [MANUAL.body, MANUAL.signature]),
    (entry.EMISSION, [4, 1746028800000, 2, [[0, 0, -6, 74400000, sm3.digest(b"source")]], "corrected by li, entry 9"]),
)


def made():
    """The vectors as an object for JSON; bytes are hex."""
    terminal, centre = sm2.Signer(bytes(31) + b"\x07"), sm2.Signer(bytes(31) + b"\x08")
    name = checkpoint.origin(TERMINAL, 0)
    raws = [entry.encode(TERMINAL, 0, i, T0 + 1000 * i, 3, *body) for i, body in enumerate(BODIES)]
    fingerprints = [terminal.sign(raw) for raw in raws]
    leaves = [tree.leaf(raw) for raw in raws]
    size, root = len(raws), tree.root_of(leaves)
    text = checkpoint.signed(checkpoint.body(TERMINAL, 0, size, root), name, terminal.public, terminal.sign)
    cosigned = checkpoint.cosigned(text, CENTRE, centre.public, T0 // 1000, centre.sign)
    receipt = Receipt.make(CENTRE, TERMINAL, 0, size, root, T0, cosigned, centre.sign)
    file = io.BytesIO()
    writer = bundle.Writer(file, TERMINAL, "vectors")
    writer.key(0, terminal.public)
    writer.centre(CENTRE, centre.public)
    for row in zip(raws, fingerprints, strict=True):
        writer.entry(*row)
    writer.checkpoint(cosigned)
    writer.receipt(receipt.body, receipt.signature)
    writer.end()
    path, centres = tree.inclusion(leaves, 2), [(CENTRE, centre.public)]
    one = proof.Proof(TERMINAL, 0, 2, raws[2], fingerprints[2], terminal.public, size, path, cosigned, centres)
    return {
        "about": "docs/formats.md; the private keys are the integers 7 (terminal), 8 (centre) and 9 (operator); "
                 "written by tools/log_vectors.py",
        "terminal": {"id": TERMINAL, "public": terminal.public.hex()},
        "centre": {"name": CENTRE, "public": centre.public.hex()},
        "entries": [
            {"kind": entry.KINDS[BODIES[i][0]], "seq": i, "entry": raws[i].hex(), "fingerprint": fingerprints[i].hex(),
             "leaf": leaves[i].hex()}
            for i in range(size)
        ],
        "roots": [tree.root_of(leaves[:count]).hex() for count in range(size + 1)],
        "inclusion": [
            {"index": i, "size": count, "path": [one.hex() for one in tree.inclusion(leaves[:count], i)]}
            for count in range(1, size + 1) for i in range(count)
        ],
        "consistency": [
            {"old": old, "size": count, "path": [one.hex() for one in tree.consistency(leaves[:count], old)]}
            for count in range(1, size + 1) for old in range(count + 1)
        ],
        "checkpoint": {"signed": text, "cosigned": cosigned},
        "batch": Batch(TERMINAL, 0, 0, list(zip(raws, fingerprints, strict=True)), text).encode().hex(),
        "receipt": cbor.encode((receipt.body, receipt.signature)).hex(),
        "bundle": file.getvalue().hex(),
        "proof": proof.encode(one).hex(),
    }  # fmt: skip


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    target.write_text(json.dumps(made(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
