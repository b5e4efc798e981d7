"""Delivery of one log to one centre, as a state machine without I/O, clock or randomness of its own.

The centre's signed receipt is the only thing that moves the cursor, and only where its root is the root of our own log
at that size. So nothing about delivery needs to be kept: a cursor that is lost is asked for again (GET), the entries
before it are hashed once more, and delivery goes on. Whatever else happens (no answer, half an answer, status 500, a
receipt of somebody else, of another terminal, of yesterday) leaves the cursor where it is and the same batch is sent
again, byte for byte, after a pause that doubles and is spread at random; a centre takes the same bytes twice.

    ASK      send the GET; give its answer to `answered`
    READ     give the log's entries from `size` on to `passed`, or call `ended` where the log has no more; `begin` at a
             snapshot spares those before it, `missing` says that the log does not reach back so far
    SEND     make a batch with `batch`, POST it, give the answer to `answered`
    STOPPED  the centre's history and ours differ; `error` says how. Only a person can say which is right.

Before each request wait `delay_ms`; a request that got no answer is told with `failed` or `unanswered`.
"""

from carbonterm.errors import LedgerError, UplinkError, quoted
from carbonterm.ledger import checkpoint as checkpoints
from carbonterm.ledger import tree
from carbonterm.uplink.message import Batch, Receipt, Refusal

ASK, READ, SEND, STOPPED = range(4)
_LEAST_BYTES = 1024  # of a batch, however little memory there is

FIRST_MS = 1000
LONGEST_MS = 300000


