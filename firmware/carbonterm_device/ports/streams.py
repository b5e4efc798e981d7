"""What all ports of MicroPython share: ticks, waiting, and streams over TCP and TLS that never block the event loop."""

import asyncio
import socket
import sys
import time

_IPPROTO_TCP, _TCP_NODELAY = 6, 1
_EINPROGRESS, _EAGAIN = 115, 11

ticks_ms, ticks_add, ticks_diff, sleep_ms = time.ticks_ms, time.ticks_add, time.ticks_diff, asyncio.sleep_ms


async def console_lines(handle):
    """Calls handle(line) for each line of stdin, and handle(b"") at its end."""
    reader, line = asyncio.StreamReader(sys.stdin.buffer), b"\n"
    while line:
        line = await reader.readline()
        handle(line)


async def wait_ms(event, ms):
    """Returns when the event is set, or after `ms` milliseconds."""
    try:
        await asyncio.wait_for_ms(event.wait(), ms)
    except asyncio.TimeoutError:
        pass


# whether what memory that ended has left of a wait_for cancels who waited for it, later
CANCELS_LATE = True


def uncancel(task):
    """After a task has caught a cancellation that was meant for one of its steps only."""


def _writable(s):
    yield asyncio.core._io_queue.queue_write(s)


def is_numeric(host):
    """Whether `host` is an IPv4 or IPv6 address, so that no name server is needed."""
    if ":" in host:
        return True
    for c in host:
        if not ("0" <= c <= "9" or c == "."):
            return False
    return len(host) > 0


async def _address(host, port):
    if is_numeric(host):
        return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0]
    # the resolver blocks, so it gets a thread of its own
    import _thread

    found = []

    def resolve():
        try:
            found.append(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0])
        except OSError as error:
            found.append(error)

    _thread.start_new_thread(resolve, ())
    while not found:
        await sleep_ms(10)
    if isinstance(found[0], OSError):
        raise found[0]
    return found[0]


class _TcpLink:
    def __init__(self, s):
        self._socket = s
        self.read = asyncio.StreamReader(s).read  # bound once: a poll costs no layer more than the stream itself

    def send(self, data):
        if self._socket.write(data) != len(data):
            raise OSError(_EAGAIN)  # a request of some bytes does not fit: the other end has long stopped reading

    def discard(self):
        count = 0
        while True:
            data = self._socket.read(256)
            if not data:
                return count
            count += len(data)

    def close(self):
        self._socket.close()


async def _connected(host, port):
    family, kind, protocol, _, address = await _address(host, port)
    s = socket.socket(family, kind, protocol)
    try:
        s.setblocking(False)
        s.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
        try:
            s.connect(address)
        except OSError as error:
            if error.errno != _EINPROGRESS:
                raise
            await _writable(s)
            s.connect(address)  # now it is connected, or says why not
    except BaseException:
        s.close()
        raise
    return s


async def open_tcp(host, port):
    """A connected TcpLink without Nagle's delay. OSError with the reason; cancelling it leaves nothing open."""
    return _TcpLink(await _connected(host, port))


async def open_tls(host, port, context):
    """(reader, writer) streams over TLS to a server that must prove to be `host`; the handshake comes with the
    first write. Errors as open_tcp. asyncio.open_connection would leak a socket with every attempt that fails."""
    s = await _connected(host, port)
    try:
        secure = context.wrap_socket(s, server_hostname=host, do_handshake_on_connect=False)
        secure.setblocking(False)
    except BaseException:
        s.close()
        raise
    stream = asyncio.StreamReader(secure)
    return stream, stream
