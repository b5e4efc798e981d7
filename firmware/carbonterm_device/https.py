"""An HTTPS client for one server: one request at a time on a kept connection, on MicroPython and CPython.

The server's certificate must come from the given CA and name the host; before that is certain nothing is sent.
"""

import asyncio
import gc

from carbonterm.errors import UplinkError, quoted
from carbonterm.uplink.message import MAX_ANSWER
from carbonterm_device.wires import context, hang_up

MAX_HEAD = 4096  # bytes of status line and header fields
_PIECE = 2048  # of a body that are written at once


class HttpsLink:
    """The way of a Delivery to a centre, over HTTPS; mqtt_link.MqttLink is the other one.

    `await ask(epoch)`, `await send(batch) -> (status, body)`. peer: who answers, for messages; passed_on: whether there
    is somebody between who may keep a message for himself.
    """

    peer = "centre"
    passed_on = False

    def __init__(self, centre, terminal_id, port, storage, timeout_s):
        self._client = Client(port.open_tls, centre.host, centre.port, centre.ca, timeout_s)
        self._path = "/v1/terminals/%s/entries" % terminal_id
        self.close = self._client.close

    @property
    def connections(self):
        return self._client.connections

    @property
    def open(self):
        """Whether there is a connection, which takes memory."""
        return self._client.open

    async def ask(self, epoch):
        return await self._client.request("GET", "%s?epoch=%d" % (self._path, epoch), None, MAX_ANSWER)

    async def send(self, batch):
        return await self._client.request("POST", self._path, batch, MAX_ANSWER)


class Client:
    """`await request(method, path, body=None, limit=…) -> (status, body)` to https://host:number.

    open_tls: of the board's port; limit: bytes of an answer. Raises OSError, EOFError, ValueError (a certificate that
    is not right; UplinkError: an answer that is no HTTP) or, when the whole took longer than timeout_s,
    asyncio.TimeoutError; the connection is closed then.
    """

    def __init__(self, open_tls, host, number, ca, timeout_s=30):
        self._open_tls = open_tls
        self._host = host
        self._number = number
        self._timeout_s = timeout_s
        self._context = context(ca)
        self._streams = None
        self.connections = 0

    async def request(self, method, path, body=None, limit=16384):
        kept = self._streams is not None
        try:
            return await self._bounded(method, path, body, limit)
        except asyncio.TimeoutError:
            raise
        except (OSError, EOFError):
            if not kept:
                raise
        # a kept connection may have ended while it was idle: that says nothing about the server
        return await self._bounded(method, path, body, limit)

    async def _bounded(self, method, path, body, limit):
        try:
            return await asyncio.wait_for(self._exchange(method, path, body, limit), self._timeout_s)
        except BaseException:
            await self.close()
            raise

    @property
    def open(self):
        return self._streams is not None

    async def close(self):
        """Closes the connection at once, if there is one."""
        streams, self._streams = self._streams, None
        if streams:
            await hang_up(streams[1])

    async def _exchange(self, method, path, body, limit):
        if self._streams is None:
            gc.collect()  # a handshake needs room in one piece
            self._streams = await self._open_tls(self._host, self._number, self._context)
            self.connections += 1
        reader, writer = self._streams
        writer.write(_request(method, path, self._host, self._number, body))
        await writer.drain()
        view = memoryview(body or b"")
        for at in range(_PIECE, len(view), _PIECE):  # a long body is not copied whole, nor held twice by the stream
            writer.write(view[at : at + _PIECE])
            await writer.drain()
        data = b""
        while True:
            end = data.find(b"\r\n\r\n")
            if end >= 0:
                break
            if len(data) > MAX_HEAD:
                raise UplinkError("the head of an answer has more than %d bytes" % MAX_HEAD)
            data += await _some(reader)
        status, size, keep = parse_head(data[:end], limit)
        parts = [data[end + 4 :]]
        missing = size - len(parts[0])
        while missing > 0:
            more = await _some(reader)
            parts.append(more)
            missing -= len(more)
        if missing < 0:
            raise UplinkError("%d bytes follow an answer that was not asked for" % -missing)
        if not keep:
            await self.close()
        return status, b"".join(parts)


def parse_head(head, limit):
    """(status, bytes of the body, whether the connection is kept) of an answer's head without its empty line.

    Strict (RFC 9112): HTTP/1.0 or 1.1, a final status, exactly one Content-Length of at most `limit` and no
    Transfer-Encoding; else UplinkError.
    """
    lines = head.split(b"\r\n")
    first = lines[0]
    digits = first[9:12]
    if first[:8] not in (b"HTTP/1.1", b"HTTP/1.0") or first[8:9] != b" " or first[12:13] not in (b" ", b""):
        raise UplinkError("the answer does not begin like HTTP: %s" % _shown(first))
    if len(digits) != 3 or not digits.isdigit() or digits < b"200":
        raise UplinkError("the answer has no final status: %s" % _shown(first))
    size = None
    keep = first[:8] == b"HTTP/1.1"
    for line in lines[1:]:
        colon = line.find(b":")
        if colon < 1 or line[:1] in b" \t" or line[colon - 1 : colon] in (b" ", b"\t"):
            raise UplinkError("the answer has a line that is no header field: %s" % _shown(line))
        name, value = line[:colon].lower(), line[colon + 1 :].strip()
        if name == b"content-length":
            if size is not None or not 1 <= len(value) <= 9 or not value.isdigit():
                raise UplinkError("the answer has no single Content-Length: %s" % _shown(value))
            size = int(value)
        elif name == b"transfer-encoding":
            raise UplinkError("the answer comes in pieces (%s), which is not spoken here" % _shown(value))
        elif name == b"connection" and value.lower() == b"close":
            keep = False
    if size is None:
        raise UplinkError("the answer has no Content-Length")
    if size > limit:
        raise UplinkError("the answer has %d bytes, the limit is %d" % (size, limit))
    return int(digits), size, keep


def _request(method, path, host, number, body):
    """A request with the first piece of its body as one buffer: one write, as few packets as can be."""
    lines = ["%s %s HTTP/1.1" % (method, path), "Host: %s:%d" % (host, number)]
    if body is not None:
        lines.append("Content-Type: application/cbor")
        lines.append("Content-Length: %d" % len(body))
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + (body or b"")[:_PIECE]


async def _some(reader):
    data = await reader.read(1024)
    if not data:
        raise EOFError("the server closed the connection in the middle of its answer")
    return data


def _shown(data):
    return quoted("".join([chr(b) if 32 <= b < 127 else "?" for b in data[:60]]))
