"""A terminal's data folder, read only: the reading half of the log's storage (carbonterm.ledger.frames), and `pull`."""

from pathlib import Path

from carbonterm.errors import LedgerError
from carbonterm.ledger import checkpoint, proof, registry
from carbonterm.ledger.bundle import MAX_ENDED
from carbonterm.ledger.frames import WAY_OUT, Frames, end_name, read_checkpoints, read_key, segments, snapshot
from carbonterm.uplink.kept import read_kept


class DataFolder:
    """Storage of the files in `path`; it has no writing half, so a running terminal is not disturbed."""

    def __init__(self, path):
        self.path = Path(path)

    def names(self):
        return [one.name for one in self.path.iterdir() if one.is_file()]

    def size(self, name):
        return (self.path / name).stat().st_size

    def read(self, name, offset, size):
        with open(self.path / name, "rb") as file:
            file.seek(offset)
            return file.read(size)


class Pulled:
    """What `pull` wrote: counts, and the torn bytes it left out, as (segment name, offset, bytes)."""

    def __init__(self):
        self.entries = self.checkpoints = self.receipts = 0
        self.torn = []


def _standing(storage):
    """The segments, without those with which the log cannot begin: a drop that was interrupted leaves some of what goes
    together, up to a snapshot, and the terminal removes the rest at its next start."""
    found = segments(storage)
    for i, (epoch, first, _) in enumerate(found):
        if first == 0 or snapshot(storage, epoch, first):
            return found[i:]
    return found


def _registered(storage, epoch):
    """The Registration of an epoch's key that an operator signed, or None where the folder has none."""
    name = f"{epoch:05}.reg"
    if name not in storage.names():
        return None
    found = registry.Registration.decode(storage.read(name, 0, registry.MAX_BYTES + 1))
    return found if found.operator_signature is not None else None


def _authority(storage, writer, epoch):
    """The epoch's key, and the operator's words about it, where the folder has them."""
    public = read_key(storage, epoch)
    if public is None:
        raise LedgerError(f"the folder holds entries of epoch {epoch} but no key file for it", "restore it")
    writer.key(epoch, public)
    found = _registered(storage, epoch)
    if found:
        writer.registration(found.body, found.device_signature, found.operator_signature)
    name = f"{epoch:05}.rev"
    if name in storage.names():
        found = registry.Revocation.decode(storage.read(name, 0, registry.MAX_BYTES + 1))
        writer.revocation(found.body, found.signature)


def _ended(storage, writer, epoch, receipts):
    """What leads from a registration over epochs whose entries were dropped to the key of `epoch`, the first here."""
    ends = []
    while _registered(storage, epoch) is None and end_name(epoch - 1) in storage.names():
        epoch -= 1
        ends.insert(0, proof.decode(storage.read(end_name(epoch), 0, MAX_ENDED + 1)))
    for one in ends:
        _authority(storage, writer, one.epoch)
        texts = [one.checkpoint]
        _cosign({(one.epoch, one.size): texts}, receipts)
        names = [row[0] for row in checkpoint.parse(texts[0]).signatures]
        publics = {receipt.centre: public for public, receipt in receipts}
        one.checkpoint, one.centres = texts[0], [(name, publics[name]) for name in names if name in publics]
        writer.ended(proof.encode(one))


def _cosign(heads, receipts):
    """Adds to the checkpoints' texts the cosignatures that came back in receipts, where they are right."""
    for public, receipt in receipts:
        if receipt.checkpoint is None:
            continue
        try:
            cosigned = checkpoint.parse(receipt.checkpoint)
        except LedgerError:
            continue
        own = heads.get((receipt.epoch, cosigned.size), [])
        for i, text in enumerate(own):
            head = checkpoint.parse(text)
            same = head.body == cosigned.body and receipt.centre not in [row[0] for row in head.signatures]
            if same and checkpoint.verify(cosigned, receipt.centre, public):
                lines = receipt.checkpoint.split("\n")[4:-1]
                own[i] = text + next(line + "\n" for line in lines if line.split(" ")[1] == receipt.centre)


def pull(storage, writer):
    """Copies all entries and checkpoints of a data folder into a bundle's writer, up to its `end`. Returns a Pulled.

    The last receipts that centres gave go in behind the entries they cover, their cosignatures into the checkpoints.
    Checkpoints and receipts are read before the entries, so a terminal that goes on writing meanwhile does not matter.
    LedgerError where entries are missing in the middle; a torn tail is left out and told.
    """
    receipts = read_kept(storage)
    found = _standing(storage)
    heads = {}
    for epoch, first, _ in found:
        for text in read_checkpoints(storage, epoch, first)[0]:
            head = checkpoint.parse(text)
            same = heads.setdefault((epoch, head.size), [])
            if head.body not in [checkpoint.parse(one).body for one in same]:
                same.append(text)
    done = Pulled()
    _cosign(heads, receipts)
    for name, public in {receipt.centre: public for public, receipt in receipts}.items():
        writer.centre(name, public)
    last_epoch, seq, ends = None, 0, {}
    for epoch, first, name in found:
        if epoch != last_epoch:
            if last_epoch is None:
                _ended(storage, writer, epoch, receipts)
            _authority(storage, writer, epoch)
            last_epoch, seq = epoch, 0
            if done.entries == 0 and snapshot(storage, epoch, first):
                seq = first  # what came before was dropped by retention; the snapshot carries its tree
                heads = {at: texts for at, texts in heads.items() if at > (epoch, first)}
            for text in heads.pop((epoch, 0), ()):
                writer.checkpoint(text)
                done.checkpoints += 1
        if first != seq:
            raise LedgerError(f"segment {name} begins with entry {first}, but {seq} should follow", WAY_OUT)
        frames = Frames(storage, name, epoch, first)
        frame = frames.next()
        while frame:
            writer.entry(frame[0], frame[1])
            done.entries += 1
            seq += 1
            for text in heads.pop((epoch, seq), ()):
                writer.checkpoint(text)
                done.checkpoints += 1
            for _, receipt in receipts:
                if (receipt.epoch, receipt.next_seq) == (epoch, seq):
                    writer.receipt(receipt.body, receipt.signature)
                    done.receipts += 1
            frame = frames.next()
        ends[epoch] = seq
        if frames.torn:
            done.torn.append((name, frames.end, frames.torn))
    if heads:
        epoch, size = min(heads)
        raise LedgerError(f"epoch {epoch} holds fewer entries than the {size} a checkpoint was signed over", WAY_OUT)
    for _, receipt in receipts:
        if receipt.next_seq > ends.get(receipt.epoch, receipt.next_seq):
            why = f"epoch {receipt.epoch} holds fewer entries than the {receipt.next_seq} in a receipt"
            raise LedgerError(f"{why} of {receipt.centre}", WAY_OUT)
    return done
