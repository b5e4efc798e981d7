"""The terminal about itself (10.6.1, 10.6.2): health of its machine, state of its tasks, faults by code, an error log.

Looked at once a second by the App's heartbeat. A fault is something that is wrong now; when it has been for its SETTLES
it goes into the error log, a ring of the last KEPT, and into the signed log as an `audit` entry "fault", its end as
"fault over"; from these entries the ring is filled again after a restart. The same fault of the same thing counts up in
its row, and is in the signed log at most once in AGAIN_MS however often it comes and goes.

A task that has ended, or shows no sign of life, is shown as stopped and started again. Answers are lists and dicts of
integers and texts, for JSON; docs/monitoring.md.
"""

from carbonterm.clock import DAY, UNSET
from carbonterm.clock import start as beginning
from carbonterm.errors import CarbonError
from carbonterm.ledger import entry as entries
from carbonterm.uplink.outbox import STOPPED as UPLINK_STOPPED
from carbonterm_device import faults
from carbonterm_device.health import Health
from carbonterm_device.ports import FAMILY, port

if FAMILY == "unix":
    from carbonterm_device.ports.proc import alive as _watched_over
else:
    _watched_over = None

KEPT = 64  # rows of the error log
WHERE = 64  # characters of what a row is about
AGAIN_MS = 3600000
MOST_AN_HOUR = 60  # audit entries of faults, whatever happens
SETTLES_MS = {"F1": 0, "F2": 5000, "F4": 0, "F5": 5000, "F8": 0}  # by the first letters of a code; others at once
FAULT, OVER = "fault", "fault over"
RUNNING, IDLE, FAILED, STOPPED = "running", "idle", "failed", "stopped"
LATE_MS, LATE_ROUNDS = 60000, 3  # so many rounds that came late, in so long, are a fault
SHORT_MS = 1000  # before a task that ended begins again, doubled up to …
LONG_MS = 60000
SEARCHED = 2048  # entries that a start looks through for faults
_AT_ONCE = 32


class _Part:
    """A task of the App that is no bus and no centre."""

    def __init__(self, name):
        self.name = self.kind = name


_PARTS = _Part("maintenance"), _Part("page")


class _Watched:
    """A task of the App: what it runs, since when it is in its state, how often it was begun."""

    __slots__ = ("again", "one", "pause", "since_ms", "starts", "state", "task")

    def __init__(self, one, task, now_ms):
        self.one = one
        self.task = task
        self.state = RUNNING
        self.since_ms = now_ms
        self.starts = 1
        self.again = None  # ticks at which it is begun again
        self.pause = SHORT_MS


