"""A TCP relay on loopback that keeps every byte of both directions: what somebody on the line sees (CPython only)."""

import contextlib
import socket
import threading


class Relay:
    """`with Relay(port) as relay:` relays relay.port to 127.0.0.1:port; `sent` and `answered` are lists of bytearrays,
    one per connection."""

    def __init__(self, port):
        self._to = port
        self.sent, self.answered = [], []
        self._open = []

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        return self

    def __exit__(self, *_):
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                return
            self._open += [near, far]
            for source, target, kept in ((near, far, self.sent), (far, near, self.answered)):
                kept.append(bytearray())
                self._threads.append(threading.Thread(target=self._carry, args=(source, target, kept[-1])))
                self._threads[-1].start()

    @staticmethod
    def _carry(source, target, kept):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                kept += data
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def records(stream):
    """[(type, version, payload)] of a TLS stream's records (RFC 8446 section 5.1); a cut last one is left out."""
    found, at = [], 0
    while at + 5 <= len(stream):
        size = int.from_bytes(stream[at + 3 : at + 5], "big")
        if at + 5 + size > len(stream):
            break
        version = int.from_bytes(stream[at + 1 : at + 3], "big")
        found.append((stream[at], version, bytes(stream[at + 5 : at + 5 + size])))
        at += 5 + size
    return found


def server_hello(stream):
    """(version, cipher suite) that a TLS server chose, e.g. (0x0304, 0x1301)."""
    hello = next(payload for kind, _, payload in records(stream) if kind == 22)
    if hello[0] != 2:
        raise ValueError("the server does not begin with its hello")
    version = int.from_bytes(hello[4:6], "big")
    at = 38 + 1 + hello[38]
    cipher = int.from_bytes(hello[at : at + 2], "big")
    at += 3
    end = at + 2 + int.from_bytes(hello[at : at + 2], "big") if at + 2 <= len(hello) else at
    at += 2
    while at + 4 <= end:
        kind, size = int.from_bytes(hello[at : at + 2], "big"), int.from_bytes(hello[at + 2 : at + 4], "big")
        if kind == 43:  # supported_versions
            version = int.from_bytes(hello[at + 4 : at + 6], "big")
        at += 4 + size
    return version, cipher
