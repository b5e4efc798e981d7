"""Sensitivity labels (敏感标记): data of a labelled terminal are shown and given to those only who may see them."""

from sqlalchemy import Column, Table, Text, select

from carbonterm.errors import AccessError, quoted
from carbonterm.ledger.entry import is_terminal_id
from carbonterm_host.platform.access import audit
from carbonterm_host.platform.store import metadata

MAX_REASON = 200

labels = Table(
    "labels", metadata,
    Column("terminal_id", Text, primary_key=True),
    Column("reason", Text, nullable=False),
)  # fmt: skip


def put(store, terminal_id, reason, who="command", role="", address=""):
    """Labels a terminal as sensitive, or takes the label off where `reason` is None; written to the access log."""
    if not is_terminal_id(terminal_id):
        raise AccessError(f"{quoted(terminal_id)} is no terminal", "use 1 to 32 of A-Z a-z 0-9 . -")
    if reason is not None and not 0 < len(reason) <= MAX_REASON:
        raise AccessError(f"a label needs a reason of 1 to {MAX_REASON} characters", "say what is sensitive")
    with store.write() as connection:
        connection.execute(labels.delete().where(labels.c.terminal_id == terminal_id))
        if reason is not None:
            connection.execute(labels.insert().values(terminal_id=terminal_id, reason=reason))
        what = f"unlabel {terminal_id}" if reason is None else f"label {terminal_id}: {reason}"
        audit.append_in(connection, audit.ADMIN, who, role, address, what)


def listed(store):
    """{terminal id: reason} of all that are labelled."""
    with store.read() as connection:
        return dict(connection.execute(select(labels.c.terminal_id, labels.c.reason)).all())
