"""A terminal's whole log out of the platform's store as a bundle (docs/formats.md, "Bundle"): what anybody can verify.

With the keys, the operators' words about them, the checkpoints as cosigned, and the newest receipt of each epoch.
"""

import tempfile

from sqlalchemy import select

import carbonterm
from carbonterm.errors import UplinkError, quoted
from carbonterm.ledger import registry
from carbonterm.ledger.bundle import Writer
from carbonterm_host.platform.data.backup import hasher
from carbonterm_host.platform.store import checkpoints, entries, logs, receipts, statements

_PIECE = 1 << 16


def write(store, terminal_id, centre, file):
    """Writes the bundle into a file open for bytes; centre: (name, public key). UplinkError for an unknown terminal."""
    with store.read() as connection:
        found = connection.execute(select(logs).where(logs.c.terminal_id == terminal_id).order_by(logs.c.epoch)).all()
        if not found:
            raise UplinkError(f"{quoted(terminal_id)} is not registered here", "GET /v1/terminals lists them")
        writer = Writer(file, terminal_id, f"carbonterm {carbonterm.__version__}", hasher())
        writer.centre(*centre)
        for log in found:
            writer.key(log.epoch, log.public)
            _authority(connection, writer, log)
            _entries(connection, writer, log)
        writer.end()


def pieces(store, terminal_id, centre):
    """The bundle's bytes, piece by piece, from a file that nobody else sees and that ends with them."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed when the last piece has gone
    try:
        write(store, terminal_id, centre, file)
    except BaseException:
        file.close()
        raise
    file.seek(0)

    def read():
        with file:
            while piece := file.read(_PIECE):
                yield piece

    return read()


def _authority(connection, writer, log):
    rows = select(statements.c.kind, statements.c.data).where(
        statements.c.terminal_id == log.terminal_id, statements.c.epoch == log.epoch
    ).order_by(statements.c.id)  # fmt: skip
    for kind, data in connection.execute(rows).all():
        if kind == "registration":
            one = registry.Registration.decode(data)
            writer.registration(one.body, one.device_signature, one.operator_signature)
        else:
            one = registry.Revocation.decode(data)
            writer.revocation(one.body, one.signature)


def _entries(connection, writer, log):
    """Entries in order, each checkpoint and the last receipt behind the last entry that they cover."""
    heads = select(checkpoints.c.size, checkpoints.c.text).where(checkpoints.c.log == log.id)
    texts = dict(connection.execute(heads).all())
    last = connection.execute(
        select(receipts).where(receipts.c.log == log.id).order_by(receipts.c.next_seq.desc()).limit(1)
    ).one_or_none()  # fmt: skip
    size = 0
    rows = select(entries.c.raw, entries.c.fingerprint).where(entries.c.log == log.id).order_by(entries.c.seq)
    if 0 in texts:
        writer.checkpoint(texts[0])
    for raw, fingerprint in connection.execute(rows.execution_options(yield_per=500)):
        writer.entry(raw, fingerprint)
        size += 1
        if size in texts:
            writer.checkpoint(texts[size])
        if last is not None and last.next_seq == size:
            writer.receipt(last.body, last.signature)
