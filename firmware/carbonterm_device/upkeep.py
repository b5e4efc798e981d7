"""The storage's keeper: drops what may go, takes less in where room runs out, says for how long it lasts.

All it does is said in `audit` entries: a drop before it is done, a step of degradation when it begins and when it ends.
docs/storage.md says it for people.
"""

from carbonterm.clock import DAY, LENGTHS, UNSET
from carbonterm.ledger import entry as entries
from carbonterm.ledger import retention, room
from carbonterm.ledger.frames import Frames, segment_name
from carbonterm.site import COLLECTOR
from carbonterm_device.failures import says

LOOK_MS = 60000  # between two looks at the storage …
HURRY_MS = 5000  # … where it runs out …
LOOK_BYTES = 1 << 16  # … unless so many bytes were written, or a segment was begun
AGAIN_MS = 3600000  # after a drop that failed
CALIBRATION_DAYS = 30  # before a certificate's end that it is an alarm
HELD_READINGS = 3  # of a register that are not believed, before a person is told


class Upkeep:
    """`terminal`: the Terminal whose log it looks after; site: its Site; couriers: those of all centres; past: list of
    the epochs that are over, of which dropped ones are taken out; `port`: ticks. Call `look` when it is `due`."""

    def __init__(self, terminal, site, couriers, past, port):
        self.terminal = terminal
        self.site = site
        self.settings = site.settings
        self.couriers = couriers
        self.past = past
        self.port = port
        self.error = ""
        self.free = self.total = self.bytes = 0
        self.days = self.rate = None
        self._reminder = None
        self._standstill = None
        if site.settings.profile != COLLECTOR:
            from carbonterm_device.standstill import Standstill  # a collector's points are watched by its terminal

            self._standstill = Standstill(terminal, site)
        self.begins = None  # (epoch, seq) of the first entry kept
        self._since = None  # its time
        self._warned = False
        self._at = None  # ticks of the last look
        self.looked_ms = None  # its time
        self._hold = None  # ticks before which nothing is dropped
        self._written = 0
        self._newest = None  # (epoch, seq) with which the last segment began at the last look

    def due(self):
        log, ticks = self.terminal.log, self.port.ticks_ms()
        often = HURRY_MS if self.terminal.step else LOOK_MS
        if self._at is None or self.port.ticks_diff(ticks, self._at) >= often:
            return True
        return log.written - self._written >= LOOK_BYTES or (log.epoch, log.newest) != self._newest

    def look(self):
        """Measures, drops, changes the step and says so. OSError of the storage only where it can't be measured."""
        storage = self.terminal.log.storage
        log = self.terminal.log
        self.looked_ms = self.terminal.clock.now_ms()
        self._at, self._written, self._newest = self.port.ticks_ms(), log.written, (log.epoch, log.newest)
        self.free, self.total = storage.free()
        rows = retention.measure(storage)
        if self._drop(storage, rows):
            self.free, self.total = storage.free()
            rows = retention.measure(storage)
        self._step(room.step(self.free, self.total, self.terminal.step))
        self._reckon(storage, rows)
        if self._standstill:
            self._standstill.look()

    def held(self, epoch, end):
        """Whether all centres hold the epoch's entries before `end` (None: all of them)."""
        return len(self.couriers) > 0 and all([courier.holds(epoch, end) for courier in self.couriers])

    def _drop(self, storage, rows):
        clock, log, ticks = self.terminal.clock, self.terminal.log, self.port.ticks_ms()
        if self._hold is not None and self.port.ticks_diff(self._hold, ticks) > 0:
            return False
        self._hold = None
        now = None if clock.state == UNSET else clock.now_ms()
        keep = self.settings.keep_days * LENGTHS[DAY], self.settings.keep_mb << 20
        drop = retention.plan(storage, rows, self.held, now, keep[0], keep[1], room.wanted(self.free, self.total))
        if drop is None:
            return False
        self.terminal.audit("retention", "drop", str(drop))
        self.terminal.commit()
        if self.terminal.failed or self.terminal.stopped:
            return False
        try:
            for one in self.past:
                if one.epoch < drop.epoch:
                    one.keep_end()
            for one in list(self.past):
                if one.epoch <= drop.epoch:
                    one.drop_before(one.size if one.epoch < drop.epoch else drop.first)
                if one.epoch < drop.epoch:
                    self.past.remove(one)
            if log.epoch == drop.epoch:
                log.drop_before(drop.first)
            self.error = ""
        except OSError as error:
            self.error = "nothing can be dropped: %s; %s" % says(error)
            self._hold = self.port.ticks_add(ticks, AGAIN_MS)
        return True

    def _step(self, step):
        terminal = self.terminal
        if step == terminal.step:
            return
        name, what = room.STEPS[step]
        detail = "step %d of %d, %s: %d KiB free; %s" % (step, room.CLOSED, name, self.free >> 10, what)
        if terminal.thinned.rows:
            detail += "; before: %s left out" % terminal.thinned
        terminal.thinned.clear()
        terminal.step = step
        terminal.audit("terminal", "storage", detail[: entries.MAX_TEXT])

    def _reckon(self, storage, rows):
        begins = rows[0][:2] if rows else None
        if begins != self.begins:
            self.begins, self._since = begins, None
        if begins and self._since is None:
            frame = Frames(storage, segment_name(*begins), *begins).next()
            self._since = entries.decode(frame[0]).time_ms if frame else None
        self.bytes = sum([row[2] for row in rows])
        span = 0 if self._since is None else self.terminal.clock.now_ms() - self._since
        left = self.free - room.limits(self.total)[-1] + retention.held_bytes(rows, self.held)
        self.days, self.rate = room.autonomy(left, self.bytes, span)
        if self.days is None:
            return
        if not self._warned and self.days < room.WARN_DAYS:
            self._warned = True
            self.terminal.audit("terminal", "storage", "room for %d days at %d bytes a day" % (self.days, self.rate))
        elif self._warned and self.days > room.WARN_DAYS:
            self._warned = False
            self.terminal.audit("terminal", "storage", "room for %d days again" % self.days)

    def alarms(self):
        """What the operator has to know, as texts."""
        found = []
        if self.terminal.failed:
            found.append("nothing is recorded: %s. %s" % self.terminal.failed)
        if self.terminal.step > room.EARLY:
            found.append("storage runs out: " + room.STEPS[self.terminal.step][1])
        return found + [row[2] for row in self.faults()]

    def faults(self):
        """[(code of docs/faults.md, what it is about, text)] of what else the operator has to know."""
        found = []
        if self.error:
            found.append(("F306", "storage", self.error))
        if self._warned and self.days is not None:
            what = "storage does for %d more days without the centres · 存储余量 %d 天"
            found.append(("F305", "storage", what % (self.days, self.days)))
        for index, value, count in self.terminal.held():
            if count >= HELD_READINGS:
                name = self.terminal.site.points[index].name
                what = "point %s: %d readings since %s are not believed; was the meter replaced? (docs/series.md)"
                found.append(("F107", name, what % (name, count, value)))
        for index in sorted(self.terminal.above):
            count = self.terminal.above[index]
            if count >= HELD_READINGS:
                name = self.terminal.site.points[index].name
                what = "point %s: %d readings above twice its largest month, in no total (8.1.2) · 超出历史月度两倍"
                found.append(("F108", name, what % (name, count)))
        if self._standstill:
            found += [("F110", text.split(":")[0], text) for text in self._standstill.alarms()]
        return found + self._calibrations() + [("F111", text.split(":")[0], text) for text in self._reminded()]

    def _reminded(self):
        if not self.site.manual:
            return []
        if self._reminder is None:
            from carbonterm_device.byhand import Reminder  # most terminals have meters only

            self._reminder = Reminder(self.terminal)
        return self._reminder.alarms()

    def _calibrations(self):
        found = []
        for meter, left in self.site.calibrations(self.terminal.clock.now_ms(), CALIBRATION_DAYS):
            said = meter.name, meter.certificate.number, meter.certificate.due
            what = "is due on %s · 校准即将到期" if left > 0 else "expired on %s · 校准已过期"
            code = "F701" if left > 0 else "F702"
            found.append((code, meter.name, ("%s: certificate %s " + what) % said))
        return found

    def status(self):
        """For the status file; "begins": [epoch, seq] of the first entry kept."""
        terminal = self.terminal
        return {
            "failed": terminal.failed and terminal.failed[0], "do": terminal.failed and terminal.failed[1],
            "step": terminal.step, "name": room.STEPS[terminal.step][0], "free": self.free, "total": self.total,
            "bytes": self.bytes, "bytes_per_day": self.rate, "autonomy_days": self.days, "begins": self.begins,
            "left_out": terminal.thinned.rows, "missed": terminal.missed.rows,
        }  # fmt: skip
