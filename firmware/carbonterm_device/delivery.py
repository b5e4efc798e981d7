"""Delivers the log to one centre, over HTTPS or a broker: the task around carbonterm.uplink.outbox.

Nothing is kept about it: at every start the centre is asked what it holds, and the log is hashed up to there once, so
that the first receipt is compared like every other. What only waits in memory is never sent (`Log.entries` gives
durable entries).
"""

import asyncio
import gc

from carbonterm.clock import UNSET
from carbonterm.errors import CarbonError
from carbonterm.uplink.kept import keep, read_kept
from carbonterm.uplink.outbox import ASK, READ, STOPPED, Outbox, size_of

NO_TIME = (
    "not sent: the clock is not set, so nobody can say whether the centre's certificate is valid today;"
    " set this machine's clock, or let it reach a time server"
)
_AT_ONCE = 32  # entries hashed before other tasks get their turn


class Courier:
    """Delivers a terminal's epochs to one centre, one after the other: the next begins when the one before is whole
    there, or has stopped. `logs`: Past and Log in order of epochs, the last one being written; other arguments and
    the rest as Delivery, of which `now` is the current one. `delivered`: epochs that are whole at the centre.

    `centre_stopped(centre's name, reason)` is called, once, where its signed word contradicts the log being written.
    """

    def __init__(self, logs, centre, port, centre_stopped, **limits):
        self.name = centre.name
        self.delivered = []
        self.stopped = []  # (epoch, error) of earlier epochs of which the centre has another history
        self._logs = list(logs)
        self._make = lambda log, past: Delivery(log, centre, port, closing=past, **limits)
        self._stopped = centre_stopped
        self._receipts = _receipts(self._logs, centre.public)
        self.now = self._make(self._logs[0], len(self._logs) > 1)

    def add(self, log):
        """The epoch being written is over; `log` is the next one."""
        self._logs.append(log)
        self.now.close_when_idle()

    async def run(self):
        while True:
            await self.now.run()
            log = self._logs[0]
            if self.now.idle():
                self.delivered.append(log.epoch)
            elif len(self._logs) > 1:
                self.stopped.append((log.epoch, self.now.outbox.error))
            if len(self._logs) == 1:
                self._stopped(self.name, self.now.outbox.error)
                return
            self._logs.pop(0)
            self.now = self._make(self._logs[0], len(self._logs) > 1)

    def wake(self):
        self.now.wake()

    def relieve(self):
        """Whether there is memory to let go of; whoever asked cancels `run` then, and begins it again."""
        return self.now.relieve()

    def backlog(self):
        return self.now.backlog() + sum([log.size for log in self._logs[1:]])

    def idle(self):
        return len(self._logs) == 1 and self.now.idle()

    def status(self):
        status = self.now.status()
        status["backlog"] = self.backlog()
        status["epoch"] = self._logs[0].epoch
        status["stopped_before"] = self.stopped
        return status

    def holds(self, epoch, end):
        """Whether the centre has signed for the epoch's entries before `end` (None: all), under a checkpoint that it
        has answered: by what it said since the start, and by the receipts that were kept before it speaks."""
        if epoch in self.delivered:
            return True
        for log in self._logs:
            if log.epoch == epoch:
                spoken = log is self._logs[0] and self.now.outbox.cursor is not None
                held = self.now.outbox.receipted if spoken else self._receipts.get(epoch, 0)
                return held >= (log.size if end is None else end)
        return False

    async def contradiction(self, log, timeout_s):
        """What the centre's receipt says against `log` before anything new is signed in it, as text; None if nothing,
        or if it gives no signed answer within timeout_s."""
        probe = self._make(log, False)
        try:
            return await probe.contradiction(timeout_s)
        finally:
            await probe.close()


