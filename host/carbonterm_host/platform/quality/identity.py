"""A meter's identifier (6.3) at two terminals at once: the same meter is read twice, or one record is wrong.

One site document knows its own meters only and refuses two with one identifier; here are those of all terminals.
"""

from sqlalchemy import func, select

from carbonterm import site as sites
from carbonterm.errors import CarbonError
from carbonterm.field import identifier
from carbonterm.ledger import entry as formats
from carbonterm_host.platform.store import entries, logs


def twice(connection, terminal_id, site, since_ms):
    """(meters of a Site that have an identifier, findings) against the documents in force of the other terminals that
    were heard of since then: one that was taken out of use may still name what another has now."""
    own = [meter for meter in site.meters if meter.identifier is not None]
    findings = []
    for other, raw in _documents(connection, terminal_id, since_ms) if own else ():
        text = raw.upper()
        if not any(meter.identifier.upper().encode() in text for meter in own):
            continue
        for meter in own:
            findings += [
                {"meter": meter.name, "identifier": meter.identifier, "terminal": other, "other": one.name}
                for one in _meters(raw) if one.identifier and identifier.same(one.identifier, meter.identifier)
            ]  # fmt: skip
    return len(own), findings


def _documents(connection, terminal_id, since_ms):
    """(terminal, entry's bytes) of the newest site document of each other terminal."""
    newest = select(entries.c.log, func.max(entries.c.seq).label("seq")).where(entries.c.kind == formats.CONFIG)
    newest = newest.group_by(entries.c.log).subquery()
    found = {}
    for row in connection.execute(
        select(logs.c.terminal_id, entries.c.raw).join(newest, newest.c.log == logs.c.id).join(
            entries, (entries.c.log == newest.c.log) & (entries.c.seq == newest.c.seq)
        ).where(logs.c.terminal_id != terminal_id, logs.c.heard_ms >= since_ms).order_by(logs.c.epoch)
    ):  # fmt: skip
        found[row.terminal_id] = row.raw
    return sorted(found.items())


def _meters(raw):
    try:
        return sites.decode(formats.decode(raw).body[1]).meters
    except CarbonError:
        return []  # replay is what judges it
