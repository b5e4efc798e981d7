"""Delivers the log to one centre over HTTPS: the task around carbonterm.uplink.outbox.

Nothing is kept about it: at every start the centre is asked what it holds, and the log is hashed up to there once, so
that the first receipt is compared like every other. What only waits in memory is never sent (`Log.entries` gives
durable entries).
"""

import asyncio
import gc

from carbonterm.errors import UplinkError
from carbonterm.uplink.message import MAX_ANSWER
from carbonterm.uplink.outbox import ASK, READ, STOPPED, Outbox
from carbonterm_device.https import Client

_AT_ONCE = 32  # entries hashed before other tasks get their turn


class Delivery:
    """`log`: ledger Log; `centre`: name, host, port, ca (DER), public (64 bytes) of the site document;
    `port`: the board's (sleep_ms, random, open_tls). Other arguments go to Outbox (batch sizes, pauses).

    `await run()` returns only when centre and log have two histories (`status()["stopped"]`). Call `wake()` after
    each commit. `outbox`: cursor, uploaded, retries, error, receipt.
    """

    def __init__(self, log, centre, port, timeout_s=30, **limits):
        self._log = log
        self._port = port
        self._client = Client(port.open_tls, centre.host, centre.port, centre.ca, timeout_s)
        self._news = asyncio.Event()
        self._path = "/v1/terminals/%s/entries" % log.terminal_id
        self.name = centre.name
        self.outbox = Outbox(log.terminal_id, log.epoch, centre.public, self._below, **limits)

    async def run(self):
        try:
            while self.outbox.state != STOPPED:
                await self._step()
        finally:
            await self._client.close()

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
            "retries": box.retries, "connections": self._client.connections, "error": box.error,
            "stopped": box.state == STOPPED,
        }  # fmt: skip

    async def _step(self):
        box = self.outbox
        if box.delay_ms:
            await self._port.sleep_ms(box.delay_ms)
        if box.state == ASK:
            await self._exchange("GET", "%s?epoch=%d" % (self._path, self._log.epoch), None)
        elif box.state == READ:
            await self._read()
        else:
            self._news.clear()
            newest = self._log.last_checkpoint
            body = box.batch(self._log.entries(box.cursor), newest and (self._log.sealed, newest))
            if body is None:
                await self._news.wait()
            else:
                await self._exchange("POST", self._path, body)

    async def _exchange(self, method, path, body):
        try:
            status, answer = await self._client.request(method, path, body, MAX_ANSWER)
        except asyncio.TimeoutError:
            self.outbox.failed("the centre did not answer in time")
        except MemoryError:
            gc.collect()
            self.outbox.failed("there is not memory enough for a request")
        except UplinkError as error:
            self.outbox.failed(error.what)
        except ValueError as error:
            self.outbox.failed(
                "the centre's certificate is refused (%s); check the CA in the site document, the host and this clock"
                % _line(error)
            )
        except (OSError, EOFError) as error:
            self.outbox.failed("no answer from the centre (%s)" % _line(error))
        else:
            self.outbox.answered(status, answer)

    async def _read(self):
        count = 0
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


def _line(error):
    """The error's text in one line: that of mbedTLS has several."""
    return " ".join((str(error) or type(error).__name__).split())
