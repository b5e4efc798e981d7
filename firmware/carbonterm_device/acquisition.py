"""Reading a bus: one task each, on the grid of wall-clock time, so that a reading falls on every period's border.

A round reads what is due at one moment with one interval, and becomes one `readings` entry. Rounds of several intervals
may be open at once: the next request is always one of the round that must end first, so that a long round of slow
points does not make the fast ones late. Earliest deadline first keeps every interval that can be kept at all
(carbonterm.field.plan tells beforehand whether it can).

A meter that does not answer costs its neighbours one time-out in a round: its further requests of the round are given
up unasked. After SILENT_ROUNDS of them it is only tried now and then, once, without repeats, at pauses that double up
from two intervals up to LONGEST_PAUSE_MS; its first answer makes it a meter like the others. Its points get rows of
quality "silent".
"""

import binascii

from carbonterm import clock as civil
from carbonterm.clock import NETWORK
from carbonterm.errors import CarbonError
from carbonterm.field import places, requests
from carbonterm.field.plan import plan
from carbonterm_device.bus import LinkDown, NoAnswer, Refused
from carbonterm_device.identification import Identification
from carbonterm_device.recorder import REFUSED, SILENT, missing, reading

SILENT_ROUNDS = 3
LONGEST_PAUSE_MS = 600000
OLD_MS = 3 * 86400000  # an answer is not said to be longer ago
PAUSES_MS = 100, 500, 1000, 2000, 4000  # between attempts to record a round for which memory had no room
PATIENCE_MS = 30000  # beyond its time-out that a request may wait for its turn


class _Meter:
    """How a meter of the bus has answered lately. wait_ms: 0, or how long it is left alone after a try; broken: bytes
    came the last time that no answer came; refused: {request: how often in a row it was refused, and what with}."""

    __slots__ = ("broken", "refused", "row", "seen", "silent", "tried", "wait_ms")

    def __init__(self, row):
        self.row = row
        self.broken = False
        self.refused = {}
        self.silent = 0  # rounds in a row without an answer
        self.seen = None  # ticks of its last answer
        self.tried = 0  # ticks of the last try
        self.wait_ms = 0

    def left_alone(self, now, port):
        return self.wait_ms > 0 and port.ticks_diff(now, self.tried) < self.wait_ms

    def answered(self, now):
        self.silent = self.wait_ms = 0
        self.seen = now

    def kept_silent(self, now, interval_ms, port):
        self.silent += 1
        self.tried = now
        if self.seen is not None and port.ticks_diff(now, self.seen) > OLD_MS:
            self.seen = port.ticks_add(now, -OLD_MS)  # ticks begin anew after some days
        if self.silent >= SILENT_ROUNDS:
            self.wait_ms = min(2 * self.wait_ms or 2 * interval_ms, max(LONGEST_PAUSE_MS, interval_ms))


class _Round:
    """The requests of one interval that are due at `moment`, by the clock that was `shifted` as it is now."""

    __slots__ = ("at", "frames", "gone", "interval", "moment", "requests", "rows", "shifted")

    def __init__(self, moment, interval, requests, shifted):
        self.moment = moment
        self.interval = interval
        self.requests = requests
        self.shifted = shifted
        self.at = 0
        self.rows = []
        self.frames = []
        self.gone = []  # meters that did not answer in this round

    def deadline(self, shifted):
        return self.moment + shifted - self.shifted + self.interval


