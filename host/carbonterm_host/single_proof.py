"""What `carbonterm verify` and the offline page say of a proof file: the verdicts that one entry can have."""

from carbonterm.errors import LedgerError
from carbonterm.gm import sm2, sm3
from carbonterm.ledger import checkpoint, entry, proof, registry
from carbonterm_host.authority import Heads


def report(data, trusted=(), operators=(), witnesses=(), heads=(), verify=sm2.verify, digest=sm3.digest):
    """The object that `carbonterm verify --json` prints for the bytes of a proof file.

    trusted, operators, witnesses: public keys as proof.check takes them; heads: texts of checkpoints that came another
    way: one over as many entries as the proof's must show its root. LedgerError for a head that is no checkpoint.
    """
    given = Heads(heads)
    verdicts = {}
    for name in proof.VERDICTS:
        verdicts[name] = None
    try:
        found = proof.decode(data)
    except LedgerError as error:
        verdicts["encoding"] = False
        return {"ok": False, "verdicts": verdicts, "reasons": {"encoding": str(error)}}
    verdicts, reasons = proof.check(found, trusted, verify, digest, operators, witnesses)
    if heads and verdicts["checkpoints"]:
        own = checkpoint.parse(found.checkpoint)
        given.passed(found.epoch, found.size, lambda: own.root)
        sizes = {found.epoch: found.size}
        wrong, unsaid = given.judge(found.terminal_id, {found.epoch: found.public}, sizes, verify)
        if wrong or unsaid:
            verdicts["checkpoints"], reasons["checkpoints"] = (False if wrong else None), (wrong or unsaid)[0]
    kind = entry.KINDS[entry.decode(found.entry).kind] if verdicts["encoding"] else None
    known = bool(verdicts["keys"]) and bool(trusted or operators)
    return {
        "ok": all([verdicts[name] for name in proof.VERDICTS]), "verdicts": verdicts, "reasons": reasons,
        "terminal": found.terminal_id, "operator": _operator(found.links),
        "entry": {"epoch": found.epoch, "seq": found.seq, "kind": kind},
        "checkpoint": found.size, "cosignatures": len(found.centres), "anchored": known,
        "keys": [{"epoch": found.epoch, "public": found.public.hex(), "known": known}],
    }  # fmt: skip


def _operator(links):
    """Name of the operator whose word a proof's links begin with, as it stands there, or None."""
    try:
        return registry.Registration(*links[0][1:]).operator if links and links[0][0] == "registration" else None
    except LedgerError:
        return None