class Monitor:
    """Of a carbonterm_device.app.App, from its `run` on."""

    def __init__(self, app, root=""):
        self._app = app
        self._health = Health(port, app.storage, app.clock, root)
        self._watched = []
        self._rows = []  # of the error log, oldest first
        self._seen = {}  # (code, where): ticks since when it is wrong
        self._told = {}  # (code, where): time_ms of its last audit entry
        self._hour = (0, 0)  # (number of the hour, entries in it)
        self._late = {}  # bus: (ticks, late rounds then)
        self._shifted = app.clock.shifted_ms
        self._day = None
        self._size = None  # of the log at the last look
        self._recorded_ms = None

    # --- once a second ----------------------------------------------------------------------------------------------

    def look(self):
        now = port.ticks_ms()
        if _watched_over is not None:
            _watched_over()
        self._tasks(now)
        size = self._app.terminal.log.epoch, self._app.terminal.log.size
        if size != self._size:
            self._size, self._recorded_ms = size, self._app.clock.now_ms()
        wrong = {}
        for code, where, text in faults.present(self._app) + self._slow(now) + self._health.faults():
            wrong[code, where[:WHERE]] = text
        for row in self._watched:
            if row.state == STOPPED:
                wrong["F901", _name(row.one)[:WHERE]] = _error(row.one) or "it has ended, or shows no sign of life"
        for key in wrong:
            since = self._seen.setdefault(key, now)
            if port.ticks_diff(now, since) >= SETTLES_MS.get(key[0][:2], 0):
                self._wrong(key[0], key[1], wrong[key])
        for key in list(self._seen):
            if key not in wrong:
                self._seen.pop(key)
        for row in self._rows:
            if row["active"] and (row["code"], row["where"]) not in wrong:
                self._over(row)
        shifted, self._shifted = self._shifted, self._app.clock.shifted_ms
        if shifted != self._shifted:
            self.event("F403", "clock", "by %d ms" % (self._shifted - shifted))
        self._once_a_day()

    def event(self, code, where, text):
        """Something that went wrong once."""
        where = where[:WHERE]
        self._wrong(code, where, text)
        self._over(self._row(code, where), False)

    def _slow(self, now):
        """Buses whose rounds come late though every meter answers."""
        found = []
        for one in self._app.acquisitions:
            since, late = self._late.get(one.name, (now, one.late_rounds))
            if port.ticks_diff(now, since) >= LATE_MS:
                self._late[one.name] = now, one.late_rounds
            else:
                self._late[one.name] = since, late
            before = ("F106", one.name) in self._seen
            silent = [meter for meter in one.meters.values() if meter.silent]
            if not silent and one.late_rounds - late >= (1 if before else LATE_ROUNDS):
                found.append(("F106", one.name, "%d of %d rounds since the start" % (one.late_rounds, one.rounds)))
        return found

    def _once_a_day(self):
        """What the machine is like, into the log: temperature above all (10.5)."""
        app = self._app
        if app.terminal.site is None or app.clock.state == UNSET:
            return
        day = beginning(DAY, app.clock.now_ms(), app.site.zone)
        if self._day is not None and day != self._day:
            self._audit("health", self._health.line())
        self._day = day

    # --- the error log ----------------------------------------------------------------------------------------------

    def _row(self, code, where):
        for row in self._rows:
            if row["code"] == code and row["where"] == where:
                return row
        return None

    def _wrong(self, code, where, text):
        now, row = self._app.clock.now_ms(), self._row(code, where)
        if row is None:
            row = _new(code, where, now)
            self._add(row)
        if not row["active"]:
            row["count"] += 1
            row["active"], row["over_ms"] = True, None
            row["last_ms"] = now
            row["text"] = text[:200]
            self._tell(row, now)
        row["text"] = text[:200]

    def _over(self, row, tell=True):
        row["active"], row["over_ms"] = False, self._app.clock.now_ms()
        if tell and self._told.get((row["code"], row["where"])) == row["last_ms"]:
            self._audit(OVER, "%s %s" % (row["code"], row["where"]))

    def _add(self, row):
        """Into the ring; of a full one the oldest goes that is over, or the oldest of all."""
        if len(self._rows) >= KEPT:
            over = [one for one in self._rows if not one["active"]]
            self._rows.remove(over[0] if over else self._rows[0])
        self._rows.append(row)

    def _tell(self, row, now):
        """An audit entry, unless this fault had one lately, or many others have."""
        key, hour = (row["code"], row["where"]), now // AGAIN_MS
        told = self._told.get(key)
        count = self._hour[1] if self._hour[0] == hour else 0
        if (told is not None and 0 <= now - told < AGAIN_MS) or count >= MOST_AN_HOUR:
            return
        if self._audit(FAULT, "%s %s: %s" % (row["code"], row["where"], row["text"])):
            self._told[key], self._hour = now, (hour, count + 1)

    def _audit(self, what, detail):
        terminal = self._app.terminal
        if terminal.site is None or terminal.stopped or not detail:
            return False
        terminal.audit("monitor", what, detail[: entries.MAX_TEXT])
        return True

    async def recall(self, raws, size):
        """Fills the error log from entries' bytes, in their order, a few at a time; size: of the log at this start."""
        log, found, count = self._app.terminal.log, [], 0
        try:
            for raw in raws:
                count += 1
                if count % _AT_ONCE == 0:
                    await port.sleep_ms(0)
                if b"\x65fault" not in raw and b"\x6afault over" not in raw:
                    continue
                entry = entries.decode(raw)
                if entry.epoch == log.epoch and entry.seq >= size:
                    break
                if entry.kind == entries.AUDIT and entry.body[1] in (FAULT, OVER):
                    _replayed(found, entry)
        except (OSError, CarbonError) as error:
            self.event("F303", "error log", "it begins anew: %s" % error)
        now, self._rows = self._rows, []
        for row in found[-KEPT:]:
            row["active"] = False
            self._add(row)
        for row in now:  # what has come meanwhile
            before = self._row(row["code"], row["where"])
            if before is not None:
                self._rows.remove(before)
                row["count"] += before["count"]
                row["first_ms"] = before["first_ms"]
            self._add(row)

    # --- tasks ------------------------------------------------------------------------------------------------------

    def _tasks(self, now):
        """Brings the list up to date, and begins again what has ended."""
        app, rows = self._app, []
        running = app.readers + app.senders
        running += [(part, task) for part, task in zip(_PARTS, (app.desk_task, app.page_task)) if task is not None]
        for one, task in running:
            row = [row for row in self._watched if row.one is one]
            rows.append(row[0] if row else _Watched(one, task, app.clock.now_ms()))
            rows[-1].task = task
        self._watched = rows
        for row in rows:
            state = self._state(row, now)
            if state != row.state:
                row.state, row.since_ms = state, app.clock.now_ms()
            ended = state == STOPPED and not app.stopping and not app.terminal.stopped
            if ended and row.one not in _PARTS and not _finished(row.one):
                self._begin_again(row, now)
            elif state != STOPPED:
                row.again = None

    def _begin_again(self, row, now):
        if row.again is None:
            row.again = port.ticks_add(now, row.pause)
            row.pause = min(2 * row.pause, LONG_MS)
        elif port.ticks_diff(now, row.again) >= 0:
            row.again = None
            row.task.cancel()
            if getattr(row.one, "alive_until", None) is not None:
                row.one.alive_until = None
            for rows in (self._app.readers, self._app.senders):
                rows[:] = [one for one in rows if one[0] is not row.one]
            self._app.begin(row.one)
            row.starts += 1

    def _state(self, row, now):
        one, until = row.one, getattr(row.one, "alive_until", None)
        if row.task.done():
            return IDLE if hasattr(one, "requests") and not one.requests else STOPPED
        if until is not None and port.ticks_diff(now, until) > 0:
            return STOPPED
        if _error(one):
            return FAILED
        return IDLE if hasattr(one, "idle") and one.idle() else RUNNING

    # --- what it answers --------------------------------------------------------------------------------------------

    def health(self):
        """Of carbonterm_device.health."""
        return self._health.look()

    def tasks(self):
        """A row for each task, then for each part of the work that the commit loop does."""
        app, now = self._app, port.ticks_ms()
        found = [
            {"task": _name(row.one), "kind": _kind(row.one), "state": row.state, "since_ms": row.since_ms,
             "success_ms": self._success(row.one, now), "starts": row.starts, "error": _error(row.one)}
            for row in self._watched
        ]  # fmt: skip
        terminal = app.terminal
        why = terminal.stopped or (terminal.failed[0] if terminal.failed else "")
        state = STOPPED if terminal.stopped else FAILED if terminal.failed else RUNNING
        for name, success, error in (("record", self._recorded_ms, why), ("settlement", terminal.settled_ms, why),
                                     ("upkeep", app.upkeep.looked_ms, app.upkeep.error)):  # fmt: skip
            found.append({
                "task": name, "kind": "part", "state": FAILED if error and state == RUNNING else state,
                "since_ms": None, "success_ms": success, "starts": 1, "error": error,
            })  # fmt: skip
        return found

    def _success(self, one, now):
        """When it last did what it is for, ms; None."""
        if hasattr(one, "senders"):
            heard = [sender.heard for sender in one.senders.values() if sender.heard is not None]
            ago = min([port.ticks_diff(now, ticks) for ticks in heard] or [-1])
            return None if ago < 0 else self._app.clock.now_ms() - ago
        return getattr(one, "success_ms", None)

    def errors(self):
        """Rows of the error log, oldest first."""
        return [_said(row) for row in self._rows]

    def faults(self):
        """Those that are wrong now."""
        return [_said(row) for row in self._rows if row["active"]]

    def selfcheck(self, sheet=None):
        """Rows of carbonterm_device.selfcheck, by what was measured here and what a data sheet declares: that of the
        image, or the one given. CarbonError where it is none."""
        from carbonterm_device import health, selfcheck

        if sheet is None:
            sheet = getattr(health.about, "SHEET", {}) if health.about else {}
        selfcheck.check(sheet)
        return selfcheck.rows(self.health(), self._app.site, sheet)