class Acquisition:
    """The task of bus number `index`: `driver` reads it, `terminal` records what it read.

    `clock` has now_ms() and shifted_ms, `port` sleeps. `stopping`: set it to end the task after its request,
    `finishing`: after the rounds it has open. due: {interval: the moment of its next round}.
    """

    def __init__(self, index, site, driver, terminal, clock, port):
        self.name = site.buses[index].name
        self.site = site
        self.bus = site.buses[index]
        self.driver = driver
        self.terminal = terminal
        self.clock = clock
        self.port = port
        self.requests = plan(site, index)
        self.meters = {i: _Meter(row) for i, row in enumerate(site.meters) if row.bus == index}
        self.identification = Identification(index, site, driver, terminal, clock)
        self.rounds = 0
        self.late_rounds = 0
        self.frames = b""
        self.said = None  # a dict: is told of each request what it said last, (time, its points' rows, frames, data)
        self.stopping = self.finishing = False
        self.due = {}
        self.alive_until = None  # ticks by which a task that works shows another sign of life
        self.success_ms = None  # when a round was recorded in which somebody answered
        self._since = None
        self._told_day = None

    def take_over(self, other):
        """Goes on where this bus's Acquisition under another site document ended: no moment between is left out."""
        if other.due:
            self._since = other.due, other.clock.shifted_ms
        self.rounds, self.late_rounds = other.rounds, other.late_rounds
        self.identification.take_over(other.identification)

    async def run(self):
        if not self.requests:
            return
        classes = {}
        for request in self.requests:
            classes.setdefault(request.interval_ms, []).append(request)
        due, shifted = self._grid(classes), self.clock.shifted_ms
        if self._since is not None and self._since[1] == shifted:
            for interval in due:
                open_since = self._since[0].get(interval) or min(self._since[0].values())
                due[interval] = min(due[interval], -(-open_since // interval) * interval)
        self.due = due
        opened = []
        while not self.stopping:
            if self.clock.shifted_ms != shifted:
                due, shifted = self._grid(classes), self.clock.shifted_ms  # the clock was set: another time's moments
                self.due = due
            if not self.finishing:
                self._open(due, classes, opened)
            elif not opened:
                break
            if not opened:
                self.alive_until = self.port.ticks_add(self.port.ticks_ms(), PATIENCE_MS)
                await self.port.sleep_ms(max(1, min(min(due.values()) - self.clock.now_ms(), 500)))
                continue
            first = opened[0]
            for one in opened:
                if one.deadline(shifted) < first.deadline(shifted):
                    first = one
            try:
                await self._next(first)
            except MemoryError:  # the same request again
                self.terminal.relieve()
                await self.port.sleep_ms(PAUSES_MS[0])
            if first.at == len(first.requests):
                opened.remove(first)
                await self._keep(first)
                if not opened:
                    await self.identification.look()
                    await self._tell_time()
        for one in opened:
            await self._keep(one)

    def _grid(self, classes):
        """{interval: its next moment}."""
        now = self.clock.now_ms()
        return {interval: now - now % interval + interval for interval in classes}

    def _open(self, due, classes, opened):
        """Opens the rounds that are due. One that is still open takes the moment of the next one from it."""
        now = self.clock.now_ms()
        for interval in due:
            if due[interval] > now:
                continue
            if [one for one in opened if one.interval == interval]:
                self.late_rounds += 1
            else:
                opened.append(_Round(due[interval], interval, classes[interval], self.clock.shifted_ms))
            due[interval] += interval
            if due[interval] <= now:
                self.late_rounds += 1
                due[interval] = now - now % interval + interval

    async def _next(self, one):
        """Asks the round's next request, and makes its rows."""
        request = one.requests[one.at]
        meter = self.meters[request.meter]
        data, failure = None, SILENT
        now, came = self.port.ticks_ms(), len(one.frames)
        if request.meter not in one.gone and not meter.left_alone(now, self.port):
            data, failure = await self._ask(request, meter, one)
        moment = one.moment + self.clock.shifted_ms - one.shifted
        offset = max(self.clock.now_ms() - moment, 0)
        rows = []
        for index, place in request.points:
            point = self.site.points[index]
            if data is None:
                rows.append(missing(index, offset, failure))
            else:
                value, _ = requests.value(request, data, point, place)
                rows.append(reading(index, point, offset, value))
        one.rows.extend(rows)
        one.at += 1
        if self.said is not None:
            self.said[request] = moment, rows, one.frames[came:], data

    async def _ask(self, request, meter, one):
        """(data, None) or (None, quality)."""
        row = meter.row
        timeout = self.bus.timeout_ms if row.timeout_ms is None else row.timeout_ms
        repeats = 0 if meter.wait_ms else self.bus.retries if row.retries is None else row.retries
        came = self.driver.counters.errors + self.driver.counters.dropped
        while True:
            self.alive_until = self.port.ticks_add(self.port.ticks_ms(), timeout + PATIENCE_MS)
            try:
                data, raw = await self.driver.ask(request, row, timeout)
            except NoAnswer:
                if repeats:
                    repeats -= 1
                    continue
                one.gone.append(request.meter)
                meter.broken = self.driver.counters.errors + self.driver.counters.dropped > came
                meter.kept_silent(self.port.ticks_ms(), request.interval_ms, self.port)
                return None, SILENT
            except LinkDown:
                return None, SILENT
            except Refused as refusal:
                meter.answered(self.port.ticks_ms())
                meter.refused[request] = meter.refused.get(request, (0, ""))[0] + 1, refusal.what
                one.frames.append(refusal.raw)
                return None, REFUSED
            meter.answered(self.port.ticks_ms())
            if meter.refused:
                meter.refused.pop(request, None)
            one.frames.append(raw)
            return data, None

    async def _keep(self, one):
        """Records a round; where memory has no room for it, again, when the terminal has let go of some. A round that
        cannot be kept is counted, which the log says later."""
        for pause_ms in PAUSES_MS:
            try:
                self._close(one)
                return
            except MemoryError:
                self.terminal.relieve()
                await self.port.sleep_ms(pause_ms)
        self.terminal.missed.count(one.moment, len(one.rows))

    def _close(self, one):
        if not one.rows:
            return
        self.frames = b"".join(one.frames)
        self.terminal.record(one.moment + self.clock.shifted_ms - one.shifted, one.rows, self.frames)
        self.rounds += 1
        if one.frames:
            self.success_ms = self.clock.now_ms()

    async def _tell_time(self):
        """Once a day, in the line's hour, the meters of DL/T 645 are told the time, if this clock is sure of it."""
        if self.bus.sync_hour is None or self.clock.state < NETWORK:
            return
        year, month, day, hour, minute, second = civil.civil(self.clock.now_ms(), self.site.zone)[:6]
        speaks = [m.row for m in self.meters.values() if m.row.protocol in places.DLT645]
        if hour != self.bus.sync_hour or day == self._told_day or not speaks:
            return
        self._told_day = day
        from carbonterm.field import dlt645

        try:
            pdu = dlt645.time_request(year, month, day, hour, minute, second)
            await self.driver.tell(dlt645.frame(dlt645.BROADCAST, pdu), speaks[0])
        except CarbonError:
            return
        self.terminal.audit("terminal", "time told", "%s: all meters of DL/T 645" % self.name)

    def status(self):
        counters, now = self.driver.counters, self.port.ticks_ms()
        return {
            "bus": self.name, "rounds": self.rounds, "late": self.late_rounds,
            "frames": binascii.hexlify(self.frames).decode(), "meters": self.identification.status(),
            "silent": [
                {"meter": m.row.name, "rounds": m.silent, "tried_every_ms": m.wait_ms,
                 "answered_ms_ago": None if m.seen is None else self.port.ticks_diff(now, m.seen)}
                for m in self.meters.values() if m.silent
            ],
            "requests": counters.requests, "replies": counters.replies, "timeouts": counters.timeouts,
            "errors": counters.errors, "exceptions": counters.exceptions, "dropped": counters.dropped,
        }  # fmt: skip
