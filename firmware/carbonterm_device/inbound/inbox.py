"""What is the same for all who send: a message becomes one `readings` entry, and is acknowledged when that is durable.

A message is known by the SM3 of its bytes, which is the `frames` of its entry: so the last messages of a log are known
again after a restart, and a sender whose acknowledgement was lost gets it without a second entry. Beyond that, a value
that came before for the same point and moment is left out; another value for that moment is logged as suspect: the
first one stands. Suspect, too, is a register's value from before the newest one, and every value whose time cannot be:
those get the time of their arrival. None of these changes a total.

A point of which nothing has come for two of its intervals gets a row of quality "silent" at each further one.
"""

import asyncio

from carbonterm import cbor
from carbonterm.clock import FLOOR_MS, UNSET
from carbonterm.errors import CarbonError
from carbonterm.field.said import GOOD
from carbonterm.gm import sm3
from carbonterm.ledger import entry as entries
from carbonterm.site import REGISTER
from carbonterm_device.bus import REASONS
from carbonterm_device.recorder import SILENT, SUSPECT, missing, reading
from carbonterm_device.wires import secret

STORED, KNOWN, LOST = "stored", "known", "lost"  # what became of a message
AHEAD_MS = 60000  # a sender's clock may be ahead by so much
OLDEST_MS = 400 * 86400000  # values from before that are from a clock that is wrong
OLD_MS = 3 * 86400000  # of silence; no point is asked for more seldom than once a day
REMEMBERED = 512  # messages
MOMENTS = 8192  # of all points together, each has its part, 32 to 512
_SPAN = (1 << 31) - 1  # of an offset in an entry
_TIME, _KIND, _BODY = 4, 6, 7  # places in an entry


class Counters:
    """messages: that were new; again: that were known; foreign: from nobody or about nothing the site document knows;
    refused: that broke a rule; lost: that the storage did not take."""

    __slots__ = ("again", "foreign", "lost", "messages", "refused")

    def __init__(self):
        self.messages = self.again = self.foreign = self.refused = self.lost = 0


class Sender:
    """A meter that sends: its row and points, list of (index, Point); heard: ticks of its last message, or None; last:
    {point: (moment, row)} of what came last."""

    __slots__ = ("heard", "last", "points", "row")

    def __init__(self, row):
        self.row = row
        self.points = []
        self.heard = None
        self.last = {}