class Outbox:
    """Delivery of (terminal_id, epoch) to the centre whose 64-byte key is `public`.

    below(n): a random integer from 0 to n - 1. max_entries, max_bytes: of one batch; a single larger entry still goes,
    alone. first_ms, longest_ms: the pause after the first failure and the longest.

    cursor: entries that the centre has acknowledged, None before its first word; uploaded: those acknowledged to a
    batch of this Outbox; sealed: size of the newest checkpoint it has answered; receipt: its last valid one; retries;
    error: the last trouble as text, "" when all is well. heard_ms: the centre's time in the last answer that it signed.
    """

    __slots__ = (
        "_batch", "_below", "_claim", "_doubts", "_end", "_epoch", "_failures", "_first_ms", "_leaves", "_longest_ms",
        "_max_bytes", "_max_entries", "_public", "_sealing", "_terminal_id", "_tree", "cursor", "delay_ms", "error",
        "heard_ms", "receipt", "retries", "sealed", "state", "uploaded",
    )  # fmt: skip

    def __init__(self, terminal_id, epoch, public, below, max_entries=100, max_bytes=65536,
                 first_ms=FIRST_MS, longest_ms=LONGEST_MS):  # fmt: skip
        self._terminal_id = terminal_id
        self._epoch = epoch
        self._public = public
        self._below = below
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._first_ms = first_ms
        self._longest_ms = longest_ms
        self._tree = tree.Tree()
        self._claim = None  # a valid receipt whose root is still to be compared
        self._batch = None  # bytes on their way
        self._leaves = ()  # of those bytes
        self._end = 0  # seq after them
        self._sealing = 0  # size of the checkpoint in them
        self._failures = 0
        self._doubts = 0  # batches in a row that got no answer though the centre answers questions
        self.state = ASK
        self.cursor = None
        self.delay_ms = 0
        self.uploaded = 0
        self.sealed = 0
        self.retries = 0
        self.error = ""
        self.heard_ms = None
        self.receipt = None

    @property
    def size(self):
        """Entries of the log that have been hashed: where READ goes on, and in SEND the cursor."""
        return self._tree.size

    @property
    def sending(self):
        """Whether a batch is held until it is acknowledged."""
        return self._batch is not None

    @property
    def wanted(self):
        """Entries that READ comes to hash."""
        return self._claim.next_seq

    @property
    def receipted(self):
        """Entries that the centre has signed for and that are under a checkpoint it has answered."""
        if self.cursor is None or self._claim is not None:
            return 0
        return min(self.cursor, self.sealed)

    def batch(self, entries, checkpoint=None):
        """Bytes to send next, or None if there is nothing to send.

        entries: (entry, fingerprint) pairs from seq `cursor` on, durable ones only; checkpoint: (size, text) of the
        log's newest, or None. A batch that is not acknowledged yet is given again as it is.
        """
        if self._batch is not None:
            return self._batch
        pairs = []
        room = self._max_bytes
        for entry, fingerprint in entries:
            room -= len(entry) + 80
            if pairs and room < 0:
                break
            pairs.append((entry, fingerprint))
            if len(pairs) >= self._max_entries:
                break
        end = self.cursor + len(pairs)
        text = None
        self._sealing = self.sealed
        if checkpoint is not None and self.sealed < checkpoint[0] <= end:
            self._sealing, text = checkpoint
        if not pairs and text is None:
            return None
        self._batch = Batch(self._terminal_id, self._epoch, self.cursor, pairs, text).encode()
        self._leaves = [tree.leaf(entry) for entry, _ in pairs]
        self._end = end
        return self._batch

    def begin(self, size, peaks):
        """In READ: goes on from the tree of a snapshot over `size` entries, if that is further. It need not be trusted:
        the root of the receipt covers it."""
        if self._tree.size < size <= self.wanted:
            self._tree.restore(size, peaks)
            self._settle()

    def missing(self, kept):
        """In READ: the log begins with entry `kept`, behind what the centre holds: it is a new one, or has lost what it
        signed for. Nothing can be sent; the question is asked again, in case the centre is restored."""
        held, self._claim = self._claim.next_seq, None
        self.cursor, self.sealed = None, 0
        self.state = ASK
        self.failed(
            "the centre holds %d entries of epoch %d, this log begins with entry %d; give the centre those between "
            "from another centre or a backup" % (held, self._epoch, kept),
            slow=True,
        )

    def passed(self, entry):
        """Takes entry `size` of the log in READ."""
        self._tree.append(tree.leaf(entry))
        self._settle()

    def ended(self):
        """The log has no entry `size`, though the centre has a receipt for more."""
        held, ours = self._claim.next_seq, self._tree.size
        self._stop(
            "the centre holds %d entries of epoch %d, this log %d: the log was set back" % (held, self._epoch, ours),
            "restore the log, or begin a new epoch with a new key",
        )

    def answered(self, status, body):
        """Takes the centre's answer: HTTP status and body bytes. Never raises, whatever they are."""
        try:
            if status == 200:
                self._received(Receipt.decode(body))
            elif 400 <= status <= 499:
                self._refused(Refusal.decode(body))
            else:
                self.failed("the centre answered with status %d" % status)
        except UplinkError as error:
            self.failed("status %d, %s" % (status, error.what))
        except MemoryError:
            if self.state != STOPPED:
                self.state = ASK  # the tree may have grown by a part of the batch: by what the centre says it goes on
            self.cramped("there is not memory enough for the answer")

    def failed(self, reason, slow=False):
        """The request got no usable answer: the same again after a pause, the longest one if `slow`."""
        if self.state == STOPPED:
            return
        self.error = reason
        self.retries += 1
        pause = self._longest_ms if slow else min(self._longest_ms, self._first_ms << min(self._failures, 16))
        self._failures += 1
        self.delay_ms = pause // 2 + self._below(pause - pause // 2 + 1)

    def unanswered(self, reason):
        """As `failed`, where somebody stands between who may keep what is too long for him without a word: the centre
        is asked what it has. If it answers that, twice in a row, and has not got the batch, batches become smaller."""
        self.failed(reason)
        if self.state == SEND:
            self._doubts += 1
            self._forget_batch()
            self.state = ASK
        elif self.state == ASK:
            self._doubts = 0

    def cramped(self, reason):
        """There is not memory enough for the request: a smaller one after a pause."""
        if self.state == READ:
            self.state = ASK
        self._shrink()
        self.failed(reason)

    def _shrink(self):
        self._max_entries = max(1, self._max_entries // 2)
        self._max_bytes = max(_LEAST_BYTES, self._max_bytes // 2)
        self._forget_batch()

    def _received(self, receipt):
        if receipt.terminal_id != self._terminal_id or receipt.epoch != self._epoch:
            raise UplinkError("a receipt is for %s epoch %d" % (quoted(receipt.terminal_id), receipt.epoch))
        if self.state == SEND and receipt.next_seq < self._end:
            raise UplinkError("a receipt is for %d entries where %d were sent" % (receipt.next_seq, self._end))
        if not receipt.signed_by(self._public):
            raise UplinkError("a receipt is not signed by the key of this centre")
        self.heard_ms = receipt.time_ms
        sealed = self._sealing if self.state == SEND else 0
        if receipt.checkpoint is not None:
            sealed = max(sealed, size_of(receipt.checkpoint))
        self.sealed = max(self.sealed, sealed)
        self._claim = receipt
        if self.state == SEND:
            self._doubts = 0
            for leaf in self._leaves:
                self._tree.append(leaf)
        elif receipt.next_seq < self._tree.size:
            self._tree = tree.Tree()  # the centre has less than it once had: count again from the start
            self.sealed = min(self.sealed, receipt.next_seq)
        self._forget_batch()
        self.state = READ
        self._settle()

    def _settle(self):
        """Once as many entries are hashed as the claim says: the cursor moves if the roots are the same."""
        claim = self._claim
        if self._tree.size < claim.next_seq:
            return
        if self._tree.root() != claim.root:
            self._stop(
                "the centre's root of the first %d entries of epoch %d is not this log's: two histories"
                % (claim.next_seq, self._epoch),
                "keep both and find out which is right; begin a new epoch with a new key",
            )
            return
        if self.cursor is not None and claim.next_seq > self.cursor:
            self.uploaded += claim.next_seq - self.cursor
            self._doubts = 0
        elif self._doubts > 1:
            self._doubts = 0
            self._shrink()
        self.cursor = claim.next_seq
        self.receipt = claim
        self._claim = None
        if not self._doubts:
            self._failures = 0
        self.delay_ms = 0
        self.error = ""
        self.state = SEND

    def _refused(self, refusal):
        what = "the centre refused: %s (%s)" % (refusal.code, refusal.reason)
        if refusal.code in ("fork", "gap"):
            self._forget_batch()  # ask what it has: its signed word moves the cursor, or shows the two histories
            self.state = ASK
            self.failed(what)
        elif refusal.code == "too-large" and len(self._leaves) > 1:
            self._max_entries = max(1, len(self._leaves) // 2)
            self._max_bytes //= 2
            self._forget_batch()
            self.error = what
        else:
            self.failed(what, slow=True)  # until a person acts; the log grows, nothing is lost

    def _forget_batch(self):
        self._batch = None
        self._leaves = ()
        self._end = 0

    def _stop(self, what, hint):
        self.state = STOPPED
        self.error = what + "; " + hint
        self._forget_batch()


def size_of(text):
    """Entries under a receipt's checkpoint; UplinkError where it is none."""
    try:
        return checkpoints.parse(text).size
    except LedgerError as error:
        raise UplinkError("a receipt's checkpoint cannot be read: %s" % error.what) from None
