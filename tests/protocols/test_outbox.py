"""The way of entries to one centre: batches, receipts, refusals, and lines that lose, repeat and delay."""

import pytest

from carbonterm.gm import sm2, sm3
from carbonterm.ledger import checkpoint as notes
from carbonterm.ledger import tree
from carbonterm.uplink.message import Batch, Receipt, Refusal
from carbonterm.uplink.outbox import ASK, READ, SEND, STOPPED, Outbox
from seeded import Random

CENTRE = sm2.Signer(b"\x07" * 32)
OTHER = sm2.Signer(b"\x08" * 32)
FINGERPRINT = b"\x01" * 64


def entry(n):
    return b"entry %d" % n


class Centre:
    """The receiving side as docs/formats.md has it, in few lines: takes what continues its log, says what it has."""

    def __init__(self, terminal_id="T1", signer=CENTRE):
        self.terminal_id = terminal_id
        self.signer = signer
        self.entries = []
        self.checkpoint = None
        self._digests = {}  # that were computed before

    def receipt(self):
        root = tree.root_of([tree.leaf(one, self._digest) for one in self.entries], self._digest)
        return Receipt.make(
            "centre", self.terminal_id, 0, len(self.entries), root, 5, self.checkpoint, self.signer.sign
        ).encode()

    def _digest(self, data):
        if data not in self._digests:
            self._digests[data] = sm3.digest(data)
        return self._digests[data]

    def post(self, data):
        batch = Batch.decode(data)
        if batch.first > len(self.entries):
            return 409, Refusal("gap", "a hole", len(self.entries)).encode()
        for at, (one, _) in enumerate(batch.pairs):
            seq = batch.first + at
            if seq < len(self.entries) and self.entries[seq] != one:
                return 409, Refusal("fork", "other bytes").encode()
        self.entries[batch.first :] = [one for one, _ in batch.pairs] + self.entries[batch.first + len(batch.pairs) :]
        self.checkpoint = batch.checkpoint or self.checkpoint
        return 200, self.receipt()


def outbox(random=None, **limits):
    return Outbox("T1", 0, CENTRE.public, random.below if random else lambda n: 0, **limits)


def turn(box, log, centre, checkpoint=None, damage=None):
    """One step of a device: asks, reads or sends; damage(status, answer) -> the same or None for a broken line.
    Returns what was sent, or None where there was nothing to do."""
    if box.state == READ:
        for one in log[box.size :]:
            box.passed(one)
            if box.state != READ:
                return b""
        box.ended()
        return b""
    if box.state == ASK:
        sent, answer = b"", (200, centre.receipt())
    else:
        sent = box.batch([(one, FINGERPRINT) for one in log[box.cursor :]], checkpoint)
        if sent is None:
            return None
        answer = centre.post(sent)
    if damage:
        answer = damage(*answer)
    if answer is None:
        box.failed("broken line")
    else:
        box.answered(*answer)
    return sent


def deliver(box, log, centre, checkpoint=None):
    turns = 0
    while box.state != STOPPED and turn(box, log, centre, checkpoint) is not None:
        turns += 1
        assert turns < 1000
    return turns


def signed_checkpoint(log, size):
    signer = sm2.Signer(b"\x09" * 32)
    body = notes.body("T1", 0, size, tree.root_of([tree.leaf(one) for one in log[:size]]))
    return size, notes.signed(body, "carbonterm/T1/0", signer.public, signer.sign)


def test_a_log_goes_over_in_batches():
    log = [entry(n) for n in range(250)]
    centre, box = Centre(), outbox()
    print(deliver(box, log, centre))
    assert centre.entries == log
    assert (box.state, box.cursor, box.uploaded, box.error, box.retries) == (SEND, 250, 250, "", 0)
    assert box.receipt.next_seq == 250


def test_limits_of_a_batch_and_a_large_entry_alone():
    log = [b"a" * 50, b"b" * 50, b"c" * 5000, b"d" * 50, b"e" * 50]
    box = outbox(max_bytes=300)
    centre = Centre()
    counts = []
    while True:
        sent = turn(box, log, centre)
        if sent is None:
            break
        if sent:
            counts.append(len(Batch.decode(sent).pairs))
    assert counts == [2, 1, 2]
    assert centre.entries == log
    box = outbox(max_entries=2)
    centre = Centre()
    turn(box, log, centre)
    assert len(Batch.decode(box.batch([(one, FINGERPRINT) for one in log])).pairs) == 2


