"""By whose word a key signs for a terminal, as links that a proof carries (docs/formats.md, "Proof").

The first link is a registration, each further one the last entry of an epoch, in which its key names the next one; so
they lead from an operator's signature to the key of the proof's entry. Revocations of the epochs on the way follow.
What links cannot show is that nothing was revoked since they were made: ask the operator.
"""

from carbonterm.errors import LedgerError
from carbonterm.gm import sm2
from carbonterm.ledger import entry, registry

MAX_LINKS = 64
_COUNTS = {"registration": 3, "next": 2, "revocation": 2}  # values after the link's type


def is_links(value):
    """Whether `value` has the shape of links, whatever they say; an empty list has."""
    if not isinstance(value, (list, tuple)) or len(value) > MAX_LINKS:
        return False
    for link in value:
        if not isinstance(link, (list, tuple)) or not link or not isinstance(link[0], str):
            return False
        if len(link) - 1 != _COUNTS.get(link[0], -1) or not all(isinstance(part, bytes) for part in link[1:]):
            return False
        if len(link[-1]) != 64 or len(link[1]) > registry.MAX_BYTES:
            return False
    return True


def check(links, terminal_id, epoch, public, seq, trusted=(), operators=(), witnessed=(), verify=sm2.verify):
    """(wrong, unsaid): why `public` may not have signed entry `seq` of `epoch`, and why nobody can say; texts or None.

    trusted, operators: public keys that the reader knows, of terminals and of operators; both empty: the links only
    must fit together. witnessed: (time_ms, size) that centres saw of the epoch.
    """
    try:
        chain = _Chain(links, terminal_id, verify)
    except LedgerError as error:
        return error.what, None
    if links and (chain.epoch, chain.public) != (epoch, public):
        return "the links lead to another key than the one that signed", None
    chain.keys.append(public)
    known = any(key in trusted for key in chain.keys)
    if operators and not known:
        if chain.registration is None:
            return "the proof has no registration, so nothing shows that an operator knows the key", None
        if not any(chain.registration.signed_by(key, verify) for key in operators):
            return "the key is registered by no operator given with --operator", None
    elif trusted and not known:
        return "the key is not one of the keys given, nor named by one", None
    for one in chain.revocations:
        if not operators:
            return None, "epoch %d is said to be revoked; check it with --operator" % one.epoch
        if not any(one.signed_by(key, verify) for key in operators):
            return "the revocation of epoch %d is not signed by an operator given" % one.epoch, None
        seen = [size for time_ms, size in witnessed if time_ms < one.time_ms and one.epoch == epoch]
        last = seq if one.epoch == epoch else chain.ends.get(one.epoch, seq)
        if last >= one.believed(max(seen) if seen else 0):
            return "epoch %d was revoked from entry %d on; no centre here saw entry %d before" % (
                one.epoch, one.seq, last,
            ), None  # fmt: skip
    return None, None


class _Chain:
    """The links read in order: `keys` on the way, the (`epoch`, `public`) they end with, `ends` {epoch: seq of its
    last entry}, `registration`, `revocations`. LedgerError for a link that does not follow from the one before."""

    def __init__(self, links, terminal_id, verify):
        self.terminal_id = terminal_id
        self.verify = verify
        self.registration = self.epoch = self.public = None
        self.keys, self.ends, self.revocations = [], {}, []
        for link in links:
            getattr(self, "_" + link[0])(*link[1:])

    def _registration(self, body, device_signature, operator_signature):
        found = registry.Registration(body, device_signature, operator_signature)
        self._owner(found.terminal_id)
        if self.registration is not None:
            raise LedgerError("a second registration stands in the links")
        if not found.possessed(self.verify):
            raise LedgerError("the registration is not signed by the device")
        self.registration = found
        self._lead(found.epoch, found.public)

    def _next(self, raw, fingerprint):
        found = entry.decode(raw)
        self._owner(found.terminal_id)
        if self.registration is None or found.epoch != self.epoch or self.revocations:
            raise LedgerError("a link of epoch %d does not follow the one before" % found.epoch)
        if not self.verify(self.public, raw, fingerprint):
            raise LedgerError("the last entry of epoch %d is not signed with its key" % found.epoch)
        named = registry.names_next(found, self.public, self.verify)
        if named is None:
            raise LedgerError("entry %d of epoch %d names no next key" % (found.seq, found.epoch))
        self.ends[found.epoch] = found.seq
        self._lead(found.epoch + 1, named)

    def _revocation(self, body, signature):
        found = registry.Revocation(body, signature)
        self._owner(found.terminal_id)
        if found.epoch != self.epoch and found.epoch not in self.ends:
            raise LedgerError("a revocation of epoch %d does not concern this entry" % found.epoch)
        self.revocations.append(found)

    def _lead(self, epoch, public):
        self.epoch, self.public = epoch, public
        self.keys.append(public)

    def _owner(self, terminal_id):
        if terminal_id != self.terminal_id:
            raise LedgerError("a link is of %s" % terminal_id)
