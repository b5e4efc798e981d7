"""What connections have in common: TLS, secrets in the data folder, an outlet, the end."""

import asyncio

from carbonterm.errors import CarbonError

try:
    import tls  # MicroPython; its `ssl` module connects without looking at the certificate
except ImportError:
    tls = None
    import ssl


def context(ca):
    """A TLS client context that trusts the CA certificate `ca` (DER) and nothing else; ValueError for a bad one."""
    if tls:
        made = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        made.verify_mode = tls.CERT_REQUIRED
        made.load_verify_locations(ca)
    else:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # CERT_REQUIRED, check_hostname
        made.load_verify_locations(cadata=ca)
    return made


def secret(storage, name, most=8192):
    """Bytes of a file in the data folder that the site document names; CarbonError where it is not there."""
    try:
        return storage.read(name, 0, min(storage.size(name), most))
    except OSError:
        raise CarbonError("%s is not in the data folder" % name, "put it there, readable by the terminal only")


def login(storage, name):
    """(user, password) of such a file's two lines; (None, None) of the name None."""
    if name is None:
        return None, None
    lines = secret(storage, name).decode().split("\n")
    if len(lines) < 2 or not lines[0].strip():
        raise CarbonError("%s has no two lines" % name, "write the user on the first, the password on the second")
    return lines[0].strip(), lines[1].strip().encode()


async def hang_up(writer):
    """Closes a stream at once, on both runtimes."""
    if hasattr(writer, "transport"):
        writer.transport.abort()
        return
    try:
        await writer.wait_closed()  # closes the socket; close() alone does nothing
    except OSError:
        pass  # the peer is gone: closed is closed


class Outlet:
    """What is to be sent on a connection, from wherever: one task writes it, in order."""

    def __init__(self, port):
        self._port = port
        self._ready = asyncio.Event()
        self._waiting = []

    def put(self, data):
        self._waiting.append(data)
        self._ready.set()

    async def take(self, ms):
        """The bytes to send now, b"" if there are none within `ms`."""
        if not self._waiting:
            await self._port.wait_ms(self._ready, ms)
        self._ready.clear()
        waiting, self._waiting = self._waiting, []
        return b"".join(waiting)
