"""The log of accesses, alarms and acts of administration (访问日志): append-only and chained with SM3.

digest of row n = SM3(canonical ["carbonterm-audit-1", digest of row n-1, n, time_ms, kind, who, role, address, what,
status, left_out]); row 0 follows 32 zero bytes. Triggers refuse to change or delete a row; whoever goes round them
breaks the chain, and whoever makes a new chain contradicts the heads that the centre signed: canonical
["carbonterm-audit-head-1", centre name, n, digest, time_ms].
"""

import time

from sqlalchemy import DDL, BigInteger, Column, Index, Integer, LargeBinary, Table, Text, event, select

from carbonterm import cbor
from carbonterm.gm import sm2, sm3
from carbonterm_host.platform.store import metadata

ACCESS, ALARM, ADMIN = "access", "alarm", "admin"
BEGIN = bytes(32)
_TEXT = 300  # characters of a column that strangers fill

audit = Table(
    "audit", metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("who", Text, nullable=False),  # a user's name, "local", "command", or "" for nobody known
    Column("role", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("what", Text, nullable=False),  # method and path, or what the alarm or the act was
    Column("status", Integer, nullable=False),  # HTTP's; how many of an alarm; 0 of an act
    Column("left_out", BigInteger, nullable=False),  # refusals before this row that were too many to write down
    Column("digest", LargeBinary, nullable=False),
    Index("audit_by_kind", "kind", "seq"),
)  # fmt: skip

audit_heads = Table(
    "audit_heads", metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("signature", LargeBinary, nullable=False),
)  # fmt: skip

for _table in (audit, audit_heads):
    for _act in ("UPDATE", "DELETE"):
        event.listen(_table, "after_create", DDL(
            f"CREATE TRIGGER {_table.name}_no_{_act.lower()} BEFORE {_act} ON {_table.name} "
            f"BEGIN SELECT RAISE(ABORT, 'the log of accesses is append-only'); END"
        ))  # fmt: skip


def append(store, kind, who, role, address, what, status=0, left_out=0):
    """Adds a row, durable when this returns; its number."""
    with store.write() as connection:
        return append_in(connection, kind, who, role, address, what, status, left_out)


def append_in(connection, kind, who, role, address, what, status=0, left_out=0):
    """`append` in a transaction that does more."""
    last = _last(connection)
    seq, before = (last.seq + 1, last.digest) if last else (0, BEGIN)
    row = {
        "seq": seq, "time_ms": _now(), "kind": kind, "who": _clean(who), "role": role, "address": _clean(address),
        "what": _clean(what), "status": status, "left_out": left_out,
    }  # fmt: skip
    connection.execute(audit.insert().values(**row, digest=_digest(before, row)))
    return seq


def sign_head(store, name, signer):
    """Has the centre sign where the log stands now; nothing if it has signed that, or there is no row."""
    with store.write() as connection:
        last = _last(connection)
        newest = connection.execute(select(audit_heads.c.seq).order_by(audit_heads.c.seq.desc()).limit(1)).scalar()
        if last is None or newest == last.seq:
            return
        now = _now()
        signature = signer.sign(_head(name, last.seq, last.digest, now))
        connection.execute(
            audit_heads.insert().values(seq=last.seq, name=name, digest=last.digest, time_ms=now, signature=signature)
        )


def check(store, public=None, verify=sm2.verify, digest=sm3.digest, known=()):
    """(rows, [what is wrong]) of the whole chain; `public`: the centre's key for the signed heads; `known`: (seq,
    digest) that somebody noted elsewhere."""
    wrong, before, expected = [], BEGIN, 0
    with store.read() as connection:
        heads = {row.seq: row for row in connection.execute(select(audit_heads))}
        noted = dict(known)
        for row in connection.execute(select(audit).order_by(audit.c.seq)).mappings():
            if row["seq"] != expected:
                wrong.append(f"rows {expected} to {row['seq'] - 1} of the access log are missing")
            elif row["digest"] != _digest(before, row, digest):
                wrong.append(f"row {row['seq']} of the access log is not the one that was written")
            signed = heads.get(row["seq"])
            if (signed and signed.digest != row["digest"]) or noted.get(row["seq"], row["digest"]) != row["digest"]:
                wrong.append(f"row {row['seq']} of the access log contradicts a head that was kept")
            before, expected = row["digest"], row["seq"] + 1
    for seq in [*heads, *noted]:
        if seq >= expected:
            wrong.append(f"the access log ends before row {seq}, which it had")
    for head in heads.values():
        if public and not verify(public, _head(head.name, head.seq, head.digest, head.time_ms), head.signature):
            wrong.append(f"the head over row {head.seq} of the access log is not signed by this centre")
    return expected, wrong


def rows(store, kind=None, before=None, limit=100):
    """The newest rows first, as JSON values; `before`: only rows below this number."""
    query = select(audit).order_by(audit.c.seq.desc()).limit(limit)
    if kind:
        query = query.where(audit.c.kind == kind)
    if before is not None:
        query = query.where(audit.c.seq < before)
    with store.read() as connection:
        return [{**row, "digest": row["digest"].hex()} for row in connection.execute(query).mappings()]


def head(store):
    """(seq, digest) of the last row, or None."""
    with store.read() as connection:
        last = _last(connection)
    return None if last is None else (last.seq, last.digest)


def _last(connection):
    return connection.execute(
        select(audit.c.seq, audit.c.digest).order_by(audit.c.seq.desc()).limit(1)
    ).one_or_none()  # fmt: skip


def _digest(before, row, digest=sm3.digest):
    fields = [row[name] for name in ("seq", "time_ms", "kind", "who", "role", "address", "what", "status", "left_out")]
    return digest(cbor.encode(["carbonterm-audit-1", before, *fields]))


def _head(name, seq, digest, time_ms):
    return cbor.encode(["carbonterm-audit-head-1", name, seq, digest, time_ms])


def _clean(text):
    shown = "".join(c if c.isprintable() else "?" for c in text[: _TEXT + 1])
    return shown if len(shown) <= _TEXT else shown[:_TEXT] + "…"


def _now():
    return time.time_ns() // 1_000_000
