"""What stands still, and for how many working days: not longer than three (T/CSMT clause 12.4).

A point stands still from its last believed reading on, whatever the reason: no answer, a broken line, values out of
range, readings that are held. The operator hears of it a working day before the limit; the log keeps both moments.
"""

from carbonterm.clock import UNSET, text
from carbonterm.series.downtime import DAY_MS, LIMIT_DAYS, WARN_DAYS, tenths, working_ms

MOST = 8  # points that are named one by one


class Standstill:
    """Of a Terminal under a Site. `look` now and then; `alarms` says what is to be told."""

    def __init__(self, terminal, site):
        self.terminal = terminal
        self.site = site
        self._said = {}  # {point: 1 warned, 2 over the limit}
        self._found = []

    def look(self):
        """Measures every settled point, and says in the log what comes near the limit, passes it, or is over."""
        self._found = []
        terminal = self.terminal
        if terminal.failed or terminal.stopped or terminal.clock.state == UNSET:
            return
        now = terminal.clock.now_ms()
        for index, since in terminal.believed():
            worked = 0
            if since is not None and now - since >= WARN_DAYS * DAY_MS:
                worked = working_ms(since, now, self.site.zone, self.site.calendar)
            step = 2 if worked > LIMIT_DAYS * DAY_MS else 1 if worked >= WARN_DAYS * DAY_MS else 0
            if step:
                self._found.append((worked, index, since))
            self._say(index, since, worked, step)

    def _say(self, index, since, worked, step):
        before = self._said.get(index, 0)
        if step > before:
            words = self.site.points[index].name[:64], text(since, self.site.zone), tenths(worked), LIMIT_DAYS
            self.terminal.audit("terminal", "standstill", "point %s: nothing since %s, %s of %d working days" % words)
        elif before and not step:
            self.terminal.audit("terminal", "standstill", "point %s: it goes on" % self.site.points[index].name[:64])
        if step:
            self._said[index] = max(step, before)
        else:
            self._said.pop(index, None)

    def alarms(self):
        """Texts, the longest standstill first."""
        rows = sorted(self._found, key=lambda row: (-row[0], row[1]))
        told = []
        for worked, index, since in rows[:MOST]:
            what = "point %s: nothing since %s, %s of %d working days (12.4) · 已中断 %s 个工作日"
            days = tenths(worked)
            told.append(what % (self.site.points[index].name, text(since, self.site.zone), days, LIMIT_DAYS, days))
        if len(rows) > MOST:
            told.append("and %d more points · 另有 %d 个数据点" % (len(rows) - MOST, len(rows) - MOST))
        return told