@pytest.mark.requirement("T-7.6-1", "T-7.6-2", part="the same bytes go again until they are signed for")
def test_the_same_bytes_until_they_are_acknowledged():
    log = [entry(n) for n in range(5)]
    centre, box = Centre(), outbox()
    turn(box, log, centre)
    first = box.batch([(one, FINGERPRINT) for one in log])
    good = centre.receipt()
    for status, answer in (
        (500, b""), (503, b"<html>"), (200, b""), (200, good[: len(good) // 2]), (200, good + b"\x00"), (204, b""),
        (301, good), (404, b"not found"), (200, Refusal("gap", "why", 0).encode()), (400, good), (99, good),
        (200, good),
    ):  # fmt: skip
        before = box.retries
        box.answered(status, answer)
        assert (box.state, box.cursor, box.retries) == (SEND, 0, before + 1)
        print(box.error)
        log.append(entry(len(log)))
        assert box.batch([(one, FINGERPRINT) for one in log]) == first
    turn(box, log, centre)
    assert (box.cursor, box.error, box.delay_ms) == (5, "", 0)
    deliver(box, log, centre)
    assert centre.entries == log


def test_the_pause_doubles_up_to_a_limit_and_is_spread():
    box = outbox(first_ms=1000, longest_ms=60000)
    pauses = []
    for _ in range(9):
        box.failed("no route")
        pauses.append(box.delay_ms)
    assert pauses == [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]
    box = outbox(Random(5), first_ms=1000, longest_ms=60000)
    for doubled in range(100):
        box.failed("no route")
        pause = min(60000, 1000 << min(doubled, 16))
        assert pause // 2 <= box.delay_ms <= pause
        print(box.delay_ms)
    box.answered(200, Centre().receipt())
    assert (box.delay_ms, box.state) == (0, SEND)


def test_receipts_that_are_not_for_this_batch_move_nothing():
    log = [entry(n) for n in range(6)]
    centre = Centre()
    box = outbox(max_entries=2)
    turn(box, log, centre)
    yesterday = centre.receipt()
    turn(box, log, centre)
    assert box.cursor == 2
    stranger = Centre("T2")
    stranger.entries = log[:4]
    forger = Centre("T1", OTHER)
    forger.entries = log[:4]
    sent = box.batch([(one, FINGERPRINT) for one in log[2:]])
    for answer in (yesterday, centre.receipt(), stranger.receipt(), forger.receipt()):
        box.answered(200, answer)
        assert (box.cursor, box.state) == (2, SEND)
        print(box.error)
    box.answered(*centre.post(sent))
    assert box.cursor == 4


def test_a_valid_receipt_with_another_root_stops_delivery():
    log = [entry(n) for n in range(4)]
    centre, box = Centre(), outbox()
    turn(box, log, centre)
    box.batch([(one, FINGERPRINT) for one in log])
    centre.entries = [entry(n) for n in (0, 1, 9, 3)]
    box.answered(200, centre.receipt())
    assert (box.state, box.cursor) == (STOPPED, 0)
    print(box.error)
    box.failed("later")
    box.answered(200, b"")
    assert box.state == STOPPED and "two histories" in box.error


def test_a_lost_cursor_is_asked_for_and_the_root_compared():
    log = [entry(n) for n in range(30)]
    centre = Centre()
    deliver(outbox(), log[:20], centre)
    box = outbox()
    deliver(box, log, centre)
    assert (box.cursor, box.uploaded, centre.entries) == (30, 10, log)
    changed = outbox()
    deliver(changed, log[:7] + [b"other"] + log[8:], centre)
    assert changed.state == STOPPED and changed.cursor is None
    print(changed.error)


def test_a_log_that_was_set_back_stops_delivery():
    log = [entry(n) for n in range(30)]
    centre = Centre()
    deliver(outbox(), log, centre)
    box = outbox()
    deliver(box, log[:25], centre)
    assert box.state == STOPPED
    print(box.error)


def test_a_centre_that_lost_entries_gets_them_again():
    log = [entry(n) for n in range(30)]
    centre, box = Centre(), outbox()
    deliver(box, log[:20], centre)
    del centre.entries[12:]  # restored from a backup
    turn(box, log, centre)
    assert box.state == ASK and box.delay_ms > 0
    print(box.error)
    deliver(box, log, centre)
    assert (centre.entries, box.cursor, box.state) == (log, 30, SEND)


def test_a_centre_that_is_ahead_of_the_cursor_is_caught_up_with():
    log = [entry(n) for n in range(30)]
    centre, box = Centre(), outbox(max_entries=5)
    turn(box, log, centre)
    turn(box, log, centre)
    centre.entries = log[:20]  # another way brought them, a USB stick
    turn(box, log, centre)
    assert (box.state, box.size, box.cursor) == (READ, 10, 5)
    deliver(box, log, centre)
    assert (centre.entries, box.cursor) == (log, 30)


def test_refusals():
    log = [entry(n) for n in range(8)]
    for code in ("malformed", "unknown-terminal", "fingerprint", "checkpoint"):
        centre, box = Centre(), outbox(longest_ms=60000)
        turn(box, log, centre)
        turn(box, log, centre, damage=lambda status, answer, code=code: (400, Refusal(code, "see there").encode()))
        assert (box.state, box.cursor, box.delay_ms) == (SEND, 0, 30000)  # slow: a person must act
        print(box.error)
        deliver(box, log, centre)
        assert box.cursor == 8
    centre, box = Centre(), outbox()
    turn(box, log, centre)
    turn(box, log, centre, damage=lambda status, answer: (409, Refusal("fork", "entry 3").encode()))
    assert (box.state, box.error) == (ASK, "the centre refused: fork (entry 3)")  # nobody signed that
    deliver(box, log, centre)
    assert box.cursor == 8
    centre, box = Centre(), outbox()
    turn(box, log, centre)
    centre.entries = [entry(n + 1) for n in range(3)]  # a clone of this terminal was faster
    turn(box, log, centre)
    while box.state != STOPPED:
        turn(box, log, centre)
    print(box.error)


def test_a_batch_that_is_too_large_is_halved():
    log = [entry(n) for n in range(8)]
    centre, box = Centre(), outbox()
    turn(box, log, centre)
    sizes = []

    def narrow(status, answer):
        sizes.append(len(Batch.decode(box.batch([])).pairs))
        return (413, Refusal("too-large", "two at most").encode()) if sizes[-1] > 2 else (status, answer)

    centre.post = lambda data, post=centre.post: (413, b"") if len(Batch.decode(data).pairs) > 2 else post(data)
    while turn(box, log, centre, damage=narrow) is not None:
        pass
    assert sizes == [8, 4, 2, 2, 2, 2]
    assert centre.entries == log
    box = outbox(longest_ms=60000)
    turn(box, log[:1], Centre())
    box.batch([(log[0], FINGERPRINT)])
    box.answered(413, Refusal("too-large", "not even one").encode())
    assert (box.state, box.delay_ms) == (SEND, 30000)


def test_with_little_memory_batches_get_small_and_all_arrives():
    box, log, centre, sizes = outbox(max_entries=16), [entry(n) for n in range(9)], Centre(), []
    turn(box, log, centre)
    for _ in range(9):
        sizes.append(len(Batch.decode(box.batch([(one, FINGERPRINT) for one in log])).pairs))
        box.cramped("no memory")
        assert box.state == SEND and box.error == "no memory" and box.delay_ms > 0
    deliver(box, log, centre)
    assert sizes[0] == 9 and sizes[-1] == 1 and sizes == sorted(sizes, reverse=True)
    assert centre.entries == log and box.error == ""
    print(sizes)


@pytest.mark.slow
@pytest.mark.requirement("T-7.6-2", part="batches become smaller where somebody between keeps them for himself")
def test_a_broker_that_keeps_a_batch_for_itself_gets_smaller_ones():
    """Twice in a row the centre says that it has not got what the broker took: then it is halved, not before."""
    log = [entry(n) for n in range(9)]
    centre, box, sizes, errors = Centre(), outbox(), [], 0
    while True:
        if box.state == SEND:
            sent = box.batch([(one, FINGERPRINT) for one in log[box.cursor :]])
            if sent is None:
                break
            sizes.append(len(Batch.decode(sent).pairs))
            if sizes[-1] > 2:
                box.unanswered("no answer came")
                assert (box.state, box.error) == (ASK, "no answer came") and box.delay_ms > 0
                errors += 1
                continue
        turn(box, log, centre)
    print(sizes, errors)
    assert sizes == [9] * 8 + [6, 6, 3, 3] + [1] * 9  # limits of 100, 50, 25, 12, 6, 3, 1
    assert centre.entries == log and (box.cursor, box.error, box.retries) == (9, "", errors)


@pytest.mark.slow
def test_a_word_that_was_lost_makes_no_batch_smaller():
    log = [entry(n) for n in range(8)]
    centre, box = Centre(), outbox(max_entries=4)
    box.unanswered("no answer came")  # to the first question: the centre may be away
    box.unanswered("no answer came")
    assert (box.state, box.cursor, box.retries) == (ASK, None, 2)
    turn(box, log, centre)
    centre.post(box.batch([(one, FINGERPRINT) for one in log]))  # it came, and the answer was lost
    box.unanswered("no answer came")
    assert box.state == ASK
    turn(box, log, centre)
    turn(box, log, centre)
    assert (box.cursor, box.uploaded, box.error) == (4, 4, "")
    for _ in range(5):  # centre and broker away together, again and again
        box.batch([(one, FINGERPRINT) for one in log[4:]])
        box.unanswered("no answer came")
        box.unanswered("no answer came")
        box.failed("the broker is away")
        turn(box, log, centre)
    assert len(Batch.decode(box.batch([(one, FINGERPRINT) for one in log[4:]])).pairs) == 4
    deliver(box, log, centre)
    assert centre.entries == log
    box._stop("two histories", "look")
    box.unanswered("no answer came")
    assert box.state == STOPPED and "two histories" in box.error


@pytest.mark.requirement("T-7.6-2")
def test_checkpoints_go_with_the_batch_that_they_cover():
    log = [entry(n) for n in range(10)]
    centre, box = Centre(), outbox(max_entries=4)
    newest = signed_checkpoint(log, 6)
    seen = []
    while True:
        sent = turn(box, log, centre, newest)
        if sent is None:
            break
        if sent:
            batch = Batch.decode(sent)
            seen.append((len(batch.pairs), batch.checkpoint is not None))
    assert seen == [(4, False), (4, True), (2, False)]
    assert box.sealed == 6
    last = signed_checkpoint(log, 10)
    assert turn(box, log, centre, last) and box.sealed == 10  # a checkpoint alone
    assert turn(box, log, centre, last) is None
    again = outbox()  # after a restart the centre's receipt says what it has
    deliver(again, log, centre, last)
    assert again.sealed == 10 and again.uploaded == 0


def test_a_receipt_whose_checkpoint_is_nonsense_is_none():
    centre, box = Centre(), outbox()
    centre.checkpoint = "nonsense"
    turn(box, [], centre)
    assert (box.state, box.cursor) == (ASK, None)
    print(box.error)


@pytest.mark.slow
@pytest.mark.requirement("T-7.6-1", part="lines that lose, repeat and change, and restarts; the state machine alone")
@pytest.mark.requirement("T-7.6-2")
def test_every_entry_arrives_once_over_any_line():
    """15 seeded lines that lose requests and answers, answer with errors, old, foreign, cut and changed receipts,
    and restarts of the terminal in between."""
    for seed in range(15):
        random = Random(seed)
        log, centre = [], Centre()
        stranger = Centre("T2")
        box = outbox(random, max_entries=1 + random.below(6))
        old = [centre.receipt(), stranger.receipt()]

        def damage(status, answer, random=random, old=old):
            old.append(answer)
            kind = random.below(10)
            if kind == 0:
                return None
            if kind == 1:
                return 500 + random.below(5), b"error"
            if kind == 2:
                return status, answer[: random.below(len(answer))]
            if kind == 3:
                at = random.below(len(answer))
                return status, answer[:at] + bytes((answer[at] ^ 1 << random.below(8),)) + answer[at + 1 :]
            if kind == 4:
                return 200, random.choice(old)
            return status, answer

        restarts = 0
        for _ in range(30):
            log.extend([sm3.digest(random.bytes(8)) for _ in range(random.below(4))])
            if random.below(12) == 0:
                box = outbox(random, max_entries=1 + random.below(6))
                restarts += 1
            if random.below(8) == 0 and box.state != READ:
                box.failed("the request was lost")
            else:
                turn(box, log, centre, damage=damage)
            assert box.state != STOPPED, "seed %d: %s" % (seed, box.error)
            assert (box.cursor or 0) <= len(centre.entries) <= len(log)
        deliver(box, log, centre)
        assert centre.entries == log and box.cursor == len(log), "seed %d" % seed
        print(seed, len(log), restarts, box.retries)


def snapshot(log, size):
    """(size, peaks) of a log's tree, as a snapshot entry there would have it."""
    grown = tree.Tree()
    for one in log[:size]:
        grown.append(tree.leaf(one))
    return grown.state()


@pytest.mark.slow
def test_a_start_from_a_snapshot():
    """READ may begin at a snapshot of the log; the centre's root confirms what was not hashed."""
    log = [entry(n) for n in range(90)]
    centre, box = Centre(), outbox()
    deliver(box, log[:70], centre)
    assert box.receipted == 0 and centre.checkpoint is None
    box = outbox()
    turn(box, log, centre)
    assert (box.state, box.wanted, box.size, box.receipted) == (READ, 70, 0, 0)
    box.begin(*snapshot(log, 71))  # behind what the centre has: of no use
    assert box.size == 0
    box.begin(*snapshot(log, 60))
    assert (box.state, box.size) == (READ, 60)
    box.begin(*snapshot(log, 50))
    assert box.size == 60
    deliver(box, log, centre, signed_checkpoint(log, 80))
    assert (centre.entries, box.cursor, box.sealed, box.receipted) == (log, 90, 80, 80)
    # a snapshot exactly where the centre is
    again = outbox()
    turn(again, log, centre)
    again.begin(*snapshot(log, 90))
    assert (again.state, again.cursor) == (SEND, 90)
    # peaks of another history: the root shows it
    again = outbox()
    turn(again, log, centre)
    again.begin(*snapshot([b"x"] * 90, 64))
    for one in log[64:]:
        if again.state == READ:
            again.passed(one)
    assert again.state == STOPPED and "two histories" in again.error
    print(again.error)


def test_a_centre_that_lacks_what_was_dropped():
    log = [entry(n) for n in range(30)]
    centre, box = Centre(), outbox()
    deliver(box, log, centre, signed_checkpoint(log, 30))
    assert box.receipted == 30
    centre.entries, centre.checkpoint = log[:10], None  # it was set back, the terminal has dropped 20 entries since
    box = outbox()
    turn(box, log, centre)
    assert box.wanted == 10
    box.missing(20)
    assert (box.state, box.cursor, box.receipted) == (ASK, None, 0) and box.delay_ms > 0
    print(box.error)
    assert "holds 10 entries" in box.error and "begins with entry 20" in box.error
    centre.entries = log[:25]  # restored from a backup
    turn(box, log, centre)
    box.begin(*snapshot(log, 20))
    deliver(box, log, centre)
    assert centre.entries == log and box.error == ""


def test_a_centre_that_lost_entries_has_signed_for_less():
    log = [entry(n) for n in range(40)]
    centre, box = Centre(), outbox()
    deliver(box, log, centre, signed_checkpoint(log, 40))
    assert box.receipted == 40
    centre.entries, centre.checkpoint = log[:10], None
    box.state = ASK
    turn(box, log, centre)
    assert box.state == READ and box.receipted == 0
    while box.state == READ:
        turn(box, log, centre)
    assert (box.cursor, box.receipted) == (10, 10)
