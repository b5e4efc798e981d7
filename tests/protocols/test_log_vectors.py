"""tests/vectors/log.json: what third parties check their code with is what ours says, byte for byte."""

import io
from binascii import hexlify, unhexlify

from carbonterm import cbor
from carbonterm.gm import sm2
from carbonterm.ledger import bundle, checkpoint, entry, proof, tree
from carbonterm.uplink.message import Batch, Receipt
from vectors import load

LOG = load("log")
PUBLIC = unhexlify(LOG["terminal"]["public"])
CENTRE = unhexlify(LOG["centre"]["public"])
SIGNER = sm2.Signer(bytes(31) + b"\x07")


def rows():
    return [(unhexlify(row["entry"]), unhexlify(row["fingerprint"])) for row in LOG["entries"]]


def test_entries():
    assert SIGNER.public == PUBLIC and sm2.public(bytes(31) + b"\x08") == CENTRE
    for i, (raw, fingerprint) in enumerate(rows()):
        one = entry.decode(raw)
        assert (one.seq, entry.KINDS[one.kind]) == (i, LOG["entries"][i]["kind"])
        assert entry.encode(one.terminal_id, 0, i, one.time_ms, one.clock_state, one.kind, one.body) == raw
        assert SIGNER.sign(raw) == fingerprint and sm2.verify(PUBLIC, raw, fingerprint)
        assert hexlify(tree.leaf(raw)).decode() == LOG["entries"][i]["leaf"]


def test_tree():
    leaves = [unhexlify(row["leaf"]) for row in LOG["entries"]]
    roots = [unhexlify(root) for root in LOG["roots"]]
    assert [tree.root_of(leaves[:count]) for count in range(len(leaves) + 1)] == roots
    for row in LOG["inclusion"]:
        path = [unhexlify(one) for one in row["path"]]
        index, size = row["index"], row["size"]
        assert tree.inclusion(leaves[:size], index) == path
        assert tree.check_inclusion(leaves[index], index, size, path, roots[size])
        assert not tree.check_inclusion(leaves[index], index, size, path, roots[size - 1])
    for row in LOG["consistency"]:
        path = [unhexlify(one) for one in row["path"]]
        old, size = row["old"], row["size"]
        assert tree.consistency(leaves[:size], old) == path
        assert tree.check_consistency(old, roots[old], size, roots[size], path)
    print(len(LOG["inclusion"]), len(LOG["consistency"]))


def test_checkpoint_and_messages():
    size = len(LOG["entries"])
    name = checkpoint.origin(LOG["terminal"]["id"], 0)
    for kind in ("signed", "cosigned"):
        head = checkpoint.parse(LOG["checkpoint"][kind])
        assert head.size == size and hexlify(head.root).decode() == LOG["roots"][size]
        assert checkpoint.verify(head, name, PUBLIC)
    assert checkpoint.verify(head, LOG["centre"]["name"], CENTRE)
    again = checkpoint.signed(checkpoint.body(LOG["terminal"]["id"], 0, size, head.root), name, PUBLIC, SIGNER.sign)
    assert again == LOG["checkpoint"]["signed"]
    batch = Batch.decode(unhexlify(LOG["batch"]))
    assert [tuple(pair) for pair in batch.pairs] == rows() and batch.checkpoint == again
    receipt = Receipt.decode(unhexlify(LOG["receipt"]))
    assert receipt.signed_by(CENTRE) and receipt.checkpoint == LOG["checkpoint"]["cosigned"]


def test_bundle_and_proof():
    data = unhexlify(LOG["bundle"])
    frames = [frame for _, frame in bundle.read(io.BytesIO(data))]
    assert [(frame[1], frame[2]) for frame in frames if frame[0] == "entry"] == rows()
    out = io.BytesIO()
    writer = bundle.Writer(out, frames[0][1], frames[0][2])
    for frame in frames[1:]:
        getattr(writer, frame[0])(*frame[1:])
    writer.end()
    assert out.getvalue() == data
    one = proof.decode(unhexlify(LOG["proof"]))
    verdicts, reasons = proof.check(one, [PUBLIC])
    assert reasons == {} and all([verdicts[name] for name in proof.VERDICTS])
    assert proof.encode(one) == unhexlify(LOG["proof"]) and cbor.decode(unhexlify(LOG["proof"]))[3] == 2
