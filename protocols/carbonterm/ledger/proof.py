"""Proof files: one entry with all that shows it stands in a signed log (docs/formats.md, "Proof").

Self-contained: the entry, its fingerprint and key, the path to the root of a checkpoint, that checkpoint, and the keys
of the centres that cosigned it. Every byte of a proof is under a signature or compared with one that is, so no bit can
be changed without `check` saying so. Version 2 adds links from an operator to the key; without them, and without an
operator's key to check them with, a proof cannot show that the key is the terminal's: compare that.
"""

from carbonterm import cbor
from carbonterm.errors import CborError, LedgerError, quoted
from carbonterm.gm import sm2, sm3
from carbonterm.ledger import chain, checkpoint, entry, tree

FORMAT = "carbonterm-proof-1"
LINKED = "carbonterm-proof-2"  # with one field more, the links
VERDICTS = ("encoding", "fingerprints", "keys", "tree", "checkpoints")
MAX_PATH = 34  # hashes: a log has fewer than 2^34 entries
MAX_PROOF = entry.MAX_ENTRY + 40000  # bytes

_FIELDS = 11
_MAGICS = b"\x8b\x72" + FORMAT.encode(), b"\x8c\x72" + LINKED.encode()  # arrays whose first item is the text


class Proof:
    """One proof. `entry`: the entry's bytes; `path`: 32-byte hashes from the leaf up; `size`: entries of the tree;
    `checkpoint`: its text; `centres`: (name, public key) of those whose cosignatures the checkpoint carries; `links`:
    as carbonterm.ledger.chain has them, or empty."""

    __slots__ = (
        "centres", "checkpoint", "entry", "epoch", "fingerprint", "links", "path", "public", "seq", "size",
        "terminal_id",
    )  # fmt: skip

    def __init__(self, terminal_id, epoch, seq, entry, fingerprint, public, size, path, checkpoint, centres=(),
                 links=()):  # fmt: skip
        self.terminal_id = terminal_id
        self.epoch = epoch
        self.seq = seq
        self.entry = entry
        self.fingerprint = fingerprint
        self.public = public
        self.size = size
        self.path = path
        self.checkpoint = checkpoint
        self.centres = centres
        self.links = links


def is_proof(data):
    """True for bytes that begin as a proof file does."""
    return data[: len(_MAGICS[0])] in _MAGICS


def encode(proof):
    """Canonical bytes of a Proof; LedgerError unless it has the format's shape."""
    _check(proof)
    fields = [
        LINKED if proof.links else FORMAT, proof.terminal_id, proof.epoch, proof.seq, proof.entry, proof.fingerprint,
        proof.public, proof.size, proof.path, proof.checkpoint, proof.centres,
    ]  # fmt: skip
    if proof.links:
        fields.append(proof.links)
    data = cbor.encode(fields)
    if len(data) > MAX_PROOF:
        raise LedgerError("the proof has %d bytes, more than %d" % (len(data), MAX_PROOF))
    return data


def decode(data):
    """The Proof of canonical bytes, whose signatures and path are not checked yet; LedgerError where it is none."""
    if len(data) > MAX_PROOF:
        raise LedgerError("the proof has more than %d bytes" % MAX_PROOF, "get it again from carbonterm prove")
    try:
        fields = cbor.decode(data)
    except CborError as error:
        raise LedgerError("the proof is not canonical: " + error.what, "get it again from carbonterm prove") from None
    count = len(fields) if isinstance(fields, list) else 0
    linked = count == _FIELDS + 1 and _is(fields[0], LINKED) and fields[-1] != []
    if not linked and not (count == _FIELDS and _is(fields[0], FORMAT)):
        raise LedgerError("this is no proof file (%s)" % FORMAT, "make one with carbonterm prove")
    proof = Proof(*fields[1:])
    _check(proof)
    return proof


