"""Is the store still what was received and signed for? One pass over every log, from its entries' bytes (9.6).

Of each log: the entries stand without a hole, each hashes to its leaf, the tree over them has the root of every
checkpoint, of every receipt and of the log's own state; contexts and figures are those that the entries give. With
`verify` every fingerprint, too. The rest is SQLite's own check of its file.
"""

import time

from sqlalchemy import select, text

from carbonterm import cbor
from carbonterm.errors import CarbonError
from carbonterm.gm import sm3
from carbonterm.ledger import entry as formats
from carbonterm.ledger.tree import Tree, leaf
from carbonterm_host.platform import store as stored
from carbonterm_host.platform.access import audit
from carbonterm_host.platform.data import layers, tables
from carbonterm_host.platform.data.contexts import Describer
from carbonterm_host.platform.intake import figures

FINDINGS = 20  # told per log; all are counted
_SPAN = 1000  # entries whose figures are fetched at once


def check(store, digest=sm3.digest, verify=None):
    """The report, plain JSON values: {"ok", "time_ms", "seconds", "file", "logs": [{"terminal", "epoch", "entries",
    "root", "count", "findings"}], "flagged": {layer: rows without metadata}, "access": [what is wrong with the access
    log]}. The check of the logs sees one moment."""
    begun = time.monotonic()
    with store.read() as connection:
        file = [row for row in connection.execute(text("pragma quick_check(20)")).scalars() if row != "ok"]
        lost = connection.execute(text("pragma foreign_key_check")).all()
        file += [f"table {row[0]}: a reference to nothing" for row in lost]
        rows = [
            _Pass(connection, log, digest, verify).report()
            for log in connection.execute(select(stored.logs).order_by(stored.logs.c.id)).all()
        ]
        flagged = layers.flagged(connection)
    access = audit.check(store, digest=digest)[1]
    return {
        "ok": not file and not access and not any(row["count"] for row in rows) and not any(flagged.values()),
        "time_ms": time.time_ns() // 1_000_000, "seconds": round(time.monotonic() - begun, 1), "file": file[:FINDINGS],
        "logs": rows, "flagged": flagged, "access": access[:FINDINGS],
    }  # fmt: skip


class _Pass:
    def __init__(self, connection, log, digest, verify):
        self._connection = connection
        self._log = log
        self._digest = digest
        self._verify = verify
        self._tree = Tree(digest)
        self._describer = Describer(log.id)
        self._contexts = []
        self._figures = {}
        self._count = 0
        self._findings = []

    def report(self):
        """Runs the pass; one row of the report."""
        self._heads = self._roots()
        if 0 in self._heads:
            self._compare_heads()
        rows = self._connection.execution_options(yield_per=_SPAN).execute(
            select(stored.entries).where(stored.entries.c.log == self._log.id).order_by(stored.entries.c.seq)
        )
        for row in rows:
            if row.seq != self._tree.size:
                self._find(f"entry {self._tree.size} is not there")
                break
            self._entry(row)
        self._ends()
        return {
            "terminal": self._log.terminal_id, "epoch": self._log.epoch, "entries": self._tree.size,
            "root": self._tree.root().hex(), "count": self._count, "findings": self._findings,
        }  # fmt: skip

    def _find(self, what):
        self._count += 1
        if len(self._findings) < FINDINGS:
            self._findings.append(what)

    def _roots(self):
        """{size: [(what, root)]} that the tree must have."""
        found = {}
        of = stored.checkpoints.c
        for size, root in self._connection.execute(select(of.size, of.root).where(of.log == self._log.id)):
            found.setdefault(size, []).append(("checkpoint", root))
        of = stored.receipts.c
        for size, body in self._connection.execute(select(of.next_seq, of.body).where(of.log == self._log.id)):
            try:
                root = cbor.decode(body)[5]
            except (CarbonError, IndexError, TypeError):
                root = None
            found.setdefault(size, []).append(("receipt", root))
        return found

    def _compare_heads(self):
        for what, root in self._heads.pop(self._tree.size):
            if root != self._tree.root():
                self._find(f"the {what} over {self._tree.size} entries has another root than they")

    def _entry(self, row):
        hashed = leaf(row.raw, self._digest)
        if hashed != row.leaf:
            self._find(f"entry {row.seq} does not hash to its leaf: its bytes or the leaf were changed")
        self._tree.append(hashed)
        if self._tree.size in self._heads:
            self._compare_heads()
        if self._verify is not None and not self._verify(self._log.public, row.raw, row.fingerprint):
            self._find(f"entry {row.seq}: its fingerprint is not by the epoch's key")
        if row.seq % _SPAN == 0:
            self._fetch(row.seq)
        try:
            found = formats.decode(row.raw)
        except CarbonError as error:
            self._find(f"entry {row.seq}: {error.what}")
            return
        named = (found.terminal_id, found.epoch, found.seq, found.kind, found.time_ms)
        if named != (self._log.terminal_id, self._log.epoch, row.seq, row.kind, row.time_ms):
            self._find(f"entry {row.seq}: its bytes are of another entry than its row")
        made = self._describer.hear(found)
        if made:
            self._contexts.append(made)
        wanted = [{**one, "context": self._describer.of(found.kind, one["subject"])} for one in figures(found)]
        if wanted != self._figures.pop(row.seq, []):
            self._find(f"entry {row.seq}: its figures are not what it says")

    def _fetch(self, first):
        """The figures of the next entries, as `figures` gives them."""
        of = stored.figures.c
        for seq in self._figures:
            self._find(f"entry {seq} has figures, but says none")
        self._figures = {}
        for row in self._connection.execute(
            select(stored.figures).where(of.log == self._log.id, of.seq >= first, of.seq < first + _SPAN)
            .order_by(of.seq, of.row)
        ).mappings():  # fmt: skip
            values = dict(row)
            del values["log"]
            self._figures.setdefault(row["seq"], []).append(values)

    def _ends(self):
        log = self._log
        if self._tree.size != log.next_seq:
            self._find(f"{self._tree.size} entries are there, {log.next_seq} were received")
        if b"".join(self._tree.state()[1]) != log.peaks:
            self._find("the tree over the entries is not the one that receipts were signed for")
        for size in sorted(self._heads):
            self._find(f"there is a {self._heads[size][0][0]} over {size} entries, which are not there")
        for seq in self._figures:
            self._find(f"entry {seq} has figures, but says none")
        of = stored.figures.c
        beyond = select(of.seq).where(of.log == log.id, of.seq >= self._tree.size).distinct()
        for seq in self._connection.execute(beyond).scalars():
            if seq not in self._figures:
                self._find(f"figures are there of entry {seq}, which is not")
        self._compare_contexts()

    def _compare_contexts(self):
        of, under = tables.contexts.c, tables.subjects.c
        rows = self._connection.execute(
            select(tables.contexts).where(of.log == self._log.id).order_by(of.seq)
        ).mappings().all()  # fmt: skip
        there = [dict(row) for row in rows]
        if there != [context for context, _ in self._contexts]:
            self._find("the contexts are not what the start and config entries say")
        rows = self._connection.execute(
            select(tables.subjects).where(under.log == self._log.id).order_by(under.context, under.kind, under.subject)
        ).mappings().all()  # fmt: skip
        there = [dict(row) for row in rows]
        if there != [row for _, subjects in self._contexts for row in subjects]:
            self._find("the metadata of points and sources are not what the site documents say")