def _new(code, where, now):
    return {"code": code, "where": where, "text": "", "first_ms": now, "last_ms": now, "count": 0,
            "active": False, "over_ms": None}  # fmt: skip


def _replayed(rows, entry):
    """Takes an audit entry of a fault into rows."""
    words, _, text = entry.body[2].partition(": ")
    code, _, where = words.partition(" ")
    row = [one for one in rows if one["code"] == code and one["where"] == where]
    if entry.body[1] == OVER:
        if row:
            row[0]["over_ms"] = entry.time_ms
        return
    if not row:
        row = [_new(code, where, entry.time_ms)]
        rows.append(row[0])
    row[0]["count"] += 1
    row[0]["last_ms"], row[0]["text"], row[0]["over_ms"] = entry.time_ms, text, None


def _said(row):
    name, do = faults.FAULTS.get(row["code"], ("", ""))
    said = dict(row)
    said["name"], said["do"] = name, do
    return said


def _kind(one):
    if hasattr(one, "requests"):
        return "acquisition"
    return "inbound" if hasattr(one, "senders") else "delivery" if hasattr(one, "backlog") else one.kind


def _name(one):
    return one.name


def _error(one):
    """Why a task does not do what it is for, "" where it does."""
    if hasattr(one, "senders"):
        return "" if one.connected else one.reason
    if hasattr(one, "backlog"):
        return one.now.outbox.error
    return getattr(getattr(one, "driver", one), "failure", "")  # of a bus: its link's


def _finished(one):
    """Whether a task that has ended has nothing more to do: another site document takes its bus, or there are two
    histories of the log, which are for a person."""
    if hasattr(one, "backlog"):
        return one.now.outbox.state == UPLINK_STOPPED
    return getattr(one, "finishing", False) or getattr(one, "stopping", False)
