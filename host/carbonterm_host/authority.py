"""The keys side of verifying: which key may sign which epoch, and up to where (docs/formats.md, "Keys").

`Authority` hears of keys, registrations, revocations, ends of epochs and what centres saw, in a bundle's order, and
gives findings as texts. It decides nothing about entries.
"""

from carbonterm.errors import LedgerError
from carbonterm.ledger import checkpoint, entry, registry


class Authority:
    """`trusted`: terminals' keys the reader knows, `operators`: operators' keys he trusts, `witnesses`: centres' keys
    he knows (empty: the bundle's own are believed). Each a collection of 64 bytes; verify as everywhere."""

    def __init__(self, trusted, operators, witnesses, verify):
        self.trusted = trusted
        self.operators = operators
        self.witnesses = witnesses
        self.verify = verify
        self.keys = {}  # epoch: public
        self.known = set()  # epochs whose key the reader knows, or an operator, or a known key vouches for
        self.registrations, self.revocations = {}, {}
        self.notes = []
        self._named = None  # (epoch, public) that the last `key` entry of an epoch names
        self._closed = set()  # epochs that named their successor
        self._dropped = {}  # epoch: entries of those of which only the end is here
        self._witnessed = {}  # epoch: [(time_ms, size)] that a centre saw

    # every method gives [] or what is wrong, as texts

    def registration(self, terminal_id, body, device_signature, operator_signature):
        found = registry.Registration(body, device_signature, operator_signature)
        what = f"the registration of epoch {found.epoch}"
        if found.terminal_id != terminal_id:
            return [f"{what} is for {found.terminal_id}"]
        if found.epoch in self.registrations:
            return [f"{what} is there twice"]
        self.registrations[found.epoch] = found
        if found.public != self.keys.get(found.epoch):
            return [f"{what} is for another key than the one before it"]
        if not found.possessed(self.verify):
            return [f"{what} is not signed by the device: nothing shows that it has the key"]
        if self._by_operator(found):
            self.known.add(found.epoch)
        elif self.operators:
            return [f"{what} is not signed by an operator given with --operator"]
        return []

    def revocation(self, terminal_id, body, signature):
        found = registry.Revocation(body, signature)
        if found.terminal_id != terminal_id:
            return [f"the revocation of epoch {found.epoch} is for {found.terminal_id}"]
        if self.operators and not self._by_operator(found):
            return [f"the revocation of epoch {found.epoch} is not signed by an operator given with --operator"]
        self.revocations.setdefault(found.epoch, []).append(found)
        return []

    def ended(self, last, size):
        """An epoch of `size` entries that were dropped; `last`, the last of them, is rightly signed."""
        wrong = self._known(last.epoch, bool(self._dropped)) or self.entry(last)
        self._dropped[last.epoch] = size
        if not wrong and last.epoch not in self._closed:
            return [f"entry {last.seq}, the last of epoch {last.epoch}, names no next key"]
        if not wrong:
            self.notes.append(f"the key of epoch {last.epoch + 1} is named by epoch {last.epoch}, which was dropped")
        return wrong

    def _known(self, epoch, dropped):
        """Takes over who vouches for the epoch's key; dropped: the epoch that must name it has only its end here."""
        public = self.keys.get(epoch)
        if public in self.trusted or (self._named == (epoch, public) and epoch - 1 in self.known):
            self.known.add(epoch)
        if dropped and self._named != (epoch, public):
            return [f"the key of epoch {epoch} is not the one that the dropped epoch before it names"]
        return []

    def unchecked(self):
        """Why nothing certain can be said of the keys, or None."""
        if self.revocations and not self.operators:
            return f"epoch {min(self.revocations)} is said to be revoked; check it with --operator"
        return None

    def begins(self, epoch, first, before):
        """`first`: the epoch's first entry in the bundle; before: (epoch, size, root) that the bundle has, or None."""
        public = self.keys.get(epoch)
        wrong = self._known(epoch, before is not None and before[0] in self._dropped)
        if epoch and first.seq == 0:
            wrong += self._follows(epoch, first, before)
        if epoch not in self.known and public is not None:
            if self.operators:
                wrong.append(f"the key of epoch {epoch} is registered by no operator given with --operator")
            elif self.trusted:
                wrong.append(f"the key of epoch {epoch} is not one of the keys given with --key")
        return wrong

    def _follows(self, epoch, first, before):
        if first.kind != entry.KEY or first.body[0] != "previous":
            return [f"epoch {epoch} does not begin with a key entry that names the epoch before"]
        said = tuple(first.body[1:])
        if said[0] != epoch - 1:
            return [f"epoch {epoch} says that it follows epoch {said[0]}"]
        if self._named is not None and before is not None and before[0] in self._closed:
            if self._named != (epoch, self.keys.get(epoch)):
                return [f"epoch {epoch - 1} names another key for epoch {epoch}"]
            return [] if said == before else [f"epoch {epoch} follows another end of epoch {epoch - 1} than this one"]
        asked = self.registrations.get(epoch)
        if asked is None:
            return [f"nothing says that the key of epoch {epoch} may follow: no entry of the old key, no registration"]
        if asked.previous != said:
            return [f"epoch {epoch} follows another end of epoch {epoch - 1} than its registration says"]
        self.notes.append(
            f"epoch {epoch} follows {said[1]} entries of epoch {epoch - 1} by the word of operator {asked.operator}"
        )
        if before is not None and before[1] < said[1]:
            return [f"epoch {epoch} follows {said[1]} entries of epoch {epoch - 1}, of which {before[1]} are here"]
        if before is not None and before[1] == said[1] and before[2] != said[2]:
            return [f"epoch {epoch} follows another tree than that of epoch {epoch - 1}: two histories"]
        if before is not None and before[1] > said[1]:
            self.notes.append(f"epoch {epoch} does not follow the entries of epoch {epoch - 1} from {said[1]} on")
        return []

    def entry(self, found):
        """An entry of the epoch at hand, rightly signed."""
        if found.epoch in self._closed:
            return [f"entry {found.seq} of epoch {found.epoch} stands behind the one that names the next key"]
        try:
            named = registry.names_next(found, self.keys.get(found.epoch, b""), self.verify)
        except LedgerError as error:
            return [str(error)]
        if named:
            self._named = (found.epoch + 1, named)
            self._closed.add(found.epoch)
        return []

    def witnessed(self, epoch, size, time_ms, public):
        """The centre with the key `public` saw `size` entries of the epoch at time_ms; its signature is right."""
        if not self.witnesses or public in self.witnesses:
            self._witnessed.setdefault(epoch, []).append((time_ms, size))

    def ends(self, sizes):
        """The bundle is read; sizes: {epoch: entries}."""
        wrong = []
        for epoch, public in self.keys.items():
            if epoch in self._dropped:
                continue
            if self.trusted and not self.operators and epoch not in self.known and public not in self.trusted:
                wrong.append(f"the key of epoch {epoch} is not one of the keys given with --key")
        for epoch, found in sorted(self.revocations.items()):
            for one in found:
                seen = [0]
                seen += [size for time_ms, size in self._witnessed.get(epoch, ()) if time_ms < one.time_ms]
                believed = one.believed(max(seen))
                if sizes.get(epoch, self._dropped.get(epoch, 0)) > believed:
                    wrong.append(
                        f"epoch {epoch} was revoked from entry {one.seq} on ({one.reason}); no centre saw the entries "
                        f"from {believed} on before"
                    )
                else:
                    self.notes.append(f"epoch {epoch} was revoked from entry {one.seq} on, after all of these entries")
        return wrong

    def seen(self, epoch):
        """How many entries of the epoch a centre saw."""
        return max([size for _, size in self._witnessed.get(epoch, ())], default=0)

    def vouched(self, epoch):
        """Whether the reader knows whose key it is: he, an operator he trusts, a key so known, or a centre he knows
        says so. A centre signs only for keys that are registered with it."""
        given = self.keys[epoch] in self.trusted or bool(self.witnesses and epoch in self._witnessed)
        return epoch in self.known or given

    def unvouched(self):
        """Why nothing certain can be said of the keys although centres were given, or None."""
        for epoch in sorted(self.keys) if self.witnesses else ():
            if epoch not in self._dropped and not self.vouched(epoch):
                return f"no centre given with --centre has signed anything of epoch {epoch}"
        return None

    def rows(self):
        """What `carbonterm verify --json` says of the keys."""
        rows = []
        for epoch, public in sorted(self.keys.items()):
            if epoch in self._dropped:
                continue
            row = {"epoch": epoch, "public": public.hex(), "known": self.vouched(epoch)}
            if epoch in self.registrations:
                row["operator"] = self.registrations[epoch].operator
            rows.append(row)
        return rows

    def _by_operator(self, found):
        return any(found.signed_by(public, self.verify) for public in self.operators)


