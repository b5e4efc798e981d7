"""Which epoch a data folder is in, how it comes into the next one, and how the earlier ones are read.

Rotation, each step durable before the next: (1) the next epoch's private key; (2) the old epoch's last entry, which
names that key and bears its signature, and the checkpoint over it; (3) the new epoch's first entries. A start after any
of them finds where it was: a key without a log is an order to rotate, an old log that ends with its `key` entry is
finished. A key that came with an operator's request (<epoch>.reg names the epoch before) takes over at once.
"""

from carbonterm.errors import LedgerError
from carbonterm.ledger import entry, registry
from carbonterm.ledger.checkpoint import parse
from carbonterm.ledger.frames import Frames, end_name, read_checkpoints, read_key, segments, tree_before
from carbonterm.ledger.retention import remove
from carbonterm.ledger.segment import Log
from carbonterm.ledger.tree import leaf
from carbonterm_device import keys

ROTATE, BEGIN, GO_ON = range(3)


class Past:
    """An epoch that is over, read only; as a Log for Delivery. `size`: its whole entries, `sealed`: under its last
    checkpoint `last_checkpoint` (text or None), `root`: that one's."""

    def __init__(self, storage, terminal_id, epoch):
        self.storage = storage
        self.terminal_id = terminal_id
        self.epoch = epoch
        self._files = [(first, name) for one, first, name in segments(storage) if one == epoch]
        self.kept = self._files[0][0] if self._files else 0
        self.size = self._files[-1][0] if self._files else 0
        for _ in self._read(len(self._files) - 1, self.size):
            self.size += 1
        self.sealed, self.root, self.last_checkpoint = 0, None, None
        for i in range(len(self._files) - 1, -1, -1):  # from the end: a start reads the tail, however long the log
            texts = read_checkpoints(storage, epoch, self._files[i][0])[0]
            if texts:
                head = parse(texts[-1])
                self.sealed, self.root, self.last_checkpoint = head.size, head.root, texts[-1]
                break

    def drop_before(self, seq):
        """Removes the segments that end before `seq`; all of them where seq is `size`."""
        ends = [first for first, _ in self._files[1:]] + [self.size]
        while self._files and ends[0] <= seq:
            ends.pop(0)
            remove(self.storage, self.epoch, self._files.pop(0)[0])
        self.kept = self._files[0][0] if self._files else self.size

    def keep_end(self):
        """Keeps the proof of the last entry, durable, before all are dropped: it names the next key and leads from an
        operator's registration to the epochs behind. Nothing where the epoch did not end so."""
        seq = self.size - 1
        before = self.tree_before(seq) if self.size and self.sealed == self.size else None
        if before is None or end_name(self.epoch) in self.storage.names():
            return
        from carbonterm.ledger import proof  # rarely needed code that a small heap need not hold
        from carbonterm.ledger.prover import Prover

        prover = Prover(seq, self.size)
        prover.begin(before[0], before[1])
        last = None
        for last in self.entries(before[0]):
            prover.append(leaf(last[0]))
        if _names_next(last[0]):
            public = read_key(self.storage, self.epoch)
            made = proof.Proof(self.terminal_id, self.epoch, seq, last[0], last[1], public, self.size, prover.path(),
                               self.last_checkpoint)  # fmt: skip
            self.storage.replace(end_name(self.epoch), proof.encode(made))

    def tree_before(self, seq):
        """As Log's."""
        return tree_before(self.storage, self.epoch, [first for first, _ in self._files], seq)

    def entries(self, from_seq=0):
        """Iterates (entry bytes, fingerprint) from from_seq on; LedgerError where they were dropped."""
        if from_seq < self.kept:
            raise LedgerError(
                "entry %d of epoch %d was dropped, the first one here is %d" % (from_seq, self.epoch, self.kept),
                "a centre that gave a receipt for it has it",
            )
        for i in range(len(self._files)):
            if i + 1 == len(self._files) or self._files[i + 1][0] > from_seq:
                for frame in self._read(i, from_seq):
                    yield frame
                    from_seq += 1

    def _read(self, i, from_seq):
        if i < 0:
            return
        first, name = self._files[i]
        frames = Frames(self.storage, name, self.epoch, first)
        seq, frame = first, frames.next()
        while frame:
            if seq >= from_seq:
                yield frame[0], frame[1]
            seq, frame = seq + 1, frames.next()


