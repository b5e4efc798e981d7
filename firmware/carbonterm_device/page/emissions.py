"""Emissions of days, months and years by source, as the log has them, and so far in what is open.

The log's newest entries are read once, in the background and in small pieces; what comes later is read at each look.
"""

import asyncio

from carbonterm import clock
from carbonterm import site as sites
from carbonterm.clock import DAY, UNSET
from carbonterm.ledger import entry as entries

SEARCHED = 50000  # entries
AT_ONCE = 16


class Emissions:
    """Of an App; `ready`: the log has been read up to here."""

    def __init__(self, app, port):
        from carbonterm.accounting.records import Records  # few sites have a page

        self._app = app
        self._port = port
        self._records = Records(app.site.zone)
        self._at = None  # (epoch, seq) of the next entry to read
        self._site = app.site
        self._task = None
        self.ready = False

    async def look(self):
        """Reads what is new; waits for it a little."""
        if self._task is None or self._task.done():
            self.ready = False
            self._task = asyncio.create_task(self._read())
        for _ in range(20):
            if self._task.done():
                return
            await self._port.sleep_ms(50)

    async def _read(self):
        log = self._app.terminal.log
        seq = max(log.kept, log.size - SEARCHED)
        if self._at is not None and self._at[0] == log.epoch:
            seq = max(seq, self._at[1])
        count, waiting, configured = 0, [], self._at is not None or seq == 0
        for raw, _ in log.entries(seq):
            one = entries.decode(raw)
            seq = one.seq + 1
            if one.kind == entries.CONFIG:
                self._site = self._site_of(one.body[1])
                waiting, configured = [], True
            elif one.kind == entries.EMISSION and one.body[0] >= DAY:
                if configured:
                    self._records.take(one, self._site)
                else:
                    waiting.append(one)
            count += 1
            if count % AT_ONCE == 0:
                await self._port.sleep_ms(0)
        for one in waiting:  # of the document in force, as no other came after them
            self._records.take(one, self._app.site)
        self._at = log.epoch, seq
        self.ready = True

    def _site_of(self, document):
        known = self._app.site
        return known if known.canonical() == document else sites.decode(document)

    def starts(self, period, count):
        """The starts of the last `count` periods, newest first; [] while the clock is unset."""
        if self._app.clock.state == UNSET:
            return []
        zone, found = self._app.site.zone, [clock.start(period, self._app.clock.now_ms(), self._app.site.zone)]
        while len(found) < count:
            found.append(clock.start(period, found[-1] - 1, zone))
        return found

    def figure(self, index, period, start):
        """(tCO2e as a text or None, mark: "" of the log, "~" doubtful, "*" so far)."""
        site = self._app.site
        if start == clock.start(period, self._app.clock.now_ms(), site.zone):
            value = self._app.terminal.so_far(index, period)
            return (None, "") if value is None else (str(value.round(6)), "*")
        total = self._records.total("source", site.sources[index].name, start, clock.end(period, start, site.zone))
        if total.quality is not None and not total.unknown:
            return str(total.value), "~" if total.quality else ""
        return None, ""
