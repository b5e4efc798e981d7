"""Reading a bus: one task each, on the grid of wall-clock time, so that a reading falls on every period's border.

A round reads all requests that are due at one moment and becomes one `readings` entry. A meter that does not answer
costs its own timeout and gets rows of quality "silent"; it is asked again in the next round.
"""

import binascii

from carbonterm.field.plan import plan
from carbonterm.field.registers import WIDTH
from carbonterm_device.bus import LinkDown, NoAnswer, Refused
from carbonterm_device.identification import Identification
from carbonterm_device.terminal import REFUSED, SILENT, missing, reading


class Acquisition:
    """The task of bus number `index`: `driver` reads it, `terminal` records what it read.

    `clock` as in clockwork, `port` sleeps. `stopping`: set it to end the task after its round.
    """

    def __init__(self, index, site, driver, terminal, clock, port):
        self.name = site.buses[index].name
        self.site = site
        self.driver = driver
        self.terminal = terminal
        self.clock = clock
        self.port = port
        self.requests = plan(site, index)
        self.identification = Identification(index, site, driver, terminal, clock)
        self.timeout_ms = site.buses[index].timeout_ms
        self.retries = site.buses[index].retries
        self.rounds = 0
        self.late_rounds = 0
        self.frames = b""
        self.stopping = False

    async def run(self):
        if not self.requests:
            return
        intervals = sorted(set([request.interval_ms for request in self.requests]))
        due = self._grid(intervals)
        while not self.stopping:
            moment, shifted = min(due.values()), self.clock.shifted_ms
            if not await self._until(moment, shifted):
                due = self._grid(intervals)  # the clock was set: the old moments are of another time
                continue
            active = [interval for interval in intervals if due[interval] <= moment]
            await self._round(moment, active)
            await self.identification.look()
            for interval in active:
                due[interval] += interval
                after = self.clock.now_ms()
                if due[interval] < after or due[interval] > after + interval:
                    # the round took longer than its interval, or the clock was set meanwhile: back to the grid
                    self.late_rounds += 1
                    due[interval] = after - after % interval + interval
            self.rounds += 1

    def _grid(self, intervals):
        """{interval: its next moment}."""
        now = self.clock.now_ms()
        return {interval: now - now % interval + interval for interval in intervals}

    async def _until(self, moment, shifted):
        """Sleeps until `moment`, in short steps. False if it is not to be waited for: the task ends, or the clock was
        set (its shifted_ms is not `shifted` any more)."""
        while not self.stopping and self.clock.shifted_ms == shifted:
            left = moment - self.clock.now_ms()
            if left <= 0:
                return True
            await self.port.sleep_ms(min(left, 500))
        return False

    async def _round(self, moment, intervals):
        rows, frames = [], []
        shifted = self.clock.shifted_ms
        for request in self.requests:
            if request.interval_ms not in intervals:
                continue
            data, failure = None, SILENT
            for _ in range(1 + self.retries):
                try:
                    data, frame = await self.driver.read(
                        request.unit, request.function, request.address, request.count, self.timeout_ms
                    )
                    frames.append(frame)
                    break
                except NoAnswer:
                    failure = SILENT
                except LinkDown:
                    failure = SILENT
                    break
                except Refused as refusal:
                    failure = REFUSED
                    frames.append(refusal.raw)
                    break
            moment, shifted = moment + self.clock.shifted_ms - shifted, self.clock.shifted_ms
            offset = max(self.clock.now_ms() - moment, 0)
            for index, at in request.points:
                point = self.site.points[index]
                if data is None:
                    rows.append(missing(index, offset, failure))
                else:
                    rows.append(reading(index, point, offset, data[2 * at : 2 * (at + WIDTH[point.type])]))
        self.frames = b"".join(frames)
        self.terminal.record(moment, rows, self.frames)

    def status(self):
        counters = self.driver.counters
        return {
            "bus": self.name, "rounds": self.rounds, "late": self.late_rounds,
            "frames": binascii.hexlify(self.frames).decode(), "meters": self.identification.status(),
            "requests": counters.requests, "replies": counters.replies, "timeouts": counters.timeouts,
            "errors": counters.errors, "exceptions": counters.exceptions, "dropped": counters.dropped,
        }  # fmt: skip