def current(storage, terminal_id, port):
    """(epoch, step) of the folder: GO_ON in it, BEGIN it, or ROTATE out of it. Makes the first key of an empty folder.

    LedgerError where the epoch of the newest log has no key any more.
    """
    have, logs = keys.epochs(storage), [epoch for epoch, _, _ in segments(storage)]
    if not have and not logs:
        keys.make(storage, 0, port)
        return 0, BEGIN
    newest = max(have + logs)
    if newest not in have:
        raise LedgerError(
            "the private key of epoch %d is gone" % newest,
            "begin the next epoch: --init --epoch %d with --operator and --previous" % (newest + 1),
        )
    if newest in logs:
        return newest, GO_ON
    asked = request(storage, newest)
    if newest == 0 or newest - 1 not in logs or (asked is not None and asked.previous is not None):
        return newest, BEGIN
    return (newest, BEGIN) if _ends(storage, terminal_id, newest - 1) else (newest - 1, ROTATE)


def _ends(storage, terminal_id, epoch):
    """Whether the epoch's last whole entry is the one that names its successor."""
    past = Past(storage, terminal_id, epoch)
    for raw, _ in past.entries(max(past.size - 1, past.kept)):
        return _names_next(raw)
    return False


def _names_next(raw):
    one = entry.decode(raw)
    return one.kind == entry.KEY and one.body[0] == "next"


def tail(past):
    """[(Past, seq)] of epochs that are over, a list in order: where to read on from to know all that they come to, the
    last snapshot in them; their beginning where there is none."""
    found = []
    for i in range(len(past) - 1, -1, -1):
        before = past[i].tree_before(past[i].size)
        begin = before[0] if before else past[i].kept
        found.insert(0, (past[i], begin))
        if begin:
            break
    return found


def seal(storage, terminal_id, epoch, random):
    """The Past of an epoch that ended with its `key` entry, under the checkpoint that a crash may have kept away. Where
    the next one has begun it had one, which went before its entries in a drop that was interrupted."""
    past = Past(storage, terminal_id, epoch)
    last = segments(storage)[-1][0] == epoch
    if last and past.sealed < past.size and epoch in keys.epochs(storage) and _ends(storage, terminal_id, epoch):
        Log(storage, terminal_id, epoch, keys.load(storage, epoch), random).checkpoint()
        past = Past(storage, terminal_id, epoch)
    return past


def previous(storage, terminal_id, epoch):
    """(epoch, size, root) that `epoch` follows; None for epoch 0. LedgerError where nothing says it."""
    if epoch == 0:
        return None
    asked = request(storage, epoch)
    if asked is not None and asked.previous is not None:
        return asked.previous
    past = Past(storage, terminal_id, epoch - 1)
    if past.root is None:
        raise LedgerError(
            "nothing says what epoch %d follows" % epoch,
            "make its key with --init --epoch %d --operator NAME --previous SIZE:ROOT" % epoch,
        )
    return epoch - 1, past.sealed, past.root


def next_body(terminal_id, epoch, seq, public, signer, random):
    """Body of the `key` entry `seq` in which `epoch` (key `public`) names its successor, whose Signer is `signer`."""
    message = registry.succession(terminal_id, epoch, seq, public, signer.public)
    return ["next", epoch + 1, signer.public, signer.sign(message, random(32))]


def request_name(epoch):
    """File of the epoch's registration, or of the request for one."""
    return "%05d.reg" % epoch


def request(storage, epoch):
    """The Registration in the folder, with or without the operator's signature; None where there is none."""
    name = request_name(epoch)
    if name not in storage.names():
        return None
    return registry.Registration.decode(storage.read(name, 0, registry.MAX_BYTES + 1))