def check(proof, trusted=(), verify=sm2.verify, digest=sm3.digest, operators=(), witnesses=()):
    """(verdicts, reasons): for each of VERDICTS True or False, and why where not True; "keys" is None where a
    revocation cannot be checked.

    trusted, operators, witnesses: public keys (64 bytes) of terminals, operators and centres that the reader knows;
    verify and digest: another back end's SM2 and SM3.
    """
    reasons = {}

    def offend(verdict, why):
        reasons.setdefault(verdict, why)

    found = head = None
    try:
        found = entry.decode(proof.entry)
    except LedgerError as error:
        offend("encoding", "the entry: " + str(error))
    if found and (found.terminal_id, found.epoch, found.seq) != (proof.terminal_id, proof.epoch, proof.seq):
        offend("encoding", "the entry is another one than the proof says: %d of epoch %d" % (found.seq, found.epoch))
    if not verify(proof.public, proof.entry, proof.fingerprint):
        offend("fingerprints", "the fingerprint is not of this key")
    try:
        head = checkpoint.parse(proof.checkpoint)
    except LedgerError as error:
        offend("checkpoints", str(error))
        offend("tree", "there is no checkpoint to compare with")
    if head:
        _check_head(proof, head, offend, verify)
        leaf = tree.leaf(proof.entry, digest)
        if head.size != proof.size:
            offend("tree", "the path is for %d entries, the checkpoint over %d" % (proof.size, head.size))
        elif not tree.check_inclusion(leaf, proof.seq, proof.size, proof.path, head.root, digest):
            offend("tree", "the path does not lead from the entry to the checkpoint's root")
    wrong, unsaid = chain.check(proof.links, proof.terminal_id, proof.epoch, proof.public, proof.seq, trusted,
                                operators, _witnessed(proof, head, witnesses, verify), verify)  # fmt: skip
    if wrong or unsaid:
        offend("keys", wrong or unsaid)
    verdicts = {}
    for name in VERDICTS:
        verdicts[name] = name not in reasons
    if unsaid:
        verdicts["keys"] = None
    return verdicts, reasons


def without_strangers(text, names):
    """Checkpoint text with the signature lines of `names` only: a line nobody can check has no place in a proof."""
    lines = text.split("\n")
    return "\n".join(lines[:4] + [line for line in lines[4:-1] if line.split(" ")[1] in names]) + "\n"


def _check_head(proof, head, offend, verify):
    """The terminal and exactly the proof's centres signed it, once each, in their order: no line is left unchecked."""
    if head.name != checkpoint.origin(proof.terminal_id, proof.epoch):
        offend("checkpoints", "the checkpoint is of %s" % head.name)
    signers = [(head.name, proof.public)] + [tuple(row) for row in proof.centres]
    if [row[0] for row in head.signatures] != [name for name, _ in signers]:
        offend("checkpoints", "the checkpoint's signatures are not those of the terminal and the centres named")
        return
    for name, public in signers:
        if not checkpoint.verify(head, name, public, verify):
            offend("checkpoints", "the signature of %s over %d entries is wrong" % (quoted(name), head.size))


def _witnessed(proof, head, witnesses, verify):
    """[(time_ms, size)] of the cosignatures by centres that the reader knows; knowing none, he believes the proof's."""
    found = []
    if head:
        for name, public in proof.centres:
            if (not witnesses or public in witnesses) and checkpoint.verify(head, name, public, verify):
                times = [row[2] for row in head.signatures if row[0] == name and row[2] is not None]
                found.extend([(time_s * 1000, head.size) for time_s in times])
    return found


def _check(proof):
    if not entry.is_terminal_id(proof.terminal_id):
        raise _bad("terminal id")
    if not _whole(proof.epoch, entry.MAX_EPOCH):
        raise _bad("epoch")
    if not _whole(proof.size, entry.MAX_SEQ) or not _whole(proof.seq, proof.size - 1):
        raise _bad("seq or size")
    if not isinstance(proof.entry, bytes) or not 0 < len(proof.entry) <= entry.MAX_ENTRY:
        raise _bad("entry")
    if not _sized(proof.fingerprint, 64) or not _sized(proof.public, 64):
        raise _bad("fingerprint or key")
    if not isinstance(proof.path, (list, tuple)) or len(proof.path) > MAX_PATH:
        raise _bad("path")
    if not all(_sized(one, 32) for one in proof.path):
        raise _bad("path")
    if not isinstance(proof.checkpoint, str) or len(proof.checkpoint) > checkpoint.MAX_TEXT:
        raise _bad("checkpoint")
    centres = proof.centres
    if not isinstance(centres, (list, tuple)) or len(centres) >= checkpoint.MAX_SIGNATURES:
        raise _bad("centres")
    for row in centres:
        if not isinstance(row, (list, tuple)) or len(row) != 2 or not _sized(row[1], 64):
            raise _bad("centres")
        if not isinstance(row[0], str) or not checkpoint.is_name(row[0]):
            raise _bad("centres")
    if not chain.is_links(proof.links):
        raise _bad("links")


def _bad(what):
    return LedgerError("%s of the proof is not of the format" % what, "get it again from carbonterm prove")


def _is(value, text):
    return isinstance(value, str) and value == text


def _sized(value, count):
    return isinstance(value, bytes) and len(value) == count


def _whole(value, limit):
    return type(value) is int and 0 <= value <= limit
