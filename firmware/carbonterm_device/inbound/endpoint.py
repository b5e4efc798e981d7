"""The HTTPS endpoint for other systems' values (docs/inbound.md): a small HTTP/1.1 server, bounded in all it holds.

A token is looked at before the body is read. A message is answered with 200 when its entry is durable, never before.
"""

import asyncio
import json

from carbonterm.errors import CarbonError
from carbonterm.field import said
from carbonterm.gm import sm3
from carbonterm_device.inbound.http import (
    LINGER_S,
    REASONS,
    Answer,
    body_size,
    linger,
    parse_head,
    read_body,
    read_head,
)
from carbonterm_device.inbound.inbox import LOST, Inbox
from carbonterm_device.wires import hang_up

CONNECTIONS = 8
IDLE_S = 30  # so long a connection may take for a request, or wait for the next one
PATH = b"/v1/readings"


class Endpoint(Inbox):
    def __init__(self, index, site, terminal, clock, port, storage):
        super().__init__(index, site, terminal, clock, port, storage)
        self._connections = 0
        self._ids = {}  # (source, id): SM3 of the message, of the last ones
        self._recent = []

    async def serve(self):
        certificate, key = [self.secret(name) for name in self.bus.inbound]
        context = self.port.server_context(certificate, key)
        server = await asyncio.start_server(self._connection, self.bus.address, self.bus.port, ssl=context)
        self.reason, self.connected = "", True
        try:
            while True:
                await self.port.sleep_ms(60000)
        finally:
            server.close()

    async def _connection(self, reader, writer):
        self._connections += 1
        try:
            while self._connections <= CONNECTIONS and await self._one(reader, writer):
                pass
        except (OSError, EOFError, ValueError, asyncio.TimeoutError):
            self.counters.refused += 1
        finally:
            self._connections -= 1
            await hang_up(writer)

    async def _one(self, reader, writer):
        """One request and its answer; False: the connection ends."""
        keep = True
        try:
            head, rest = await asyncio.wait_for(read_head(reader), IDLE_S)
            if not head:
                return False
            keep, size, token, waits = self._check(head)
            if waits and not rest:
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                await writer.drain()
            body = await asyncio.wait_for(read_body(reader, rest, size), IDLE_S)
            status, answer = 200, {"result": await self._message(body, token)}
        except Answer as refusal:
            status, answer = refusal.status, refusal.body
            self.counters.refused += 1
            if status == 401:
                self.warn("inbound refused", answer["error"])
            keep = keep and status in (409, 422, 503)  # of the others the body was not read, or is no message
        text = json.dumps(answer).encode()
        lines = ["HTTP/1.1 %d %s" % (status, REASONS[status]), "Content-Type: application/json",
                 "Content-Length: %d" % len(text)]  # fmt: skip
        if status == 503:
            lines.append("Retry-After: 5")
        if not keep:
            lines.append("Connection: close")
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + text)
        await writer.drain()
        if not keep:
            await asyncio.wait_for(linger(reader), LINGER_S)
        return keep

    def _check(self, head):
        """(whether the connection is kept, bytes of the body, SM3 of the token, whether the client waits for a word
        before it sends the body) of a request's head."""
        words, fields = parse_head(head)
        if words[1] != PATH:
            raise Answer(404, "there is nothing here", "POST to " + PATH.decode())
        if words[0] != b"POST":
            raise Answer(405, "only POST is taken here")
        given = fields.get(b"authorization", b"")
        token = sm3.digest(given[7:].strip())
        if given[:7].lower() != b"bearer " or not [1 for s in self.senders.values() if s.row.dialect == token]:
            raise Answer(401, "this token is not known here", "send Authorization: Bearer and the source's token")
        size = body_size(fields, said.MAX_BODY)
        if size is None:
            raise Answer(411, "there is no Content-Length")
        keep = words[2] == b"HTTP/1.1" and fields.get(b"connection", b"").lower() != b"close"
        return keep, size, token, fields.get(b"expect", b"").lower() == b"100-continue"

    async def _message(self, body, token):
        """STORED or KNOWN, when the message is durable; Answer otherwise."""
        try:
            post = said.Post(body)
        except CarbonError as error:
            raise Answer(400, error.what, error.hint)
        sender = self.senders.get(post.source)
        if sender is None or sender.row.dialect != token:
            raise Answer(401, "the token is not this source's", "send the token of the source")
        told = said.of_post(post, sender.points)
        if not told:
            self.counters.foreign += 1
            raise Answer(422, "no point takes any of these values", "name them in the site document")
        self._same(post, sm3.digest(body))
        result, ready = [], asyncio.Event()

        def done(word):
            result.append(word)
            ready.set()

        self.take(sender, body, told, done)
        if not result:
            await self.port.wait_ms(ready, self.bus.timeout_ms)
        if not result or result[0] == LOST:
            raise Answer(503, "the message is not stored", "send it again later")
        return result[0]

    def _same(self, post, digest):
        """Answer 409 where this id came with other content before."""
        key = post.source, post.id
        known = self._ids.get(key)
        if known is None:
            self._recent.append(key)
            if len(self._recent) > 64:
                self._ids.pop(self._recent.pop(0))
            self._ids[key] = digest
        elif known != digest:
            raise Answer(409, "a message with this id came with other content", "give each message an id of its own")
