"""`Log`, the one writer of an epoch's log, over a storage (docs/formats.md, "Segment" and "Data folder").

Theory of operation. Entries are appended to a buffer; `commit` writes the buffer in one write and makes it durable in
one flush, so the cost of a flush is shared (group commit). An entry may be acknowledged, or sent, only after `commit`.
The first frame of a commit is marked, and what stands before a mark was durable. That is how recovery tells a torn
last write, which it cuts off and says so in a `gap` entry, from damage in the middle, which it refuses to pass over.
The storage's few functions are described in carbonterm.ledger.frames.
"""

import binascii

from carbonterm import cbor
from carbonterm.errors import LedgerError
from carbonterm.gm import sm2
from carbonterm.ledger import checkpoint, entry
from carbonterm.ledger.frames import (
    FRAME,
    HEADER,
    WAY_OUT,
    Frames,
    checkpoints_name,
    frames_of,
    header,
    key_name,
    read_checkpoints,
    read_key,
    segment_name,
    segments,
    snapshot,
    tree_before,
)
from carbonterm.ledger.retention import STAY, remove
from carbonterm.ledger.tree import Tree, leaf

SEGMENT_SIZE = 1 << 19  # the first commit behind this size begins a new segment
SEAL_ENTRIES = 60  # a checkpoint at least every so many entries …
SEAL_MS = 15 * 60 * 1000  # … and so much time
_FAILED = "write", "restart: recovery cuts the torn tail"
FAULT = "it is thrown away; restart, and replace the terminal if it happens again: its processor or its key is damaged"