class Heads:
    """Checkpoints that came another way than in the bundle (`verify --checkpoint`): do they show the same history?"""

    def __init__(self, texts, wanted=()):
        """wanted: more (epoch, size) at which `roots` shall have the bundle's root."""
        self.heads = [checkpoint.parse(text) for text in texts]
        self.wanted = {(head.epoch, head.size) for head in self.heads} | set(wanted)
        self.roots = {}

    def passed(self, epoch, size, root):
        """The bundle's tree; root() is asked only where a head is of that size."""
        if (epoch, size) in self.wanted:
            self.roots[(epoch, size)] = root()

    def judge(self, terminal_id, keys, sizes, verify):
        """(what is wrong, what cannot be said), two lists of texts."""
        wrong, unsaid, seen = [], [], {}
        for head in self.heads:
            what = f"the checkpoint over {head.size} entries of epoch {head.epoch} that was given"
            public = keys.get(head.epoch)
            if head.terminal_id != terminal_id:
                wrong.append(f"{what} is of {head.terminal_id}")
            elif public is None and head.epoch > max(keys, default=-1):
                unsaid.append(f"{what} is of a later epoch than the bundle; pull the log again")
            elif public is None and head.epoch < min(keys):
                unsaid.append(f"{what} is of an earlier epoch than the bundle")
            elif public is None or not checkpoint.verify(head, head.name, public, verify):
                wrong.append(f"{what} is not signed with the epoch's key")
            elif seen.setdefault((head.epoch, head.size), head.root) != head.root:
                wrong.append(f"a fork: two checkpoints over {head.size} entries of epoch {head.epoch} have two roots")
            elif (head.epoch, head.size) in self.roots:
                if self.roots[(head.epoch, head.size)] != head.root:
                    wrong.append(f"a fork: {what} has another root than the bundle: the terminal signed two histories")
            elif head.epoch >= min(sizes, default=0) and head.size > sizes.get(head.epoch, 0):
                unsaid.append(f"{what} reaches beyond the bundle's {sizes.get(head.epoch, 0)}; pull the log again")
            else:
                unsaid.append(f"{what} is older than the bundle's first entry; the entries before were dropped")
        return wrong, unsaid
