"""A board whose time is simulated: nothing waits, time jumps to whatever is due next. CPython and MicroPython.

`Board` is what the firmware's tasks take for a port (carbonterm_device.ports says what a port has), with serial devices
that are wires of carbonterm_host.simulate.wire; `board.run(coroutine)` runs it to its end. On MicroPython the timers of
asyncio.core are handed this board's ticks, and its wait for I/O becomes the jump; on CPython an event loop does it.
"""

import asyncio
import sys
import time

from carbonterm.clock import NETWORK
from carbonterm_device.ports import port as real

MICROPYTHON = sys.implementation.name == "micropython"
FIRST_PIECE = 8  # bytes of a reply that come first; the rest comes in one piece, to save turns
ALL = 1 << 20
AHEAD_MS = 100000000


class Link:
    """A serial link on a wire; `down()` says whether the adapter is pulled out."""

    def __init__(self, board, wire, settings, down):
        self._board = board
        self._wire = wire
        self._settings = settings
        self._down = down
        self._piece = FIRST_PIECE

    def send(self, data):
        self._check()
        self._wire.send(self._board.now_us(), bytes(data), self._settings)
        self._piece = FIRST_PIECE

    async def read(self, count):
        while True:
            self._check()
            due = self._wire.next_us(self._piece)
            if due is None:
                await asyncio.Event().wait()  # until the guard gives up
            wait = due - self._board.now_us()
            if wait > 0:
                await self._board.sleep_ms((wait + 999) // 1000)
                continue
            self._piece = ALL
            data = self._wire.take(self._board.now_us())
            if data:
                return data

    def configure(self, baud, parity, stop):
        self._settings = baud, parity, stop

    def discard(self):
        return len(self._wire.take(self._board.now_us()))

    def close(self):
        self.discard()

    def _check(self):
        if self._down():
            raise OSError(5)


class Board:
    """`lines`: {path: Wire}; start_ms: what the clock shows at the start; chance: of carbonterm_host.simulate;
    cut(path, elapsed ms): whether that line's adapter is pulled out."""

    BAUDS = real.BAUDS
    RUNTIME = real.RUNTIME + ", simulated time"

    def __init__(self, lines, start_ms, chance, cut):
        self.lines = lines
        self.start_ms = start_ms
        self.elapsed = 0  # ms since the start
        self._chance = chance
        self._cut = cut
        if MICROPYTHON:
            # far ahead of the real ticks, which asyncio gives to tasks that can go on at once: those never wait
            self._zero = time.ticks_add(time.ticks_ms(), AHEAD_MS)
            self.ticks_add, self.ticks_diff = time.ticks_add, time.ticks_diff

    # --- the time

    def now_us(self):
        return 1000 * self.elapsed

    def now_ms(self):
        return self.start_ms + self.elapsed

    def clock_state(self):
        return NETWORK

    def ticks_ms(self):
        return time.ticks_add(self._zero, self.elapsed) if MICROPYTHON else self.elapsed

    def ticks_add(self, ticks, ms):
        return ticks + ms

    def ticks_diff(self, later, earlier):
        return later - earlier

    def fine_ticks(self):
        return self._chance.bits()

    def sleep_ms(self, ms):
        return asyncio.sleep_ms(ms) if MICROPYTHON else asyncio.sleep(ms / 1000)

    async def wait_ms(self, event, ms):
        try:
            if MICROPYTHON:
                await asyncio.wait_for_ms(event.wait(), ms)
            else:
                await asyncio.wait_for(event.wait(), ms / 1000)
        except asyncio.TimeoutError:
            pass

    # --- the rest of a port

    def random(self, count):
        return self._chance.randbytes(count)

    def heap_used(self):
        return real.heap_used()

    def uncancel(self, task):
        real.uncancel(task)

    def open_serial(self, path, baud, parity="none", stop=1):
        if self._cut(path, self.elapsed):
            raise OSError(2)
        return Link(self, self.lines[path], (baud, parity, stop), lambda: self._cut(path, self.elapsed))

    # --- the event loop

    def run(self, main):
        """Runs a coroutine to its end; its result."""
        if not MICROPYTHON:
            return _run(self, main)
        core = asyncio.core
        core.ticks = self.ticks_ms

        def jump(ms):
            if ms < 0:
                raise OSError(110)  # nothing will ever happen again
            self.elapsed += ms

        core._io_queue.wait_io_event = jump
        return asyncio.run(main)


def _run(board, main):
    """As asyncio.run, in a loop whose clock is the board's."""
    import selectors

    class Selector(selectors.SelectSelector):
        def select(self, timeout=None):
            if timeout is None:
                raise OSError(110, "nothing will ever happen again")
            if timeout > 0:
                board.elapsed += max(round(timeout * 1000), 1)
            return []

    loop = asyncio.SelectorEventLoop(Selector())
    loop.time = lambda: board.elapsed / 1000
    try:
        return loop.run_until_complete(main)
    finally:
        loop.close()