class Log:
    """The writer of one terminal's epoch: recovers at construction, then `append`, `commit`, `entries`, `checkpoint`.

    signer: object with `.public` (64 bytes) and `.sign(message, extra) -> r||s`; random(n) -> n bytes, for hedged
    signatures. LedgerError where the log is damaged, or belongs to another terminal or key.
    `size`: durable entries; `next_seq`: with those in the buffer; `sealed`: entries under `last_checkpoint` (its text).
    `cut`: body of the gap entry that recovery owes, written before the first entry appended; else None.
    state: function giving the owner's state, a pure function of the entries so far (pipeline.Replay.state); then every
    segment but the epoch's first begins with a snapshot entry, and start-up reads from the last one on. `base`: seq of
    the snapshot that start-up began with, `restored`: the owner's state in it; 0 and None where it read everything.
    `buffered`: bytes that wait for a commit; `written`: bytes of commits since it was opened; `kept`: seq of the first
    entry that was not dropped.
    """

    __slots__ = (
        "_buffer", "_closed", "_file_size", "_firsts", "_mark", "_owed", "_prefix", "_segment_size", "_since_ms",
        "_tree", "base", "buffered", "cut", "epoch", "last_checkpoint", "next_seq", "random", "restored", "sealed",
        "signer", "size", "state", "storage", "terminal_id", "written",
    )  # fmt: skip

    def __init__(self, storage, terminal_id, epoch, signer, random=None, segment_size=SEGMENT_SIZE, state=None):
        self.storage = storage
        self.terminal_id = terminal_id
        self.epoch = epoch
        self.signer = signer
        self.random = random
        self.state = state
        self._segment_size = segment_size
        self._prefix = entry.prefix(terminal_id, epoch)
        self.size, self.sealed, self.last_checkpoint, self._firsts = 0, 0, None, []
        self.written = 0
        self.recover()

    def recover(self):
        """Begins anew from what is durable; the way on after a failed write. What only waited in the buffer is gone.
        Where it fails the log stays closed, and what was durable before can be read on."""
        before = self.size, self.sealed, self.last_checkpoint, self._firsts
        self.cut = self.restored = self.last_checkpoint = None
        self.sealed = self.base = self.buffered = 0
        self._tree = Tree()
        self._since_ms = None  # time of the first entry that no checkpoint covers
        self._buffer = None
        self._closed = _FAILED
        self._owed = []  # (size, root) that the next commit seals
        self._mark = None  # (seq, first seq of the segment, offset) where the last reader stopped
        self._firsts = []  # first seq of each segment
        self._file_size = self._segment_size  # of the last segment; at the limit: the next commit begins a new one
        try:
            self._recover()
        except (OSError, LedgerError, MemoryError):
            self.size, self.sealed, self.last_checkpoint, self._firsts = before
            raise
        self._buffer = []
        self.size = self.next_seq = self._tree.size

    @property
    def newest(self):
        """Seq with which the last segment begins."""
        return self._firsts[-1] if self._firsts else 0

    @property
    def kept(self):
        return self._firsts[0] if self._firsts else 0

    # --- writing ----------------------------------------------------------------------------------------------------

    def append(self, time_ms, clock_state, kind, body):
        """Adds an entry to the buffer and returns its seq; it counts after `commit` only. MemoryError: nothing was
        added, and the same may be tried again."""
        self.announce(time_ms, clock_state)
        return self._put(time_ms, clock_state, kind, body)

    def announce(self, time_ms, clock_state):
        """Seq of the next entry appended, behind the snapshot or gap entry that has to stand before it: for an entry
        that speaks of its own place."""
        self._open()
        if not self._buffer and self._file_size >= self._segment_size and self.size and self.state:
            self._snapshot(time_ms, clock_state)
        if self.cut:
            self._put(time_ms, clock_state, entry.GAP, self.cut)
            self.cut = None
        return self.next_seq

    def _put(self, time_ms, clock_state, kind, body):
        seq = self.next_seq
        raw = entry.encode_after(self._prefix, seq, time_ms, clock_state, kind, body)
        self._buffer.append((raw, self._sign(raw)))
        try:
            self._grow(raw, time_ms)
        except MemoryError:
            self._buffer.pop()
            raise
        self.buffered += len(raw) + FRAME
        self.next_seq = seq + 1
        return seq

    def _snapshot(self, time_ms, clock_state):
        """The first entry of a new segment; a checkpoint over exactly what it speaks of is signed with it. A segment
        begins without one where the site is too large for an entry, or memory has no place for it now: start-up then
        reads on from the last snapshot there is, or from the beginning."""
        try:
            body = [list(self._tree.state()[1]), self.state()]
            if len(cbor.encode(body)) > entry.MAX_ENTRY - 200:
                return
            if self.sealed < self.size:
                self._owe()
            self._put(time_ms, clock_state, entry.SNAPSHOT, body)
        except MemoryError:
            return  # a reading is worth more than a quick start

    def commit(self):
        """Makes all appended entries durable (one write, one flush) and signs the checkpoints that fell due.

        An OSError of the storage goes through and closes the log: what was written, only a restart can tell. After a
        MemoryError it is closed only if something may have been written (`closed`); else the same may be tried again.
        """
        self._open()
        if self._buffer:
            fresh = self._file_size >= self._segment_size
            first = self.size if fresh else self._firsts[-1]
            name = segment_name(self.epoch, first)
            parts = frames_of(self._buffer, header(self.epoch, first) if fresh else b"")
            if fresh:
                self._firsts.append(first)
                self._file_size = 0
            buffer, self._buffer = self._buffer, None
            for data in parts:
                self.storage.append(name, data)
                self._file_size += len(data)
                self.written += len(data)
            self.storage.sync(name)
            self.size += len(buffer)
            self.buffered = 0
            self._buffer = []
        while self._owed:
            self._seal()

    @property
    def closed(self):
        """True after a failed write: nothing can be appended before `recover`."""
        return self._buffer is None

    def checkpoint(self):
        """Commits, and returns the signed text over all entries so far; the last one again where nothing is new."""
        self.commit()
        if self.last_checkpoint is None or self.sealed < self.size:
            self._owe()
            self._seal()
        return self.last_checkpoint

    def ripe(self, size):
        """True if a commit now would end behind another multiple of `size` in its segment. A flash's file system writes
        a file's last, incomplete block anew with each commit; commits that end there leave it the least to copy."""
        at = 0 if self._file_size >= self._segment_size else self._file_size
        return at % size + self.buffered >= size

    def due(self, time_ms):
        """True if an entry waits for a checkpoint longer than 15 minutes: an idle terminal then asks for one."""
        return self._since_ms is not None and abs(time_ms - self._since_ms) >= SEAL_MS

    def _open(self):
        if self._buffer is None:
            raise LedgerError("the log is closed after a failed " + self._closed[0], self._closed[1])

    def _sign(self, message):
        return self.signer.sign(message, self.random(32) if self.random else b"")

    def _grow(self, raw, time_ms):
        """One more leaf; notes the sizes at which the policy wants a checkpoint, whatever the borders of commits."""
        if self.due(time_ms):
            self._owe()
        self._tree.append(leaf(raw))
        if self._since_ms is None:
            self._since_ms = time_ms
        if self._tree.size - (self._owed[-1][0] if self._owed else self.sealed) >= SEAL_ENTRIES:
            try:
                self._owe()
            except MemoryError:
                return  # the next entry owes it

    def _owe(self):
        self._owed.append((self._tree.size, self._tree.root()))
        self._since_ms = None

    def _seal(self):
        """Signs the oldest owed head and stores it before anybody sees it: nothing else is ever signed for its size.

        A faulty signature can give the key away, so each is verified first: LedgerError, and the log is closed.
        """
        size, root = self._owed[0]
        name = checkpoint.origin(self.terminal_id, self.epoch)
        body = checkpoint.body(self.terminal_id, self.epoch, size, root)
        text = checkpoint.signed(body, name, self.signer.public, self._sign)
        if not checkpoint.verify(checkpoint.parse(text), name, self.signer.public):
            self._buffer, self._closed = None, ("signature", FAULT)
            raise LedgerError("the signature does not verify that was just made over %d entries" % size, FAULT)
        data = text.encode()
        data = len(data).to_bytes(4, "big") + data
        data += binascii.crc32(data).to_bytes(4, "big")
        file = checkpoints_name(self.epoch, self._firsts[-1] if self._firsts else 0)
        buffer, self._buffer = self._buffer, None
        self.storage.append(file, data)
        self.storage.sync(file)
        self.sealed, self.last_checkpoint = size, text
        self._owed.pop(0)
        self._buffer = buffer

    def drop_before(self, seq):
        """Removes whole segments of entries before `seq`, the oldest first, never the last two; returns the first seq
        that is kept. Only what is durable elsewhere may go: the caller asks the centres' receipts (`retention.plan`).
        They go up to one that begins with a snapshot, so that the rest stands by itself."""
        while len(self._firsts) > STAY and self._firsts[1] <= seq:
            upto = [first for first in self._firsts[1:-1] if first <= seq and snapshot(self.storage, self.epoch, first)]
            if not upto:
                break
            while self._firsts[0] < upto[0]:
                remove(self.storage, self.epoch, self._firsts[0])
                self._firsts.pop(0)
        return self.kept

    # --- reading ----------------------------------------------------------------------------------------------------

    def tree_before(self, seq):
        """(size, peaks) of the tree at the last snapshot at or before entry `seq`, None where that was dropped."""
        return tree_before(self.storage, self.epoch, self._firsts, seq)

    def entries(self, from_seq=0, to_seq=None):
        """Iterates (entry bytes, fingerprint) of durable entries from_seq … to_seq - 1 (default: all) in order.

        LedgerError where from_seq is below `kept`: those entries were dropped.
        """
        to_seq = self.size if to_seq is None else min(to_seq, self.size)
        if from_seq < self.kept:
            raise LedgerError(
                "entry %d was dropped; the log begins with entry %d" % (from_seq, self.kept),
                "a centre that gave a receipt for it has it",
            )
        firsts = self._firsts + [to_seq]
        for i in range(len(firsts) - 1):
            first, last = firsts[i], min(firsts[i + 1], to_seq)
            if last <= from_seq:
                continue
            seq, offset = first, HEADER
            if self._mark and self._mark[1] == first and self._mark[0] <= from_seq:
                seq, _, offset = self._mark
            name = segment_name(self.epoch, first)
            frames = Frames(self.storage, name, self.epoch, first, offset)
            while seq < from_seq:
                frames.skip()
                seq += 1
            while seq < last:
                frame = frames.next()
                if frame is None:
                    raise _damaged(name, frames.end, "entry %d cannot be read any more" % seq)
                seq += 1
                self._mark = (seq, first, frames.end)
                yield frame[0], frame[1]
            from_seq = seq

    # --- recovery ---------------------------------------------------------------------------------------------------

    def _recover(self):
        """Reads the epoch from its last snapshot on: sequence, CRC-32, tree against the checkpoints; the torn tail."""
        found = segments(self.storage)
        if found and found[-1][0] > self.epoch:
            raise LedgerError("the log goes on in epoch %d" % found[-1][0], "use the key and number of that epoch")
        found = [(first, name) for epoch, first, name in found if epoch == self.epoch]
        self._check_key(len(found) > 0)
        self._check_signed([first for first, _ in found])
        begin = len(found) - 1
        while begin > 0 and not self._restore(*found[begin]):
            begin -= 1
        if begin == 0 and found[0][0]:
            self._restore(*found[0])
        heads = self._read_checkpoints([first for first, _ in found] or [0], max(begin, 0))
        while heads and heads[0][0] < self.base:
            heads.pop(0)
        self._firsts = [first for first, _ in found[: max(begin, 0)]]
        if self.sealed < self.base:
            self._owe()
        self._confirm(heads, None, 0)
        frames = None
        for first, name in found[max(begin, 0) :]:
            if first != self._tree.size:
                raise _damaged(name, 0, "it begins with entry %d, but %d should follow" % (first, self._tree.size))
            frames = Frames(self.storage, name, self.epoch, first)
            self._read_segment(frames, name, heads)
            self._firsts.append(first)
            self._file_size = frames.end
        if heads:
            why = "the log holds %d entries, but a checkpoint was signed over %d"
            raise LedgerError(why % (self._tree.size, heads[0][0]), WAY_OUT)
        if frames and (frames.torn or not frames.end):
            self._cut(frames, name)
        elif frames:
            self.storage.sync(name)  # whole, but perhaps not durable: the writer may have been killed before its flush

    def _restore(self, first, name):
        """Takes over the snapshot with which a segment begins, signed with our key; False where there is none."""
        frame = Frames(self.storage, name, self.epoch, first).next()
        begin = self._prefix + cbor.encode(first)
        if first == 0 or not frame or frame[0][: len(begin)] != begin:
            return False
        one = entry.decode(frame[0])
        if one.kind != entry.SNAPSHOT or not sm2.verify(self.signer.public, frame[0], frame[1]):
            return False
        self._tree.restore(first, one.body[0])
        self.base, self.restored = first, one.body[1]
        return True

    def _read_segment(self, frames, name, heads):
        """Takes over all frames of a segment; removes from `heads` the checkpoints whose roots it confirms."""
        frame = frames.next()
        while frame:
            raw, seq = frame[0], self._tree.size
            begin = self._prefix + cbor.encode(seq)
            if raw[: len(begin)] != begin:
                raise _damaged(name, frames.end, "the entry before it is not entry %d of %s" % (seq, self.terminal_id))
            if seq < self.sealed:
                self._tree.append(leaf(raw))
            else:
                self._grow(raw, entry.decode(raw).time_ms)
            self._confirm(heads, name, frames.end)
            frame = frames.next()

    def _confirm(self, heads, name, offset):
        while heads and heads[0][0] == self._tree.size:
            if heads.pop(0)[1] != self._tree.root():
                raise _damaged(name, offset, "the tree is not the one signed at size %d" % self._tree.size)

    def _cut(self, frames, name):
        """Leaves the torn tail behind: the next commit begins a segment, with the gap entry that says so."""
        if frames.resumed(self._prefix, self._tree.size):
            raise _damaged(name, frames.end, "bytes that were durable are damaged")
        self._file_size = self._segment_size
        if frames.torn:
            self.cut = ["torn", name, frames.end, frames.torn]
        if self._firsts[-1] == self._tree.size:
            self.storage.remove(name)  # no entry in it was ever durable, and the next segment has its name
            self._firsts.pop()
        else:
            self.storage.sync(name)

    def _check_key(self, begun):
        public = read_key(self.storage, self.epoch)
        if public is None and not begun:
            self.storage.replace(key_name(self.epoch), binascii.hexlify(self.signer.public) + b"\n")
        elif public != self.signer.public:
            raise LedgerError(
                "%s is missing or names another key than the one at hand" % key_name(self.epoch),
                "restore the key of epoch %d, or begin the next epoch" % self.epoch,
            )

    def _check_signed(self, firsts):
        """The newest checkpoint is signed with the key at hand: a private and a public key that were exchanged together
        must not go on in an epoch that another key began."""
        texts = []
        while firsts and not texts:
            texts = read_checkpoints(self.storage, self.epoch, firsts.pop())[0]
        if not texts:
            return
        head = checkpoint.parse(texts[-1])
        if not checkpoint.verify(head, checkpoint.origin(self.terminal_id, self.epoch), self.signer.public):
            raise LedgerError(
                "the checkpoint over %d entries of epoch %d is not signed with the key at hand: the key or the terminal"
                " id is another than the log's" % (head.size, self.epoch),
                "restore %s and its private key, or begin the next epoch" % key_name(self.epoch),
            )

    def _read_checkpoints(self, firsts, begin):
        """[(size, root), …] of the checkpoints from segment number `begin` on, and of those before it back to the last
        that has one, in order of size; a torn last record is removed, it was never shown. One that was signed again
        over the same tree, by a start that did not see the first, counts once."""
        heads = []
        while begin > 0 and not read_checkpoints(self.storage, self.epoch, firsts[begin])[0]:
            begin -= 1
        for first in firsts[begin:]:
            texts, whole, size = read_checkpoints(self.storage, self.epoch, first)
            for text in texts:
                head = checkpoint.parse(text)
                if (head.size, head.root) not in heads:
                    heads.append((head.size, head.root))
                if head.size >= self.sealed:
                    self.sealed, self.last_checkpoint = head.size, text
            if whole < size:
                name = checkpoints_name(self.epoch, first)
                self.storage.replace(name, self.storage.read(name, 0, whole))
        return sorted(heads)


def _damaged(name, offset, why):
    return LedgerError("segment %s is damaged at offset %d: %s" % (name, offset, why), WAY_OUT)
