"""Re-sealing: a forger with keys of his own makes everything anew from entry k on, and nothing in his bundle is wrong.

"taken over": true entries to k, then a new epoch under his key, registered by an operator of his own. "all anew": every
entry from the first on under his key, entry k changed. Both with a centre of his own that cosigns and gives receipts.
Such a bundle may verify as far as it goes; then `anchored` says false. With an anchor that he does not have (the
operator's key, the platform's, the terminal's, an earlier checkpoint), verify does not say ok.
"""

import copy
import hashlib
import io

from carbonterm import cbor
from carbonterm.gm import sm2
from carbonterm.ledger import bundle, checkpoint, entry
from carbonterm.ledger.registry import Registration
from carbonterm.ledger.segment import Log
from carbonterm.ledger.tree import Tree, leaf
from carbonterm.uplink.kept import keep
from carbonterm.uplink.message import Receipt
from carbonterm_host import datafolder, gm_openssl
from memory_storage import MemoryStorage


class Signer:
    """As sm2.Signer, by OpenSSL."""

    def __init__(self, private):
        self._private = private
        self.public = sm2.public(private)

    def sign(self, message, extra=b""):
        return gm_openssl.sign(self._private, message)


KEY, OPERATOR, CENTRE = (Signer(bytes(31) + bytes((number,))) for number in (71, 72, 73))


def rows(book, made, step):
    """Rows of the sweep over every k; book, made: of tools.torture.bundles and _made."""
    from tools.torture.bundles import Row

    frames = [cbor.decode(one) for one in book.contents]
    early = checkpoint.parse(made.early)
    anchors = {
        "the operator's key": {"operators": [made.operator]}, "the platform's key": {"witnesses": [made.centre]},
        "the terminal's first key": {"trusted": [made.key]}, "an early checkpoint": {"heads": [made.early]},
    }  # fmt: skip
    found = []
    for what, forge, early_says in (("taken over", _taken_over, "while it is younger than k"),
                                    ("all anew", _all_anew, "")):  # fmt: skip
        bare = Row(f"re-sealed from entry k, {what}, without an anchor", "%d verify and say that nothing anchors them",
                   lambda report: report["anchored"] is False)  # fmt: skip
        against = {name: Row(f"re-sealed from entry k, {what}, against {name}") for name in anchors}
        if early_says:
            against["an early checkpoint"].note = "those entries k that it covers"
        for k in range(0, book.report(book.data)["entries"], step):
            forged = forge(frames, k)
            if forged is None:
                continue
            bare.count(book.report(forged), "entry", k)
            for name, anchor in anchors.items():
                if not early_says or "heads" not in anchor or k < early.size:
                    against[name].count(book.report(forged, **anchor), "entry", k)
        found += [bare.row(), *(row.row() for row in against.values())]
    return found


def _taken_over(frames, k):
    """The frames before entry k, and behind them a new epoch in which the rest follows, changed."""
    entries = [at for at, frame in enumerate(frames) if frame[0] == "entry"]
    if k == 0:
        return None
    begin, tree, epoch = frames[: entries[k]], Tree(), 0
    for frame in begin:
        if frame[0] == "entry":
            one = entry.decode(frame[1])
            if one.epoch != epoch:
                tree, epoch = Tree(), one.epoch
            tree.append(leaf(one.raw))
    rest = [entry.decode(frames[at][1]) for at in entries[k:]]
    previous = (epoch, tree.size, tree.root())
    return _joined([*begin, *_epoch(rest, epoch + 1, previous)[1:]])


def _all_anew(frames, k):
    """One epoch of all entries but those of keys, the k-th changed."""
    whole = [entry.decode(frame[1]) for frame in frames if frame[0] == "entry"]
    one = copy.copy(whole[k])
    one.time_ms += 1
    whole[k] = one
    return _joined(_epoch(whole, 0, None))


def _epoch(entries, epoch, previous):
    """Frames of the forger's epoch: header, centre, key, registration, entries with checkpoints, receipt."""
    storage = MemoryStorage()
    terminal_id = entries[0].terminal_id
    asked = Registration.request(terminal_id, epoch, entries[0].time_ms, "op.example", previous, KEY)
    storage.replace(f"{epoch:05}.reg", asked.authorised(OPERATOR.sign).encode())
    log = Log(storage, terminal_id, epoch, KEY)
    if previous:
        log.append(entries[0].time_ms, entries[0].clock_state, entry.KEY, ["previous", *previous])
    for one in entries:
        if one.kind not in (entry.KEY, entry.SNAPSHOT):
            log.append(one.time_ms, one.clock_state, one.kind, one.body)
    text = log.checkpoint()
    head = checkpoint.parse(text)
    time_ms = entries[-1].time_ms + 1000
    cosigned = checkpoint.cosigned(text, "forged", CENTRE.public, time_ms // 1000, CENTRE.sign)
    keep(storage, CENTRE.public,
         Receipt.make("forged", terminal_id, epoch, head.size, head.root, time_ms, cosigned, CENTRE.sign))  # fmt: skip
    file = io.BytesIO()
    writer = bundle.Writer(file, terminal_id, "forger", hashlib.new("sm3"))
    datafolder.pull(storage, writer)
    writer.end()
    return [frame for _, frame in bundle.read(io.BytesIO(file.getvalue()), hashlib.new("sm3"))]


def _joined(frames):
    file = io.BytesIO()
    writer = bundle.Writer(file, *frames[0][1:], hashlib.new("sm3"))
    for frame in frames[1:]:
        getattr(writer, frame[0])(*frame[1:])
    writer.end()
    return file.getvalue()
