"""The version of the store's schema: a new store gets the newest, an older one is brought up to it when it is opened.

Version 1 had no table `schema`, no contexts and no metadata of figures. A step is one transaction: it happens or not.
"""

from sqlalchemy import insert, inspect, text

from carbonterm.errors import LedgerError, UplinkError
from carbonterm.ledger import entry as formats
from carbonterm_host.platform.data import layers, tables
from carbonterm_host.platform.data.contexts import Describer

VERSION = 2


def bring_up(connection):
    """Makes what is missing; UplinkError for a store that is newer than this program."""
    there = inspect(connection).get_table_names()
    found = VERSION
    if "schema" in there:
        found = connection.execute(text("select version from schema")).scalar_one_or_none()
        if not isinstance(found, int) or not 1 <= found <= VERSION:
            raise UplinkError(f"the store is of version {found}, this program reads up to {VERSION}",
                              "use a newer carbonterm")  # fmt: skip
    elif "logs" in there:
        found = 1
    if found == 1:
        connection.execute(text("alter table figures rename to figures_1"))
        connection.execute(text("drop index if exists figures_by_time"))
    tables.metadata.create_all(connection)
    if found == 1:
        _describe_all(connection)
    if "schema" not in there:
        connection.execute(insert(tables.schema).values(version=VERSION))
    layers.make(connection, anew=found != VERSION)


def _describe_all(connection):
    """From version 1 to 2: contexts of all logs, and each figure's own."""
    columns = "log, seq, row, kind, period, start_ms, version, subject, quality, value"
    connection.execute(text(f"insert into figures ({columns}) select {columns} from figures_1"))
    connection.execute(text("drop table figures_1"))
    for log in connection.execute(text("select id from logs order by id")).scalars().all():
        describer = Describer(log)
        found = connection.execute(
            text("select raw from entries where log = :log and kind in (:start, :config) order by seq"),
            {"log": log, "start": formats.START, "config": formats.CONFIG},
        ).scalars()
        for raw in found.all():
            try:
                made = describer.hear(formats.decode(raw))
            except LedgerError:  # an entry that this program does not take any more describes nothing
                continue
            if made:
                put(connection, made)
                connection.execute(_ASSIGN, {"log": log, "context": made[0]["seq"]})


_ASSIGN = text(
    "update figures set context = case when exists (select 1 from subjects s where s.log = figures.log"
    " and s.context = :context and s.kind = figures.kind and s.subject = figures.subject) then :context end"
    " where log = :log and seq > :context"
)


def put(connection, made):
    """Stores what a Describer gave."""
    context, subjects = made
    connection.execute(insert(tables.contexts), context)
    if subjects:
        connection.execute(insert(tables.subjects), subjects)
