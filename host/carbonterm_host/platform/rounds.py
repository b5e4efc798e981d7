"""What the platform does by itself, beside its server: a round of work every so many seconds."""

import sys
import threading


class Rounds:
    """A thread: `start()`, `stop()`. A subclass has `round()`, which asks `ending()` between its pieces of work.

    name: of the thread; every: seconds from the end of a round to the next. What a round raises is printed, and the
    next one comes all the same: the server goes on.
    """

    def __init__(self, name, every):
        self._every = every
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self):
        self._thread.start()

    def stop(self):
        self._end.set()
        self._thread.join(60)

    def ending(self):
        return self._end.is_set()

    def _run(self):
        while True:
            try:
                self.round()
            except Exception as error:
                print(f"{self._thread.name}: {error!r}", file=sys.stderr, flush=True)
            if self._end.wait(self._every):
                return
