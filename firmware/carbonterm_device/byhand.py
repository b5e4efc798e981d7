"""What people enter (6.2, 11.3 d): taking a signed record in, showing what is there, saying what is missing (11.2 c).

Only a terminal whose site document has operators loads this. docs/manual.md says it for people.
"""

from carbonterm import clock
from carbonterm.errors import LedgerError
from carbonterm.ledger.manual import Record

OVERDUE_MS = 7 * 86400000  # behind a month's end


def take(terminal, text):
    """Takes a record, as hex; (seq of its entry, Record). CarbonError, with the way out, where it cannot be taken."""
    try:
        data = bytes([int(text[i : i + 2], 16) for i in range(0, len(text), 2)])
    except (ValueError, TypeError):
        raise LedgerError("a manual record is given as hex digits", "make one with 'carbonterm enter'")
    record = Record.decode(data)
    return terminal.enter(record), record


def listed(terminal):
    """Objects for who asks: the "terminal", then as `Manuals.listed` has them."""
    manuals = terminal.manuals
    if manuals is None:
        raise LedgerError("nobody may enter anything here", "operators: [{name: …, public: …}] in the site document")
    site, now = manuals.site, terminal.clock.now_ms()
    sources = [row.name for row in site.sources]
    head = {"event": "terminal", "terminal": site.terminal_id, "zone": site.zone, "time_ms": now, "sources": sources}
    return [head] + manuals.listed(now)


class Reminder:
    """Which months ended without an entry; looked up once a civil day and after every entry."""

    def __init__(self, terminal):
        self._terminal = terminal
        self._known = None
        self._texts = []

    def alarms(self):
        """Texts: from the month's end on, and that it is overdue from a week later on."""
        terminal = self._terminal
        manuals, now = terminal.manuals, terminal.clock.now_ms()
        if manuals is None or not manuals.entered or terminal.clock.state == clock.UNSET:
            return []
        known = clock.start(clock.DAY, now, terminal.site.zone), terminal.by_hand
        if known != self._known:
            self._known, self._texts = known, []
            for row, entered in zip(terminal.site.manual, manuals.entered):
                for start, end in entered.missing(now):
                    late = "overdue · 逾期未填报" if now >= end + OVERDUE_MS else "not yet entered · 待填报"
                    self._texts.append("%s: %s %s" % (row.name, clock.text(start, terminal.site.zone)[:7], late))
        return self._texts
