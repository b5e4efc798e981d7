"""Requests of HTTP/1.1 as a server reads them: strict, and bounded in all that is held (RFC 9112)."""

MAX_HEAD = 4096
LINGER_S = 2
REASONS = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed", 409: "Conflict",
    411: "Length Required", 413: "Content Too Large", 422: "Unprocessable Content", 501: "Not Implemented",
    503: "Service Unavailable",
}  # fmt: skip


class Answer(Exception):
    """An answer that ends the work on a request: status, what is wrong, what to do."""

    def __init__(self, status, what, hint=""):
        super().__init__(status)
        self.status = status
        self.body = {"error": what, "hint": hint}


def parse_head(head):
    """(words of the request line, {name in small letters: value}) of a head; Answer 400 for what is none."""
    lines = head.split(b"\r\n")
    words = lines[0].split(b" ")
    if len(words) != 3 or words[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise Answer(400, "this is no HTTP/1.1 request")
    fields = {}
    for line in lines[1:]:
        colon = line.find(b":")
        name = line[:colon].lower()
        if colon < 1 or name.strip() != name or name in fields:
            raise Answer(400, "a header field is broken, or stands twice")
        fields[name] = line[colon + 1 :].strip()
    return words, fields


def body_size(fields, most):
    """Bytes of the body, None where there is none; Answer 501 or 413."""
    if b"transfer-encoding" in fields:
        raise Answer(501, "a body in pieces is not taken", "send a Content-Length")
    size = fields.get(b"content-length")
    if size is None:
        return None
    if not size.isdigit() or len(size) > 9 or int(size) > most:
        raise Answer(413, "a message has at most %d bytes" % most, "send it in several messages")
    return int(size)


async def read_head(reader, most=MAX_HEAD):
    """(head without its empty line, what came behind it); (b"", b"") where the other end hung up before."""
    data = b""
    while True:
        end = data.find(b"\r\n\r\n")
        if end >= 0:
            return data[:end], data[end + 4 :]
        if len(data) > most:
            raise Answer(400, "the head has more than %d bytes" % most)
        more = await reader.read(1024)
        if not more:
            return b"", b""
        data += more


async def read_body(reader, data, size):
    """All of a body of which `data` came with the head; Answer 400 where more came, EOFError where less."""
    parts, missing = [data], size - len(data)
    while missing > 0:
        more = await reader.read(min(missing, 2048))
        if not more:
            raise EOFError
        parts.append(more)
        missing -= len(more)
    if missing < 0:
        raise Answer(400, "bytes follow the body", "wait for the answer before the next request")
    return b"".join(parts)


async def linger(reader):
    """Reads what still comes: a connection closed over unread bytes is reset, and the answer may be lost with it."""
    for _ in range(64):
        if not await reader.read(1024):
            return