class Delivery:
    """`log`: ledger Log; `centre`: Centre of the site document;
    `port`: the board's (sleep_ms, random, open_tls); `clock`: nothing is sent while it is unset.
    Other arguments go to Outbox (batch sizes, pauses).

    `await run()` returns when centre and log have two histories (`status()["stopped"]`), and with `closing` when the
    centre holds all of the log. Call `wake()` after
    each commit. `outbox`: cursor, uploaded, retries, error, receipt.
    """

    def __init__(self, log, centre, port, timeout_s=30, closing=False, clock=None, **limits):
        self._log = log
        self._clock = clock
        self._port = port
        self._link = _link_to(centre)(centre, log.terminal_id, port, log.storage, timeout_s)
        self._news = asyncio.Event()
        self._public = centre.public
        self._closing = closing
        self._kept = 0  # size of the checkpoint in the receipt that is kept
        self.name = centre.name
        limits.setdefault("max_bytes", _room())
        self.outbox = Outbox(log.terminal_id, log.epoch, centre.public, self._below, **limits)

    async def run(self):
        try:
            while self.outbox.state != STOPPED and not (self._closing and self.idle()):
                try:
                    await self._step()
                except MemoryError:
                    await self.close()
                    self._cramped()
        finally:
            await self.close()

    async def close(self):
        await self._link.close()

    def close_when_idle(self):
        """Nothing more is appended to the log: `run` ends when the centre holds it all."""
        self._closing = True
        self.wake()

    async def contradiction(self, timeout_s):
        """As Courier's. Entries are sent only when they are durable: a centre that has more of them than the log, or
        another root over those it has, in its signed word, knows a history that is not this log's."""
        if self._timeless():
            return None
        try:
            status, answer = await asyncio.wait_for(self._link.ask(self._log.epoch), timeout_s)
        except (asyncio.TimeoutError, OSError, EOFError, ValueError):
            return None
        self.outbox.answered(status, answer)
        if self.outbox.state == READ:
            await self._read()
        return self.outbox.error if self.outbox.state == STOPPED else None

    def wake(self):
        """There may be new durable entries or a new checkpoint."""
        self._news.set()

    def backlog(self):
        """Durable entries that the centre has not acknowledged; all of them before its first word."""
        return self._log.size - (self.outbox.cursor or 0)

    def idle(self):
        """True if the centre has acknowledged every durable entry and answered the newest checkpoint."""
        return self.outbox.cursor == self._log.size and self.outbox.sealed >= self._log.sealed

    def status(self):
        """For a status page or file."""
        box = self.outbox
        return {
            "name": self.name, "cursor": box.cursor, "backlog": self.backlog(), "uploaded": box.uploaded,
            "retries": box.retries, "connections": self._link.connections,
            "error": NO_TIME if self._timeless() else box.error,
            "stopped": box.state == STOPPED,
        }  # fmt: skip

    def _timeless(self):
        return self._clock is not None and self._clock.state == UNSET

    def _tells_time(self):
        """Whether the centre's answers say what time it is, to a clock that may be set by them: those that come over a
        connection with the centre itself, as what somebody passes on may be of yesterday."""
        return self._clock is not None and self._clock.hears and not self._link.passed_on

    async def _step(self):
        box = self.outbox
        if self._timeless() and not (box.state == ASK and self._tells_time()):
            self._news.clear()
            await self._news.wait()  # each commit wakes: the one after the clock was set goes on
            return
        if box.delay_ms:
            await self._port.sleep_ms(box.delay_ms)
        if box.state == ASK:
            await self._exchange(self._link.ask(self._log.epoch))
        elif box.state == READ:
            await self._read()
        else:
            self._news.clear()
            newest = self._log.last_checkpoint
            body = box.batch(self._log.entries(box.cursor), newest and (self._log.sealed, newest))
            if body is None:
                await self._news.wait()
            else:
                await self._exchange(self._link.send(body))

    async def _exchange(self, request):
        begun, self.outbox.heard_ms = self._port.ticks_ms(), None
        peer, failed = self._link.peer, self.outbox.unanswered if self._link.passed_on else self.outbox.failed
        try:
            status, answer = await request
        except asyncio.TimeoutError:
            failed("the %s did not answer in time" % peer)
        except CarbonError as error:
            failed(str(error))
        except ValueError as error:
            failed(
                "the %s's certificate is refused (%s); check the CA in the site document, the host and this clock"
                % (peer, _line(error))
            )
        except (OSError, EOFError) as error:
            failed("no answer from the %s (%s)" % (peer, _line(error)))
        else:
            self.outbox.answered(status, answer)
            if self.outbox.heard_ms is not None and self._tells_time():
                took = self._port.ticks_diff(self._port.ticks_ms(), begun)
                self._clock.hear(self.outbox.heard_ms, took)
            self._keep(self.outbox.receipt)

    def relieve(self):
        """As Courier's."""
        if not self._link.open and not self.outbox.sending:
            return False
        self.outbox.cramped("memory was needed for readings")
        return True

    def _cramped(self):
        gc.collect()
        self.outbox.cramped("there is not memory enough for a request")

    def _keep(self, receipt):
        """Keeps the receipt for those who pull the log: once for each checkpoint that it brings back cosigned."""
        if receipt is not None and receipt.checkpoint is not None and self.outbox.sealed > self._kept:
            try:
                keep(self._log.storage, self._public, receipt)
            except OSError:  # no room: the entries need it more
                return
            self._kept = self.outbox.sealed

    async def _read(self):
        found, count = self._log.tree_before(self.outbox.wanted), 0
        if found is None:
            self.outbox.missing(self._log.kept)
            return
        self.outbox.begin(*found)
        if self.outbox.state != READ:
            return
        for entry, _ in self._log.entries(self.outbox.size):
            self.outbox.passed(entry)
            if self.outbox.state != READ:
                return
            count += 1
            if count % _AT_ONCE == 0:
                await self._port.sleep_ms(0)
        self.outbox.ended()

    def _below(self, n):
        return int.from_bytes(self._port.random(4), "big") % n


def _link_to(centre):
    """Its class; code of a way that no centre has takes no memory."""
    if centre.mqtt is None:
        from carbonterm_device.https import HttpsLink as made
    else:
        from carbonterm_device.mqtt_link import MqttLink as made
    return made


def _room():
    """Bytes of a batch: 64 KiB, or a 16th of the free heap where that is less, as it is there several times over."""
    gc.collect()
    return max(2048, min(65536, gc.mem_free() // 16)) if hasattr(gc, "mem_free") else 65536


def _receipts(logs, public):
    """{epoch: entries} that a centre has signed for before, by the receipts in the folder."""
    found = {}
    try:
        kept = read_kept(logs[0].storage)
    except (CarbonError, OSError):
        return found
    epochs, owner = [log.epoch for log in logs], logs[0].terminal_id
    for key, receipt in kept:
        right = key == public and receipt.epoch in epochs and receipt.terminal_id == owner
        if right and receipt.checkpoint is not None and receipt.signed_by(public):
            found[receipt.epoch] = min(receipt.next_seq, size_of(receipt.checkpoint))
    return found


def _line(error):
    """The error's text in one line: that of mbedTLS has several."""
    return " ".join((str(error) or type(error).__name__).split())
