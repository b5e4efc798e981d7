"""The terminal's clock: what time it is, how far that is to be trusted, and what the log is told when it was set.

Time goes on by the port's ticks, which nobody can set. The system's clock (the wall clock here) is looked at each round
of commits: a small difference is made good so slowly that no time comes twice, a large one is a step, which becomes a
`clock` entry (docs/formats.md, docs/time.md). A wall clock that shows no time (before 2020) tells nothing: if the time
was known it is carried on, else the clock is unset and shows the milliseconds since the terminal's start.
"""

from carbonterm.clock import CEILING_MS, FLOOR_MS, GNSS, HOLDOVER, NETWORK, RTC, UNSET
from carbonterm.ledger.entry import REBASE, STEP, SYNC
from carbonterm_device.ports import port as board

TOLERANCE_MS = 1000  # a clock that is further off was set …
PPM = 500  # … unless its quartz can explain it: what NTP allows one to be wrong by
HEARD_MS = 86400000  # so long a word from elsewhere keeps a board's clock in the state NETWORK
SLACK_MS = 2000  # a word within that changes nothing
SOURCES = {"rtc": RTC, "network": NETWORK, "gnss": GNSS}  # what an operator may say that keeps the wall clock right


class Clock:
    """`source`: of SOURCES, what keeps the wall clock right; None: what the port can find out. offset_ms: added to the
    wall clock, which makes it a simulated one (holdover at best). port: ticks_ms, ticks_diff, now_ms, clock_state.

    `.state`: clock_state of the entries. `.shifted_ms`: all steps so far, added up.
    """

    def __init__(self, offset_ms=0, source=None, port=board):
        if source is not None and source not in SOURCES:
            raise ValueError("clock source %s is none of %s" % (source, ", ".join(sorted(SOURCES))))
        self._port = port
        self._source = source
        self.offset_ms = offset_ms
        self.simulated = offset_ms != 0
        self.shifted_ms = 0
        self._heard = None  # ticks of the last word about the time …
        self.signed = False  # … and whether a centre signed it
        self._ticks = port.ticks_ms()
        wall, self.state = self._look()
        self._now = wall if self.state != UNSET else 0
        self._agreed = self._now  # when it was last compared with the wall clock

    def now_ms(self):
        """Milliseconds since 1970-01-01T00:00:00Z; since the terminal's start while `state` is UNSET. Only `check`
        makes it jump."""
        ticks = self._port.ticks_ms()
        passed = self._port.ticks_diff(ticks, self._ticks)
        if passed > 0:
            self._ticks = ticks
            self._now += passed
        return self._now

    def simulate(self, offset_ms):
        """From now on the wall clock is the system's and offset_ms: what a test sets the clock with."""
        self.offset_ms = offset_ms
        self.simulated = True

    @property
    def hears(self):
        """Whether a centre's word may set the clock: that of a board, which nobody else sets."""
        return hasattr(self._port, "set_clock") and not self.simulated

    def hear(self, ms, unsure_ms, signed=True):
        """A centre has signed that it was `ms` just now, or up to unsure_ms before; signed=False: a time server has
        said so, which counts only where no centre has for a day. A clock that is unset or further off is set right; the
        next `check` says so. True where it was set."""
        if not self.hears or not FLOOR_MS <= ms < CEILING_MS or (self.signed and not signed):
            return False
        off = abs(ms - self.now_ms()) > unsure_ms + SLACK_MS
        if self.state == UNSET or off:
            try:
                self._port.set_clock(ms)
            except OSError:
                off = True  # the board's own clock is set before its clock chip, which may not answer
        self._source, self._heard, self.signed = "network", self._port.ticks_ms(), signed
        return self.state == UNSET or off

    def check(self):
        """Compares with the wall clock. None, or what became of it: (event, before_ms, after_ms, state before, state
        after) as in a `clock` entry. To be called at least every few days, as ticks wrap around."""
        before, was = self.now_ms(), self.state
        wall, state = self._look()
        if state == UNSET:
            if was in (UNSET, HOLDOVER):
                return None
            self.state = HOLDOVER
            return SYNC, before, before, was, HOLDOVER
        if was in (NETWORK, HOLDOVER) and state == RTC:
            state = HOLDOVER  # nobody keeps it right any more, it goes on from when somebody did
        self.state = state
        off = wall - before
        allowed = (before - self._agreed) * PPM // 1000000
        if was == UNSET or abs(off) > TOLERANCE_MS + allowed:
            self._now = self._agreed = wall
            self.shifted_ms += off
            return (REBASE if was == UNSET else STEP), before, wall, was, state
        if allowed:
            self._now += min(max(off, -allowed), allowed)
            self._agreed = before
        return (SYNC, before, before, was, state) if state != was else None

    def _look(self):
        """(milliseconds, state) of the wall clock; UNSET if it shows no time that can be."""
        wall = self._port.now_ms() + self.offset_ms
        if not FLOOR_MS <= wall < CEILING_MS:
            return wall, UNSET
        if self.simulated:
            return wall, HOLDOVER
        if self._heard is not None and self._port.ticks_diff(self._port.ticks_ms(), self._heard) > HEARD_MS:
            self._heard, self._source, self.signed = None, None, False  # it goes on by its own quartz
        return wall, SOURCES[self._source] if self._source else self._port.clock_state()

    def status(self):
        """For the terminal's status: state as a number, whether it is simulated, steps so far (ms)."""
        return {"state": self.state, "simulated": self.simulated, "shifted_ms": self.shifted_ms}
