"""The platform's store: tables in SQLAlchemy Core, on SQLite in WAL mode with synchronous=FULL.

What was received stands there byte for byte: entries with fingerprints and leaf hashes, checkpoints, receipts, and
evidence of what was refused. Beside it, for people, the settlements and emissions decoded (`figures`),
each with its metadata. One transaction
takes one batch whole or not at all; a commit returns after fsync.
"""

import contextlib
import os
import time

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
)
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.sql import func, select

from carbonterm.errors import UplinkError, quoted
from carbonterm.gm.curve import on_curve
from carbonterm.ledger.entry import MAX_EPOCH, is_terminal_id
from carbonterm.ledger.tree import Tree
from carbonterm_host.platform.data import versions
from carbonterm_host.platform.data.tables import metadata

# pieces of evidence per log and code: more of the same proves nothing more. A wrong fingerprint anybody can make.
MAX_EVIDENCE = {"fork": 1000, "checkpoint": 1000, "fingerprint": 100}

logs = Table(
    "logs", metadata,
    Column("id", Integer, primary_key=True),
    Column("terminal_id", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("public", LargeBinary, nullable=False),  # 64 bytes
    Column("next_seq", BigInteger, nullable=False, default=0),
    Column("peaks", LargeBinary, nullable=False, default=b""),  # of the tree at next_seq, 32 bytes each
    Column("heard_ms", BigInteger),  # when the last batch came
    UniqueConstraint("terminal_id", "epoch"),
)  # fmt: skip

entries = Table(
    "entries", metadata,
    Column("log", ForeignKey("logs.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("raw", LargeBinary, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("kind", Integer, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Index("entries_by_kind", "log", "kind", "seq"),
)  # fmt: skip

checkpoints = Table(
    "checkpoints", metadata,
    Column("log", ForeignKey("logs.id"), primary_key=True),
    Column("size", BigInteger, primary_key=True),
    Column("root", LargeBinary, nullable=False),
    Column("text", Text, nullable=False),  # cosigned
)  # fmt: skip

receipts = Table(
    "receipts", metadata,
    Column("log", ForeignKey("logs.id"), primary_key=True),
    Column("next_seq", BigInteger, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
)  # fmt: skip

evidence = Table(
    "evidence", metadata,
    Column("id", Integer, primary_key=True),
    Column("log", ForeignKey("logs.id"), nullable=False),
    Column("code", Text, nullable=False),  # of the refusal: fork, fingerprint, checkpoint
    Column("time_ms", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),  # SM3 of data
    Column("data", LargeBinary, nullable=False),  # canonical [seq, entry, fingerprint] or the checkpoint's text
    UniqueConstraint("log", "digest"),
)  # fmt: skip

statements = Table(
    "statements", metadata,
    Column("id", Integer, primary_key=True),
    Column("terminal_id", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("kind", Text, nullable=False),  # registration, revocation
    Column("time_ms", BigInteger, nullable=False),  # when it came
    Column("digest", LargeBinary, nullable=False, unique=True),  # SM3 of data
    Column("data", LargeBinary, nullable=False),  # with its signatures
)  # fmt: skip

ends = Table(
    "ends", metadata,
    Column("log", ForeignKey("logs.id"), primary_key=True),
    Column("next_seq", BigInteger, nullable=False),  # entries from here on are refused
    Column("why", Text, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
)  # fmt: skip

figures = Table(
    "figures", metadata,
    Column("log", ForeignKey("logs.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("row", Integer, primary_key=True),
    Column("kind", Integer, nullable=False),  # closing or emission
    Column("period", Integer, nullable=False),
    Column("start_ms", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),  # 0 of closings
    Column("subject", Integer, nullable=False),  # index of the point or source
    Column("quality", Integer, nullable=False),
    Column("value", Text),  # exact decimal, null where there is none
    Column("context", BigInteger),  # null: no site document in force names it; it is flagged
    ForeignKeyConstraint(
        ("log", "context", "kind", "subject"),
        ("subjects.log", "subjects.context", "subjects.kind", "subjects.subject"),
    ),
    Index("figures_by_time", "log", "kind", "period", "start_ms"),
    Index("figures_by_subject", "log", "kind", "period", "subject", "start_ms"),
)  # fmt: skip


class Store:
    """`Store("sqlite:///PATH")`: opens or makes it. UplinkError where that fails.

    `with store.write() as connection:` is the one writer's transaction, `with store.read() as connection:` a snapshot.
    """

    def __init__(self, url):
        try:
            self._engine = create_engine(url)
        except ArgumentError:
            raise UplinkError(f"{quoted(url)} names no store", "give sqlite:///PATH") from None
        if self._engine.dialect.name != "sqlite" or not self._engine.url.database:
            raise UplinkError(f"{quoted(url)} is no SQLite file", "give sqlite:///PATH")
        self.path = self._engine.url.database
        _make_private(self.path)
        event.listen(self._engine, "connect", _prepare)
        event.listen(self._engine, "begin", _begin)
        self._writer = self._engine.execution_options(writes=True)
        try:
            with self._writer.begin() as connection:
                versions.bring_up(connection)
        except SQLAlchemyError as error:
            why = getattr(error, "orig", None) or error
            raise UplinkError(f"the store {self.path} cannot be opened: {why}", "check the path and rights") from None

    def write(self):
        return self._writer.begin()

    def read(self):
        return self._engine.begin()

    def close(self):
        self._engine.dispose()

    def register(self, terminal_id, epoch, public):
        """Makes a terminal's key known. The same again is no error; another key for the same epoch is."""
        if not is_terminal_id(terminal_id) or not 0 <= epoch <= MAX_EPOCH:
            raise UplinkError(f"{quoted(terminal_id)} epoch {epoch} is no terminal", "use 1 to 32 of A-Z a-z 0-9 . -")
        if len(public) != 64 or not on_curve(int.from_bytes(public[:32], "big"), int.from_bytes(public[32:], "big")):
            raise UplinkError(f"the public key of {terminal_id} is no point of the curve", "give 128 hex digits, x||y")
        with self.write() as connection:
            known = find_log(connection, terminal_id, epoch)
            if known is None:
                connection.execute(logs.insert().values(terminal_id=terminal_id, epoch=epoch, public=public))
            elif known.public != public:
                raise UplinkError(
                    f"{terminal_id} epoch {epoch} is registered with another key", "a new key needs the next epoch"
                )


def open_log(connection, terminal_id, epoch, public):
    """Makes the key of an epoch known that has none."""
    connection.execute(logs.insert().values(terminal_id=terminal_id, epoch=epoch, public=public))


def end_log(connection, log, why):
    """Nothing new is taken for this epoch from now on; the first word stands."""
    if find_end(connection, log) is None:
        connection.execute(ends.insert().values(log=log.id, next_seq=log.next_seq, why=why, time_ms=_now()))


def find_end(connection, log):
    """The row of `ends`, or None."""
    return connection.execute(select(ends).where(ends.c.log == log.id)).one_or_none()


def state(connection, terminal_id, epoch, kind, data, digest):
    """Keeps a statement; the same once."""
    hashed = digest(data)
    if connection.execute(select(statements.c.id).where(statements.c.digest == hashed)).scalar() is None:
        connection.execute(
            statements.insert().values(
                terminal_id=terminal_id, epoch=epoch, kind=kind, time_ms=_now(), digest=hashed, data=data
            )
        )


def newest_size(connection, log):
    """Size of a log's newest cosigned checkpoint, 0 if there is none."""
    return connection.execute(select(func.max(checkpoints.c.size)).where(checkpoints.c.log == log.id)).scalar() or 0


def find_log(connection, terminal_id, epoch):
    """The row of `logs`, or None."""
    return connection.execute(
        select(logs).where(logs.c.terminal_id == terminal_id, logs.c.epoch == epoch)
    ).one_or_none()


def tree_of(log, digest):
    """The Tree at a log's next_seq."""
    tree = Tree(digest)
    tree.restore(log.next_seq, [log.peaks[i : i + 32] for i in range(0, len(log.peaks), 32)])
    return tree


def root_at(connection, log, size, digest):
    """Root over the first `size` of a log's entries, size <= next_seq: of a checkpoint there, else computed."""
    known = connection.execute(
        select(checkpoints.c.root).where(checkpoints.c.log == log.id, checkpoints.c.size == size)
    ).scalar()
    if known is not None:
        return known
    tree = Tree(digest)
    for leaf in connection.execute(
        select(entries.c.leaf).where(entries.c.log == log.id, entries.c.seq < size).order_by(entries.c.seq)
    ).scalars():
        tree.append(leaf)
    return tree.root()


def newest_checkpoint(connection, log):
    """Cosigned text of a log's newest checkpoint, or None."""
    return connection.execute(
        select(checkpoints.c.text).where(checkpoints.c.log == log.id).order_by(checkpoints.c.size.desc()).limit(1)
    ).scalar()


def add_evidence(connection, log, code, time_ms, data, digest):
    """Keeps what was refused; the same once, and at most MAX_EVIDENCE pieces."""
    of_log = select(func.count()).select_from(evidence).where(evidence.c.log == log.id)
    hashed = digest(data)
    if (
        connection.execute(of_log.where(evidence.c.code == code)).scalar() < MAX_EVIDENCE[code]
        and not connection.execute(of_log.where(evidence.c.digest == hashed)).scalar()
    ):
        connection.execute(evidence.insert().values(log=log.id, code=code, time_ms=time_ms, digest=hashed, data=data))


def _now():
    return time.time_ns() // 1_000_000


def _make_private(path):
    """The file is its owner's alone from the beginning; SQLite gives its -wal and -shm the same mode."""
    with contextlib.suppress(OSError):  # whatever is wrong with the path is told when it is opened
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _prepare(connection, _):
    connection.isolation_level = None  # the driver begins nothing by itself: _begin does
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "foreign_keys=ON"):
        connection.execute("PRAGMA " + pragma)


def _begin(connection):
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
