"""A bridge as a service: one source, one queue, one pusher, until it is told to stop."""

import importlib

from carbonterm_host.bridge.config import BridgeError
from carbonterm_host.bridge.push import Inbox, Pusher
from carbonterm_host.bridge.queue import Queue

EMPTY_WAIT = 0.05  # seconds between two looks whether the queue is empty


class Bridge:
    """options: of config.read; tell(part, state, why): part "source" or "terminal"."""

    def __init__(self, options, tell):
        self.options = options
        self.queue = Queue(options.queue, options.keep)
        try:
            module = importlib.import_module("carbonterm_host.bridge." + options.kind)
        except ImportError as error:
            hint = "pip install 'carbonterm[bridges]'; ODBC needs unixodbc of the system too"
            raise BridgeError(f"{error.name or error} cannot be loaded", hint) from None
        self.source = module.Source(options, self.queue, lambda state, why: tell("source", state, why))
        inbox = Inbox(options.terminal.url, options.terminal.token, options.terminal.ca)
        self.pusher = Pusher(self.queue, inbox, options.source, self._heard)
        self._tell = tell
        self._given_up = None

    def run(self, stop, once=False):
        """Works until the Event `stop` is set, or once: reads what there is and pushes it, or gives up when the
        terminal takes nothing. True if nothing waits."""
        self._given_up = stop if once else None
        self.pusher.start()
        try:
            self.source.run(stop, once)
            while once and not stop.is_set() and self.queue.first():
                stop.wait(EMPTY_WAIT)
        finally:
            self.pusher.end()
            counts = self.queue.counts()
            self.queue.close()
        self.counts = counts
        return not counts["waiting"]

    def _heard(self, state, why):
        self._tell("terminal", state, why)
        if state == "waiting" and self._given_up:
            self._given_up.set()