class Inbox:
    """The task of bus number `index`, as Acquisition is of one that is asked. What a kind adds: `serve()`, which takes
    messages until it is cancelled, and calls `take`. OSError, EOFError, ValueError and time-outs of it are said in the
    status, and it begins again after a pause that doubles while it fails at once."""

    def __init__(self, index, site, terminal, clock, port, storage):
        self.site = site
        self.bus = site.buses[index]
        self.name = self.bus.name
        self.terminal = terminal
        self.clock = clock
        self.port = port
        self.storage = storage
        self.counters = Counters()
        self.connected = False  # messages can come
        self.reason = ""  # why it does not work now
        self.said = None  # as Acquisition's: a dict is told what came last, by Sender
        self.senders = {}
        self._owners = {}  # point: its Sender
        meters = {}
        for at, row in enumerate(site.meters):
            if row.bus == index:
                meters[at] = self.senders[row.unit] = Sender(row)
        for at, point in enumerate(site.points):
            if point.meter in meters:
                meters[point.meter].points.append((at, point))
                self._owners[at] = meters[point.meter]
        self._depth = max(32, min(512, MOMENTS // max(1, len(self._owners))))
        self._known = {}  # digest of a message: None, or who else waits until it is durable
        self._order = []  # the digests, oldest first
        self._newest_digest = None  # of the last message whose entry is not durable yet
        self._moments = {at: {} for at in self._owners}  # point: {moment: (exponent, mantissa, good)} in the log
        self._newest = {}  # point: moment of its newest good value
        self._warned = []
        self.begun = port.ticks_ms()

    # --- the task ---------------------------------------------------------------------------------------------------

    async def run(self):
        watch = asyncio.create_task(self._watch())
        try:
            pause = 500
            while True:
                while self.clock.state == UNSET:  # what is taken now would have no time: it can wait with its sender
                    await self.port.sleep_ms(500)
                began = self.port.ticks_ms()
                try:
                    await self.serve()
                except (OSError, EOFError, ValueError, asyncio.TimeoutError) as error:
                    self.reason = _said(error)
                self.connected = False
                if self.port.ticks_diff(self.port.ticks_ms(), began) > 60000:
                    pause = 500
                # many terminals shall not come back in step
                await self.port.sleep_ms(pause + self.port.random(1)[0] * pause // 1024)
                pause = min(2 * pause, 30000)
        finally:
            watch.cancel()

    def secret(self, name, most=8192):
        """Bytes of a file that the site document names."""
        return secret(self.storage, name, most)

    def warn(self, what, detail):
        """An audit entry, once in a start for each `what` and `detail`."""
        if (what, detail) not in self._warned and len(self._warned) < 64:
            self._warned.append((what, detail))
            self.terminal.audit("terminal", what, ("%s: %s" % (self.name, detail))[:200])

    async def _watch(self):
        """Rows for points of which nothing comes."""
        port = self.port
        intervals = sorted(set([self.site.points[at].interval_ms for at in self._owners]))
        due = {}
        while True:
            now = self.clock.now_ms()
            self._age()
            for interval in intervals:
                moment = now - now % interval
                if due.get(interval) == moment:
                    continue
                first, due[interval] = interval not in due, moment
                if first:
                    continue
                rows = []
                for at, sender in sorted(self._owners.items()):
                    if self.site.points[at].interval_ms == interval and self.silent_ms(sender) > 2 * interval:
                        rows.append(missing(at, 0, SILENT))
                if rows and self.clock.state != UNSET:
                    self.terminal.record(moment, rows, b"")
            await port.sleep_ms(500)

    def silent_ms(self, sender):
        """For how long nothing has come from a Sender; OLD_MS for longer."""
        since = self.begun if sender.heard is None else sender.heard
        return self.port.ticks_diff(self.port.ticks_ms(), since)

    def _age(self):
        """Nothing is older than OLD_MS: ticks begin anew after some days, and what is old would be new again."""
        port, now = self.port, self.port.ticks_ms()
        oldest = port.ticks_add(now, -OLD_MS)
        if port.ticks_diff(now, self.begun) > OLD_MS:
            self.begun = oldest
        for sender in self.senders.values():
            if sender.heard is not None and port.ticks_diff(now, sender.heard) > OLD_MS:
                sender.heard = oldest

    # --- messages ---------------------------------------------------------------------------------------------------

    def take(self, sender, raw, said, done, fresh=False, waits=True):
        """Logs what a message says (as in carbonterm.field.said), once. raw: the bytes it is known by; fresh: it is
        new whatever came before. done(word): called once, with STORED when it is durable, KNOWN, LOST; waits: the
        sender waits for it, so the commit is not put off."""
        sender.heard = self.port.ticks_ms()
        digest = sm3.digest(raw)
        if not fresh and digest in self._known:
            self._wait(digest, done)
            return
        now = self.clock.now_ms()
        placed = []  # (point, moment) that this message is the first to tell
        rows, begin = self._rows(said, now, placed)
        if not rows:  # all of it is in entries that came before, the last of which may not be durable yet
            self._wait(self._newest_digest, done)
            return
        self.counters.messages += 1
        if self.said is not None:
            self._tell(sender, begin, rows, raw, now)
        self._remember(digest, [])
        self._newest_digest = digest
        self.terminal.record(begin, rows, raw, lambda stored: self._settle(digest, placed, done, stored))
        if waits:
            self.terminal.hurry()

    def _tell(self, sender, begin, rows, raw, now):
        """What each point of a sender said last, as a round of now."""
        for row in rows:
            sender.last[row[0]] = begin + row[1], row
        found = []
        for at, _ in sender.points:
            moment, row = sender.last.get(at, (now, missing(at, 0, SILENT)))
            found.append([at, moment - now] + row[2:])
        self.said[sender] = now, found, [raw], None

    def _wait(self, digest, done):
        waiting = self._known.get(digest)
        self.counters.again += 1
        if waiting is None:
            done(KNOWN)
        else:
            waiting.append(done)

    def _remember(self, digest, waiting):
        if digest not in self._known:
            self._order.append(digest)
            if len(self._order) > REMEMBERED:
                self._known.pop(self._order.pop(0))
        self._known[digest] = waiting

    def _settle(self, digest, placed, done, stored):
        """The entry of a message is durable, or will never be."""
        waiting = self._known.get(digest) or ()
        if digest == self._newest_digest:
            self._newest_digest = None
        if stored and digest in self._known:
            self._known[digest] = None
        elif not stored:
            self.counters.lost += 1
            if digest in self._known:
                self._known.pop(digest)
                self._order.remove(digest)
            for at, moment in placed:
                self._forget(at, moment)
        word = STORED if stored else LOST
        done(word)
        for other in waiting:
            other(word)

    def _rows(self, said, now, placed):
        """(rows of an entry, its time)."""
        begin = now
        for _, _, _, moment in said:
            if moment is not None and now - moment > _SPAN and self._possible(moment, now):
                begin = min(begin, moment)
        rows = []
        for at, value, quality, moment in said:
            point = self.site.points[at]
            if moment is None or not self._possible(moment, now):
                row = reading(at, point, now - begin, value)
                if moment is not None and row[2] == GOOD:
                    row[2] = SUSPECT
            else:
                row = self._placed(at, point, value, quality, moment, begin, placed)
            if row is not None:
                if row[2] == GOOD:
                    row[2] = quality
                rows.append(row)
        return rows, begin

    @staticmethod
    def _possible(moment, now):
        return max(FLOOR_MS, now - OLDEST_MS) <= moment <= now + AHEAD_MS

    def _placed(self, at, point, value, quality, moment, begin, placed):
        """The row of a value at its sender's moment; None for one that came before."""
        row = reading(at, point, moment - begin, value)
        moments = self._moments[at]
        if moment in moments:
            if moments[moment][:2] == (row[3], row[4]):
                return None
            if row[2] == GOOD:
                row[2] = SUSPECT
            return row
        if row[2] == GOOD and point.kind == REGISTER and moment < self._newest.get(at, moment):
            row[2] = SUSPECT
        placed.append((at, moment))
        self._log(at, row, moment, row[2] == quality == GOOD)
        return row

    def _log(self, at, row, moment, good):
        """Remembers a row that is in the log, or will be."""
        moments = self._moments[at]
        if moment not in moments:
            if len(moments) >= self._depth:
                moments.pop(min(moments))
            moments[moment] = row[3], row[4], good
        if good:
            self._newest[at] = max(moment, self._newest.get(at, moment))

    def _forget(self, at, moment):
        """A row that was remembered is not in the log after all."""
        moments = self._moments[at]
        moments.pop(moment, None)
        good = [one for one in moments if moments[one][2]]
        if good:
            self._newest[at] = max(good)
        else:
            self._newest.pop(at, None)

    # --- under another site document, and after a restart ---------------------------------------------------------

    def take_over(self, other):
        """Knows what the Inbox of this bus under another site document knew of messages and values."""
        self._known, self._order, self._newest_digest = other._known, other._order, other._newest_digest
        before = {other.site.points[at].name: at for at in other._owners}
        for at in self._owners:
            was = before.get(self.site.points[at].name)
            if was is not None:
                self._moments[at] = other._moments[was]
                if was in other._newest:
                    self._newest[at] = other._newest[was]

    def recall(self, raw):
        """An entry's bytes of the log that is there already; they come in their order."""
        fields = cbor.decode(raw)
        if fields[_KIND] != entries.READINGS:
            return
        rows, digest = fields[_BODY]
        mine = [row for row in rows if row[0] in self._owners]
        for row in mine:
            if row[2] < SILENT:
                self._log(row[0], row, fields[_TIME] + row[1], row[2] == GOOD)
        if mine and digest is not None:
            self._remember(digest, None)

    # --- what it says of itself -------------------------------------------------------------------------------------

    def alarms(self):
        """Texts of what keeps it from working."""
        return ["%s: %s" % (self.name, self.reason)] if self.reason and not self.connected else []

    def status(self):
        counters, now = self.counters, self.port.ticks_ms()
        return {
            "bus": self.name, "kind": self.bus.kind, "connected": self.connected, "reason": self.reason,
            "messages": counters.messages,
            "again": counters.again, "foreign": counters.foreign, "refused": counters.refused, "lost": counters.lost,
            "senders": [
                {"meter": one.row.name,
                 "heard_ms_ago": None if one.heard is None else self.port.ticks_diff(now, one.heard)}
                for one in self.senders.values()
            ],
        }  # fmt: skip


def _said(error):
    if isinstance(error, CarbonError):
        return str(error)
    if isinstance(error, asyncio.TimeoutError):
        return "no answer in time"
    if isinstance(error, EOFError):
        return "the connection was closed"
    if isinstance(error, OSError):
        return REASONS.get(error.errno, "the connection broke: error %s" % error.errno)
    return "the other end did not prove who it is: %s" % error
